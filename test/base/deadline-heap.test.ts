import { describe, expect, it } from 'vitest';
import { DeadlineHeap } from '../../src/base/deadline-heap.ts';
import { SeededRandom } from '../support/seeded-random.ts';

describe('DeadlineHeap', () => {
  it('pops values by rising key whatever the order of pushing', () => {
    const random = new SeededRandom(3);
    const heap = new DeadlineHeap<number>();
    const keys = Array.from({ length: 500 }, () => random.below(100));
    for (const key of keys) heap.push(key, key);
    const popped: number[] = [];
    while (heap.length > 0) {
      expect(heap.nextKey).toBe(heap.peek());
      popped.push(heap.pop()!);
    }
    expect(popped).toEqual([...keys].sort((a, b) => a - b));
    expect([heap.nextKey, heap.pop()]).toEqual([Infinity, undefined]);
  });
});
