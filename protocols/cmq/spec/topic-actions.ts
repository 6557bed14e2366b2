/** Actions on topics and subscriptions (reference 2.4). */
import type { ActionSpec } from './actions.ts';
import { flag, integer, list, required, text } from './parameters.ts';
import {
  BODIES,
  BODY,
  BODY_ENCODING,
  both,
  extension,
  NAME_PATTERN,
  PAGE,
  REQUEST_BYTES_MAX,
  RESOURCE_FILTERS,
  RESOURCE_TAGS,
  TRACE_QUERY,
} from './queue-actions.ts';

/** Tags of a message or a filter, and keys of a binding. */
const TAGS_MAX = 5;
/** Dots of a routing or binding key: 16 words. */
const DOTS_MAX = 15;
/** Bytes of a routing or binding key. */
const KEY_BYTES_MAX = 64;
/** Characters of an endpoint. */
const ENDPOINT_MAX = 500;

const TOPIC_NAME = required(
  text('topicName', 1, 64, { rangeError: 'TOPIC_NAME', pattern: NAME_PATTERN }),
);
const SUBSCRIPTION_NAME = required(
  text('subscriptionName', 1, 64, { rangeError: 'SUBSCRIPTION_NAME', pattern: NAME_PATTERN }),
);
const MAX_SIZE = integer('maxMsgSize', 1_024, REQUEST_BYTES_MAX);
const RETENTION = integer('msgRetentionSeconds', 60, 86_400);
const FILTER_TYPE = integer('filterType', 1, 2);
/** API 3.0 lets tags have 64 characters, API 2.0 16. */
const TAG = {
  min: 1,
  max: 16,
  v3Max: 64,
  isCharacters: true,
  rangeError: 'PARAMETER_RANGE',
} as const;
const MESSAGE_TAGS = list('msgTag', 0, TAGS_MAX, {
  rangeError: 'MESSAGE_TAGS_TOO_MANY',
  item: TAG,
});
const ROUTING_KEY = text('routingKey', 0, KEY_BYTES_MAX, {
  dots: { max: DOTS_MAX, error: 'ROUTING_KEY_DELIMITERS' },
});
const FILTER_TAGS = list('filterTag', 0, TAGS_MAX, { rangeError: 'FILTER_TAGS_COUNT', item: TAG });
const BINDING_KEYS = list('bindingKey', 0, TAGS_MAX, {
  rangeError: 'BINDING_KEYS_TOO_MANY',
  item: { min: 1, max: KEY_BYTES_MAX, rangeError: 'PARAMETER_RANGE' },
  dots: { max: DOTS_MAX, error: 'BINDING_KEY_DELIMITERS' },
});
const PROTOCOL = text('protocol', 0, 16, {
  choices: ['http', 'https', 'queue', 'function'],
  rangeError: 'PROTOCOL',
});
const ENDPOINT = text('endpoint', 1, ENDPOINT_MAX, { rangeError: 'ENDPOINT_FORMAT' });
const STRATEGY = text('notifyStrategy', 0, 64, {
  choices: ['BACKOFF_RETRY', 'EXPONENTIAL_DECAY_RETRY'],
  rangeError: 'NOTIFY_STRATEGY',
});
const CONTENT_FORMAT = text('notifyContentFormat', 0, 64, {
  choices: ['JSON', 'SIMPLIFIED'],
  rangeError: 'NOTIFY_CONTENT_FORMAT',
});
/** What CMQ has not: a key that signs each push, and a queue for what was given up. */
const PUSH_EXTRAS = [
  text('secret', 0, 256),
  text('deadLetterQueueName', 0, 255, { rangeError: 'QUEUE_NAME' }),
];
const SEARCH_WORD = text('searchWord', 0, 255, { v3: 'TopicName' });

const TOPIC = { resource: 'topic', isExtension: false, failure: 'INTERNAL' } as const;

