import {
  AmqpMessageFormat,
  BlindAmqpMessageFormat,
} from '../../protocols/amqp/amqp-message-format.ts';
import { FORMAT_BLIND, FORMATS_END } from '../engine/message.ts';
import type { MessageFormat } from '../engine/ports.ts';

/** How to look into messages of each protocol, by `Message.format`. */
export function createMessageFormats(): readonly MessageFormat[] {
  const amqp = new AmqpMessageFormat();
  const blind = new BlindAmqpMessageFormat();
  // What else is ours in a header changes nothing about how to look into it.
  return Array.from({ length: FORMATS_END }, (_, format) =>
    (format & FORMAT_BLIND) === 0 ? amqp : blind,
  );
}
