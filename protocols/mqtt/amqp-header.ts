/**
 * The AMQP content header a published MQTT message travels with inside the broker (docs/MQTT.md,
 * "One message").
 *
 *     class 60 u16 | weight 0 u16 | body size u64 | flags u16 | properties, from flag bit 15 down
 *
 * Most messages have no properties: their header is one of six constants (QoS, RETAIN), of which
 * only the body size is filled in. Headers of ours begin with `x-mqtt-`; a client's user properties
 * of such names travel in the full list only.
 */
import { readText } from '../../src/base/byte-reader.ts';
import { ByteWriter, putU32, textByteLength } from '../../src/base/byte-writer.ts';
import type { ApplicationProperties } from './application-properties.ts';
import { ABSENT } from './application-properties.ts';
import { readUserProperties } from './properties.ts';
import { topicToKey } from '../../src/engine/session/routing-key.ts';
import type { UserProperty } from './spec/properties.ts';

/** 2 for messages published with QoS 2; delivery-mode tells 0 from 1. */
export const HEADER_QOS = 'x-mqtt-qos';
/** True for messages published with RETAIN. */
export const HEADER_RETAIN = 'x-mqtt-retain';
/** The topic when the routing key cannot hold it. */
export const HEADER_TOPIC = 'x-mqtt-topic';
/** All user properties, name after value, when the headers cannot hold them. */
export const HEADER_USER_PROPERTIES = 'x-mqtt-user-properties';
/** Content type of more than 255 bytes. */
export const HEADER_CONTENT_TYPE = 'x-mqtt-content-type';
/** Correlation data that is not text of at most 255 bytes. */
export const HEADER_CORRELATION = 'x-correlation-id';
/** Response topic in AMQP's form: an AMQP responder publishes there (RabbitMQ's name). */
export const HEADER_RESPONSE_TOPIC = 'x-reply-to-topic';
/** In a session's own queue: how one message is to be delivered, see `packReplay`. */
export const HEADER_REPLAY = 'x-mqtt-replay';
/** Beside it: the queue by name that the message was taken over from. */
export const HEADER_SOURCE = 'x-mqtt-source';
/** Names beginning so are ours. */
export const OWN_HEADER_PREFIX = 'x-mqtt-';

/** Bytes of a short string in AMQP at most. */
export const SHORT_TEXT_BYTES_MAX = 255;

const CLASS_BASIC = 60;
const FLAG_CONTENT_TYPE = 0x8000;
const FLAG_CONTENT_ENCODING = 0x4000;
const FLAG_HEADERS = 0x2000;
const FLAG_DELIVERY_MODE = 0x1000;
const FLAG_CORRELATION_ID = 0x0400;
const FLAG_EXPIRATION = 0x0100;

/** Offset of the low half of the body size. */
const BODY_SIZE_AT = 8;
/** Offset of the flags; the properties follow. */
export const FLAGS_AT = 12;

const TAG_TEXT = 0x53;
const TAG_BYTES = 0x78;
const TAG_BOOLEAN = 0x74;
const TAG_BYTE = 0x62;
const TAG_ARRAY = 0x41;

/** The header of a message without properties; the body size is for `putTemplate` to fill in. */
export function templateOf(qos: number, isRetain: boolean): Buffer {
  return TEMPLATES[qos * 2 + (isRetain ? 1 : 0)]!;
}

/** Fills in the body size of the header at `start` of `bytes`. */
export function putBodySize(bytes: Buffer, start: number, bodyBytes: number): void {
  putU32(bytes, start + BODY_SIZE_AT, bodyBytes);
}

/**
 * The header of a message with properties, owned.
 *
 * @param buf        borrowed; what `found` refers to
 * @param packet     PUBLISH or WILL
 * @param longTopic  the topic when its routing key is longer than AMQP allows
 */
export function encodeHeader(
  qos: number,
  isRetain: boolean,
  buf: Buffer,
  found: ApplicationProperties,
  packet: number,
  longTopic: string | undefined,
  bodyBytes: number,
): Buffer {
  const builder = new HeaderBuilder(qos, isRetain);
  if (longTopic !== undefined) builder.text(HEADER_TOPIC, longTopic);
  if (found.contentTypeStart !== ABSENT) {
    builder.contentType(readText(buf, found.contentTypeStart, found.contentTypeEnd)!);
  }
  if (found.payloadFormat === 1) builder.isText = true;
  if (found.correlationStart !== ABSENT) {
    builder.correlation(buf, found.correlationStart, found.correlationEnd);
  }
  if (found.responseTopicStart !== ABSENT) {
    const topic = readText(buf, found.responseTopicStart, found.responseTopicEnd)!;
    builder.text(HEADER_RESPONSE_TOPIC, topicToKey(topic));
  }
  if (found.expirySeconds !== ABSENT) builder.expirySeconds = found.expirySeconds;
  if (found.userCount > 0) {
    builder.userProperties(readUserProperties(buf, found.userStart, found.userEnd, packet));
  }
  return builder.finish(bodyBytes);
}

class HeaderBuilder {
  isText: boolean;
  expirySeconds: number;
  readonly #isPersistent: boolean;
  readonly #table: ByteWriter;
  #contentType: string | undefined;
  #correlation: string | undefined;

