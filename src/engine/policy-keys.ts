/**
 * The keys a policy may hold: those that set what a queue argument sets (`queue/arguments.ts`), and
 * those that exist for exchanges or for compatibility only.
 */
import { QUEUE_ARGUMENTS, type PolicyKey } from './queue/arguments.ts';
import type { QueueType } from './queue/settings.ts';

const LOCATORS = ['client-local', 'balanced', 'random', 'least-leaders'];

function isCount(value: string | number | boolean): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Keys without a queue argument of ours behind them; all but the first have no effect here. */
const OTHER_KEYS: readonly PolicyKey[] = [
  {
    name: 'alternate-exchange',
    noun: 'alternate exchange name',
    isForOperators: false,
    isValid: (value) => typeof value === 'string',
  },
  {
    name: 'max-in-memory-length',
    noun: 'maximum memory in bytes',
    isForOperators: true,
    isValid: isCount,
  },
  {
    name: 'max-in-memory-bytes',
    noun: 'maximum memory in bytes',
    isForOperators: true,
    isValid: isCount,
  },
  {
    name: 'queue-mode',
    noun: 'queue-mode value',
    isForOperators: false,
    isValid: (value) => value === 'default' || value === 'lazy',
  },
  {
    name: 'queue-version',
    noun: 'queue-version value',
    isForOperators: true,
    isValid: (value) => value === 1 || value === 2,
  },
  {
    name: 'queue-leader-locator',
    noun: 'queue leader locator value',
    isForOperators: false,
    isValid: (value) => typeof value === 'string' && LOCATORS.includes(value),
  },
  {
    name: 'initial-cluster-size',
    noun: 'cluster size',
    isForOperators: false,
    isValid: isCount,
  },
  {
    name: 'consumer-disconnected-timeout',
    noun: 'consumer disconnected timeout',
    isForOperators: false,
    isValid: isCount,
  },
  {
    name: 'target-group-size',
    noun: 'target group size',
    isForOperators: true,
    isValid: isCount,
  },
];

/** Every key, by name. */
export const POLICY_KEYS: ReadonlyMap<string, PolicyKey> = new Map(
  [...QUEUE_ARGUMENTS.flatMap((row) => row.policy ?? []), ...OTHER_KEYS].map((key) => [
    key.name,
    key,
  ]),
);

/** Keys that keep a policy from matching a queue of the type (RabbitMQ's table, but see below). */
export const UNSUPPORTED_KEYS: Readonly<Record<QueueType, ReadonlySet<string>>> = {
  // Unlike RabbitMQ, 'delivery-limit' is honoured by classic queues.
  classic: new Set([
    'max-age',
    'stream-max-segment-size-bytes',
    'initial-cluster-size',
    'dead-letter-strategy',
    'max-in-memory-length',
    'max-in-memory-bytes',
    'target-group-size',
  ]),
  quorum: new Set([
    'queue-mode',
    'max-age',
    'stream-max-segment-size-bytes',
    'initial-cluster-size',
  ]),
  stream: new Set([
    'expires',
    'message-ttl',
    'dead-letter-exchange',
    'dead-letter-routing-key',
    'max-length',
    'max-in-memory-length',
    'max-in-memory-bytes',
    'overflow',
    'queue-mode',
    'delivery-limit',
    'dead-letter-strategy',
    'target-group-size',
  ]),
};
