/** `$share/GROUP/$queue/NAME`: an MQTT client as one of the consumers of a queue. */
import { describe, expect, test } from 'vitest';
import type { FieldValue } from '../../../src/base/field-value.ts';
import { MemoryDisk } from '../../../src/store/memory-disk.ts';
import { type Any, Harness, type TestClient } from './mqtt-harness.ts';

const WORK = '$share/g/$queue/work';

/** PUBLISH packets that have arrived, not acknowledged. */
async function sent(client: TestClient): Promise<Any[]> {
  return (await client.all()).filter(({ cmd }) => cmd === 'publish');
}

const bodies = (packets: Any[]): string[] => packets.map(({ payload }) => String(payload));

function put(harness: Harness, ...texts: readonly string[]): void {
  for (const text of texts) {
    harness.fixture.publish('', 'work', text, { persistent: true });
    harness.fixture.turn();
  }
}

describe('deliveries', () => {
  test('take turns with consumers of AMQP; PUBACK acknowledges', async () => {
    const harness = await Harness.open();
    const queue = harness.fixture.queue('work');
    const client = await harness.connect('a');
    expect(await client.subscribe(WORK, { qos: 1 })).toEqual([1]);
    const other = harness.fixture.consume('work');
    put(harness, '1', '2', '3', '4');
    const got = await sent(client);
    expect([bodies(got), other.bodies]).toEqual([
      ['1', '3'],
      ['2', '4'],
    ]);
    expect(got[0]).toMatchObject({ topic: 'work', qos: 1, dup: false, retain: false });
    client.send({ cmd: 'puback', messageId: got[0].messageId });
    await harness.settle();
    expect(queue.unackedCount).toBe(3);
  });

  test('are as many as Receive Maximum', async () => {
    const harness = await Harness.open();
    const queue = harness.fixture.queue('work');
    const client = await harness.connect('a', { properties: { receiveMaximum: 2 } });
    await client.subscribe(WORK, { qos: 1 });
    put(harness, '1', '2', '3');
    const got = await sent(client);
    expect([bodies(got), queue.readyCount]).toEqual([['1', '2'], 1]);
    client.send({ cmd: 'puback', messageId: got[0].messageId });
    expect(bodies(await sent(client))).toEqual(['3']);
  });

  test('go back with the connection, in order, to whoever is there', async () => {
    const harness = await Harness.open();
    const queue = harness.fixture.queue('work');
    for (const connect of [
      () => harness.connect('a'),
      () => harness.connect('b', { version: 4 }),
      () => harness.resume('c'),
    ]) {
      const client = await connect();
      await client.subscribe(WORK, { qos: 1 });
      put(harness, '1', '2');
      expect(bodies(await sent(client))).toEqual(['1', '2']);
      await client.lose();
      expect([queue.readyCount, queue.unackedCount, queue.consumerCount]).toEqual([2, 0, 0]);
      const one = harness.fixture.get('work')!;
      expect([one.body, one.isRedelivered]).toEqual(['1', true]);
      one.queue.acknowledge(one.entry);
      queue.purge();
    }
  });

  test('have QoS 1 at most when the session ends with its connection', async () => {
    const harness = await Harness.open();
    harness.fixture.queue('work');
    const publisher = await harness.connect('p');
    for (const version of [5, 4]) {
      const client = await harness.connect(`v${version}`, { version });
      expect(await client.subscribe(WORK, { qos: 2 })).toEqual([1]);
      publisher.publish('$queue/work', 'x', { qos: 2, messageId: version });
      expect(await sent(client)).toMatchObject([{ qos: 1 }]);
      await client.lose();
      harness.fixture.vhost.topology.queues.get('work')!.purge();
    }
  });

  test('of QoS 1 are to be acknowledged however they were published, of QoS 0 are not', async () => {
    const harness = await Harness.open();
    const queue = harness.fixture.queue('work');
    const client = await harness.connect('a');
    await client.subscribe(WORK, { qos: 1 });
    harness.fixture.publish('', 'work', 'transient');
    expect(await sent(client)).toMatchObject([{ qos: 1 }]);
    expect(queue.unackedCount).toBe(1);
    await client.subscribe(WORK, { qos: 0 });
    put(harness, 'kept');
    expect(await sent(client)).toMatchObject([{ qos: 0 }]);
    expect([queue.unackedCount, queue.readyCount, queue.consumerCount]).toEqual([1, 0, 1]);
  });

  test('carry the topic of the message, its expiry and the identifier', async () => {
    const harness = await Harness.open();
    const { fixture } = harness;
    fixture.queue('work');
    fixture.exchange('logs', 'fanout');
    fixture.bind('work', 'logs', '');
    fixture.bind('work', 'amq.topic', 'a.#');
    const client = await harness.connect('a');
    await client.subscribe(WORK, { qos: 1 }, { subscriptionIdentifier: 7 });
    fixture.publish('amq.topic', 'a.b', 'of a topic', { expirationMs: 60_000 });
    fixture.publish('logs', '', 'of none');
    fixture.publish('logs', 'a.*', 'of no topic');
    const got = await sent(client);
    expect(got.map(({ topic }) => topic)).toEqual(['a/b', '$queue/work', '$queue/work']);
    expect(got[0].properties).toMatchObject({
      messageExpiryInterval: 60,
      subscriptionIdentifier: 7,
    });
  });

  test('wait in the queue while no member is there', async () => {
    const harness = await Harness.open();
    const queue = harness.fixture.queue('work');
    const client = await harness.resume('a');
    await client.subscribe(WORK, { qos: 1 });
    await client.disconnect();
    put(harness, '1');
    harness.fixture.publish('', 'work', 'transient');
    await harness.settle();
    expect(queue.readyCount).toBe(2);
    const back = await harness.resume('a');
    expect(back.connack!.sessionPresent).toBe(true);
    expect(bodies(await sent(back))).toEqual(['1', 'transient']);
  });
});

