/**
 * What CMQ adds to queues and exchanges, in a definitions document: attributes and dead-letter
 * bindings of queues (`cmq_queues`), topics (`cmq_topics`) and their subscriptions
 * (`cmq_subscriptions`). RabbitMQ has none of them and ignores the lists.
 *
 * The queues and exchanges themselves are in the lists that RabbitMQ knows; a row here refers to
 * one of those. A subscription's own queue is in none: it is made when it is needed. Times are not
 * written: what is imported was made by the import.
 */
import type { BrokerError } from '../base/errors.ts';
import { CMQ_NAME_PATTERN } from './cmq/cmq-queues.ts';
import {
  ATTRIBUTE_RANGES,
  changeAttributes,
  defaultAttributes,
  type NumericAttribute,
  type QueueAttributes,
  type WantedAttributes,
} from './cmq/queue-attributes.ts';
import { resourceTagsProblem, type ResourceTag } from './cmq/resource-tags.ts';
import type { Json } from './definitions.ts';
import type { EntryReader } from './definitions-entry.ts';
import { endpointProblem, isLocalFunction } from './topic/push-endpoint.ts';
import type { Subscription, SubscriptionOptions } from './topic/subscription.ts';
import { type Topic, type TopicOptions, TOPIC_RETENTION_RANGE } from './topic/topic.ts';
import type { VHost } from './vhost.ts';

type JsonObject = { readonly [name: string]: Json };

export interface CmqQueueRecord {
  readonly vhost: string;
  readonly name: string;
  readonly attributes: WantedAttributes;
}

export interface CmqTopicRecord {
  readonly vhost: string;
  readonly name: string;
  /** `id` undefined: it keeps the one it has, or gets one. */
  readonly options: TopicOptions & { readonly id: string | undefined; readonly owner: string };
}

export interface CmqSubscriptionRecord {
  readonly vhost: string;
  readonly topic: string;
  readonly name: string;
  readonly options: SubscriptionOptions & { readonly id: string | undefined };
}

/** `CMQ queue 'q' in vhost '/'`, for messages. */
export function cmqText(
  kind: 'queue' | 'topic',
  { name, vhost }: { readonly name: string; readonly vhost: string },
): string {
  return `CMQ ${kind} '${name}' in vhost '${vhost}'`;
}

/** `CMQ subscription 't/s' in vhost '/'`, for messages. */
export function subscriptionText({ topic, name, vhost }: CmqSubscriptionRecord): string {
  return `CMQ subscription '${topic}/${name}' in vhost '${vhost}'`;
}

/** The three lists of all vhosts; those without rows are left out. */
export function cmqDefinitionsOf(vhosts: readonly VHost[]): JsonObject {
  const topics = vhosts.flatMap((vhost) =>
    [...vhost.topics.list()].sort(byName).map((topic) => ({ vhost: vhost.name, topic })),
  );
  const lists = {
    cmq_queues: vhosts.flatMap(queueRows),
    cmq_topics: topics.map(({ vhost, topic }) => topicRow(vhost, topic)),
    cmq_subscriptions: topics.flatMap(({ vhost, topic }) =>
      [...topic.subscriptions.values()]
        .sort((a, b) => (a.subscriptionName < b.subscriptionName ? -1 : 1))
        .map((subscription) => subscriptionRow(vhost, subscription)),
    ),
  };
  return Object.fromEntries(Object.entries(lists).filter(([, rows]) => rows.length > 0));
}

const NUMERIC = Object.keys(ATTRIBUTE_RANGES) as NumericAttribute[];
/** Attributes that may be as the queue was declared, which is null. */
const DECLARED: ReadonlySet<string> = new Set([
  'maxMsgHeapNum',
  'visibilityTimeout',
  'msgRetentionSeconds',
]);

function queueRows(vhost: VHost): JsonObject[] {
  return [...vhost.cmq.queues.records()]
    .map(([queue, attributes]) => ({ name: queue.name, attributes }))
    .sort(byName)
    .map(({ name, attributes }) => ({
      name,
      vhost: vhost.name,
      ...Object.fromEntries(NUMERIC.map((key) => [key, attributes[key] ?? null])),
      trace: attributes.trace,
      tags: tagsToJson(attributes.tags),
      ...bindingToJson(attributes.deadLetter),
    }));
}

