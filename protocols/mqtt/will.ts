/** The message a client leaves behind: published as its user, with rights checked then. */
import { grantFromJson, type TokenGrant } from '../../src/engine/access/token-grant.ts';
import type { User } from '../../src/engine/access/user.ts';
import type { Json } from '../../src/engine/definitions.ts';
import type { Actor } from '../../src/engine/actor.ts';
import { FORMAT_AMQP, Message } from '../../src/engine/message.ts';
import { truncateText } from '../../src/base/byte-writer.ts';
import { SHORT_TEXT_BYTES_MAX, encodeHeader } from './amqp-header.ts';
import { ABSENT, ApplicationProperties } from './application-properties.ts';
import type { ConnectWill } from './connect-packet.ts';
import { resolve } from './inbound.ts';
import type { Retaining } from './retaining.ts';
import { WILL } from './spec/packets.ts';
import { topicName } from './topic-name.ts';

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
  retaining: Retaining,
): void {
  const route = resolve(actor, will.topic, clientId);
  const message = willMessage(will, route.exchange.name, route.routingKey, nowMs);
  if (will.isRetain) retaining.retain(actor.vhost, will.topic.text, message);
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

/** A will as it is persisted. */
interface WillRow {
  readonly user: string;
  /** Of a login with a token: its rights. */
  readonly grant?: Json;
  readonly topic: string;
  readonly qos: number;
  readonly retain: boolean;
  readonly payload: string;
  readonly delaySeconds: number;
  readonly expirySeconds: number;
  readonly payloadFormat: number;
  readonly properties: string;
  /** Wall ms; absent while the client is connected. */
  readonly dueAtMs?: number;
}

/** @param dueAtMs  wall ms once the client is gone */
export function willToJson(will: ConnectWill, user: User, dueAtMs: number | undefined): Json {
  const { qos, delaySeconds, expirySeconds, payloadFormat } = will;
  return {
    user: user.name,
    ...(user.grant !== undefined && { grant: user.grant.toJson() }),
    topic: will.topic.text,
    qos,
    retain: will.isRetain,
    payload: will.payload.toString('base64'),
    delaySeconds,
    expirySeconds,
    payloadFormat,
    properties: will.properties.toString('base64'),
    ...(dueAtMs !== undefined && { dueAtMs }),
  };
}

/** The reverse of `willToJson`; the JSON is our own. */
export function willFromJson(json: Json): {
  readonly will: ConnectWill;
  readonly userName: string;
  /** The rights of a login with a token; they end with it. */
  readonly grant: TokenGrant | undefined;
  readonly dueAtMs: number | undefined;
} {
  const row = json as unknown as WillRow;
  const { qos, delaySeconds, expirySeconds, payloadFormat } = row;
  const will = {
    topic: topicName(row.topic, Buffer.byteLength(row.topic)),
    qos,
    isRetain: row.retain,
    payload: Buffer.from(row.payload, 'base64'),
    delaySeconds,
    expirySeconds,
    payloadFormat,
    properties: Buffer.from(row.properties, 'base64'),
  };
  const grant = row.grant === undefined ? undefined : grantFromJson(row.grant);
  return { will, userName: row.user, grant, dueAtMs: row.dueAtMs };
}