describe('QoS 2', () => {
  const ready = (harness: Harness): number[] =>
    ['work', 'mqtt-subscription-a'].flatMap((name) => {
      const queue = harness.fixture.vhost.topology.queues.get(name)!;
      return [queue.readyCount, queue.unackedCount];
    });

  test('is delivered once, and nothing is left of it', async () => {
    const harness = await Harness.open();
    harness.fixture.queue('work');
    const client = await harness.resume('a');
    expect(await client.subscribe(WORK, { qos: 2 }, { subscriptionIdentifier: 7 })).toEqual([2]);
    put(harness, '1');
    const packet = await client.next('publish');
    expect(packet).toMatchObject({ topic: 'work', qos: 2, dup: false, retain: false });
    expect(packet.properties).toMatchObject({ subscriptionIdentifier: 7 });
    expect(packet.properties.userProperties).toBeUndefined();
    const { messageId } = packet;
    client.send({ cmd: 'pubrec', messageId });
    expect(await client.next('pubrel')).toMatchObject({ messageId });
    client.send({ cmd: 'pubcomp', messageId });
    await harness.settle();
    expect(ready(harness)).toEqual([0, 0, 0, 0]);
  });

  test("that began is the session's: it goes on there, and nobody else gets it", async () => {
    const harness = await Harness.open();
    harness.fixture.queue('work');
    const client = await harness.resume('a');
    await client.subscribe(WORK, { qos: 2 });
    const other = harness.fixture.consume('work');
    put(harness, '1', '2', '3');
    const [first, third] = await sent(client);
    client.send({ cmd: 'pubrec', messageId: third.messageId });
    await harness.settle();
    await client.lose();
    expect(other.bodies).toEqual(['2']);
    expect(harness.fixture.vhost.topology.queues.get('work')!.readyCount).toBe(0);
    const again = await harness.resume('a');
    expect(await again.all()).toMatchObject([
      { cmd: 'pubrel', messageId: third.messageId },
      { cmd: 'publish', messageId: first.messageId, payload: first.payload, qos: 2, dup: true },
    ]);
  });

  test('goes on after a crash, with its packet identifier', async () => {
    const disk = new MemoryDisk();
    const before = await Harness.open({}, { disk });
    before.fixture.queue('work');
    const client = await before.resume('a');
    await client.subscribe(WORK, { qos: 2 });
    put(before, '1', '2');
    const [first, second] = await sent(client);
    client.send({ cmd: 'pubrec', messageId: second.messageId });
    await before.settle();
    const harness = await Harness.open({}, { disk, clock: before.fixture.clock });
    expect(harness.fixture.get('work')).toBeUndefined();
    const again = await harness.resume('a');
    expect(await again.all()).toMatchObject([
      { cmd: 'pubrel', messageId: second.messageId },
      { cmd: 'publish', messageId: first.messageId, payload: first.payload },
    ]);
  });

  test('takes no more than Receive Maximum, in order', async () => {
    const harness = await Harness.open();
    const queue = harness.fixture.queue('work');
    const client = await harness.resume('a', { properties: { receiveMaximum: 2 } });
    await client.subscribe(WORK, { qos: 2 });
    put(harness, '1', '2', '3', '4');
    const got = await sent(client);
    expect([bodies(got), queue.readyCount]).toEqual([['1', '2'], 2]);
    for (const { messageId } of got) client.send({ cmd: 'pubrec', messageId });
    expect(await sent(client)).toEqual([]);
    client.send({ cmd: 'pubcomp', messageId: got[0].messageId });
    expect(bodies(await sent(client))).toEqual(['3']);
    expect(queue.readyCount).toBe(1);
  });

  test('has a topic whatever the message came by', async () => {
    const harness = await Harness.open();
    const { fixture } = harness;
    fixture.queue('work');
    fixture.exchange('logs', 'fanout');
    fixture.bind('work', 'logs', '');
    const client = await harness.resume('a');
    await client.subscribe(WORK, { qos: 2 });
    fixture.publish('logs', '', 'of none');
    fixture.publish('logs', 'a.*', 'of no topic');
    const got = await sent(client);
    expect(got.map(({ topic, qos }) => [topic, qos])).toEqual([
      ['$queue/work', 2],
      ['$queue/work', 2],
    ]);
  });

  test('ends with a failure in PUBREC: to the dead letters of the queue, as it was', async () => {
    const harness = await Harness.open();
    const { fixture } = harness;
    fixture.queue('dead');
    fixture.queue('work', { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'dead' });
    fixture.exchange('logs', 'fanout');
    fixture.bind('work', 'logs', '');
    const client = await harness.resume('a');
    await client.subscribe(WORK, { qos: 2 });
    fixture.publish('logs', '', 'bad', { persistent: true });
    const { messageId } = await client.next('publish');
    client.send({ cmd: 'pubrec', messageId, reasonCode: 0x80 });
    expect(await client.all()).toEqual([]);
    expect(ready(harness)).toEqual([0, 0, 0, 0]);
    const dead = fixture.get('dead')!;
    const headers = fixture.broker.formats[dead.entry.message.format]!.headers(dead.entry.message)!;
    expect(dead.body).toBe('bad');
    expect([...headers.keys()].filter((name) => name.startsWith('x-mqtt-'))).toEqual([]);
    expect(headers.get('x-first-death-queue')).toBe('work');
    expect(headers.get('x-first-death-reason')).toBe('rejected');
  });

  test('names no queue in the name of a publisher', async () => {
    const harness = await Harness.open();
    const { fixture } = harness;
    fixture.queue('dead');
    fixture.queue('other', { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'dead' });
    const client = await harness.resume('a');
    await client.subscribe('t', { qos: 2 }, { subscriptionIdentifier: 7 });
    const headers = new Map<string, FieldValue>([
      ['x-mqtt-qos', 2],
      // QoS 1, retained, identifier 9.
      ['x-mqtt-replay', 9 * 8 + 4 + 1],
      ['x-mqtt-source', 'other'],
    ]);
    fixture.publish('amq.topic', 't', 'forged', { persistent: true, headers });
    const packet = await client.next('publish');
    expect(packet).toMatchObject({ payload: Buffer.from('forged'), qos: 2, retain: false });
    expect(packet.properties.subscriptionIdentifier).toBe(7);
    client.send({ cmd: 'pubrec', messageId: packet.messageId, reasonCode: 0x80 });
    await harness.settle();
    expect(fixture.get('dead')).toBeUndefined();
  });

  test('is not taken over when the client takes none so large', async () => {
    const harness = await Harness.open();
    const queue = harness.fixture.queue('work', { 'x-queue-type': 'quorum' });
    const properties = { maximumPacketSize: 60, topicAliasMaximum: 5 };
    const client = await harness.resume('a', { properties });
    await client.subscribe(WORK, { qos: 2 });
    put(harness, 'y'.repeat(100), 'short');
    expect(await sent(client)).toEqual([]);
    expect([queue.readyCount, queue.unackedCount]).toEqual([2, 0]);
    expect(harness.fixture.get('work')!.entry.receiveCount).toBe(1);
    harness.advance(1_000);
    expect(bodies(await sent(client))).toEqual(['short']);
  });

  test('is not taken over when the queue of the session takes none', async () => {
    const harness = await Harness.open();
    const queue = harness.fixture.queue('work');
    const client = await harness.resume('a');
    await client.subscribe(WORK, { qos: 2 });
    harness.fixture.broker.policies.put('policy', '/', 'none', {
      pattern: '^mqtt-subscription-',
      definition: { 'max-length': 0, overflow: 'reject-publish' },
    });
    put(harness, '1');
    expect(await sent(client)).toEqual([]);
    expect([queue.readyCount, queue.unackedCount]).toEqual([1, 0]);
  });
});

