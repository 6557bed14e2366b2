import { describe, expect, it } from 'vitest';
import type { Message } from '../../../src/engine/message.ts';
import { PUBLISH_DURABLE, PUBLISH_REJECTED, PUBLISH_ROUTED } from '../../../src/engine/publish.ts';
import { exportDefinitions } from '../../../src/engine/definitions-export.ts';
import { retryDelayMs } from '../../../src/engine/topic/retry-strategy.ts';
import { SeededRandom } from '../../support/seeded-random.ts';
import { TopicFixture } from './topic-fixture.ts';

const sum = (a: number, b: number): number => a + b;

describe('a topic', () => {
  it('gives each subscription its own copy, and a bound AMQP queue one', async () => {
    const fixture = await TopicFixture.open();
    const { engine } = fixture;
    for (const name of ['q', 'bound']) engine.queue(name);
    const topic = fixture.topic('T', 2);
    fixture.subscribe(topic, 'A', { endpoint: 'q', bindingKeys: ['a.*'] });
    fixture.subscribe(topic, 'B', { endpoint: 'q', bindingKeys: ['#.b'] });
    engine.bind('bound', 'T', 'a.*');
    engine.bind('bound', 'T', '#.b');
    expect(fixture.publish('T', 'a.b', 'm')).toBe(PUBLISH_ROUTED | PUBLISH_DURABLE);
    expect(fixture.drain('q')).toEqual(['m', 'm']);
    expect(fixture.drain('bound')).toEqual(['m']);
  });

  it('gives all copies of an AMQP publish one id', async () => {
    const fixture = await TopicFixture.open();
    const { engine } = fixture;
    engine.queue('q');
    const topic = fixture.topic('T');
    fixture.subscribe(topic, 'A', { endpoint: 'q' });
    fixture.subscribe(topic, 'B', { endpoint: 'q' });
    fixture.push(topic, 'P');
    fixture.publish('T', '', '1', { headers: new Map([['color', 'red']]) });
    fixture.publish('T', '', '2');
    await fixture.settle();
    const copies = Array.from({ length: 4 }, () => engine.get('q')!);
    const ids = copies.map(({ entry }) => engine.headersOf(entry.message).get('x-msg-id'));
    expect(ids[0]).toBe(ids[1]);
    expect(ids[2]).toBe(ids[3]);
    expect(ids[0]).not.toBe(ids[2]);
    expect(fixture.transport.made.map(({ attempt }) => attempt.message.msgId)).toEqual([
      ids[0],
      ids[2],
    ]);
    expect(engine.headersOf(copies[0]!.entry.message).get('color')).toBe('red');
  });

  it('is on disk for 500 subscriptions, or for none of them', async () => {
    let fixture = await TopicFixture.open();
    const topic = fixture.topic('T');
    fixture.transport.answer = () => 'hang';
    for (let index = 0; index < 250; index += 1) {
      fixture.engine.queue(`q${index}`);
      fixture.subscribe(topic, `q${index}`);
      fixture.push(topic, `p${index}`);
    }
    const counts = ({ engine, topics }: TopicFixture): number[] => [
      Array.from(
        { length: 250 },
        (_, index) => engine.vhost.topology.queues.get(`q${index}`)!.readyCount,
      ).reduce(sum),
      topics.find('T')!.pendingCount,
    ];
    fixture = await fixture.restart();
    fixture.publish('T', '', 'lost');
    expect(counts(fixture)).toEqual([250, 250]);
    fixture = await fixture.crash();
    expect(counts(fixture)).toEqual([0, 0]);
    fixture.publish('T', '', 'kept');
    // One commit, whose ticket the publisher waits for.
    const { store } = fixture.engine;
    const { ticket } = store;
    store.commit(false);
    expect(store.ticket).toBe(ticket);
    while (store.committedTicket < ticket) await new Promise((resolve) => setImmediate(resolve));
    fixture = await fixture.crash();
    expect(counts(fixture)).toEqual([250, 250]);
  });

  it('is stored once where copies of a large message are many', async () => {
    const fixture = await TopicFixture.open();
    const { engine } = fixture;
    const topic = fixture.topic('T');
    const names = Array.from({ length: 18 }, (_, index) => `q${index}`);
    for (const name of names) engine.queue(name);
    const copiesOf = (body: string): Message[] => {
      fixture.publish('T', '', body);
      return [...topic.subscriptions.keys()].map((name) => engine.get(name)!.entry.message);
    };
    const MEBIBYTE = 'x'.repeat(1024 * 1024);
    for (const name of names.slice(0, 17)) fixture.subscribe(topic, name);
    const marked = copiesOf(MEBIBYTE);
    expect(engine.headersOf(marked[16]!).get('x-subscription')).toBe('T/q16');
    fixture.subscribe(topic, 'q17');
    const shared = copiesOf(MEBIBYTE);
    expect(shared).toHaveLength(18);
    expect(new Set(shared).size).toBe(1);
    expect(engine.headersOf(shared[0]!).get('x-msg-id')).toMatch(/^\d+$/);
    expect(new Set(copiesOf('small')).size).toBe(18);
  });

  it('tells the transport everything a push shows', async () => {
    const fixture = await TopicFixture.open();
    const { engine } = fixture;
    const topic = fixture.topic('T');
    fixture.push(topic, 'S', { secret: 'key', format: 'SIMPLIFIED', filterTags: ['b'] });
    const atMs = engine.clock.wallMs();
    fixture.publish('T', 'the.key', 'body', { headers: new Map([['x-msg-tag', ['a', 'b']]]) });
    engine.clock.advance(1_500);
    await fixture.settle();
    expect(fixture.transport.made[0]!.attempt).toEqual({
      subscription: {
        protocol: 'http',
        endpoint: 'http://example.com/S',
        format: 'SIMPLIFIED',
        secret: 'key',
        vhostName: '/',
        topicName: 'T',
        subscriptionName: 'S',
      },
      message: {
        msgId: expect.stringMatching(/^\d+$/),
        tags: ['a', 'b'],
        routingKey: 'the.key',
        body: Buffer.from('body'),
        publishedAtMs: atMs,
        topicName: 'T',
        topicOwner: 'guest',
        subscriptionName: 'S',
        requestId: expect.stringMatching(/^[0-9a-f]{16}$/),
        attempt: 1,
      },
    });
  });

  it('is back after a restart, with filters, ids and order', async () => {
    let fixture = await TopicFixture.open();
    fixture.engine.queue('q');
    const keys = fixture.topic('Keys', 2, { msgRetentionSeconds: 600 });
    fixture.subscribe(keys, 'A', { endpoint: 'q', bindingKeys: ['a.#', 'b'] });
    const tags = fixture.topic('Tags');
    fixture.subscribe(tags, 'B', { endpoint: 'q', filterTags: ['x'] });
    const records = [keys.record, keys.subscription('a')!.record, tags.record];
    fixture = await fixture.restart();
    const topic = fixture.topics.find('kEYS')!;
    expect([
      topic.record,
      topic.subscription('A')!.record,
      fixture.topics.find('Tags')!.record,
    ]).toEqual(records);
    for (const key of ['a.b', 'b', 'c']) fixture.publish('Keys', key, key);
    fixture.publish('Tags', '', 'x', { headers: new Map([['x-msg-tag', ['x']]]) });
    fixture.publish('Tags', '', 'y', { headers: new Map([['x-msg-tag', ['y']]]) });
    expect(fixture.drain('q')).toEqual(['a.b', 'b', 'x']);
    const ids = new Set<string>();
    for (let index = 0; index < 100; index += 1) ids.add(fixture.topics.nextMessageId());
    fixture = await fixture.restart();
    for (let index = 0; index < 100; index += 1) ids.add(fixture.topics.nextMessageId());
    expect(ids.size).toBe(200);
  });

  it('goes with its exchange, whoever deletes it', async () => {
    const fixture = await TopicFixture.open();
    const { engine } = fixture;
    const topic = fixture.topic('T');
    fixture.push(topic, 'S');
    fixture.transport.answer = () => 'failed';
    fixture.publish('T', '', 'm');
    await fixture.settle();
    engine.vhost.deleteExchange(engine.actor, 'T', false);
    expect(fixture.topics.find('T')).toBeUndefined();
    expect(engine.vhost.topology.queues.size).toBe(0);
    // Nothing is left at the devices' exchange either.
    expect(engine.vhost.topology.exchanges.get('amq.topic')!.bindingCount).toBe(0);
    const next = await fixture.restart();
    expect([...next.topics.list()]).toEqual([]);
  });

  it('shows none of its own bindings', async () => {
    const fixture = await TopicFixture.open();
    fixture.engine.queue('q');
    const topic = fixture.topic('T');
    fixture.subscribe(topic, 'q');
    fixture.push(topic, 'P');
    expect(exportDefinitions(fixture.engine.broker)).toMatchObject({ bindings: [] });
  });

  it('routes nowhere when no filter matches', async () => {
    const fixture = await TopicFixture.open();
    fixture.engine.queue('q');
    const topic = fixture.topic('T');
    expect(fixture.publish('T', '', 'm')).toBe(0);
    fixture.subscribe(topic, 'q', { filterTags: ['a'] });
    expect(fixture.publish('T', '', 'm')).toBe(0);
    expect(topic.subscription('q')!.counters.matchedMessages).toBe(0);
  });

  it('cuts a cycle of dead letters through a subscription', async () => {
    const fixture = await TopicFixture.open();
    fixture.engine.queue('q', { 'x-max-length': 1, 'x-dead-letter-exchange': 'T' });
    fixture.subscribe(fixture.topic('T'), 'S', { endpoint: 'q' });
    for (const body of ['1', '2', '3']) fixture.publish('T', '', body);
    await fixture.settle();
    expect(fixture.drain('q')).toEqual(['3']);
  });
});

