/**
 * Random operations with crashes, compared with a model: committed and not settled entries are
 * there, in order, with the right content; settled and committed ones are not.
 */
import { describe, expect, it } from 'vitest';
import { checkDataFile } from '../../src/store/sqlite/check.ts';
import { Connection } from '../../src/store/sqlite/driver.ts';
import type { SqliteStore } from '../../src/store/sqlite/sqlite-store.ts';
import { MemoryDisk } from '../../src/store/memory-disk.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { type Scheduler, systemScheduler } from '../../src/store/scheduler.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { SqliteHarness } from './sqlite-harness.ts';
import { StoreDriver } from './store-driver.ts';

/** Limits so small that every kind of background work happens all the time. */
const EAGER = {
  garbageBytes: 4_000,
  thinRows: 4,
  runs: 20,
  scatteredBytes: 3_000,
  deadRows: 6,
  deadBytes: 20_000,
  moveBytes: 6_000,
};

/**
 * Only the timer of a commit that found no room fires, and soon. The housekeeper's would commit
 * the buffer at moments that the model does not know of.
 */
const HURRIED: Scheduler = {
  ...systemScheduler,
  after: (delayMs, task) =>
    delayMs > 100 ? systemScheduler.after(delayMs / 100, task) : () => undefined,
};

/** Where ids no longer fit 31 or 32 bits. */
const ROW_IDS = [2 ** 31 - 30, 2 ** 32 - 30, 2 ** 44];

/** Makes a data file whose rows were numbered that high. */
async function startRowIdsAt(harness: SqliteHarness, rowId: number): Promise<void> {
  const store = await harness.open();
  await store.close();
  const connection = await Connection.openExisting(harness.dataPath);
  await connection.execute(`UPDATE meta SET value=${rowId} WHERE name='last_row_id'`);
  await connection.close();
}

/** `TRIBUTARY_SEED` repeats one run; `TRIBUTARY_RUNS` makes it a soak. */
const firstSeed = Number(process.env['TRIBUTARY_SEED'] ?? 1);
const runs = Number(process.env['TRIBUTARY_RUNS'] ?? 8);
const steps = Number(process.env['TRIBUTARY_STEPS'] ?? 300);
const seeds = Array.from({ length: runs }, (_, i) => firstSeed + i);

describe('random operations and crashes', () => {
  it.each(seeds)(
    'SqliteStore, seed %i',
    async (seed) => {
      const random = new SeededRandom(seed);
      const harness = new SqliteHarness({
        durability: 'relaxed',
        scheduler: HURRIED,
        cleanerLimits: random.chance(0.7) ? EAGER : {},
        ...(random.chance(0.6) && { thinRowBytes: 400 }),
        rowBytesMax: random.chance(0.5) ? 2_000 : 4 * 1024 * 1024,
      });
      try {
        if (random.chance(0.3)) await startRowIdsAt(harness, random.pick(ROW_IDS));
        await StoreDriver.run(
          {
            open: () => harness.open(),
            tidy: (store) => (store as SqliteStore).tidy(),
            squeeze: (store, isFull) => (store as SqliteStore).limitFile(isFull ? 0 : Infinity),
            setWallMs: (wallMs) => harness.setWallMs(wallMs),
          },
          random,
          steps,
        );
        const report = await checkDataFile(harness.directory);
        expect(report.problems).toEqual([]);
        expect(harness.damage).toEqual([]);
      } finally {
        await harness.dispose();
      }
    },
    60_000,
  );

  it.each(seeds)('MemoryStore, seed %i', async (seed) => {
    const disk = new MemoryDisk();
    await StoreDriver.run(
      {
        open: () => Promise.resolve(new MemoryStore({ disk })),
        tidy: () => Promise.resolve(),
      },
      new SeededRandom(seed),
      steps,
    );
  });
});