  constructor(qos: number, isRetain: boolean) {
    this.isText = false;
    this.expirySeconds = ABSENT;
    this.#isPersistent = qos > 0;
    this.#table = new ByteWriter(64);
    this.#contentType = undefined;
    this.#correlation = undefined;
    if (qos === 2) {
      this.#key(HEADER_QOS, TAG_BYTE);
      this.#table.u8(qos);
    }
    if (isRetain) {
      this.#key(HEADER_RETAIN, TAG_BOOLEAN);
      this.#table.u8(1);
    }
  }

  text(name: string, value: string): void {
    this.#key(name, TAG_TEXT);
    this.#table.longText(value);
  }

  contentType(value: string): void {
    if (textByteLength(value) <= SHORT_TEXT_BYTES_MAX) this.#contentType = value;
    else this.text(HEADER_CONTENT_TYPE, value);
  }

  correlation(buf: Buffer, start: number, end: number): void {
    const text = end - start <= SHORT_TEXT_BYTES_MAX ? readText(buf, start, end) : undefined;
    if (text !== undefined) {
      this.#correlation = text;
      return;
    }
    this.#key(HEADER_CORRELATION, TAG_BYTES);
    this.#table.u32(end - start);
    this.#table.bytes(buf, start, end);
  }

  /** One header a name; the list as well when names repeat or do not fit. */
  userProperties(pairs: readonly UserProperty[]): void {
    const seen = new Set<string>();
    let isWhole = true;
    for (const [name, value] of pairs) {
      const isUsable = !seen.has(name) && isHeaderName(name);
      if (isUsable) this.text(name, value);
      else isWhole = false;
      seen.add(name);
    }
    if (isWhole) return;
    this.#key(HEADER_USER_PROPERTIES, TAG_ARRAY);
    const place = this.#table.beginLength();
    for (const text of pairs.flat()) {
      this.#table.u8(TAG_TEXT);
      this.#table.longText(text);
    }
    this.#table.endLength(place);
  }

  finish(bodyBytes: number): Buffer {
    const out = new ByteWriter(64 + this.#table.length);
    const hasTable = this.#table.length > 0;
    out.u16(CLASS_BASIC);
    out.u16(0);
    out.u64(bodyBytes);
    out.u16(
      FLAG_DELIVERY_MODE |
        (hasTable ? FLAG_HEADERS : 0) |
        (this.#contentType !== undefined ? FLAG_CONTENT_TYPE : 0) |
        (this.isText ? FLAG_CONTENT_ENCODING : 0) |
        (this.#correlation !== undefined ? FLAG_CORRELATION_ID : 0) |
        (this.expirySeconds !== ABSENT ? FLAG_EXPIRATION : 0),
    );
    if (this.#contentType !== undefined) out.shortText(this.#contentType);
    if (this.isText) out.shortText('utf-8');
    if (hasTable) {
      const table = this.#table.take();
      out.u32(table.length);
      out.bytes(table);
    }
    out.u8(this.#isPersistent ? 2 : 1);
    if (this.#correlation !== undefined) out.shortText(this.#correlation);
    if (this.expirySeconds !== ABSENT) out.shortText(`${this.expirySeconds * 1000}`);
    return out.take();
  }

  #key(name: string, tag: number): void {
    this.#table.shortText(name);
    this.#table.u8(tag);
  }
}

function isHeaderName(name: string): boolean {
  if (name.length === 0 || textByteLength(name) > SHORT_TEXT_BYTES_MAX) return false;
  return !isOwnHeader(name);
}

/** True for header names that are no user properties. */
export function isOwnHeader(name: string): boolean {
  return (
    name.startsWith(OWN_HEADER_PREFIX) ||
    name === HEADER_CORRELATION ||
    name === HEADER_RESPONSE_TOPIC
  );
}

/** Headers without properties by QoS, without and with RETAIN. */
const TEMPLATES: readonly Buffer[] = [0, 1, 2].flatMap((qos) => [
  new HeaderBuilder(qos, false).finish(0),
  new HeaderBuilder(qos, true).finish(0),
]);

/** How a message in a session's own queue is delivered, whatever its topic matches. */
export interface Replay {
  readonly qos: number;
  /** RETAIN as it goes out: a retained message for a new subscription. */
  readonly isRetained: boolean;
  /** Subscription identifier; 0 for none. */
  readonly identifier: number;
}

/** A `Replay` as one number for HEADER_REPLAY: QoS in bits 0-1, RETAIN in 2, the rest above. */
export function packReplay({ qos, isRetained, identifier }: Replay): number {
  return qos + (isRetained ? 4 : 0) + identifier * 8;
}

/** The reverse; undefined when it is none of ours. */
export function unpackReplay(packed: number): Replay | undefined {
  const qos = packed & 3;
  const identifier = Math.floor(packed / 8);
  const isOurs = Number.isSafeInteger(packed) && packed >= 0;
  if (!isOurs || qos === 3 || identifier > 0x0fff_ffff) return undefined;
  return { qos, isRetained: (packed & 4) !== 0, identifier };
}
