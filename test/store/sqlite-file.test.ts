/** The data directory: settings, lock, schema, damage, and what a killed process leaves. */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DataDirBusyError, DataDirLock } from '../../src/store/data-dir-lock.ts';
import { checkDataFile, dumpDataFile, type DumpedRow } from '../../src/store/sqlite/check.ts';
import { Connection } from '../../src/store/sqlite/driver.ts';
import { dumpMessages } from '../../src/store/sqlite/dump.ts';
import { applyPragmas, DataFileError, MIGRATIONS } from '../../src/store/sqlite/schema.ts';
import { SqliteStore } from '../../src/store/sqlite/sqlite-store.ts';
import { SqliteHarness } from './sqlite-harness.ts';
import {
  commit,
  makeEntry,
  queueIdOf,
  read,
  readAll,
  sequencesOf,
  temporaryDirectory,
} from './support.ts';

const QUEUE = queueIdOf(1);
const OTHER = queueIdOf(2);

let harness: SqliteHarness;

beforeEach(() => {
  harness = new SqliteHarness();
});

afterEach(async () => {
  await harness.dispose();
});

/** Changes the closed data file by hand. */
async function edit(sql: string): Promise<void> {
  const connection = await Connection.openExisting(harness.dataPath);
  await connection.execute(sql);
  await connection.close();
}

async function openStore(): Promise<SqliteStore> {
  const store = await harness.open();
  await store.recover();
  return store;
}

describe('data directory', () => {
  it('is private, and full durability is read back at every open', async () => {
    const store = await openStore();
    expect(statSync(harness.directory).mode & 0o777).toBe(0o700);
    expect(statSync(harness.dataPath).mode & 0o777).toBe(0o600);
    expect(statSync(`${harness.dataPath}-wal`).mode & 0o777).toBe(0o600);
    await store.close();
    for (let round = 0; round < 2; round += 1) {
      const again = await openStore();
      expect(await again.settings()).toEqual({
        journalMode: 'wal',
        synchronous: 2,
        pageBytes: 16 * 1024,
        autoVacuum: 2,
        lockingMode: 'exclusive',
      });
      await again.close();
    }
  });

  it('is refused to a second store while the first has it', async () => {
    const store = await openStore();
    await expect(
      SqliteStore.open({ directory: harness.directory, durability: 'full' }),
    ).rejects.toThrow(DataDirBusyError);
    await expect(
      SqliteStore.open({ directory: harness.directory, durability: 'full' }),
    ).rejects.toThrow(`in use by process ${process.pid}`);
    await expect(checkDataFile(harness.directory)).rejects.toThrow(DataDirBusyError);
    await store.close();
    await (await openStore()).close();
  });

  it('has a lock that ends with its process', async () => {
    const { path, remove } = temporaryDirectory();
    const code = `
      const sqlite3 = require('sqlite3');
      const db = new sqlite3.Database(${JSON.stringify(join(path, 'tributary.lock'))}, () => {
        db.exec('PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE;', () => console.log('held'));
      });
      setTimeout(() => {}, 60000);`;
    const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    await expect(DataDirLock.acquire(path)).rejects.toThrow(DataDirBusyError);
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
    await (await DataDirLock.acquire(path)).release();
    remove();
  });

  it('does not need the file with its process id, which is for the message only', async () => {
    const { path, remove } = temporaryDirectory();
    mkdirSync(join(path, 'tributary.pid'));
    const lock = await DataDirLock.acquire(path);
    await expect(DataDirLock.acquire(path)).rejects.toThrow('in use by another process');
    await lock.release();
    await (await DataDirLock.acquire(path)).release();
    remove();
  });

  it('with a newer schema is left alone', async () => {
    await (await openStore()).close();
    await edit(`PRAGMA user_version=${MIGRATIONS.length + 1}`);
    await expect(openStore()).rejects.toThrow(DataFileError);
    await edit(`PRAGMA user_version=${MIGRATIONS.length}`);
    await (await openStore()).close();
  });

  it('refuses a file that cannot have a write-ahead log', async () => {
    const connection = await Connection.open(':memory:');
    await expect(applyPragmas(connection, 'full')).rejects.toThrow(DataFileError);
    await connection.close();
  });
});

