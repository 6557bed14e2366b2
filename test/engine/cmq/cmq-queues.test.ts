import { describe, expect, test } from 'vitest';
import { EngineFixture } from '../../support/engine-fixture.ts';

describe('CMQ queues of a vhost', () => {
  test('are not those of the gateway itself, exclusive, transient or streams', async () => {
    const engine = await EngineFixture.open();
    const { queues } = engine.vhost.cmq;
    queues.create(engine.actor, 'cmq', { changes: { trace: true } });
    engine.publish('', 'cmq', 'traced');
    engine.queue('amqp.queue');
    engine.queue('quorum', { 'x-queue-type': 'quorum' });
    engine.queue('stream', { 'x-queue-type': 'stream' });
    engine.queue('exclusive', {}, { exclusive: true });
    engine.queue('transient', {}, { durable: false });
    engine.broker.queuesOf(engine.vhost).define('cmq.push.topic.subscription', {
      durable: true,
      autoDelete: false,
      arguments: new Map(),
    });
    engine.queue('mqtt-subscription-device');
    const names = queues.list(engine.actor).map(({ name }) => name);
    expect(names).toEqual(['amqp.queue', 'cmq', 'quorum']);
    for (const name of ['mqtt-share-x', 'mqtt-subscription-x']) {
      expect(() => queues.create(engine.actor, name)).toThrow('no queue name');
    }
  });

  test('10,000 are made in a row', async () => {
    const engine = await EngineFixture.open();
    const { queues } = engine.vhost.cmq;
    for (let n = 0; n < 10_000; n += 1) {
      queues.create(engine.actor, `queue-${n}`, { queuesMax: 10_000 });
    }
    expect(() => queues.create(engine.actor, 'more', { queuesMax: 10_000 })).toThrow('10000');
    expect(queues.find(engine.actor, 'QUEUE-9999', 'read').name).toBe('queue-9999');
  });

  test('lose their record with the queue, whoever deletes it', async () => {
    const engine = await EngineFixture.open();
    const { queues } = engine.vhost.cmq;
    queues.create(engine.actor, 'q');
    expect(queues.count).toBe(1);
    engine.vhost.deleteQueue(engine.actor, 'q', false, false);
    expect(queues.count).toBe(0);
    engine.queue('q');
    expect(queues.attributesOf(engine.vhost.topology.queues.get('q')!).createdAtMs).toBe(0);
  });
});
