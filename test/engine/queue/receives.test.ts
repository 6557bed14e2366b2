import { describe, expect, it } from 'vitest';
import type { Entry } from '../../../src/engine/message.ts';
import type { ClassicQueue } from '../../../src/engine/queue/classic-queue.ts';
import { Receive } from '../../../src/engine/queue/receive.ts';
import { MemoryDisk } from '../../../src/store/memory-disk.ts';
import { bodyOf, EngineFixture } from '../../support/engine-fixture.ts';
import { onDisk } from './on-disk.ts';

interface Asked {
  readonly receive: Receive;
  answer: readonly Entry[] | undefined;
}

function ask(
  e: EngineFixture,
  queue: ClassicQueue,
  options: { maxCount?: number; enoughBytes?: number; visibilityMs?: number; waitMs?: number } = {},
): Asked {
  const asked: Asked = {
    receive: new Receive({
      maxCount: options.maxCount ?? 1,
      enoughBytes: options.enoughBytes ?? Infinity,
      visibilityMs: options.visibilityMs,
      untilMs: e.clock.wallMs() + (options.waitMs ?? 0),
      isByHandle: true,
      done: (entries) => {
        asked.answer = [...entries];
      },
    }),
    answer: undefined,
  };
  queue.receive(asked.receive);
  return asked;
}

const bodies = (asked: Asked) => asked.answer?.map((entry) => bodyOf(entry.message));

describe('receives', () => {
  it('answers at once with what there is, or with nothing', async () => {
    const e = await EngineFixture.open();
    const queue = e.queue('q') as ClassicQueue;
    for (const body of ['1', '2', '3']) e.publish('', 'q', body);
    const some = ask(e, queue, { maxCount: 2 });
    const rest = ask(e, queue, { maxCount: 16 });
    const none = ask(e, queue);
    e.turn();
    expect([bodies(some), bodies(rest), bodies(none)]).toEqual([['1', '2'], ['3'], []]);
    expect([queue.readyCount, queue.unackedCount]).toEqual([0, 3]);
  });

  it('takes no more once it has enough bytes, and always one', async () => {
    const e = await EngineFixture.open();
    const queue = e.queue('q') as ClassicQueue;
    for (const body of ['12', '34', '56', '7890', '1']) e.publish('', 'q', body);
    const some = ask(e, queue, { maxCount: 16, enoughBytes: 3 });
    const one = ask(e, queue, { maxCount: 16, enoughBytes: 1 });
    const rest = ask(e, queue, { maxCount: 16 });
    e.turn();
    expect([bodies(some), bodies(one), bodies(rest)]).toEqual([
      ['12', '34'],
      ['56'],
      ['7890', '1'],
    ]);
  });

  it('wakes exactly the first that waits, and none whose client has gone', async () => {
    const e = await EngineFixture.open();
    const queue = e.queue('q') as ClassicQueue;
    const waiting = [1, 2, 3].map(() => ask(e, queue, { waitMs: 10_000 }));
    e.turn();
    queue.cancelReceive(waiting[0]!.receive);
    e.publish('', 'q', 'm');
    e.turn();
    expect(waiting.map((asked) => bodies(asked))).toEqual([undefined, ['m'], undefined]);
    e.clock.advance(10_000);
    e.turn();
    expect(bodies(waiting[2]!)).toEqual([]);
  });

  it('gives back what a client took that has gone before the answer', async () => {
    const e = await EngineFixture.open();
    const queue = e.queue('q') as ClassicQueue;
    const batch = ask(e, queue, { maxCount: 16, waitMs: 1_000 });
    e.publish('', 'q', 'm');
    e.turn();
    expect(queue.unackedCount).toBe(1);
    queue.cancelReceive(batch.receive);
    expect(queue.unackedCount).toBe(1);
    queue.requeue(batch.answer![0]!, false);
    expect([queue.readyCount, queue.unackedCount]).toEqual([1, 0]);
  });

  it('takes turns with consumers', async () => {
    const e = await EngineFixture.open();
    const queue = e.queue('q') as ClassicQueue;
    const consumer = e.consume('q');
    const asked = ask(e, queue, { maxCount: 3, waitMs: 1_000 });
    for (let i = 0; i < 6; i += 1) e.publish('', 'q', `${i}`);
    e.turn();
    expect(bodies(asked)).toEqual(['0', '2', '4']);
    expect(consumer.bodies).toEqual(['1', '3', '5']);
  });

  it('ends with the queue', async () => {
    const e = await EngineFixture.open();
    const queue = e.queue('q') as ClassicQueue;
    const asked = ask(e, queue, { waitMs: 1_000 });
    e.turn();
    e.vhost.deleteQueue(e.actor, 'q', false, false);
    expect(bodies(asked)).toEqual([]);
  });
});