describe('leases', () => {
  test('that end give the message to another; a late PUBACK does not touch its lease', async () => {
    const harness = await Harness.open();
    const queue = harness.fixture.queue('work', { 'x-visibility-timeout': 1_000 });
    const client = await harness.connect('a');
    await client.subscribe(WORK, { qos: 1 });
    put(harness, '1');
    const [late] = await sent(client);
    await client.subscribe('$share/other/$queue/none');
    client.send({ cmd: 'unsubscribe', messageId: 9, unsubscriptions: [WORK] });
    await harness.settle();
    const other = harness.fixture.consume('work');
    harness.advance(1_000);
    await harness.settle();
    expect(other.bodies).toEqual(['1']);
    client.send({ cmd: 'puback', messageId: late.messageId });
    await client.lose();
    expect([queue.unackedCount, queue.readyCount]).toEqual([1, 0]);
  });

  test('that end count: the delivery limit dead-letters', async () => {
    const harness = await Harness.open();
    const { fixture } = harness;
    fixture.queue('dead');
    const queue = fixture.queue('work', {
      'x-queue-type': 'quorum',
      'x-visibility-timeout': 1_000,
      'x-delivery-limit': 1,
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': 'dead',
    });
    const client = await harness.connect('a');
    await client.subscribe(WORK, { qos: 1 });
    put(harness, '1');
    await harness.settle();
    for (let time = 0; time < 2; time += 1) {
      harness.advance(1_000);
      await harness.settle();
    }
    expect(bodies(await sent(client))).toEqual(['1', '1']);
    expect([queue.readyCount, queue.unackedCount]).toEqual([0, 0]);
    expect(fixture.get('dead')?.body).toBe('1');
  });

  test('end with a failure in PUBACK: rejected, which dead-letters', async () => {
    const harness = await Harness.open();
    const { fixture } = harness;
    fixture.queue('dead');
    fixture.queue('work', {
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': 'dead',
    });
    const client = await harness.connect('a');
    await client.subscribe(WORK, { qos: 1 });
    put(harness, 'bad');
    const [got] = await sent(client);
    client.send({ cmd: 'puback', messageId: got.messageId, reasonCode: 0x80 });
    await harness.settle();
    expect(fixture.get('dead')?.body).toBe('bad');
  });
});

