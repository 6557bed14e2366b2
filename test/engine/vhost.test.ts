import { describe, expect, it } from 'vitest';
import type { FieldValue } from '../../src/base/field-value.ts';
import { BrokerError } from '../../src/base/errors.ts';
import { EMPTY_TABLE } from '../../src/base/field-value.ts';
import { PUBLISH_ROUTED } from '../../src/engine/publish.ts';
import { EngineFixture } from '../support/engine-fixture.ts';

function failure(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof BrokerError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'no error';
}

const PLAIN = {
  passive: false,
  durable: false,
  exclusive: false,
  autoDelete: false,
  arguments: EMPTY_TABLE,
};

describe('queues', () => {
  it('are gone for whoever asks once that is on disk, bindings and exchanges too', async () => {
    const e = await EngineFixture.open();
    const { vhost, actor, store } = e;
    e.queue('q');
    e.exchange('x', 'direct');
    await e.settle();
    vhost.deleteQueue(actor, 'q', false, false);
    vhost.deleteExchange(actor, 'x', false);
    const tickets = [
      vhost.deleteQueue(actor, 'q', false, false).ticket,
      vhost.deleteExchange(actor, 'x', false),
      vhost.unbindQueue(actor, 'q', 'amq.direct', 'k', EMPTY_TABLE),
    ];
    for (const ticket of tickets) expect(ticket).toBeGreaterThan(store.committedTicket);
  });

  it('names one itself when asked without a name', async () => {
    const e = await EngineFixture.open();
    const { queue } = e.vhost.declareQueue(e.actor, '', PLAIN);
    expect(queue.name).toMatch(/^amq\.gen-[\w-]{22}$/);
  });

  it('refuses what RabbitMQ refuses, in its words', async () => {
    const e = await EngineFixture.open();
    e.queue('q');
    const { vhost, actor } = e;
    expect(failure(() => vhost.declareQueue(actor, 'nope', { ...PLAIN, passive: true }))).toBe(
      "NOT_FOUND: no queue 'nope' in vhost '/'",
    );
    expect(failure(() => vhost.declareQueue(actor, 'amq.mine', PLAIN))).toBe(
      "ACCESS_REFUSED: queue name 'amq.mine' contains reserved prefix 'amq.*'",
    );
    expect(failure(() => vhost.declareQueue(actor, 'q', PLAIN))).toBe(
      "PRECONDITION_FAILED: inequivalent arg 'durable' for queue 'q' in vhost '/': " +
        "received 'false' but current is 'true'",
    );
    e.publish('', 'q', 'm');
    expect(failure(() => vhost.deleteQueue(actor, 'q', false, true))).toMatch(
      /^PRECONDITION_FAILED: queue 'q' in vhost '\/' /,
    );
    e.consume('q', { exclusive: true });
    expect(failure(() => e.consume('q'))).toBe(
      "ACCESS_REFUSED: queue 'q' in vhost '/' in exclusive use",
    );
  });

  it('lets nobody else near an exclusive queue and deletes it with its connection', async () => {
    const e = await EngineFixture.open();
    e.queue('mine', {}, { durable: false, exclusive: true });
    const other = e.newActor();
    expect(failure(() => e.vhost.purgeQueue(other, 'mine'))).toMatch(/^RESOURCE_LOCKED: cannot/);
    e.vhost.connectionClosed(e.actor.connectionId);
    expect(e.vhost.topology.queues.has('mine')).toBe(false);
  });

  it('deletes an auto-delete queue with its last consumer', async () => {
    const e = await EngineFixture.open();
    e.queue('q', {}, { durable: false, autoDelete: true });
    const a = e.consume('q');
    const b = e.consume('q');
    e.vhost.cancel(a);
    expect(e.vhost.topology.queues.has('q')).toBe(true);
    e.vhost.cancel(b);
    expect(e.vhost.topology.queues.has('q')).toBe(false);
  });

  it('tells consumers when their queue is deleted', async () => {
    const e = await EngineFixture.open();
    e.queue('q');
    const consumer = e.consume('q');
    e.vhost.deleteQueue(e.actor, 'q', false, false);
    expect(consumer.isCancelled).toBe(true);
  });
});

