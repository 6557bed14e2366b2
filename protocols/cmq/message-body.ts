/**
 * Bodies between CMQ's text parameters and the engine's bytes, and the message made of one.
 *
 * CMQ bodies are text. What AMQP or MQTT published may be any bytes: a body that is not UTF-8 is
 * told as base64 with `bodyEncoding: "base64"` beside it, and a client can send bytes the same way.
 */
import { isUtf8 } from 'node:buffer';
import { FORMAT_AMQP, Message } from '../../src/engine/message.ts';
import { CmqFailure, parameterFailure } from './error-mapper.ts';
import { REQUEST_BYTES_MAX } from './spec/queue-actions.ts';

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** The engine's header of a persistent message without other properties (AMQP 4.2.6.1). */
const HEADER = Buffer.from([0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 2]);
/** Offset of the low half of its body size. */
const BODY_SIZE_AT = 8;

/** Bytes of messages that share memory: they keep all of it until the last of them is gone. */
const SHARED_BYTES_MAX = 32 * 1024;

/** A body to send: its bytes, or an ASCII text. `length` is its bytes either way. */
export type Body = Buffer | string;

/** The bodies that texts stand for. @throws CmqFailure PARAMETER_FORMAT */
export function bodiesFrom(
  texts: readonly string[],
  encoding: string | undefined,
  areAscii: boolean,
): readonly Body[] {
  if (areAscii && encoding !== 'base64') return texts;
  return texts.map((text) => bodyFrom(text, encoding));
}

/** The bytes a parameter stands for, owned. @throws CmqFailure PARAMETER_FORMAT */
export function bodyFrom(text: string, encoding: string | undefined): Buffer {
  if (encoding !== 'base64') return Buffer.from(text, 'utf8');
  if (!BASE64.test(text)) throw parameterFailure('PARAMETER_FORMAT', 'msgBody');
  return Buffer.from(text, 'base64');
}

/** Returns the bytes of all bodies of a call. @throws CmqFailure */
export function checkSizes(bodies: readonly Body[], maxBytes: number): number {
  let total = 0;
  for (const { length } of bodies) {
    if (length === 0) throw new CmqFailure('BODY_EMPTY');
    if (length > maxBytes) throw new CmqFailure('MESSAGE_TOO_LARGE');
    total += length;
  }
  if (total > REQUEST_BYTES_MAX) throw new CmqFailure('BATCH_TOO_LARGE');
  return total;
}

/** A body as text; in base64 when it is not UTF-8, which `encoding` tells. */
export function bodyText(message: Message): { text: string; encoding: 'base64' | undefined } {
  const start = message.start + message.headerBytes;
  const body = message.bytes.subarray(start, start + message.bodyBytes);
  if (isUtf8(body)) return { text: body.toString('utf8'), encoding: undefined };
  return { text: body.toString('base64'), encoding: 'base64' };
}

/** Messages to a queue, of now. Copies the bodies. */
export function messagesTo(queueName: string, bodies: readonly Body[], nowMs: number): Message[] {
  let byteCount = 0;
  for (const { length } of bodies) byteCount += HEADER.length + length;
  if (byteCount > SHARED_BYTES_MAX) return bodies.map((body) => messageTo(queueName, body, nowMs));
  const bytes = Buffer.allocUnsafe(byteCount);
  let start = 0;
  return bodies.map((body) => {
    const message = messageAt(bytes, start, queueName, body, nowMs);
    start += HEADER.length + body.length;
    return message;
  });
}

/** A message to a queue, of now. Copies `body`. */
export function messageTo(queueName: string, body: Body, nowMs: number): Message {
  return messageAt(Buffer.allocUnsafe(HEADER.length + body.length), 0, queueName, body, nowMs);
}

/** Writes a message to `bytes` from `start` on. */
function messageAt(
  bytes: Buffer,
  start: number,
  queueName: string,
  body: Body,
  nowMs: number,
): Message {
  const { length } = body;
  for (let at = 0; at < HEADER.length; at += 1) bytes[start + at] = HEADER[at]!;
  bytes.writeUInt32BE(length, start + BODY_SIZE_AT);
  const bodyStart = start + HEADER.length;
  if (typeof body === 'string') bytes.write(body, bodyStart, 'latin1');
  else bytes.set(body, bodyStart);
  return new Message(
    '',
    queueName,
    FORMAT_AMQP,
    bytes,
    start,
    HEADER.length,
    length,
    true,
    -1,
    -1,
    nowMs,
  );
}
