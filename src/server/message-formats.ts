import { AmqpMessageFormat } from '../../protocols/amqp/amqp-message-format.ts';
import { FORMATS_END } from '../engine/message.ts';
import type { MessageFormat } from '../engine/ports.ts';

/** How to look into messages of each protocol, by `Message.format`. */
export function createMessageFormats(): readonly MessageFormat[] {
  const amqp = new AmqpMessageFormat();
  // What is ours in a header changes nothing about how to look into it.
  return Array.from({ length: FORMATS_END }, () => amqp);
}
