import { describe, expect, test } from 'vitest';
import {
  DELAYED_RELEASES_PER_TURN,
  DELAYED_RESIDENT_BYTES,
  DELAYED_RESIDENT_ENTRIES,
} from '../../../src/base/limits.ts';
import { DelayQueue } from '../../../src/engine/queue/delay-queue.ts';
import { MemoryDisk } from '../../../src/store/memory-disk.ts';
import { bodyOf, EngineFixture } from '../../support/engine-fixture.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const ARGS = { 'x-message-delay': 1_000 };

describe('delayed messages', () => {
  test('that fall due together come in the order of publishing', async () => {
    const e = await EngineFixture.open();
    e.queue('q', ARGS);
    for (let n = 0; n < 100; n += 1) e.publish('', 'q', `${n}`);
    e.clock.advance(1_000);
    const consumer = e.consume('q', { noAck: true });
    await e.settle();
    expect(consumer.bodies).toEqual(Array.from({ length: 100 }, (_, n) => `${n}`));
  });

  test('after a restart, too, and reads of the disk do not pile up', async () => {
    const disk = new MemoryDisk();
    const clock = new FakeClock();
    const count = 2 * DELAYED_RELEASES_PER_TURN + 10;
    const before = await EngineFixture.open({ disk, clock });
    before.queue('q', ARGS);
    for (let n = 0; n < count; n += 1) before.publish('', 'q', `${n}`, { persistent: true });
    await before.settle();
    clock.advance(1_000);
    const e = await EngineFixture.open({ disk, clock });
    let reads = 0;
    const read = e.store.read.bind(e.store);
    e.store.read = (...args) => {
      reads += 1;
      read(...args);
    };
    e.turn();
    e.turn();
    expect(reads).toBeLessThanOrEqual(DELAYED_RELEASES_PER_TURN);
    e.publish('', 'q', 'last');
    clock.advance(1_000);
    const consumer = e.consume('q', { noAck: true });
    for (let n = 0; n < 2_000 && consumer.bodies.length <= count; n += 1) await e.settle();
    expect(consumer.bodies.length).toBe(count + 1);
    const expected = Array.from({ length: count }, (_, n) => `${n}`);
    expect(consumer.bodies).toEqual([...expected, 'last']);
  });

  test('do not stay in memory, be they many, large or transient', async () => {
    const e = await EngineFixture.open();
    const released: string[] = [];
    const host = { store: e.store, wakeDelayAt: () => {} };
    const queue = new DelayQueue(77, host, (message) => released.push(bodyOf(message)));
    const bytes = 'x'.repeat(Math.ceil(DELAYED_RESIDENT_BYTES / 50));
    for (let n = 0; n < 100; n += 1) {
      queue.publish(e.message('', '', bytes), 5_000, n % 2 === 0);
      if (n % 10 === 9) await e.settle();
    }
    expect(queue.residentBytes).toBeLessThan(1.3 * DELAYED_RESIDENT_BYTES);
    for (let n = 0; n < 2 * DELAYED_RESIDENT_ENTRIES; n += 1) {
      queue.publish(e.message('', '', 's'), 5_000, n % 2 === 0);
      if (n % 1_000 === 0) await e.settle();
    }
    expect(queue.residentCount).toBeLessThan(1.3 * DELAYED_RESIDENT_ENTRIES);
    for (let turn = 0; released.length < 100 + 2 * DELAYED_RESIDENT_ENTRIES; turn += 1) {
      expect(turn).toBeLessThan(200);
      queue.tick(6_000);
      await e.settle();
    }
    expect(released.slice(0, 100).every((body) => body === bytes)).toBe(true);
    expect(queue.residentBytes).toBe(0);
  });

  test('what was let go and is due is read at once, whatever was read ahead', async () => {
    const e = await EngineFixture.open();
    const released: string[] = [];
    const host = { store: e.store, wakeDelayAt: () => {} };
    const queue = new DelayQueue(77, host, (message) => released.push(bodyOf(message)));
    const put = async (body: string, atMs: number, count: number): Promise<void> => {
      const message = e.message('', '', body);
      for (let n = 1; n <= count; n += 1) {
        queue.publish(message, atMs, true);
        if (n % 1_000 === 0 || n === count) await e.settle();
      }
    };
    const tick = async (nowMs: number): Promise<void> => {
      queue.tick(nowMs);
      for (let n = 0; n < 1_500; n += 1) await new Promise((resolve) => setImmediate(resolve));
    };
    await put('small', 30_000, 30_000);
    await put('far', 1e9, 30_000);
    for (const nowMs of [0, 15_000, 22_500, 26_250, 28_125]) await tick(nowMs);
    await put('b'.repeat(1024 * 1024), 29_500, 8);
    await put('far', 1e9, 40_000);
    await tick(29_063);
    await put('early', 29_100, 1);
    await put('far', 1e9, 40_000);
    let depth = 0;
    let deepest = 0;
    const doTick = queue.tick.bind(queue);
    queue.tick = (nowMs) => {
      depth += 1;
      deepest = Math.max(deepest, depth);
      doTick(nowMs);
      depth -= 1;
    };
    await tick(29_100);
    expect(released).toEqual(['early']);
    expect(deepest).toBeLessThan(5);
  });
});
