/**
 * What CMQ lets an owner decide about a queue, at any time: the attribute record, its ranges and
 * defaults (docs/CMQ.md, "Queue attributes"), and the engine settings it stands for.
 *
 * A queue made over CMQ has every attribute. One that was declared over AMQP has none: it gets a
 * record when an attribute is set, in which lease time, retention and room stay as they were
 * declared (`undefined`).
 */
import type { QueueSettings } from '../queue/settings.ts';
import { CmqQueueError } from './cmq-queue-error.ts';
import { resourceTagsProblem, type ResourceTag } from './resource-tags.ts';

/** Where messages go that nobody could, or would, use. */
export interface DeadLetterBinding {
  /** Exact name of the dead-letter queue. */
  readonly queueName: string;
  /** 0: received too often. 1: not deleted in time. */
  readonly policy: 0 | 1;
  /** With policy 0: receives after which a message moves; 1 to 1,000. */
  readonly maxReceiveCount: number;
  /** With policy 1: seconds after which a message moves; 300 to 43,200. */
  readonly maxTimeToLive: number;
  /** Wall ms of the binding: policy 1 leaves what is older alone. */
  readonly boundAtMs: number;
}

/** A queue's CMQ attributes; seconds and bytes. */
export interface QueueAttributes {
  /** Messages in any state; undefined: no limit. */
  readonly maxMsgHeapNum: number | undefined;
  /** How long a receive waits unless it says so itself. */
  readonly pollingWaitSeconds: number;
  /** Lease of a receive; undefined: as the queue was declared. */
  readonly visibilityTimeout: number | undefined;
  /** Bytes of a body sent over CMQ. */
  readonly maxMsgSize: number;
  /** Age at which a message is dropped; undefined: at none. */
  readonly msgRetentionSeconds: number | undefined;
  /** How long deleted messages can be had back; 0: not at all. */
  readonly rewindSeconds: number;
  /** Record what happens to every message. */
  readonly trace: boolean;
  readonly tags: readonly ResourceTag[];
  readonly deadLetter: DeadLetterBinding | undefined;
  readonly createdAtMs: number;
  readonly modifiedAtMs: number;
}

/** A record as an owner wishes it: without its times. */
export type WantedAttributes = Omit<
  QueueAttributes,
  'deadLetter' | 'createdAtMs' | 'modifiedAtMs'
> & {
  readonly deadLetter: Omit<DeadLetterBinding, 'boundAtMs'> | undefined;
};

/** Attributes that a number sets. */
export type NumericAttribute =
  | 'maxMsgHeapNum'
  | 'pollingWaitSeconds'
  | 'visibilityTimeout'
  | 'maxMsgSize'
  | 'msgRetentionSeconds'
  | 'rewindSeconds';

/** What a caller may change. */
export type AttributeChanges = Partial<Record<NumericAttribute, number>> & {
  readonly trace?: boolean;
  /** In the place of those it has. */
  readonly tags?: readonly ResourceTag[];
};

interface AttributeRange {
  readonly min: number;
  readonly max: number;
  readonly default: number;
}

const DAY_SECONDS = 86_400;

/** Both ends included. */
export const ATTRIBUTE_RANGES: Readonly<Record<NumericAttribute, AttributeRange>> = {
  maxMsgHeapNum: { min: 1, max: 1_000_000_000, default: 100_000_000 },
  pollingWaitSeconds: { min: 0, max: 30, default: 0 },
  visibilityTimeout: { min: 1, max: DAY_SECONDS / 2, default: 30 },
  maxMsgSize: { min: 1_024, max: 1_048_576, default: 1_048_576 },
  msgRetentionSeconds: { min: 60, max: 15 * DAY_SECONDS, default: 4 * DAY_SECONDS },
  rewindSeconds: { min: 0, max: 15 * DAY_SECONDS, default: 0 },
};

export const MAX_RECEIVE_COUNT_RANGE = { min: 1, max: 1_000 } as const;
/** Seconds. */
export const MAX_TIME_TO_LIVE_RANGE = { min: 300, max: DAY_SECONDS / 2 } as const;

const NUMERIC_ATTRIBUTES = Object.keys(ATTRIBUTE_RANGES) as NumericAttribute[];

/** The record of a queue made over CMQ without any wishes. */
export function defaultAttributes(nowMs: number): QueueAttributes {
  return {
    ...foreignAttributes(nowMs),
    maxMsgHeapNum: ATTRIBUTE_RANGES.maxMsgHeapNum.default,
    visibilityTimeout: ATTRIBUTE_RANGES.visibilityTimeout.default,
    msgRetentionSeconds: ATTRIBUTE_RANGES.msgRetentionSeconds.default,
  };
}

