import { describe, expect, it } from 'vitest';
import { Ring } from '../../src/base/ring.ts';

describe('Ring', () => {
  it('is empty without slots, and after the last item left', () => {
    const ring = new Ring<number>();
    expect([ring.length, ring.peek(), ring.shift(), ring.at(0)]).toEqual([
      0,
      undefined,
      undefined,
      undefined,
    ]);
    ring.push(1);
    expect([ring.shift(), ring.shift(), ring.length]).toEqual([1, undefined, 0]);
  });

  it('keeps order while it wraps and grows', () => {
    const ring = new Ring<number>();
    const seen: number[] = [];
    let next = 0;
    for (let round = 0; round < 200; round += 1) {
      for (let i = 0; i < 7; i += 1) ring.push(next++);
      for (let i = 0; i < 5; i += 1) seen.push(ring.shift()!);
    }
    expect(ring.at(0)).toBe(seen.length);
    expect(ring.at(ring.length - 1)).toBe(next - 1);
    while (ring.length > 0) seen.push(ring.shift()!);
    expect(seen).toEqual(Array.from({ length: next }, (_, i) => i));
  });

  it('gives everything back on clear and can be used again', () => {
    const ring = new Ring<string>();
    for (let i = 0; i < 40; i += 1) ring.push('x');
    ring.clear();
    ring.push('y');
    expect([ring.length, ring.peek()]).toEqual([1, 'y']);
  });

  it('gives back what a burst needed', () => {
    const ring = new Ring<number>();
    for (let n = 0; n < 10_000; n += 1) ring.push(n);
    for (let n = 0; n < 10_000; n += 1) expect(ring.shift()).toBe(n);
    expect(ring.capacity).toBeLessThanOrEqual(16);
    ring.push(7);
    expect([ring.length, ring.shift(), ring.shift()]).toEqual([1, 7, undefined]);
  });
});
