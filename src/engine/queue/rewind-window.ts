/**
 * Messages kept after their settlement, so that consumption can be taken back: the rewind window.
 *
 *   settled ---park---> PARKED (timed-entries.ts, by time of publishing)
 *                         |                 |
 *          older than the window: dropped   takeFrom: handed out, settled here, a turn's share
 *                                           at a time
 *
 * A parked message is an entry of its own under the queue's id + REWIND_ID_OFFSET: the place it
 * had in the queue may be taken by the time it comes back. Parking it and settling it there happen
 * in one synchronous run, and so do handing it out and settling it here, so that after a crash it
 * is in exactly one of the two places.
 *
 * What a `takeFrom` is to give back is what was parked when it was called. It gives that back
 * though it leaves the window before its turn has come; what is parked meanwhile stays.
 */
import {
  REWIND_DROPS_PER_TURN,
  REWIND_RESIDENT_BYTES,
  REWIND_RESIDENT_ENTRIES,
  REWIND_RETURNS_PER_TURN,
  REWIND_SKIPS_PER_TURN,
} from '../../base/limits.ts';
import type { Entry, Message } from '../message.ts';
import type { QueueId, RecoveredQueue, Store } from '../ports.ts';
import { TIMED_PAGE_ENTRIES, TimedEntries } from './timed-entries.ts';

/** Store id of the parked entries, above those of the priority levels and of the delayed ones. */
export const REWIND_ID_OFFSET = 257;

const RESIDENT_LIMITS = { entries: REWIND_RESIDENT_ENTRIES, bytes: REWIND_RESIDENT_BYTES };

/** Pages kept while later messages of theirs are wanted: parked out of the order of publishing. */
const PAGES_KEPT_MAX = 16;

/** What a rewind window needs from its queue. */
export interface RewindHost {
  readonly store: Store;
  nowMs(): number;
  /** Asks for `expire` at that wall ms; in the next turn when it is past. */
  wake(atMs: number): void;
}

/** One `takeFrom`. */
interface Taking {
  /** Wall ms. */
  readonly fromMs: number;
  /** First sequence that was parked after the call. */
  readonly endSequence: number;
  readonly onMessage: (message: Message) => void;
  readonly done: (count: number) => void;
  count: number;
}

export class RewindWindow {
  readonly id: QueueId;
  readonly #host: RewindHost;
  readonly #entries: TimedEntries;
  #windowMs: number;
  /** The first is under way. */
  readonly #takings: Taking[];
  /** What it is to give back next, in that order; those before `#position` are done with. */
  #batch: number[];
  #position: number;
  /** It goes on in the next turn. */
  #isPaused: boolean;
  /** Read and not handed out yet, by sequence. */
  readonly #ahead: Map<number, Entry>;
  /** Pages that are in it. */
  #pageCount: number;

  /** @param id store id of the window: that of the queue + REWIND_ID_OFFSET */
  constructor(id: QueueId, host: RewindHost, rewindMs: number) {
    this.id = id;
    this.#host = host;
    this.#entries = new TimedEntries(id, host.store, RESIDENT_LIMITS);
    this.#windowMs = rewindMs;
    this.#takings = [];
    this.#batch = [];
    this.#position = 0;
    this.#isPaused = false;
    this.#ahead = new Map();
    this.#pageCount = 0;
  }

  /** Messages that can be had back, exactly, those being taken included. */
  get count(): number {
    return this.#entries.count;
  }

  /** Messages in memory. */
  get residentCount(): number {
    return this.#entries.residentCount;
  }

