/**
 * Messages kept after their settlement, so that consumption can be taken back: the rewind window.
 *
 *   settled ---park---> PARKED (timed-entries.ts, by time of publishing)
 *                         |                 |
 *          older than the window: dropped   takeFrom: handed out, settled here
 *
 * A parked message is an entry of its own under the queue's id + REWIND_ID_OFFSET: the place it
 * had in the queue may be taken by the time it comes back. Parking it and settling it there happen
 * in one synchronous run, and so do handing it out and settling it here, so that after a crash it
 * is in exactly one of the two places.
 *
 * Nothing here asks for time: the queue calls `expire` at `nextMs`.
 */
import {
  REWIND_DROPS_PER_TURN,
  REWIND_RESIDENT_BYTES,
  REWIND_RESIDENT_ENTRIES,
} from '../../base/limits.ts';
import type { Entry, Message } from '../message.ts';
import type { QueueId, RecoveredQueue, Store } from '../ports.ts';
import { TimedEntries } from './timed-entries.ts';

/** Store id of the parked entries, above those of the priority levels and of the delayed ones. */
export const REWIND_ID_OFFSET = 257;

const RESIDENT_LIMITS = { entries: REWIND_RESIDENT_ENTRIES, bytes: REWIND_RESIDENT_BYTES };

/** Pages kept while later messages of theirs are wanted: parked out of the order of publishing. */
const PAGES_KEPT_MAX = 16;

/** What a rewind window needs from its queue. */
export interface RewindHost {
  readonly store: Store;
  nowMs(): number;
}

/** One `takeFrom`: what is left of it is taken in order, page by page. */
interface Taking {
  readonly sequences: readonly number[];
  readonly onMessage: (message: Message) => void;
  readonly done: (count: number) => void;
  position: number;
  count: number;
}

export class RewindWindow {
  readonly id: QueueId;
  readonly #host: RewindHost;
  readonly #entries: TimedEntries;
  #windowMs: number;
  /** The first is under way. */
  readonly #takings: Taking[];
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
    this.#ahead = new Map();
    this.#pageCount = 0;
  }

  /** Messages that can be had back, exactly, those being read included. */
  get count(): number {
    return this.#entries.count;
  }

  /** Messages in memory. */
  get residentCount(): number {
    return this.#entries.residentCount;
  }

  /** Wall ms at which the oldest leaves the window; Infinity when it is empty. */
  get nextMs(): number {
    return this.#entries.nextMs + this.#windowMs;
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
    else this.expire(this.#host.nowMs());
  }

  /** Drops what has left the window, at most a turn's share: `nextMs` says when to call again. */
  expire(nowMs: number): void {
    for (let budget = REWIND_DROPS_PER_TURN; budget > 0; budget -= 1) {
      if (this.nextMs > nowMs) return;
      this.#entries.end(this.#entries.take());
    }
  }

  /**
   * Hands out what was published at or after `fromMs`, in the order of publishing, and settles
   * each message here when `onMessage` returns. Calls `done` with their number, at once when all
   * are in memory; after an earlier `takeFrom` that is still reading.
   */
  takeFrom(
    fromMs: number,
    onMessage: (message: Message) => void,
    done: (count: number) => void,
  ): void {
    const insideMs = this.#host.nowMs() - this.#windowMs + 1;
    const sequences = this.#entries.takeFrom(Math.max(fromMs, insideMs));
    this.#takings.push({ sequences, onMessage, done, position: 0, count: 0 });
    if (this.#takings.length === 1) this.#proceed();
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
  }

  /** Goes on until a message must be read. */
  #proceed(): void {
    let taking = this.#takings[0];
    while (taking !== undefined) {
      const sequence = taking.sequences[taking.position];
      if (sequence === undefined) {
        // Stays the first meanwhile, so that a `takeFrom` made in there waits for its turn.
        taking.done(taking.count);
        this.#takings.shift();
        taking = this.#takings[0];
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
      taking.position += 1;
    }
    this.#forgetPages();
  }

  #forgetPages(): void {
    this.#ahead.clear();
    this.#pageCount = 0;
  }

  #readPage(sequence: number): void {
    this.#entries.readPage(sequence, (entries) => {
      if (this.#ahead.size === 0 || this.#pageCount === PAGES_KEPT_MAX) this.#forgetPages();
      this.#pageCount += 1;
      for (const entry of entries) {
        if (this.#entries.isTaken(entry.sequence)) this.#ahead.set(entry.sequence, entry);
      }
      // A damaged row was set aside by the store: the message is lost.
      const isLost = !this.#ahead.has(sequence) && this.#entries.isTaken(sequence);
      if (isLost) this.#entries.end(sequence);
      this.#proceed();
    });
  }
}
