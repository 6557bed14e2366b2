/** Redrives of many messages: from disk, over crashes, at their rate. */
import { describe, expect, test } from 'vitest';
import { FORMAT_NAMED } from '../../../src/engine/message.ts';
import { copyMessage } from '../../../src/engine/message-copy.ts';
import type { ClassicQueue } from '../../../src/engine/queue/classic-queue.ts';
import { MemoryDisk } from '../../../src/store/memory-disk.ts';
import { EngineFixture } from '../../support/engine-fixture.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { onDisk } from '../queue/on-disk.ts';

const COUNT = 5_000;

/** A dead-letter queue with COUNT letters of queue `home`, on disk. */
async function filled(clock: FakeClock): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  const engine = await EngineFixture.open({ disk, clock });
  const { queues } = engine.vhost.cmq;
  queues.create(engine.actor, 'dead');
  queues.create(engine.actor, 'home', {
    deadLetter: { queue: 'dead', policy: 0, maxReceiveCount: 1, maxTimeToLive: undefined },
  });
  const consumer = engine.consume('home', { credit: COUNT });
  for (let n = 0; n < COUNT; n += 1) {
    const headers = new Map([['x-msg-id', `${n}`]]);
    const message = engine.message('', 'home', `${n}`, { persistent: true, headers });
    queueOf(engine, 'home').publish(copyMessage(message, { format: FORMAT_NAMED }));
  }
  while (consumer.deliveries.length < COUNT) await engine.settle();
  for (const { queue, entry } of consumer.deliveries) queue.reject(entry);
  engine.vhost.cancel(consumer);
  await onDisk(engine);
  return disk;
}

function queueOf(engine: EngineFixture, name: string): ClassicQueue {
  return engine.vhost.topology.queues.get(name) as ClassicQueue;
}

async function pass(engine: EngineFixture, ms: number, steps: number): Promise<void> {
  for (let step = 0; step < steps; step += 1) {
    engine.clock.advance(ms / steps);
    await engine.settle(3);
  }
}

async function idsIn(engine: EngineFixture, name: string): Promise<string[]> {
  const consumer = engine.consume(name);
  await engine.settle(20);
  engine.vhost.cancel(consumer);
  return consumer.deliveries.map(({ entry }) =>
    String(engine.headersOf(entry.message).get('x-msg-id')),
  );
}

describe('a redrive', () => {
  test('of what a restart left on disk moves all of it, in order', async () => {
    const clock = new FakeClock();
    const disk = await filled(clock);
    const engine = await EngineFixture.open({ disk, clock });
    const { redrive } = engine.vhost.cmq.redrives.start(engine.actor, 'dead', { rate: 10_000 });
    await pass(engine, 2_000, 40);
    expect(redrive.state).toMatchObject({ status: 'completed', moved: COUNT, failed: 0 });
    expect(queueOf(engine, 'dead').readyCount).toBe(0);
    expect(await idsIn(engine, 'home')).toEqual(Array.from({ length: COUNT }, (_, n) => `${n}`));
  });

  test('loses and doubles nothing over crashes', async () => {
    const clock = new FakeClock();
    const disk = await filled(clock);
    let engine = await EngineFixture.open({ disk, clock });
    engine.vhost.cmq.redrives.start(engine.actor, 'dead', { rate: 1_000 });
    for (let crash = 0; crash < 4; crash += 1) {
      await pass(engine, 1_000, 10);
      // What was not committed is lost with the process.
      clock.advance(100);
      engine.broker.turn();
      engine = await EngineFixture.open({ disk, clock });
      const here = queueOf(engine, 'dead').readyCount + queueOf(engine, 'home').readyCount;
      expect(here).toBe(COUNT);
    }
    await pass(engine, 4_000, 20);
    expect(engine.vhost.cmq.redrives.find(engine.actor, 'dead')!.state.status).toBe('completed');
    const ids = await idsIn(engine, 'home');
    expect(new Set(ids).size).toBe(COUNT);
    expect(ids).toHaveLength(COUNT);
  });

  test('moves no more than its rate allows, whenever it looks', async () => {
    const clock = new FakeClock();
    const disk = await filled(clock);
    const engine = await EngineFixture.open({ disk, clock });
    const { redrive } = engine.vhost.cmq.redrives.start(engine.actor, 'dead', { rate: 300 });
    for (let second = 1; second <= 5; second += 1) {
      await pass(engine, 1_000, 10);
      expect(redrive.state.moved).toBeLessThanOrEqual(300 * second + 1);
      expect(redrive.state.moved).toBeGreaterThanOrEqual(300 * second - 30);
    }
    // A gateway that slept catches up with one second at most.
    await pass(engine, 60_000, 1);
    await pass(engine, 10, 10);
    expect(redrive.state.moved).toBeLessThanOrEqual(300 * 6 + 10);
  });
});
