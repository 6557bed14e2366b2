/**
 * Leases with a deadline: deliveries that come back by themselves when nobody settles them in time.
 *
 * An AMQP delivery has none unless its queue sets a visibility timeout or a retention; a CMQ
 * receive always has one. A lease is named by (entry, generation): settled, extended or handed over
 * again, the old deadline is stale. It is skipped when it surfaces, or dropped before that when
 * such are many: a long timeout must not keep every message that was settled meanwhile in memory.
 *
 * Leases by handle belong to no connection. They are found by priority level and sequence, and
 * last over a restart: what the disk says was leased then is known at once and read soon after.
 */
import { DeadlineHeap } from '../../base/deadline-heap.ts';
import type { Entry } from '../message.ts';
import { ENTRY_LEASED, ENTRY_SETTLED } from '../message.ts';
import { decodeLease } from './lease-record.ts';
import { LEVEL_FACTOR, placeKey } from './store-ids.ts';

/** Leases from which on stale ones are looked for. */
const SWEEP_FROM = 1_024;
/** Body bytes of leases given from which on stale ones are looked for. */
const SWEEP_FROM_BYTES = 8 * 1024 * 1024;

/** Names one hand-over of one entry. */
export interface LeaseHandle {
  /** Priority level of the entry in its queue. */
  readonly level: number;
  readonly sequence: number;
  /** Count of hand-overs this one makes: an older handle is stale. */
  readonly receiveCount: number;
  /** Start of the gateway that gave it: the count of one that died may be lost. */
  readonly epoch: number;
}

interface Lease {
  readonly entry: Entry;
  readonly generation: number;
}

export class Leases {
  readonly #deadlines: DeadlineHeap<Lease>;
  /** When an entry's present lease ends: its retention may be less than what was granted. */
  readonly #deadlineOf: (entry: Entry) => number;
  readonly #byHandle: Map<number, Entry>;
  /** Start of the gateway, as far as leases know it. */
  readonly #epoch: number;
  /** Starts that gave the leases of before the restart. */
  readonly #olderEpochs: Map<Entry, number>;
  /** Leased before the restart and not read yet: what to do once they are. */
  readonly #unread: Map<number, (() => void)[]>;
  /** Number of leases at which stale ones are dropped next. */
  #sweepAt: number;
  /** Body bytes that may be granted before that. */
  #bytesToSweep: number;

  /** @param epoch of the leases given from now on */
  constructor(epoch: number, deadlineOf: (entry: Entry) => number) {
    this.#deadlines = new DeadlineHeap();
    this.#deadlineOf = deadlineOf;
    this.#byHandle = new Map();
    this.#epoch = epoch;
    this.#olderEpochs = new Map();
    this.#unread = new Map();
    this.#sweepAt = SWEEP_FROM;
    this.#bytesToSweep = SWEEP_FROM_BYTES;
  }

  /** Leases kept, stale ones included. */
  get count(): number {
    return this.#deadlines.length;
  }

  /** Wall ms of the earliest deadline, possibly a stale one; Infinity without any. */
  get nextMs(): number {
    return this.#deadlines.nextKey;
  }

