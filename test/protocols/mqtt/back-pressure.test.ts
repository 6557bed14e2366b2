/** What bounds memory and work: alarms, unread replies, overflowing queues, problem information. */
import { describe, expect, test } from 'vitest';
import { liveHeapBytes } from '../../support/live-heap.ts';
import { Harness } from './mqtt-harness.ts';

describe('back-pressure', () => {
  test('an alarm stops reading from 3.x publishers only, and goes on where it stopped', async () => {
    const harness = await Harness.open();
    const { broker } = harness.fixture;
    const publisher = await harness.connect('p', { keepalive: 10, version: 4 });
    const subscriber = await harness.connect('s');
    await subscriber.subscribe('x', { qos: 1 });
    publisher.publish('x', '1', { qos: 1 });
    await harness.settle();
    broker.setAlarm('disk', true);
    await harness.settle();
    expect(publisher.transport.isPaused).toBe(true);
    expect(subscriber.transport.isPaused).toBe(false);
    publisher.publish('x', '2', { qos: 1, messageId: 2 });
    expect(await subscriber.messages()).toEqual(['1']);
    harness.advance(60_000);
    expect(publisher.isClosed).toBe(false);
    broker.setAlarm('disk', false);
    await harness.settle();
    expect(publisher.transport.isPaused).toBe(false);
    expect(await subscriber.messages()).toEqual(['2']);
  });

  test('an alarm is told to 5.0 publishers: 0x97, and nothing is kept', async () => {
    const harness = await Harness.open();
    const { broker } = harness.fixture;
    const publisher = await harness.connect('p');
    const subscriber = await harness.connect('s');
    await subscriber.subscribe('x', { qos: 2 });
    broker.setAlarm('memory', true);
    publisher.publish('x', '0', { qos: 0 });
    publisher.publish('x', '1', { qos: 1, messageId: 1, retain: true });
    publisher.publish('x', '2', { qos: 2, messageId: 2 });
    expect((await publisher.all()).map(({ cmd, reasonCode }) => [cmd, reasonCode])).toEqual([
      ['puback', 0x97],
      ['pubrec', 0x97],
    ]);
    expect(await subscriber.messages()).toEqual([]);
    expect(harness.fixture.vhost.retained.count).toBe(0);
    broker.setAlarm('memory', false);
    publisher.publish('x', '3', { qos: 2, messageId: 2 });
    expect(await publisher.next('pubrec')).toMatchObject({ messageId: 2, reasonCode: 0 });
    expect(await subscriber.messages()).toEqual(['3']);
  });

  test('commits that fall behind stop reading from 5.0 publishers too', async () => {
    const harness = await Harness.open();
    const publisher = await harness.connect('p');
    publisher.publish('x', '1', { qos: 1 });
    await harness.settle();
    const { broker } = harness.fixture;
    Object.defineProperty(broker, 'isOverloaded', { value: true, configurable: true });
    broker.setAlarm('disk', true);
    await harness.settle();
    expect(publisher.transport.isPaused).toBe(true);
  });

  test('a refused message is not retained either', async () => {
    const harness = await Harness.open();
    const { fixture } = harness;
    fixture.queue('q', { 'x-max-length': 0, 'x-overflow': 'reject-publish' });
    fixture.bind('q', 'amq.topic', 'x');
    const client = await harness.connect('p');
    client.publish('x', '1', { qos: 1, retain: true });
    expect((await client.next('puback')).reasonCode).toBe(0x97);
    expect(fixture.vhost.retained.count).toBe(0);
  });

  test('a client that does not read is given no more, and goes on when it does', async () => {
    const harness = await Harness.open();
    const slow = await harness.connect('s');
    await slow.subscribe('x', { qos: 1 });
    slow.transport.isStalled = true;
    const publisher = await harness.connect('p');
    const body = 'y'.repeat(100_000);
    for (let i = 0; i < 30; i += 1) publisher.publish('x', body, { qos: 1, messageId: i + 1 });
    await harness.settle();
    const { queue } = harness.fixture.vhost.sessions.find('s')!;
    expect(queue.readyCount).toBeGreaterThan(10);
    slow.transport.isStalled = false;
    slow.transport.bufferedBytes = 0;
    let count = 0;
    for (let i = 0; i < 5; i += 1) {
      slow.transport.handler!.onDrain();
      count += (await slow.messages()).length;
    }
    expect(count).toBe(30);
  });

  test('a queue that refuses answers 0x97, and closes a 3.x connection', async () => {
    const harness = await Harness.open();
    const { fixture } = harness;
    fixture.queue('q', { 'x-max-length': 1, 'x-overflow': 'reject-publish' });
    fixture.bind('q', 'amq.topic', 'x');
    const client = await harness.connect('p');
    client.publish('x', '1', { qos: 1, messageId: 1 });
    client.publish('x', '2', { qos: 1, messageId: 2 });
    client.publish('x', '3', { qos: 2, messageId: 3 });
    expect((await client.all()).map(({ cmd, reasonCode }) => [cmd, reasonCode])).toEqual([
      ['puback', 0],
      ['puback', 0x97],
      ['pubrec', 0x97],
    ]);
    const old = await harness.connect('o', { version: 4 });
    old.publish('x', '4', { qos: 1 });
    expect(await old.names()).toEqual([]);
    expect(old.isClosed).toBe(true);
  });
});

