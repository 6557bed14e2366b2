/**
 * The ready entries of a queue, oldest first, of which the middle may lie only on disk.
 *
 *     returned        head ring          paged (on disk only)       tail ring
 *     [3 7]           [12 13 14 ... ]    [ 5,000 .. 9,999,000 )     [ ... newest ]
 *     requeued,       decoded, ready     a count and a range        uncommitted, or
 *     by sequence     to deliver                                    not yet evicted
 *
 * Depth is free: the head holds at most a window, the tail is let go once it is committed, and the
 * middle is three numbers. A queue with priorities has one backlog per level.
 *
 * Invariants
 *  1. Sequences rise: every entry of `head` < every one paged < every one of `tail`.
 *  2. `returned` holds what was delivered once; its sequences may lie anywhere below the tail's.
 *  3. The paged range contains ready entries only: leased ones left the head before, and an entry
 *     is evicted only from the tail.
 *  4. An entry is evicted only when the commit holding it is complete, so that `store.read` of the
 *     range finds it. `#evictableBelow` trails `store.committedTicket`.
 *  5. `count` and `bodyBytes` are exact and include the paged part.
 *  6. An entry that was taken out of the middle (`takeOut`) stays where it is, settled, until its
 *     place comes up; in the paged range it is a hole that reads skip. Neither is counted.
 *
 * Rejected: evicting from the head as well (a requeued entry would have to be found again by its
 * flags); one object per paged journal row here (the store's run index already has it).
 */
import { ENTRY_OVERHEAD_BYTES, PAGE_IN_BYTES, PAGE_IN_ENTRIES } from '../../base/limits.ts';
import { Ring } from '../../base/ring.ts';
import type { Message } from '../message.ts';
import { ENTRY_SETTLED, Entry, STORE_WRITTEN } from '../message.ts';
import type { QueueId, RecoveredQueue, Store, Ticket } from '../ports.ts';
import { DeliveredMark } from './delivered-mark.ts';
import { Holes } from './holes.ts';
import { RangeSettler } from './range-settler.ts';
import { readWanted } from './read-wanted.ts';
import { ReturnedEntries } from './returned-entries.ts';
import { findIn } from './sequence-search.ts';

/** What a backlog needs from its queue's surroundings. */
export interface BacklogHost {
  readonly store: Store;
  /** True while all queues together hold more than RESIDENT_BYTES_TIGHT in memory. */
  readonly isMemoryTight: boolean;
  /** Bytes one queue may keep decoded at its head now. */
  readonly windowBytes: number;
  /** Counts body bytes that enter (positive) or leave (negative) memory. */
  addResidentBytes(byteCount: number): void;
}

export class Backlog {
  readonly id: QueueId;
  readonly #host: BacklogHost;
  /** Called when paged entries have arrived in the head. */
  readonly #onPagedIn: () => void;
  readonly #head: Ring<Entry>;
  readonly #tail: Ring<Entry>;
  readonly #returned: ReturnedEntries;
  #headBytes: number;
  #bodyBytes: number;
  #nextSequence: number;
  #pagedFrom: number;
  #pagedEnd: number;
  #pagedCount: number;
  #pagedBytes: number;
  #isReading: boolean;
  /** Grows when the paged range is emptied; a read under way then returns into nothing. */
  #generation: number;
  #evictableBelow: number;
  #watermarkTicket: Ticket;
  #watermarkSequence: number;
  /** Entries recovered below this sequence may have been delivered before the crash. */
  #redeliveredBelow: number;
  /** True once anything was put into the store under this id. */
  #isStored: boolean;
  /** Which entries may be handed over now. */
  readonly mark: DeliveredMark;
  /** Settled entries that still lie in a ring or in `returned`. */
  #tombstoneCount: number;
  /** Sequences in the paged range that are not ready: leased before the restart, or taken out. */
  readonly #holes: Holes;
  /** Sequences from here on arrived after the last `deliver` and are due one chance to be taken. */
  freshFrom: number;

