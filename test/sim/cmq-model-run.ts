/** Runs a share of the seeds of the model-based test of CMQ queues. */
import { expect } from 'vitest';
import { CmqSimulation } from './cmq-sim.ts';

/** Seeds in all files together: many on CI. CMQ_SEEDS=n runs that many, CMQ_SEED=n only that one. */
const SEEDS_ON_CI = 20_000;
const SEEDS_ELSEWHERE = 800;
const STEPS = 40;
const FILES = 4;

/** The seeds of file `share` (1 to 4): first and count. */
export function seedsOf(share: number): { first: number; count: number } {
  const only = process.env['CMQ_SEED'];
  if (only !== undefined) return { first: Number(only), count: share === 1 ? 1 : 0 };
  const isOnCi = process.env['CI'] !== undefined;
  const all = Number(process.env['CMQ_SEEDS'] ?? (isOnCi ? SEEDS_ON_CI : SEEDS_ELSEWHERE));
  const count = Math.ceil(all / FILES);
  return { first: 1 + (share - 1) * count, count };
}

export async function runSeeds({ first, count }: { first: number; count: number }): Promise<void> {
  const seen = { ready: 0, leased: 0, delayed: 0, rewindable: 0, dead: 0, crashes: 0 };
  for (let seed = first; seed < first + count; seed += 1) {
    const simulation = new CmqSimulation(seed);
    try {
      await simulation.run(STEPS);
    } catch (error) {
      const steps = simulation.log.join('\n');
      throw new Error(`seed ${seed}: ${(error as Error).message}\n${steps}`, { cause: error });
    }
    for (const key of Object.keys(seen) as (keyof typeof seen)[]) {
      seen[key] += simulation.seen[key];
    }
  }
  if (count < 100) return;
  // The test tests something: every state and every way out is met all the time.
  for (const key of Object.keys(seen) as (keyof typeof seen)[]) {
    expect(seen[key], key).toBeGreaterThan(count / 2);
  }
}
