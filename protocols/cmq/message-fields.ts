/**
 * Messages as replies show them. No object is spread here: V8 defines what is spread one property
 * at a time, 4 us for each message of a batch.
 */
import { handleText } from '../../src/engine/cmq/receipt-handle.ts';
import type { Entry } from '../../src/engine/message.ts';
import type { ClassicQueue } from '../../src/engine/queue/classic-queue.ts';
import { bodyText } from './message-body.ts';
import { toSeconds } from './queue-description.ts';

/** Fields of a message; times in seconds. */
interface MessageFields extends Record<string, unknown> {
  msgBody: string;
  /** Undefined: it is text. */
  bodyEncoding: 'base64' | undefined;
  msgId: string;
  enqueueTime: number;
  firstDequeueTime: number;
  dequeueCount: number;
}

/**
 * A message and how often and since when it was received.
 * @param msgId its id when its place does not tell it: of one that is delayed
 */
export function messageFields(
  queue: ClassicQueue,
  entry: Entry,
  msgId = queue.messageIdOf(entry),
): MessageFields {
  const { text, encoding } = bodyText(entry.message);
  return {
    msgBody: text,
    bodyEncoding: encoding,
    msgId,
    enqueueTime: toSeconds(entry.message.publishedAtMs),
    firstDequeueTime: toSeconds(entry.firstReceivedAtMs),
    dequeueCount: entry.receiveCount,
  };
}

/** The same of one that was just received. */
export function receivedFields(queue: ClassicQueue, entry: Entry): MessageFields {
  const fields = messageFields(queue, entry);
  fields['receiptHandle'] = handleText(queue.id, queue.handleOf(entry));
  fields['nextVisibleTime'] = toSeconds(entry.leaseUntilMs);
  return fields;
}
