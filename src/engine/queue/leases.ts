/**
 * Leases with a deadline: deliveries that come back by themselves when nobody settles them in time.
 *
 * An AMQP delivery has none unless its queue sets a visibility timeout; a CMQ receive always has
 * one. A lease is named by (entry, generation): settled, extended or handed over again, the old
 * deadline surfaces in the heap as stale and is skipped.
 */
import { DeadlineHeap } from '../../base/deadline-heap.ts';
import type { Entry } from '../message.ts';
import { ENTRY_LEASED } from '../message.ts';

interface Lease {
  readonly entry: Entry;
  readonly generation: number;
}

export class Leases {
  readonly #deadlines: DeadlineHeap<Lease>;

  constructor() {
    this.#deadlines = new DeadlineHeap();
  }

  /** Wall ms of the earliest deadline, possibly a stale one; Infinity without any. */
  get nextMs(): number {
    return this.#deadlines.nextKey;
  }

  /** Gives the entry's present hand-over until `untilMs`; again to extend or shorten it. */
  grant(entry: Entry, untilMs: number): void {
    entry.leaseUntilMs = untilMs;
    this.#deadlines.push(untilMs, { entry, generation: entry.generation });
  }

  /** An entry whose lease has ended, or undefined when no more have. */
  takeExpired(nowMs: number): Entry | undefined {
    while (this.#deadlines.nextKey <= nowMs) {
      const { entry, generation } = this.#deadlines.pop()!;
      const isHeld = entry.state === ENTRY_LEASED && entry.generation === generation;
      // An extended lease has a later deadline further down the heap.
      if (isHeld && entry.leaseUntilMs <= nowMs) return entry;
    }
    return undefined;
  }

  clear(): void {
    this.#deadlines.clear();
  }
}
