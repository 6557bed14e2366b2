import { expect } from 'vitest';
import { pause, texts, useMqtt, VERSIONS } from '../support/mqtt-test.ts';

const { specTest, server } = useMqtt();
const exactOnly = { rabbitmq: 'retained messages match exact topics only' };

for (const version of VERSIONS) {
  specTest(
    { section: '3.3.1.3', rule: `${version}: a new subscription gets it with RETAIN` },
    async (t) => {
      const topic = t.name();
      const writer = await t.connect({ version });
      await writer.publish(topic, 'first', { retain: true, qos: 1 });
      await writer.publish(topic, 'kept', { retain: true, qos: 1 });
      const reader = await t.subscriber(topic, 1, { version });
      const message = await reader.message();
      expect(message).toMatchObject({ retain: true, topic, qos: 1 });
      expect(message.payload.toString()).toBe('kept');
      await reader.silent();
      await writer.publish(topic, '', { retain: true, qos: 1 });
    },
  );

  specTest(
    { section: 'MQTT-3.3.1-12', rule: `${version}: present subscribers get it without RETAIN` },
    async (t) => {
      const topic = t.name();
      const reader = await t.subscriber(topic, 1, { version });
      const writer = await t.connect({ version });
      await writer.publish(topic, 'live', { retain: true, qos: 1 });
      expect((await reader.message()).retain).toBe(false);
      await writer.publish(topic, '', { retain: true, qos: 1 });
    },
  );

  specTest(
    { section: 'MQTT-3.3.1-6', rule: `${version}: an empty payload deletes it and is delivered` },
    async (t) => {
      const topic = t.name();
      const writer = await t.connect({ version });
      await writer.publish(topic, 'kept', { retain: true, qos: 1 });
      const present = await t.subscriber(topic, 0, { version });
      await present.message();
      await writer.publish(topic, '', { retain: true, qos: 1 });
      expect((await present.message()).payload.length).toBe(0);
      const late = await t.subscriber(topic, 0, { version });
      await late.silent();
    },
  );

  specTest(
    { section: 'MQTT-3.3.1-8', rule: `${version}: without RETAIN the kept one stays` },
    async (t) => {
      const topic = t.name();
      const writer = await t.connect({ version });
      await writer.publish(topic, 'kept', { retain: true, qos: 1 });
      await writer.publish(topic, 'passing', { qos: 1 });
      const reader = await t.subscriber(topic, 0, { version });
      expect((await reader.message()).payload.toString()).toBe('kept');
      await writer.publish(topic, '', { retain: true, qos: 1 });
    },
  );

  specTest(
    { section: '3.3.1.3', rule: `${version}: QoS 0 is kept, QoS is the lower`, unlike: {} },
    async (t) => {
      const own = t.name();
      const writer = await t.connect({ version });
      await writer.publish(`${own}0`, 'x', { retain: true, qos: 0 });
      await writer.publish(`${own}1`, 'x', { retain: true, qos: 1 });
      await writer.sync();
      const reader = await t.subscriber(`${own}0`, 1, { version });
      expect((await reader.message()).qos).toBe(0);
      await reader.subscribe(`${own}1`, 0);
      expect((await reader.message()).qos).toBe(0);
      for (const level of [0, 1]) await writer.publish(`${own}${level}`, '', { retain: true });
    },
  );

  specTest(
    { section: '3.3.1.3', rule: `${version}: wildcards bring all that match`, unlike: exactOnly },
    async (t) => {
      const own = t.name();
      const writer = await t.connect({ version });
      const topics = ['a/1', 'a/2', 'b/1', 'a/1/x', 'a//1', 'a'].map((end) => `${own}/${end}`);
      for (const topic of topics) await writer.publish(topic, 'x', { retain: true, qos: 1 });
      const cases: readonly (readonly [string, number])[] = [
        [`${own}/+/1`, 2],
        [`${own}/a/#`, 5],
        [`${own}/#`, 6],
        [`${own}/+`, 1],
        [`${own}/a/+/1`, 1],
        [`${own}/c/#`, 0],
      ];
      for (const [filter, count] of cases) {
        const reader = await t.subscriber(filter, 0, { version });
        const found = await reader.messages(count);
        expect(found.every(({ retain }) => retain)).toBe(true);
        expect(new Set(found.map(({ topic }) => topic)).size).toBe(count);
        await reader.silent(50);
        await reader.drop();
      }
      for (const topic of topics) await writer.publish(topic, '', { retain: true, qos: 1 });
    },
  );

  specTest(
    { section: 'MQTT-3.8.4-4', rule: `${version}: subscribing again brings it again` },
    async (t) => {
      const topic = t.name();
      const client = await t.connect({ version });
      await client.publish(topic, 'kept', { retain: true, qos: 1 });
      for (let round = 0; round < 3; round += 1) {
        await client.subscribe(topic, 1);
        expect((await client.message()).retain).toBe(true);
      }
      await client.publish(topic, '', { retain: true, qos: 1 });
    },
  );
}

