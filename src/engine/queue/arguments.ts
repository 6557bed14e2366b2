/**
 * The queue arguments: one row per `x-` argument with the queue types that know it, its check, the
 * setting it becomes, and the policy key that can set the same. Codes and texts are RabbitMQ
 * 4.3.6's.
 *
 * 1. Rows stand in the order in which RabbitMQ checks them.
 * 2. An argument no queue type knows is ignored; one that only other types know is refused, except
 *    `x-delivery-limit` and our own extensions, which every queue that can honour them accepts.
 * 3. Only arguments the queue's type knows count in a redeclare (`equivalence.ts`).
 */
import { BrokerError } from '../../base/errors.ts';
import type { FieldTable, FieldValue } from '../../base/field-value.ts';
import { typeName } from '../field-text.ts';
import {
  checkBoolean,
  checkDeadLetterKey,
  checkExpires,
  checkInteger,
  checkMaxAge,
  checkMaxPriority,
  checkNonNegative,
  checkOneOf,
  checkPositive,
  checkQueueType,
  checkQueueVersion,
  checkString,
  checkTtl,
  isShort,
  parseMaxAgeMs,
  type ArgumentCheck,
} from './argument-checks.ts';
import type { DeclaredSettings, QueueType } from './settings.ts';

export type { DeclaredSettings, QueueSettings, QueueType } from './settings.ts';

/** How a policy sets the same thing. */
export interface PolicyKey {
  readonly name: string;
  /** What the value is not, in `5 is not a valid message TTL`. */
  readonly noun: string;
  /** Operator policies may set it, too. */
  readonly isForOperators: boolean;
  readonly isValid: (value: string | number | boolean) => boolean;
}

/** One row of the table. */
export interface QueueArgument {
  readonly name: string;
  readonly types: readonly QueueType[];
  readonly check?: ArgumentCheck;
  readonly field?: keyof DeclaredSettings;
  /** From the checked value to the setting; integers become numbers without it. */
  readonly convert?: (value: FieldValue) => unknown;
  readonly policy?: PolicyKey;
  /** With a policy: the lower limit wins, or the argument does. */
  readonly merge: 'least' | 'argument';
}

/** Flags of the declare that decide what arguments are allowed. */
export interface QueueFlags {
  readonly durable: boolean;
  readonly exclusive: boolean;
  readonly autoDelete: boolean;
  /** The client sent an empty name. */
  readonly serverNamed: boolean;
}

const CLASSIC: readonly QueueType[] = ['classic'];
const QUORUM: readonly QueueType[] = ['quorum'];
const STREAM: readonly QueueType[] = ['stream'];
const QUEUES: readonly QueueType[] = ['classic', 'quorum'];
const ALL: readonly QueueType[] = ['classic', 'quorum', 'stream'];

const OVERFLOWS = ['drop-head', 'reject-publish', 'reject-publish-dlx'];
const STRATEGIES = ['at-most-once', 'at-least-once'];
const LOCATORS = ['client-local', 'balanced', 'random', 'least-leaders'];
const RETRY_TYPES = ['disabled', 'all', 'failed', 'returned'];

const SEGMENT_BYTES_MAX = 3_000_000_000;
const FILTER_BYTES_MIN = 16;
const FILTER_BYTES_MAX = 255;
const NAME_PREFIX_BYTES_MAX = 64;

function atLeast(least: number): PolicyKey['isValid'] {
  return (value) => Number.isSafeInteger(value) && (value as number) >= least;
}

function oneOf(allowed: readonly string[]): PolicyKey['isValid'] {
  return (value) => typeof value === 'string' && allowed.includes(value);
}

const isText: PolicyKey['isValid'] = (value) => typeof value === 'string';
const isName: PolicyKey['isValid'] = (value) => typeof value === 'string' && isShort(value);
const isAge: PolicyKey['isValid'] = (value) =>
  typeof value === 'string' && parseMaxAgeMs(value) !== undefined;

function policy(
  name: string,
  noun: string,
  isValid: PolicyKey['isValid'],
  isForOperators = false,
): PolicyKey {
  return { name, noun, isValid, isForOperators };
}