const TOPICS: readonly ActionSpec[] = [
  {
    ...TOPIC,
    name: 'CreateTopic',
    right: 'configure',
    parameters: [TOPIC_NAME, MAX_SIZE, FILTER_TYPE, RETENTION, flag('trace'), RESOURCE_TAGS],
    v3: both('CreateTopic', 'CreateCmqTopic'),
  },
  {
    ...TOPIC,
    name: 'SetTopicAttributes',
    right: 'configure',
    // A topic keeps its kind: another one is refused.
    parameters: [TOPIC_NAME, MAX_SIZE, FILTER_TYPE, RETENTION, flag('trace'), RESOURCE_TAGS],
    v3: both('ModifyTopicAttribute', 'ModifyCmqTopicAttribute'),
  },
  {
    ...TOPIC,
    name: 'ListTopic',
    right: undefined,
    // API 3.0 gets every attribute of each topic, and may name the topics.
    parameters: [
      SEARCH_WORD,
      ...PAGE,
      list('topicNameList', 0, 1_000, {
        item: { min: 1, max: 255, rangeError: 'TOPIC_NAME' },
      }),
      ...RESOURCE_FILTERS,
    ],
    v3: [
      { version: '2020-02-17', name: 'DescribeCmqTopics' },
      { version: '2019-03-04', name: 'DescribeTopicDetail', rename: { topicList: 'TopicSet' } },
    ],
  },
  {
    ...TOPIC,
    name: 'GetTopicAttributes',
    right: 'any',
    parameters: [TOPIC_NAME],
    v3: [{ version: '2020-02-17', name: 'DescribeCmqTopicDetail', wrap: 'TopicDescribe' }],
  },
  {
    ...TOPIC,
    name: 'DeleteTopic',
    right: 'configure',
    parameters: [TOPIC_NAME],
    v3: both('DeleteTopic', 'DeleteCmqTopic'),
  },
  {
    ...TOPIC,
    name: 'PublishMessage',
    right: 'write',
    parameters: [TOPIC_NAME, BODY, MESSAGE_TAGS, ROUTING_KEY, BODY_ENCODING],
    v3: both('PublishMsg', 'PublishCmqMsg', { constant: { Result: true } }),
    failure: 'SEND_FAILED',
  },
  {
    ...TOPIC,
    name: 'BatchPublishMessage',
    right: 'write',
    parameters: [TOPIC_NAME, BODIES, MESSAGE_TAGS, ROUTING_KEY, BODY_ENCODING],
    v3: [],
    failure: 'SEND_FAILED',
  },
  {
    ...TOPIC,
    ...extension('QueryTopicTrace'),
    right: 'configure',
    parameters: [TOPIC_NAME, ...TRACE_QUERY],
  },
  {
    ...TOPIC,
    name: 'QueryTopicRoute',
    right: 'any',
    parameters: [TOPIC_NAME],
    v3: [],
    unserved: 'it tells addresses of the TCP protocol, which is not served',
  },
];

const SUBSCRIPTIONS: readonly ActionSpec[] = [
  {
    ...TOPIC,
    name: 'Subscribe',
    right: 'configure',
    parameters: [
      TOPIC_NAME,
      SUBSCRIPTION_NAME,
      required(PROTOCOL),
      required(ENDPOINT),
      STRATEGY,
      CONTENT_FORMAT,
      FILTER_TAGS,
      BINDING_KEYS,
      ...PUSH_EXTRAS,
    ],
    v3: both('CreateSubscribe', 'CreateCmqSubscribe'),
  },
  {
    ...TOPIC,
    name: 'ListSubscriptionByTopic',
    right: 'any',
    // API 3.0 may ask by queue, and gets every attribute of each subscription.
    parameters: [
      { ...TOPIC_NAME, isRequired: 'v2' },
      text('searchWord', 0, 255, { v3: 'SubscriptionName' }),
      ...PAGE,
      text('queueName', 0, 255, { rangeError: 'QUEUE_NAME' }),
      text('queryType', 0, 16, { choices: ['topic', 'queue'] }),
    ],
    v3: both('DescribeSubscriptionDetail', 'DescribeCmqSubscriptionDetail', {
      rename: { subscriptionList: 'SubscriptionSet' },
    }),
  },
  {
    ...TOPIC,
    name: 'GetSubscriptionAttributes',
    right: 'any',
    parameters: [TOPIC_NAME, SUBSCRIPTION_NAME],
    v3: [],
  },
  {
    ...TOPIC,
    name: 'SetSubscriptionAttributes',
    right: 'configure',
    // Protocol and endpoint stay: others are refused.
    parameters: [
      TOPIC_NAME,
      SUBSCRIPTION_NAME,
      PROTOCOL,
      ENDPOINT,
      STRATEGY,
      CONTENT_FORMAT,
      FILTER_TAGS,
      BINDING_KEYS,
      ...PUSH_EXTRAS,
    ],
    v3: both('ModifySubscriptionAttribute', 'ModifyCmqSubscriptionAttribute', {
      parameters: { filterTag: 'FilterTags' },
    }),
  },
  {
    ...TOPIC,
    name: 'ClearSubscriptionFilterTags',
    right: 'configure',
    parameters: [TOPIC_NAME, SUBSCRIPTION_NAME],
    v3: both('ClearSubscriptionFilterTags', 'ClearCmqSubscriptionFilterTags'),
  },
  {
    ...TOPIC,
    name: 'Unsubscribe',
    right: 'configure',
    parameters: [TOPIC_NAME, SUBSCRIPTION_NAME],
    v3: both('DeleteSubscribe', 'DeleteCmqSubscribe'),
  },
];

export const TOPIC_ACTIONS: readonly ActionSpec[] = [...TOPICS, ...SUBSCRIPTIONS];
