/** What is taken out of the middle of a backlog, or leased there, while pages are read. */
import { describe, expect, test } from 'vitest';
import { type Entry, FORMAT_AMQP, Message } from '../../../src/engine/message.ts';
import { Backlog } from '../../../src/engine/queue/backlog.ts';
import type { ClassicQueue } from '../../../src/engine/queue/classic-queue.ts';
import { Receive } from '../../../src/engine/queue/receive.ts';
import { MemoryDisk } from '../../../src/store/memory-disk.ts';
import { MemoryStore } from '../../../src/store/memory-store.ts';
import { EngineFixture } from '../../support/engine-fixture.ts';
import { onDisk } from './on-disk.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const ID = 512;
const MESSAGE = new Message('', 'q', FORMAT_AMQP, Buffer.alloc(4), 0, 0, 4, true, -1, -1, 1);

/** A backlog of its own, whose reads come back when they are let. */
class Bench {
  readonly store = new MemoryStore();
  readonly host = {
    store: this.store,
    isMemoryTight: false,
    windowBytes: 0,
    addResidentBytes: () => {},
  };
  readonly backlog = new Backlog(ID, this.host, () => {});
  readonly held: (() => void)[] = [];
  isHolding = false;

  constructor() {
    const read = this.store.read.bind(this.store);
    this.store.read = (id, from, count, bytes, done) => {
      const isHeld = this.isHolding;
      read(id, from, count, bytes, (entries, end) => {
        if (isHeld) this.held.push(() => done(entries, end));
        else done(entries, end);
      });
    };
  }

  push(count: number): void {
    for (let n = 0; n < count; n += 1) this.backlog.push(MESSAGE, Infinity, true);
  }

  /** Waits until all is on disk and what may leave memory has left it. */
  async settle(): Promise<void> {
    for (let n = 0; n < 5; n += 1) {
      this.store.commit(false);
      await new Promise((resolve) => setImmediate(resolve));
      this.backlog.maintain();
    }
  }

  /** Reads everything into memory and takes it. */
  async drain(): Promise<number[]> {
    this.host.windowBytes = 1_000_000;
    const sequences: number[] = [];
    while (this.backlog.count > 0) {
      this.backlog.pageIn();
      await this.settle();
      for (let e = this.backlog.shift(); e !== undefined; e = this.backlog.shift()) {
        sequences.push(e.sequence);
      }
    }
    return sequences;
  }
}

describe('taking out of the paged range', () => {
  test('a purge meanwhile takes what is being read out of the store, too', async () => {
    const { bench, backlog, store } = await paged(4);
    const taken: (Entry | undefined)[] = [];
    backlog.takeOut(3, (entry) => taken.push(entry));
    expect(backlog.purge()).toBe(3);
    await bench.settle();
    expect(taken.filter((entry) => entry !== undefined)).toEqual([]);
    expect(store.firstLive(ID, 0)).toBe(Infinity);
    expect([backlog.count, backlog.bodyBytes]).toEqual([0, 0]);
  });

  test('of all there is ends a page being read: nothing comes twice', async () => {
    const { bench, backlog } = await paged(4);
    bench.isHolding = true;
    backlog.pageIn();
    bench.isHolding = false;
    for (let sequence = 1; sequence <= 4; sequence += 1) {
      backlog.takeOut(sequence, (entry) => bench.store.settle(ID, entry!));
    }
    bench.push(3);
    await new Promise((resolve) => setImmediate(resolve));
    bench.host.windowBytes = 1;
    expect(backlog.peek()?.sequence).toBe(5);
    await bench.settle();
    for (const answer of bench.held) answer();
    expect(await bench.drain()).toEqual([5, 6, 7]);
    expect([backlog.count, backlog.bodyBytes]).toEqual([0, 0]);
  });

  test('says so when there is nothing to take', async () => {
    const { backlog } = await paged(1);
    let answer: Entry | string | undefined = 'none';
    backlog.takeOut(9, (entry) => {
      answer = entry;
    });
    expect(answer).toBeUndefined();
  });
});

