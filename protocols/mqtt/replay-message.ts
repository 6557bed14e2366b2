import { Message } from '../../src/engine/message.ts';
import type { MessageFormat } from '../../src/engine/ports.ts';
import { HEADER_REPLAY, type Replay, packReplay } from './amqp-header.ts';

/**
 * A copy of `message` for one session's own queue that says how to deliver it there: a retained
 * message for a new subscription, or one that came through a shared subscription.
 *
 * @param isPersistent  keep it with a persistent session
 */
export function replayOf(
  formats: readonly MessageFormat[],
  message: Message,
  replay: Replay,
  isPersistent: boolean,
): Message {
  const set = new Map([[HEADER_REPLAY, packReplay(replay)]]);
  const header = formats[message.format]!.edit(message, { set });
  const bytes = Buffer.allocUnsafeSlow(header.length + message.bodyBytes);
  header.copy(bytes, 0);
  const bodyStart = message.start + message.headerBytes;
  message.bytes.copy(bytes, header.length, bodyStart, bodyStart + message.bodyBytes);
  return new Message(
    message.exchange,
    message.routingKey,
    message.format,
    bytes,
    0,
    header.length,
    message.bodyBytes,
    isPersistent,
    message.priority,
    message.expirationMs,
    message.publishedAtMs,
  );
}
