/** One message, two protocols: what of it crosses between MQTT and AMQP (docs/MQTT.md). */
import { describe, expect, test } from 'vitest';
import { decodeProperties } from '../../../protocols/amqp/content-header.ts';
import type { CommonProperties } from '../../../src/engine/ports.ts';
import { type Any, Harness } from './mqtt-harness.ts';

/** What an AMQP consumer of `amq.topic` gets of a publish. */
async function asAmqp(publish: Any): Promise<{ key: string; properties: CommonProperties }> {
  const harness = await Harness.open();
  const { fixture } = harness;
  fixture.queue('q');
  fixture.bind('q', 'amq.topic', '#');
  const client = await harness.connect('a');
  client.publish(publish.topic ?? 'x', publish.payload ?? 'm', publish);
  await harness.settle();
  const { message } = fixture.get('q')!.entry;
  const { bytes, start, headerBytes } = message;
  return {
    key: message.routingKey,
    properties: decodeProperties(bytes, start, start + headerBytes),
  };
}

/** What an MQTT subscriber gets of an AMQP publish. */
async function asMqtt(key: string, properties: CommonProperties, persistent = false): Promise<Any> {
  const harness = await Harness.open();
  const { fixture } = harness;
  const client = await harness.connect('a');
  await client.subscribe('#', { qos: 2 });
  const { encodeHeader } = await import('../../../protocols/amqp/content-header.ts');
  const { Message, FORMAT_AMQP } = await import('../../../src/engine/message.ts');
  const body = Buffer.from('m');
  const header = encodeHeader({ deliveryMode: persistent ? 2 : 1, ...properties }, body.length);
  const message = new Message(
    'amq.topic',
    key,
    FORMAT_AMQP,
    Buffer.concat([header, body]),
    0,
    header.length,
    body.length,
    persistent,
    -1,
    properties.expiration === undefined ? -1 : Number(properties.expiration),
    fixture.clock.wallMs(),
  );
  const route = fixture.vhost.resolveRoute(fixture.actor, 'amq.topic', key);
  fixture.vhost.publish(route, message);
  return (await client.publishes())[0];
}

const ALL = {
  payloadFormatIndicator: true,
  messageExpiryInterval: 30,
  contentType: 'text/plain',
  responseTopic: 'reply/to',
  correlationData: Buffer.from('c1'),
  userProperties: { one: '1', two: '2' },
};

describe('MQTT to AMQP', () => {
  test('QoS is delivery-mode, 2 has a header, RETAIN too', async () => {
    expect((await asAmqp({ qos: 0 })).properties).toEqual({ deliveryMode: 1 });
    expect((await asAmqp({ qos: 1 })).properties).toEqual({ deliveryMode: 2 });
    const { properties } = await asAmqp({ qos: 2, retain: true });
    expect(properties.deliveryMode).toBe(2);
    expect([...properties.headers!]).toEqual([
      ['x-mqtt-qos', 2],
      ['x-mqtt-retain', true],
    ]);
  });

  test('properties have their places', async () => {
    const { key, properties } = await asAmqp({ topic: 'a/b.c', properties: ALL });
    expect(key).toBe('a.b/c');
    const { headers, ...rest } = properties;
    expect(rest).toEqual({
      contentType: 'text/plain',
      contentEncoding: 'utf-8',
      deliveryMode: 1,
      correlationId: 'c1',
      expiration: '30000',
    });
    expect([...headers!]).toEqual([
      ['x-reply-to-topic', 'reply.to'],
      ['one', '1'],
      ['two', '2'],
    ]);
  });

  test('what does not fit goes into headers', async () => {
    const properties = {
      correlationData: Buffer.from([0xff, 0]),
      contentType: 'x'.repeat(300),
      userProperties: { a: ['1', '2'], 'x-mqtt-qos': '9' },
    };
    const topic = `long/${'x'.repeat(400)}`;
    const got = await asAmqp({ topic, properties });
    expect(Buffer.byteLength(got.key)).toBe(255);
    const headers = got.properties.headers!;
    expect(headers.get('x-mqtt-topic')).toBe(topic);
    expect(headers.get('x-mqtt-content-type')).toBe('x'.repeat(300));
    expect(Buffer.from(headers.get('x-correlation-id') as Uint8Array)).toEqual(
      Buffer.from([255, 0]),
    );
    expect(headers.get('a')).toBe('1');
    expect(headers.get('x-mqtt-user-properties')).toEqual(['a', '1', 'a', '2', 'x-mqtt-qos', '9']);
  });
});

