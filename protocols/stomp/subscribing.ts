/**
 * SUBSCRIBE and UNSUBSCRIBE, and the queues behind them.
 *
 *     /queue/NAME      the queue itself, declared when it is not there
 *     /amq/queue/NAME, /reply-queue/NAME   the queue itself
 *     /topic, /exchange   a queue of the subscription's own, bound to the exchange; with
 *                      `durable:true` its name follows from destination and id, so that the next
 *                      connection finds it
 *
 * A reply-to of `/temp-queue/NAME` opens a queue of this connection and subscribes to it under
 * that name.
 */
import { createHash } from 'node:crypto';
import type { Actor } from '../../src/engine/actor.ts';
import { EMPTY_TABLE } from '../../src/base/field-value.ts';
import { type Destination, parseDestination } from './destination.ts';
import type { Frame } from './frame.ts';
import { escapeHeader } from './header-text.ts';
import { REPLY_QUEUES_MAX, SUBSCRIPTIONS_MAX } from './limits.ts';
import { consumeArguments, type QueueRequest, queueRequest } from './queue-request.ts';
import type { Dialect } from './spec/headers.ts';
import { StompError } from './stomp-error.ts';
import { type AckMode, Subscription, type SubscriptionHost } from './subscription.ts';

/** Begins the tags of subscriptions with an id, as RabbitMQ's. */
const ID_TAG = 'T_';
/** Begins the tags of subscriptions without one (1.0): the destination follows. */
const DESTINATION_TAG = 'Q_';
const REPLY_PREFIX = '/temp-queue/';
const QUEUE_NAME_PREFIX = 'stomp-subscription-';
const QUEUE_NAME_RANDOM_BYTES = 16;

const REPLY_QUEUE: QueueRequest = {
  passive: false,
  durable: false,
  exclusive: true,
  autoDelete: true,
  arguments: EMPTY_TABLE,
};

/** What subscribing needs of its connection. */
export interface SubscribingHost extends SubscriptionHost {
  readonly actor: Actor;
  readonly dialect: Dialect;
  randomBytes(count: number): Uint8Array;
}

/** The subscriptions of one connection. */
export class Subscribing {
  readonly #host: SubscribingHost;
  readonly #subscriptions: Map<string, Subscription>;
  readonly #replyQueues: Map<string, string>;

  constructor(host: SubscribingHost) {
    this.#host = host;
    this.#subscriptions = new Map();
    this.#replyQueues = new Map();
  }

