/**
 * Publishing into one vhost: from exchange and routing key to queues.
 *
 * A `Route` is what a channel keeps per (exchange, routing key) so that the next publish with the
 * same pair costs one comparison. It holds the target queues when these depend on the key alone,
 * and is valid while `Publisher.isCurrent`; topology and access changes void every route at once.
 */
import { DEATHS_PER_RUN_MAX } from '../base/limits.ts';
import type { FieldTable } from '../base/field-value.ts';
import { Ring } from '../base/ring.ts';
import type { Access } from './access/access.ts';
import {
  buildDeadLetter,
  carbonCopies,
  diedIn,
  isCycle,
  isRekeyed,
  keysOf,
  recordedDeaths,
} from './dead-letter.ts';
import { DELAY_HEADER, delayFrom } from './delay-header.ts';
import type { Destination, Exchange } from './exchange/exchange.ts';
import { TopicExchange } from './exchange/topic-exchange.ts';
import { LazyRoutedMessage } from './exchange/routed-message.ts';
import { route as routeThrough } from './exchange/router.ts';
import type { ExchangeLookup } from './exchange/router.ts';
import { FORMAT_BLIND, type Message } from './message.ts';
import { copyMessage } from './message-copy.ts';
import type { MessageFormat, QueueId } from './ports.ts';
import type { DelayQueue } from './queue/delay-queue.ts';
import type { DeathReason, Queue } from './queue/queue.ts';
import { isReplyKey } from './reply-target.ts';
import type { ReplyTargets } from './reply-target.ts';
import type { Topology } from './topology.ts';

/** At least one queue or waiting requester took or refused it. */
export const PUBLISH_ROUTED = 1;
/** An overflow policy refused it: nack. Equals the queue's REFUSED. */
export const PUBLISH_REJECTED = 2;
/** The confirm must wait for the store's ticket as of now. Equals ENQUEUED_DURABLE. */
export const PUBLISH_DURABLE = 4;

/** Where publishes of one (exchange, routing key) go; made by `VHost.resolveRoute`. */
export interface Route {
  readonly exchange: Exchange;
  readonly routingKey: string;
  /** Targets when they depend on the key alone; undefined when each message must be matched. */
  readonly queues: readonly Queue[] | undefined;
  /** The key names a waiting requester (direct reply-to). */
  readonly isReply: boolean;
  readonly topologyRevision: number;
  readonly accessRevision: number;
  /** The topic it was published to, when it came with one. */
  readonly topic?: string;
  /** A queue that is not to get it, whatever leads there: the publisher's own (no local). */
  readonly excluded?: Queue;
}

const NO_KEYS: readonly string[] = [];

/** What a publisher needs from its vhost. */
export interface PublishHost {
  readonly topology: Topology;
  readonly access: Access;
  readonly formats: readonly MessageFormat[];
  readonly replyTargets: ReplyTargets;
  nowMs(): number;
  /** Made on first use; with `id` when it is being restored. */
  delayQueueOf(exchange: Exchange, id?: QueueId): DelayQueue;
}

/** A message and where and why it died. */
interface Dead {
  readonly queue: Queue;
  readonly message: Message;
  readonly reason: DeathReason;
}

export class Publisher {
  readonly host: PublishHost;
  readonly #view: LazyRoutedMessage;
  readonly #lookup: ExchangeLookup;
  /** What died and is not published yet. */
  readonly #deaths: Ring<Dead>;
  /** Deaths since the first that is being followed up. */
  #deathCount: number;
  #isBurying: boolean;
  #journey: number;
  /** Journeys of dead letters so far. */
  #journeyCount: number;

  constructor(host: PublishHost) {
    this.host = host;
    this.#view = new LazyRoutedMessage(undefined as never, undefined as never);
    this.#lookup = (name) => host.topology.exchange(name);
    this.#deaths = new Ring();
    this.#deathCount = 0;
    this.#isBurying = false;
    this.#journey = 0;
    this.#journeyCount = 0;
  }

