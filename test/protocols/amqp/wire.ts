/**
 * AMQP bytes for tests, made from the method table by a slow and plain interpreter, so that the
 * generated codec is compared with something that shares no code with it but the table.
 */
import { MethodReader } from '../../../protocols/amqp/method-reader.ts';
import {
  dispatchChannelMethod,
  dispatchConnectionMethod,
} from '../../../protocols/amqp/codec.generated.ts';
import type { FieldSpec, MethodSpec } from '../../../protocols/amqp/spec/methods.ts';
import { isReserved, METHODS } from '../../../protocols/amqp/spec/methods.ts';
import { encodeTable } from '../../../protocols/amqp/field-table.ts';
import type { FieldTable } from '../../../src/base/field-value.ts';

export type FieldInput = string | number | boolean | Buffer | FieldTable;

/** Bytes from hex digits; blanks and line breaks are for the reader. */
export function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\s+/g, ''), 'hex');
}

/** The method named `class.method`. */
export function methodNamed(name: string): MethodSpec {
  const found = METHODS.find((m) => `${m.className}.${m.name}` === name);
  if (found === undefined) throw new RangeError(`no method ${name}`);
  return found;
}

export function frame(type: number, channel: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(payload.length + 8);
  bytes.writeUInt8(type, 0);
  bytes.writeUInt16BE(channel, 1);
  bytes.writeUInt32BE(payload.length, 3);
  bytes.set(payload, 7);
  bytes.writeUInt8(0xce, bytes.length - 1);
  return bytes;
}

/** A method frame; `values` are those of the fields that are not reserved, in order. */
export function methodFrame(name: string, channel: number, values: FieldInput[] = []): Buffer {
  return frame(1, channel, methodPayload(methodNamed(name), values));
}

export function methodPayload(method: MethodSpec, values: readonly FieldInput[]): Buffer {
  const parts = [u16(method.classId), u16(method.methodId)];
  const rest = [...values];
  let bits: boolean[] = [];
  const flushBits = (): void => {
    if (bits.length === 0) return;
    parts.push(Buffer.from([bits.reduce((sum, bit, i) => sum + (bit ? 2 ** i : 0), 0)]));
    bits = [];
  };
  for (const field of method.fields) {
    const value = isReserved(field) ? emptyValue(field) : rest.shift();
    if (value === undefined) throw new RangeError(`no value for ${field.name}`);
    if (field.type === 'bit') {
      bits.push(Boolean(value));
      continue;
    }
    flushBits();
    parts.push(fieldBytes(field, value));
  }
  flushBits();
  return Buffer.concat(parts);
}

/** A content-header frame with the given property flags and bytes. */
export function headerFrame(
  channel: number,
  bodyBytes: number,
  flags = 0,
  properties: Uint8Array = Buffer.alloc(0),
): Buffer {
  return frame(2, channel, headerPayload(bodyBytes, flags, properties));
}

export function headerPayload(
  bodyBytes: number,
  flags = 0,
  properties: Uint8Array = Buffer.alloc(0),
): Buffer {
  const fixed = Buffer.alloc(14);
  fixed.writeUInt16BE(60, 0);
  fixed.writeBigUInt64BE(BigInt(bodyBytes), 4);
  fixed.writeUInt16BE(flags, 12);
  return Buffer.concat([fixed, properties]);
}

export function bodyFrame(channel: number, body: Uint8Array): Buffer {
  return frame(3, channel, body);
}

/** basic.publish with its content in one body frame. */
export function publishFrames(
  channel: number,
  exchange: string,
  routingKey: string,
  body: Buffer,
  flags = 0,
  properties: Uint8Array = Buffer.alloc(0),
): Buffer {
  return Buffer.concat([
    methodFrame('basic.publish', channel, [exchange, routingKey, false, false]),
    headerFrame(channel, body.length, flags, properties),
    ...(body.length === 0 ? [] : [bodyFrame(channel, body)]),
  ]);
}

/** What a sink was called with. Of basic.publish the texts of both names are kept. */
export interface Call {
  readonly name: string;
  readonly args: readonly unknown[];
}

/** Reads one method payload with the generated code and tells which handler it called. */
export function dispatchPayload(payload: Buffer, reader = new MethodReader()): Call {
  const calls: Call[] = [];
  const sink = new Proxy(
    {},
    {
      get:
        (_, name) =>
        (...args: unknown[]) => {
          calls.push({ name: String(name), args: name === 'onBasicPublish' ? names(args) : args });
        },
    },
  );
  const dispatch =
    payload.length >= 2 && payload.readUInt16BE(0) === 10
      ? dispatchConnectionMethod
      : dispatchChannelMethod;
  // In the middle of other bytes, so that an offset taken for an absolute one shows.
  const framed = Buffer.concat([Buffer.alloc(5, 0xff), payload, Buffer.alloc(3, 0xff)]);
  dispatch(sink as never, reader, framed, 5, 5 + payload.length);
  if (calls.length !== 1) throw new RangeError(`${calls.length} calls`);
  return calls[0]!;
}

function names(args: unknown[]): unknown[] {
  const [buf, fields] = args as [Buffer, Record<string, number>];
  return [
    buf.toString('utf8', fields['exchangeStart'], fields['exchangeEnd']),
    buf.toString('utf8', fields['routingKeyStart'], fields['routingKeyEnd']),
    fields['mandatory'],
    fields['immediate'],
  ];
}

function emptyValue(field: FieldSpec): FieldInput {
  switch (field.type) {
    case 'shortstr':
      return '';
    case 'longstr':
      return Buffer.alloc(0);
    case 'bit':
      return false;
    default:
      return 0;
  }
}

function fieldBytes(field: FieldSpec, value: FieldInput): Buffer {
  switch (field.type) {
    case 'octet':
      return Buffer.from([Number(value)]);
    case 'short':
      return u16(Number(value));
    case 'long': {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(Number(value));
      return bytes;
    }
    case 'longlong': {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64BE(BigInt(value as number));
      return bytes;
    }
    case 'shortstr': {
      const text = Buffer.from(String(value));
      return Buffer.concat([Buffer.from([text.length]), text]);
    }
    case 'longstr': {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE((value as Buffer).length);
      return Buffer.concat([bytes, value as Buffer]);
    }
    case 'table':
      return encodeTable(value as FieldTable);
    default:
      throw new RangeError(field.type);
  }
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

/** A frame sink that keeps what is written. */
export class MemorySink {
  slab: Buffer;
  #used: number;

  constructor() {
    this.slab = Buffer.alloc(0);
    this.#used = 0;
  }

  reserve(byteCount: number): number {
    const start = this.#used;
    const grown = Buffer.alloc(start + byteCount, 0xaa);
    this.slab.copy(grown, 0, 0, start);
    this.slab = grown;
    this.#used = start + byteCount;
    return start;
  }

  append(bytes: Buffer, start: number, end: number): void {
    const at = this.reserve(end - start);
    bytes.copy(this.slab, at, start, end);
  }

  take(): Buffer {
    const taken = this.slab;
    this.slab = Buffer.alloc(0);
    this.#used = 0;
    return taken;
  }
}
