/** Names and numbers of STOMP 1.0, 1.1, 1.2 and of RabbitMQ's extensions, as data. */
import type { CommonProperties } from '../../../src/engine/ports.ts';

/** Versions served, the oldest first; the index says how headers are escaped. */
export const VERSIONS = ['1.0', '1.1', '1.2'] as const;

/** Index into `VERSIONS`. */
export type Dialect = 0 | 1 | 2;

export const STOMP_1_0: Dialect = 0;
export const STOMP_1_1: Dialect = 1;
export const STOMP_1_2: Dialect = 2;

/** WebSocket subprotocol tokens, the preferred first. */
export const SUBPROTOCOLS = ['v12.stomp', 'v11.stomp', 'v10.stomp'] as const;

/** Header that carries a property of a message, both ways. Text of at most 255 bytes. */
export const TEXT_PROPERTIES = {
  'content-type': 'contentType',
  'content-encoding': 'contentEncoding',
  'correlation-id': 'correlationId',
  'reply-to': 'replyTo',
  expiration: 'expiration',
  'amqp-message-id': 'messageId',
  type: 'type',
  'user-id': 'userId',
  'app-id': 'appId',
} as const satisfies Readonly<Record<string, keyof CommonProperties>>;

/**
 * Headers of SEND that are no application headers: they steer the frame, or become properties or
 * arguments of the queue.
 */
const STEERING_HEADERS = [
  'destination',
  'content-length',
  'receipt',
  'transaction',
  'persistent',
  'priority',
  'timestamp',
  'durable',
  'auto-delete',
  'exclusive',
];

/** Headers a MESSAGE has by itself; application headers of these names do not reach a client. */
const MESSAGE_HEADERS = ['subscription', 'message-id', 'ack', 'redelivered'];

/** Arguments of a queue that SUBSCRIBE, and SEND to `/queue`, may ask for: text or integer. */
export const QUEUE_ARGUMENTS: ReadonlyMap<string, 'text' | 'integer' | 'boolean'> = new Map([
  ['x-dead-letter-exchange', 'text'],
  ['x-dead-letter-routing-key', 'text'],
  ['x-dead-letter-strategy', 'text'],
  ['x-expires', 'integer'],
  ['x-message-ttl', 'integer'],
  ['x-max-length', 'integer'],
  ['x-max-length-bytes', 'integer'],
  ['x-max-priority', 'integer'],
  ['x-max-age', 'text'],
  ['x-overflow', 'text'],
  ['x-queue-type', 'text'],
  ['x-delivery-limit', 'integer'],
  ['x-single-active-consumer', 'boolean'],
  ['x-stream-max-segment-size-bytes', 'integer'],
] as const);

/** Not passed on as application headers of a message sent. */
export const NOT_USER_HEADERS: ReadonlySet<string> = new Set([
  ...STEERING_HEADERS,
  ...Object.keys(TEXT_PROPERTIES),
  ...QUEUE_ARGUMENTS.keys(),
]);

/** Not passed on as headers of a MESSAGE. */
export const NOT_DELIVERED_HEADERS: ReadonlySet<string> = new Set([
  ...STEERING_HEADERS,
  ...MESSAGE_HEADERS,
  ...Object.keys(TEXT_PROPERTIES),
]);
