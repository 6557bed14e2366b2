/**
 * The `runs` column of a journal row: what a commit changed, without any message bytes.
 *
 *     offset  size
 *          0     4  CRC32 of everything from offset 4
 *          4     1  layout version, 1
 *          5     1  flags: 1 the slot table has due times (see message-record.ts), 2 messages are
 *                 shared: there are at least twice as many entries as records, 4 an id follows
 *          6     2  the row's id, folded to 16 bits: SQLite's keys have no checksum
 *          8     4  number of slots (entries) in `data`
 *         12     4  CRC32 of `data`
 *         16     8  wall ms of the commit (float64)
 *         24     4  bytes of `data`
 *         28        records: one tag byte, then varints (LEB128, up to 2^53)
 *
 *     tag  name    fields
 *       1  put     queueId, first, count, flags, bodyBytes of all entries, [lagMs], [gapCount]
 *                  takes the next `count` slots; flags: 1 survives a restart, 2 all bodies have
 *                  one size, 4 lagMs follows: the entries were committed that much earlier (moved),
 *                  8 gapCount follows: so many of the slots are empty, and settled by this row
 *       2  settle  queueId, first, count: entries of that range put by rows up to this one are gone
 *       3  mark    queueId, deliveredBelow
 *       4  state   queueId, sequence, flags, receiveCount, then as flagged: 1 notBeforeMs,
 *                  2 leaseUntilMs, 4 firstReceivedAtMs, 8 expiresAtMs; flag 16: redelivered
 *       5  drop    queueId: the queue and everything in it is gone
 *       6  body    bodyId, bytes: a row of table `body` owned by this row
 *
 * Records apply in this order: put and body, then the rest as they come. All integers fit a
 * double exactly. Numbers are little-endian.
 */
import { crc32 } from 'node:zlib';
import type { QueueId } from '../../engine/ports.ts';
import type { Scratch } from './scratch.ts';

export const ROW_HEADER_BYTES = 28;
export const ROW_LAYOUT_VERSION = 1;
export const ROW_HAS_EXPIRY = 1;
export const ROW_IS_SHARED = 2;
const ROW_HAS_ID = 4;

const TAG_PUT = 1;
const TAG_SETTLE = 2;
const TAG_MARK = 3;
const TAG_STATE = 4;
const TAG_DROP = 5;
const TAG_BODY = 6;

const PUT_SURVIVES = 1;
const PUT_UNIFORM = 2;
const PUT_HAS_LAG = 4;
const PUT_HAS_GAPS = 8;

const STATE_NOT_BEFORE = 1;
const STATE_LEASE = 2;
const STATE_FIRST_RECEIVED = 4;
const STATE_EXPIRES = 8;
const STATE_REDELIVERED = 16;

/** The header of a row's index. */
export interface RowHeader {
  readonly flags: number;
  readonly slotCount: number;
  readonly dataCrc: number;
  readonly commitMs: number;
  readonly dataBytes: number;
}

/** Entry state that differs from a fresh entry's. */
export interface StateFields {
  receiveCount: number;
  /** 0: not delayed. */
  notBeforeMs: number;
  /** Infinity: no deadline. */
  leaseUntilMs: number;
  /** 0: never received. */
  firstReceivedAtMs: number;
  /** Infinity: never. */
  expiresAtMs: number;
  isRedelivered: boolean;
}

/** One put record as read back. */
export interface PutRecord {
  readonly queueId: QueueId;
  readonly first: number;
  readonly count: number;
  readonly slotBase: number;
  readonly survives: boolean;
  readonly isUniform: boolean;
  readonly bodyBytes: number;
  readonly lagMs: number;
  readonly gapCount: number;
}

/** What a reader of an index may want to hear; called in record order. */
export interface RowIndexVisitor {
  onPut?(put: PutRecord): void;
  onSettle?(queueId: QueueId, first: number, count: number): void;
  onMark?(queueId: QueueId, deliveredBelow: number): void;
  onState?(queueId: QueueId, sequence: number, state: StateFields): void;
  onDrop?(queueId: QueueId): void;
  onBody?(bodyId: number, byteCount: number): void;
}

/** Starts an index: room for the header, which `sealIndex` fills in. */
export function beginIndex(scratch: Scratch): void {
  scratch.reserve(ROW_HEADER_BYTES);
}

