import { it } from 'vitest';
import type { SeededRandom } from '../support/seeded-random.ts';
import { withTinyLimits } from './tiny-limits.ts';

const { runSeeds, sqliteSeeds, SqliteCmqDisk, timeoutMs } = await withTinyLimits(async () => ({
  ...(await import('./cmq-model-run.ts')),
  ...(await import('./cmq-sqlite-disk.ts')),
}));
const seeds = sqliteSeeds();

it(
  `a CMQ queue on SQLite agrees with its model for ${seeds.count} seeds from ${seeds.first}`,
  async () => {
    const makeDisk = (random: SeededRandom) => new SqliteCmqDisk(random);
    await runSeeds(seeds, { makeDisk, parallel: 4, lookEvery: 3 });
  },
  timeoutMs(seeds),
);
