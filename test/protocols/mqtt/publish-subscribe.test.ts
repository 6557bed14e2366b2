/** Topics, options, retained messages, wills, shared subscriptions (sections 3.3, 3.8, 4.7, 4.8). */
import { describe, expect, test } from 'vitest';
import { MemoryDisk } from '../../../src/store/memory-disk.ts';
import { type Any, Harness } from './mqtt-harness.ts';

const ids = ({ properties }: Any): number[] => [properties?.subscriptionIdentifier ?? []].flat();

describe('a subscription', () => {
  test('gets the lower QoS of the two [MQTT-3.8.4-8]', async () => {
    const harness = await Harness.open();
    const client = await harness.connect('a');
    expect(await client.subscribe('x', { qos: 1 })).toEqual([1]);
    for (const qos of [0, 1, 2] as const)
      client.publish('x', `${qos}`, { qos, messageId: 10 + qos });
    const got = await client.publishes();
    expect(got.map(({ payload, qos }) => [String(payload), qos])).toEqual([
      ['0', 0],
      ['1', 1],
      ['2', 1],
    ]);
  });

  test('overlapping ones give one copy with all identifiers [MQTT-3.3.4-3]', async () => {
    const harness = await Harness.open();
    const client = await harness.connect('a');
    await client.subscribe('a/+', { qos: 0 }, { subscriptionIdentifier: 1 });
    await client.subscribe('a/#', { qos: 1 }, { subscriptionIdentifier: 2 });
    await client.subscribe('b', { qos: 1 });
    client.publish('a/b', 'm', { qos: 1 });
    const [got, ...more] = await client.publishes();
    expect(more).toEqual([]);
    expect(got.qos).toBe(1);
    expect(ids(got).sort()).toEqual([1, 2]);
  });

  test('with no local does not hear its own client [MQTT-3.8.3-3]', async () => {
    const harness = await Harness.open();
    const client = await harness.connect('a');
    const other = await harness.connect('b');
    await client.subscribe('x', { nl: true });
    await other.subscribe('x', { nl: true });
    client.publish('x', 'mine');
    expect(await client.messages()).toEqual([]);
    expect(await other.messages()).toEqual(['mine']);
    await client.subscribe('#', {});
    client.publish('x', 'again');
    expect(await client.messages()).toEqual(['again']);
  });

  test('with no local neither when routing depends on the message', async () => {
    const harness = await Harness.open();
    const { fixture } = harness;
    fixture.vhost.bindExchange(fixture.actor, 'amq.headers', 'amq.topic', 'x', new Map());
    const queue = fixture.queue('q');
    const args = new Map([
      ['x-match', 'any'],
      ['kind', 'k'],
    ]);
    fixture.bind('q', 'amq.headers', '', args);
    const client = await harness.connect('a');
    const other = await harness.connect('b');
    await client.subscribe('x', { nl: true });
    await other.subscribe('x', { nl: true });
    client.publish('x', 'mine', { properties: { userProperties: { kind: 'k' } } });
    expect(await client.messages()).toEqual([]);
    expect(await other.messages()).toEqual(['mine']);
    expect(queue.readyCount).toBe(1);
  });

  test('wildcards first never meet $ topics, and filters are proven', async () => {
    const harness = await Harness.open();
    const client = await harness.connect('a');
    await client.subscribe('#');
    await client.subscribe('+/x');
    client.publish('$own/x', 'm');
    expect(await client.messages()).toEqual([]);
    await client.subscribe('$own/#');
    client.publish('$own/x', 'm');
    expect(await client.messages()).toEqual(['m']);
    expect(await client.subscribe('a#')).toEqual([0x8f]);
    const old = await harness.connect('b', { version: 4 });
    expect(await old.subscribe('a#')).toEqual([0x80]);
  });

  test('topics with dots, empty levels, stars are kept apart', async () => {
    const harness = await Harness.open();
    const client = await harness.connect('a');
    const topics = ['a.b/c', '/a', 'a//b', '/', 'a/*/c', 'sensor.1/*'];
    for (const topic of topics) await client.subscribe(topic);
    for (const topic of [...topics, 'a/b/c', 'a']) client.publish(topic, topic);
    const got = await client.publishes();
    expect(got.map(({ topic }) => topic)).toEqual(topics);
  });

  test('the longest topic arrives as it was sent', async () => {
    const harness = await Harness.open();
    const client = await harness.connect('a');
    await client.subscribe('#');
    const topic = 'x'.repeat(65_535);
    client.publish(topic, 'm', { qos: 1 });
    const [got] = await client.publishes();
    expect(got.topic).toBe(topic);
  });

  test('UNSUBSCRIBE says what there was [MQTT-3.11.3-1]', async () => {
    const harness = await Harness.open();
    const client = await harness.connect('a');
    await client.subscribe('x');
    client.send({ cmd: 'unsubscribe', messageId: 3, unsubscriptions: ['x', 'y'] });
    expect(await client.all()).toMatchObject([{ cmd: 'unsuback', granted: [0, 0x11] }]);
    client.publish('x', 'm');
    expect(await client.all()).toEqual([]);
  });
});

