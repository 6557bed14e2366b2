/** What many ends at once cost: a turn's share at a time, and no more memory than is needed. */
import { describe, expect, test } from 'vitest';
import { EXPIRIES_PER_TURN } from '../../../src/base/limits.ts';
import { ENTRY_LEASED, ENTRY_SETTLED, Entry } from '../../../src/engine/message.ts';
import { FORMAT_AMQP, Message } from '../../../src/engine/message.ts';
import { AgeLimits } from '../../../src/engine/queue/age-limits.ts';
import type { ClassicQueue } from '../../../src/engine/queue/classic-queue.ts';
import { Leases } from '../../../src/engine/queue/leases.ts';
import { Receive, ReceiveLine } from '../../../src/engine/queue/receive.ts';
import { EngineFixture } from '../../support/engine-fixture.ts';

const COUNT = 2 * EXPIRIES_PER_TURN + 1;

function receiveAll(e: EngineFixture, queue: ClassicQueue): void {
  const options = { maxCount: COUNT, visibilityMs: 1_000, isByHandle: true, done: () => {} };
  while (queue.readyCount > 0) {
    queue.receive(new Receive({ ...options, untilMs: e.clock.wallMs() + 900 }));
    e.turn();
  }
}

describe('in one turn', () => {
  test('a share of many leases ends, the others in the next ones', async () => {
    const e = await EngineFixture.open();
    const queue = e.queue('q') as ClassicQueue;
    for (let n = 0; n < COUNT; n += 1) e.publish('', 'q', 'm');
    receiveAll(e, queue);
    expect(queue.unackedCount).toBe(COUNT);
    e.clock.advance(2_000);
    e.turn();
    expect(queue.readyCount).toBe(EXPIRIES_PER_TURN);
    for (let n = 0; n < 3; n += 1) e.turn();
    expect([queue.readyCount, queue.unackedCount]).toEqual([COUNT, 0]);
  });

  test('a share of many messages out of order reaches its age', async () => {
    const e = await EngineFixture.open();
    const queue = e.queue('q') as ClassicQueue;
    queue.applySettings({ ...queue.settings, retentionMs: 60_000 });
    const dueAtMs = e.clock.wallMs() + 10_000;
    for (let n = 0; n < COUNT; n += 1) {
      queue.publishDelayed(e.message('', 'q', 'm', { persistent: true }), dueAtMs);
    }
    e.clock.advance(9_000);
    e.publish('', 'q', 'young', { persistent: true });
    await e.settle();
    e.clock.advance(1_000);
    await e.settle();
    expect(queue.readyCount).toBe(COUNT + 1);
    e.clock.advance(50_000);
    e.turn();
    expect(queue.readyCount).toBe(COUNT + 1 - EXPIRIES_PER_TURN);
    await e.settle();
    expect(queue.readyCount).toBe(1);
  });
});

test('a share of many messages goes when a length limit comes, then the others', async () => {
  const e = await EngineFixture.open();
  const queue = e.queue('q') as ClassicQueue;
  for (let n = 0; n < COUNT; n += 1) e.publish('', 'q', `${n}`);
  e.turn();
  queue.applySettings({ ...queue.settings, maxLength: 3 });
  expect(queue.readyCount).toBe(COUNT - EXPIRIES_PER_TURN);
  for (let turns = 0; turns < 3; turns += 1) e.turn();
  expect(queue.readyCount).toBe(3);
  expect(e.get('q')?.body).toBe(`${COUNT - 3}`);
});

describe('memory', () => {
  test('a receive that is over holds no message, however long it would have waited', () => {
    const line = new ReceiveLine();
    const answers: (readonly Entry[])[] = [];
    const done = (entries: readonly Entry[]) => answers.push(entries);
    const receive = new Receive({ maxCount: 1, untilMs: Infinity, isByHandle: true, done });
    line.push(receive, 0);
    const entry = new Entry(messageOf(1), 1, Infinity);
    line.give(receive, entry);
    expect(answers).toEqual([[entry]]);
    expect(receive.entries).toEqual([]);
  });

  test('leases that are over hold few large messages, and not for their time', () => {
    const leases = new Leases(1, ({ leaseUntilMs }) => leaseUntilMs);
    for (let sequence = 1; sequence <= 100; sequence += 1) {
      const entry = new Entry(messageOf(1024 * 1024), sequence, Infinity);
      leases.grant(entry, 43_200_000);
      entry.state = ENTRY_SETTLED;
    }
    expect(leases.count).toBeLessThan(20);
    const held = new Entry(messageOf(1024 * 1024), 101, Infinity);
    held.state = ENTRY_LEASED;
    leases.grant(held, 1_000);
    expect(leases.takeExpired(1_000)).toBe(held);
  });

  test('an age limit remembers messages one by one only while exempt ones stand before', () => {
    const settings = { ageLimitMs: 1_000, ageLimitFromMs: 100, retentionMs: 1_000_000 };
    const base = { overflow: 'drop-head', deliveryLimit: -1, singleActiveConsumer: false } as const;
    const rest = { queueType: 'classic', deadLetterStrategy: 'at-most-once' } as const;
    const limits = { ...base, ...rest, delayedRetryType: 'disabled' } as const;
    const ages = new AgeLimits({ ...limits, ...settings });
    expect(ages.isStray(150, 150, false)).toBe(true);
    expect(ages.isStray(160, 160, true)).toBe(false);
    expect(ages.isStray(170, 170, false)).toBe(false);
    ages.add({ level: 0, sequence: 1, publishedAtMs: 170, isRewound: true });
    expect(ages.isStray(175, 175, false)).toBe(true);
    expect(ages.isStray(177, 177, true)).toBe(false);
    expect(ages.strayCount).toBe(0);
    ages.isStray(90, 180, true);
    expect(ages.isStray(190, 190, false)).toBe(true);
  });
});

test('clearing a queue takes what waits to be tried again, too', async () => {
  const e = await EngineFixture.open();
  const queue = e.queue('q', { 'x-queue-type': 'quorum' }) as ClassicQueue;
  const delayedRetryMinMs = 1_000;
  queue.applySettings({ ...queue.settings, delayedRetryType: 'all', delayedRetryMinMs });
  e.publish('', 'q', 'm', { persistent: true });
  await e.settle();
  const { entry } = e.get('q')!;
  queue.requeue(entry, true);
  expect(queue.delayedCount).toBe(1);
  expect(queue.clear()).toBe(1);
  e.clock.advance(2_000);
  await e.settle();
  expect([queue.readyCount, queue.delayedCount]).toEqual([0, 0]);
});

test('a message that was delayed keeps the id it was sent with, whatever the queue', async () => {
  const e = await EngineFixture.open();
  const queue = e.queue('q') as ClassicQueue;
  queue.publishDelayed(e.message('', 'q', 'm', { persistent: true }), e.clock.wallMs() + 1_000);
  const id = queue.lastMessageId;
  await e.settle();
  e.clock.advance(1_000);
  await e.settle();
  expect(queue.messageIdOf(e.get('q')!.entry)).toBe(id);
});

function messageOf(bodyBytes: number): Message {
  return new Message('', 'q', FORMAT_AMQP, Buffer.alloc(0), 0, 0, bodyBytes, true, -1, -1, 1);
}
