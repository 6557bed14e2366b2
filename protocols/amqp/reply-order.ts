/**
 * Order of one channel's synchronous replies.
 *
 * A control-plane reply is a promise: it leaves when the commit that holds its effect is on disk.
 * Meanwhile the channel works on, so replies of later methods queue up behind it here and leave in
 * the order of their methods, whatever each of them waits for.
 */
import { Ring } from '../../src/base/ring.ts';
import type { Broker } from '../../src/engine/broker.ts';
import type { Ticket } from '../../src/engine/ports.ts';

/** A reply that is not ready yet; see `ReplyOrder.open`. */
export interface ReplySlot {
  /** Writes the reply; set when it is ready. */
  write: (() => void) | undefined;
  /** Runs instead of `write` when the channel ends first; gives back what the reply carries. */
  abandon: (() => void) | undefined;
}

export class ReplyOrder {
  readonly #broker: Broker;
  readonly #slots: Ring<ReplySlot>;
  #isClosed: boolean;

  constructor(broker: Broker) {
    this.#broker = broker;
    this.#slots = new Ring();
    this.#isClosed = false;
  }

  /** True when nothing waits: a reply sent now is written at once. */
  get isIdle(): boolean {
    return this.#slots.length === 0;
  }

  /** Runs `write` after every earlier reply and once `ticket` is on disk (0: no need to wait). */
  send(ticket: Ticket, write: () => void): void {
    if (this.#isClosed) return;
    if (ticket === 0 && this.#slots.length === 0) {
      write();
      return;
    }
    const slot = this.open();
    if (ticket === 0) this.complete(slot, write);
    else this.#broker.hold(ticket, () => this.complete(slot, write));
  }

  /** Reserves the next place for a reply whose content is not known yet. */
  open(): ReplySlot {
    const slot: ReplySlot = { write: undefined, abandon: undefined };
    this.#slots.push(slot);
    return slot;
  }

  /** Gives an open slot its content; once the channel has ended it is abandoned instead. */
  complete(slot: ReplySlot, write: () => void): void {
    if (this.#isClosed) {
      slot.abandon?.();
      return;
    }
    slot.write = write;
    for (let head = this.#slots.peek(); head?.write !== undefined; head = this.#slots.peek()) {
      this.#slots.shift();
      head.write();
    }
  }

  /** Ends the order: what was not written never will be. */
  close(): void {
    this.#isClosed = true;
    for (let slot = this.#slots.shift(); slot !== undefined; slot = this.#slots.shift()) {
      slot.abandon?.();
    }
  }
}
