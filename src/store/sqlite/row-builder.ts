/**
 * Builds one journal row: message records and slots in `data`, runs and deltas in the index.
 *
 * Records are written in call order as entries are added, so a message put to many queues in a row
 * is written once. Slots are grouped by queue and sorted by sequence at the end, because a run
 * needs consecutive sequences in consecutive slots. Gaps are allowed within a run where the caller
 * knows that the sequences between are settled for good (`fillGaps`): the row then settles them
 * itself, which keeps a half-acknowledged backlog from breaking into single entries when moved.
 *
 * A builder and its memory are reused; `seal()` lends its bytes until the next `begin()`.
 */
import { crc32 } from 'node:zlib';
import type { Message } from '../../engine/message.ts';
import { BODY_APART_BYTES, RecordWriter, type RowData } from './message-record.ts';
import {
  beginIndex,
  ROW_HAS_EXPIRY,
  ROW_IS_SHARED,
  sealIndex,
  writeBody,
  writePut,
  writeSettle,
} from './row-index.ts';
import { JournalRow, Run } from './journal-row.ts';
import type { QueueIndex } from './queue-index.ts';
import { Scratch } from './scratch.ts';

/** Offset that stands in the slot of a gap. */
const NO_RECORD = 0xffffffff;

/**
 * Moved runs that follow one another become one only if their commits were this close: time-based
 * offsets stay that exact after cleaning.
 */
const RUN_TIME_SPAN_MS = 60_000;

/** A body that goes to its own table. */
export interface BodyApart {
  readonly id: number;
  /** Borrowed until the transaction has started. */
  readonly bytes: Buffer | undefined;
  readonly byteCount: number;
}

/** A run of the row with its queue. */
export interface BuiltRun {
  readonly queue: QueueIndex;
  readonly run: Run;
}

/** A finished row. `runs` and `data` are lent until the builder begins anew. */
export interface BuiltRow {
  readonly row: JournalRow;
  readonly runs: Buffer;
  readonly data: Buffer;
  readonly puts: readonly BuiltRun[];
  readonly bodies: readonly BodyApart[];
}

export class RowBuilder {
  /** Deltas are appended here directly by the write buffer, after the puts are sealed. */
  readonly index: Scratch;
  readonly #data: Scratch;
  readonly #records: RecordWriter;
  #commitMs: number;
  #queues: QueueIndex[];
  #sequences: number[];
  #offsets: number[];
  #survives: boolean[];
  #bodyBytes: number[];
  /** Present only when an entry has one that differs from the default. */
  #expires: number[] | undefined;
  #times: number[] | undefined;
  #bodies: BodyApart[];
  #lastMessage: Message | undefined;
  #lastOffset: number;
  #recordCount: number;
  #touched: QueueIndex[];
  #puts: BuiltRun[];

  constructor() {
    this.index = new Scratch(4 * 1024);
    this.#data = new Scratch(64 * 1024);
    this.#records = new RecordWriter(this.#data);
    this.#commitMs = 0;
    this.#queues = [];
    this.#sequences = [];
    this.#offsets = [];
    this.#survives = [];
    this.#bodyBytes = [];
    this.#expires = undefined;
    this.#times = undefined;
    this.#bodies = [];
    this.#lastMessage = undefined;
    this.#lastOffset = 0;
    this.#recordCount = 0;
    this.#touched = [];
    this.#puts = [];
  }

  /** Starts a row committed at `commitMs`. */
  begin(commitMs: number): void {
    this.release();
    this.#commitMs = commitMs;
    beginIndex(this.index);
  }

  /** Lets go of the row before, whose bytes nobody needs any more, and of the messages in it. */
  release(): void {
    this.index.clear();
    this.#data.clear();
    this.#records.clear();
    this.#queues.length = 0;
    this.#sequences.length = 0;
    this.#offsets.length = 0;
    this.#survives.length = 0;
    this.#bodyBytes.length = 0;
    this.#expires = undefined;
    this.#times = undefined;
    this.#bodies = [];
    this.#lastMessage = undefined;
    this.#recordCount = 0;
    this.#touched = [];
    this.#puts = [];
  }

  get entryCount(): number {
    return this.#offsets.length;
  }

  get dataBytes(): number {
    return this.#data.length;
  }

