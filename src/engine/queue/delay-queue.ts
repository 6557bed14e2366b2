/**
 * Messages waiting for their due time: at an `x-delayed-message` exchange, or before a queue.
 *
 *   publish ---> DELAYED (timed-entries.ts) ---> due: released, settled here
 *                    |  ^ re-timed           +-> cancelled, or too old: dropped
 *
 * A due time costs 16 bytes of memory once the message is on disk and many wait. Releasing at the
 * due time and settling here happen in one synchronous run, so a crash either delays once more or
 * not at all.
 *
 * Messages leave in the order of their due times, equal ones in that of publishing: while some are
 * being read, later ones wait. A sequence names a message for as long as it waits, restarts
 * included.
 *
 * Retention counts from publishing, so it ends in the order of sequences: only the oldest message
 * is ever asked for its age.
 */
import {
  DELAYED_RELEASES_PER_TURN,
  DELAYED_RESIDENT_BYTES,
  DELAYED_RESIDENT_ENTRIES,
} from '../../base/limits.ts';
import type { Entry, Message } from '../message.ts';
import type { QueueId, RecoveredQueue, Store } from '../ports.ts';
import { ENQUEUED, ENQUEUED_DURABLE } from './queue.ts';
import { ReadAhead } from './read-ahead.ts';
import { TimedEntries } from './timed-entries.ts';

const RESIDENT_LIMITS = { entries: DELAYED_RESIDENT_ENTRIES, bytes: DELAYED_RESIDENT_BYTES };

/** What a delay queue needs from its vhost. */
export interface DelayHost {
  readonly store: Store;
  /** Asks for `tick` at or soon after `atMs`. */
  wakeDelayAt(queue: DelayQueue, atMs: number): void;
}

/** A message that waits, as a list shows it. */
export interface DelayedItem {
  readonly sequence: number;
  /** Wall ms. */
  readonly dueAtMs: number;
}

export interface DelayOptions {
  /** Told of each message that retention dropped. */
  readonly dropped?: (message: Message) => void;
}

export class DelayQueue {
  readonly id: QueueId;
  readonly #host: DelayHost;
  /** Takes a message that fell due. */
  readonly #release: (message: Message) => void;
  readonly #dropped: ((message: Message) => void) | undefined;
  readonly #entries: TimedEntries;
  /** What is on disk and due soon. */
  readonly #ahead: ReadAhead;
  /** Ms after publishing at which a message is dropped; Infinity: never. */
  #retentionMs: number;
  /** Wall ms before which nothing is old enough to be dropped. */
  #expiresAtMs: number;
  /** A read of the oldest messages is under way. */
  #isExpiring: boolean;
  /** Wall ms of the last tick. */
  #nowMs: number;
  #isDropped: boolean;

  constructor(
    id: QueueId,
    host: DelayHost,
    release: (message: Message) => void,
    options: DelayOptions = {},
  ) {
    this.id = id;
    this.#host = host;
    this.#release = release;
    this.#dropped = options.dropped;
    this.#entries = new TimedEntries(id, host.store, RESIDENT_LIMITS);
    this.#ahead = new ReadAhead(this.#entries);
    this.#retentionMs = Infinity;
    this.#expiresAtMs = Infinity;
    this.#isExpiring = false;
    this.#nowMs = 0;
    this.#isDropped = false;
  }

  /** True once it was dropped: no tick is wanted any more. */
  get isDeleted(): boolean {
    return this.#isDropped;
  }

  /** Messages that wait, exactly. */
  get count(): number {
    return this.#entries.count;
  }

  /** Messages in memory. */
  get residentCount(): number {
    return this.#entries.residentCount;
  }

  /** Bytes of the messages in memory. */
  get residentBytes(): number {
    return this.#entries.residentBytes;
  }

  /** Sequence the next message gets. */
  get nextSequence(): number {
    return this.#entries.nextSequence;
  }

  restore(recovered: RecoveredQueue): void {
    this.#entries.restore(recovered);
    this.#lookAtOldest();
    this.#wakeForNext();
  }

