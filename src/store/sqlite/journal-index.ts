/**
 * The index of the whole journal: which rows there are, which entries in them live, and which
 * facts have their only durable copy in which row.
 *
 * It is changed at once by every call of the engine, before anything is durable. That is sound
 * because every write transaction takes the whole write buffer first (docs/STORAGE.md, I1): when a
 * transaction is put together, this index is exactly what that transaction makes durable.
 *
 * "Facts" are what a row proves besides its own entries: settlements of older rows' entries, marks,
 * entry states, the highest sequence of a queue, dropped queues. A row may be deleted only if each
 * fact in it is superseded, moot, or saved in a side table in the same transaction. The sets here
 * find those facts without looking at all rows: each keeps insertion order, and an element moves
 * to the end when its fact is written anew, so the front always holds the oldest row ids.
 */
import type { QueueId } from '../../engine/ports.ts';
import { EntryStates } from './entry-states.ts';
import { QueueIndex } from './queue-index.ts';
import type { JournalRow, Run } from './journal-row.ts';

/** A row with fewer bytes than this is thin, unless told otherwise: worth merging with others. */
const THIN_ROW_BYTES = 8 * 1024;

/** Where one entry in so many of a range has a state, they are settled one by one. */
const DENSE_STATES = 16;

const NONE: Iterable<number> = [];

export class JournalIndex {
  readonly #thinRowBytes: number;
  readonly queues: Map<QueueId, QueueIndex>;
  /** By id, ascending. */
  readonly rows: Map<number, JournalRow>;
  /** Rows without live entries, in the order they died. */
  deadRows: JournalRow[];
  deadBytes: number;
  /** One of them cannot be read, and shall be known to be so as soon as its entries are gone. */
  hasDeadFault: boolean;
  /** Pages of the file cannot be trusted. */
  hasDamage: boolean;
  /** Bodies apart that cannot be read: they stay when the row goes that owns them. */
  readonly damagedBodies: Set<number>;
  /** Rows with settlements since their last checkpoint, by ascending `dirtyFrom`. */
  readonly dirtyRows: Set<JournalRow>;
  readonly states: EntryStates;
  readonly markFacts: Set<QueueIndex>;
  readonly sequenceFacts: Set<QueueIndex>;
  /** Dropped queues and the row that says so, ascending. */
  dropFacts: { readonly queueId: QueueId; readonly rowId: number }[];
  /** Checkpointed entry states whose entries are gone: [queueId, sequence] pairs to delete. */
  staleStates: number[];
  /** The id the next row will get; settlements buffered now will be in it. */
  nextRowId: number;
  totalBytes: number;
  /** Estimate: a row's bytes count in proportion to its live entries. */
  liveBytes: number;
  liveCount: number;
  /** Runs of rows with live entries. */
  runCount: number;
  /** Rows that are thin and have live entries. */
  thinCount: number;
  /** Bytes of scattered rows with live entries, thin ones apart. */
  scatteredBytes: number;

  constructor(thinRowBytes = THIN_ROW_BYTES) {
    this.#thinRowBytes = thinRowBytes;
    this.queues = new Map();
    this.rows = new Map();
    this.deadRows = [];
    this.deadBytes = 0;
    this.hasDeadFault = false;
    this.hasDamage = false;
    this.damagedBodies = new Set();
    this.dirtyRows = new Set();
    this.states = new EntryStates();
    this.markFacts = new Set();
    this.sequenceFacts = new Set();
    this.dropFacts = [];
    this.staleStates = [];
    this.nextRowId = 1;
    this.totalBytes = 0;
    this.liveBytes = 0;
    this.liveCount = 0;
    this.runCount = 0;
    this.thinCount = 0;
    this.scatteredBytes = 0;
  }

  /** Whether a row is worth merging with others for its size alone. */
  isThin(row: JournalRow): boolean {
    return row.totalBytes < this.#thinRowBytes;
  }

  /** The queue, created when missing. */
  queue(queueId: QueueId): QueueIndex {
    let queue = this.queues.get(queueId);
    if (queue === undefined) {
      queue = new QueueIndex(queueId);
      this.queues.set(queueId, queue);
    }
    return queue;
  }

  /** Takes a new row; its runs follow by `addRun`. */
  addRow(row: JournalRow): void {
    this.rows.set(row.id, row);
    this.totalBytes += row.totalBytes;
    this.runCount += row.runCount;
    if (row.liveCount === 0) {
      this.#buryRow(row);
      return;
    }
    this.liveCount += row.liveCount;
    this.liveBytes += row.entryBytes * row.liveCount;
    this.#countShape(row, 1);
  }

  /** Takes a run of a row already added; `proofRowId` is the row that shows its sequences. */
  addRun(queue: QueueIndex, run: Run, proofRowId: number): void {
    if (run.liveCount > 0) queue.addRun(run);
    this.proveSequence(queue, run.first + run.count, proofRowId);
  }

  /** Notes that a row shows sequences below `next` to be in use. */
  proveSequence(queue: QueueIndex, next: number, rowId: number): void {
    if (next <= queue.nextSequence) return;
    queue.nextSequence = next;
    queue.sequenceRowId = rowId;
    this.sequenceFacts.delete(queue);
    this.sequenceFacts.add(queue);
  }

