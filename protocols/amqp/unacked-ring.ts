/**
 * What a channel has delivered and not yet seen settled: a ring in delivery-tag order.
 *
 *     tags:      [ .  .  17 18 20 21 .  . ]     19 went to a no-ack consumer: never entered
 *     states:    [ .  .  O  _  O  T  .  . ]     O outstanding, T settled in an open tx, _ hole;
 *                                               a delivery that took too long leaves its tag behind
 *                        ^ head        ^ head + length
 *
 * Invariants:
 *   1. Tags grow from head to tail, so a tag's place is at most `tag - firstTag` from the head:
 *      exactly there when no tag is missing, to the left of it otherwise (binary search).
 *   2. The slot at the head is never a hole.
 *   3. The ring grows only when more than half of it is live; else the holes are squeezed out, so
 *      one delivery that is never settled cannot make it grow for ever.
 *
 * Parallel arrays, not a record per delivery: entering and leaving allocate nothing. A slot
 * remembers the entry's generation, so that a settle after the lease was taken back is noticed.
 */
import type { Entry } from '../../src/engine/message.ts';
import type { Queue } from '../../src/engine/queue/queue.ts';
import type { AmqpConsumer } from './amqp-consumer.ts';

const INITIAL_CAPACITY = 16;
/** An empty ring of more slots than this gives them back. */
const KEPT_CAPACITY = 4_096;

export const SLOT_HOLE = 0;
/** Delivered, not settled. */
export const SLOT_OUTSTANDING = 1;
/** Settled inside a transaction that is neither committed nor rolled back. */
export const SLOT_IN_TX = 2;
/** Taken back because it was not settled in time: a settlement that still comes is ignored. */
export const SLOT_TIMED_OUT = 3;

export class UnackedRing {
  #tags: number[];
  #states: number[];
  #generations: number[];
  /** Monotonic ms by which it is to be settled. */
  #dueAtMs: number[];
  #entries: (Entry | undefined)[];
  #queues: (Queue | undefined)[];
  #consumers: (AmqpConsumer | undefined)[];
  #mask: number;
  #head: number;
  #length: number;
  #liveCount: number;

  constructor() {
    this.#tags = [];
    this.#states = [];
    this.#generations = [];
    this.#dueAtMs = [];
    this.#entries = [];
    this.#queues = [];
    this.#consumers = [];
    this.#mask = -1;
    this.#head = 0;
    this.#length = 0;
    this.#liveCount = 0;
  }

  /** Slots from the oldest unsettled delivery to the newest, holes included. */
  get length(): number {
    return this.#length;
  }

  /** Slots there is memory for. */
  get capacity(): number {
    return this.#mask + 1;
  }

  /** Deliveries that are not settled, or settled in an open transaction only, or timed out. */
  get liveCount(): number {
    return this.#liveCount;
  }