  /**
   * Tells on whose way the publishes of this run are: what comes of a message on its way has its
   * number, but each dead letter goes its own way.
   */
  get journey(): number {
    return this.#journey;
  }

  /** A route for publishes to `exchange` with `routingKey`. */
  resolve(exchange: Exchange, routingKey: string): Route {
    const { topology, access } = this.host;
    return {
      exchange,
      routingKey,
      queues: this.#keyedQueues(exchange, routingKey),
      isReply: exchange === topology.defaultExchange && isReplyKey(routingKey),
      topologyRevision: topology.revision,
      accessRevision: access.revision,
    };
  }

  /** A route for publishes that name a topic; subscriptions are matched by it, not by the key. */
  resolveTopic(exchange: TopicExchange, routingKey: string, topic: string): Route {
    const resolve = (): Route => ({ ...this.resolve(exchange, routingKey), topic });
    return exchange.subscriptions.withTopic(topic, resolve);
  }

  isCurrent(route: Route): boolean {
    return (
      route.topologyRevision === this.host.topology.revision &&
      route.accessRevision === this.host.access.revision
    );
  }

  /** Publishes; returns PUBLISH_* bits. `extraKeys` are those of CC and BCC. */
  publish(route: Route, message: Message, extraKeys: readonly string[] = NO_KEYS): number {
    if (route.isReply) {
      return this.host.replyTargets.deliver(route.routingKey, message) ? PUBLISH_ROUTED : 0;
    }
    if (route.exchange.isDelayed) {
      const kept = this.#delay(route.exchange, message);
      if (kept !== undefined) return kept;
    }
    let queues = route.queues;
    if (queues === undefined || extraKeys.length > 0) {
      queues = this.#matchRoute(route, [route.routingKey, ...extraKeys], message);
    }
    const { excluded } = route;
    if (excluded !== undefined) queues = queues.filter((queue) => queue !== excluded);
    return enqueue(queues, message);
  }

  /**
   * Publishes a message that has come from another exchange on its way; returns PUBLISH_* bits. A
   * dead letter does not come to where it died.
   */
  relay(exchange: Exchange, keys: readonly string[], message: Message): number {
    if (exchange.isDelayed) {
      const kept = this.#delay(exchange, message);
      if (kept !== undefined) return kept;
    }
    const targets = this.#match(exchange, keys, message);
    if (!message.isDeadLetter) return enqueue(targets, message);
    const deaths = recordedDeaths(message, this.host.formats[message.format]!.headers(message));
    const others = targets.filter(({ name }) => !diedIn(deaths, name));
    return enqueue(others, message);
  }

