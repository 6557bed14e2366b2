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
  #isBackedUp: boolean;
  #isReading: boolean;

  constructor(broker: Broker, transport: Transport, notices: BlockedNotices) {
    this.#broker = broker;
    this.#transport = transport;
    this.#notices = notices;
    this.#isPublisher = false;
    this.#isAlarmed = false;
    this.#isBackedUp = false;
    this.#isReading = true;
  }

  /** False while the broker does not read the socket. */
  get isReading(): boolean {
    return this.#isReading;
  }

  /** True while an alarm holds the connection. */
  get isBlocked(): boolean {
    return this.#isAlarmed;
  }

  /** From the first publish on the gate applies. */
  becamePublisher(): void {
    if (this.#isPublisher) return;
    this.#isPublisher = true;
    this.update();
  }

  /** Too much of what the client asked for is unread, or no more. */
  setBackedUp(isBackedUp: boolean): void {
    this.#isBackedUp = isBackedUp;
    this.update();
  }

  /** Alarms, the commit backlog or what the client has not read changed. */
  update(): void {
    if (!this.#isPublisher) {
      this.#setReading(!this.#isBackedUp);
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
    this.#setReading(!isAlarmed && !isOverloaded && !this.#isBackedUp);
  }

  /** The connection is closing: what the peer still says must be read. */
  open(): void {
    this.#isPublisher = false;
    this.#isBackedUp = false;
    this.#setReading(true);
  }

  #setReading(isReading: boolean): void {
    if (isReading === this.#isReading) return;
    this.#isReading = isReading;
    if (isReading) this.#transport.resume();
    else this.#transport.pause();
  }
}
