/**
 * Any page of a closed data file lost or changed: the store starts or says why it does not, never
 * delivers bytes that were not stored, loses nothing without saying so, and does not hang.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { checkDataFile } from '../../src/store/sqlite/check.ts';
import type { SqliteStore } from '../../src/store/sqlite/sqlite-store.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { SqliteHarness } from './sqlite-harness.ts';
import { commit, describeMessage, makeEntry, queueIdOf, readAll } from './support.ts';

const QUEUES = [queueIdOf(1), queueIdOf(2)];
const PAGE_BYTES = 16 * 1024;
const HEADER_BYTES = 64;

/** Bytes with the number of rows in a page: a lower one hides rows, of which nothing else tells. */
const CELL_COUNT = [3, 4];

/** `TRIBUTARY_SEED` repeats one run; `TRIBUTARY_RUNS` makes it a soak. */
const firstSeed = Number(process.env['TRIBUTARY_SEED'] ?? 1);
const seeds = Array.from(
  { length: Number(process.env['TRIBUTARY_RUNS'] ?? 12) },
  (_, i) => firstSeed + i,
);

/** Entries by queue and sequence: all that were put, as text, and those that live. */
interface Stored {
  readonly texts: Map<string, string>;
  readonly live: Set<string>;
}

function put(store: SqliteStore, { texts, live }: Stored, at: [number, number], body: Buffer) {
  const [queueId, sequence] = at;
  const entry = makeEntry(sequence, { body });
  if (sequence % 9 === 0) entry.receiveCount = 3;
  store.put(queueId, entry, true);
  texts.set(`${queueId}/${sequence}`, JSON.stringify(describeMessage(entry.message)));
  live.add(`${queueId}/${sequence}`);
}

function settleSome(store: SqliteStore, { live }: Stored, random: SeededRandom): void {
  for (const id of [...live]) {
    if (random.chance(0.7)) continue;
    const [queueId, sequence] = id.split('/').map(Number);
    store.settleRange(queueId!, sequence!, sequence! + 1);
    live.delete(id);
  }
}

async function fill(harness: SqliteHarness, random: SeededRandom): Promise<Stored> {
  const stored: Stored = { texts: new Map(), live: new Set() };
  const store = await harness.open();
  await store.recover();
  for (let sequence = 1; sequence <= 60; sequence += 1) {
    for (const queueId of QUEUES) {
      const bodyBytes = random.chance(0.05) ? 70_000 : random.below(random.pick([600, 20_000]));
      const body = Buffer.alloc(bodyBytes, `${random.below(1e9)} `);
      put(store, stored, [queueId, sequence], body);
    }
    if (random.chance(0.3)) await commit(store);
    if (sequence % 15 !== 0) continue;
    store.define('queue', `q${sequence}`, '{}');
    settleSome(store, stored, random);
    await commit(store);
    if (random.chance(0.5)) await store.tidy();
  }
  await store.close();
  return stored;
}

/** Damages a page, but not the first, by zeros, noise, or some bits turned. */
function damagePage(path: string, random: SeededRandom): void {
  const file = readFileSync(path);
  const at = (1 + random.below(file.length / PAGE_BYTES - 1)) * PAGE_BYTES;
  const page = file.subarray(at, at + PAGE_BYTES);
  const kind = random.below(4);
  if (kind === 0) page.fill(0);
  else if (kind === 1) for (let i = 0; i < PAGE_BYTES; i += 1) page[i] = random.below(256);
  else {
    for (let i = 0; i < (kind === 2 ? 1 : 8); i += 1) {
      const offset = random.below(random.chance(0.5) ? HEADER_BYTES : PAGE_BYTES);
      if (!CELL_COUNT.includes(offset)) page[offset]! ^= 1 << random.below(8);
    }
  }
  writeFileSync(path, file);
}

/** Starts, reads, writes, cleans and stops; false when the store refuses or fails. */
async function live(harness: SqliteHarness, stored: Stored, round: number): Promise<boolean> {
  let store: SqliteStore | undefined;
  let failure: unknown;
  const fail = (error: unknown): void => {
    failure = error;
  };
  try {
    store = await harness.open();
    await store.recover();
    store.onFailure = fail;
    const found = new Set<string>();
    for (const queueId of QUEUES) {
      for (const { sequence, message } of await readAll(store, queueId, 7)) {
        const id = `${queueId}/${sequence}`;
        expect(found.has(id), id).toBe(false);
        expect(JSON.stringify(describeMessage(message)), id).toBe(stored.texts.get(id));
        found.add(id);
      }
    }
    const lost = [...stored.live].filter((id) => !found.has(id));
    const isSaid = harness.damage.length > 0 || failure !== undefined;
    expect(lost.length === 0 || isSaid, `lost ${lost.join()}`).toBe(true);
    put(store, stored, [QUEUES[0]!, 1000 + round], Buffer.alloc(30_000, 'z'));
    settleSome(store, stored, new SeededRandom(round));
    await commit(store);
    await store.tidy();
  } catch (error) {
    // An expectation of this test, or the store's word.
    if (error instanceof Error && error.name === 'AssertionError') throw error;
    failure = error;
  }
  await store?.close().catch(fail);
  return failure === undefined;
}

it.each(seeds)('a page that rots, seed %i', async (seed) => {
  const random = new SeededRandom(seed);
  const cleanerLimits = random.chance(0.5) ? { deadRows: 3, garbageBytes: 50_000 } : {};
  const harness = new SqliteHarness({ durability: 'relaxed', rowBytesMax: 40_000, cleanerLimits });
  try {
    const stored = await fill(harness, random);
    damagePage(harness.dataPath, random);
    for (let round = 0; round < 3; round += 1) {
      await checkDataFile(harness.directory).catch(() => undefined);
      if (!(await live(harness, stored, round))) break;
    }
  } finally {
    await harness.dispose().catch(() => undefined);
  }
});
