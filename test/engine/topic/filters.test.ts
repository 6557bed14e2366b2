import { describe, expect, it } from 'vitest';
import { EMPTY_TABLE, type FieldTable, type FieldValue } from '../../../src/base/field-value.ts';
import { createExchange } from '../../../src/engine/exchange/exchange-types.ts';
import type { Destination, RoutedMessage } from '../../../src/engine/exchange/exchange.ts';
import { SeededRandom } from '../../support/seeded-random.ts';
import { TopicFixture } from './topic-fixture.ts';

function tagsExchange() {
  const options = {
    name: 'T',
    isDurable: true,
    isAutoDelete: false,
    isInternal: false,
    arguments: EMPTY_TABLE,
  };
  return createExchange('x-tags', options, { random: new SeededRandom(1) });
}

function tagged(tags: FieldValue | undefined): RoutedMessage {
  const headers: FieldTable | undefined =
    tags === undefined ? undefined : new Map([['x-msg-tag', tags]]);
  return { headers: () => headers, properties: () => ({}) };
}

function wants(...tags: string[]): FieldTable {
  return new Map([['x-tags', tags]]);
}

function matched(exchange: ReturnType<typeof tagsExchange>, tags: FieldValue | undefined) {
  const out: Destination[] = [];
  exchange.match('', tagged(tags), out);
  return out.map(({ name }) => name).sort();
}

const all = { name: 'all', isExchange: false };
const red = { name: 'red', isExchange: false };

describe('x-tags', () => {
  it.each<[string, FieldTable, FieldValue | undefined, boolean]>([
    ['no filter, no tags', EMPTY_TABLE, undefined, true],
    ['no filter, tags', EMPTY_TABLE, ['a'], true],
    ['an empty filter, tags', wants(), ['a'], true],
    ['a filter, no tags', wants('a'), undefined, false],
    ['a filter, an empty list', wants('a'), [], false],
    ['a filter, other tags', wants('a', 'b'), ['c', 'd'], false],
    ['a filter, one in common', wants('a', 'b'), ['c', 'b'], true],
    ['case counts', wants('a'), ['A'], false],
    ['one text', new Map([['x-tags', 'a']]), ['a'], true],
    ['tags as one text, as MQTT has them', wants('b'), 'a, b', true],
    ['tags that are no texts', wants('a'), [1, true, null], false],
    ['a table instead of tags', wants('a'), new Map(), false],
  ])('%s', (_, args, tags, isMatch) => {
    const exchange = tagsExchange();
    exchange.bind(red, '', args);
    expect(matched(exchange, tags)).toEqual(isMatch ? ['red'] : []);
    exchange.unbind(red, '', args);
    expect(matched(exchange, tags)).toEqual([]);
    expect(exchange.bindingCount).toBe(0);
  });

  it('offers a message to each destination once', () => {
    const exchange = tagsExchange();
    exchange.bind(all, '', EMPTY_TABLE);
    exchange.bind(all, '', wants('a'));
    exchange.bind(red, '', wants('a', 'b'));
    exchange.bind(red, 'other', wants('b'));
    expect(matched(exchange, ['a', 'b'])).toEqual(['all', 'red']);
    exchange.unbind(red, '', wants('a', 'b'));
    expect(matched(exchange, ['a'])).toEqual(['all']);
    expect(matched(exchange, ['b'])).toEqual(['all', 'red']);
  });

  it.each<[string, FieldValue]>([
    ['a number', 7],
    ['a table', new Map()],
    ['numbers in the list', ['a', 7]],
    ['an empty text', ['']],
    ['too many', Array.from({ length: 65 }, (_, index) => `${index}`)],
  ])('refuses %s as a filter', (_, value) => {
    const exchange = tagsExchange();
    expect(() => exchange.bind(red, '', new Map([['x-tags', value]]))).toThrow(/x-tags/);
    expect(exchange.bindingCount).toBe(0);
  });

  it('agrees with the definition on 10,000 random pairs', () => {
    const random = new SeededRandom(11);
    const some = () =>
      Array.from({ length: random.below(6) }, () => 'abcdefgh'.charAt(random.below(8)));
    for (let round = 0; round < 10_000; round += 1) {
      const exchange = tagsExchange();
      const [filter, tags] = [some(), some()];
      exchange.bind(red, '', wants(...filter));
      const isMatch = filter.length === 0 || filter.some((tag) => tags.includes(tag));
      expect(matched(exchange, tags)).toEqual(isMatch ? ['red'] : []);
    }
  });
});

