import { describe, expect, it } from 'vitest';
import { BrokerError } from '../../../src/base/errors.ts';
import type { Subscription } from '../../../src/engine/session/subscription.ts';
import { MemoryDisk } from '../../../src/store/memory-disk.ts';
import { EngineFixture } from '../../support/engine-fixture.ts';

function subscription(filter: string, qos: 0 | 1 | 2 = 1): Subscription {
  const queue = /^\$share\/[^/]+\/\$queue\/(.*)$/.exec(filter)?.[1];
  const share = /^\$share\/([^/]+)\/(.*)$/.exec(filter);
  return {
    filter,
    topicFilter: share?.[2] ?? filter,
    ...(share?.[1] !== undefined && { group: share[1] }),
    ...(queue !== undefined && { queue }),
    qos,
    noLocal: false,
    retainAsPublished: false,
    identifier: 0,
  };
}

function publish(e: EngineFixture, topic: string, body: string, persistent = true): number {
  const key = topic.replaceAll('/', '.');
  const route = e.vhost.resolveTopicRoute(e.actor, 'amq.topic', key, topic);
  return e.vhost.publish(route, e.message('amq.topic', key, body, { persistent }));
}

const WEEK_MS = 7 * 24 * 3_600_000;

describe('Sessions', () => {
  it('collects what matches while the client is away, and drops QoS 0', async () => {
    const e = await EngineFixture.open();
    const { sessions } = e.vhost;
    const request = { clientId: 'dev', cleanStart: false, expiryMs: WEEK_MS };
    const { session, isPresent } = sessions.open(e.actor, request);
    expect(isPresent).toBe(false);
    sessions.subscribe(e.actor, session, subscription('a/+'), 'a.*');
    publish(e, 'a/b', '1');
    publish(e, 'a/b', 'qos 0', false);
    publish(e, 'a/b/c', 'no match');
    await e.settle();
    expect(sessions.open(e.actor, request).isPresent).toBe(true);
    const consumer = e.consume(session.queue.name);
    await e.settle();
    publish(e, 'a/x', 'qos 0', false);
    e.turn();
    expect(consumer.bodies).toEqual(['1', 'qos 0']);
  });

  it('hears AMQP publishes by routing key, and AMQP queues hear topics', async () => {
    const e = await EngineFixture.open();
    const { sessions } = e.vhost;
    const { session } = sessions.open(e.actor, { clientId: 'd', cleanStart: true, expiryMs: 0 });
    sessions.subscribe(e.actor, session, subscription('sensors/#'), 'sensors.#');
    e.queue('all');
    e.bind('all', 'amq.topic', 'sensors.#');
    e.publish('amq.topic', 'sensors.kitchen', 'from amqp');
    publish(e, 'sensors/hall', 'from mqtt');
    expect([session.queue.readyCount, e.get('all')?.body, e.get('all')?.body]).toEqual([
      2,
      'from amqp',
      'from mqtt',
    ]);
  });

  it('matches topics with dots exactly and hides $ topics from wildcards', async () => {
    const e = await EngineFixture.open();
    const { sessions } = e.vhost;
    const { session } = sessions.open(e.actor, { clientId: 'd', cleanStart: true, expiryMs: 0 });
    sessions.subscribe(e.actor, session, subscription('a/b/c'), 'a.b.c');
    publish(e, 'a.b/c', 'other topic');
    expect(session.queue.readyCount).toBe(0);
    sessions.subscribe(e.actor, session, subscription('#'), '#');
    publish(e, '$SYS/x', 'hidden');
    publish(e, 'a.b/c', 'seen');
    expect(session.queue.readyCount).toBe(1);
    expect(session.matching('a.b/c').map(({ filter }) => filter)).toEqual(['#']);
  });

  it('gives each message of a shared subscription to one member, and outlives one', async () => {
    const e = await EngineFixture.open();
    const { sessions } = e.vhost;
    const open = (clientId: string) =>
      sessions.open(e.actor, { clientId, cleanStart: true, expiryMs: 0 }).session;
    const [one, two] = [open('one'), open('two')];
    const shared = subscription('$share/g/t');
    sessions.subscribe(e.actor, one, shared, 't');
    sessions.subscribe(e.actor, two, shared, 't');
    const queue = sessions.sharedQueue(shared)!;
    publish(e, 't', '1');
    expect(queue.readyCount).toBe(1);
    sessions.end(one);
    expect(sessions.sharedQueue(shared)).toBe(queue);
    sessions.end(two);
    expect(sessions.sharedQueue(shared)).toBeUndefined();
    expect(e.vhost.topology.queues.size).toBe(0);
  });

  it('a share ends with the process when all its members do, and no other', async () => {
    const disk = new MemoryDisk();
    const e = await EngineFixture.open({ disk });
    const open = (clientId: string, expiryMs: number) =>
      e.vhost.sessions.open(e.actor, { clientId, cleanStart: true, expiryMs }).session;
    const [gone, kept] = [open('gone', 0), open('kept', WEEK_MS)];
    e.vhost.sessions.subscribe(e.actor, gone, subscription('$share/a/t'), 't');
    e.vhost.sessions.subscribe(e.actor, gone, subscription('$share/b/t'), 't');
    e.vhost.sessions.subscribe(e.actor, kept, subscription('$share/b/t'), 't');
    e.queue('mqtt-share-own/t');
    publish(e, 't', 'm');
    await e.settle();
    const again = await EngineFixture.open({ disk, clock: e.clock });
    expect([...again.vhost.topology.queues.keys()].sort()).toEqual([
      'mqtt-share-b/t',
      'mqtt-share-own/t',
      'mqtt-subscription-kept',
    ]);
    expect(again.vhost.sessions.sharedQueue(subscription('$share/b/t'))?.readyCount).toBe(1);
  });

  it('expires with its queue, which takes subscriptions along', async () => {
    const e = await EngineFixture.open();
    const { sessions } = e.vhost;
    const request = { clientId: 'dev', cleanStart: false, expiryMs: 1_000 };
    const { session } = sessions.open(e.actor, request);
    sessions.subscribe(e.actor, session, subscription('a'), 'a');
    sessions.disconnected(session);
    e.clock.advance(999);
    e.turn();
    expect(sessions.count).toBe(1);
    e.clock.advance(1);
    e.turn();
    expect([sessions.count, publish(e, 'a', 'x')]).toEqual([0, 0]);
  });

  it('a packet of many filters costs what it is long, and is on disk as a whole', async () => {
    const disk = new MemoryDisk();
    const e = await EngineFixture.open({ disk });
    const request = { clientId: 'dev', cleanStart: false, expiryMs: WEEK_MS };
    const { session } = e.vhost.sessions.open(e.actor, request);
    await e.settle();
    let looks = 0;
    const counted = (filter: string): Subscription =>
      Object.defineProperty(subscription(filter), 'qos', {
        enumerable: true,
        get: () => {
          looks += 1;
          return 1;
        },
      });
    const count = 1_000;
    for (let at = 0; at < count; at += 1) {
      e.vhost.sessions.subscribe(e.actor, session, counted(`f/${at}`), `f.${at}`);
    }
    for (let at = 0; at < count - 1; at += 1) e.vhost.sessions.unsubscribe(session, `f/${at}`);
    expect(session.highestQos).toBe(1);
    await e.settle();
    expect(looks).toBeLessThan(10 * count);
    const again = await EngineFixture.open({ disk });
    const { subscriptions } = again.vhost.sessions.find('dev')!;
    expect([...subscriptions.keys()]).toEqual([`f/${count - 1}`]);
  });

  it('survives a crash with subscriptions, messages, expiry and QoS 2 packet ids', async () => {
    const disk = new MemoryDisk();
    const e = await EngineFixture.open({ disk });
    const request = { clientId: 'dev', cleanStart: false, expiryMs: WEEK_MS };
    const { session } = e.vhost.sessions.open(e.actor, request);
    e.vhost.sessions.subscribe(e.actor, session, subscription('a/#', 2), 'a.#');
    e.vhost.sessions.received(session, 7);
    e.vhost.sessions.received(session, 8);
    e.vhost.sessions.released(session, 8);
    publish(e, 'a/b', 'before');
    await e.settle();
    const f = await EngineFixture.open({ disk, clock: e.clock });
    const again = f.vhost.sessions.open(f.actor, request);
    expect(again.isPresent).toBe(true);
    expect([...again.session.received]).toEqual([7]);
    expect(again.session.subscriptions.get('a/#')?.qos).toBe(2);
    publish(f, 'a/c', 'after');
    expect(again.session.queue.readyCount).toBe(2);
    f.clock.advance(WEEK_MS);
    f.turn();
    expect(f.vhost.sessions.count).toBe(0);
  });
});