describe('leases by handle', () => {
  it('count hand-overs; only the newest handle names the lease', async () => {
    const e = await EngineFixture.open();
    const queue = e.queue('q') as ClassicQueue;
    e.publish('', 'q', 'm');
    const first = ask(e, queue, { visibilityMs: 1_000 });
    e.turn();
    const oldHandle = queue.handleOf(first.answer![0]!);
    e.clock.advance(1_000);
    e.turn();
    const second = ask(e, queue);
    e.turn();
    const entry = second.answer![0]!;
    expect([entry.receiveCount, entry.isRedelivered]).toEqual([2, true]);
    expect(found(queue, oldHandle)).toBeUndefined();
    expect(found(queue, queue.handleOf(entry))).toBe(entry);
    queue.acknowledge(entry);
    expect(found(queue, { ...oldHandle, receiveCount: 2 })).toBeUndefined();
  });

  it('last over a crash, with their deadline and count', async () => {
    const disk = new MemoryDisk();
    const e = await EngineFixture.open({ disk });
    const queue = e.queue('q') as ClassicQueue;
    for (const body of ['1', '2', '3']) e.publish('', 'q', body, { persistent: true });
    const asked = ask(e, queue, { maxCount: 2, visibilityMs: 60_000 });
    e.turn();
    const handles = asked.answer!.map((entry) => queue.handleOf(entry));
    await e.settle();
    const f = await EngineFixture.open({ disk, clock: e.clock });
    const again = f.vhost.topology.queues.get('q') as ClassicQueue;
    expect([again.readyCount, again.unackedCount]).toEqual([1, 2]);
    let kept: Entry | undefined;
    again.withLease(handles[0]!, (entry) => {
      kept = entry;
    });
    await f.settle();
    expect(bodyOf(kept!.message)).toBe('1');
    again.acknowledge(kept!);
    f.clock.advance(60_000);
    await f.settle();
    expect([again.readyCount, again.unackedCount]).toEqual([2, 0]);
    const rest = ask(f, again, { maxCount: 16 });
    await f.settle();
    expect(bodies(rest)).toEqual(['2', '3']);
    expect(rest.answer!.map((entry) => entry.receiveCount)).toEqual([2, 1]);
  });

  it('a crash that lost a lease made its handle stale, also after the next one', async () => {
    const disk = new MemoryDisk();
    const first = await EngineFixture.open({ disk });
    first.queue('q');
    first.publish('', 'q', 'm', { persistent: true });
    await onDisk(first);
    const lost = await receiveHandle(first);
    // Answered, but the commit that holds the lease never came.
    const second = await EngineFixture.open({ disk, clock: first.clock });
    const kept = await receiveHandle(second);
    expect(await foundLater(second, lost)).toBeUndefined();
    expect(await foundLater(second, kept)).toBeDefined();
    await onDisk(second);
    const third = await EngineFixture.open({ disk, clock: first.clock });
    expect(await foundLater(third, lost)).toBeUndefined();
    const entry = await foundLater(third, kept);
    queueOf(third).lease(entry!, third.clock.wallMs() + 90_000);
    await onDisk(third);
    const fourth = await EngineFixture.open({ disk, clock: first.clock });
    fourth.clock.advance(60_000);
    await fourth.settle();
    expect(await foundLater(fourth, lost)).toBeUndefined();
    expect(await foundLater(fourth, kept)).toBeDefined();
  });
});

describe('rewind window', () => {
  it('gives back what was settled, by time of publishing, also after a crash', async () => {
    const disk = new MemoryDisk();
    const e = await EngineFixture.open({ disk });
    const queue = e.queue('q', { 'x-rewind-window': 60_000 }) as ClassicQueue;
    for (let i = 0; i < 10; i += 1) {
      e.publish('', 'q', `${i}`, { persistent: true });
      e.clock.advance(1_000);
    }
    const consumer = e.consume('q', { credit: 10 });
    e.turn();
    for (const { entry } of consumer.deliveries) queue.acknowledge(entry);
    expect([queue.readyCount, queue.rewindableCount]).toEqual([0, 10]);
    await e.settle();
    const f = await EngineFixture.open({ disk, clock: e.clock });
    const again = f.vhost.topology.queues.get('q') as ClassicQueue;
    let count = -1;
    again.rewind(f.clock.wallMs() - 5_000, (n) => {
      count = n;
    });
    await f.settle();
    expect([count, again.readyCount, again.rewindableCount]).toEqual([5, 5, 5]);
    const back = ask(f, again, { maxCount: 16 });
    await f.settle();
    expect(bodies(back)).toEqual(['5', '6', '7', '8', '9']);
    f.clock.advance(60_000);
    await f.settle();
    expect(again.rewindableCount).toBe(0);
  });

  it('keeps nothing where it is off, and of nobody who rejects', async () => {
    const e = await EngineFixture.open();
    const plain = e.queue('plain');
    e.publish('', 'plain', 'm');
    plain.acknowledge(e.get('plain')!.entry);
    expect((plain as ClassicQueue).rewindableCount).toBe(0);
    const queue = e.queue('q', { 'x-rewind-window': 60_000 }) as ClassicQueue;
    e.publish('', 'q', 'm');
    queue.reject(e.get('q')!.entry);
    expect(queue.rewindableCount).toBe(0);
  });
});

