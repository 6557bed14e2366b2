/**
 * PUBLISH from a client, from the packet's bytes to the queues and the acknowledgement.
 *
 *     topic (or alias) -> TopicName -> Route       both looked up, made once
 *     QoS, RETAIN, properties -> content header    one of six constants when there are none
 *     header + payload -> one owned copy -> vhost.publish
 *
 * 1. QoS 1 and 2 are acknowledged by the commit that holds the message, or in the same turn when
 *    nothing durable took it.
 * 2. A QoS 2 packet id is noted in the commit of its message; the same id again is only
 *    acknowledged again [MQTT-4.3.3-10]. PUBREL forgets it, and PUBCOMP follows that commit: a
 *    client uses the id again as soon as it has it.
 * 3. What is under way is bounded by our Receive Maximum (0x93).
 */
import { isUtf8 } from 'node:buffer';
import type { MessageArena } from '../../src/base/arena.ts';
import { ARENA_MESSAGE_BYTES_MAX } from '../../src/base/arena.ts';
import { putBytes, truncateText } from '../../src/base/byte-writer.ts';
import type { Actor } from '../../src/engine/actor.ts';
import type { Broker } from '../../src/engine/broker.ts';
import { FORMAT_AMQP, Message } from '../../src/engine/message.ts';
import { PUBLISH_DURABLE, PUBLISH_REJECTED, PUBLISH_ROUTED } from '../../src/engine/publish.ts';
import type { Route } from '../../src/engine/publish.ts';
import type { Session } from '../../src/engine/session/session.ts';
import { SHORT_TEXT_BYTES_MAX, encodeHeader, putBodySize, templateOf } from './amqp-header.ts';
import { ABSENT } from './application-properties.ts';
import { MqttError, protocolError, reasonCodeOf } from './mqtt-errors.ts';
import { type PublishFields, readPublish } from './publish-packet.ts';
import type { ReplyLedger } from './reply-ledger.ts';
import type { Retaining } from './retaining.ts';
import type { MqttSettings } from './settings.ts';
import { PUBACK, PUBCOMP, PUBLISH, PUBREC, VERSION_5 } from './spec/packets.ts';
import {
  REASON_FAILURE_MIN,
  REASON_NOT_AUTHORIZED,
  REASON_NO_MATCHING_SUBSCRIBERS,
  REASON_PACKET_ID_NOT_FOUND,
  REASON_PAYLOAD_FORMAT_INVALID,
  REASON_QUOTA_EXCEEDED,
  REASON_RECEIVE_MAXIMUM_EXCEEDED,
  REASON_SUCCESS,
  REASON_TOPIC_ALIAS_INVALID,
} from './spec/reason-codes.ts';
import type { MqttCounters } from './sys-topics.ts';
import {
  NAME_BYTES_KEPT,
  QUEUE_TOPIC_PREFIX,
  type TopicName,
  type TopicNames,
} from './topic-name.ts';

/** Routes a connection keeps. */
const ROUTES_KEPT = 256;

/** What publishing needs of its connection. */
export interface InboundHost {
  readonly broker: Broker;
  readonly settings: MqttSettings;
  readonly arena: MessageArena;
  readonly names: TopicNames;
  readonly fields: PublishFields;
  readonly replies: ReplyLedger;
  /** Where retained messages go. */
  readonly registry: { readonly retaining: Retaining };
  readonly counters: MqttCounters;
  /** Wall ms of the chunk being parsed. */
  readonly chunkAtMs: number;
}

/** One message about to be published. */
interface Outcome {
  reasonCode: number;
  isDurable: boolean;
}

export class Inbound {
  readonly #host: InboundHost;
  readonly #actor: Actor;
  readonly #session: Session;
  readonly #version: number;
  readonly #aliases: (TopicName | undefined)[];
  readonly #routes: Map<TopicName, Route>;
  readonly #outcome: Outcome;
  #lastName: TopicName | undefined;
  #lastRoute: Route | undefined;
  /** QoS 1 publishes whose PUBACK has not left, and QoS 2 ids of this connection. */
  #unackedCount: number;
  readonly #openIds: Set<number>;

  constructor(host: InboundHost, actor: Actor, session: Session, version: number) {
    this.#host = host;
    this.#actor = actor;
    this.#session = session;
    this.#version = version;
    this.#aliases = [];
    this.#routes = new Map();
    this.#outcome = { reasonCode: 0, isDurable: false };
    this.#lastName = undefined;
    this.#lastRoute = undefined;
    this.#unackedCount = 0;
    this.#openIds = new Set();
  }

