/**
 * The packets a server sends, but for PUBLISH (publish-writer.ts), into an outbound slab.
 *
 * Every writer takes the client's Maximum Packet Size and keeps to it [MQTT-3.1.2-24]: user
 * properties are left out first, then the reason string ([MQTT-3.2.2-19], [MQTT-3.4.2-2] and their
 * like); what still does not fit is not sent. Each returns the bytes written, 0 for none: because
 * of the size, or because the client's version has no such packet. A client that set Request
 * Problem Information to 0 gets no such properties but in CONNACK and DISCONNECT [MQTT-3.1.2-29]:
 * do not pass them.
 */
import { putBytes, putU16 } from '../../src/base/byte-writer.ts';
import { putVarint, varintBytes } from './packet-fields.ts';
import { encodeProperties } from './properties.ts';
import {
  AUTH,
  CONNACK,
  DISCONNECT,
  PINGRESP,
  PUBREL,
  SUBACK,
  UNSUBACK,
  VERSION_5,
} from './spec/packets.ts';
import type { PropertyValues } from './spec/properties.ts';
import {
  CONNACK_3_NONE,
  REASON_FAILURE_MIN,
  REASON_SUCCESS,
  SUBACK_3_FAILURE,
  connack3,
} from './spec/reason-codes.ts';

/** Where packets go. `Outbound` is one. */
export interface PacketSink {
  /** Makes room for exactly `byteCount` contiguous bytes and returns their offset in `slab`. */
  reserve(byteCount: number): number;
  /** To be read again after every `reserve`. */
  readonly slab: Buffer;
}

const NO_BYTES = Buffer.alloc(0);

/**
 * CONNACK (3.2). In 3.x the reason is translated (`connack3`) and properties are left out.
 *
 * @returns 0 for a reason a 3.x client cannot be told
 */
export function writeConnack(
  out: PacketSink,
  version: number,
  isSessionPresent: boolean,
  reasonCode: number,
  properties: PropertyValues | undefined,
  packetBytesMax: number,
): number {
  // A refusal says nothing about sessions [MQTT-3.2.2-6].
  const flags = isSessionPresent && reasonCode === REASON_SUCCESS ? 1 : 0;
  if (version !== VERSION_5) {
    const returnCode = connack3(reasonCode);
    if (returnCode === CONNACK_3_NONE) return 0;
    const pos = out.reserve(4);
    return putFour(out.slab, pos, CONNACK << 4, (flags << 8) | returnCode);
  }
  const list = fittingProperties(properties, CONNACK, 2, packetBytesMax);
  if (list === undefined) return 0;
  const byteCount = packetBytes(2 + listBytes(list));
  const pos = out.reserve(byteCount);
  const at = putHead(out.slab, pos, CONNACK << 4, 2 + listBytes(list));
  putU16(out.slab, at, (flags << 8) | reasonCode);
  putList(out.slab, at + 2, list);
  return byteCount;
}

/** PUBACK, PUBREC, PUBREL or PUBCOMP (3.4 to 3.7), in four bytes when all went well. */
export function writeAck(
  out: PacketSink,
  version: number,
  type: number,
  packetId: number,
  reasonCode: number,
  properties: PropertyValues | undefined,
  packetBytesMax: number,
): number {
  const head = (type << 4) | (type === PUBREL ? 2 : 0);
  const isShort = version !== VERSION_5 || (reasonCode === REASON_SUCCESS && !properties);
  if (isShort) {
    const pos = out.reserve(4);
    return putFour(out.slab, pos, head, packetId);
  }
  const list = fittingProperties(properties, type, 3, packetBytesMax);
  if (list === undefined) return 0;
  const remaining = list.length === 0 ? 3 : 3 + listBytes(list);
  const pos = out.reserve(packetBytes(remaining));
  const at = putHead(out.slab, pos, head, remaining);
  putU16(out.slab, at, packetId);
  out.slab[at + 2] = reasonCode;
  if (list.length > 0) putList(out.slab, at + 3, list);
  return packetBytes(remaining);
}

/**
 * SUBACK (3.9).
 *
 * @param codes  per filter, in their order [MQTT-3.9.3-1]; a 3.x client is told every failure as
 *   0x80
 */
export function writeSuback(
  out: PacketSink,
  version: number,
  packetId: number,
  codes: readonly number[],
  properties: PropertyValues | undefined,
  packetBytesMax: number,
): number {
  return writeCodes(out, SUBACK, version, packetId, codes, properties, packetBytesMax);
}

