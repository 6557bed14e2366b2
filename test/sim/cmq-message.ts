/** Messages of the simulation: a short text, padded to some size. */
import type { FieldValue } from '../../src/base/field-value.ts';
import { FORMAT_AMQP, FORMAT_NAMED, Message } from '../../src/engine/message.ts';
import { AmqpMessageFormat } from '../../protocols/amqp/amqp-message-format.ts';
import { encodeHeader } from '../../protocols/amqp/content-header.ts';
import { bodyOf } from '../support/engine-fixture.ts';

export const FORMAT = new AmqpMessageFormat();

const PADDING = '.';

export interface MessageShape {
  readonly bodyBytes: number;
  /** -1: none. */
  readonly priority: number;
  /** Published to the topic: its id and its tag; else it is sent to the queue. */
  readonly topic?: { readonly id: string; readonly tag: string };
}

/** Topic whose subscription leads to the queue `q`, and the tag that it wants. */
export const TOPIC = 'topic';
export const WANTED_TAG = 'red';

/** A persistent message to the queue `q`, or to the topic. */
export function messageOf(
  text: string,
  publishedAtMs: number,
  { bodyBytes, priority, topic }: MessageShape,
): Message {
  const headers = new Map<string, FieldValue>();
  if (topic !== undefined) headers.set('x-msg-id', topic.id).set('x-msg-tag', [topic.tag]);
  const properties = {
    deliveryMode: 2,
    ...(priority >= 0 && { priority }),
    ...(headers.size > 0 && { headers }),
  };
  const header = encodeHeader(properties, bodyBytes);
  const bytes = Buffer.concat([header, Buffer.from(text.padEnd(bodyBytes, PADDING))]);
  return new Message(
    topic === undefined ? '' : TOPIC,
    topic === undefined ? 'q' : '',
    topic === undefined ? FORMAT_AMQP : FORMAT_AMQP | FORMAT_NAMED,
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