  constructor(id: QueueId, host: BacklogHost, onPagedIn: () => void) {
    this.id = id;
    this.#host = host;
    this.#onPagedIn = onPagedIn;
    this.#head = new Ring();
    this.#tail = new Ring();
    this.#returned = new ReturnedEntries();
    this.#headBytes = 0;
    this.#bodyBytes = 0;
    this.#nextSequence = 1;
    this.#pagedFrom = 1;
    this.#pagedEnd = 1;
    this.#pagedCount = 0;
    this.#pagedBytes = 0;
    this.#isReading = false;
    this.#generation = 0;
    this.#evictableBelow = 0;
    this.#watermarkTicket = 0;
    this.#watermarkSequence = 0;
    this.#redeliveredBelow = 0;
    this.#isStored = false;
    this.mark = new DeliveredMark(id, host.store);
    this.#tombstoneCount = 0;
    this.#holes = new Holes();
    this.freshFrom = 1;
  }

  get count(): number {
    return this.#residentCount + this.#pagedCount;
  }

  /** Body bytes of everything counted by `count`. */
  get bodyBytes(): number {
    return this.#bodyBytes;
  }

  get nextSequence(): number {
    return this.#nextSequence;
  }

  /**
   * Takes over what the last process left, before any push.
   *
   * @param leased sequences whose lease goes on: not ready, read by whoever holds them
   */
  restore(recovered: RecoveredQueue, leased: readonly number[] = []): void {
    this.#isStored = true;
    this.#nextSequence = Math.max(recovered.nextSequence, recovered.deliveredBelow);
    this.#redeliveredBelow = recovered.deliveredBelow;
    this.mark.restore(recovered.deliveredBelow);
    this.freshFrom = this.#nextSequence;
    this.#pagedFrom = recovered.firstSequence;
    this.#pagedEnd = recovered.nextSequence;
    this.#pagedCount = recovered.liveCount - leased.length;
    this.#holes.restore(leased);
    this.#pagedBytes = recovered.liveBodyBytes;
    this.#bodyBytes = recovered.liveBodyBytes;
  }

