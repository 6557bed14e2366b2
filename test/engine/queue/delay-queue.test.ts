import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DELAYED_RESIDENT_ENTRIES } from '../../../src/base/limits.ts';
import type { Entry, Message } from '../../../src/engine/message.ts';
import type { Store } from '../../../src/engine/ports.ts';
import { DelayQueue } from '../../../src/engine/queue/delay-queue.ts';
import { bodyOf } from '../../support/engine-fixture.ts';
import { SeededRandom } from '../../support/seeded-random.ts';
import { commit, makeMessage } from '../../store/support.ts';
import type { RestartableStore } from './restartable-stores.ts';
import { RESTARTABLE_STORES } from './restartable-stores.ts';

const ID = 512;
const START_MS = 1_700_000_000_000;

describe.each(RESTARTABLE_STORES)('delay queue on the %s store', (_name, make) => {
  let restartable: RestartableStore;
  let store: Store;
  let queue: DelayQueue;
  let released: string[];
  let dropped: string[];
  let wakeUps: number[];
  let readsUnderWay: number;

  beforeEach(async () => {
    restartable = make();
    await restart();
  });
  afterEach(() => restartable.dispose());

  /** Begins, or begins again after a crash: what is not committed is lost. */
  async function restart(): Promise<void> {
    const { store: opened, recovery } = await restartable.open();
    store = opened;
    readsUnderWay = 0;
    const doRead = store.read.bind(store);
    store.read = (queueId, from, maxCount, maxBytes, done) => {
      readsUnderWay += 1;
      doRead(queueId, from, maxCount, maxBytes, (entries, end) => {
        readsUnderWay -= 1;
        done(entries, end);
      });
    };
    released = [];
    dropped = [];
    wakeUps = [];
    const host = { store, wakeDelayAt: (_queue: DelayQueue, atMs: number) => wakeUps.push(atMs) };
    const options = { dropped: (message: Message) => dropped.push(bodyOf(message)) };
    queue = new DelayQueue(ID, host, (message) => released.push(bodyOf(message)), options);
    const recovered = recovery.queues.get(ID);
    if (recovered !== undefined) queue.restore(recovered);
  }

  /** Publishes `body` due `afterMs` after the start. Returns its sequence. */
  function publish(body: string, afterMs: number, publishedAtMs = START_MS): number {
    const sequence = queue.nextSequence;
    queue.publish(makeMessage({ body, publishedAtMs }), START_MS + afterMs, true);
    return sequence;
  }

  /** Ticks at `afterMs` until reads have come back. */
  async function tick(afterMs: number): Promise<void> {
    do {
      queue.tick(START_MS + afterMs);
      await new Promise((resolve) => setTimeout(resolve, 1));
    } while (readsUnderWay > 0);
    queue.tick(START_MS + afterMs);
  }

  function read(sequence: number): Promise<Entry | undefined> {
    return new Promise((resolve) => queue.read(sequence, resolve));
  }

  function cancel(sequence: number): Promise<Message | undefined> {
    return new Promise((resolve) => queue.cancel(sequence, resolve));
  }

  function dueTimes(): [number, number][] {
    return queue.list(0, 100).map(({ sequence, dueAtMs }) => [sequence, dueAtMs - START_MS]);
  }

  /** Makes every message so far lie on disk only. */
  async function letGo(): Promise<void> {
    await commit(store);
    await restart();
    expect(queue.residentCount).toBe(0);
  }

  test('lists what waits in due order, with offset and limit', async () => {
    for (const [body, afterMs] of [
      ['c', 30],
      ['a', 10],
      ['d', 40],
      ['b', 10],
    ] as const) {
      publish(body, afterMs);
    }
    const all = [
      [2, 10],
      [4, 10],
      [1, 30],
      [3, 40],
    ];
    expect(dueTimes()).toEqual(all);
    expect(queue.list(1, 2).map(({ sequence }) => sequence)).toEqual([4, 1]);
    expect([queue.list(4, 2), queue.list(0, 0)]).toEqual([[], []]);
    await letGo();
    expect(dueTimes()).toEqual(all);
    expect(queue.count).toBe(4);
  });

  test('names messages by sequences that survive a restart', async () => {
    const ids = ['a', 'b', 'c'].map((body, n) => publish(body, 100 - n));
    await letGo();
    expect(publish('d', 5)).toBe(4);
    for (const [n, id] of ids.entries()) {
      const entry = await read(id);
      expect(bodyOf(entry!.message)).toBe(['a', 'b', 'c'][n]);
      expect(entry!.notBeforeMs).toBe(START_MS + 100 - n);
    }
    expect([queue.has(1), queue.has(4), queue.has(5), queue.has(0)]).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(await read(5)).toBeUndefined();
  });

  test('re-times in memory and on disk, and the new time survives a restart', async () => {
    const early = publish('early', 10);
    const late = publish('late', 1_000);
    expect(queue.retime(early, START_MS + 2_000)).toBe(true);
    await letGo();
    expect(queue.retime(late, START_MS + 20)).toBe(true);
    // At once, to look ahead.
    expect(wakeUps.at(-1)).toBe(0);
    await tick(0);
    expect(wakeUps.at(-1)).toBe(START_MS + 20);
    expect(dueTimes()).toEqual([
      [late, 20],
      [early, 2_000],
    ]);
    expect((await read(late))!.notBeforeMs).toBe(START_MS + 20);
    await commit(store);
    await restart();
    expect(dueTimes()).toEqual([
      [late, 20],
      [early, 2_000],
    ]);
    await tick(1_999);
    expect([released, queue.count]).toEqual([['late'], 1]);
    await tick(2_000);
    expect([released, queue.count]).toEqual([['late', 'early'], 0]);
    expect(queue.retime(late, START_MS)).toBe(false);
    expect(queue.has(late)).toBe(false);
  });

  test('releases a message once when it is re-timed to and fro', async () => {
    const a = publish('a', 100);
    publish('b', 150);
    for (const afterMs of [200, 100, 300, 100]) queue.retime(a, START_MS + afterMs);
    expect(dueTimes()).toEqual([
      [1, 100],
      [2, 150],
    ]);
    await tick(400);
    expect([released, queue.count]).toEqual([['a', 'b'], 0]);
    await commit(store);
    await restart();
    expect(queue.count).toBe(0);
  });

  test('cancels once, whether the message is in memory or on disk', async () => {
    const a = publish('a', 10);
    const b = publish('b', 10);
    await letGo();
    const c = publish('c', 10);
    expect(bodyOf((await cancel(c))!)).toBe('c');
    expect(bodyOf((await cancel(a))!)).toBe('a');
    expect(await cancel(a)).toBeUndefined();
    expect(await cancel(99)).toBeUndefined();
    expect([queue.count, dueTimes()]).toEqual([1, [[b, 10]]]);
    await commit(store);
    await restart();
    expect([queue.count, queue.has(a), queue.has(b)]).toEqual([1, false, true]);
    await tick(10);
    expect(released).toEqual(['b']);
  });

  test('a message that is being read for its release can still be cancelled or re-timed', async () => {
    const [a, b, c] = [publish('a', 10), publish('b', 10), publish('c', 10)];
    await letGo();
    queue.tick(START_MS + 10);
    expect([released, queue.count]).toEqual([[], 3]);
    expect(queue.retime(a, START_MS + 50)).toBe(true);
    const cancelled = cancel(b);
    await tick(10);
    // Whoever comes first has it; nobody has it twice.
    const isCancelled = (await cancelled) !== undefined;
    expect(released).toEqual(isCancelled ? ['c'] : ['b', 'c']);
    expect([queue.count, queue.has(c)]).toEqual([1, false]);
    await tick(50);
    expect([released.at(-1), queue.count]).toEqual(['a', 0]);
  });

  test('drops what is too old instead of releasing it', async () => {
    publish('old', 5_000, START_MS);
    publish('due before', 900, START_MS + 100);
    publish('young', 5_000, START_MS + 2_000);
    await letGo();
    queue.setRetention(1_000);
    await tick(999);
    expect([released, dropped, queue.count]).toEqual([['due before'], [], 2]);
    await tick(1_000);
    expect([dropped, queue.count]).toEqual([['old'], 1]);
    publish('younger', 6_000, START_MS + 2_500);
    await tick(3_000);
    expect([dropped, queue.count]).toEqual([['old', 'young'], 1]);
    queue.setRetention(undefined);
    await tick(9_000);
    expect([released, dropped, queue.count]).toEqual([
      ['due before', 'younger'],
      ['old', 'young'],
      0,
    ]);
    await commit(store);
    await restart();
    expect(queue.count).toBe(0);
  });

  test('prefers retention when a message is late for both', async () => {
    publish('a', 10);
    queue.setRetention(20);
    await tick(20);
    expect([released, dropped]).toEqual([[], ['a']]);
  });

  test('clears everything, written or not, and goes on', async () => {
    publish('a', 10);
    await letGo();
    publish('b', 10);
    expect([queue.clear(), queue.count, queue.list(0, 9)]).toEqual([2, 0, []]);
    const c = publish('c', 10);
    await commit(store);
    await restart();
    expect(dueTimes()).toEqual([[c, 10]]);
    await tick(10);
    expect(released).toEqual(['c']);
  });

  test('keeps exact books over many changes', async () => {
    const random = new SeededRandom(9);
    const due = new Map<number, number>();
    const pick = (): number => [...due.keys()][random.below(due.size)]!;
    for (let step = 0; step < 3_000; step += 1) {
      const dice = random.below(10);
      if (dice < 5 || due.size === 0) {
        const afterMs = random.below(1_000);
        due.set(publish(`${step}`, afterMs), afterMs);
      } else if (dice < 8) {
        const sequence = pick();
        const afterMs = random.below(1_000);
        due.set(sequence, afterMs);
        expect(queue.retime(sequence, START_MS + afterMs)).toBe(true);
      } else {
        const sequence = pick();
        expect(await cancel(sequence)).toBeDefined();
        due.delete(sequence);
      }
      expect(queue.count).toBe(due.size);
      if (step % 750 === 749) await letGo();
    }
    const inOrder = [...due].sort((a, b) => a[1] - b[1] || a[0] - b[0]);
    const listed = queue.list(0, Infinity);
    expect(listed.map((item) => [item.sequence, item.dueAtMs - START_MS])).toEqual(inOrder);
    await tick(1_000);
    expect([released.length, queue.count]).toEqual([inOrder.length, 0]);
  });

  test('re-times and cancels what was let go while it runs', async () => {
    const count = DELAYED_RESIDENT_ENTRIES + 4_000;
    for (let n = 1; n <= count; n += 1) {
      publish(`${n}`, 10 + n);
      if (n % 4_000 === 0) await commit(store);
    }
    expect(queue.residentCount).toBeLessThan(count);
    expect(queue.retime(1, START_MS + 5)).toBe(true);
    expect(bodyOf((await cancel(2))!)).toBe('2');
    await tick(13);
    expect([released, queue.count]).toEqual([['1', '3'], count - 3]);
  });

  test('reads ahead what is due within a minute, and leaves the rest alone', async () => {
    const hourMs = 3_600_000;
    for (let n = 1; n <= 300; n += 1) publish(`${n}`, hourMs - n * 10);
    const last = publish('last', 2 * hourMs);
    await letGo();
    await tick(0);
    // Looked, read nothing, and asked to be woken a minute before the first.
    expect(wakeUps.at(-1)).toBe(START_MS + hourMs - 3_000 - 60_000);
    await tick(hourMs - 10_000);
    await tick(hourMs - 5_000);
    expect([released, queue.count]).toEqual([[], 301]);
    const cancelled = await cancel(300);
    expect(bodyOf(cancelled!)).toBe('300');
    expect(queue.retime(299, START_MS + hourMs)).toBe(true);
    expect(queue.retime(last, START_MS + hourMs - 1)).toBe(true);
    await tick(hourMs - 2_000);
    let reads = 0;
    const read = store.read.bind(store);
    store.read = (...args) => {
      reads += 1;
      read(...args);
    };
    queue.tick(START_MS + hourMs - 1_000);
    expect([reads, released.length]).toEqual([0, 199]);
    await tick(hourMs);
    expect(released.length).toBe(300);
    expect(released.slice(0, 2)).toEqual(['298', '297']);
    expect(released.slice(-2)).toEqual(['last', '299']);
    expect(queue.count).toBe(0);
  });
});
