import { BrokerError } from '../../base/errors.ts';
import { Exchange, type Binding, type Destination, type RoutedMessage } from './exchange.ts';
import { SubscriptionIndex } from '../session/subscription-index.ts';
import { AMQP_SYNTAX, TopicTrie } from './topic-trie.ts';
import {
  TOPIC_CACHE_DESTINATIONS_MAX,
  TOPIC_CACHE_KEY_LENGTH_MAX,
  TOPIC_CACHE_KEYS_MAX,
  TOPIC_CACHE_PAUSE_KEYS,
  TOPIC_MULTI_WILDCARDS_MAX,
} from './topology-limits.ts';

/**
 * Patterns of words: '*' is one word, '#' any number. The trie answers a key seen for the first
 * time; its result is remembered until a binding changes or the memory is full. When the memory
 * filled up with keys that hardly ever came again, remembering pauses for a while: it would cost
 * more than it saves.
 */
export class TopicExchange extends Exchange {
  /** Topic subscriptions that publishes to this exchange are offered to, by MQTT's rules. */
  readonly subscriptions = new SubscriptionIndex();
  readonly #trie = new TopicTrie<Destination>(AMQP_SYNTAX);
  readonly #cache = new Map<string, readonly Destination[]>();
  #cachedDestinationCount = 0;
  /** Answers from memory since it was last emptied. */
  #hitCount = 0;
  /** Keys still to be answered without remembering them. */
  #pauseCount = 0;

  override match(
    routingKey: string,
    _message: RoutedMessage | undefined,
    out: Destination[],
  ): void {
    const known = this.#cache.size === 0 ? undefined : this.#cache.get(routingKey);
    if (known !== undefined) this.#hitCount++;
    const found = known ?? this.#search(routingKey);
    for (let i = 0; i < found.length; i++) out.push(found[i] as Destination);
    this.subscriptions.match(routingKey, out);
  }

  protected override validateBinding(_destination: Destination, key: string): void {
    const count = countWords(key, '#');
    if (count <= TOPIC_MULTI_WILDCARDS_MAX) return;
    throw new BrokerError(
      'PRECONDITION_FAILED',
      `Topic binding key '${key}' uses ${count} '#' wildcards, ` +
        `at most ${TOPIC_MULTI_WILDCARDS_MAX} are allowed`,
    );
  }

  protected override addBinding(binding: Binding): void {
    this.#trie.add(binding.key, binding.destination);
    this.#forgetResults();
  }

  protected override removeBinding(binding: Binding): void {
    this.#trie.remove(binding.key, binding.destination);
    this.#forgetResults();
  }

  #search(routingKey: string): readonly Destination[] {
    const matched: Destination[] = [];
    this.#trie.match(routingKey, matched);
    const found = matched.length > 1 ? [...new Set(matched)] : matched;
    if (this.#pauseCount > 0) this.#pauseCount--;
    else this.#remember(routingKey, found);
    return found;
  }

  #remember(routingKey: string, found: readonly Destination[]): void {
    if (routingKey.length > TOPIC_CACHE_KEY_LENGTH_MAX) return;
    if (found.length > TOPIC_CACHE_DESTINATIONS_MAX) return;
    const count = this.#cache.size;
    const isFull =
      count >= TOPIC_CACHE_KEYS_MAX ||
      this.#cachedDestinationCount + found.length > TOPIC_CACHE_DESTINATIONS_MAX;
    if (isFull) {
      if (this.#hitCount < count) this.#pauseCount = TOPIC_CACHE_PAUSE_KEYS;
      this.#forgetResults();
    }
    this.#cache.set(routingKey, found);
    this.#cachedDestinationCount += found.length;
  }

  #forgetResults(): void {
    if (this.#cache.size > 0) this.#cache.clear();
    this.#cachedDestinationCount = 0;
    this.#hitCount = 0;
  }
}

function countWords(key: string, wanted: string): number {
  let count = 0;
  for (const word of key.split('.')) if (word === wanted) count++;
  return count;
}
