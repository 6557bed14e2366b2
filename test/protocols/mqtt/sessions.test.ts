/** Sessions and delivery guarantees (MQTT 5 sections 3.1.2.4, 4.1, 4.3, 4.4, 4.6, 4.9). */
import { describe, expect, test } from 'vitest';
import { MemoryDisk } from '../../../src/store/memory-disk.ts';
import { Harness } from './mqtt-harness.ts';

describe('QoS 1', () => {
  test('PUBACK says whether anybody subscribes, in order [MQTT-4.6.0-2]', async () => {
    const harness = await Harness.open();
    const client = await harness.connect('a');
    client.publish('x', '1', { qos: 1, messageId: 1 });
    expect(await client.all()).toMatchObject([{ cmd: 'puback', messageId: 1, reasonCode: 0x10 }]);
    await client.subscribe('x', { qos: 1 });
    for (const messageId of [2, 3, 4]) client.publish('x', 'm', { qos: 1, messageId });
    const packets = await client.all();
    const acks = packets.filter(({ cmd }) => cmd === 'puback');
    expect(acks.map(({ messageId, reasonCode }) => [messageId, reasonCode])).toEqual([
      [2, 0],
      [3, 0],
      [4, 0],
    ]);
  });

  test('what was not acknowledged comes again after a reconnect, marked and in order', async () => {
    const harness = await Harness.open();
    const first = await harness.resume('s');
    await first.subscribe('x', { qos: 1 });
    const publisher = await harness.connect('p');
    for (const payload of ['1', '2', '3']) publisher.publish('x', payload, { qos: 1 });
    const sent = (await first.all()).filter(({ cmd }) => cmd === 'publish');
    expect(sent.map(({ dup }) => dup)).toEqual([false, false, false]);
    first.send({ cmd: 'puback', messageId: sent[0].messageId });
    await first.lose();
    publisher.publish('x', '4', { qos: 1 });
    const second = await harness.resume('s');
    expect(second.connack!.sessionPresent).toBe(true);
    const again = (await second.all()).filter(({ cmd }) => cmd === 'publish');
    expect(again.map(({ payload, dup }) => [String(payload), dup])).toEqual([
      ['2', true],
      ['3', true],
      ['4', false],
    ]);
    expect(again[0].messageId).toBe(sent[1].messageId);
  });

  test('what began is completed, whatever is subscribed meanwhile [MQTT-3.10.4-3]', async () => {
    const harness = await Harness.open();
    const first = await harness.resume('s');
    await first.subscribe('x', { qos: 1 });
    const publisher = await harness.connect('p');
    publisher.publish('x', '1', { qos: 1 });
    const { messageId } = await first.next('publish');
    first.send({ cmd: 'unsubscribe', messageId: 9, unsubscriptions: ['x'] });
    await first.next('unsuback');
    await first.subscribe('y');
    await first.lose();
    const second = await harness.resume('s');
    expect(await second.next('publish')).toMatchObject({ messageId, qos: 1, dup: true });
  });

  test('never more under way than Receive Maximum [MQTT-3.3.4-9]', async () => {
    const harness = await Harness.open();
    const client = await harness.connect('s', { properties: { receiveMaximum: 2 } });
    await client.subscribe('x', { qos: 1 });
    const publisher = await harness.connect('p');
    for (let i = 0; i < 5; i += 1) publisher.publish('x', `${i}`, { qos: 1 });
    const sent = (await client.all()).filter(({ cmd }) => cmd === 'publish');
    expect(sent).toHaveLength(2);
    client.send({ cmd: 'puback', messageId: sent[0].messageId });
    expect(await client.names()).toEqual(['publish']);
  });

  test('a client that sends more than ours is told [MQTT-3.3.4-7]', async () => {
    const harness = await Harness.open({ receiveMaximum: 2 });
    const client = await harness.connect('p');
    for (const messageId of [1, 2, 3]) client.publish('x', 'm', { qos: 2, messageId });
    const packets = await client.all();
    expect(packets.at(-1)).toMatchObject({ cmd: 'disconnect', reasonCode: 0x93 });
  });
});

