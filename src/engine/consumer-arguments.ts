/** Which queue types know which arguments of a consumer. */
import { BrokerError } from '../base/errors.ts';
import { resourceText } from './equivalence.ts';
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

/**
 * Refuses an argument that this type of queue would silently do nothing about.
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
}