  /** @throws StompError, BrokerError for what cannot be subscribed to */
  subscribe(frame: Frame): void {
    const text = frame.header('destination');
    if (text === undefined) {
      const detail = '"SUBSCRIBE" must include a \'destination\' header\n';
      throw new StompError('Missing destination', detail);
    }
    const destination = parseDestination(text);
    if (destination.kind === 'temp-queue') {
      const detail = `'${text}' is not a valid destination for 'SUBSCRIBE'\n`;
      throw new StompError('Invalid destination', detail);
    }
    const id = subscriptionId(frame);
    const tag = id === undefined ? DESTINATION_TAG + text : ID_TAG + id;
    this.#checkNew(tag);
    const ackMode = ackModeOf(frame);
    const prefetchCount = frame.integerHeader('prefetch-count', 0, 65_535) ?? 0;
    const args = consumeArguments(frame);
    const { queue, isOwn } = this.#queueFor(destination, frame, text, id);
    this.#consume(queue, {
      tag,
      ackMode,
      priority: Number(args.get('x-priority') ?? 0),
      prefetchCount,
      arguments: args,
      prefix: this.#prefix(id),
      ownQueue: isOwn ? queue : undefined,
    });
  }

  /** @throws StompError without such a subscription */
  unsubscribe(frame: Frame): void {
    const id = subscriptionId(frame);
    const text = frame.header('destination');
    if (id === undefined && text === undefined) {
      const detail = "UNSUBSCRIBE must include a 'destination' or 'id' header";
      throw new StompError('Missing destination or id', detail);
    }
    const tag = id === undefined ? DESTINATION_TAG + text : ID_TAG + id;
    const subscription = this.#subscriptions.get(tag);
    if (subscription === undefined) {
      const shown = id === undefined ? `destination='${text}'` : `id='${id}'`;
      throw new StompError(
        'No subscription found',
        'UNSUBSCRIBE must refer to an existing subscription.\n' +
          `Subscription to "${shown}" not found.\n`,
      );
    }
    this.#end(subscription);
    const { actor } = this.#host;
    if (subscription.ownQueue === undefined || !asksDurable(frame)) return;
    actor.vhost.deleteQueue(actor, subscription.ownQueue, false, false);
  }

  /** The queue of a reply-to, opened on its first use. @throws BrokerError, StompError */
  replyQueue(name: string): string {
    const known = this.#replyQueues.get(name);
    if (known !== undefined) return known;
    if (this.#replyQueues.size === REPLY_QUEUES_MAX) {
      const detail = `more than ${REPLY_QUEUES_MAX} temporary queues\n`;
      throw new StompError('Too many reply queues', detail);
    }
    const { actor } = this.#host;
    const id = REPLY_PREFIX + name;
    const { queue } = actor.vhost.declareQueue(actor, '', REPLY_QUEUE);
    this.#consume(queue.name, {
      tag: ID_TAG + id,
      ackMode: 'auto',
      priority: 0,
      prefetchCount: 0,
      arguments: EMPTY_TABLE,
      prefix: this.#prefix(id),
      ownQueue: undefined,
    });
    this.#replyQueues.set(name, queue.name);
    return queue.name;
  }

  /** The engine ended it. False when it is none of these any more. */
  forget(subscription: Subscription): boolean {
    if (this.#subscriptions.get(subscription.tag) !== subscription) return false;
    subscription.isActive = false;
    return this.#subscriptions.delete(subscription.tag);
  }

  /** The socket has drained: tells the engine. */
  wakeAll(): void {
    for (const subscription of this.#subscriptions.values()) subscription.wake();
  }

  /** Ends every subscription. */
  close(): void {
    for (const subscription of [...this.#subscriptions.values()]) this.#end(subscription);
  }

  #consume(queueName: string, options: ConstructorParameters<typeof Subscription>[1]): void {
    const { actor } = this.#host;
    const subscription = new Subscription(this.#host, options);
    subscription.queue = actor.vhost.consume(actor, queueName, subscription);
    this.#subscriptions.set(options.tag, subscription);
  }

  #end(subscription: Subscription): void {
    this.#subscriptions.delete(subscription.tag);
    subscription.isActive = false;
    this.#host.actor.vhost.cancel(subscription);
  }

  #checkNew(tag: string): void {
    if (this.#subscriptions.has(tag)) {
      const detail = `A subscription identified by '${tag}' already exists.`;
      throw new StompError('Duplicated subscription identifier', detail);
    }
    if (this.#subscriptions.size < SUBSCRIPTIONS_MAX) return;
    const detail = `more than ${SUBSCRIPTIONS_MAX} subscriptions\n`;
    throw new StompError('Too many subscriptions', detail);
  }

  #queueFor(
    destination: Destination,
    frame: Frame,
    text: string,
    id: string | undefined,
  ): { queue: string; isOwn: boolean } {
    const { actor } = this.#host;
    const { vhost } = actor;
    if (destination.kind === 'queue') {
      vhost.declareQueue(actor, destination.key, queueRequest(frame, true));
      return { queue: destination.key, isOwn: false };
    }
    if (destination.kind !== 'topic' && destination.kind !== 'exchange') {
      return { queue: destination.key, isOwn: false };
    }
    if (asksDurable(frame) && id === undefined) {
      const detail = "Header 'id' is required for durable subscriptions";
      throw new StompError('Missing Header', detail);
    }
    const request = queueRequest(frame, false);
    const name = frame.header('x-queue-name') ?? this.#queueName(request, text, id);
    // What fails after the declaration leaves a queue of this connection, which goes with it.
    vhost.declareQueue(actor, name, request);
    vhost.bindQueue(actor, name, destination.exchange, destination.key, EMPTY_TABLE);
    return { queue: name, isOwn: true };
  }

  #queueName(request: QueueRequest, text: string, id: string | undefined): string {
    if (!request.durable) {
      const random = Buffer.from(this.#host.randomBytes(QUEUE_NAME_RANDOM_BYTES));
      return QUEUE_NAME_PREFIX + random.toString('base64url');
    }
    // The name is public: the hash only bounds its length.
    const hash = createHash('sha256')
      .update(JSON.stringify([text, id]))
      .digest('base64url');
    return QUEUE_NAME_PREFIX + hash;
  }

  #prefix(id: string | undefined): string {
    if (id === undefined) return 'MESSAGE\n';
    return `MESSAGE\nsubscription:${escapeHeader(id, this.#host.dialect)}\n`;
  }
}

function subscriptionId(frame: Frame): string | undefined {
  const id = frame.header('id');
  if (id?.startsWith(REPLY_PREFIX) === true) {
    const detail = `"${frame.command}" 'id' may not start with ${REPLY_PREFIX}\n`;
    throw new StompError('Invalid id', detail);
  }
  return id;
}

function asksDurable(frame: Frame): boolean {
  return (frame.booleanHeader('durable') ?? frame.booleanHeader('persistent')) === true;
}

function ackModeOf(frame: Frame): AckMode {
  const mode = frame.header('ack') ?? 'auto';
  if (mode === 'auto' || mode === 'client' || mode === 'client-individual') return mode;
  throw new StompError('Invalid header', `ack '${mode}' is not auto, client, client-individual\n`);
}
