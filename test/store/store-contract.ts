/** The contract of `Store` (src/engine/ports.ts): every implementation runs this suite. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  Entry,
  STORE_CANCELLED,
  STORE_NONE,
  STORE_PENDING,
  STORE_WRITTEN,
} from '../../src/engine/message.ts';
import type { Recovery, Store } from '../../src/engine/ports.ts';
import {
  commit,
  describeMessage,
  makeEntry,
  makeMessage,
  queueIdOf,
  read,
  readAll,
  sequencesOf,
} from './support.ts';

/** One data directory, opened again and again. */
export interface StoreHarness {
  /** A new store on the same data; the one before was closed, or is abandoned now. */
  open(): Promise<Store>;
  /** Sets the wall clock that the stores see. */
  setWallMs(wallMs: number): void;
  /** Lets go of everything. */
  dispose(): Promise<void>;
}

const QUEUE = queueIdOf(1);
const OTHER = queueIdOf(2);

/** Puts entries first..last into a queue and returns them. */
function putMany(store: Store, queueId: number, first: number, last: number): Entry[] {
  const entries: Entry[] = [];
  for (let sequence = first; sequence <= last; sequence += 1) {
    const entry = makeEntry(sequence);
    entries.push(entry);
    store.put(queueId, entry, true);
  }
  return entries;
}

