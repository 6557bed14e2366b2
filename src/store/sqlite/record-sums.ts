/**
 * Checksums of what lies in side tables. Records of schema version 1 have none, and are believed.
 *
 * Numbers are summed by a hash of 32 bits that costs a tenth of a CRC over their text: a start may
 * read a million records. Each step is a bijection of the hash, so no change of one field of up to
 * 32 bits passes, and others do once in 2^32.
 */
import { crc32 } from 'node:zlib';

const SUM_BYTES = 4;
const MULTIPLIER = 0x9e3779b1;
const SUM_DIGITS = 8;
const SEALED = /\n[0-9a-f]{8}$/;

/** The sum of the first `count` of whole numbers of 0 and above, or null; NaN of anything else. */
export function sumOf(fields: readonly (number | null)[], count = fields.length): number {
  let sum = count;
  for (let i = 0; i < count; i += 1) {
    const value = fields[i] ?? -1;
    // A column that has lost its type: an empty text would count as 0.
    if (typeof value !== 'number') return Number.NaN;
    sum = Math.imul(sum ^ value, MULTIPLIER);
    sum ^= sum >>> 15;
    sum = Math.imul(sum ^ (value / 2 ** 32), MULTIPLIER);
    sum ^= sum >>> 13;
  }
  return sum >>> 0;
}

/** The sum of a record of table `meta`. */
export function sumOfMeta(name: string, value: number): number {
  return crc32(`${name}=${value}`);
}

/** Bytes of the settled bits of a row. */
export function bitBytes(slotCount: number): number {
  return (slotCount + 7) >>> 3;
}

/**
 * What table `settled` keeps of a row: its bits, none when all are settled, and a CRC32. Where that
 * alone would be as long as the bits without, the bits are written.
 */
export function sealBits(rowId: number, slotCount: number, bits: Uint8Array | undefined): Buffer {
  const isAmbiguous = bitBytes(slotCount) === SUM_BYTES;
  const kept = bits ?? Buffer.alloc(isAmbiguous ? SUM_BYTES : 0, 0xff);
  const sealed = Buffer.allocUnsafe(kept.length + SUM_BYTES);
  sealed.set(kept);
  sealed.writeUInt32LE(crcOfBits(rowId, kept), kept.length);
  return sealed;
}

/** The bits, empty when all are settled; undefined when the record is damaged. */
export function openBits(rowId: number, slotCount: number, stored: Buffer): Buffer | undefined {
  const byteCount = bitBytes(slotCount);
  if (!Buffer.isBuffer(stored)) return undefined;
  if (stored.length === 0 || stored.length === byteCount) return stored;
  if (stored.length !== SUM_BYTES && stored.length !== byteCount + SUM_BYTES) return undefined;
  const bits = stored.subarray(0, stored.length - SUM_BYTES);
  return crcOfBits(rowId, bits) === stored.readUInt32LE(bits.length) ? bits : undefined;
}

/** The value of a definition as it is stored: the text, a line end, and a CRC32 in hex. */
export function sealDefinition(kind: string, key: string, value: string): string {
  return `${value}\n${crcOfDefinition(kind, key, value)}`;
}

/** The text of a stored definition, or undefined when it is damaged. */
export function openDefinition(kind: string, key: string, stored: string): string | undefined {
  if (typeof stored !== 'string') return undefined;
  if (!SEALED.test(stored)) return stored;
  const value = stored.slice(0, -SUM_DIGITS - 1);
  return stored.endsWith(crcOfDefinition(kind, key, value)) ? value : undefined;
}

function crcOfBits(rowId: number, bits: Uint8Array): number {
  return crc32(bits, crc32(`${rowId}:`));
}

function crcOfDefinition(kind: string, key: string, value: string): string {
  const crc = crc32(value, crc32(`${kind}\0${key}\0`));
  return crc.toString(16).padStart(SUM_DIGITS, '0');
}