/** Writes the header over a finished index and returns the bytes, valid until the next write. */
export function sealIndex(scratch: Scratch, rowId: number, header: RowHeader): Buffer {
  const { view } = scratch;
  view.setUint8(4, ROW_LAYOUT_VERSION);
  view.setUint8(5, header.flags | ROW_HAS_ID);
  view.setUint16(6, foldId(rowId), true);
  view.setUint32(8, header.slotCount, true);
  view.setUint32(12, header.dataCrc, true);
  view.setFloat64(16, header.commitMs, true);
  view.setUint32(24, header.dataBytes, true);
  view.setUint32(0, crc32(scratch.buffer.subarray(4, scratch.length)), true);
  return scratch.written();
}

/** Appends a put record; its slots are the next `count` ones. */
export function writePut(scratch: Scratch, put: Omit<PutRecord, 'slotBase'>): void {
  const { lagMs, gapCount } = put;
  scratch.u8(TAG_PUT);
  scratch.varint(put.queueId);
  scratch.varint(put.first);
  scratch.varint(put.count);
  scratch.varint(
    (put.survives ? PUT_SURVIVES : 0) |
      (put.isUniform ? PUT_UNIFORM : 0) |
      (lagMs > 0 ? PUT_HAS_LAG : 0) |
      (gapCount > 0 ? PUT_HAS_GAPS : 0),
  );
  scratch.varint(put.bodyBytes);
  if (lagMs > 0) scratch.varint(lagMs);
  if (gapCount > 0) scratch.varint(gapCount);
}

export function writeSettle(
  scratch: Scratch,
  queueId: QueueId,
  first: number,
  count: number,
): void {
  scratch.u8(TAG_SETTLE);
  scratch.varint(queueId);
  scratch.varint(first);
  scratch.varint(count);
}

export function writeMark(scratch: Scratch, queueId: QueueId, deliveredBelow: number): void {
  scratch.u8(TAG_MARK);
  scratch.varint(queueId);
  scratch.varint(deliveredBelow);
}

export function writeDrop(scratch: Scratch, queueId: QueueId): void {
  scratch.u8(TAG_DROP);
  scratch.varint(queueId);
}

export function writeBody(scratch: Scratch, bodyId: number, byteCount: number): void {
  scratch.u8(TAG_BODY);
  scratch.varint(bodyId);
  scratch.varint(byteCount);
}

export function writeState(
  scratch: Scratch,
  queueId: QueueId,
  sequence: number,
  state: StateFields,
): void {
  let flags = 0;
  if (state.notBeforeMs > 0) flags |= STATE_NOT_BEFORE;
  if (state.leaseUntilMs !== Infinity) flags |= STATE_LEASE;
  if (state.firstReceivedAtMs > 0) flags |= STATE_FIRST_RECEIVED;
  if (state.expiresAtMs !== Infinity) flags |= STATE_EXPIRES;
  if (state.isRedelivered) flags |= STATE_REDELIVERED;
  scratch.u8(TAG_STATE);
  scratch.varint(queueId);
  scratch.varint(sequence);
  scratch.u8(flags);
  scratch.varint(state.receiveCount);
  // Instants are kept in whole ms; a due time is rounded up, so that nothing is early.
  if ((flags & STATE_NOT_BEFORE) !== 0) scratch.varint(wholeMs(state.notBeforeMs));
  if ((flags & STATE_LEASE) !== 0) scratch.varint(wholeMs(state.leaseUntilMs));
  if ((flags & STATE_FIRST_RECEIVED) !== 0) scratch.varint(Math.floor(state.firstReceivedAtMs));
  if ((flags & STATE_EXPIRES) !== 0) scratch.varint(wholeMs(state.expiresAtMs));
}

/** An instant as it is stored: clients can ask for times that no number of ours holds. */
export function wholeMs(instantMs: number): number {
  return Math.min(Math.max(0, Math.ceil(instantMs)), Number.MAX_SAFE_INTEGER);
}

/** Whether an index is that of the row with this id, as far as it says whose it is. */
export function isIndexOf(runs: Buffer, rowId: number): boolean {
  if (!Buffer.isBuffer(runs) || runs.length < ROW_HEADER_BYTES) return true;
  return (runs[5]! & ROW_HAS_ID) === 0 || runs.readUInt16LE(6) === foldId(rowId);
}