describe('AMQP to MQTT', () => {
  test('delivery-mode is QoS 0 or 1, the key a topic', async () => {
    expect(await asMqtt('a.b/c', {})).toMatchObject({ topic: 'a/b.c', qos: 0, retain: false });
    expect(await asMqtt('a', {}, true)).toMatchObject({ topic: 'a', qos: 1 });
  });

  test('properties and scalar headers become properties', async () => {
    const headers = new Map<string, Any>([
      ['text', 't'],
      ['number', 5],
      ['yes', true],
      ['ratio', { kind: 'double', value: 0.5 }],
      ['nothing', null],
      ['bytes', Buffer.from([1])],
      ['list', ['x']],
      ['table', new Map()],
    ]);
    const got = await asMqtt('a', {
      headers,
      contentType: 'text/plain',
      contentEncoding: 'UTF-8',
      correlationId: 'c',
      replyTo: 'answers',
      expiration: '2500',
    });
    expect(got.properties).toEqual({
      payloadFormatIndicator: true,
      messageExpiryInterval: 3,
      contentType: 'text/plain',
      responseTopic: '$queue/answers',
      correlationData: Buffer.from('c'),
      userProperties: { text: 't', number: '5', yes: 'true', ratio: '0.5', nothing: '' },
    });
  });

  test('a filter meets the topic a key stands for, slashes and dots exchanged', async () => {
    const harness = await Harness.open();
    const client = await harness.connect('a');
    await client.subscribe('a/b.c');
    const { fixture } = harness;
    fixture.publish('amq.topic', 'a.b/c', 'yes');
    fixture.publish('amq.topic', 'a.b.c', 'no');
    expect(await client.messages()).toEqual(['yes']);
  });

  test('what no field of MQTT holds is left out', async () => {
    const correlation = new Uint8Array(65_536);
    const headers = new Map([['x-correlation-id', correlation]]);
    const got = await asMqtt('a', { headers, correlationId: 'c' });
    expect(got.properties).toEqual({ correlationData: Buffer.from('c') });
    const fits = new Map([['x-correlation-id', correlation.subarray(1)]]);
    expect((await asMqtt('a', { headers: fits })).properties.correlationData).toHaveLength(65_535);
  });

  test.each([
    ['a table', new Map()],
    ['a fraction', { kind: 'double', value: 8.5 } as const],
    ['too much', 2n ** 62n],
  ])('a subscription identifier that is %s is none', async (_, value) => {
    const got = await asMqtt('a', { headers: new Map([['x-mqtt-replay', value]]) }, true);
    expect([got.qos, got.properties?.subscriptionIdentifier]).toEqual([1, undefined]);
  });

  test('keys that are no topics do not arrive', async () => {
    expect(await asMqtt('a.*', {})).toBeUndefined();
    expect(await asMqtt('', {})).toBeUndefined();
  });

  test('$queue/NAME is an AMQP queue to publish to', async () => {
    const harness = await Harness.open();
    harness.fixture.queue('answers');
    const client = await harness.connect('a');
    client.publish('$queue/answers', 'here', { qos: 1 });
    expect(await client.all()).toMatchObject([{ cmd: 'puback', reasonCode: 0 }]);
    expect(harness.fixture.get('answers')!.body).toBe('here');
  });
});

describe('MQTT to MQTT', () => {
  test('every property arrives as it was sent, user properties in order', async () => {
    const harness = await Harness.open();
    const client = await harness.connect('a');
    await client.subscribe('x', { qos: 2 });
    const userProperties = { b: ['1', '2'], a: '3', 'x-mqtt-topic': 'y' };
    const properties = { ...ALL, correlationData: Buffer.from([0xfe]), userProperties };
    client.publish('x', 'm', { qos: 2, properties });
    const [got] = await client.publishes();
    expect(got).toMatchObject({ topic: 'x', qos: 2 });
    expect(got.properties).toEqual(properties);
  });
});
