import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { keyToFilter, keyToTopic, topicToKey } from '../../../src/engine/session/routing-key.ts';
import {
  isTopicFilter,
  isTopicName,
  parseTopicFilter,
  TopicNames,
  topicMatches,
} from '../../../protocols/mqtt/topic-name.ts';

describe('topic names', () => {
  test.each(['a', '/', '//', 'a/b', '/a', 'a/', ' ', 'A b', '$SYS/x', 'ä/😀', 'a.b', 'a*b'])(
    '%j may be published to',
    (topic) => expect(isTopicName(topic)).toBe(true),
  );

  test.each(['', '+', '#', 'a/+', 'a/#', 'a+b', 'a#', 'a\0b'])('%j may not', (topic) =>
    expect(isTopicName(topic)).toBe(false),
  );
});

describe('topic filters', () => {
  test.each(['#', '+', '/', 'a', 'a/#', '+/+', '/+', '+/#', 'a/+/b', 'a//b', '+/', '$SYS/#'])(
    '%j is one',
    (filter) => expect(isTopicFilter(filter)).toBe(true),
  );

  test.each(['', '#/', 'a#', '#a', 'a/#/b', 'a+', '+a', 'a/+b', 'a/b+/c', '##', '++', '+#', 'a\0'])(
    '%j is none',
    (filter) => expect(isTopicFilter(filter)).toBe(false),
  );

  test('the parts of a filter', () => {
    expect(parseTopicFilter('a/+/#')).toEqual({
      text: 'a/+/#',
      filter: 'a/+/#',
      shareName: undefined,
      queueName: undefined,
      bindingKey: 'a.*.#',
      hasWildcards: true,
      isWildcardFirst: false,
    });
    expect(parseTopicFilter('$share/g1/#')).toEqual({
      text: '$share/g1/#',
      filter: '#',
      shareName: 'g1',
      queueName: undefined,
      bindingKey: '#',
      hasWildcards: true,
      isWildcardFirst: true,
    });
    expect(parseTopicFilter('$share/g//a')?.filter).toBe('/a');
    expect(parseTopicFilter('$shared/g/a')?.shareName).toBeUndefined();
  });

  test.each(['$share/', '$share//a', '$share/g', '$share/g/', '$share/g+/a', '$share/#/a'])(
    '%j is no shared subscription [MQTT-4.8.2-1], [MQTT-4.8.2-2]',
    (filter) => expect(parseTopicFilter(filter)).toBeUndefined(),
  );

  test.each([
    ['$share/g/$queue/work', 'work'],
    ['$share/g/$queue/a/b.c', 'a/b.c'],
    ['$share/g/$queue', undefined],
    ['$share/g/$queues/work', undefined],
    ['$queue', undefined],
  ])('%j names the queue %j', (filter, queueName) => {
    expect(parseTopicFilter(filter)).toMatchObject({ queueName });
  });

  test.each([
    '$queue/work',
    '$queue/#',
    '$queue/',
    '$share/g/$queue/',
    '$share/g/$queue/+',
    '$share/g/$queue/#',
    '$share/g/$queue/a/#',
  ])('%j is not for subscribing', (filter) => expect(parseTopicFilter(filter)).toBeUndefined());
});

describe('matching', () => {
  test.each([
    ['sport/tennis/player1/#', 'sport/tennis/player1', true],
    ['sport/tennis/player1/#', 'sport/tennis/player1/ranking', true],
    ['sport/tennis/player1/#', 'sport/tennis/player1/score/wimbledon', true],
    ['sport/#', 'sport', true],
    ['sport/#', 'sports', false],
    ['#', 'a/b', true],
    ['#', '/', true],
    ['sport/tennis/+', 'sport/tennis/player1', true],
    ['sport/tennis/+', 'sport/tennis/player1/ranking', false],
    ['sport/+', 'sport', false],
    ['sport/+', 'sport/', true],
    ['+/+', '/finance', true],
    ['/+', '/finance', true],
    ['+', '/finance', false],
    ['a//b', 'a/b', false],
    ['a/+/b', 'a//b', true],
    ['A', 'a', false],
    ['a', 'a/', false],
    ['a/b', 'a', false],
    ['#', '$SYS/x', false],
    ['+/x', '$SYS/x', false],
    ['$SYS/#', '$SYS/x', true],
    ['$SYS/+', '$SYS/x', true],
    ['a/#', 'a/$b', true],
    ['a.b', 'aXb', false],
  ])('%s and %s: %s', (filter, topic, expected) => {
    expect(topicMatches(filter, topic)).toBe(expected);
  });

  test('as a plain model of levels', () => {
    const level = fc.constantFrom('a', 'b', '', '$x', 'a.b');
    const topics = fc.array(level, { minLength: 1, maxLength: 5 }).map((all) => all.join('/'));
    const filters = fc
      .array(fc.oneof(level, fc.constant('+')), { minLength: 1, maxLength: 5 })
      .chain((all) => fc.constantFrom(all.join('/'), [...all.slice(0, -1), '#'].join('/')));
    fc.assert(
      fc.property(filters, topics, (filter, topic) => {
        fc.pre(filter.length > 0 && topic.length > 0);
        expect(topicMatches(filter, topic)).toBe(modelMatches(filter.split('/'), topic.split('/')));
      }),
      { numRuns: 2_000 },
    );
  });
});

