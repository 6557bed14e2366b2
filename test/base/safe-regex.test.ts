import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BrokerError } from '../../src/base/errors.ts';
import {
  REGEX_PATTERN_MAX,
  compileSafeRegex,
  escapeRegex,
  findRegexProblem,
} from '../../src/base/safe-regex.ts';
import { cpuMs } from '../support/cpu-time.ts';

const FINE = [
  '',
  '.*',
  '^amq\\.',
  '^(a|b)+$',
  '[(?=]',
  '\\(?=',
  '(?:x)',
  '(?<n>x)',
  '[\\1]',
  'a{3,5}',
  'a{b',
  '\\d+',
  'ä',
  '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$',
  '((((a+)+)+)+)*',
];

const REFUSED = [
  '(a)\\1',
  '(?<n>a)\\k<n>',
  '(?=a)',
  '(?!a)',
  '(?<=a)b',
  '(?<!a)b',
  '(',
  '[',
  'a**',
  'a{100000}',
  '((a{200}){200}){200}',
  '(((((a+)+)+)+)+)+',
  `${'('.repeat(100)}a${')'.repeat(100)}`,
];

/** Freeze a backtracking engine, each for another reason. */
const FREEZING = [
  '^(a+)+$',
  '^(a|a)*$',
  '^(.*a){20}$',
  '(x+x+)+y',
  '^(([a-z])+.)+[A-Z]([a-z])+$',
  '^(a?){30}a{30}b$',
  '(.*)*(.*)*(.*)*b',
  '^(a{1,10}){1,50}$',
  '((((a+)+)+)+)b',
  '(a+)+[0-9a-f]{32}$',
  '^a{0,30}a{0,30}a{0,30}a{0,30}a{0,30}a{0,30}b$',
];

describe('compileSafeRegex', () => {
  it.each(FINE)('accepts %j', (pattern) => {
    expect(findRegexProblem(pattern)).toBeUndefined();
  });

  it.each(REFUSED)('refuses %j', (pattern) => {
    expect(findRegexProblem(pattern)).toBeDefined();
    expect(() => compileSafeRegex(pattern)).toThrow('invalid regular expression: ');
  });

  it('says once that a pattern is invalid, and why', () => {
    const sentence = 'invalid regular expression: /(/: Unterminated group';
    expect(() => compileSafeRegex('(')).toThrow(new BrokerError('PRECONDITION_FAILED', sentence));
  });

  it('refuses long patterns', () => {
    expect(findRegexProblem('a'.repeat(REGEX_PATTERN_MAX))).toBeUndefined();
    expect(findRegexProblem('a'.repeat(REGEX_PATTERN_MAX + 1))).toContain('longer than');
  });

  it.each(FREEZING)('runs %j in bounded time', (pattern) => {
    const regex = compileSafeRegex(pattern);
    const startedAt = cpuMs();
    regex.test(`${'a'.repeat(254)}!`);
    regex.test('x'.repeat(255));
    expect(cpuMs() - startedAt).toBeLessThan(10_000);
  });

  it('matches what the pattern as given matches', () => {
    const atom = fc.constantFrom(
      'a',
      'b',
      '.',
      '[ab]',
      '[^a]',
      '\\w',
      '\\u0061',
      '\\x62',
      '[\\]b]',
    );
    const count = fc.constantFrom(
      '',
      '',
      '*',
      '+',
      '?',
      '{0}',
      '{2}',
      '{1,}',
      '{0,2}',
      '{2,3}?',
      '*?',
    );
    const { regex } = fc.letrec<{ regex: string; group: string; item: string }>((tie) => ({
      group: fc
        .tuple(fc.constantFrom('(', '(?:'), tie('regex'))
        .map(([open, inside]) => `${open}${inside})`),
      item: fc
        .tuple(fc.oneof({ maxDepth: 3 }, atom, tie('group')), count)
        .map(([part, quantifier]) => part + quantifier),
      regex: fc
        .array(fc.array(tie('item'), { maxLength: 3 }), { minLength: 1, maxLength: 2 })
        .map((branches) => branches.map((items) => items.join('')).join('|')),
    }));
    const subject = fc.string({ unit: fc.constantFrom('a', 'b', ']', '\n'), maxLength: 6 });
    fc.assert(
      fc.property(regex, subject, (inside, text) => {
        const pattern = `^(${inside})$`;
        if (findRegexProblem(pattern) !== undefined) return;
        expect(compileSafeRegex(pattern).test(text)).toBe(new RegExp(pattern).test(text));
      }),
      { numRuns: 1000 },
    );
  });
});

describe('escapeRegex', () => {
  it('makes any text match itself and nothing else', () => {
    const text = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom('.*', 'a|b', '[', 'a-z'),
    );
    fc.assert(
      fc.property(text, fc.string(), (wanted, other) => {
        const regex = new RegExp(`^${escapeRegex(wanted)}$`);
        expect(regex.test(wanted)).toBe(true);
        expect(regex.test(other)).toBe(wanted === other);
      }),
    );
    expect(new RegExp(`^[${escapeRegex('a-c]')}]$`).test('b')).toBe(false);
  });
});
