import { handleText } from '../../src/engine/cmq/receipt-handle.ts';
import type { Entry } from '../../src/engine/message.ts';
import type { ClassicQueue } from '../../src/engine/queue/classic-queue.ts';
import { bodyFields } from './message-body.ts';
import { toSeconds } from './queue-description.ts';

/**
 * A message and how often and since when it was received, as replies show it.
 * @param msgId its id when its place does not tell it: of one that is delayed
 */
export function messageFields(
  queue: ClassicQueue,
  entry: Entry,
  msgId = queue.messageIdOf(entry),
): Record<string, unknown> {
  return {
    ...bodyFields(entry.message),
    msgId,
    enqueueTime: toSeconds(entry.message.publishedAtMs),
    firstDequeueTime: toSeconds(entry.firstReceivedAtMs),
    dequeueCount: entry.receiveCount,
  };
}

/** The same of one that was just received. */
export function receivedFields(queue: ClassicQueue, entry: Entry): Record<string, unknown> {
  return {
    ...messageFields(queue, entry),
    receiptHandle: handleText(queue.id, queue.handleOf(entry)),
    nextVisibleTime: toSeconds(entry.leaseUntilMs),
  };
}
