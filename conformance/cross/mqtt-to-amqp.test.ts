/** What devices publish, as AMQP consumers see it. */
import { expect } from 'vitest';
import { useCross } from '../support/cross-test.ts';
import { VERSIONS } from '../support/mqtt-test.ts';

const { crossTest } = useCross();

for (const version of VERSIONS) {
  crossTest(
    { section: 'topics', rule: `${version}: a queue bound with sensors.# receives device data` },
    async (t) => {
      const own = t.name();
      const channel = await t.channel();
      const all = await t.bound(channel, `${own}.sensors.#`);
      const temperatures = await t.bound(channel, `${own}.sensors.*.temp`);
      const device = await t.connect({ version });
      await device.publish(`${own}/sensors/7/temp`, '21', { qos: 1 });
      await device.publish(`${own}/sensors/7/humidity`, '60', { qos: 0 });
      await device.publish(`${own}/other/7/temp`, 'no', { qos: 1 });
      await device.publish(`${own}/sensors`, 'root', { qos: 1 });
      const got = [await all.next(), await all.next(), await all.next()];
      expect(got.map(({ fields, content }) => [fields.routingKey, content.toString()])).toEqual([
        [`${own}.sensors.7.temp`, '21'],
        [`${own}.sensors.7.humidity`, '60'],
        [`${own}.sensors`, 'root'],
      ]);
      expect(got.every(({ fields }) => fields.exchange === 'amq.topic')).toBe(true);
      expect((await temperatures.next()).content.toString()).toBe('21');
      expect(temperatures.unread).toBe(0);
    },
  );
}

crossTest(
  {
    section: 'topics',
    rule: 'a dot within a level becomes a slash',
    unlike: { rabbitmq: 'stays a dot' },
  },
  async (t) => {
    const own = t.name();
    const reader = await t.bound(await t.channel(), `${own}.#`);
    await (await t.connect()).publish(`${own}/room.1/temp`, 'x', { qos: 1 });
    expect((await reader.next()).fields.routingKey).toBe(`${own}.room/1.temp`);
  },
);

crossTest(
  {
    section: 'delivery-mode',
    rule: 'QoS 0, 1 and 2 are delivery modes 1, 2 and 2',
    unlike: { rabbitmq: 'has no QoS 2' },
  },
  async (t) => {
    const topic = t.name();
    const reader = await t.bound(await t.channel(), topic);
    const device = await t.connect();
    for (const qos of [0, 1, 2]) await device.publish(topic, `${qos}`, { qos });
    const modes = [await reader.next(), await reader.next(), await reader.next()];
    expect(modes.map(({ properties }) => properties.deliveryMode as number)).toEqual([1, 2, 2]);
  },
);

crossTest({ section: 'properties', rule: '5.0 properties are AMQP properties' }, async (t) => {
  const topic = t.name();
  const reader = await t.bound(await t.channel(), topic);
  const device = await t.connect();
  await device.publish(topic, '{}', {
    qos: 1,
    properties: {
      contentType: 'application/json',
      payloadFormat: 1,
      messageExpiry: 60,
      correlationData: Buffer.from('order-7'),
      responseTopic: 'answers/device/1',
      user: [
        ['unit', '°C'],
        ['site', 'north'],
      ],
    },
  });
  const { properties } = await reader.next();
  expect(properties.contentType).toBe('application/json');
  expect(properties.correlationId).toBe('order-7');
  expect(Number(properties.expiration)).toBeGreaterThan(50_000);
  expect(Number(properties.expiration)).toBeLessThanOrEqual(60_000);
  const headers = properties.headers ?? {};
  expect(headers['unit']).toBe('°C');
  expect(headers['site']).toBe('north');
  expect(headers['x-reply-to-topic']).toBe('answers.device.1');
});

crossTest(
  {
    section: 'properties',
    rule: 'payload format is the content encoding',
    unlike: { rabbitmq: 'not in AMQP 0-9-1' },
  },
  async (t) => {
    const topic = t.name();
    const reader = await t.bound(await t.channel(), topic);
    await (await t.connect()).publish(topic, 'ü', { qos: 1, properties: { payloadFormat: 1 } });
    expect((await reader.next()).properties.contentEncoding).toBe('utf-8');
  },
);

crossTest(
  { section: 'properties', rule: 'correlation data that is no text is a header of bytes' },
  async (t) => {
    const topic = t.name();
    const reader = await t.bound(await t.channel(), topic);
    const correlationData = Buffer.from([0xff, 0, 0xfe]);
    await (await t.connect()).publish(topic, 'x', { qos: 1, properties: { correlationData } });
    const { properties } = await reader.next();
    expect(properties.correlationId).toBeUndefined();
    expect(properties.headers?.['x-correlation-id']).toBeDefined();
  },
);

crossTest(
  {
    section: 'properties',
    rule: 'repeated user properties: the first as header, all in a list',
    unlike: { rabbitmq: 'drops the others' },
  },
  async (t) => {
    const topic = t.name();
    const reader = await t.bound(await t.channel(), topic);
    const user = [
      ['k', '1'],
      ['k', '2'],
      ['j', '3'],
    ] as const;
    await (await t.connect()).publish(topic, 'x', { qos: 1, properties: { user } });
    const headers = (await reader.next()).properties.headers ?? {};
    expect(headers['k']).toBe('1');
    expect(headers['x-mqtt-user-properties']).toEqual(user.flat());
  },
);

