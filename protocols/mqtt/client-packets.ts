/**
 * The other packets a client sends: acknowledgements of PUBLISH, SUBSCRIBE, UNSUBSCRIBE,
 * DISCONNECT and AUTH, and PINGREQ, which is empty. Every reader takes the variable header and
 * payload [start, end) of a borrowed buffer and throws MqttError 0x81 or 0x82.
 */
import { readU16 } from '../../src/base/byte-reader.ts';
import { malformed, protocolError } from './mqtt-errors.ts';
import { FieldReader } from './packet-fields.ts';
import { checkProperties, readProperties } from './properties.ts';
import {
  AUTH,
  DISCONNECT,
  SUBSCRIBE,
  UNSUBSCRIBE,
  VERSION_3_1,
  VERSION_5,
  packetName,
} from './spec/packets.ts';
import type { PropertyValues } from './spec/properties.ts';
import { REASON_SUCCESS, isClientReason } from './spec/reason-codes.ts';
import { type TopicFilter, parseTopicFilter } from './topic-name.ts';

/** What PUBACK, PUBREC, PUBREL and PUBCOMP say; reused from packet to packet. */
export class AckFields {
  packetId: number;
  /** REASON_SUCCESS in 3.x. */
  reasonCode: number;

  constructor() {
    this.packetId = 0;
    this.reasonCode = REASON_SUCCESS;
  }
}

/** One filter of a SUBSCRIBE with its options (3.8.3.1). */
export interface SubscriptionRequest {
  /** As written; what UNSUBSCRIBE will name. */
  readonly text: string;
  /** Undefined when `text` cannot be subscribed to: SUBACK 0x8F for this one. */
  readonly topicFilter: TopicFilter | undefined;
  readonly qos: number;
  readonly isNoLocal: boolean;
  readonly isRetainAsPublished: boolean;
  /** Retained messages: 0 send, 1 send if the subscription is new, 2 do not send. */
  readonly retainHandling: number;
}

export interface SubscribePacket {
  readonly packetId: number;
  /** 1 to VARINT_MAX; 0 for none. */
  readonly subscriptionId: number;
  /** At least one. */
  readonly requests: readonly SubscriptionRequest[];
}

export interface UnsubscribePacket {
  readonly packetId: number;
  /** At least one; as written, to be compared character by character [MQTT-3.10.4-1]. */
  readonly filters: readonly string[];
}

/** DISCONNECT or AUTH. */
export interface ReasonPacket {
  readonly reasonCode: number;
  readonly properties: PropertyValues;
}

const OPTION_NO_LOCAL = 0x04;
const OPTION_RETAIN_AS_PUBLISHED = 0x08;
const OPTIONS_RETAIN_HANDLING = 0x30;
const OPTIONS_RESERVED = 0xc0;
const NO_PROPERTIES: PropertyValues = {};

/** PUBACK, PUBREC, PUBREL or PUBCOMP (3.4 to 3.7). Properties are proven and dropped. */
export function readAck(
  version: number,
  type: number,
  buf: Buffer,
  start: number,
  end: number,
  fields: AckFields,
): void {
  const byteCount = end - start;
  if (byteCount < 2) throw malformed(`${packetName(type)} without a packet identifier`);
  fields.packetId = readU16(buf, start);
  fields.reasonCode = REASON_SUCCESS;
  if (fields.packetId === 0) throw zeroPacketId(type);
  if (byteCount === 2) return;
  if (version !== VERSION_5) throw tooLong(type);
  fields.reasonCode = readReason(type, buf[start + 2]!);
  if (byteCount === 3) return;
  const reader = new FieldReader(buf, start + 3, end);
  skipProperties(reader, type);
  reader.expectEnd(packetName(type));
}

/** SUBSCRIBE (3.8). */
export function readSubscribe(
  version: number,
  buf: Buffer,
  start: number,
  end: number,
): SubscribePacket {
  const reader = new FieldReader(buf, start, end);
  const packetId = readPacketId(reader, SUBSCRIBE);
  let subscriptionId = 0;
  if (version === VERSION_5) {
    const propertiesEnd = reader.properties();
    const values = readProperties(buf, reader.pos, propertiesEnd, SUBSCRIBE);
    subscriptionId = values.subscriptionId ?? 0;
    reader.pos = propertiesEnd;
  }
  const requests: SubscriptionRequest[] = [];
  while (!reader.isAtEnd) requests.push(readRequest(version, reader));
  if (requests.length === 0) throw protocolError('SUBSCRIBE without a topic filter');
  return { packetId, subscriptionId, requests };
}

