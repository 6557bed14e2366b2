/**
 * The CMQ topics of one vhost: making, changing, ending them and their subscriptions, what of it is
 * persisted, and rights.
 *
 * 1. A topic is its exchange: whoever deletes the exchange, over whatever protocol, ends the topic.
 * 2. Names are unique and found whatever their case; they keep the case they were made with.
 * 3. A subscription's bindings are made of its record at restart, not persisted by themselves.
 * 4. Rights: topics and subscriptions are managed with configure on the topic's exchange, published
 *    to with write. Whoever subscribes a queue, or names a dead-letter queue, needs write on it.
 */
import { isDeepStrictEqual } from 'node:util';
import { BrokerError } from '../../base/errors.ts';
import { EMPTY_TABLE, type FieldTable, type FieldValue } from '../../base/field-value.ts';
import type { Actor } from '../actor.ts';
import { definitionKey } from '../definitions.ts';
import type { Json } from '../definitions.ts';
import { QueueNames } from '../cmq/queue-names.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { BINDING_TAGS } from '../exchange/tags-exchange.ts';
import type { Ticket } from '../ports.ts';
import type { VHostQueues } from '../vhost-queues.ts';
import type { VHost } from '../vhost.ts';
import { Subscription } from './subscription.ts';
import type {
  SubscriptionChanges,
  SubscriptionOptions,
  SubscriptionRecord,
} from './subscription.ts';
import { Topic } from './topic.ts';
import type { TopicChanges, TopicOptions, TopicRecord } from './topic.ts';
import { TopicBridge } from './topic-bridge.ts';
import { TopicError } from './topic-error.ts';
import { TopicStamp } from './topic-message.ts';
import { TopicTrace } from './topic-trace.ts';
import type { TopicsHost, TopicsPort } from './topics-host.ts';

const ID_RANDOM_BYTES = 5;
const REQUEST_ID_BYTES = 8;

export class Topics {
  readonly #vhost: VHost;
  readonly #queues: VHostQueues;
  readonly #host: TopicsHost;
  readonly #port: TopicsPort;
  /** By name in lower case, in the order they were made. */
  readonly #topics: Map<string, Topic>;
  readonly #bridges: Map<Topic, TopicBridge>;

