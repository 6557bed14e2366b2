/**
 * Deliveries of quorum queues that are not settled in time (RabbitMQ's consumer timeout).
 *
 * They go back to their queue, and do not count as failed. Their consumer is cancelled; a client
 * that does not understand basic.cancel, or took the message with basic.get, loses its channel. A
 * settlement that still comes is ignored. What a consumer ended so still holds goes back silently
 * when its own time is over.
 *
 * Time is coarse: a delivery is given up to one tick more, never less.
 */
import { BrokerError } from '../../src/base/errors.ts';
import type { FieldTable } from '../../src/base/field-value.ts';
import type { Queue } from '../../src/engine/queue/queue.ts';
import { closeReason } from './amqp-errors.ts';
import type { Channel } from './channel.ts';

/**
 * Ms a delivery may stay unsettled; Infinity for queues that do not ask.
 *
 * @param args       of basic.consume: they win over the queue's and its policy's
 * @param defaultMs  where nobody says anything
 */
export function deliveryTimeoutMs(queue: Queue, args: FieldTable, defaultMs: number): number {
  if (queue.settings.queueType !== 'quorum') return Infinity;
  const wanted = args.get('x-consumer-timeout');
  if (typeof wanted === 'number' || typeof wanted === 'bigint') return Number(wanted);
  return queue.settings.consumerTimeoutMs ?? defaultMs;
}

/**
 * Gives back what is overdue on `channel`.
 *
 * @param nowMs  monotonic
 */
export function timeOutDeliveries(channel: Channel, nowMs: number): void {
  const taken = channel.settle.takeTimedOut(nowMs);
  let failedMs: number | undefined;
  for (const { queue, consumer } of taken) {
    if (consumer !== undefined && channel.consume.timedOut(consumer)) continue;
    failedMs ??= consumer?.timeoutMs ?? channel.consume.getTimeoutMs(queue);
  }
  for (const { queue, entry } of taken) queue.requeue(entry, false);
  if (failedMs === undefined) {
    if (taken.length > 0) channel.consume.wakeAll();
    return;
  }
  const error = new BrokerError(
    'PRECONDITION_FAILED',
    `delivery acknowledgement on channel ${channel.id} timed out. ` +
      `Timeout value used: ${failedMs} ms. ` +
      'This timeout value can be configured, see consumers doc guide to learn more',
  );
  channel.fail(closeReason(error, 0));
}
