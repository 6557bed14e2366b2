/**
 * One byte turned anywhere in a row, a large body or a side table: the store starts, never delivers
 * a byte that was not stored, loses nothing outside the row, and says what it lost.
 */
import { describe, expect, it } from 'vitest';
import { checkDataFile } from '../../src/store/sqlite/check.ts';
import { Connection } from '../../src/store/sqlite/driver.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { SqliteHarness } from './sqlite-harness.ts';
import { commit, describeMessage, makeEntry, queueIdOf, readAll } from './support.ts';

const QUEUES = [queueIdOf(1), queueIdOf(2)];
const PLACES = [
  { table: 'journal', key: 'id', column: 'runs' },
  { table: 'journal', key: 'id', column: 'data' },
  { table: 'body', key: 'id', column: 'data' },
  { table: 'settled', key: 'journal_id', column: 'bits' },
] as const;

/** `TRIBUTARY_SEED` repeats one run; `TRIBUTARY_RUNS` makes it a soak. */
const firstSeed = Number(process.env['TRIBUTARY_SEED'] ?? 1);
const seeds = Array.from(
  { length: Number(process.env['TRIBUTARY_RUNS'] ?? 8) },
  (_, i) => firstSeed + i,
);

/** Fills a store; returns what was put, as text by queue and sequence, and what lives. */
async function fill(
  harness: SqliteHarness,
  random: SeededRandom,
): Promise<{ texts: Map<string, string>; live: Map<string, number> }> {
  const store = await harness.open();
  await store.recover();
  const texts = new Map<string, string>();
  const live = new Map<string, number>();
  for (let sequence = 1; sequence <= 60; sequence += 1) {
    for (const queueId of QUEUES) {
      const bodyBytes = random.chance(0.1) ? 66_000 : random.below(300);
      const body = Buffer.alloc(bodyBytes, `${random.below(1e9)} `);
      const entry = makeEntry(sequence, { body, routingKey: `key ${random.below(9)}` });
      if (random.chance(0.1)) entry.receiveCount = 1 + random.below(5);
      store.put(queueId, entry, true);
      texts.set(`${queueId}/${sequence}`, JSON.stringify(describeMessage(entry.message)));
      live.set(`${queueId}/${sequence}`, sequence);
    }
    if (sequence % 10 === 0) await commit(store);
    if (sequence % 15 !== 0) continue;
    for (const [key, settled] of [...live]) {
      if (random.chance(0.8)) continue;
      store.settleRange(Number(key.split('/')[0]), settled, settled + 1);
      live.delete(key);
    }
    await commit(store);
    if (random.chance(0.5)) await store.tidy();
  }
  await store.close();
  return { texts, live };
}

/** Turns some bits of one byte; false when there is nothing in the table. */
async function turnByte(path: string, place: (typeof PLACES)[number], random: SeededRandom) {
  const { table, key, column } = place;
  const connection = await Connection.openExisting(path);
  const rows = await connection.all<{ id: number; bytes: Buffer }>(
    `SELECT ${key} AS id, ${column} AS bytes FROM ${table} WHERE length(${column}) > 0`,
  );
  if (rows.length > 0) {
    const { id, bytes } = random.pick(rows);
    bytes[random.below(bytes.length)]! ^= 1 + random.below(255);
    const statement = await connection.prepare(
      `UPDATE ${table} SET ${column} = ? WHERE ${key} = ?`,
    );
    await statement.run([bytes, id]);
    await statement.finalize();
  }
  await connection.close();
  return rows.length > 0;
}

describe('one byte turned', () => {
  it.each(seeds)('seed %i', async (seed) => {
    const random = new SeededRandom(seed);
    const harness = new SqliteHarness({ durability: 'relaxed', rowBytesMax: 4_000 });
    try {
      const { texts, live } = await fill(harness, random);
      const place = random.pick(PLACES);
      const isDone = await turnByte(harness.dataPath, place, random);
      await checkDataFile(harness.directory);
      for (let round = 0; round < 2; round += 1) {
        const store = await harness.open();
        await store.recover();
        const found = new Set<string>();
        for (const queueId of QUEUES) {
          for (const { sequence, message } of await readAll(store, queueId, 7)) {
            const id = `${queueId}/${sequence}`;
            expect(JSON.stringify(describeMessage(message)), id).toBe(texts.get(id));
            found.add(id);
          }
        }
        const lost = [...live.keys()].filter((id) => !found.has(id));
        const isSaid = harness.damage.length > 0;
        expect(lost.length === 0 || isSaid).toBe(true);
        if (place.table === 'settled') expect(lost).toEqual([]);
        // At most what one row, or one body, holds.
        const most = place.table === 'body' ? 1 : 60;
        expect(lost.length).toBeLessThanOrEqual(isDone ? most : 0);
        await store.tidy();
        await store.close();
      }
      await checkDataFile(harness.directory);
    } finally {
      await harness.dispose();
    }
  });
});