describe('what the client cannot take', () => {
  const small = { properties: { maximumPacketSize: 60 } };

  test('is for another consumer, and counts as a failed delivery', async () => {
    const harness = await Harness.open();
    const queue = harness.fixture.queue('work', { 'x-queue-type': 'quorum' });
    const client = await harness.connect('a', small);
    await client.subscribe(WORK, { qos: 1 });
    put(harness, 'y'.repeat(100), 'short');
    await harness.settle();
    expect(await sent(client)).toEqual([]);
    expect([queue.readyCount, queue.unackedCount]).toEqual([2, 0]);
    const large = harness.fixture.get('work')!;
    expect([large.body.length, large.entry.receiveCount]).toEqual([100, 1]);
    harness.advance(1_000);
    expect(bodies(await sent(client))).toEqual(['short']);
  });

  test('is tried once a tick, with QoS 0 too, and never lost', async () => {
    const harness = await Harness.open();
    const queue = harness.fixture.queue('work', { 'x-queue-type': 'quorum' });
    const client = await harness.connect('a', small);
    await client.subscribe(WORK, { qos: 0 });
    put(harness, 'y'.repeat(100));
    for (let time = 0; time < 3; time += 1) {
      harness.advance(1_000);
      await harness.settle();
    }
    expect(await sent(client)).toEqual([]);
    expect(queue.readyCount).toBe(1);
    expect(harness.fixture.get('work')!.entry.receiveCount).toBe(4);
  });
});

