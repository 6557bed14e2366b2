/**
 * The `data` column of a journal row: message records, strings, and the slot table.
 *
 *     data:   record | string | string | record | record | ... | slot table | due times
 *
 *     record  offset size
 *                  0    1  flags: 1 persistent, 2 body apart, 4 expiration present
 *                  1    1  format (FORMAT_*)
 *                  2    2  priority (int16, -1 when absent)
 *                  4    4  offset of the exchange name
 *                  8    4  offset of the routing key
 *                 12    4  header bytes
 *                 16    4  body bytes
 *                 20    8  publishedAtMs (float64)
 *                [28]   8  expirationMs (float64), when flagged
 *                [..]  12  id in table `body` (float64) and CRC32 of that body, when flagged
 *                          header, then body unless it lies apart
 *     string       0    2  byte length, then UTF-8
 *     slot table: uint32 per slot, the offset of its record; ends the column, or stands before
 *     due times:  float64 per slot, expiresAtMs or Infinity, when the row is so flagged
 *
 * A message put to a thousand queues is one record with a thousand slots. A string is written in
 * front of the first record of the row that uses it, later ones point back to it: exchange names
 * and most routing keys repeat, and a pointer costs one comparison while it does.
 */
import { Message } from '../../engine/message.ts';
import { assert } from '../../base/assert.ts';
import type { Scratch } from './scratch.ts';
import { ROW_HAS_EXPIRY, type RowHeader } from './row-index.ts';

const RECORD_PERSISTENT = 1;
const RECORD_BODY_APART = 2;
const RECORD_HAS_EXPIRATION = 4;
const RECORD_FIXED_BYTES = 28;
const EXPIRATION_BYTES = 8;
const BODY_REFERENCE_BYTES = 12;

/** Decoded strings that a loaded row keeps: nobody counts their memory. */
const STRINGS_KEPT = 256;

/** Bodies from this size lie in table `body`, so that moving an entry never copies them. */
export const BODY_APART_BYTES = 64 * 1024;

/** Writes message records and the strings they need; one per row being built. */
export class RecordWriter {
  readonly scratch: Scratch;
  readonly #strings: Map<string, number>;
  #lastExchange: string | undefined;
  #lastExchangeAt: number;
  #lastKey: string | undefined;
  #lastKeyAt: number;

  constructor(scratch: Scratch) {
    this.scratch = scratch;
    this.#strings = new Map();
    this.#lastExchange = undefined;
    this.#lastExchangeAt = 0;
    this.#lastKey = undefined;
    this.#lastKeyAt = 0;
  }

  /** Forgets the row before. */
  clear(): void {
    this.#strings.clear();
    this.#lastExchange = undefined;
    this.#lastKey = undefined;
  }

  /** Appends a record and returns its offset; `bodyId` -1 keeps the body inside. */
  write(message: Message, bodyId: number, bodyCrc: number): number {
    if (message.exchange !== this.#lastExchange) {
      this.#lastExchange = message.exchange;
      this.#lastExchangeAt = this.#string(message.exchange);
    }
    if (message.routingKey !== this.#lastKey) {
      this.#lastKey = message.routingKey;
      this.#lastKeyAt = this.#string(message.routingKey);
    }
    const hasExpiration = message.expirationMs >= 0;
    const isApart = bodyId >= 0;
    const extra = (hasExpiration ? EXPIRATION_BYTES : 0) + (isApart ? BODY_REFERENCE_BYTES : 0);
    const { scratch } = this;
    const at = scratch.reserve(RECORD_FIXED_BYTES + extra);
    const { view } = scratch;
    view.setUint8(
      at,
      (message.isPersistent ? RECORD_PERSISTENT : 0) |
        (isApart ? RECORD_BODY_APART : 0) |
        (hasExpiration ? RECORD_HAS_EXPIRATION : 0),
    );
    view.setUint8(at + 1, message.format);
    view.setInt16(at + 2, message.priority, true);
    view.setUint32(at + 4, this.#lastExchangeAt, true);
    view.setUint32(at + 8, this.#lastKeyAt, true);
    view.setUint32(at + 12, message.headerBytes, true);
    view.setUint32(at + 16, message.bodyBytes, true);
    view.setFloat64(at + 20, message.publishedAtMs, true);
    if (hasExpiration) view.setFloat64(at + 28, message.expirationMs, true);
    if (isApart) {
      const referenceAt = at + RECORD_FIXED_BYTES + extra - BODY_REFERENCE_BYTES;
      view.setFloat64(referenceAt, bodyId, true);
      view.setUint32(referenceAt + 8, bodyCrc, true);
    }
    scratch.copy(
      message.bytes,
      message.start,
      message.headerBytes + (isApart ? 0 : message.bodyBytes),
    );
    return at;
  }

  /** Copies a record of another row; strings are found or written anew. Returns the offset. */
  copy(source: RowData, recordAt: number): number {
    const { data } = source;
    const exchangeAt = this.#string(source.string(data.readUInt32LE(recordAt + 4)));
    const keyAt = this.#string(source.string(data.readUInt32LE(recordAt + 8)));
    const at = this.scratch.length;
    this.scratch.copy(data, recordAt, source.recordBytes(recordAt));
    this.scratch.view.setUint32(at + 4, exchangeAt, true);
    this.scratch.view.setUint32(at + 8, keyAt, true);
    return at;
  }

  #string(value: string): number {
    const known = this.#strings.get(value);
    if (known !== undefined) return known;
    const byteCount = Buffer.byteLength(value);
    assert(byteCount <= 0xffff, 'a name or routing key is longer than 65535 bytes');
    const at = this.scratch.reserve(2 + byteCount);
    this.scratch.view.setUint16(at, byteCount, true);
    this.scratch.buffer.write(value, at + 2);
    this.#strings.set(value, at);
    return at;
  }
}

/** The data of one row, checked by the caller, ready for reading entries. */
export class RowData {
  readonly data: Buffer;
  readonly #slotsAt: number;
  readonly #expiresAt: number;
  readonly #strings: Map<number, string>;