  /** Settles an entry by a fact that will be, or is, in row `factRowId`; false if not live. */
  settle(queue: QueueIndex, sequence: number, factRowId: number): boolean {
    const run = queue.find(sequence);
    if (run === undefined || !this.#settleInRun(queue, run, sequence)) return false;
    this.#noteDirty(run.row, factRowId);
    return true;
  }

  /**
   * Settles all live entries in [first, end). Returns the smallest range that covers them, as
   * [first, end), or undefined when there were none.
   */
  settleRange(
    queue: QueueIndex,
    first: number,
    end: number,
    factRowId: number,
  ): [number, number] | undefined {
    const { states } = queue;
    const span = Math.min(end, queue.nextSequence) - first;
    const isDense = states !== undefined && states.size * DENSE_STATES > span;
    const withStates = states === undefined || isDense ? NONE : statesWithin(queue, first, end);
    let lowest = Infinity;
    let highest = -1;
    for (;;) {
      const run = queue.firstLiveRun(first);
      const start = run?.firstLive(first) ?? Infinity;
      if (run === undefined || start >= end) break;
      const runEnd = Math.min(end, run.first + run.count);
      highest = isDense
        ? this.#settleEach(queue, run, start, runEnd)
        : this.#settleWithin(queue, run, start, runEnd);
      if (start < lowest) lowest = start;
      this.#noteDirty(run.row, factRowId);
      first = runEnd;
    }
    for (const sequence of withStates) this.#forgetState(queue, sequence);
    return highest < 0 ? undefined : [lowest, highest + 1];
  }

  /** Forgets a queue; the fact is in row `factRowId`, or needs none when that is 0. */
  dropQueue(queue: QueueIndex, factRowId: number): void {
    this.settleRange(queue, 0, Infinity, factRowId);
    queue.isDropped = true;
    this.queues.delete(queue.id);
    this.markFacts.delete(queue);
    this.sequenceFacts.delete(queue);
    this.states.removeAll(queue);
    if (factRowId > 0) this.dropFacts.push({ queueId: queue.id, rowId: factRowId });
  }

  /** Sets the mark; the fact is in row `factRowId`. */
  setMark(queue: QueueIndex, deliveredBelow: number, factRowId: number): void {
    queue.deliveredBelow = deliveredBelow;
    queue.markRowId = factRowId;
    this.markFacts.delete(queue);
    this.markFacts.add(queue);
  }

  /** Takes a row out: deleted or moved away in the transaction under construction. */
  removeRow(row: JournalRow): void {
    this.rows.delete(row.id);
    this.dirtyRows.delete(row);
    this.totalBytes -= row.totalBytes;
    if (row.liveCount === 0) return;
    this.liveCount -= row.liveCount;
    this.liveBytes -= row.entryBytes * row.liveCount;
    this.runCount -= row.runCount;
    this.#countShape(row, -1);
  }

  #settleInRun(queue: QueueIndex, run: Run, sequence: number): boolean {
    if (!run.row.settleSlot(run.slotBase + (sequence - run.first))) return false;
    this.#countSettled(queue, run, 1);
    if (queue.states !== undefined) this.#forgetState(queue, sequence);
    return true;
  }

  /** Settles what lives of a run in [start, end), of which `start` does; returns the last one. */
  #settleEach(queue: QueueIndex, run: Run, start: number, end: number): number {
    let last = start;
    for (let sequence = start; sequence < end; sequence += 1) {
      if (this.#settleInRun(queue, run, sequence)) last = sequence;
    }
    return last;
  }

  /** The same in a step, but for the states. */
  #settleWithin(queue: QueueIndex, run: Run, start: number, end: number): number {
    const last = run.lastLive(end);
    const base = run.slotBase - run.first;
    this.#countSettled(queue, run, run.row.settleSlots(start + base, end + base));
    return last;
  }

  #countSettled(queue: QueueIndex, run: Run, count: number): void {
    const { row } = run;
    run.liveCount -= count;
    this.liveCount -= count;
    this.liveBytes -= row.entryBytes * count;
    if (row.liveCount === 0) {
      this.#countShape(row, -1);
      this.#buryRow(row);
    }
    if (run.liveCount === 0) queue.runEmptied();
  }

  #forgetState(queue: QueueIndex, sequence: number): void {
    if (this.states.remove(queue, sequence)) this.staleStates.push(queue.id, sequence);
  }

  #countShape(row: JournalRow, sign: 1 | -1): void {
    if (this.isThin(row)) this.thinCount += sign;
    else if (row.isScattered) this.scatteredBytes += sign * row.totalBytes;
  }

  #buryRow(row: JournalRow): void {
    this.runCount -= row.runCount;
    if (row.fault !== undefined) {
      this.hasDeadFault = true;
      this.hasDamage = true;
    }
    this.deadRows.push(row);
    this.deadBytes += row.totalBytes;
  }

  #noteDirty(row: JournalRow, factRowId: number): void {
    if (row.dirtyFrom !== 0) return;
    row.dirtyFrom = factRowId;
    this.dirtyRows.add(row);
  }
}

/** The live entries in [first, end) that have a state, ascending. */
function statesWithin(queue: QueueIndex, first: number, end: number): Float64Array {
  const found: number[] = [];
  for (const sequence of queue.states?.keys() ?? []) {
    if (sequence >= first && sequence < end && queue.isLive(sequence)) found.push(sequence);
  }
  return Float64Array.from(found).sort();
}