describe('retention', () => {
  const args = {
    'x-message-retention': 10_000,
    'x-dead-letter-exchange': '',
    'x-dead-letter-routing-key': 'dead',
  };

  it('drops what is ready, leased or delayed, and dead-letters nothing', async () => {
    const e = await EngineFixture.open();
    const dead = e.queue('dead');
    const queue = e.queue('q', args) as ClassicQueue;
    for (const body of ['1', '2', '3']) e.publish('', 'q', body);
    const leased = e.get('q')!;
    queue.publishDelayed(leased.entry.message, e.clock.wallMs() + 60_000);
    e.clock.advance(9_999);
    e.turn();
    expect([queue.readyCount, queue.unackedCount, queue.delayedCount]).toEqual([2, 1, 1]);
    e.clock.advance(1);
    e.turn();
    expect([queue.readyCount, queue.unackedCount, queue.delayedCount]).toEqual([0, 0, 0]);
    queue.acknowledge(leased.entry);
    expect([queue.unackedCount, dead.readyCount]).toEqual([0, 0]);
  });

  it('lets a shorter TTL dead-letter first', async () => {
    const e = await EngineFixture.open();
    const dead = e.queue('dead');
    const queue = e.queue('q', { ...args, 'x-message-ttl': 5_000 });
    e.publish('', 'q', 'm');
    e.clock.advance(5_000);
    e.turn();
    expect([queue.readyCount, dead.readyCount]).toEqual([0, 1]);
  });
});

describe('delayed retry', () => {
  const args = {
    'x-queue-type': 'quorum',
    'x-delayed-retry-type': 'failed',
    'x-delayed-retry-min': 1_000,
    'x-delayed-retry-max': 1_500,
  };

  it('waits longer after each failure, up to the maximum', async () => {
    const e = await EngineFixture.open();
    const queue = e.queue('q', args) as ClassicQueue;
    e.publish('', 'q', 'm');
    for (const waitMs of [1_000, 1_500, 1_500]) {
      await e.settle();
      queue.requeue(e.get('q')!.entry, true);
      expect([queue.readyCount, queue.unackedCount, queue.delayedCount]).toEqual([0, 0, 1]);
      e.clock.advance(waitMs - 1);
      e.turn();
      expect(queue.readyCount).toBe(0);
      e.clock.advance(1);
      e.turn();
      expect([queue.readyCount, queue.delayedCount]).toEqual([1, 0]);
    }
  });

  it('does not wait for what was merely returned', async () => {
    const e = await EngineFixture.open();
    const queue = e.queue('q', args) as ClassicQueue;
    e.publish('', 'q', 'm');
    queue.requeue(e.get('q')!.entry, false);
    expect(queue.readyCount).toBe(1);
  });
});

function found(queue: ClassicQueue, handle: ReturnType<ClassicQueue['handleOf']>) {
  let entry: Entry | undefined;
  queue.withLease(handle, (one) => {
    entry = one;
  });
  return entry;
}

const queueOf = (e: EngineFixture) => e.vhost.topology.queues.get('q') as ClassicQueue;

/** Receives a message; what was leased is on disk only with the next commit. */
async function receiveHandle(e: EngineFixture) {
  const queue = queueOf(e);
  const asked = ask(e, queue, { visibilityMs: 60_000, waitMs: 1 });
  while (asked.answer === undefined) {
    e.turn();
    if (asked.answer === undefined) await e.settle();
  }
  return queue.handleOf(asked.answer[0]!);
}

async function foundLater(e: EngineFixture, handle: ReturnType<ClassicQueue['handleOf']>) {
  let answer: { entry: Entry | undefined } | undefined;
  queueOf(e).withLease(handle, (entry) => {
    answer = { entry };
  });
  while (answer === undefined) await e.settle();
  return answer.entry;
}