specTest({ section: 'MQTT-3.3.1-9', rule: 'retain handling 0' }, async (t) => {
  const topic = t.name();
  const client = await t.connect();
  await client.publish(topic, 'kept', { retain: true, qos: 1 });
  for (let round = 0; round < 2; round += 1) {
    await client.subscribe([{ filter: topic, retainHandling: 0 }]);
    expect((await client.message()).payload.toString()).toBe('kept');
  }
  await client.publish(topic, '', { retain: true, qos: 1 });
});

specTest(
  { section: 'MQTT-3.3.1-10', rule: 'retain handling 1: new subscriptions only' },
  async (t) => {
    const topic = t.name();
    const client = await t.connect();
    await client.publish(topic, 'kept', { retain: true, qos: 1 });
    await client.subscribe([{ filter: topic, retainHandling: 1 }]);
    await client.message();
    await client.subscribe([{ filter: topic, retainHandling: 1 }]);
    await client.silent();
    await client.unsubscribe([topic]);
    await client.subscribe([{ filter: topic, retainHandling: 1 }]);
    await client.message();
    await client.publish(topic, '', { retain: true, qos: 1 });
  },
);

specTest({ section: 'MQTT-3.3.1-11', rule: 'retain handling 2: never' }, async (t) => {
  const topic = t.name();
  const client = await t.connect();
  await client.publish(topic, 'kept', { retain: true, qos: 1 });
  await client.subscribe([{ filter: topic, retainHandling: 2 }]);
  await client.silent();
  await client.publish(topic, '', { retain: true, qos: 1 });
});

specTest({ section: 'MQTT-3.3.1-13', rule: 'retain as published keeps the flag' }, async (t) => {
  const topic = t.name();
  const client = await t.connect();
  await client.subscribe([{ filter: topic, retainAsPublished: true }]);
  await client.publish(topic, 'a', { retain: true, qos: 1 });
  await client.publish(topic, 'b', { qos: 1 });
  const got = await client.messages(2);
  expect(got.map(({ retain }) => retain)).toEqual([true, false]);
  await client.publish(topic, '', { retain: true, qos: 1 });
});

specTest({ section: '3.3.2.3', rule: 'properties are kept with it' }, async (t) => {
  const topic = t.name();
  const writer = await t.connect();
  await writer.publish(topic, 'kept', {
    retain: true,
    qos: 1,
    properties: {
      contentType: 'text/plain',
      responseTopic: 'answers',
      correlationData: Buffer.from([0, 1, 255]),
      payloadFormat: 1,
      user: [
        ['a', '1'],
        ['b', '2'],
      ],
    },
  });
  const { properties } = await (await t.subscriber(topic)).message();
  expect(properties).toMatchObject({
    contentType: 'text/plain',
    responseTopic: 'answers',
    payloadFormat: 1,
    user: [
      ['a', '1'],
      ['b', '2'],
    ],
  });
  expect(properties.correlationData).toEqual(Buffer.from([0, 1, 255]));
  await writer.publish(topic, '', { retain: true, qos: 1 });
});

specTest(
  { section: 'MQTT-3.3.2-5', rule: 'a kept message expires, and tells the time left' },
  async (t) => {
    const topic = t.name();
    const writer = await t.connect();
    await writer.publish(topic, 'kept', {
      retain: true,
      qos: 1,
      properties: { messageExpiry: 10 },
    });
    await pause(1_200);
    const message = await (await t.subscriber(topic)).message();
    expect(message.properties.messageExpiry).toBeLessThanOrEqual(9);
    await pause(9_500);
    await (await t.subscriber(topic)).silent();
  },
);

specTest({ section: '4.8.2', rule: 'shared subscriptions get no retained messages' }, async (t) => {
  const topic = t.name();
  const client = await t.connect();
  await client.publish(topic, 'kept', { retain: true, qos: 1 });
  await client.subscribe(`$share/g/${topic}`);
  await client.silent();
  await client.publish(topic, '', { retain: true, qos: 1 });
});

specTest(
  { section: 'MQTT-4.1.0', rule: 'retained messages survive kill -9', needsServer: true },
  async (t) => {
    const topic = t.name();
    const writer = await t.connect();
    for (let index = 0; index < 20; index += 1) {
      await writer.publish(`${topic}/${index}`, `${index}`, { retain: true, qos: 1 });
    }
    await writer.publish(`${topic}/0`, '', { retain: true, qos: 1 });
    await server().kill();
    await server().restart();
    const again = await t.subscriber(`${topic}/+`);
    const found = texts(await again.messages(19)).map(Number);
    expect(found.sort((a, b) => a - b)).toEqual(Array.from({ length: 19 }, (_, i) => i + 1));
  },
);