export function describeStoreContract(name: string, makeHarness: () => StoreHarness): void {
  describe(`${name}: store contract`, () => {
    let harness: StoreHarness;
    let store: Store;
    let recovery: Recovery;

    beforeEach(async () => {
      harness = makeHarness();
      await open();
    });

    afterEach(async () => {
      await harness.dispose();
    });

    async function open(): Promise<void> {
      store = await harness.open();
      recovery = await store.recover();
    }

    /** Ends the store in order and opens the data again. */
    async function reopen(): Promise<void> {
      await store.close();
      await open();
    }

    describe('recovery', () => {
      it('starts a new directory at epoch 1, clean and empty', () => {
        expect(recovery.epoch).toBe(1);
        expect(recovery.wasClean).toBe(true);
        expect(recovery.definitions).toEqual([]);
        expect(recovery.queues.size).toBe(0);
      });

      it('counts epochs and tells a clean end from a crash', async () => {
        await reopen();
        expect(recovery.epoch).toBe(2);
        expect(recovery.wasClean).toBe(true);
        await open();
        expect(recovery.epoch).toBe(3);
        expect(recovery.wasClean).toBe(false);
      });

      it('gives back committed entries with counts and bounds', async () => {
        putMany(store, QUEUE, 1, 20);
        await commit(store);
        await open();
        const queue = recovery.queues.get(QUEUE)!;
        expect(queue.liveCount).toBe(20);
        expect(queue.firstSequence).toBe(1);
        expect(queue.nextSequence).toBe(21);
        expect(queue.deliveredBelow).toBe(0);
        expect([...queue.delayed]).toEqual([]);
        expect(queue.liveBodyBytes).toBe(9 * 6 + 11 * 7);
        expect(sequencesOf(await readAll(store, QUEUE))).toEqual(
          Array.from({ length: 20 }, (_, i) => i + 1),
        );
      });

      it('loses what was not committed', async () => {
        putMany(store, QUEUE, 1, 3);
        await commit(store);
        putMany(store, QUEUE, 4, 6);
        store.define('queue', 'late', '{}');
        await open();
        expect(recovery.queues.get(QUEUE)!.liveCount).toBe(3);
        expect(recovery.definitions).toEqual([]);
      });

      it('commits the rest when closed', async () => {
        putMany(store, QUEUE, 1, 3);
        await reopen();
        expect(recovery.queues.get(QUEUE)!.liveCount).toBe(3);
      });

      it('remembers settlements, exact bytes and the next sequence', async () => {
        const entries = putMany(store, QUEUE, 1, 12);
        await commit(store);
        for (const sequence of [1, 2, 5, 11]) store.settle(QUEUE, entries[sequence - 1]!);
        await commit(store);
        await open();
        const queue = recovery.queues.get(QUEUE)!;
        expect(queue.liveCount).toBe(8);
        expect(queue.firstSequence).toBe(3);
        expect(queue.liveBodyBytes).toBe(6 * 6 + 2 * 7);
        for (const entry of await readAll(store, QUEUE)) store.settle(QUEUE, entry);
        await commit(store);
        await open();
        const found = recovery.queues.get(QUEUE)!;
        expect({ ...found, delayed: [...found.delayed] }).toEqual({
          nextSequence: 13,
          liveCount: 0,
          liveBodyBytes: 0,
          firstSequence: 13,
          deliveredBelow: 0,
          delayed: [],
          leased: [],
        });
      });

      it('drops entries that do not survive a restart', async () => {
        store.put(QUEUE, makeEntry(1), true);
        store.put(QUEUE, makeEntry(2), false);
        store.put(QUEUE, makeEntry(3), true);
        await commit(store);
        expect(sequencesOf(await readAll(store, QUEUE))).toEqual([1, 2, 3]);
        await reopen();
        expect(recovery.queues.get(QUEUE)!.liveCount).toBe(2);
        expect(sequencesOf(await readAll(store, QUEUE))).toEqual([1, 3]);
      });

      it('keeps the last committed mark', async () => {
        putMany(store, QUEUE, 1, 5);
        store.mark(QUEUE, 3);
        await commit(store);
        store.mark(QUEUE, 5);
        await open();
        expect(recovery.queues.get(QUEUE)!.deliveredBelow).toBe(3);
      });

      it('lists delayed entries that still live', async () => {
        const entries = putMany(store, QUEUE, 1, 4);
        entries[1]!.notBeforeMs = 5000;
        entries[2]!.notBeforeMs = 6000;
        await commit(store);
        store.settle(QUEUE, entries[2]!);
        entries[3]!.notBeforeMs = 7000;
        store.update(QUEUE, entries[3]!);
        await commit(store);
        await open();
        const delayed = [...recovery.queues.get(QUEUE)!.delayed];
        delayed.sort((a, b) => a.sequence - b.sequence);
        expect(delayed).toEqual([
          { sequence: 2, notBeforeMs: 5000 },
          { sequence: 4, notBeforeMs: 7000 },
        ]);
      });
    });

    describe('definitions', () => {
      it('are upserted and removed, in call order', async () => {
        store.define('queue', 'a', '1');
        store.define('queue', 'b', '2');
        store.define('exchange', 'a', '3');
        store.define('queue', 'a', '{"text":"\\u0000 ü \'"}');
        store.undefine('queue', 'b');
        store.undefine('queue', 'missing');
        await commit(store);
        store.undefine('exchange', 'a');
        store.define('exchange', 'a', '4');
        await commit(store);
        await reopen();
        const sorted = [...recovery.definitions].sort((a, b) => a.kind.localeCompare(b.kind));
        expect(sorted).toEqual([
          { kind: 'exchange', key: 'a', value: '4' },
          { kind: 'queue', key: 'a', value: '{"text":"\\u0000 ü \'"}' },
        ]);
      });

      it('share a commit with entries', async () => {
        store.define('queue', 'a', '1');
        putMany(store, QUEUE, 1, 2);
        await commit(store);
        await open();
        expect(recovery.definitions).toHaveLength(1);
        expect(recovery.queues.get(QUEUE)!.liveCount).toBe(2);
      });
    });

    describe('tickets', () => {
      it('grow with each commit and arrive in order', async () => {
        const seen: number[] = [];
        store.onCommitted = (ticket) => seen.push(ticket);
        const before = store.ticket;
        expect(store.isDirty).toBe(false);
        putMany(store, QUEUE, 1, 1);
        expect(store.isDirty).toBe(true);
        const first = store.ticket;
        expect(first).toBeGreaterThan(before);
        store.commit(false);
        expect(store.isDirty).toBe(false);
        expect(store.ticket).toBe(first);
        putMany(store, QUEUE, 2, 2);
        const second = store.ticket;
        expect(second).toBe(first + 1);
        store.commit(false);
        expect(store.committedTicket).toBeLessThan(first);
        await commit(store);
        await new Promise((resolve) => setTimeout(resolve, 5));
        expect(seen).toEqual([first, second]);
        expect(store.committedTicket).toBe(second);
      });

      it('lets settlements wait for company, but not for ever', async () => {
        const entries = putMany(store, QUEUE, 1, 2);
        await commit(store);
        store.settle(QUEUE, entries[0]!);
        const { ticket } = store;
        const committed = new Promise<number>((resolve) => {
          store.onCommitted = resolve;
        });
        store.commit(true);
        expect(store.isDirty).toBe(true);
        store.settle(QUEUE, entries[1]!);
        expect(store.ticket).toBe(ticket);
        expect(await committed).toBe(ticket);
        await open();
        expect(recovery.queues.get(QUEUE)!.liveCount).toBe(0);
      });

      it('advance without disk I/O when all puts were cancelled', async () => {
        const [entry] = putMany(store, QUEUE, 1, 1);
        const { ticket } = store;
        store.settle(QUEUE, entry!);
        expect(entry!.storeState).toBe(STORE_CANCELLED);
        store.commit(false);
        expect(store.committedTicket).toBeLessThan(ticket);
        await expect.poll(() => store.committedTicket).toBe(ticket);
      });
    });

    describe('entries', () => {
      it('go through pending to written, and cancelled ones never reach the disk', async () => {
        const [first, second] = putMany(store, QUEUE, 1, 2);
        expect(makeEntry(9).storeState).toBe(STORE_NONE);
        expect(first!.storeState).toBe(STORE_PENDING);
        store.settle(QUEUE, first!);
        store.settle(QUEUE, first!);
        await commit(store);
        expect(first!.storeState).toBe(STORE_CANCELLED);
        expect(second!.storeState).toBe(STORE_WRITTEN);
        expect(sequencesOf(await readAll(store, QUEUE))).toEqual([2]);
      });

      it('may be settled while their commit is at the disk', async () => {
        const entries = putMany(store, QUEUE, 1, 3);
        store.commit(false);
        store.settle(QUEUE, entries[1]!);
        await commit(store);
        expect(sequencesOf(await readAll(store, QUEUE))).toEqual([1, 3]);
        await open();
        expect(sequencesOf(await readAll(store, QUEUE))).toEqual([1, 3]);
      });

      it('that were never stored are settled for free', () => {
        store.settle(QUEUE, makeEntry(1));
        expect(store.isDirty).toBe(false);
      });

      it('come back with every property of message and entry', async () => {
        const message = makeMessage({
          exchange: 'größe',
          routingKey: 'a.b.ü',
          format: 2,
          header: '\u0000\u0001header',
          body: Buffer.from([0, 1, 2, 255]),
          isPersistent: false,
          priority: 0,
          expirationMs: 60_000,
          publishedAtMs: 1_700_000_000_123,
        });
        const entry = new Entry(message, 7, 1_700_000_060_123);
        entry.notBeforeMs = 1_700_000_030_000;
        entry.receiveCount = 3;
        entry.leaseUntilMs = 1_700_000_040_000;
        entry.firstReceivedAtMs = 1_700_000_010_000;
        entry.isRedelivered = true;
        const plain = makeEntry(8, { body: '', header: '', priority: 255 });
        store.put(QUEUE, entry, true);
        store.put(QUEUE, plain, true);
        await commit(store);
        for (const round of ['same process', 'after a restart']) {
          const { entries, end } = await read(store, QUEUE);
          expect(end, round).toBe(9);
          const [back, plainBack] = entries;
          expect(describeMessage(back!.message)).toEqual(describeMessage(message));
          expect(back!.expiresAtMs).toBe(1_700_000_060_123);
          expect(back!.notBeforeMs).toBe(1_700_000_030_000);
          expect(back!.receiveCount).toBe(3);
          expect(back!.leaseUntilMs).toBe(1_700_000_040_000);
          expect(back!.firstReceivedAtMs).toBe(1_700_000_010_000);
          expect(back!.isRedelivered).toBe(true);
          expect(back!.storeState).toBe(STORE_WRITTEN);
          expect(describeMessage(plainBack!.message)).toEqual(describeMessage(plain.message));
          expect(plainBack!.expiresAtMs).toBe(Infinity);
          expect(plainBack!.leaseUntilMs).toBe(Infinity);
          expect(plainBack!.isRedelivered).toBe(false);
          await reopen();
        }
      });

      it('keep the newest committed state', async () => {
        const [entry, other] = putMany(store, QUEUE, 1, 2);
        await commit(store);
        entry!.receiveCount = 1;
        entry!.firstReceivedAtMs = 10;
        store.update(QUEUE, entry!);
        await commit(store);
        entry!.receiveCount = 2;
        entry!.leaseUntilMs = 99;
        store.update(QUEUE, entry!);
        entry!.expiresAtMs = 777;
        store.update(QUEUE, entry!);
        await commit(store);
        other!.receiveCount = 5;
        store.update(QUEUE, other!);
        await open();
        const { entries } = await read(store, QUEUE);
        expect(entries[0]!.receiveCount).toBe(2);
        expect(entries[0]!.firstReceivedAtMs).toBe(10);
        expect(entries[0]!.leaseUntilMs).toBe(99);
        expect(entries[0]!.expiresAtMs).toBe(777);
        expect(entries[1]!.receiveCount).toBe(0);
      });

      it('are stored as `update` recorded them last, even before their commit', async () => {
        const [entry, plain] = putMany(store, QUEUE, 1, 2);
        entry!.receiveCount = 1;
        store.update(QUEUE, entry!);
        entry!.receiveCount = 2;
        plain!.receiveCount = 3;
        await commit(store);
        for (const round of ['same process', 'after a crash']) {
          const { entries } = await read(store, QUEUE);
          const counts = entries.map(({ receiveCount }) => receiveCount);
          expect(counts, round).toEqual([1, 3]);
          await open();
        }
      });

      it('of one message in many queues are each their own', async () => {
        const message = makeMessage({ body: 'shared' });
        for (let i = 0; i < 50; i += 1) {
          store.put(queueIdOf(i), new Entry(message, 1, Infinity), true);
        }
        await commit(store);
        const [first] = (await read(store, queueIdOf(0))).entries;
        store.settle(queueIdOf(0), first!);
        await commit(store);
        await open();
        expect(recovery.queues.get(queueIdOf(0))!.liveCount).toBe(0);
        for (let i = 1; i < 50; i += 1) {
          const { entries } = await read(store, queueIdOf(i));
          expect(describeMessage(entries[0]!.message)['body']).toBe('shared');
        }
      });

      it('with large bodies come back, and leave', async () => {
        const body = Buffer.alloc(200_000, 'x');
        const large = makeEntry(2, { body });
        store.put(QUEUE, makeEntry(1), true);
        store.put(QUEUE, large, true);
        store.put(OTHER, new Entry(large.message, 1, Infinity), true);
        await commit(store);
        await open();
        expect(recovery.queues.get(QUEUE)!.liveBodyBytes).toBe(200_006);
        const { entries } = await read(store, QUEUE);
        expect(describeMessage(entries[1]!.message)).toEqual(describeMessage(large.message));
        store.settle(QUEUE, entries[1]!);
        await commit(store);
        const [other] = (await read(store, OTHER)).entries;
        expect(other!.message.bodyBytes).toBe(200_000);
      });

      it('may be put out of order, between entries that are there', async () => {
        for (const sequence of [1, 2, 5, 6, 9]) store.put(QUEUE, makeEntry(sequence), true);
        await commit(store);
        for (const sequence of [7, 3, 4]) store.put(QUEUE, makeEntry(sequence), true);
        await commit(store);
        expect(sequencesOf(await readAll(store, QUEUE))).toEqual([1, 2, 3, 4, 5, 6, 7, 9]);
        await open();
        expect(sequencesOf(await readAll(store, QUEUE))).toEqual([1, 2, 3, 4, 5, 6, 7, 9]);
      });

      it('put after a range was settled are not hit by it', async () => {
        putMany(store, QUEUE, 1, 2);
        store.put(QUEUE, makeEntry(6), true);
        await commit(store);
        store.settleRange(QUEUE, 1, 100);
        putMany(store, QUEUE, 4, 5);
        putMany(store, QUEUE, 7, 8);
        await commit(store);
        expect(sequencesOf(await readAll(store, QUEUE))).toEqual([4, 5, 7, 8]);
        await open();
        expect(sequencesOf(await readAll(store, QUEUE))).toEqual([4, 5, 7, 8]);
      });
    });

    describe('ranges and queues', () => {
      it('settles stored and buffered entries of a range', async () => {
        putMany(store, QUEUE, 1, 10);
        await commit(store);
        const late = putMany(store, QUEUE, 11, 14);
        store.settleRange(QUEUE, 3, 13);
        await commit(store);
        expect(late[0]!.storeState).toBe(STORE_CANCELLED);
        expect(late[3]!.storeState).toBe(STORE_WRITTEN);
        expect(sequencesOf(await readAll(store, QUEUE))).toEqual([1, 2, 13, 14]);
        await open();
        expect(sequencesOf(await readAll(store, QUEUE))).toEqual([1, 2, 13, 14]);
        store.settleRange(QUEUE, 0, Infinity);
        await commit(store);
        expect(store.firstLive(QUEUE, 0)).toBe(Infinity);
      });

      it('forgets a dropped queue, buffered puts included, and no other', async () => {
        putMany(store, QUEUE, 1, 5);
        putMany(store, OTHER, 1, 5);
        store.mark(QUEUE, 3);
        await commit(store);
        putMany(store, QUEUE, 6, 8);
        store.dropQueue(QUEUE);
        store.dropQueue(queueIdOf(77));
        await commit(store);
        expect(store.firstLive(QUEUE, 0)).toBe(Infinity);
        await open();
        expect(recovery.queues.get(QUEUE)?.liveCount ?? 0).toBe(0);
        expect(recovery.queues.get(OTHER)!.liveCount).toBe(5);
      });
    });

    describe('reading', () => {
      it('answers from a later turn, within its limits, and says where to go on', async () => {
        putMany(store, QUEUE, 1, 30);
        await commit(store);
        let isAnswered = false;
        store.read(QUEUE, 1, 5, 1e9, () => {
          isAnswered = true;
        });
        expect(isAnswered).toBe(false);
        const byCount = await read(store, QUEUE, 4, 5);
        expect(sequencesOf(byCount.entries)).toEqual([4, 5, 6, 7, 8]);
        expect(byCount.end).toBe(9);
        const byBytes = await read(store, QUEUE, 1, 100, 30);
        expect(byBytes.entries.length).toBeGreaterThanOrEqual(1);
        expect(byBytes.entries.length).toBeLessThanOrEqual(5);
        const none = await read(store, QUEUE, 31, 5);
        expect(none.entries).toEqual([]);
        expect(none.end).toBe(31);
        expect((await read(store, queueIdOf(99), 1)).entries).toEqual([]);
      });

      it('waits for a commit in flight rather than show what is not durable', async () => {
        putMany(store, QUEUE, 1, 3);
        store.commit(false);
        const { ticket } = store;
        const { entries } = await read(store, QUEUE, 1);
        expect(entries).toHaveLength(3);
        expect(store.committedTicket).toBe(ticket);
      });

      it('finds the first live entry without I/O', async () => {
        const entries = putMany(store, QUEUE, 3, 9);
        expect(store.firstLive(QUEUE, 1)).toBe(Infinity);
        await commit(store);
        expect(store.firstLive(QUEUE, 1)).toBe(3);
        store.settle(QUEUE, entries[0]!);
        store.settle(QUEUE, entries[2]!);
        expect(store.firstLive(QUEUE, 1)).toBe(4);
        expect(store.firstLive(QUEUE, 5)).toBe(6);
        expect(store.firstLive(QUEUE, 10)).toBe(Infinity);
      });

      it('finds sequences by commit time', async () => {
        harness.setWallMs(1000);
        putMany(store, QUEUE, 1, 3);
        await commit(store);
        harness.setWallMs(2000);
        putMany(store, QUEUE, 4, 6);
        await commit(store);
        for (const round of ['same process', 'after a restart']) {
          expect(store.sequenceAt(QUEUE, 0), round).toBe(1);
          expect(store.sequenceAt(QUEUE, 1000)).toBe(1);
          expect(store.sequenceAt(QUEUE, 1001)).toBe(4);
          expect(store.sequenceAt(QUEUE, 2000)).toBe(4);
          expect(store.sequenceAt(QUEUE, 2001)).toBe(7);
          await reopen();
        }
      });
    });

    describe('back-pressure', () => {
      it('counts buffered bytes and lets them go', async () => {
        expect(store.backlogBytes).toBe(0);
        store.put(QUEUE, makeEntry(1, { body: Buffer.alloc(5000) }), true);
        expect(store.backlogBytes).toBeGreaterThanOrEqual(5000);
        await commit(store);
        expect(store.backlogBytes).toBe(0);
      });

      it('counts buffered definitions, which may be large, and stores them', async () => {
        const value = 'v'.repeat(3_000_000);
        for (let i = 0; i < 4; i += 1) store.define('retained', `topic ${i}`, `"${value}${i}"`);
        expect(store.backlogBytes).toBeGreaterThanOrEqual(12_000_000);
        store.commit(false);
        expect(store.backlogBytes).toBeGreaterThanOrEqual(12_000_000);
        await commit(store);
        expect(store.backlogBytes).toBe(0);
        await open();
        const stored = recovery.definitions.map((definition) => definition.value).sort();
        expect(stored).toEqual([0, 1, 2, 3].map((i) => `"${value}${i}"`));
      });
    });
  });
}