describe('saved states of entries', () => {
  it('are read page by page; what older rows say of them is ignored, what newer ones say is not', async () => {
    const store = await openStore();
    const count = 7_000;
    const entries = [];
    for (const queueId of [QUEUE, OTHER]) {
      for (let sequence = 1; sequence <= count; sequence += 1) {
        const entry = makeEntry(sequence, { body: '' });
        entry.notBeforeMs = 1;
        store.put(queueId, entry, true);
        if (queueId === OTHER) entries.push(entry);
      }
    }
    await commit(store);
    entries[0]!.notBeforeMs = 2;
    store.update(OTHER, entries[0]!);
    await commit(store);
    await store.close();
    await edit(`WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < ${count})
      INSERT INTO entry_state SELECT q, n, 1, n % 3, 1000 + n, NULL, NULL, 9e12, 0, NULL
      FROM s, (SELECT ${QUEUE} AS q UNION SELECT ${OTHER})`);
    const again = await harness.open();
    const { queues } = await again.recover();
    for (const queueId of [QUEUE, OTHER]) {
      const delayed = [...queues.get(queueId)!.delayed];
      expect(delayed).toHaveLength(count);
      const wrong = delayed.filter(({ sequence, notBeforeMs }) => {
        const isNewer = queueId === OTHER && sequence === 1;
        return notBeforeMs !== (isNewer ? 2 : 1000 + sequence);
      });
      expect(wrong).toEqual([]);
    }
    const { entries: read1 } = await read(again, QUEUE, count, 1);
    expect(read1[0]).toMatchObject({ receiveCount: count % 3, expiresAtMs: 9e12 });
    expect(read1[0]).toMatchObject({ leaseUntilMs: Infinity, firstReceivedAtMs: 0 });
  });
});

