/**
 * Reading the arguments of one method frame, in order, with bounds and their errors.
 *
 * One reader serves a whole listener: it keeps no state between methods but the cache of short
 * strings, and the generated code has read every argument before it calls the sink. So a sink may
 * cause another method to be read.
 */
import { readU16, readU32, readU64 } from '../../src/base/byte-reader.ts';
import { BrokerError } from '../../src/base/errors.ts';
import type { FieldTable } from '../../src/base/field-value.ts';
import { TextCache } from '../../src/base/intern.ts';
import { decodeTable } from './field-table.ts';
import { METHODS } from './spec/methods.ts';

/**
 * Where the arguments of a basic.publish lie in its frame; valid during `onBasicPublish` only.
 * The bytes [routeStart, routeEnd) hold both names with their lengths: equal bytes, equal route.
 */
export interface PublishFields {
  readonly routeStart: number;
  readonly exchangeStart: number;
  readonly exchangeEnd: number;
  readonly routingKeyStart: number;
  readonly routingKeyEnd: number;
  readonly routeEnd: number;
  readonly mandatory: boolean;
  readonly immediate: boolean;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

const NO_BYTES = Buffer.alloc(0);

export class MethodReader {
  readonly #texts: TextCache;
  readonly #publish: Writable<PublishFields>;
  #buf: Buffer;
  #pos: number;
  #end: number;

  constructor() {
    this.#texts = new TextCache();
    this.#publish = {
      routeStart: 0,
      exchangeStart: 0,
      exchangeEnd: 0,
      routingKeyStart: 0,
      routingKeyEnd: 0,
      routeEnd: 0,
      mandatory: false,
      immediate: false,
    };
    this.#buf = NO_BYTES;
    this.#pos = 0;
    this.#end = 0;
  }

  /** Starts on the arguments [start, end) of a method; `buf` is borrowed until `finish`. */
  begin(buf: Buffer, start: number, end: number): void {
    this.#buf = buf;
    this.#pos = start;
    this.#end = end;
  }

  /** Every byte must have been read. Lets go of the buffer. */
  finish(): void {
    if (this.#pos !== this.#end) throw malformedArguments();
    this.#buf = NO_BYTES;
  }

  skip(byteCount: number): void {
    this.#advance(byteCount);
  }

  u8(): number {
    return this.#buf[this.#advance(1)]!;
  }

  u16(): number {
    return readU16(this.#buf, this.#advance(2));
  }

  u32(): number {
    return readU32(this.#buf, this.#advance(4));
  }

  /** Not exact above 2^53. */
  u64(): number {
    return readU64(this.#buf, this.#advance(8));
  }

  /** @throws BrokerError FRAME_ERROR (connection) when it is not UTF-8, as RabbitMQ */
  shortText(): string {
    const byteLength = this.u8();
    const start = this.#advance(byteLength);
    return this.text(this.#buf, start, start + byteLength);
  }

  skipShortText(): void {
    this.#advance(this.u8());
  }

  /** An owned copy of a long string. */
  longBytes(): Buffer {
    const byteLength = this.u32();
    const start = this.#advance(byteLength);
    return Buffer.from(this.#buf.subarray(start, start + byteLength));
  }

  skipLongBytes(): void {
    this.#advance(this.u32());
  }

  table(): FieldTable {
    const byteLength = this.u32();
    const start = this.#advance(byteLength);
    return decodeTable(this.#buf, start, start + byteLength);
  }

  /** The arguments [start, end) of basic.publish as positions; the next call overwrites them. */
  publish(buf: Buffer, start: number, end: number): PublishFields {
    const fields = this.#publish;
    // reserved-1 (0-8's ticket) comes first.
    const routeStart = start + 2;
    if (routeStart + 1 >= end) throw malformedArguments();
    const exchangeEnd = routeStart + 1 + buf[routeStart]!;
    if (exchangeEnd + 1 >= end) throw malformedArguments();
    const routeEnd = exchangeEnd + 1 + buf[exchangeEnd]!;
    // The octet of flags is the last.
    if (routeEnd + 1 !== end) throw malformedArguments();
    const bits = buf[routeEnd]!;
    fields.routeStart = routeStart;
    fields.exchangeStart = routeStart + 1;
    fields.exchangeEnd = exchangeEnd;
    fields.routingKeyStart = exchangeEnd + 1;
    fields.routingKeyEnd = routeEnd;
    fields.routeEnd = routeEnd;
    fields.mandatory = (bits & 1) !== 0;
    fields.immediate = (bits & 2) !== 0;
    return fields;
  }

  /**
   * A name in [start, end) of a borrowed buffer; the same string for the same bytes, mostly.
   *
   * @throws BrokerError FRAME_ERROR (connection) when it is not UTF-8
   */
  text(buf: Buffer, start: number, end: number): string {
    const text = this.#texts.read(buf, start, end);
    if (text === undefined) throw new BrokerError('FRAME_ERROR', 'Malformed UTF-8 in shortstr');
    return text;
  }

  #advance(byteCount: number): number {
    const pos = this.#pos;
    if (byteCount > this.#end - pos) throw malformedArguments();
    this.#pos = pos + byteCount;
    return pos;
  }
}

/**
 * The method of a method frame's payload [start, end), class * 65536 + method.
 *
 * @throws BrokerError SYNTAX_ERROR (connection) when it is too short to have one
 */
export function methodOf(buf: Buffer, start: number, end: number): number {
  if (end - start < 4) throw malformedArguments();
  return readU32(buf, start);
}

/** Arguments of known size: [start, end) is all of the payload. Throws as the reader does. */
export function expectArguments(start: number, end: number, byteCount: number): void {
  if (end - start !== 4 + byteCount) throw malformedArguments();
}

/** 502: the arguments end too early or too late. */
export function malformedArguments(): BrokerError {
  return new BrokerError('SYNTAX_ERROR', 'malformed method arguments');
}

/** 503: a method that only a server may send, or that does not exist, which is told by number. */
export function unexpectedMethod(method: number): BrokerError {
  const classId = Math.floor(method / 65_536);
  const methodId = method % 65_536;
  const isKnown = METHODS.some((row) => row.classId === classId && row.methodId === methodId);
  const number = isKnown ? '' : ` {${classId},${methodId}}`;
  return new BrokerError('COMMAND_INVALID', `unimplemented method${number}`);
}
