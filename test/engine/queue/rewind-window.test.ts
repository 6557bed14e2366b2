import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  REWIND_RESIDENT_ENTRIES,
  REWIND_RETURNS_PER_TURN,
  REWIND_SKIPS_PER_TURN,
} from '../../../src/base/limits.ts';
import type { Message } from '../../../src/engine/message.ts';
import type { Store } from '../../../src/engine/ports.ts';
import { REWIND_ID_OFFSET, RewindWindow } from '../../../src/engine/queue/rewind-window.ts';
import { bodyOf } from '../../support/engine-fixture.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { commit, describeMessage, makeMessage } from '../../store/support.ts';
import type { RestartableStore } from './restartable-stores.ts';
import { RESTARTABLE_STORES } from './restartable-stores.ts';

const ID = 512 + REWIND_ID_OFFSET;
const START_MS = 1_700_000_000_000;
const WINDOW_MS = 10_000;

describe.each(RESTARTABLE_STORES)('rewind window on the %s store', (_name, make) => {
  let restartable: RestartableStore;
  let store: Store;
  let clock: FakeClock;
  let window: RewindWindow;

  beforeEach(async () => {
    restartable = make();
    clock = new FakeClock(START_MS);
    await restart();
  });
  afterEach(() => restartable.dispose());

  async function restart(windowMs = WINDOW_MS): Promise<void> {
    const { store: opened, recovery } = await restartable.open();
    store = opened;
    const wake = (atMs: number): void => {
      // The turns of a queue: they come for as long as something is to be done at once.
      if (atMs <= clock.wallMs()) setImmediate(() => window.expire(clock.wallMs()));
    };
    window = new RewindWindow(ID, { store, nowMs: () => clock.wallMs(), wake }, windowMs);
    const recovered = recovery.queues.get(ID);
    if (recovered !== undefined) window.restore(recovered);
  }

  function park(body: string, publishedAfterMs: number): number {
    return window.park(makeMessage({ body, publishedAtMs: START_MS + publishedAfterMs }));
  }

  function take(fromAfterMs: number): Promise<string[]> {
    const bodies: string[] = [];
    return new Promise((resolve, reject) => {
      const take = (message: Message): void => void bodies.push(bodyOf(message));
      window.takeFrom(START_MS + fromAfterMs, take, (count) => {
        if (count === bodies.length) resolve(bodies);
        else reject(new Error(`told ${count}, gave ${bodies.length}`));
      });
    });
  }

  test('gives back what was published from a time on, in the order of publishing', async () => {
    clock.advance(100);
    for (const afterMs of [50, 10, 40, 40, 20]) park(`at ${afterMs}`, afterMs);
    expect(await take(20)).toEqual(['at 20', 'at 40', 'at 40', 'at 50']);
    expect(window.count).toBe(1);
    expect(await take(20)).toEqual([]);
    expect(await take(0)).toEqual(['at 10']);
    await commit(store);
    await restart();
    expect(window.count).toBe(0);
  });

  test('reads each page once although messages were settled out of their order', async () => {
    const count = 2_048;
    // Two workers, one of which is behind the other by half of all.
    const order = Array.from({ length: count }, (_, n) => 2 * (n % (count / 2)));
    for (const [n, even] of order.entries()) park(`${n}`, n < count / 2 ? even : even + 1);
    await commit(store);
    await restart();
    let reads = 0;
    const read = store.read.bind(store);
    store.read = (...args) => {
      reads += 1;
      read(...args);
    };
    expect(await take(0)).toHaveLength(count);
    expect(reads).toBeLessThanOrEqual(10);
  });

  test('reads each page once although neighbours were settled in the reverse order', async () => {
    const count = 2_048;
    for (let n = 0; n < count; n += 1) park(`${n}`, n ^ 63);
    await commit(store);
    await restart();
    let reads = 0;
    const read = store.read.bind(store);
    store.read = (...args) => {
      reads += 1;
      read(...args);
    };
    expect(await take(0)).toEqual(Array.from({ length: count }, (_, n) => `${n ^ 63}`));
    expect(reads).toBeLessThanOrEqual(20);
  });

  test('reads on when a page is too large to come whole', async () => {
    const body = 'b'.repeat(300_000);
    for (let n = 9; n >= 0; n -= 1) park(`${n}${body}`, n);
    await commit(store);
    await restart();
    const bodies = await take(0);
    expect(bodies.map((each) => each[0])).toEqual(Array.from({ length: 10 }, (_, n) => `${n}`));
  });

  test('keeps messages whole over a restart, and gives each back once', async () => {
    const message = makeMessage({
      body: 'kept',
      header: 'its header',
      publishedAtMs: START_MS + 7,
    });
    window.park(message);
    park('other', 3);
    await commit(store);
    await restart();
    expect(window.count).toBe(2);
    const taken: Message[] = [];
    await new Promise<unknown>((resolve) => {
      window.takeFrom(START_MS + 5, (each) => taken.push(each), resolve);
    });
    expect(taken.map(describeMessage)).toEqual([describeMessage(message)]);
    await commit(store);
    await restart();
    expect(window.count).toBe(1);
  });

  test('takes what comes back and what settles there in one run', async () => {
    park('a', 0);
    await commit(store);
    await restart();
    let countWithin = -1;
    await new Promise((resolve) => {
      window.takeFrom(0, () => (countWithin = window.count), resolve);
    });
    expect([countWithin, window.count]).toEqual([1, 0]);
  });

  test('drops what has left the window, unread', async () => {
    park('a', 0);
    await commit(store);
    await restart();
    park('b', 500);
    expect(window.nextMs).toBe(START_MS + WINDOW_MS);
    window.expire(START_MS + WINDOW_MS - 1);
    expect(window.count).toBe(2);
    window.expire(START_MS + WINDOW_MS);
    expect([window.count, window.nextMs]).toEqual([1, START_MS + 500 + WINDOW_MS]);
    await commit(store);
    await restart();
    expect(await take(0)).toEqual(['b']);
    expect(window.nextMs).toBe(Infinity);
  });

  test('neither keeps nor gives back what is too old, though nobody called expire', async () => {
    park('old', 0);
    park('new', 1);
    clock.advance(WINDOW_MS);
    expect(park('too late', 0)).toBe(0);
    expect(window.count).toBe(2);
    expect(await take(0)).toEqual(['new']);
  });

  test('follows its window: smaller drops, none drops all', async () => {
    for (const afterMs of [0, 100, 200]) park(`${afterMs}`, afterMs);
    clock.advance(1_000);
    window.setWindow(900);
    expect([window.count, window.nextMs]).toEqual([1, START_MS + 1_100]);
    window.setWindow(WINDOW_MS);
    park('more', 0);
    expect(window.count).toBe(2);
    window.setWindow(0);
    expect([window.count, window.nextMs, park('none', 1_000)]).toEqual([0, Infinity, 0]);
    await commit(store);
    await restart();
    expect(window.count).toBe(0);
  });

  test('reads many in pages, mixed with those in memory, one taking after the other', async () => {
    const count = 2 * REWIND_RESIDENT_ENTRIES;
    for (let n = 0; n < count; n += 1) {
      // Settled in another order than published.
      park(`${n ^ 1}`, n ^ 1);
      if (n % 300 === 0) await commit(store);
    }
    clock.advance(count);
    expect(window.residentCount).toBeLessThan(1.4 * REWIND_RESIDENT_ENTRIES);
    const [later, earlier] = await Promise.all([take(count / 2), take(0)]);
    const bodies = Array.from({ length: count }, (_, n) => `${n}`);
    expect([...earlier, ...later]).toEqual(bodies);
    expect(window.count).toBe(0);
  });

  test('what is cleared while it is read does not come back', async () => {
    park('a', 0);
    await commit(store);
    await restart();
    const taken = take(0);
    expect(window.clear()).toBe(1);
    park('b', 1);
    expect(await taken).toEqual([]);
    expect(window.count).toBe(1);
  });

  describe('a long one', () => {
    const count = REWIND_RETURNS_PER_TURN + REWIND_SKIPS_PER_TURN;
    /** Later than all that is parked before. */
    const lateMs = count + 1;
    let taken: string[];
    let told: number | undefined;

    const start = (fromAfterMs: number): void => {
      taken = [];
      told = undefined;
      const take = (message: Message): void => void taken.push(bodyOf(message));
      window.takeFrom(START_MS + fromAfterMs, take, (n) => (told = n));
    };
    const end = async (): Promise<void> => {
      while (told === undefined) await new Promise((resolve) => setImmediate(resolve));
    };
    const bodies = (from: number): string[] =>
      Array.from({ length: count - from }, (_, n) => `${from + n}`);

    beforeEach(() => {
      for (let n = 0; n < count; n += 1) park(`${n}`, n);
      clock.advance(count);
    });

    test('takes a share of the work in each turn, and counts exactly in between', async () => {
      const shares: number[] = [];
      start(0);
      while (told === undefined) {
        shares.push(taken.length);
        expect(window.count).toBe(count - taken.length);
        await new Promise((resolve) => setImmediate(resolve));
      }
      const steps = shares.slice(1).map((total, n) => total - shares[n]!);
      expect(shares[0]).toBeLessThanOrEqual(REWIND_RETURNS_PER_TURN);
      expect(Math.max(...steps)).toBeLessThanOrEqual(2 * REWIND_RETURNS_PER_TURN);
      expect([told, taken]).toEqual([count, bodies(0)]);
    });

    test('gives back what was parked at the call only, looking past what is older', async () => {
      const from = REWIND_SKIPS_PER_TURN + 1;
      start(from);
      expect(taken).toEqual([]);
      park('late', from);
      park('later', lateMs);
      clock.advance(2);
      await end();
      expect([told, taken]).toEqual([count - from, bodies(from)]);
      expect(window.count).toBe(from + 2);
      start(from);
      await end();
      expect(taken).toEqual(['late', 'later']);
      expect(window.count).toBe(from);
    });

    test('one that was called meanwhile finds what was parked until then', async () => {
      start(0);
      park('second', lateMs);
      clock.advance(2);
      const second = take(0);
      park('third', lateMs);
      await end();
      expect(await second).toEqual(['second']);
      expect([told, window.count]).toEqual([count, 1]);
      expect(await take(0)).toEqual(['third']);
    });

    test('what one that waits is to find stays until it has it', async () => {
      start(0);
      park('second', lateMs);
      clock.advance(2);
      const second = take(0);
      clock.advance(WINDOW_MS + 1);
      expect(window.nextMs).not.toBe(Infinity);
      window.expire(clock.wallMs());
      await end();
      expect(await second).toEqual(['second']);
      expect([told, window.count, window.nextMs]).toEqual([count, 0, Infinity]);
    });

    test('what is older than it leaves the window meanwhile, what it takes does not', async () => {
      const from = REWIND_SKIPS_PER_TURN + 1;
      start(from);
      clock.advance(WINDOW_MS + 1);
      window.expire(clock.wallMs());
      expect(window.count).toBe(count - from - taken.length);
      await end();
      expect([told, taken, window.count]).toEqual([count - from, bodies(from), 0]);
      expect(window.nextMs).toBe(Infinity);
    });

    test('ends when the window is cleared or the queue deleted', async () => {
      start(0);
      const rest = count - taken.length;
      expect(window.clear()).toBe(rest);
      park('new', lateMs);
      await end();
      expect([told, window.count]).toEqual([count - rest, 1]);
      expect(await take(0)).toEqual(['new']);
      for (let n = 0; n < count; n += 1) park(`${n}`, count);
      start(0);
      window.drop();
      expect([told, window.count]).toEqual([taken.length, 0]);
    });

    test('leaves the rest when the process ends', async () => {
      await commit(store);
      start(0);
      const before = [...taken];
      await commit(store);
      await restart();
      expect(window.count).toBeLessThanOrEqual(count - before.length);
      const after = await take(0);
      expect(after).toEqual(bodies(count - after.length));
    });
  });

  test('a queue that is dropped takes its window along', async () => {
    park('a', 0);
    await commit(store);
    window.drop();
    await commit(store);
    await restart();
    expect([window.count, await take(0)]).toEqual([0, []]);
  });
});