function bindingToJson(binding: QueueAttributes['deadLetter']): JsonObject {
  if (binding === undefined) return {};
  const { queueName, policy, maxReceiveCount, maxTimeToLive } = binding;
  const row = { deadLetterQueueName: queueName, policy, maxReceiveCount, maxTimeToLive };
  return { deadLetterPolicy: row };
}

function topicRow(vhost: string, { name, record }: Topic): JsonObject {
  const { id, owner, filterType, maxMsgSize, msgRetentionSeconds, trace } = record;
  const options = { id, owner, filterType, maxMsgSize, msgRetentionSeconds, trace };
  return { name, vhost, ...options, tags: tagsToJson(record.tags) };
}

function subscriptionRow(
  vhost: string,
  { topic, subscriptionName, record }: Subscription,
): JsonObject {
  const { id, protocol, endpoint, strategy, format } = record;
  const { filterTags, bindingKeys, secret, deadLetterQueue } = record;
  return {
    topic: topic.name,
    name: subscriptionName,
    vhost,
    id,
    protocol,
    endpoint,
    notifyStrategy: strategy,
    notifyContentFormat: format,
    filterTags,
    bindingKeys,
    ...(secret !== undefined && { secret }),
    ...(deadLetterQueue !== undefined && { deadLetterQueueName: deadLetterQueue }),
  };
}

function tagsToJson(tags: readonly ResourceTag[]): JsonObject {
  return Object.fromEntries(tags.map(({ key, value }) => [key, value]));
}

/** What is not there is as CreateQueue makes it; null, as the queue was declared. */
export function readCmqQueue(entry: EntryReader): CmqQueueRecord {
  const row = { vhost: entry.name('vhost'), name: entry.name('name') };
  const defaults = defaultAttributes(0);
  const numbers: Record<string, number | undefined> = {};
  for (const key of NUMERIC) {
    const isDeclared = entry.raw(key) === null && DECLARED.has(key);
    numbers[key] = isDeclared ? undefined : entry.integer(key, defaults[key]!);
  }
  const deadLetter = readBinding(entry);
  const attributes = {
    ...defaults,
    ...numbers,
    trace: entry.flag('trace', false),
    tags: readTags(entry),
    deadLetter: deadLetter && { ...deadLetter, boundAtMs: 0 },
  };
  attempt(entry, () => changeAttributes(attributes, numbers, 0));
  const { createdAtMs: _created, modifiedAtMs: _modified, ...wanted } = attributes;
  return { ...row, attributes: { ...wanted, deadLetter } };
}

function readBinding(entry: EntryReader): WantedAttributes['deadLetter'] {
  if ((entry.raw('deadLetterPolicy') ?? undefined) === undefined) return undefined;
  const binding = entry.inner('deadLetterPolicy');
  const policy = binding.integer('policy', 0);
  if (policy !== 0 && policy !== 1) binding.fail('policy must be 0 or 1');
  return {
    queueName: binding.name('deadLetterQueueName'),
    policy: policy === 1 ? 1 : 0,
    maxReceiveCount: binding.integer('maxReceiveCount', 10),
    maxTimeToLive: binding.integer('maxTimeToLive', 43_200),
  };
}

export function readCmqTopic(entry: EntryReader): CmqTopicRecord {
  const row = { vhost: entry.name('vhost'), name: readName(entry, 'name') };
  const { maxMsgSize } = ATTRIBUTE_RANGES;
  const filterType = entry.integer('filterType', 1);
  if (filterType !== 1 && filterType !== 2) entry.fail('filterType must be 1 or 2');
  const options = {
    id: readId(entry),
    owner: entry.text('owner', ''),
    filterType: filterType === 2 ? (2 as const) : (1 as const),
    maxMsgSize: ranged(entry, 'maxMsgSize', maxMsgSize, maxMsgSize.default),
    msgRetentionSeconds: ranged(
      entry,
      'msgRetentionSeconds',
      TOPIC_RETENTION_RANGE,
      TOPIC_RETENTION_RANGE.max,
    ),
    trace: entry.flag('trace', false),
    tags: readTags(entry),
  };
  return { ...row, options };
}

