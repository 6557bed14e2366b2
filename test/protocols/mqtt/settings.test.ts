/** What an operator may set: response information, other servers, the check of text payloads. */
import { describe, expect, test } from 'vitest';
import { MemoryDisk } from '../../../src/store/memory-disk.ts';
import { Harness } from './mqtt-harness.ts';

const NOT_UTF_8 = Buffer.from('c328', 'hex');

describe('response information', () => {
  const asks = { properties: { requestResponseInformation: true } };

  test('is a topic of the client, when it asks [MQTT-3.1.2-28]', async () => {
    const harness = await Harness.open({ responseInformation: 'r/{username}/{client_id}/in' });
    const told = await harness.connect('a/b +#%', asks);
    expect(told.connack?.properties?.responseInformation).toBe('r/guest/a%2Fb%20%2B%23%25/in');
    const silent = await harness.connect('b');
    expect(silent.connack?.properties?.responseInformation).toBeUndefined();
    const old = await harness.connect('c', { version: 4 });
    expect(old.connack?.properties).toBeUndefined();
  });

  test('names the client that got its identifier here', async () => {
    const harness = await Harness.open();
    const { properties } = (await harness.connect('', asks)).connack!;
    const { assignedClientIdentifier, responseInformation } = properties!;
    expect(responseInformation).toBe(`response/${assignedClientIdentifier}`);
  });

  test('is left out when it is too long for a topic, and when it is switched off', async () => {
    const harness = await Harness.open();
    const long = await harness.connect('x'.repeat(1_100), asks);
    expect(long.connack).toMatchObject({ reasonCode: 0 });
    expect(long.connack?.properties?.responseInformation).toBeUndefined();
    const without = await Harness.open({ responseInformation: undefined });
    const client = await without.connect('a', asks);
    expect(client.connack?.properties?.responseInformation).toBeUndefined();
  });
});

describe('another server', () => {
  const serverReference = 'b.example:1883 c.example';

  test.each([
    ['temporary', 0x9c],
    ['permanent', 0x9d],
  ] as const)('%s: every CONNECT is sent there with 0x%s', async (redirect, code) => {
    const harness = await Harness.open({ serverReference, redirect });
    const client = await harness.connect('a');
    expect(client.connack).toMatchObject({ reasonCode: code, properties: { serverReference } });
    expect(client.isClosed).toBe(true);
    const old = await harness.connect('b', { version: 4 });
    expect(old.connack?.returnCode).toBe(3);
  });

  test('is named when this one stops', async () => {
    const harness = await Harness.open({ serverReference });
    const client = await harness.connect('a');
    const old = await harness.connect('b', { version: 4 });
    await harness.acceptor.closeAll();
    const goodbye = await client.next('disconnect');
    expect(goodbye).toMatchObject({ reasonCode: 0x9c, properties: { serverReference } });
    expect(await old.all()).toEqual([]);
  });

  test('without one a stop is a stop', async () => {
    const harness = await Harness.open({ redirect: 'permanent' });
    const client = await harness.connect('a');
    await harness.acceptor.closeAll();
    const goodbye = await client.next('disconnect');
    expect(goodbye.reasonCode).toBe(0x8b);
    expect(goodbye.properties?.serverReference).toBeUndefined();
  });
});

