/**
 * PUBLISH as a server receives it, by positions (section 3.3).
 *
 *     topic length u16 | topic | packet id u16 (QoS > 0) | v5: length varint, properties | payload
 *
 * No string and no object per message. The topic's bytes are looked up by their reader
 * (`TopicNames` in topic-name.ts), who also proves them.
 */
import { readU16 } from '../../src/base/byte-reader.ts';
import { ApplicationProperties } from './application-properties.ts';
import { MqttError, malformed, protocolError } from './mqtt-errors.ts';
import { readVarint, varintEnd } from './packet-fields.ts';
import { FLAG_DUP, FLAG_RETAIN, PUBLISH, VERSION_5 } from './spec/packets.ts';
import { REASON_TOPIC_NAME_INVALID } from './spec/reason-codes.ts';

/** Where the parts of one PUBLISH lie; reused from packet to packet. */
export class PublishFields {
  /** 0, 1 or 2. */
  qos: number;
  isRetain: boolean;
  isDup: boolean;
  /** 1 to 65,535; 0 with QoS 0. */
  packetId: number;
  /** Topic name, not proven; empty when the topic alias stands for it. */
  topicStart: number;
  topicEnd: number;
  payloadStart: number;
  payloadEnd: number;
  readonly properties: ApplicationProperties;

  constructor() {
    this.qos = 0;
    this.isRetain = false;
    this.isDup = false;
    this.packetId = 0;
    this.topicStart = 0;
    this.topicEnd = 0;
    this.payloadStart = 0;
    this.payloadEnd = 0;
    this.properties = new ApplicationProperties();
  }
}

/**
 * Reads the PUBLISH in [start, end) of `buf` (borrowed), whose flags the parser has proven.
 *
 * @param fields  where the result goes
 * @throws MqttError 0x81, 0x82; 0x90 (empty topic); 0x94 (topic alias 0). All of them end the
 *   connection: a client that sends such packets is broken.
 */
export function readPublish(
  version: number,
  flags: number,
  buf: Buffer,
  start: number,
  end: number,
  fields: PublishFields,
): void {
  if (end - start < 2) throw cut('topic name');
  const topicStart = start + 2;
  const topicEnd = topicStart + readU16(buf, start);
  const qos = (flags >>> 1) & 3;
  let pos = topicEnd;
  let packetId = 0;
  if (qos > 0) {
    pos += 2;
    if (pos > end) throw cut('packet identifier');
    packetId = readU16(buf, topicEnd);
    if (packetId === 0) throw protocolError('PUBLISH has the packet identifier 0');
  } else if (pos > end) {
    throw cut('topic name');
  }
  fields.qos = qos;
  fields.isRetain = (flags & FLAG_RETAIN) !== 0;
  fields.isDup = (flags & FLAG_DUP) !== 0;
  fields.packetId = packetId;
  fields.topicStart = topicStart;
  fields.topicEnd = topicEnd;
  fields.payloadEnd = end;
  if (version === VERSION_5) {
    pos = readPublishProperties(buf, pos, end, fields.properties);
    if (topicStart === topicEnd && fields.properties.topicAlias === 0) {
      throw protocolError('PUBLISH has neither a topic name nor a topic alias');
    }
  } else {
    fields.properties.clear(pos);
    if (topicStart === topicEnd) throw emptyTopic();
  }
  fields.payloadStart = pos;
}

/** Returns where the payload starts. */
function readPublishProperties(
  buf: Buffer,
  pos: number,
  end: number,
  properties: ApplicationProperties,
): number {
  // Mostly there are none.
  if (pos < end && buf[pos] === 0) {
    properties.clear(pos + 1);
    return pos + 1;
  }
  const byteCount = readVarint(buf, pos, end);
  if (byteCount < 0) throw cut('property length');
  const start = varintEnd(buf, pos);
  if (byteCount > end - start) throw cut('property list');
  properties.scan(buf, start, start + byteCount, PUBLISH);
  return start + byteCount;
}

function cut(what: string): MqttError {
  return malformed(`the ${what} of PUBLISH reaches over its end`);
}

function emptyTopic(): MqttError {
  return new MqttError(REASON_TOPIC_NAME_INVALID, 'the topic name of PUBLISH is empty');
}
