/**
 * One MQTT connection of the load generator over a raw socket. All links read into one buffer of
 * the process, since a packet is dealt with before the next read: ten thousand of them are cheap.
 */
import { type Socket, connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { PacketReader } from './packet-reader.ts';
import * as packets from './packets.ts';

const READ_BUFFER_BYTES = 512 * 1024;
const REPLY_TIMEOUT_MS = 60_000;

/** Shared by every link: see the head of the file. */
const READ_BUFFER = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);

export interface LinkOptions {
  readonly url: string;
  readonly clientId: string;
  readonly version: packets.Version;
  /** Clean session (3.1.1), clean start (5.0). */
  readonly isClean: boolean;
  readonly keepAliveSeconds: number;
  /** MQTT 5: how long the session stays; 3.1.1 keeps one that is not clean. */
  readonly sessionExpirySeconds: number;
  /** MQTT 5: unacknowledged messages the broker may send at a time; 0 for its default. */
  readonly receiveMaximum: number;
}

export const DEFAULT_LINK = {
  version: 4,
  isClean: true,
  keepAliveSeconds: 0,
  sessionExpirySeconds: 0,
  receiveMaximum: 0,
} as const;

export class Link {
  /** Takes PUBLISH and its acknowledgements; set it before traffic starts. */
  onPacket: ((firstByte: number, bytes: Buffer, start: number, end: number) => void) | undefined;
  /** Called after each chunk, when all its packets have been handled. */
  onChunkEnd: (() => void) | undefined;
  onDrain: (() => void) | undefined;
  readonly socket: Socket;
  readonly version: packets.Version;
  readonly #reader: PacketReader;
  #awaited:
    | { type: number; resolve: (body: Buffer) => void; reject: (e: Error) => void }
    | undefined;
  #failure: Error | undefined;
  #isClosing: boolean;

  private constructor(url: URL, version: packets.Version, onConnect: () => void) {
    this.onPacket = undefined;
    this.onChunkEnd = undefined;
    this.onDrain = undefined;
    this.version = version;
    this.#awaited = undefined;
    this.#failure = undefined;
    this.#isClosing = false;
    this.#reader = new PacketReader((firstByte, bytes, start, end) => {
      this.#onPacket(firstByte, bytes, start, end);
    });
    this.socket = this.#connect(url, onConnect);
    this.socket.setNoDelay(true);
    this.socket.on('drain', () => this.onDrain?.());
    this.socket.on('error', (error) => this.#fail(error));
    this.socket.on('close', () => this.#fail(new Error('connection closed')));
  }

  /** Connects and logs in with the URL's user; a CONNACK that refuses rejects. */
  static async open(options: LinkOptions): Promise<Link> {
    const url = new URL(options.url);
    const link = await new Promise<Link>((resolve, reject) => {
      const opened = new Link(url, options.version, () => resolve(opened));
      opened.socket.once('error', reject);
    });
    const connack = await link.call(
      packets.connect({
        ...options,
        user: decodeURIComponent(url.username),
        password: decodeURIComponent(url.password),
      }),
      packets.CONNACK,
    );
    if (connack[1] !== 0) {
      link.destroy();
      throw new Error(`CONNACK ${connack[1]}`);
    }
    return link;
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Sends a request and waits for the reply's body; one request at a time. */
  call(request: Buffer, replyType: number): Promise<Buffer> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`no packet of type ${replyType} within ${REPLY_TIMEOUT_MS} ms`));
      }, REPLY_TIMEOUT_MS);
      this.#awaited = {
        type: replyType,
        resolve: (body) => {
          clearTimeout(timer);
          resolve(body);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      };
      this.socket.write(request);
    });
  }

  /** Subscribes to all the filters; rejects when the broker refuses one. */
  async subscribe(filters: readonly string[], qos: packets.Qos): Promise<void> {
    const suback = await this.call(
      packets.subscribe(this.version, 1, filters, qos),
      packets.SUBACK,
    );
    // Packet id, in MQTT 5 the properties (none expected to be longer than 127 bytes), then codes.
    const codesAt = this.version === 5 ? 3 + suback[2]! : 2;
    const refused = suback.subarray(codesAt).find((code) => code > 2);
    if (refused !== undefined) throw new Error(`SUBACK ${refused}`);
  }

  ping(): void {
    this.socket.write(packets.PINGREQ_PACKET);
  }

  /** DISCONNECT, then the end of the socket; never rejects. */
  async close(): Promise<void> {
    if (this.#failure !== undefined) return;
    this.#isClosing = true;
    const closed = new Promise<void>((resolve) => this.socket.once('close', () => resolve()));
    this.socket.end(packets.DISCONNECT_PACKET);
    const timer = setTimeout(() => this.socket.destroy(), 2_000);
    await closed;
    clearTimeout(timer);
  }

  /** Cuts the connection. */
  destroy(): void {
    this.#isClosing = true;
    this.socket.destroy();
  }

  #connect(url: URL, onConnect: () => void): Socket {
    const host = url.hostname.replace(/^\[|\]$/g, '');
    if (url.protocol === 'mqtts:') {
      const secure = connectTls(
        { host, port: Number(url.port || 8883), rejectUnauthorized: false },
        onConnect,
      );
      secure.on('data', (chunk: Buffer) => this.#onChunk(chunk, chunk.length));
      return secure;
    }
    const onread = {
      buffer: READ_BUFFER,
      callback: (byteCount: number, buffer: Uint8Array): boolean => {
        this.#onChunk(buffer as Buffer, byteCount);
        return true;
      },
    };
    return connectTcp({ host, port: Number(url.port || 1883), onread }, onConnect);
  }

  #onChunk(chunk: Buffer, byteCount: number): void {
    this.#reader.feed(chunk, byteCount);
    this.onChunkEnd?.();
  }

  #onPacket(firstByte: number, bytes: Buffer, start: number, end: number): void {
    const type = firstByte >> 4;
    if (type >= packets.PUBLISH && type <= packets.PUBCOMP) {
      this.onPacket?.(firstByte, bytes, start, end);
      return;
    }
    if (type === packets.DISCONNECT) {
      this.#fail(new Error(`the broker sent DISCONNECT ${end > start ? bytes[start] : 0}`));
      return;
    }
    const awaited = this.#awaited;
    if (awaited === undefined || awaited.type !== type) return;
    this.#awaited = undefined;
    awaited.resolve(Buffer.from(bytes.subarray(start, end)));
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#awaited?.reject(error);
    if (!this.#isClosing) this.socket.destroy();
  }
}
