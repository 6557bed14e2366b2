import { expect, test } from 'vitest';
import { Ring } from '../../src/base/ring.ts';

test('keeps order over growth and wrapping', () => {
  const ring = new Ring<number>();
  let next = 0;
  let expected = 0;
  for (let round = 0; round < 100; round += 1) {
    for (let n = 0; n < round; n += 1) ring.push(next++);
    expect([ring.peek(), ring.peekLast(), ring.at(ring.length)]).toEqual([
      ring.length === 0 ? undefined : expected,
      ring.length === 0 ? undefined : next - 1,
      undefined,
    ]);
    for (let n = 0; n < round - 1; n += 1) expect(ring.shift()).toBe(expected++);
  }
  expect(ring.length).toBe(next - expected);
});

test('gives back what a burst needed', () => {
  const ring = new Ring<number>();
  for (let n = 0; n < 10_000; n += 1) ring.push(n);
  for (let n = 0; n < 10_000; n += 1) expect(ring.shift()).toBe(n);
  expect(ring.capacity).toBeLessThanOrEqual(16);
  ring.push(7);
  expect([ring.length, ring.shift(), ring.shift()]).toEqual([1, 7, undefined]);
});
