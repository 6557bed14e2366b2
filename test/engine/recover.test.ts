import { describe, expect, it } from 'vitest';
import type { BrokerError } from '../../src/base/errors.ts';
import { MemoryDisk } from '../../src/store/memory-disk.ts';
import { EngineFixture } from '../support/engine-fixture.ts';

/** Another process on what the first one committed. */
async function reopen(e: EngineFixture, disk: MemoryDisk): Promise<EngineFixture> {
  return EngineFixture.open({ disk, clock: e.clock });
}

describe('recovery', () => {
  it('brings back durable topology and persistent messages, and nothing else', async () => {
    const disk = new MemoryDisk();
    const e = await EngineFixture.open({ disk });
    e.exchange('x', 'topic');
    e.queue('keep', { 'x-max-priority': 3 });
    e.queue('gone', {}, { durable: false });
    e.bind('keep', 'x', 'a.#', new Map([['n', 5]]));
    e.publish('x', 'a.b', 'low', { persistent: true });
    e.publish('x', 'a.b', 'high', { persistent: true, priority: 2 });
    e.publish('x', 'a.b', 'transient');
    await e.settle();
    const f = await reopen(e, disk);
    expect([...f.vhost.topology.queues.keys()]).toEqual(['keep']);
    expect(f.vhost.topology.queues.get('keep')!.readyCount).toBe(2);
    const consumer = f.consume('keep');
    await f.settle();
    expect(consumer.bodies).toEqual(['high', 'low']);
    f.publish('x', 'a.b', 'again');
    f.turn();
    expect(consumer.bodies.at(-1)).toBe('again');
  });

  it('marks what may have been delivered before a crash, and nothing after an orderly stop', async () => {
    const disk = new MemoryDisk();
    const e = await EngineFixture.open({ disk });
    e.queue('q');
    for (let i = 0; i < 5; i += 1) e.publish('', 'q', `${i}`, { persistent: true });
    await e.settle();
    const consumer = e.consume('q', { credit: 2 });
    await e.settle();
    expect(consumer.bodies).toEqual(['0', '1']);
    expect(consumer.deliveries[0]!.isRedelivered).toBe(false);
    const crashed = await reopen(e, disk);
    const after = crashed.consume('q', { credit: 5 });
    await crashed.settle();
    expect(after.deliveries.slice(0, 2).map((d) => d.isRedelivered)).toEqual([true, true]);

    const cleanDisk = new MemoryDisk();
    const f = await EngineFixture.open({ disk: cleanDisk });
    f.queue('q');
    for (let i = 0; i < 5; i += 1) f.publish('', 'q', `${i}`, { persistent: true });
    await f.settle();
    f.consume('q', { credit: 2 });
    await f.settle();
    f.broker.settleMarks();
    await f.store.close();
    const g = await reopen(f, cleanDisk);
    const all = g.consume('q');
    await g.settle();
    expect(all.deliveries.map((d) => d.isRedelivered)).toEqual([true, true, false, false, false]);
  });

  it('brings delayed messages back with their due times', async () => {
    const disk = new MemoryDisk();
    const e = await EngineFixture.open({ disk });
    e.exchange('later', 'x-delayed-message', { 'x-delayed-type': 'direct' });
    e.queue('q');
    e.bind('q', 'later', 'k');
    const headers = new Map([['x-delay', 5_000]]);
    e.publish('later', 'k', 'm', { headers, persistent: true });
    await e.settle();
    const f = await reopen(e, disk);
    f.clock.advance(4_999);
    await f.settle();
    expect(f.vhost.topology.queues.get('q')!.readyCount).toBe(0);
    f.clock.advance(1);
    await f.settle();
    expect(f.get('q')?.body).toBe('m');
  });

  it('keeps users and their rights', async () => {
    const disk = new MemoryDisk();
    const e = await EngineFixture.open({ disk });
    e.broker.access.putUser('ann', { tags: ['monitoring'] });
    e.broker.access.setPermission('ann', '/', { configure: '^a', write: '', read: '' });
    e.turn();
    await e.settle();
    const f = await reopen(e, disk);
    const user = f.broker.access.user('ann')!;
    const actor = { user, vhost: f.vhost, connectionId: 99 };
    const options = {
      passive: false,
      durable: true,
      exclusive: false,
      autoDelete: false,
      arguments: new Map(),
    };
    expect(f.vhost.declareQueue(actor, 'abc', options).queue.name).toBe('abc');
    let code = '';
    try {
      f.vhost.declareQueue(actor, 'xyz', options);
    } catch (error) {
      code = (error as BrokerError).code;
    }
    expect(code).toBe('ACCESS_REFUSED');
  });
});
