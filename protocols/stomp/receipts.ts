/**
 * RECEIPT frames. Each waits until what it answers is on disk: a receipt of SEND is a publisher
 * confirm, one of COMMIT says that all of it is there.
 *
 * Receipts go through one ledger, so they come in the order of their frames: the client that gets
 * the receipt of DISCONNECT has had all others (1.2, "Graceful Disconnect").
 */
import type { Broker } from '../../src/engine/broker.ts';
import type { ConfirmLedger, ConfirmSink } from '../../src/engine/confirm-ledger.ts';
import type { Ticket } from '../../src/engine/ports.ts';
import { PENDING_RECEIPTS_MAX } from './limits.ts';
import { StompError } from './stomp-error.ts';

/** Who writes them. */
export interface ReceiptHost {
  receipt(id: string): void;
  /** A queue's overflow policy refused the message of this receipt. */
  refused(id: string): void;
}

/** The receipts a connection is owed. */
export class Receipts implements ConfirmSink {
  readonly #host: ReceiptHost;
  readonly #ledger: ConfirmLedger;
  readonly #ids: Map<number, string>;
  #first: number;
  #last: number;

  constructor(broker: Broker, host: ReceiptHost) {
    this.#host = host;
    this.#ledger = broker.confirmLedger(this);
    this.#ids = new Map();
    this.#first = 1;
    this.#last = 0;
  }

  /** Sends RECEIPT once `ticket` is on disk; 0 waits for nothing but its turn. */
  owe(id: string, ticket: Ticket, isRefused: boolean): void {
    if (this.#ids.size === PENDING_RECEIPTS_MAX) {
      const detail = `more than ${PENDING_RECEIPTS_MAX} receipts pending\n`;
      throw new StompError('Too many receipts', detail);
    }
    this.#last += 1;
    this.#ids.set(this.#last, id);
    this.#ledger.add(this.#last, ticket, isRefused);
  }

  onConfirm(sequence: number, _multiple: boolean): void {
    // In order and without gaps: everything before it was told or is told now.
    while (this.#first <= sequence) this.#host.receipt(this.#take());
  }

  onReject(_sequence: number): void {
    this.#host.refused(this.#take());
  }

  /** Receipts not sent yet. */
  get pendingCount(): number {
    return this.#ids.size;
  }

  /** Nobody is told any more. */
  close(): void {
    this.#ledger.close();
    this.#ids.clear();
  }

  #take(): string {
    const id = this.#ids.get(this.#first) ?? '';
    this.#ids.delete(this.#first);
    this.#first += 1;
    return id;
  }
}
