/**
 * A queued message as MQTT delivers it: topic, QoS, properties, found in its AMQP content header.
 *
 * One view serves all connections and remembers the message it looks at: a message that goes to
 * five hundred subscribers is looked into once. The two commonest headers (no properties, QoS 0, 1
 * or 2) are told by their bytes; the others are decoded.
 */
import { readU16 } from '../../src/base/byte-reader.ts';
import { textByteLength } from '../../src/base/byte-writer.ts';
import { isTagged, type FieldTable, type FieldValue } from '../../src/base/field-value.ts';
import { MESSAGE_TAGS, tagsOf } from '../../src/engine/exchange/tags-exchange.ts';
import type { Message } from '../../src/engine/message.ts';
import type { CommonProperties, MessageFormat } from '../../src/engine/ports.ts';
import {
  FLAGS_AT,
  HEADER_CONTENT_TYPE,
  HEADER_CORRELATION,
  HEADER_QOS,
  HEADER_REPLAY,
  HEADER_RESPONSE_TOPIC,
  HEADER_RETAIN,
  HEADER_SOURCE,
  HEADER_TOPIC,
  HEADER_USER_PROPERTIES,
  type Replay,
  isOwnHeader,
  templateOf,
  unpackReplay,
} from './amqp-header.ts';
import { ABSENT } from './application-properties.ts';
import { FIELD_BYTES_MAX } from './packet-fields.ts';
import { encodeProperties } from './properties.ts';
import { keyToTopic } from '../../src/engine/session/routing-key.ts';
import { PUBLISH } from './spec/packets.ts';
import type { PropertyValues, UserProperty } from './spec/properties.ts';
import { NAME_BYTES_KEPT, QUEUE_TOPIC_PREFIX, isTopicName } from './topic-name.ts';

/** A topic and its bytes. */
export interface TopicBytes {
  readonly text: string;
  readonly bytes: Buffer;
}

const NO_BYTES = Buffer.alloc(0);
const NO_TOPIC: TopicBytes = { text: '', bytes: NO_BYTES };

/** Topics whose bytes are kept: those in use on one node. Some 2 MB when they are long. */
const TOPICS_KEPT = 8_192;

const PLAIN_BYTES = templateOf(0, false).length;
const QOS_2 = templateOf(2, false);
const FLAGS_PLAIN = 0x1000;

export class MessageView {
  topic: TopicBytes;
  /** 0, 1 or 2, as published. */
  qos: number;
  /** Published with RETAIN. */
  isRetain: boolean;
  /** Set for messages that a session's own queue holds for one subscription. */
  replay: Replay | undefined;
  /** The queue by name that such a message was taken over from. */
  source: string | undefined;
  /** Property list without topic alias and expiry, encoded. */
  properties: Buffer;
  readonly #formats: readonly MessageFormat[];
  readonly #topics: Map<string, TopicBytes>;
  #message: Message | undefined;

  constructor(formats: readonly MessageFormat[]) {
    this.topic = NO_TOPIC;
    this.qos = 0;
    this.isRetain = false;
    this.replay = undefined;
    this.source = undefined;
    this.properties = NO_BYTES;
    this.#formats = formats;
    this.#topics = new Map();
    this.#message = undefined;
  }

  /** Looks at `message`; false when it has no topic MQTT could name. */
  aim(message: Message): boolean {
    if (message === this.#message) return this.topic !== NO_TOPIC;
    this.#message = message;
    this.isRetain = false;
    this.replay = undefined;
    this.source = undefined;
    this.properties = NO_BYTES;
    this.topic = this.#topicOf(message.routingKey);
    if (isPlain(message)) this.qos = message.isPersistent ? 1 : 0;
    else if (isPlainQos2(message)) this.qos = 2;
    else this.#decode(message);
    return this.topic !== NO_TOPIC;
  }

  /** Topic of a message from a queue of that name: its own, or the queue's for want of one. */
  topicFrom(queueName: string): TopicBytes {
    if (this.topic !== NO_TOPIC) return this.topic;
    const text = QUEUE_TOPIC_PREFIX + queueName;
    return { text, bytes: Buffer.from(text) };
  }

  /** Seconds until the message expires, 1 at least; ABSENT when it does not. */
  static expirySeconds(message: Message, nowMs: number): number {
    if (message.expirationMs < 0) return ABSENT;
    const leftMs = message.publishedAtMs + message.expirationMs - nowMs;
    return Math.max(1, Math.ceil(leftMs / 1000));
  }

  #topicOf(routingKey: string): TopicBytes {
    const known = this.#topics.get(routingKey);
    if (known !== undefined) return known;
    const text = keyToTopic(routingKey);
    const topic = text === undefined ? NO_TOPIC : { text, bytes: Buffer.from(text) };
    if (routingKey.length > NAME_BYTES_KEPT) return topic;
    if (this.#topics.size >= TOPICS_KEPT) this.#topics.clear();
    this.#topics.set(routingKey, topic);
    return topic;
  }

  #decode(message: Message): void {
    const format = this.#formats[message.format]!;
    const properties = format.properties(message);
    const { headers } = properties;
    const qos = headers?.get(HEADER_QOS);
    this.qos = Number(qos ?? 0) === 2 ? 2 : message.isPersistent ? 1 : 0;
    this.isRetain = headers?.get(HEADER_RETAIN) === true;
    this.properties = encodeProperties(propertiesOf(properties), PUBLISH);
    if (headers === undefined) return;
    if (message.isReplay) {
      this.replay = unpackReplay(Number(headers.get(HEADER_REPLAY)));
      const source = headers.get(HEADER_SOURCE);
      if (typeof source === 'string') this.source = source;
    }
    const exact = headers.get(HEADER_TOPIC);
    if (typeof exact === 'string' && isFieldText(exact) && isTopicName(exact)) {
      this.topic = { text: exact, bytes: Buffer.from(exact) };
    }
  }
}

