import { afterAll, expect, it } from 'vitest';
import type { Store } from '../../src/engine/ports.ts';
import { MemoryDisk } from '../../src/store/memory-disk.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { SqliteHarness } from '../store/sqlite-harness.ts';
import { commit, makeEntry, queueIdOf } from '../store/support.ts';

const QUEUE = queueIdOf(1);
const harness = new SqliteHarness();
const disk = new MemoryDisk();

afterAll(() => harness.dispose());

/** Queues record another lease than the one their consumer sees, and do so before the commit. */
it.each<[string, () => Promise<Store>]>([
  ['MemoryStore', () => Promise.resolve(new MemoryStore({ disk }))],
  ['SqliteStore', () => harness.open()],
])('%s keeps the state that was recorded of an entry not yet written', async (_, open) => {
  const store = await open();
  await store.recover();
  const [ofHandle, ofConnection] = [makeEntry(1), makeEntry(2)];
  for (const [entry, recordedMs] of [
    [ofHandle, 7_000],
    [ofConnection, Infinity],
  ] as const) {
    store.put(QUEUE, entry, true);
    entry.leaseUntilMs = recordedMs;
    store.update(QUEUE, entry);
    entry.leaseUntilMs = 5_000;
  }
  await commit(store);
  const { queues } = await (await open()).recover();
  expect(queues.get(QUEUE)!.leased).toEqual([{ sequence: 1, leaseUntilMs: 7_000 }]);
});
