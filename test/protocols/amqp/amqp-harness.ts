/**
 * AMQP connections without sockets: an acceptor on an in-memory broker, clients that send frames
 * made from the method table and read the answers back by it.
 */
import { expect } from 'vitest';
import { decodeProperties } from '../../../protocols/amqp/content-header.ts';
import { decodeTable, encodeTable } from '../../../protocols/amqp/field-table.ts';
import { createAmqpAcceptor, type AmqpAcceptor } from '../../../protocols/amqp/listener.ts';
import { DEFAULT_AMQP_SETTINGS, type AmqpSettings } from '../../../protocols/amqp/settings.ts';
import { METHODS } from '../../../protocols/amqp/spec/methods.ts';
import type { FieldTable, FieldValue } from '../../../src/base/field-value.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import type { CommonProperties } from '../../../src/engine/ports.ts';
import type { PeerInfo } from '../../../src/net/transport.ts';
import { PipeTransport } from '../../net/pipe-transport.ts';
import { AcceptorHarness } from '../../support/acceptor-harness.ts';
import { EngineFixture } from '../../support/engine-fixture.ts';
import { bodyFrame, type FieldInput, frame, headerFrame, methodFrame } from './wire.ts';

export const PROTOCOL_HEADER = Buffer.from('AMQP\x00\x00\x09\x01', 'latin1');

/** One frame from the server; content is attached to its method. */
export interface Received {
  readonly name: string;
  readonly channel: number;
  readonly fields: Record<string, FieldInput>;
  properties?: CommonProperties;
  body?: Buffer;
}

/** The client's end. */
export class TestClient {
  readonly transport: PipeTransport;
  readonly #harness: AcceptorHarness;
  readonly #inbox: Received[];

  constructor(harness: AcceptorHarness, transport: PipeTransport) {
    this.#harness = harness;
    this.transport = transport;
    this.#inbox = [];
  }

  /** Sends raw bytes. */
  raw(bytes: Buffer): void {
    this.transport.receive(bytes);
  }

  /** Sends one method. */
  send(name: string, channel: number, values: FieldInput[] = []): void {
    this.raw(methodFrame(name, channel, values));
  }

  /** Sends a method and returns the answer, which must be `answer`. */
  async call(
    name: string,
    channel: number,
    values: FieldInput[],
    answer: string,
  ): Promise<Received> {
    this.send(name, channel, values);
    return this.next(answer);
  }

