/** File, memory and rows stay in proportion to what lives, whatever comes and goes. */
import { statSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Entry } from '../../src/engine/message.ts';
import { checkDataFile } from '../../src/store/sqlite/check.ts';
import type { SqliteStore } from '../../src/store/sqlite/sqlite-store.ts';
import { SqliteHarness } from './sqlite-harness.ts';
import { commit, makeEntry, queueIdOf, readAll, sequencesOf } from './support.ts';

const QUEUE = queueIdOf(1);
const OTHER = queueIdOf(2);
const KIB = 1024;
const MIB = 1024 * KIB;
/** For what happens in the background, on the slowest machine. */
const WAIT = { timeout: 60_000 };

let harness: SqliteHarness;
let store: SqliteStore;

beforeEach(() => {
  harness = new SqliteHarness({ durability: 'relaxed' });
});

afterEach(async () => {
  await harness.dispose();
});

async function open(): Promise<void> {
  store = await harness.open();
  await store.recover();
}

/** Puts entries first..last, `perCommit` at a time. */
async function fill(
  queueId: number,
  first: number,
  last: number,
  perCommit: number,
  bodyBytes: number,
): Promise<Entry[]> {
  const entries: Entry[] = [];
  const body = Buffer.alloc(bodyBytes, 'b');
  for (let sequence = first; sequence <= last; sequence += 1) {
    const entry = makeEntry(sequence, { body });
    entries.push(entry);
    store.put(queueId, entry, true);
    if (sequence % perCommit === 0) await commit(store);
  }
  await commit(store);
  return entries;
}

