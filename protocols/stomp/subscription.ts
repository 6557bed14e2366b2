import type { FieldTable } from '../../src/base/field-value.ts';
import type { Actor } from '../../src/engine/actor.ts';
import type { Entry } from '../../src/engine/message.ts';
import type { Consumer } from '../../src/engine/queue/consumer.ts';
import type { Queue } from '../../src/engine/queue/queue.ts';
import type { Outbound } from '../../src/net/outbound.ts';

/** How a client acknowledges: not at all, everything up to a message, or one message. */
export type AckMode = 'auto' | 'client' | 'client-individual';

/** What SUBSCRIBE asked for. */
export interface SubscriptionOptions {
  readonly tag: string;
  readonly ackMode: AckMode;
  readonly priority: number;
  /** Deliveries it may hold unacknowledged; 0 = no limit. */
  readonly prefetchCount: number;
  readonly arguments: FieldTable;
  /** The MESSAGE frame up to what the delivery decides. */
  readonly prefix: string;
  /** A queue to delete when an UNSUBSCRIBE with `durable:true` ends it. */
  readonly ownQueue: string | undefined;
}

/** A message a client has and has not settled. */
export interface Delivery {
  readonly number: number;
  readonly subscription: Subscription;
  readonly queue: Queue;
  readonly entry: Entry;
  /** Of the entry when it was handed over: a later one means that it was taken back. */
  readonly generation: number;
}

/** What a subscription needs of its connection. */
export interface SubscriptionHost {
  readonly actor: Actor;
  readonly outbound: Outbound;
  deliver(subscription: Subscription, queue: Queue, entry: Entry): void;
  subscriptionCancelled(subscription: Subscription): void;
}

/** SUBSCRIBE: the engine's consumer on one side, a connection on the other. */
export class Subscription implements Consumer {
  readonly tag: string;
  readonly noAck: boolean;
  readonly isCumulative: boolean;
  readonly exclusive: boolean;
  readonly priority: number;
  readonly prefetchCount: number;
  readonly arguments: FieldTable;
  readonly actor: Actor;
  readonly prefix: string;
  readonly ownQueue: string | undefined;
  /** What the client has not settled, the oldest first. */
  readonly unsettled: Set<Delivery>;
  queue: Queue | undefined;
  isActive: boolean;
  readonly #host: SubscriptionHost;
  readonly #outbound: Outbound;

  constructor(host: SubscriptionHost, options: SubscriptionOptions) {
    this.tag = options.tag;
    this.noAck = options.ackMode === 'auto';
    this.isCumulative = options.ackMode === 'client';
    this.exclusive = false;
    this.priority = options.priority;
    this.prefetchCount = options.prefetchCount;
    this.arguments = options.arguments;
    this.actor = host.actor;
    this.prefix = options.prefix;
    this.ownQueue = options.ownQueue;
    this.unsettled = new Set();
    this.queue = undefined;
    this.isActive = true;
    this.#host = host;
    this.#outbound = host.outbound;
  }

  get holdsDeliveries(): boolean {
    return this.unsettled.size > 0;
  }

  hasCredit(): boolean {
    if (!this.isActive || this.#outbound.isFull) return false;
    return this.noAck || this.prefetchCount === 0 || this.unsettled.size < this.prefetchCount;
  }

  deliver(queue: Queue, entry: Entry): void {
    this.#host.deliver(this, queue, entry);
  }

  cancelled(): void {
    this.#host.subscriptionCancelled(this);
  }

  /** Tells the engine that credit came back. */
  wake(): void {
    if (this.isActive) this.queue?.consumerReady(this);
  }
}
