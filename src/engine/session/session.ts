/**
 * One MQTT-style session: subscriptions, a queue that collects while nobody is connected, and the
 * packet ids of exactly-once publishes under way. The engine's queue is the only queue there is;
 * a session adds what the protocol must remember between connections.
 *
 * Many clients connect and say nothing more: whatever a session can do without it has only once
 * it is used.
 */
import { assert } from '../../base/assert.ts';
import { MQTT_SYNTAX, TopicTrie } from '../exchange/topic-trie.ts';
import type { Queue } from '../queue/queue.ts';
import { isHiddenFrom, levelsOf } from './subscription.ts';
import type { Subscription } from './subscription.ts';

/** Topics whose matching subscriptions are remembered per session. */
const MATCH_CACHE_TOPICS = 64;
/** Characters of the longest of them: topics may have 64 KiB, and sessions outlive connections. */
const MATCH_CACHE_TOPIC_LENGTH = 256;

const NO_IDS: ReadonlySet<number> = new Set();
const NO_SUBSCRIPTIONS: ReadonlyMap<string, Subscription> = new Map();
const NO_COUNTS: readonly [number, number, number] = [0, 0, 0];

/** What a session's own subscriptions say about one topic, merged into one delivery. */
export interface TopicMatch {
  /** Subscriptions that match. */
  readonly count: number;
  /** The highest of their QoS. */
  readonly qos: number;
  /** Their identifiers, those that have one. */
  readonly identifiers: readonly number[];
  /** One of them keeps the publisher's RETAIN flag. */
  readonly retainAsPublished: boolean;
  /** None of them wants what this client publishes itself. */
  readonly isNoLocal: boolean;
}

const NO_MATCH: TopicMatch = merged([]);

export class Session {
  readonly clientId: string;
  /** Outlives its connection. */
  readonly isPersistent: boolean;
  /** Ms it outlives its connection by; Infinity for ever. */
  expiryMs: number;
  /** Subscriptions that ask not to get the client's own messages. */
  noLocalCount: number;
  /** Levels of all its filters. */
  levelCount: number;
  /** Subscriptions by QoS. */
  #qosCounts: [number, number, number] | undefined;
  #queue: Queue | undefined;
  #subscriptions: Map<string, Subscription> | undefined;
  #received: Set<number> | undefined;
  #released: Set<number> | undefined;
  #trie: TopicTrie<Subscription> | undefined;
  #matches: Map<string, TopicMatch> | undefined;

  constructor(clientId: string, isPersistent: boolean, expiryMs: number) {
    this.clientId = clientId;
    this.isPersistent = isPersistent;
    this.expiryMs = expiryMs;
    this.noLocalCount = 0;
    this.levelCount = 0;
    this.#qosCounts = undefined;
    this.#queue = undefined;
    this.#subscriptions = undefined;
    this.#received = undefined;
    this.#released = undefined;
    this.#trie = undefined;
    this.#matches = undefined;
  }

  /** A persistent session always has one, any other from its first subscription on. */
  get hasQueue(): boolean {
    return this.#queue !== undefined;
  }

