/** What counts as a receive, what one turn ends, and whose marks count. */
import { describe, expect, test } from 'vitest';
import { EXPIRIES_PER_TURN } from '../../../src/base/limits.ts';
import type { Entry } from '../../../src/engine/message.ts';
import type { ClassicQueue } from '../../../src/engine/queue/classic-queue.ts';
import { Receive } from '../../../src/engine/queue/receive.ts';
import { EngineFixture } from '../../support/engine-fixture.ts';

async function receive(e: EngineFixture, queue: ClassicQueue, isCounted = true) {
  let answer: readonly Entry[] | undefined;
  const done = (entries: readonly Entry[]) => {
    answer = [...entries];
  };
  queue.receive(new Receive({ maxCount: 16, untilMs: 0, isByHandle: false, isCounted, done }));
  while (answer === undefined) await e.settle();
  return answer;
}

test('of many messages before the first that can be had, a share ends in one turn', async () => {
  const e = await EngineFixture.open();
  const queue = e.queue('q', { 'x-message-ttl': 10 }) as ClassicQueue;
  const count = 2 * EXPIRIES_PER_TURN + 10;
  for (let n = 0; n < count; n += 1) e.publish('', 'q', 'old');
  e.turn();
  e.clock.advance(5);
  e.publish('', 'q', 'young');
  e.clock.advance(6);
  expect(e.get('q')).toBeUndefined();
  expect(queue.readyCount).toBeGreaterThan(EXPIRIES_PER_TURN);
  for (let turns = 0; turns < 4; turns += 1) e.turn();
  expect([queue.readyCount, queue.unackedCount]).toEqual([0, 1]);
});

describe('who only looks', () => {
  test.each(['classic', 'quorum'])('at a %s queue leaves no trace of it', async (type) => {
    const e = await EngineFixture.open();
    const queue = e.queue('q', { 'x-queue-type': type, 'x-delivery-limit': 2 }) as ClassicQueue;
    e.vhost.cmq.queues.set(e.actor, 'q', { changes: { visibilityTimeout: 60 } });
    e.publish('', 'q', 'm', { persistent: true });
    for (let n = 0; n < 5; n += 1) {
      const [entry] = await receive(e, queue, false);
      expect([queue.readyCount, queue.unackedCount]).toEqual([0, 1]);
      queue.giveBack(entry!);
    }
    expect([queue.readyCount, queue.unackedCount]).toEqual([1, 0]);
    const [entry] = await receive(e, queue);
    expect(entry).toMatchObject({ receiveCount: 1, generation: 1, isRedelivered: false });
    const headers = e.headersOf(entry!.message);
    expect([headers.get('x-delivery-count'), headers.get('x-acquired-count')]).toEqual([
      undefined,
      undefined,
    ]);
  });

  test('a redrive that waits for room counts nothing and loses nothing', async () => {
    const e = await EngineFixture.open();
    const { queues, redrives } = e.vhost.cmq;
    const dead = e.queue('dead', { 'x-queue-type': 'quorum', 'x-delivery-limit': 3 });
    queues.set(e.actor, 'dead', { changes: { visibilityTimeout: 60 } });
    e.queue('home', {
      'x-max-length': 0,
      'x-overflow': 'reject-publish',
    });
    e.publish('', 'dead', 'm', { persistent: true });
    redrives.start(e.actor, 'dead', { destination: 'home' });
    for (let second = 0; second < 20; second += 1) {
      e.clock.advance(1_000);
      await e.settle();
    }
    expect(dead.readyCount).toBe(1);
    expect((await receive(e, dead as ClassicQueue))[0]!.receiveCount).toBe(1);
  });
});

describe('headers of ours that a publisher wrote', () => {
  test('x-rewound saves no message from its age', async () => {
    const e = await EngineFixture.open();
    const queue = e.queue('q', { 'x-message-retention': 100_000_000 }) as ClassicQueue;
    const dead = e.queue('dead');
    queue.applySettings({
      ...queue.settings,
      ageLimitMs: 20_000,
      deadLetterExchange: '',
      deadLetterRoutingKey: 'dead',
    });
    const headers = new Map([['x-rewound', 0n]]);
    const delayed = e.message('', 'q', 'm', { persistent: true, headers });
    queue.publishDelayed(delayed, e.clock.wallMs() + 1_000);
    e.clock.advance(500);
    e.publish('', 'q', 'younger', { persistent: true });
    e.clock.advance(600);
    await e.settle();
    expect(queue.readyCount).toBe(2);
    e.clock.advance(18_900);
    await e.settle();
    expect([queue.readyCount, dead.readyCount]).toEqual([1, 1]);
  });

  test('x-origin-queue and x-last-death-queue lead no redrive', async () => {
    const e = await EngineFixture.open();
    const { queues, redrives } = e.vhost.cmq;
    queues.create(e.actor, 'dead');
    queues.create(e.actor, 'secret');
    const headers = new Map([
      ['x-origin-queue', 'secret'],
      ['x-last-death-queue', 'secret'],
    ]);
    e.publish('', 'dead', 'm', { persistent: true, headers });
    const { redrive } = redrives.start(e.actor, 'dead', {});
    for (let second = 0; second < 3; second += 1) {
      e.clock.advance(1_000);
      await e.settle();
    }
    expect(redrive.state).toMatchObject({ moved: 0, failed: 1 });
    expect(e.vhost.topology.queues.get('secret')!.readyCount).toBe(0);
  });
});
