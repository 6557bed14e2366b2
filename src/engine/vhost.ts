/**
 * A vhost as protocols see it: every operation names who asks, checks rights and state in
 * RabbitMQ's order and with its reply texts, applies to memory at once and returns the ticket of
 * the commit that makes it durable.
 *
 * Rights (RabbitMQ access control): declare and delete need configure; publish needs write on the
 * exchange; consume, get and purge need read on the queue; a binding needs write on its destination
 * and read on its source; naming a dead-letter or alternate exchange needs read on the one that
 * names it and write on the one named.
 */
import { BrokerError } from '../base/errors.ts';
import type { FieldTable } from '../base/field-value.ts';
import { typeName } from './field-text.ts';
import type { Actor } from './actor.ts';
import {
  checkExchangeEquivalence,
  checkQueueEquivalence,
  lockedQueueError,
  resourceText,
} from './equivalence.ts';
import { CmqAccount } from './cmq/cmq-account.ts';
import { checkConsumerArguments } from './consumer-arguments.ts';
import type { Exchange } from './exchange/exchange.ts';
import { checkExchangeType } from './exchange/exchange-types.ts';
import { TopicExchange } from './exchange/topic-exchange.ts';
import type { Entry, Message } from './message.ts';
import type { Ticket } from './ports.ts';
import type { Publisher, Route } from './publish.ts';
import type { Consumer } from './queue/consumer.ts';
import type { Queue } from './queue/queue.ts';
import { isReplyKey } from './reply-target.ts';
import type { ReplyTargets } from './reply-target.ts';
import type { RetainedMessages } from './session/retained.ts';
import { Sessions } from './session/sessions.ts';
import type { SubscriptionIndex } from './session/subscription-index.ts';
import { Topics } from './topic/topics.ts';
import type { TopicsPort } from './topic/topics-host.ts';
import type { ExchangeDeclaration, Topology } from './topology.ts';
import type { VHostQueues } from './vhost-queues.ts';

export interface ExchangeDeclareOptions extends ExchangeDeclaration {
  readonly passive: boolean;
}

export interface QueueDeclareOptions {
  readonly passive: boolean;
  readonly durable: boolean;
  readonly exclusive: boolean;
  readonly autoDelete: boolean;
  readonly arguments: FieldTable;
}

/** What declare-ok tells. */
export interface QueueInfo {
  readonly name: string;
  readonly readyCount: number;
  readonly consumerCount: number;
}

export interface QueueDeclared {
  readonly queue: QueueInfo;
  readonly ticket: Ticket;
}

export interface Counted {
  readonly count: number;
  readonly ticket: Ticket;
}

const RESERVED_PREFIX = 'amq.';
/** Own queues of subscriptions (topic/subscription.ts). */
const RESERVED_QUEUE_PREFIXES = [RESERVED_PREFIX, 'cmq.push.'];

export class VHost {
  readonly name: string;
  readonly topology: Topology;
  readonly publisher: Publisher;
  readonly replyTargets: ReplyTargets;
  readonly sessions: Sessions;
  readonly retained: RetainedMessages;
  readonly topics: Topics;
  readonly cmq: CmqAccount;
  readonly #queues: VHostQueues;

  constructor(
    topology: Topology,
    publisher: Publisher,
    queues: VHostQueues,
    replyTargets: ReplyTargets,
    retained: RetainedMessages,
    topicsPort: TopicsPort,
  ) {
    this.name = topology.vhostName;
    this.topology = topology;
    this.publisher = publisher;
    this.replyTargets = replyTargets;
    this.retained = retained;
    this.sessions = new Sessions(this, queues);
    this.topics = new Topics(this, queues, topicsPort);
    this.#queues = queues;
    this.cmq = new CmqAccount(this, queues);
    queues.onRemoved = (queue) => {
      this.sessions.queueRemoved(queue);
      this.cmq.queueRemoved(queue);
    };
    topology.onExchangeAdded = (exchange) => this.sessions.exchangeAdded(exchange);
  }

  /** @throws BrokerError 403, 404 (passive), 406 */
  declareExchange(actor: Actor, name: string, options: ExchangeDeclareOptions): Ticket {
    if (options.passive) {
      this.#refuseDefaultExchange(name);
      this.#queues.authorizeAny(actor, 'exchange', name);
      this.#exchange(name);
      return 0;
    }
    checkExchangeType(options.type);
    this.#refuseDefaultExchange(name);
    this.#authorize(actor, 'configure', 'exchange', name);
    const existing = this.topology.exchanges.get(name);
    if (existing !== undefined) {
      checkExchangeEquivalence(this.name, existing, options);
      return this.#queues.ticket;
    }
    if (name.startsWith(RESERVED_PREFIX)) refuseReserved('exchange', name);
    this.#authorizeAlternate(actor, name, options.arguments);
    this.topology.addExchange(name, options);
    this.#queues.applyPolicies();
    return options.durable ? this.#queues.ticket : 0;
  }