  /** Gives the entry's present hand-over until `untilMs`; again to extend or shorten it. */
  grant(entry: Entry, untilMs: number): void {
    entry.leaseUntilMs = untilMs;
    this.#bytesToSweep -= entry.message.bodyBytes;
    if (this.#deadlines.length >= this.#sweepAt || this.#bytesToSweep < 0) this.#sweep();
    const { generation } = entry;
    this.#deadlines.push(this.#deadlineOf(entry), { entry, generation });
  }

  /** The lease has a handle from now on. */
  name(level: number, entry: Entry): void {
    this.#byHandle.set(placeKey(level, entry.sequence), entry);
  }

  /** Takes over a lease of another start of the gateway, as it was recorded with the entry. */
  restore(level: number, entry: Entry): void {
    const { untilMs, epoch } = decodeLease(entry.leaseUntilMs);
    entry.state = ENTRY_LEASED;
    entry.isRedelivered = true;
    entry.generation = 1;
    this.grant(entry, untilMs);
    this.name(level, entry);
    this.#olderEpochs.set(entry, epoch);
  }

  /** Start of the gateway that gave the entry's lease. */
  epochOf(entry: Entry): number {
    if (this.#olderEpochs.size === 0) return this.#epoch;
    return this.#olderEpochs.get(entry) ?? this.#epoch;
  }

  /** The hand-over is over. Returns true when it had a handle. */
  end(level: number, entry: Entry): boolean {
    if (this.#olderEpochs.size > 0) this.#olderEpochs.delete(entry);
    return this.#byHandle.delete(placeKey(level, entry.sequence));
  }

  hasHandle(level: number, entry: Entry): boolean {
    return this.#byHandle.get(placeKey(level, entry.sequence)) === entry;
  }

  /** Announces a lease of before the restart, whose entry is being read. */
  expect(level: number, sequence: number): void {
    this.#unread.set(placeKey(level, sequence), []);
  }

  /** True while entries of before the restart are being read. */
  get isExpecting(): boolean {
    return this.#unread.size > 0;
  }

  /** True until an expected entry has come or was cancelled. */
  isExpected(level: number, sequence: number): boolean {
    return this.#unread.has(placeKey(level, sequence));
  }

  /** Ends every lease whose entry is not read yet, telling which; returns how many. */
  cancelUnread(onEnd: (level: number, sequence: number) => void): number {
    const keys = [...this.#unread.keys()];
    for (const key of keys) {
      const level = Math.floor(key / LEVEL_FACTOR);
      onEnd(level, key % LEVEL_FACTOR);
      this.arrived(level, key % LEVEL_FACTOR);
    }
    return keys.length;
  }

  /** An expected entry has come, or is found gone: whoever asked for it can ask again. */
  arrived(level: number, sequence: number): void {
    const key = placeKey(level, sequence);
    const waiting = this.#unread.get(key);
    this.#unread.delete(key);
    for (const ask of waiting ?? []) ask();
  }

  /** The entry if that very lease is alive; `done` runs later while it is being read. */
  find(handle: LeaseHandle, done: (entry: Entry | undefined) => void): void {
    const key = placeKey(handle.level, handle.sequence);
    const waiting = this.#unread.get(key);
    if (waiting !== undefined) {
      waiting.push(() => this.find(handle, done));
      return;
    }
    const entry = this.#byHandle.get(key);
    done(entry !== undefined && this.#isNamed(entry, handle) ? entry : undefined);
  }

  /** The entry that is leased by handle there. */
  heldAt(level: number, sequence: number): Entry | undefined {
    const entry = this.#byHandle.get(placeKey(level, sequence));
    return entry?.state === ENTRY_LEASED ? entry : undefined;
  }

  /** An entry whose lease has ended, or undefined when no more have. */
  takeExpired(nowMs: number): Entry | undefined {
    while (this.#deadlines.nextKey <= nowMs) {
      const lease = this.#deadlines.pop()!;
      // An extended lease has a later deadline further down the heap.
      if (isHeld(lease) && this.#deadlineOf(lease.entry) <= nowMs) return lease.entry;
    }
    return undefined;
  }

  /** Every entry that is leased with a deadline. */
  held(): Set<Entry> {
    const held = new Set<Entry>();
    this.#deadlines.forEach((_, lease) => {
      if (isHeld(lease)) held.add(lease.entry);
    });
    return held;
  }

  /** Ends every lease of an entry that is read: `visit` gets each entry once, settled. */
  endAll(visit: (entry: Entry) => void): void {
    this.#deadlines.forEach((_, lease) => {
      if (!isHeld(lease)) return;
      lease.entry.state = ENTRY_SETTLED;
      visit(lease.entry);
    });
    this.#deadlines.clear();
    this.#byHandle.clear();
    this.#olderEpochs.clear();
  }

  /** What `deadlineOf` says has changed. */
  rebuild(): void {
    const held = this.held();
    this.#deadlines.clear();
    for (const entry of held) {
      this.#deadlines.push(this.#deadlineOf(entry), { entry, generation: entry.generation });
    }
  }

  clear(): void {
    this.#deadlines.clear();
    this.#byHandle.clear();
    this.#olderEpochs.clear();
    const waiting = [...this.#unread.values()].flat();
    this.#unread.clear();
    for (const ask of waiting) ask();
  }

  /** True when the entry's present lease is that of the handle. */
  #isNamed(entry: Entry, { receiveCount, epoch }: LeaseHandle): boolean {
    if (entry.state !== ENTRY_LEASED || entry.receiveCount !== receiveCount) return false;
    return this.epochOf(entry) === epoch;
  }

  #sweep(): void {
    let heldBytes = 0;
    this.#deadlines.retain((deadlineMs, lease) => {
      const isWanted = isHeld(lease) && this.#deadlineOf(lease.entry) === deadlineMs;
      if (isWanted) heldBytes += lease.entry.message.bodyBytes;
      return isWanted;
    });
    this.#bytesToSweep = Math.max(SWEEP_FROM_BYTES, heldBytes);
    this.#sweepAt = Math.max(SWEEP_FROM, 2 * this.#deadlines.length);
  }
}

function isHeld({ entry, generation }: Lease): boolean {
  return entry.state === ENTRY_LEASED && entry.generation === generation;
}
