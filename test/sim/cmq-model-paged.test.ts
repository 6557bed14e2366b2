import { it } from 'vitest';
import { withTinyLimits } from './tiny-limits.ts';

const { runSeeds, seedsOf, timeoutMs } = await withTinyLimits(() => import('./cmq-model-run.ts'));
const seeds = seedsOf(3);

it(
  `a CMQ queue on disk agrees with its model for ${seeds.count} seeds from ${seeds.first}`,
  async () => {
    await runSeeds(seeds);
  },
  timeoutMs(seeds),
);