  /** The next frame, which must be `name`. */
  async next(name: string): Promise<Received> {
    if (this.#read().length === 0) await this.#harness.settle();
    const received = this.#read().shift();
    expect(received, `expected ${name}, got nothing`).toBeDefined();
    expect(received!.name, JSON.stringify(received!.fields)).toBe(name);
    return received!;
  }

  /** Everything that has arrived once the broker is at rest. */
  async all(): Promise<Received[]> {
    await this.#harness.settle();
    return this.#read().splice(0);
  }

  /** Names of everything that has arrived once the broker is at rest. */
  async names(): Promise<string[]> {
    return (await this.all()).map((received) => received.name);
  }

  /** basic.publish with content. */
  publish(
    channel: number,
    exchange: string,
    routingKey: string,
    body: string | Buffer,
    options: PublishOptions = {},
  ): void {
    const bytes = Buffer.from(body);
    const { flags, properties } = encodeProperties(options);
    this.raw(
      Buffer.concat([
        methodFrame('basic.publish', channel, [
          exchange,
          routingKey,
          options.mandatory === true,
          options.immediate === true,
        ]),
        headerFrame(channel, bytes.length, flags, properties),
        ...(bytes.length === 0 ? [] : [bodyFrame(channel, bytes)]),
      ]),
    );
  }

  /** Declares a queue; returns its name. */
  async declare(
    channel: number,
    name: string,
    args: Record<string, FieldValue> = {},
    flags: { durable?: boolean; exclusive?: boolean; autoDelete?: boolean } = {},
  ): Promise<string> {
    const ok = await this.call(
      'queue.declare',
      channel,
      [
        name,
        false,
        flags.durable === true,
        flags.exclusive === true,
        flags.autoDelete === true,
        false,
        new Map(Object.entries(args)),
      ],
      'queue.declareOk',
    );
    return String(ok.fields['queue']);
  }

  /** Ready messages of a queue, asked on a channel of its own. */
  async readyCount(queue: string): Promise<number> {
    await this.#harness.settle();
    return this.#harness.fixture.vhost.topology.queues.get(queue)?.readyCount ?? -1;
  }

  /** Starts a consumer; returns its tag. */
  async consume(channel: number, queue: string, options: ConsumeOptions = {}): Promise<string> {
    const ok = await this.call(
      'basic.consume',
      channel,
      [
        queue,
        options.tag ?? '',
        false,
        options.noAck === true,
        options.exclusive === true,
        false,
        new Map(Object.entries(options.args ?? {})),
      ],
      'basic.consumeOk',
    );
    return String(ok.fields['consumerTag']);
  }

  #read(): Received[] {
    let buf = this.transport.received;
    while (buf.length >= 8) {
      const size = buf.readUInt32BE(3);
      if (buf.length < size + 8) break;
      expect(buf[size + 7]).toBe(0xce);
      this.#onFrame(buf[0]!, buf.readUInt16BE(1), buf.subarray(7, 7 + size));
      buf = buf.subarray(size + 8);
    }
    this.transport.received = buf;
    return this.#inbox;
  }

  #onFrame(type: number, channel: number, payload: Buffer): void {
    if (type === 1) this.#inbox.push(decodeMethod(channel, payload));
    else if (type === 8) this.#inbox.push({ name: 'heartbeat', channel, fields: {} });
    else {
      const open = this.#inbox.findLast((item) => item.channel === channel)!;
      if (type === 2) {
        open.properties = decodeProperties(payload, 0, payload.length);
        open.body = Buffer.alloc(0);
      } else {
        open.body = Buffer.concat([open.body!, payload]);
      }
    }
  }
}

export interface PublishOptions {
  readonly mandatory?: boolean;
  readonly immediate?: boolean;
  readonly persistent?: boolean;
  readonly headers?: FieldTable;
  readonly replyTo?: string;
  readonly expiration?: string;
  readonly userId?: string;
  readonly priority?: number;
}

export interface ConsumeOptions {
  readonly tag?: string;
  readonly noAck?: boolean;
  readonly exclusive?: boolean;
  readonly args?: Record<string, FieldValue>;
}

/** A broker with an AMQP acceptor. */
export class Harness extends AcceptorHarness {
  readonly acceptor: AmqpAcceptor;

  private constructor(fixture: EngineFixture, settings: Partial<AmqpSettings>) {
    super(fixture);
    this.acceptor = createAmqpAcceptor({
      broker: fixture.broker,
      flushSet: this.flushSet,
      settings: { ...DEFAULT_AMQP_SETTINGS, ...settings },
      logger: silentLogger,
      clock: fixture.clock,
    });
  }

  static async open(settings: Partial<AmqpSettings> = {}): Promise<Harness> {
    return new Harness(await EngineFixture.open(), settings);
  }

  /** A transport just accepted: nothing was said yet. */
  accept(peer: Partial<PeerInfo> = {}): TestClient {
    const transport = new PipeTransport(peer);
    transport.handler = this.acceptor.accept(transport);
    return new TestClient(this, transport);
  }

