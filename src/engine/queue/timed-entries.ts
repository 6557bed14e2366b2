/**
 * Stored entries in the order of a time: delayed ones by when they are due, parked ones by when
 * they were published.
 *
 *   put -----> IN ORDER (heap of time and sequence) ---take---> TAKEN (being read) ---> ended
 *                 |   ^ move: another time                        | move: back in order    ^
 *                 |   +-------------------------------------------+                        |
 *                 +----------------------------- end ---------------------------------------+
 *
 * An entry costs 16 bytes here; its message, transient or not, is let go once it is on disk and
 * what is in memory is too much, and read back when it is wanted.
 *
 * Invariants
 *  1. `count` = entries in order or taken; each is in the store, committed or about to be.
 *  2. What is not in memory is readable: `store.firstLive` knows it.
 *  3. A heap item of `sequence` is valid when `#moved` has no other time for it and it is not
 *     taken. Each entry in order has a valid item; a second one of the same time is stale in all
 *     but name, and is told by the entry's having gone when it surfaces.
 */
import { ENTRY_DELAYED, Entry, FORMAT_AMQP, Message, STORE_WRITTEN } from '../message.ts';
import type { QueueId, RecoveredQueue, Store } from '../ports.ts';
import { SplitOrder } from './split-order.ts';

/** Part of the limits down to which memory is freed once it is above them. */
const LET_GO_TO = 7 / 8;

/** Stale heap items from which on they are dropped when they outnumber the others. */
const SWEEP_FROM = 1_024;

/** Entries and bytes of one read of many: small, because only some of them may be wanted. */
export const TIMED_PAGE_ENTRIES = 256;
const PAGE_BYTES = 1024 * 1024;

/** Time of an entry that has gone while items of it may be in the heap; no item has it. */
const GONE = NaN;

/** Message of an entry of which only the state is of interest. */
const NO_MESSAGE = new Message('', '', FORMAT_AMQP, Buffer.alloc(0), 0, 0, 0, true, -1, -1, 0);

/** Messages kept in memory: how many, and their bytes. */
export interface ResidentLimits {
  readonly entries: number;
  readonly bytes: number;
}

/** An entry of the order. */
export interface TimedEntry {
  readonly sequence: number;
  /** Wall ms. */
  readonly atMs: number;
}

export class TimedEntries {
  readonly id: QueueId;
  readonly #store: Store;
  readonly #limits: ResidentLimits;
  readonly #order: SplitOrder;
  /** Times of the entries that were moved, GONE for ended ones; cleared with the stale items. */
  readonly #moved: Map<number, number>;
  readonly #taken: Set<number>;
  /** By sequence, oldest first. */
  readonly #resident: Map<number, Entry>;
  #residentBytes: number;
  #count: number;
  #nextSequence: number;

  constructor(id: QueueId, store: Store, limits: ResidentLimits) {
    this.id = id;
    this.#store = store;
    this.#limits = limits;
    this.#order = new SplitOrder();
    this.#moved = new Map();
    this.#taken = new Set();
    this.#resident = new Map();
    this.#residentBytes = 0;
    this.#count = 0;
    this.#nextSequence = 1;
  }

  get count(): number {
    return this.#count;
  }

  get residentCount(): number {
    return this.#resident.size;
  }

  get residentBytes(): number {
    return this.#residentBytes;
  }

  /** Sequence the next put gets. */
  get nextSequence(): number {
    return this.#nextSequence;
  }

  /** Earliest time of an entry in order; Infinity without one. */
  get nextMs(): number {
    this.#skipStale();
    return this.#order.nextTime;
  }

  /** Entry of the earliest time; -1 without one. */
  get nextInOrder(): number {
    this.#skipStale();
    return this.#order.nextNumber;
  }

  /** Lowest sequence here; Infinity without one. From the index, no I/O. */
  get oldest(): number {
    const stored = this.#store.firstLive(this.id, 0);
    const [resident = Infinity] = this.#resident.keys();
    return Math.min(stored, resident);
  }

