/**
 * Messages waiting for their due time: at an `x-delayed-message` exchange, or before a queue.
 *
 *   publish ---> DELAYED (heap of due times) ---> due: released, settled here
 *
 * A due time costs sixteen bytes of heap; the message itself is let go once it is on disk and the
 * resident set is large, and read back when it falls due. Releasing at the due time and settling
 * here happen in one synchronous run, so a crash either delays once more or not at all.
 */
import { DeadlineHeap } from '../../base/deadline-heap.ts';
import { DELAYED_RESIDENT_ENTRIES, DELAYED_RELEASES_PER_TURN } from '../../base/limits.ts';
import { ENTRY_DELAYED, Entry, STORE_NONE, STORE_WRITTEN } from '../message.ts';
import type { Message } from '../message.ts';
import type { QueueId, RecoveredQueue, Store } from '../ports.ts';
import { ENQUEUED, ENQUEUED_DURABLE } from './queue.ts';

/** What a delay queue needs from its vhost. */
export interface DelayHost {
  readonly store: Store;
  /** Asks for `tick` at or soon after `atMs`. */
  wakeDelayAt(queue: DelayQueue, atMs: number): void;
}

export class DelayQueue {
  readonly id: QueueId;
  readonly #host: DelayHost;
  /** Takes a message that fell due. */
  readonly #release: (message: Message) => void;
  /** Due time and sequence. */
  readonly #due: DeadlineHeap<number>;
  readonly #resident: Map<number, Entry>;
  #nextSequence: number;
  #isDropped: boolean;

  constructor(id: QueueId, host: DelayHost, release: (message: Message) => void) {
    this.id = id;
    this.#host = host;
    this.#release = release;
    this.#due = new DeadlineHeap();
    this.#resident = new Map();
    this.#nextSequence = 1;
    this.#isDropped = false;
  }

  /** True once it was dropped: no tick is wanted any more. */
  get isDeleted(): boolean {
    return this.#isDropped;
  }

  /** Messages that wait. */
  get count(): number {
    return this.#due.length;
  }

  restore(recovered: RecoveredQueue): void {
    this.#nextSequence = recovered.nextSequence;
    for (const { sequence, notBeforeMs } of recovered.delayed) {
      this.#due.push(notBeforeMs, sequence);
    }
    if (this.#due.length > 0) this.#host.wakeDelayAt(this, this.#due.nextKey);
  }

  /** Keeps `message` until `dueAtMs`. Returns ENQUEUED or ENQUEUED_DURABLE. */
  publish(message: Message, dueAtMs: number, isDurable: boolean): number {
    const entry = new Entry(message, this.#nextSequence, Infinity);
    this.#nextSequence += 1;
    entry.state = ENTRY_DELAYED;
    entry.notBeforeMs = dueAtMs;
    if (isDurable) this.#host.store.put(this.id, entry, true);
    this.#resident.set(entry.sequence, entry);
    const isNext = dueAtMs < this.#due.nextKey;
    this.#due.push(dueAtMs, entry.sequence);
    if (isNext) this.#host.wakeDelayAt(this, dueAtMs);
    if (this.#resident.size > DELAYED_RESIDENT_ENTRIES) this.#letGo();
    return isDurable ? ENQUEUED_DURABLE : ENQUEUED;
  }

  /** Releases what is due, at most a turn's share. */
  tick(nowMs: number): void {
    if (this.#isDropped) return;
    for (let budget = DELAYED_RELEASES_PER_TURN; budget > 0; budget -= 1) {
      if (this.#due.nextKey > nowMs) break;
      const sequence = this.#due.pop()!;
      const entry = this.#resident.get(sequence);
      if (entry === undefined) this.#readAndRelease(sequence);
      else this.#releaseEntry(entry);
    }
    if (this.#due.length > 0) this.#host.wakeDelayAt(this, this.#due.nextKey);
  }

  /** The exchange was deleted: what waits is lost, as with RabbitMQ's plugin. */
  drop(): void {
    this.#isDropped = true;
    this.#due.clear();
    this.#resident.clear();
    this.#host.store.dropQueue(this.id);
  }

  #releaseEntry(entry: Entry): void {
    this.#resident.delete(entry.sequence);
    this.#release(entry.message);
    if (entry.storeState !== STORE_NONE) this.#host.store.settle(this.id, entry);
  }

  #readAndRelease(sequence: number): void {
    this.#host.store.read(this.id, sequence, 1, 1, (entries) => {
      const entry = entries[0];
      if (entry?.sequence === sequence && !this.#isDropped) this.#releaseEntry(entry);
    });
  }

  /** Forgets the oldest entries that are surely on disk. */
  #letGo(): void {
    let budget = 64;
    for (const [sequence, entry] of this.#resident) {
      budget -= 1;
      if (budget === 0) return;
      if (entry.storeState === STORE_WRITTEN && this.#isReadable(sequence)) {
        this.#resident.delete(sequence);
      }
    }
  }

  /** True when the commit of the entry is complete: the store's index knows it. */
  #isReadable(sequence: number): boolean {
    return this.#host.store.firstLive(this.id, sequence) === sequence;
  }
}
