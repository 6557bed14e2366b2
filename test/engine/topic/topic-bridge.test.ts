import { describe, expect, it } from 'vitest';
import { EMPTY_TABLE } from '../../../src/base/field-value.ts';
import { PUBLISH_ROUTED } from '../../../src/engine/publish.ts';
import { topicToKey } from '../../../src/engine/session/routing-key.ts';
import { TopicFixture } from './topic-fixture.ts';

/** What a device does: publishes by topic. */
function devicePublish(
  { engine }: TopicFixture,
  topic: string,
  body: string,
  headers = EMPTY_TABLE,
): number {
  const key = topicToKey(topic);
  const route = engine.vhost.resolveTopicRoute(engine.actor, 'amq.topic', key, topic);
  const message = engine.message('amq.topic', key, body, { persistent: true, headers });
  return engine.vhost.publish(route, message);
}

/** Subscribes a queue by an MQTT filter. */
function deviceSubscribe({ engine }: TopicFixture, filter: string, queue: string): void {
  engine.queue(queue);
  const { vhost, actor } = engine;
  const index = vhost.subscriptionsFor(actor, 'amq.topic', topicToKey(filter));
  index.add(filter, vhost.topology.queues.get(queue)!);
  vhost.topology.touch();
}

/** Body, exchange and key of each message in a queue. */
function taken(fixture: TopicFixture, queue: string): string[] {
  const rows: string[] = [];
  for (let got = fixture.engine.get(queue); got !== undefined; got = fixture.engine.get(queue)) {
    const { exchange, routingKey } = got.entry.message;
    rows.push(`${got.body} ${exchange} ${routingKey}`);
    got.queue.acknowledge(got.entry);
  }
  return rows;
}

describe('a device publishes', () => {
  it('to a routing-key topic: levels are words', async () => {
    const fixture = await TopicFixture.open();
    fixture.engine.queue('q');
    fixture.subscribe(fixture.topic('T', 2), 'q', { bindingKeys: ['a.*', 'room/1'] });
    expect(devicePublish(fixture, 'T/a/b', '1') & PUBLISH_ROUTED).toBe(PUBLISH_ROUTED);
    expect(devicePublish(fixture, 'T/room.1', '2') & PUBLISH_ROUTED).toBe(PUBLISH_ROUTED);
    expect(devicePublish(fixture, 'T/x', '3')).toBe(0);
    expect(devicePublish(fixture, 'T', '4')).toBe(0);
    expect(devicePublish(fixture, 'Tx/a/b', '5')).toBe(0);
    expect(taken(fixture, 'q')).toEqual(['1 T a.b', '2 T room/1']);
  });

  it('to a tag topic: tags are a property, or the levels', async () => {
    const fixture = await TopicFixture.open();
    fixture.engine.queue('q');
    const topic = fixture.topic('T');
    fixture.subscribe(topic, 'q', { filterTags: ['apple'] });
    fixture.push(topic, 'P', { filterTags: ['apple'] });
    const property = new Map([['x-msg-tag', 'imac,apple']]);
    expect(devicePublish(fixture, 'T', '1', property) & PUBLISH_ROUTED).toBe(PUBLISH_ROUTED);
    expect(devicePublish(fixture, 'T/iphone/apple', '2') & PUBLISH_ROUTED).toBe(PUBLISH_ROUTED);
    expect(devicePublish(fixture, 'T/apple', '3', new Map([['x-msg-tag', 'x']]))).toBe(0);
    expect(devicePublish(fixture, 'T', '4')).toBe(0);
    expect(fixture.drain('q')).toEqual(['1', '2']);
    await fixture.settle();
    expect(fixture.transport.made.map(({ attempt }) => attempt.message.tags)).toEqual([
      ['imac', 'apple'],
      ['iphone', 'apple'],
    ]);
  });

  it('and hears itself once', async () => {
    const fixture = await TopicFixture.open();
    fixture.engine.queue('q');
    fixture.subscribe(fixture.topic('T', 2), 'q');
    deviceSubscribe(fixture, 'T/#', 'device');
    devicePublish(fixture, 'T/a', 'm');
    expect(fixture.drain('device')).toEqual(['m']);
    expect(fixture.drain('q')).toEqual(['m']);
  });
});