/** Two ids that differ in one bit differ in this. */
function foldId(rowId: number): number {
  const low = rowId % 2 ** 32;
  const high = Math.floor(rowId / 2 ** 32);
  return (low ^ (low >>> 16) ^ high ^ (high >>> 16)) & 0xffff;
}

/**
 * The header of an index, or undefined when its checksum or version is wrong, or the column has
 * lost its type.
 */
export function readHeader(runs: Buffer): RowHeader | undefined {
  if (!Buffer.isBuffer(runs) || runs.length < ROW_HEADER_BYTES) return undefined;
  if (runs[4] !== ROW_LAYOUT_VERSION) return undefined;
  if (crc32(runs.subarray(4)) !== runs.readUInt32LE(0)) return undefined;
  return {
    flags: runs[5]! & ~ROW_HAS_ID,
    slotCount: runs.readUInt32LE(8),
    dataCrc: runs.readUInt32LE(12),
    commitMs: runs.readDoubleLE(16),
    dataBytes: runs.readUInt32LE(24),
  };
}

/** Walks the records of an index whose header was good. */
export function visitIndex(runs: Buffer, visitor: RowIndexVisitor): void {
  const cursor = new Cursor(runs, ROW_HEADER_BYTES);
  let slotBase = 0;
  while (!cursor.isAtEnd) {
    const tag = cursor.u8();
    const id = cursor.varint();
    // Fields are read before the call: an absent visitor method would skip its arguments.
    switch (tag) {
      case TAG_PUT: {
        const put = readPut(cursor, id, slotBase);
        slotBase += put.count;
        visitor.onPut?.(put);
        break;
      }
      case TAG_SETTLE: {
        const first = cursor.varint();
        const count = cursor.varint();
        visitor.onSettle?.(id, first, count);
        break;
      }
      case TAG_MARK: {
        const deliveredBelow = cursor.varint();
        visitor.onMark?.(id, deliveredBelow);
        break;
      }
      case TAG_STATE: {
        const sequence = cursor.varint();
        const state = readState(cursor);
        visitor.onState?.(id, sequence, state);
        break;
      }
      case TAG_DROP:
        visitor.onDrop?.(id);
        break;
      case TAG_BODY: {
        const byteCount = cursor.varint();
        visitor.onBody?.(id, byteCount);
        break;
      }
      default:
        throw new Error(`journal index has an unknown record ${tag}`);
    }
  }
}

function readPut(cursor: Cursor, queueId: QueueId, slotBase: number): PutRecord {
  const first = cursor.varint();
  const count = cursor.varint();
  const flags = cursor.varint();
  const bodyBytes = cursor.varint();
  const lagMs = (flags & PUT_HAS_LAG) === 0 ? 0 : cursor.varint();
  const gapCount = (flags & PUT_HAS_GAPS) === 0 ? 0 : cursor.varint();
  const survives = (flags & PUT_SURVIVES) !== 0;
  const isUniform = (flags & PUT_UNIFORM) !== 0;
  return { queueId, first, count, slotBase, survives, isUniform, bodyBytes, lagMs, gapCount };
}

function readState(cursor: Cursor): StateFields {
  const flags = cursor.u8();
  return {
    receiveCount: cursor.varint(),
    notBeforeMs: (flags & STATE_NOT_BEFORE) === 0 ? 0 : cursor.varint(),
    leaseUntilMs: (flags & STATE_LEASE) === 0 ? Infinity : cursor.varint(),
    firstReceivedAtMs: (flags & STATE_FIRST_RECEIVED) === 0 ? 0 : cursor.varint(),
    expiresAtMs: (flags & STATE_EXPIRES) === 0 ? Infinity : cursor.varint(),
    isRedelivered: (flags & STATE_REDELIVERED) !== 0,
  };
}

/** Reads varints; runs past the end only on bytes no checksum vouches for. */
class Cursor {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  u8(): number {
    const value = this.#bytes[this.#at];
    if (value === undefined) throw new Error('journal index ends within a record');
    this.#at += 1;
    return value;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
  }
}
