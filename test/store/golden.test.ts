/**
 * Data files of every released schema still open and give back what was in them.
 *
 * `UPDATE_GENERATED=1` writes the file of the present schema anew; do that only before a release.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Entry } from '../../src/engine/message.ts';
import { checkDataFile } from '../../src/store/sqlite/check.ts';
import { DATA_FILE, MIGRATIONS } from '../../src/store/sqlite/schema.ts';
import { SqliteStore } from '../../src/store/sqlite/sqlite-store.ts';
import { ManualClock } from './manual-clock.ts';
import {
  commit,
  describeMessage,
  makeEntry,
  makeMessage,
  queueIdOf,
  readAll,
  sequencesOf,
  temporaryDirectory,
} from './support.ts';

const FIXTURES = join(import.meta.dirname, 'fixtures');
const QUEUE = queueIdOf(1);
const OTHER = queueIdOf(2);

let directory: { path: string; remove: () => void };

beforeEach(() => {
  directory = temporaryDirectory();
});

afterEach(() => directory.remove());

function open(): Promise<SqliteStore> {
  const clock = new ManualClock();
  return SqliteStore.open({ directory: directory.path, durability: 'relaxed', clock });
}

/** Something of every kind that a data file can hold, side tables included. */
async function writeGolden(): Promise<void> {
  const store = await open();
  await store.recover();
  store.define('queue', 'orders', '{"durable":true}');
  const entries: Entry[] = [];
  for (let sequence = 1; sequence <= 10; sequence += 1) {
    const entry = makeEntry(sequence, { routingKey: `key.${sequence % 3}`, priority: sequence });
    entries.push(entry);
    store.put(QUEUE, entry, sequence !== 10);
  }
  entries[6]!.notBeforeMs = 1_800_000_000_000;
  entries[7]!.expiresAtMs = 1_900_000_000_000;
  store.mark(QUEUE, 4);
  await commit(store);
  const large = makeMessage({ body: Buffer.alloc(70_000, 'L'), expirationMs: 5000 });
  store.put(QUEUE, new Entry(large, 11, Infinity), true);
  store.put(OTHER, new Entry(large, 1, Infinity), true);
  store.settle(QUEUE, entries[0]!);
  store.settle(QUEUE, entries[3]!);
  entries[4]!.receiveCount = 2;
  entries[4]!.leaseUntilMs = 1_850_000_000_000;
  store.update(QUEUE, entries[4]!);
  await commit(store);
  // Rows of settlements and marks only: deleted at once, which fills the side tables.
  store.settle(QUEUE, entries[1]!);
  entries[5]!.receiveCount = 1;
  store.update(QUEUE, entries[5]!);
  store.mark(OTHER, 2);
  await commit(store);
  await store.tidy();
  await store.close();
  mkdirSync(FIXTURES, { recursive: true });
  const bytes = readFileSync(join(directory.path, DATA_FILE));
  writeFileSync(join(FIXTURES, `schema-${MIGRATIONS.length}.db.gz`), gzipSync(bytes, { level: 9 }));
}

it.each(MIGRATIONS.map((_, i) => i + 1))('schema %i opens', async (version) => {
  if (process.env['UPDATE_GENERATED'] !== undefined && version === MIGRATIONS.length) {
    await writeGolden();
  }
  const packed = readFileSync(join(FIXTURES, `schema-${version}.db.gz`));
  writeFileSync(join(directory.path, DATA_FILE), gunzipSync(packed));
  const store = await open();
  const recovery = await store.recover();
  expect(recovery.wasClean).toBe(true);
  expect(recovery.epoch).toBe(2);
  expect(recovery.definitions).toEqual([
    { kind: 'queue', key: 'orders', value: '{"durable":true}' },
  ]);
  const found = recovery.queues.get(QUEUE)!;
  expect({ ...found, delayed: [...found.delayed] }).toEqual({
    nextSequence: 12,
    liveCount: 7,
    liveBodyBytes: 70_000 + 6 * 6,
    firstSequence: 3,
    deliveredBelow: 4,
    delayed: [{ sequence: 7, notBeforeMs: 1_800_000_000_000 }],
    leased: [{ sequence: 5, leaseUntilMs: 1_850_000_000_000 }],
  });
  expect(recovery.queues.get(OTHER)!.deliveredBelow).toBe(2);
  const entries = await readAll(store, QUEUE);
  expect(sequencesOf(entries)).toEqual([3, 5, 6, 7, 8, 9, 11]);
  expect(entries[1]!.receiveCount).toBe(2);
  expect(entries[1]!.leaseUntilMs).toBe(1_850_000_000_000);
  expect(entries[2]!.receiveCount).toBe(1);
  expect(entries[4]!.expiresAtMs).toBe(1_900_000_000_000);
  expect(describeMessage(entries[0]!.message)).toEqual(
    describeMessage(makeEntry(3, { routingKey: 'key.0', priority: 3 }).message),
  );
  const [other] = await readAll(store, OTHER);
  expect(other!.message.bodyBytes).toBe(70_000);
  expect(other!.message.expirationMs).toBe(5000);
  await store.close();
  expect((await checkDataFile(directory.path)).problems).toEqual([]);
});
