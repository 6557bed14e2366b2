import { describe, expect, it } from 'vitest';
import { EntryStates, NO_STATE } from '../../src/store/sqlite/entry-states.ts';
import { QueueIndex } from '../../src/store/sqlite/queue-index.ts';
import type { StateFields } from '../../src/store/sqlite/row-index.ts';
import { SeededRandom } from '../support/seeded-random.ts';

const FRESH: StateFields = {
  receiveCount: 0,
  notBeforeMs: 0,
  leaseUntilMs: Infinity,
  firstReceivedAtMs: 0,
  expiresAtMs: Infinity,
  isRedelivered: false,
};

function factsOf(states: EntryStates): number[] {
  const rowIds: number[] = [];
  for (let slot = states.oldestFact; slot !== NO_STATE; slot = states.factAfter(slot)) {
    rowIds.push(states.rowIdOf(slot));
  }
  return rowIds;
}

describe('EntryStates', () => {
  it('keeps every field', () => {
    const states = new EntryStates();
    const queue = new QueueIndex(7);
    const fields: StateFields = {
      receiveCount: 3,
      notBeforeMs: 1_700_000_000_001,
      leaseUntilMs: 1_700_000_000_002,
      firstReceivedAtMs: 1_700_000_000_003,
      expiresAtMs: 1_700_000_000_004,
      isRedelivered: true,
    };
    states.set(queue, 2 ** 40, fields, 9);
    states.set(queue, 5, FRESH, 10);
    const slot = states.find(queue, 2 ** 40);
    expect(states.fieldsOf(slot)).toEqual(fields);
    expect([states.queueOf(slot), states.sequenceOf(slot)]).toEqual([queue, 2 ** 40]);
    expect(states.rowIdOf(slot)).toBe(9);
    expect(states.leaseUntilMs(slot)).toBe(fields.leaseUntilMs);
    expect(states.fieldsOf(states.find(queue, 5))).toEqual(FRESH);
    expect(states.find(new QueueIndex(7), 5)).toBe(NO_STATE);
    expect([...states.delayedOf(queue)]).toEqual([
      { sequence: 2 ** 40, notBeforeMs: fields.notBeforeMs },
    ]);
  });

  it('lists facts by row: what is set anew goes to the end, what is in no row is not there', () => {
    const states = new EntryStates();
    const queue = new QueueIndex(1);
    for (let sequence = 1; sequence <= 4; sequence += 1) {
      states.set(queue, sequence, FRESH, sequence);
    }
    states.set(queue, 2, FRESH, 5);
    states.set(queue, 9, FRESH, 0);
    expect(factsOf(states)).toEqual([1, 3, 4, 5]);
    states.checkpointed(states.find(queue, 3));
    expect(factsOf(states)).toEqual([1, 4, 5]);
    states.set(queue, 3, FRESH, 6);
    expect(factsOf(states)).toEqual([1, 4, 5, 6]);
    expect([states.remove(queue, 3), states.remove(queue, 1)]).toEqual([true, false]);
    expect(states.remove(queue, 1)).toBe(false);
    expect(factsOf(states)).toEqual([4, 5]);
    states.removeAll(queue);
    expect([factsOf(states), queue.states]).toEqual([[], undefined]);
  });

  it('notes once that a state is buffered, and not for the next in its slot', () => {
    const states = new EntryStates();
    const queue = new QueueIndex(1);
    const slot = states.set(queue, 1, FRESH, 1);
    expect([states.buffer(slot), states.buffer(slot)]).toEqual([true, false]);
    states.unbuffer(slot);
    expect(states.buffer(slot)).toBe(true);
    states.remove(queue, 1);
    expect(states.buffer(states.set(queue, 2, FRESH, 2))).toBe(true);
  });

  it('agrees with plain maps while states come and go', () => {
    const random = new SeededRandom(4);
    const states = new EntryStates();
    const queues = [new QueueIndex(1), new QueueIndex(2)];
    const model = new Map<string, number>();
    for (let rowId = 1; rowId <= 5_000; rowId += 1) {
      const at = random.below(2);
      const sequence = random.below(300);
      const key = `${at} ${sequence}`;
      if (random.below(3) === 0) {
        states.remove(queues[at]!, sequence);
        model.delete(key);
      } else {
        states.set(queues[at]!, sequence, { ...FRESH, receiveCount: rowId }, rowId);
        model.delete(key);
        model.set(key, rowId);
      }
    }
    expect(factsOf(states)).toEqual([...model.values()]);
    for (const [key, rowId] of model) {
      const [at, sequence] = key.split(' ').map(Number) as [number, number];
      const slot = states.find(queues[at]!, sequence);
      expect(states.fieldsOf(slot).receiveCount).toBe(rowId);
    }
  });

  it('gives memory back when most states are gone, and mixes nothing up', () => {
    const states = new EntryStates();
    const queues = [new QueueIndex(1), new QueueIndex(2)];
    for (let sequence = 1; sequence <= 100_000; sequence += 1) {
      const fields = { ...FRESH, notBeforeMs: sequence, receiveCount: sequence % 3 };
      const slot = states.set(queues[sequence % 2]!, sequence, fields, sequence);
      if (sequence % 1_000 === 0) states.checkpointed(slot);
      if (sequence % 1_000 === 1) states.buffer(slot);
    }
    const full = states.byteCount;
    for (let sequence = 1; sequence <= 100_000; sequence += 1) {
      if (sequence % 500 > 1) states.remove(queues[sequence % 2]!, sequence);
    }
    expect(states.byteCount).toBeLessThan(full / 32);
    const left = factsOf(states);
    expect(left).toEqual([...left].sort((a, b) => a - b));
    expect(left).toHaveLength(300);
    for (let sequence = 500; sequence <= 100_000; sequence += 500) {
      const queue = queues[sequence % 2]!;
      const slot = states.find(queue, sequence);
      expect([states.queueOf(slot), states.sequenceOf(slot)]).toEqual([queue, sequence]);
      const { notBeforeMs, receiveCount } = states.fieldsOf(slot);
      expect([notBeforeMs, receiveCount]).toEqual([sequence, sequence % 3]);
      expect(states.rowIdOf(slot)).toBe(sequence % 1_000 === 0 ? 0 : sequence);
      const next = states.find(queues[(sequence + 1) % 2]!, sequence + 1);
      if (next !== NO_STATE) expect(states.buffer(next)).toBe(sequence % 1_000 !== 0);
      expect(states.remove(queue, sequence)).toBe(sequence % 1_000 === 0);
    }
    for (const queue of queues) states.removeAll(queue);
    expect(factsOf(states)).toEqual([]);
    expect(states.byteCount).toBeLessThan(full / 1_000);
    states.set(queues[0]!, 7, FRESH, 1);
    expect(factsOf(states)).toEqual([1]);
  });
});
