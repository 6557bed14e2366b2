/** Runs a share of the seeds of the model-based test of CMQ queues. */
import { expect } from 'vitest';
import { SeededRandom } from '../support/seeded-random.ts';
import { type CmqDisk, MemoryCmqDisk } from './cmq-disk.ts';
import { CmqSimulation } from './cmq-sim.ts';

/**
 * Seeds in all files on the in-memory store together: many on CI. CMQ_SEEDS=n runs that many,
 * CMQ_SEED=n only that one (with everything resident, paged, and on SQLite).
 */
const SEEDS_ON_CI = 20_000;
const SEEDS_ELSEWHERE = 800;
/** The first half of the files has everything resident, the second has it paged. */
const FILES = 4;
/** Seeds on SQLite, where each step waits for the disk. */
const SQLITE_SEEDS_ON_CI = 300;
const SQLITE_SEEDS_ELSEWHERE = 40;
const STEPS = 40;
const LONG_STEPS = 400;
/** Steps from one look at every message to the next, on average. */
const LOOK_EVERY = 4;
/** Every so many seeds, one is long. */
const LONG_EVERY = 200;

export interface Seeds {
  readonly first: number;
  readonly count: number;
}

/** The seeds of file `share` (1 to 4). */
export function seedsOf(share: number): Seeds {
  const isFirst = share % (FILES / 2) === 1;
  const all = seedCount(SEEDS_ON_CI, SEEDS_ELSEWHERE);
  const count = Math.ceil(all / FILES);
  return onlySeed(isFirst) ?? { first: 1 + (share - 1) * count, count };
}

/** The seeds on SQLite. */
export function sqliteSeeds(): Seeds {
  const count = seedCount(SQLITE_SEEDS_ON_CI, SQLITE_SEEDS_ELSEWHERE);
  return onlySeed(true) ?? { first: 1, count };
}

/** Ms for that many seeds, on a machine with much else to do. */
export function timeoutMs({ count }: Seeds): number {
  return Math.max(300_000, 1_000 * count);
}

function onlySeed(isRun: boolean): Seeds | undefined {
  const only = process.env['CMQ_SEED'];
  return only === undefined ? undefined : { first: Number(only), count: isRun ? 1 : 0 };
}

function seedCount(onCi: number, elsewhere: number): number {
  const isOnCi = process.env['CI'] !== undefined;
  return Number(process.env['CMQ_SEEDS'] ?? (isOnCi ? onCi : elsewhere));
}

/** How a share of seeds is run. */
export interface RunOptions {
  readonly makeDisk?: (random: SeededRandom) => CmqDisk;
  /** Seeds at the same time: more than one where a disk is waited for. */
  readonly parallel?: number;
  /** Looks at every message after a step, one time in so many. */
  readonly lookEvery?: number;
}

type Seen = CmqSimulation['seen'];

export async function runSeeds({ first, count }: Seeds, options: RunOptions = {}): Promise<void> {
  const seen: Seen = { ready: 0, leased: 0, delayed: 0, rewindable: 0, dead: 0, crashes: 0 };
  let next = first;
  const work = async (): Promise<void> => {
    while (next < first + count) {
      const seed = next;
      next += 1;
      const found = await runSeed(seed, options);
      for (const key of Object.keys(seen) as (keyof Seen)[]) seen[key] += found[key];
    }
  };
  await Promise.all(Array.from({ length: options.parallel ?? 1 }, work));
  if (count < 100) return;
  // The test tests something: every state and every way out is met all the time.
  for (const key of Object.keys(seen) as (keyof Seen)[]) {
    expect(seen[key], key).toBeGreaterThan(count / 2);
  }
}

async function runSeed(seed: number, { makeDisk, lookEvery }: RunOptions): Promise<Seen> {
  const random = new SeededRandom(seed);
  const disk = makeDisk?.(random) ?? new MemoryCmqDisk();
  const simulation = new CmqSimulation(random, disk, lookEvery ?? LOOK_EVERY);
  try {
    await simulation.run(seed % LONG_EVERY === 0 ? LONG_STEPS : STEPS);
    await disk.dispose(true);
  } catch (error) {
    await disk.dispose(false);
    const steps = simulation.log.join('\n');
    throw new Error(`seed ${seed}: ${(error as Error).message}\n${steps}`, { cause: error });
  }
  return simulation.seen;
}
