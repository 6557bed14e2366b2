/**
 * The data types of MQTT (section 1.5): variable byte integers, and a reader that walks the fields
 * of a packet and refuses what reaches over its end. The reader is for packets of the control
 * plane; PUBLISH is read by plain offsets (`publish-packet.ts`).
 */
import { readU16, readU32 } from '../../src/base/byte-reader.ts';
import { malformed } from './mqtt-errors.ts';
import { readMqttText } from './utf8.ts';

/** Bytes of the longest text or binary field (two length octets). */
export const FIELD_BYTES_MAX = 65_535;

/** Bytes of `value` (0 to VARINT_MAX) as a variable byte integer. */
export function varintBytes(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  return value < 0x20_0000 ? 3 : 4;
}

/** Writes `value` in the fewest bytes [MQTT-1.5.5-1]; returns the offset behind it. */
export function putVarint(buf: Buffer, pos: number, value: number): number {
  let left = value;
  let at = pos;
  while (left >= 0x80) {
    buf[at] = (left & 0x7f) | 0x80;
    left >>>= 7;
    at += 1;
  }
  buf[at] = left;
  return at + 1;
}

/** `readVarint`: the end of the bytes came first. */
export const VARINT_CUT = -1;
/** `readVarint`: a fourth byte says there is more. */
export const VARINT_TOO_LONG = -2;

/**
 * The variable byte integer at `pos`, or VARINT_CUT or VARINT_TOO_LONG. Encodings longer than
 * needed are read: their senders break [MQTT-1.5.5-1], but nothing is ambiguous about them. How
 * many bytes it took: `varintEnd`.
 */
export function readVarint(buf: Buffer, pos: number, end: number): number {
  let value = 0;
  let at = pos;
  for (let shift = 0; shift < 28; shift += 7) {
    if (at >= end) return VARINT_CUT;
    const byte = buf[at]!;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return value;
    at += 1;
  }
  return VARINT_TOO_LONG;
}

/** The offset behind a variable byte integer that `readVarint` has read. */
export function varintEnd(buf: Buffer, pos: number): number {
  let at = pos;
  while (buf[at]! >= 0x80) at += 1;
  return at + 1;
}

/** Walks the fields in [pos, end) of a packet; every method moves `pos` behind what it read. */
export class FieldReader {
  readonly buf: Buffer;
  readonly end: number;
  pos: number;

  /** @param buf  borrowed; what is handed out as a Buffer is an owned copy */
  constructor(buf: Buffer, start: number, end: number) {
    this.buf = buf;
    this.pos = start;
    this.end = end;
  }

  get isAtEnd(): boolean {
    return this.pos >= this.end;
  }

  /** @throws MqttError 0x81, as all the others, when the packet ends before the field does */
  u8(what: string): number {
    return this.buf[this.#claim(1, what)]!;
  }

  u16(what: string): number {
    return readU16(this.buf, this.#claim(2, what));
  }

  u32(what: string): number {
    return readU32(this.buf, this.#claim(4, what));
  }

  varint(what: string): number {
    const value = readVarint(this.buf, this.pos, this.end);
    if (value === VARINT_CUT) throw cut(what);
    if (value === VARINT_TOO_LONG) throw malformed(`${what} is longer than four bytes`);
    this.pos = varintEnd(this.buf, this.pos);
    return value;
  }

  text(what: string): string {
    const start = this.#field(what);
    return readMqttText(this.buf, start, this.pos, what);
  }

  /** An owned copy of a length-prefixed field. */
  binary(what: string): Buffer {
    const start = this.#field(what);
    return Buffer.from(this.buf.subarray(start, this.pos));
  }

  /** Properties: the length is checked and skipped; returns where they end. */
  properties(): number {
    const byteCount = this.varint('the property length');
    if (byteCount > this.end - this.pos) throw cut('the property list');
    return this.pos + byteCount;
  }

  /** @throws MqttError 0x81 unless everything was read */
  expectEnd(what: string): void {
    if (this.pos !== this.end) {
      throw malformed(`${what} has ${this.end - this.pos} bytes behind its last field`);
    }
  }

  #field(what: string): number {
    const byteLength = this.u16(what);
    return this.#claim(byteLength, what);
  }

  #claim(byteCount: number, what: string): number {
    const start = this.pos;
    if (byteCount > this.end - start) throw cut(what);
    this.pos = start + byteCount;
    return start;
  }
}

function cut(what: string): Error {
  return malformed(`${what} reaches over the end of the packet`);
}