describe('subscribing', () => {
  test('is refused without a queue, a right, or by the name alone', async () => {
    const harness = await Harness.open();
    const { access } = harness.fixture.broker;
    access.putUser('bob', { tags: [] });
    access.setPermission('bob', '/', { configure: '^mqtt', write: '', read: '^(mqtt|work)' });
    harness.fixture.queue('work');
    harness.fixture.queue('secret');
    harness.fixture.queue('mine', {}, { exclusive: true });
    const codes = async (version: number): Promise<number[]> => {
      const client = await harness.connect(
        `v${version}`,
        { version },
        { certificateSubject: 'bob' },
      );
      const filters = ['work', 'work-none', 'secret', '+'].map((name) => `$share/g/$queue/${name}`);
      const found: number[] = [];
      for (const filter of [...filters, '$queue/work', '$queue/#']) {
        found.push(...(await client.subscribe(filter, { qos: 1 })));
      }
      return found;
    };
    expect(await codes(5)).toEqual([1, 0x8f, 0x87, 0x8f, 0x8f, 0x8f]);
    expect(await codes(4)).toEqual([1, 0x80, 0x80, 0x80, 0x80, 0x80]);
    const guest = await harness.connect('guest');
    expect(await guest.subscribe('$share/g/$queue/mine')).toEqual([0x8f]);
    expect(await guest.subscribe('$share/g/$queue/mqtt-subscription-x')).toEqual([0x8f]);
  });

  test('is refused while another is the exclusive consumer, and leaves nothing', async () => {
    const harness = await Harness.open();
    harness.fixture.queue('work');
    harness.fixture.consume('work', { exclusive: true });
    const client = await harness.resume('a');
    expect(await client.subscribe(WORK, { qos: 1 })).toEqual([0x87]);
    expect(harness.fixture.vhost.sessions.find('a')!.subscriptions.size).toBe(0);
  });

  test('makes a consumer a group, and unsubscribing ends it; the queue stays', async () => {
    const harness = await Harness.open();
    const queue = harness.fixture.queue('work');
    const client = await harness.connect('a');
    await client.subscribe(WORK, { qos: 1 });
    await client.subscribe('$share/h/$queue/work', { qos: 1 });
    await client.subscribe(WORK, { qos: 1 });
    expect(queue.consumerCount).toBe(2);
    for (const filter of [WORK, '$share/h/$queue/work']) {
      client.send({ cmd: 'unsubscribe', messageId: 9, unsubscriptions: [filter] });
      expect(await client.all()).toMatchObject([{ cmd: 'unsuback', granted: [0] }]);
    }
    expect([queue.consumerCount, queue.isDeleted]).toEqual([0, false]);
    expect([...harness.fixture.vhost.topology.queues.keys()]).toEqual(['work']);
  });

  test('lasts with the session, over a restart; without the queue it is dropped', async () => {
    const disk = new MemoryDisk();
    const before = await Harness.open({}, { disk });
    before.fixture.queue('work');
    const client = await before.resume('a');
    await client.subscribe(WORK, { qos: 1 });
    const { clock } = before.fixture;
    const harness = await Harness.open({}, { disk, clock });
    const queue = harness.fixture.vhost.topology.queues.get('work')!;
    expect(queue.consumerCount).toBe(0);
    put(harness, '1');
    const again = await harness.resume('a');
    expect(await again.messages()).toEqual(['1']);
    await again.disconnect();
    harness.fixture.vhost.deleteQueue(harness.fixture.actor, 'work', false, false);
    const last = await harness.resume('a');
    expect(last.connack).toMatchObject({ reasonCode: 0, sessionPresent: true });
    expect(harness.fixture.vhost.sessions.find('a')!.subscriptions.size).toBe(0);
  });

  test('is dropped at reconnect while another is the exclusive consumer', async () => {
    const harness = await Harness.open();
    const queue = harness.fixture.queue('work');
    const client = await harness.resume('a');
    await client.subscribe(WORK, { qos: 1 });
    await client.subscribe('x', { qos: 1 });
    await client.disconnect();
    harness.fixture.consume('work', { exclusive: true });
    const again = await harness.resume('a');
    expect(again.connack).toMatchObject({ reasonCode: 0, sessionPresent: true });
    const { subscriptions } = harness.fixture.vhost.sessions.find('a')!;
    expect([[...subscriptions.keys()], queue.consumerCount]).toEqual([['x'], 1]);
  });

  test('ends with the queue: DISCONNECT says so, 3.1.1 is closed', async () => {
    const harness = await Harness.open();
    for (const version of [5, 4]) {
      harness.fixture.queue('work');
      const client = await harness.connect('a', { version });
      await client.subscribe(WORK, { qos: 1 });
      put(harness, '1');
      expect(await sent(client)).toHaveLength(1);
      harness.fixture.vhost.deleteQueue(harness.fixture.actor, 'work', false, false);
      const packets = await client.all();
      expect(packets.map(({ reasonCode }) => reasonCode)).toEqual(version === 5 ? [0x98] : []);
      expect(client.isClosed).toBe(true);
      expect(harness.fixture.vhost.topology.queues.size).toBe(0);
    }
  });

  test('does not see what was retained, nor what a shared topic would', async () => {
    const harness = await Harness.open();
    const queue = harness.fixture.queue('work');
    const publisher = await harness.connect('p');
    publisher.publish('$queue/work', 'once', { qos: 1, retain: true });
    await harness.settle();
    queue.purge();
    const client = await harness.connect('a');
    await client.subscribe(WORK, { qos: 1 });
    harness.fixture.publish('amq.topic', '$queue.work', 'a topic');
    expect(await client.messages()).toEqual([]);
    expect(harness.fixture.vhost.topology.queues.has('mqtt-share-g/$queue/work')).toBe(false);
  });
});