  /** Missing is fine. @throws BrokerError 403, 406 in use */
  deleteExchange(actor: Actor, name: string, ifUnused: boolean): Ticket {
    this.#refuseDefaultExchange(name);
    if (name.startsWith(RESERVED_PREFIX)) {
      const resource = resourceText('exchange', name, this.name);
      fail('ACCESS_REFUSED', `deletion of system ${resource} not allowed`);
    }
    this.#authorize(actor, 'configure', 'exchange', name);
    const exchange = this.topology.exchanges.get(name);
    // Gone for this one too: the commit that says so may still be under way.
    if (exchange === undefined) return this.#queues.ticket;
    if (ifUnused && exchange.bindingCount > 0) {
      fail('PRECONDITION_FAILED', `${resourceText('exchange', name, this.name)} in use`);
    }
    this.topology.removeExchange(exchange);
    return this.#queues.ticket;
  }

  bindExchange(
    actor: Actor,
    destination: string,
    source: string,
    key: string,
    args: FieldTable,
  ): Ticket {
    this.#refuseDefaultExchange(destination);
    this.#refuseDefaultExchange(source);
    this.#authorize(actor, 'write', 'exchange', destination);
    this.#authorize(actor, 'read', 'exchange', source);
    const from = this.#exchange(source);
    const to = this.#exchange(destination);
    this.#authorizeTopic(actor, 'read', from, key);
    this.topology.bind(from, to, key, args);
    return this.#queues.ticket;
  }

  /** Missing ends or bindings are fine. */
  unbindExchange(
    actor: Actor,
    destination: string,
    source: string,
    key: string,
    args: FieldTable,
  ): Ticket {
    this.#refuseDefaultExchange(destination);
    this.#refuseDefaultExchange(source);
    this.#authorize(actor, 'write', 'exchange', destination);
    this.#authorize(actor, 'read', 'exchange', source);
    const from = this.topology.exchanges.get(source);
    const to = this.topology.exchanges.get(destination);
    if (from !== undefined && to !== undefined) this.topology.unbind(from, to, key, args);
    return this.#queues.ticket;
  }

  /** An empty name asks for a server-named queue. @throws BrokerError 403, 404, 405, 406 */
  declareQueue(actor: Actor, name: string, options: QueueDeclareOptions): QueueDeclared {
    if (isReplyKey(name)) return this.#queues.declareReplyName(this.replyTargets, name);
    if (options.passive) {
      this.#queues.authorizeAny(actor, 'queue', name);
      const queue = this.#accessibleQueue(actor, name);
      queue.touch();
      return { queue, ticket: 0 };
    }
    if (name !== '') {
      this.#authorize(actor, 'configure', 'queue', name);
      const existing = this.topology.queues.get(name);
      if (existing !== undefined) return this.#redeclare(actor, existing, options);
      for (const prefix of RESERVED_QUEUE_PREFIXES) {
        if (name.startsWith(prefix)) refuseReserved('queue', name, prefix);
      }
    }
    return this.#queues.create(actor, name, options);
  }

  bindQueue(
    actor: Actor,
    queueName: string,
    exchangeName: string,
    key: string,
    args: FieldTable,
  ): Ticket {
    const [queue, exchange] = this.#bindingEnds(actor, queueName, exchangeName, key);
    if (exchange === undefined) {
      fail('NOT_FOUND', `no ${resourceText('exchange', exchangeName, this.name)}`);
    }
    if (queue === undefined) fail('NOT_FOUND', `no ${resourceText('queue', queueName, this.name)}`);
    this.#refuseForeign(actor, queue);
    this.topology.bind(exchange, queue, key, args);
    return queue.isDurable ? this.#queues.ticket : 0;
  }

  /** Missing ends or bindings are fine. */
  unbindQueue(
    actor: Actor,
    queueName: string,
    exchangeName: string,
    key: string,
    args: FieldTable,
  ): Ticket {
    const [queue, exchange] = this.#bindingEnds(actor, queueName, exchangeName, key);
    if (queue === undefined || exchange === undefined) return this.#queues.ticket;
    this.#refuseForeign(actor, queue);
    this.topology.unbind(exchange, queue, key, args);
    return this.#queues.ticket;
  }

