import { describe, expect, it } from 'vitest';
import { deleteRows } from '../../src/store/sqlite/checkpoint.ts';
import { JournalIndex } from '../../src/store/sqlite/journal-index.ts';
import { JournalRow, Run } from '../../src/store/sqlite/journal-row.ts';
import type { StateFields } from '../../src/store/sqlite/row-index.ts';
import { Scratch } from '../../src/store/sqlite/scratch.ts';

/** A row with one run of `count` entries of queue 1. */
function addRow(index: JournalIndex, first: number, count: number): JournalRow {
  const rowId = index.nextRowId;
  index.nextRowId += 1;
  const row = new JournalRow(rowId, count, count, 100 * count, 1, undefined, 1000, false);
  index.addRow(row);
  index.addRun(index.queue(1), new Run(first, count, row, 0, true, 1000), rowId);
  return row;
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
