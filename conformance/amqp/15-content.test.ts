import { expect } from 'vitest';
import {
  encodeHeader,
  FRAME_BODY,
  FRAME_HEADER,
  tagged,
  type BasicProperties,
  type WireTable,
} from '../support/amqp-wire.ts';
import { useBroker, type SpecContext } from '../support/spec-test.ts';
import type { Delivery } from '../support/wire-client.ts';

const { specTest } = useBroker();

/** Sends properties through a queue and takes them back. */
async function through(t: SpecContext, properties: BasicProperties): Promise<Delivery> {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  channel.publish('', queue, 'body', properties);
  return await channel.getSoon(queue);
}

/** The bytes of a content header after class, weight and size. */
function propertyBytes(properties: BasicProperties): Buffer {
  return encodeHeader(0, properties).subarray(12);
}

specTest({ section: 'properties', rule: 'all fourteen pass unchanged' }, async (t) => {
  const properties: BasicProperties = {
    contentType: 'application/json',
    contentEncoding: 'gzip',
    headers: { key: 'value' },
    deliveryMode: 2,
    priority: 7,
    correlationId: 'c-1',
    replyTo: 'reply.here',
    expiration: '600000',
    messageId: 'm-1',
    timestamp: 1_700_000_000,
    type: 'event',
    userId: 'guest',
    appId: 'suite',
    clusterId: 'c',
  };
  const channel = await t.channel();
  properties.userId = channel.connection.target.user;
  const message = await through(t, properties);
  expect(message.properties).toEqual(properties);
});

for (const key of [
  'contentType',
  'contentEncoding',
  'correlationId',
  'replyTo',
  'messageId',
  'type',
  'appId',
  'clusterId',
] as const) {
  specTest({ section: 'properties', rule: `${key} alone, 255 bytes of UTF-8` }, async (t) => {
    const value = 'é'.repeat(127) + 'x';
    const message = await through(t, { [key]: value });
    expect(message.properties).toEqual({ [key]: value });
  });
}

specTest({ section: 'properties', rule: 'no properties at all' }, async (t) => {
  const message = await through(t, {});
  expect(message.properties).toEqual({});
});

const FIELD_TYPES: readonly (readonly [string, unknown])[] = [
  ['S', 'a string'],
  ['S', 'ünïcödé ✓'],
  ['S', Buffer.from([0, 255, 128])],
  ['I', -2_147_483_648],
  ['I', 2_147_483_647],
  ['i', 4_294_967_295],
  ['l', -9_223_372_036_854_775_808n],
  ['l', 9_007_199_254_740_993n],
  ['s', -32_768],
  ['u', 65_535],
  ['b', -128],
  ['B', 255],
  ['t', true],
  ['t', false],
  ['d', Math.PI],
  ['d', -0],
  ['f', 0.5],
  ['D', [2, 12_345]],
  ['T', 1_700_000_000],
  ['F', { nested: { deeper: [1, 'two', null] } }],
  ['F', {}],
  ['A', [1, 'two', true, null, { a: 1 }, [2, 3]]],
  ['A', []],
  ['x', Buffer.from([0, 1, 2, 255])],
  ['V', null],
];

for (const [index, [tag, value]] of FIELD_TYPES.entries()) {
  specTest(
    { section: 'field table', rule: `tag ${tag} passes byte for byte (${index})` },
    async (t) => {
      const headers: WireTable = { before: 'a', value: tagged(tag, value), after: 'z' };
      const message = await through(t, { headers });
      const sent = propertyBytes({ headers });
      if (t.isPeer) {
        // RabbitMQ writes a decoded table anew, sorted by name; only the values count there.
        expect(Object.keys(message.headers).sort()).toEqual(['after', 'before', 'value']);
      } else {
        expect(message.rawProperties.toString('hex')).toBe(sent.toString('hex'));
      }
    },
  );
}