  /**
   * Publishes what died in `queue`, to the exchange its settings name, in this same run.
   *
   * What that kills in turn (overflow) follows after it, not within it: queues may be chained at
   * any length. Its number has a limit, because overflowing queues that share a fanout exchange
   * can kill a message once per order of theirs; what is above is lost, as dead-lettering is at
   * most once.
   */
  deadLetter(queue: Queue, message: Message, reason: DeathReason): void {
    if (queue.settings.deadLetterExchange === undefined) return;
    if (this.#deathCount >= DEATHS_PER_RUN_MAX) return;
    this.#deathCount += 1;
    this.#deaths.push({ queue, message, reason });
    if (this.#isBurying) return;
    this.#isBurying = true;
    const outer = this.#journey;
    try {
      for (let d = this.#deaths.shift(); d !== undefined; d = this.#deaths.shift()) {
        this.#journeyCount += 1;
        this.#journey = this.#journeyCount;
        this.#bury(d.queue, d.message, d.reason);
      }
    } finally {
      this.#journey = outer;
      this.#isBurying = false;
      this.#deathCount = 0;
    }
  }

  #bury(queue: Queue, message: Message, reason: DeathReason): void {
    const exchangeName = queue.settings.deadLetterExchange;
    if (exchangeName === undefined) return;
    const { topology, formats } = this.host;
    const exchange = topology.exchange(exchangeName);
    if (exchange === undefined) return;
    const override = queue.settings.deadLetterRoutingKey;
    const format = formats[message.format]!;
    const headers = format.headers(message);
    const death = { queue: queue.name, reason, atMs: this.host.nowMs() };
    const dead = buildDeadLetter(message, format, death, exchangeName, override);
    if (exchange.isDelayed && this.#delay(exchange, dead) !== undefined) return;
    const keys = override === undefined ? this.#keysOf(message, headers) : [override];
    const deaths = recordedDeaths(message, headers);
    const targets = this.#match(exchange, keys, dead).filter(
      (target) => !isCycle(deaths, reason, target.name, queue.name),
    );
    enqueue(targets, dead);
  }

  /** Publishes a message whose delay has passed: the header says so with a negative delay. */
  publishDelayed(exchange: Exchange, message: Message): void {
    const format = this.host.formats[message.format]!;
    const headers = format.headers(message);
    const header = format.edit(message, { set: new Map([[DELAY_HEADER, -delayFrom(headers)]]) });
    const due = withHeader(message, header, this.host.nowMs());
    enqueue(this.#match(exchange, this.#keysOf(message, headers), due), due);
  }

  /** The keys a message is routed by when nobody publishes it: its own, those of CC and of BCC. */
  #keysOf(message: Message, headers: FieldTable | undefined): readonly string[] {
    const keys = keysOf(message, headers);
    if (!message.isBlind || isRekeyed(message, headers)) return keys;
    const open = this.host.formats[message.format & ~FORMAT_BLIND]!;
    return keys.concat(carbonCopies(open.headers(message), 'BCC'));
  }

  #keyedQueues(exchange: Exchange, routingKey: string): Queue[] | undefined {
    if (exchange.needsMessage) return undefined;
    const isWalk = exchange.exchangeBindingCount > 0 || exchange.alternateExchange !== undefined;
    if (isWalk && this.#hasMessageExchange()) return undefined;
    return this.#match(exchange, [routingKey], undefined);
  }

  /** True when a walk might meet an exchange whose answer depends on the message. */
  #hasMessageExchange(): boolean {
    for (const exchange of this.host.topology.exchanges.values()) {
      if (exchange.needsMessage && exchange.bindingCount > 0) return true;
    }
    return false;
  }

  #matchRoute(route: Route, keys: readonly string[], message: Message): Queue[] {
    const { exchange, topic } = route;
    if (topic === undefined || !(exchange instanceof TopicExchange)) {
      return this.#match(exchange, keys, message);
    }
    return exchange.subscriptions.withTopic(topic, () => this.#match(exchange, keys, message));
  }

  #match(exchange: Exchange, keys: readonly string[], message: Message | undefined): Queue[] {
    const { formats } = this.host;
    const out: Destination[] = [];
    const view =
      message === undefined ? undefined : this.#view.aim(message, formats[message.format]!);
    routeThrough(exchange, keys, view, this.#lookup, out);
    return out as Queue[];
  }

  /** Keeps a message that asks for a delay; undefined when it does not. */
  #delay(exchange: Exchange, message: Message): number | undefined {
    const delayMs = delayFrom(this.host.formats[message.format]!.headers(message));
    if (delayMs === 0) return undefined;
    const dueAtMs = message.publishedAtMs + delayMs;
    const isDurable = exchange.isDurable && message.isPersistent;
    const kept = this.host.delayQueueOf(exchange).publish(message, dueAtMs, isDurable);
    return kept | PUBLISH_ROUTED;
  }
}

function enqueue(queues: readonly Queue[], message: Message): number {
  let bits = queues.length > 0 ? PUBLISH_ROUTED : 0;
  for (const queue of queues) bits |= queue.publish(message);
  return bits;
}

/** The same message under another header. */
export function withHeader(message: Message, header: Buffer, publishedAtMs: number): Message {
  return copyMessage(message, { header, publishedAtMs });
}