function ageMs(value: FieldValue): number | undefined {
  return typeof value === 'string' ? parseMaxAgeMs(value) : undefined;
}

/** Every argument some queue type knows. */
export const QUEUE_ARGUMENTS: readonly QueueArgument[] = [
  {
    name: 'x-expires',
    types: QUEUES,
    check: checkExpires,
    field: 'expiresMs',
    policy: policy('expires', 'queue expiry', atLeast(1), true),
    merge: 'least',
  },
  {
    name: 'x-message-ttl',
    types: QUEUES,
    check: checkTtl,
    field: 'messageTtlMs',
    policy: policy('message-ttl', 'message TTL', atLeast(0), true),
    merge: 'least',
  },
  {
    name: 'x-dead-letter-exchange',
    types: QUEUES,
    check: checkString,
    field: 'deadLetterExchange',
    policy: policy('dead-letter-exchange', 'dead letter exchange name', isText),
    merge: 'argument',
  },
  {
    name: 'x-dead-letter-routing-key',
    types: QUEUES,
    check: checkDeadLetterKey,
    field: 'deadLetterRoutingKey',
    policy: policy('dead-letter-routing-key', 'dead letter routing key', isName),
    merge: 'argument',
  },
  {
    name: 'x-dead-letter-strategy',
    types: QUORUM,
    check: checkOneOf(STRATEGIES, 'invalid_dlx_strategy'),
    field: 'deadLetterStrategy',
    policy: policy('dead-letter-strategy', 'dead letter strategy', oneOf(STRATEGIES)),
    merge: 'argument',
  },
  {
    name: 'x-max-length',
    types: QUEUES,
    check: checkNonNegative,
    field: 'maxLength',
    policy: policy('max-length', 'maximum length', atLeast(0), true),
    merge: 'least',
  },
  {
    name: 'x-max-length-bytes',
    types: ALL,
    check: checkNonNegative,
    field: 'maxLengthBytes',
    policy: policy('max-length-bytes', 'maximum length in bytes', atLeast(0), true),
    merge: 'least',
  },
  { name: 'x-max-in-memory-length', types: QUORUM, check: checkNonNegative, merge: 'argument' },
  { name: 'x-max-in-memory-bytes', types: QUORUM, check: checkNonNegative, merge: 'argument' },
  {
    name: 'x-max-priority',
    types: CLASSIC,
    check: checkMaxPriority,
    field: 'maxPriority',
    merge: 'argument',
  },
  {
    name: 'x-overflow',
    types: QUEUES,
    check: checkOneOf(OVERFLOWS, 'invalid_overflow'),
    field: 'overflow',
    policy: policy('overflow', 'overflow value', oneOf(OVERFLOWS), true),
    merge: 'argument',
  },
  { name: 'x-queue-mode', types: CLASSIC, merge: 'argument' },
  { name: 'x-queue-version', types: CLASSIC, check: checkQueueVersion, merge: 'argument' },
  {
    name: 'x-single-active-consumer',
    types: QUEUES,
    check: checkBoolean,
    field: 'singleActiveConsumer',
    merge: 'argument',
  },
  {
    name: 'x-consumer-timeout',
    types: QUORUM,
    check: checkNonNegative,
    field: 'consumerTimeoutMs',
    policy: policy('consumer-timeout', 'consumer timeout', atLeast(0)),
    merge: 'least',
  },
  {
    name: 'x-consumer-disconnected-timeout',
    types: QUORUM,
    check: checkNonNegative,
    merge: 'argument',
  },
  {
    name: 'x-queue-type',
    types: ALL,
    check: checkQueueType,
    field: 'queueType',
    merge: 'argument',
  },
  { name: 'x-quorum-initial-group-size', types: QUORUM, check: checkPositive, merge: 'argument' },
  {
    name: 'x-max-age',
    types: STREAM,
    check: checkMaxAge,
    field: 'maxAgeMs',
    convert: ageMs,
    policy: policy('max-age', 'max age', isAge),
    merge: 'least',
  },
  {
    name: 'x-stream-max-segment-size-bytes',
    types: STREAM,
    check: checkNonNegative,
    field: 'maxSegmentBytes',
    policy: policy('stream-max-segment-size-bytes', 'segment size', atLeast(0)),
    merge: 'argument',
  },
  {
    name: 'x-stream-filter-size-bytes',
    types: STREAM,
    check: checkNonNegative,
    field: 'filterBytes',
    policy: policy('stream-filter-size-bytes', 'filter size', atLeast(FILTER_BYTES_MIN)),
    merge: 'argument',
  },
  { name: 'x-initial-cluster-size', types: STREAM, check: checkPositive, merge: 'argument' },
  {
    name: 'x-queue-leader-locator',
    types: ALL,
    check: checkOneOf(LOCATORS, 'invalid_queue_locator_arg'),
    merge: 'argument',
  },
  { name: 'x-queue-master-locator', types: CLASSIC, merge: 'argument' },
  { name: 'x-member-placement-tag', types: QUORUM, check: checkString, merge: 'argument' },
  {
    name: 'x-delivery-limit',
    types: QUEUES,
    check: checkInteger,
    field: 'deliveryLimit',
    policy: policy('delivery-limit', 'delivery limit', atLeast(-Number.MAX_SAFE_INTEGER), true),
    merge: 'least',
  },
  {
    name: 'x-delayed-retry-type',
    types: QUORUM,
    check: checkOneOf(RETRY_TYPES, 'invalid_delayed_retry_type'),
    field: 'delayedRetryType',
    policy: policy('delayed-retry-type', 'delayed retry type', oneOf(RETRY_TYPES)),
    merge: 'argument',
  },
  {
    name: 'x-delayed-retry-min',
    types: QUORUM,
    check: checkNonNegative,
    field: 'delayedRetryMinMs',
    policy: policy('delayed-retry-min', 'delayed retry time', atLeast(0)),
    merge: 'argument',
  },
  {
    name: 'x-delayed-retry-max',
    types: QUORUM,
    check: checkNonNegative,
    field: 'delayedRetryMaxMs',
    policy: policy('delayed-retry-max', 'delayed retry time', atLeast(0)),
    merge: 'argument',
  },
  {
    name: 'x-visibility-timeout',
    types: QUEUES,
    check: checkPositive,
    field: 'visibilityTimeoutMs',
    policy: policy('visibility-timeout', 'visibility timeout', atLeast(1)),
    merge: 'argument',
  },
  {
    name: 'x-message-delay',
    types: QUEUES,
    check: checkTtl,
    field: 'delayMs',
    policy: policy('message-delay', 'message delay', atLeast(0)),
    merge: 'argument',
  },
  {
    name: 'x-rewind-window',
    types: QUEUES,
    check: checkTtl,
    field: 'rewindMs',
    policy: policy('rewind-window', 'rewind window', atLeast(0)),
    merge: 'argument',
  },
  {
    name: 'x-message-retention',
    types: QUEUES,
    check: checkPositive,
    field: 'retentionMs',
    policy: policy('message-retention', 'message retention', atLeast(1)),
    merge: 'least',
  },
];

