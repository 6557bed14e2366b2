import { Message } from './message.ts';

/**
 * `message` as one that was published at `atMs` (wall ms): what waited in a transaction begins to
 * live with the commit. The memory is shared.
 */
export function messageAt(message: Message, atMs: number): Message {
  if (message.publishedAtMs === atMs) return message;
  return new Message(
    message.exchange,
    message.routingKey,
    message.format,
    message.bytes,
    message.start,
    message.headerBytes,
    message.bodyBytes,
    message.isPersistent,
    message.priority,
    message.expirationMs,
    atMs,
  );
}