describe('retained messages', () => {
  async function prepared(): Promise<Harness> {
    const harness = await Harness.open();
    const publisher = await harness.connect('p');
    publisher.publish('r/1', 'one', { retain: true, qos: 1 });
    publisher.publish('r/2', 'two', { retain: true });
    publisher.publish('$r/3', 'three', { retain: true });
    await harness.settle();
    return harness;
  }

  test('come to new subscriptions, wildcards too, with RETAIN [MQTT-3.3.1-8]', async () => {
    const harness = await prepared();
    const client = await harness.connect('a');
    await client.subscribe('#', { qos: 1 }, { subscriptionIdentifier: 4 });
    const got = await client.publishes();
    expect(got.map(({ topic, qos, retain }) => [topic, qos, retain])).toEqual([
      ['r/1', 1, true],
      ['r/2', 0, true],
    ]);
    expect(got.map(ids)).toEqual([[4], [4]]);
  });

  test('obey retain handling [MQTT-3.3.1-9], [MQTT-3.3.1-10], [MQTT-3.3.1-11]', async () => {
    const harness = await prepared();
    const client = await harness.connect('a');
    await client.subscribe('r/1', { rh: 2 });
    expect(await client.messages()).toEqual([]);
    await client.subscribe('r/1', { rh: 1 });
    expect(await client.messages()).toEqual([]);
    await client.subscribe('r/2', { rh: 1 });
    expect(await client.messages()).toEqual(['two']);
    await client.subscribe('r/2', { rh: 0 });
    expect(await client.messages()).toEqual(['two']);
  });

  test('an empty one deletes and is delivered as it is [MQTT-3.3.1-6]', async () => {
    const harness = await prepared();
    const client = await harness.connect('a');
    await client.subscribe('r/1', { rap: true, rh: 2 });
    await client.subscribe('r/2', { rap: false, rh: 2 });
    const publisher = await harness.connect('p');
    publisher.publish('r/1', '', { retain: true });
    publisher.publish('r/2', 'new', { retain: true });
    const got = await client.publishes();
    expect(got.map(({ payload, retain }) => [String(payload), retain])).toEqual([
      ['', true],
      ['new', false],
    ]);
    const late = await harness.connect('b');
    await late.subscribe('r/#');
    expect(await late.messages()).toEqual(['new']);
  });

  test('of a very deep topic come by any filter, beside all others', async () => {
    const harness = await prepared();
    const publisher = await harness.connect('p');
    const topic = '/'.repeat(30_000);
    publisher.publish(topic, 'deep', { retain: true, qos: 1 });
    for (const filter of ['#', `${'+/'.repeat(15_000)}#`, topic]) {
      const client = await harness.connect('a');
      await client.subscribe(filter);
      const got = await client.publishes();
      expect(got.filter((one) => one.topic === topic)).toHaveLength(1);
      expect(got).toHaveLength(filter === '#' ? 3 : 1);
    }
    publisher.publish(topic, '', { retain: true, qos: 1 });
    const late = await harness.connect('b');
    await late.subscribe('#');
    expect(await late.messages()).toHaveLength(2);
  });

  test('come as the client takes them, once for a filter however often it asks', async () => {
    const harness = await Harness.open();
    const count = 2_000;
    for (let at = 0; at < count; at += 1) {
      const { fixture } = harness;
      const message = fixture.message('amq.topic', `k.${at}`, `${at}`, { persistent: true });
      fixture.vhost.retained.set(`k/${at}`, message);
    }
    const client = await harness.connect('a', { properties: { receiveMaximum: 10 } });
    for (let ask = 0; ask < 50; ask += 1) {
      client.send({
        cmd: 'subscribe',
        messageId: ask + 1,
        subscriptions: [{ topic: '#', qos: 1, nl: false, rap: false, rh: 0 }],
      });
    }
    const first = await client.all();
    expect(first.filter(({ cmd }) => cmd === 'suback')).toHaveLength(50);
    const { queue } = harness.fixture.vhost.sessions.find('a')!;
    expect(queue.readyCount + queue.unackedCount).toBeLessThan(1_000);
    const topics = new Set<string>();
    let got = first.filter(({ cmd }) => cmd === 'publish');
    let total = 0;
    while (got.length > 0) {
      total += got.length;
      for (const { topic, messageId } of got) {
        topics.add(topic);
        client.send({ cmd: 'puback', messageId });
      }
      got = (await client.all()).filter(({ cmd }) => cmd === 'publish');
    }
    expect([topics.size, total < 2 * count]).toEqual([count, true]);
  });

  test('that are left when the connection ends stay with a session that stays', async () => {
    const harness = await Harness.open();
    const count = 600;
    const { fixture } = harness;
    for (let at = 0; at < count; at += 1) {
      const message = fixture.message('amq.topic', `k.${at}`, `${at}`, { persistent: true });
      fixture.vhost.retained.set(`k/${at}`, message);
    }
    const first = await harness.resume('a', { properties: { receiveMaximum: 10 } });
    await first.subscribe('#', { qos: 1 });
    await first.lose();
    expect(fixture.vhost.sessions.find('a')!.queue.readyCount).toBe(count);
  });

  test('do not come to shared subscriptions', async () => {
    const harness = await prepared();
    const client = await harness.connect('a');
    await client.subscribe('$share/g/r/#');
    expect(await client.messages()).toEqual([]);
  });

  test('expire', async () => {
    const harness = await Harness.open();
    const client = await harness.connect('a');
    client.publish('e', 'm', { retain: true, properties: { messageExpiryInterval: 10 } });
    await harness.settle();
    harness.advance(4_000);
    await client.subscribe('e');
    const [got] = await client.publishes();
    expect(got.properties.messageExpiryInterval).toBe(6);
    harness.advance(7_000);
    await client.subscribe('e');
    expect(await client.messages()).toEqual([]);
  });
});