const BY_NAME: ReadonlyMap<string, QueueArgument> = new Map(
  QUEUE_ARGUMENTS.map((row) => [row.name, row]),
);

/** The queue type the arguments name; classic unless they name another that exists. */
export function queueTypeOf(args: FieldTable): QueueType {
  const type = args.get('x-queue-type');
  return type === 'quorum' || type === 'stream' ? type : 'classic';
}

/** Names of the arguments a queue type knows; only these count in a redeclare. */
export function argumentsOfType(type: QueueType): string[] {
  return QUEUE_ARGUMENTS.filter((row) => row.types.includes(type)).map((row) => row.name);
}

/**
 * Checks the arguments of a new queue and turns them into settings. An existing queue is compared
 * (`checkQueueEquivalence`), not checked.
 *
 * @param name the name the queue will have; for the reply text
 * @throws BrokerError PRECONDITION_FAILED with RabbitMQ's text
 */
export function parseQueueArguments(
  vhost: string,
  name: string,
  args: FieldTable,
  flags: QueueFlags,
): DeclaredSettings {
  const type = queueTypeOf(args);
  if (flags.serverNamed && type !== 'classic') {
    refuse(`Cannot declare a server-named queue for type ${internalName(type)}`);
  }
  const resource = `queue '${name}' in vhost '${vhost}'`;
  const exchange = args.get('x-dead-letter-exchange');
  if (exchange !== undefined && typeof exchange !== 'string') {
    const kind = typeName(exchange);
    refuse(`invalid type '${kind}' for arg 'x-dead-letter-exchange' in ${resource}`);
  }
  checkValues(args, type, resource);
  for (const argument of args.keys()) {
    const row = BY_NAME.get(argument);
    if (row === undefined || row.types.includes(type)) continue;
    refuse(`invalid arg '${argument}' for ${resource} of queue type ${internalName(type)}`);
  }
  if (type !== 'classic') checkReplicatedFlags(flags, resource);
  if (type === 'stream') checkStreamSizes(args);
  return settingsOf(args, type);
}

