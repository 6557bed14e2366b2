/**
 * Field tables and arrays (4.2.5.5), with the type tags RabbitMQ and all stock clients use.
 *
 *     table:  length u32 | entry ...        entry:  key shortstr | tag | value
 *     array:  length u32 | item ...         item:   tag | value
 *
 *     S longstr   x bytes       F table     A array    V void     t bool
 *     b i8   B u8   s i16   u u16   I i32   i u32   l i64   L i64
 *     f f32  d f64  D decimal (scale u8, u32)      T timestamp (u64 seconds)
 *
 * The letters differ from the specification's own (4.2.1); see RabbitMQ's list of errata.
 *
 * 1. Ranges [start, end) are always a table's or array's *content*, without its length.
 * 2. `validateTable` is run once over what a peer sent. What it accepts, every other function
 *    here accepts: nothing deep in the engine meets a table it cannot read. So names that are
 *    not UTF-8 are mended when decoded, and such strings become bytes.
 * 3. Nesting is limited by TABLE_DEPTH_MAX, so recursion is too.
 * 4. Decoding loses integer widths. Whoever forwards a table copies its bytes (`TableCursor`).
 */
import { assert } from '../../src/base/assert.ts';
import {
  readI16,
  readI32,
  readI64,
  readText,
  readTextLossy,
  readU16,
  readU32,
  readU64,
} from '../../src/base/byte-reader.ts';
import { ByteWriter, truncateText } from '../../src/base/byte-writer.ts';
import { BrokerError } from '../../src/base/errors.ts';
import type { FieldTable, FieldValue, TaggedNumber } from '../../src/base/field-value.ts';
import { EMPTY_TABLE, isTable, isTagged } from '../../src/base/field-value.ts';
import { NAME_BYTES_MAX, TABLE_DEPTH_MAX } from '../../src/base/limits.ts';

/** Type tags. */
export const TAG_ARRAY = 0x41; // A
export const TAG_U8 = 0x42; // B
export const TAG_DECIMAL = 0x44; // D
export const TAG_TABLE = 0x46; // F
export const TAG_I32 = 0x49; // I
export const TAG_LONG = 0x4c; // L
export const TAG_LONGSTR = 0x53; // S
export const TAG_TIMESTAMP = 0x54; // T
export const TAG_VOID = 0x56; // V
export const TAG_I8 = 0x62; // b
export const TAG_F64 = 0x64; // d
export const TAG_F32 = 0x66; // f
export const TAG_U32 = 0x69; // i
export const TAG_I64 = 0x6c; // l
export const TAG_I16 = 0x73; // s
export const TAG_BOOL = 0x74; // t
export const TAG_U16 = 0x75; // u
export const TAG_BYTES = 0x78; // x

/** Bytes of a value by tag; PREFIXED: a u32 length says; 0xff: no such tag. */
const PREFIXED = 0xfe;
const UNKNOWN = 0xff;
const VALUE_BYTES = new Uint8Array(256).fill(UNKNOWN);
for (const tag of [TAG_LONGSTR, TAG_BYTES, TAG_TABLE, TAG_ARRAY]) VALUE_BYTES[tag] = PREFIXED;
for (const tag of [TAG_I8, TAG_U8, TAG_BOOL]) VALUE_BYTES[tag] = 1;
for (const tag of [TAG_I16, TAG_U16]) VALUE_BYTES[tag] = 2;
for (const tag of [TAG_I32, TAG_U32, TAG_F32]) VALUE_BYTES[tag] = 4;
for (const tag of [TAG_I64, TAG_LONG, TAG_F64, TAG_TIMESTAMP]) VALUE_BYTES[tag] = 8;
VALUE_BYTES[TAG_DECIMAL] = 5;
VALUE_BYTES[TAG_VOID] = 0;

/**
 * Proves that [start, end) is a well-formed table content: known tags, lengths that fit exactly,
 * bounded nesting. Text is not checked: names and strings pass through as bytes.
 *
 * Tags L become l, in place: py-amqp sends a long as L, and the Java client reads only l. Both
 * are the same eight bytes, and RabbitMQ too forwards them as l.
 *
 * @param buf  borrowed; its tags may change
 * @throws BrokerError SYNTAX_ERROR (connection)
 */
export function validateTable(buf: Uint8Array, start: number, end: number): void {
  validateItems(buf, start, end, true, 1);
}

/**
 * Walks the entries of a table without decoding any. Positions refer to the buffer it was reset
 * to; `valueStart` is behind the tag, so a longstr's value range begins with its length.
 */
export class TableCursor {
  #buf: Uint8Array;
  #next: number;
  #end: number;
  entryStart: number;
  keyStart: number;
  keyEnd: number;
  tag: number;
  valueStart: number;
  /** Also the end of the entry. */
  valueEnd: number;

  constructor() {
    this.#buf = new Uint8Array(0);
    this.#next = 0;
    this.#end = 0;
    this.entryStart = 0;
    this.keyStart = 0;
    this.keyEnd = 0;
    this.tag = 0;
    this.valueStart = 0;
    this.valueEnd = 0;
  }

