/**
 * A scripted AMQP client: every frame the server sends is kept in order until the test asks for
 * it, so a test reads like the dialogue it checks.
 *
 * - A server-sent close is answered with close-ok at once and turns every later wait on that
 *   channel (or connection) into a `CloseError`, unless `manualCloseOk` is set.
 * - `expect(name)` is strict: the next incoming method must be that one. `call()` sends a request
 *   and skips asynchronous methods (deliveries, returns, confirms) while it waits for the reply;
 *   they stay in the inbox.
 */
import net from 'node:net';
import tls from 'node:tls';
import {
  FRAME_BODY,
  FRAME_HEADER,
  FRAME_HEARTBEAT,
  FRAME_METHOD,
  FrameSplitter,
  HEARTBEAT_FRAME,
  type MethodArgs,
  PROTOCOL_HEADER,
  type WireTable,
} from './amqp-wire.ts';
import { checkClose, CloseError, DEFAULT_TIMEOUT_MS, within } from './inbox.ts';
import { WireChannel } from './wire-channel.ts';

export { CloseError } from './inbox.ts';
export type { Delivery, WireChannel } from './wire-channel.ts';

export interface Target {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly vhost: string;
  /** Speak TLS, with these options. */
  readonly tls?: tls.ConnectionOptions;
}

/** Reads `amqp://user:password@host:port/vhost`; a missing path is the vhost "/". */
export function parseTarget(url: string): Target {
  const { hostname, port, username, password, pathname } = new URL(url);
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port || 5672),
    user: decodeURIComponent(username || 'guest'),
    password: decodeURIComponent(password || 'guest'),
    vhost: pathname.length > 1 ? decodeURIComponent(pathname.slice(1)) : '/',
  };
}

export interface OpenOptions {
  user?: string;
  password?: string;
  vhost?: string;
  mechanism?: string;
  response?: string | Uint8Array;
  clientProperties?: WireTable;
  capabilities?: WireTable;
  frameMax?: number;
  channelMax?: number;
  heartbeat?: number;
  manualCloseOk?: boolean;
}

const CAPABILITIES = {
  publisher_confirms: true,
  exchange_exchange_bindings: true,
  'basic.nack': true,
  consumer_cancel_notify: true,
  'connection.blocked': true,
  authentication_failure_close: true,
};

/** A socket that speaks AMQP as the test says. */
export class WireConnection {
  readonly target: Target;
  readonly control: WireChannel;
  /** Negotiated frame size in bytes. */
  frameMax = 131_072;
  channelMax = 0;
  /** When true frames on channels the test knows nothing of are dropped. */
  ignoresUnknownChannels = false;
  /** When true the test answers channel.close and connection.close itself. */
  manualCloseOk = false;
  serverProperties: WireTable = {};
  /** Heartbeat frames seen. */
  heartbeats = 0;
  /** Bytes received in all. */
  receivedBytes = 0;
  /** The first bytes received, up to 64, as they came. */
  firstBytes: Buffer = Buffer.alloc(0);
  readonly #socket: net.Socket;
  readonly #channels = new Map<number, WireChannel>();
  readonly #splitter = new FrameSplitter();
  readonly #ended: Promise<void>;
  #isRaw = false;
  #nextChannel = 1;
  #writeError: Error | undefined;