  /**
   * Enters a delivery at the tail.
   *
   * @param tag       greater than every tag entered before
   * @param consumer  undefined for basic.get
   * @param dueAtMs   monotonic ms by which it is to be settled; Infinity: whenever
   */
  push(
    tag: number,
    entry: Entry,
    queue: Queue,
    consumer: AmqpConsumer | undefined,
    dueAtMs: number,
  ): void {
    if (this.#length > this.#mask) this.#makeRoom();
    const slot = (this.#head + this.#length) & this.#mask;
    this.#tags[slot] = tag;
    this.#states[slot] = SLOT_OUTSTANDING;
    this.#generations[slot] = entry.generation;
    this.#dueAtMs[slot] = dueAtMs;
    this.#entries[slot] = entry;
    this.#queues[slot] = queue;
    this.#consumers[slot] = consumer;
    this.#length += 1;
    this.#liveCount += 1;
  }

  /** Index (0 = oldest) of the delivery `tag` if it is in `state`, else -1. */
  find(tag: number, state: number): number {
    if (this.#length === 0) return -1;
    const guess = tag - this.#tags[this.#head]!;
    if (guess < 0) return -1;
    let index = guess;
    if (guess >= this.#length || this.tagAt(guess) !== tag) {
      index = this.#search(tag, Math.min(guess, this.#length - 1));
      if (index < 0) return -1;
    }
    return this.stateAt(index) === state ? index : -1;
  }

  tagAt(index: number): number {
    return this.#tags[(this.#head + index) & this.#mask]!;
  }

  stateAt(index: number): number {
    return this.#states[(this.#head + index) & this.#mask]!;
  }

  entryAt(index: number): Entry {
    return this.#entries[(this.#head + index) & this.#mask]!;
  }

  dueAtMsAt(index: number): number {
    return this.#dueAtMs[(this.#head + index) & this.#mask]!;
  }

  queueAt(index: number): Queue {
    return this.#queues[(this.#head + index) & this.#mask]!;
  }

  consumerAt(index: number): AmqpConsumer | undefined {
    return this.#consumers[(this.#head + index) & this.#mask];
  }

  /** True when the entry was taken back and perhaps handed over again since this delivery. */
  isStaleAt(index: number): boolean {
    const slot = (this.#head + index) & this.#mask;
    return this.#entries[slot]!.generation !== this.#generations[slot];
  }

  /** Moves a slot between outstanding and in-transaction. */
  setState(index: number, state: number): void {
    this.#states[(this.#head + index) & this.#mask] = state;
  }

  /** Forgets all of a delivery but its tag, which is known until it is settled, too late. */
  timeOut(index: number): void {
    const slot = (this.#head + index) & this.#mask;
    this.#states[slot] = SLOT_TIMED_OUT;
    this.#forget(slot);
  }

  /** Makes a hole of one slot; indexes found before are void afterwards. */
  remove(index: number): void {
    this.#clear((this.#head + index) & this.#mask);
    if (index === 0) this.#trimHead();
  }

  /** Index of the first slot, hole or not, with a tag above `tag`; `length` when there is none. */
  indexAbove(tag: number): number {
    let low = 0;
    let high = this.#length;
    // Behind a head just taken out: the usual case.
    if (high === 0 || this.tagAt(0) > tag) return 0;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.tagAt(middle) <= tag) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Forgets everything and gives the memory back. */
  clear(): void {
    this.#tags = [];
    this.#states = [];
    this.#generations = [];
    this.#dueAtMs = [];
    this.#entries = [];
    this.#queues = [];
    this.#consumers = [];
    this.#mask = -1;
    this.#head = 0;
    this.#length = 0;
    this.#liveCount = 0;
  }

  #clear(slot: number): void {
    this.#states[slot] = SLOT_HOLE;
    this.#forget(slot);
    this.#liveCount -= 1;
  }

  #forget(slot: number): void {
    this.#entries[slot] = undefined;
    this.#queues[slot] = undefined;
    this.#consumers[slot] = undefined;
  }

  #trimHead(): void {
    while (this.#length > 0 && this.#states[this.#head] === SLOT_HOLE) {
      this.#head = (this.#head + 1) & this.#mask;
      this.#length -= 1;
    }
    if (this.#length === 0 && this.#mask >= KEPT_CAPACITY) this.clear();
  }

  /** Largest index <= `high` whose tag is `tag`, or -1. */
  #search(tag: number, high: number): number {
    let low = 0;
    let top = high;
    while (low <= top) {
      const middle = (low + top) >>> 1;
      const found = this.tagAt(middle);
      if (found === tag) return middle;
      if (found < tag) low = middle + 1;
      else top = middle - 1;
    }
    return -1;
  }

  /** Squeezes the holes out when they are many, else doubles. */
  #makeRoom(): void {
    const capacity =
      this.#liveCount * 2 > this.#length
        ? Math.max(INITIAL_CAPACITY, (this.#mask + 1) * 2)
        : this.#mask + 1;
    this.#copyInto(Math.max(INITIAL_CAPACITY, capacity));
  }

  #copyInto(capacity: number): void {
    const tags = new Array<number>(capacity).fill(0);
    const states = new Array<number>(capacity).fill(SLOT_HOLE);
    const generations = new Array<number>(capacity).fill(0);
    const dueAtMs = new Array<number>(capacity).fill(Infinity);
    const entries = new Array<Entry | undefined>(capacity).fill(undefined);
    const queues = new Array<Queue | undefined>(capacity).fill(undefined);
    const consumers = new Array<AmqpConsumer | undefined>(capacity).fill(undefined);
    let length = 0;
    for (let index = 0; index < this.#length; index += 1) {
      const slot = (this.#head + index) & this.#mask;
      if (this.#states[slot] === SLOT_HOLE) continue;
      tags[length] = this.#tags[slot]!;
      states[length] = this.#states[slot]!;
      generations[length] = this.#generations[slot]!;
      dueAtMs[length] = this.#dueAtMs[slot]!;
      entries[length] = this.#entries[slot];
      queues[length] = this.#queues[slot];
      consumers[length] = this.#consumers[slot];
      length += 1;
    }
    this.#tags = tags;
    this.#states = states;
    this.#generations = generations;
    this.#dueAtMs = dueAtMs;
    this.#entries = entries;
    this.#queues = queues;
    this.#consumers = consumers;
    this.#mask = capacity - 1;
    this.#head = 0;
    this.#length = length;
  }
}
