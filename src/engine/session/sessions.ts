/**
 * The sessions of one vhost: opening, resuming, subscribing, expiring, and what of it is persisted.
 *
 *              open (clean)                          disconnected, expiry passed
 *   (none) ----------------> CONNECTED <-----------> WAITING ------------------> (none)
 *              open (resume)     |  disconnected, expiry > 0
 *                                +--- disconnected, expiry 0 ---> (none)
 *
 * 1. A persistent session is a durable queue `mqtt-subscription-CLIENT` and definitions
 *    (session-records.ts); its expiry is the queue's own: the queue is deleted when it had no
 *    consumer for so long, and the session goes with it, whoever deletes it.
 * 2. Any other session has an exclusive queue of its connection, from its first subscription on,
 *    and goes with it.
 * 3. A shared subscription is a queue `mqtt-share-GROUP/FILTER` of which every member is a
 *    consumer; it goes with its last member, and with its queue, whoever deletes that.
 * 4. A subscription may name a queue instead: it is consumed beside whoever else does, and nothing
 *    is made or deleted. It is resumed with the session while there is such a queue.
 * 5. Rights are those of the public operations used: configure, write and read on the session's
 *    queue, read on the topic exchange and on the topic, or on the queue that is named.
 */
import { BrokerError } from '../../base/errors.ts';
import { EMPTY_TABLE } from '../../base/field-value.ts';
import { SESSION_LEVELS_MAX, SUBSCRIPTION_LEVELS_MAX } from '../../base/limits.ts';
import type { Actor } from '../actor.ts';
import type { Json } from '../definitions.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { TopicExchange } from '../exchange/topic-exchange.ts';
import type { Message } from '../message.ts';
import type { Store, Ticket } from '../ports.ts';
import type { Queue } from '../queue/queue.ts';
import type { VHost } from '../vhost.ts';
import type { VHostQueues } from '../vhost-queues.ts';
import { expectShareable } from './named-queue.ts';
import { topicToKey } from './routing-key.ts';
import { Session } from './session.ts';
import { SessionRecords } from './session-records.ts';
import { declareShareQueue, isShareQueue, shareFilterOf, shareQueueName } from './share-queue.ts';
import type { SubscriptionIndex } from './subscription-index.ts';
import { isSame, levelsOf, type Subscription } from './subscription.ts';

/** What CONNECT asks for. */
export interface SessionRequest {
  readonly clientId: string;
  readonly cleanStart: boolean;
  /** Ms after the connection; 0 ends with it; Infinity never. */
  readonly expiryMs: number;
}

export interface SessionOpened {
  readonly session: Session;
  /** State of an earlier connection was found. */
  readonly isPresent: boolean;
  readonly ticket: Ticket;
}

interface ShareGroup {
  readonly queue: Queue;
  readonly topicFilter: string;
  readonly members: Set<Session>;
}

/** RabbitMQ's default for MQTT. */
const DEFAULT_TOPIC_EXCHANGE = 'amq.topic';
const QUEUE_PREFIX = 'mqtt-subscription-';
/** Messages a slow client may have waiting; then QoS 0 ones are dropped. */
const TRANSIENT_READY_MAX = 10_000;
/** QoS 0 is for those who are there and read. */
const SLOW_READER_SETTINGS = {
  dropsTransientWhenIdle: true,
  transientReadyMax: TRANSIENT_READY_MAX,
};

export class Sessions {
  readonly #vhost: VHost;
  readonly #queues: VHostQueues;
  readonly #store: Store;
  readonly #records: SessionRecords;
  /** The topic exchange devices publish to and subscribe at. */
  exchangeName: string;
  readonly #byClient: Map<string, Session>;
  readonly #byQueue: Map<Queue, Session>;
  readonly #shares: Map<string, ShareGroup>;
  /** Wills the last process left, until somebody takes them. */
  #leftWills: [clientId: string, will: Json][];

