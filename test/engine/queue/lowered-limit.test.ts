/** A delivery limit that is lowered while messages are there which were handed over before. */
import { describe, expect, test } from 'vitest';
import type { Entry } from '../../../src/engine/message.ts';
import type { ClassicQueue } from '../../../src/engine/queue/classic-queue.ts';
import { Receive } from '../../../src/engine/queue/receive.ts';
import type { QueueSettings } from '../../../src/engine/queue/settings.ts';
import { MemoryDisk } from '../../../src/store/memory-disk.ts';
import { bodyOf, EngineFixture } from '../../support/engine-fixture.ts';

const COUNTING = {
  countsReceives: true,
  deadLetterExchange: '',
  deadLetterRoutingKey: 'dead',
} as const;

function set(queue: ClassicQueue, changes: Partial<QueueSettings>): void {
  queue.applySettings({ ...queue.settings, ...changes });
}

/** Receives everything there is, by handle. */
async function receive(e: EngineFixture, queue: ClassicQueue): Promise<readonly Entry[]> {
  let got: readonly Entry[] = [];
  const done = (entries: readonly Entry[]): void => {
    got = [...entries];
  };
  queue.receive(new Receive({ maxCount: 16, untilMs: 0, isByHandle: true, done }));
  await e.settle();
  return got;
}

async function receiveAndReturn(e: EngineFixture, queue: ClassicQueue): Promise<void> {
  for (const entry of await receive(e, queue)) queue.requeue(entry, false);
}

describe('a message that was received as often as the lowered limit allows', () => {
  test('is dead-lettered, not handed out once more, and waits for no receive', async () => {
    const e = await EngineFixture.open();
    const dead = e.queue('dead');
    const queue = e.queue('q') as ClassicQueue;
    set(queue, { ...COUNTING, deliveryLimit: 9 });
    for (const body of ['1', '2']) e.publish('', 'q', body, { persistent: true });
    await receiveAndReturn(e, queue);
    await receiveAndReturn(e, queue);
    e.publish('', 'q', 'fresh', { persistent: true });
    set(queue, { deliveryLimit: 1 });
    e.turn();
    expect([queue.readyCount, dead.readyCount]).toEqual([1, 2]);
    expect((await receive(e, queue)).map(({ message }) => bodyOf(message))).toEqual(['fresh']);
    const headers = e.headersOf(e.get('dead')!.entry.message);
    expect(headers.get('x-last-death-reason')).toBe('delivery_limit');
  });

  test('goes when it is next', async () => {
    const e = await EngineFixture.open();
    const dead = e.queue('dead');
    const queue = e.queue('q') as ClassicQueue;
    set(queue, { ...COUNTING, deliveryLimit: 9 });
    for (const body of ['first', 'used']) e.publish('', 'q', body, { persistent: true });
    const [first, used] = await receive(e, queue);
    queue.requeue(used!, false);
    await receiveAndReturn(e, queue);
    queue.requeue(first!, false);
    set(queue, { deliveryLimit: 1 });
    e.turn();
    expect([queue.readyCount, dead.readyCount]).toEqual([2, 0]);
    expect((await receive(e, queue)).map(({ message }) => bodyOf(message))).toEqual(['first']);
    expect([queue.readyCount, dead.readyCount]).toEqual([0, 1]);
  });

  test('goes after a restart, too, when it has been read', async () => {
    const disk = new MemoryDisk();
    const before = await EngineFixture.open({ disk });
    before.queue('dead');
    const old = before.queue('q') as ClassicQueue;
    set(old, { ...COUNTING, deliveryLimit: 9 });
    before.publish('', 'q', 'm', { persistent: true });
    await before.settle();
    await receiveAndReturn(before, old);
    await before.settle();
    await before.settle();
    const e = await EngineFixture.open({ disk });
    const queue = e.queue('q') as ClassicQueue;
    set(queue, { ...COUNTING, deliveryLimit: 0 });
    expect(await receive(e, queue)).toEqual([]);
    expect([queue.readyCount, e.queue('dead').readyCount]).toEqual([0, 1]);
  });
});

test("where failures count, RabbitMQ's rule holds: one more delivery, and then it dies", async () => {
  const e = await EngineFixture.open();
  const dead = e.queue('dead');
  const queue = e.queue('q', { 'x-queue-type': 'quorum' }) as ClassicQueue;
  set(queue, { ...COUNTING, countsReceives: false, deliveryLimit: 9 });
  e.publish('', 'q', 'm', { persistent: true });
  await e.settle();
  for (let n = 0; n < 3; n += 1) queue.requeue(e.get('q')!.entry, true);
  set(queue, { deliveryLimit: 1 });
  e.turn();
  expect([queue.readyCount, dead.readyCount]).toEqual([1, 0]);
  queue.requeue(e.get('q')!.entry, true);
  expect([queue.readyCount, dead.readyCount]).toEqual([0, 1]);
});
