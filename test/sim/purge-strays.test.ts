import { expect, it } from 'vitest';
import type { ClassicQueue } from '../../src/engine/queue/classic-queue.ts';
import { Receive } from '../../src/engine/queue/receive.ts';
import { EngineFixture } from '../support/engine-fixture.ts';

it('a purge forgets a late message though a leased one of another priority has its sequence', async () => {
  const fixture = await EngineFixture.open();
  fixture.queue('q', { 'x-max-priority': 2 });
  const queue = fixture.vhost.topology.queues.get('q') as ClassicQueue;
  const settings = { countsReceives: true, retentionMs: 60_000 };
  fixture.broker.queuesOf(fixture.vhost).override(queue, settings);
  const startMs = fixture.clock.wallMs();
  const options = { persistent: true, priority: 1 };
  queue.publishDelayed(fixture.message('', 'q', 'late', options), startMs + 10);
  fixture.clock.advance(5);
  queue.publish(fixture.message('', 'q', 'leased', { ...options, priority: 2 }));
  const done = () => {};
  queue.receive(new Receive({ maxCount: 1, untilMs: 0, isByHandle: true, done }));
  await fixture.settle();
  fixture.clock.advance(10);
  await fixture.settle();

  expect(queue.purge()).toBe(1);
  const oldestMs = await new Promise((resolve) => queue.oldest(resolve));
  expect(oldestMs).toBe(startMs + 5);
});