  /** Starts over with the table content [start, end) of `buf` (borrowed until the walk ends). */
  reset(buf: Uint8Array, start: number, end: number): void {
    this.#buf = buf;
    this.#next = start;
    this.#end = end;
  }

  /**
   * Goes to the next entry; false when there is none.
   *
   * @throws BrokerError SYNTAX_ERROR (connection) when an entry does not fit its table
   */
  next(): boolean {
    const pos = this.#next;
    if (pos >= this.#end) return false;
    this.entryStart = pos;
    this.keyStart = pos + 1;
    this.keyEnd = pos + 1 + this.#buf[pos]!;
    if (this.keyEnd >= this.#end) throw truncated();
    this.tag = this.#buf[this.keyEnd]!;
    this.valueStart = this.keyEnd + 1;
    this.valueEnd = endOfValue(this.#buf, this.tag, this.valueStart, this.#end);
    this.#next = this.valueEnd;
    return true;
  }
}

/**
 * Decodes a table content. Of two entries with one name the first counts, as in RabbitMQ.
 *
 * @param buf  borrowed; the result does not refer to it
 * @throws BrokerError SYNTAX_ERROR (connection)
 */
export function decodeTable(buf: Buffer, start: number, end: number): FieldTable {
  return start === end ? EMPTY_TABLE : decodeTableAt(buf, start, end, 1);
}

/** Decodes one value whose tag and range a cursor found. */
export function decodeValue(buf: Buffer, tag: number, start: number, end: number): FieldValue {
  return decodeValueAt(buf, tag, start, end, 1);
}

/** The table with its length, as it stands in a method or in a content header. Owned. */
export function encodeTable(table: FieldTable): Buffer {
  const out = new ByteWriter();
  writeTable(out, table);
  return out.take();
}

/** Appends the table with its length. */
export function writeTable(out: ByteWriter, table: FieldTable, depth = 1): void {
  assert(depth <= TABLE_DEPTH_MAX, 'field table nested too deep');
  const place = out.beginLength();
  for (const [key, value] of table) writeEntry(out, key, value, depth);
  out.endLength(place);
}

/** Appends one entry of a table: key, tag, value. */
export function writeEntry(out: ByteWriter, key: string, value: FieldValue, depth = 1): void {
  out.shortText(key);
  writeValue(out, value, depth);
}

function validateItems(
  buf: Uint8Array,
  start: number,
  end: number,
  hasKeys: boolean,
  depth: number,
): void {
  if (depth > TABLE_DEPTH_MAX) throw tooDeep();
  let pos = start;
  while (pos < end) {
    if (hasKeys) pos += 1 + buf[pos]!;
    if (pos >= end) throw truncated();
    const tag = buf[pos]!;
    const valueStart = pos + 1;
    if (tag === TAG_LONG) buf[pos] = TAG_I64;
    pos = endOfValue(buf, tag, valueStart, end);
    if (tag === TAG_TABLE || tag === TAG_ARRAY) {
      validateItems(buf, valueStart + 4, pos, tag === TAG_TABLE, depth + 1);
    }
  }
}

/** End of the value that starts at `pos`, proven to be within `end`. */
function endOfValue(buf: Uint8Array, tag: number, pos: number, end: number): number {
  let byteCount = VALUE_BYTES[tag]!;
  if (byteCount === PREFIXED) {
    if (pos + 4 > end) throw truncated();
    byteCount = 4 + readU32(buf, pos);
  } else if (byteCount === UNKNOWN) {
    throw new BrokerError('SYNTAX_ERROR', `unknown field table type ${tag}`);
  }
  if (pos + byteCount > end) throw truncated();
  return pos + byteCount;
}

function decodeTableAt(buf: Buffer, start: number, end: number, depth: number): FieldTable {
  if (depth > TABLE_DEPTH_MAX) throw tooDeep();
  const table = new Map<string, FieldValue>();
  let pos = start;
  while (pos < end) {
    const keyStart = pos + 1;
    const keyEnd = keyStart + buf[pos]!;
    if (keyEnd >= end) throw truncated();
    const tag = buf[keyEnd]!;
    pos = endOfValue(buf, tag, keyEnd + 1, end);
    const key = readName(buf, keyStart, keyEnd);
    const value = decodeValueAt(buf, tag, keyEnd + 1, pos, depth);
    if (!table.has(key)) table.set(key, value);
  }
  return table;
}

/** A name; one that is not UTF-8 is mended, and grows: it must still fit when it is written. */
function readName(buf: Buffer, start: number, end: number): string {
  return readText(buf, start, end) ?? truncateText(readTextLossy(buf, start, end), NAME_BYTES_MAX);
}

function decodeArrayAt(buf: Buffer, start: number, end: number, depth: number): FieldValue[] {
  if (depth > TABLE_DEPTH_MAX) throw tooDeep();
  const items: FieldValue[] = [];
  let pos = start;
  while (pos < end) {
    const tag = buf[pos]!;
    const valueStart = pos + 1;
    pos = endOfValue(buf, tag, valueStart, end);
    items.push(decodeValueAt(buf, tag, valueStart, pos, depth));
  }
  return items;
}

/** [pos, end) is the value's range as `endOfValue` gave it. */
function decodeValueAt(
  buf: Buffer,
  tag: number,
  pos: number,
  end: number,
  depth: number,
): FieldValue {
  switch (tag) {
    case TAG_LONGSTR:
      return readText(buf, pos + 4, end) ?? copyBytes(buf, pos + 4, end);
    case TAG_BYTES:
      return copyBytes(buf, pos + 4, end);
    case TAG_TABLE:
      return decodeTableAt(buf, pos + 4, end, depth + 1);
    case TAG_ARRAY:
      return decodeArrayAt(buf, pos + 4, end, depth + 1);
    case TAG_VOID:
      return null;
    case TAG_BOOL:
      return buf[pos] !== 0;
    default:
      return decodeNumber(buf, tag, pos);
  }
}

function decodeNumber(buf: Buffer, tag: number, pos: number): number | bigint | TaggedNumber {
  switch (tag) {
    case TAG_I8:
      return (buf[pos]! << 24) >> 24;
    case TAG_U8:
      return buf[pos]!;
    case TAG_I16:
      return readI16(buf, pos);
    case TAG_U16:
      return readU16(buf, pos);
    case TAG_I32:
      return readI32(buf, pos);
    case TAG_U32:
      return readU32(buf, pos);
    // Both signed: RabbitMQ's erratum to 4.2.1.
    case TAG_I64:
    case TAG_LONG:
      return readI64(buf, pos);
    case TAG_F32:
      return { kind: 'float', value: buf.readFloatBE(pos) };
    case TAG_F64:
      return { kind: 'double', value: buf.readDoubleBE(pos) };
    case TAG_DECIMAL:
      return { kind: 'decimal', scale: buf[pos]!, value: readU32(buf, pos + 1) };
    case TAG_TIMESTAMP:
      return { kind: 'timestamp', value: readU64(buf, pos) };
    default:
      throw new BrokerError('SYNTAX_ERROR', `unknown field table type ${tag}`);
  }
}

function writeValue(out: ByteWriter, value: FieldValue, depth: number): void {
  if (typeof value === 'string') {
    out.u8(TAG_LONGSTR);
    out.longText(value);
  } else if (typeof value === 'number') {
    writeInteger(out, value);
  } else if (typeof value === 'boolean') {
    out.u8(TAG_BOOL);
    out.u8(value ? 1 : 0);
  } else if (typeof value === 'bigint') {
    out.u8(TAG_I64);
    out.i64(BigInt.asIntN(64, value));
  } else if (value === null) {
    out.u8(TAG_VOID);
  } else if (value instanceof Uint8Array) {
    out.u8(TAG_BYTES);
    out.u32(value.length);
    out.bytes(value);
  } else if (isTable(value)) {
    out.u8(TAG_TABLE);
    writeTable(out, value, depth + 1);
  } else if (isTagged(value)) {
    writeTagged(out, value);
  } else {
    writeArray(out, value, depth + 1);
  }
}

/** Plain numbers mean integers; one that is none keeps its value as a double. */
function writeInteger(out: ByteWriter, value: number): void {
  if ((value | 0) === value) {
    out.u8(TAG_I32);
    out.u32(value);
  } else if (Number.isSafeInteger(value)) {
    out.u8(TAG_I64);
    out.u64(value);
  } else {
    out.u8(TAG_F64);
    out.f64(value);
  }
}

function writeTagged(out: ByteWriter, value: TaggedNumber): void {
  switch (value.kind) {
    case 'double':
      out.u8(TAG_F64);
      out.f64(value.value);
      return;
    case 'float':
      out.u8(TAG_F32);
      out.f32(value.value);
      return;
    case 'decimal':
      out.u8(TAG_DECIMAL);
      out.u8(value.scale);
      out.u32(value.value);
      return;
    case 'timestamp':
      out.u8(TAG_TIMESTAMP);
      out.u64(value.value);
  }
}

function writeArray(out: ByteWriter, items: readonly FieldValue[], depth: number): void {
  assert(depth <= TABLE_DEPTH_MAX, 'field table nested too deep');
  out.u8(TAG_ARRAY);
  const place = out.beginLength();
  for (const item of items) writeValue(out, item, depth);
  out.endLength(place);
}

function copyBytes(buf: Buffer, start: number, end: number): Uint8Array {
  return new Uint8Array(buf.subarray(start, end));
}

function truncated(): BrokerError {
  return new BrokerError('SYNTAX_ERROR', 'malformed field table');
}

function tooDeep(): BrokerError {
  return new BrokerError('SYNTAX_ERROR', `field table nested deeper than ${TABLE_DEPTH_MAX}`);
}
