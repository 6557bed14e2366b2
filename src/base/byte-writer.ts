/**
 * Writing wire integers and text: functions that put a value at an offset and return the next
 * one, for buffers whose size is known, and `ByteWriter`, which grows, for those whose is not.
 */
import { assert } from './assert.ts';

/** 2^32: weight of the high half of a 64-bit integer. */
const HIGH_HALF = 0x1_0000_0000;

export function putU16(buf: Uint8Array, pos: number, value: number): number {
  buf[pos] = value >>> 8;
  buf[pos + 1] = value;
  return pos + 2;
}

/** Also for signed values: the low 32 bits are written. */
export function putU32(buf: Uint8Array, pos: number, value: number): number {
  buf[pos] = value >>> 24;
  buf[pos + 1] = value >>> 16;
  buf[pos + 2] = value >>> 8;
  buf[pos + 3] = value;
  return pos + 4;
}

/** @param value  a safe integer; negative ones are written in two's complement */
export function putU64(buf: Uint8Array, pos: number, value: number): number {
  putU32(buf, pos, Math.floor(value / HIGH_HALF));
  return putU32(buf, pos + 4, value);
}

/** Bytes of `text` in UTF-8, fast for the short ASCII texts that names are. */
export function textByteLength(text: string): number {
  const length = text.length;
  if (length > 64) return Buffer.byteLength(text);
  for (let i = 0; i < length; i += 1) {
    if (text.charCodeAt(i) >= 0x80) return Buffer.byteLength(text);
  }
  return length;
}

/** Writes `text`, whose UTF-8 length the caller knows, without a length prefix. */
export function putText(buf: Buffer, pos: number, text: string, byteLength: number): number {
  if (text.length === byteLength && byteLength <= 32) {
    for (let i = 0; i < byteLength; i += 1) buf[pos + i] = text.charCodeAt(i);
  } else {
    buf.write(text, pos, byteLength, 'utf8');
  }
  return pos + byteLength;
}

/** Writes a length octet and `text`; `byteLength` is at most 255. */
export function putShortText(buf: Buffer, pos: number, text: string, byteLength: number): number {
  buf[pos] = byteLength;
  return putText(buf, pos + 1, text, byteLength);
}

/**
 * Bytes up to which a loop beats `Buffer.copy`, whose call alone costs some 70 ns on Node 20.
 * Four bytes a round nearly halve the loop's time.
 */
const LOOP_BYTES_MAX = 64;

/** Copies [start, end) of `from` (borrowed) to `pos`; returns the offset behind it. */
export function putBytes(
  buf: Buffer,
  pos: number,
  from: Buffer,
  start: number,
  end: number,
): number {
  if (end - start > LOOP_BYTES_MAX) {
    from.copy(buf, pos, start, end);
    return pos + end - start;
  }
  let i = start;
  let to = pos;
  for (; i + 4 <= end; i += 4, to += 4) {
    buf[to] = from[i]!;
    buf[to + 1] = from[i + 1]!;
    buf[to + 2] = from[i + 2]!;
    buf[to + 3] = from[i + 3]!;
  }
  for (; i < end; i += 1, to += 1) buf[to] = from[i]!;
  return to;
}

/** `text` cut to at most `maxBytes` of UTF-8, never within a character. */
export function truncateText(text: string, maxBytes: number): string {
  if (textByteLength(text) <= maxBytes) return text;
  const bytes = Buffer.from(text);
  let end = maxBytes;
  // 10xxxxxx continues a character: step back to its first byte.
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}

/** A growing buffer; for tables and rewritten headers, not for the per-message path. */
export class ByteWriter {
  #buf: Buffer;
  #length: number;

  constructor(initialBytes = 256) {
    this.#buf = Buffer.allocUnsafe(initialBytes);
    this.#length = 0;
  }

  get length(): number {
    return this.#length;
  }

  u8(value: number): void {
    const pos = this.#claim(1);
    this.#buf[pos] = value;
  }

  u16(value: number): void {
    const pos = this.#claim(2);
    putU16(this.#buf, pos, value);
  }

  u32(value: number): void {
    const pos = this.#claim(4);
    putU32(this.#buf, pos, value);
  }

  /** @param value  a safe integer */
  u64(value: number): void {
    const pos = this.#claim(8);
    putU64(this.#buf, pos, value);
  }

  /** @param value  -2^63 to 2^63 - 1 */
  i64(value: bigint): void {
    const pos = this.#claim(8);
    this.#buf.writeBigInt64BE(value, pos);
  }

  f32(value: number): void {
    const pos = this.#claim(4);
    this.#buf.writeFloatBE(value, pos);
  }

  f64(value: number): void {
    const pos = this.#claim(8);
    this.#buf.writeDoubleBE(value, pos);
  }

  /** Copies `bytes` (borrowed). */
  bytes(bytes: Uint8Array, start = 0, end = bytes.length): void {
    const pos = this.#claim(end - start);
    this.#buf.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), pos);
  }

  /** Length octet and text; at most 255 bytes. */
  shortText(text: string): void {
    const byteLength = textByteLength(text);
    assert(byteLength <= 255, 'a short string has at most 255 bytes');
    const pos = this.#claim(1 + byteLength);
    putShortText(this.#buf, pos, text, byteLength);
  }

  /** 32-bit length and text. */
  longText(text: string): void {
    const byteLength = textByteLength(text);
    const pos = this.#claim(4 + byteLength);
    putU32(this.#buf, pos, byteLength);
    putText(this.#buf, pos + 4, text, byteLength);
  }

  /** Leaves room for a 32-bit length and returns its place for `endLength`. */
  beginLength(): number {
    return this.#claim(4);
  }

  /** Fills the length begun at `place` with the number of bytes written since. */
  endLength(place: number): void {
    putU32(this.#buf, place, this.#length - place - 4);
  }

  /** The bytes written, owned by the caller; the writer starts afresh. */
  take(): Buffer {
    const taken = this.#buf.subarray(0, this.#length);
    this.#buf = Buffer.alloc(0);
    this.#length = 0;
    return taken;
  }

  /** May replace `#buf`: call it before reading that. */
  #claim(byteCount: number): number {
    const pos = this.#length;
    const needed = pos + byteCount;
    if (needed > this.#buf.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.#buf.length * 2, 64));
      this.#buf.copy(grown, 0, 0, pos);
      this.#buf = grown;
    }
    this.#length = needed;
    return pos;
  }
}
