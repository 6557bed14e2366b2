import { expect, test } from 'vitest';
import { AssertionFailure } from '../../src/base/assert.ts';
import { ByteCache, TextCache } from '../../src/base/intern.ts';

function key(text: string): Buffer {
  return Buffer.from(text);
}

test('finds what was kept, by content and not by place', () => {
  const cache = new ByteCache<number>(16, 32);
  cache.set(key('..exchange..'), 2, 10, 1);
  expect(cache.get(key('exchange'), 0, 8)).toBe(1);
  expect(cache.get(key('exchangf'), 0, 8)).toBeUndefined();
  expect(cache.get(key('exchange'), 0, 7)).toBeUndefined();
});

test('keeps a copy of the key', () => {
  const cache = new ByteCache<number>(16, 32);
  const bytes = key('name');
  cache.set(bytes, 0, 4, 1);
  bytes.fill(0);
  expect(cache.get(key('name'), 0, 4)).toBe(1);
});

test('a newer value replaces the older', () => {
  const cache = new ByteCache<number>(16, 32);
  cache.set(key('a'), 0, 1, 1);
  cache.set(key('a'), 0, 1, 2);
  expect(cache.get(key('a'), 0, 1)).toBe(2);
});

test('two of one bucket live side by side; the older goes first', () => {
  const cache = new ByteCache<string>(2, 32);
  for (const name of ['a', 'b', 'c']) cache.set(key(name), 0, 1, name);
  expect(['a', 'b', 'c'].map((name) => cache.get(key(name), 0, 1))).toEqual([undefined, 'b', 'c']);
});

test('an entry displaced and set again is current', () => {
  const cache = new ByteCache<number>(2, 32);
  cache.set(key('a'), 0, 1, 1);
  cache.set(key('b'), 0, 1, 2);
  cache.set(key('a'), 0, 1, 3);
  expect(cache.get(key('a'), 0, 1)).toBe(3);
});

test('is bounded: slots and key size', () => {
  const cache = new ByteCache<number>(8, 4);
  for (let i = 0; i < 1_000; i += 1) cache.set(key(String(i)), 0, String(i).length, i);
  let kept = 0;
  for (let i = 0; i < 1_000; i += 1) {
    const value = cache.get(key(String(i)), 0, String(i).length);
    if (value === undefined) continue;
    expect(value).toBe(i);
    kept += 1;
  }
  expect(kept).toBeLessThanOrEqual(8);
  cache.set(key('12345'), 0, 5, 1);
  expect(cache.get(key('12345'), 0, 5)).toBeUndefined();
  cache.clear();
  expect(cache.get(key('999'), 0, 3)).toBeUndefined();
});

test('the slot count is a power of two', () => {
  expect(() => new ByteCache(12, 4)).toThrow(AssertionFailure);
});

test('texts', () => {
  const texts = new TextCache();
  const long = 'x'.repeat(200);
  for (const text of ['', 'a', 'grüße', long, 'a']) {
    const bytes = key(text);
    expect(texts.read(bytes, 0, bytes.length)).toBe(text);
  }
  expect(texts.read(Buffer.from([0xff]), 0, 1)).toBeUndefined();
});
