/**
 * A small AMQP 0-9-1 codec of the suites' own, so that a fault of the product's codec cannot hide
 * itself. It favours plainness over speed.
 *
 * Frame: type(1) channel(2) size(4) payload(size) end(1 = 0xCE).
 *
 * Table values map like this when written: string S, int32 I, other integers l, fractions d,
 * boolean t, null V, Uint8Array x, array A, object F, bigint l; `tagged(tag, value)` forces a tag.
 */
import { BASIC_PROPERTIES, METHOD_BY_ID, METHOD_BY_NAME, type FieldType } from './amqp-methods.ts';

export const FRAME_METHOD = 1;
export const FRAME_HEADER = 2;
export const FRAME_BODY = 3;
export const FRAME_HEARTBEAT = 8;
export const FRAME_END = 0xce;
export const PROTOCOL_HEADER = Buffer.from('AMQP\0\0\x09\x01', 'latin1');

/** A value with its wire tag chosen by the test. */
export class Tagged {
  readonly tag: string;
  readonly value: unknown;

  constructor(tag: string, value: unknown) {
    this.tag = tag;
    this.value = value;
  }
}

/** Forces the wire tag of a table value, e.g. `tagged('s', -2)`. */
export function tagged(tag: string, value: unknown): Tagged {
  return new Tagged(tag, value);
}

export type WireTable = { [name: string]: unknown };

/** Every argument of every method; a method carries only its own. */
export interface MethodArgs {
  versionMajor: number;
  versionMinor: number;
  serverProperties: WireTable;
  clientProperties: WireTable;
  mechanisms: string;
  mechanism: string;
  response: string | Uint8Array;
  locales: string;
  locale: string;
  challenge: string;
  channelMax: number;
  frameMax: number;
  heartbeat: number;
  virtualHost: string;
  reserved1: string;
  reserved2: boolean;
  replyCode: number;
  replyText: string;
  classId: number;
  methodId: number;
  reason: string;
  newSecret: string;
  active: boolean;
  realm: string;
  write: boolean;
  read: boolean;
  ticket: number;
  exchange: string;
  type: string;
  passive: boolean;
  durable: boolean;
  autoDelete: boolean;
  internal: boolean;
  noWait: boolean;
  arguments: WireTable;
  ifUnused: boolean;
  ifEmpty: boolean;
  destination: string;
  source: string;
  routingKey: string;
  queue: string;
  exclusive: boolean;
  messageCount: number;
  consumerCount: number;
  prefetchSize: number;
  prefetchCount: number;
  global: boolean;
  consumerTag: string;
  noLocal: boolean;
  noAck: boolean;
  mandatory: boolean;
  immediate: boolean;
  deliveryTag: number | bigint;
  redelivered: boolean;
  multiple: boolean;
  requeue: boolean;
}

export interface BasicProperties {
  contentType?: string;
  contentEncoding?: string;
  headers?: WireTable;
  deliveryMode?: number;
  priority?: number;
  correlationId?: string;
  replyTo?: string;
  expiration?: string;
  messageId?: string;
  timestamp?: number | bigint;
  type?: string;
  userId?: string;
  appId?: string;
  clusterId?: string;
}

// ---------------------------------------------------------------------------------------------
// Writing

const u8 = (value: number): Buffer => Buffer.from([value & 0xff]);

function fixed(size: number, write: (buffer: Buffer) => void): Buffer {
  const buffer = Buffer.alloc(size);
  write(buffer);
  return buffer;
}

const u16 = (value: number): Buffer => fixed(2, (b) => b.writeUInt16BE(value));
const u32 = (value: number): Buffer => fixed(4, (b) => b.writeUInt32BE(value));
const u64 = (value: number | bigint): Buffer =>
  fixed(8, (b) => b.writeBigUInt64BE(BigInt.asUintN(64, BigInt(value))));