describe('QoS 2', () => {
  test('a repeated PUBLISH is acknowledged, not published again [MQTT-4.3.3-10]', async () => {
    const harness = await Harness.open();
    const subscriber = await harness.connect('s');
    await subscriber.subscribe('x', { qos: 2 });
    const client = await harness.resume('p');
    client.publish('x', 'once', { qos: 2, messageId: 5 });
    expect(await client.names()).toEqual(['pubrec']);
    client.publish('x', 'once', { qos: 2, messageId: 5, dup: true });
    expect(await client.names()).toEqual(['pubrec']);
    await client.lose();
    const again = await harness.resume('p');
    again.publish('x', 'once', { qos: 2, messageId: 5, dup: true });
    expect(await again.names()).toEqual(['pubrec']);
    again.send({ cmd: 'pubrel', messageId: 5 });
    expect(await again.all()).toMatchObject([{ cmd: 'pubcomp', messageId: 5 }]);
    again.send({ cmd: 'pubrel', messageId: 5 });
    expect(await again.all()).toMatchObject([{ cmd: 'pubcomp', reasonCode: 0x92 }]);
    expect(await subscriber.messages()).toEqual(['once']);
  });

  test('after PUBREC only PUBREL is sent again [MQTT-4.4.0-1]', async () => {
    const harness = await Harness.open();
    const client = await harness.resume('s');
    await client.subscribe('x', { qos: 2 });
    const publisher = await harness.connect('p');
    publisher.publish('x', 'm', { qos: 2, messageId: 9 });
    const sent = await client.next('publish');
    client.send({ cmd: 'pubrec', messageId: sent.messageId });
    expect(await client.all()).toMatchObject([{ cmd: 'pubrel', messageId: sent.messageId }]);
    await client.lose();
    const second = await harness.resume('s');
    expect(await second.all()).toMatchObject([{ cmd: 'pubrel', messageId: sent.messageId }]);
    second.send({ cmd: 'pubcomp', messageId: sent.messageId });
    await second.lose();
    const third = await harness.resume('s');
    expect(await third.all()).toEqual([]);
  });

  test('PUBREC for an unknown id is answered so, one with an error ends it', async () => {
    const harness = await Harness.open();
    const client = await harness.resume('s');
    await client.subscribe('x', { qos: 2 });
    client.send({ cmd: 'pubrec', messageId: 77 });
    expect(await client.all()).toMatchObject([{ cmd: 'pubrel', reasonCode: 0x92 }]);
    const publisher = await harness.connect('p');
    publisher.publish('x', 'm', { qos: 2, messageId: 9 });
    const sent = await client.next('publish');
    client.send({ cmd: 'pubrec', messageId: sent.messageId, reasonCode: 0x83 });
    expect(await client.all()).toEqual([]);
    await client.lose();
    expect(await (await harness.resume('s')).all()).toEqual([]);
  });
});

describe('a session', () => {
  test('survives a crash with subscriptions, messages, packet ids', async () => {
    const disk = new MemoryDisk();
    const before = await Harness.open({}, { disk });
    const subscriber = await before.resume('s');
    await subscriber.subscribe('x/#', { qos: 2 }, { subscriptionIdentifier: 5 });
    const publisher = await before.resume('p');
    for (const messageId of [1, 2, 3])
      publisher.publish('x/y', `${messageId}`, { qos: 2, messageId });
    const sent = (await subscriber.all()).filter(({ cmd }) => cmd === 'publish');
    expect(sent).toHaveLength(3);
    subscriber.send({ cmd: 'pubrec', messageId: sent[0].messageId });
    await before.settle();
    expect(await publisher.names()).toEqual(['pubrec', 'pubrec', 'pubrec']);

    const after = await Harness.open({}, { disk });
    const resumed = await after.resume('s');
    expect(resumed.connack!.sessionPresent).toBe(true);
    const again = await resumed.all();
    expect(again.map(({ cmd, messageId, dup }) => [cmd, messageId, dup])).toEqual([
      ['pubrel', sent[0].messageId, false],
      ['publish', sent[1].messageId, true],
      ['publish', sent[2].messageId, true],
    ]);
    expect(again[1].properties.subscriptionIdentifier).toBe(5);
    const back = await after.resume('p');
    back.publish('x/y', '2', { qos: 2, messageId: 2, dup: true });
    expect(await back.names()).toEqual(['pubrec']);
    expect(await resumed.all()).toEqual([]);
  });

  test('a clean start forgets it [MQTT-3.1.2-4]', async () => {
    const harness = await Harness.open();
    const first = await harness.resume('s');
    await first.subscribe('x', { qos: 1 });
    await first.disconnect();
    const clean = await harness.connect('s');
    expect(clean.connack!.sessionPresent).toBe(false);
    clean.publish('x', 'm', { qos: 1 });
    expect(await clean.all()).toMatchObject([{ cmd: 'puback', reasonCode: 0x10 }]);
  });

  test('ends when its time is over [MQTT-4.1.0-2]', async () => {
    const harness = await Harness.open();
    const first = await harness.resume('s', { properties: { sessionExpiryInterval: 10 } });
    await first.disconnect(0, { sessionExpiryInterval: 20 });
    harness.advance(19_000);
    await harness.settle();
    expect(harness.fixture.vhost.sessions.count).toBe(1);
    harness.advance(2_000);
    await harness.settle();
    expect(harness.fixture.vhost.sessions.count).toBe(0);
  });

  test('is one for all versions', async () => {
    const harness = await Harness.open();
    const old = await harness.connect('s', { version: 4, clean: false });
    await old.subscribe('x', { qos: 1 });
    await old.disconnect();
    const publisher = await harness.connect('p');
    publisher.publish('x', 'm', { qos: 1 });
    const young = await harness.resume('s');
    expect(young.connack!.sessionPresent).toBe(true);
    expect(await young.messages()).toEqual(['m']);
  });

  test('keeps QoS 1 and 2 for an absent client, not QoS 0', async () => {
    const harness = await Harness.open();
    const first = await harness.resume('s');
    await first.subscribe('x', { qos: 2 });
    await first.disconnect();
    const publisher = await harness.connect('p');
    publisher.publish('x', '0');
    publisher.publish('x', '1', { qos: 1, messageId: 1 });
    publisher.publish('x', '2', { qos: 2, messageId: 2 });
    await harness.settle();
    expect(await (await harness.resume('s')).messages()).toEqual(['1', '2']);
  });

  test('a slow reader loses QoS 0 beyond a bound, nothing else', async () => {
    const harness = await Harness.open();
    const slow = await harness.connect('s', { properties: { receiveMaximum: 1 } });
    await slow.subscribe('x', { qos: 1 });
    const publisher = await harness.connect('p');
    publisher.publish('x', 'first', { qos: 1 });
    await harness.settle();
    for (let i = 0; i < 10_500; i += 1) publisher.publish('x', 'bulk');
    publisher.publish('x', 'last', { qos: 1 });
    await harness.settle();
    const { queue } = harness.fixture.vhost.sessions.find('s')!;
    expect(queue.readyCount).toBeLessThanOrEqual(10_002);
    const payloads = new Set<string>();
    for (let i = 0; i < 20; i += 1) for (const one of await slow.messages()) payloads.add(one);
    expect([...payloads]).toEqual(['first', 'bulk', 'last']);
  });
});