describe('Payload Format Indicator', () => {
  const isText = { payloadFormatIndicator: true };

  test('text that is not UTF-8 is refused when it is checked: 0x99', async () => {
    const harness = await Harness.open({ checksPayloadFormat: true });
    const watching = await harness.connect('w');
    await watching.subscribe('#', { qos: 2 });
    const client = await harness.connect('a');
    const bad = { cmd: 'publish', topic: 't', payload: NOT_UTF_8, retain: true, dup: false };
    client.send({ ...bad, qos: 1, messageId: 1, properties: isText });
    client.send({ ...bad, qos: 2, messageId: 2, properties: isText });
    client.send({ ...bad, qos: 1, messageId: 3, payload: 'ü', retain: false, properties: isText });
    client.send({ ...bad, qos: 1, messageId: 4, retain: false });
    expect((await client.all()).map(({ cmd, reasonCode }) => [cmd, reasonCode])).toEqual([
      ['puback', 0x99],
      ['pubrec', 0x99],
      ['puback', 0],
      ['puback', 0],
    ]);
    expect((await watching.publishes()).map(({ payload }) => payload)).toEqual([
      Buffer.from('ü'),
      NOT_UTF_8,
    ]);
    expect(harness.fixture.vhost.retained.count).toBe(0);
    client.send({ ...bad, qos: 0, properties: isText });
    expect((await client.next('disconnect')).reasonCode).toBe(0x99);
  });

  test('so is a will', async () => {
    const harness = await Harness.open({ checksPayloadFormat: true });
    const will = { topic: 'w', payload: NOT_UTF_8, qos: 0 as const, retain: false };
    const bad = await harness.connect('a', { will: { ...will, properties: isText } });
    expect(bad.connack?.reasonCode).toBe(0x99);
    const bytes = await harness.connect('a', { will });
    expect(bytes.connack?.reasonCode).toBe(0);
  });

  test('by default the payload is the business of who reads it', async () => {
    const harness = await Harness.open();
    const client = await harness.connect('a');
    client.send({
      cmd: 'publish',
      topic: 't',
      payload: NOT_UTF_8,
      retain: false,
      dup: false,
      qos: 1,
      messageId: 1,
      properties: isText,
    });
    expect((await client.next('puback')).reasonCode).toBe(0x10);
  });
});

describe('the topic exchange', () => {
  const settings = { topicExchange: 'devices' };
  const declaration = {
    type: 'topic',
    durable: true,
    autoDelete: false,
    internal: false,
    arguments: new Map(),
  };

  test('may be another than amq.topic', async () => {
    const harness = await Harness.open({}, { settings });
    const { fixture } = harness;
    fixture.vhost.topology.addExchange('devices', declaration);
    const queue = fixture.queue('q');
    fixture.bind('q', 'devices', 'a.*');
    const old = fixture.queue('old');
    fixture.bind('old', 'amq.topic', '#');
    const client = await harness.connect('c');
    expect(await client.subscribe('a/b', { qos: 1 })).toEqual([1]);
    client.publish('a/b', 'm', { qos: 1 });
    expect(await client.messages()).toEqual(['m']);
    expect([queue.readyCount, old.readyCount]).toEqual([1, 0]);
  });

  test('must be there: 0x83 until it is, and again after it was deleted', async () => {
    const harness = await Harness.open({}, { settings });
    const { topology } = harness.fixture.vhost;
    const client = await harness.resume('c');
    // Who is there and has not subscribed to anything yet is no hindrance.
    await harness.connect('idle');
    expect(await client.subscribe('a', { qos: 1 })).toEqual([0x83]);
    client.publish('a', 'm', { qos: 1 });
    expect((await client.next('puback')).reasonCode).toBe(0x83);
    topology.addExchange('devices', declaration);
    expect(await client.subscribe('a', { qos: 1 })).toEqual([1]);
    expect(await client.subscribe('$share/g/b', { qos: 1 })).toEqual([1]);
    topology.removeExchange(topology.exchange('devices')!);
    topology.addExchange('devices', declaration);
    client.publish('a', 'one', { qos: 1 });
    client.publish('b', 'two', { qos: 1 });
    expect((await client.messages()).sort()).toEqual(['one', 'two']);
  });

  test('may change from one start to the next: sessions follow', async () => {
    const disk = new MemoryDisk();
    const before = await Harness.open({}, { disk });
    await (await before.resume('c')).subscribe('a', { qos: 1 });
    before.fixture.vhost.topology.addExchange('devices', declaration);
    await before.settle();
    const after = await Harness.open({}, { disk, settings });
    const client = await after.resume('c');
    expect(client.connack?.sessionPresent).toBe(true);
    client.publish('a', 'm', { qos: 1 });
    expect(await client.messages()).toEqual(['m']);
  });
});