function bytesOf(value: unknown): Buffer {
  return typeof value === 'string' ? Buffer.from(value, 'utf8') : Buffer.from(value as Uint8Array);
}

export function encodeShortString(value: unknown): Buffer {
  const bytes = bytesOf(value);
  if (bytes.length > 255) throw new RangeError('short string over 255 bytes');
  return Buffer.concat([u8(bytes.length), bytes]);
}

export function encodeLongString(value: unknown): Buffer {
  const bytes = bytesOf(value);
  return Buffer.concat([u32(bytes.length), bytes]);
}

function tagOf(value: unknown): Tagged {
  if (value instanceof Tagged) return value;
  if (value === null) return tagged('V', null);
  if (typeof value === 'string') return tagged('S', value);
  if (typeof value === 'boolean') return tagged('t', value);
  if (typeof value === 'bigint') return tagged('l', value);
  if (typeof value === 'number') {
    if (!Number.isInteger(value)) return tagged('d', value);
    return tagged(value === (value | 0) ? 'I' : 'l', value);
  }
  if (value instanceof Uint8Array) return tagged('x', value);
  if (Array.isArray(value)) return tagged('A', value);
  return tagged('F', value);
}

function encodePayload(tag: string, value: unknown): Buffer {
  switch (tag) {
    case 't':
      return u8(value ? 1 : 0);
    case 'b':
      return fixed(1, (b) => b.writeInt8(value as number));
    case 'B':
      return u8(value as number);
    case 's':
      return fixed(2, (b) => b.writeInt16BE(value as number));
    case 'u':
      return u16(value as number);
    case 'I':
      return fixed(4, (b) => b.writeInt32BE(value as number));
    case 'i':
      return u32(value as number);
    case 'l':
    case 'L':
    case 'T':
      return u64(value as number | bigint);
    case 'f':
      return fixed(4, (b) => b.writeFloatBE(value as number));
    case 'd':
      return fixed(8, (b) => b.writeDoubleBE(value as number));
    case 'D': {
      const [scale, digits] = value as [number, number];
      return Buffer.concat([u8(scale), fixed(4, (b) => b.writeInt32BE(digits))]);
    }
    case 'S':
    case 'x':
      return encodeLongString(value);
    case 'A':
      return encodeLongString(Buffer.concat((value as unknown[]).map(encodeFieldValue)));
    case 'F':
      return encodeTable(value as WireTable);
    case 'V':
      return Buffer.alloc(0);
    default:
      throw new Error(`cannot write table tag ${tag}`);
  }
}

export function encodeFieldValue(value: unknown): Buffer {
  const { tag, value: inner } = tagOf(value);
  return Buffer.concat([Buffer.from(tag, 'latin1'), encodePayload(tag, inner)]);
}

/** A table with its 4-byte length in front. */
export function encodeTable(table: WireTable): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of Object.entries(table)) {
    if (value === undefined) continue;
    parts.push(encodeShortString(name), encodeFieldValue(value));
  }
  return encodeLongString(Buffer.concat(parts));
}

function encodeField(type: Exclude<FieldType, 'bit'>, value: unknown): Buffer {
  switch (type) {
    case 'octet':
      return u8((value as number) ?? 0);
    case 'short':
      return u16((value as number) ?? 0);
    case 'long':
      return u32((value as number) ?? 0);
    case 'longlong':
      return u64((value as number | bigint) ?? 0);
    case 'shortstr':
      return encodeShortString(value ?? '');
    case 'longstr':
      return encodeLongString(value ?? '');
    case 'table':
      return encodeTable((value as WireTable) ?? {});
  }
}

