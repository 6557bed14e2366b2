/**
 * One MQTT-style session: subscriptions, a queue that collects while nobody is connected, and the
 * packet ids of exactly-once publishes under way. The engine's queue is the only queue there is;
 * a session adds what the protocol must remember between connections.
 */
import { MQTT_SYNTAX, TopicTrie } from '../exchange/topic-trie.ts';
import type { Queue } from '../queue/queue.ts';
import { isHiddenFrom } from './subscription.ts';
import type { Subscription } from './subscription.ts';

/** Topics whose matching subscriptions are remembered per session. */
const MATCH_CACHE_TOPICS = 64;

export class Session {
  readonly clientId: string;
  readonly queue: Queue;
  /** Outlives its connection. */
  readonly isPersistent: boolean;
  /** Ms it outlives its connection by; Infinity for ever. */
  expiryMs: number;
  /** By filter as the client wrote it. */
  readonly subscriptions: Map<string, Subscription>;
  /** Packet ids of QoS 2 publishes received and not released yet. */
  readonly received: Set<number>;
  readonly #trie: TopicTrie<Subscription>;
  readonly #matches: Map<string, readonly Subscription[]>;

  constructor(clientId: string, queue: Queue, isPersistent: boolean, expiryMs: number) {
    this.clientId = clientId;
    this.queue = queue;
    this.isPersistent = isPersistent;
    this.expiryMs = expiryMs;
    this.subscriptions = new Map();
    this.received = new Set();
    this.#trie = new TopicTrie(MQTT_SYNTAX);
    this.#matches = new Map();
  }

  /** Adds or replaces; returns the one replaced. */
  put(subscription: Subscription): Subscription | undefined {
    const previous = this.remove(subscription.filter);
    this.subscriptions.set(subscription.filter, subscription);
    if (subscription.group === undefined) {
      this.#trie.add(subscription.topicFilter, subscription);
      this.#matches.clear();
    }
    return previous;
  }

  /** Removes by filter; returns what was there. */
  remove(filter: string): Subscription | undefined {
    const subscription = this.subscriptions.get(filter);
    if (subscription === undefined) return undefined;
    this.subscriptions.delete(filter);
    if (subscription.group === undefined) {
      this.#trie.remove(subscription.topicFilter, subscription);
      this.#matches.clear();
    }
    return subscription;
  }

  /** Own subscriptions that match a topic; what the delivery's QoS and identifiers follow from. */
  matching(topic: string): readonly Subscription[] {
    const known = this.#matches.get(topic);
    if (known !== undefined) return known;
    const found: Subscription[] = [];
    this.#trie.match(topic, found);
    const visible = found.filter(({ topicFilter }) => !isHiddenFrom(topicFilter, topic));
    if (this.#matches.size >= MATCH_CACHE_TOPICS) this.#matches.clear();
    this.#matches.set(topic, visible);
    return visible;
  }
}