  /** Takes over what the last process left. Before any put. */
  restore(recovered: RecoveredQueue): void {
    this.#nextSequence = recovered.nextSequence;
    for (const { sequence, notBeforeMs } of recovered.delayed) {
      this.#order.push(notBeforeMs, sequence);
    }
    this.#count = this.#order.length;
  }

  /** Stores `message` under time `atMs`. */
  put(message: Message, atMs: number, survivesRestart: boolean): Entry {
    const entry = new Entry(message, this.#nextSequence, Infinity);
    this.#nextSequence += 1;
    this.#count += 1;
    entry.state = ENTRY_DELAYED;
    entry.notBeforeMs = atMs;
    this.#store.put(this.id, entry, survivesRestart);
    this.#resident.set(entry.sequence, entry);
    this.#residentBytes += message.byteCount;
    this.#order.push(atMs, entry.sequence);
    if (this.#holdsMoreThan(1)) this.#letGo();
    return entry;
  }

  /** True for an entry in order or taken. */
  has(sequence: number): boolean {
    const time = this.#moved.get(sequence);
    if (time !== undefined) return !Number.isNaN(time);
    return this.#resident.has(sequence) || this.#isReadable(sequence);
  }

  /** The entry when it is in memory. */
  inMemory(sequence: number): Entry | undefined {
    return this.#resident.get(sequence);
  }

  /** Takes the earliest out of the order, to be read and ended; it still counts. */
  take(): number {
    this.#skipStale();
    const sequence = this.#order.nextNumber;
    this.#order.pop();
    this.#taken.add(sequence);
    return sequence;
  }

  /** True from `take` until it is ended or moved. */
  isTaken(sequence: number): boolean {
    return this.#taken.has(sequence);
  }

  /** Gives an entry another time, on disk as well; a taken one is back in order. */
  move(sequence: number, atMs: number): void {
    const entry = this.#resident.get(sequence) ?? storedEntry(sequence);
    entry.notBeforeMs = atMs;
    this.#store.update(this.id, entry);
    this.#taken.delete(sequence);
    this.#moved.set(sequence, atMs);
    this.#order.push(atMs, sequence);
    this.#sweepIfMany();
  }

  /** Removes an entry here and from the store. */
  end(sequence: number): void {
    const entry = this.#resident.get(sequence);
    if (entry === undefined) {
      this.#store.settleRange(this.id, sequence, sequence + 1);
    } else {
      this.#forget(entry);
      this.#store.settle(this.id, entry);
    }
    this.#count -= 1;
    const wasTaken = this.#taken.delete(sequence);
    if (wasTaken && !this.#moved.has(sequence)) return;
    this.#moved.set(sequence, GONE);
    this.#sweepIfMany();
  }

  /** Removes every entry; returns how many. */
  clear(): number {
    const count = this.#count;
    if (count > 0) this.#store.settleRange(this.id, 0, this.#nextSequence);
    this.#forgetAll();
    return count;
  }

  /** Forgets everything, in memory and on disk. */
  drop(): void {
    this.#forgetAll();
    this.#store.dropQueue(this.id);
  }

  /** The entry as it is, read when need be; undefined when it has gone, at once or meanwhile. */
  read(sequence: number, done: (entry: Entry | undefined) => void): void {
    const resident = this.#resident.get(sequence);
    if (resident !== undefined || !this.has(sequence)) {
      done(resident);
      return;
    }
    this.#store.read(this.id, sequence, 1, 1, ([entry]) => {
      const isHere = entry?.sequence === sequence && this.has(sequence);
      done(isHere ? this.#asItIs(entry) : undefined);
    });
  }

  /**
   * Reads committed entries from `sequence` on, in order of sequence, in memory or not, a page of
   * them; what has gone meanwhile is among them.
   */
  readPage(sequence: number, done: (entries: readonly Entry[]) => void): void {
    this.#store.read(this.id, sequence, TIMED_PAGE_ENTRIES, PAGE_BYTES, done);
  }

  /** Entries in order from the earliest on, `offset` of them skipped. */
  list(offset: number, limit: number): TimedEntry[] {
    const found: TimedEntry[] = [];
    let left = offset;
    if (limit <= 0) return found;
    this.visitInOrder((sequence, atMs) => {
      if (left > 0) left -= 1;
      else found.push({ sequence, atMs });
      return found.length < limit;
    });
    return found;
  }

  /** Entries in order from the earliest on, until `visit` returns false. */
  visitInOrder(visit: (sequence: number, atMs: number) => boolean): void {
    let last = -1;
    this.#order.visitInOrder((atMs, sequence) => {
      // Two items of one entry and one time come one after the other.
      if (sequence === last || !this.#isValid(atMs, sequence)) return true;
      last = sequence;
      return visit(sequence, atMs);
    });
  }

  /**
   * Begins to take the entries with a time >= `fromMs`, by `takeLate`; they are out of the order
   * at once. Not before an earlier taking has come to its end.
   */
  split(fromMs: number): void {
    this.#order.split(fromMs);
  }

  /** Looks past at most `budget` entries before those; returns what is left of it. */
  sortOut(budget: number): number {
    return this.#order.sortOut(budget);
  }

  /**
   * Takes the earliest of those, once `sortOut` has something left. 0: its sequence was not below
   * `endSequence`, so it stays; -1: there was none, and the others are in order again.
   */
  takeLate(endSequence: number): number {
    const sequence = this.#order.takeLate(endSequence);
    if (sequence > 0) this.#taken.add(sequence);
    return sequence;
  }

  /** Brings what was read up to date: it may have been moved since. */
  #asItIs(entry: Entry): Entry {
    entry.state = ENTRY_DELAYED;
    const time = this.#moved.get(entry.sequence);
    if (time !== undefined) entry.notBeforeMs = time;
    return entry;
  }

