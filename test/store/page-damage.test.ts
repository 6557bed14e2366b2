/**
 * Pages that SQLite finds malformed: the row, body or leaf they belong to is lost and said to be,
 * and the store goes on. Inner pages and the newest leaf of the journal keep it from starting.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Recovery } from '../../src/engine/ports.ts';
import { checkDataFile } from '../../src/store/sqlite/check.ts';
import { Connection } from '../../src/store/sqlite/driver.ts';
import { dumpMessages } from '../../src/store/sqlite/dump.ts';
import { PAGES_DAMAGED, BODY_DAMAGED } from '../../src/store/sqlite/row-fault.ts';
import { DataFileError } from '../../src/store/sqlite/schema.ts';
import { SqliteStore } from '../../src/store/sqlite/sqlite-store.ts';
import { systemScheduler } from '../../src/store/scheduler.ts';
import { SqliteHarness } from './sqlite-harness.ts';
import { commit, makeEntry, queueIdOf, readAll, sequencesOf } from './support.ts';

const QUEUE = queueIdOf(1);
const PAGE_BYTES = 16 * 1024;
const LEAF = 0x0d;
const INNER = 0x05;

let harness: SqliteHarness;
let store: SqliteStore;

beforeEach(() => {
  harness = new SqliteHarness({ durability: 'relaxed' });
});

afterEach(async () => {
  await harness.dispose();
});

async function open(): Promise<void> {
  await openAgain();
}

async function openAgain(): Promise<Recovery> {
  harness.damage.length = 0;
  store = await harness.open();
  return store.recover();
}

/** Sequences of the messages that a dump lists. */
async function dump(): Promise<number[]> {
  const sequences: number[] = [];
  await dumpMessages(harness.directory, {
    choose: (_definitions, stored) => stored,
    visit: ({ sequence }) => Promise.resolve(sequences.push(sequence) > 0),
  });
  return sequences;
}

/** Puts entries first..last, each in a commit of its own, with a body of its own letter. */
async function fill(first: number, last: number, bodyBytes: number): Promise<void> {
  for (let sequence = first; sequence <= last; sequence += 1) {
    store.put(
      QUEUE,
      makeEntry(sequence, { body: Buffer.alloc(bodyBytes, letterOf(sequence)) }),
      true,
    );
    await commit(store);
  }
}

function letterOf(sequence: number): string {
  return String.fromCharCode(64 + sequence);
}

/** Fills the pages of the closed data file with zeros for which `isWanted`, or the first `count`. */
function zeroPages(isWanted: (page: Buffer) => boolean, count = 1): void {
  const file = readFileSync(harness.dataPath);
  let found = 0;
  for (let at = PAGE_BYTES; at < file.length && found < count; at += PAGE_BYTES) {
    const page = file.subarray(at, at + PAGE_BYTES);
    if (!isWanted(page)) continue;
    page.fill(0);
    found += 1;
  }
  expect(found).toBe(count);
  writeFileSync(harness.dataPath, file);
}

/** An overflow page that is full of a letter. */
function isFullOf(sequence: number): (page: Buffer) => boolean {
  const code = letterOf(sequence).charCodeAt(0);
  return (page) => page.subarray(8).every((byte) => byte === code);
}

/** Where the key of a journal row stands in the file, and the number of its first overflow page. */
function findRow(file: Buffer, rowId: number): { keyAt: number; overflowAt: number } {
  for (let page = PAGE_BYTES; page < file.length; page += PAGE_BYTES) {
    if (file[page] !== LEAF) continue;
    for (let cell = 0; cell < file.readUInt16BE(page + 3); cell += 1) {
      let at = page + file.readUInt16BE(page + 8 + 2 * cell);
      const readVarint = (): number => {
        let value = 0;
        for (let byte = 0x80; byte >= 0x80; at += 1) {
          byte = file[at]!;
          value = value * 128 + (byte & 0x7f);
        }
        return value;
      };
      const payloadBytes = readVarint();
      const keyAt = at;
      if (readVarint() !== rowId || payloadBytes < 1_000) continue;
      const least = Math.trunc(((PAGE_BYTES - 12) * 32) / 255) - 23;
      const local = least + ((payloadBytes - least) % (PAGE_BYTES - 4));
      return { keyAt, overflowAt: at + (local <= PAGE_BYTES - 35 ? local : least) };
    }
  }
  throw new Error(`no row ${rowId}`);
}

