/** What is asked to be woken must not grow with traffic, only with what exists. */
import { describe, expect, test } from 'vitest';
import type { ClassicQueue } from '../../src/engine/queue/classic-queue.ts';
import { EngineFixture } from '../support/engine-fixture.ts';

const FEW = 5_000;
const MANY = 20_000;

describe('wake-ups', () => {
  test('using a queue with x-expires again and again', async () => {
    const e = await EngineFixture.open();
    e.queue('q', { 'x-expires': 3_600_000 });
    for (let n = 0; n < MANY; n += 1) e.get('q');
    expect(e.broker.wakeUpCount).toBeLessThan(FEW);
    e.clock.advance(3_599_999);
    e.turn();
    e.get('q');
    e.clock.advance(3_599_999);
    e.turn();
    expect(e.vhost.topology.queues.has('q')).toBe(true);
    e.clock.advance(2);
    e.turn();
    expect(e.vhost.topology.queues.has('q')).toBe(false);
  });

  test('short TTLs in a queue that expires late', async () => {
    const e = await EngineFixture.open();
    e.queue('q', { 'x-expires': 86_400_000, 'x-visibility-timeout': 40_000_000 });
    e.publish('', 'q', 'held');
    e.turn();
    e.get('q');
    for (let n = 0; n < MANY; n += 1) {
      e.publish('', 'q', 'x', { expirationMs: 1 });
      e.turn();
      e.clock.advance(1);
      e.turn();
    }
    expect(e.broker.wakeUpCount).toBeLessThan(FEW);
  });

  test('a stream that will age', async () => {
    const e = await EngineFixture.open();
    e.queue('s', {
      'x-queue-type': 'stream',
      'x-max-age': '7D',
      'x-stream-max-segment-size-bytes': 1,
    });
    for (let n = 0; n < MANY; n += 1) {
      e.publish('', 's', 'x');
      e.turn();
    }
    expect(e.broker.wakeUpCount).toBeLessThan(FEW);
  });

  test('queues that are gone are let go of', async () => {
    const e = await EngineFixture.open();
    for (let n = 0; n < MANY; n += 1) {
      e.queue('q', { 'x-expires': 86_400_000 }, { durable: false, autoDelete: true });
      const consumer = e.consume('q');
      e.vhost.cancel(consumer);
    }
    expect(e.broker.wakeUpCount).toBeLessThan(FEW);
  });

  test('leases that were settled do not hold their messages', async () => {
    const e = await EngineFixture.open();
    const queue = e.queue('q', { 'x-visibility-timeout': 3_600_000 }) as ClassicQueue;
    const consumer = e.consume('q');
    for (let n = 0; n < MANY; n += 1) {
      e.publish('', 'q', 'x');
      e.turn();
      queue.acknowledge(consumer.deliveries.pop()!.entry);
    }
    expect(queue.leaseCount).toBeLessThan(FEW);
  });
});
