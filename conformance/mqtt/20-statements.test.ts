/** Statements of MQTT 5 that the other files show only in passing. */
import { expect } from 'vitest';
import { pause, texts, useMqtt, VERSIONS } from '../support/mqtt-test.ts';
import { type MqttConnection, parseMqttUrl } from '../support/mqtt-client.ts';
import {
  CONNACK,
  connectPacket,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  publishPacket,
  PUBREC,
  PUBREL,
  SUBACK,
  subscribePacket,
} from '../support/mqtt-wire.ts';

const { specTest } = useMqtt();

const keepFor = (sessionExpiry: number) => ({ cleanStart: false, properties: { sessionExpiry } });

for (const version of VERSIONS) {
  const keep = { version, ...keepFor(300) };

  specTest(
    { section: 'MQTT-2.2.1-4', rule: `${version}: ids of deliveries are not 0 and in use once` },
    async (t) => {
      const topic = t.name();
      const reader = await t.subscriber(topic, 2, { version, manualAck: true });
      const writer = await t.connect({ version });
      for (let at = 0; at < 60; at += 1)
        await writer.publish(topic, `${at}`, { qos: 1 + (at % 2) });
      const ids = (await reader.messages(60)).map(({ packetId }) => packetId);
      expect(new Set(ids).size).toBe(60);
      expect(Math.min(...ids)).toBeGreaterThan(0);
    },
  );

  specTest(
    {
      section: 'MQTT-3.2.0-1',
      rule: `${version}: CONNACK is first, whatever waits, and comes once`,
    },
    async (t) => {
      const topic = t.name();
      const session = { ...keep, clientId: t.name('c') };
      await (await t.subscriber(topic, 1, session)).disconnect();
      const writer = await t.connect({ version });
      for (let at = 0; at < 50; at += 1) await writer.publish(topic, `${at}`, { qos: 1 });
      const { user, password } = parseMqttUrl(t.url);
      const reader = await t.dial(version);
      reader.write(
        Buffer.concat([
          connectPacket({ ...session, user, password }),
          subscribePacket(version, 5, [{ filter: `${topic}/more`, qos: 1 }]),
        ]),
      );
      expect((await reader.next(CONNACK)).sessionPresent).toBe(true);
      await reader.reply(SUBACK, 5);
      expect((await reader.messages(50)).length).toBe(50);
      await reader.sync();
      expect(reader.unread).toEqual([]);
    },
  );

  specTest(
    { section: 'MQTT-3.3.1-5', rule: `${version}: a retained message replaces the one before` },
    async (t) => {
      const topic = t.name();
      const writer = await t.connect({ version });
      for (const payload of ['1', '2', '3']) {
        await writer.publish(topic, payload, { qos: 1, retain: true });
      }
      const reader = await t.subscriber(topic, 1, { version });
      expect((await reader.message()).payload.toString()).toBe('3');
      await reader.sync();
      expect(reader.unread).toEqual([]);
    },
  );

  specTest(
    { section: 'MQTT-3.3.1-7', rule: `${version}: nothing without a payload is retained` },
    async (t) => {
      const topic = t.name();
      const writer = await t.connect({ version });
      for (const qos of [0, 1, 2]) await writer.publish(topic, '', { qos, retain: true });
      const reader = await t.subscriber(topic, 1, { version });
      await reader.sync();
      expect(reader.unread).toEqual([]);
    },
  );

  specTest(
    { section: '3.1.2.7', rule: `${version}: a retained will without payload deletes` },
    async (t) => {
      const topic = t.name();
      const writer = await t.connect({ version });
      await writer.publish(topic, 'kept', { qos: 1, retain: true });
      const watcher = await t.subscriber(topic, 1, { version });
      await watcher.message();
      const will = { topic, payload: '', qos: 1, retain: true };
      await (await t.connect({ version, will })).drop();
      expect((await watcher.message()).payload.length).toBe(0);
      const late = await t.subscriber(topic, 1, { version });
      await late.sync();
      expect(late.unread).toEqual([]);
    },
  );

  specTest(
    { section: 'MQTT-3.10.4-1', rule: `${version}: filters are compared character by character` },
    async (t) => {
      const own = t.name();
      const reader = await t.subscriber(`${own}/a`, 0, { version });
      await reader.unsubscribe([`${own}/A`, `${own}/a/`, `${own}/+`, `${own}/#`, `/${own}/a`]);
      const writer = await t.connect({ version });
      await writer.publish(`${own}/a`, 'x');
      await reader.message();
      await reader.unsubscribe([`${own}/a`]);
      await writer.publish(`${own}/a`, 'y', { qos: 1 });
      await reader.sync();
      expect(reader.unread).toEqual([]);
    },
  );

  specTest(
    { section: 'MQTT-3.10.4-3', rule: `${version}: what began is completed after UNSUBSCRIBE` },
    async (t) => {
      const topic = t.name();
      const session = { ...keep, clientId: t.name('c'), manualAck: true };
      const first = await t.subscriber(topic, 2, session);
      const writer = await t.connect({ version });
      for (const qos of [1, 2]) await writer.publish(topic, `${qos}`, { qos });
      const began = await first.messages(2);
      await first.unsubscribe([topic]);
      await first.subscribe(`${topic}/other`, 0);
      await first.drop();
      const second = await t.connect(session);
      const again = await second.messages(2);
      expect(again.map(({ packetId, qos, dup }) => [packetId, qos, dup])).toEqual(
        began.map(({ packetId, qos }) => [packetId, qos, true]),
      );
      second.ack(PUBACK, again[0]!.packetId);
      second.ack(PUBREC, again[1]!.packetId);
      expect((await second.next(PUBREL)).packetId).toBe(again[1]!.packetId);
      second.ack(PUBCOMP, again[1]!.packetId);
      await second.sync();
      expect(second.unread).toEqual([]);
    },
  );

  specTest(
    { section: 'MQTT-4.9.0-3', rule: `${version}: a full window holds up nothing but PUBLISH` },
    async (t) => {
      const topic = t.name();
      const reader = await t.subscriber(topic, 1, {
        version,
        manualAck: true,
        properties: { receiveMaximum: 1 },
      });
      const writer = await t.connect({ version });
      const count = version === 5 ? 2 : 1_001;
      for (let at = 0; at < count; at += 1) {
        writer.write(publishPacket({ version, topic, payload: `${at}`, qos: 1, packetId: at + 1 }));
        if (at % 100 === 99) await writer.reply(PUBACK, at + 1);
      }
      await writer.reply(PUBACK, count);
      await reader.messages(count - 1);
      await reader.subscribe(`${topic}/x`, 2);
      await reader.publish(`${topic}/x`, 'own', { qos: 2 });
      await reader.unsubscribe([`${topic}/x`]);
      await reader.sync();
      const isHeld = reader.unread.every(({ type }) => type !== PUBLISH);
      expect(isHeld).toBe(true);
    },
  );
}

