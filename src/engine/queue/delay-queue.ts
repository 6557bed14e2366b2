/**
 * Messages waiting for their due time: at an `x-delayed-message` exchange, or before a queue.
 *
 *   publish ---> DELAYED (heap of due times) ---> due: released, settled here
 *
 * A due time costs some 24 bytes of heap; the message itself, transient or not, is let go once it
 * is on disk and the resident set is large, and read back when it falls due. Releasing at the due
 * time and settling here happen in one synchronous run, so a crash either delays once more or not
 * at all.
 *
 * Messages leave in the order of their due times, equal ones in that of publishing: while some are
 * being read, later ones wait.
 */
import { DeadlineHeap } from '../../base/deadline-heap.ts';
import {
  DELAYED_RELEASES_PER_TURN,
  DELAYED_RESIDENT_BYTES,
  DELAYED_RESIDENT_ENTRIES,
} from '../../base/limits.ts';
import { ENTRY_DELAYED, Entry, STORE_WRITTEN } from '../message.ts';
import type { Message } from '../message.ts';
import type { QueueId, RecoveredQueue, Store } from '../ports.ts';
import { ENQUEUED, ENQUEUED_DURABLE } from './queue.ts';

/** Part of the limits down to which memory is freed once it is above them. */
const LET_GO_TO = 7 / 8;

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
  /** By sequence, oldest first. */
  readonly #resident: Map<number, Entry>;
  #residentBytes: number;
  /** Reads under way of messages that are due. */
  #readCount: number;
  #nextSequence: number;
  #isDropped: boolean;

  constructor(id: QueueId, host: DelayHost, release: (message: Message) => void) {
    this.id = id;
    this.#host = host;
    this.#release = release;
    this.#due = new DeadlineHeap();
    this.#resident = new Map();
    this.#residentBytes = 0;
    this.#readCount = 0;
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

  /** Messages in memory. */
  get residentCount(): number {
    return this.#resident.size;
  }

  /** Bytes of the messages in memory. */
  get residentBytes(): number {
    return this.#residentBytes;
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
    this.#host.store.put(this.id, entry, isDurable);
    this.#resident.set(entry.sequence, entry);
    this.#residentBytes += bytesOf(message);
    const isNext = dueAtMs < this.#due.nextKey;
    this.#due.push(dueAtMs, entry.sequence);
    if (isNext) this.#host.wakeDelayAt(this, dueAtMs);
    if (this.#holdsMoreThan(1)) this.#letGo();
    return isDurable ? ENQUEUED_DURABLE : ENQUEUED;
  }

  /** Releases what is due, at most a turn's share. */
  tick(nowMs: number): void {
    if (this.#isDropped || this.#readCount > 0) return;
    for (let budget = DELAYED_RELEASES_PER_TURN; budget > 0; budget -= 1) {
      if (this.#due.nextKey > nowMs) break;
      const entry = this.#resident.get(this.#due.peek()!);
      if (entry !== undefined && this.#readCount > 0) break;
      const sequence = this.#due.pop()!;
      if (entry === undefined) this.#readAndRelease(sequence);
      else this.#releaseEntry(entry);
    }
    this.#wakeForNext();
  }

  /** The exchange was deleted: what waits is lost, as with RabbitMQ's plugin. */
  drop(): void {
    this.#isDropped = true;
    this.#due.clear();
    this.#resident.clear();
    this.#residentBytes = 0;
    this.#host.store.dropQueue(this.id);
  }

  /** While messages are being read the next wake-up is asked for when they have come. */
  #wakeForNext(): void {
    if (this.#readCount > 0 || this.#due.length === 0) return;
    this.#host.wakeDelayAt(this, this.#due.nextKey);
  }

  #releaseEntry(entry: Entry): void {
    this.#forget(entry);
    this.#release(entry.message);
    this.#host.store.settle(this.id, entry);
  }

  #readAndRelease(sequence: number): void {
    this.#readCount += 1;
    this.#host.store.read(this.id, sequence, 1, 1, (entries) => {
      this.#readCount -= 1;
      if (this.#isDropped) return;
      const entry = entries[0];
      if (entry?.sequence === sequence) this.#releaseEntry(entry);
      this.#wakeForNext();
    });
  }

  /** Forgets the oldest entries that are surely on disk while there are too many or too large. */
  #letGo(): void {
    for (const entry of this.#resident.values()) {
      if (entry.storeState !== STORE_WRITTEN || !this.#holdsMoreThan(LET_GO_TO)) return;
      if (!this.#isReadable(entry.sequence)) return;
      this.#forget(entry);
    }
  }

  /** True when more than that part of either limit is in memory. */
  #holdsMoreThan(part: number): boolean {
    if (this.#resident.size > part * DELAYED_RESIDENT_ENTRIES) return true;
    return this.#residentBytes > part * DELAYED_RESIDENT_BYTES;
  }

  #forget(entry: Entry): void {
    if (this.#resident.delete(entry.sequence)) this.#residentBytes -= bytesOf(entry.message);
  }

  /** True when the commit of the entry has begun: a read finds it. */
  #isReadable(sequence: number): boolean {
    return this.#host.store.firstLive(this.id, sequence) === sequence;
  }
}

function bytesOf(message: Message): number {
  return message.headerBytes + message.bodyBytes;
}
