/**
 * Where the entries of one queue lie: runs sorted by first sequence, never overlapping.
 *
 * Settling hits the first run nearly always; otherwise the run is found by binary search. Empty
 * runs leave at the head at once and elsewhere when they are half of the list.
 */
import type { NumberMap } from '../../base/number-map.ts';
import type { QueueId } from '../../engine/ports.ts';
import type { Run } from './journal-row.ts';

export class QueueIndex {
  readonly id: QueueId;
  /** Sorted by `first`; those below `head` are empty. */
  runs: Run[];
  head: number;
  #emptyCount: number;
  /** One above the highest sequence ever stored. */
  nextSequence: number;
  /** Row that proves `nextSequence`; 0 when table `queue_mark` does. */
  sequenceRowId: number;
  deliveredBelow: number;
  /** Row with the newest mark; 0 when table `queue_mark` has it. */
  markRowId: number;
  isDropped: boolean;
  /** Slots of entry states (entry-states.ts) by sequence. */
  states: NumberMap | undefined;

  /** Buffered settlements as pairs [first, end), in call order. */
  settled: number[];
  isMarkBuffered: boolean;
  /** In the write buffer's list of queues with settlements or a mark. */
  isListed: boolean;
  /** Lowest sequence among buffered puts; Infinity when there are none. */
  pendingFirst: number;

  /** Working fields of the row builder: entries of this queue, and the next free slot. */
  buildCount: number;
  buildCursor: number;

  constructor(id: QueueId) {
    this.id = id;
    this.runs = [];
    this.head = 0;
    this.#emptyCount = 0;
    this.nextSequence = 1;
    this.sequenceRowId = 0;
    this.deliveredBelow = 0;
    this.markRowId = 0;
    this.isDropped = false;
    this.states = undefined;
    this.settled = [];
    this.isMarkBuffered = false;
    this.isListed = false;
    this.pendingFirst = Infinity;
    this.buildCount = 0;
    this.buildCursor = 0;
  }

  /** Adds a run; usually the last one. */
  addRun(run: Run): void {
    const { runs } = this;
    const last = runs[runs.length - 1];
    if (last === undefined || last.first < run.first) runs.push(run);
    else runs.splice(this.#upperBound(run.first), 0, run);
  }

  /** The run that holds `sequence`, settled or not. */
  find(sequence: number): Run | undefined {
    const first = this.runs[this.head];
    if (first === undefined) return undefined;
    if (sequence >= first.first && sequence < first.first + first.count) return first;
    const at = this.#upperBound(sequence) - 1;
    // Below the head only empty runs are left, in no order that matters.
    if (at < this.head) return undefined;
    const run = this.runs[at]!;
    return sequence < run.first + run.count ? run : undefined;
  }

  /** Whether the entry is stored and not settled. */
  isLive(sequence: number): boolean {
    const run = this.find(sequence);
    return run !== undefined && !run.row.isSettled(run.slotBase + (sequence - run.first));
  }

  /** Index of the first run that may hold a sequence >= `from`. */
  indexFrom(from: number): number {
    const at = this.#upperBound(from) - 1;
    const run = this.runs[at];
    const index = run !== undefined && from < run.first + run.count ? at : at + 1;
    return Math.max(index, this.head);
  }

  /** The first run with a live entry >= `from`. */
  firstLiveRun(from: number): Run | undefined {
    for (let i = this.indexFrom(from); i < this.runs.length; i += 1) {
      const run = this.runs[i]!;
      if (run.liveCount > 0 && run.firstLive(from) !== Infinity) return run;
    }
    return undefined;
  }

  /** Lowest live sequence >= `from`, or Infinity. */
  firstLive(from: number): number {
    return this.firstLiveRun(from)?.firstLive(from) ?? Infinity;
  }

  get liveCount(): number {
    let count = 0;
    for (let i = this.head; i < this.runs.length; i += 1) count += this.runs[i]!.liveCount;
    return count;
  }

  /** A run has lost its last entry. */
  runEmptied(): void {
    const { runs } = this;
    this.#emptyCount += 1;
    while (this.head < runs.length && runs[this.head]!.liveCount === 0) this.head += 1;
    const areAllEmpty = this.head === runs.length;
    const areMany = this.#emptyCount > 32 && this.#emptyCount * 2 > runs.length;
    // Empty runs hold their rows in memory: an idle queue keeps none.
    if (areAllEmpty || areMany) this.#compact();
  }

  /** Exchanges the runs of moved rows within [first, end) for `moved`, sorted by `first`. */
  replaceMoved(first: number, end: number, moved: readonly Run[]): void {
    const low = this.indexFrom(first);
    let high = low;
    while (high < this.runs.length && this.runs[high]!.first < end) high += 1;
    const kept = this.runs.slice(low, high).filter((run) => !run.row.isVictim);
    const merged = [...kept, ...moved].sort((a, b) => a.first - b.first);
    this.runs = [...this.runs.slice(this.head, low), ...merged, ...this.runs.slice(high)];
    this.head = 0;
    this.#compact();
  }

  #compact(): void {
    this.runs = this.runs.filter((run) => run.liveCount > 0);
    this.head = 0;
    this.#emptyCount = 0;
  }

  /** Index of the first run whose `first` is above `sequence`. */
  #upperBound(sequence: number): number {
    const { runs } = this;
    let low = this.head;
    let high = runs.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (runs[middle]!.first <= sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