  /** @throws MqttError what ends the connection */
  onPublish(flags: number, buf: Buffer, start: number, end: number): void {
    const { fields, counters } = this.#host;
    readPublish(this.#version, flags, buf, start, end, fields);
    const name = this.#nameOf(buf);
    counters.received += 1;
    const { qos, packetId } = fields;
    if (qos === 2 && this.#session.received.has(packetId)) {
      this.#openIds.add(packetId);
      this.#expectRoom();
      this.#host.replies.add(PUBREC, packetId, REASON_SUCCESS, this.#sessionTicket());
      return;
    }
    if (qos === 1) this.#unackedCount += 1;
    else if (qos === 2) this.#openIds.add(packetId);
    if (qos > 0) this.#expectRoom();
    const { reasonCode, isDurable } = this.#publish(name, buf);
    if (reasonCode >= REASON_FAILURE_MIN && (qos === 0 || this.#version !== VERSION_5)) {
      this.#refuseUntold(reasonCode, qos);
    }
    if (qos === 0) return;
    if (qos === 1) {
      this.#host.replies.add(PUBACK, packetId, reasonCode, isDurable ? this.#ticket() : 0);
      return;
    }
    const isRefused = reasonCode >= REASON_FAILURE_MIN;
    if (!isRefused) this.#actor.vhost.sessions.received(this.#session, packetId);
    const isAwaited = isDurable || (this.#session.isPersistent && !isRefused);
    this.#host.replies.add(PUBREC, packetId, reasonCode, isAwaited ? this.#ticket() : 0);
  }

  /** PUBREL: the id may be used again once PUBCOMP is there. */
  onPubrel(packetId: number): void {
    const isKnown = this.#session.received.has(packetId);
    this.#actor.vhost.sessions.released(this.#session, packetId);
    const reasonCode = isKnown ? REASON_SUCCESS : REASON_PACKET_ID_NOT_FOUND;
    this.#host.replies.add(PUBCOMP, packetId, reasonCode, isKnown ? this.#sessionTicket() : 0);
  }

  /** A reply left: what it answers is not under way any more. */
  onReplied(type: number, packetId: number, reasonCode: number): void {
    if (type === PUBACK) this.#unackedCount -= 1;
    else if (type === PUBCOMP) this.#openIds.delete(packetId);
    else if (type === PUBREC && reasonCode >= REASON_FAILURE_MIN) this.#openIds.delete(packetId);
  }

  /** A refusal no acknowledgement can tell: 3.x, or QoS 0. */
  #refuseUntold(reasonCode: number, qos: number): void {
    if (reasonCode === REASON_NOT_AUTHORIZED && !this.#host.settings.disconnectsUnauthorized)
      return;
    const isFault =
      reasonCode === REASON_NOT_AUTHORIZED || reasonCode === REASON_PAYLOAD_FORMAT_INVALID;
    if (!isFault && qos === 0) return;
    throw new MqttError(reasonCode, 'the publish was refused');
  }

  #ticket(): number {
    return this.#host.broker.ticket;
  }

  #sessionTicket(): number {
    return this.#session.isPersistent ? this.#host.broker.ticket : 0;
  }

  #expectRoom(): void {
    if (this.#unackedCount + this.#openIds.size <= this.#host.settings.receiveMaximum) return;
    throw new MqttError(REASON_RECEIVE_MAXIMUM_EXCEEDED, 'more under way than Receive Maximum');
  }

  #nameOf(buf: Buffer): TopicName {
    const { fields, names, settings } = this.#host;
    const { topicStart, topicEnd } = fields;
    const alias = fields.properties.topicAlias;
    if (alias === 0) return names.read(buf, topicStart, topicEnd);
    if (alias > settings.topicAliasMax) {
      throw new MqttError(REASON_TOPIC_ALIAS_INVALID, `topic alias ${alias}`);
    }
    if (topicStart === topicEnd) {
      const known = this.#aliases[alias];
      if (known === undefined) throw protocolError(`topic alias ${alias} is not known`);
      return known;
    }
    const name = names.read(buf, topicStart, topicEnd);
    this.#aliases[alias] = name;
    return name;
  }

  #publish(name: TopicName, buf: Buffer): Outcome {
    const outcome = this.#outcome;
    outcome.isDurable = false;
    const route = this.#routeOf(name);
    if (typeof route === 'number') {
      outcome.reasonCode = route;
      return outcome;
    }
    const refusal = this.#refusal(buf);
    if (refusal !== REASON_SUCCESS) {
      outcome.reasonCode = refusal;
      return outcome;
    }
    const { fields, registry } = this.#host;
    const message = this.#messageOf(name, route, buf);
    const { vhost } = this.#actor;
    if (fields.isRetain && fields.qos > 0 && this.#version === VERSION_5) {
      // Nothing of it is done, so that a repeat is not delivered twice.
      if (!registry.retaining.isPossible(vhost, name.text, message)) {
        outcome.reasonCode = REASON_QUOTA_EXCEEDED;
        return outcome;
      }
    }
    const bits = vhost.publish(this.#withoutOwn(route, name), message);
    const isRejected = (bits & PUBLISH_REJECTED) !== 0;
    if (fields.isRetain && !isRejected) registry.retaining.retain(vhost, name.text, message);
    outcome.isDurable = (bits & PUBLISH_DURABLE) !== 0 || fields.isRetain;
    if (isRejected) outcome.reasonCode = REASON_QUOTA_EXCEEDED;
    else if ((bits & PUBLISH_ROUTED) === 0) outcome.reasonCode = REASON_NO_MATCHING_SUBSCRIBERS;
    else outcome.reasonCode = REASON_SUCCESS;
    return outcome;
  }