specTest(
  { section: 'MQTT-3.1.3-6', rule: 'a client without an identifier gets one of its own' },
  async (t) => {
    const ids = new Set<string>();
    let last = '';
    const members: MqttConnection[] = [];
    for (let count = 0; count < 20; count += 1) {
      const client = await t.connect({ clientId: '', ...keepFor(count % 2 === 0 ? 30 : 0) });
      expect(client.connack.sessionPresent).toBe(false);
      last = client.connack.properties.assignedClientId ?? '';
      expect(last).not.toBe('');
      ids.add(last);
      members.push(client);
    }
    expect(ids.size).toBe(20);
    // It is the identifier from then on: who connects under it takes over.
    await t.connect({ clientId: last });
    expect((await members.at(-1)!.closed())?.code).toBe(0x8e);
  },
);

specTest(
  { section: 'MQTT-3.1.2-6', rule: 'without clean start a session is found or made, and told' },
  async (t) => {
    const session = { clientId: t.name('c'), ...keepFor(60) };
    const made = await t.connect(session);
    expect(made.connack.sessionPresent).toBe(false);
    await made.disconnect();
    const found = await t.connect(session);
    expect(found.connack.sessionPresent).toBe(true);
    await found.disconnect();
    const clean = await t.connect({ ...session, cleanStart: true });
    expect(clean.connack.sessionPresent).toBe(false);
    await clean.disconnect();
    // It was made by a clean start, and lasts all the same.
    expect((await t.connect(session)).connack.sessionPresent).toBe(true);
  },
);

