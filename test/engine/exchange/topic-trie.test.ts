import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  AMQP_SYNTAX,
  MQTT_SYNTAX,
  TopicTrie,
  type TopicSyntax,
} from '../../../src/engine/exchange/topic-trie.ts';
import { cpuMs } from '../../support/cpu-time.ts';

/** The definition of a match, written for clearness: words against pattern words, from the left. */
function isMatch(
  pattern: readonly string[],
  name: readonly string[],
  syntax: TopicSyntax,
): boolean {
  const [word, ...rest] = pattern;
  if (word === undefined) return name.length === 0;
  if (word === syntax.anyWords) {
    return (
      isMatch(rest, name, syntax) || (name.length > 0 && isMatch(pattern, name.slice(1), syntax))
    );
  }
  if (name.length === 0) return false;
  return (word === syntax.oneWord || word === name[0]) && isMatch(rest, name.slice(1), syntax);
}

function words(text: string): string[] {
  return text === '' ? [] : text.split('.');
}

function matches(trie: TopicTrie<string>, name: string): string[] {
  const out: string[] = [];
  trie.match(name, out);
  return [...new Set(out)].sort();
}

const amqpPattern = fc
  .array(fc.constantFrom('a', 'b', 'c', '', '*', '#'), { minLength: 1, maxLength: 6 })
  .map((words) => words.join('.'));
const amqpName = fc
  .array(fc.constantFrom('a', 'b', 'c', '', 'd'), { minLength: 1, maxLength: 6 })
  .map((words) => words.join('.'));

describe('TopicTrie', () => {
  it('agrees with the definition on any patterns and names', () => {
    fc.assert(
      fc.property(fc.array(amqpPattern, { maxLength: 12 }), amqpName, (patterns, name) => {
        const trie = new TopicTrie<string>(AMQP_SYNTAX);
        for (const pattern of patterns) trie.add(pattern, pattern);
        const expected = patterns.filter((pattern) =>
          isMatch(words(pattern), words(name), AMQP_SYNTAX),
        );
        expect(matches(trie, name)).toEqual([...new Set(expected)].sort());
      }),
      { numRuns: 500 },
    );
  });

  it('forgets what is removed and keeps the rest', () => {
    const steps = fc.array(fc.tuple(fc.boolean(), amqpPattern), { maxLength: 30 });
    fc.assert(
      fc.property(steps, amqpName, (operations, name) => {
        const trie = new TopicTrie<string>(AMQP_SYNTAX);
        const live = new Map<string, number>();
        for (const [isAdd, pattern] of operations) {
          const count = live.get(pattern) ?? 0;
          if (isAdd) {
            trie.add(pattern, pattern);
            live.set(pattern, count + 1);
          } else {
            expect(trie.remove(pattern, pattern)).toBe(count > 0);
            live.set(pattern, Math.max(0, count - 1));
          }
        }
        const expected = [...live]
          .filter(([, count]) => count > 0)
          .map(([pattern]) => pattern)
          .filter((pattern) => isMatch(words(pattern), words(name), AMQP_SYNTAX));
        expect(matches(trie, name)).toEqual(expected.sort());
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    ['#', '', true],
    ['*', '', false],
    ['*.#', '', false],
    ['', 'a', false],
    ['', '', true],
    ['*', 'a.b', false],
    ['a.#', 'a', true],
    ['a.#', 'a.b.c', true],
    ['a.#', 'ab', false],
    ['#.a', 'a', true],
    ['*.*', '.', true],
    ['a.*', 'a.', true],
    ['a.*', 'a', false],
    ['#.#', 'a.b.c', true],
    ['#.*.#', '', false],
    ['*.#.*', 'a', false],
  ])('pattern %j on %j: %j', (pattern, name, expected) => {
    const trie = new TopicTrie<string>(AMQP_SYNTAX);
    trie.add(pattern, 'v');
    expect(matches(trie, name).length > 0).toBe(expected);
  });

  it('matches MQTT filters (MQTT 5, 4.7.1)', () => {
    const trie = new TopicTrie<string>(MQTT_SYNTAX);
    for (const filter of ['sport/#', 'sport/+', '+', '/+', '+/+', 'sport/tennis/player1/#']) {
      trie.add(filter, filter);
    }
    expect(matches(trie, 'sport')).toEqual(['+', 'sport/#']);
    expect(matches(trie, 'sport/')).toEqual(['+/+', 'sport/#', 'sport/+']);
    expect(matches(trie, '/finance')).toEqual(['+/+', '/+']);
    expect(matches(trie, 'sport/tennis/player1')).toEqual(['sport/#', 'sport/tennis/player1/#']);
  });

  it('does bounded work on patterns made of wildcards', () => {
    const trie = new TopicTrie<number>(AMQP_SYNTAX);
    for (let i = 1; i <= 40; i++) trie.add('#.a.'.repeat(i) + '#', i);
    for (let i = 1; i <= 40; i++) trie.add('#.*.'.repeat(i) + 'b', i);
    const name = 'a.'.repeat(127) + 'a';
    const startedAt = cpuMs();
    const out: number[] = [];
    trie.match(name, out);
    expect(out.length).toBe(40);
    expect(cpuMs() - startedAt).toBeLessThan(5_000);
  });
});
