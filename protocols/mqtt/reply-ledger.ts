import type { Broker } from '../../src/engine/broker.ts';
import type { ConfirmLedger, ConfirmSink } from '../../src/engine/confirm-ledger.ts';
import type { Ticket } from '../../src/engine/ports.ts';

/** In place of a packet type: a delivery that waits for its own commit. */
export const REPLY_DELIVERY = 0;

/** Where replies go once what they promise is on disk. */
export interface ReplySink {
  /** @param type  PUBACK, PUBREC, PUBREL, PUBCOMP, or REPLY_DELIVERY */
  onReply(type: number, packetId: number, reasonCode: number): void;
}

const INITIAL_CAPACITY = 16;
const NO_RING = new Uint32Array(0);

/**
 * Acknowledgements of one connection, each sent when the commit it promises is on disk, all in the
 * order in which they were earned [MQTT-4.6.0-2], [MQTT-4.6.0-3], [MQTT-4.6.0-4].
 *
 * A ring of packed numbers (type, reason code, packet id) beside a `ConfirmLedger`.
 */
export class ReplyLedger implements ConfirmSink {
  readonly #broker: Broker;
  readonly #sink: ReplySink;
  /** Made by the first reply: most connections never publish. */
  #ledger: ConfirmLedger | undefined;
  #ring: Uint32Array;
  /** Sequences of the oldest reply that waits, and of the next one. */
  #first: number;
  #next: number;

  constructor(broker: Broker, sink: ReplySink) {
    this.#broker = broker;
    this.#sink = sink;
    this.#ledger = undefined;
    this.#ring = NO_RING;
    this.#first = 1;
    this.#next = 1;
  }

  /** Notes a reply that waits for `ticket`; 0: for nothing but its turn. */
  add(type: number, packetId: number, reasonCode: number, ticket: Ticket): void {
    if (this.#next - this.#first === this.#ring.length) this.#grow();
    const sequence = this.#next;
    this.#ring[sequence & (this.#ring.length - 1)] = (type << 24) | (reasonCode << 16) | packetId;
    this.#next = sequence + 1;
    this.#ledger ??= this.#broker.confirmLedger(this);
    this.#ledger.add(sequence, ticket, false);
  }

  onConfirm(sequence: number): void {
    while (this.#first <= sequence) {
      const packed = this.#ring[this.#first & (this.#ring.length - 1)]!;
      this.#first += 1;
      this.#sink.onReply(packed >>> 24, packed & 0xffff, (packed >>> 16) & 0xff);
    }
  }

  onReject(sequence: number): void {
    this.onConfirm(sequence);
  }

  /** The connection is gone. */
  close(): void {
    this.#ledger?.close();
    this.#first = this.#next;
  }

  #grow(): void {
    const grown = new Uint32Array(Math.max(this.#ring.length * 2, INITIAL_CAPACITY));
    for (let sequence = this.#first; sequence < this.#next; sequence += 1) {
      grown[sequence & (grown.length - 1)] = this.#ring[sequence & (this.#ring.length - 1)]!;
    }
    this.#ring = grown;
  }
}
