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
import {
  contentFrames,
  decodeHeader,
  decodeMethod,
  encodeFrame,
  FRAME_BODY,
  FRAME_HEADER,
  FRAME_HEARTBEAT,
  FRAME_METHOD,
  FrameSplitter,
  HEARTBEAT_FRAME,
  methodFrame,
  PROTOCOL_HEADER,
  type BasicProperties,
  type DecodedHeader,
  type MethodArgs,
  type WireFrame,
  type WireTable,
} from './amqp-wire.ts';

const DEFAULT_TIMEOUT_MS = 8_000;

/** Methods a server sends on its own. */
const ASYNC_METHODS = new Set([
  'basic.deliver',
  'basic.return',
  'basic.ack',
  'basic.nack',
  'basic.cancel',
  'connection.blocked',
  'connection.unblocked',
]);

export interface Target {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly vhost: string;
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

/** A channel.close or connection.close from the server, or the bare end of the socket. */
export class CloseError extends Error {
  readonly level: 'channel' | 'connection' | 'socket';
  readonly code: number;
  readonly text: string;
  readonly classId: number;
  readonly methodId: number;

  constructor(level: CloseError['level'], args: Partial<MethodArgs> = {}) {
    super(`${level} closed: ${args.replyCode ?? 0} ${args.replyText ?? ''}`);
    this.level = level;
    this.code = args.replyCode ?? 0;
    this.text = args.replyText ?? '';
    this.classId = args.classId ?? 0;
    this.methodId = args.methodId ?? 0;
  }
}

/** One method from the server, with its content if it has any. */
export interface Incoming {
  readonly name: string;
  readonly args: MethodArgs;
  readonly header?: DecodedHeader;
  readonly body?: Buffer;
}

/** A delivery, get-ok or return in the shape tests like. */
export interface Delivery {
  readonly tag: number;
  readonly consumerTag: string;
  readonly redelivered: boolean;
  readonly exchange: string;
  readonly routingKey: string;
  readonly messageCount: number;
  readonly replyCode: number;
  readonly replyText: string;
  readonly properties: BasicProperties;
  readonly headers: WireTable;
  readonly rawProperties: Buffer;
  readonly body: string;
  readonly bytes: Buffer;
}

function toDelivery(incoming: Incoming): Delivery {
  const { args, header, body } = incoming;
  const properties = header?.properties ?? {};
  return {
    tag: Number(args.deliveryTag ?? 0),
    consumerTag: args.consumerTag,
    redelivered: args.redelivered,
    exchange: args.exchange,
    routingKey: args.routingKey,
    messageCount: args.messageCount,
    replyCode: args.replyCode,
    replyText: args.replyText,
    properties,
    headers: properties.headers ?? {},
    rawProperties: header?.rawProperties ?? Buffer.alloc(0),
    body: body?.toString('utf8') ?? '',
    bytes: body ?? Buffer.alloc(0),
  };
}

/** Waits a bounded time for `promise`. */
async function within<T>(promise: Promise<T>, timeoutMs: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing in ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** An ordered mailbox with one reader. */
class Inbox {
  readonly #items: Incoming[] = [];
  #wake: (() => void) | undefined;
  #error: CloseError | undefined;

  get size(): number {
    return this.#items.length;
  }

  get error(): CloseError | undefined {
    return this.#error;
  }

  put(item: Incoming): void {
    this.#items.push(item);
    this.#wake?.();
  }

  putBack(items: readonly Incoming[]): void {
    this.#items.unshift(...items);
  }

  fail(error: CloseError): void {
    this.#error ??= error;
    this.#wake?.();
  }

  reset(): void {
    this.#error = undefined;
    this.#items.length = 0;
  }

  async next(timeoutMs: number, what: string): Promise<Incoming> {
    const until = Date.now() + timeoutMs;
    for (;;) {
      const item = this.#items.shift();
      if (item) return item;
      if (this.#error) throw this.#error;
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await within(woken, Math.max(1, until - Date.now()), `waiting for ${what}`);
    }
  }

  async failure(timeoutMs: number): Promise<CloseError> {
    const until = Date.now() + timeoutMs;
    while (!this.#error) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await within(woken, Math.max(1, until - Date.now()), 'waiting for a close');
    }
    return this.#error;
  }
}

/** One channel; number 0 is the connection's own. */
export class WireChannel {
  readonly connection: WireConnection;
  readonly id: number;
  readonly inbox = new Inbox();
  #partial:
    | { args: MethodArgs; name: string; header?: DecodedHeader; chunks: Buffer[] }
    | undefined;
  #received = 0;

  constructor(connection: WireConnection, id: number) {
    this.connection = connection;
    this.id = id;
  }

  /** Takes a frame from the connection. */
  onFrame(frame: WireFrame): void {
    if (frame.type === FRAME_METHOD) {
      const method = decodeMethod(frame.payload);
      if (method.hasContent) {
        this.#partial = { name: method.name, args: method.args, chunks: [] };
        this.#received = 0;
      } else {
        this.#onMethod(method.name, method.args);
      }
      return;
    }
    const partial = this.#partial;
    if (!partial) throw new Error(`content frame without a method on channel ${this.id}`);
    if (frame.type === FRAME_HEADER) {
      partial.header = decodeHeader(frame.payload);
    } else {
      partial.chunks.push(Buffer.from(frame.payload));
      this.#received += frame.payload.length;
    }
    if (partial.header && this.#received >= partial.header.bodySize) {
      this.#partial = undefined;
      const { name, args, header } = partial;
      this.inbox.put({ name, args, header, body: Buffer.concat(partial.chunks) });
    }
  }

  #onMethod(name: string, args: MethodArgs): void {
    if (name === 'channel.close') {
      if (!this.connection.manualCloseOk) this.send('channel.close-ok');
      this.inbox.fail(new CloseError('channel', args));
    } else if (name === 'connection.close' && this.id === 0) {
      if (!this.connection.manualCloseOk) this.send('connection.close-ok');
      this.connection.fail(new CloseError('connection', args));
    } else {
      this.inbox.put({ name, args });
    }
  }

  send(name: string, args: Partial<MethodArgs> = {}): void {
    this.connection.write(methodFrame(this.id, name, args));
  }

  /** Sends a frame of any type with any payload. */
  sendFrame(type: number, payload: Uint8Array): void {
    this.connection.write(encodeFrame(type, this.id, payload));
  }

  /** The next incoming method, whatever it is. */
  next(timeoutMs = DEFAULT_TIMEOUT_MS): Promise<Incoming> {
    return this.inbox.next(timeoutMs, 'any method');
  }

  /** What the server sends after it closed the channel, e.g. its close-ok to a crossing close. */
  async nextAfterClose(timeoutMs = DEFAULT_TIMEOUT_MS): Promise<Incoming> {
    const until = Date.now() + timeoutMs;
    while (this.inbox.size === 0 && Date.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return await this.inbox.next(1, 'a method after the close');
  }

  /** The next incoming method, which must be `name`. */
  async expect(name: string, timeoutMs = DEFAULT_TIMEOUT_MS): Promise<MethodArgs> {
    const incoming = await this.inbox.next(timeoutMs, name);
    if (incoming.name !== name) {
      const { args } = incoming;
      throw new Error(`expected ${name}, got ${incoming.name} ${JSON.stringify(args, bigints)}`);
    }
    return incoming.args;
  }

  /** Sends a request and waits for one of its replies; asynchronous methods stay in the inbox. */
  async call(name: string, args: Partial<MethodArgs> = {}, timeoutMs = DEFAULT_TIMEOUT_MS) {
    this.send(name, args);
    return (await this.reply([`${name}-ok`], timeoutMs)).args;
  }

  async reply(names: readonly string[], timeoutMs = DEFAULT_TIMEOUT_MS): Promise<Incoming> {
    const skipped: Incoming[] = [];
    try {
      for (;;) {
        const incoming = await this.inbox.next(timeoutMs, names.join(' or '));
        if (names.includes(incoming.name)) return incoming;
        if (!ASYNC_METHODS.has(incoming.name)) {
          throw new Error(`expected ${names.join(' or ')}, got ${incoming.name}`);
        }
        skipped.push(incoming);
      }
    } finally {
      this.inbox.putBack(skipped);
    }
  }

  /** Waits for the server to close this channel (not the connection) and checks how. */
  async expectClose(code: number, text: RegExp | string = ''): Promise<CloseError> {
    return checkClose(await this.inbox.failure(DEFAULT_TIMEOUT_MS), 'channel', code, text);
  }

  /** Sends a request that must close the channel. */
  async refused(
    name: string,
    args: Partial<MethodArgs>,
    code: number,
    text: RegExp | string = '',
  ): Promise<CloseError> {
    this.send(name, args);
    return await this.expectClose(code, text);
  }

  /** Fails when anything arrives within `ms`. */
  async expectNothing(ms = 150): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, ms));
    if (this.inbox.error) throw this.inbox.error;
    if (this.inbox.size > 0) {
      const incoming = await this.inbox.next(1, 'anything');
      throw new Error(`expected nothing, got ${incoming.name} ${String(incoming.body ?? '')}`);
    }
  }

