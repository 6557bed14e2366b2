import { describe, expect, test } from 'vitest';
import { ABSENT } from '../../../protocols/mqtt/application-properties.ts';
import { MqttError } from '../../../protocols/mqtt/mqtt-errors.ts';
import { readUserProperties } from '../../../protocols/mqtt/properties.ts';
import { PublishFields, readPublish } from '../../../protocols/mqtt/publish-packet.ts';
import { field, hex, list, u16, userProperty } from './wire.ts';

/** One record for all tests: nothing of an earlier packet may show. */
const fields = new PublishFields();

function read(version: number, flags: number, bytes: Buffer): PublishFields {
  readPublish(version, flags, bytes, 0, bytes.length, fields);
  return fields;
}

function reasonOf(run: () => unknown): number {
  try {
    run();
    return 0;
  } catch (error) {
    if (!(error instanceof MqttError)) throw error;
    return error.reasonCode;
  }
}

function parts(bytes: Buffer): { topic: string; payload: string } {
  return {
    topic: bytes.toString('utf8', fields.topicStart, fields.topicEnd),
    payload: bytes.toString('utf8', fields.payloadStart, fields.payloadEnd),
  };
}

describe('PUBLISH', () => {
  test('QoS 0 in 3.1.1', () => {
    const bytes = hex('0003 612f62 6869');
    expect(read(4, 0, bytes)).toMatchObject({ qos: 0, packetId: 0, isDup: false, isRetain: false });
    expect(parts(bytes)).toEqual({ topic: 'a/b', payload: 'hi' });
  });

  test('QoS 2, DUP and RETAIN in 3.1.1, no payload', () => {
    const bytes = hex('0001 61 ffff');
    expect(read(4, 0x0d, bytes)).toMatchObject({
      ...{ qos: 2, packetId: 65_535, isDup: true, isRetain: true },
    });
    expect(parts(bytes)).toEqual({ topic: 'a', payload: '' });
  });

  test('QoS 1 in 5.0 without properties', () => {
    const bytes = hex('0001 61 0007 00 00');
    expect(read(5, 2, bytes)).toMatchObject({ qos: 1, packetId: 7 });
    expect(parts(bytes)).toEqual({ topic: 'a', payload: '\0' });
    expect(fields.properties.forwardedBytes).toBe(0);
  });

  test('every property, and what is forwarded of them', () => {
    const own = [
      hex('01 01'),
      userProperty('b', '1'),
      hex('08 0003 722f31'),
      hex('09 0002 00ff'),
      userProperty('a', '2'),
      hex('03 0004 6a736f6e'),
    ];
    const [format, ...others] = own;
    const all = list(format!, hex('02 fffffffe'), hex('23 000a'), ...others);
    const bytes = Buffer.concat([field('t'), all, Buffer.from('body')]);
    const { properties } = read(5, 0, bytes);
    expect(parts(bytes)).toEqual({ topic: 't', payload: 'body' });
    expect(properties).toMatchObject({
      ...{ payloadFormat: 1, expirySeconds: 0xfffffffe, topicAlias: 10, userCount: 2 },
    });
    const { responseTopicStart, responseTopicEnd, correlationStart, correlationEnd } = properties;
    expect(bytes.toString('utf8', responseTopicStart, responseTopicEnd)).toBe('r/1');
    expect(bytes.subarray(correlationStart, correlationEnd)).toEqual(hex('00ff'));
    const { contentTypeStart, contentTypeEnd } = properties;
    expect(bytes.toString('utf8', contentTypeStart, contentTypeEnd)).toBe('json');
    expect(readUserProperties(bytes, properties.userStart, properties.userEnd, 3)).toEqual([
      ['b', '1'],
      ['a', '2'],
    ]);
    const target = Buffer.alloc(properties.forwardedBytes);
    expect(properties.copyForwarded(bytes, target, 0, 3)).toBe(target.length);
    expect(target).toEqual(Buffer.concat(own));
  });

  test('nothing of one packet shows in the next', () => {
    const bytes = hex('0001 61 00');
    const { properties } = read(5, 0, bytes);
    expect(properties).toMatchObject({
      ...{ payloadFormat: ABSENT, expirySeconds: ABSENT, topicAlias: 0, userCount: 0 },
      ...{ responseTopicStart: ABSENT, correlationStart: ABSENT, contentTypeStart: ABSENT },
      ...{ userStart: ABSENT, forwardedBytes: 0 },
    });
    read(4, 0, hex('0001 61'));
    expect(properties.topicAlias).toBe(0);
  });

  test('a list without alias and expiry is forwarded as it lies', () => {
    const inner = Buffer.concat([userProperty('k', 'v'), hex('01 00')]);
    const bytes = Buffer.concat([field('t'), list(inner)]);
    const { properties } = read(5, 0, bytes);
    expect(properties.forwardedBytes).toBe(inner.length);
    expect(bytes.subarray(properties.start, properties.end)).toEqual(inner);
  });

  test('an empty topic with an alias is allowed in 5.0', () => {
    expect(read(5, 0, hex('0000 03 230001')).properties.topicAlias).toBe(1);
  });

  test.each([
    ['nothing', 5, 0, '', 0x81],
    ['half a length', 5, 0, '00', 0x81],
    ['a topic over the end', 5, 0, '0002 61', 0x81],
    ['no packet id', 5, 2, '0001 61 00', 0x81],
    ['packet id 0', 5, 2, '0001 61 0000 00', 0x82],
    ['packet id 0 in 3.1.1', 4, 4, '0001 61 0000', 0x82],
    ['no property length', 5, 0, '0001 61', 0x81],
    ['properties over the end', 5, 0, '0001 61 05 0100', 0x81],
    ['a property length of five bytes', 5, 0, '0001 61 8080808001', 0x81],
    ['no topic and no alias', 5, 0, '0000 00', 0x82],
    ['no topic in 3.1.1', 4, 0, '0000', 0x90],
    ['alias 0', 5, 0, '0001 61 03 230000', 0x94],
    ['alias twice', 5, 0, '0001 61 06 230001 230001', 0x82],
    ['a subscription identifier', 5, 0, '0001 61 02 0b01', 0x82],
    ['payload format 2', 5, 0, '0001 61 02 0102', 0x82],
    ['a response topic with a wildcard', 5, 0, '0001 61 04 0800012b', 0x90],
    ['an empty response topic', 5, 0, '0001 61 03 080000', 0x82],
    ['a content type that is not UTF-8', 5, 0, '0001 61 04 030001ff', 0x81],
    ['a property of CONNECT', 5, 0, '0001 61 05 1100000001', 0x82],
  ])('refuses: %s', (_, version, flags, text, reason) => {
    expect(reasonOf(() => read(version, flags, hex(text)))).toBe(reason);
  });

  test('refuses what is cut anywhere before the payload', () => {
    const bytes = Buffer.concat([field('topic'), u16(9), list(userProperty('k', 'v'))]);
    for (let end = 0; end < bytes.length; end += 1) {
      expect(reasonOf(() => read(5, 2, bytes.subarray(0, end)))).toBe(0x81);
    }
  });
});