describe('a will', () => {
  const will: Any = { topic: 'w', payload: Buffer.from('gone'), qos: 1, retain: false };

  async function watcher(harness: Harness) {
    const client = await harness.connect('watcher');
    await client.subscribe('w', { qos: 1 });
    return client;
  }

  test('is published when the client is lost, not when it leaves [MQTT-3.1.2-8]', async () => {
    const harness = await Harness.open();
    const watching = await watcher(harness);
    await (await harness.connect('a', { will })).lose();
    expect(await watching.messages()).toEqual(['gone']);
    await (await harness.connect('a', { will })).disconnect();
    expect(await watching.messages()).toEqual([]);
    await (await harness.connect('a', { will })).disconnect(4);
    expect(await watching.messages()).toEqual(['gone']);
  });

  test('waits for its delay, and for the end of the session at most', async () => {
    const harness = await Harness.open();
    const watching = await watcher(harness);
    const delayed = { ...will, properties: { willDelayInterval: 10 } };
    const lasting = { clean: false, properties: { sessionExpiryInterval: 100 } };
    await (await harness.connect('a', { will: delayed, ...lasting })).lose();
    harness.advance(9_000);
    expect(await watching.messages()).toEqual([]);
    harness.advance(1_000);
    expect(await watching.messages()).toEqual(['gone']);
    const short = { clean: false, properties: { sessionExpiryInterval: 3 } };
    await (await harness.connect('b', { will: delayed, ...short })).lose();
    harness.advance(3_000);
    expect(await watching.messages()).toEqual(['gone']);
  });

  test('is off when the session is resumed in time [MQTT-3.1.3-9]', async () => {
    const harness = await Harness.open();
    const watching = await watcher(harness);
    const delayed = { ...will, properties: { willDelayInterval: 10 } };
    await (await harness.resume('a', { will: delayed })).lose();
    await harness.resume('a');
    harness.advance(20_000);
    expect(await watching.messages()).toEqual([]);
    await (await harness.resume('b', { will: delayed })).lose();
    await harness.connect('b');
    expect(await watching.messages()).toEqual(['gone']);
  });

  test('survives a crash, with what is left of its delay', async () => {
    const disk = new MemoryDisk();
    const before = await Harness.open({}, { disk });
    const delayed = { ...will, properties: { willDelayInterval: 10 } };
    await (await before.resume('a', { will: delayed })).lose();
    await before.resume('b', { will });
    await (await before.resume('c', { will })).disconnect();
    before.advance(5_000);
    await before.settle();

    const { clock } = before.fixture;
    const after = await Harness.open({}, { disk, clock });
    const watching = await watcher(after);
    after.advance(1);
    expect(await watching.messages()).toEqual(['gone']);
    after.advance(5_000);
    expect(await watching.messages()).toEqual(['gone']);
    const again = await Harness.open({}, { disk, clock });
    const late = await watcher(again);
    again.advance(20_000);
    expect(await late.messages()).toEqual([]);
  });

  test('whose delay ran when the process died counts from the disconnection', async () => {
    const disk = new MemoryDisk();
    const before = await Harness.open({}, { disk });
    const { clock } = before.fixture;
    const delayed = { ...will, properties: { willDelayInterval: 10 } };
    await (await before.resume('a', { will: delayed })).lose();
    before.advance(4_000);
    await before.settle();
    clock.advance(3_000);
    const after = await Harness.open({}, { disk, clock });
    const watching = await after.connect('watch');
    await watching.subscribe('w', { qos: 1 });
    after.advance(2_999);
    expect(await watching.messages()).toEqual([]);
    after.advance(1);
    expect(await watching.messages()).toEqual(['gone']);
  });

  test('of a client that was connected then waits no longer than its session lasts', async () => {
    const disk = new MemoryDisk();
    const before = await Harness.open({}, { disk });
    const delayed = { ...will, properties: { willDelayInterval: 100 } };
    const short = { clean: false, properties: { sessionExpiryInterval: 5 } };
    await before.connect('a', { will: { ...delayed, payload: Buffer.from('short') }, ...short });
    await before.connect('b', { will: { ...delayed, payload: Buffer.from('none') } });
    await before.settle();
    const after = await Harness.open({}, { disk, clock: before.fixture.clock });
    const watching = await after.connect('watch');
    await watching.subscribe('w', { qos: 1 });
    after.advance(0);
    expect(await watching.messages()).toEqual(['none']);
    after.advance(5_000);
    expect(await watching.messages()).toEqual(['short']);
  });

  test('carries its properties and may be retained [MQTT-3.1.2-15]', async () => {
    const harness = await Harness.open();
    const properties = { contentType: 'text/plain', userProperties: { a: 'b' } };
    await (await harness.connect('a', { will: { ...will, retain: true, properties } })).lose();
    const watching = await harness.connect('late');
    await watching.subscribe('w', { qos: 1 });
    const [got] = await watching.publishes();
    expect(got.retain).toBe(true);
    expect(got.properties).toMatchObject({ contentType: 'text/plain', userProperties: { a: 'b' } });
  });
});

