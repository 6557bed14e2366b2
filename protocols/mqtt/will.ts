/** The message a client leaves behind: published as its user, with rights checked then. */
import type { Actor } from '../../src/engine/actor.ts';
import { FORMAT_AMQP, Message } from '../../src/engine/message.ts';
import { truncateText } from '../../src/base/byte-writer.ts';
import { SHORT_TEXT_BYTES_MAX, encodeHeader } from './amqp-header.ts';
import { ABSENT, ApplicationProperties } from './application-properties.ts';
import type { ConnectWill } from './connect-packet.ts';
import { resolve } from './inbound.ts';
import { WILL } from './spec/packets.ts';

/**
 * Publishes `will` now (3.1.2.5).
 *
 * @throws BrokerError, MqttError when the user may not publish there any more
 */
export function publishWill(
  actor: Actor,
  clientId: string,
  will: ConnectWill,
  nowMs: number,
): void {
  const route = resolve(actor, will.topic, clientId);
  const message = willMessage(will, route.exchange.name, route.routingKey, nowMs);
  const { retained } = actor.vhost;
  if (will.isRetain) {
    if (message.bodyBytes === 0) retained.clear(will.topic.text);
    else retained.set(will.topic.text, message);
  }
  actor.vhost.publish(route, message);
}

function willMessage(
  will: ConnectWill,
  exchange: string,
  routingKey: string,
  nowMs: number,
): Message {
  const { payload, qos, isRetain, topic } = will;
  const found = new ApplicationProperties();
  found.scan(will.properties, 0, will.properties.length, WILL);
  found.expirySeconds = will.expirySeconds;
  const isLong = topic.byteLength > SHORT_TEXT_BYTES_MAX;
  const header = encodeHeader(
    qos,
    isRetain,
    will.properties,
    found,
    WILL,
    isLong ? topic.text : undefined,
    payload.length,
  );
  return new Message(
    exchange,
    isLong ? truncateText(routingKey, SHORT_TEXT_BYTES_MAX) : routingKey,
    FORMAT_AMQP,
    Buffer.concat([header, payload]),
    0,
    header.length,
    payload.length,
    qos > 0,
    -1,
    will.expirySeconds === ABSENT ? -1 : will.expirySeconds * 1000,
    nowMs,
  );
}
