/** Checksums of side tables: what does not match is not believed, on the side of delivering again. */
import { readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { STORE_WRITTEN } from '../../src/engine/message.ts';
import type { Recovery } from '../../src/engine/ports.ts';
import { checkDataFile } from '../../src/store/sqlite/check.ts';
import { Connection } from '../../src/store/sqlite/driver.ts';
import {
  bitBytes,
  openBits,
  openDefinition,
  sealBits,
  sealDefinition,
  sumOf,
} from '../../src/store/sqlite/record-sums.ts';
import { DataFileError } from '../../src/store/sqlite/schema.ts';
import type { SqliteStore } from '../../src/store/sqlite/sqlite-store.ts';
import { SqliteHarness } from './sqlite-harness.ts';
import { commit, makeEntry, queueIdOf, readAll, sequencesOf } from './support.ts';

const QUEUE = queueIdOf(1);
const OTHER = queueIdOf(2);
const PAGE_BYTES = 16 * 1024;
/** Types of pages of tables without row ids. */
const LEAF = 0x0a;
const INNER = 0x02;

describe('sums', () => {
  it('differ for each bit of a field', () => {
    const fields = [2 ** 32 + 1, 7, null, 0, 2 ** 53 - 1];
    const sums = new Set([sumOf(fields)]);
    for (let i = 0; i < fields.length; i += 1) {
      for (let bit = 0; bit < 53; bit += 1) {
        const turned = BigInt(fields[i] ?? 0) ^ (1n << BigInt(bit));
        sums.add(sumOf(fields.with(i, Number(turned))));
      }
    }
    expect(sums.size).toBe(1 + 5 * 53);
    expect(sumOf([1, 2])).not.toBe(sumOf([2, 1]));
    expect(sumOf([0])).not.toBe(sumOf([null]));
    expect(sumOf([1, 2, 3], 2)).toBe(sumOf([1, 2]));
  });

  it.each([1, 8, 9, 24, 25, 32, 33, 40, 1000])('are kept with the bits of %i entries', (slots) => {
    const bits = Buffer.alloc(bitBytes(slots), 0x5a);
    const sealed = sealBits(3, slots, bits);
    expect(openBits(3, slots, sealed)).toEqual(bits);
    expect(openBits(4, slots, sealed)).toBeUndefined();
    const all = openBits(3, slots, sealBits(3, slots, undefined))!;
    expect(all.every((byte) => byte === 0xff)).toBe(true);
    for (let at = 0; at < sealed.length; at += 1) {
      const turned = Buffer.from(sealed);
      turned[at]! ^= 4;
      expect(openBits(3, slots, turned)).toBeUndefined();
    }
    // As schema version 1 wrote them.
    expect(openBits(3, slots, bits)).toEqual(bits);
    expect(openBits(3, slots, Buffer.alloc(0))).toEqual(Buffer.alloc(0));
  });

  it('are kept with definitions', () => {
    const sealed = sealDefinition('queue', 'orders', '{"durable":true}');
    expect(openDefinition('queue', 'orders', sealed)).toBe('{"durable":true}');
    expect(openDefinition('queue', 'order', sealed)).toBeUndefined();
    expect(openDefinition('queue', 'orders', sealed.replace('true', 'tsue'))).toBeUndefined();
    expect(openDefinition('queue', 'orders', '{"durable":true}')).toBe('{"durable":true}');
  });
});

describe('a damaged record', () => {
  let harness: SqliteHarness;
  let store: SqliteStore;

  beforeEach(async () => {
    harness = new SqliteHarness({ durability: 'relaxed' });
    await open();
  });

  afterEach(async () => {
    await harness.dispose();
  });

  async function open(): Promise<Recovery> {
    harness.damage.length = 0;
    store = await harness.open();
    return store.recover();
  }

  async function edit(sql: string): Promise<void> {
    const connection = await Connection.openExisting(harness.dataPath);
    await connection.execute(sql);
    await connection.close();
  }

  /** Ten entries in one row; what follows is in rows of its own, which go, so side tables have it. */
  async function fill(): Promise<void> {
    store.define('queue', 'orders', '{"durable":true}');
    const entries = [];
    for (let sequence = 1; sequence <= 10; sequence += 1) {
      const entry = makeEntry(sequence);
      entries.push(entry);
      store.put(QUEUE, entry, true);
    }
    store.put(OTHER, makeEntry(1), true);
    await commit(store);
    store.mark(QUEUE, 4);
    store.mark(OTHER, 1);
    for (const entry of entries.slice(0, 3)) store.settle(QUEUE, entry);
    entries[5]!.notBeforeMs = 9e12;
    entries[6]!.notBeforeMs = 9e12;
    store.update(QUEUE, entries[5]!);
    store.update(QUEUE, entries[6]!);
    await commit(store);
    await store.tidy();
    await store.close();
    expect((await checkDataFile(harness.directory)).problems).toEqual([]);
  }

  it('of settled entries lets them come back as redelivered, until it is written anew', async () => {
    await fill();
    await edit("UPDATE settled SET bits = CAST(x'0f' || substr(bits, 2) AS BLOB)");
    expect((await checkDataFile(harness.directory)).problems).toContain(
      'row 1: the record of its settled entries is damaged: they come back',
    );
    const { queues } = await open();
    expect(queues.get(QUEUE)).toMatchObject({ liveCount: 10, deliveredBelow: 11 });
    expect(sequencesOf(await readAll(store, QUEUE))).toHaveLength(10);
    expect(harness.damage).toMatchObject([{ rowId: 1 }]);
    store.settleRange(QUEUE, 1, 6);
    await commit(store);
    await store.tidy();
    await store.close();
    const again = await open();
    expect(harness.damage).toEqual([]);
    expect(again.queues.get(QUEUE)).toMatchObject({ liveCount: 5, firstSequence: 6 });
  });

  it.each(['delivered_below', 'next_sequence', 'as_of', 'queue_id'])(
    'of marks lets everything come back as redelivered (%s)',
    async (column) => {
      await fill();
      await edit(`UPDATE queue_mark SET ${column} = ${column} + 4 WHERE queue_id = ${QUEUE}`);
      const { queues } = await open();
      expect(queues.get(QUEUE)).toMatchObject({ deliveredBelow: queues.get(QUEUE)!.nextSequence });
      expect(queues.get(QUEUE)!.nextSequence).toBeGreaterThanOrEqual(11);
      expect(queues.get(OTHER)).toMatchObject({ deliveredBelow: 2, nextSequence: 2 });
      expect(harness.damage).toHaveLength(1);
      expect(harness.damage[0]!.reason).toContain('in queue_mark is damaged');
      await store.close();
      const { problems } = await checkDataFile(harness.directory);
      expect(problems).toHaveLength(1);
    },
  );

  it.each(['not_before_ms = not_before_ms + 1', "as_of = x'41'", 'sequence = 9', "queue_id = 'x'"])(
    'of a state makes the entry a fresh one (%s)',
    async (change) => {
      await fill();
      await edit(`UPDATE entry_state SET ${change} WHERE sequence = 6`);
      for (let round = 0; round < 2; round += 1) {
        const { queues } = await open();
        const delayed = [...queues.get(QUEUE)!.delayed];
        expect(delayed).toEqual([{ sequence: 7, notBeforeMs: 9e12 }]);
        const isGone = round === 1 && !change.includes("'x'");
        expect(harness.damage).toHaveLength(isGone ? 0 : 1);
        expect(sequencesOf(await readAll(store, QUEUE))).toHaveLength(7);
        // A row goes, and with it the damaged record.
        store.mark(QUEUE, 4 + round);
        await commit(store);
        await store.tidy();
        await store.close();
      }
    },
  );

  it.each([
    ['a leaf', LEAF, 0x7f],
    ['a leaf', LEAF, 0],
    ['an inner page', INNER, 0x7f],
    ['an inner page', INNER, 0],
  ])(
    'of a state in %s (%i) takes no other with it, whatever its key (%i)',
    async (_, type, high) => {
      const count = 11_000;
      for (let sequence = 1; sequence <= count; sequence += 1) {
        store.put(QUEUE, makeEntry(sequence), true);
      }
      await commit(store);
      for (let sequence = 1; sequence <= count; sequence += 1) {
        const entry = makeEntry(sequence);
        entry.storeState = STORE_WRITTEN;
        entry.notBeforeMs = 9e12;
        store.update(QUEUE, entry);
      }
      await commit(store);
      await store.tidy();
      await store.close();
      await turnKey(type, high);
      const { queues } = await open();
      expect(harness.damage).toMatchObject([{ reason: expect.stringContaining('1 records') }]);
      expect([...queues.get(QUEUE)!.delayed]).toHaveLength(count - 1);
    },
  );

  /** Changes the high byte of the sequence in one record of `entry_state`, in place. */
  async function turnKey(pageType: number, high: number): Promise<void> {
    const root = await rootOf('entry_state');
    const file = readFileSync(harness.dataPath);
    const start = Buffer.alloc(6);
    start.writeUIntBE(QUEUE, 0, 6);
    const found: number[] = [];
    const visit = (page: number): void => {
      const isInner = file[page] === INNER;
      const cellsAt = page + (isInner ? 12 : 8);
      for (let cell = 0; cell < file.readUInt16BE(page + 3); cell += 1) {
        const at = page + file.readUInt16BE(cellsAt + 2 * cell);
        if (isInner) visit((file.readUInt32BE(at) - 1) * PAGE_BYTES);
        const keyAt = at + file.subarray(at).indexOf(start) + start.length;
        if (file[page] === pageType) found.push(keyAt);
      }
      if (isInner) visit((file.readUInt32BE(page + 8) - 1) * PAGE_BYTES);
    };
    visit((root - 1) * PAGE_BYTES);
    file[found[Math.floor(found.length / 2)]!] = high;
    writeFileSync(harness.dataPath, file);
  }

  async function rootOf(table: string): Promise<number> {
    const connection = await Connection.openExisting(harness.dataPath);
    const [root] = await connection.all<{ page: number }>(
      `SELECT rootpage AS page FROM sqlite_schema WHERE name='${table}'`,
    );
    await connection.close();
    return root!.page;
  }

  it('of a state has numbers only, though an empty text counts as 0', async () => {
    await fill();
    await edit("UPDATE entry_state SET receive_count = '' WHERE sequence = 6");
    const { queues } = await open();
    expect([...queues.get(QUEUE)!.delayed]).toEqual([{ sequence: 7, notBeforeMs: 9e12 }]);
    expect(harness.damage).toHaveLength(1);
  });

  it('of a state does not take the one with it that replaced it', async () => {
    await fill();
    await edit('UPDATE entry_state SET as_of = as_of + 1 WHERE sequence = 6');
    await open();
    const [entry] = (await readAll(store, QUEUE)).filter(({ sequence }) => sequence === 6);
    entry!.notBeforeMs = 8e12;
    store.update(QUEUE, entry!);
    await commit(store);
    await store.tidy();
    await store.close();
    const { queues } = await open();
    expect(harness.damage).toEqual([]);
    const delayed = new Map(
      [...queues.get(QUEUE)!.delayed].map(({ sequence, notBeforeMs }) => [sequence, notBeforeMs]),
    );
    expect(delayed).toEqual(
      new Map([
        [6, 8e12],
        [7, 9e12],
      ]),
    );
  });

  it.each(["value = replace(value, 'true', 'trie')", "key = 'order'"])(
    'of a definition keeps the store from starting (%s)',
    async (change) => {
      await fill();
      await edit(`UPDATE definition SET ${change}`);
      store = await harness.open();
      await expect(store.recover()).rejects.toThrow(DataFileError);
      await store.close();
      const { problems, definitions } = await checkDataFile(harness.directory);
      expect(problems).toHaveLength(1);
      expect(problems[0]).toMatch(/^definition queue "orders?": checksum$/);
      expect(definitions).toBe(1);
    },
  );

  it.each(['meta', 'definition', 'settled', 'queue_mark', 'entry_state', 'body', 'set_aside'])(
    'is named by its table when pages of that are malformed (%s)',
    async (table) => {
      await fill();
      const root = await rootOf(table);
      const file = readFileSync(harness.dataPath);
      file.fill(0xff, (root - 1) * PAGE_BYTES, root * PAGE_BYTES);
      writeFileSync(harness.dataPath, file);
      const error = `pages of table ${table} are malformed`;
      store = await harness.open();
      await expect(store.recover()).rejects.toThrow(error);
      await store.close();
      await expect(checkDataFile(harness.directory)).rejects.toThrow(error);
    },
  );

  it('of the clean mark makes the end a crash', async () => {
    await fill();
    await edit("UPDATE meta SET value = 3 WHERE name = 'is_clean'");
    expect((await open()).wasClean).toBe(false);
  });

  it.each(['epoch', 'last_row_id'])('of the %s keeps the store from starting', async (name) => {
    await fill();
    await edit(`UPDATE meta SET value = value + 1 WHERE name = '${name}'`);
    store = await harness.open();
    await expect(store.recover()).rejects.toThrow(`"${name}"`);
    await store.close();
    await edit(`UPDATE meta SET value = 1000, sum = NULL WHERE name = '${name}'`);
    await open();
  });
});
