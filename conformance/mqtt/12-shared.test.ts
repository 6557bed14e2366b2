import { expect } from 'vitest';
import { pause, texts, useMqtt, VERSIONS } from '../support/mqtt-test.ts';
import type { MqttConnection } from '../support/mqtt-client.ts';
import { PUBACK, SUBACK, subscribePacket } from '../support/mqtt-wire.ts';

const { specTest } = useMqtt();
const unlike = { rabbitmq: 'has no shared subscriptions' };

for (const version of VERSIONS) {
  specTest(
    { section: '4.8.2', rule: `${version}: each message goes to one member`, unlike },
    async (t) => {
      const topic = t.name();
      const group = t.name('g');
      const members: MqttConnection[] = [];
      for (let index = 0; index < 3; index += 1) {
        members.push(await t.subscriber(`$share/${group}/${topic}`, 1, { version }));
      }
      const alone = await t.subscriber(topic, 1, { version });
      const writer = await t.connect({ version });
      for (let index = 0; index < 90; index += 1) {
        await writer.publish(topic, `${index}`, { qos: 1 });
      }
      await alone.messages(90);
      const countsOf = (): number[] => members.map((member) => member.unread.length);
      const total = (): number => countsOf().reduce((sum, count) => sum + count, 0);
      await expect.poll(total).toBeGreaterThanOrEqual(90);
      // Copies that should not be would come late.
      await pause(200);
      const counts = countsOf();
      expect(total()).toBe(90);
      expect(Math.min(...counts)).toBeGreaterThan(0);
      const all = members.flatMap((member) => texts(member.unread));
      expect(new Set(all).size).toBe(90);
    },
  );
}

specTest({ section: '4.8.2', rule: 'two groups receive a copy each', unlike }, async (t) => {
  const topic = t.name();
  const one = await t.subscriber(`$share/${t.name('g')}/${topic}`, 1);
  const two = await t.subscriber(`$share/${t.name('g')}/${topic}`, 1);
  await (await t.connect()).publish(topic, 'x', { qos: 1 });
  await one.message();
  await two.message();
  await one.silent(100);
});

specTest({ section: '4.8.2', rule: 'wildcards in the filter', unlike }, async (t) => {
  const own = t.name();
  const reader = await t.subscriber(`$share/g/${own}/+/x`, 0);
  const writer = await t.connect();
  await writer.publish(`${own}/a/x`, 'yes');
  await writer.publish(`${own}/a/y`, 'no');
  expect((await reader.message()).topic).toBe(`${own}/a/x`);
  await reader.silent(100);
});

specTest({ section: '4.8.2', rule: 'QoS 0, 1 and 2', unlike }, async (t) => {
  const topic = t.name();
  const reader = await t.subscriber(`$share/g/${topic}`, 2);
  const writer = await t.connect();
  for (const qos of [0, 1, 2]) await writer.publish(topic, `${qos}`, { qos });
  const got = await reader.messages(3);
  expect(got.map(({ qos }) => qos)).toEqual([0, 1, 2]);
});

specTest(
  {
    section: 'MQTT-4.8.2-5',
    rule: 'what a member leaves unacknowledged goes to another when its session ends',
    unlike: { ...unlike, mosquitto: 'loses it' },
  },
  async (t) => {
    const topic = t.name();
    const filter = `$share/${t.name('g')}/${topic}`;
    const first = await t.subscriber(filter, 1, { manualAck: true });
    const writer = await t.connect();
    await writer.publish(topic, 'x', { qos: 1 });
    await first.message();
    const second = await t.subscriber(filter, 1);
    await first.drop();
    expect((await second.message()).payload.toString()).toBe('x');
  },
);

specTest(
  {
    section: '4.8.2',
    rule: 'an absent member is not given what present ones can take',
    unlike: { ...unlike, mosquitto: 'gives absent members their turn' },
  },
  async (t) => {
    const topic = t.name();
    const filter = `$share/${t.name('g')}/${topic}`;
    const keep = { clientId: t.name('c'), cleanStart: false, properties: { sessionExpiry: 60 } };
    await (await t.subscriber(filter, 1, keep)).disconnect();
    const present = await t.subscriber(filter, 1);
    const writer = await t.connect();
    for (let index = 0; index < 20; index += 1) {
      await writer.publish(topic, `${index}`, { qos: 1 });
    }
    expect((await present.messages(20)).length).toBe(20);
  },
);

specTest(
  {
    section: '4.8.2',
    rule: 'messages wait while all members are away',
    unlike: { ...unlike, mosquitto: 'keeps none' },
  },
  async (t) => {
    const topic = t.name();
    const filter = `$share/${t.name('g')}/${topic}`;
    const keep = { clientId: t.name('c'), cleanStart: false, properties: { sessionExpiry: 60 } };
    await (await t.subscriber(filter, 1, keep)).disconnect();
    const writer = await t.connect();
    for (const payload of ['a', 'b', 'c']) await writer.publish(topic, payload, { qos: 1 });
    const back = await t.connect(keep);
    expect(texts(await back.messages(3))).toEqual(['a', 'b', 'c']);
  },
);

specTest({ section: '4.8.2', rule: 'unsubscribing leaves the group', unlike }, async (t) => {
  const topic = t.name();
  const filter = `$share/${t.name('g')}/${topic}`;
  const stays = await t.subscriber(filter, 1);
  const leaves = await t.subscriber(filter, 1);
  expect((await leaves.unsubscribe([filter])).codes).toEqual([0]);
  const writer = await t.connect();
  for (let index = 0; index < 10; index += 1) await writer.publish(topic, `${index}`, { qos: 1 });
  await stays.messages(10);
  await leaves.silent(50);
});

specTest(
  {
    section: 'MQTT-4.8.2-1',
    rule: 'bad share names are refused',
    unlike: { ...unlike, mosquitto: 'takes some' },
  },
  async (t) => {
    for (const filter of [
      '$share/',
      '$share//t',
      '$share/a+b/t',
      '$share/a#/t',
      '$share/g',
      '$share/g/',
    ]) {
      const client = await t.connect();
      client.write(subscribePacket(5, 5, [{ filter }]));
      const outcome = await Promise.race([
        client.reply(SUBACK, 5).then(
          ({ codes }) => codes[0]!,
          () => -1,
        ),
        client.closed().then((end) => end?.code ?? 0x80),
      ]);
      expect([filter, outcome === -1 || outcome >= 0x80]).toEqual([filter, true]);
    }
  },
);

specTest(
  {
    section: 'MQTT-4.8.2-6',
    rule: 'a full member does not hold up the others',
    unlike: { ...unlike, mosquitto: 'queues for the full one' },
  },
  async (t) => {
    const topic = t.name();
    const filter = `$share/${t.name('g')}/${topic}`;
    const full = await t.subscriber(filter, 1, {
      manualAck: true,
      properties: { receiveMaximum: 1 },
    });
    const free = await t.subscriber(filter, 1);
    const writer = await t.connect();
    for (let index = 0; index < 20; index += 1) {
      await writer.publish(topic, `${index}`, { qos: 1 });
    }
    const held = await full.message();
    await free.messages(19);
    full.ack(PUBACK, held.packetId);
    await full.silent(100);
  },
);