  /** Where its messages wait; asked for only when there is one. */
  get queue(): Queue {
    assert(this.#queue !== undefined, 'the session has no queue yet');
    return this.#queue;
  }

  set queue(queue: Queue) {
    this.#queue = queue;
  }

  /** Highest QoS of any subscription; 0 without any. */
  get highestQos(): number {
    const [, once, twice] = this.#qosCounts ?? NO_COUNTS;
    if (twice > 0) return 2;
    return once > 0 ? 1 : 0;
  }

  /** By filter as the client wrote it. */
  get subscriptions(): ReadonlyMap<string, Subscription> {
    return this.#subscriptions ?? NO_SUBSCRIPTIONS;
  }

  /** Packet ids of QoS 2 publishes received and not released yet. */
  get received(): ReadonlySet<number> {
    return this.#received ?? NO_IDS;
  }

  /** Packet ids of QoS 2 deliveries the client has and that were not completed yet. */
  get released(): ReadonlySet<number> {
    return this.#released ?? NO_IDS;
  }

  /** What is on disk of a persistent one, beside its subscriptions and packet ids. */
  toText(): string {
    const { expiryMs } = this;
    return JSON.stringify({ expiryMs: expiryMs === Infinity ? null : expiryMs });
  }

  addReceived(packetId: number): void {
    this.#received ??= new Set();
    this.#received.add(packetId);
  }

  /** False when it was not there. */
  deleteReceived(packetId: number): boolean {
    return this.#received?.delete(packetId) === true;
  }

  addReleased(packetId: number): void {
    this.#released ??= new Set();
    this.#released.add(packetId);
  }

  /** False when it was not there. */
  deleteReleased(packetId: number): boolean {
    return this.#released?.delete(packetId) === true;
  }

  /** Adds or replaces; returns the one replaced. */
  put(subscription: Subscription): Subscription | undefined {
    const previous = this.remove(subscription.filter);
    this.#subscriptions ??= new Map();
    this.#subscriptions.set(subscription.filter, subscription);
    this.#qosCounts ??= [0, 0, 0];
    this.#qosCounts[subscription.qos] += 1;
    this.levelCount += levelsOf(subscription.topicFilter);
    if (subscription.noLocal) this.noLocalCount += 1;
    if (subscription.group === undefined) {
      this.#trie?.add(subscription.topicFilter, subscription);
      this.#matches?.clear();
    }
    return previous;
  }

  /** Removes by filter; returns what was there. */
  remove(filter: string): Subscription | undefined {
    const subscription = this.subscriptions.get(filter);
    if (subscription === undefined) return undefined;
    this.#subscriptions?.delete(filter);
    this.levelCount -= levelsOf(subscription.topicFilter);
    if (subscription.noLocal) this.noLocalCount -= 1;
    if (this.#qosCounts !== undefined) this.#qosCounts[subscription.qos] -= 1;
    if (subscription.group === undefined) {
      this.#trie?.remove(subscription.topicFilter, subscription);
      this.#matches?.clear();
    }
    return subscription;
  }

  /** What follows for a delivery from the own subscriptions that match a topic. */
  match(topic: string): TopicMatch {
    const known = this.#matches?.get(topic);
    if (known !== undefined) return known;
    if (this.#subscriptions === undefined) return NO_MATCH;
    const match = merged(this.matching(topic));
    if (topic.length > MATCH_CACHE_TOPIC_LENGTH) return match;
    this.#matches ??= new Map();
    if (this.#matches.size >= MATCH_CACHE_TOPICS) this.#matches.clear();
    this.#matches.set(topic, match);
    return match;
  }

  /** Made by the first message: many clients only wait for one. */
  #ownTrie(): TopicTrie<Subscription> {
    const trie = new TopicTrie<Subscription>(MQTT_SYNTAX);
    for (const subscription of this.subscriptions.values()) {
      if (subscription.group === undefined) trie.add(subscription.topicFilter, subscription);
    }
    return trie;
  }

  /** Own subscriptions that match a topic. */
  matching(topic: string): readonly Subscription[] {
    const found: Subscription[] = [];
    this.#trie ??= this.#ownTrie();
    this.#trie.match(topic, found);
    return found.filter(({ topicFilter }) => !isHiddenFrom(topicFilter, topic));
  }
}

function merged(subscriptions: readonly Subscription[]): TopicMatch {
  return {
    count: subscriptions.length,
    qos: subscriptions.reduce((qos, subscription) => Math.max(qos, subscription.qos), 0),
    identifiers: subscriptions.map(({ identifier }) => identifier).filter((id) => id !== 0),
    retainAsPublished: subscriptions.some(({ retainAsPublished }) => retainAsPublished),
    isNoLocal: subscriptions.length > 0 && subscriptions.every(({ noLocal }) => noLocal),
  };
}
