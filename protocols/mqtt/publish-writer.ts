/**
 * PUBLISH as a server sends it: straight into the outbound slab, nothing made on the way.
 *
 *     head | length | topic length, topic | packet id (QoS > 0) | v5: length, properties | payload
 *     properties: topic alias | expiry | subscription ids | the publisher's own bytes
 *
 * `OutgoingPublish` is one reused record instead of a dozen arguments. Its byte ranges are borrowed
 * for the call, but a payload of 16 KiB and more is sent from where it lies (`Outbound.append`), so
 * nobody may write to it afterwards; message bodies are never written to.
 */
import { putBytes, putU16, putU32 } from '../../src/base/byte-writer.ts';
import { ABSENT } from './application-properties.ts';
import { putVarint, varintBytes } from './packet-fields.ts';
import type { PacketSink } from './packet-writer.ts';
import { FLAG_DUP, FLAG_RETAIN, PUBLISH, VERSION_5 } from './spec/packets.ts';
import {
  PROPERTY_MESSAGE_EXPIRY,
  PROPERTY_SUBSCRIPTION_ID,
  PROPERTY_TOPIC_ALIAS,
} from './spec/properties.ts';

/** A sink that also takes bytes as they are. `Outbound` is one. */
export interface PayloadSink extends PacketSink {
  /** Appends bytes [start, end), which nobody will modify. */
  append(bytes: Buffer, start: number, end: number): void;
}

/** Payloads up to this size are copied into the slab with the rest, in one reservation. */
const INLINE_PAYLOAD_BYTES_MAX = 4 * 1024;

const NO_BYTES = Buffer.alloc(0);
const NO_IDS: readonly number[] = [];

/** What to send; every field is to be set before each `writePublish`, or left as it was. */
export class OutgoingPublish {
  version: number;
  qos: number;
  isRetain: boolean;
  isDup: boolean;
  /** Written with QoS 1 and 2. */
  packetId: number;
  /** Topic name [topicStart, topicEnd); empty when the alias alone stands for it. */
  topic: Buffer;
  topicStart: number;
  topicEnd: number;
  /** 0: none. The rest down to the payload goes to 5.0 clients only. */
  topicAlias: number;
  /** Seconds left, or ABSENT. */
  expirySeconds: number;
  /** Of all matching subscriptions that have one. */
  subscriptionIds: readonly number[];
  /** The publisher's property list, as `ApplicationProperties.copyForwarded` gives it. */
  properties: Buffer;
  propertiesStart: number;
  propertiesEnd: number;
  payload: Buffer;
  payloadStart: number;
  payloadEnd: number;

  constructor(version: number) {
    this.version = version;
    this.qos = 0;
    this.isRetain = false;
    this.isDup = false;
    this.packetId = 0;
    this.topic = NO_BYTES;
    this.topicStart = 0;
    this.topicEnd = 0;
    this.topicAlias = 0;
    this.expirySeconds = ABSENT;
    this.subscriptionIds = NO_IDS;
    this.properties = NO_BYTES;
    this.propertiesStart = 0;
    this.propertiesEnd = 0;
    this.payload = NO_BYTES;
    this.payloadStart = 0;
    this.payloadEnd = 0;
  }
}

/** Bytes of `packet` on the wire. */
export function publishBytes(packet: OutgoingPublish): number {
  const propertyBytes = propertyListBytes(packet);
  let remaining = 2 + packet.topicEnd - packet.topicStart + (packet.qos > 0 ? 2 : 0);
  if (packet.version === VERSION_5) remaining += varintBytes(propertyBytes) + propertyBytes;
  remaining += packet.payloadEnd - packet.payloadStart;
  return 1 + varintBytes(remaining) + remaining;
}

/**
 * Writes `packet`, unless it is larger than the client takes: then it counts as delivered
 * [MQTT-3.1.2-25].
 *
 * @returns bytes written; 0 when it is too large
 */
export function writePublish(
  out: PayloadSink,
  packet: OutgoingPublish,
  packetBytesMax: number,
): number {
  const isV5 = packet.version === VERSION_5;
  const topicBytes = packet.topicEnd - packet.topicStart;
  const payloadBytes = packet.payloadEnd - packet.payloadStart;
  const propertyBytes = isV5 ? propertyListBytes(packet) : 0;
  let headerBytes = 2 + topicBytes + (packet.qos > 0 ? 2 : 0);
  if (isV5) headerBytes += varintBytes(propertyBytes) + propertyBytes;
  const remaining = headerBytes + payloadBytes;
  const startBytes = 1 + varintBytes(remaining);
  const packetBytes = startBytes + remaining;
  if (packetBytes > packetBytesMax) return 0;
  const isInline = payloadBytes <= INLINE_PAYLOAD_BYTES_MAX;
  const pos = out.reserve(isInline ? packetBytes : startBytes + headerBytes);
  const slab = out.slab;
  slab[pos] = headOf(packet);
  let at = putU16(slab, putVarint(slab, pos + 1, remaining), topicBytes);
  at = putBytes(slab, at, packet.topic, packet.topicStart, packet.topicEnd);
  if (packet.qos > 0) at = putU16(slab, at, packet.packetId);
  if (isV5) at = putProperties(slab, at, packet, propertyBytes);
  if (isInline) putBytes(slab, at, packet.payload, packet.payloadStart, packet.payloadEnd);
  else out.append(packet.payload, packet.payloadStart, packet.payloadEnd);
  return packetBytes;
}

function headOf({ qos, isRetain, isDup }: OutgoingPublish): number {
  // DUP is 0 with QoS 0 [MQTT-3.3.1-2].
  const dup = isDup && qos > 0 ? FLAG_DUP : 0;
  return (PUBLISH << 4) | dup | (qos << 1) | (isRetain ? FLAG_RETAIN : 0);
}

function propertyListBytes(packet: OutgoingPublish): number {
  let byteCount = packet.propertiesEnd - packet.propertiesStart;
  if (packet.topicAlias !== 0) byteCount += 3;
  if (packet.expirySeconds !== ABSENT) byteCount += 5;
  const ids = packet.subscriptionIds;
  for (let i = 0; i < ids.length; i += 1) byteCount += 1 + varintBytes(ids[i]!);
  return byteCount;
}

function putProperties(
  slab: Buffer,
  pos: number,
  packet: OutgoingPublish,
  propertyBytes: number,
): number {
  let at = putVarint(slab, pos, propertyBytes);
  if (propertyBytes === 0) return at;
  if (packet.topicAlias !== 0) {
    slab[at] = PROPERTY_TOPIC_ALIAS;
    at = putU16(slab, at + 1, packet.topicAlias);
  }
  if (packet.expirySeconds !== ABSENT) {
    slab[at] = PROPERTY_MESSAGE_EXPIRY;
    at = putU32(slab, at + 1, packet.expirySeconds);
  }
  const ids = packet.subscriptionIds;
  for (let i = 0; i < ids.length; i += 1) {
    slab[at] = PROPERTY_SUBSCRIPTION_ID;
    at = putVarint(slab, at + 1, ids[i]!);
  }
  return putBytes(slab, at, packet.properties, packet.propertiesStart, packet.propertiesEnd);
}