/** Lets a row go on in the pages of another, or in one that the file does not have. */
function misdirect(rowId: number, to: number | undefined): void {
  const file = readFileSync(harness.dataPath);
  const page = to === undefined ? 0x7fffffff : file.readUInt32BE(findRow(file, to).overflowAt);
  file.writeUInt32BE(page, findRow(file, rowId).overflowAt);
  writeFileSync(harness.dataPath, file);
}

async function query<Row>(sql: string): Promise<Row[]> {
  const connection = await Connection.openExisting(harness.dataPath);
  try {
    return await connection.all<Row>(sql);
  } finally {
    await connection.close();
  }
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

describe('a malformed page within a row', () => {
  beforeEach(async () => {
    await open();
    await fill(1, 9, 50_000);
    await store.close();
  });

  it('loses that row to its reader, and nothing else, now and after a restart', async () => {
    zeroPages(isFullOf(5));
    await open();
    const others = range(1, 9).filter((sequence) => sequence !== 5);
    expect(sequencesOf(await readAll(store, QUEUE, 3))).toEqual(others);
    expect(harness.damage).toEqual([
      { rowId: 5, reason: PAGES_DAMAGED, queueId: QUEUE, firstSequence: 5, endSequence: 6 },
    ]);
    expect(store.metrics()).toMatchObject({ damagedRows: 1, liveEntries: 8 });
    await store.tidy();
    await fill(10, 12, 50_000);
    await store.close();
    await open();
    expect(sequencesOf(await readAll(store, QUEUE))).toEqual([...others, 10, 11, 12]);
    expect(harness.damage).toEqual([]);
    store.settleRange(QUEUE, 1, 13);
    await commit(store);
    await store.tidy();
    await store.close();
    expect(await query('SELECT id, reason FROM set_aside')).toEqual([
      { id: 5, reason: PAGES_DAMAGED },
    ]);
    expect(await query('SELECT id FROM journal WHERE id < 10')).toEqual([{ id: 5 }]);
    const { problems, liveEntries } = await checkDataFile(harness.directory);
    expect(liveEntries).toBe(0);
    expect(problems.filter((text) => !text.startsWith('file: '))).toEqual([]);
  });

  it('is set aside with the very settlement that gives it up', async () => {
    zeroPages(isFullOf(5));
    await open();
    await readAll(store, QUEUE);
    await commit(store);
    // A crash: another data directory with what is on the disk now.
    await open();
    const kept = sequencesOf(await readAll(store, QUEUE));
    expect(kept).not.toContain(5);
    expect(harness.damage).toEqual([]);
  });

  it('does not let the row go that took the pages of another', async () => {
    misdirect(5, 7);
    await open();
    const others = range(1, 9).filter((sequence) => sequence !== 5);
    expect(sequencesOf(await readAll(store, QUEUE))).toEqual(others);
    expect(harness.damage).toMatchObject([{ rowId: 5, reason: 'data checksum' }]);
    await store.tidy();
    await fill(10, 20, 50_000);
    await store.close();
    await open();
    expect(sequencesOf(await readAll(store, QUEUE))).toEqual([...others, ...range(10, 20)]);
    expect(harness.damage).toEqual([]);
  });

  it('keeps rows in the file that nobody reads and that cannot be deleted', async () => {
    misdirect(5, undefined);
    await open();
    store.settleRange(QUEUE, 1, 10);
    await commit(store);
    await store.tidy();
    await fill(10, 11, 50_000);
    await store.close();
    for (let round = 0; round < 2; round += 1) {
      await open();
      expect(sequencesOf(await readAll(store, QUEUE))).toEqual([10, 11]);
      expect(harness.damage).toHaveLength(1);
      expect(harness.damage[0]!.reason).toMatch(
        /^its pages cannot be freed, nor those of \d+ others$/,
      );
      await store.tidy();
      await store.close();
    }
  });

  it('has the file keep its size from then on', async () => {
    // Beyond what a file may have too much of.
    await open();
    await fill(10, 26, 4_000_000);
    await store.close();
    misdirect(5, undefined);
    let nowMs = 0;
    const clock = { wallMs: () => 1.7e12, monotonicMs: () => nowMs };
    store = await SqliteStore.open({
      directory: harness.directory,
      durability: 'relaxed',
      clock,
      scheduler: { ...systemScheduler, after: () => () => undefined },
    });
    await store.recover();
    store.settleRange(QUEUE, 1, 27);
    await commit(store);
    await store.tidy();
    const { fileBytes } = store.metrics();
    for (let sequence = 30; sequence < 33; sequence += 1) {
      nowMs += 2_000;
      await fill(sequence, sequence, 10);
    }
    await store.close();
    const [file] = await query<{ count: number }>(
      'SELECT page_count AS count FROM pragma_page_count()',
    );
    expect(file!.count * PAGE_BYTES).toBeGreaterThanOrEqual(fileBytes);
  });

  it('does not stop the cleaner', async () => {
    await harness.dispose();
    harness = new SqliteHarness({ durability: 'relaxed', cleanerLimits: { garbageBytes: 10_000 } });
    await open();
    for (let first = 1; first <= 60; first += 10) {
      for (let sequence = first; sequence < first + 10; sequence += 1) {
        const body = Buffer.alloc(30_000, letterOf(1 + (first - 1) / 10));
        store.put(QUEUE, makeEntry(sequence, { body }), true);
      }
      await commit(store);
    }
    await store.close();
    zeroPages(isFullOf(3));
    await open();
    const live: number[] = [];
    for (let first = 1; first <= 60; first += 10) {
      store.settleRange(QUEUE, first, first + 8);
      live.push(first + 8, first + 9);
    }
    await commit(store);
    await store.tidy();
    expect(store.metrics().movedEntries).toBeGreaterThan(0);
    expect(harness.damage).toMatchObject([{ rowId: 3, reason: PAGES_DAMAGED }]);
    const expected = live.filter((sequence) => sequence < 21 || sequence > 30);
    expect(sequencesOf(await readAll(store, QUEUE))).toEqual(expected);
    await store.close();
    await open();
    expect(sequencesOf(await readAll(store, QUEUE))).toEqual(expected);
    expect(harness.damage).toEqual([]);
  });
});

describe('a malformed page within a body apart', () => {
  it('loses that message only; the body stays in the file', async () => {
    await open();
    for (let sequence = 1; sequence <= 6; sequence += 1) {
      const body = Buffer.alloc(100_000, letterOf(sequence));
      store.put(QUEUE, makeEntry(sequence, { body }), true);
      if (sequence % 3 === 0) await commit(store);
    }
    await store.close();
    zeroPages(isFullOf(2));
    await open();
    expect(sequencesOf(await readAll(store, QUEUE))).toEqual([1, 3, 4, 5, 6]);
    expect(harness.damage).toMatchObject([{ reason: BODY_DAMAGED, firstSequence: 2 }]);
    store.settleRange(QUEUE, 1, 4);
    await commit(store);
    await store.tidy();
    expect(store.metrics().rows).toBe(1);
    await store.close();
    expect(await query('SELECT id FROM set_aside')).toEqual([{ id: -2 }]);
    expect(await query('SELECT id FROM body')).toEqual([2, 4, 5, 6].map((id) => ({ id })));
    await open();
    expect(sequencesOf(await readAll(store, QUEUE))).toEqual([4, 5, 6]);
    await store.close();
    const { problems } = await checkDataFile(harness.directory);
    expect(problems.filter((text) => !text.startsWith('file: '))).toEqual([]);
  });
});

describe('a malformed page of the tree', () => {
  const COUNT = 60;

  /** Rows of which some lie in each leaf; 41 settles 12. */
  beforeEach(async () => {
    await open();
    await fillMarked(1, 40);
    store.settleRange(QUEUE, 12, 13);
    await fillMarked(41, COUNT);
    await store.close();
  });

  /** Rows of 2 KB that say which they are. */
  async function fillMarked(first: number, last: number): Promise<void> {
    for (let sequence = first; sequence <= last; sequence += 1) {
      const body = `${'.'.repeat(2_000)} <${sequence}>`;
      store.put(QUEUE, makeEntry(sequence, { body }), true);
      await commit(store);
    }
  }

  function isLeafWith(sequence: number): (page: Buffer) => boolean {
    return (page) => page[0] === LEAF && page.includes(`<${sequence}>`);
  }

  it('costs the rows of a leaf what they said; the store starts, and all else is there', async () => {
    zeroPages(isLeafWith(30));
    await open();
    expect(harness.damage).toHaveLength(1);
    const { rowId, reason } = harness.damage[0]!;
    const last = Number(/^a page is damaged that had rows from \d+ to (\d+)$/.exec(reason)?.[1]);
    expect(rowId).toBeLessThanOrEqual(30);
    expect(last).toBeGreaterThanOrEqual(30);
    expect(last - rowId).toBeLessThan(10);
    const others = range(1, COUNT).filter(
      (sequence) => sequence !== 12 && (sequence < rowId || sequence > last),
    );
    expect(sequencesOf(await readAll(store, QUEUE))).toEqual(others);
    await fill(COUNT + 1, COUNT + 4, 100);
    // Leaves beside the damaged one run empty, which SQLite would join with it.
    store.settleRange(QUEUE, 1, COUNT - 5);
    await commit(store);
    await store.tidy();
    await fill(COUNT + 5, COUNT + 6, 100);
    await store.close();
    for (let round = 0; round < 2; round += 1) {
      await open();
      expect(sequencesOf(await readAll(store, QUEUE))).toEqual(range(COUNT - 5, COUNT + 6));
      expect(harness.damage.map((report) => report.rowId)).toContain(rowId);
      await store.tidy();
      await store.close();
    }
    const { problems } = await checkDataFile(harness.directory);
    expect(problems).toContain(`row ${rowId}: ${reason}`);
  });

  it('costs as much in two leaves', async () => {
    zeroPages(isLeafWith(20));
    zeroPages(isLeafWith(40));
    await open();
    expect(harness.damage).toHaveLength(2);
    const found = sequencesOf(await readAll(store, QUEUE));
    for (const sequence of [1, 10, 30, 50, COUNT]) expect(found).toContain(sequence);
    for (const sequence of [20, 40]) expect(found).not.toContain(sequence);
  });

  it.each([94, 3, 127])('costs one row where a key is another one (%i)', async (key) => {
    const file = readFileSync(harness.dataPath);
    file[findRow(file, 30).keyAt] = key;
    writeFileSync(harness.dataPath, file);
    await open();
    expect(harness.damage[0]).toMatchObject({
      rowId: key,
      reason: 'a row has this id, and it is not its own',
    });
    const found = sequencesOf(await readAll(store, QUEUE));
    expect(found).not.toContain(30);
    // Searches go wrong in the page that has it.
    const missing = range(1, COUNT).filter((sequence) => !found.includes(sequence));
    expect(missing.length).toBeLessThan(12);
    expect(harness.damage.length).toBeGreaterThanOrEqual(missing.length - 1);
    await fillMarked(COUNT + 1, COUNT + 3);
    store.settleRange(QUEUE, 1, COUNT);
    await commit(store);
    await store.tidy();
    await store.close();
    await open();
    const left = sequencesOf(await readAll(store, QUEUE));
    expect(left).toEqual(expect.arrayContaining(range(COUNT, COUNT + 3)));
  });

  it.each([30, COUNT])('costs one row that says it is another (%i)', async (rowId) => {
    const [row] = await query<{ runs: Buffer }>(`SELECT runs FROM journal WHERE id = ${rowId}`);
    row!.runs[6]! ^= 1;
    await query(`UPDATE journal SET runs = x'${row!.runs.toString('hex')}' WHERE id = ${rowId}`);
    await open();
    const found = sequencesOf(await readAll(store, QUEUE));
    expect(found).toEqual(range(1, COUNT).filter((at) => at !== 12 && at !== rowId));
    expect(harness.damage).toMatchObject([{ rowId }]);
    await fillMarked(COUNT + 1, COUNT + 3);
    await store.close();
    await open();
    expect(sequencesOf(await readAll(store, QUEUE))).toEqual([
      ...found,
      ...range(COUNT + 1, COUNT + 3),
    ]);
    await store.close();
    const { problems } = await checkDataFile(harness.directory);
    expect(problems.join()).toContain('a row has this id, and it is not its own');
  });

  it('ends the store where it is the newest leaf that takes no rows', async () => {
    const file = readFileSync(harness.dataPath);
    const { keyAt } = findRow(file, COUNT);
    // The first free block of the page, and a byte of the row.
    file.writeUInt16BE(4, Math.floor(keyAt / PAGE_BYTES) * PAGE_BYTES + 1);
    file[keyAt + 200]! ^= 1;
    writeFileSync(harness.dataPath, file);
    await open();
    const failures: Error[] = [];
    store.onFailure = (error) => failures.push(error);
    await readAll(store, QUEUE);
    expect(harness.damage).toHaveLength(1);
    store.put(QUEUE, makeEntry(COUNT + 1), true);
    store.commit(false);
    await store.tidy();
    await expect.poll(() => failures.length).toBe(1);
    expect(failures[0]!.message).toContain('SQLITE_CORRUPT');
  });

  it('lets everything come back as redelivered, until there are newer marks', async () => {
    await open();
    store.mark(QUEUE, 3);
    await fillMarked(COUNT + 1, COUNT + 12);
    await store.close();
    zeroPages(isLeafWith(30));
    const { queues } = await openAgain();
    expect(queues.get(QUEUE)!.deliveredBelow).toBe(3);
    await store.close();
    zeroPages(isLeafWith(COUNT + 1));
    const again = await openAgain();
    expect(again.queues.get(QUEUE)!.deliveredBelow).toBe(COUNT + 13);
    store.mark(QUEUE, 4);
    await commit(store);
    await store.close();
    const last = await openAgain();
    expect(last.queues.get(QUEUE)!.deliveredBelow).toBe(4);
  });

  it('keeps the store from starting where new rows would go', async () => {
    zeroPages(isLeafWith(COUNT));
    await expect(open()).rejects.toThrow(DataFileError);
    await expect(open()).rejects.toThrow(/damaged.*restore the data directory from a backup/);
    await store.close();
    const { problems } = await checkDataFile(harness.directory);
    expect(problems.join()).toMatch(/a page is damaged that had rows from \d+ to/);
    expect(await dump()).toEqual(expect.arrayContaining(range(13, COUNT - 10)));
  });

  /** Changes the root of the journal's tree, which is an inner page, and nothing else. */
  async function changeRoot(change: (root: Buffer) => void): Promise<void> {
    const [table] = await query<{ page: number }>(
      "SELECT rootpage AS page FROM sqlite_schema WHERE name='journal'",
    );
    const file = readFileSync(harness.dataPath);
    const root = file.subarray((table!.page - 1) * PAGE_BYTES, table!.page * PAGE_BYTES);
    expect(root[0]).toBe(INNER);
    change(root);
    writeFileSync(harness.dataPath, file);
  }

  it.each([1, 126])('keeps the store from starting where it leads elsewhere (%i)', async (key) => {
    await changeRoot((root) => {
      const middle = Math.floor(root.readUInt16BE(3) / 2);
      // The highest id of the leaf, behind the number of its page.
      root[root.readUInt16BE(12 + 2 * middle) + 4] = key;
    });
    await expect(open()).rejects.toThrow(DataFileError);
    await expect(open()).rejects.toThrow(/the journal does not lead to all rows.*from a backup/);
    await store.close();
    const { problems } = await checkDataFile(harness.directory);
    expect(problems.join()).toContain('the tree of the journal does not lead to it');
    expect((await dump()).length).toBeGreaterThan(COUNT / 3);
  });

  it('keeps the store from starting where it is an inner one', async () => {
    await changeRoot((root) => root.fill(0));
    await expect(open()).rejects.toThrow(DataFileError);
    await store.close();
    expect(await dump()).toEqual([]);
  });
});