  constructor(data: Buffer, header: RowHeader) {
    this.data = data;
    const hasExpiry = (header.flags & ROW_HAS_EXPIRY) !== 0;
    const expiryBytes = hasExpiry ? header.slotCount * 8 : 0;
    this.#slotsAt = data.length - expiryBytes - header.slotCount * 4;
    this.#expiresAt = hasExpiry ? data.length - expiryBytes : -1;
    this.#strings = new Map();
  }

  /** Offset of the record of a slot. */
  recordAt(slot: number): number {
    return this.data.readUInt32LE(this.#slotsAt + slot * 4);
  }

  /** Wall ms at which the entry in the slot expires, or Infinity. */
  expiresAtMs(slot: number): number {
    return this.#expiresAt < 0 ? Infinity : this.data.readDoubleLE(this.#expiresAt + slot * 8);
  }

  /** The string at an offset; decoded once as long as there are few. */
  string(at: number): string {
    let value = this.#strings.get(at);
    if (value === undefined) {
      value = this.data.toString('utf8', at + 2, at + 2 + this.data.readUInt16LE(at));
      if (this.#strings.size >= STRINGS_KEPT) this.#strings.clear();
      this.#strings.set(at, value);
    }
    return value;
  }

  headerBytes(recordAt: number): number {
    return this.data.readUInt32LE(recordAt + 12);
  }

  bodyBytes(recordAt: number): number {
    return this.data.readUInt32LE(recordAt + 16);
  }

  /** Id in table `body`, or -1 when the body is in the record. */
  bodyId(recordAt: number): number {
    const flags = this.data[recordAt]!;
    if ((flags & RECORD_BODY_APART) === 0) return -1;
    return this.data.readDoubleLE(recordAt + fixedBytes(flags) - BODY_REFERENCE_BYTES);
  }

  /** CRC32 of the body in table `body`; only when there is one. */
  bodyCrc(recordAt: number): number {
    return this.data.readUInt32LE(recordAt + fixedBytes(this.data[recordAt]!) - 4);
  }

  /** Where header and body start. */
  payloadAt(recordAt: number): number {
    return recordAt + fixedBytes(this.data[recordAt]!);
  }

  /** Size of the whole record. */
  recordBytes(recordAt: number): number {
    const flags = this.data[recordAt]!;
    const bodyBytes = (flags & RECORD_BODY_APART) === 0 ? this.bodyBytes(recordAt) : 0;
    return fixedBytes(flags) + this.headerBytes(recordAt) + bodyBytes;
  }

  /** A message over `bytes`, owned by it, in which header and body stand at `start`. */
  message(recordAt: number, bytes: Buffer, start: number): Message {
    const { data } = this;
    const flags = data[recordAt]!;
    const hasExpiration = (flags & RECORD_HAS_EXPIRATION) !== 0;
    return new Message(
      this.string(data.readUInt32LE(recordAt + 4)),
      this.string(data.readUInt32LE(recordAt + 8)),
      data[recordAt + 1]!,
      bytes,
      start,
      this.headerBytes(recordAt),
      this.bodyBytes(recordAt),
      (flags & RECORD_PERSISTENT) !== 0,
      data.readInt16LE(recordAt + 2),
      hasExpiration ? data.readDoubleLE(recordAt + 28) : -1,
      data.readDoubleLE(recordAt + 20),
    );
  }
}

function fixedBytes(flags: number): number {
  return (
    RECORD_FIXED_BYTES +
    ((flags & RECORD_HAS_EXPIRATION) !== 0 ? EXPIRATION_BYTES : 0) +
    ((flags & RECORD_BODY_APART) !== 0 ? BODY_REFERENCE_BYTES : 0)
  );
}
