/**
 * Settings of a queue: what its arguments ask for, and what is in force once policies are merged.
 *
 * Arguments are fixed at declare; policies come and go at run time. So a queue keeps its
 * `DeclaredSettings` and computes `QueueSettings` anew whenever a policy changes.
 */
import type { PolicyDefinition, PolicyValue } from '../policy.ts';
import { QUEUE_ARGUMENTS, type QueueArgument } from './arguments.ts';

export type QueueType = 'classic' | 'quorum' | 'stream';
export type Overflow = 'drop-head' | 'reject-publish' | 'reject-publish-dlx';
export type DeadLetterStrategy = 'at-most-once' | 'at-least-once';
export type DelayedRetryType = 'disabled' | 'all' | 'failed' | 'returned';

/** What the arguments asked for; undefined was not asked for. */
export interface DeclaredSettings {
  readonly queueType: QueueType;
  readonly messageTtlMs?: number;
  /** The queue is deleted after this idle time. */
  readonly expiresMs?: number;
  /** Ready messages. */
  readonly maxLength?: number;
  /** Body bytes of ready messages. */
  readonly maxLengthBytes?: number;
  readonly overflow?: Overflow;
  readonly deadLetterExchange?: string;
  readonly deadLetterRoutingKey?: string;
  readonly deadLetterStrategy?: DeadLetterStrategy;
  /** 0 to 255; priorities above it count as it. */
  readonly maxPriority?: number;
  readonly singleActiveConsumer?: boolean;
  /** Failed deliveries before the message is dead-lettered; negative: no limit, by choice. */
  readonly deliveryLimit?: number;
  readonly delayedRetryType?: DelayedRetryType;
  readonly delayedRetryMinMs?: number;
  readonly delayedRetryMaxMs?: number;
  readonly consumerTimeoutMs?: number;
  /** Stream retention. */
  readonly maxAgeMs?: number;
  readonly maxSegmentBytes?: number;
  readonly filterBytes?: number;
  /** Lease time of a delivery; undefined: until settled or the consumer goes. */
  readonly visibilityTimeoutMs?: number;
  /** Every message waits this long before it is ready. */
  readonly delayMs?: number;
  /** Settled messages can be had back for this long after their publishing. */
  readonly rewindMs?: number;
  /** Messages are dropped at this age, whatever their state. */
  readonly retentionMs?: number;
  /** Messages are dead-lettered at this age unless they are leased then ... */
  readonly ageLimitMs?: number;
  /** ... and were published before this (wall ms). */
  readonly ageLimitFromMs?: number;
  /** Messages in all states but the rewindable; more are refused. */
  readonly heapMax?: number;
  /** Every hand-over counts as a receive, is recorded, and told to consumers in headers. */
  readonly countsReceives?: boolean;
  /** Transient messages are not kept while nobody consumes (QoS 0 for an absent session). */
  readonly dropsTransientWhenIdle?: boolean;
  /** Ready messages from which on transient ones are dropped (QoS 0 for a slow client). */
  readonly transientReadyMax?: number;
}

/** What is in force. Where undefined stays possible it means none or unlimited. */
export interface QueueSettings extends DeclaredSettings {
  readonly overflow: Overflow;
  /** Negative: no limit. */
  readonly deliveryLimit: number;
  readonly deadLetterStrategy: DeadLetterStrategy;
  readonly singleActiveConsumer: boolean;
  readonly delayedRetryType: DelayedRetryType;
}

/** Failed deliveries a quorum queue allows unless told otherwise (RabbitMQ since 4.0). */
export const QUORUM_DELIVERY_LIMIT_DEFAULT = 20;

/** A policy, as far as merging goes. */
interface Defining {
  readonly definition: PolicyDefinition;
}

/**
 * Merges arguments with the policy and operator policy that match the queue.
 *
 * Policy and operator policy first: of two numeric limits the lower one, of anything else the
 * operator's. Then arguments: the lower of two limits, else the argument.
 */
export function mergePolicy(
  declared: DeclaredSettings,
  policy: Defining | undefined,
  operatorPolicy: Defining | undefined,
): QueueSettings {
  const merged: Record<string, unknown> = { ...declared };
  if (policy !== undefined || operatorPolicy !== undefined) {
    for (const row of QUEUE_ARGUMENTS) {
      if (row.policy === undefined || row.field === undefined) continue;
      if (!row.types.includes(declared.queueType)) continue;
      const fromPolicies = mergeValues(
        row,
        policyValue(row, policy?.definition),
        policyValue(row, operatorPolicy?.definition),
      );
      const value = mergeArgument(row, declared[row.field], fromPolicies);
      if (value !== undefined) merged[row.field] = value;
    }
  }
  return withDefaults(merged as unknown as DeclaredSettings);
}

type Value = string | number | boolean | undefined;

function policyValue(row: QueueArgument, definition: PolicyDefinition | undefined): Value {
  if (row.policy === undefined) return undefined;
  const value: PolicyValue | undefined = definition?.get(row.policy.name);
  if (value === undefined) return undefined;
  return row.convert === undefined ? value : (row.convert(value) as Value);
}

/** `first` is the policy's, `second` the operator's. */
function mergeValues(row: QueueArgument, first: Value, second: Value): Value {
  if (first === undefined) return second;
  if (second === undefined) return first;
  return leastOf(row, first, second) ?? second;
}

function mergeArgument(row: QueueArgument, argument: Value, fromPolicies: Value): Value {
  if (argument === undefined) return fromPolicies;
  if (fromPolicies === undefined) return argument;
  return leastOf(row, argument, fromPolicies) ?? argument;
}

/** The stricter of two limits; undefined when the row is not a limit. */
function leastOf(row: QueueArgument, a: Value, b: Value): number | undefined {
  if (row.merge !== 'least' || typeof a !== 'number' || typeof b !== 'number') return undefined;
  return a < 0 || b < 0 ? Math.max(a, b) : Math.min(a, b);
}

function withDefaults(merged: DeclaredSettings): QueueSettings {
  const isQuorum = merged.queueType === 'quorum';
  return {
    ...merged,
    overflow: merged.overflow ?? 'drop-head',
    deliveryLimit: merged.deliveryLimit ?? (isQuorum ? QUORUM_DELIVERY_LIMIT_DEFAULT : -1),
    deadLetterStrategy: merged.deadLetterStrategy ?? 'at-most-once',
    singleActiveConsumer: merged.singleActiveConsumer ?? false,
    delayedRetryType: merged.delayedRetryType ?? 'disabled',
  };
}

/** Ms after its publishing for which a settled message can be had back: its retention at most. */
export function rewindWindowMs(settings: QueueSettings): number {
  return Math.min(settings.rewindMs ?? 0, settings.retentionMs ?? Infinity);
}
