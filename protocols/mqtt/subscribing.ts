/**
 * SUBSCRIBE and UNSUBSCRIBE: subscriptions of the session, consumers of shared ones, retained
 * messages for new ones.
 *
 * `$share/GROUP/$queue/NAME` makes the connection a consumer of a queue, as basic.consume does.
 * With QoS 1 what it does not acknowledge is for another. With QoS 2 it is the session's own once
 * it is under way [MQTT-4.8.2-5], which takes a session that outlives its connection: another is
 * granted QoS 1, lest a lost connection loses the message.
 *
 * Retained messages go through the session's own queue (retained-replay.ts): so they are ordered,
 * bounded and persistent as all others.
 */
import { BrokerError } from '../../src/base/errors.ts';
import type { Actor } from '../../src/engine/actor.ts';
import type { Session } from '../../src/engine/session/session.ts';
import type { Subscription } from '../../src/engine/session/subscription.ts';
import type { SubscribePacket, SubscriptionRequest, UnsubscribePacket } from './client-packets.ts';
import { isAnsweredInAck, reasonCodeOf } from './mqtt-errors.ts';
import { type ReplayHost, RetainedReplay } from './retained-replay.ts';
import { type ConsumerHost, SessionConsumer } from './session-consumer.ts';
import { SUBACK } from './spec/packets.ts';
import {
  REASON_IMPLEMENTATION_SPECIFIC,
  REASON_NO_SUBSCRIPTION_EXISTED,
  REASON_SUCCESS,
  REASON_TOPIC_FILTER_INVALID,
  REASON_UNSPECIFIED,
} from './spec/reason-codes.ts';
import { isSysFilter } from './sys-topics.ts';

/** Highest QoS that a session consumes a queue by name with, if it ends with its connection. */
const TRANSIENT_QUEUE_QOS_MAX = 1;
const RETAIN_SEND = 0;
const RETAIN_SEND_IF_NEW = 1;
/** Never added to. */
const NO_CONSUMERS = new Map<string, SessionConsumer>();

export interface SubscribingHost extends ConsumerHost, ReplayHost {}

/** A subscription that was granted, with what is to be replayed for it. */
interface Granted {
  readonly subscription: Subscription;
  readonly sendsRetained: boolean;
}

export class Subscribing {
  readonly #host: SubscribingHost;
  readonly #actor: Actor;
  readonly #session: Session;
  /** Of the session's own queue; none while it has no queue. */
  #own: SessionConsumer | undefined;
  /** Of shared subscriptions, by their filters. */
  #shared: Map<string, SessionConsumer>;
  /** While there are some to be sent. */
  #retained: RetainedReplay | undefined;

  constructor(host: SubscribingHost) {
    this.#host = host;
    this.#actor = host.actor;
    this.#session = host.session;
    this.#own = undefined;
    this.#shared = NO_CONSUMERS;
    this.#retained = undefined;
  }

