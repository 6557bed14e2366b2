/** One read that must wait keeps no other waiting. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { SqliteHarness } from './sqlite-harness.ts';
import { commit, makeEntry, queueIdOf, read, sequencesOf } from './support.ts';

const QUEUE = queueIdOf(1);
const OTHER = queueIdOf(2);
let harness: SqliteHarness;
beforeEach(() => {
  harness = new SqliteHarness();
});
afterEach(async () => {
  await harness.dispose();
});

it('a read that waits for a commit for which there is no room keeps no other read waiting', async () => {
  const full: boolean[] = [];
  harness = new SqliteHarness({ onFull: (isFull) => full.push(isFull) });
  const store = await harness.open();
  await store.recover();
  for (let i = 1; i <= 3; i += 1) store.put(QUEUE, makeEntry(i), true);
  await commit(store);
  await store.limitFile(0);
  store.put(OTHER, makeEntry(1, { body: Buffer.alloc(500_000) }), true);
  store.commit(false);
  while (full.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  const blocked = read(store, OTHER);
  expect(sequencesOf((await read(store, QUEUE)).entries)).toEqual([1, 2, 3]);
  await store.limitFile(Infinity);
  expect(sequencesOf((await blocked).entries)).toEqual([1]);
});