  /** Ids of the bodies apart that the row will own. */
  get bodyIds(): Set<number> {
    return new Set(this.#bodies.map((body) => body.id));
  }

  /** Adds an entry; `nextBodyId` is used when its message is new here and its body large. */
  add(
    queue: QueueIndex,
    sequence: number,
    message: Message,
    survives: boolean,
    expiresAtMs: number,
    nextBodyId: () => number,
  ): void {
    if (message !== this.#lastMessage) {
      this.#lastMessage = message;
      this.#recordCount += 1;
      this.#lastOffset =
        message.bodyBytes >= BODY_APART_BYTES
          ? this.#writeApart(message, nextBodyId())
          : this.#records.write(message, -1, 0);
    }
    this.#push(queue, sequence, this.#lastOffset, survives, message.bodyBytes);
    if (expiresAtMs !== Infinity || this.#expires !== undefined) this.#pushExpiry(expiresAtMs);
  }

  /** Copies the record at `recordAt` of another row, with its claim on a body apart. */
  copyRecord(source: RowData, recordAt: number): number {
    const bodyId = source.bodyId(recordAt);
    if (bodyId >= 0) {
      const byteCount = source.bodyBytes(recordAt);
      this.#bodies.push({ id: bodyId, bytes: undefined, byteCount });
    }
    this.#recordCount += 1;
    return this.#records.copy(source, recordAt);
  }

  /** Adds an entry whose record is in this row already; for moved entries. */
  addMoved(
    queue: QueueIndex,
    sequence: number,
    offset: number,
    survives: boolean,
    expiresAtMs: number,
    bodyBytes: number,
    timeMs: number,
  ): void {
    this.#push(queue, sequence, offset, survives, bodyBytes);
    if (expiresAtMs !== Infinity || this.#expires !== undefined) this.#pushExpiry(expiresAtMs);
    this.#times ??= [];
    this.#times.push(timeMs);
  }

  /** Adds a sequence, settled for good, that may stand inside a run of moved entries. */
  addGap(queue: QueueIndex, sequence: number): void {
    this.#push(queue, sequence, NO_RECORD, true, 0);
    if (this.#expires !== undefined) this.#pushExpiry(Infinity);
    this.#times ??= [];
    this.#times.push(0);
  }

  /** Writes put and body records; deltas may be appended to `index` from now on. */
  sealPuts(rowId: number): JournalRow {
    const slots = this.#groupByQueue();
    const slotCount = slots.length;
    const runSpecs: RunSpec[] = [];
    this.#cutRuns(slots, runSpecs);
    this.#writeSlots(slots);
    let gapTotal = 0;
    for (const spec of runSpecs) {
      const lagMs = Math.max(0, Math.round(this.#commitMs - spec.timeMs));
      const { queue, first, count, bodyBytes, survives, isUniform } = spec;
      const gapCount = spec.gaps.length;
      const queueId = queue.id;
      const put = { queueId, first, count, bodyBytes, survives, isUniform, lagMs, gapCount };
      writePut(this.index, put);
      gapTotal += gapCount;
    }
    let ownedBytes = 0;
    for (const body of this.#bodies) {
      writeBody(this.index, body.id, body.byteCount);
      ownedBytes += body.byteCount;
    }
    for (const spec of runSpecs) writeGaps(this.index, spec);
    const bodyIds = this.#bodies.length === 0 ? undefined : this.#bodies.map((body) => body.id);
    // The index may still grow by deltas; they are small, and an estimate is all this is for.
    const totalBytes = this.#data.length + this.index.length + ownedBytes;
    const bornCount = slotCount - gapTotal;
    const row = new JournalRow(
      rowId,
      slotCount,
      bornCount,
      totalBytes,
      runSpecs.length,
      bodyIds,
      this.#commitMs,
      bornCount > 0 && bornCount >= 2 * this.#recordCount,
    );
    for (const spec of runSpecs) {
      const { queue, first, count, slotBase, survives, timeMs } = spec;
      const run = new Run(first, count, row, slotBase, survives, timeMs);
      this.#puts.push({ queue, run });
      for (const gap of spec.gaps) {
        row.settleSlot(slotBase + (gap - first));
        run.liveCount -= 1;
      }
    }
    return row;
  }

  /** Finishes the row. */
  seal(row: JournalRow): BuiltRow {
    const data = this.#data.written();
    const runs = sealIndex(this.index, row.id, {
      flags:
        (this.#expires === undefined ? 0 : ROW_HAS_EXPIRY) | (row.isShared ? ROW_IS_SHARED : 0),
      slotCount: row.slotCount,
      dataCrc: crc32(data),
      commitMs: this.#commitMs,
      dataBytes: data.length,
    });
    return { row, runs, data, puts: this.#puts, bodies: this.#bodies };
  }

  #push(
    queue: QueueIndex,
    sequence: number,
    offset: number,
    survives: boolean,
    bodyBytes: number,
  ): void {
    if (queue.buildCount === 0) this.#touched.push(queue);
    queue.buildCount += 1;
    this.#queues.push(queue);
    this.#sequences.push(sequence);
    this.#offsets.push(offset);
    this.#survives.push(survives);
    this.#bodyBytes.push(bodyBytes);
  }

  #pushExpiry(expiresAtMs: number): void {
    this.#expires ??= new Array<number>(this.#offsets.length - 1).fill(Infinity);
    this.#expires.push(expiresAtMs);
  }

  #writeApart(message: Message, id: number): number {
    const start = message.start + message.headerBytes;
    const bytes = message.bytes.subarray(start, start + message.bodyBytes);
    this.#bodies.push({ id, bytes, byteCount: message.bodyBytes });
    return this.#records.write(message, id, crc32(bytes));
  }

  /** Entry numbers in slot order: by queue, within a queue by sequence. Resets queue fields. */
  #groupByQueue(): Uint32Array {
    const entryCount = this.#offsets.length;
    const slots = new Uint32Array(entryCount);
    let base = 0;
    for (const queue of this.#touched) {
      queue.buildCursor = base;
      base += queue.buildCount;
    }
    for (let entry = 0; entry < entryCount; entry += 1) {
      const queue = this.#queues[entry]!;
      slots[queue.buildCursor] = entry;
      queue.buildCursor += 1;
    }
    for (const queue of this.#touched) {
      this.#sortSlots(slots, queue.buildCursor - queue.buildCount, queue.buildCursor);
      queue.buildCount = 0;
    }
    return slots;
  }

  #sortSlots(slots: Uint32Array, start: number, end: number): void {
    const sequences = this.#sequences;
    for (let i = start + 1; i < end; i += 1) {
      if (sequences[slots[i - 1]!]! <= sequences[slots[i]!]!) continue;
      slots.subarray(start, end).sort((a, b) => sequences[a]! - sequences[b]!);
      return;
    }
  }

  #cutRuns(slots: Uint32Array, out: RunSpec[]): void {
    let spec: RunSpec | undefined;
    for (let slot = 0; slot < slots.length; slot += 1) {
      const entry = slots[slot]!;
      const isGap = this.#offsets[entry] === NO_RECORD;
      if (spec === undefined || !this.#continues(spec, entry, isGap)) {
        spec = this.#startRun(slot, entry);
        out.push(spec);
      }
      spec.count += 1;
      if (isGap) {
        spec.gaps.push(this.#sequences[entry]!);
        continue;
      }
      const bodyBytes = this.#bodyBytes[entry]!;
      if (bodyBytes !== spec.firstBodyBytes) spec.isUniform = false;
      spec.bodyBytes += bodyBytes;
      const timeMs = this.#times?.[entry] ?? this.#commitMs;
      if (timeMs > spec.timeMs) spec.timeMs = timeMs;
    }
  }

  #startRun(slot: number, entry: number): RunSpec {
    const timeMs = this.#times?.[entry] ?? this.#commitMs;
    return {
      queue: this.#queues[entry]!,
      first: this.#sequences[entry]!,
      count: 0,
      slotBase: slot,
      survives: this.#survives[entry]!,
      bodyBytes: 0,
      firstBodyBytes: this.#bodyBytes[entry]!,
      isUniform: true,
      firstTimeMs: timeMs,
      timeMs,
      gaps: [],
    };
  }

  #continues(spec: RunSpec, entry: number, isGap: boolean): boolean {
    if (this.#queues[entry] !== spec.queue) return false;
    if (this.#sequences[entry] !== spec.first + spec.count) return false;
    if (isGap) return true;
    if (this.#survives[entry] !== spec.survives) return false;
    const times = this.#times;
    return times === undefined || Math.abs(times[entry]! - spec.firstTimeMs) <= RUN_TIME_SPAN_MS;
  }

  #writeSlots(slots: Uint32Array): void {
    const slotCount = slots.length;
    let at = this.#data.reserve(slotCount * 4);
    let { view } = this.#data;
    for (let slot = 0; slot < slotCount; slot += 1, at += 4) {
      view.setUint32(at, this.#offsets[slots[slot]!]!, true);
    }
    if (this.#expires === undefined) return;
    at = this.#data.reserve(slotCount * 8);
    ({ view } = this.#data);
    for (let slot = 0; slot < slotCount; slot += 1, at += 8) {
      view.setFloat64(at, this.#expires[slots[slot]!]!, true);
    }
  }
}

/** A run being cut. */
interface RunSpec {
  readonly queue: QueueIndex;
  readonly first: number;
  count: number;
  readonly slotBase: number;
  readonly survives: boolean;
  bodyBytes: number;
  readonly firstBodyBytes: number;
  isUniform: boolean;
  readonly firstTimeMs: number;
  timeMs: number;
  readonly gaps: number[];
}

/** Settles the gaps of a run, as ranges. */
function writeGaps(index: Scratch, spec: RunSpec): void {
  const { gaps } = spec;
  for (let i = 0; i < gaps.length; ) {
    let length = 1;
    while (i + length < gaps.length && gaps[i + length] === gaps[i]! + length) length += 1;
    writeSettle(index, spec.queue.id, gaps[i]!, length);
    i += length;
  }
}