specTest({ section: 'field table', rule: 'all types in one table, order kept' }, async (t) => {
  const headers: WireTable = {};
  for (const [index, [tag, value]] of FIELD_TYPES.entries()) {
    headers[`${tag}${index}`] = tagged(tag, value);
  }
  const message = await through(t, { headers });
  if (!t.isPeer) expect(Object.keys(message.headers)).toEqual(Object.keys(headers));
  expect(message.headers['S0']).toBe('a string');
  expect(message.headers['I3']).toBe(-2_147_483_648);
  expect(message.headers['l6']).toBe(-9_223_372_036_854_775_808n);
  expect(message.headers['d14']).toBe(Math.PI);
  expect(message.headers['D17']).toEqual({ scale: 2, digits: 12_345 });
  expect(message.headers['T18']).toEqual({ timestamp: 1_700_000_000 });
  expect(message.headers['x23']).toEqual(Buffer.from([0, 1, 2, 255]));
  expect(message.headers['V24']).toBeNull();
});

specTest({ section: 'field table', rule: 'a hundred headers of 1 kB' }, async (t) => {
  const headers: WireTable = {};
  for (let index = 0; index < 100; index += 1) headers[`key-${index}`] = 'v'.repeat(1024);
  const message = await through(t, { headers });
  expect(message.headers).toEqual(headers);
});

specTest({ section: 'field table', rule: 'thirty levels of nesting' }, async (t) => {
  let headers: WireTable = { leaf: 'x' };
  for (let depth = 0; depth < 30; depth += 1) headers = { down: headers };
  const message = await through(t, { headers });
  expect(message.headers).toEqual(headers);
});

for (const size of [1, 131_063, 131_064, 131_065, 262_128, 1_000_000]) {
  specTest({ section: 'body', rule: `${size} bytes, cut into frames and joined` }, async (t) => {
    const channel = await t.channel();
    const queue = await channel.queue('', { exclusive: true });
    const body = Buffer.alloc(size);
    for (let at = 0; at < size; at += 1) body[at] = (at * 31) & 0xff;
    channel.publish('', queue, body);
    const message = await channel.getSoon(queue);
    expect(message.bytes.equals(body)).toBe(true);
  });
}

specTest({ section: 'body', rule: 'the size is a 64-bit number' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  channel.send('basic.publish', { routingKey: queue });
  channel.sendFrame(FRAME_HEADER, encodeHeader(4_294_967_301n));
  const error = await channel.connection.outcome();
  expect([error.level, error.code]).toEqual(['connection', 501]);
});

specTest({ section: 'body', rule: 'is binary safe' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  const body = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
  channel.publish('', queue, body);
  expect((await channel.getSoon(queue)).bytes.equals(body)).toBe(true);
});

specTest({ section: 'body', rule: 'single-byte body frames' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  channel.send('basic.publish', { routingKey: queue });
  channel.sendFrame(FRAME_HEADER, encodeHeader(500));
  for (let index = 0; index < 500; index += 1) {
    channel.sendFrame(FRAME_BODY, Buffer.from([index & 0xff]));
  }
  const message = await channel.getSoon(queue);
  expect(message.bytes.length).toBe(500);
  expect(message.bytes[300]).toBe(300 & 0xff);
});

specTest({ section: 'body', rule: 'one body in many queues stays intact' }, async (t) => {
  const channel = await t.channel();
  const exchange = await channel.exchange(t.name('x'), 'fanout', { autoDelete: true });
  const queues: string[] = [];
  for (let index = 0; index < 20; index += 1) {
    const queue = await channel.queue('', { exclusive: true });
    await channel.bind(queue, exchange);
    queues.push(queue);
  }
  const body = Buffer.alloc(100_000, 'shared');
  channel.publish(exchange, '', body, { headers: { a: 1 } });
  for (const queue of queues) {
    const message = await channel.getSoon(queue);
    expect(message.bytes.equals(body)).toBe(true);
    expect(message.headers).toEqual({ a: 1 });
  }
});

specTest(
  { section: 'body', rule: 'a message handed back is not changed by later traffic' },
  async (t) => {
    const channel = await t.channel();
    const queue = await channel.queue('', { exclusive: true });
    const body = Buffer.alloc(5_000, 'first');
    channel.publish('', queue, body, { messageId: 'keep' });
    for (let index = 0; index < 200; index += 1) {
      channel.publish('', queue, Buffer.alloc(5_000, `${index}`), { messageId: `${index}` });
    }
    const message = await channel.getSoon(queue);
    expect(message.properties.messageId).toBe('keep');
    expect(message.bytes.equals(body)).toBe(true);
  },
);
