import type { FieldValue } from '../../src/base/field-value.ts';
import { FORMAT_REPLAY, Message } from '../../src/engine/message.ts';
import type { HeaderEdit, MessageFormat } from '../../src/engine/ports.ts';
import {
  HEADER_REPLAY,
  HEADER_SOURCE,
  HEADER_TOPIC,
  type Replay,
  packReplay,
} from './amqp-header.ts';
import type { TopicBytes } from './message-view.ts';
import { QUEUE_TOPIC_PREFIX } from './topic-name.ts';

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
  return edited(formats, message, { set }, message.format | FORMAT_REPLAY, isPersistent);
}

/**
 * The same of a message of a queue by name: it says which, for it may have to be rejected there.
 *
 * @param topic  the one it is delivered with
 */
export function replayFromQueue(
  formats: readonly MessageFormat[],
  message: Message,
  replay: Replay,
  queue: string,
  topic: TopicBytes,
): Message {
  const set = new Map<string, FieldValue>([
    [HEADER_REPLAY, packReplay(replay)],
    [HEADER_SOURCE, queue],
  ]);
  if (topic.text === QUEUE_TOPIC_PREFIX + queue) set.set(HEADER_TOPIC, topic.text);
  return edited(formats, message, { set }, message.format | FORMAT_REPLAY, true);
}

/** The message as its queue had it. */
export function withoutReplay(formats: readonly MessageFormat[], message: Message): Message {
  const headers = formats[message.format]!.headers(message);
  const remove = [HEADER_REPLAY, HEADER_SOURCE];
  const topic = headers?.get(HEADER_TOPIC);
  if (topic === `${QUEUE_TOPIC_PREFIX}${String(headers?.get(HEADER_SOURCE))}`) {
    remove.push(HEADER_TOPIC);
  }
  const format = message.format & ~FORMAT_REPLAY;
  return edited(formats, message, { remove }, format, message.isPersistent);
}

function edited(
  formats: readonly MessageFormat[],
  message: Message,
  edit: HeaderEdit,
  format: number,
  isPersistent: boolean,
): Message {
  const header = formats[message.format]!.edit(message, edit);
  const bytes = Buffer.allocUnsafeSlow(header.length + message.bodyBytes);
  header.copy(bytes, 0);
  const bodyStart = message.start + message.headerBytes;
  message.bytes.copy(bytes, header.length, bodyStart, bodyStart + message.bodyBytes);
  return new Message(
    message.exchange,
    message.routingKey,
    format,
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
