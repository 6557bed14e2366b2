import { Message } from './message.ts';

/** What is to be different in a copy of a message. */
export interface MessageChanges {
  /** Owned; the body is copied behind it. */
  readonly header?: Buffer;
  readonly exchange?: string;
  readonly routingKey?: string;
  readonly format?: number;
  /** Ms; -1: none. */
  readonly expirationMs?: number;
  /** Wall ms. */
  readonly publishedAtMs?: number;
}

/** A message like another but for some fields. Without a new header they share their memory. */
export function copyMessage(message: Message, changes: MessageChanges): Message {
  const { header } = changes;
  return new Message(
    changes.exchange ?? message.exchange,
    changes.routingKey ?? message.routingKey,
    changes.format ?? message.format,
    header === undefined ? message.bytes : withBodyOf(message, header),
    header === undefined ? message.start : 0,
    header === undefined ? message.headerBytes : header.length,
    message.bodyBytes,
    message.isPersistent,
    message.priority,
    changes.expirationMs ?? message.expirationMs,
    changes.publishedAtMs ?? message.publishedAtMs,
  );
}

function withBodyOf({ bytes, start, headerBytes, bodyBytes }: Message, header: Buffer): Buffer {
  const copy = Buffer.allocUnsafe(header.length + bodyBytes);
  header.copy(copy, 0);
  const bodyStart = start + headerBytes;
  bytes.copy(copy, header.length, bodyStart, bodyStart + bodyBytes);
  return copy;
}
