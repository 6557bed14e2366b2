/**
 * CONNECT (MQTT 5 section 3.1, 3.1.1 section 3.1, 3.1 section 3.1).
 *
 *     "MQTT" or "MQIsdp" | level u8 | flags u8 | keep alive u16 | v5: properties
 *     client id | v5: will properties | will topic | will payload | user name | password
 *
 * Flags: user name 80, password 40, will retain 20, will QoS 18, will 04, clean start 02, 01 is 0.
 */
import { equalsAscii, readU16 } from '../../src/base/byte-reader.ts';
import { ApplicationProperties } from './application-properties.ts';
import { MqttError, malformed, protocolError } from './mqtt-errors.ts';
import { FieldReader } from './packet-fields.ts';
import { readProperties } from './properties.ts';
import {
  CONNECT,
  type ProtocolVersion,
  VERSION_3_1,
  VERSION_3_1_1,
  VERSION_5,
  WILL,
} from './spec/packets.ts';
import type { PropertyValues } from './spec/properties.ts';
import { REASON_CLIENT_ID_NOT_VALID, REASON_UNSUPPORTED_VERSION } from './spec/reason-codes.ts';
import { type TopicName, topicName } from './topic-name.ts';

const FLAG_RESERVED = 0x01;
const FLAG_CLEAN_START = 0x02;
const FLAG_WILL = 0x04;
const FLAGS_WILL_QOS = 0x18;
const FLAG_WILL_RETAIN = 0x20;
const FLAG_PASSWORD = 0x40;
const FLAG_USER_NAME = 0x80;

/** The message a client leaves to be published when it is gone (3.1.2.5). Owned. */
export interface ConnectWill {
  readonly topic: TopicName;
  readonly qos: number;
  readonly isRetain: boolean;
  readonly payload: Buffer;
  /** Seconds from the end of the connection; 0 in 3.x. */
  readonly delaySeconds: number;
  /** Seconds, or -1 (`ABSENT`). */
  readonly expirySeconds: number;
  /** 0 or 1, or -1 (`ABSENT`). */
  readonly payloadFormat: number;
  /** Property list without length, expiry and delay: what subscribers get as it is. */
  readonly properties: Buffer;
}

/** A CONNECT. Owned. */
export interface ConnectPacket {
  readonly version: ProtocolVersion;
  /** Clean Session in 3.x. */
  readonly isCleanStart: boolean;
  /** 0: none. */
  readonly keepAliveSeconds: number;
  /** Empty when the server is to choose one. */
  readonly clientId: string;
  readonly will: ConnectWill | undefined;
  readonly username: string | undefined;
  readonly password: Buffer | undefined;
  /** Empty in 3.x. */
  readonly properties: PropertyValues;
}

/**
 * Reads the CONNECT in [start, end) of `buf` (borrowed).
 *
 * @throws MqttError 0x81, 0x82, 0x84 (version), 0x85 (empty client id that 3.x forbids), 0x90 (will
 *   topic). Whether and in which version to say so: `connackVersion`.
 */
export function readConnect(buf: Buffer, start: number, end: number): ConnectPacket {
  const version = readVersion(buf, start, end);
  // Name and level are there and proven.
  const reader = new FieldReader(buf, start + 2 + readU16(buf, start) + 1, end);
  const flags = reader.u8('the connect flags');
  checkFlags(version, flags);
  const keepAliveSeconds = reader.u16('the keep alive');
  const properties = version === VERSION_5 ? readConnectProperties(reader) : {};
  const clientId = reader.text('the client identifier');
  const isCleanStart = (flags & FLAG_CLEAN_START) !== 0;
  checkClientId(version, clientId, isCleanStart);
  const will = (flags & FLAG_WILL) === 0 ? undefined : readWill(version, flags, reader);
  const username = hasCredential(version, flags, FLAG_USER_NAME, reader)
    ? reader.text('the user name')
    : undefined;
  const password = hasCredential(version, flags, FLAG_PASSWORD, reader)
    ? reader.binary('the password')
    : undefined;
  reader.expectEnd('CONNECT');
  return {
    version,
    isCleanStart,
    keepAliveSeconds,
    clientId,
    will,
    username,
    password,
    properties,
  };
}

/**
 * In which version to answer a CONNECT that `readConnect` refused: the one it asked for, or what
 * is nearest to a level we do not know. Undefined when it is not MQTT at all: just close
 * [MQTT-3.1.2-1].
 */
