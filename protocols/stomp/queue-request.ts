import type { FieldTable, FieldValue } from '../../src/base/field-value.ts';
import type { QueueDeclareOptions } from '../../src/engine/vhost.ts';
import type { Frame } from './frame.ts';
import { QUEUE_ARGUMENTS } from './spec/headers.ts';
import { StompError } from './stomp-error.ts';

/** How a queue is to be declared. */
export type QueueRequest = QueueDeclareOptions;

/**
 * What the headers of SEND or SUBSCRIBE say about the queue (RabbitMQ's rules): `durable`,
 * `auto-delete`, `exclusive` and the `x-` arguments. A queue that is not durable belongs to the
 * connection and goes with it.
 *
 * @param isNamed  the queue is `/queue/NAME`, durable unless told otherwise; else it is made for a
 *                 subscription, and auto-deleted unless told otherwise
 */
export function queueRequest(frame: Frame, isNamed: boolean): QueueRequest {
  const durable = isDurable(frame, isNamed) ?? isNamed;
  return {
    passive: false,
    durable,
    exclusive: !durable || frame.booleanHeader('exclusive') === true,
    autoDelete: !durable || (frame.booleanHeader('auto-delete') ?? !isNamed),
    arguments: queueArguments(frame),
  };
}

/** `persistent` means the same on SUBSCRIBE; on SEND it is about the message. */
function isDurable(frame: Frame, isNamed: boolean): boolean | undefined {
  const durable = frame.booleanHeader('durable');
  if (durable !== undefined || isNamed) return durable;
  return frame.booleanHeader('persistent');
}

function queueArguments(frame: Frame): FieldTable {
  const table = new Map<string, FieldValue>();
  for (const [name, type] of QUEUE_ARGUMENTS) {
    const text = frame.header(name);
    if (text === undefined) continue;
    if (type === 'text') table.set(name, text);
    else if (type === 'boolean') table.set(name, text === 'true');
    else table.set(name, frame.integerHeader(name, 0, Number.MAX_SAFE_INTEGER)!);
  }
  return table;
}

/** Arguments of the consumer: where to begin in a stream, priority. */
export function consumeArguments(frame: Frame): FieldTable {
  const table = new Map<string, FieldValue>();
  const priority = frame.integerHeader('x-priority', -128, 127);
  if (priority !== undefined) table.set('x-priority', priority);
  const offset = frame.header('x-stream-offset');
  if (offset !== undefined) table.set('x-stream-offset', streamOffset(offset));
  return table;
}

function streamOffset(text: string): FieldValue {
  if (text === 'first' || text === 'last' || text === 'next') return text;
  const match = /^(offset|timestamp)=(\d{1,15})$/.exec(text);
  if (match === null) throw new StompError('Invalid header', `x-stream-offset '${text}'\n`);
  const value = Number(match[2]);
  return match[1] === 'offset' ? value : { kind: 'timestamp', value };
}