/** The payload of a method frame; absent arguments are zero, empty or false. */
export function encodeMethod(name: string, args: Partial<MethodArgs> = {}): Buffer {
  const spec = METHOD_BY_NAME.get(name);
  if (!spec) throw new Error(`no method ${name}`);
  const parts = [u16(spec.classId), u16(spec.methodId)];
  let bits: number | undefined;
  let bitCount = 0;
  const flush = (): void => {
    if (bits !== undefined) parts.push(u8(bits));
    bits = undefined;
    bitCount = 0;
  };
  for (const field of spec.fields) {
    const value = (args as WireTable)[field.name];
    if (field.type === 'bit') {
      if (bitCount === 8) flush();
      bits = (bits ?? 0) | ((value ? 1 : 0) << bitCount);
      bitCount += 1;
    } else {
      flush();
      parts.push(encodeField(field.type, value));
    }
  }
  flush();
  return Buffer.concat(parts);
}

/** The payload of a content header frame. */
export function encodeHeader(
  bodySize: number | bigint,
  properties: BasicProperties = {},
  classId = 60,
): Buffer {
  let flags = 0;
  const parts: Buffer[] = [];
  BASIC_PROPERTIES.forEach(([name, type], index) => {
    const value = properties[name];
    if (value === undefined) return;
    flags |= 1 << (15 - index);
    parts.push(encodeField(type, value));
  });
  return Buffer.concat([u16(classId), u16(0), u64(bodySize), u16(flags), ...parts]);
}

export function encodeFrame(type: number, channel: number, payload: Uint8Array): Buffer {
  return Buffer.concat([u8(type), u16(channel), u32(payload.length), payload, u8(FRAME_END)]);
}

export function methodFrame(channel: number, name: string, args: Partial<MethodArgs> = {}): Buffer {
  return encodeFrame(FRAME_METHOD, channel, encodeMethod(name, args));
}

/** Content header and body frames, the body cut so that no frame exceeds `frameMax`. */
export function contentFrames(
  channel: number,
  body: Uint8Array,
  properties: BasicProperties,
  frameMax: number,
): Buffer {
  const parts = [encodeFrame(FRAME_HEADER, channel, encodeHeader(body.length, properties))];
  const room = (frameMax || 131_072) - 8;
  for (let at = 0; at < body.length; at += room) {
    parts.push(encodeFrame(FRAME_BODY, channel, body.subarray(at, at + room)));
  }
  return Buffer.concat(parts);
}

export const HEARTBEAT_FRAME = encodeFrame(FRAME_HEARTBEAT, 0, Buffer.alloc(0));

// ---------------------------------------------------------------------------------------------
// Reading

/** Reads fields at a moving offset. Throws RangeError when the bytes end early. */
export class WireReader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = at;
  }

  get at(): number {
    return this.#at;
  }

  get rest(): number {
    return this.#bytes.length - this.#at;
  }

  take(count: number): Buffer {
    if (count > this.rest) throw new RangeError(`want ${count} bytes, have ${this.rest}`);
    const bytes = this.#bytes.subarray(this.#at, this.#at + count);
    this.#at += count;
    return bytes;
  }

  octet(): number {
    return this.take(1).readUInt8();
  }

  short(): number {
    return this.take(2).readUInt16BE();
  }

  long(): number {
    return this.take(4).readUInt32BE();
  }

  longlong(): number | bigint {
    return narrow(this.take(8).readBigUInt64BE());
  }

  shortstr(): string {
    return this.take(this.octet()).toString('utf8');
  }

  longstr(): Buffer {
    return this.take(this.long());
  }

  table(): WireTable {
    const inner = new WireReader(this.longstr());
    const table: WireTable = {};
    while (inner.rest > 0) {
      const name = inner.shortstr();
      table[name] = inner.fieldValue();
    }
    return table;
  }

  fieldValue(): unknown {
    const tag = String.fromCharCode(this.octet());
    switch (tag) {
      case 't':
        return this.octet() !== 0;
      case 'b':
        return this.take(1).readInt8();
      case 'B':
        return this.octet();
      case 's':
        return this.take(2).readInt16BE();
      case 'u':
        return this.short();
      case 'I':
        return this.take(4).readInt32BE();
      case 'i':
        return this.long();
      case 'l':
      case 'L':
        return narrow(this.take(8).readBigInt64BE());
      case 'T':
        return { timestamp: this.longlong() };
      case 'f':
        return this.take(4).readFloatBE();
      case 'd':
        return this.take(8).readDoubleBE();
      case 'D':
        return { scale: this.octet(), digits: this.take(4).readInt32BE() };
      case 'S':
        return this.longstr().toString('utf8');
      case 'x':
        return Buffer.from(this.longstr());
      case 'A': {
        const inner = new WireReader(this.longstr());
        const values: unknown[] = [];
        while (inner.rest > 0) values.push(inner.fieldValue());
        return values;
      }
      case 'F':
        return this.table();
      case 'V':
        return null;
      default:
        throw new RangeError(`unknown table tag ${JSON.stringify(tag)}`);
    }
  }
}

