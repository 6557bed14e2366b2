import { describe, expect, it } from 'vitest';
import { NumberMap } from '../../src/base/number-map.ts';
import { SeededRandom } from '../support/seeded-random.ts';

function entriesOf(map: NumberMap): [number, number][] {
  return [...map].toSorted(([a], [b]) => a - b);
}

describe('NumberMap', () => {
  it('agrees with a Map over random sets and deletes', () => {
    const random = new SeededRandom(7);
    const map = new NumberMap();
    const model = new Map<number, number>();
    for (let step = 0; step < 40_000; step += 1) {
      // Phases that grow and phases that shrink it, close keys and keys far apart.
      const isGrowing = Math.floor(step / 5_000) % 2 === 0;
      const base = random.below(2) === 0 ? 0 : 2 ** 40;
      const key = base + random.below(3_000);
      if (random.below(10) < (isGrowing ? 7 : 3)) {
        map.set(key, step);
        model.set(key, step);
      } else {
        expect(map.delete(key)).toBe(model.delete(key));
      }
      expect(map.get(key)).toBe(model.get(key));
      expect(map.size).toBe(model.size);
    }
    expect(entriesOf(map)).toEqual([...model].toSorted(([a], [b]) => a - b));
    expect([...map.keys()].toSorted((a, b) => a - b)).toEqual(
      [...model.keys()].toSorted((a, b) => a - b),
    );
    for (const key of model.keys()) map.delete(key);
    expect([map.size, entriesOf(map)]).toEqual([0, []]);
  });

  it('knows nothing it was not told', () => {
    const map = new NumberMap();
    expect([map.get(1), map.delete(1), map.size]).toEqual([undefined, false, 0]);
    map.set(1, -1);
    expect([map.get(1), map.get(2 ** 32 + 1)]).toEqual([-1, undefined]);
  });
});