/** Tags and keys of one filter, and UTF-8 bytes of each: what Subscribe allows in any API. */
const FILTER_ITEMS_MAX = 5;
const FILTER_BYTES_MAX = 64;
const ENDPOINT_BYTES_MAX = 500;

export function readCmqSubscription(entry: EntryReader): CmqSubscriptionRecord {
  const topic = readName(entry, 'topic');
  const row = { vhost: entry.name('vhost'), topic, name: readName(entry, 'name') };
  const protocol = entry.choice('protocol', ['queue', 'http', 'function']);
  const endpoint = entry.text('endpoint');
  const problem = endpointProblem(protocol, endpoint);
  if (problem !== undefined) entry.fail(`endpoint '${endpoint}' is none of protocol ${protocol}`);
  if (endpoint === '' || Buffer.byteLength(endpoint) > ENDPOINT_BYTES_MAX) {
    entry.fail(`endpoint has no bytes, or more than ${ENDPOINT_BYTES_MAX}`);
  }
  const secret = entry.text('secret', '');
  if (secret !== '' && (protocol === 'queue' || isLocalFunction(endpoint))) {
    entry.fail('secret is for pushes over HTTP');
  }
  const usual = protocol === 'queue' ? 'SIMPLIFIED' : 'JSON';
  const formats = {
    queue: ['SIMPLIFIED'],
    http: ['JSON', 'SIMPLIFIED'],
    function: ['JSON'],
  } as const;
  const strategies = ['BACKOFF_RETRY', 'EXPONENTIAL_DECAY_RETRY'] as const;
  const deadLetterQueue = entry.shortText('deadLetterQueueName');
  const options = {
    id: readId(entry),
    protocol,
    endpoint,
    strategy: entry.choice('notifyStrategy', strategies, 'EXPONENTIAL_DECAY_RETRY'),
    format: entry.choice<'JSON' | 'SIMPLIFIED'>('notifyContentFormat', formats[protocol], usual),
    filterTags: readFilter(entry, 'filterTags'),
    bindingKeys: readFilter(entry, 'bindingKeys'),
    secret: secret === '' ? undefined : secret,
    deadLetterQueue: deadLetterQueue === '' ? undefined : deadLetterQueue,
  };
  return { ...row, options };
}

function readFilter(entry: EntryReader, key: string): readonly string[] {
  const items = [...new Set(entry.texts(key))];
  if (items.length > FILTER_ITEMS_MAX) entry.fail(`${key} are more than ${FILTER_ITEMS_MAX}`);
  if (items.some((item) => item === '' || Buffer.byteLength(item) > FILTER_BYTES_MAX)) {
    entry.fail(`${key} must have 1 to ${FILTER_BYTES_MAX} bytes each`);
  }
  return items;
}

/** A name that CMQ gives. */
function readName(entry: EntryReader, key: string): string {
  const name = entry.name(key);
  if (name !== '' && !CMQ_NAME_PATTERN.test(name)) entry.fail(`${key} '${name}' is no CMQ name`);
  return name;
}

function readId(entry: EntryReader): string | undefined {
  const id = entry.shortText('id');
  return id === '' ? undefined : id;
}

function ranged(
  entry: EntryReader,
  key: string,
  { min, max }: { readonly min: number; readonly max: number },
  fallback: number,
): number {
  const value = entry.integer(key, fallback);
  if (value < min || value > max) entry.fail(`${key} ${value} is not from ${min} to ${max}`);
  return value;
}

/** An object of texts by key. */
function readTags(entry: EntryReader): readonly ResourceTag[] {
  const fields = (entry.raw('tags') ?? undefined) === undefined ? {} : entry.inner('tags').fields;
  const tags = Object.entries(fields).map(([key, value]) => ({ key, value }));
  const isTag = (tag: { key: string; value: unknown }): tag is ResourceTag =>
    typeof tag.value === 'string';
  if (!tags.every(isTag)) {
    entry.fail('tags must be texts by key');
    return [];
  }
  const problem = resourceTagsProblem(tags);
  if (problem !== undefined) entry.fail(problem);
  return tags;
}

function attempt(entry: EntryReader, check: () => unknown): void {
  try {
    check();
  } catch (error) {
    entry.fail((error as BrokerError).message);
  }
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}