function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

export interface DecodedMethod {
  readonly name: string;
  readonly args: MethodArgs;
  readonly hasContent: boolean;
}

export function decodeMethod(payload: Uint8Array): DecodedMethod {
  const reader = new WireReader(payload);
  const classId = reader.short();
  const methodId = reader.short();
  const spec = METHOD_BY_ID.get(classId * 65536 + methodId);
  if (!spec) throw new RangeError(`unknown method ${classId}.${methodId}`);
  const args: WireTable = {};
  let bits = 0;
  let bitCount = 8;
  for (const { name, type } of spec.fields) {
    if (type === 'bit') {
      if (bitCount === 8) {
        bits = reader.octet();
        bitCount = 0;
      }
      args[name] = (bits & (1 << bitCount)) !== 0;
      bitCount += 1;
      continue;
    }
    bitCount = 8;
    args[name] = type === 'longstr' ? reader.longstr().toString('utf8') : reader[type]();
  }
  if (reader.rest > 0) throw new RangeError(`${spec.name}: ${reader.rest} bytes too many`);
  return { name: spec.name, args: args as unknown as MethodArgs, hasContent: spec.hasContent };
}

export interface DecodedHeader {
  readonly classId: number;
  readonly bodySize: number;
  readonly properties: BasicProperties;
  /** Property flags and values as received. */
  readonly rawProperties: Buffer;
}

export function decodeHeader(payload: Uint8Array): DecodedHeader {
  const reader = new WireReader(payload);
  const classId = reader.short();
  reader.short();
  const bodySize = Number(reader.longlong());
  const rawProperties = Buffer.from(payload.subarray(reader.at));
  const flags = reader.short();
  const properties: WireTable = {};
  BASIC_PROPERTIES.forEach(([name, type], index) => {
    if ((flags & (1 << (15 - index))) !== 0) properties[name] = reader[type]();
  });
  if (reader.rest > 0) throw new RangeError(`content header: ${reader.rest} bytes too many`);
  return { classId, bodySize, properties, rawProperties };
}

export interface WireFrame {
  readonly type: number;
  readonly channel: number;
  readonly payload: Buffer;
}

/** Cuts a byte stream into frames. Keeps the unfinished rest. */
export class FrameSplitter {
  #rest: Buffer = Buffer.alloc(0);

  /** Bytes that do not make up a frame yet. */
  get pending(): Buffer {
    return this.#rest;
  }

  push(chunk: Buffer, onFrame: (frame: WireFrame) => void): void {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (;;) {
      if (this.#rest.length < 8) return;
      const size = this.#rest.readUInt32BE(3);
      if (this.#rest.length < size + 8) return;
      if (this.#rest[size + 7] !== FRAME_END) throw new Error('server sent a bad frame end');
      const frame = {
        type: this.#rest.readUInt8(0),
        channel: this.#rest.readUInt16BE(1),
        payload: this.#rest.subarray(7, size + 7),
      };
      this.#rest = this.#rest.subarray(size + 8);
      onFrame(frame);
    }
  }
}
