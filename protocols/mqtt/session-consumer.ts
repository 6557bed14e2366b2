import { EMPTY_TABLE, type FieldTable } from '../../src/base/field-value.ts';
import type { Actor } from '../../src/engine/actor.ts';
import type { Entry } from '../../src/engine/message.ts';
import type { Consumer } from '../../src/engine/queue/consumer.ts';
import type { Queue } from '../../src/engine/queue/queue.ts';
import type { Session } from '../../src/engine/session/session.ts';
import type { Subscription } from '../../src/engine/session/subscription.ts';
import type { Outbound } from '../../src/net/outbound.ts';
import type { Deliveries } from './deliveries.ts';

/** Messages of a shared QoS 2 subscription that may wait in the session's own queue, at most. */
const MOVED_AHEAD_MAX = 64;

/** What a consumer needs of its connection. */
export interface ConsumerHost {
  readonly actor: Actor;
  readonly outbound: Outbound;
  readonly session: Session;
  readonly deliveries: Deliveries;
  /** False until CONNACK is written and once the connection ends. */
  readonly isDelivering: boolean;
  /** A message of the session's own queue was handed over. */
  ownDelivered(): void;
  /** Everything in the session's own queue was handed over. */
  ownQueueDrained(): void;
  /** The queue was deleted, or the right to read it withdrawn. */
  consumerCancelled(consumer: SessionConsumer): void;
}

/** The connection as consumer of its session's queue, or of one it shares. */
export class SessionConsumer implements Consumer {
  readonly tag: string;
  readonly exclusive: boolean;
  readonly priority: number;
  readonly prefetchCount: number;
  readonly arguments: FieldTable;
  readonly actor: Actor;
  readonly subscription: Subscription | undefined;
  queue: Queue | undefined;
  readonly #host: ConsumerHost;
  readonly #outbound: Outbound;
  readonly #session: Session;
  /** Was given a message that it cannot send: others have their chance until the next tick. */
  #isPaused: boolean;

  /** @param subscription  the shared one it serves; undefined for the session's own queue */
  constructor(host: ConsumerHost, subscription: Subscription | undefined) {
    this.tag = host.session.clientId;
    this.exclusive = false;
    this.priority = 0;
    this.prefetchCount = 0;
    this.arguments = EMPTY_TABLE;
    this.actor = host.actor;
    this.subscription = subscription;
    this.queue = undefined;
    this.#host = host;
    this.#outbound = host.outbound;
    this.#session = host.session;
    this.#isPaused = false;
  }

  /** Nothing this session gets is ever acknowledged: the hand-over settles it. */
  get noAck(): boolean {
    const { subscription } = this;
    if (subscription !== undefined)
      return subscription.qos === 0 && subscription.queue === undefined;
    const { isPersistent, highestQos, subscriptions } = this.#session;
    // A persistent one may hold what it began with a higher QoS, before it subscribed otherwise.
    return !isPersistent && highestQos === 0 && subscriptions.size > 0;
  }

  hasCredit(): boolean {
    const { isDelivering, deliveries } = this.#host;
    if (!isDelivering || this.#outbound.isFull || this.#isPaused) return false;
    if (this.subscription?.qos !== 2 || !this.#session.isPersistent) return deliveries.hasRoom;
    const aheadCount = this.#session.queue.readyCount;
    if (aheadCount >= MOVED_AHEAD_MAX) return false;
    // Of a queue by name no more is taken than Receive Maximum: what waits here counts.
    return deliveries.hasRoomBehind(this.subscription.queue === undefined ? 0 : aheadCount);
  }

  deliver(queue: Queue, entry: Entry): void {
    if (!this.#host.deliveries.deliver(queue, entry, this.subscription)) this.#isPaused = true;
    if (this.subscription !== undefined) return;
    this.#host.ownDelivered();
    // Shared subscriptions wait while much of theirs lies in the own queue.
    if (queue.readyCount === 0) this.#host.ownQueueDrained();
  }

  /** Time has passed. */
  tick(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.wake();
  }

  cancelled(): void {
    this.#host.consumerCancelled(this);
  }

  /** Tells the engine that credit came back. */
  wake(): void {
    this.queue?.consumerReady(this);
  }
}
