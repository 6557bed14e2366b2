/**
 * One AMQP connection of the load generator with one open channel (1): a raw socket that reads
 * into one reused buffer, a blocking-style `call` for the control plane, and a frame hook for the
 * data plane. Frames that the hook takes are never copied.
 */
import { type Socket, connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import * as encode from './encode.ts';
import { FrameReader } from './frame-reader.ts';

export const CHANNEL = 1;

/** Bytes of the buffer the socket reads into: large, so that a busy reader makes few syscalls. */
const READ_BUFFER_BYTES = 512 * 1024;
const CALL_TIMEOUT_MS = 120_000;

/**
 * Sees every frame of channel 1 first; returns true when it took the frame.
 * `key` is class and method for a method frame, else 0.
 */
export type DataHook = (
  type: number,
  key: number,
  bytes: Buffer,
  start: number,
  end: number,
) => boolean;

interface PendingCall {
  readonly key: number;
  remaining: number;
  readonly resolve: (payload: Buffer) => void;
  readonly reject: (error: Error) => void;
}

export interface ServerIdentity {
  readonly product: string;
  readonly version: string;
}

export class Link {
  /** Takes data-plane frames; set it before traffic starts. */
  onData: DataHook | undefined;
  /** Called after each chunk, when all its frames have been handled. */
  onChunkEnd: (() => void) | undefined;
  onDrain: (() => void) | undefined;
  /** True between connection.blocked and connection.unblocked. */
  isBlocked: boolean;
  frameMaxBytes: number;
  server: ServerIdentity;
  readonly socket: Socket;
  readonly #reader: FrameReader;
  readonly #calls: PendingCall[];
  #failure: Error | undefined;
  #isClosing: boolean;

  private constructor(url: URL, onConnect: () => void) {
    this.onData = undefined;
    this.onChunkEnd = undefined;
    this.onDrain = undefined;
    this.isBlocked = false;
    this.frameMaxBytes = 131072;
    this.server = { product: '?', version: '?' };
    this.#calls = [];
    this.#failure = undefined;
    this.#isClosing = false;
    this.#reader = new FrameReader((type, channel, bytes, start, end) => {
      this.#onFrame(type, channel, bytes, start, end);
    });
    this.socket = this.#connect(url, onConnect);
    this.socket.setNoDelay(true);
    this.socket.on('drain', () => this.onDrain?.());
    this.socket.on('error', (error) => this.#fail(error));
    this.socket.on('close', () => this.#fail(new Error('connection closed')));
  }

  /** Connects, logs in and opens channel 1. */
  static async open(address: string): Promise<Link> {
    const url = new URL(address);
    const link = await new Promise<Link>((resolve, reject) => {
      const opened = new Link(url, () => resolve(opened));
      opened.socket.once('error', reject);
    });
    const user = decodeURIComponent(url.username || 'guest');
    const password = decodeURIComponent(url.password || 'guest');
    const vhost = url.pathname.length > 1 ? decodeURIComponent(url.pathname.slice(1)) : '/';
    const start = await link.call(encode.PROTOCOL_HEADER, encode.CONNECTION_START);
    link.server = readIdentity(start);
    const tune = await link.call(encode.startOk(user, password), encode.CONNECTION_TUNE);
    const channelMax = tune.readUInt16BE(4);
    const frameMaxBytes = tune.readUInt32BE(6);
    link.frameMaxBytes = frameMaxBytes === 0 ? 131072 : frameMaxBytes;
    link.socket.write(encode.tuneOk(channelMax, link.frameMaxBytes));
    await link.call(encode.connectionOpen(vhost), encode.CONNECTION_OPEN_OK);
    await link.call(encode.channelOpen(CHANNEL), encode.CHANNEL_OPEN_OK);
    return link;
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Writes frames the caller will not modify; false when the socket is full. */
  write(bytes: Buffer): boolean {
    return this.socket.write(bytes);
  }

  /** Sends a request and waits for its reply; returns the reply's payload. */
  call(request: Buffer, replyKey: number): Promise<Buffer> {
    return this.pipeline([request], replyKey);
  }

  /** Sends many requests of one kind at once; resolves with the last reply's payload. */
  pipeline(requests: readonly Buffer[], replyKey: number): Promise<Buffer> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (requests.length === 0) return Promise.resolve(Buffer.alloc(0));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`no reply ${keyName(replyKey)} within ${CALL_TIMEOUT_MS} ms`));
      }, CALL_TIMEOUT_MS);
      this.#calls.push({
        key: replyKey,
        remaining: requests.length,
        resolve: (payload) => {
          clearTimeout(timer);
          resolve(payload);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
      this.socket.write(requests.length === 1 ? requests[0]! : Buffer.concat(requests));
    });
  }

  /** Closes in order; never rejects. */
  async close(): Promise<void> {
    if (this.#failure !== undefined) return;
    this.#isClosing = true;
    await this.call(encode.connectionClose(), encode.CONNECTION_CLOSE_OK).catch(() => undefined);
    this.socket.destroy();
  }

  /** Cuts the connection. */
  destroy(): void {
    this.#isClosing = true;
    this.socket.destroy();
  }

  #connect(url: URL, onConnect: () => void): Socket {
    const host = url.hostname.replace(/^\[|\]$/g, '');
    if (url.protocol === 'amqps:') {
      const secure = connectTls(
        { host, port: Number(url.port || 5671), rejectUnauthorized: false },
        onConnect,
      );
      secure.on('data', (chunk: Buffer) => this.#onChunk(chunk, chunk.length));
      return secure;
    }
    const onread = {
      buffer: Buffer.allocUnsafeSlow(READ_BUFFER_BYTES),
      callback: (byteCount: number, buffer: Uint8Array): boolean => {
        this.#onChunk(buffer as Buffer, byteCount);
        return true;
      },
    };
    return connectTcp({ host, port: Number(url.port || 5672), onread }, onConnect);
  }

  #onChunk(chunk: Buffer, byteCount: number): void {
    this.#reader.feed(chunk, byteCount);
    this.onChunkEnd?.();
  }

  #onFrame(type: number, channel: number, bytes: Buffer, start: number, end: number): void {
    const key =
      type === encode.FRAME_METHOD
        ? (bytes[start]! << 24) |
          (bytes[start + 1]! << 16) |
          (bytes[start + 2]! << 8) |
          bytes[start + 3]!
        : 0;
    const onData = this.onData;
    if (channel !== 0 && onData !== undefined && onData(type, key, bytes, start, end)) return;
    if (type !== encode.FRAME_METHOD) return;
    this.#onControl(key, bytes.subarray(start, end));
  }

  #onControl(key: number, payload: Buffer): void {
    if (key === encode.CONNECTION_CLOSE || key === encode.CHANNEL_CLOSE) {
      const textBytes = payload[6]!;
      const text = payload.toString('utf8', 7, 7 + textBytes);
      this.#fail(new Error(`${keyName(key)} ${payload.readUInt16BE(4)} ${text}`));
      return;
    }
    if (key === encode.CONNECTION_BLOCKED || key === encode.CONNECTION_UNBLOCKED) {
      this.isBlocked = key === encode.CONNECTION_BLOCKED;
      return;
    }
    const call = this.#calls[0];
    if (call === undefined || call.key !== key) return;
    call.remaining -= 1;
    if (call.remaining > 0) return;
    this.#calls.shift();
    call.resolve(Buffer.from(payload));
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    for (const call of this.#calls.splice(0)) call.reject(error);
    if (!this.#isClosing) this.socket.destroy();
  }
}

function keyName(key: number): string {
  return `${key >>> 16}.${key & 0xffff}`;
}

/** Reads product and version out of connection.start's server-properties. */
function readIdentity(start: Buffer): ServerIdentity {
  // class, method, version-major, version-minor, then the table
  let at = 6;
  const end = at + 4 + start.readUInt32BE(at);
  at += 4;
  const identity = { product: '?', version: '?' };
  while (at < end) {
    const nameBytes = start[at]!;
    const name = start.toString('utf8', at + 1, at + 1 + nameBytes);
    at += 1 + nameBytes;
    const type = String.fromCharCode(start[at]!);
    at += 1;
    if (type === 'S' || type === 'F') {
      const valueBytes = start.readUInt32BE(at);
      const value = start.toString('utf8', at + 4, at + 4 + valueBytes);
      if (name === 'product') identity.product = value;
      if (name === 'version') identity.version = value;
      at += 4 + valueBytes;
    } else if (type === 't') {
      at += 1;
    } else {
      break;
    }
  }
  return identity;
}