describe('damage', () => {
  /** Two rows: entries 1-3 and 4-6 of one queue, 1-3 of another in the first row. */
  async function prepare(): Promise<void> {
    const store = await openStore();
    for (let i = 1; i <= 3; i += 1) {
      store.put(QUEUE, makeEntry(i), true);
      store.put(OTHER, makeEntry(i), true);
    }
    await commit(store);
    for (let i = 4; i <= 6; i += 1) store.put(QUEUE, makeEntry(i), true);
    await commit(store);
    await store.close();
  }

  it('in a row is reported, and its entries are never delivered', async () => {
    await prepare();
    await edit('UPDATE journal SET data = CAST(zeroblob(5) || substr(data, 6) AS BLOB) WHERE id=1');
    expect((await checkDataFile(harness.directory)).problems).toEqual(['row 1: data checksum']);
    const store = await openStore();
    expect(sequencesOf(await readAll(store, QUEUE))).toEqual([4, 5, 6]);
    expect(sequencesOf(await readAll(store, OTHER))).toEqual([]);
    expect(harness.damage.map(({ queueId }) => queueId)).toEqual([QUEUE, OTHER]);
    expect(harness.damage[0]).toMatchObject({ rowId: 1, firstSequence: 1, endSequence: 4 });
    await store.tidy();
    await store.close();
    const report = await checkDataFile(harness.directory);
    expect(report.setAside).toBe(1);
    expect(report.problems).toEqual([]);
    harness.damage.length = 0;
    await (await openStore()).close();
    expect(harness.damage).toEqual([]);
  });

  it('in an index is reported at each start, and the row is kept', async () => {
    await prepare();
    await edit("UPDATE journal SET runs = CAST(runs || x'00' AS BLOB) WHERE id=1");
    for (let round = 0; round < 2; round += 1) {
      harness.damage.length = 0;
      const store = await openStore();
      expect(harness.damage).toEqual([{ rowId: 1, reason: 'index checksum' }]);
      expect(sequencesOf(await readAll(store, QUEUE))).toEqual([4, 5, 6]);
      await store.tidy();
      await store.close();
    }
  });

  it('does not let a new entry have the sequence, and the state, of one that was lost', async () => {
    const store = await openStore();
    const entries = [1, 2, 3, 4].map((sequence) => makeEntry(sequence));
    store.put(QUEUE, entries[0]!, true);
    await commit(store);
    for (const entry of entries.slice(1)) store.put(QUEUE, entry, true);
    await commit(store);
    entries[1]!.notBeforeMs = 9e12;
    store.update(QUEUE, entries[1]!);
    store.settle(QUEUE, entries[2]!);
    await commit(store);
    await store.close();
    await edit("UPDATE journal SET runs = CAST(runs || x'00' AS BLOB) WHERE id=2");
    const damaged = await harness.open();
    const { queues } = await damaged.recover();
    expect(queues.get(QUEUE)!.nextSequence).toBe(4);
    expect([...queues.get(QUEUE)!.delayed]).toEqual([]);
    await damaged.close();
  });

  it('in a row leaves its pages alone: they may be those of another', async () => {
    await prepare();
    await edit('UPDATE journal SET data = CAST(zeroblob(5) || substr(data, 6) AS BLOB) WHERE id=1');
    const store = await openStore();
    await readAll(store, QUEUE);
    await readAll(store, OTHER);
    await store.tidy();
    await store.close();
    const connection = await Connection.openExisting(harness.dataPath);
    expect(await connection.all('SELECT id FROM journal WHERE id=1')).toEqual([{ id: 1 }]);
    expect(await connection.all('SELECT id, reason, runs FROM set_aside')).toEqual([
      { id: 1, reason: 'data checksum', runs: null },
    ]);
    await connection.close();
  });

  it('in a side table leaves counts right', async () => {
    await prepare();
    const store = await openStore();
    const [first] = await readAll(store, QUEUE);
    store.settle(QUEUE, first!);
    await commit(store);
    await store.tidy();
    await store.close();
    for (const bits of ['01', '0100000000', '00']) {
      await edit(`DELETE FROM settled; INSERT INTO settled VALUES (1, x'${bits}')`);
      const again = await openStore();
      // Of schema version 1, one entry settled; too long; of version 1, none settled.
      const expected = bits === '01' ? 8 : 9;
      expect(again.metrics().liveEntries).toBe(expected);
      const all = [...(await readAll(again, QUEUE)), ...(await readAll(again, OTHER))];
      expect(all).toHaveLength(expected);
      await again.close();
    }
  });

  it('of a large body loses that entry only', async () => {
    const store = await openStore();
    store.put(QUEUE, makeEntry(1), true);
    store.put(QUEUE, makeEntry(2, { body: Buffer.alloc(100_000, 'a') }), true);
    store.put(QUEUE, makeEntry(3), true);
    await commit(store);
    await store.close();
    await edit('UPDATE body SET data = zeroblob(100000)');
    const again = await openStore();
    expect(sequencesOf(await readAll(again, QUEUE))).toEqual([1, 3]);
    expect(harness.damage).toHaveLength(1);
  });
});

