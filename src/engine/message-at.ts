import type { Message } from './message.ts';
import { copyMessage } from './message-copy.ts';

/**
 * `message` as one that was published at `atMs` (wall ms): what waited in a transaction begins to
 * live with the commit. The memory is shared.
 */
export function messageAt(message: Message, atMs: number): Message {
  if (message.publishedAtMs === atMs) return message;
  return copyMessage(message, { publishedAtMs: atMs });
}
