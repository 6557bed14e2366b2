/**
 * Topic names and topic filters (section 4.7) and shared subscriptions (4.8.2).
 *
 * 1. Names have no wildcards; `+` fills a level of a filter, `#` the last one. Nothing else is
 *    special: empty levels are levels, case counts, nothing is normalised [MQTT-4.7.3-4].
 * 2. A filter that starts with a wildcard never matches a name that starts with `$`
 *    [MQTT-4.7.2-1]. AMQP's topic exchange has no such rule, so whoever routes MQTT filters
 *    through one asks `isWildcardFirst` and `isDollar`.
 * 3. A name is proven and turned into text once: `TopicNames` keeps the result by the raw bytes.
 *    Its memory is bounded (`ByteCache`), whatever topics clients think up.
 */
import { ByteCache } from '../../src/base/intern.ts';
import { MqttError } from './mqtt-errors.ts';
import { topicToKey } from '../../src/engine/session/routing-key.ts';
import { REASON_TOPIC_NAME_INVALID } from './spec/reason-codes.ts';
import { readMqttText } from './utf8.ts';

const SLASH = 0x2f;
const PLUS = 0x2b;
const HASH = 0x23;
const DOLLAR = 0x24;

/** What shared subscriptions begin with (4.8.2). */
export const SHARE_PREFIX = '$share/';

/**
 * What names a queue: to publish to (`$queue/NAME`), and behind a share's name to consume from. The
 * server's own beyond that: no filter may look into it.
 */
export const QUEUE_TOPIC_PREFIX = '$queue/';

/** A topic name that may be published to. */
export interface TopicName {
  readonly text: string;
  /** The same in AMQP's form (routing-key.ts). */
  readonly routingKey: string;
  /** Bytes of either in UTF-8. */
  readonly byteLength: number;
  /** Starts with `$`: kept from filters that start with a wildcard, and for the server's use. */
  readonly isDollar: boolean;
}

/** A topic filter, of a shared subscription without the part that names the share. */
export interface TopicFilter {
  /** As the client wrote it, `$share/...` and all: what UNSUBSCRIBE compares with. */
  readonly text: string;
  /** The filter proper. */
  readonly filter: string;
  /** ShareName; undefined for a subscription of one's own. */
  readonly shareName: string | undefined;
  /** Queue to consume: the filter is `$share/GROUP/$queue/NAME`. */
  readonly queueName: string | undefined;
  /** `filter` in AMQP's form (routing-key.ts). */
  readonly bindingKey: string;
  readonly hasWildcards: boolean;
  /** Starts with a wildcard: must not match names that start with `$`. */
  readonly isWildcardFirst: boolean;
}

/** True when `topic` may be published to: 1 character at least, no wildcards, no U+0000. */
export function isTopicName(topic: string): boolean {
  for (let i = 0; i < topic.length; i += 1) {
    const code = topic.charCodeAt(i);
    if (code === PLUS || code === HASH || code === 0) return false;
  }
  return topic.length > 0;
}

/** True when `filter` may be subscribed to [MQTT-4.7.1-1], [MQTT-4.7.1-2]. */
export function isTopicFilter(filter: string): boolean {
  const last = filter.length - 1;
  for (let i = 0; i <= last; i += 1) {
    const code = filter.charCodeAt(i);
    if (code === 0) return false;
    if (code !== PLUS && code !== HASH) continue;
    if (i > 0 && filter.charCodeAt(i - 1) !== SLASH) return false;
    if (i === last) return true;
    if (code === HASH || filter.charCodeAt(i + 1) !== SLASH) return false;
  }
  return filter.length > 0;
}

/** The parts of a filter as SUBSCRIBE has it, or undefined when it is none to subscribe to. */
export function parseTopicFilter(text: string): TopicFilter | undefined {
  let filter = text;
  let shareName: string | undefined;
  if (text.startsWith(SHARE_PREFIX)) {
    const nameEnd = text.indexOf('/', SHARE_PREFIX.length);
    if (nameEnd < 0) return undefined;
    shareName = text.slice(SHARE_PREFIX.length, nameEnd);
    if (shareName.length === 0 || /[+#]/.test(shareName)) return undefined;
    filter = text.slice(nameEnd + 1);
  }
  if (!isTopicFilter(filter)) return undefined;
  const hasWildcards = /[+#]/.test(filter);
  let queueName: string | undefined;
  if (filter.startsWith(QUEUE_TOPIC_PREFIX)) {
    queueName = filter.slice(QUEUE_TOPIC_PREFIX.length);
    if (shareName === undefined || hasWildcards || queueName === '') return undefined;
  }
  const first = filter.charCodeAt(0);
  const isWildcardFirst = first === PLUS || first === HASH;
  const bindingKey = topicToKey(filter);
  return { text, filter, shareName, queueName, bindingKey, hasWildcards, isWildcardFirst };
}

/**
 * True when the filter (proven, without a share's name) matches the topic name (proven). Walks both
 * texts once, makes nothing: for retained messages, access rules and single checks.
 */
export function topicMatches(filter: string, topic: string): boolean {
  const first = filter.charCodeAt(0);
  if ((first === PLUS || first === HASH) && topic.charCodeAt(0) === DOLLAR) return false;
  const filterEnd = filter.length;
  const topicEnd = topic.length;
  let f = 0;
  let t = 0;
  while (f < filterEnd) {
    const code = filter.charCodeAt(f);
    if (code === HASH) return true;
    if (code === PLUS) {
      while (t < topicEnd && topic.charCodeAt(t) !== SLASH) t += 1;
      f += 1;
    } else if (t < topicEnd && topic.charCodeAt(t) === code) {
      f += 1;
      t += 1;
    } else {
      // "a/#" matches "a" too: the level above belongs to it (4.7.1.2).
      return t === topicEnd && code === SLASH && filter.charCodeAt(f + 1) === HASH;
    }
  }
  return t === topicEnd;
}

/** Names kept: those in use on one node mostly fit, at some 200 bytes each. */
const NAME_SLOT_COUNT = 4_096;

/** Bytes of the longest name kept, here or with what follows from it. */
export const NAME_BYTES_KEPT = 256;

/** Topic names by their bytes; one for the whole process is enough. */
export class TopicNames {
  readonly #cache: ByteCache<TopicName>;

  constructor(slotCount = NAME_SLOT_COUNT) {
    this.#cache = new ByteCache(slotCount, NAME_BYTES_KEPT);
  }

  /**
   * The topic name in [start, end) of `buf` (borrowed), proven.
   *
   * @throws MqttError 0x81 (not UTF-8, U+0000) or 0x90 (empty, wildcards)
   */
  read(buf: Buffer, start: number, end: number): TopicName {
    const known = this.#cache.get(buf, start, end);
    if (known !== undefined) return known;
    const text = readMqttText(buf, start, end, 'the topic name');
    const name = topicName(text, end - start);
    this.#cache.set(buf, start, end, name);
    return name;
  }
}

/**
 * The topic name `text`, proven.
 *
 * @param text        read from the wire, so without U+0000
 * @param byteLength  of `text` in UTF-8
 * @throws MqttError 0x90 when it is empty or has wildcards
 */
export function topicName(text: string, byteLength: number): TopicName {
  if (!isTopicName(text)) {
    const what = text.length === 0 ? 'is empty' : 'has wildcards';
    throw new MqttError(REASON_TOPIC_NAME_INVALID, `the topic name ${what}`);
  }
  const isDollar = text.charCodeAt(0) === DOLLAR;
  return { text, routingKey: topicToKey(text), byteLength, isDollar };
}