describe('shared subscriptions', () => {
  test('divide messages among their members [MQTT-4.8.2-1]', async () => {
    const harness = await Harness.open();
    const members = [await harness.connect('a'), await harness.connect('b', { version: 4 })];
    for (const member of members)
      expect(await member.subscribe('$share/g/x/#', { qos: 1 })).toEqual([1]);
    const publisher = await harness.connect('p');
    for (let i = 0; i < 6; i += 1) publisher.publish('x/y', `${i}`, { qos: 1, messageId: i + 1 });
    const got = [await members[0]!.messages(), await members[1]!.messages()];
    expect(got.map((one) => one.length)).toEqual([3, 3]);
    expect(got.flat().sort()).toEqual(['0', '1', '2', '3', '4', '5']);
  });

  test('QoS 1 of a member that leaves goes to another', async () => {
    const harness = await Harness.open();
    const first = await harness.connect('a');
    await first.subscribe('$share/g/x', { qos: 1 });
    const publisher = await harness.connect('p');
    publisher.publish('x', 'm', { qos: 1 });
    await first.next('publish');
    const second = await harness.connect('b');
    await second.subscribe('$share/g/x', { qos: 1 });
    await first.lose();
    const [got] = await second.publishes();
    // Not sent to this client before [MQTT-3.3.1-3].
    expect(got).toMatchObject({ payload: Buffer.from('m'), dup: false });
  });

  test('of different groups never share a queue, whatever their names', async () => {
    const harness = await Harness.open();
    const first = await harness.connect('a');
    const second = await harness.connect('b');
    expect(await first.subscribe('$share/g/x-y', { qos: 1 })).toEqual([1]);
    expect(await second.subscribe('$share/g-x/y', { qos: 1 })).toEqual([1]);
    const publisher = await harness.connect('p');
    for (const body of ['1', '2', '3', '4']) publisher.publish('y', body);
    expect([await first.messages(), await second.messages()]).toEqual([[], ['1', '2', '3', '4']]);
    await first.disconnect();
    publisher.publish('y', '5');
    expect(await second.messages()).toEqual(['5']);
  });

  test('keep the publisher’s RETAIN when they ask for it, with every QoS', async () => {
    const harness = await Harness.open();
    const publisher = await harness.connect('p');
    for (const qos of [0, 1, 2]) {
      const member = await harness.resume(`m${qos}`);
      await member.subscribe(`$share/g${qos}/x`, { qos, rap: true });
      publisher.publish('x', 'm', { qos: 2, retain: true, messageId: qos + 1 });
      expect(await member.publishes()).toMatchObject([{ qos, retain: true }]);
      await member.disconnect(0, { sessionExpiryInterval: 0 });
    }
  });

  test('QoS 2 stays with the session that got it [MQTT-4.8.2-4]', async () => {
    const harness = await Harness.open();
    const first = await harness.resume('a');
    await first.subscribe('$share/g/x', { qos: 2 }, { subscriptionIdentifier: 8 });
    const publisher = await harness.connect('p');
    publisher.publish('x', 'm', { qos: 2 });
    const sent = await first.next('publish');
    expect(sent.qos).toBe(2);
    expect(ids(sent)).toEqual([8]);
    const second = await harness.connect('b');
    await second.subscribe('$share/g/x', { qos: 2 });
    await first.lose();
    expect(await second.all()).toEqual([]);
    const again = await (await harness.resume('a')).next('publish');
    expect(again).toMatchObject({ messageId: sent.messageId, dup: true });
  });

  test('keep QoS 1, not QoS 0, while every member is away', async () => {
    const harness = await Harness.open();
    const member = await harness.resume('a');
    await member.subscribe('$share/g/x', { qos: 1 });
    await member.disconnect();
    const publisher = await harness.connect('p');
    publisher.publish('x', '0');
    publisher.publish('x', '1', { qos: 1 });
    await harness.settle();
    expect(await (await harness.resume('a')).messages()).toEqual(['1']);
  });

  test('with no local are an error [MQTT-3.8.3-4]', async () => {
    const harness = await Harness.open();
    const client = await harness.connect('a');
    const subscriptions = [{ topic: '$share/g/x', qos: 0, nl: true, rap: false, rh: 0 }];
    client.send({ cmd: 'subscribe', messageId: 1, subscriptions });
    expect(await client.next('disconnect')).toMatchObject({ reasonCode: 0x82 });
  });
});