  purgeQueue(actor: Actor, name: string): Counted {
    this.#authorize(actor, 'read', 'queue', name);
    const queue = this.#accessibleQueue(actor, name);
    const count = queue.purge();
    return { count, ticket: this.#queues.ticket };
  }

  /** Missing is fine (count 0). @throws BrokerError 403, 405, 406 */
  deleteQueue(actor: Actor, name: string, ifUnused: boolean, ifEmpty: boolean): Counted {
    this.#authorize(actor, 'configure', 'queue', name);
    const queue = this.topology.queues.get(name);
    if (queue === undefined) return { count: 0, ticket: this.#queues.ticket };
    this.#refuseForeign(actor, queue);
    const resource = resourceText('queue', name, this.name);
    if (ifUnused && queue.consumerCount > 0) fail('PRECONDITION_FAILED', `${resource} in use`);
    if (ifEmpty && queue.readyCount > 0) fail('PRECONDITION_FAILED', `${resource} not empty`);
    const count = queue.readyCount;
    this.#queues.remove(queue);
    return { count, ticket: this.#queues.ticket };
  }

  /** Starts deliveries to `consumer`. @throws BrokerError 403, 404, 405, 406, 540 */
  consume(actor: Actor, queueName: string, consumer: Consumer): Queue {
    this.#authorize(actor, 'read', 'queue', queueName);
    const queue = this.#accessibleQueue(actor, queueName);
    const isSingleActive = queue.settings.singleActiveConsumer;
    if (
      queue.hasExclusiveConsumer ||
      (consumer.exclusive && (queue.consumerCount > 0 || isSingleActive))
    ) {
      fail('ACCESS_REFUSED', `${resourceText('queue', queueName, this.name)} in exclusive use`);
    }
    checkConsumerArguments(queue, consumer, this.name);
    queue.checkConsumer(consumer);
    queue.addConsumer(consumer);
    this.#queues.consumerAdded(queue, consumer);
    return queue;
  }

  /** Ends deliveries; what is unsettled stays with the channel. Unknown consumers are fine. */
  cancel(consumer: Consumer): void {
    this.#queues.cancel(consumer);
  }

  /** Leases one entry; `done` may run in a later turn. @throws BrokerError 403, 404, 405, 540 */
  get(
    actor: Actor,
    queueName: string,
    done: (entry: Entry | undefined, queue: Queue) => void,
  ): void {
    this.#authorize(actor, 'read', 'queue', queueName);
    this.#accessibleQueue(actor, queueName).get(done);
  }

  /** Checks a publisher's rights and finds its targets. @throws BrokerError 403, 404 */
  resolveRoute(actor: Actor, exchangeName: string, routingKey: string): Route {
    this.#authorize(actor, 'write', 'exchange', exchangeName);
    if (exchangeName === '') {
      return this.publisher.resolve(this.topology.defaultExchange, routingKey);
    }
    const exchange = this.#exchange(exchangeName);
    if (exchange.isInternal) {
      const resource = resourceText('exchange', exchangeName, this.name);
      fail('ACCESS_REFUSED', `cannot publish to internal ${resource}`);
    }
    this.#authorizeTopic(actor, 'write', exchange, routingKey);
    return this.publisher.resolve(exchange, routingKey);
  }

  /**
   * A route for a publish by topic, as MQTT's: `routingKey` is what AMQP bindings see of it.
   * @throws BrokerError 403, 404
   */
  resolveTopicRoute(
    actor: Actor,
    exchangeName: string,
    routingKey: string,
    topic: string,
    clientId?: string,
  ): Route {
    this.#authorize(actor, 'write', 'exchange', exchangeName);
    const exchange = this.#topicExchange(exchangeName);
    this.#authorizeTopic(actor, 'write', exchange, routingKey, clientId);
    return this.publisher.resolveTopic(exchange, routingKey, topic);
  }

  /** The subscriptions of a topic exchange, after checking the right to read a filter from it. */
  subscriptionsFor(
    actor: Actor,
    exchangeName: string,
    bindingKey: string,
    clientId?: string,
  ): SubscriptionIndex {
    this.#authorize(actor, 'read', 'exchange', exchangeName);
    const exchange = this.#topicExchange(exchangeName);
    this.#authorizeTopic(actor, 'read', exchange, bindingKey, clientId);
    return exchange.subscriptions;
  }

  isCurrent(route: Route): boolean {
    return this.publisher.isCurrent(route);
  }

  /** Publishes; returns PUBLISH_* bits. */
  publish(route: Route, message: Message, extraKeys?: readonly string[]): number {
    return this.publisher.publish(route, message, extraKeys);
  }

  /** Deletes what the connection owned. */
  connectionClosed(connectionId: number): void {
    this.#queues.connectionClosed(connectionId);
  }

  #redeclare(actor: Actor, queue: Queue, options: QueueDeclareOptions): QueueDeclared {
    const isForeign = queue.isExclusive && queue.ownerConnectionId !== actor.connectionId;
    checkQueueEquivalence(
      this.name,
      queue.name,
      {
        durable: queue.isDurable,
        autoDelete: queue.isAutoDelete,
        arguments: queue.arguments,
      },
      { ...options, durable: options.durable && !options.exclusive },
      isForeign || queue.isExclusive !== options.exclusive,
    );
    queue.touch();
    return { queue, ticket: queue.isDurable ? this.#queues.ticket : 0 };
  }

  #bindingEnds(
    actor: Actor,
    queueName: string,
    exchangeName: string,
    key: string,
  ): [Queue | undefined, Exchange | undefined] {
    this.#refuseDefaultExchange(exchangeName);
    this.#authorize(actor, 'write', 'queue', queueName);
    this.#authorize(actor, 'read', 'exchange', exchangeName);
    const exchange = this.topology.exchanges.get(exchangeName);
    if (exchange !== undefined) this.#authorizeTopic(actor, 'read', exchange, key);
    return [this.topology.queues.get(queueName), exchange];
  }

  #accessibleQueue(actor: Actor, name: string): Queue {
    const queue = this.topology.queues.get(name);
    if (queue === undefined) fail('NOT_FOUND', `no ${resourceText('queue', name, this.name)}`);
    this.#refuseForeign(actor, queue);
    return queue;
  }

  #refuseForeign(actor: Actor, queue: Queue): void {
    if (queue.isExclusive && queue.ownerConnectionId !== actor.connectionId) {
      throw lockedQueueError(this.name, queue.name);
    }
  }