  async open(): Promise<this> {
    this.inbox.reset();
    await this.call('channel.open');
    return this;
  }

  async close(): Promise<void> {
    await this.call('channel.close', { replyCode: 200, replyText: 'bye' });
    this.inbox.reset();
  }

  // Shorthands ---------------------------------------------------------------------------------

  /** Declares a queue and returns its name; '' lets the server choose. */
  async queue(name: string, options: Partial<MethodArgs> = {}): Promise<string> {
    return (await this.call('queue.declare', { queue: name, ...options })).queue;
  }

  async exchange(name: string, type: string, options: Partial<MethodArgs> = {}): Promise<string> {
    await this.call('exchange.declare', { exchange: name, type, ...options });
    return name;
  }

  async bind(queue: string, exchange: string, routingKey = '', args: WireTable = {}) {
    await this.call('queue.bind', { queue, exchange, routingKey, arguments: args });
  }

  publish(
    exchange: string,
    routingKey: string,
    body: string | Uint8Array = '',
    properties: BasicProperties = {},
    flags: Partial<MethodArgs> = {},
  ): void {
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    this.connection.write(
      Buffer.concat([
        methodFrame(this.id, 'basic.publish', { exchange, routingKey, ...flags }),
        contentFrames(this.id, bytes, properties, this.connection.frameMax),
      ]),
    );
  }

