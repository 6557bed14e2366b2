/**
 * Who waits for the disk: publishers for confirms, replies that are held, queues that must not
 * deliver before a mark is durable. Tickets of holds and of queues never fall.
 */
import { Ring } from '../base/ring.ts';
import type { ConfirmLedger } from './confirm-ledger.ts';
import type { Ticket } from './ports.ts';
import type { Queue } from './queue/queue.ts';

interface Hold {
  readonly ticket: Ticket;
  readonly release: () => void;
}

interface WaitingQueue {
  readonly ticket: Ticket;
  readonly queue: Queue;
}

export class CommitWaiters {
  readonly #holds: Ring<Hold>;
  readonly #queues: Ring<WaitingQueue>;
  readonly #ledgers: ConfirmLedger[];
  /** The newest ticket of a hold or a queue, also of those that wait no more. */
  #newestTicket: Ticket;

  constructor() {
    this.#holds = new Ring();
    this.#queues = new Ring();
    this.#ledgers = [];
    this.#newestTicket = 0;
  }

  addHold(ticket: Ticket, release: () => void): void {
    this.#holds.push({ ticket, release });
    if (ticket > this.#newestTicket) this.#newestTicket = ticket;
  }

  addQueue(ticket: Ticket, queue: Queue): void {
    this.#queues.push({ ticket, queue });
    if (ticket > this.#newestTicket) this.#newestTicket = ticket;
  }

  addLedger(ledger: ConfirmLedger): void {
    ledger.isListed = true;
    this.#ledgers.push(ledger);
  }

  get hasLedgers(): boolean {
    return this.#ledgers.length > 0;
  }

  /** Whether anybody waits for `ticket` itself, and not only for earlier ones. */
  awaits(ticket: Ticket): boolean {
    if (this.#newestTicket >= ticket) return true;
    for (const ledger of this.#ledgers) {
      if (ledger.newestTicket >= ticket) return true;
    }
    return false;
  }

  /** Confirms what is on disk. */
  confirm(committed: Ticket): void {
    const ledgers = this.#ledgers;
    let kept = 0;
    for (const ledger of ledgers) {
      if (ledger.advance(committed)) {
        ledgers[kept] = ledger;
        kept += 1;
      } else {
        ledger.isListed = false;
      }
    }
    ledgers.length = kept;
  }

  /** Sends the replies that were held for what is on disk, then tells the queues. */
  release(committed: Ticket, wake: (queue: Queue) => void): void {
    for (let hold = this.#holds.peek(); hold !== undefined; hold = this.#holds.peek()) {
      if (hold.ticket > committed) break;
      this.#holds.shift();
      hold.release();
    }
    for (let w = this.#queues.peek(); w !== undefined; w = this.#queues.peek()) {
      if (w.ticket > committed) break;
      this.#queues.shift();
      wake(w.queue);
    }
  }
}
