import { describe, expect, it } from 'vitest';
import { DueHeap } from '../../src/base/due-heap.ts';
import { SeededRandom } from '../support/seeded-random.ts';

type Item = readonly [time: number, number: number];

function itemsOf(heap: DueHeap): Item[] {
  const items: Item[] = [];
  for (; heap.length > 0; heap.pop()) items.push([heap.nextTime, heap.nextNumber]);
  return items;
}

function sorted(items: readonly Item[]): Item[] {
  return [...items].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
}

function filled(count: number): { heap: DueHeap; items: Item[] } {
  const random = new SeededRandom(11);
  const heap = new DueHeap();
  const items: Item[] = Array.from({ length: count }, () => [random.below(50), random.below(1e6)]);
  for (const [time, number] of items) heap.push(time, number);
  return { heap, items };
}

describe('DueHeap', () => {
  it('gives memory back as it empties', () => {
    const { heap, items } = filled(100_000);
    const full = heap.byteCount;
    const expected = sorted(items);
    for (const [time, number] of expected.slice(0, 99_000)) {
      expect(heap.nextTime === time && heap.nextNumber === number).toBe(true);
      heap.pop();
    }
    expect(heap.byteCount).toBeLessThan(full / 30);
    expect(itemsOf(heap)).toEqual(expected.slice(99_000));
    const other = filled(100_000).heap;
    other.retain((_time, number) => number < 1_000);
    expect(other.byteCount).toBeLessThan(full / 30);
    expect(itemsOf(other)).toEqual(expected.filter(([, number]) => number < 1_000));
  });

  it('is empty at first and after the last pop', () => {
    const heap = new DueHeap();
    expect([heap.length, heap.nextTime, heap.nextNumber]).toEqual([0, Infinity, -1]);
    heap.pop();
    heap.push(5, 6);
    expect([heap.length, heap.nextTime, heap.nextNumber]).toEqual([1, 5, 6]);
    heap.pop();
    expect([heap.length, heap.nextTime, heap.nextNumber]).toEqual([0, Infinity, -1]);
  });

  it('gives items by rising time, equal times by rising number', () => {
    const { heap, items } = filled(2_000);
    expect(itemsOf(heap)).toEqual(sorted(items));
  });

  it('agrees with a sorted list while items come and go', () => {
    const random = new SeededRandom(5);
    const heap = new DueHeap();
    let model: Item[] = [];
    for (let step = 0; step < 5_000; step += 1) {
      if (random.below(5) < 2) {
        heap.pop();
        model = sorted(model).slice(1);
      } else {
        const item: Item = [random.below(100), step];
        heap.push(...item);
        model.push(item);
      }
      expect(heap.length).toBe(model.length);
    }
    expect(itemsOf(heap)).toEqual(sorted(model));
  });

  it('visits in order, as far as asked, and changes nothing', () => {
    const { heap, items } = filled(1_000);
    const seen: Item[] = [];
    heap.visitInOrder((time, number) => {
      seen.push([time, number]);
      return seen.length < 300;
    });
    expect(seen).toEqual(sorted(items).slice(0, 300));
    const all: Item[] = [];
    heap.visitInOrder((...item) => all.push(item) > 0);
    expect(all).toEqual(sorted(items));
    expect(itemsOf(heap)).toEqual(sorted(items));
    new DueHeap().visitInOrder(() => expect.unreachable());
  });

  it('retains what is wanted and clears', () => {
    const { heap, items } = filled(1_000);
    heap.retain((time) => time % 3 === 0);
    expect(itemsOf(heap)).toEqual(sorted(items.filter(([time]) => time % 3 === 0)));
    heap.push(1, 1);
    heap.clear();
    expect(heap.length).toBe(0);
  });
});
