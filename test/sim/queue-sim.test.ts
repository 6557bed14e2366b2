import { expect, it } from 'vitest';
import { QueueSimulation } from './queue-sim.ts';

/** SIM_SEED=n runs one seed; SIM_SEEDS=n runs more of them. */
const first = Number(process.env['SIM_SEED'] ?? 1);
const count = process.env['SIM_SEED'] !== undefined ? 1 : Number(process.env['SIM_SEEDS'] ?? 60);

it(`a queue with a tiny window keeps its books for seeds ${first} to ${first + count - 1}`, async () => {
  let delivered = 0;
  let died = 0;
  for (let seed = first; seed < first + count; seed += 1) {
    const simulation = new QueueSimulation(seed);
    try {
      await simulation.run(800);
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
    delivered += simulation.delivered;
    died += simulation.died;
  }
  expect(delivered).toBeGreaterThan(count * 50);
  expect(died).toBeGreaterThan(count * 10);
}, 900_000);
