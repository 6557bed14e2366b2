/**
 * What one protocol may say, another may have no words for. Messages of every protocol, at the
 * edges of what theirs allows, go through every kind of exchange, queue, death, delay and redrive
 * to consumers of all protocols, over restarts. No exception escapes, no consumer is closed, every
 * frame decodes, and bodies arrive as they were sent.
 *
 * A seed is a run. CROSS_PROTOCOL_SEEDS is how many, CROSS_PROTOCOL_SEED the first.
 */
import { expect, test } from 'vitest';
import { MemoryDisk } from '../../src/store/memory-disk.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { Bodies } from './cross-protocol/bodies.ts';
import { Consumers } from './cross-protocol/consumers.ts';
import { OddValues } from './cross-protocol/odd-values.ts';
import { Publishers } from './cross-protocol/publishers.ts';
import { makeTopology } from './cross-protocol/topology.ts';
import { World } from './cross-protocol/world.ts';

const SEEDS = Number(process.env['CROSS_PROTOCOL_SEEDS'] ?? 2);
const FIRST_SEED = Number(process.env['CROSS_PROTOCOL_SEED'] ?? 1);
const LIVES = 2;
const BATCHES = 4;
const BATCH = 12;

async function run(seed: number): Promise<number> {
  const odd = new OddValues(new SeededRandom(seed));
  const bodies = new Bodies(odd);
  const clock = new FakeClock();
  const disk = new MemoryDisk();
  for (let life = 0; life < LIVES; life += 1) {
    // The one before just stops.
    const world = await World.open(disk, clock);
    await makeTopology(world);
    const consumers = await Consumers.open(world, odd, bodies);
    const publishers = new Publishers(world, odd, bodies);
    for (let batch = 0; batch < BATCHES; batch += 1) {
      for (let count = 0; count < BATCH; count += 1) await publishers.one();
      await publishers.drain();
      await consumers.read();
      await world.pass(odd.pick([0, 1, 900, 5_000, 31_000]));
      await consumers.read();
    }
  }
  return bodies.seenCount;
}

test.each(Array.from({ length: SEEDS }, (_, index) => FIRST_SEED + index))(
  'seed %i',
  async (seed) => {
    expect(await run(seed)).toBeGreaterThan(50);
  },
);
