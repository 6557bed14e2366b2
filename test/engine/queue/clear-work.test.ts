/** What it takes to empty a long queue: calls of the store, not one for each message. */
import { describe, expect, test } from 'vitest';
import type { ClassicQueue } from '../../../src/engine/queue/classic-queue.ts';
import { Receive } from '../../../src/engine/queue/receive.ts';
import { EngineFixture } from '../../support/engine-fixture.ts';
import { onDisk } from './on-disk.ts';

const COUNT = 10_000;

/** A queue with COUNT messages in memory and on disk, and the calls that settle something there. */
async function filled(): Promise<{ e: EngineFixture; queue: ClassicQueue; calls: () => number }> {
  const e = await EngineFixture.open();
  const queue = e.queue('q') as ClassicQueue;
  for (let n = 0; n < COUNT; n += 1) e.publish('', 'q', `${n}`, { persistent: true });
  await onDisk(e);
  const { store } = e;
  const settle = store.settle.bind(store);
  const settleRange = store.settleRange.bind(store);
  let calls = 0;
  store.settle = (...args) => {
    calls += 1;
    settle(...args);
  };
  store.settleRange = (...args) => {
    calls += 1;
    settleRange(...args);
  };
  return { e, queue, calls: () => calls };
}

function receive(e: EngineFixture, queue: ClassicQueue, maxCount: number): void {
  const untilMs = e.clock.wallMs() + 1_000;
  queue.receive(new Receive({ maxCount, untilMs, isByHandle: true, done: () => {} }));
}

async function settled(e: EngineFixture): Promise<void> {
  while (e.broker.nextDueMs <= e.clock.wallMs()) e.turn();
  await onDisk(e);
}

describe('ready messages', () => {
  test('are purged by a few ranges, and those published later stay', async () => {
    const { e, queue, calls } = await filled();
    expect(queue.purge()).toBe(COUNT);
    e.publish('', 'q', 'later', { persistent: true });
    expect([queue.readyCount, queue.readyBytes]).toEqual([1, 5]);
    expect(calls()).toBeLessThan(10);
    await settled(e);
    expect(e.get('q')?.body).toBe('later');
  });

  test('that were handed over and came back are, too; what is leased stays', async () => {
    const { e, queue, calls } = await filled();
    const consumer = e.consume('q', { credit: COUNT });
    while (consumer.deliveries.length < COUNT) await e.settle();
    e.vhost.cancel(consumer);
    const kept = consumer.deliveries[COUNT / 2]!;
    for (const { entry } of consumer.deliveries)
      if (entry !== kept.entry) queue.requeue(entry, false);
    e.turn();
    const before = calls();
    expect(queue.purge()).toBe(COUNT - 1);
    expect(calls() - before).toBeLessThan(10);
    queue.requeue(kept.entry, false);
    await settled(e);
    expect([queue.readyCount, e.get('q')?.body]).toEqual([1, kept.body]);
  });
});

test('leases are cleared by a few ranges, and their handles are stale', async () => {
  const { e, queue, calls } = await filled();
  while (queue.unackedCount < COUNT) {
    receive(e, queue, COUNT);
    await e.settle();
  }
  const before = calls();
  expect(queue.clear()).toBe(COUNT);
  expect(calls() - before).toBeLessThan(10);
  expect([queue.unackedCount, queue.leaseCount]).toEqual([0, 0]);
  await settled(e);
  e.clock.advance(60_000);
  await settled(e);
  expect(queue.readyCount).toBe(0);
});
