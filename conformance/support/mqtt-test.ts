/**
 * One test per rule of the MQTT standards. Without MQTT_URL every file starts the built server;
 * with it the suites use that broker, and MQTT_PEER (`mosquitto`, `rabbitmq`) names one that is
 * not ours: rules it does not follow say so and are skipped with the reason.
 */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, test } from 'vitest';
import { MqttConnection, type MqttOptions } from './mqtt-client.ts';
import type { Incoming, Version } from './mqtt-wire.ts';
import { ServerProcess, type ServerOptions } from './server-process.ts';

export type Peer = 'mosquitto' | 'rabbitmq';

export interface MqttRule {
  /** Section of the standard or the statement's number: `4.8.2`, `MQTT-3.3.1-5`. */
  readonly section: string;
  readonly rule: string;
  /** Peers that do otherwise, each with what they do. */
  readonly unlike?: Partial<Record<Peer, string>>;
  /** Needs users, settings or restarts that only a process of ours has. */
  readonly needsServer?: boolean;
}

/** What a test works with; its connections are destroyed when it ends. */
export class MqttContext {
  readonly #url: () => string;
  readonly #connections: MqttConnection[] = [];

  constructor(url: () => string) {
    this.#url = url;
  }

  /** Where the broker is now: a restart may move it to another port. */
  get url(): string {
    return this.#url();
  }

  /** A client id or a level of a topic that nobody else uses. */
  name(prefix = 't'): string {
    return `${prefix}${randomBytes(5).toString('hex')}`;
  }

  /** A socket on which nothing was said yet. */
  async dial(version: Version = 5): Promise<MqttConnection> {
    const connection = await MqttConnection.dial(this.url, version);
    this.#connections.push(connection);
    return connection;
  }

  /** CONNECT and whatever CONNACK says. */
  async attempt(options: MqttOptions = {}): Promise<MqttConnection> {
    const connection = await this.dial(options.version ?? 5);
    await connection.login(this.url, { clientId: this.name('c'), ...options });
    return connection;
  }

  /** An accepted connection. */
  async connect(options: MqttOptions = {}): Promise<MqttConnection> {
    const connection = await this.attempt(options);
    if (connection.connack.code !== 0) {
      throw new Error(`CONNACK 0x${connection.connack.code.toString(16)}`);
    }
    return connection;
  }

  /** A subscriber of one filter. */
  async subscriber(filter: string, qos = 0, options: MqttOptions = {}): Promise<MqttConnection> {
    const connection = await this.connect(options);
    await connection.subscribe(filter, qos);
    return connection;
  }

  dispose(): void {
    for (const connection of this.#connections) connection.destroy();
  }
}

export type MqttSpecTest = (rule: MqttRule, run: (context: MqttContext) => Promise<void>) => void;

export interface MqttBroker {
  readonly specTest: MqttSpecTest;
  readonly url: () => string;
  readonly peer: Peer | undefined;
  /** Our own process; throws when the target was given from outside. */
  readonly server: () => ServerProcess;
}

const EXTERNAL = process.env['MQTT_URL'];

/** The address of the server's MQTT listener. */
export function mqttUrl(server: ServerProcess): string {
  return `mqtt://guest:guest@127.0.0.1:${server.port('mqtt')}`;
}

/** Call once at the top of a test file. */
export function useMqtt(options: ServerOptions = {}): MqttBroker {
  const peer = EXTERNAL === undefined ? undefined : (process.env['MQTT_PEER'] as Peer | undefined);
  let server: ServerProcess | undefined;
  if (EXTERNAL === undefined) {
    beforeAll(async () => {
      const args = ['--mqtt-port', '0', ...(options.args ?? [])];
      server = await ServerProcess.start({ ...options, args });
    });
    afterAll(async () => {
      if (!server) return;
      try {
        if (!server.isRunning) throw new Error(`the server died:\n${server.log}`);
        const exit = await server.stop();
        if (exit.code !== 0) throw new Error(`SIGTERM ended with ${exit.code ?? exit.signal}`);
      } finally {
        await server.dispose();
      }
    });
  }
  const url = (): string => {
    const address = EXTERNAL ?? (server && mqttUrl(server));
    if (address === undefined) throw new Error('the broker is not up');
    return address;
  };
  const specTest: MqttSpecTest = (rule, run) => {
    const reason = skipReason(rule, peer);
    const title = `${rule.section}: ${rule.rule}${reason === undefined ? '' : ` [${reason}]`}`;
    test.skipIf(reason !== undefined)(title, async () => {
      const context = new MqttContext(url);
      try {
        await run(context);
      } finally {
        context.dispose();
      }
    });
  };
  return {
    specTest,
    url,
    peer,
    server: () => {
      if (!server) throw new Error('the target is not a process of ours');
      return server;
    },
  };
}

/** Why a rule is not tested against this target. */
export function skipReason(rule: MqttRule, peer: Peer | undefined): string | undefined {
  const unlike = peer === undefined ? undefined : rule.unlike?.[peer];
  if (unlike !== undefined) return `${peer}: ${unlike}`;
  if (rule.needsServer === true && EXTERNAL !== undefined) return 'needs a process of ours';
  return undefined;
}

/** Sleeps; only where time itself is what the rule is about. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Payload as text, for comparing sequences. */
export function texts(messages: readonly Incoming[]): string[] {
  return messages.map((message) => message.payload.toString());
}

/** The versions whose rules differ. */
export const VERSIONS: readonly Version[] = [4, 5];
