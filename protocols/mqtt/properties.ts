/**
 * Property lists of MQTT 5 (section 2.2.2).
 *
 *     id u8 | value    id u8 | value    ...
 *
 * `PropertyCursor` finds them by offset and proves each of them: the id is defined (else 0x81) and
 * may stand in this packet, once (else 0x82); the value ends where the list does at the latest,
 * text is UTF-8 (else 0x81), and numbers are in their range (else 0x82). Everything else is built
 * on it. One cursor serves a whole connection, or all of them: it holds no bytes after `close`.
 */
import { assert } from '../../src/base/assert.ts';
import { readText, readU16, readU32 } from '../../src/base/byte-reader.ts';
import { ByteWriter } from '../../src/base/byte-writer.ts';
import { MqttError, malformed, protocolError } from './mqtt-errors.ts';
import { readVarint, varintEnd } from './packet-fields.ts';
import { packetName } from './spec/packets.ts';
import {
  PROPERTIES,
  PROPERTY_BY_ID,
  PROPERTY_ID_END,
  PROPERTY_PACKETS,
  PROPERTY_TOPIC_ALIAS,
  PROPERTY_USER,
  type PropertySpec,
  type PropertyType,
  type PropertyValues,
  type UserProperty,
} from './spec/properties.ts';
import { REASON_TOPIC_ALIAS_INVALID } from './spec/reason-codes.ts';
import { isMqttText, malformedText } from './utf8.ts';

const NO_BYTES = Buffer.alloc(0);

const TYPE_BYTE = 1;
const TYPE_U16 = 2;
const TYPE_U32 = 3;
const TYPE_VARINT = 4;
const TYPE_TEXT = 5;
const TYPE_BINARY = 6;
const TYPE_PAIR = 7;

const TYPE_NUMBERS: Readonly<Record<PropertyType, number>> = {
  byte: TYPE_BYTE,
  u16: TYPE_U16,
  u32: TYPE_U32,
  varint: TYPE_VARINT,
  text: TYPE_TEXT,
  binary: TYPE_BINARY,
  pair: TYPE_PAIR,
};

const TYPES = Uint8Array.from(PROPERTY_BY_ID, (spec) =>
  spec === undefined ? 0 : TYPE_NUMBERS[spec.type],
);

/** Range checks by identifier: 0 none, 1 not 0, 2 one bit. */
const RANGES = Uint8Array.from(PROPERTY_BY_ID, (spec) =>
  spec === undefined ? 0 : ['any', 'non-zero', 'bit'].indexOf(spec.range),
);

/** Steps through a property list. */
export class PropertyCursor {
  /** Identifier of the present property. */
  id: number;
  /** Offset of its identifier. */
  start: number;
  /** Its text or binary value, or the name of a user property: [valueStart, valueEnd). */
  valueStart: number;
  valueEnd: number;
  /** Value of a user property, ending at `end`. */
  pairStart: number;
  /** Offset behind it. */
  end: number;
  /** Its value, when that is a number. */
  number: number;
  buf: Buffer;
  #listEnd: number;
  #packet: number;
  /** Identifiers seen, below 32 and from there on. */
  #seenLow: number;
  #seenHigh: number;

  constructor() {
    this.id = 0;
    this.start = 0;
    this.valueStart = 0;
    this.valueEnd = 0;
    this.pairStart = 0;
    this.end = 0;
    this.number = 0;
    this.buf = NO_BYTES;
    this.#listEnd = 0;
    this.#packet = 0;
    this.#seenLow = 0;
    this.#seenHigh = 0;
  }

  /**
   * Stands before the first property of the list [start, end) of `buf` (borrowed).
   *
   * @param packet  type of the packet, or WILL
   */
  open(buf: Buffer, start: number, end: number, packet: number): void {
    this.buf = buf;
    this.end = start;
    this.#listEnd = end;
    this.#packet = packet;
    this.#seenLow = 0;
    this.#seenHigh = 0;
  }

