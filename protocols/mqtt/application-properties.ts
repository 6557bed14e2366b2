/**
 * Properties of an application message, in PUBLISH or of a will: found by offset, nothing decoded.
 *
 * Most of them belong to the message and pass through to subscribers as bytes, unaltered and in
 * order (payload format, content type, response topic, correlation data, user properties:
 * [MQTT-3.3.2-4], -15, -16, -17, -18, -20). Three do not, because they belong to this delivery or
 * change with time: topic alias, message expiry, will delay. A list without those is forwarded as
 * it lies; else `copyForwarded` leaves them out.
 */
import { putBytes } from '../../src/base/byte-writer.ts';
import { MqttError, protocolError } from './mqtt-errors.ts';
import { PropertyCursor } from './properties.ts';
import {
  PROPERTY_CONTENT_TYPE,
  PROPERTY_CORRELATION_DATA,
  PROPERTY_MESSAGE_EXPIRY,
  PROPERTY_PAYLOAD_FORMAT,
  PROPERTY_RESPONSE_TOPIC,
  PROPERTY_TOPIC_ALIAS,
  PROPERTY_USER,
  PROPERTY_WILL_DELAY,
} from './spec/properties.ts';
import { REASON_TOPIC_NAME_INVALID } from './spec/reason-codes.ts';

/** `ApplicationProperties`: a range or number that is not there. */
export const ABSENT = -1;

const PLUS = 0x2b;
const HASH = 0x23;

/**
 * Where the properties of one message lie; reused from message to message. Offsets refer to the
 * buffer of the latest `scan` and are valid as long as that is.
 */
export class ApplicationProperties {
  /** 0 or 1, or ABSENT. */
  payloadFormat: number;
  /** Seconds, or ABSENT. */
  expirySeconds: number;
  /** 1 to 65,535, or 0 for none. */
  topicAlias: number;
  /** Seconds; 0 when absent, which means the same (3.1.3.2.2). */
  willDelaySeconds: number;
  /** Text without its length; start is ABSENT when it is not there. */
  contentTypeStart: number;
  contentTypeEnd: number;
  responseTopicStart: number;
  responseTopicEnd: number;
  /** Bytes without their length; start is ABSENT when they are not there. */
  correlationStart: number;
  correlationEnd: number;
  /** From the first user property to the last; other properties may lie between them. */
  userStart: number;
  userEnd: number;
  userCount: number;
  /** The whole list. */
  start: number;
  end: number;
  /** Bytes of the list that go on to subscribers. */
  forwardedBytes: number;
  readonly #cursor: PropertyCursor;

  constructor() {
    this.payloadFormat = ABSENT;
    this.expirySeconds = ABSENT;
    this.topicAlias = 0;
    this.willDelaySeconds = 0;
    this.contentTypeStart = ABSENT;
    this.contentTypeEnd = 0;
    this.responseTopicStart = ABSENT;
    this.responseTopicEnd = 0;
    this.correlationStart = ABSENT;
    this.correlationEnd = 0;
    this.userStart = ABSENT;
    this.userEnd = 0;
    this.userCount = 0;
    this.start = 0;
    this.end = 0;
    this.forwardedBytes = 0;
    this.#cursor = new PropertyCursor();
  }

  /** No properties, at `pos`: of a 3.x packet, or of one with an empty list. */
  clear(pos: number): void {
    this.payloadFormat = ABSENT;
    this.expirySeconds = ABSENT;
    this.topicAlias = 0;
    this.willDelaySeconds = 0;
    this.contentTypeStart = ABSENT;
    this.responseTopicStart = ABSENT;
    this.correlationStart = ABSENT;
    this.userStart = ABSENT;
    this.userEnd = 0;
    this.userCount = 0;
    this.start = pos;
    this.end = pos;
    this.forwardedBytes = 0;
  }

  /**
   * Finds and proves the properties in [start, end).
   *
   * @param buf     borrowed
   * @param packet  PUBLISH or WILL
   * @throws MqttError 0x81, 0x82, 0x90 (response topic), 0x94 (topic alias 0)
   */
  scan(buf: Buffer, start: number, end: number, packet: number): void {
    this.clear(start);
    if (start === end) return;
    this.end = end;
    const cursor = this.#cursor;
    cursor.open(buf, start, end, packet);
    let keptBytes = 0;
    while (cursor.next()) {
      switch (cursor.id) {
        case PROPERTY_MESSAGE_EXPIRY:
          this.expirySeconds = cursor.number;
          continue;
        case PROPERTY_TOPIC_ALIAS:
          this.topicAlias = cursor.number;
          continue;
        case PROPERTY_WILL_DELAY:
          this.willDelaySeconds = cursor.number;
          continue;
        default:
          this.#note(cursor);
      }
      keptBytes += cursor.end - cursor.start;
    }
    cursor.close();
    this.forwardedBytes = keptBytes;
  }

  /** Copies what goes on to subscribers, `forwardedBytes` bytes, to `pos`; returns the end. */
  copyForwarded(from: Buffer, target: Buffer, pos: number, packet: number): number {
    if (this.forwardedBytes === this.end - this.start) {
      return putBytes(target, pos, from, this.start, this.end);
    }
    const cursor = this.#cursor;
    cursor.open(from, this.start, this.end, packet);
    let at = pos;
    while (cursor.next()) {
      if (isForwarded(cursor.id)) at = putBytes(target, at, from, cursor.start, cursor.end);
    }
    cursor.close();
    return at;
  }

  #note(cursor: PropertyCursor): void {
    switch (cursor.id) {
      case PROPERTY_USER:
        if (this.userCount === 0) this.userStart = cursor.start;
        this.userEnd = cursor.end;
        this.userCount += 1;
        break;
      case PROPERTY_PAYLOAD_FORMAT:
        this.payloadFormat = cursor.number;
        break;
      case PROPERTY_CONTENT_TYPE:
        this.contentTypeStart = cursor.valueStart;
        this.contentTypeEnd = cursor.valueEnd;
        break;
      case PROPERTY_CORRELATION_DATA:
        this.correlationStart = cursor.valueStart;
        this.correlationEnd = cursor.valueEnd;
        break;
      case PROPERTY_RESPONSE_TOPIC:
        checkResponseTopic(cursor);
        this.responseTopicStart = cursor.valueStart;
        this.responseTopicEnd = cursor.valueEnd;
        break;
      default:
        break;
    }
  }
}

/** True for properties that are the message's own. */
function isForwarded(id: number): boolean {
  return (
    id !== PROPERTY_MESSAGE_EXPIRY && id !== PROPERTY_TOPIC_ALIAS && id !== PROPERTY_WILL_DELAY
  );
}

/** A topic to publish to: not empty, no wildcards [MQTT-3.3.2-14]. */
function checkResponseTopic({ buf, valueStart, valueEnd }: PropertyCursor): void {
  if (valueStart === valueEnd) throw protocolError('the response topic is empty');
  for (let i = valueStart; i < valueEnd; i += 1) {
    if (buf[i] === PLUS || buf[i] === HASH) {
      throw new MqttError(REASON_TOPIC_NAME_INVALID, 'the response topic has wildcards');
    }
  }
}