describe('limits', () => {
  test('topic aliases of a client are kept, and proven [MQTT-3.3.2-8]', async () => {
    const harness = await Harness.open({ topicAliasMax: 2 });
    const client = await harness.connect('a');
    await client.subscribe('#');
    client.publish('x/y', '1', { properties: { topicAlias: 2 } });
    client.publish('', '2', { properties: { topicAlias: 2 } });
    const got = await client.publishes();
    expect(got.map(({ topic, payload }) => [topic, String(payload)])).toEqual([
      ['x/y', '1'],
      ['x/y', '2'],
    ]);
    client.publish('x', 'm', { properties: { topicAlias: 3 } });
    expect(await client.next('disconnect')).toMatchObject({ reasonCode: 0x94 });
  });

  test('the server uses aliases the client allows', async () => {
    const harness = await Harness.open();
    const client = await harness.connect('a', { properties: { topicAliasMaximum: 1 } });
    await client.subscribe('#');
    for (const topic of ['x', 'x', 'y', 'x']) client.publish(topic, 'm');
    const got = await client.publishes();
    expect(got.map(({ topic, properties }) => [topic, properties?.topicAlias])).toEqual([
      ['x', 1],
      ['', 1],
      ['y', undefined],
      ['', 1],
    ]);
  });

  test('packets above either maximum are not taken, not sent [MQTT-3.1.2-24]', async () => {
    const harness = await Harness.open({ maxPacketBytes: 1000 });
    const client = await harness.connect('a', { properties: { maximumPacketSize: 60 } });
    await client.subscribe('x', { qos: 1 });
    const publisher = await harness.connect('p');
    publisher.publish('x', 'y'.repeat(100), { qos: 1 });
    publisher.publish('x', 'short', { qos: 1 });
    expect(await client.messages()).toEqual(['short']);
    publisher.publish('x', 'y'.repeat(1000));
    expect((await publisher.all()).at(-1)).toMatchObject({ cmd: 'disconnect', reasonCode: 0x95 });
  });
});

