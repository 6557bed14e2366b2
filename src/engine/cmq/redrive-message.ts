/**
 * A dead letter on its way home: where it came from, and what it looks like without its death.
 */
import { FORMAT_AMQP, FORMAT_AMQP_DEAD, Message } from '../message.ts';
import type { MessageFormat } from '../ports.ts';

/** What queues wrote on its way, but for the message id. */
const PASSING_HEADERS = [
  'x-receive-count',
  'x-enqueue-time',
  'x-rewound',
  'x-death',
  'x-first-death-exchange',
  'x-first-death-queue',
  'x-first-death-reason',
  'x-last-death-exchange',
  'x-last-death-queue',
  'x-last-death-reason',
  'x-delivery-count',
  'x-origin-queue',
  'x-origin-msg-id',
  'x-origin-enqueue-time',
  'x-origin-receive-count',
];

/**
 * The queue a dead letter died in last; undefined when it is none, whatever its publisher wrote
 * into its headers.
 */
export function originOf(message: Message, format: MessageFormat): string | undefined {
  if (message.format !== FORMAT_AMQP_DEAD) return undefined;
  const origin = format.headers(message)?.get('x-last-death-queue');
  return typeof origin === 'string' ? origin : undefined;
}

/** The message as new to `queueName`: nothing of its death is left, all counts begin again. */
export function revive(
  message: Message,
  format: MessageFormat,
  queueName: string,
  nowMs: number,
): Message {
  const header = format.edit(message, { remove: PASSING_HEADERS, removeExpiration: true });
  const bytes = Buffer.allocUnsafe(header.length + message.bodyBytes);
  header.copy(bytes, 0);
  const bodyStart = message.start + message.headerBytes;
  message.bytes.copy(bytes, header.length, bodyStart, bodyStart + message.bodyBytes);
  return new Message(
    '',
    queueName,
    FORMAT_AMQP,
    bytes,
    0,
    header.length,
    message.bodyBytes,
    message.isPersistent,
    message.priority,
    -1,
    nowMs,
  );
}