  #skipStale(): void {
    const order = this.#order;
    while (order.length > 0 && !this.#isValid(order.nextTime, order.nextNumber)) order.pop();
  }

  #isValid(atMs: number, sequence: number): boolean {
    if (this.#moved.size === 0) return true;
    const time = this.#moved.get(sequence);
    return (time === undefined || time === atMs) && !this.#taken.has(sequence);
  }

  #sweepIfMany(): void {
    const inOrder = this.#count - this.#taken.size;
    if (this.#order.length > Math.max(SWEEP_FROM, 2 * inOrder)) this.#sweep(() => true);
  }

  /** Drops stale items and those that are not wanted. */
  #sweep(isWanted: (atMs: number, sequence: number) => boolean): void {
    const moved = this.#moved;
    this.#order.retain((atMs, sequence) => {
      if (!this.#isValid(atMs, sequence)) return false;
      // A second item of the same time is stale.
      if (moved.has(sequence)) moved.set(sequence, GONE);
      return isWanted(atMs, sequence);
    });
    moved.clear();
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
    if (this.#resident.size > part * this.#limits.entries) return true;
    return this.#residentBytes > part * this.#limits.bytes;
  }

  #forget(entry: Entry): void {
    if (this.#resident.delete(entry.sequence)) this.#residentBytes -= entry.message.byteCount;
  }

  #forgetAll(): void {
    this.#order.clear();
    this.#moved.clear();
    this.#taken.clear();
    this.#resident.clear();
    this.#residentBytes = 0;
    this.#count = 0;
  }

  /** True when the commit of the entry has begun: a read finds it. */
  #isReadable(sequence: number): boolean {
    return this.#store.firstLive(this.id, sequence) === sequence;
  }
}

/** Stands for an entry that is on disk only: what the store is told of its state. */
function storedEntry(sequence: number): Entry {
  const entry = new Entry(NO_MESSAGE, sequence, Infinity);
  entry.storeState = STORE_WRITTEN;
  return entry;
}
