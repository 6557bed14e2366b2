import { describe, expect, test } from 'vitest';
import { DeadlineHeap } from '../../src/base/deadline-heap.ts';
import { SeededRandom } from '../support/seeded-random.ts';

function drain<T>(heap: DeadlineHeap<T>): T[] {
  const out: T[] = [];
  while (heap.length > 0) out.push(heap.pop()!);
  return out;
}

describe('DeadlineHeap', () => {
  test('agrees with a stable sort under random use', () => {
    const random = new SeededRandom(3);
    const heap = new DeadlineHeap<number>();
    let model: { key: number; id: number }[] = [];
    for (let id = 0; id < 5_000; id += 1) {
      if (random.below(3) === 0 && model.length > 0) {
        model.sort((a, b) => a.key - b.key || a.id - b.id);
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
    model.sort((a, b) => a.key - b.key || a.id - b.id);
    expect(drain(heap)).toEqual(model.map((item) => item.id));
  });

  test('empty', () => {
    const heap = new DeadlineHeap<string>();
    expect([heap.nextKey, heap.peek(), heap.pop()]).toEqual([Infinity, undefined, undefined]);
    heap.push(1, 'a');
    heap.clear();
    expect(heap.length).toBe(0);
  });
});
