/** The hostile suites' arena for MQTT: our server, and a bystander on each protocol. */
import { MqttConnection, type MqttOptions } from '../support/mqtt-client.ts';
import { PUBLISH, type Version } from '../support/mqtt-wire.ts';
import { Arena, ROUND_TRIP_MAX_MS, STANDSTILL_MS } from './arena.ts';

/** An MQTT client that publishes to itself, QoS 1, without pause. */
class MqttBystander {
  readonly #client: MqttConnection;
  #isStopped = false;
  #failure: unknown;
  #loop: Promise<void> = Promise.resolve();
  rounds = 0;
  /** The longest round trip of all, and the longest since the last check. */
  worstMs = 0;
  #latestWorstMs = 0;

  private constructor(client: MqttConnection) {
    this.#client = client;
  }

  static async start(url: string): Promise<MqttBystander> {
    const client = await MqttConnection.dial(url);
    await client.login(url, { clientId: 'bystander' });
    await client.subscribe('bystander/own', 1);
    const bystander = new MqttBystander(client);
    bystander.#loop = bystander.#run();
    return bystander;
  }

  async #run(): Promise<void> {
    try {
      while (!this.#isStopped) {
        const startedAt = performance.now();
        const body = `${this.rounds}`;
        await this.#client.publish('bystander/own', body, { qos: 1 });
        const message = await this.#client.next(PUBLISH, STANDSTILL_MS);
        if (message.payload.toString() !== body) throw new Error('a bystander got another message');
        const tookMs = performance.now() - startedAt;
        this.worstMs = Math.max(this.worstMs, tookMs);
        this.#latestWorstMs = Math.max(this.#latestWorstMs, tookMs);
        this.rounds += 1;
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    } catch (error) {
      this.#failure = error;
    }
  }

  async oneMore(): Promise<void> {
    const from = this.rounds;
    const until = Date.now() + STANDSTILL_MS;
    while (this.rounds === from) {
      if (this.#failure !== undefined) throw this.#failure;
      if (Date.now() > until) throw new Error('the MQTT bystander stands still');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const worstMs = this.#latestWorstMs;
    // Told once: the tests that follow are not to blame.
    this.#latestWorstMs = 0;
    if (worstMs > ROUND_TRIP_MAX_MS) {
      throw new Error(`the MQTT bystander waited ${Math.round(worstMs)} ms`);
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#loop;
    this.#client.destroy();
  }
}

export class MqttArena {
  readonly arena: Arena;
  readonly url: string;
  readonly bystander: MqttBystander;
  readonly #open: MqttConnection[] = [];

  private constructor(arena: Arena, url: string, bystander: MqttBystander) {
    this.arena = arena;
    this.url = url;
    this.bystander = bystander;
  }

  static async open(args: readonly string[] = []): Promise<MqttArena> {
    const arena = await Arena.open(['--mqtt-port', '0', ...args]);
    const url = `mqtt://guest:guest@127.0.0.1:${arena.server.port('mqtt')}`;
    return new MqttArena(arena, url, await MqttBystander.start(url));
  }

  /** A socket on which nothing was said. */
  async dial(version: Version = 5): Promise<MqttConnection> {
    const client = await MqttConnection.dial(this.url, version);
    this.#open.push(client);
    return client;
  }

  /** A client that is logged in. */
  async connect(version: Version = 5, options: MqttOptions = {}): Promise<MqttConnection> {
    const client = await this.dial(version);
    const connack = await client.login(this.url, options);
    if (connack.code !== 0) throw new Error(`CONNACK ${connack.code}`);
    return client;
  }

  /** After an attack: alive, small, no error logged, bystanders served. */
  async check(): Promise<void> {
    for (const client of this.#open.splice(0)) client.destroy();
    await this.arena.check();
    await this.bystander.oneMore();
    const { errors } = this.arena.server;
    if (errors.length > 0) throw new Error(`the server logged ${errors[0]}`);
  }

  async close(): Promise<void> {
    await this.bystander.stop();
    await this.arena.close();
  }
}