  async consume(queue: string, options: Partial<MethodArgs> = {}): Promise<string> {
    return (await this.call('basic.consume', { queue, ...options })).consumerTag;
  }

  async delivery(timeoutMs = DEFAULT_TIMEOUT_MS): Promise<Delivery> {
    const incoming = await this.inbox.next(timeoutMs, 'basic.deliver');
    if (incoming.name !== 'basic.deliver') {
      throw new Error(`expected basic.deliver, got ${incoming.name}`);
    }
    return toDelivery(incoming);
  }

  async deliveries(count: number, timeoutMs = DEFAULT_TIMEOUT_MS): Promise<Delivery[]> {
    const list: Delivery[] = [];
    while (list.length < count) list.push(await this.delivery(timeoutMs));
    return list;
  }

  async returned(timeoutMs = DEFAULT_TIMEOUT_MS): Promise<Delivery> {
    const incoming = await this.inbox.next(timeoutMs, 'basic.return');
    if (incoming.name !== 'basic.return') {
      throw new Error(`expected basic.return, got ${incoming.name}`);
    }
    return toDelivery(incoming);
  }

  /** basic.get: the message, or undefined when the queue is empty. */
  async get(queue: string, noAck = true): Promise<Delivery | undefined> {
    this.send('basic.get', { queue, noAck });
    const incoming = await this.reply(['basic.get-ok', 'basic.get-empty']);
    return incoming.name === 'basic.get-ok' ? toDelivery(incoming) : undefined;
  }