describe('reason strings', () => {
  test('are left out of acknowledgements on request [MQTT-3.1.2-29]', async () => {
    const harness = await Harness.open();
    for (const requestProblemInformation of [true, false]) {
      const client = await harness.connect('a', { properties: { requestProblemInformation } });
      client.publish('$SYS/x', 'm', { qos: 1 });
      const ack = await client.next('puback');
      expect(ack.reasonCode).toBe(0x87);
      const text = requestProblemInformation ? 'Not authorized' : undefined;
      expect(ack.properties?.reasonString).toBe(text);
    }
  });
});

describe('a QoS 2 delivery', () => {
  test('that began is completed, expired or not [MQTT-4.3.3-13]', async () => {
    const harness = await Harness.open();
    const client = await harness.resume('s');
    await client.subscribe('x', { qos: 2 });
    const publisher = await harness.connect('p');
    publisher.publish('x', 'm', { qos: 2, properties: { messageExpiryInterval: 5 } });
    const sent = await client.next('publish');
    await client.lose();
    harness.advance(60_000);
    await harness.settle();
    const again = await (await harness.resume('s')).next('publish');
    expect(again).toMatchObject({ messageId: sent.messageId, dup: true });
  });

  test('of a shared subscription goes to nobody else when its session ends', async () => {
    const harness = await Harness.open();
    const first = await harness.resume('a');
    await first.subscribe('$share/g/x', { qos: 2 });
    const publisher = await harness.connect('p');
    publisher.publish('x', 'm', { qos: 2 });
    await first.next('publish');
    const second = await harness.connect('b');
    await second.subscribe('$share/g/x', { qos: 2 });
    await first.disconnect(0, { sessionExpiryInterval: 0 });
    expect(await second.messages()).toEqual([]);
  });

  test('of a shared subscription goes to nobody else, nor when the session is none', async () => {
    const harness = await Harness.open();
    const first = await harness.connect('a');
    await first.subscribe('$share/g/x', { qos: 2 });
    const publisher = await harness.connect('p');
    publisher.publish('x', 'm', { qos: 2 });
    expect(await first.next('publish')).toMatchObject({ qos: 2 });
    const second = await harness.connect('b');
    await second.subscribe('$share/g/x', { qos: 2 });
    await first.lose();
    expect(await second.messages()).toEqual([]);
  });

  test('is completed by a member whose session ends with its connection', async () => {
    const harness = await Harness.open();
    const member = await harness.connect('a', { properties: { receiveMaximum: 1 } });
    await member.subscribe('$share/g/x', { qos: 2 });
    const publisher = await harness.connect('p');
    for (const messageId of [1, 2]) publisher.publish('x', `${messageId}`, { qos: 2, messageId });
    expect(await member.messages()).toEqual(['1']);
    expect(await member.messages()).toEqual(['2']);
    const queue = harness.fixture.vhost.topology.queues.get('mqtt-share-g/x')!;
    expect([queue.readyCount, queue.unackedCount]).toEqual([0, 0]);
  });

  test('an idle connection and its session keep no long topics', async () => {
    const harness = await Harness.open();
    const client = await harness.resume('a', { clean: true });
    await client.subscribe('#');
    const long = (at: number) => `${at}/${'x'.repeat(60_000)}`;
    for (let at = 0; at < 4; at += 1) client.publish(long(at), '');
    await client.all();
    const before = liveHeapBytes();
    for (let at = 0; at < 200; at += 1) {
      client.publish(long(at), '');
      await client.all();
    }
    expect(liveHeapBytes() - before).toBeLessThan(4_000_000);
  });
});