/** How a queue looks that another protocol declared. */
export function foreignAttributes(nowMs: number): QueueAttributes {
  return {
    maxMsgHeapNum: undefined,
    pollingWaitSeconds: ATTRIBUTE_RANGES.pollingWaitSeconds.default,
    visibilityTimeout: undefined,
    maxMsgSize: ATTRIBUTE_RANGES.maxMsgSize.default,
    msgRetentionSeconds: undefined,
    rewindSeconds: ATTRIBUTE_RANGES.rewindSeconds.default,
    trace: false,
    tags: [],
    deadLetter: undefined,
    createdAtMs: nowMs,
    modifiedAtMs: nowMs,
  };
}

/**
 * `attributes` after `changes`, checked.
 * @throws CmqQueueError 'range', 'rewind-above-retention'
 */
export function changeAttributes(
  attributes: QueueAttributes,
  changes: AttributeChanges,
  nowMs: number,
): QueueAttributes {
  for (const name of NUMERIC_ATTRIBUTES) {
    const value = changes[name];
    if (value !== undefined) checkRange(name, value, ATTRIBUTE_RANGES[name]);
  }
  const problem = resourceTagsProblem(changes.tags ?? []);
  if (problem !== undefined) throw new CmqQueueError('range', problem);
  const changed = { ...attributes, ...changes, modifiedAtMs: nowMs };
  const retention = changed.msgRetentionSeconds ?? Infinity;
  if (changed.rewindSeconds > retention) {
    throw new CmqQueueError(
      'rewind-above-retention',
      `rewindSeconds ${changed.rewindSeconds} is more than msgRetentionSeconds ${retention}`,
    );
  }
  const { deadLetter } = changed;
  if (deadLetter !== undefined) checkBinding(deadLetter, retention);
  return changed;
}

/** `attributes` with another dead-letter binding, or none. @throws CmqQueueError 'range' */
export function withDeadLetter(
  attributes: QueueAttributes,
  deadLetter: DeadLetterBinding | undefined,
  nowMs: number,
): QueueAttributes {
  return changeAttributes({ ...attributes, deadLetter }, {}, nowMs);
}

/** The engine settings a record decides, over arguments and policies of the queue. */
export function settingsFor(attributes: QueueAttributes): Partial<QueueSettings> {
  const { maxMsgHeapNum, visibilityTimeout, msgRetentionSeconds } = attributes;
  const { rewindSeconds, deadLetter } = attributes;
  return {
    countsReceives: true,
    ...(visibilityTimeout !== undefined && { visibilityTimeoutMs: visibilityTimeout * 1_000 }),
    ...(msgRetentionSeconds !== undefined && { retentionMs: msgRetentionSeconds * 1_000 }),
    ...(maxMsgHeapNum !== undefined && { heapMax: maxMsgHeapNum }),
    ...(rewindSeconds > 0 && { rewindMs: rewindSeconds * 1_000 }),
    ...(deadLetter !== undefined && deadLetterSettings(deadLetter)),
  };
}

/** The dead-letter exchange is the default one, which reaches every queue by its name. */
function deadLetterSettings(binding: DeadLetterBinding): Partial<QueueSettings> {
  const { queueName, policy, maxReceiveCount, maxTimeToLive, boundAtMs } = binding;
  return {
    deadLetterExchange: '',
    deadLetterRoutingKey: queueName,
    ...(policy === 0
      ? { deliveryLimit: maxReceiveCount - 1 }
      : { ageLimitMs: maxTimeToLive * 1_000, ageLimitFromMs: boundAtMs }),
  };
}

function checkBinding(binding: DeadLetterBinding, retentionSeconds: number): void {
  const { policy, maxReceiveCount, maxTimeToLive } = binding;
  if (policy === 0) {
    checkRange('maxReceiveCount', maxReceiveCount, MAX_RECEIVE_COUNT_RANGE);
    return;
  }
  checkRange('maxTimeToLive', maxTimeToLive, MAX_TIME_TO_LIVE_RANGE);
  if (maxTimeToLive < retentionSeconds) return;
  throw new CmqQueueError(
    'range',
    `maxTimeToLive ${maxTimeToLive} is not less than msgRetentionSeconds ${retentionSeconds}`,
  );
}

function checkRange(name: string, value: number, range: { min: number; max: number }): void {
  if (Number.isSafeInteger(value) && value >= range.min && value <= range.max) return;
  throw new CmqQueueError('range', `${name} ${value} is not from ${range.min} to ${range.max}`);
}
