/**
 * Every topic subscription of a vhost, by MQTT's rules, attached to the topic exchange.
 *
 * Topics and routing keys meet here: a publish to the exchange by routing key is offered to the
 * subscriptions as the topic the key stands for (routing-key.ts); a publish by topic is matched
 * exactly, whatever characters the topic holds. Binding keys stay the exchange's own business, so
 * neither side's corner cases (empty levels, dots, `$` topics) leak into the other.
 */
import type { Destination } from '../exchange/exchange.ts';
import { MQTT_SYNTAX, TopicTrie } from '../exchange/topic-trie.ts';
import { keyToTopic } from './routing-key.ts';
import { isHiddenFrom, levelsOf } from './subscription.ts';

interface Target {
  readonly topicFilter: string;
  readonly destination: Destination;
}

export class SubscriptionIndex {
  readonly #trie: TopicTrie<Target>;
  /** By destination: its one entry in the trie, or its entries by filter. */
  readonly #targets: Map<Destination, Target | Map<string, Target>>;
  readonly #matched: Target[];
  /** The topic of the publish being routed, when it came with one. */
  #topic: string | undefined;
  #count: number;
  #levelCount: number;

  constructor() {
    this.#trie = new TopicTrie(MQTT_SYNTAX);
    this.#targets = new Map();
    this.#matched = [];
    this.#topic = undefined;
    this.#count = 0;
    this.#levelCount = 0;
  }

  /** Filters subscribed, each once per destination. */
  get count(): number {
    return this.#count;
  }

  /** Levels of these filters. */
  get levelCount(): number {
    return this.#levelCount;
  }

  /** Adds a filter; returns false when the destination has it already. */
  add(topicFilter: string, destination: Destination): boolean {
    const known = this.#targets.get(destination);
    if (targetIn(known, topicFilter) !== undefined) return false;
    const target = { topicFilter, destination };
    if (known === undefined) {
      this.#targets.set(destination, target);
    } else if (known instanceof Map) {
      known.set(topicFilter, target);
    } else {
      const both: [string, Target][] = [
        [known.topicFilter, known],
        [topicFilter, target],
      ];
      this.#targets.set(destination, new Map(both));
    }
    this.#trie.add(topicFilter, target);
    this.#count += 1;
    this.#levelCount += levelsOf(topicFilter);
    return true;
  }

  /** Removes a filter; missing is fine. */
  remove(topicFilter: string, destination: Destination): void {
    const known = this.#targets.get(destination);
    const target = targetIn(known, topicFilter);
    if (target === undefined) return;
    if (known instanceof Map) known.delete(topicFilter);
    if (known === target || (known instanceof Map && known.size === 0)) {
      this.#targets.delete(destination);
    }
    this.#trie.remove(topicFilter, target);
    this.#count -= 1;
    this.#levelCount -= levelsOf(topicFilter);
  }

  /** Runs `route` for a publish that came with a topic: `match` then goes by it, not by the key. */
  withTopic<T>(topic: string, route: () => T): T {
    this.#topic = topic;
    try {
      return route();
    } finally {
      this.#topic = undefined;
    }
  }

  /** Appends the destinations of a publish with `routingKey` that `out` does not hold yet. */
  match(routingKey: string, out: Destination[]): void {
    if (this.#count === 0) return;
    const topic = this.#topic ?? keyToTopic(routingKey);
    // What the server says of itself comes by no exchange.
    if (topic === undefined || topic.startsWith('$SYS')) return;
    const matched = this.#matched;
    matched.length = 0;
    this.#trie.match(topic, matched);
    if (matched.length === 0) return;
    const seen = new Set(out);
    for (const { topicFilter, destination } of matched) {
      if (seen.has(destination) || isHiddenFrom(topicFilter, topic)) continue;
      seen.add(destination);
      out.push(destination);
    }
    matched.length = 0;
  }
}

function targetIn(
  known: Target | Map<string, Target> | undefined,
  topicFilter: string,
): Target | undefined {
  if (known instanceof Map) return known.get(topicFilter);
  return known?.topicFilter === topicFilter ? known : undefined;
}