specTest(
  { section: 'MQTT-4.1.0-1', rule: 'no session ends while its connection is open' },
  async (t) => {
    const topic = t.name();
    const reader = await t.subscriber(topic, 1, { clientId: t.name('c'), ...keepFor(1) });
    await pause(2_500);
    await (await t.connect()).publish(topic, 'x', { qos: 1 });
    expect((await reader.message()).payload.toString()).toBe('x');
  },
);

specTest(
  {
    section: 'MQTT-3.3.2-12',
    rule: 'every alias up to the maximum told is taken, each way of QoS',
  },
  async (t) => {
    const own = t.name();
    const reader = await t.subscriber(`${own}/+`, 2);
    const writer = await t.connect();
    const max = writer.connack.properties.topicAliasMaximum ?? 0;
    const expected: string[] = [];
    for (let round = 0; round < 2; round += 1) {
      for (let topicAlias = 1; topicAlias <= max; topicAlias += 1) {
        const topic = round === 0 ? `${own}/${topicAlias}` : '';
        const qos = topicAlias % 3;
        await writer.publish(topic, `${topicAlias}`, { qos, properties: { topicAlias } });
        expected.push(`${own}/${topicAlias}`);
      }
    }
    const got = await reader.messages(expected.length);
    expect(got.map(({ topic }) => topic).toSorted()).toEqual(expected.toSorted());
    expect(got.every(({ topic, payload }) => topic === `${own}/${payload.toString()}`)).toBe(true);
  },
);

specTest(
  { section: 'MQTT-3.2.2-18', rule: 'an alias above the maximum is 0x94, known topic or not' },
  async (t) => {
    const writer = await t.connect();
    const topicAlias = (writer.connack.properties.topicAliasMaximum ?? 0) + 1;
    writer.write(publishPacket({ topic: t.name(), properties: { topicAlias } }));
    expect((await writer.closed())?.code).toBe(0x94);
  },
);

specTest(
  { section: '3.3.2.3.4', rule: 'an alias that stands for nothing is a protocol error' },
  async (t) => {
    const writer = await t.connect();
    writer.write(publishPacket({ topic: '', properties: { topicAlias: 1 } }));
    expect((await writer.closed())?.code).toBe(0x82);
  },
);

specTest(
  { section: 'MQTT-4.4.0-2', rule: 'a PUBACK or PUBREC of 0x80 and above ends the delivery' },
  async (t) => {
    const topic = t.name();
    const session = { clientId: t.name('c'), manualAck: true, ...keepFor(60) };
    const first = await t.subscriber(topic, 2, session);
    const writer = await t.connect();
    for (const qos of [1, 2, 1]) await writer.publish(topic, `${qos}`, { qos });
    const [one, two] = await first.messages(3);
    first.ack(PUBACK, one!.packetId, 0x83);
    first.ack(PUBREC, two!.packetId, 0x97);
    await first.sync();
    await first.drop();
    const second = await t.connect(session);
    expect((await second.message()).qos).toBe(1);
    await second.sync();
    expect(second.unread).toEqual([]);
  },
);

