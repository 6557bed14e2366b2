import { describe, expect, test } from 'vitest';
import {
  bytes,
  bytesOrShare,
  CIDR,
  choice,
  duration,
  formatBytes,
  integer,
  listOf,
  type OptionType,
  OptionValueError,
  ORIGIN,
  PORT,
  SWITCH,
  text,
  VERSION,
} from '../../src/server/option-types.ts';
import { OPTION_KEYS, optionOf } from '../../src/server/options.ts';

const ANY_SIZE = bytes(0, Number.MAX_SAFE_INTEGER);
const MIB = 1024 * 1024;

const ACCEPTED: readonly [string, OptionType<unknown>, unknown, unknown][] = [
  ['integer', integer(1, 10), '10', 10],
  ['integer from a file', integer(1, 10), 1, 1],
  ['port', PORT, '0', 0],
  ['port off', PORT, 'off', 'off'],
  ['port false', PORT, false, 'off'],
  ['bytes', ANY_SIZE, '1048576', MIB],
  ['MiB', ANY_SIZE, '64MiB', 64 * MIB],
  ['MB', ANY_SIZE, '64 MB', 64e6],
  ['a bare letter is binary', ANY_SIZE, '1g', 1024 * MIB],
  ['half a GiB', ANY_SIZE, '0.5GiB', 512 * MIB],
  ['share', bytesOrShare(1000), '60%', 600],
  ['size instead of a share', bytesOrShare(1000), '2k', 2048],
  ['seconds', duration(0, 100_000), '10', 10_000],
  ['milliseconds', duration(0, 100_000), '500ms', 500],
  ['minutes', duration(0, 100_000), '1.5m', 90_000],
  ['version', VERSION, '4.3.6', '4.3.6'],
  ['version of a build', VERSION, '3.13.7-rc.1', '3.13.7-rc.1'],
  ['choice', choice('a', 'b'), 'b', 'b'],
  ['switch', SWITCH, 'yes', true],
  ['switch from a file', SWITCH, false, false],
  ['list', listOf(text('x')), 'a, b', ['a', 'b']],
  ['repeated list', listOf(text('x')), ['a', 'b,c'], ['a', 'b', 'c']],
  ['empty list', listOf(text('x')), 'none', []],
  ['block', CIDR, '10.0.0.0/8', { address: '10.0.0.0', prefixBits: 8 }],
  ['address', CIDR, '::1', { address: '::1', prefixBits: 128 }],
  ['origin', ORIGIN, 'https://App.example.com', 'https://app.example.com'],
  ['origin with a port', ORIGIN, 'http://localhost:8080', 'http://localhost:8080'],
  ['every origin', ORIGIN, '*', '*'],
];

const REFUSED: readonly [string, OptionType<unknown>, unknown][] = [
  ['below', integer(1, 10), '0'],
  ['above', integer(1, 10), '11'],
  ['a fraction', integer(1, 10), '1.5'],
  ['hexadecimal', integer(1, 100), '0x10'],
  ['a list', integer(1, 10), [1]],
  ['a port above', PORT, '65536'],
  ['a negative port', PORT, '-1'],
  ['an unknown unit', ANY_SIZE, '1 parsec'],
  ['a size above', bytes(0, 10), '11'],
  ['no share', bytesOrShare(1000), '0%'],
  ['more than all', bytesOrShare(1000), '101%'],
  ['a long time', duration(0, 1000), '2s'],
  ['a year', duration(0, 1000), '1y'],
  ['no version', VERSION, 'latest'],
  ['half a version', VERSION, '4.3'],
  ['a word', choice('a', 'b'), 'c'],
  ['maybe', SWITCH, 'maybe'],
  ['a host name', CIDR, 'localhost/8'],
  ['too many bits', CIDR, '10.0.0.0/33'],
  ['two slashes', CIDR, '10.0.0.0/8/8'],
  ['a page', ORIGIN, 'https://app.example.com/page'],
  ['a host without a scheme', ORIGIN, 'app.example.com'],
  ['a file', ORIGIN, 'file:///page.html'],
  ['nothing', text('x'), ''],
];

describe('option types', () => {
  test.each(ACCEPTED)('accept %s', (_name, type, raw, value) => {
    expect(type.parse(raw)).toEqual(value);
  });

  test.each(REFUSED)('refuse %s', (_name, type, raw) => {
    expect(() => type.parse(raw)).toThrow(OptionValueError);
  });

  test('sizes are printed in the largest unit that divides them', () => {
    expect(formatBytes(64 * MIB)).toBe('64MiB');
    expect(formatBytes(1000)).toBe('1000');
    expect(formatBytes(0)).toBe('0');
  });
});

test.each(OPTION_KEYS)('%s: the default fits its type and prints back', (key) => {
  const { type, default: defaultText, doc } = optionOf(key);
  const value = type.parse(defaultText);
  expect(type.parse(type.format(value))).toEqual(value);
  expect(doc).toMatch(/\.$/);
});