/** UNSUBSCRIBE (3.10). User properties are proven and dropped. */
export function readUnsubscribe(
  version: number,
  buf: Buffer,
  start: number,
  end: number,
): UnsubscribePacket {
  const reader = new FieldReader(buf, start, end);
  const packetId = readPacketId(reader, UNSUBSCRIBE);
  if (version === VERSION_5) skipProperties(reader, UNSUBSCRIBE);
  const filters: string[] = [];
  while (!reader.isAtEnd) filters.push(reader.text('a topic filter'));
  if (filters.length === 0) throw protocolError('UNSUBSCRIBE without a topic filter');
  return { packetId, filters };
}

/** DISCONNECT (3.14). In 3.x it is empty and means success. */
export function readDisconnect(
  version: number,
  buf: Buffer,
  start: number,
  end: number,
): ReasonPacket {
  if (version === VERSION_5) return readReasonPacket(DISCONNECT, buf, start, end);
  // 3.1 says nothing about bytes behind it.
  if (start !== end && version !== VERSION_3_1) throw tooLong(DISCONNECT);
  return { reasonCode: REASON_SUCCESS, properties: NO_PROPERTIES };
}

/** AUTH (3.15): continue or re-authenticate, always with a method. */
export function readAuth(buf: Buffer, start: number, end: number): ReasonPacket {
  const packet = readReasonPacket(AUTH, buf, start, end);
  if (packet.properties.authMethod === undefined) {
    throw protocolError('AUTH without an authentication method');
  }
  return packet;
}

/** PINGREQ (3.12), or any packet that must be empty. */
export function readEmpty(type: number, start: number, end: number): void {
  if (start !== end) throw tooLong(type);
}

function readRequest(version: number, reader: FieldReader): SubscriptionRequest {
  const text = reader.text('a topic filter');
  let options = reader.u8('the subscription options');
  if (version !== VERSION_5) {
    // 3.1 leaves the upper bits undefined.
    if (version === VERSION_3_1) options &= 3;
    if (options > 2) throw malformed(`subscription options ${options}`);
  }
  const qos = options & 3;
  const retainHandling = (options & OPTIONS_RETAIN_HANDLING) >> 4;
  if (qos === 3) throw malformed('a subscription with QoS 3');
  if ((options & OPTIONS_RESERVED) !== 0) throw malformed('reserved subscription options are set');
  if (retainHandling === 3) throw protocolError('a subscription with retain handling 3');
  const isNoLocal = (options & OPTION_NO_LOCAL) !== 0;
  const isRetainAsPublished = (options & OPTION_RETAIN_AS_PUBLISHED) !== 0;
  const topicFilter = parseTopicFilter(text);
  if (isNoLocal && topicFilter?.shareName !== undefined) {
    throw protocolError('no local on a shared subscription');
  }
  return { text, topicFilter, qos, isNoLocal, isRetainAsPublished, retainHandling };
}

function readReasonPacket(type: number, buf: Buffer, start: number, end: number): ReasonPacket {
  const reasonCode = readReason(type, start === end ? REASON_SUCCESS : buf[start]!);
  if (end - start < 2) return { reasonCode, properties: NO_PROPERTIES };
  const reader = new FieldReader(buf, start + 1, end);
  const propertiesEnd = reader.properties();
  const properties = readProperties(buf, reader.pos, propertiesEnd, type);
  reader.pos = propertiesEnd;
  reader.expectEnd(packetName(type));
  return { reasonCode, properties };
}

function readReason(type: number, code: number): number {
  if (isClientReason(code, type)) return code;
  const hex = code.toString(16).padStart(2, '0');
  throw protocolError(`${packetName(type)} with the reason code 0x${hex}`);
}

function readPacketId(reader: FieldReader, type: number): number {
  const packetId = reader.u16('the packet identifier');
  if (packetId === 0) throw zeroPacketId(type);
  return packetId;
}

function skipProperties(reader: FieldReader, type: number): void {
  const end = reader.properties();
  checkProperties(reader.buf, reader.pos, end, type);
  reader.pos = end;
}

function zeroPacketId(type: number): Error {
  return protocolError(`${packetName(type)} has the packet identifier 0`);
}

function tooLong(type: number): Error {
  return malformed(`${packetName(type)} is longer than it may be`);
}
