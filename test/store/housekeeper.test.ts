/** Chores that find no room, or the file in use, are put off; no chore of theirs ends the store. */
import { describe, expect, it, vi } from 'vitest';
import { CommitLoop } from '../../src/store/commit-loop.ts';
import { Cleaner, CLEANER_LIMITS } from '../../src/store/sqlite/cleaner.ts';
import type { Connection } from '../../src/store/sqlite/driver.ts';
import { Housekeeper } from '../../src/store/sqlite/housekeeper.ts';
import { JournalIndex } from '../../src/store/sqlite/journal-index.ts';
import type { RowLoader } from '../../src/store/sqlite/row-loader.ts';
import { ManualScheduler } from './manual-scheduler.ts';

const HOUR_MS = 3_600_000;

/** A store with nothing to write, whose checkpoints fail with `code` while it is set. */
function setUp(code?: string): {
  index: JournalIndex;
  cleaner: Cleaner;
  checkpoints: () => number;
  failures: Error[];
  mend: () => void;
  pass: (ms: number) => Promise<void>;
} {
  let nowMs = HOUR_MS;
  let count = 0;
  let fault = code;
  const failures: Error[] = [];
  const scheduler = new ManualScheduler();
  const index = new JournalIndex();
  const connection = {
    all(sql: string): Promise<unknown[]> {
      if (!sql.includes('wal_checkpoint')) return Promise.resolve([]);
      count += 1;
      if (fault === undefined) return Promise.resolve([]);
      return Promise.reject(Object.assign(new Error(fault), { code: fault }));
    },
  } as unknown as Connection;
  const loop: CommitLoop = new CommitLoop(
    {
      write: () => Promise.resolve().then(() => housekeeper.committed(true)),
      afterCommit: () => housekeeper.chore(),
      isUrgent: false,
      putCount: 0,
    },
    scheduler,
  );
  loop.onFailure = (error) => failures.push(error);
  const loader = { loadMany: () => Promise.resolve(new Map()) } as unknown as RowLoader;
  const cleaner = new Cleaner(index, loader, CLEANER_LIMITS, () => undefined);
  const housekeeper = new Housekeeper({
    index,
    cleaner,
    loop,
    connection,
    scheduler,
    clock: { wallMs: () => nowMs, monotonicMs: () => nowMs },
    committedRowId: () => 0,
    onError: (error) => failures.push(error),
  });
  housekeeper.start();
  return {
    index,
    cleaner,
    checkpoints: () => count,
    failures,
    mend: () => {
      fault = undefined;
    },
    async pass(ms) {
      for (let spent = 0; spent < ms; spent += 100) {
        nowMs += 100;
        scheduler.fire();
        await loop.idle();
      }
    },
  };
}

describe('Housekeeper', () => {
  it.each(['SQLITE_FULL', 'SQLITE_BUSY'])('tries a checkpoint again after %s', async (code) => {
    const { checkpoints, failures, mend, pass } = setUp(code);
    await pass(10_000);
    expect(failures).toEqual([]);
    // Once every two seconds or so, not with every tick.
    expect(checkpoints()).toBeGreaterThanOrEqual(3);
    expect(checkpoints()).toBeLessThanOrEqual(5);
    mend();
    const before = checkpoints();
    await pass(10_000);
    expect(checkpoints()).toBe(before + 1);
  });

  it('ends the store when a checkpoint fails otherwise', async () => {
    const { failures, pass } = setUp('SQLITE_IOERR');
    await pass(3_000);
    expect(failures).toHaveLength(1);
  });

  it('looks for garbage after a rest that outlasts all commits, and is idle then', async () => {
    const { index, cleaner, failures, pass } = setUp();
    const look = vi.spyOn(index.rows, 'values');
    index.totalBytes = 100 * 1024 ** 2;
    cleaner.rest(HOUR_MS, 10_000);
    const rest = vi.spyOn(cleaner, 'isResting');
    await pass(29_000);
    expect(look).toHaveBeenCalledTimes(0);
    await pass(60_000);
    expect(look).toHaveBeenCalledTimes(1);
    expect(rest.mock.calls.length).toBeLessThan(350);
    expect(failures).toEqual([]);
  });
});