  constructor(vhost: VHost, queues: VHostQueues, port: TopicsPort) {
    this.#vhost = vhost;
    this.#queues = queues;
    this.#port = port;
    this.#topics = new Map();
    this.#bridges = new Map();
    const { topology, publisher } = vhost;
    this.#host = {
      topology,
      queues,
      queueNames: new QueueNames(topology),
      publisher,
      stamp: new TopicStamp(publisher.host.formats, () => port.nextMessageId()),
      random: port.random,
      get transport() {
        return port.transport;
      },
      nowMs: () => queues.nowMs(),
      newRequestId: () => hex(port.random.bytes(REQUEST_ID_BYTES)),
      requestTurn: () => port.requestTurn(),
    };
    port.onOpen(() => this.start());
  }

  get count(): number {
    return this.#topics.size;
  }

  /** Whatever its case. */
  find(name: string): Topic | undefined {
    return this.#topics.get(name.toLowerCase());
  }

  list(): Iterable<Topic> {
    return this.#topics.values();
  }

  /** Topics that `actor` has some right on, by name. */
  visibleTo(actor: Actor): Topic[] {
    const { access } = this.#queues;
    return [...this.#topics.values()]
      .filter(({ name }) =>
        (['configure', 'write', 'read'] as const).some((right) =>
          access.isAuthorized(actor.user, this.#vhost.name, right, 'exchange', name),
        ),
      )
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Id for a message that is about to be published to a topic. */
  nextMessageId(): string {
    return this.#port.nextMessageId();
  }

  /**
   * @param topicsMax topics of this vhost
   * @throws BrokerError ACCESS_REFUSED; TopicError 'exists', 'topic-quota'
   */
  create(
    actor: Actor,
    name: string,
    options: TopicOptions,
    topicsMax = Infinity,
  ): { topic: Topic; ticket: Ticket } {
    this.#authorize(actor, 'configure', 'exchange', name);
    if (this.#isTaken(name)) throw new TopicError('exists', `topic '${name}' exists`);
    if (this.#topics.size >= topicsMax) {
      throw new TopicError('topic-quota', `there are ${this.#topics.size} topics`);
    }
    this.#vhost.declareExchange(actor, name, {
      passive: false,
      type: options.filterType === 1 ? 'x-tags' : 'topic',
      durable: true,
      autoDelete: false,
      internal: false,
      arguments: EMPTY_TABLE,
    });
    const nowMs = this.#host.nowMs();
    const topic = this.#add(name, this.#host.topology.exchanges.get(name)!, {
      ...options,
      id: this.#newId('topic'),
      owner: actor.user.name,
      createdAtMs: nowMs,
      modifiedAtMs: nowMs,
    });
    this.#persistTopic(topic);
    return { topic, ticket: this.#queues.ticket };
  }

  /** @throws BrokerError ACCESS_REFUSED */
  change(actor: Actor, topic: Topic, changes: TopicChanges): Ticket {
    this.#authorize(actor, 'configure', 'exchange', topic.name);
    topic.record = { ...topic.record, ...changes, modifiedAtMs: this.#host.nowMs() };
    this.#persistTopic(topic);
    return this.#queues.ticket;
  }

  /** @throws BrokerError ACCESS_REFUSED; TopicError 'has-subscriptions' */
  delete(actor: Actor, topic: Topic): Ticket {
    this.#authorize(actor, 'configure', 'exchange', topic.name);
    if (topic.subscriptions.size > 0) {
      throw new TopicError('has-subscriptions', `topic '${topic.name}' has subscriptions`);
    }
    return this.#vhost.deleteExchange(actor, topic.name, false);
  }

  /**
   * @param subscriptionsMax subscriptions of this topic
   * @throws BrokerError ACCESS_REFUSED; TopicError 'subscription-exists', 'subscription-quota',
   *   'no-binding-key', 'no-queue'
   */
  subscribe(
    actor: Actor,
    topic: Topic,
    name: string,
    options: SubscriptionOptions,
    subscriptionsMax = Infinity,
  ): { subscription: Subscription; ticket: Ticket } {
    this.#authorize(actor, 'configure', 'exchange', topic.name);
    if (topic.subscription(name) !== undefined) {
      throw new TopicError('subscription-exists', `subscription '${name}' exists`);
    }
    if (topic.subscriptions.size >= subscriptionsMax) {
      const text = `topic '${topic.name}' has ${topic.subscriptions.size} subscriptions`;
      throw new TopicError('subscription-quota', text);
    }
    const nowMs = this.#host.nowMs();
    const record = this.#resolved(actor, topic, {
      ...options,
      id: this.#newId('subsc'),
      createdAtMs: nowMs,
      modifiedAtMs: nowMs,
    });
    const subscription = this.#attach(topic, name, record);
    this.#persistSubscription(subscription);
    return { subscription, ticket: this.#queues.ticket };
  }

  /** @throws BrokerError ACCESS_REFUSED; TopicError 'no-binding-key', 'no-queue' */
  changeSubscription(
    actor: Actor,
    subscription: Subscription,
    changes: SubscriptionChanges,
  ): Ticket {
    const { topic } = subscription;
    this.#authorize(actor, 'configure', 'exchange', topic.name);
    const changed = { ...subscription.record, ...changes, modifiedAtMs: this.#host.nowMs() };
    this.#change(subscription, this.#resolved(actor, topic, changed));
    return this.#queues.ticket;
  }

  /** @throws BrokerError ACCESS_REFUSED */
  unsubscribe(actor: Actor, subscription: Subscription): Ticket {
    const { topic, subscriptionName, record } = subscription;
    this.#authorize(actor, 'configure', 'exchange', topic.name);
    for (const filter of filtersOf(topic, record)) this.#unbind(subscription, filter);
    topic.subscriptions.delete(subscriptionName.toLowerCase());
    this.#forget(subscription);
    return this.#queues.ticket;
  }

  /** An exchange was deleted, by whomever: its topic goes with it. */
  exchangeRemoved(exchange: Exchange): void {
    const topic = this.find(exchange.name);
    if (topic?.exchange !== exchange) return;
    this.#topics.delete(topic.name.toLowerCase());
    this.#bridges.get(topic)?.close();
    this.#bridges.delete(topic);
    for (const subscription of topic.subscriptions.values()) this.#forget(subscription);
    topic.subscriptions.clear();
    topic.trace.drop();
    this.#host.topology.touch();
    this.#queues.store.undefine('cmq_topic', definitionKey(this.#vhost.name, topic.name));
  }

  /**
   * Makes or changes a topic as definitions have it, checked; its exchange exists. Nobody's rights
   * are asked. False when it is so already.
   */
  define(name: string, wanted: TopicOptions & Identity & { readonly owner: string }): boolean {
    const topic = this.find(name);
    const times = this.#timesOf(topic?.record);
    const id = wanted.id ?? topic?.record.id ?? this.#newId('topic');
    const record = { ...wanted, ...times, id };
    if (topic === undefined) {
      const exchange = this.#host.topology.exchanges.get(name)!;
      this.#persistTopic(this.#add(name, exchange, record));
      return true;
    }
    if (isDeepStrictEqual(record, topic.record)) return false;
    topic.record = { ...record, modifiedAtMs: this.#host.nowMs() };
    this.#persistTopic(topic);
    return true;
  }

  /** The same for a subscription, whose topic exists. */
  defineSubscription(topic: Topic, name: string, wanted: SubscriptionOptions & Identity): boolean {
    const subscription = topic.subscription(name);
    const times = this.#timesOf(subscription?.record);
    const id = wanted.id ?? subscription?.record.id ?? this.#newId('subsc');
    const record = { ...wanted, ...times, id };
    if (subscription === undefined) {
      const made = this.#attach(topic, name, record);
      this.#persistSubscription(made);
      made.restore();
      made.start();
      return true;
    }
    if (isSameRecord(record, subscription.record)) return false;
    this.#change(subscription, { ...record, modifiedAtMs: this.#host.nowMs() });
    return true;
  }

  #timesOf(before: { createdAtMs: number; modifiedAtMs: number } | undefined): {
    createdAtMs: number;
    modifiedAtMs: number;
  } {
    const nowMs = this.#host.nowMs();
    return {
      createdAtMs: before?.createdAtMs ?? nowMs,
      modifiedAtMs: before?.modifiedAtMs ?? nowMs,
    };
  }

  /** Puts a persisted topic back; its exchange exists. */
  restoreTopic(name: string, value: Json): void {
    const exchange = this.#host.topology.exchanges.get(name);
    if (exchange === undefined) return;
    this.#add(name, exchange, { tags: [], ...(value as unknown as StoredTopic) });
  }

  /** Puts a persisted subscription back; topic and queues exist. */
  restoreSubscription(topicName: string, name: string, value: Json): void {
    const topic = this.find(topicName);
    if (topic === undefined) return;
    this.#attach(topic, name, value as unknown as SubscriptionRecord).restore();
  }

  /** Deliveries go on: there is a transport, and everything is restored. */
  start(): void {
    for (const topic of this.#topics.values()) {
      for (const subscription of topic.subscriptions.values()) subscription.start();
    }
  }

  #add(name: string, exchange: Exchange, record: TopicRecord): Topic {
    const trace = new TopicTrace(name, this.#vhost, this.#queues);
    const topic = new Topic(name, exchange, record, trace);
    this.#topics.set(name.toLowerCase(), topic);
    const devices = this.#host.topology.exchanges.get(this.#vhost.sessions.exchangeName);
    if (devices !== undefined)
      this.#bridges.set(topic, new TopicBridge(topic, devices, this.#host));
    return topic;
  }

  #attach(topic: Topic, name: string, record: SubscriptionRecord): Subscription {
    const subscription = new Subscription(topic, name, record, this.#host);
    const filters = filtersOf(topic, record);
    try {
      for (const filter of filters) this.#bind(subscription, filter);
    } catch (error) {
      for (const filter of filters) this.#unbind(subscription, filter);
      throw error;
    }
    topic.subscriptions.set(name.toLowerCase(), subscription);
    return subscription;
  }

  /** @throws BrokerError when a filter cannot be; then nothing has changed */
  #change(subscription: Subscription, record: SubscriptionRecord): void {
    const { topic, record: previous } = subscription;
    const before = filtersOf(topic, previous);
    const after = filtersOf(topic, record);
    for (const filter of before) this.#unbind(subscription, filter);
    try {
      for (const filter of after) this.#bind(subscription, filter);
    } catch (error) {
      for (const filter of after) this.#unbind(subscription, filter);
      for (const filter of before) this.#bind(subscription, filter);
      throw error;
    }
    subscription.change(record);
    this.#persistSubscription(subscription);
  }

  #forget(subscription: Subscription): void {
    subscription.end();
    this.#queues.store.undefine('cmq_subscription', this.#key(subscription));
  }

  /** The record with queue names as they are written; the queues exist. */
  #resolved(actor: Actor, topic: Topic, record: SubscriptionRecord): SubscriptionRecord {
    if (topic.record.filterType === 2 && record.bindingKeys.length === 0) {
      throw new TopicError('no-binding-key', 'a topic of filterType 2 needs a binding key');
    }
    const { protocol, endpoint, deadLetterQueue } = record;
    return {
      ...record,
      endpoint: protocol === 'queue' ? this.#queueName(actor, endpoint) : endpoint,
      deadLetterQueue:
        deadLetterQueue === undefined ? undefined : this.#queueName(actor, deadLetterQueue),
    };
  }

  /** The name a queue was made with. */
  #queueName(actor: Actor, name: string): string {
    try {
      return this.#vhost.cmq.queues.find(actor, name, 'write').name;
    } catch (error) {
      if (!(error instanceof BrokerError) || error.code !== 'NOT_FOUND') throw error;
      throw new TopicError('no-queue', error.message);
    }
  }

  #isTaken(name: string): boolean {
    const { exchanges } = this.#host.topology;
    if (this.find(name) !== undefined || exchanges.has(name)) return true;
    const wanted = name.toLowerCase();
    for (const existing of exchanges.keys()) if (existing.toLowerCase() === wanted) return true;
    return false;
  }

  #authorize(
    actor: Actor,
    permission: 'configure' | 'write' | 'read',
    kind: 'queue' | 'exchange',
    name: string,
  ): void {
    this.#queues.access.authorize(actor.user, this.#vhost.name, permission, kind, name);
  }

  #bind(subscription: Subscription, { key, args }: Filter): void {
    this.#host.topology.bind(subscription.topic.exchange, subscription, key, args);
  }

  #unbind(subscription: Subscription, { key, args }: Filter): void {
    this.#host.topology.unbind(subscription.topic.exchange, subscription, key, args);
  }

  #persistTopic({ name, record }: Topic): void {
    const key = definitionKey(this.#vhost.name, name);
    this.#queues.store.define('cmq_topic', key, JSON.stringify(record));
  }

  #persistSubscription(subscription: Subscription): void {
    const value = JSON.stringify(subscription.record);
    this.#queues.store.define('cmq_subscription', this.#key(subscription), value);
  }

  #key({ topic, subscriptionName }: Subscription): string {
    return definitionKey(this.#vhost.name, topic.name, subscriptionName);
  }

  #newId(prefix: string): string {
    return `${prefix}-${hex(this.#port.random.bytes(ID_RANDOM_BYTES))}`;
  }
}

