/**
 * A subscription of a topic: a destination of the topic's exchange with a copy of every message
 * that passes its filter.
 *
 *     protocol queue                            http, function
 *
 *     publish --> target queue                  publish --> own queue --> schedule --> transport
 *        | full, or gone, or others wait                   `cmq.push.TOPIC.SUBSCRIPTION`
 *        +--> own queue --> schedule --> target queue
 *
 * Two subscriptions with the same target queue are two copies, unlike two AMQP bindings. The own
 * queue keeps the order: while anything waits in it, what follows waits behind. It is made when it
 * is first needed and made again when somebody deletes it.
 */
import type { DeathReason, Queue } from '../queue/queue.ts';
import { REFUSED } from '../queue/queue.ts';
import type { Destination } from '../exchange/exchange.ts';
import type { Entry, Message } from '../message.ts';
import { PUSH_PREFIX } from '../cmq/own-queues.ts';
import type { TraceEvent, TraceKind } from '../cmq/trace-event.ts';
import { ClassicQueue } from '../queue/classic-queue.ts';
import { withOrigin } from '../queue/entry-headers.ts';
import type { QueueSettings } from '../queue/settings.ts';
import { PushSchedule } from './push-schedule.ts';
import type {
  PushFormat,
  PushHandle,
  PushOutcome,
  PushStrategy,
  PushTarget,
} from './push-transport.ts';
import { retryDelayMs } from './retry-strategy.ts';
import type { Topic } from './topic.ts';
import { SubscriptionCounters } from './topic-counters.ts';
import { SUBSCRIPTION_HEADER } from './topic-message.ts';
import type { TopicsHost } from './topics-host.ts';

export type SubscriptionProtocol = 'queue' | 'http' | 'function';

/** What a caller decides when it subscribes. */
export interface SubscriptionOptions {
  readonly protocol: SubscriptionProtocol;
  /** Queue name, address, or name of a function. */
  readonly endpoint: string;
  readonly strategy: PushStrategy;
  readonly format: PushFormat;
  /** Of a tag topic; none lets everything through. */
  readonly filterTags: readonly string[];
  /** Of a routing-key topic; one at least. */
  readonly bindingKeys: readonly string[];
  /** Key of the push's signature; undefined: not signed. */
  readonly secret?: string | undefined;
  /** Queue that gets what is given up; undefined: it is dropped. */
  readonly deadLetterQueue?: string | undefined;
}

/** What may change later; protocol and endpoint may not. */
export type SubscriptionChanges = Partial<Omit<SubscriptionOptions, 'protocol' | 'endpoint'>>;

/** What is persisted of a subscription. */
export interface SubscriptionRecord extends SubscriptionOptions {
  /** `subsc-...`. */
  readonly id: string;
  readonly createdAtMs: number;
  readonly modifiedAtMs: number;
}

/** What the last failed attempt said, and when. */
export interface PushFailure {
  readonly detail: string;
  readonly atMs: number;
}

/** Name of a subscription's own queue. No CMQ queue has such a name: it has dots. */
export function ownQueueName(topicName: string, subscriptionName: string): string {
  return `${PUSH_PREFIX}${topicName}.${subscriptionName}`;
}

function isOwnable(queue: Queue | undefined): queue is ClassicQueue {
  return queue instanceof ClassicQueue && queue.isDurable && !queue.isExclusive;
}

export class Subscription implements Destination {
  readonly isExchange = false as const;
  readonly isHidden = true as const;
  readonly topic: Topic;
  readonly subscriptionName: string;
  readonly counters: SubscriptionCounters;
  readonly #host: TopicsHost;
  #record: SubscriptionRecord;
  #target: PushTarget | undefined;
  #schedule: PushSchedule | undefined;
  #lastFailure: PushFailure | undefined;
  #isEnded: boolean;

  constructor(topic: Topic, name: string, record: SubscriptionRecord, host: TopicsHost) {
    this.topic = topic;
    this.subscriptionName = name;
    this.counters = new SubscriptionCounters();
    this.#host = host;
    this.#record = record;
    this.#target = undefined;
    this.#schedule = undefined;
    this.#lastFailure = undefined;
    this.#isEnded = false;
  }