  /** A connection after open-ok, with these channels open. */
  async connect(channels: number[] = [1], options: ConnectOptions = {}): Promise<TestClient> {
    const client = this.accept(options.peer);
    client.raw(PROTOCOL_HEADER);
    await client.next('connection.start');
    const capabilities = new Map<string, FieldValue>(
      (options.capabilities ?? ALL_CAPABILITIES).map((name) => [name, true]),
    );
    client.send('connection.startOk', 0, [
      new Map<string, FieldValue>([['capabilities', capabilities]]),
      'PLAIN',
      Buffer.from(`\0${options.user ?? 'guest'}\0${options.password ?? 'guest'}`),
      'en_US',
    ]);
    await this.until(() => client.transport.received.length > 0);
    await client.next('connection.tune');
    client.send('connection.tuneOk', 0, [2047, 131_072, options.heartbeat ?? 0]);
    await client.call('connection.open', 0, [options.vhost ?? '/'], 'connection.openOk');
    for (const id of channels) await client.call('channel.open', id, [], 'channel.openOk');
    return client;
  }
}

export interface ConnectOptions {
  readonly user?: string;
  readonly password?: string;
  readonly vhost?: string;
  readonly heartbeat?: number;
  readonly capabilities?: readonly string[];
  readonly peer?: Partial<PeerInfo>;
}

const ALL_CAPABILITIES = [
  'authentication_failure_close',
  'consumer_cancel_notify',
  'connection.blocked',
];

/** A heartbeat frame. */
export const HEARTBEAT = frame(8, 0, Buffer.alloc(0));

function decodeMethod(channel: number, payload: Buffer): Received {
  const classId = payload.readUInt16BE(0);
  const methodId = payload.readUInt16BE(2);
  const method = METHODS.find((m) => m.classId === classId && m.methodId === methodId);
  if (method === undefined) throw new RangeError(`unknown method ${classId}.${methodId}`);
  const fields: Record<string, FieldInput> = {};
  let pos = 4;
  let bit = 0;
  for (const { name, type } of method.fields) {
    if (type === 'bit') {
      fields[name] = (payload[pos]! & (1 << bit)) !== 0;
      bit += 1;
      continue;
    }
    if (bit > 0) {
      pos += 1;
      bit = 0;
    }
    const [value, next] = readField(payload, pos, type);
    fields[name] = value;
    pos = next;
  }
  return { name: `${method.className}.${method.name}`, channel, fields };
}

function readField(buf: Buffer, pos: number, type: string): [FieldInput, number] {
  if (type === 'octet') return [buf[pos]!, pos + 1];
  if (type === 'short') return [buf.readUInt16BE(pos), pos + 2];
  if (type === 'long') return [buf.readUInt32BE(pos), pos + 4];
  if (type === 'longlong') return [Number(buf.readBigUInt64BE(pos)), pos + 8];
  if (type === 'shortstr') {
    const end = pos + 1 + buf[pos]!;
    return [buf.toString('utf8', pos + 1, end), end];
  }
  const end = pos + 4 + buf.readUInt32BE(pos);
  if (type === 'table') return [decodeTable(buf, pos + 4, end), end];
  return [buf.subarray(pos + 4, end), end];
}

function encodeProperties(options: PublishOptions): { flags: number; properties: Buffer } {
  let flags = 0;
  const parts: Buffer[] = [];
  const add = (flag: number, bytes: Buffer): void => {
    flags |= flag;
    parts.push(bytes);
  };
  const text = (value: string): Buffer =>
    Buffer.concat([Buffer.from([Buffer.byteLength(value)]), Buffer.from(value)]);
  if (options.headers !== undefined) add(0x2000, encodeTable(options.headers));
  if (options.persistent !== undefined) add(0x1000, Buffer.from([options.persistent ? 2 : 1]));
  if (options.priority !== undefined) add(0x0800, Buffer.from([options.priority]));
  if (options.replyTo !== undefined) add(0x0200, text(options.replyTo));
  if (options.expiration !== undefined) add(0x0100, text(options.expiration));
  if (options.userId !== undefined) add(0x0010, text(options.userId));
  return { flags, properties: Buffer.concat(parts) };
}
