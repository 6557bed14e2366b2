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

  it('agrees with a stable sort, also after stale items were dropped', () => {
    const random = new SeededRandom(3);
    const heap = new DeadlineHeap<number>();
    let model: { key: number; id: number }[] = [];
    const sort = (): void => void model.sort((a, b) => a.key - b.key || a.id - b.id);
    for (let id = 0; id < 5_000; id += 1) {
      if (random.below(3) === 0 && model.length > 0) {
        sort();
        expect(heap.nextKey).toBe(model[0]!.key);
        expect(heap.pop()).toBe(model.shift()!.id);
      } else {
        const key = random.below(50);
        heap.push(key, id);
        model.push({ key, id });
      }
      if (id % 1_000 === 999) {
        heap.retain((_key, value) => value % 2 === 0);
        model = model.filter((item) => item.id % 2 === 0);
      }
    }
    sort();
    for (const { id } of model) expect(heap.pop()).toBe(id);
    expect(heap.length).toBe(0);
  });
});
