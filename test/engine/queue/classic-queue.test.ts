import { describe, expect, it } from 'vitest';
import { PUBLISH_DURABLE, PUBLISH_REJECTED, PUBLISH_ROUTED } from '../../../src/engine/publish.ts';
import type { ClassicQueue } from '../../../src/engine/queue/classic-queue.ts';
import { MemoryDisk } from '../../../src/store/memory-disk.ts';
import { EngineFixture } from '../../support/engine-fixture.ts';

describe('delivery', () => {
  it('gives consumers of equal priority one message each in turn', async () => {
    const e = await EngineFixture.open();
    e.queue('q');
    const a = e.consume('q');
    const b = e.consume('q');
    for (let i = 0; i < 6; i += 1) e.publish('', 'q', `${i}`);
    e.turn();
    expect(a.bodies).toEqual(['0', '2', '4']);
    expect(b.bodies).toEqual(['1', '3', '5']);
  });

  it('serves a higher consumer priority while it has credit', async () => {
    const e = await EngineFixture.open();
    e.queue('q');
    const low = e.consume('q');
    const high = e.consume('q', { priority: 5, credit: 2 });
    for (let i = 0; i < 4; i += 1) e.publish('', 'q', `${i}`);
    e.turn();
    expect(high.bodies).toEqual(['0', '1']);
    expect(low.bodies).toEqual(['2', '3']);
  });

  it('puts a requeued message back at its place, marked redelivered', async () => {
    const e = await EngineFixture.open();
    const queue = e.queue('q');
    const consumer = e.consume('q', { credit: 2 });
    for (let i = 0; i < 4; i += 1) e.publish('', 'q', `${i}`);
    e.turn();
    queue.requeue(consumer.deliveries[1]!.entry, false);
    queue.requeue(consumer.deliveries[0]!.entry, false);
    consumer.credit = 4;
    e.turn();
    expect(consumer.bodies).toEqual(['0', '1', '0', '1', '2', '3']);
    expect(consumer.deliveries.map((d) => d.isRedelivered)).toEqual([
      false,
      false,
      true,
      true,
      false,
      false,
    ]);
  });

  it('settles once: a second ack or a requeue after it does nothing', async () => {
    const e = await EngineFixture.open();
    const queue = e.queue('q');
    const consumer = e.consume('q');
    e.publish('', 'q', 'm');
    e.turn();
    expect(queue.unackedCount).toBe(1);
    const entry = consumer.deliveries[0]!.entry;
    queue.acknowledge(entry);
    queue.acknowledge(entry);
    queue.requeue(entry, true);
    expect([queue.unackedCount, queue.readyCount]).toEqual([0, 0]);
  });

  it('with a single active consumer serves the oldest, then the next', async () => {
    const e = await EngineFixture.open();
    e.queue('q', { 'x-single-active-consumer': true });
    const a = e.consume('q');
    const b = e.consume('q');
    e.publish('', 'q', '1');
    e.turn();
    e.vhost.cancel(a);
    e.publish('', 'q', '2');
    e.turn();
    expect([a.bodies, b.bodies]).toEqual([['1'], ['2']]);
  });

  it('with a single active consumer hands over by priority, then by age', async () => {
    const e = await EngineFixture.open();
    e.queue('q', { 'x-single-active-consumer': true });
    const first = e.consume('q');
    const old = e.consume('q', { priority: 5 });
    const young = e.consume('q', { priority: 5 });
    const low = e.consume('q', { priority: -1 });
    for (const [body, leaves] of [
      ['1', first],
      ['2', old],
      ['3', young],
      ['4', low],
    ] as const) {
      e.publish('', 'q', body);
      e.turn();
      expect(leaves.bodies).toEqual([body]);
      e.vhost.cancel(leaves);
    }
  });

  it('of quorum hands over to a higher priority once the active one holds nothing', async () => {
    const e = await EngineFixture.open();
    const queue = e.queue('q', { 'x-single-active-consumer': true, 'x-queue-type': 'quorum' });
    const low = e.consume('q');
    e.publish('', 'q', '1');
    e.turn();
    low.holdsDeliveries = true;
    const high = e.consume('q', { priority: 1 });
    e.publish('', 'q', '2');
    e.turn();
    expect([low.bodies, high.bodies]).toEqual([['1'], []]);
    queue.acknowledge(low.deliveries[0]!.entry);
    low.holdsDeliveries = false;
    e.turn();
    expect([low.bodies, high.bodies]).toEqual([['1'], ['2']]);
    e.consume('q', { priority: 1 });
    e.publish('', 'q', '3');
    e.turn();
    expect(high.bodies).toEqual(['2', '3']);
    e.vhost.cancel(high);
    e.publish('', 'q', '4');
    e.turn();
    expect(low.bodies).toEqual(['1']);
  });

  it('serves strict priorities, capped at the maximum', async () => {
    const e = await EngineFixture.open();
    e.queue('q', { 'x-max-priority': 5 });
    e.publish('', 'q', 'none');
    e.publish('', 'q', 'five', { priority: 200 });
    e.publish('', 'q', 'three', { priority: 3 });
    const consumer = e.consume('q');
    e.turn();
    expect(consumer.bodies).toEqual(['five', 'three', 'none']);
  });
});