describe('a subscription to a queue by name', () => {
  const work = subscription('$share/g/$queue/work');
  const request = { clientId: 'dev', cleanStart: false, expiryMs: WEEK_MS };

  it('makes nothing, deletes nothing, needs no topic exchange', async () => {
    const e = await EngineFixture.open();
    const { sessions } = e.vhost;
    sessions.exchangeName = 'not declared';
    const queue = e.queue('work');
    const open = (clientId: string) =>
      sessions.open(e.actor, { clientId, cleanStart: true, expiryMs: 0 }).session;
    const [one, two] = [open('one'), open('two')];
    expect(sessions.subscribe(e.actor, one, work, '')).toBe(true);
    expect(sessions.subscribe(e.actor, one, work, '')).toBe(false);
    sessions.subscribe(e.actor, two, subscription('$share/other/$queue/work'), '');
    expect(sessions.sharedQueue(work)).toBe(queue);
    expect([one.hasQueue, sessions.subscriptionCount]).toEqual([false, 2]);
    expect(sessions.unsubscribe(one, work.filter)).toBe(true);
    sessions.end(two);
    expect([...e.vhost.topology.queues.keys()]).toEqual(['work']);
  });

  it('is refused for what is not there, exclusive, a stream or a session', async () => {
    const e = await EngineFixture.open();
    const { sessions } = e.vhost;
    e.queue('mine', {}, { exclusive: true });
    e.queue('log', { 'x-queue-type': 'stream' });
    const { session } = sessions.open(e.actor, request);
    const refusal = (name: string): string => {
      try {
        sessions.subscribe(e.actor, session, subscription(`$share/g/$queue/${name}`), '');
        return 'granted';
      } catch (error) {
        return error instanceof BrokerError ? error.code : String(error);
      }
    };
    expect(['none', 'mine', 'log', 'mqtt-subscription-dev'].map(refusal)).toEqual([
      'NOT_FOUND',
      'RESOURCE_LOCKED',
      'PRECONDITION_FAILED',
      'PRECONDITION_FAILED',
    ]);
    expect(session.subscriptions.size).toBe(0);
  });

  it('asks for the right to read the queue, and again at reconnect', async () => {
    const e = await EngineFixture.open();
    const { access } = e.broker;
    const { sessions } = e.vhost;
    e.queue('work');
    e.queue('secret');
    access.putUser('bob', { tags: [] });
    access.setPermission('bob', '/', { configure: '^mqtt', write: '', read: '^(mqtt|work)' });
    const actor = { ...e.actor, user: access.user('bob')! };
    const { session } = sessions.open(actor, request);
    sessions.subscribe(actor, session, work, '');
    const secret = subscription('$share/g/$queue/secret');
    expect(() => sessions.subscribe(actor, session, secret, '')).toThrow(/refused/);
    expect(sessions.open(actor, request).session.subscriptions.size).toBe(1);
    access.setPermission('bob', '/', { configure: '^mqtt', write: '', read: '^mqtt' });
    expect(sessions.mayRead(actor, session, work)).toBe(false);
    expect(sessions.open(actor, request).session.subscriptions.size).toBe(0);
  });

  it('survives a crash with its session, and the queue by itself', async () => {
    const disk = new MemoryDisk();
    const e = await EngineFixture.open({ disk });
    e.queue('work');
    const { session } = e.vhost.sessions.open(e.actor, request);
    e.vhost.sessions.subscribe(e.actor, session, work, '');
    await e.settle();
    const f = await EngineFixture.open({ disk, clock: e.clock });
    const again = f.vhost.sessions.open(f.actor, request);
    expect(again.session.subscriptions.get(work.filter)).toEqual(work);
    const names = [...f.vhost.topology.queues.keys()].toSorted();
    expect(names).toEqual(['mqtt-subscription-dev', 'work']);
    f.vhost.sessions.end(again.session);
    expect([...f.vhost.topology.queues.keys()]).toEqual(['work']);
  });
});

