/**
 * Leases with a deadline: deliveries that come back by themselves when nobody settles them in time.
 *
 * An AMQP delivery has none unless its queue sets a visibility timeout; a CMQ receive always has
 * one. A lease is named by (entry, generation): settled, extended or handed over again, the old
 * deadline is stale. It is skipped when it surfaces, or dropped before that when such are many: a
 * long timeout must not keep every message that was settled meanwhile in memory.
 */
import { DeadlineHeap } from '../../base/deadline-heap.ts';
import type { Entry } from '../message.ts';
import { ENTRY_LEASED } from '../message.ts';

/** Leases from which on stale ones are looked for. */
const SWEEP_FROM = 1_024;

interface Lease {
  readonly entry: Entry;
  readonly generation: number;
}

export class Leases {
  readonly #deadlines: DeadlineHeap<Lease>;
  /** Number of leases at which stale ones are dropped next. */
  #sweepAt: number;

  constructor() {
    this.#deadlines = new DeadlineHeap();
    this.#sweepAt = SWEEP_FROM;
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
    if (this.#deadlines.length >= this.#sweepAt) this.#sweep();
    this.#deadlines.push(untilMs, { entry, generation: entry.generation });
  }

  /** An entry whose lease has ended, or undefined when no more have. */
  takeExpired(nowMs: number): Entry | undefined {
    while (this.#deadlines.nextKey <= nowMs) {
      const lease = this.#deadlines.pop()!;
      // An extended lease has a later deadline further down the heap.
      if (isHeld(lease) && lease.entry.leaseUntilMs <= nowMs) return lease.entry;
    }
    return undefined;
  }

  clear(): void {
    this.#deadlines.clear();
  }

  #sweep(): void {
    this.#deadlines.retain(
      (untilMs, lease) => isHeld(lease) && lease.entry.leaseUntilMs === untilMs,
    );
    this.#sweepAt = Math.max(SWEEP_FROM, 2 * this.#deadlines.length);
  }
}

function isHeld({ entry, generation }: Lease): boolean {
  return entry.state === ENTRY_LEASED && entry.generation === generation;
}
