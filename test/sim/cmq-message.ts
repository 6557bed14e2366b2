/** Messages of the simulation: a short text, padded to some size. */
import { FORMAT_AMQP, Message } from '../../src/engine/message.ts';
import { AmqpMessageFormat } from '../../protocols/amqp/amqp-message-format.ts';
import { encodeHeader } from '../../protocols/amqp/content-header.ts';
import { bodyOf } from '../support/engine-fixture.ts';

export const FORMAT = new AmqpMessageFormat();

const PADDING = '.';

export interface MessageShape {
  readonly bodyBytes: number;
  /** -1: none. */
  readonly priority: number;
}

/** A persistent message to the queue `q`. */
export function messageOf(
  text: string,
  publishedAtMs: number,
  { bodyBytes, priority }: MessageShape,
): Message {
  const header = encodeHeader({ deliveryMode: 2, ...(priority >= 0 && { priority }) }, bodyBytes);
  const bytes = Buffer.concat([header, Buffer.from(text.padEnd(bodyBytes, PADDING))]);
  return new Message(
    '',
    'q',
    FORMAT_AMQP,
    bytes,
    0,
    header.length,
    bodyBytes,
    true,
    priority,
    -1,
    publishedAtMs,
  );
}

/** The text of a message; all of its padding must be there. */
export function textOf(message: Message): string {
  const body = bodyOf(message);
  const text = body.slice(0, 8);
  return text.padEnd(body.length, PADDING) === body ? text : body;
}