  /**
   * Appends a new entry; persists it when `isDurable`. A transient one beyond the window is put as
   * well, marked not to survive a restart, so that it can leave memory. Puts happen here only: the
   * store sees the sequences of a queue in rising order.
   *
   * @param ageFromMs 0, or the instant the entry's age counts from when that is not in the order
   *   of sequences (recorded with it)
   */
  push(message: Message, expiresAtMs: number, isDurable: boolean, ageFromMs = 0): Entry {
    const entry = new Entry(message, this.#nextSequence, expiresAtMs);
    entry.notBeforeMs = ageFromMs;
    this.#nextSequence += 1;
    const isBeyondWindow = !this.#headTakes();
    if (isDurable || isBeyondWindow) {
      this.#isStored = true;
      this.#host.store.put(this.id, entry, isDurable);
    }
    this.#enter(message.bodyBytes);
    if (isBeyondWindow) {
      this.#tail.push(entry);
    } else {
      this.#head.push(entry);
      this.#headBytes += message.bodyBytes;
    }
    return entry;
  }

  /** Oldest entry in memory; undefined when there is none or it must be paged in first. */
  peek(): Entry | undefined {
    if (this.#tombstoneCount > 0) this.#dropTombstones();
    if (this.#head.length === 0 && this.#pagedCount === 0 && this.#tail.length > 0) {
      this.#refillFromTail();
      if (this.#tombstoneCount > 0) this.#dropTombstones();
    }
    const first = this.#head.peek();
    const back = this.#returned.peek();
    if (back === undefined) return first;
    if (first === undefined) return this.#mayFollowPaged(back) ? undefined : back;
    return back.sequence < first.sequence ? back : first;
  }

  /** Removes what `peek` returned. */
  shift(): Entry | undefined {
    const entry = this.peek();
    if (entry === undefined) return undefined;
    if (entry === this.#returned.peek()) {
      this.#returned.pop();
    } else {
      this.#head.shift();
      this.#headBytes -= entry.message.bodyBytes;
    }
    this.#leave(entry.message.bodyBytes);
    return entry;
  }

  /** Puts a delivered entry back at its place. */
  putBack(entry: Entry): void {
    this.#returned.push(entry);
    this.#enter(entry.message.bodyBytes);
  }

  /**
   * Removes the ready entry with that sequence, wherever it lies; `done` gets it, later when it
   * must be read, and undefined when it is not there (any more). The caller settles it.
   */
  takeOut(sequence: number, done: (entry: Entry | undefined) => void): void {
    const entry = this.find(sequence);
    if (entry !== undefined) {
      entry.state = ENTRY_SETTLED;
      this.#tombstoneCount += 1;
      this.#leave(entry.message.bodyBytes);
    }
    if (entry !== undefined || !this.#isPaged(sequence)) {
      done(entry);
      return;
    }
    this.#holes.leave(sequence);
    this.#pagedCount -= 1;
    if (this.#pagedCount === 0) this.#endPaged();
    this.readOne(sequence, (read) => {
      const isHere = read !== undefined && this.uncount(read);
      if (isHere) read.state = ENTRY_SETTLED;
      done(isHere ? read : undefined);
    });
  }

  /** An entry that was read is none of the paged ready ones. Returns false after a purge. */
  uncount(entry: Entry): boolean {
    if (!this.#holes.left(entry.sequence)) return false;
    const bytes = Math.min(entry.message.bodyBytes, this.#pagedBytes);
    this.#pagedBytes -= bytes;
    this.#bodyBytes -= bytes;
    return true;
  }

  /** The ready entry with that sequence when it is in memory. */
  find(sequence: number): Entry | undefined {
    const inRing = findIn(this.#head, sequence) ?? findIn(this.#tail, sequence);
    if (inRing === undefined) return this.#returned.find(sequence);
    return inRing.state === ENTRY_SETTLED ? undefined : inRing;
  }

  /** True when that sequence is ready, in memory or on disk. */
  has(sequence: number): boolean {
    return this.find(sequence) !== undefined || this.#isPaged(sequence);
  }

  /** Reads an entry of this backlog from disk, whatever its state; undefined when it is gone. */
  readOne(sequence: number, done: (entry: Entry | undefined) => void): void {
    this.#host.store.read(this.id, sequence, 1, 1, ([entry]) => {
      const isHere = entry?.sequence === sequence;
      if (isHere && sequence < this.#redeliveredBelow) entry.isRedelivered = true;
      done(isHere ? entry : undefined);
    });
  }

  /**
   * The oldest ready entries, at most `maxCount`, left where they are. Those that lie on disk are
   * copies. For people who look, not for delivery.
   */
  look(maxCount: number, done: (entries: readonly Entry[]) => void): void {
    if (this.#pagedCount === 0 || this.#head.length - this.#tombstoneCount >= maxCount) {
      done(this.#lookInMemory(maxCount).slice(0, maxCount));
      return;
    }
    const isWanted = (e: Entry) => e.sequence < this.#pagedEnd && this.has(e.sequence);
    const unwantedCount = this.#holes.count;
    const wanted = { from: this.#pagedFrom, maxCount, unwantedCount, isWanted };
    readWanted(this.#host.store, this.id, wanted, (paged) => {
      const found = this.#lookInMemory(maxCount);
      const known = new Set(found.map((entry) => entry.sequence));
      const all = [...found, ...paged.filter(({ sequence }) => !known.has(sequence))];
      done(all.toSorted((a, b) => a.sequence - b.sequence).slice(0, maxCount));
    });
  }

  /** Every ready entry in memory, in no order that matters. */
  forEachResident(visit: (entry: Entry) => void): void {
    const see = (entry: Entry) => {
      if (entry.state !== ENTRY_SETTLED) visit(entry);
    };
    for (const ring of [this.#head, this.#tail]) {
      for (let index = 0; index < ring.length; index += 1) see(ring.at(index)!);
    }
    this.#returned.forEach(visit);
  }

  /** Starts a read when the head runs low and there is more on disk. */
  pageIn(): void {
    if (this.#pagedCount === 0 || this.#isReading) return;
    if (this.#head.length >= PAGE_IN_ENTRIES / 4) return;
    this.#isReading = true;
    const generation = this.#generation;
    const count = this.#host.isMemoryTight ? PAGE_IN_ENTRIES / 16 : PAGE_IN_ENTRIES;
    const bytes = this.#host.isMemoryTight ? PAGE_IN_BYTES / 16 : PAGE_IN_BYTES;
    this.#host.store.read(this.id, this.#pagedFrom, count, bytes, (entries, end) => {
      this.#isReading = false;
      if (generation === this.#generation) this.#takePage(entries, end);
      this.#onPagedIn();
    });
  }

  /** Lets go of committed entries behind the window. Once per turn. */
  maintain(): void {
    const tail = this.#tail;
    if (tail.length === 0) return;
    this.#advanceWatermark();
    for (;;) {
      const entry = tail.peek();
      if (entry?.state === ENTRY_SETTLED) {
        tail.shift();
        this.#tombstoneCount -= 1;
        continue;
      }
      if (entry === undefined || entry.storeState !== STORE_WRITTEN) break;
      if (entry.sequence >= this.#evictableBelow) break;
      tail.shift();
      this.#evict(entry);
    }
  }

  /** Removes every ready entry; the caller has no more use for them. Returns how many. */
  purge(): number {
    const count = this.count;
    const store = this.#host.store;
    const settler = new RangeSettler(store);
    this.forEachResident((entry) => settler.add(this.id, entry));
    settler.end();
    for (const sequence of this.#holes.purge()) {
      store.settleRange(this.id, sequence, sequence + 1);
    }
    if (this.#pagedCount > 0) this.#settlePaged();
    this.#clearResident();
    this.#clearPaged();
    return count;
  }

  /** Forgets everything in memory and on disk. */
  drop(): void {
    this.#generation += 1;
    this.#clearResident();
    this.#holes.clear();
    this.#bodyBytes = 0;
    this.#pagedBytes = 0;
    this.#pagedCount = 0;
    if (this.#isStored) this.#host.store.dropQueue(this.id);
  }

  /** Forgets what is in memory. */
  #clearResident(): void {
    const bodyBytes = this.#bodyBytes - this.#pagedBytes;
    this.#host.addResidentBytes(-bodyBytes - this.#residentCount * ENTRY_OVERHEAD_BYTES);
    this.#bodyBytes = this.#pagedBytes;
    for (const part of [this.#head, this.#tail, this.#returned]) part.clear();
    this.#tombstoneCount = 0;
    this.#headBytes = 0;
  }

  get #residentCount(): number {
    const held = this.#head.length + this.#tail.length + this.#returned.length;
    return held - this.#tombstoneCount;
  }

  #headTakes(): boolean {
    if (this.#pagedCount > 0 || this.#tail.length > 0) return false;
    return this.#headSize() < this.#host.windowBytes;
  }

  /** Bytes the head holds, with what an entry costs beyond its body. */
  #headSize(): number {
    return this.#headBytes + this.#head.length * ENTRY_OVERHEAD_BYTES;
  }

  #refillFromTail(): void {
    const tail = this.#tail;
    let entry = tail.peek();
    while (entry !== undefined && this.#headSize() < this.#host.windowBytes) {
      tail.shift();
      this.#head.push(entry);
      this.#headBytes += entry.message.bodyBytes;
      entry = tail.peek();
    }
  }

  #takePage(entries: Entry[], end: number): void {
    let bytes = 0;
    let taken = 0;
    for (const entry of entries) {
      if (entry.sequence >= this.#pagedEnd) break;
      if (this.#holes.has(entry.sequence)) continue;
      taken += 1;
      if (entry.sequence < this.#redeliveredBelow) entry.isRedelivered = true;
      this.#head.push(entry);
      bytes += entry.message.bodyBytes;
    }
    this.#pagedCount -= taken;
    this.#headBytes += bytes;
    this.#pagedBytes -= bytes;
    this.#host.addResidentBytes(bytes + taken * ENTRY_OVERHEAD_BYTES);
    this.#pagedFrom = end;
    this.#holes.forgetBelow(end);
    // The store set a damaged row aside: what it held cannot be counted on any longer.
    if (end >= this.#pagedEnd && this.#pagedCount !== 0) this.#clearPaged();
  }

  /** Nothing in the paged range is ready any more: a page on its way holds nothing of use. */
  #endPaged(): void {
    this.#generation += 1;
    this.#pagedFrom = this.#pagedEnd;
    this.#pagedCount = 0;
    this.#holes.forgetBelow(this.#pagedEnd);
  }

  #clearPaged(): void {
    this.#bodyBytes -= this.#pagedBytes;
    this.#pagedBytes = 0;
    this.#endPaged();
  }

  /** True while an entry that came back has a place behind some that must be read first. */
  #mayFollowPaged(entry: Entry): boolean {
    return this.#pagedCount > 0 && entry.sequence > this.#pagedFrom;
  }

  /** Settles what is paged, but not what is leased among it. */
  #settlePaged(): void {
    let from = this.#pagedFrom;
    for (const hole of this.#holes.between(from, this.#pagedEnd)) {
      if (hole > from) this.#host.store.settleRange(this.id, from, hole);
      from = hole + 1;
    }
    if (from < this.#pagedEnd) this.#host.store.settleRange(this.id, from, this.#pagedEnd);
  }

  #isPaged(sequence: number): boolean {
    if (this.#pagedCount === 0 || this.#holes.has(sequence)) return false;
    if (sequence < this.#pagedFrom || sequence >= this.#pagedEnd) return false;
    return this.#host.store.firstLive(this.id, sequence) === sequence;
  }

  /** Drops settled entries that have come to the front. */
  #dropTombstones(): void {
    const head = this.#head;
    for (let e = head.peek(); e?.state === ENTRY_SETTLED; e = head.peek()) {
      head.shift();
      this.#headBytes -= e.message.bodyBytes;
      this.#tombstoneCount -= 1;
    }
    const returned = this.#returned;
    for (let e = returned.peek(); e?.state === ENTRY_SETTLED; e = returned.peek()) {
      returned.pop();
      this.#tombstoneCount -= 1;
    }
  }

  /** The oldest in memory, by sequence: at most `maxCount` of each ring. */
  #lookInMemory(maxCount: number): Entry[] {
    const found = this.#returned.oldest(maxCount);
    for (const ring of [this.#head, this.#tail]) {
      let room = maxCount;
      for (let index = 0; index < ring.length && room > 0; index += 1) {
        const entry = ring.at(index)!;
        if (entry.state === ENTRY_SETTLED) continue;
        found.push(entry);
        room -= 1;
      }
    }
    return found.toSorted((a, b) => a.sequence - b.sequence);
  }

  #advanceWatermark(): void {
    const store = this.#host.store;
    if (this.#watermarkTicket > store.committedTicket) return;
    this.#evictableBelow = this.#watermarkSequence;
    this.#watermarkTicket = store.ticket;
    this.#watermarkSequence = this.#nextSequence;
  }

  #evict(entry: Entry): void {
    const bytes = entry.message.bodyBytes;
    if (this.#pagedCount === 0) this.#pagedFrom = entry.sequence;
    this.#pagedEnd = entry.sequence + 1;
    this.#pagedCount += 1;
    this.#pagedBytes += bytes;
    this.#host.addResidentBytes(-bytes - ENTRY_OVERHEAD_BYTES);
  }

  #enter(byteCount: number): void {
    this.#bodyBytes += byteCount;
    this.#host.addResidentBytes(byteCount + ENTRY_OVERHEAD_BYTES);
  }

  #leave(byteCount: number): void {
    this.#bodyBytes -= byteCount;
    this.#host.addResidentBytes(-byteCount - ENTRY_OVERHEAD_BYTES);
  }
}
