/**
 * One channel of the scripted client: strict waits, requests with replies, and shorthands for what
 * tests do most.
 */
import {
  type BasicProperties,
  contentFrames,
  type DecodedHeader,
  decodeHeader,
  decodeMethod,
  encodeFrame,
  FRAME_HEADER,
  FRAME_METHOD,
  type MethodArgs,
  methodFrame,
  type WireFrame,
  type WireTable,
} from './amqp-wire.ts';
import { checkClose, CloseError, DEFAULT_TIMEOUT_MS, Inbox, type Incoming } from './inbox.ts';
import type { WireConnection } from './wire-client.ts';

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
  async getSoon(queue: string, noAck = true, timeoutMs = DEFAULT_TIMEOUT_MS): Promise<Delivery> {
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
  async settled(queue: string, messages: number, timeoutMs = DEFAULT_TIMEOUT_MS): Promise<void> {
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