describe('a page that is lost', () => {
  /** Three rows of ten entries; of the second one, 15 is settled and a page is all zeros. */
  async function prepare(): Promise<void> {
    const store = await openStore();
    for (let sequence = 1; sequence <= 30; sequence += 1) {
      const letter = 'abc'[Math.floor((sequence - 1) / 10)]!;
      const body = Buffer.alloc(30_000 + sequence, letter);
      store.put(QUEUE, makeEntry(sequence, { body }), true);
      if (sequence % 10 === 0) await commit(store);
    }
    store.settleRange(QUEUE, 15, 16);
    await store.close();
    const file = readFileSync(harness.dataPath);
    const pageBytes = 16 * 1024;
    let page = 0;
    for (let isFound = false; !isFound; page += 1) {
      const inner = file.subarray(page * pageBytes + 8, (page + 1) * pageBytes);
      isFound = inner.length > 0 && inner.every((byte) => byte === 'b'.charCodeAt(0));
    }
    file.fill(0, page * pageBytes, (page + 1) * pageBytes);
    writeFileSync(harness.dataPath, file);
  }

  it('does not keep the store from starting', async () => {
    await prepare();
    const store = await harness.open();
    const { queues } = await store.recover();
    expect(queues.get(QUEUE)).toMatchObject({ liveCount: 29, firstSequence: 1, nextSequence: 31 });
    const { entries } = await read(store, QUEUE, 21);
    expect(sequencesOf(entries)).toEqual([21, 22, 23, 24, 25, 26, 27, 28, 29, 30]);
  });

  it('is one problem of a check, and the other rows are looked at', async () => {
    await prepare();
    const { problems, entries } = await checkDataFile(harness.directory);
    expect(problems.filter((text) => text.startsWith('row'))).toEqual([
      'row 2: its pages are damaged',
    ]);
    expect(entries).toBe(20);
  });

  it('costs a dump the messages of its row', async () => {
    await prepare();
    const sequences: number[] = [];
    const problems = await dumpMessages(harness.directory, {
      choose: (_definitions, stored) => stored,
      visit: ({ sequence }) => Promise.resolve(sequences.push(sequence) > 0),
    });
    expect(sequences).toHaveLength(20);
    expect(problems).toContain('row 2: its pages are damaged, 9 messages are lost');
    const rows: number[] = [];
    await dumpDataFile(harness.directory, ({ id }) => rows.push(id));
    expect(rows).toEqual([1, 3, 4]);
  });
});

describe('dump', () => {
  it('says when messages expire now, not when they were published', async () => {
    const store = await openStore();
    const entry = makeEntry(1);
    entry.expiresAtMs = 5e12;
    store.put(QUEUE, entry, true);
    store.put(QUEUE, makeEntry(2), true);
    await commit(store);
    entry.expiresAtMs = 6e12;
    store.update(QUEUE, entry);
    await store.close();
    const times: number[] = [];
    await dumpMessages(harness.directory, {
      choose: (_definitions, stored) => stored,
      visit: ({ expiresAtMs }) => Promise.resolve(times.push(expiresAtMs) > 0),
    });
    expect(times).toEqual([6e12, Infinity]);
  });

  it('lists rows, entries and deltas', async () => {
    const store = await openStore();
    const entries = [1, 2, 3].map((sequence) => makeEntry(sequence));
    for (const entry of entries) store.put(QUEUE, entry, true);
    await commit(store);
    store.settle(QUEUE, entries[1]!);
    store.mark(QUEUE, 3);
    await commit(store);
    await store.close();
    const rows: DumpedRow[] = [];
    await dumpDataFile(harness.directory, (row) => rows.push(row));
    expect(rows).toHaveLength(2);
    expect(rows[0]!.entries.map(({ sequence, isLive }) => [sequence, isLive])).toEqual([
      [1, true],
      [2, false],
      [3, true],
    ]);
    expect(rows[1]!.deltas).toEqual([
      `settle queue ${QUEUE} from 2, 1 entries`,
      `mark queue ${QUEUE} below 3`,
    ]);
  });
});

describe('failure', () => {
  it('ends the store: one report, nothing confirmed later', async () => {
    await (await openStore()).close();
    await edit(`CREATE TRIGGER broken BEFORE INSERT ON journal
      BEGIN SELECT RAISE(FAIL, 'broken disk'); END`);
    const store = await openStore();
    const failures: Error[] = [];
    const committed: number[] = [];
    store.onFailure = (error) => failures.push(error);
    store.onCommitted = (ticket) => committed.push(ticket);
    store.put(QUEUE, makeEntry(1), true);
    store.commit(false);
    store.put(QUEUE, makeEntry(2), true);
    store.commit(false);
    await expect.poll(() => failures.length).toBe(1);
    store.put(QUEUE, makeEntry(3), true);
    store.commit(false);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(failures).toHaveLength(1);
    expect(committed).toEqual([]);
  });
});