  /** Name of the queue its messages are put into: by it dead-lettering tells cycles. */
  get name(): string {
    const { protocol, endpoint } = this.#record;
    return protocol === 'queue' ? this.#queueName(endpoint) : this.ownQueueName;
  }

  get ownQueueName(): string {
    return ownQueueName(this.topic.name, this.subscriptionName);
  }

  get record(): SubscriptionRecord {
    return this.#record;
  }

  /** The last failed attempt since the start of the process. */
  get lastFailure(): PushFailure | undefined {
    return this.#lastFailure;
  }

  /** Messages that are to be delivered still. */
  get pendingCount(): number {
    const queue = this.#schedule?.queue;
    if (queue === undefined || queue.isDeleted) return 0;
    return queue.readyCount + queue.unackedCount;
  }

  /** Wall ms of the next attempt of a message that failed; undefined while none waits. */
  get nextAttemptMs(): number | undefined {
    return this.#schedule?.nextAttemptMs;
  }

  /** Takes a matched message. Returns ENQUEUED, ENQUEUED_DURABLE or REFUSED. */
  publish(message: Message): number {
    this.counters.matchedMessages += 1;
    const stamped = this.#host.stamp.stamp(message);
    this.#trace('matched', stamped);
    if (this.#record.protocol === 'queue' && this.pendingCount === 0) {
      const kept = this.#forward(stamped);
      if (kept !== REFUSED) {
        this.counters.attempts += 1;
        this.counters.deliveredMessages += 1;
        this.#trace('delivered', stamped, { queue: this.#record.endpoint });
        return kept;
      }
    }
    const schedule = this.#ownSchedule();
    if (schedule === undefined) return REFUSED;
    const kept = schedule.queue.publish(stamped);
    schedule.start();
    return kept;
  }

  /** Takes the queue over that the last process left, if it did. */
  restore(): void {
    const queue = this.#host.topology.queues.get(this.ownQueueName);
    if (isOwnable(queue)) this.#adopt(queue);
  }

  /** Goes on with what waits: there is a transport now, or there was a restart. */
  start(): void {
    this.#schedule?.start();
  }

  /** Another record, of which the next attempt is the first to know. */
  change(record: SubscriptionRecord): void {
    this.#record = record;
    this.#target = undefined;
    const queue = this.#schedule?.queue;
    if (queue === undefined || queue.isDeleted) return;
    this.#host.queues.override(queue, this.#queueSettings());
  }

  /** The subscription is gone, and with it what was not delivered. */
  end(): void {
    this.#isEnded = true;
    const schedule = this.#schedule;
    this.#schedule = undefined;
    if (schedule === undefined) return;
    schedule.stop();
    this.#host.queues.remove(schedule.queue);
  }