  /** Keeps `message` until `dueAtMs`. Returns ENQUEUED or ENQUEUED_DURABLE. */
  publish(message: Message, dueAtMs: number, isDurable: boolean): number {
    const nextMs = this.#nextMs();
    this.#entries.put(message, dueAtMs, isDurable);
    const endsAtMs = message.publishedAtMs + this.#retentionMs;
    if (endsAtMs < this.#expiresAtMs) this.#expiresAtMs = endsAtMs;
    if (this.#nextMs() < nextMs) this.#wakeForNext();
    return isDurable ? ENQUEUED_DURABLE : ENQUEUED;
  }

  /** Drops what is too old and releases what is due, at most a turn's share. */
  tick(nowMs: number): void {
    if (this.#isDropped) return;
    this.#nowMs = nowMs;
    this.#expire();
    let budget = DELAYED_RELEASES_PER_TURN;
    do {
      while (budget > 0 && this.#releaseNext()) budget -= 1;
    } while (this.#readOn() && budget > 0);
    this.#wakeForNext();
  }

  /** True for a message that waits. */
  has(sequence: number): boolean {
    return this.#entries.has(sequence);
  }

  /** What waits, in the order of due times, `offset` of them skipped. */
  list(offset: number, limit: number): DelayedItem[] {
    const items = this.#entries.list(offset, limit);
    return items.map(({ sequence, atMs }) => ({ sequence, dueAtMs: atMs }));
  }

  /**
   * The entry of a message that waits, its due time in `notBeforeMs`; undefined when it does not.
   * `done` runs at once unless the message must be read from disk.
   */
  read(sequence: number, done: (entry: Entry | undefined) => void): void {
    this.#entries.read(sequence, done);
  }

  /** Gives a message another due time, also one that is past; false when it does not wait. */
  retime(sequence: number, dueAtMs: number): boolean {
    if (!this.#entries.has(sequence)) return false;
    this.#entries.move(sequence, dueAtMs);
    this.#wakeForNext();
    return true;
  }

  /**
   * Takes a message back before it is due: settled here in the run in which `done` gets it.
   * `done` gets undefined when it does not wait (any more), in which case nothing has changed.
   */
  cancel(sequence: number, done: (message: Message | undefined) => void): void {
    this.#entries.read(sequence, (entry) => {
      if (entry !== undefined) this.#entries.end(sequence);
      done(entry?.message);
    });
  }

  /** Drops messages at this age, from now on; undefined: at none. */
  setRetention(retentionMs: number | undefined): void {
    const newMs = retentionMs ?? Infinity;
    if (newMs === this.#retentionMs) return;
    this.#retentionMs = newMs;
    this.#lookAtOldest();
    this.#wakeForNext();
  }

  /** Removes what waits; returns how many. */
  clear(): number {
    this.#ahead.clear();
    return this.#entries.clear();
  }

  /** The exchange or queue was deleted: what waits is lost, as with RabbitMQ's plugin. */
  drop(): void {
    this.#isDropped = true;
    this.#ahead.clear();
    this.#entries.drop();
  }

  /** Wall ms at which something is to be done, but for reads that are under way. */
  #nextMs(): number {
    const ahead = this.#ahead;
    let nextMs = this.#entries.nextMs;
    if (!ahead.isReading) nextMs = Math.min(nextMs, ahead.nextFillMs);
    else if (ahead.isHurried && this.#isNextMissing()) nextMs = Infinity;
    return this.#isExpiring ? nextMs : Math.min(nextMs, this.#expiresAtMs);
  }

  /** While messages are being read the next wake-up is asked for when they have come. */
  #wakeForNext(): void {
    const nextMs = this.#nextMs();
    if (nextMs !== Infinity) this.#host.wakeDelayAt(this, nextMs);
  }

  /** The next message must be read first. */
  #isNextMissing(): boolean {
    const next = this.#entries.nextInOrder;
    return next >= 0 && this.#ahead.find(next) === undefined && !this.#ahead.isLost(next);
  }

  /** Takes the next message when it is due and in memory; false when there is none. */
  #releaseNext(): boolean {
    if (this.#entries.nextMs > this.#nowMs || this.#isNextMissing()) return false;
    const sequence = this.#entries.take();
    const entry = this.#ahead.find(sequence);
    this.#ahead.forget(sequence);
    // The store set a damaged row aside: what was in it is lost.
    if (entry === undefined) this.#entries.end(sequence);
    else this.#releaseEntry(entry);
    return true;
  }

  /**
   * Begins to read what is due and not in memory, or else what soon will be. Returns true when it
   * came at once.
   */
  #readOn(): boolean {
    const ahead = this.#ahead;
    const isMissing = this.#entries.nextMs <= this.#nowMs && this.#isNextMissing();
    const isFillDue = !ahead.isReading && ahead.nextFillMs <= this.#nowMs;
    const isWanted = isMissing ? !ahead.isHurried : isFillDue;
    if (!isWanted) return false;
    return ahead.fill(this.#nowMs, isMissing, () => {
      if (!this.#isDropped) this.tick(this.#nowMs);
    });
  }

  #releaseEntry(entry: Entry): void {
    if (this.#isTooOld(entry)) {
      this.#dropEntry(entry);
      return;
    }
    this.#release(entry.message);
    this.#entries.end(entry.sequence);
  }

  /** The age of the oldest message is unknown: finds out in the next tick. */
  #lookAtOldest(): void {
    const mayExpire = this.#entries.count > 0 && this.#retentionMs !== Infinity;
    this.#expiresAtMs = mayExpire ? 0 : Infinity;
  }

  /** Drops the oldest messages for as long as they are too old. */
  #expire(): void {
    while (this.#nowMs >= this.#expiresAtMs && !this.#isExpiring) {
      const { oldest } = this.#entries;
      if (oldest === Infinity) {
        this.#expiresAtMs = Infinity;
        return;
      }
      const entry = this.#entries.inMemory(oldest);
      if (entry === undefined) this.#readAndExpire(oldest);
      else this.#dropOrWaitFor(entry);
    }
  }

  #readAndExpire(sequence: number): void {
    this.#isExpiring = true;
    this.#entries.readPage(sequence, (entries) => {
      this.#isExpiring = false;
      if (this.#isDropped) return;
      for (const entry of entries) {
        if (this.#nowMs < this.#expiresAtMs) break;
        if (this.#entries.has(entry.sequence)) this.#dropOrWaitFor(entry);
      }
      this.#wakeForNext();
    });
  }

  #dropOrWaitFor(oldest: Entry): void {
    if (this.#isTooOld(oldest)) this.#dropEntry(oldest);
    else this.#expiresAtMs = oldest.message.publishedAtMs + this.#retentionMs;
  }

  #isTooOld(entry: Entry): boolean {
    return entry.message.publishedAtMs + this.#retentionMs <= this.#nowMs;
  }

  #dropEntry(entry: Entry): void {
    this.#entries.end(entry.sequence);
    this.#dropped?.(entry.message);
  }
}