describe('expiry', () => {
  it('drops at the head when the TTL has passed, without a consumer', async () => {
    const e = await EngineFixture.open();
    const queue = e.queue('q', { 'x-message-ttl': 1000 });
    e.publish('', 'q', 'm');
    e.turn();
    expect(e.broker.nextDueMs).toBe(e.clock.wallMs() + 1000);
    e.clock.advance(1000);
    e.turn();
    expect(queue.readyCount).toBe(0);
  });

  it('ends what has expired behind a message that a get takes', async () => {
    const e = await EngineFixture.open();
    e.queue('dead');
    const args = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'dead' };
    const queue = e.queue('q', args);
    e.publish('', 'q', 'stays');
    e.publish('', 'q', 'ends', { expirationMs: 1000 });
    e.turn();
    e.clock.advance(2000);
    e.turn();
    expect(queue.readyCount).toBe(2);
    expect(e.get('q')?.body).toBe('stays');
    e.turn();
    expect([queue.readyCount, e.get('dead')?.body]).toEqual([0, 'ends']);
  });

  it('delivers a message with TTL 0 only to a consumer that is there', async () => {
    const e = await EngineFixture.open();
    const queue = e.queue('q');
    e.publish('', 'q', 'lost', { expirationMs: 0 });
    e.turn();
    expect(queue.readyCount).toBe(0);
    const consumer = e.consume('q');
    e.publish('', 'q', 'taken', { expirationMs: 0 });
    e.turn();
    expect(consumer.bodies).toEqual(['taken']);
  });

  it('deletes an unused queue after x-expires', async () => {
    const e = await EngineFixture.open();
    e.queue('q', { 'x-expires': 500 });
    e.turn();
    e.clock.advance(499);
    e.turn();
    expect(e.vhost.topology.queues.has('q')).toBe(true);
    e.clock.advance(1);
    e.turn();
    expect(e.vhost.topology.queues.has('q')).toBe(false);
  });
});

describe('overflow', () => {
  it('drop-head keeps the newest', async () => {
    const e = await EngineFixture.open();
    const queue = e.queue('q', { 'x-max-length': 2 });
    for (const body of ['1', '2', '3']) e.publish('', 'q', body);
    expect(queue.readyCount).toBe(2);
    expect(e.get('q')?.body).toBe('2');
  });

  it('lets a waiting consumer take what would overflow', async () => {
    const e = await EngineFixture.open();
    e.queue('q', { 'x-max-length': 1 });
    const consumer = e.consume('q');
    for (const body of ['1', '2', '3']) e.publish('', 'q', body);
    e.turn();
    expect(consumer.bodies).toEqual(['1', '2', '3']);
  });

  it('reject-publish refuses, other queues still get it', async () => {
    const e = await EngineFixture.open();
    const full = e.queue('full', { 'x-max-length': 0, 'x-overflow': 'reject-publish' });
    const other = e.queue('other');
    e.bind('full', 'amq.fanout', '');
    e.bind('other', 'amq.fanout', '');
    const bits = e.publish('amq.fanout', '', 'm', { persistent: true });
    expect(bits).toBe(PUBLISH_ROUTED | PUBLISH_REJECTED | PUBLISH_DURABLE);
    expect([full.readyCount, other.readyCount]).toEqual([0, 1]);
  });

  it('counts bytes of bodies', async () => {
    const e = await EngineFixture.open();
    const queue = e.queue('q', { 'x-max-length-bytes': 5 });
    e.publish('', 'q', 'abc');
    e.publish('', 'q', 'def');
    expect([queue.readyCount, queue.readyBytes]).toEqual([1, 3]);
  });

  it('what comes back above the length limit and finds no taker goes from the head', async () => {
    const e = await EngineFixture.open();
    const queue = e.queue('q', { 'x-max-length': 1 });
    e.publish('', 'q', 'a');
    const got = e.get('q')!;
    e.publish('', 'q', 'b');
    queue.requeue(got.entry, true);
    await e.settle();
    // As RabbitMQ: "a" is the head again.
    expect([queue.readyCount, e.get('q')?.body]).toEqual([1, 'b']);
  });
});

