import { it } from 'vitest';
import { runSeeds, seedsOf, timeoutMs } from './cmq-model-run.ts';

const seeds = seedsOf(1);

it(
  `a CMQ queue agrees with its model for ${seeds.count} seeds from ${seeds.first}`,
  async () => {
    await runSeeds(seeds);
  },
  timeoutMs(seeds),
);