  /** The present name of a queue: it may have been deleted and made again in another case. */
  #queueName(name: string): string {
    return this.#host.queueNames.find(name)?.name ?? name;
  }

  /** Puts a copy into the target queue. Returns REFUSED when it is full or gone. */
  #forward(stamped: Message): number {
    const target: Queue | undefined = this.#host.queueNames.find(this.#record.endpoint);
    if (target === undefined) return REFUSED;
    if (!this.topic.marksCopies(stamped.bodyBytes)) return target.publish(stamped);
    const origin = `${this.topic.name}/${this.subscriptionName}`;
    return target.publish(this.#host.stamp.edit(stamped, [[SUBSCRIPTION_HEADER, origin]]));
  }

  /** Undefined when an operator's definitions put a queue of another kind in its place. */
  #ownSchedule(): PushSchedule | undefined {
    const schedule = this.#schedule;
    if (schedule !== undefined && !schedule.queue.isDeleted) return schedule;
    schedule?.stop();
    const name = this.ownQueueName;
    const { queues, topology } = this.#host;
    if (!topology.queues.has(name)) {
      queues.define(name, { durable: true, autoDelete: false, arguments: new Map() });
    }
    const queue = topology.queues.get(name);
    return isOwnable(queue) ? this.#adopt(queue) : undefined;
  }

  #adopt(queue: ClassicQueue): PushSchedule {
    this.#host.queues.override(queue, this.#queueSettings());
    const isOpen = () => this.#record.protocol === 'queue' || this.#host.transport !== undefined;
    const lifeMs = () => this.topic.lifeMs;
    const schedule = new PushSchedule(queue, {
      nowMs: () => this.#host.nowMs(),
      wakeAt: this.#host.queues.wakeAt,
      requestTurn: () => this.#host.requestTurn(),
      get isOpen(): boolean {
        return isOpen();
      },
      get lifeMs(): number {
        return lifeMs();
      },
      attempt: (entry, done) => this.#attempt(entry, done),
      retryDelayMs: (failedAttempts) =>
        retryDelayMs(this.#record.strategy, failedAttempts, this.#host.random),
      arrived: () => {
        this.counters.deliveredMessages += 1;
      },
      abandon: (entry, reason) => this.#abandon(queue, entry, reason),
    });
    this.#schedule = schedule;
    return schedule;
  }

  #queueSettings(): Partial<QueueSettings> {
    const { deadLetterQueue } = this.#record;
    return {
      countsReceives: true,
      deliveryLimit: -1,
      // A policy for idle queues means none that works off a schedule.
      expiresMs: Infinity,
      ...(deadLetterQueue !== undefined && {
        deadLetterExchange: '',
        deadLetterRoutingKey: this.#queueName(deadLetterQueue),
      }),
    };
  }

  #attempt(entry: Entry, done: (outcome: PushOutcome) => void): PushHandle | undefined {
    this.counters.attempts += 1;
    if (this.#record.protocol === 'queue') {
      const isKept = this.#forward(entry.message) !== REFUSED;
      this.#attempted(entry, isKept, `queue ${this.#record.endpoint} is full or does not exist`);
      done(isKept ? 'ok' : 'failed');
      return undefined;
    }
    const target = (this.#target ??= this.#makeTarget());
    const { topic } = this;
    const message = {
      ...this.#host.stamp.read(entry.message),
      routingKey: entry.message.routingKey,
      publishedAtMs: entry.message.publishedAtMs,
      topicName: topic.name,
      topicOwner: topic.record.owner,
      subscriptionName: this.subscriptionName,
      requestId: this.#host.newRequestId(),
      attempt: entry.receiveCount,
    };
    return this.#host.transport?.send({ subscription: target, message }, (outcome, detail) => {
      if (this.#isEnded) return;
      this.#attempted(entry, outcome === 'ok', detail);
      done(outcome);
    });
  }

  #abandon(queue: ClassicQueue, entry: Entry, reason: DeathReason): void {
    this.counters.abandonedMessages += 1;
    const { deadLetterQueue } = this.#record;
    if (deadLetterQueue === undefined) {
      this.#trace('abandoned', entry.message, { reason });
      return;
    }
    this.#trace('dead-lettered', entry.message, { reason, queue: deadLetterQueue });
    this.counters.deadLetteredMessages += 1;
    const { stamp, publisher, queues } = this.#host;
    if (queue.settings.deadLetterRoutingKey !== this.#queueName(deadLetterQueue)) {
      queues.override(queue, this.#queueSettings());
    }
    const { msgId } = stamp.read(entry.message);
    const { name } = queue;
    const dead = withOrigin(stamp, entry.message, msgId, name, entry.receiveCount);
    publisher.deadLetter(queue, dead, reason);
  }

  #attempted({ message, receiveCount }: Entry, isOk: boolean, detail: string): void {
    const attempt = receiveCount;
    if (isOk) this.#trace('delivered', message, { attempt });
    else {
      this.#lastFailure = { detail, atMs: this.#host.nowMs() };
      this.#trace('failed', message, { attempt, reason: detail });
    }
  }

  #trace(kind: TraceKind, message: Message, details: Partial<TraceEvent> = {}): void {
    const { trace } = this.topic;
    if (!trace.isOn) return;
    const { msgId } = this.#host.stamp.read(message);
    trace.write(kind, { msgId, subscription: this.subscriptionName, ...details });
  }

  #makeTarget(): PushTarget {
    const { protocol, endpoint, format, secret } = this.#record;
    return {
      protocol: protocol === 'function' ? 'function' : 'http',
      endpoint,
      format,
      secret,
      vhostName: this.#host.topology.vhostName,
      topicName: this.topic.name,
      subscriptionName: this.subscriptionName,
    };
  }
}