describe('dead letters', () => {
  it('records queue, reason, exchange and keys, and removes the TTL', async () => {
    const e = await EngineFixture.open();
    e.queue('dead');
    e.queue('q', { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'dead' });
    e.publish('', 'q', 'm', { expirationMs: 10, persistent: true });
    e.turn();
    e.clock.advance(10);
    e.turn();
    const got = e.get('dead')!;
    const headers = e.headersOf(got.entry.message);
    const [death] = headers.get('x-death') as ReadonlyMap<string, unknown>[];
    expect(Object.fromEntries(death!)).toEqual({
      count: 1,
      reason: 'expired',
      queue: 'q',
      time: { kind: 'timestamp', value: Math.floor(e.clock.wallMs() / 1000) },
      exchange: '',
      'routing-keys': ['q'],
      'original-expiration': '10',
    });
    expect(headers.get('x-first-death-queue')).toBe('q');
    expect(headers.get('x-last-death-reason')).toBe('expired');
    expect(e.format.properties(got.entry.message).expiration).toBeUndefined();
    e.clock.advance(1000);
    got.queue.requeue(got.entry, false);
    e.turn();
    expect(e.get('dead')?.body).toBe('m');
  });

  it('counts a second death of the same kind and ends automatic cycles', async () => {
    const e = await EngineFixture.open();
    const a = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'a' };
    e.queue('a', a);
    e.publish('', 'a', 'm');
    for (let round = 1; round <= 2; round += 1) {
      const got = e.get('a')!;
      got.queue.reject(got.entry);
    }
    const got = e.get('a')!;
    const [death] = e.headersOf(got.entry.message).get('x-death') as ReadonlyMap<string, unknown>[];
    expect(death!.get('count')).toBe(2);
    const cyclic = e.queue('c', {
      'x-message-ttl': 1,
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': 'c',
    });
    e.publish('', 'c', 'm');
    e.turn();
    e.clock.advance(1);
    e.turn();
    expect(cyclic.readyCount).toBe(0);
  });

  it('dead-letters beyond the delivery limit and tells the count before', async () => {
    const e = await EngineFixture.open();
    e.queue('dead');
    e.queue('q', {
      'x-delivery-limit': 1,
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': 'dead',
    });
    e.publish('', 'q', 'm');
    const first = e.get('q')!;
    first.queue.requeue(first.entry, true);
    const second = e.get('q')!;
    expect(e.headersOf(second.entry.message).get('x-delivery-count')).toBe(1);
    second.queue.requeue(second.entry, true);
    expect(e.get('q')).toBeUndefined();
    const dead = e.get('dead')!;
    expect(dead.body).toBe('m');
    expect(e.headersOf(dead.entry.message).has('x-delivery-count')).toBe(false);
  });
});