  #exchange(name: string): Exchange {
    const exchange = this.topology.exchanges.get(name);
    if (exchange !== undefined) return exchange;
    fail('NOT_FOUND', `no ${resourceText('exchange', name, this.name)}`);
  }

  #topicExchange(name: string): TopicExchange {
    const exchange = this.#exchange(name);
    if (exchange instanceof TopicExchange) return exchange;
    const resource = resourceText('exchange', name, this.name);
    fail('PRECONDITION_FAILED', `${resource} is not a topic exchange`);
  }

  #refuseDefaultExchange(name: string): void {
    if (name === '') fail('ACCESS_REFUSED', 'operation not permitted on the default exchange');
  }

  #authorizeAlternate(actor: Actor, name: string, args: FieldTable): void {
    const alternate = args.get('alternate-exchange');
    if (alternate === undefined) return;
    if (typeof alternate !== 'string') {
      const resource = resourceText('exchange', name, this.name);
      const what = `invalid type '${typeName(alternate)}' for arg 'alternate-exchange'`;
      fail('PRECONDITION_FAILED', `${what} in ${resource}`);
    }
    this.#authorize(actor, 'read', 'exchange', name);
    this.#authorize(actor, 'write', 'exchange', alternate);
  }

  #authorize(
    actor: Actor,
    permission: 'configure' | 'write' | 'read',
    kind: 'queue' | 'exchange',
    name: string,
  ): void {
    this.#queues.access.authorize(actor.user, this.name, permission, kind, name);
  }

  #authorizeTopic(
    actor: Actor,
    permission: 'write' | 'read',
    exchange: Exchange,
    routingKey: string,
    clientId?: string,
  ): void {
    if (exchange.type !== 'topic') return;
    this.#queues.access.authorizeTopic(
      actor.user,
      this.name,
      permission,
      exchange.name,
      routingKey,
      clientId,
    );
  }
}

function refuseReserved(kind: 'queue' | 'exchange', name: string, prefix = RESERVED_PREFIX): never {
  fail('ACCESS_REFUSED', `${kind} name '${name}' contains reserved prefix '${prefix}*'`);
}

function fail(code: 'ACCESS_REFUSED' | 'NOT_FOUND' | 'PRECONDITION_FAILED', text: string): never {
  throw new BrokerError(code, text);
}