/** A record on disk: the first ones had no labels. */
type StoredTopic = Omit<TopicRecord, 'tags'> & Partial<Pick<TopicRecord, 'tags'>>;

/** An id that definitions give; without one it stays, or is made. */
interface Identity {
  readonly id: string | undefined;
}

/** Members that are undefined are as good as none. */
function isSameRecord(a: SubscriptionRecord, b: SubscriptionRecord): boolean {
  const none = { secret: undefined, deadLetterQueue: undefined };
  return isDeepStrictEqual({ ...none, ...a }, { ...none, ...b });
}

interface Filter {
  readonly key: string;
  readonly args: FieldTable;
}

/** The bindings a record amounts to. */
export function filtersOf(
  topic: { readonly record: Pick<TopicOptions, 'filterType'> },
  record: Pick<SubscriptionOptions, 'filterTags' | 'bindingKeys'>,
): readonly Filter[] {
  if (topic.record.filterType === 2) {
    return [...new Set(record.bindingKeys)].map((key) => ({ key, args: EMPTY_TABLE }));
  }
  const tags: FieldValue = [...record.filterTags];
  const args: FieldTable = tags.length === 0 ? EMPTY_TABLE : new Map([[BINDING_TAGS, tags]]);
  return [{ key: '', args }];
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