describe('RetainedMessages', () => {
  it('finds by filter, replaces, clears, expires and survives a restart', async () => {
    const disk = new MemoryDisk();
    const e = await EngineFixture.open({ disk });
    const { retained } = e.vhost;
    const message = (body: string, expirationMs?: number) =>
      e.message('amq.topic', 'k', body, expirationMs === undefined ? {} : { expirationMs });
    retained.set('a/b', message('old'));
    retained.set('a/b', message('new'));
    retained.set('a/b/c', message('deep'));
    retained.set('a', message('top', 500));
    retained.set('$SYS/up', message('sys'));
    const found = (filter: string, r = retained) =>
      r
        .match(filter, e.clock.wallMs())
        .map(([topic]) => topic)
        .sort();
    expect(found('#')).toEqual(['a', 'a/b', 'a/b/c']);
    expect(found('a/#')).toEqual(['a', 'a/b', 'a/b/c']);
    expect(found('+/b')).toEqual(['a/b']);
    expect(found('$SYS/#')).toEqual(['$SYS/up']);
    e.clock.advance(500);
    expect(found('a/#')).toEqual(['a/b', 'a/b/c']);
    retained.clear('a/b');
    expect(found('a/#')).toEqual(['a/b/c']);
    await e.settle();
    const f = await EngineFixture.open({ disk, clock: e.clock });
    expect(found('#', f.vhost.retained)).toEqual(['a/b/c']);
    expect(f.vhost.retained.bytes).toBeGreaterThan(0);
  });
});