/** The definition of reference 2.5: words against pattern words, from the left. */
function isKeyMatch(pattern: readonly string[], key: readonly string[]): boolean {
  const [word, ...rest] = pattern;
  if (word === undefined) return key.length === 0;
  if (word === '#') {
    return isKeyMatch(rest, key) || (key.length > 0 && isKeyMatch(pattern, key.slice(1)));
  }
  if (key.length === 0) return false;
  return (word === '*' || word === key[0]) && isKeyMatch(rest, key.slice(1));
}

describe('binding keys', () => {
  it.each([
    ['1.*.0', '1.x.0', true],
    ['1.*.0', '1.0', false],
    ['1.*.0', '1.x.y.0', false],
    ['1.#.0', '1.2.3.4.4.2.2.0', true],
    ['1.#.0', '1.0', true],
    ['1.#.0', '1.0.1', false],
    ['#', 'anything.at.all', true],
    ['*', 'one', true],
    ['*', 'one.two', false],
    ['*.*', 'one.two', true],
    ['a.b', 'a.b', true],
    ['a.b', 'A.b', false],
    [`${'a.'.repeat(15)}a`, `${'a.'.repeat(15)}a`, true],
  ])('%s and %s: %s', async (pattern, key, isMatch) => {
    const fixture = await TopicFixture.open();
    fixture.engine.queue('q');
    fixture.subscribe(fixture.topic('T', 2), 'q', { bindingKeys: [pattern] });
    fixture.publish('T', key, 'm');
    expect(fixture.drain('q')).toEqual(isMatch ? ['m'] : []);
  });

  it('are combined by or: one copy however many match', async () => {
    const fixture = await TopicFixture.open();
    fixture.engine.queue('q');
    fixture.subscribe(fixture.topic('T', 2), 'q', { bindingKeys: ['a.*', '#.b', '#', 'a.b'] });
    fixture.publish('T', 'a.b', 'm');
    expect(fixture.drain('q')).toEqual(['m']);
  });

  it('agree with the definition and with a topic exchange on 10,000 random pairs', async () => {
    const fixture = await TopicFixture.open();
    const random = new SeededRandom(23);
    const words = (choice: string, count: number) =>
      Array.from({ length: count }, () => choice.charAt(random.below(choice.length)));
    fixture.engine.exchange('amqp', 'topic');
    const topic = fixture.topic('T', 2);
    const patterns = new Set<string>();
    while (patterns.size < 100) {
      const pattern = words('abc*#', 1 + random.below(6));
      if (pattern.filter((word) => word === '#').length <= 2) patterns.add(pattern.join('.'));
    }
    const names = [...patterns].map((pattern, index) => [`q${index}`, pattern] as const);
    for (const [name, pattern] of names) {
      fixture.engine.queue(name);
      fixture.engine.queue(`amqp-${name}`);
      fixture.subscribe(topic, name, { bindingKeys: [pattern] });
      fixture.engine.bind(`amqp-${name}`, 'amqp', pattern);
    }
    for (let round = 0; round < 100; round += 1) {
      const key = words('abcd', 1 + random.below(6)).join('.');
      fixture.publish('T', key, key);
      fixture.publish('amqp', key, key);
      for (const [name, pattern] of names) {
        const isMatch = isKeyMatch(pattern.split('.'), key.split('.'));
        const expected = isMatch ? [key] : [];
        expect(fixture.drain(name), `${pattern} ${key}`).toEqual(expected);
        expect(fixture.drain(`amqp-${name}`), `${pattern} ${key}`).toEqual(expected);
      }
    }
  });
});