specTest(
  {
    section: 'MQTT-4.8.2-3',
    rule: 'each member of a group has the QoS it was granted',
    unlike: { rabbitmq: 'has no shared subscriptions' },
  },
  async (t) => {
    const topic = t.name();
    const filter = `$share/${t.name('g')}/${topic}`;
    const members: MqttConnection[] = [];
    for (const qos of [0, 1, 2]) members.push(await t.subscriber(filter, qos));
    const writer = await t.connect();
    for (let at = 0; at < 30; at += 1) await writer.publish(topic, `${at}`, { qos: 2 });
    await expect.poll(() => members.reduce((sum, { unread }) => sum + unread.length, 0)).toBe(30);
    for (const [qos, { unread }] of members.entries()) {
      expect(unread.length).toBeGreaterThan(0);
      expect(unread.every((message) => message.type === PUBLISH && message.qos === qos)).toBe(true);
    }
  },
);

for (const [kind, sessionExpiry] of [
  ['that lasts', 60],
  ['that ends with its connection', 0],
] as const) {
  specTest(
    {
      section: 'MQTT-4.8.2-5',
      rule: `QoS 2 that began in a session ${kind} goes to no other member`,
      unlike: { rabbitmq: 'has no shared subscriptions', mosquitto: 'gives it to another' },
    },
    async (t) => {
      const topic = t.name();
      const filter = `$share/${t.name('g')}/${topic}`;
      const session = { clientId: t.name('c'), manualAck: true, ...keepFor(sessionExpiry) };
      const first = await t.subscriber(filter, 2, session);
      const writer = await t.connect();
      await writer.publish(topic, 'begun', { qos: 2 });
      const { packetId } = await first.message();
      const second = await t.subscriber(filter, 2);
      await first.drop();
      // Whoever comes under its name ends it, were it not seen to be gone.
      const again = await t.connect(session);
      expect(again.connack.sessionPresent).toBe(sessionExpiry > 0);
      if (sessionExpiry > 0) {
        const message = await again.message();
        expect(message).toMatchObject({ packetId, dup: true, qos: 2 });
        expect(message.payload.toString()).toBe('begun');
        await again.unsubscribe([filter]);
      }
      await writer.publish(topic, 'next', { qos: 2 });
      expect(texts(await second.messages(1))).toEqual(['next']);
    },
  );
}

specTest(
  { section: '3.14.2.2.2', rule: 'DISCONNECT with expiry 0 ends the session, and its will is due' },
  async (t) => {
    const [topic, willTopic] = [t.name(), t.name()];
    const watcher = await t.subscriber(willTopic, 1);
    const session = { clientId: t.name('c'), ...keepFor(300) };
    const will = { topic: willTopic, payload: 'w', qos: 1, properties: { willDelay: 200 } };
    const first = await t.subscriber(topic, 1, { ...session, will });
    await first.disconnect(0x04, { sessionExpiry: 0 });
    expect((await watcher.message()).payload.toString()).toBe('w');
    expect((await t.connect(session)).connack.sessionPresent).toBe(false);
  },
);

specTest({ section: '4.6', rule: 'topics and QoS apart, order is kept for each' }, async (t) => {
  const own = t.name();
  const reader = await t.subscriber(`${own}/#`, 2);
  const writers = await Promise.all([t.connect(), t.connect()]);
  const send = async (at: number): Promise<void> => {
    for (let index = 0; index < 60; index += 1) {
      const qos = index % 3;
      await writers[at]!.publish(`${own}/${at}/${qos}`, `${index}`, { qos });
    }
  };
  await Promise.all([send(0), send(1)]);
  const got = await reader.messages(120);
  const topics = new Set(got.map(({ topic }) => topic));
  expect(topics.size).toBe(6);
  for (const topic of topics) {
    const order = got.filter((message) => message.topic === topic).map(({ payload }) => +payload);
    expect(order).toEqual(order.toSorted((a, b) => a - b));
  }
});
