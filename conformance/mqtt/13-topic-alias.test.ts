import { expect } from 'vitest';
import { useMqtt } from '../support/mqtt-test.ts';
import { publishPacket } from '../support/mqtt-wire.ts';

const { specTest, peer } = useMqtt();

specTest(
  { section: '3.3.2.3.4', rule: 'an alias stands for its topic, and can be moved' },
  async (t) => {
    const topics = [t.name(), t.name()];
    const reader = await t.connect();
    await reader.subscribe(topics.map((filter) => ({ filter })));
    const writer = await t.connect();
    expect(writer.connack.properties.topicAliasMaximum ?? 0).toBeGreaterThan(0);
    const send = (topic: string, payload: string): void => {
      writer.write(publishPacket({ topic, payload, properties: { topicAlias: 1 } }));
    };
    send(topics[0]!, 'a');
    send('', 'b');
    send(topics[1]!, 'c');
    send('', 'd');
    const got = await reader.messages(4);
    expect(got.map(({ topic, payload }) => [topic, payload.toString()])).toEqual([
      [topics[0], 'a'],
      [topics[0], 'b'],
      [topics[1], 'c'],
      [topics[1], 'd'],
    ]);
    expect(got.every(({ properties }) => properties.topicAlias === undefined)).toBe(true);
  },
);

specTest({ section: '3.3.2.3.4', rule: 'aliases work with QoS 1 and 2' }, async (t) => {
  const topic = t.name();
  const reader = await t.subscriber(topic, 2);
  const writer = await t.connect();
  await writer.publish(topic, 'a', { qos: 1, properties: { topicAlias: 2 } });
  await writer.publish('', 'b', { qos: 1, properties: { topicAlias: 2 } });
  if (peer !== 'rabbitmq') await writer.publish('', 'c', { qos: 2, properties: { topicAlias: 2 } });
  const got = await reader.messages(peer === 'rabbitmq' ? 2 : 3);
  expect(got.every((message) => message.topic === topic)).toBe(true);
});

specTest({ section: 'MQTT-3.3.2-7', rule: 'aliases end with the connection' }, async (t) => {
  const clientId = t.name('c');
  const keep = { clientId, cleanStart: false, properties: { sessionExpiry: 60 } };
  const first = await t.connect(keep);
  await first.publish(t.name(), 'a', { qos: 1, properties: { topicAlias: 1 } });
  await first.disconnect();
  const second = await t.connect(keep);
  second.write(publishPacket({ topic: '', properties: { topicAlias: 1 } }));
  const end = await second.closed();
  if (peer === undefined) expect([0x82, 0x94]).toContain(end?.code);
});

specTest(
  {
    section: 'MQTT-3.1.2-26',
    rule: 'the server sends none when the client takes none',
  },
  async (t) => {
    const topic = t.name();
    const reader = await t.subscriber(topic);
    const writer = await t.connect();
    for (let index = 0; index < 3; index += 1) await writer.publish(topic, 'x');
    for (const message of await reader.messages(3)) {
      expect(message.topic).toBe(topic);
      expect(message.properties.topicAlias).toBeUndefined();
    }
  },
);

specTest(
  { section: '3.1.2.11.5', rule: 'the server uses aliases within the maximum it was given' },
  async (t) => {
    const own = t.name();
    const topics = Array.from({ length: 5 }, (_, index) => `${own}/${index}`);
    const reader = await t.subscriber(`${own}/+`, 1, { properties: { topicAliasMaximum: 2 } });
    const writer = await t.connect();
    for (let round = 0; round < 3; round += 1) {
      for (const topic of topics) await writer.publish(topic, topic, { qos: 1 });
    }
    const known = new Map<number, string>();
    let shortened = 0;
    for (const message of await reader.messages(15)) {
      const alias = message.properties.topicAlias;
      if (alias !== undefined) expect(alias).toBeLessThanOrEqual(2);
      if (message.topic === '') shortened += 1;
      const topic = message.topic === '' ? known.get(alias ?? 0) : message.topic;
      if (alias !== undefined && topic !== undefined) known.set(alias, topic);
      expect(topic).toBe(message.payload.toString());
    }
    if (peer === undefined) expect(shortened).toBeGreaterThan(0);
  },
);

specTest(
  { section: '3.3.2.3.4', rule: 'what is sent again after a reconnect has its full topic' },
  async (t) => {
    const topic = t.name();
    const keep = {
      clientId: t.name('c'),
      cleanStart: false,
      properties: { sessionExpiry: 60, topicAliasMaximum: 5 },
    };
    const first = await t.subscriber(topic, 1, { ...keep, manualAck: true });
    const writer = await t.connect();
    await writer.publish(topic, 'a', { qos: 1 });
    await writer.publish(topic, 'b', { qos: 1 });
    await first.messages(2);
    await first.drop();
    const [a] = await (await t.connect(keep)).messages(2);
    expect(a!.topic).toBe(topic);
  },
);