describe('exchanges', () => {
  it('deletes an auto-delete exchange with its last binding, in a chain', async () => {
    const e = await EngineFixture.open();
    const auto = {
      type: 'fanout',
      passive: false,
      durable: false,
      autoDelete: true,
      internal: false,
      arguments: EMPTY_TABLE,
    };
    e.vhost.declareExchange(e.actor, 'a', auto);
    e.vhost.declareExchange(e.actor, 'b', auto);
    e.queue('q');
    e.vhost.bindExchange(e.actor, 'b', 'a', '', EMPTY_TABLE);
    e.bind('q', 'b', '');
    e.vhost.deleteQueue(e.actor, 'q', false, false);
    expect([...e.vhost.topology.exchanges.keys()].filter((name) => name.length === 1)).toEqual([]);
  });

  it('routes through bindings and the alternate exchange', async () => {
    const e = await EngineFixture.open();
    e.exchange('alternate', 'fanout');
    e.exchange('main', 'direct', { 'alternate-exchange': 'alternate' });
    e.queue('hit');
    e.queue('miss');
    e.bind('hit', 'main', 'k');
    e.bind('miss', 'alternate', '');
    expect(e.publish('main', 'k', '1')).toBe(PUBLISH_ROUTED);
    expect(e.publish('main', 'other', '2')).toBe(PUBLISH_ROUTED);
    expect([e.get('hit')?.body, e.get('miss')?.body]).toEqual(['1', '2']);
  });

  it('takes the default exchange as an alternate one', async () => {
    const e = await EngineFixture.open();
    e.exchange('main', 'direct', { 'alternate-exchange': '' });
    e.queue('q');
    expect(e.publish('main', 'q', 'm')).toBe(PUBLISH_ROUTED);
    expect(e.get('q')?.body).toBe('m');
  });

  it('voids cached routes when the topology or access changes', async () => {
    const e = await EngineFixture.open();
    const route = e.vhost.resolveRoute(e.actor, 'amq.direct', 'k');
    expect(e.vhost.isCurrent(route)).toBe(true);
    e.queue('q');
    expect(e.vhost.isCurrent(route)).toBe(false);
    const again = e.vhost.resolveRoute(e.actor, 'amq.direct', 'k');
    e.broker.access.setPermission('guest', '/', { configure: '', write: '', read: '' });
    expect(e.vhost.isCurrent(again)).toBe(false);
    expect(failure(() => e.vhost.resolveRoute(e.actor, 'amq.direct', 'k'))).toBe(
      "ACCESS_REFUSED: write access to exchange 'amq.direct' in vhost '/' refused for user 'guest'",
    );
  });

  it('delays a message at an x-delayed-message exchange and negates the header', async () => {
    const e = await EngineFixture.open();
    e.exchange('later', 'x-delayed-message', { 'x-delayed-type': 'direct' });
    const queue = e.queue('q');
    e.bind('q', 'later', 'k');
    const headers = new Map([['x-delay', 1_000]]);
    e.publish('later', 'k', 'm', { headers, persistent: true });
    await e.settle();
    e.clock.advance(999);
    e.turn();
    expect(queue.readyCount).toBe(0);
    e.clock.advance(1);
    await e.settle();
    const got = e.get('q')!;
    expect(got.body).toBe('m');
    expect(e.headersOf(got.entry.message).get('x-delay')).toBe(-1_000);
  });

  it('routes a message that was delayed by the keys of its CC, too', async () => {
    const e = await EngineFixture.open();
    e.exchange('later', 'x-delayed-message', { 'x-delayed-type': 'direct' });
    for (const name of ['q', 'copies']) {
      e.queue(name);
      e.bind(name, 'later', name);
    }
    const headers = new Map<string, FieldValue>([
      ['x-delay', 1_000],
      ['CC', ['copies']],
    ]);
    e.publish('later', 'q', 'm', { headers, persistent: true });
    await e.settle();
    e.clock.advance(1_000);
    await e.settle();
    expect([e.get('q')?.body, e.get('copies')?.body]).toEqual(['m', 'm']);
  });
});

describe('streams', () => {
  const STREAM = { 'x-queue-type': 'stream' };

  it('lets every consumer read everything from its own offset', async () => {
    const e = await EngineFixture.open();
    const queue = e.queue('s', STREAM);
    for (let i = 0; i < 10; i += 1) e.publish('', 's', `${i}`, { persistent: true });
    const offset = (value: string | number) => ({
      prefetchCount: 100,
      arguments: new Map([['x-stream-offset', value]]),
    });
    const first = e.consume('s', offset('first'));
    const seventh = e.consume('s', offset(7));
    const next = e.consume('s', { prefetchCount: 100 });
    const last = e.consume('s', offset('last'));
    e.turn();
    e.publish('', 's', 'new', { persistent: true });
    e.turn();
    expect(first.bodies).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'new']);
    expect(seventh.bodies).toEqual(['7', '8', '9', 'new']);
    expect(next.bodies).toEqual(['new']);
    expect(last.bodies).toEqual(['9', 'new']);
    const headers = e.headersOf(seventh.deliveries[0]!.entry.message);
    expect(headers.get('x-stream-offset')).toBe(7);
    queue.acknowledge(first.deliveries[0]!.entry);
    expect(queue.unackedCount).toBe(17);
  });

  it('reads back what left memory', async () => {
    const e = await EngineFixture.open();
    e.queue('s', STREAM);
    const total = 120_000;
    for (let i = 0; i < total; i += 1) {
      e.publish('', 's', `${i}`, { persistent: true });
      if (i % 4_000 === 0) await e.settle(2);
    }
    await e.settle();
    await e.settle();
    const consumer = e.consume('s', {
      prefetchCount: 100,
      arguments: new Map([['x-stream-offset', 'first']]),
    });
    for (let i = 0; i < 500 && consumer.deliveries.length < total; i += 1) await e.settle(1);
    expect(consumer.bodies).toEqual(Array.from({ length: total }, (_, i) => `${i}`));
  });

  it('refuses get, purge, automatic acks and unlimited prefetch', async () => {
    const e = await EngineFixture.open();
    e.queue('s', STREAM);
    expect(failure(() => e.get('s'))).toMatch(/^NOT_IMPLEMENTED/);
    expect(failure(() => e.vhost.purgeQueue(e.actor, 's'))).toMatch(/^NOT_IMPLEMENTED/);
    expect(failure(() => e.consume('s', { noAck: true }))).toMatch(/^NOT_IMPLEMENTED/);
    expect(failure(() => e.consume('s'))).toMatch(/^PRECONDITION_FAILED: consumer prefetch/);
  });

  it('drops old segments beyond the maximum size', async () => {
    const e = await EngineFixture.open();
    const queue = e.queue('s', {
      ...STREAM,
      'x-max-length-bytes': 50,
      'x-stream-max-segment-size-bytes': 20,
    });
    for (let i = 0; i < 20; i += 1) e.publish('', 's', '0123456789', { persistent: true });
    e.turn();
    expect(queue.readyBytes).toBeLessThanOrEqual(60);
    expect(queue.readyCount).toBe(queue.readyBytes / 10);
  });
});
