/** Which queue types know which arguments of a consumer. */
import { BrokerError } from '../base/errors.ts';
import type { FieldValue } from '../base/field-value.ts';
import { resourceText } from './equivalence.ts';
import { typeName } from './field-text.ts';
import type { Consumer } from './queue/consumer.ts';
import type { Queue } from './queue/queue.ts';
import type { QueueType } from './queue/settings.ts';

/** Others mean nothing anywhere and are ignored, as RabbitMQ does. */
const TYPES_BY_ARGUMENT: readonly (readonly [string, readonly QueueType[]])[] = [
  ['x-priority', ['classic', 'quorum']],
  ['x-consumer-timeout', ['quorum']],
  ['x-stream-offset', ['stream']],
  ['x-stream-filter', ['stream']],
  ['x-stream-match-unfiltered', ['stream']],
];

/** Arguments of which zero and more is a value. */
const COUNTS = ['x-consumer-timeout'];

/**
 * Refuses an argument that this type of queue would silently do nothing about, or could not.
 *
 * @throws BrokerError PRECONDITION_FAILED
 */
export function checkConsumerArguments(queue: Queue, consumer: Consumer, vhost: string): void {
  const { queueType } = queue.settings;
  for (const [name, types] of TYPES_BY_ARGUMENT) {
    if (types.includes(queueType) || !consumer.arguments.has(name)) continue;
    throw new BrokerError(
      'PRECONDITION_FAILED',
      `invalid arg '${name}' for ${resourceText('queue', queue.name, vhost)} ` +
        `of queue type rabbit_${queueType}_queue`,
    );
  }
  for (const name of COUNTS) {
    const value = consumer.arguments.get(name);
    const refusal = value === undefined ? undefined : countRefusal(value);
    if (refusal === undefined) continue;
    throw new BrokerError(
      'PRECONDITION_FAILED',
      `invalid arg '${name}' for ${resourceText('queue', queue.name, vhost)}: ${refusal}`,
    );
  }
}

/** RabbitMQ's words for what is no count. */
function countRefusal(value: FieldValue): string | undefined {
  if (typeof value !== 'number' && typeof value !== 'bigint') {
    return `"expected integer, got ${typeName(value)}"`;
  }
  return value < 0 ? `{value_negative,${value}}` : undefined;
}