  constructor(vhost: VHost, queues: VHostQueues) {
    this.#vhost = vhost;
    this.#queues = queues;
    this.#store = queues.store;
    this.#records = new SessionRecords(vhost.name, queues.store);
    this.exchangeName = DEFAULT_TOPIC_EXCHANGE;
    this.#byClient = new Map();
    this.#byQueue = new Map();
    this.#shares = new Map();
    this.#leftWills = [];
  }

  get count(): number {
    return this.#byClient.size;
  }

  /** Subscriptions of all sessions. */
  get subscriptionCount(): number {
    let count = 0;
    for (const { subscriptions } of this.#byClient.values()) count += subscriptions.size;
    return count;
  }

  find(clientId: string): Session | undefined {
    return this.#byClient.get(clientId);
  }

  /**
   * Whether `actor` may have the session of a client id at all; before anything is done to it.
   * @throws BrokerError ACCESS_REFUSED
   */
  authorize(actor: Actor, clientId: string): void {
    const name = QUEUE_PREFIX + clientId;
    const { access } = this.#queues;
    access.authorize(actor.user, this.#vhost.name, 'configure', 'queue', name);
    access.authorize(actor.user, this.#vhost.name, 'read', 'queue', name);
  }

  /**
   * Whether `actor` may still read all that its session is subscribed to.
   * @throws BrokerError ACCESS_REFUSED
   */
  reauthorize(actor: Actor, session: Session): void {
    for (const subscription of session.subscriptions.values()) {
      this.#authorizeRead(actor, session, subscription);
    }
  }

  /** Whether `actor` may read, now, what a subscription of its session is about. */
  mayRead(actor: Actor, session: Session, subscription: Subscription): boolean {
    try {
      this.#authorizeRead(actor, session, subscription);
      return true;
    } catch (error) {
      if (error instanceof BrokerError && error.code === 'ACCESS_REFUSED') return false;
      throw error;
    }
  }

  /** Resumes or begins a session. The caller has ended the client's older connection. */
  open(actor: Actor, request: SessionRequest): SessionOpened {
    this.authorize(actor, request.clientId);
    const existing = this.#byClient.get(request.clientId);
    if (existing !== undefined && !request.cleanStart && existing.isPersistent) {
      this.setExpiry(existing, request.expiryMs);
      this.#dropRefused(actor, existing);
      return { session: existing, isPresent: true, ticket: this.#store.ticket };
    }
    if (existing !== undefined) this.end(existing);
    const session = new Session(request.clientId, request.expiryMs > 0, request.expiryMs);
    if (session.isPersistent) this.#declareQueue(actor, session);
    this.#byClient.set(request.clientId, session);
    this.#records.keep(session);
    return { session, isPresent: false, ticket: this.#store.ticket };
  }

  /** @throws BrokerError 403, 405, 406: somebody else has a queue of the name */
  #declareQueue(actor: Actor, session: Session): void {
    const { isPersistent } = session;
    const name = QUEUE_PREFIX + session.clientId;
    this.#vhost.declareQueue(actor, name, {
      passive: false,
      durable: isPersistent,
      exclusive: !isPersistent,
      autoDelete: false,
      arguments: EMPTY_TABLE,
    });
    const queue = this.#vhost.topology.queues.get(name)!;
    session.queue = queue;
    this.#byQueue.set(queue, session);
    this.#applyExpiry(session);
  }

  /** Changes how long the session outlives its connection; 0 makes it end with it. */
  setExpiry(session: Session, expiryMs: number): void {
    if (!session.isPersistent || session.expiryMs === expiryMs) return;
    session.expiryMs = expiryMs;
    this.#applyExpiry(session);
    this.#records.keep(session);
  }

  /** The connection is gone; its consumers are cancelled already. */
  disconnected(session: Session): void {
    if (this.#byClient.get(session.clientId) !== session) return;
    if (session.expiryMs === 0) this.end(session);
    else if (session.hasQueue) session.queue.touch();
  }

  /**
   * Adds or replaces a subscription; false when it replaced one.
   *
   * @param bindingKey what topic permissions see of the filter
   * @throws BrokerError ACCESS_REFUSED, RESOURCE_ERROR, and what a queue by name is refused with
   */
  subscribe(
    actor: Actor,
    session: Session,
    subscription: Subscription,
    bindingKey: string,
  ): boolean {
    if (subscription.queue === undefined) {
      this.#subscribeToTopic(actor, session, subscription, bindingKey);
    } else {
      this.#authorizeRead(actor, session, subscription);
      const queue = this.sharedQueue(subscription);
      const isSession = queue !== undefined && this.#byQueue.has(queue);
      expectShareable(queue, isSession, subscription.queue, this.#vhost.name);
      expectSessionRoom(session, subscription);
    }
    const previous = session.put(subscription);
    this.#vhost.topology.touch();
    if (previous === undefined || !isSame(previous, subscription)) {
      this.#records.keepSubscription(session, subscription);
    }
    return previous === undefined;
  }

  #subscribeToTopic(
    actor: Actor,
    session: Session,
    subscription: Subscription,
    bindingKey: string,
  ): void {
    const { clientId } = session;
    const index = this.#vhost.subscriptionsFor(actor, this.exchangeName, bindingKey, clientId);
    this.#expectRoom(session, subscription, index);
    if (!session.hasQueue) this.#declareQueue(actor, session);
    if (subscription.group === undefined) {
      index.add(subscription.topicFilter, session.queue);
    } else {
      this.#join(actor, session, subscription, subscription.group);
    }
  }

  /** @throws BrokerError RESOURCE_ERROR for a filter that is too much for session or vhost */
  #expectRoom(session: Session, subscription: Subscription, index: SubscriptionIndex) {
    if (session.subscriptions.has(subscription.filter)) return;
    expectSessionRoom(session, subscription);
    if (index.levelCount + levelsOf(subscription.topicFilter) > SUBSCRIPTION_LEVELS_MAX) {
      throw new BrokerError('RESOURCE_ERROR', 'too many levels in the filters of all sessions');
    }
  }

  /** Removes a subscription; false when there was none. */
  unsubscribe(session: Session, filter: string): boolean {
    const subscription = session.remove(filter);
    if (subscription === undefined) return false;
    this.#drop(session, subscription);
    this.#vhost.topology.touch();
    this.#records.forgetSubscription(session, filter);
    return true;
  }

  /** The queue behind a shared subscription. */
  sharedQueue({ queue, filter }: Subscription): Queue | undefined {
    if (queue !== undefined) return this.#vhost.topology.queues.get(queue);
    return this.#shares.get(filter)?.queue;
  }

  /** Notes a QoS 2 packet id; durable with the same commit as the publish it belongs to. */
  received(session: Session, packetId: number): void {
    session.addReceived(packetId);
    this.#records.keepReceived(session, packetId);
  }

  /** The publisher released a QoS 2 packet id. */
  released(session: Session, packetId: number): void {
    if (session.deleteReceived(packetId)) this.#records.forgetReceived(session, packetId);
  }

  /** A QoS 2 delivery arrived; to be called in the run that settles it: one commit has both. */
  arrived(session: Session, packetId: number): void {
    session.addReleased(packetId);
    this.#records.keepReleased(session, packetId);
  }

  /** The client completed a QoS 2 delivery. */
  completed(session: Session, packetId: number): void {
    if (session.deleteReleased(packetId)) this.#records.forgetReleased(session, packetId);
  }

  /** Rejects what a session took over from a queue: to the dead letters of that, if it has any. */
  rejectFrom(queueName: string, message: Message): void {
    const queue = this.#vhost.topology.queues.get(queueName);
    if (queue !== undefined) this.#vhost.publisher.deadLetter(queue, message, 'rejected');
  }

  /** Ends a session with everything it holds. */
  end(session: Session): void {
    if (this.#byClient.get(session.clientId) !== session) return;
    if (session.hasQueue) this.#queues.remove(session.queue);
    else this.#byClient.delete(session.clientId);
  }

  /** A queue was deleted, by whomever: the session or group it carried goes with it. */
  queueRemoved(queue: Queue): void {
    const session = this.#byQueue.get(queue);
    if (session === undefined) {
      this.#shareRemoved(queue);
      return;
    }
    this.#byQueue.delete(queue);
    this.#byClient.delete(session.clientId);
    for (const subscription of session.subscriptions.values()) this.#drop(session, subscription);
    this.#records.forget(session);
  }

  /** Nobody is subscribed any more: what is published reaches no queue, and is answered so. */
  #shareRemoved(queue: Queue): void {
    const filter = shareFilterOf(queue.name);
    const share = this.#shares.get(filter);
    if (share?.queue !== queue) return;
    this.#shares.delete(filter);
    this.#index()?.remove(share.topicFilter, queue);
    for (const session of share.members) {
      session.remove(filter);
      this.#records.forgetSubscription(session, filter);
    }
  }

  /** Puts a persisted session back; its queue exists. Its subscriptions follow. */
  restore(clientId: string, value: Json): void {
    const row = value as unknown as {
      readonly expiryMs: number | null;
      /** Of a file from when a session was one definition. */
      readonly subscriptions?: readonly Subscription[];
    };
    const queue = this.#vhost.topology.queues.get(QUEUE_PREFIX + clientId);
    if (queue === undefined) return;
    const session = new Session(clientId, true, row.expiryMs ?? Infinity);
    session.queue = queue;
    this.#byClient.set(clientId, session);
    this.#byQueue.set(queue, session);
    this.#applyExpiry(session);
    if (row.subscriptions === undefined) return;
    for (const subscription of row.subscriptions) {
      this.#restoreSubscription(session, subscription);
      this.#records.keepSubscription(session, subscription);
    }
    this.#records.keep(session);
  }

  /** Puts a persisted subscription back; its session is there. */
  restoreSubscription(clientId: string, filter: string, value: Json): void {
    const session = this.#byClient.get(clientId);
    if (session === undefined) this.#records.forgetStray(clientId, filter);
    else this.#restoreSubscription(session, value as unknown as Subscription);
  }

  #restoreSubscription(session: Session, subscription: Subscription): void {
    session.put(subscription);
    const { group, topicFilter, queue: named } = subscription;
    if (named !== undefined) return;
    if (group === undefined) this.#index()?.add(topicFilter, session.queue);
    else this.#rejoin(session, subscription, group);
  }

  /** Every session is back: a share whose members ended with the last process ends now. */
  endEmptyShares(): void {
    const inUse = new Set([...this.#shares.values()].map(({ queue }) => queue));
    for (const queue of [...this.#vhost.topology.queues.values()]) {
      if (isShareQueue(queue) && !inUse.has(queue)) this.#queues.remove(queue);
    }
  }

  /** The topic exchange was declared, maybe again: what is subscribed is subscribed at this one. */
  exchangeAdded(exchange: Exchange): void {
    if (exchange.name !== this.exchangeName || !(exchange instanceof TopicExchange)) return;
    const index = exchange.subscriptions;
    for (const session of this.#byClient.values()) {
      for (const { group, topicFilter } of session.subscriptions.values()) {
        if (group === undefined) index.add(topicFilter, session.queue);
      }
    }
    for (const { topicFilter, queue } of this.#shares.values()) index.add(topicFilter, queue);
  }

  /** Keeps a client's will over a restart; replaces the one before. */
  keepWill(clientId: string, will: Json): void {
    this.#records.keepWill(clientId, will);
  }

  /** The will was published, or is off. */
  forgetWill(clientId: string): void {
    this.#records.forgetWill(clientId);
  }

  /** Puts a persisted will back. */
  restoreWill(clientId: string, will: Json): void {
    this.#leftWills.push([clientId, will]);
  }

  /** The wills the last process left; once. */
  takeWills(): [clientId: string, will: Json][] {
    return this.#leftWills.splice(0);
  }

  /** Puts a persisted QoS 2 packet id back. */
  restoreReceived(clientId: string, packetId: number): void {
    this.#byClient.get(clientId)?.addReceived(packetId);
  }

  /** Puts a persisted QoS 2 delivery under way back. */
  restoreReleased(clientId: string, packetId: number): void {
    this.#byClient.get(clientId)?.addReleased(packetId);
  }

  /** Another user may resume a session, or the same one with less rights than before. */
  #dropRefused(actor: Actor, session: Session): void {
    for (const subscription of [...session.subscriptions.values()]) {
      if (!this.mayRead(actor, session, subscription)) {
        this.unsubscribe(session, subscription.filter);
      }
    }
  }

  /** @throws BrokerError ACCESS_REFUSED */
  #authorizeRead(actor: Actor, { clientId }: Session, subscription: Subscription): void {
    const { access } = this.#queues;
    const { name } = this.#vhost;
    if (subscription.queue !== undefined) {
      access.authorize(actor.user, name, 'read', 'queue', subscription.queue);
      return;
    }
    const shared = this.sharedQueue(subscription);
    if (shared !== undefined) access.authorize(actor.user, name, 'read', 'queue', shared.name);
    access.authorize(actor.user, name, 'read', 'exchange', this.exchangeName);
    const key = topicToKey(subscription.topicFilter);
    access.authorizeTopic(actor.user, name, 'read', this.exchangeName, key, clientId);
  }

  #join(actor: Actor, session: Session, subscription: Subscription, group: string): void {
    const { filter, topicFilter } = subscription;
    const name = shareQueueName(group, topicFilter);
    if (!this.#shares.has(filter)) declareShareQueue(this.#vhost, actor, name);
    this.#rejoin(session, subscription, group);
  }

  #rejoin(session: Session, subscription: Subscription, group: string): void {
    const share = this.#shares.get(subscription.filter);
    if (share !== undefined) share.members.add(session);
    else this.#addShare(session, subscription, shareQueueName(group, subscription.topicFilter));
  }

  #addShare(session: Session, subscription: Subscription, queueName: string): void {
    const queue = this.#vhost.topology.queues.get(queueName);
    if (queue === undefined) return;
    const { topicFilter } = subscription;
    this.#queues.override(queue, SLOW_READER_SETTINGS);
    this.#shares.set(subscription.filter, { queue, topicFilter, members: new Set([session]) });
    this.#index()?.add(topicFilter, queue);
  }

  #drop(session: Session, subscription: Subscription): void {
    if (subscription.queue !== undefined) return;
    const index = this.#index();
    if (subscription.group === undefined) {
      index?.remove(subscription.topicFilter, session.queue);
      return;
    }
    const share = this.#shares.get(subscription.filter);
    if (share === undefined) return;
    share.members.delete(session);
    if (share.members.size > 0) return;
    this.#shares.delete(subscription.filter);
    index?.remove(share.topicFilter, share.queue);
    this.#queues.remove(share.queue);
  }

  #applyExpiry(session: Session): void {
    const { expiryMs } = session;
    this.#queues.override(session.queue, {
      ...(session.isPersistent && { dropsTransientWhenIdle: true }),
      transientReadyMax: TRANSIENT_READY_MAX,
      ...(session.isPersistent && expiryMs !== Infinity && { expiresMs: Math.max(expiryMs, 1) }),
    });
  }

  #index(): SubscriptionIndex | undefined {
    const exchange = this.#vhost.topology.exchanges.get(this.exchangeName);
    return exchange instanceof TopicExchange ? exchange.subscriptions : undefined;
  }
}

/** @throws BrokerError RESOURCE_ERROR */
function expectSessionRoom(session: Session, { filter, topicFilter }: Subscription): void {
  if (session.subscriptions.has(filter)) return;
  if (session.levelCount + levelsOf(topicFilter) > SESSION_LEVELS_MAX) {
    throw new BrokerError('RESOURCE_ERROR', 'too many levels in the filters of the session');
  }
}
