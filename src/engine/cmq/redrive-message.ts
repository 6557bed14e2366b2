/**
 * A dead letter on its way home: where it came from, and what it looks like without its death.
 */
import { FORMAT_BLIND, FORMAT_NAMED, type Message } from '../message.ts';
import { copyMessage } from '../message-copy.ts';
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
  if (!message.isDeadLetter) return undefined;
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
  return copyMessage(message, {
    header,
    exchange: '',
    routingKey: queueName,
    format: message.format & (FORMAT_NAMED | FORMAT_BLIND),
    expirationMs: -1,
    publishedAtMs: nowMs,
  });
}
