import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CountedList } from '../../../src/engine/exchange/counted-list.ts';

describe('CountedList', () => {
  it('agrees with a bag, below and above the size at which it is indexed', () => {
    const step = fc.tuple(fc.boolean(), fc.nat(14));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const list = new CountedList<number>();
        const bag = new Map<number, number>();
        for (const [isAdd, value] of steps) {
          const count = bag.get(value) ?? 0;
          if (isAdd) {
            list.add(value);
            bag.set(value, count + 1);
          } else {
            expect(list.remove(value)).toBe(count > 0);
            if (count > 1) bag.set(value, count - 1);
            else bag.delete(value);
          }
          expect([...list.items].sort()).toEqual([...bag.keys()].sort());
        }
      }),
    );
  });
});