describe('a queue subscription', () => {
  it('keeps what a full queue refuses, in order, and tries again', async () => {
    const fixture = await TopicFixture.open();
    const { engine } = fixture;
    engine.queue('q', { 'x-max-length': 2, 'x-overflow': 'reject-publish' });
    const subscription = fixture.subscribe(fixture.topic('T'), 'q');
    for (const body of ['1', '2', '3', '4']) {
      expect(fixture.publish('T', '', body) & PUBLISH_REJECTED).toBe(0);
    }
    await fixture.settle();
    expect(subscription.pendingCount).toBe(2);
    expect(subscription.lastFailure?.detail).toMatch(/full/);
    expect(fixture.drain('q')).toEqual(['1', '2']);
    // What comes meanwhile waits behind.
    fixture.publish('T', '', '5');
    await fixture.runUntil(engine.clock.wallMs() + 1_000);
    expect(fixture.drain('q')).toEqual(['3', '4']);
    await fixture.runUntil(engine.clock.wallMs() + 1_000);
    expect(fixture.drain('q')).toEqual(['5']);
    expect(subscription.pendingCount).toBe(0);
    fixture.publish('T', '', '6');
    expect(fixture.drain('q')).toEqual(['6']);
    expect(subscription.counters).toMatchObject({ matchedMessages: 6, deliveredMessages: 6 });
  });

  it('waits for a queue that was deleted, over a restart', async () => {
    let fixture = await TopicFixture.open();
    fixture.engine.queue('q');
    fixture.subscribe(fixture.topic('T'), 'q');
    fixture.engine.vhost.deleteQueue(fixture.engine.actor, 'q', false, false);
    fixture.publish('T', '', '1');
    fixture.publish('T', '', '2');
    const startMs = fixture.engine.clock.wallMs();
    await fixture.runUntil(startMs + 10_000);
    fixture = await fixture.restart();
    expect(fixture.topics.find('T')!.subscription('q')!.pendingCount).toBe(2);
    fixture.engine.queue('q');
    await fixture.runUntil(startMs + 60_000);
    expect(await fixture.drainLater('q')).toEqual(['1', '2']);
  });

  it('finds the queue again that was deleted and made in another case', async () => {
    const fixture = await TopicFixture.open();
    const { engine } = fixture;
    for (const name of ['Q', 'Dead']) engine.queue(name);
    const topic = fixture.topic('T');
    fixture.subscribe(topic, 'S', { endpoint: 'Q' });
    const strategy = 'BACKOFF_RETRY';
    fixture.push(topic, 'P', { deadLetterQueue: 'Dead', strategy });
    fixture.transport.answer = () => 'failed';
    for (const name of ['Q', 'Dead']) engine.vhost.deleteQueue(engine.actor, name, false, false);
    fixture.publish('T', '', '1');
    await fixture.runUntil(engine.clock.wallMs() + 500);
    for (const name of ['q', 'dead']) engine.queue(name);
    await fixture.runUntil(engine.clock.wallMs() + 100_000);
    expect(fixture.drain('q')).toEqual(['1']);
    expect(fixture.drain('dead')).toEqual(['1']);
    fixture.publish('T', '', '2');
    expect(fixture.drain('q')).toEqual(['2']);
  });

  it('outlives its own queue, which somebody deletes', async () => {
    const fixture = await TopicFixture.open();
    const { engine } = fixture;
    const subscription = fixture.push(fixture.topic('T'), 'S');
    fixture.transport.answer = () => 'failed';
    fixture.publish('T', '', '1');
    await fixture.settle();
    engine.vhost.deleteQueue(engine.actor, 'cmq.push.T.S', false, false);
    await fixture.settle();
    expect(subscription.pendingCount).toBe(0);
    fixture.transport.answer = () => 'ok';
    fixture.publish('T', '', '2');
    await fixture.runUntil(engine.clock.wallMs() + 60_000);
    expect(fixture.transport.bodies).toEqual(['1', '2']);
    expect(subscription.pendingCount).toBe(0);
  });
});