describe('cleaning', () => {
  it('deletes rows whose entries are gone, and what they own', async () => {
    await open();
    const entries = await fill(QUEUE, 1, 40, 10, 100 * KIB);
    for (const entry of entries.slice(0, 39)) store.settle(QUEUE, entry);
    await commit(store);
    await store.tidy();
    expect(store.metrics().rows).toBe(1);
    await store.close();
    const report = await checkDataFile(harness.directory);
    expect(report.problems).toEqual([]);
    // The row of the last ten stays, with its ten bodies: less than the garbage allowed.
    expect(report.bodies).toBe(10);
    await open();
    expect(sequencesOf(await readAll(store, QUEUE))).toEqual([40]);
  });

  it('saves marks and states of deleted rows so that older rows do not override them', async () => {
    await open();
    const [entry] = await fill(QUEUE, 1, 2, 2, 10);
    entry!.receiveCount = 1;
    store.update(QUEUE, entry!);
    store.mark(QUEUE, 3);
    store.put(OTHER, makeEntry(1), true);
    await commit(store);
    // The newest facts are alone in a row, which goes; the older ones are in a row that stays.
    entry!.receiveCount = 2;
    store.update(QUEUE, entry!);
    store.mark(QUEUE, 2);
    await commit(store);
    const { rows } = store.metrics();
    await store.tidy();
    expect(store.metrics().rows).toBe(rows - 1);
    await store.close();
    store = await harness.open();
    const { queues } = await store.recover();
    expect(queues.get(QUEUE)!.deliveredBelow).toBe(2);
    expect((await readAll(store, QUEUE))[0]!.receiveCount).toBe(2);
  });

  it('forgets what side tables say of a dropped queue', async () => {
    await open();
    const entries = await fill(QUEUE, 1, 3, 3, 10);
    await fill(OTHER, 1, 1, 1, 10);
    entries[0]!.receiveCount = 1;
    store.update(QUEUE, entries[0]!);
    store.mark(QUEUE, 2);
    await commit(store);
    await store.tidy();
    store.dropQueue(QUEUE);
    await commit(store);
    await store.tidy();
    await store.close();
    store = await harness.open();
    const { queues } = await store.recover();
    expect([...queues.keys()]).toEqual([OTHER]);
  });

  it('merges thin rows into full ones, in order', async () => {
    harness = new SqliteHarness({ durability: 'relaxed', cleanerLimits: { thinRows: 50 } });
    await open();
    await fill(QUEUE, 1, 600, 1, 20);
    await store.tidy();
    // The thin ones left alone, and full ones: how many follows from when the housekeeper came.
    const { rows, runs } = store.metrics();
    expect(rows).toBeLessThanOrEqual(60);
    expect(runs).toBeLessThanOrEqual(60);
    const all = Array.from({ length: 600 }, (_, i) => i + 1);
    expect(sequencesOf(await readAll(store, QUEUE))).toEqual(all);
    await store.close();
    await open();
    expect(store.metrics().rows).toBeLessThanOrEqual(60);
    expect(sequencesOf(await readAll(store, QUEUE))).toEqual(all);
  });

  it('keeps the commit time of moved entries', async () => {
    harness = new SqliteHarness({ durability: 'relaxed', cleanerLimits: { thinRows: 3 } });
    await open();
    for (let i = 1; i <= 20; i += 1) {
      harness.setWallMs(1_000_000 * i);
      await fill(QUEUE, i, i, 1, 20);
    }
    harness.setWallMs(1e9);
    await store.tidy();
    expect(store.metrics().rows).toBeLessThan(8);
    for (let round = 0; round < 2; round += 1) {
      expect(store.sequenceAt(QUEUE, 5_000_000)).toBe(5);
      expect(store.sequenceAt(QUEUE, 5_000_001)).toBe(6);
      await store.close();
      await open();
    }
  });

  it('cleans rows pinned by a few entries, and spans the gaps', async () => {
    harness = new SqliteHarness({
      durability: 'relaxed',
      cleanerLimits: { garbageBytes: 100 * KIB, deadRows: 1 },
    });
    await open();
    const entries = await fill(QUEUE, 1, 5000, 100, 200);
    const kept = entries.filter((entry) => entry.sequence % 10 === 0);
    for (const entry of entries) if (entry.sequence % 10 !== 0) store.settle(QUEUE, entry);
    await commit(store);
    const before = store.metrics().journalBytes;
    await store.tidy();
    const after = store.metrics();
    expect(before).toBeGreaterThan(1 * MIB);
    expect(after.journalBytes).toBeLessThan(2 * after.liveBytes + 120 * KIB);
    // 500 entries, each nine settled ones apart, and not a run each.
    expect(after.runs).toBeLessThan(60);
    const expected = kept.map((entry) => entry.sequence);
    expect(sequencesOf(await readAll(store, QUEUE))).toEqual(expected);
    await store.close();
    await open();
    expect(sequencesOf(await readAll(store, QUEUE))).toEqual(expected);
  });

  it('gathers the entries of each queue when many queues share rows', async () => {
    harness = new SqliteHarness({
      durability: 'relaxed',
      thinRowBytes: 100,
      cleanerLimits: { scatteredBytes: 50 * KIB, moveBytes: 300 * KIB },
    });
    await open();
    const queues = 40;
    const body = Buffer.alloc(200, 's');
    for (let sequence = 1; sequence <= 100; sequence += 1) {
      for (let queue = 1; queue <= queues; queue += 1) {
        store.put(queueIdOf(queue), makeEntry(sequence, { body }), true);
      }
      await commit(store);
    }
    await store.tidy();
    const { rows, runs, journalBytes } = store.metrics();
    // Of 100 runs a queue. How many stay follows from when the cleaner rested, so this is generous.
    expect(runs).toBeLessThan(queues * 25);
    expect(rows).toBeLessThan(60);
    expect(journalBytes).toBeLessThan(1.5 * MIB);
    const all = Array.from({ length: 100 }, (_, i) => i + 1);
    for (let round = 0; round < 2; round += 1) {
      expect(sequencesOf(await readAll(store, queueIdOf(7)))).toEqual(all);
      await store.close();
      expect((await checkDataFile(harness.directory)).problems).toEqual([]);
      await open();
    }
  });

  it('does not multiply messages that went to many queues', async () => {
    harness = new SqliteHarness({
      durability: 'relaxed',
      thinRowBytes: 100,
      cleanerLimits: { scatteredBytes: 1, runs: 10, thinRows: 1 },
    });
    await open();
    const queues = 30;
    for (let sequence = 1; sequence <= 50; sequence += 1) {
      const { message } = makeEntry(sequence, { body: Buffer.alloc(2000, 'm') });
      for (let queue = 1; queue <= queues; queue += 1) {
        store.put(queueIdOf(queue), new Entry(message, sequence, Infinity), true);
      }
      await commit(store);
    }
    await store.tidy();
    const { runs, journalBytes } = store.metrics();
    expect(journalBytes).toBeLessThan(50 * 2000 * 1.5);
    // A row is moved once, and at least with another one: of 50 runs a queue half may stay. How many
    // do follows from when the cleaner rested.
    expect(runs).toBeLessThanOrEqual(queues * 26);
  });

  it('moves large bodies without copying them', async () => {
    harness = new SqliteHarness({ durability: 'relaxed', cleanerLimits: { garbageBytes: MIB } });
    await open();
    const entries = await fill(QUEUE, 1, 60, 6, 100 * KIB);
    for (const entry of entries) if (entry.sequence % 6 !== 0) store.settle(QUEUE, entry);
    await commit(store);
    await store.tidy();
    const kept = [6, 12, 18, 24, 30, 36, 42, 48, 54, 60];
    const back = await readAll(store, QUEUE);
    expect(sequencesOf(back)).toEqual(kept);
    expect(back[9]!.message.bodyBytes).toBe(100 * KIB);
    await store.close();
    const report = await checkDataFile(harness.directory);
    expect(report.problems).toEqual([]);
    expect(report.bodies).toBeLessThanOrEqual(22);
  });

  it('happens by itself beside commits', async () => {
    harness = new SqliteHarness({
      durability: 'relaxed',
      cleanerLimits: { garbageBytes: 200 * KIB, thinRows: 100, deadRows: 20 },
    });
    await open();
    await fill(OTHER, 1, 300, 1, 100);
    let settledUpTo = 0;
    for (let round = 0; round < 300; round += 1) {
      const entries = await fill(QUEUE, round * 20 + 1, round * 20 + 20, 20, 300);
      for (const entry of entries) store.settle(QUEUE, entry);
      settledUpTo += 20;
    }
    await commit(store);
    expect(settledUpTo).toBe(6000);
    // Most of it beside the commits; what a late cleaner left goes without them.
    await expect.poll(() => store.metrics().deletedRows).toBeGreaterThan(300);
    await expect.poll(() => store.metrics().rows).toBeLessThan(400);
    await expect.poll(() => store.metrics().journalBytes).toBeLessThan(MIB);
    expect(store.firstLive(OTHER, 1)).toBe(1);
  });

  it('gives pages back when the file is larger than promised, though nothing is written', async () => {
    await open();
    const entries = await fill(QUEUE, 1, 1000, 50, 100 * KIB);
    for (const entry of entries) store.settle(QUEUE, entry);
    await commit(store);
    await store.tidy();
    const dataBytes = (): number => statSync(harness.dataPath).size;
    await expect.poll(dataBytes, WAIT).toBeLessThanOrEqual(65 * MIB);
  });
});