function modelMatches(filter: readonly string[], topic: readonly string[]): boolean {
  if (/^[+#]/.test(filter[0]!) && topic[0]!.startsWith('$')) return false;
  const isOpen = filter.at(-1) === '#';
  const fixed = isOpen ? filter.slice(0, -1) : filter;
  if (isOpen ? topic.length < fixed.length : topic.length !== fixed.length) return false;
  return fixed.every((level, i) => level === '+' || level === topic[i]);
}

describe('routing keys', () => {
  test.each([
    ['a/b/c', 'a.b.c'],
    ['sensors/room.1/temp', 'sensors.room/1.temp'],
    ['/a//b/', '.a..b.'],
    ['a/+/#', 'a.*.#'],
    ['v1.0/*', 'v1/0.+'],
    ['plain', 'plain'],
    ['$SYS/broker', '$SYS.broker'],
    ['ä/😀', 'ä.😀'],
  ])('%s is %s', (topic, key) => {
    expect(topicToKey(topic)).toBe(key);
    expect(keyToFilter(key)).toBe(topic);
  });

  test('every text comes back, at the same length', () => {
    const texts = fc.string({ unit: fc.constantFrom('a', '/', '.', '+', '*', '#', 'ä', '😀') });
    fc.assert(
      fc.property(texts, (text) => {
        expect(keyToFilter(topicToKey(text))).toBe(text);
        expect(topicToKey(keyToFilter(text))).toBe(text);
        expect(Buffer.byteLength(topicToKey(text))).toBe(Buffer.byteLength(text));
        // A name of one side that is a name of the other comes back as a name.
        if (isTopicName(text)) expect(keyToTopic(topicToKey(text))).toBe(text);
      }),
    );
  });

  test.each(['', 'a.*', 'a#', 'a\0b'])('%j is no topic name', (key) =>
    expect(keyToTopic(key)).toBeUndefined(),
  );

  test('levels are words: an AMQP pattern matches what the filter does', () => {
    const level = fc.constantFrom('a', 'b', '', 'a.b');
    const topics = fc.array(level, { minLength: 1, maxLength: 4 }).map((all) => all.join('/'));
    const filters = fc
      .array(fc.oneof(level, fc.constant('+')), { minLength: 1, maxLength: 4 })
      .map((all) => all.join('/'));
    fc.assert(
      fc.property(filters, topics, (filter, topic) => {
        fc.pre(filter.length > 0 && topic.length > 0);
        const pattern = topicToKey(filter).split('.');
        const words = topicToKey(topic).split('.');
        const isMatch =
          pattern.length === words.length && pattern.every((w, i) => w === '*' || w === words[i]);
        expect(isMatch).toBe(topicMatches(filter, topic));
      }),
    );
  });
});

describe('TopicNames', () => {
  test('proves once and gives the same object again', () => {
    const names = new TopicNames();
    const bytes = Buffer.from('..a/b.c..');
    const first = names.read(bytes, 2, 7);
    expect(first).toEqual({ text: 'a/b.c', routingKey: 'a.b/c', byteLength: 5, isDollar: false });
    expect(names.read(Buffer.from('a/b.c'), 0, 5)).toBe(first);
    expect(names.read(Buffer.from('$SYS/x'), 0, 6).isDollar).toBe(true);
  });

  test.each([
    ['wildcard', Buffer.from('a/#'), 0x90],
    ['empty', Buffer.alloc(0), 0x90],
    ['U+0000', Buffer.from('a\0'), 0x81],
    ['not UTF-8', Buffer.from([0xff]), 0x81],
    ['surrogate', Buffer.from([0xed, 0xa0, 0x80]), 0x81],
  ])('%s', (_, bytes, reasonCode) => {
    expect(() => new TopicNames().read(bytes, 0, bytes.length)).toThrow(
      expect.objectContaining({ reasonCode }),
    );
  });
});
