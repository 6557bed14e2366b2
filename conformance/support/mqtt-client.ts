/**
 * A scripted MQTT client: packets from the server are kept in order until the test asks for them.
 *
 * Deliveries are acknowledged on arrival unless `manualAck` is set. `next(type)` is strict: the
 * next packet must be of that type. `reply(type, id)` takes the answer to a request and leaves
 * other packets where they are.
 */
import net from 'node:net';
import { DEFAULT_TIMEOUT_MS, within } from './inbox.ts';
import {
  ackPacket,
  CONNACK,
  type ConnectFields,
  connectPacket,
  DISCONNECT,
  disconnectPacket,
  type Filter,
  type Incoming,
  PACKET_NAMES,
  PacketSplitter,
  PINGREQ_PACKET,
  PINGRESP,
  type Properties,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  type PublishFields,
  publishPacket,
  PUBREC,
  PUBREL,
  SUBACK,
  subscribePacket,
  UNSUBACK,
  unsubscribePacket,
  type Version,
} from './mqtt-wire.ts';

export interface MqttTarget {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
}

/** Reads `mqtt://user:password@host:port`; guest and guest when it names nobody. */
export function parseMqttUrl(address: string): MqttTarget {
  const url = new URL(address);
  return {
    host: url.hostname,
    port: Number(url.port || 1883),
    user: decodeURIComponent(url.username) || 'guest',
    password: decodeURIComponent(url.password) || 'guest',
  };
}

export interface MqttOptions extends ConnectFields {
  /** Deliveries wait for the test's own acknowledgement. */
  readonly manualAck?: boolean;
}

export type Sent = Omit<PublishFields, 'topic' | 'payload' | 'version'>;

export class MqttConnection {
  readonly version: Version;
  readonly #socket: net.Socket;
  readonly #splitter = new PacketSplitter();
  readonly #inbox: Incoming[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #ended: Promise<void>;
  #hasEnded = false;
  #fault: Error | undefined;
  #nextId = 0;
  manualAck = false;
  /** The server's answer to CONNECT. */
  connack!: Incoming;
  receivedBytes = 0;

