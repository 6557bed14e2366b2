/** Input made to hurt: it is refused with the right code, in bounded time and memory. */
import { describe, expect, test } from 'vitest';
import { readSubscribe } from '../../../protocols/mqtt/client-packets.ts';
import { readConnect } from '../../../protocols/mqtt/connect-packet.ts';
import { MqttError } from '../../../protocols/mqtt/mqtt-errors.ts';
import { PacketParser } from '../../../protocols/mqtt/packet-parser.ts';
import { readUserProperties } from '../../../protocols/mqtt/properties.ts';
import { PublishFields, readPublish } from '../../../protocols/mqtt/publish-packet.ts';
import { topicToKey } from '../../../src/engine/session/routing-key.ts';
import { parseTopicFilter, TopicNames, topicMatches } from '../../../protocols/mqtt/topic-name.ts';
import { CONNECT_5, bodyOf, field, hex, list, packet, userProperty } from './wire.ts';
import { cpuMs } from '../../support/cpu-time.ts';

/** Ms of CPU time. A dozen times what the longest takes, below what a square of its size would. */
const TIME_MS_MAX = 2_000;

function within<T>(run: () => T): T {
  const before = cpuMs();
  const result = run();
  expect(cpuMs() - before).toBeLessThan(TIME_MS_MAX);
  return result;
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

const fields = new PublishFields();

function publish(bytes: Buffer): PublishFields {
  readPublish(5, 0, bytes, 0, bytes.length, fields);
  return fields;
}

describe('hostile input', () => {
  test('a topic of 65,535 bytes', () => {
    const topic = 'a'.repeat(65_535);
    const bytes = Buffer.concat([field(topic), hex('00')]);
    within(() => {
      const { topicStart, topicEnd } = publish(bytes);
      expect(new TopicNames().read(bytes, topicStart, topicEnd).text).toBe(topic);
    });
  });

  test('10,000 and 65,535 levels', () => {
    for (const levels of [10_000, 65_535]) {
      const topic = '/'.repeat(levels);
      const filter = `${'+/'.repeat(levels)}+`;
      within(() => {
        expect(topicToKey(topic)).toBe('.'.repeat(levels));
        expect(parseTopicFilter(filter)?.filter).toBe(filter);
        expect(topicMatches(filter, topic)).toBe(true);
        expect(topicMatches(`${filter}/x`, topic)).toBe(false);
      });
    }
  });

  test('100,000 user properties: found without making one of them', () => {
    const one = userProperty('k', 'v');
    const bytes = Buffer.concat([field('t'), list(...new Array<Buffer>(100_000).fill(one))]);
    const { properties } = within(() => publish(bytes));
    expect(properties.userCount).toBe(100_000);
    const { userStart, userEnd } = properties;
    expect(within(() => readUserProperties(bytes, userStart, userEnd, 3))).toHaveLength(100_000);
    const between = Buffer.concat([
      field('t'),
      list(hex('23 0001'), ...new Array<Buffer>(100_000).fill(one)),
    ]);
    within(() => {
      const found = publish(between).properties;
      const target = Buffer.alloc(found.forwardedBytes);
      expect(found.copyForwarded(between, target, 0, 3)).toBe(700_000);
    });
  });

  test('a SUBSCRIBE of 200,000 filters', () => {
    const one = Buffer.concat([field('a'), hex('00')]);
    const bytes = Buffer.concat([hex('0001 00'), ...new Array<Buffer>(200_000).fill(one)]);
    const { requests } = within(() => readSubscribe(5, bytes, 0, bytes.length));
    expect(requests).toHaveLength(200_000);
  });

  test('1 MiB of PINGREQ, and byte by byte', () => {
    let count = 0;
    const parser = new PacketParser({ onPacket: () => (count += 1) });
    parser.push(CONNECT_5);
    const pings = Buffer.alloc(1 << 20);
    for (let i = 0; i < pings.length; i += 2) pings[i] = 0xc0;
    within(() => parser.push(pings));
    within(() => {
      for (let i = 0; i < 200_000; i += 1) parser.push(pings.subarray(i, i + 1));
    });
    expect(count).toBe(1 + (1 << 19) + 100_000);
  });

  test('a packet of 1 MiB byte by byte is copied about once', () => {
    let bytes = 0;
    const parser: PacketParser = new PacketParser({
      onPacket: (_type, _flags, _buf, start, end) => {
        bytes = end - start;
      },
    });
    parser.push(CONNECT_5);
    parser.setPacketBytesMax(2 << 20);
    const large = packet(0x30, field('t'), hex('00'), Buffer.alloc(1 << 20));
    const before = cpuMs();
    for (let i = 0; i < large.length; i += 1) parser.push(large.subarray(i, i + 1));
    // A square would take hours.
    expect(cpuMs() - before).toBeLessThan(20_000);
    expect(bytes).toBe((1 << 20) + 4);
  });

  test.each([
    ['overlong slash', 'c0af'],
    ['overlong of three bytes', 'e080af'],
    ['high surrogate', 'eda080'],
    ['low surrogate', 'edbfbf'],
    ['surrogate pair', 'eda081edb080'],
    ['above U+10FFFF', 'f4908080'],
    ['five bytes', 'f888808080'],
    ['a lone continuation', '80'],
    ['cut short', 'f09f98'],
    ['U+0000', '00'],
  ])('text that is not: %s', (_, text) => {
    const bad = hex(text);
    const topic = Buffer.concat([field(bad), hex('00')]);
    const names = new TopicNames();
    expect(reasonOf(() => names.read(topic, 2, 2 + bad.length))).toBe(0x81);
    const connect = Buffer.concat([field('MQTT'), hex('05 02 0000 00'), field(bad)]);
    expect(reasonOf(() => readConnect(connect, 0, connect.length))).toBe(0x81);
    const subscribe = Buffer.concat([hex('0001 00'), field(bad), hex('00')]);
    expect(reasonOf(() => readSubscribe(5, subscribe, 0, subscribe.length))).toBe(0x81);
  });

  test('control and non-characters are let through', () => {
    for (const text of ['\u{1}', '\u{1f}', '\u{7f}', '\u{9f}', '\u{ffff}', '\u{10ffff}']) {
      const bytes = Buffer.from(text);
      expect(new TopicNames().read(bytes, 0, bytes.length).text).toBe(text);
    }
  });

  test('lengths that lie, in every field of a CONNECT', () => {
    const body = Buffer.concat([
      ...[field('MQTT'), hex('05 c6 0000'), list(userProperty('k', 'v')), field('client')],
      ...[list(userProperty('w', 'x')), field('will'), field('gone'), field('u'), field('p')],
    ]);
    expect(reasonOf(() => readConnect(body, 0, body.length))).toBe(0);
    for (let i = 0; i < body.length; i += 1) {
      const lie = Buffer.from(body);
      lie[i] = 0xff;
      // Refused, or one of the bytes that may be anything.
      const reason = reasonOf(() => readConnect(lie, 0, lie.length));
      expect([0, 0x81, 0x82, 0x84, 0x90]).toContain(reason);
    }
  });

  test('nobody reads over the end: what lies behind a packet never matters', () => {
    const body = bodyOf(CONNECT_5);
    const padded = Buffer.concat([hex('ffff'), body, Buffer.alloc(64, 'a')]);
    const expected = readConnect(body, 0, body.length);
    expect(readConnect(padded, 2, 2 + body.length)).toEqual(expected);
    for (let end = 2; end < 2 + body.length; end += 1) {
      expect(reasonOf(() => readConnect(padded, 2, end))).toBe(0x81);
    }
  });
});