describe('a full disk', () => {
  it('holds confirms back until there is room', async () => {
    const reports: boolean[] = [];
    harness = new SqliteHarness({
      durability: 'relaxed',
      maxFileBytes: MIB,
      onFull: (isFull) => reports.push(isFull),
    });
    await open();
    const failures: Error[] = [];
    store.onFailure = (error) => failures.push(error);
    await fill(QUEUE, 1, 10, 10, 40 * KIB);
    for (let i = 11; i <= 40; i += 1) {
      store.put(QUEUE, makeEntry(i, { body: Buffer.alloc(40 * KIB, 'f') }), true);
    }
    const { ticket } = store;
    store.commit(false);
    await expect.poll(() => reports, WAIT).toEqual([true]);
    expect(store.committedTicket).toBeLessThan(ticket);
    await store.limitFile(10 * MIB);
    await expect.poll(() => store.committedTicket, WAIT).toBe(ticket);
    expect(reports).toEqual([true, false]);
    expect(failures).toEqual([]);
    expect((await readAll(store, QUEUE)).length).toBe(40);
  });

  it('leaves a transaction of every kind whole', async () => {
    harness = new SqliteHarness({ durability: 'relaxed', cleanerLimits: { deadRows: 1 } });
    await open();
    const entries = await fill(QUEUE, 1, 50, 10, 100);
    await store.checkpoint();
    await store.limitFile(0);
    for (const entry of entries.slice(0, 45)) store.settle(QUEUE, entry);
    for (let i = 51; i <= 60; i += 1) {
      store.put(QUEUE, makeEntry(i, { body: Buffer.alloc(100 * KIB, 'f') }), true);
    }
    store.define('queue', 'large', JSON.stringify('x'.repeat(100 * KIB)));
    const { ticket } = store;
    store.commit(false);
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(store.committedTicket).toBeLessThan(ticket);
    await store.limitFile(Infinity);
    await expect.poll(() => store.committedTicket, WAIT).toBe(ticket);
    await store.tidy();
    await store.close();
    expect((await checkDataFile(harness.directory)).problems).toEqual([]);
    store = await harness.open();
    expect((await store.recover()).definitions).toHaveLength(1);
    const expected = [46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60];
    expect(sequencesOf(await readAll(store, QUEUE))).toEqual(expected);
  });
});
