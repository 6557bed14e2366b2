import type { FieldTable } from '../../src/base/field-value.ts';
import type { Actor } from '../../src/engine/actor.ts';
import type { Entry } from '../../src/engine/message.ts';
import type { Consumer } from '../../src/engine/queue/consumer.ts';
import type { Queue } from '../../src/engine/queue/queue.ts';
import type { Outbound } from '../../src/net/outbound.ts';
import { DeliverTemplate } from './delivery-writer.ts';
import { PrefetchLimit } from './prefetch-limit.ts';

/** What a consumer needs of its channel. */
export interface ConsumerHost {
  readonly id: number;
  readonly actor: Actor;
  readonly host: { readonly outbound: Outbound };
  /** The limit all consumers of the channel share (basic.qos with global). */
  readonly sharedLimit: PrefetchLimit;
  deliver(consumer: AmqpConsumer, queue: Queue, entry: Entry): void;
  consumerCancelled(consumer: AmqpConsumer): void;
}

/** What basic.consume asked for. */
export interface ConsumerOptions {
  readonly tag: string;
  readonly noAck: boolean;
  readonly exclusive: boolean;
  readonly priority: number;
  readonly arguments: FieldTable;
  /** Deliveries it may hold unsettled; 0 = no limit. */
  readonly prefetchCount: number;
}

/** A basic.consume subscription: the engine's port on one side, a channel on the other. */
export class AmqpConsumer implements Consumer {
  readonly tag: string;
  readonly noAck: boolean;
  readonly exclusive: boolean;
  readonly priority: number;
  /** Its own limit, else the one of its channel at the start; 0 = none. */
  readonly prefetchCount: number;
  readonly arguments: FieldTable;
  readonly actor: Actor;
  readonly template: DeliverTemplate;
  readonly limit: PrefetchLimit;
  /** Where it consumes from; set once the engine has taken it. */
  queue: Queue | undefined;
  /** Ms in which a delivery is to be settled; Infinity: whenever. */
  timeoutMs: number;
  /** Ended because a delivery was not. */
  isTimedOut: boolean;
  /** False until consume-ok is written and after cancel: then there are no deliveries. */
  isActive: boolean;
  readonly #host: ConsumerHost;
  readonly #outbound: Outbound;

  constructor(host: ConsumerHost, options: ConsumerOptions) {
    this.tag = options.tag;
    this.noAck = options.noAck;
    this.exclusive = options.exclusive;
    this.priority = options.priority;
    this.prefetchCount = options.prefetchCount || host.sharedLimit.max;
    this.arguments = options.arguments;
    this.actor = host.actor;
    this.template = new DeliverTemplate(host.id, options.tag);
    this.limit = new PrefetchLimit(options.prefetchCount);
    this.queue = undefined;
    this.timeoutMs = Infinity;
    this.isTimedOut = false;
    this.isActive = false;
    this.#host = host;
    this.#outbound = host.host.outbound;
  }

  get holdsDeliveries(): boolean {
    return this.limit.used > 0;
  }

  hasCredit(): boolean {
    if (!this.isActive || this.#outbound.isFull) return false;
    return this.noAck || (this.limit.hasRoom && this.#host.sharedLimit.hasRoom);
  }

  deliver(queue: Queue, entry: Entry): void {
    this.#host.deliver(this, queue, entry);
  }

  cancelled(): void {
    this.#host.consumerCancelled(this);
  }

  /** Tells the engine that credit came back. */
  wake(): void {
    if (this.isActive) this.queue?.consumerReady(this);
  }
}
