import { describe, expect, it } from 'vitest';
import { EngineSimulation } from './engine-sim.ts';

/** SIM_SEED=n runs one seed; SIM_SEEDS=n runs more of them. */
const first = Number(process.env['SIM_SEED'] ?? 1);
const count = process.env['SIM_SEED'] !== undefined ? 1 : Number(process.env['SIM_SEEDS'] ?? 60);

describe('engine simulation', () => {
  it(`keeps its guarantees for seeds ${first} to ${first + count - 1}`, async () => {
    let crashes = 0;
    let delivered = 0;
    for (let seed = first; seed < first + count; seed += 1) {
      const simulation = new EngineSimulation(seed);
      try {
        await simulation.run(600);
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
      }
      crashes += simulation.crashes;
      delivered += simulation.delivered;
    }
    expect(crashes).toBeGreaterThan(count);
    expect(delivered).toBeGreaterThan(count * 10);
  }, 900_000);
});