test('filters are bounded by their levels: 0x97, until there is room again', async () => {
  const harness = await Harness.open();
  const client = await harness.connect('a');
  const deep = (at: number): string => `${at}${'/'.repeat(65_000)}`;
  for (let at = 0; at < 7; at += 1) expect(await client.subscribe(deep(at))).toEqual([0]);
  expect(await client.subscribe(deep(7))).toEqual([0x97]);
  // What it has may be changed, and others are not concerned.
  expect(await client.subscribe(deep(6), { qos: 1 })).toEqual([1]);
  expect(await client.subscribe('a/b')).toEqual([0]);
  expect(await (await harness.connect('b')).subscribe(deep(7))).toEqual([0]);
  client.send({ cmd: 'unsubscribe', messageId: 3, unsubscriptions: [deep(0)] });
  await client.next('unsuback');
  expect(await client.subscribe(deep(7))).toEqual([0]);
});

test('a QoS 2 message too large for its client gives its place to the next', async () => {
  const harness = await Harness.open();
  const properties = { receiveMaximum: 1, maximumPacketSize: 60 };
  const client = await harness.resume('a', { properties });
  await client.subscribe('x', { qos: 2 });
  const publisher = await harness.connect('p');
  publisher.publish('x', 'y'.repeat(100), { qos: 2, messageId: 1 });
  publisher.publish('x', 'short', { qos: 2, messageId: 2 });
  await harness.settle();
  expect(await client.messages()).toEqual(['short']);
});