/** UNSUBACK (3.11); without codes in 3.x. */
export function writeUnsuback(
  out: PacketSink,
  version: number,
  packetId: number,
  codes: readonly number[],
  properties: PropertyValues | undefined,
  packetBytesMax: number,
): number {
  if (version === VERSION_5) {
    return writeCodes(out, UNSUBACK, version, packetId, codes, properties, packetBytesMax);
  }
  const pos = out.reserve(4);
  return putFour(out.slab, pos, UNSUBACK << 4, packetId);
}

/** PINGRESP (3.13). */
export function writePingresp(out: PacketSink): number {
  const pos = out.reserve(2);
  out.slab[pos] = PINGRESP << 4;
  out.slab[pos + 1] = 0;
  return 2;
}

/** DISCONNECT (3.14); none in 3.x, where a server just closes. */
export function writeDisconnect(
  out: PacketSink,
  version: number,
  reasonCode: number,
  properties: PropertyValues | undefined,
  packetBytesMax: number,
): number {
  if (version !== VERSION_5) return 0;
  return writeReason(out, DISCONNECT, reasonCode, properties, packetBytesMax);
}

/** AUTH (3.15); only in 5.0, and only when CONNECT had an authentication method. */
export function writeAuth(
  out: PacketSink,
  reasonCode: number,
  properties: PropertyValues,
  packetBytesMax: number,
): number {
  return writeReason(out, AUTH, reasonCode, properties, packetBytesMax);
}

function writeCodes(
  out: PacketSink,
  type: number,
  version: number,
  packetId: number,
  codes: readonly number[],
  properties: PropertyValues | undefined,
  packetBytesMax: number,
): number {
  const isLegacy = version !== VERSION_5;
  const fixed = 2 + codes.length;
  const list = fittingProperties(isLegacy ? undefined : properties, type, fixed, packetBytesMax);
  if (list === undefined) return 0;
  const remaining = fixed + (isLegacy ? 0 : listBytes(list));
  const pos = out.reserve(packetBytes(remaining));
  const slab = out.slab;
  let at = putU16(slab, putHead(slab, pos, type << 4, remaining), packetId);
  if (!isLegacy) at = putList(slab, at, list);
  for (const code of codes) {
    slab[at] = isLegacy && code >= REASON_FAILURE_MIN ? SUBACK_3_FAILURE : code;
    at += 1;
  }
  return packetBytes(remaining);
}

function writeReason(
  out: PacketSink,
  type: number,
  reasonCode: number,
  properties: PropertyValues | undefined,
  packetBytesMax: number,
): number {
  const list = fittingProperties(properties, type, 1, packetBytesMax);
  if (list === undefined) return 0;
  const remaining = list.length === 0 ? 1 : 1 + listBytes(list);
  const pos = out.reserve(packetBytes(remaining));
  const at = putHead(out.slab, pos, type << 4, remaining);
  out.slab[at] = reasonCode;
  if (list.length > 0) putList(out.slab, at + 1, list);
  return packetBytes(remaining);
}

/**
 * The encoded properties that fit beside `otherBytes` of a packet, or undefined when the packet
 * does not fit even without what can be left out.
 */
function fittingProperties(
  properties: PropertyValues | undefined,
  type: number,
  otherBytes: number,
  packetBytesMax: number,
): Buffer | undefined {
  const fits = (list: Buffer): boolean =>
    packetBytes(otherBytes + listBytes(list)) <= packetBytesMax;
  if (properties === undefined) return fits(NO_BYTES) ? NO_BYTES : undefined;
  const all = encodeProperties(properties, type);
  if (fits(all)) return all;
  const { userProperties: _user, ...withoutPairs } = properties;
  const fewer = encodeProperties(withoutPairs, type);
  if (fits(fewer)) return fewer;
  const { reasonString: _reason, ...needed } = withoutPairs;
  const fewest = encodeProperties(needed, type);
  return fits(fewest) ? fewest : undefined;
}

/** Bytes of a property list with its length. */
function listBytes(list: Buffer): number {
  return varintBytes(list.length) + list.length;
}

function packetBytes(remaining: number): number {
  return 1 + varintBytes(remaining) + remaining;
}

function putHead(buf: Buffer, pos: number, head: number, remaining: number): number {
  buf[pos] = head;
  return putVarint(buf, pos + 1, remaining);
}

function putList(buf: Buffer, pos: number, list: Buffer): number {
  return putBytes(buf, putVarint(buf, pos, list.length), list, 0, list.length);
}

/** A packet of two bytes behind the fixed header. */
function putFour(buf: Buffer, pos: number, head: number, value: number): number {
  buf[pos] = head;
  buf[pos + 1] = 2;
  putU16(buf, pos + 2, value);
  return 4;
}
