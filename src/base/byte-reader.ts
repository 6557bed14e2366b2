/**
 * Reading wire integers and text by offset, without views or objects.
 *
 * Every function takes a buffer and a position the caller has already proven to be inside it.
 * 64-bit integers become a `number` made of two halves; `bigint` only where a table needs it.
 */
import { isUtf8 } from 'node:buffer';

/** 2^32: weight of the high half of a 64-bit integer. */
const HIGH_HALF = 0x1_0000_0000;

export function readU16(buf: Uint8Array, pos: number): number {
  return (buf[pos]! << 8) | buf[pos + 1]!;
}

export function readI16(buf: Uint8Array, pos: number): number {
  return (readU16(buf, pos) << 16) >> 16;
}

export function readI32(buf: Uint8Array, pos: number): number {
  return (buf[pos]! << 24) | (buf[pos + 1]! << 16) | (buf[pos + 2]! << 8) | buf[pos + 3]!;
}

export function readU32(buf: Uint8Array, pos: number): number {
  return readI32(buf, pos) >>> 0;
}

/** Exact up to 2^53; above it the nearest double, which is never a number we gave out. */
export function readU64(buf: Uint8Array, pos: number): number {
  const high = readU32(buf, pos);
  // Almost always: so the result stays a small integer and no field becomes a double.
  if (high === 0) return readU32(buf, pos + 4);
  return high * HIGH_HALF + readU32(buf, pos + 4);
}

/** A number when it is exact, else a bigint. */
export function readI64(buf: Uint8Array, pos: number): number | bigint {
  const value = readI32(buf, pos) * HIGH_HALF + readU32(buf, pos + 4);
  if (Number.isSafeInteger(value)) return value;
  return (BigInt(readI32(buf, pos)) << 32n) | BigInt(readU32(buf, pos + 4));
}

/** True when every byte of [start, end) is below 0x80. */
export function isAscii(buf: Uint8Array, start: number, end: number): boolean {
  let seen = 0;
  for (let i = start; i < end; i += 1) seen |= buf[i]!;
  return seen < 0x80;
}

/** Longest text decoded byte by byte: below this a call into the runtime costs more. */
const SHORT_TEXT_BYTES_MAX = 16;

/**
 * The text in [start, end), or undefined when it is not UTF-8.
 *
 * @param buf  borrowed; the result does not refer to it
 */
export function readText(buf: Buffer, start: number, end: number): string | undefined {
  if (start === end) return '';
  if (!isAscii(buf, start, end)) {
    if (!isUtf8(buf.subarray(start, end))) return undefined;
    return buf.toString('utf8', start, end);
  }
  if (end - start > SHORT_TEXT_BYTES_MAX) return buf.toString('latin1', start, end);
  let text = '';
  for (let i = start; i < end; i += 1) text += String.fromCharCode(buf[i]!);
  return text;
}

/** As `readText`, but bytes that are not UTF-8 become U+FFFD: for logs and lenient views. */
export function readTextLossy(buf: Buffer, start: number, end: number): string {
  return readText(buf, start, end) ?? buf.toString('utf8', start, end);
}

/** True when [start, end) of `buf` holds exactly the ASCII text `text`. */
export function equalsAscii(buf: Uint8Array, start: number, end: number, text: string): boolean {
  if (end - start !== text.length) return false;
  for (let i = 0; i < text.length; i += 1) {
    if (buf[start + i] !== text.charCodeAt(i)) return false;
  }
  return true;
}
