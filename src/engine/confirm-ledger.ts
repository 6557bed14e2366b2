/**
 * Publisher confirms of one channel: which publishes are safe, told in order, coalesced.
 *
 * Every publish of a confirming channel gets the next sequence and the ticket its promise waits
 * for (0 when it waits for nothing). Tickets of one channel never fall, except for those zeros;
 * telling strictly in order of sequence therefore delays a transient publish behind a durable one
 * by at most a commit, and makes every answer one `ack multiple`.
 *
 * Emission happens in the turn and after a commit, never inside `add`: basic.return must precede
 * the ack of the same message (AMQP 0-9-1, RabbitMQ confirms).
 */
import type { Ticket } from './ports.ts';

/** Where a protocol is told; called in order of sequence. */
export interface ConfirmSink {
  /** `sequence`, or everything up to it when `multiple`, is safe. */
  onConfirm(sequence: number, multiple: boolean): void;
  /** A queue's overflow policy refused `sequence`. */
  onReject(sequence: number): void;
}

const INITIAL_CAPACITY = 64;
/** What a ledger holds before its first publish; most connections never publish. */
const NO_TICKETS = new Float64Array(0);

export class ConfirmLedger {
  readonly #sink: ConfirmSink;
  readonly #onWaiting: (ledger: ConfirmLedger) => void;
  /** Tickets by sequence; a refused publish is kept as -(ticket + 1). */
  #tickets: Float64Array;
  /** Sequence of the oldest untold publish. */
  #first: number;
  #count: number;
  #newestTicket: Ticket;
  /** In the broker's list of ledgers to advance; owned by the broker. */
  isListed: boolean;

  constructor(sink: ConfirmSink, onWaiting: (ledger: ConfirmLedger) => void) {
    this.#sink = sink;
    this.#onWaiting = onWaiting;
    this.#tickets = NO_TICKETS;
    this.#first = 1;
    this.#count = 0;
    this.#newestTicket = 0;
    this.isListed = false;
  }

  get pendingCount(): number {
    return this.#count;
  }

  /** The newest ticket that a publish waited for; 0 before there was one. */
  get newestTicket(): Ticket {
    return this.#newestTicket;
  }

  /** Notes a publish. `sequence` is the previous one plus 1; the first may start anywhere. */
  add(sequence: number, ticket: Ticket, isRejected: boolean): void {
    if (this.#count === 0) this.#first = sequence;
    if (this.#count === this.#tickets.length) this.#grow();
    const slot = (this.#first + this.#count) & (this.#tickets.length - 1);
    this.#tickets[slot] = isRejected ? -ticket - 1 : ticket;
    this.#count += 1;
    if (ticket > this.#newestTicket) this.#newestTicket = ticket;
    if (!this.isListed) this.#onWaiting(this);
  }

  /** Tells everything that `committed` covers. Returns true while something still waits. */
  advance(committed: Ticket): boolean {
    const mask = this.#tickets.length - 1;
    let confirmed = 0;
    let run = 0;
    while (this.#count > 0) {
      const kept = this.#tickets[this.#first & mask]!;
      const isRejected = kept < 0;
      if ((isRejected ? -kept - 1 : kept) > committed) break;
      const sequence = this.#first;
      this.#first += 1;
      this.#count -= 1;
      if (!isRejected) {
        confirmed = sequence;
        run += 1;
        continue;
      }
      if (run > 0) this.#sink.onConfirm(confirmed, run > 1);
      run = 0;
      this.#sink.onReject(sequence);
    }
    if (run > 0) this.#sink.onConfirm(confirmed, run > 1);
    return this.#count > 0;
  }

  /** The channel is gone: nobody is told any more. */
  close(): void {
    this.#count = 0;
  }

  #grow(): void {
    const old = this.#tickets;
    const grown = new Float64Array(Math.max(INITIAL_CAPACITY, old.length * 2));
    for (let index = 0; index < this.#count; index += 1) {
      const sequence = this.#first + index;
      grown[sequence & (grown.length - 1)] = old[sequence & (old.length - 1)]!;
    }
    this.#tickets = grown;
  }
}