describe('a publish to a topic', () => {
  it('reaches devices under the name of the topic, with the id of the other copies', async () => {
    const fixture = await TopicFixture.open();
    const { engine } = fixture;
    fixture.topic('T', 2);
    deviceSubscribe(fixture, 'T/+/b', 'device');
    deviceSubscribe(fixture, 'T', 'plain');
    expect(fixture.publish('T', 'a.b', '1') & PUBLISH_ROUTED).toBe(PUBLISH_ROUTED);
    expect(fixture.publish('T', 'a.c', '2')).toBe(0);
    expect(fixture.publish('T', '', '3') & PUBLISH_ROUTED).toBe(PUBLISH_ROUTED);
    expect(taken(fixture, 'plain')).toEqual(['3 amq.topic T']);
    const { entry } = engine.get('device')!;
    expect(entry.message.routingKey).toBe('T.a.b');
    expect(engine.headersOf(entry.message).get('x-msg-id')).toMatch(/^\d+$/);
  });

  it('comes to a subscription and to devices once each, without an echo', async () => {
    const fixture = await TopicFixture.open();
    fixture.engine.queue('q');
    fixture.subscribe(fixture.topic('T'), 'q');
    deviceSubscribe(fixture, '#', 'device');
    for (const body of ['1', '2']) fixture.publish('T', '', body);
    expect(fixture.drain('q')).toEqual(['1', '2']);
    expect(fixture.drain('device')).toEqual(['1', '2']);
  });

  it('does not cross into another topic', async () => {
    const fixture = await TopicFixture.open();
    fixture.engine.queue('q');
    fixture.topic('A', 2);
    fixture.subscribe(fixture.topic('B', 2), 'q');
    expect(fixture.publish('A', 'B.x', 'm')).toBe(0);
    expect(fixture.drain('q')).toEqual([]);
  });
});