  /** Wall ms at which `expire` has something to do; Infinity: never. */
  get nextMs(): number {
    if (this.#isPaused) return 0;
    return this.#isWaitedFor ? Infinity : this.#endMs;
  }

  restore(recovered: RecoveredQueue): void {
    this.#entries.restore(recovered);
  }

  /**
   * Keeps a message that the caller settles in the same run, unless it is too old already. The
   * caller sees to `expire` at `nextMs`. Returns the sequence here; 0 when it was not kept.
   */
  park(message: Message): number {
    if (message.publishedAtMs + this.#windowMs <= this.#host.nowMs()) return 0;
    return this.#entries.put(message, message.publishedAtMs, true).sequence;
  }

  /** Another length of the window, in ms: drops what is outside; 0 drops all. */
  setWindow(rewindMs: number): void {
    this.#windowMs = rewindMs;
    if (rewindMs <= 0) this.#entries.clear();
    else this.#dropOld(this.#host.nowMs());
  }

  /** Drops what has left the window and goes on giving back, at most a turn's share of each. */
  expire(nowMs: number): void {
    this.#dropOld(nowMs);
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#proceed();
  }

  /**
   * Hands out what was published at or after `fromMs`, in the order of publishing, and settles
   * each message here when `onMessage` returns. Calls `done` with their number, at once when they
   * are few and in memory; after an earlier `takeFrom` that is under way.
   */
  takeFrom(
    fromMs: number,
    onMessage: (message: Message) => void,
    done: (count: number) => void,
  ): void {
    const insideMs = this.#host.nowMs() - this.#windowMs + 1;
    const endSequence = this.#entries.nextSequence;
    const taking = { fromMs: Math.max(fromMs, insideMs), endSequence, onMessage, done, count: 0 };
    this.#takings.push(taking);
    if (this.#takings.length > 1) return;
    this.#begin(taking);
    this.#proceed();
  }

  /** The entry of a parked message, read when need be; undefined when it is not here. */
  read(sequence: number, done: (entry: Entry | undefined) => void): void {
    this.#entries.read(sequence, done);
  }

  /** Removes everything; returns how many. */
  clear(): number {
    return this.#entries.clear();
  }

  /** The queue was deleted: forgets everything, on disk as well. */
  drop(): void {
    this.#entries.drop();
    // No `expire` comes any more: who waits is told what there was until now.
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#proceed();
  }

  /** Wall ms at which the oldest that is not being taken leaves the window. */
  get #endMs(): number {
    return this.#entries.nextMs + this.#windowMs;
  }

  /** A `takeFrom` waits: nobody has told yet what is for it. */
  get #isWaitedFor(): boolean {
    return this.#takings.length > 1;
  }

  #dropOld(nowMs: number): void {
    if (this.#isWaitedFor) return;
    for (let budget = REWIND_DROPS_PER_TURN; budget > 0; budget -= 1) {
      if (this.#endMs > nowMs) return;
      this.#entries.end(this.#entries.take());
    }
  }

  #begin({ fromMs }: Taking): void {
    this.#clearBatch();
    this.#entries.split(fromMs);
  }

  /** Goes on until a message must be read, or the turn's share is done. */
  #proceed(): void {
    let budget = REWIND_RETURNS_PER_TURN;
    let taking = this.#takings[0];
    while (taking !== undefined) {
      const sequence = this.#batch[this.#position];
      if (sequence === undefined) {
        this.#clearBatch();
        const isAll = budget > 0 && this.#fillBatch(taking, budget);
        if (this.#batch.length > 0) continue;
        if (!isAll) {
          this.#pause();
          return;
        }
        taking = this.#finish(taking);
        continue;
      }
      // What was cleared or dropped meanwhile is not taken any more.
      if (this.#entries.isTaken(sequence)) {
        const entry = this.#entries.inMemory(sequence) ?? this.#ahead.get(sequence);
        if (entry === undefined) {
          this.#readPage(sequence);
          return;
        }
        this.#ahead.delete(sequence);
        taking.onMessage(entry.message);
        this.#entries.end(sequence);
        taking.count += 1;
      }
      this.#position += 1;
      budget -= 1;
    }
    this.#forgetPages();
    this.#host.wake(this.nextMs);
  }

  /** Takes at most so many to give back next; true when there are no more. */
  #fillBatch({ endSequence }: Taking, maxCount: number): boolean {
    this.#clearBatch();
    if (this.#entries.sortOut(REWIND_SKIPS_PER_TURN) === 0) return false;
    for (let looks = 0; looks < maxCount; looks += 1) {
      const sequence = this.#entries.takeLate(endSequence);
      if (sequence === -1) return true;
      if (sequence > 0) this.#batch.push(sequence);
    }
    return false;
  }

  #clearBatch(): void {
    this.#batch = [];
    this.#position = 0;
  }

  /** Tells the end of the first taking; returns the next, which has begun. */
  #finish(taking: Taking): Taking | undefined {
    // Stays the first meanwhile, so that a `takeFrom` made in there waits for its turn.
    taking.done(taking.count);
    this.#takings.shift();
    const next = this.#takings[0];
    if (next !== undefined) this.#begin(next);
    return next;
  }

  #pause(): void {
    this.#isPaused = true;
    this.#host.wake(0);
  }

  #forgetPages(): void {
    this.#ahead.clear();
    this.#pageCount = 0;
  }

  /** Those before it in its page may follow it in the order of publishing. */
  #readPage(sequence: number, from = sequence - (sequence % TIMED_PAGE_ENTRIES)): void {
    this.#entries.readPage(from, (entries) => {
      if (this.#ahead.size === 0 || this.#pageCount === PAGES_KEPT_MAX) this.#forgetPages();
      this.#pageCount += 1;
      // Others of the page may be wanted later, when they are taken.
      for (const entry of entries) this.#ahead.set(entry.sequence, entry);
      if (!this.#ahead.has(sequence) && this.#entries.isTaken(sequence)) {
        // The page was too large to come whole.
        if (from < sequence) {
          this.#readPage(sequence, sequence);
          return;
        }
        // A damaged row was set aside by the store: the message is lost.
        this.#entries.end(sequence);
      }
      this.#proceed();
    });
  }
}
