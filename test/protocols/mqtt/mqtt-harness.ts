/**
 * MQTT connections without sockets: an acceptor on an in-memory broker, clients that send packets
 * made by mqtt-packet and read the answers back with it.
 */
import mqttPacket from 'mqtt-packet';
import type { IConnackPacket, IConnectPacket, IPublishPacket, Packet, QoS } from 'mqtt-packet';
import { expect } from 'vitest';
import { createMqttAcceptor, type MqttAcceptor } from '../../../protocols/mqtt/listener.ts';
import { DEFAULT_MQTT_SETTINGS, type MqttSettings } from '../../../protocols/mqtt/settings.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import type { BrokerSettings } from '../../../src/engine/broker.ts';
import type { PeerInfo } from '../../../src/net/transport.ts';
import type { MemoryDisk } from '../../../src/store/memory-disk.ts';
import { PipeTransport } from '../../net/pipe-transport.ts';
import { AcceptorHarness } from '../../support/acceptor-harness.ts';
import { EngineFixture } from '../../support/engine-fixture.ts';
import type { FakeClock } from '../../support/fake-clock.ts';

/** A packet of either side, loosely typed as parsed JSON is: tests look at a few fields. */
export type Any = ReturnType<typeof JSON.parse>;

export class TestClient {
  readonly transport: PipeTransport;
  readonly version: number;
  readonly #harness: AcceptorHarness;
  readonly #inbox: Packet[];
  readonly #parser: mqttPacket.Parser;
  connack: IConnackPacket | undefined;

  constructor(harness: AcceptorHarness, transport: PipeTransport, version: number) {
    this.#harness = harness;
    this.transport = transport;
    this.version = version;
    this.#inbox = [];
    this.#parser = mqttPacket.parser({ protocolVersion: version });
    this.#parser.on('packet', (packet) => this.#inbox.push(packet));
    this.connack = undefined;
  }

  get isClosed(): boolean {
    return this.transport.isEnded || this.transport.isDestroyed;
  }

  raw(bytes: Buffer): void {
    this.transport.receive(Buffer.from(bytes));
  }

  send(packet: Any): void {
    this.raw(mqttPacket.generate(packet, { protocolVersion: this.version }));
  }

  /** Everything that has arrived once the broker is at rest. */
  async all(): Promise<Any[]> {
    await this.#harness.settle();
    const bytes = this.transport.received;
    this.transport.received = Buffer.alloc(0);
    this.#parser.parse(bytes);
    return this.#inbox.splice(0);
  }

  /** The next packet, which must be of type `cmd`; what follows stays. */
  async next(cmd: string): Promise<Any> {
    const packets = await this.all();
    const first = packets.shift();
    this.#inbox.push(...packets);
    expect(first, `expected ${cmd}, got nothing`).toBeDefined();
    expect(first.cmd, JSON.stringify(first)).toBe(cmd);
    return first;
  }

  /** Names of everything that has arrived. */
  async names(): Promise<string[]> {
    return (await this.all()).map(({ cmd }) => cmd);
  }

  /** Payloads of the PUBLISH packets that have arrived; each is acknowledged. */
  async messages(): Promise<string[]> {
    return (await this.publishes()).map(({ payload }) => payload.toString());
  }

  /** PUBLISH packets that have arrived; each is acknowledged. */
  async publishes(): Promise<Any[]> {
    const found: Any[] = [];
    for (const packet of await this.all()) {
      if (packet.cmd === 'pubrel') this.send({ cmd: 'pubcomp', messageId: packet.messageId });
      if (packet.cmd !== 'publish') continue;
      found.push(packet);
      if (packet.qos === 1) this.send({ cmd: 'puback', messageId: packet.messageId });
      if (packet.qos === 2) this.send({ cmd: 'pubrec', messageId: packet.messageId });
    }
    if (found.some(({ qos }) => qos === 2)) found.push(...(await this.publishes()));
    return found;
  }

  publish(topic: string, payload: string, options: Partial<IPublishPacket> = {}): void {
    const qos: QoS = options.qos ?? 0;
    this.send({
      cmd: 'publish',
      topic,
      payload,
      retain: false,
      dup: false,
      ...options,
      qos,
      ...(qos > 0 && { messageId: options.messageId ?? 1 }),
    });
  }

  /** Subscribes; returns the codes of SUBACK. */
  async subscribe(topic: string, options: Any = {}, properties?: Any): Promise<number[]> {
    this.send({
      cmd: 'subscribe',
      messageId: 7,
      subscriptions: [{ topic, qos: 0, nl: false, rap: false, rh: 0, ...options }],
      ...(properties !== undefined && { properties }),
    });
    const packets = await this.all();
    const at = packets.findIndex(({ cmd }) => cmd === 'suback');
    expect(at, JSON.stringify(packets)).toBeGreaterThanOrEqual(0);
    const [suback] = packets.splice(at, 1);
    this.#inbox.push(...packets);
    return suback.granted.map(Number);
  }

  /** The peer goes without a word. */
  async lose(): Promise<void> {
    this.transport.destroy();
    this.transport.handler!.onClosed(undefined);
    await this.#harness.settle();
  }

  async disconnect(reasonCode = 0, properties?: Any): Promise<void> {
    this.send({ cmd: 'disconnect', reasonCode, ...(properties !== undefined && { properties }) });
    await this.#harness.settle();
  }
}

/** A broker with an MQTT acceptor. */
export class Harness extends AcceptorHarness {
  readonly acceptor: MqttAcceptor;

  private constructor(fixture: EngineFixture, settings: Partial<MqttSettings>) {
    super(fixture);
    this.acceptor = createMqttAcceptor({
      broker: fixture.broker,
      flushSet: this.flushSet,
      settings: { ...DEFAULT_MQTT_SETTINGS, ...settings },
      logger: silentLogger,
      clock: fixture.clock,
    });
  }

  static async open(
    settings: Partial<MqttSettings> = {},
    options: { disk?: MemoryDisk; clock?: FakeClock; settings?: BrokerSettings } = {},
  ): Promise<Harness> {
    return new Harness(await EngineFixture.open(options), settings);
  }

  /** A transport just accepted: nothing was said yet. Its certificate names `guest`. */
  accept(version = 5, peer: Partial<PeerInfo> = {}): TestClient {
    const transport = new PipeTransport({ certificateSubject: 'guest', ...peer });
    transport.handler = this.acceptor.accept(transport);
    return new TestClient(this, transport, version);
  }

  /** A client that sent CONNECT and read CONNACK, whatever it says. */
  async connect(
    clientId: string,
    connect: Partial<IConnectPacket> & { version?: number } = {},
    peer: Partial<PeerInfo> = {},
  ): Promise<TestClient> {
    const { version = 5, ...fields } = connect;
    const client = this.accept(version, peer);
    client.send({
      cmd: 'connect',
      protocolId: version === 3 ? 'MQIsdp' : 'MQTT',
      protocolVersion: version,
      clean: true,
      keepalive: 0,
      clientId,
      ...fields,
    });
    if (fields.password !== undefined) await this.until(() => client.transport.received.length > 0);
    client.connack = await client.next('connack');
    return client;
  }

  /** A persistent session of 5.0. */
  resume(
    clientId: string,
    connect: Partial<IConnectPacket> = {},
    peer: Partial<PeerInfo> = {},
  ): Promise<TestClient> {
    const properties = { sessionExpiryInterval: 3600, ...connect.properties };
    return this.connect(clientId, { clean: false, ...connect, properties }, peer);
  }

  advance(byMs: number): void {
    this.fixture.clock.advance(byMs);
    this.acceptor.tick();
  }
}