describe('the bridge', () => {
  it('takes what dies because a queue overflows while a message crosses', async () => {
    const fixture = await TopicFixture.open();
    const { engine } = fixture;
    engine.queue('dead');
    fixture.subscribe(fixture.topic('T', 2), 'S', { endpoint: 'dead', bindingKeys: ['dead'] });
    engine.queue('short', {
      'x-max-length': 1,
      'x-dead-letter-exchange': 'amq.topic',
      'x-dead-letter-routing-key': 'T.dead',
    });
    engine.bind('short', 'amq.topic', 'T.live');
    for (const body of ['1', '2', '3']) fixture.publish('T', 'live', body);
    expect(taken(fixture, 'short')).toEqual(['3 amq.topic T.live']);
    expect(taken(fixture, 'dead')).toEqual(['1 T dead', '2 T dead']);
    // What died does so again: each crosses once, and nothing goes round.
    for (const body of ['4', '5']) fixture.publish('T', 'live', body);
    expect(taken(fixture, 'dead')).toEqual(['4 T dead']);
  });

  it('takes what dies on the way from a device, too', async () => {
    const fixture = await TopicFixture.open();
    const { engine } = fixture;
    engine.queue('short', { 'x-max-length': 1, 'x-dead-letter-exchange': 'T' });
    fixture.subscribe(fixture.topic('T', 2), 'S', { endpoint: 'short', bindingKeys: ['live'] });
    deviceSubscribe(fixture, 'T/#', 'device');
    for (const body of ['1', '2']) devicePublish(fixture, 'T/live', body);
    // Each by the device itself; the first once more, dead.
    expect(fixture.drain('device')).toEqual(['1', '2', '1']);
    expect(fixture.drain('short')).toEqual(['2']);
  });

  it('takes what a message kills that died before, as its publisher says', async () => {
    const fixture = await TopicFixture.open();
    const { engine } = fixture;
    engine.queue('dead');
    fixture.subscribe(fixture.topic('T', 2), 'S', { endpoint: 'dead', bindingKeys: ['dead'] });
    engine.queue('short', {
      'x-max-length': 1,
      'x-dead-letter-exchange': 'amq.topic',
      'x-dead-letter-routing-key': 'T.dead',
    });
    engine.bind('short', 'amq.topic', 'T.live');
    // A consumer that publishes a dead letter anew passes its headers on.
    const headers = new Map([['x-death', [new Map([['count', 1n]])]]]);
    fixture.publish('T', 'live', '1');
    fixture.publish('T', 'live', '2', { headers });
    expect(taken(fixture, 'dead')).toEqual(['1 T dead']);
  });

  it('takes the dead letters of a queue that has the name of the topic', async () => {
    const fixture = await TopicFixture.open();
    const { engine } = fixture;
    engine.queue('dead');
    fixture.subscribe(fixture.topic('T', 2), 'S', { endpoint: 'dead', bindingKeys: ['dead'] });
    engine.queue('T', {
      'x-max-length': 1,
      'x-dead-letter-exchange': 'amq.topic',
      'x-dead-letter-routing-key': 'T.dead',
    });
    for (const body of ['1', '2']) engine.publish('', 'T', body, { persistent: true });
    expect(taken(fixture, 'dead')).toEqual(['1 T dead']);
  });

  it('does not lead a dead letter to the queue where it died', async () => {
    const fixture = await TopicFixture.open();
    const { engine } = fixture;
    engine.queue('short', {
      'x-max-length': 1,
      'x-dead-letter-exchange': 'amq.topic',
      'x-dead-letter-routing-key': 'T.live',
    });
    const topic = fixture.topic('T', 2);
    fixture.subscribe(topic, 'S', { endpoint: 'short', bindingKeys: ['live'] });
    engine.queue('all');
    fixture.subscribe(topic, 'A', { endpoint: 'all', bindingKeys: ['#'] });
    for (const body of ['1', '2', '3']) engine.publish('', 'short', body, { persistent: true });
    expect(taken(fixture, 'short')).toEqual(['3  short']);
    expect(taken(fixture, 'all')).toEqual(['1 T live', '2 T live']);
  });

  it('is there again after a restart', async () => {
    let fixture = await TopicFixture.open();
    fixture.engine.queue('q');
    fixture.subscribe(fixture.topic('T', 2), 'q');
    fixture = await fixture.restart();
    expect(devicePublish(fixture, 'T/a', 'm') & PUBLISH_ROUTED).toBe(PUBLISH_ROUTED);
    expect(taken(fixture, 'q')).toEqual(['m T a']);
  });

  it('leaves routes that are kept correct when subscribers come and go', async () => {
    const fixture = await TopicFixture.open();
    const { engine } = fixture;
    engine.queue('q');
    const topic = fixture.topic('T', 2);
    const { vhost, actor } = engine;
    const resolve = () => vhost.resolveTopicRoute(actor, 'amq.topic', 'T.a', 'T/a');
    let route = resolve();
    const publish = (body: string): number => {
      if (!vhost.isCurrent(route)) route = resolve();
      return vhost.publish(route, engine.message('amq.topic', 'T.a', body, { persistent: true }));
    };
    expect(publish('1')).toBe(0);
    const subscription = fixture.subscribe(topic, 'q');
    expect(publish('2') & PUBLISH_ROUTED).toBe(PUBLISH_ROUTED);
    fixture.topics.unsubscribe(actor, subscription);
    expect(publish('3')).toBe(0);
    expect(fixture.drain('q')).toEqual(['2']);
  });

  it.each([
    ['text', 'abc'],
    ['negative', -5n],
  ])('does not echo for an x-death with a %s count', async (_what, count) => {
    const fixture = await TopicFixture.open();
    const topic = fixture.topic('T', 2);
    fixture.engine.queue('q');
    fixture.subscribe(topic, 'q', { bindingKeys: ['#'] });
    deviceSubscribe(fixture, 'T/#', 'd');
    const headers = new Map([['x-death', [new Map([['count', count]])]]]);
    fixture.engine.publish('T', 'a', '1', { headers });
    devicePublish(fixture, 'T/a', '2', headers);
    expect([taken(fixture, 'q').length, taken(fixture, 'd').length]).toEqual([2, 2]);
  });
});
