/**
 * Messages as replies show them.
 *
 * Received ones are written as JSON at once, body and all, as bytes. Where they become objects
 * nothing is spread: V8 defines what is spread one property at a time, 4 us for each message.
 */
import { handleText } from '../../src/engine/cmq/receipt-handle.ts';
import type { Entry } from '../../src/engine/message.ts';
import type { ClassicQueue } from '../../src/engine/queue/classic-queue.ts';
import { bodyText } from './message-body.ts';
import { toSeconds } from './queue-description.ts';
import { type JsonMembers, JsonWriter } from './reply-json.ts';

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

/** Used by one reply at a time. */
const writer = new JsonWriter();

/** The fields of a message that was just received, with its handle. */
export function receivedFields(queue: ClassicQueue, entry: Entry): JsonMembers {
  writer.begin();
  writeReceived(queue, entry);
  return writer.members();
}

/** The same of several, as a list. */
export function receivedListFields(queue: ClassicQueue, entries: readonly Entry[]): JsonMembers {
  writer.begin();
  writer.add('"msgInfoList":[');
  for (let at = 0; at < entries.length; at += 1) {
    writer.add(at === 0 ? '{' : ',{');
    writeReceived(queue, entries[at]!);
    writer.add('}');
  }
  writer.add(']');
  return writer.members();
}

/** Ids and handles need no escape. */
function writeReceived(queue: ClassicQueue, entry: Entry): void {
  const { message, receiveCount } = entry;
  writer.add('"msgBody":');
  const start = message.start + message.headerBytes;
  const isText = writer.addString(message.bytes, start, message.bodyBytes);
  if (!isText) writer.add(`"${bodyText(message).text}","bodyEncoding":"base64"`);
  writer.add(',"msgId":"');
  writer.add(queue.messageIdOf(entry));
  const enqueueTime = toSeconds(message.publishedAtMs);
  const firstDequeueTime = toSeconds(entry.firstReceivedAtMs);
  writer.add(timesText(enqueueTime, firstDequeueTime, receiveCount));
  writer.add(handleText(queue.id, queue.handleOf(entry)));
  writer.add('","nextVisibleTime":');
  writer.add(String(toSeconds(entry.leaseUntilMs)));
}

/** The last text of those, and of what: messages of a batch nearly always have the same. */
let lastTimes = { enqueueTime: 0, firstDequeueTime: 0, dequeueCount: 0, text: '' };

/** What stands between id and handle. */
function timesText(enqueueTime: number, firstDequeueTime: number, dequeueCount: number): string {
  const isSame =
    lastTimes.enqueueTime === enqueueTime &&
    lastTimes.firstDequeueTime === firstDequeueTime &&
    lastTimes.dequeueCount === dequeueCount;
  if (!isSame) {
    const text =
      `","enqueueTime":${enqueueTime},"firstDequeueTime":${firstDequeueTime}` +
      `,"dequeueCount":${dequeueCount},"receiptHandle":"`;
    lastTimes = { enqueueTime, firstDequeueTime, dequeueCount, text };
  }
  return lastTimes.text;
}