function isPlain(message: Message): boolean {
  if (message.headerBytes !== PLAIN_BYTES) return false;
  return readU16(message.bytes, message.start + FLAGS_AT) === FLAGS_PLAIN;
}

function isPlainQos2(message: Message): boolean {
  if (message.headerBytes !== QOS_2.length) return false;
  const { bytes, start } = message;
  for (let i = FLAGS_AT; i < QOS_2.length; i += 1) {
    if (bytes[start + i] !== QOS_2[i]) return false;
  }
  return true;
}

function propertiesOf(properties: CommonProperties): PropertyValues {
  const { headers } = properties;
  const values: PropertyValues = {};
  if (properties.contentEncoding?.toLowerCase() === 'utf-8') values.payloadFormat = 1;
  const contentType = headers?.get(HEADER_CONTENT_TYPE) ?? properties.contentType;
  if (isFieldText(contentType)) values.contentType = contentType;
  const responseTopic = responseTopicOf(properties);
  if (responseTopic !== undefined) values.responseTopic = responseTopic;
  const correlation = headers?.get(HEADER_CORRELATION);
  if (correlation instanceof Uint8Array && correlation.length <= FIELD_BYTES_MAX) {
    values.correlationData = Buffer.from(correlation);
  } else if (properties.correlationId !== undefined) {
    values.correlationData = Buffer.from(properties.correlationId);
  }
  if (headers !== undefined) {
    const pairs = userPropertiesOf(headers);
    if (pairs.length > 0) values.userProperties = pairs;
  }
  return values;
}

/** Reply-to of an AMQP requester is a topic an MQTT responder can publish to. */
function responseTopicOf({ headers, replyTo }: CommonProperties): string | undefined {
  const key = headers?.get(HEADER_RESPONSE_TOPIC);
  if (typeof key === 'string') {
    const topic = keyToTopic(key);
    if (topic !== undefined && isFieldText(topic)) return topic;
  }
  if (replyTo === undefined || replyTo === '') return undefined;
  const topic = QUEUE_TOPIC_PREFIX + replyTo;
  return isTopicName(topic) && isFieldText(topic) ? topic : undefined;
}

function userPropertiesOf(headers: FieldTable): UserProperty[] {
  const all = headers.get(HEADER_USER_PROPERTIES);
  const pairs: UserProperty[] = [];
  if (Array.isArray(all)) {
    for (let i = 0; i + 1 < all.length; i += 2) {
      const [name, value] = [all[i], all[i + 1]];
      if (isFieldText(name) && isFieldText(value)) pairs.push([name, value]);
    }
    return pairs;
  }
  for (const [name, value] of headers) {
    const tags = name === MESSAGE_TAGS ? tagsOf(headers).join(',') : '';
    // As a device itself names them.
    const text = isOwnHeader(name) ? undefined : tags || scalarText(value);
    if (text !== undefined && isFieldText(name) && isFieldText(text)) pairs.push([name, text]);
  }
  return pairs;
}

/** Text for a scalar; tables, arrays and bytes have none. */
function scalarText(value: FieldValue): string | undefined {
  if (value === null) return '';
  if (typeof value !== 'object') return String(value);
  if (!isTagged(value)) return undefined;
  return value.kind === 'decimal' ? `${value.value / 10 ** value.scale}` : String(value.value);
}

/** True for text that fits a field on the wire. */
function isFieldText(value: unknown): value is string {
  if (typeof value !== 'string') return false;
  return textByteLength(value) <= FIELD_BYTES_MAX && !value.includes('\0');
}
