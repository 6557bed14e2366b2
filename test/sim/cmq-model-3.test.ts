import { it } from 'vitest';
import { runSeeds, seedsOf } from './cmq-model-run.ts';

const seeds = seedsOf(3);

it(`a CMQ queue agrees with its model for ${seeds.count} seeds from ${seeds.first}`, async () => {
  await runSeeds(seeds);
}, 300_000);