  /** basic.get until there is a message. */
  async getSoon(queue: string, noAck = true, timeoutMs = 5_000): Promise<Delivery> {
    const until = Date.now() + timeoutMs;
    while (Date.now() < until) {
      const message = await this.get(queue, noAck);
      if (message) return message;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`no message in ${queue} within ${timeoutMs} ms`);
  }

  ack(deliveryTag: number, multiple = false): void {
    this.send('basic.ack', { deliveryTag, multiple });
  }

  nack(deliveryTag: number, { multiple = false, requeue = true } = {}): void {
    this.send('basic.nack', { deliveryTag, multiple, requeue });
  }

  reject(deliveryTag: number, requeue = true): void {
    this.send('basic.reject', { deliveryTag, requeue });
  }

  /** Ready messages and consumers of a queue, by passive declaration. */
  async counts(queue: string): Promise<{ messages: number; consumers: number }> {
    const ok = await this.call('queue.declare', { queue, passive: true });
    return { messages: ok.messageCount, consumers: ok.consumerCount };
  }

  /** Waits until the queue shows `messages` ready ones. */
  async settled(queue: string, messages: number, timeoutMs = 5_000): Promise<void> {
    const until = Date.now() + timeoutMs;
    let seen = -1;
    while (Date.now() < until) {
      seen = (await this.counts(queue)).messages;
      if (seen === messages) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`queue ${queue}: expected ${messages} ready messages, saw ${seen}`);
  }

  /** Nothing this channel sent before is left unprocessed once this returns. */
  async sync(): Promise<void> {
    await this.call('basic.qos', { prefetchCount: 0 });
  }

  async confirmSelect(): Promise<void> {
    await this.call('confirm.select');
  }

  /** Waits until every publish up to `sequence` is confirmed; returns the refused ones. */
  async confirmed(sequence: number, timeoutMs = DEFAULT_TIMEOUT_MS): Promise<number[]> {
    const open = new Set(Array.from({ length: sequence }, (_, index) => index + 1));
    const refused: number[] = [];
    for (const settled of this.#confirmedBefore) open.delete(settled);
    while (open.size > 0) {
      const { name, args } = await this.inbox.next(timeoutMs, 'basic.ack');
      if (name !== 'basic.ack' && name !== 'basic.nack') {
        throw new Error(`expected a confirm, got ${name}`);
      }
      const tag = Number(args.deliveryTag);
      for (const candidate of args.multiple ? [...open].filter((n) => n <= tag) : [tag]) {
        open.delete(candidate);
        this.#confirmedBefore.add(candidate);
        if (name === 'basic.nack') refused.push(candidate);
      }
    }
    return refused;
  }

  readonly #confirmedBefore = new Set<number>();
}

function bigints(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}

function checkClose(
  error: CloseError,
  level: CloseError['level'],
  code: number,
  text: RegExp | string,
): CloseError {
  const matches = typeof text === 'string' ? error.text.includes(text) : text.test(error.text);
  if (error.level !== level || error.code !== code || !matches) {
    throw new Error(
      `expected ${level} close ${code} ${String(text)}, ` +
        `got ${error.level} close ${error.code} "${error.text}"`,
    );
  }
  return error;
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
  static async dial(target: Target | string, timeoutMs = 5_000): Promise<WireConnection> {
    const where = typeof target === 'string' ? parseTarget(target) : target;
    const socket = net.connect({ host: where.host, port: where.port, allowHalfOpen: true });
    await within(
      new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve);
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