describe("a subscription's own queue", () => {
  it('has a name that nobody else can declare', async () => {
    const { engine } = await TopicFixture.open();
    expect(() => engine.queue('cmq.push.T.S')).toThrow(/reserved prefix 'cmq.push.\*'/);
  });

  it('is deleted by nobody but its subscription, whatever policies say of idle queues', async () => {
    const fixture = await TopicFixture.open();
    const { engine } = fixture;
    engine.broker.policies.put('policy', '/', 'idle', {
      pattern: '.*',
      'apply-to': 'queues',
      definition: { expires: 1_000 },
    });
    const subscription = fixture.push(fixture.topic('T'), 'S');
    const startMs = engine.clock.wallMs();
    fixture.transport.answer = ({ atMs }) => (atMs < startMs + 60_000 ? 'failed' : 'ok');
    fixture.publish('T', '', 'm');
    await fixture.runUntil(startMs + 120_000);
    expect(subscription.counters.deliveredMessages).toBe(1);
  });

  it('may be gone when its subscription changes', async () => {
    const fixture = await TopicFixture.open();
    const { engine, topics } = fixture;
    const subscription = fixture.push(fixture.topic('T'), 'S');
    fixture.transport.answer = () => 'failed';
    fixture.publish('T', '', 'm');
    await fixture.settle();
    engine.vhost.deleteQueue(engine.actor, 'cmq.push.T.S', false, false);
    topics.changeSubscription(engine.actor, subscription, { strategy: 'BACKOFF_RETRY' });
    expect(subscription.record.strategy).toBe('BACKOFF_RETRY');
  });

  it('is not taken for one of another kind that definitions made', async () => {
    const fixture = await TopicFixture.open();
    const { broker, vhost } = fixture.engine;
    const args = new Map([['x-queue-type', 'stream']]);
    const options = { durable: true, autoDelete: false, arguments: args };
    broker.queuesOf(vhost).define('cmq.push.T.S', options);
    fixture.push(fixture.topic('T'), 'S');
    expect(fixture.publish('T', '', 'm') & PUBLISH_REJECTED).toBe(PUBLISH_REJECTED);
  });
});

describe('retryDelayMs', () => {
  const random = new SeededRandom(5);
  it('is exact at both ends', () => {
    expect(retryDelayMs('EXPONENTIAL_DECAY_RETRY', 1, random)).toBe(1_000);
    expect(retryDelayMs('EXPONENTIAL_DECAY_RETRY', 9, random)).toBe(256_000);
    expect(retryDelayMs('EXPONENTIAL_DECAY_RETRY', 10, random)).toBe(512_000);
    expect(retryDelayMs('EXPONENTIAL_DECAY_RETRY', 176, random)).toBe(512_000);
    expect(retryDelayMs('EXPONENTIAL_DECAY_RETRY', 177, random)).toBeUndefined();
    expect(retryDelayMs('BACKOFF_RETRY', 4, random)).toBeUndefined();
    const bytes = (value: number) => ({ bytes: (n: number) => new Uint8Array(n).fill(value) });
    expect(retryDelayMs('BACKOFF_RETRY', 1, bytes(0))).toBe(10_000);
    expect(retryDelayMs('BACKOFF_RETRY', 3, bytes(255))).toBe(20_000);
  });
});