  /** Starts consuming: the session's own queue and those it shares. @throws BrokerError */
  start(): void {
    if (!this.#session.hasQueue) return;
    this.#consumeOwn();
    for (const subscription of [...this.#session.subscriptions.values()]) {
      if (subscription.queue !== undefined) this.#resume(subscription);
      else if (subscription.group !== undefined) this.#share(subscription);
      if (isSysFilter(subscription.topicFilter)) this.#host.sys.add(this.#session);
    }
  }

  #consumeOwn(): void {
    const own = new SessionConsumer(this.#host, undefined);
    own.queue = this.#actor.vhost.consume(this.#actor, this.#session.queue.name, own);
    this.#own = own;
  }

  /** Ends all consumers. */
  stop(): void {
    const { vhost } = this.#actor;
    if (this.#own !== undefined) vhost.cancel(this.#own);
    this.#own = undefined;
    for (const consumer of this.#shared.values()) vhost.cancel(consumer);
    this.#shared = NO_CONSUMERS;
    if (this.#session.isPersistent) this.#retained?.leave();
    this.#retained = undefined;
    this.#host.sys.remove(this.#session);
  }

  /** The client has taken a message of the session's own queue. */
  ownDelivered(): void {
    if (this.#retained === undefined) return;
    this.#retained.proceed();
    if (this.#retained.isDone) this.#retained = undefined;
  }

  /** Consumers have credit again. */
  wake(): void {
    this.#own?.wake();
    for (const consumer of this.#shared.values()) consumer.wake();
  }

  /** Time has passed. */
  tick(): void {
    this.ownDelivered();
    if (this.#shared === NO_CONSUMERS) return;
    for (const consumer of this.#shared.values()) consumer.tick();
  }

  get hasShared(): boolean {
    return this.#shared.size > 0;
  }

  /**
   * Applies a SUBSCRIBE; `codes` gets a code per filter.
   *
   * @returns what sends the retained messages, to be called once SUBACK is written
   */
  subscribe(packet: SubscribePacket, codes: number[]): () => void {
    const granted: Granted[] = [];
    for (const request of packet.requests) {
      try {
        codes.push(this.#subscribe(request, packet.subscriptionId, granted));
      } catch (error) {
        codes.push(refusalCode(error, request));
      }
    }
    return () => {
      for (const one of granted) this.#replay(one);
    };
  }

  /** Applies an UNSUBSCRIBE; returns a code per filter. */
  unsubscribe(packet: UnsubscribePacket): number[] {
    return packet.filters.map((filter) => this.#unsubscribe(filter));
  }

  #subscribe(request: SubscriptionRequest, identifier: number, granted: Granted[]): number {
    const { topicFilter, qos, isNoLocal, isRetainAsPublished, retainHandling } = request;
    if (topicFilter === undefined) return REASON_TOPIC_FILTER_INVALID;
    const { text, filter, shareName, queueName, bindingKey } = topicFilter;
    const isWhole = queueName === undefined || this.#session.isPersistent;
    const grantedQos = isWhole ? qos : Math.min(qos, TRANSIENT_QUEUE_QOS_MAX);
    const subscription: Subscription = {
      filter: text,
      topicFilter: filter,
      ...(shareName !== undefined && { group: shareName }),
      ...(queueName !== undefined && { queue: queueName }),
      qos: grantedQos as 0 | 1 | 2,
      noLocal: isNoLocal,
      retainAsPublished: isRetainAsPublished,
      identifier,
    };
    const { sessions } = this.#actor.vhost;
    const isNew = sessions.subscribe(this.#actor, this.#session, subscription, bindingKey);
    if (queueName !== undefined) {
      this.#consumeNamed(subscription);
      return grantedQos;
    }
    if (this.#own === undefined) this.#consumeOwn();
    if (shareName !== undefined) {
      this.#share(subscription);
      return qos;
    }
    if (isSysFilter(filter)) this.#host.sys.add(this.#session);
    const sendsRetained =
      retainHandling === RETAIN_SEND || (retainHandling === RETAIN_SEND_IF_NEW && isNew);
    granted.push({ subscription, sendsRetained });
    return qos;
  }

  #unsubscribe(filter: string): number {
    const { vhost } = this.#actor;
    const consumer = this.#shared.get(filter);
    if (consumer !== undefined) {
      this.#shared.delete(filter);
      vhost.cancel(consumer);
    }
    const didExist = vhost.sessions.unsubscribe(this.#session, filter);
    return didExist ? REASON_SUCCESS : REASON_NO_SUBSCRIPTION_EXISTED;
  }

  /** @throws BrokerError when the queue has an exclusive consumer; the session forgets it then */
  #consumeNamed(subscription: Subscription): void {
    try {
      this.#share(subscription);
    } catch (error) {
      this.#unsubscribe(subscription.filter);
      throw error;
    }
  }

  /** Consumes again; what is not there to be consumed any more is dropped from the session. */
  #resume(subscription: Subscription): void {
    try {
      if (this.#actor.vhost.sessions.sharedQueue(subscription) === undefined) {
        this.#unsubscribe(subscription.filter);
      } else this.#consumeNamed(subscription);
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
    }
  }

  #share(subscription: Subscription): void {
    const { vhost } = this.#actor;
    const previous = this.#shared.get(subscription.filter);
    if (previous !== undefined) vhost.cancel(previous);
    const queue = vhost.sessions.sharedQueue(subscription);
    if (queue === undefined) return;
    const consumer = new SessionConsumer(this.#host, subscription);
    consumer.queue = vhost.consume(this.#actor, queue.name, consumer);
    if (this.#shared === NO_CONSUMERS) this.#shared = new Map();
    this.#shared.set(subscription.filter, consumer);
  }

  #replay({ subscription, sendsRetained }: Granted): void {
    if (!sendsRetained) return;
    this.#retained ??= new RetainedReplay(this.#host);
    this.#retained.begin(subscription);
    if (this.#retained.isDone) this.#retained = undefined;
  }
}

/** What SUBACK says of a request that was refused. */
function refusalCode(error: unknown, { topicFilter }: SubscriptionRequest): number {
  if (!isAnsweredInAck(error, SUBACK)) return REASON_UNSPECIFIED;
  const code = reasonCodeOf(error);
  const isNoQueue = topicFilter?.queueName !== undefined && code === REASON_IMPLEMENTATION_SPECIFIC;
  return isNoQueue ? REASON_TOPIC_FILTER_INVALID : code;
}