  private constructor(socket: net.Socket, version: Version) {
    this.version = version;
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#onData(chunk));
    socket.on('error', () => {});
    this.#ended = new Promise((resolve) => {
      socket.on('end', () => socket.end());
      socket.on('close', () => {
        this.#hasEnded = true;
        resolve();
        this.#wake();
      });
    });
  }

  /** Connects the socket and says nothing. */
  static async dial(address: string, version: Version = 5): Promise<MqttConnection> {
    const { host, port } = parseMqttUrl(address);
    const socket = net.connect({ host, port, allowHalfOpen: true });
    await within(
      new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve);
        socket.once('error', reject);
      }),
      DEFAULT_TIMEOUT_MS,
      `connecting to ${host}:${port}`,
    );
    return new MqttConnection(socket, version);
  }

  /** CONNECT as the address's user, and the CONNACK whatever it says. */
  async login(address: string, options: MqttOptions = {}): Promise<Incoming> {
    const { user, password } = parseMqttUrl(address);
    this.manualAck = options.manualAck ?? false;
    this.write(connectPacket({ user, password, ...options, version: this.version }));
    this.connack = await this.next(CONNACK);
    return this.connack;
  }

  #onData(chunk: Buffer): void {
    this.receivedBytes += chunk.length;
    try {
      this.#splitter.push(chunk, this.version, (packet) => this.#onPacket(packet));
    } catch (error) {
      this.#fault = error as Error;
      this.#socket.destroy();
    }
    this.#wake();
  }

  #onPacket(packet: Incoming): void {
    this.#inbox.push(packet);
    if (this.manualAck) return;
    if (packet.type === PUBLISH && packet.qos === 1) this.ack(PUBACK, packet.packetId);
    if (packet.type === PUBLISH && packet.qos === 2) this.ack(PUBREC, packet.packetId);
    if (packet.type === PUBREL) {
      this.ack(PUBCOMP, packet.packetId);
      this.#inbox.pop();
    }
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }

  /** Takes the first packet that `matches`, waiting for it. */
  async #take(
    matches: (packet: Incoming) => boolean,
    what: string,
    timeoutMs: number,
  ): Promise<Incoming> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const index = this.#inbox.findIndex(matches);
      if (index >= 0) return this.#inbox.splice(index, 1)[0]!;
      if (this.#fault !== undefined) throw this.#fault;
      if (this.#hasEnded) throw new Error(`socket ended, waiting for ${what}${this.#left()}`);
      const leftMs = deadline - Date.now();
      if (leftMs <= 0) throw new Error(`no ${what} in ${timeoutMs} ms${this.#left()}`);
      await this.#change(leftMs);
    }
  }

  #left(): string {
    const names = this.#inbox.map(({ name, code }) => `${name} 0x${code.toString(16)}`);
    return names.length === 0 ? '' : ` (unread: ${names.slice(0, 5).join(', ')})`;
  }

  async #change(timeoutMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      this.#waiting.add(done);
    });
  }

  /** The next packet, which must be of this type. */
  async next(type: number, timeoutMs = DEFAULT_TIMEOUT_MS): Promise<Incoming> {
    const packet = await this.#take(() => true, PACKET_NAMES[type]!, timeoutMs);
    if (packet.type !== type) {
      throw new Error(
        `expected ${PACKET_NAMES[type]}, got ${packet.name} 0x${packet.code.toString(16)}`,
      );
    }
    return packet;
  }

  /** The packet of this type and id, whatever came before it. */
  async reply(type: number, packetId: number, timeoutMs = DEFAULT_TIMEOUT_MS): Promise<Incoming> {
    return await this.#take(
      (packet) => packet.type === type && packet.packetId === packetId,
      `${PACKET_NAMES[type]} ${packetId}`,
      timeoutMs,
    );
  }

  /** The next PUBLISH. */
  async message(timeoutMs = DEFAULT_TIMEOUT_MS): Promise<Incoming> {
    return await this.next(PUBLISH, timeoutMs);
  }

  async messages(count: number, timeoutMs = DEFAULT_TIMEOUT_MS): Promise<Incoming[]> {
    const found: Incoming[] = [];
    while (found.length < count) found.push(await this.message(timeoutMs));
    return found;
  }

  /** Fails when anything comes in within the time. */
  async silent(timeoutMs = 300): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, timeoutMs));
    if (this.#fault !== undefined) throw this.#fault;
    const packet = this.#inbox[0];
    if (packet !== undefined) {
      throw new Error(`unexpected ${packet.name} ${packet.topic} ${packet.payload.toString()}`);
    }
  }

  /** PINGREQ and its answer: everything sent before was read. */
  async sync(timeoutMs = DEFAULT_TIMEOUT_MS): Promise<void> {
    this.write(PINGREQ_PACKET);
    await this.#take((packet) => packet.type === PINGRESP, 'PINGRESP', timeoutMs);
  }

  get unread(): readonly Incoming[] {
    return this.#inbox;
  }

  id(): number {
    this.#nextId = (this.#nextId % 65_535) + 1;
    return this.#nextId;
  }

  ack(type: number, packetId: number, code?: number, values?: Properties): void {
    this.write(ackPacket(type, packetId, code, values));
  }

  /** Publishes and completes the handshake of its QoS; returns PUBACK or PUBREC. */
  async publish(
    topic: string,
    payload: string | Buffer,
    options: Sent = {},
  ): Promise<Incoming | undefined> {
    const packetId = options.packetId ?? this.id();
    this.write(publishPacket({ ...options, version: this.version, topic, payload, packetId }));
    if ((options.qos ?? 0) === 0) return undefined;
    if (options.qos === 1) return await this.reply(PUBACK, packetId);
    const received = await this.reply(PUBREC, packetId);
    if (received.code >= 0x80) return received;
    this.ack(PUBREL, packetId);
    await this.reply(PUBCOMP, packetId);
    return received;
  }

  /** Subscribes and returns the SUBACK. */
  async subscribe(
    filters: string | readonly Filter[],
    qos = 0,
    values?: Properties,
  ): Promise<Incoming> {
    const packetId = this.id();
    const list = typeof filters === 'string' ? [{ filter: filters, qos }] : filters;
    this.write(subscribePacket(this.version, packetId, list, values));
    return await this.reply(SUBACK, packetId);
  }

  async unsubscribe(filters: readonly string[]): Promise<Incoming> {
    const packetId = this.id();
    this.write(unsubscribePacket(this.version, packetId, filters));
    return await this.reply(UNSUBACK, packetId);
  }

  write(bytes: Buffer): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  /** How the server ended the connection: its DISCONNECT, or undefined for the bare close. */
  async closed(timeoutMs = DEFAULT_TIMEOUT_MS): Promise<Incoming | undefined> {
    await within(this.#ended, timeoutMs, 'waiting for the server to close');
    if (this.#fault !== undefined) throw this.#fault;
    const index = this.#inbox.findIndex((packet) => packet.type === DISCONNECT);
    return index < 0 ? undefined : this.#inbox.splice(index, 1)[0];
  }

  get isClosed(): boolean {
    return this.#hasEnded;
  }

  stopReading(): void {
    this.#socket.pause();
  }

  resumeReading(): void {
    this.#socket.resume();
  }

  /** DISCONNECT, then waits until the server has closed. */
  async disconnect(code?: number, values?: Properties): Promise<void> {
    this.write(disconnectPacket(this.version, code, values));
    await within(this.#ended, DEFAULT_TIMEOUT_MS, 'waiting for the end after DISCONNECT');
  }

  /** Sends FIN without a DISCONNECT. */
  end(): void {
    this.#socket.end();
  }

  /** Drops the socket without a DISCONNECT. */
  async drop(): Promise<void> {
    this.#socket.destroy();
    await this.#ended;
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