  /** Lets go of the bytes. */
  close(): void {
    this.buf = NO_BYTES;
  }

  /**
   * Steps to the next property and proves it.
   *
   * @returns false at the end of the list
   * @throws MqttError 0x81, 0x82, 0x94
   */
  next(): boolean {
    const pos = this.end;
    if (pos >= this.#listEnd) return false;
    const id = this.buf[pos]!;
    if (id >= PROPERTY_ID_END || TYPES[id] === 0) {
      throw malformed(`property 0x${id.toString(16).padStart(2, '0')} is not defined`);
    }
    if ((PROPERTY_PACKETS[id]! & (1 << this.#packet)) === 0) {
      throw protocolError(`${nameOf(id)} must not stand in ${packetName(this.#packet)}`);
    }
    if (id !== PROPERTY_USER) this.#expectFirst(id);
    this.id = id;
    this.start = pos;
    this.#readValue(id, pos + 1);
    return true;
  }

  /** The text value; the property is of type text. */
  text(): string {
    return readText(this.buf, this.valueStart, this.valueEnd)!;
  }

  #expectFirst(id: number): void {
    const bit = 1 << (id & 31);
    const seen = id < 32 ? this.#seenLow : this.#seenHigh;
    if ((seen & bit) !== 0) throw protocolError(`${nameOf(id)} stands more than once`);
    if (id < 32) this.#seenLow = seen | bit;
    else this.#seenHigh = seen | bit;
  }

  #readValue(id: number, pos: number): void {
    const left = this.#listEnd - pos;
    switch (TYPES[id]) {
      case TYPE_BYTE:
        if (left < 1) throw cut(id);
        this.#setNumber(id, this.buf[pos]!, pos + 1);
        return;
      case TYPE_U16:
        if (left < 2) throw cut(id);
        this.#setNumber(id, readU16(this.buf, pos), pos + 2);
        return;
      case TYPE_U32:
        if (left < 4) throw cut(id);
        this.#setNumber(id, readU32(this.buf, pos), pos + 4);
        return;
      case TYPE_VARINT: {
        const value = readVarint(this.buf, pos, this.#listEnd);
        if (value < 0) throw cut(id);
        this.#setNumber(id, value, varintEnd(this.buf, pos));
        return;
      }
      case TYPE_PAIR:
        this.valueEnd = this.#field(id, pos, true);
        this.valueStart = pos + 2;
        this.pairStart = this.valueEnd + 2;
        this.end = this.#field(id, this.valueEnd, true);
        return;
      default:
        this.end = this.#field(id, pos, TYPES[id] === TYPE_TEXT);
        this.valueStart = pos + 2;
        this.valueEnd = this.end;
    }
  }

  #setNumber(id: number, value: number, end: number): void {
    const range = RANGES[id]!;
    if (range !== 0 && (range === 1 ? value === 0 : value > 1)) throw outOfRange(id, value);
    this.number = value;
    this.end = end;
  }

  /** Proves a length-prefixed field at `pos`; returns where it ends. */
  #field(id: number, pos: number, isText: boolean): number {
    const left = this.#listEnd - pos;
    if (left < 2) throw cut(id);
    const byteLength = readU16(this.buf, pos);
    if (byteLength > left - 2) throw cut(id);
    const start = pos + 2;
    const end = start + byteLength;
    if (isText && !isMqttText(this.buf, start, end)) throw malformedText(nameOf(id));
    return end;
  }
}

function nameOf(id: number): string {
  return PROPERTY_BY_ID[id]?.name ?? `property ${id}`;
}

function cut(id: number): MqttError {
  return malformed(`${nameOf(id)} reaches over the end of the property list`);
}

function outOfRange(id: number, value: number): MqttError {
  const text = `${nameOf(id)} must not be ${value}`;
  if (id === PROPERTY_TOPIC_ALIAS) return new MqttError(REASON_TOPIC_ALIAS_INVALID, text);
  return protocolError(text);
}