crossTest(
  { section: 'retain', rule: 'RETAIN is a header', unlike: { rabbitmq: 'is not shown' } },
  async (t) => {
    const topic = t.name();
    const reader = await t.bound(await t.channel(), topic);
    const device = await t.connect();
    await device.publish(topic, 'kept', { qos: 1, retain: true });
    expect((await reader.next()).properties.headers?.['x-mqtt-retain']).toBe(true);
    await device.publish(topic, '', { qos: 1, retain: true });
  },
);

crossTest({ section: 'bindings', rule: 'through exchanges bound to amq.topic' }, async (t) => {
  const own = t.name();
  const channel = await t.channel();
  await channel.assertExchange(own, 'fanout', { durable: false, autoDelete: true });
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, own, '');
  await channel.bindExchange(own, 'amq.topic', `${own}.#`);
  const reader = await t.consume(channel, queue);
  await (await t.connect()).publish(`${own}/x`, 'through', { qos: 1 });
  expect((await reader.next()).content.toString()).toBe('through');
});

crossTest({ section: 'wills', rule: "a device's will reaches a queue" }, async (t) => {
  const topic = t.name();
  const reader = await t.bound(await t.channel(), topic);
  const device = await t.connect({ will: { topic, payload: 'gone', qos: 1 } });
  await device.drop();
  expect((await reader.next()).content.toString()).toBe('gone');
});

crossTest(
  { section: 'dead letters', rule: 'expired and refused device data are dead-lettered' },
  async (t) => {
    const own = t.name();
    const channel = await t.channel();
    const { queue: dead } = await channel.assertQueue('', { exclusive: true });
    const reader = await t.consume(channel, dead);
    const { queue } = await channel.assertQueue(`${own}-q`, {
      exclusive: true,
      arguments: { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': dead },
    });
    await channel.bindQueue(queue, 'amq.topic', `${own}.#`);
    const device = await t.connect();
    const properties = { messageExpiry: 1, user: [['k', 'v']] as const };
    await device.publish(`${own}/expires`, 'a', { qos: 1, properties });
    const expired = await reader.next();
    expect(expired.content.toString()).toBe('a');
    const [death] = (expired.properties.headers?.['x-death'] ?? []) as unknown as Record<
      string,
      unknown
    >[];
    expect(death).toMatchObject({
      queue,
      reason: 'expired',
      exchange: 'amq.topic',
      'routing-keys': [`${own}.expires`],
    });
    expect(expired.properties.headers?.['k']).toBe('v');
    await device.publish(`${own}/refused`, 'b', { qos: 1 });
    const message = await channel.get(queue);
    if (message === false) throw new Error('the queue is empty');
    channel.nack(message, false, false);
    const refused = await reader.next();
    expect(refused.content.toString()).toBe('b');
    expect(refused.properties.headers?.['x-first-death-reason']).toBe('rejected');
  },
);

crossTest({ section: 'overflow', rule: 'a queue that refuses answers 0x97' }, async (t) => {
  const own = t.name();
  const channel = await t.channel();
  const { queue } = await channel.assertQueue('', {
    exclusive: true,
    arguments: { 'x-max-length': 1, 'x-overflow': 'reject-publish' },
  });
  await channel.bindQueue(queue, 'amq.topic', own);
  const device = await t.connect();
  expect((await device.publish(own, 'a', { qos: 1 }))?.code).toBe(0);
  let code = 0;
  // A peer may let one message more in.
  for (let round = 0; round < 5 && code === 0; round += 1) {
    code = (await device.publish(own, 'b', { qos: 1 }))?.code ?? 0;
  }
  expect(code).toBe(0x97);
});

crossTest(
  {
    section: 'streams',
    rule: 'a stream keeps device data',
    unlike: { rabbitmq: 'needs time to start' },
  },
  async (t) => {
    const own = t.name();
    const channel = await t.channel();
    const queue = `${own}-stream`;
    await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'stream' } });
    await channel.bindQueue(queue, 'amq.topic', `${own}.#`);
    const device = await t.connect();
    for (let index = 0; index < 3; index += 1)
      await device.publish(`${own}/${index}`, `${index}`, { qos: 1 });
    await channel.prefetch(10);
    const got: string[] = [];
    await new Promise<void>((resolve, reject) => {
      const take = (message: { content: Buffer } | null): void => {
        if (message === null) return;
        got.push(message.content.toString());
        channel.ack(message as Parameters<typeof channel.ack>[0]);
        if (got.length === 3) resolve();
      };
      const options = { arguments: { 'x-stream-offset': 'first' } };
      channel.consume(queue, take, options).catch(reject);
      setTimeout(() => reject(new Error(`got ${got.join()}`)), 5_000);
    });
    expect(got).toEqual(['0', '1', '2']);
    await channel.deleteQueue(queue);
  },
);
