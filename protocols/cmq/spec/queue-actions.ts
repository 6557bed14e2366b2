/** Actions on queues and their messages (reference 2.2 and 2.3), and what the gateway adds. */
import type { ActionSpec, ActionV3 } from './actions.ts';
import { flag, integer, json, list, required, text } from './parameters.ts';

/** Messages in a batch, of any kind. */
export const BATCH_MAX = 16;
/** Seconds: 70 days, what the Go SDK lets through. */
export const DELAY_SECONDS_MAX = 6_048_000;
/** Bytes of a request, hence of a message. */
export const REQUEST_BYTES_MAX = 1_048_576;
/** Bytes of a name that AMQP may have given. */
const ANY_NAME_BYTES_MAX = 255;

/** Of a queue that CMQ makes. TDMQ and the Go SDK allow `_` besides `-`. */
export const NAME_PATTERN = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;
/** What the Go SDK lets through. */
const HANDLE_PATTERN = /^[A-Za-z0-9%#:_-]{1,256}$/;
const DIGITS_PATTERN = /^[0-9]{1,20}$/;

/** Of any queue: AMQP may have named it, so all it must do is exist. */
const QUEUE_NAME = required(text('queueName', 1, ANY_NAME_BYTES_MAX, { rangeError: 'QUEUE_NAME' }));
const NEW_QUEUE_NAME = required(
  text('queueName', 1, 64, { rangeError: 'QUEUE_NAME', pattern: NAME_PATTERN }),
);

const UNSUPPORTED = { rangeError: 'TRANSACTION_UNSUPPORTED' } as const;

/** `[{"TagKey": "k", "TagValue": "v"}]`: labels of the queue or topic. */
export const RESOURCE_TAGS = json('tags', 65_536);
/** Labels that lists look for: `[{"Name": "tag:k", "Values": ["v"]}]`, or one key. */
export const RESOURCE_FILTERS = [
  flag('isTagFilter'),
  json('filters', 65_536),
  text('tagKey', 0, 127),
];

const ATTRIBUTES = [
  integer('maxMsgHeapNum', 1, 1_000_000_000),
  integer('pollingWaitSeconds', 0, 30),
  integer('visibilityTimeout', 1, 43_200),
  integer('maxMsgSize', 1_024, REQUEST_BYTES_MAX),
  integer('msgRetentionSeconds', 60, 1_296_000),
  integer('rewindSeconds', 0, 1_296_000),
  // Of the queue's dead letters; `deadLetterPolicy` says the same in one JSON text.
  text('deadLetterQueueName', 0, ANY_NAME_BYTES_MAX, { rangeError: 'QUEUE_NAME' }),
  integer('policy', 0, 1),
  integer('maxReceiveCount', 1, 1_000),
  integer('maxTimeToLive', 300, 43_200),
  json('deadLetterPolicy', 1_024, {
    members: {
      deadLetterQueue: 'deadLetterQueueName',
      deadLetterQueueName: 'deadLetterQueueName',
      policy: 'policy',
      maxReceiveCount: 'maxReceiveCount',
      maxTimeToLive: 'maxTimeToLive',
    },
  }),
  flag('trace'),
  // Half messages have no client but the TCP SDK; the values that mean none are taken.
  integer('transaction', 0, 0, UNSUPPORTED),
  integer('firstQueryInterval', 0, 0, UNSUPPORTED),
  integer('maxQueryCount', 0, 0, UNSUPPORTED),
  // What is kept for a rewind has a time, no size; 0 is no size.
  integer('retentionSizeInMB', 0, 0),
  RESOURCE_TAGS,
];

/** Seconds this receive waits; without it the queue says. */
const WAIT = integer('pollingWaitSeconds', 0, 30);
/** Seconds of this lease; without it the queue says. The TCP protocol alone has it elsewhere. */
const LEASE = integer('visibilityTimeout', 1, 43_200);
const DELAY = integer('delaySeconds', 0, DELAY_SECONDS_MAX, { rangeError: 'DELAY_RANGE' });
/** Of one message to a queue or topic. */
export const BODY = required(
  text('msgBody', 1, REQUEST_BYTES_MAX, {
    rangeError: 'BODY_EMPTY',
    missingError: 'BODY_EMPTY',
    v3: 'MsgContent',
  }),
);
/** Of a batch. */
export const BODIES = required(
  list('msgBody', 1, BATCH_MAX, {
    rangeError: 'BATCH_SIZE',
    item: { min: 1, max: REQUEST_BYTES_MAX, rangeError: 'BODY_EMPTY' },
  }),
);
/** How bodies are written in the request; replies mark theirs in the same way. */
export const BODY_ENCODING = text('bodyEncoding', 1, 16, { choices: ['text', 'base64'] });
const HANDLE = required(
  text('receiptHandle', 1, 256, { rangeError: 'HANDLE_FORMAT', pattern: HANDLE_PATTERN }),
);
const HANDLES = required(
  list('receiptHandle', 1, BATCH_MAX, {
    rangeError: 'BATCH_SIZE',
    item: { min: 1, max: 256, rangeError: 'HANDLE_FORMAT' },
  }),
);
const MESSAGE_ID = required(text('msgId', 1, 20, { pattern: DIGITS_PATTERN }));

/** A page of a list; offset 0 and limit 20 without them. */
export const PAGE = [integer('offset', 0, 1_000_000_000), integer('limit', 1, 50)];
/** Events of one message or of all, from and to Unix seconds. */
export const TRACE_QUERY = [
  text('msgId', 1, 20, { pattern: DIGITS_PATTERN }),
  integer('startTime', 0, 99_999_999_999),
  integer('endTime', 0, 99_999_999_999),
  integer('limit', 1, 10_000),
];
/** Part of a name, in any case. */
const SEARCH_WORD = text('searchWord', 0, ANY_NAME_BYTES_MAX, { v3: 'QueueName' });
const NAME_LIST = list('queueNameList', 0, 1_000, {
  item: { min: 1, max: ANY_NAME_BYTES_MAX, rangeError: 'QUEUE_NAME' },
});

/** Both modules of API 3.0 have the action; `Cmq` is in its name in the newer one. */
export function both(
  older: string,
  newer: string,
  traits: Omit<ActionV3, 'version' | 'name'> = {},
): readonly ActionV3[] {
  return [
    { version: '2020-02-17', name: newer, ...traits },
    { version: '2019-03-04', name: older, ...traits },
  ];
}

/** `isExtension`: the action is the gateway's own, in API 3.0 under the same name. */
export function extension(
  name: string,
): Pick<ActionSpec, 'name' | 'v3' | 'failure' | 'isExtension'> {
  return { name, v3: both(name, name), failure: 'INTERNAL', isExtension: true };
}

const QUEUE = { resource: 'queue', isExtension: false, failure: 'INTERNAL' } as const;

const MANAGEMENT: readonly ActionSpec[] = [
  {
    ...QUEUE,
    name: 'CreateQueue',
    right: 'configure',
    parameters: [NEW_QUEUE_NAME, ...ATTRIBUTES],
    v3: both('CreateQueue', 'CreateCmqQueue'),
  },
  {
    ...QUEUE,
    name: 'ListQueue',
    right: undefined,
    // API 3.0 gets every attribute of each queue, and may name the queues.
    parameters: [SEARCH_WORD, ...PAGE, NAME_LIST, ...RESOURCE_FILTERS],
    v3: [
      { version: '2020-02-17', name: 'DescribeCmqQueues' },
      {
        version: '2019-03-04',
        name: 'DescribeQueueDetail',
        rename: { queueList: 'QueueSet' },
      },
    ],
    failure: 'LIST_QUEUE_FAILED',
  },
  {
    ...QUEUE,
    name: 'GetQueueAttributes',
    right: 'any',
    parameters: [QUEUE_NAME],
    v3: [{ version: '2020-02-17', name: 'DescribeCmqQueueDetail', wrap: 'QueueDescribe' }],
    failure: 'GET_ATTRIBUTES_FAILED',
  },
  {
    ...QUEUE,
    name: 'SetQueueAttributes',
    right: 'configure',
    parameters: [QUEUE_NAME, ...ATTRIBUTES],
    v3: both('ModifyQueueAttribute', 'ModifyCmqQueueAttribute'),
    failure: 'SET_ATTRIBUTES_FAILED',
  },
  {
    ...QUEUE,
    name: 'DeleteQueue',
    right: 'configure',
    parameters: [QUEUE_NAME],
    v3: both('DeleteQueue', 'DeleteCmqQueue'),
    failure: 'DELETE_QUEUE_FAILED',
  },
  {
    ...QUEUE,
    name: 'RewindQueue',
    right: 'configure',
    // Unix seconds, or ms as an example of API 3.0 has it: the handler tells by magnitude.
    parameters: [
      QUEUE_NAME,
      required(integer('startConsumeTime', 0, 9_999_999_999_999, { rangeError: 'REWIND_TIME' })),
    ],
    v3: both('RewindQueue', 'RewindCmqQueue'),
  },
  {
    ...QUEUE,
    name: 'ClearQueue',
    right: 'configure',
    parameters: [QUEUE_NAME],
    v3: both('ClearQueue', 'ClearCmqQueue'),
  },
  {
    ...QUEUE,
    name: 'UnbindDeadLetter',
    right: 'configure',
    parameters: [
      required(text('sourceQueueName', 1, ANY_NAME_BYTES_MAX, { rangeError: 'QUEUE_NAME' })),
    ],
    v3: both('UnbindDeadLetter', 'UnbindCmqDeadLetter'),
  },
  {
    ...QUEUE,
    name: 'DescribeDeadLetterSourceQueues',
    right: 'any',
    parameters: [
      required(text('deadLetterQueueName', 1, ANY_NAME_BYTES_MAX, { rangeError: 'QUEUE_NAME' })),
      text('sourceQueueName', 0, ANY_NAME_BYTES_MAX, { rangeError: 'QUEUE_NAME' }),
      ...PAGE,
    ],
    v3: both('DescribeDeadLetterSourceQueues', 'DescribeCmqDeadLetterSourceQueues', {
      rename: { queueList: 'QueueSet' },
    }),
  },
];

const MESSAGES: readonly ActionSpec[] = [
  {
    ...QUEUE,
    name: 'SendMessage',
    right: 'write',
    parameters: [QUEUE_NAME, BODY, DELAY, BODY_ENCODING],
    v3: both('SendMsg', 'SendCmqMsg', { constant: { Result: true } }),
    failure: 'SEND_FAILED',
  },
  {
    ...QUEUE,
    name: 'BatchSendMessage',
    right: 'write',
    parameters: [QUEUE_NAME, BODIES, DELAY, BODY_ENCODING],
    v3: [],
    failure: 'SEND_FAILED',
  },
  {
    ...QUEUE,
    name: 'ReceiveMessage',
    right: 'read',
    parameters: [QUEUE_NAME, WAIT, LEASE],
    v3: [],
    failure: 'RECEIVE_FAILED',
  },
  {
    ...QUEUE,
    name: 'BatchReceiveMessage',
    right: 'read',
    parameters: [QUEUE_NAME, required(integer('numOfMsg', 1, BATCH_MAX)), WAIT, LEASE],
    v3: [],
    failure: 'RECEIVE_FAILED',
  },
  {
    ...QUEUE,
    name: 'DeleteMessage',
    right: 'read',
    parameters: [QUEUE_NAME, HANDLE],
    v3: [],
    failure: 'DELETE_FAILED',
  },
  {
    ...QUEUE,
    name: 'BatchDeleteMessage',
    right: 'read',
    parameters: [QUEUE_NAME, HANDLES],
    v3: [],
    failure: 'DELETE_FAILED',
  },
  {
    ...QUEUE,
    name: 'QueryQueueRoute',
    right: 'any',
    parameters: [QUEUE_NAME],
    v3: [],
    unserved: 'it tells addresses of the TCP protocol, which is not served',
  },
];

const EXTENSIONS: readonly ActionSpec[] = [
  {
    ...QUEUE,
    ...extension('ChangeMessageVisibility'),
    right: 'read',
    // Seconds from now; 0 gives the message back at once.
    parameters: [QUEUE_NAME, HANDLE, required(integer('visibilityTimeout', 0, 43_200))],
  },
  {
    ...QUEUE,
    ...extension('PeekMessage'),
    right: 'read',
    parameters: [QUEUE_NAME, integer('numOfMsg', 1, BATCH_MAX)],
  },
  {
    ...QUEUE,
    ...extension('DescribeMessage'),
    right: 'read',
    parameters: [QUEUE_NAME, MESSAGE_ID],
  },
  {
    ...QUEUE,
    ...extension('QueryTrace'),
    right: 'configure',
    parameters: [QUEUE_NAME, ...TRACE_QUERY],
  },
  {
    ...QUEUE,
    ...extension('ListScheduledMessages'),
    right: 'read',
    parameters: [QUEUE_NAME, ...PAGE],
  },
  {
    ...QUEUE,
    ...extension('RescheduleMessage'),
    right: 'configure',
    // From now.
    parameters: [QUEUE_NAME, MESSAGE_ID, required(DELAY)],
  },
  {
    ...QUEUE,
    ...extension('CancelScheduledMessage'),
    right: 'configure',
    parameters: [QUEUE_NAME, MESSAGE_ID],
  },
  {
    ...QUEUE,
    ...extension('StartRedrive'),
    right: 'configure',
    // `queueName` is the dead-letter queue; each message goes home without a target.
    parameters: [
      QUEUE_NAME,
      text('targetQueueName', 1, ANY_NAME_BYTES_MAX, { rangeError: 'QUEUE_NAME' }),
      integer('messagesPerSecond', 1, 100_000),
    ],
  },
  { ...QUEUE, ...extension('DescribeRedrive'), right: 'any', parameters: [QUEUE_NAME] },
  { ...QUEUE, ...extension('CancelRedrive'), right: 'configure', parameters: [QUEUE_NAME] },
];

export const QUEUE_ACTIONS: readonly ActionSpec[] = [...MANAGEMENT, ...MESSAGES, ...EXTENSIONS];
