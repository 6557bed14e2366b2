/**
 * The mark on disk below which entries may have been delivered: after a crash they come again
 * marked redelivered, and none that was delivered comes again looking new.
 *
 *     delivered        may be delivered         must wait for a higher mark
 *     |<-- handed over --> | <-- mark on disk -->|<-- mark being committed -->|
 *
 * It runs ahead of delivery by some thousand entries, so that hand-overs hardly ever wait for it.
 */
import { DELIVERED_MARK_AHEAD } from '../../base/limits.ts';
import type { Entry } from '../message.ts';
import { STORE_NONE, STORE_PENDING } from '../message.ts';
import type { QueueId, Store, Ticket } from '../ports.ts';

export class DeliveredMark {
  readonly #id: QueueId;
  readonly #store: Store;
  /** Entries below this may be handed over once `#ticket` is committed. */
  #mark: number;
  #ticket: Ticket;
  /** Entries below this may be handed over: the mark is on disk. */
  #committed: number;
  /** One above the highest sequence handed over. */
  #deliveredBelow: number;

  constructor(id: QueueId, store: Store) {
    this.#id = id;
    this.#store = store;
    this.#mark = 0;
    this.#ticket = 0;
    this.#committed = 0;
    this.#deliveredBelow = 0;
  }

  /** Takes over what the last process left. */
  restore(deliveredBelow: number): void {
    this.#mark = deliveredBelow;
    this.#committed = deliveredBelow;
    this.#deliveredBelow = deliveredBelow;
  }

  /**
   * Asks whether `entry` may be handed over now. Returns 0 when it may, or the ticket to wait for.
   *
   * An entry that is not yet encoded shares its commit with a mark asked for now; one that is on
   * disk already must wait until a mark above it is, which only the first delivery of an old
   * backlog meets, because the mark is raised long before delivery reaches it.
   */
  ticketToHandOver(entry: Entry): Ticket {
    if (entry.storeState === STORE_NONE) return 0;
    const { sequence } = entry;
    const store = this.#store;
    if (sequence + DELIVERED_MARK_AHEAD / 2 >= this.#mark) {
      if (this.#ticket <= store.committedTicket) this.#committed = this.#mark;
      this.#mark = sequence + DELIVERED_MARK_AHEAD;
      store.mark(this.#id, this.#mark);
      this.#ticket = store.ticket;
    }
    if (sequence < this.#committed || entry.storeState === STORE_PENDING) return 0;
    if (this.#ticket <= store.committedTicket) {
      this.#committed = this.#mark;
      return 0;
    }
    return this.#ticket;
  }

  /** Notes a hand-over, for the exact mark of an orderly stop. */
  note(sequence: number): void {
    if (sequence >= this.#deliveredBelow) this.#deliveredBelow = sequence + 1;
  }

  /** On an orderly stop the mark is exact: nothing undelivered comes back redelivered. */
  settle(): void {
    if (this.#mark > this.#deliveredBelow) {
      this.#mark = this.#deliveredBelow;
      this.#store.mark(this.#id, this.#mark);
    }
  }
}