describe('rights', () => {
  async function limited(settings = {}): Promise<Harness> {
    const harness = await Harness.open(settings);
    const { access } = harness.fixture.broker;
    access.putUser('bob', { tags: [] });
    access.setPermission('bob', '/', { configure: '.*', write: '.*', read: '.*' });
    access.setTopicPermission('bob', '/', 'amq.topic', {
      write: '^{client_id}\\..*',
      read: '^(public|{client_id})\\..*',
    });
    return harness;
  }
  const bob = { certificateSubject: 'bob' };

  test('are checked at PUBLISH and SUBSCRIBE, with the client id', async () => {
    const harness = await limited();
    const client = await harness.connect('c1', {}, bob);
    expect(await client.subscribe('public/x')).toEqual([0]);
    expect(await client.subscribe('c1/x')).toEqual([0]);
    expect(await client.subscribe('c2/x')).toEqual([0x87]);
    client.publish('c2/x', 'm', { qos: 1 });
    expect(await client.all()).toMatchObject([{ cmd: 'puback', reasonCode: 0x87 }]);
    client.publish('c2/x', 'm', { qos: 2 });
    expect(await client.all()).toMatchObject([{ cmd: 'pubrec', reasonCode: 0x87 }]);
    client.publish('c1/x', 'm');
    expect(await client.messages()).toEqual(['m']);
    client.publish('c2/x', 'm');
    expect(await client.next('disconnect')).toMatchObject({ reasonCode: 0x87 });
  });

  test('a shared subscription that is refused leaves nothing in the session', async () => {
    const harness = await limited();
    const { access } = harness.fixture.broker;
    access.setPermission('bob', '/', { configure: '^mqtt-sub', write: '.*', read: '.*' });
    const client = await harness.resume('c1', {}, bob);
    expect(await client.subscribe('$share/g/public/x', { qos: 1 })).toEqual([0x87]);
    const session = harness.fixture.vhost.sessions.find('c1')!;
    expect([session.subscriptions.size, session.highestQos]).toEqual([0, 0]);
  });

  test('a refused 3.1.1 client is closed or acknowledged, as configured', async () => {
    for (const disconnectsUnauthorized of [true, false]) {
      const harness = await limited({ disconnectsUnauthorized });
      const client = await harness.connect('c1', { version: 4 }, bob);
      client.publish('c2/x', 'm', { qos: 1 });
      expect(await client.names()).toEqual(disconnectsUnauthorized ? [] : ['puback']);
      expect(client.isClosed).toBe(disconnectsUnauthorized);
    }
  });

  test('are checked for what a resumed session has, whoever resumes it', async () => {
    const harness = await limited();
    const first = await harness.resume('c1');
    await first.subscribe('secret/x', { qos: 1 });
    await first.subscribe('$share/g/secret/y', { qos: 1 });
    await first.subscribe('public/x', { qos: 1 });
    await first.disconnect();
    const lasting = { clean: false, properties: { sessionExpiryInterval: 600 } };
    const second = await harness.connect('c1', lasting, bob);
    expect(second.connack?.sessionPresent).toBe(true);
    const publisher = await harness.connect('p');
    for (const topic of ['secret/x', 'secret/y', 'public/x']) publisher.publish(topic, topic);
    expect(await second.messages()).toEqual(['public/x']);
    expect([...harness.fixture.vhost.sessions.find('c1')!.subscriptions.keys()]).toEqual([
      'public/x',
    ]);
  });

  test('are checked at the delivery of retained messages', async () => {
    const harness = await limited();
    const { access } = harness.fixture.broker;
    (await harness.connect('p')).publish('public/x', 'kept', { retain: true });
    const lasting = { clean: false, properties: { sessionExpiryInterval: 600 } };
    const client = await harness.connect('c1', lasting, bob);
    client.send({
      cmd: 'subscribe',
      messageId: 1,
      subscriptions: [{ topic: 'public/x', qos: 0, nl: false, rap: false, rh: 0 }],
    });
    // Before the commit that SUBACK waits for.
    access.setTopicPermission('bob', '/', 'amq.topic', { write: '', read: '^other$' });
    expect(await client.names()).toEqual(['suback']);
  });

  test('a will without the right to publish it is not published', async () => {
    const harness = await limited();
    const watching = await harness.connect('w');
    await watching.subscribe('#');
    const will: Any = { topic: 'c2/x', payload: Buffer.from('gone'), qos: 0, retain: false };
    await (await harness.connect('c1', { will }, bob)).lose();
    expect(await watching.messages()).toEqual([]);
  });
});

describe('$SYS', () => {
  test('is there for subscribers at an interval, and nobody publishes to it', async () => {
    const harness = await Harness.open();
    const client = await harness.connect('a');
    await client.subscribe('$SYS/broker/clients/connected');
    const [first] = await client.publishes();
    expect(first).toMatchObject({ topic: '$SYS/broker/clients/connected', retain: true });
    expect(String(first.payload)).toBe('1');
    await harness.connect('b');
    harness.advance(10_000);
    expect(await client.messages()).toEqual(['2']);
    client.publish('$SYS/broker/clients/connected', '9', { qos: 1 });
    expect(await client.all()).toMatchObject([{ cmd: 'puback', reasonCode: 0x87 }]);
    harness.fixture.publish('amq.topic', '$SYS.broker.clients.connected', '9');
    expect(await client.messages()).toEqual([]);
  });
});