export function connackVersion(
  buf: Buffer,
  start: number,
  end: number,
): ProtocolVersion | undefined {
  if (end - start < 2) return undefined;
  const nameEnd = start + 2 + readU16(buf, start);
  if (nameEnd >= end) return undefined;
  const level = buf[nameEnd]!;
  if (equalsAscii(buf, start + 2, nameEnd, 'MQIsdp')) return VERSION_3_1;
  if (!equalsAscii(buf, start + 2, nameEnd, 'MQTT')) return undefined;
  // Above 0x80 it is a bridge of Mosquitto's asking whether we know its extension.
  return level < VERSION_5 || level >= 0x80 ? VERSION_3_1_1 : VERSION_5;
}

function readVersion(buf: Buffer, start: number, end: number): ProtocolVersion {
  if (end - start < 2) throw malformed('CONNECT without a protocol name');
  const nameEnd = start + 2 + readU16(buf, start);
  if (nameEnd >= end) throw malformed('the protocol name reaches over the end of CONNECT');
  const level = buf[nameEnd]!;
  if (equalsAscii(buf, start + 2, nameEnd, 'MQTT')) {
    if (level === VERSION_5 || level === VERSION_3_1_1) return level;
    throw new MqttError(REASON_UNSUPPORTED_VERSION, `protocol level ${level}`);
  }
  if (!equalsAscii(buf, start + 2, nameEnd, 'MQIsdp')) {
    throw new MqttError(REASON_UNSUPPORTED_VERSION, 'the protocol name is not MQTT');
  }
  if (level !== VERSION_3_1) {
    throw new MqttError(REASON_UNSUPPORTED_VERSION, `protocol level ${level} of MQIsdp`);
  }
  return level;
}

function checkFlags(version: ProtocolVersion, flags: number): void {
  // 3.1 leaves the bit undefined.
  if ((flags & FLAG_RESERVED) !== 0 && version !== VERSION_3_1) {
    throw malformed('the reserved connect flag is set');
  }
  if ((flags & FLAGS_WILL_QOS) === FLAGS_WILL_QOS) throw malformed('the will QoS is 3');
  const hasWillOptions = (flags & (FLAGS_WILL_QOS | FLAG_WILL_RETAIN)) !== 0;
  if ((flags & FLAG_WILL) === 0 && hasWillOptions) {
    throw malformed('will QoS or will retain without a will');
  }
  const isPasswordAlone = (flags & (FLAG_USER_NAME | FLAG_PASSWORD)) === FLAG_PASSWORD;
  if (isPasswordAlone && version !== VERSION_5) throw malformed('a password without a user name');
}

/** In 3.1 the flag may be set and the field be missing at the end (3.1 section 3.1). */
function hasCredential(
  version: ProtocolVersion,
  flags: number,
  flag: number,
  reader: FieldReader,
): boolean {
  return (flags & flag) !== 0 && !(version === VERSION_3_1 && reader.isAtEnd);
}

/** The server chooses one in 5.0, and in 3.1.1 for a session that ends with the connection. */
function checkClientId(version: ProtocolVersion, clientId: string, isCleanStart: boolean): void {
  if (clientId.length > 0 || version === VERSION_5) return;
  if (version === VERSION_3_1_1 && isCleanStart) return;
  throw new MqttError(REASON_CLIENT_ID_NOT_VALID, 'the client identifier is empty');
}

function readConnectProperties(reader: FieldReader): PropertyValues {
  const end = reader.properties();
  const values = readProperties(reader.buf, reader.pos, end, CONNECT);
  reader.pos = end;
  if (values.authData !== undefined && values.authMethod === undefined) {
    throw protocolError('authentication data without a method');
  }
  return values;
}

function readWill(version: ProtocolVersion, flags: number, reader: FieldReader): ConnectWill {
  const found = new ApplicationProperties();
  let properties = Buffer.alloc(0);
  if (version === VERSION_5) {
    const end = reader.properties();
    found.scan(reader.buf, reader.pos, end, WILL);
    properties = Buffer.allocUnsafeSlow(found.forwardedBytes);
    found.copyForwarded(reader.buf, properties, 0, WILL);
    reader.pos = end;
  }
  const topicStart = reader.pos + 2;
  const text = reader.text('the will topic');
  return {
    topic: topicName(text, reader.pos - topicStart),
    qos: (flags & FLAGS_WILL_QOS) >> 3,
    isRetain: (flags & FLAG_WILL_RETAIN) !== 0,
    payload: reader.binary('the will payload'),
    delaySeconds: found.willDelaySeconds,
    expirySeconds: found.expirySeconds,
    payloadFormat: found.payloadFormat,
    properties,
  };
}