  private constructor(target: Target, socket: net.Socket) {
    this.target = target;
    this.#socket = socket;
    this.control = this.#addChannel(0);
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#onData(chunk));
    socket.on('error', (error) => {
      this.#writeError = error;
    });
    this.#ended = new Promise((resolve) => {
      socket.on('end', () => socket.end());
      socket.on('close', () => {
        this.fail(new CloseError('socket'));
        resolve();
      });
    });
  }

  /** Connects without sending anything. */
  static async dial(
    target: Target | string,
    timeoutMs = DEFAULT_TIMEOUT_MS,
  ): Promise<WireConnection> {
    const where = typeof target === 'string' ? parseTarget(target) : target;
    const { host, port } = where;
    const socket =
      where.tls === undefined
        ? net.connect({ host, port, allowHalfOpen: true })
        : tls.connect({ host, port, ...where.tls });
    await within(
      new Promise<void>((resolve, reject) => {
        socket.once(where.tls === undefined ? 'connect' : 'secureConnect', resolve);
        socket.once('error', reject);
      }),
      timeoutMs,
      `connecting to ${where.host}:${where.port}`,
    );
    return new WireConnection(where, socket);
  }

  /** Connects and logs in. Rejects with the server's CloseError when it refuses. */
  static async open(target: Target | string, options: OpenOptions = {}): Promise<WireConnection> {
    const connection = await WireConnection.dial(target);
    try {
      await connection.login(options);
    } catch (error) {
      connection.destroy();
      throw error;
    }
    return connection;
  }

  /** The whole handshake on a dialled socket. */
  async login(options: OpenOptions = {}): Promise<void> {
    await this.authenticate(options);
    await this.tune(options);
    const virtualHost = options.vhost ?? this.target.vhost;
    await this.control.call('connection.open', { virtualHost });
    this.manualCloseOk = options.manualCloseOk ?? false;
  }

  /** Protocol header, start and start-ok. */
  async authenticate(options: OpenOptions = {}): Promise<void> {
    this.write(PROTOCOL_HEADER);
    const start = await this.control.expect('connection.start');
    this.serverProperties = start.serverProperties;
    const user = options.user ?? this.target.user;
    const password = options.password ?? this.target.password;
    this.control.send('connection.start-ok', {
      clientProperties: {
        product: 'conformance',
        capabilities: options.capabilities ?? CAPABILITIES,
        ...options.clientProperties,
      },
      mechanism: options.mechanism ?? 'PLAIN',
      response: options.response ?? `\0${user}\0${password}`,
      locale: 'en_US',
    });
  }

  /** Takes the server's tune, answers it; the server's values unless the test has its own. */
  async tune(options: OpenOptions = {}): Promise<MethodArgs> {
    const tune = await this.control.expect('connection.tune');
    this.frameMax = options.frameMax ?? tune.frameMax;
    this.channelMax = options.channelMax ?? tune.channelMax;
    this.control.send('connection.tune-ok', {
      frameMax: this.frameMax,
      channelMax: this.channelMax,
      heartbeat: options.heartbeat ?? 0,
    });
    return tune;
  }

  /** A channel object without opening it. */
  bareChannel(id = this.#nextChannel): WireChannel {
    this.#nextChannel = Math.max(this.#nextChannel, id + 1);
    return this.#channels.get(id) ?? this.#addChannel(id);
  }

  async channel(id?: number): Promise<WireChannel> {
    return await this.bareChannel(id).open();
  }

  #addChannel(id: number): WireChannel {
    const channel = new WireChannel(this, id);
    this.#channels.set(id, channel);
    const error = this.#channels.get(0)?.inbox.error;
    if (error) channel.inbox.fail(error);
    return channel;
  }

  /** Writes bytes as they are. */
  write(bytes: Uint8Array): boolean {
    return this.#socket.writable ? this.#socket.write(bytes) : false;
  }

  /** Bytes written that the socket has not taken yet. */
  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  /** Bytes handed to the kernel. */
  get sentBytes(): number {
    return this.#socket.bytesWritten - this.#socket.writableLength;
  }

  get isClosed(): boolean {
    return this.#socket.destroyed;
  }

  get error(): Error | undefined {
    return this.#writeError;
  }

  /** Stops reading from the socket: the server's sends fill up. */
  stopReading(): void {
    this.#socket.pause();
  }

  resumeReading(): void {
    this.#socket.resume();
  }

  /** Treats all further bytes as raw: no frames are decoded. */
  goRaw(): void {
    this.#isRaw = true;
  }

  #onData(chunk: Buffer): void {
    this.receivedBytes += chunk.length;
    if (this.firstBytes.length < 64) {
      this.firstBytes = Buffer.concat([this.firstBytes, chunk.subarray(0, 64)]);
    }
    const isHeader = this.firstBytes.subarray(0, 4).toString('latin1') === 'AMQP';
    if (this.#isRaw || isHeader) return;
    this.#splitter.push(chunk, (frame) => {
      if (frame.type === FRAME_HEARTBEAT) {
        this.heartbeats += 1;
        return;
      }
      if (frame.type !== FRAME_HEADER && frame.type !== FRAME_BODY && frame.type !== FRAME_METHOD) {
        throw new Error(`server sent frame type ${frame.type}`);
      }
      const channel = this.#channels.get(frame.channel);
      if (!channel && this.ignoresUnknownChannels) return;
      if (!channel) throw new Error(`server used channel ${frame.channel}`);
      channel.onFrame(frame);
    });
  }

  sendHeartbeat(): void {
    this.write(HEARTBEAT_FRAME);
  }

  /** Ends every wait on every channel. */
  fail(error: CloseError): void {
    for (const channel of this.#channels.values()) channel.inbox.fail(error);
  }

  /** Waits for the server's connection.close and checks it. */
  async expectClose(code: number, text: RegExp | string = ''): Promise<CloseError> {
    const error = await this.control.inbox.failure(DEFAULT_TIMEOUT_MS);
    return checkClose(error, 'connection', code, text);
  }

  /** Waits until the socket is gone. */
  async ended(timeoutMs = DEFAULT_TIMEOUT_MS): Promise<void> {
    await within(this.#ended, timeoutMs, 'waiting for the end of the socket');
  }

  /** How the server ended the connection: its close, or the bare end of the socket. */
  async outcome(timeoutMs = DEFAULT_TIMEOUT_MS): Promise<CloseError> {
    return await this.control.inbox.failure(timeoutMs);
  }

  /** A polite close. */
  async close(): Promise<void> {
    await this.control.call('connection.close', { replyCode: 200, replyText: 'bye' });
    this.destroy();
  }

  /** Sends FIN after what is queued. */
  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
