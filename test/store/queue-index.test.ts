import { describe, expect, it } from 'vitest';
import { deleteRows } from '../../src/store/sqlite/checkpoint.ts';
import { JournalIndex } from '../../src/store/sqlite/journal-index.ts';
import { JournalRow, Run } from '../../src/store/sqlite/journal-row.ts';
import type { StateFields } from '../../src/store/sqlite/row-index.ts';
import { Scratch } from '../../src/store/sqlite/scratch.ts';
import { SeededRandom } from '../support/seeded-random.ts';

/** A row with one run of `count` entries of queue 1. */
function addRow(index: JournalIndex, first: number, count: number): JournalRow {
  const rowId = index.nextRowId;
  index.nextRowId += 1;
  const row = new JournalRow(rowId, count, count, 100 * count, 1, undefined, 1000, false);
  index.addRow(row);
  index.addRun(index.queue(1), new Run(first, count, row, 0, true, 1000), rowId);
  return row;
}

/** Rows with two runs, one of each of two queues. */
function addShared(index: JournalIndex, lengths: readonly number[]): void {
  const next = [1, 1];
  for (let i = 0; i < lengths.length; i += 2) {
    const [one, two] = [lengths[i]!, lengths[i + 1]!];
    const row = new JournalRow(index.nextRowId, one + two, one + two, 9000, 2, undefined, 0, false);
    index.nextRowId += 1;
    index.addRow(row);
    index.addRun(index.queue(1), new Run(next[0]!, one, row, 0, true, 0), row.id);
    index.addRun(index.queue(2), new Run(next[1]!, two, row, one, true, 0), row.id);
    next[0]! += one;
    next[1]! += two;
  }
}

/** What settling changes. */
function shapeOf(index: JournalIndex): unknown {
  return {
    live: index.liveCount,
    bytes: Math.round(index.liveBytes),
    runs: index.runCount,
    dead: index.deadRows.map((row) => row.id),
    states: [...(index.queue(1).states?.keys() ?? [])].toSorted((a, b) => a - b),
    stale: index.staleStates,
    rows: [...index.rows.values()].map((row) => [row.id, row.liveCount, row.settledBits]),
    queues: [...index.queues.values()].map((queue) =>
      queue.runs.slice(queue.head).map((run) => [run.first, run.liveCount, run.lastLive(Infinity)]),
    ),
  };
}

const DELAYED: StateFields = {
  receiveCount: 0,
  notBeforeMs: 5000,
  leaseUntilMs: Infinity,
  firstReceivedAtMs: 0,
  expiresAtMs: Infinity,
  isRedelivered: false,
};

describe('QueueIndex', () => {
  it('holds no run, and so no row, of a queue that is empty', () => {
    const index = new JournalIndex();
    const queue = index.queue(1);
    for (let sequence = 1; sequence <= 20; sequence += 1) addRow(index, sequence, 1);
    for (let sequence = 20; sequence >= 2; sequence -= 1) index.settle(queue, sequence, 21);
    expect(queue.firstLive(1)).toBe(1);
    index.settle(queue, 1, 21);
    expect([queue.runs.length, queue.head, queue.firstLive(0)]).toEqual([0, 0, Infinity]);
    addRow(index, 21, 2);
    expect([queue.firstLive(0), queue.liveCount, queue.nextSequence]).toEqual([21, 2, 23]);
  });
});

describe('settleRange', () => {
  it.each([1, 2, 3, 4, 5, 6])('settles what one by one would, seed %i', (seed) => {
    const random = new SeededRandom(seed);
    const ranged = new JournalIndex();
    const single = new JournalIndex();
    const lengths = Array.from({ length: 30 }, () => 1 + random.below(20));
    const end = 1 + lengths.reduce((sum, length) => sum + length, 0);
    // Few states, or one for nearly every entry; some of entries that come later.
    const share = seed % 2 === 0 ? 0.05 : 0.9;
    const delayed = Array.from({ length: end }, (_, i) => i).filter(() => random.chance(share));
    for (const index of [ranged, single]) {
      addShared(index, lengths);
      for (const sequence of delayed) index.states.set(index.queue(1), sequence, DELAYED, 0);
      for (const sequence of delayed) {
        const slot = index.states.find(index.queue(1), sequence);
        if (sequence % 2 === 0) index.states.checkpointed(slot);
      }
    }
    for (let step = 0; step < 40; step += 1) {
      const queueId = 1 + random.below(2);
      const first = random.below(end);
      const last = random.chance(0.1) ? Infinity : first + random.below(60);
      const settled: number[] = [];
      for (let sequence = first; sequence < Math.min(last, end); sequence += 1) {
        if (single.settle(single.queue(queueId), sequence, 99)) settled.push(sequence);
      }
      const expected = settled.length === 0 ? undefined : [settled[0], settled.at(-1)! + 1];
      expect(ranged.settleRange(ranged.queue(queueId), first, last, 99)).toEqual(expected);
      expect(shapeOf(ranged)).toEqual(shapeOf(single));
    }
    ranged.dropQueue(ranged.queue(1), 99);
    ranged.dropQueue(ranged.queue(2), 99);
    expect(ranged.liveCount).toBe(0);
    expect(ranged.deadRows).toHaveLength(lengths.length / 2);
  });

  it('of a million entries takes a step a run, not one an entry', () => {
    const index = new JournalIndex();
    const row = addRow(index, 1, 1_000_000);
    expect(index.settleRange(index.queue(1), 1, Infinity, 9)).toEqual([1, 1_000_001]);
    expect([row.liveCount, row.settledBits, index.liveCount]).toEqual([0, undefined, 0]);
  });
});

describe('checkpoint', () => {
  it('deletes records of states that are gone in ranges, so many per transaction', () => {
    const index = new JournalIndex();
    const queue = index.queue(1);
    const count = 30_000;
    const row = addRow(index, 1, count);
    const older = addRow(index, count + 1, 1);
    for (let sequence = 1; sequence <= count; sequence += 1) {
      index.states.set(queue, sequence, DELAYED, row.id);
      index.states.checkpointed(index.states.find(queue, sequence));
    }
    index.settleRange(queue, 1, Infinity, index.nextRowId);
    const sql = deleteRows(index, [row], 0);
    expect(sql).toContain(
      'DELETE FROM entry_state WHERE queue_id=1 AND sequence BETWEEN 1 AND 20000',
    );
    expect(sql.length).toBeLessThan(1_000);
    expect(deleteRows(index, [older], 0)).toContain('sequence BETWEEN 20001 AND 30000');
    expect(index.staleStates).toEqual([]);
  });
});

describe('Scratch', () => {
  it.each([-1, Infinity, NaN, 2 ** 53])('refuses to write %d', (value) => {
    expect(() => new Scratch(16).varint(value)).toThrow('cannot be stored');
  });
});
