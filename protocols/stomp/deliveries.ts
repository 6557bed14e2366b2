/**
 * Deliveries that wait for ACK or NACK.
 *
 * `message-id` of a MESSAGE, and its `ack` in 1.2, is `TAG@@SESSION@@NUMBER` as RabbitMQ writes it.
 * The number alone finds the delivery; the rest must be what was sent, so that an id from another
 * connection settles nothing.
 */
import type { Entry } from '../../src/engine/message.ts';
import type { Queue } from '../../src/engine/queue/queue.ts';
import { StompError } from './stomp-error.ts';
import type { Delivery, Subscription } from './subscription.ts';

const SEPARATOR = '@@';

/** How a delivery ends. */
export type Outcome = 'ack' | 'reject' | 'requeue';

export class Deliveries {
  readonly #session: string;
  readonly #unsettled: Map<number, Delivery>;
  #lastNumber: number;

  constructor(session: string) {
    this.#session = session;
    this.#unsettled = new Map();
    this.#lastNumber = 0;
  }

  /** Numbers a delivery and returns its id; one that is to be acknowledged is kept. */
  add(subscription: Subscription, queue: Queue, entry: Entry): string {
    this.#lastNumber += 1;
    const number = this.#lastNumber;
    if (!subscription.noAck) {
      const { generation } = entry;
      const delivery = { number, subscription, queue, entry, generation };
      this.#unsettled.set(number, delivery);
      subscription.unsettled.add(delivery);
    }
    return `${subscription.tag}${SEPARATOR}${this.#session}${SEPARATOR}${number}`;
  }

  /** @throws StompError for an id that is none of this connection's, or settled already */
  find(command: string, header: string, id: string): Delivery {
    const parts = id.split(SEPARATOR);
    const number = Number(parts.at(-1));
    if (parts.length < 3 || !Number.isSafeInteger(number) || parts.at(-2) !== this.#session) {
      const detail = `"${command}" must include a valid "${header}" header\n`;
      throw new StompError('Invalid header', detail);
    }
    const delivery = this.#unsettled.get(number);
    if (delivery?.subscription.tag === parts.slice(0, -2).join(SEPARATOR)) return delivery;
    throw new StompError('Message not found', `unknown delivery tag ${number}\n`);
  }

  /** True until it is settled. */
  isUnsettled(delivery: Delivery): boolean {
    return this.#unsettled.get(delivery.number) === delivery;
  }

  /**
   * Settles a delivery, and in mode `client` all older ones of its subscription with it. One that
   * was settled meanwhile is left alone.
   */
  settle(delivery: Delivery, outcome: Outcome): void {
    if (!this.isUnsettled(delivery)) return;
    const { subscription } = delivery;
    if (subscription.isCumulative) {
      for (const older of subscription.unsettled) {
        if (older.number > delivery.number) break;
        this.#settleOne(older, outcome);
      }
    } else {
      this.#settleOne(delivery, outcome);
    }
    subscription.wake();
  }

  /** The connection ends: everything goes back, as a failed delivery. */
  giveBackAll(): void {
    const all = [...this.#unsettled.values()];
    this.#unsettled.clear();
    for (const delivery of all) {
      delivery.subscription.unsettled.delete(delivery);
      if (isCurrent(delivery)) delivery.queue.requeue(delivery.entry, true);
    }
  }

  #settleOne(delivery: Delivery, outcome: Outcome): void {
    this.#unsettled.delete(delivery.number);
    delivery.subscription.unsettled.delete(delivery);
    if (!isCurrent(delivery)) return;
    const { queue, entry } = delivery;
    if (outcome === 'ack') queue.acknowledge(entry);
    else if (outcome === 'reject') queue.reject(entry);
    else queue.requeue(entry, false);
  }
}

/** False when the queue took it back meanwhile: settling it is late, and harmless. */
function isCurrent({ entry, generation }: Delivery): boolean {
  return entry.generation === generation;
}
