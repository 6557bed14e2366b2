import { AmqpMessageFormat } from '../../protocols/amqp/amqp-message-format.ts';
import type { MessageFormat } from '../engine/ports.ts';

/** How to look into messages of each protocol, by `Message.format`. */
export function createMessageFormats(): readonly MessageFormat[] {
  const amqp = new AmqpMessageFormat();
  // FORMAT_AMQP and FORMAT_AMQP_DEAD, each also with FORMAT_REPLAY.
  return [amqp, amqp, amqp, amqp];
}