describe('a shared subscription whose queue is deleted', () => {
  const NAME = 'mqtt-share-g/x';

  function deleteQueue({ fixture }: Harness): void {
    fixture.vhost.deleteQueue(fixture.actor, NAME, false, false);
  }

  test.each([4, 5])(
    'ends the connections of its members, as a queue by name: %i',
    async (version) => {
      const harness = await Harness.open();
      const members = [
        await harness.connect('a', { version }),
        await harness.connect('b', { version, clean: false }),
      ];
      for (const member of members) await member.subscribe('$share/g/x', { qos: 1 });
      deleteQueue(harness);
      for (const member of members) {
        const told = await member.all();
        expect(told.map(({ reasonCode }) => reasonCode)).toEqual(version === 5 ? [0x98] : []);
        expect(member.isClosed).toBe(true);
      }
      const publisher = await harness.connect('p');
      publisher.publish('x', 'nobody is there', { qos: 1 });
      expect((await publisher.next('puback')).reasonCode).toBe(0x10);
      const again = await harness.connect('a', { version });
      expect(await again.subscribe('$share/g/x', { qos: 1 })).toEqual([1]);
      publisher.publish('x', 'm', { qos: 1 });
      expect(await again.messages()).toEqual(['m']);
    },
  );

  test('is gone from sessions without a connection, after a restart too', async () => {
    const disk = new MemoryDisk();
    const before = await Harness.open({}, { disk });
    const client = await before.resume('s');
    await client.subscribe('$share/g/x', { qos: 1 });
    await client.subscribe('y', { qos: 1 });
    await client.lose();
    deleteQueue(before);
    await before.settle();
    for (const harness of [before, await Harness.open({}, { disk })]) {
      const publisher = await harness.connect('p');
      publisher.publish('x', 'nobody is there', { qos: 1 });
      expect((await publisher.next('puback')).reasonCode).toBe(0x10);
      const { subscriptions } = harness.fixture.vhost.sessions.find('s')!;
      expect([...subscriptions.keys()]).toEqual(['y']);
    }
  });
});

describe('what an answer says is on disk before it', () => {
  const connect = (clientId: string, fields: object = {}) => ({
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 5,
    clean: true,
    keepalive: 0,
    clientId,
    ...fields,
  });

  test('CONNACK: that a session has gone', async () => {
    const harness = await Harness.open();
    await (await harness.resume('a')).disconnect();
    const client = harness.accept();
    client.send(connect('a'));
    harness.flushSet.flushAll();
    expect(client.transport.received).toHaveLength(0);
    expect(await client.next('connack')).toMatchObject({ reasonCode: 0, sessionPresent: false });
  });

  test('CONNACK: that the will is kept', async () => {
    const harness = await Harness.open();
    const client = harness.accept();
    client.send(connect('a', { will: { topic: 'w', payload: Buffer.from('x'), qos: 1 } }));
    harness.flushSet.flushAll();
    expect(client.transport.received).toHaveLength(0);
    expect(await client.next('connack')).toMatchObject({ reasonCode: 0 });
    const plain = harness.accept();
    plain.send(connect('b'));
    harness.flushSet.flushAll();
    expect(plain.transport.received.length).toBeGreaterThan(0);
  });

  test('UNSUBACK: that the queue of a share has gone', async () => {
    const harness = await Harness.open();
    const client = await harness.connect('a');
    await client.subscribe('$share/g/x', { qos: 1 });
    client.send({ cmd: 'unsubscribe', messageId: 9, unsubscriptions: ['$share/g/x'] });
    harness.flushSet.flushAll();
    expect(client.transport.received).toHaveLength(0);
    expect(await client.names()).toEqual(['unsuback']);
  });
});
