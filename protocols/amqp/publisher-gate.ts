/**
 * When a connection is not read.
 *
 * Two conditions hold only for connections that publish, so that consumers keep draining: an alarm
 * (memory, disk), which the client is told of, and a commit backlog, which it merely feels as TCP
 * back-pressure. The third holds for all: a client that does not take what it asked for (gets,
 * returns) is not asked for more until it does.
 */
import type { Broker } from '../../src/engine/broker.ts';
import type { Transport } from '../../src/net/transport.ts';

/** Tells a client that understands it. */
export interface BlockedNotices {
  blocked(reason: string): void;
  unblocked(): void;
}

/** The gate of one connection. */
export class PublisherGate {
  readonly #broker: Broker;
  readonly #transport: Transport;
  readonly #notices: BlockedNotices;
  #isPublisher: boolean;
  #isAlarmed: boolean;
  #isHeld: boolean;
  #isReading: boolean;

  constructor(broker: Broker, transport: Transport, notices: BlockedNotices) {
    this.#broker = broker;
    this.#transport = transport;
    this.#notices = notices;
    this.#isPublisher = false;
    this.#isAlarmed = false;
    this.#isHeld = false;
    this.#isReading = true;
  }

  /** True while the client is silent because the broker's own state keeps it unread. */
  get excusesSilence(): boolean {
    return !this.#isReading && !this.#isHeld;
  }

  /** From the first publish on the gate applies. */
  becamePublisher(): void {
    if (this.#isPublisher) return;
    this.#isPublisher = true;
    this.update();
  }

  /** Input is held for another reason (input-hold.ts), or no more. */
  setHeld(isHeld: boolean): void {
    this.#isHeld = isHeld;
    this.update();
  }

  /** Alarms, the commit backlog or a hold changed. */
  update(): void {
    if (!this.#isPublisher) {
      this.#setReading(!this.#isHeld);
      return;
    }
    const { alarms, isOverloaded } = this.#broker;
    const isAlarmed = alarms.size > 0;
    // A second alarm is not told; the end is told when all are over (RabbitMQ).
    if (isAlarmed !== this.#isAlarmed) {
      this.#isAlarmed = isAlarmed;
      if (isAlarmed) this.#notices.blocked(`low on ${[...alarms].join(' & ')}`);
      else this.#notices.unblocked();
    }
    this.#setReading(!isAlarmed && !isOverloaded && !this.#isHeld);
  }

  /** The connection is closing: what the peer still says must be read. */
  open(): void {
    this.#isPublisher = false;
    this.#isHeld = false;
    this.#setReading(true);
  }

  #setReading(isReading: boolean): void {
    if (isReading === this.#isReading) return;
    this.#isReading = isReading;
    if (isReading) this.#transport.resume();
    else this.#transport.pause();
  }
}
