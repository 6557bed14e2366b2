import { expect, test } from 'vitest';
import type { Consumer } from '../../../src/engine/queue/consumer.ts';
import { ConsumerSet } from '../../../src/engine/queue/consumer-set.ts';
import { SeededRandom } from '../../support/seeded-random.ts';

interface Member {
  readonly priority: number;
  credit: boolean;
  hasCredit(): boolean;
}

function member(priority = 0): Member & Consumer {
  const one = { priority, credit: true, exclusive: false, hasCredit: () => one.credit };
  return one as unknown as Member & Consumer;
}

/** Those of one priority, with nothing clever. */
class Line {
  readonly #members: (Member & Consumer)[] = [];
  #cursor = 0;

  add(one: Member & Consumer): void {
    this.#members.push(one);
  }

  remove(one: Member & Consumer): void {
    const at = this.#members.indexOf(one);
    this.#members.splice(at, 1);
    if (at < this.#cursor) this.#cursor -= 1;
  }

  next(): Consumer | undefined {
    const turns = [...this.#members.slice(this.#cursor), ...this.#members.slice(0, this.#cursor)];
    const served = turns.find(({ credit }) => credit);
    if (served !== undefined) this.#cursor = this.#members.indexOf(served) + 1;
    return served;
  }
}

test('turns are taken in order of arrival, whoever comes, goes and has credit', () => {
  for (let seed = 1; seed <= 50; seed += 1) {
    const random = new SeededRandom(seed);
    const all: (Member & Consumer)[] = [];
    const lines = [new Line(), new Line(), new Line()];
    const set = new ConsumerSet(false);
    const size = 1 + random.below(100);
    for (let step = 0; step < 1_000; step += 1) {
      const some = all[random.below(all.length || 1)];
      const what = random.below(10);
      if (some === undefined || (what < 3 && all.length < size)) {
        const one = member(random.below(lines.length));
        all.push(one);
        lines[one.priority]!.add(one);
        set.add(one);
      } else if (what < 4) {
        all.splice(all.indexOf(some), 1);
        lines[some.priority]!.remove(some);
        expect(set.remove(some)).toBe(true);
        expect(set.remove(some)).toBe(false);
      } else if (what < 6) {
        some.credit = !some.credit;
      } else {
        const served = lines[2]!.next() ?? lines[1]!.next() ?? lines[0]!.next();
        expect(set.next() === served, `seed ${seed}, step ${step}`).toBe(true);
      }
      expect(set.hasCredit()).toBe(all.some(({ credit }) => credit));
      expect(set.count).toBe(all.length);
    }
    expect(set.toArray()).toEqual(all);
  }
});

test('fifty thousand that leave with their connection do not hold up others', () => {
  const orders = [(all: Consumer[]) => all, (all: Consumer[]) => all.toReversed()];
  for (const order of orders) {
    const set = new ConsumerSet(false);
    const all = Array.from({ length: 50_000 }, () => member());
    for (const one of all) set.add(one);
    const startedAtMs = performance.now();
    for (const one of order(all)) set.remove(one);
    expect(set.next()).toBeUndefined();
    // Some 10 ms; it was 9,000.
    expect(performance.now() - startedAtMs).toBeLessThan(5_000);
    expect(set.toArray()).toEqual([]);
  }
});