/**
 * Settings of arguments that were checked when the queue was declared; for recovery.
 * Never throws: what does not convert is left out.
 */
export function settingsOf(
  args: FieldTable,
  type: QueueType = queueTypeOf(args),
): DeclaredSettings {
  const settings: Record<string, unknown> = { queueType: type };
  for (const row of QUEUE_ARGUMENTS) {
    if (row.field === undefined || row.field === 'queueType' || !row.types.includes(type)) continue;
    const value = args.get(row.name);
    if (value === undefined || row.check?.(value, args) !== undefined) continue;
    settings[row.field] = convertValue(row, value);
  }
  return settings as unknown as DeclaredSettings;
}

/**
 * Prefix of a server-named queue from `x-name-prefix`, or `amq.gen-`.
 * @throws BrokerError PRECONDITION_FAILED when it is too long
 */
export function serverNamePrefix(args: FieldTable): string {
  const value = args.get('x-name-prefix');
  if (typeof value !== 'string') return 'amq.gen-';
  const prefix = value.replace(/[\r\n]/g, '');
  if (Buffer.byteLength(prefix) > NAME_PREFIX_BYTES_MAX) {
    refuse(`Queue name prefix '${prefix}' exceeds the ${NAME_PREFIX_BYTES_MAX}-byte limit`);
  }
  return prefix === '' ? 'amq.gen-' : prefix;
}

function checkValues(args: FieldTable, type: QueueType, resource: string): void {
  const queueType = args.get('x-queue-type');
  if (queueType !== undefined) {
    const error = checkQueueType(queueType);
    if (error !== undefined) refuse(`invalid arg 'x-queue-type' for ${resource}: ${error}`);
  }
  for (const row of QUEUE_ARGUMENTS) {
    const value = args.get(row.name);
    if (value === undefined || !row.types.includes(type)) continue;
    const error = row.check?.(value, args);
    if (error !== undefined) refuse(`invalid arg '${row.name}' for ${resource}: ${error}`);
  }
}

function checkReplicatedFlags(flags: QueueFlags, resource: string): void {
  if (flags.autoDelete) refuse(`invalid property 'auto-delete' for ${resource}`);
  if (flags.exclusive) refuse(`invalid property 'exclusive-owner' for ${resource}`);
  if (!flags.durable) refuse(`invalid property 'non-durable' for ${resource}`);
}

function checkStreamSizes(args: FieldTable): void {
  const segment = args.get('x-stream-max-segment-size-bytes');
  if (segment !== undefined && Number(segment) > SEGMENT_BYTES_MAX) {
    refuse('Exceeded max value for x-stream-max-segment-size-bytes');
  }
  const filter = args.get('x-stream-filter-size-bytes');
  if (filter === undefined) return;
  if (Number(filter) > FILTER_BYTES_MAX || Number(filter) < FILTER_BYTES_MIN) {
    refuse('Invalid value for x-stream-filter-size-bytes');
  }
}

function convertValue(row: QueueArgument, value: FieldValue): unknown {
  if (row.convert !== undefined) return row.convert(value);
  return typeof value === 'bigint' ? Number(value) : value;
}

function internalName(type: QueueType): string {
  return `rabbit_${type}_queue`;
}

function refuse(text: string): never {
  throw new BrokerError('PRECONDITION_FAILED', text);
}
