/** Copies of the data file that are made while commits go on. */
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { checkDataFile } from '../../src/store/sqlite/check.ts';
import { DATA_FILE } from '../../src/store/sqlite/schema.ts';
import { SqliteStore } from '../../src/store/sqlite/sqlite-store.ts';
import { SqliteHarness } from './sqlite-harness.ts';
import {
  commit,
  makeEntry,
  queueIdOf,
  readAll,
  sequencesOf,
  temporaryDirectory,
} from './support.ts';

const QUEUE = queueIdOf(1);
const BODY = Buffer.alloc(20_000, 'x');

let harness: SqliteHarness;
let root: ReturnType<typeof temporaryDirectory>;
let target = '';

beforeEach(() => {
  harness = new SqliteHarness();
  root = temporaryDirectory();
  target = join(root.path, 'copy');
});

afterEach(async () => {
  await harness.dispose();
  root.remove();
});

/** A store with so many messages of 20 KB, 100 to a commit. */
async function openFilled(count: number): Promise<SqliteStore> {
  const store = await harness.open();
  await store.recover();
  for (let sequence = 1; sequence <= count; sequence += 1) {
    store.put(QUEUE, makeEntry(sequence, { body: BODY }), true);
    if (sequence % 100 === 0) await commit(store);
  }
  await commit(store);
  return store;
}

async function sequencesIn(directory: string): Promise<number[]> {
  const store = await SqliteStore.open({ directory, durability: 'relaxed' });
  await store.recover();
  const sequences = sequencesOf(await readAll(store, QUEUE));
  await store.close();
  return sequences;
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

it('has all that was committed before it began, while commits go on', async () => {
  const store = await openFilled(600);
  let isDone = false;
  const making = store.backup(target).finally(() => {
    isDone = true;
  });
  let last = 600;
  while (!isDone) {
    last += 1;
    store.put(QUEUE, makeEntry(last, { body: BODY }), true);
    if (last % 7 === 0) store.settleRange(QUEUE, last - 606, last - 599);
    await commit(store);
    if (last % 5 === 0) await store.checkpoint();
  }
  await making;
  expect(readdirSync(target)).toEqual([DATA_FILE]);
  const report = await checkDataFile(target);
  expect(report.problems).toEqual([]);
  expect(statSync(target).mode & 0o777).toBe(0o700);
  expect(statSync(join(target, DATA_FILE)).mode & 0o777).toBe(0o600);
  const kept = await sequencesIn(target);
  // One state of the queue: its oldest may be settled, and nothing is missing behind that.
  expect(kept).toEqual(range(kept[0]!, kept.at(-1)!));
  expect(kept[0]).toBeLessThanOrEqual(last - 598);
  expect(kept.at(-1)).toBeGreaterThanOrEqual(600);
  // The store goes on as if nothing had been.
  await store.close();
  expect((await checkDataFile(harness.directory)).problems).toEqual([]);
});

it('comes about on a store where nothing happens', async () => {
  const store = await openFilled(200);
  await store.backup(target);
  expect(await sequencesIn(target)).toEqual(range(1, 200));
});

it('leaves alone what is there', async () => {
  const store = await openFilled(1);
  mkdirSync(target);
  await expect(store.backup(target)).rejects.toThrow(`${target} exists`);
  expect(readdirSync(target)).toEqual([]);
  const file = join(root.path, 'file');
  writeFileSync(file, 'mine');
  await expect(store.backup(file)).rejects.toThrow(`${file} exists`);
  await expect(store.backup(join(root.path, 'none', 'copy'))).rejects.toThrow(/ENOENT/);
});

it('is broken off by the end of the store, and nothing is left of it', async () => {
  const store = await openFilled(2_000);
  const making = store.backup(target).catch((error: Error) => error.message);
  await expect(store.backup(join(root.path, 'second'))).rejects.toThrow('is being made already');
  await store.close();
  expect(await making).toBe('the server stopped before the backup was whole');
  expect(existsSync(target)).toBe(false);
  await expect(store.backup(target)).rejects.toThrow('the server stopped');
  expect((await checkDataFile(harness.directory)).wasClean).toBe(true);
});

it('gives way to commits that wait for room', async () => {
  const store = await openFilled(200);
  await store.limitFile(1);
  store.put(QUEUE, makeEntry(201, { body: Buffer.alloc(1_000_000) }), true);
  store.commit(false);
  await expect.poll(() => store.metrics().isFull).toBe(true);
  await expect(store.backup(target)).rejects.toThrow('the disk of the data directory is full');
  expect(existsSync(target)).toBe(false);
  await store.limitFile(1e9);
  await commit(store);
});
