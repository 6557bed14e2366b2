/**
 * What the gateway writes into the headers of a message on its way: for a consumer that reads
 * headers, for the next queue after a death, for the return from the rewind window.
 */
import type { FieldTable, FieldValue } from '../../base/field-value.ts';
import { type Entry, FORMAT_NAMED, type Message } from '../message.ts';
import { copyMessage } from '../message-copy.ts';
import { carriedId, MESSAGE_ID_HEADER } from './message-id.ts';

/** What is needed of a queue's host. */
export interface HeaderHost {
  headersOf(message: Message): FieldTable | undefined;
  withHeaders(message: Message, set: readonly (readonly [string, FieldValue])[]): Message;
}

/** Hand-overs of a quorum queue that came back, whatever the way (RabbitMQ 4.3). */
const ACQUIRED_COUNT = 'x-acquired-count';
/** Hand-overs that failed, as quorum queues count them. */
const DELIVERY_COUNT = 'x-delivery-count';
/** Receive count at the time the message was taken back out of the rewind window. */
const REWOUND = 'x-rewound';

/** The message for a consumer after hand-overs that failed. */
export function withFailureCount(host: HeaderHost, entry: Entry): Message {
  return host.withHeaders(entry.message, [[DELIVERY_COUNT, BigInt(entry.receiveCount)]]);
}

/** The message for a consumer of a quorum queue that handed it over before. */
export function withAcquiredCount(host: HeaderHost, entry: Entry): Message {
  // A restart forgets hand-overs that did not fail; one there was.
  const count = Math.max(entry.generation - 1, entry.receiveCount, 1);
  const set: [string, FieldValue][] = [[ACQUIRED_COUNT, BigInt(count)]];
  if (entry.receiveCount > 0) set.push([DELIVERY_COUNT, BigInt(entry.receiveCount)]);
  return host.withHeaders(entry.message, set);
}

/** The message for a consumer of a queue that counts receives; this hand-over is counted. */
export function withReceipt(host: HeaderHost, entry: Entry, id: string): Message {
  const set: [string, FieldValue][] = [
    [MESSAGE_ID_HEADER, id],
    ['x-receive-count', BigInt(entry.receiveCount)],
    ['x-enqueue-time', BigInt(entry.message.publishedAtMs)],
  ];
  if (entry.receiveCount > 1) set.push([DELIVERY_COUNT, BigInt(entry.receiveCount - 1)]);
  return withOwnId(host, entry.message, set);
}

/** The message as it leaves a queue that counts receives for a dead-letter queue. */
export function withOrigin(
  host: HeaderHost,
  message: Message,
  id: string,
  queue: string,
  receiveCount: number,
): Message {
  return withOwnId(host, message, [
    [MESSAGE_ID_HEADER, id],
    ['x-origin-queue', queue],
    ['x-origin-msg-id', id],
    ['x-origin-enqueue-time', BigInt(message.publishedAtMs)],
    ['x-origin-receive-count', BigInt(receiveCount)],
  ]);
}

/** The message as it is kept for a rewind. */
export function asParked(host: HeaderHost, entry: Entry, id: string): Message {
  return withOwnId(host, entry.message, [
    [MESSAGE_ID_HEADER, id],
    [REWOUND, BigInt(entry.receiveCount)],
  ]);
}

/** The receive count a rewound message comes back with; undefined when it is not one. */
export function rewoundCount(host: HeaderHost, message: Message): number | undefined {
  const count = host.headersOf(message)?.get(REWOUND);
  return typeof count === 'bigint' || typeof count === 'number' ? Number(count) : undefined;
}

/** The message without a mark of the rewind window: a publisher's, or one of another queue's. */
export function withoutRewound(host: HeaderHost, message: Message): Message {
  if (rewoundCount(host, message) === undefined) return message;
  return host.withHeaders(message, [[REWOUND, false]]);
}

/** The id the message carries; undefined when its place tells it, whatever its publisher wrote. */
export function idOf(host: HeaderHost, message: Message): string | undefined {
  return message.isNamed ? carriedId(host.headersOf(message)) : undefined;
}

/**
 * Tells messages that carry an id from others, which it does not decode: a text in a header has its
 * bytes there in every format.
 */
export function carrierOf(host: HeaderHost, id: string): (message: Message) => boolean {
  const needle = Buffer.from(id);
  return (message) => {
    const { bytes, start, headerBytes } = message;
    if (!message.isNamed || headerBytes < needle.length) return false;
    if (!bytes.subarray(start, start + headerBytes).includes(needle)) return false;
    return idOf(host, message) === id;
  };
}

/** The message carrying that id, unless it carries one. */
export function withId(host: HeaderHost, message: Message, id: string): Message {
  if (idOf(host, message) !== undefined) return message;
  return withOwnId(host, message, [[MESSAGE_ID_HEADER, id]]);
}

/** The message with headers, the id among them, which is ours. */
function withOwnId(
  host: HeaderHost,
  message: Message,
  set: readonly (readonly [string, FieldValue])[],
): Message {
  const edited = host.withHeaders(message, set);
  return copyMessage(edited, { format: edited.format | FORMAT_NAMED });
}