  /** Why the message is not taken, whatever its topic: alarms (3.x is not read), its format. */
  #refusal(buf: Buffer): number {
    const { broker, settings, fields } = this.#host;
    if (broker.alarms.size > 0 && this.#version === VERSION_5) return REASON_QUOTA_EXCEEDED;
    if (!settings.checksPayloadFormat || fields.properties.payloadFormat !== 1) {
      return REASON_SUCCESS;
    }
    const payload = buf.subarray(fields.payloadStart, fields.payloadEnd);
    return isUtf8(payload) ? REASON_SUCCESS : REASON_PAYLOAD_FORMAT_INVALID;
  }

  /** The route, or the reason code of its refusal. */
  #routeOf(name: TopicName): Route | number {
    const { vhost } = this.#actor;
    if (name === this.#lastName && vhost.isCurrent(this.#lastRoute!)) return this.#lastRoute!;
    let route = this.#routes.get(name);
    if (route === undefined || !vhost.isCurrent(route)) {
      try {
        route = resolve(this.#actor, name, this.#session.clientId);
      } catch (error) {
        return reasonCodeOf(error);
      }
      if (name.byteLength <= NAME_BYTES_KEPT) this.#keep(name, route);
    }
    this.#lastName = name;
    this.#lastRoute = route;
    return route;
  }

  /** Of a longer name each publish has an object of its own: it would not be found, only kept. */
  #keep(name: TopicName, route: Route): void {
    if (this.#routes.size >= ROUTES_KEPT) this.#routes.clear();
    this.#routes.set(name, route);
  }

  /** No-local: without this session's own queue when all it subscribed to there says so. */
  #withoutOwn(route: Route, name: TopicName): Route {
    const session = this.#session;
    if (session.noLocalCount === 0 || !session.match(name.text).isNoLocal) return route;
    return { ...route, excluded: session.queue };
  }

  #messageOf(name: TopicName, route: Route, buf: Buffer): Message {
    const { fields, chunkAtMs } = this.#host;
    const { qos, isRetain, properties, payloadStart, payloadEnd } = fields;
    const bodyBytes = payloadEnd - payloadStart;
    const isLong = name.byteLength > SHORT_TEXT_BYTES_MAX;
    const hasProperties = properties.forwardedBytes > 0 || properties.expirySeconds !== ABSENT;
    let header = templateOf(qos, isRetain);
    if (isLong || hasProperties) {
      const longTopic = isLong ? name.text : undefined;
      header = encodeHeader(qos, isRetain, buf, properties, PUBLISH, longTopic, bodyBytes);
    }
    const headerBytes = header.length;
    const { arena } = this.#host;
    const byteCount = headerBytes + bodyBytes;
    let bytes: Buffer;
    let start = 0;
    if (byteCount <= ARENA_MESSAGE_BYTES_MAX && !isRetain) {
      start = arena.reserve(byteCount);
      bytes = arena.slab;
    } else {
      bytes = Buffer.allocUnsafeSlow(byteCount);
    }
    putBytes(bytes, start, header, 0, headerBytes);
    putBodySize(bytes, start, bodyBytes);
    putBytes(bytes, start + headerBytes, buf, payloadStart, payloadEnd);
    const { expirySeconds } = properties;
    return new Message(
      route.exchange.name,
      isLong ? truncateText(route.routingKey, SHORT_TEXT_BYTES_MAX) : route.routingKey,
      FORMAT_AMQP,
      bytes,
      start,
      headerBytes,
      bodyBytes,
      qos > 0,
      -1,
      expirySeconds === ABSENT ? -1 : expirySeconds * 1000,
      chunkAtMs,
    );
  }
}

/**
 * Where a publish of `clientId` to a topic goes: the topic exchange, or a queue for `$queue/NAME`.
 *
 * @throws BrokerError 403, 404; MqttError 0x87 for topics that are the server's
 */
export function resolve(actor: Actor, name: TopicName, clientId: string): Route {
  const { vhost } = actor;
  const { text, routingKey } = name;
  if (name.isDollar) {
    if (text.startsWith(QUEUE_TOPIC_PREFIX)) {
      return vhost.resolveRoute(actor, '', text.slice(QUEUE_TOPIC_PREFIX.length));
    }
    if (text.startsWith('$SYS') || text.startsWith('$share/')) {
      throw new MqttError(REASON_NOT_AUTHORIZED, `${text} is the server's`);
    }
  }
  return vhost.resolveTopicRoute(actor, vhost.sessions.exchangeName, routingKey, text, clientId);
}