/** Reading is synchronous and never nested: one cursor does for every packet. */
const shared = new PropertyCursor();

/**
 * Proves the property list [start, end) of a packet nobody wants to know the properties of.
 *
 * @throws MqttError 0x81, 0x82
 */
export function checkProperties(buf: Buffer, start: number, end: number, packet: number): void {
  if (start === end) return;
  shared.open(buf, start, end, packet);
  while (shared.next());
}

/**
 * Decodes the property list [start, end) (borrowed; the values are owned).
 *
 * @throws MqttError 0x81, 0x82
 */
export function readProperties(
  buf: Buffer,
  start: number,
  end: number,
  packet: number,
): PropertyValues {
  const values: PropertyValues = {};
  const byField = values as Record<string, unknown>;
  const userProperties: UserProperty[] = [];
  shared.open(buf, start, end, packet);
  while (shared.next()) {
    const spec = PROPERTY_BY_ID[shared.id]!;
    if (spec.type === 'pair') userProperties.push(pairAt(shared));
    else byField[spec.field] = valueAt(shared, spec);
  }
  shared.close();
  if (userProperties.length > 0) values.userProperties = userProperties;
  return values;
}

function pairAt(cursor: PropertyCursor): UserProperty {
  return [cursor.text(), readText(cursor.buf, cursor.pairStart, cursor.end)!];
}

function valueAt(cursor: PropertyCursor, spec: PropertySpec): number | string | Buffer {
  if (spec.type === 'text') return cursor.text();
  if (spec.type !== 'binary') return cursor.number;
  return Buffer.from(cursor.buf.subarray(cursor.valueStart, cursor.valueEnd));
}

/**
 * The user properties in [start, end), a range that may hold other properties of the same packet
 * and was proven before.
 */
export function readUserProperties(
  buf: Buffer,
  start: number,
  end: number,
  packet: number,
): UserProperty[] {
  const pairs: UserProperty[] = [];
  shared.open(buf, start, end, packet);
  while (shared.next()) {
    if (shared.id === PROPERTY_USER) pairs.push(pairAt(shared));
  }
  shared.close();
  return pairs;
}

/**
 * Encodes properties in the order of the table, without their length; user properties keep theirs.
 *
 * @param packet  type of the packet, or WILL: a property that must not stand there is our fault
 */
export function encodeProperties(values: PropertyValues, packet: number): Buffer {
  const writer = new ByteWriter(64);
  for (const spec of PROPERTIES) {
    const value = values[spec.field];
    if (value === undefined) continue;
    assert(spec.packets.includes(packet), `${spec.name} in ${packetName(packet)}`);
    if (spec.type === 'pair') {
      for (const [name, text] of value as readonly UserProperty[]) {
        writer.u8(spec.id);
        putText(writer, name);
        putText(writer, text);
      }
    } else {
      writer.u8(spec.id);
      putValue(writer, spec.type, value as number | string | Buffer);
    }
  }
  return writer.take();
}

function putValue(writer: ByteWriter, type: PropertyType, value: number | string | Buffer): void {
  if (typeof value === 'string') putText(writer, value);
  else if (typeof value !== 'number') putBinary(writer, value);
  else if (type === 'byte') writer.u8(value);
  else if (type === 'u16') writer.u16(value);
  else if (type === 'u32') writer.u32(value);
  else putNumber(writer, value);
}

function putNumber(writer: ByteWriter, value: number): void {
  let left = value;
  for (; left >= 0x80; left >>>= 7) writer.u8((left & 0x7f) | 0x80);
  writer.u8(left);
}

function putText(writer: ByteWriter, text: string): void {
  putBinary(writer, Buffer.from(text));
}

function putBinary(writer: ByteWriter, bytes: Buffer): void {
  assert(bytes.length <= 65_535, 'a field has at most 65,535 bytes');
  writer.u16(bytes.length);
  writer.bytes(bytes);
}