test('what came back waits for those before it that must be read first', async () => {
  const bench = new Bench();
  bench.push(5);
  await bench.settle();
  const [second] = await new Promise<Entry[]>((resolve) => {
    bench.store.read(ID, 2, 1, 1_000, (entries) => resolve(entries));
  });
  const after = new Backlog(ID, bench.host, () => {});
  const recovered = { nextSequence: 6, liveCount: 5, liveBodyBytes: 20, firstSequence: 1 };
  after.restore({ ...recovered, deliveredBelow: 3, delayed: [], leased: [] }, [2]);
  after.putBack(second!);
  expect(after.peek()).toBeUndefined();
  after.pageIn();
  await bench.settle();
  const sequences: (number | undefined)[] = [];
  while (after.count > 0) sequences.push(after.shift()?.sequence);
  expect(sequences).toEqual([1, 2, 3, 4, 5]);
});

test('bytes of messages leased over a restart are not among the ready ones', async () => {
  const disk = new MemoryDisk();
  const clock = new FakeClock();
  const before = await EngineFixture.open({ disk, clock });
  const queue = before.queue('q') as ClassicQueue;
  for (const body of ['abcd', 'efgh', 'ijkl']) before.publish('', 'q', body, { persistent: true });
  const untilMs = clock.wallMs();
  const options = { maxCount: 2, visibilityMs: 60_000, untilMs, isByHandle: true };
  queue.receive(new Receive({ ...options, done: () => {} }));
  await before.settle();
  const after = await EngineFixture.open({ disk, clock });
  await after.settle();
  const restored = after.queue('q') as ClassicQueue;
  expect([restored.readyCount, restored.unackedCount, restored.readyBytes]).toEqual([1, 2, 4]);
  clock.advance(60_000);
  await after.settle();
  expect([restored.readyCount, restored.unackedCount, restored.readyBytes]).toEqual([3, 0, 12]);
});

test('a length limit drops nothing while leases of before the restart are read', async () => {
  const disk = new MemoryDisk();
  const clock = new FakeClock();
  const before = await EngineFixture.open({ disk, clock });
  const args = { 'x-max-length-bytes': 300 };
  const queue = before.queue('q', args) as ClassicQueue;
  const options = { maxCount: 50, visibilityMs: 60_000, isByHandle: true, done: () => {} };
  for (let n = 0; n < 200; n += 1) {
    before.publish('', 'q', 'abcd', { persistent: true });
    if (n % 50 !== 49 || n === 199) continue;
    queue.receive(new Receive({ ...options, untilMs: clock.wallMs() }));
    await before.settle();
  }
  await before.settle();
  await onDisk(before);
  const after = await EngineFixture.open({ disk, clock });
  const restored = after.queue('q', args) as ClassicQueue;
  after.publish('', 'q', 'wxyz', { persistent: true });
  await after.settle(12);
  expect([restored.readyCount, restored.unackedCount]).toEqual([51, 150]);
  expect(restored.readyBytes).toBe(204);
});

test('a purge while leases of before the restart are read leaves the counters exact', async () => {
  const bench = new Bench();
  bench.push(2);
  await bench.settle();
  const after = new Backlog(ID, bench.host, () => {});
  const recovered = { nextSequence: 3, liveCount: 2, liveBodyBytes: 8, firstSequence: 1 };
  after.restore({ ...recovered, deliveredBelow: 3, delayed: [], leased: [] }, [1]);
  expect(after.purge()).toBe(1);
  after.push(MESSAGE, Infinity, true);
  await bench.settle();
  after.maintain();
  const [leased] = await new Promise<Entry[]>((resolve) => {
    bench.store.read(ID, 1, 1, 1_000, (entries) => resolve(entries));
  });
  after.uncount(leased!);
  expect([after.count, after.bodyBytes]).toEqual([1, 4]);
});

test('the oldest message is found whatever its priority', async () => {
  const e = await EngineFixture.open();
  const queue = e.queue('q', { 'x-max-priority': 5 }) as ClassicQueue;
  const firstMs = e.clock.wallMs();
  e.publish('', 'q', 'low', { priority: 1 });
  e.clock.advance(1_000);
  e.publish('', 'q', 'high', { priority: 5 });
  let oldestMs: number | undefined;
  queue.oldest((atMs) => {
    oldestMs = atMs;
  });
  expect(oldestMs).toBe(firstMs);
});

async function paged(count: number): Promise<{
  bench: Bench;
  backlog: Backlog;
  store: MemoryStore;
}> {
  const bench = new Bench();
  bench.push(count);
  await bench.settle();
  return { bench, backlog: bench.backlog, store: bench.store };
}
