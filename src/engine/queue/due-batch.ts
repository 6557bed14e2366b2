/**
 * Entries that are due and lie on disk, read together: they come due in an order of their own, but
 * rows hold them in that of publishing, so those of one row are read one after the other. What has
 * been read waits here until all has, and leaves in the order of due times.
 *
 * How many are taken at once follows from their size: as many as DELAYED_RESIDENT_BYTES hold.
 */
import { DELAYED_RESIDENT_BYTES, DELAYED_RESIDENT_ENTRIES } from '../../base/limits.ts';
import type { Entry } from '../message.ts';
import type { TimedEntries } from './timed-entries.ts';

/** Entries of the first batch, whose sizes nobody knows. */
const FIRST_LIMIT = 64;
/** Growth from one batch to the next at most. */
const GROWTH = 4;

export class DueBatch {
  readonly #entries: TimedEntries;
  /** In the order of due times; before `#at` they have left. */
  #sequences: number[];
  #at: number;
  readonly #read: Map<number, Entry>;
  #readBytes: number;
  #readCount: number;
  #limit: number;

  constructor(entries: TimedEntries) {
    this.#entries = entries;
    this.#sequences = [];
    this.#at = 0;
    this.#read = new Map();
    this.#readBytes = 0;
    this.#readCount = 0;
    this.#limit = FIRST_LIMIT;
  }

  /** Reads are under way. */
  get isReading(): boolean {
    return this.#readCount > 0;
  }

  /** Nothing is left to leave. */
  get isEmpty(): boolean {
    return this.#at === this.#sequences.length;
  }

  /** Takes what is due, in memory or not, and reads it; `done` when all has come. */
  fill(nowMs: number, done: () => void): void {
    const entries = this.#entries;
    this.#sequences = [];
    this.#at = 0;
    this.#readBytes = 0;
    const unread: number[] = [];
    while (entries.nextMs <= nowMs && this.#sequences.length < this.#limit) {
      const sequence = entries.take();
      this.#sequences.push(sequence);
      const resident = entries.inMemory(sequence);
      // It may be let go before its turn comes.
      if (resident === undefined) unread.push(sequence);
      else this.#read.set(sequence, resident);
    }
    unread.sort((a, b) => a - b);
    this.#readCount = unread.length;
    for (const sequence of unread) {
      entries.read(sequence, (entry) => {
        this.#readCount -= 1;
        if (entry !== undefined) this.#note(entry);
        if (this.#readCount > 0) return;
        this.#adapt(unread.length);
        done();
      });
    }
  }

  /** The next one to leave, when nothing is being read; skips what is not due any more. */
  next(): Entry | undefined {
    while (!this.isEmpty) {
      const sequence = this.#sequences[this.#at]!;
      this.#at += 1;
      const entry = this.#read.get(sequence);
      this.#read.delete(sequence);
      // Cancelled or re-timed since.
      if (!this.#entries.isTaken(sequence)) continue;
      if (entry !== undefined) return entry;
      // The store set a damaged row aside: what was in it is lost.
      this.#entries.end(sequence);
    }
    return undefined;
  }

  #note(entry: Entry): void {
    this.#read.set(entry.sequence, entry);
    this.#readBytes += entry.message.headerBytes + entry.message.bodyBytes;
  }

  #adapt(count: number): void {
    const isFull = this.#sequences.length === this.#limit;
    const fitting = Math.floor((DELAYED_RESIDENT_BYTES * count) / Math.max(1, this.#readBytes));
    const wanted = isFull ? GROWTH * this.#limit : this.#limit;
    this.#limit = Math.max(1, Math.min(wanted, fitting, DELAYED_RESIDENT_ENTRIES));
  }
}