describe('leases and delays', () => {
  it('takes a delivery back when its visibility timeout ends, and not after an ack', async () => {
    const e = await EngineFixture.open();
    const queue = e.queue('q', { 'x-visibility-timeout': 1_000 });
    e.publish('', 'q', '1');
    e.publish('', 'q', '2');
    const first = e.get('q')!;
    const second = e.get('q')!;
    queue.acknowledge(second.entry);
    e.clock.advance(999);
    e.turn();
    expect([queue.readyCount, queue.unackedCount]).toEqual([0, 1]);
    e.clock.advance(1);
    e.turn();
    expect([queue.readyCount, queue.unackedCount]).toEqual([1, 0]);
    const again = e.get('q')!;
    expect([again.body, again.isRedelivered]).toEqual(['1', true]);
    expect(again.entry.generation).toBeGreaterThan(1);
    expect(again.entry).toBe(first.entry);
  });

  it('an extended lease ends at its new deadline', async () => {
    const e = await EngineFixture.open();
    const queue = e.queue('q', { 'x-visibility-timeout': 1_000 }) as ClassicQueue;
    e.publish('', 'q', 'm');
    const got = e.get('q')!;
    queue.lease(got.entry, e.clock.wallMs() + 5_000);
    e.clock.advance(4_999);
    e.turn();
    expect(queue.unackedCount).toBe(1);
    e.clock.advance(1);
    e.turn();
    expect(queue.unackedCount).toBe(0);
  });

  it('makes a delayed message ready when due, also after a restart', async () => {
    const disk = new MemoryDisk();
    const e = await EngineFixture.open({ disk });
    const queue = e.queue('q', { 'x-message-delay': 1_000, 'x-message-ttl': 500 });
    e.publish('', 'q', 'm', { persistent: true });
    await e.settle();
    expect([queue.readyCount, (queue as ClassicQueue).delayedCount]).toEqual([0, 1]);
    const f = await EngineFixture.open({ disk, clock: e.clock });
    f.clock.advance(999);
    await f.settle();
    expect(f.get('q')).toBeUndefined();
    f.clock.advance(1);
    await f.settle();
    expect(f.vhost.topology.queues.get('q')!.readyCount).toBe(1);
    f.clock.advance(500);
    await f.settle();
    expect(f.vhost.topology.queues.get('q')!.readyCount).toBe(0);
  });
});

describe('depth', () => {
  it('keeps order and counts through paging, requeue and purge', async () => {
    const e = await EngineFixture.open();
    const queue = e.queue('q');
    const total = 160_000;
    for (let i = 0; i < total; i += 1) {
      e.publish('', 'q', `${i}`, { persistent: i % 3 !== 0 });
      if (i % 5_000 === 0) await e.settle(2);
    }
    await e.settle();
    await e.settle();
    expect(queue.readyCount).toBe(total);
    expect(e.broker.residentBytes).toBeLessThan(40 * 1024 * 1024);
    const consumer = e.consume('q', { credit: 100 });
    const seen: number[] = [];
    while (seen.length < total) {
      await e.settle(1);
      for (const { entry, body } of consumer.deliveries.splice(0)) {
        seen.push(Number(body));
        queue.acknowledge(entry);
      }
      consumer.credit = 20_000;
      queue.consumerReady(consumer);
    }
    expect(seen).toEqual(Array.from({ length: total }, (_, i) => i));
    expect([queue.readyCount, queue.readyBytes, queue.unackedCount]).toEqual([0, 0, 0]);
    expect(e.broker.residentBytes).toBe(0);
  });

  it('purges what lies on disk only', async () => {
    const e = await EngineFixture.open();
    const queue = e.queue('q');
    for (let i = 0; i < 120_000; i += 1) e.publish('', 'q', 'x', { persistent: true });
    await e.settle();
    await e.settle();
    expect(queue.purge()).toBe(120_000);
    expect([queue.readyCount, queue.readyBytes]).toEqual([0, 0]);
    e.publish('', 'q', 'next');
    expect(e.get('q')?.body).toBe('next');
  });
});

describe('many deep queues', () => {
  it('share the memory that one may have', async () => {
    const e = await EngineFixture.open();
    const count = 200;
    for (let index = 0; index < count; index += 1) e.queue(`q${index}`);
    for (let round = 0; round < 10; round += 1) {
      for (let index = 0; index < count; index += 1) {
        for (let message = 0; message < 300; message += 1) {
          e.publish('', `q${index}`, 'x', { persistent: true });
        }
      }
      await e.settle(3);
    }
    await e.settle();
    await e.settle();
    expect(e.broker.residentBytes).toBeLessThan(160 * 1024 * 1024);
    const consumer = e.consume('q7', { noAck: true });
    await e.settle(30);
    expect(consumer.deliveries.length).toBe(3_000);
  });
});
