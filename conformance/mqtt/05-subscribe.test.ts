import { expect } from 'vitest';
import { texts, useMqtt, VERSIONS } from '../support/mqtt-test.ts';
import { SUBACK, subscribePacket, UNSUBACK, unsubscribePacket } from '../support/mqtt-wire.ts';

const { specTest, peer } = useMqtt();

/** Filter, topic and whether they match; `~` stands for a name of the test's own. */
const MATCHES: readonly (readonly [string, string, boolean])[] = [
  ['~/a', '~/a', true],
  ['~/+', '~/a', true],
  ['~/+', '~/', true],
  ['~/+', '~', false],
  ['~/+', '~/a/b', false],
  ['~/#', '~', true],
  ['~/#', '~/', true],
  ['~/#', '~/a/b/c', true],
  ['~/+/c', '~/b/c', true],
  ['~/+/c', '~//c', true],
  ['~/+/c', '~/c', false],
  ['+/~', '/~', true],
  ['/~', '~', false],
  ['~', '/~', false],
  ['~/+/+/d', '~/b/c/d', true],
  ['~/+/#', '~', false],
  ['~/+/#', '~/a', true],
  ['~/a/#', '~/b', false],
  ['~/A', '~/a', false],
  ['#', '~', true],
  ['+/+', '$~/x', false],
  ['#', '$~/x', false],
  ['$~/#', '$~/x', true],
];

for (const version of VERSIONS) {
  specTest(
    {
      section: '4.7',
      rule: `${version}: wildcards`,
      unlike: { rabbitmq: 'delivers topics that begin with $ to wildcards' },
    },
    async (t) => {
      const writer = await t.connect({ version });
      for (const [filter, topic, expected] of MATCHES) {
        const own = t.name();
        const reader = await t.subscriber(filter.replace('~', own), 0, { version });
        await writer.publish(topic.replace('~', own), own);
        await writer.sync();
        await reader.sync();
        const got = (): boolean => reader.unread.some(({ payload }) => payload.toString() === own);
        // What should come may take its time; what should not had ten turns to come.
        const rounds = expected ? 3_000 : 10;
        for (let round = 0; round < rounds && !(expected && got()); round += 1) {
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
        expect([filter, topic, got()]).toEqual([filter, topic, expected]);
        await reader.drop();
      }
    },
  );

  specTest(
    { section: 'MQTT-3.8.4-6', rule: `${version}: one SUBACK code for each filter, in order` },
    async (t) => {
      const own = t.name();
      const client = await t.connect({ version });
      const filters = [0, 1, 2, 1].map((qos, index) => ({ filter: `${own}/${index}`, qos }));
      const { codes } = await client.subscribe(filters);
      expect(codes).toEqual(peer === 'rabbitmq' ? [0, 1, 1, 1] : [0, 1, 2, 1]);
    },
  );

  specTest(
    { section: 'MQTT-3.8.4-3', rule: `${version}: subscribing again replaces the QoS` },
    async (t) => {
      const topic = t.name();
      const client = await t.subscriber(topic, 0, { version });
      await client.subscribe(topic, 1);
      const writer = await t.connect({ version });
      await writer.publish(topic, 'x', { qos: 1 });
      expect((await client.message()).qos).toBe(1);
      await client.silent();
      await client.subscribe(topic, 0);
      await writer.publish(topic, 'y', { qos: 1 });
      expect((await client.message()).qos).toBe(0);
    },
  );

  specTest(
    {
      section: 'MQTT-3.3.5-1',
      rule: `${version}: overlapping filters: one copy at the highest QoS`,
      unlike: { mosquitto: 'one copy for each', rabbitmq: 'one copy for each QoS' },
    },
    async (t) => {
      const topic = `${t.name()}/x`;
      const client = await t.connect({ version });
      await client.subscribe([
        { filter: topic, qos: 0 },
        { filter: topic.replace('/x', '/+'), qos: 2 },
        { filter: topic.replace('/x', '/#'), qos: 1 },
      ]);
      await (await t.connect({ version })).publish(topic, 'x', { qos: 2 });
      expect((await client.message()).qos).toBe(2);
      await client.silent();
    },
  );

  specTest({ section: '3.10', rule: `${version}: UNSUBSCRIBE ends the deliveries` }, async (t) => {
    const topic = t.name();
    const client = await t.subscriber(topic, 1, { version });
    const { codes } = await client.unsubscribe([topic]);
    if (version === 5) expect(codes).toEqual([0]);
    else expect(codes).toEqual([]);
    await (await t.connect({ version })).publish(topic, 'x', { qos: 1 });
    await client.silent();
  });

  specTest(
    { section: '3.11.3', rule: `${version}: UNSUBSCRIBE of what was not subscribed` },
    async (t) => {
      const client = await t.subscriber('some/topic', 0, { version });
      const { codes } = await client.unsubscribe([t.name(), 'some/topic']);
      if (version === 5) expect(codes).toEqual(peer === 'rabbitmq' ? [0x11, 0] : [0x11, 0]);
    },
  );

  const BAD = ['', 'a/#/b', 'a#', '#/a', 'a+', '+a', 'a/+b/c', '/#a', 'a\0b'];
  specTest(
    {
      section: '4.7.1',
      rule: `${version}: bad filters are refused or end the connection`,
      unlike: { rabbitmq: 'takes some of them' },
    },
    async (t) => {
      for (const filter of BAD) {
        const client = await t.connect({ version });
        client.write(subscribePacket(version, 5, [{ filter }]));
        const outcome = await Promise.race([
          client.reply(SUBACK, 5).then(
            ({ codes }) => codes[0]!,
            () => -1,
          ),
          client.closed().then((end) => end?.code ?? 0x80),
        ]);
        // -1: the socket was closed before the wait for SUBACK ended.
        expect([filter, outcome === -1 || outcome >= 0x80]).toEqual([filter, true]);
      }
    },
  );

  specTest(
    { section: 'MQTT-3.8.3-2', rule: `${version}: SUBSCRIBE without filters ends the connection` },
    async (t) => {
      const first = await t.connect({ version });
      first.write(subscribePacket(version, 1, []));
      await first.closed();
      const second = await t.connect({ version });
      second.write(unsubscribePacket(version, 1, []));
      await second.closed();
    },
  );

  specTest(
    { section: 'MQTT-2.2.1-3', rule: `${version}: packet id 0 ends the connection` },
    async (t) => {
      for (const bytes of [
        subscribePacket(version, 0, [{ filter: 'a' }]),
        unsubscribePacket(version, 0, ['a']),
      ]) {
        const client = await t.connect({ version });
        client.write(bytes);
        await client.closed();
      }
    },
  );

  specTest({ section: '3.8', rule: `${version}: 1000 filters in one packet` }, async (t) => {
    const own = t.name();
    const client = await t.connect({ version });
    const filters = Array.from({ length: 1000 }, (_, index) => ({ filter: `${own}/${index}` }));
    const { codes } = await client.subscribe(filters);
    expect(codes.length).toBe(1000);
    await client.publish(`${own}/999`, 'x');
    expect((await client.message()).topic).toBe(`${own}/999`);
    client.write(
      unsubscribePacket(
        version,
        77,
        filters.map(({ filter }) => filter),
      ),
    );
    await client.reply(UNSUBACK, 77);
    await client.publish(`${own}/999`, 'x');
    await client.silent();
  });
}

specTest(
  { section: 'MQTT-3.8.3-3', rule: 'no local: own messages are not delivered' },
  async (t) => {
    const topic = t.name();
    const client = await t.connect();
    await client.subscribe([{ filter: topic, qos: 1, noLocal: true }]);
    await client.publish(topic, 'own', { qos: 1 });
    await (await t.connect()).publish(topic, 'other', { qos: 1 });
    expect(texts(await client.messages(1))).toEqual(['other']);
    await client.silent();
  },
);

specTest(
  { section: 'MQTT-3.8.3-4', rule: 'no local on a shared subscription is a protocol error' },
  async (t) => {
    const client = await t.connect();
    const filter = `$share/g/${t.name()}`;
    client.write(subscribePacket(5, 1, [{ filter, noLocal: true }]));
    const end = await client.closed();
    if (peer === undefined) expect(end?.code).toBe(0x82);
  },
);

specTest(
  { section: 'MQTT-3.8.3-5', rule: 'reserved option bits, QoS 3 and retain handling 3 are errors' },
  async (t) => {
    for (const options of [0x40, 0x80, 0x03, 0x30]) {
      const client = await t.connect();
      client.write(subscribePacket(5, 1, [{ filter: t.name(), options }]));
      const end = await client.closed();
      if (peer === undefined) expect([0x81, 0x82]).toContain(end?.code);
    }
    for (const options of [0x03, 0x04, 0x80]) {
      const client = await t.connect({ version: 4 });
      client.write(subscribePacket(4, 1, [{ filter: t.name(), options }]));
      await client.closed();
    }
  },
);

specTest(
  { section: '3.3.2.3.8', rule: 'the subscription identifier comes with the message' },
  async (t) => {
    const topic = t.name();
    const client = await t.connect();
    await client.subscribe(topic, 0, { subscriptionIds: [268_435_455] });
    await client.publish(topic, 'x');
    expect((await client.message()).properties.subscriptionIds).toEqual([268_435_455]);
    await client.subscribe(topic, 0, { subscriptionIds: [1] });
    await client.publish(topic, 'y');
    expect((await client.message()).properties.subscriptionIds).toEqual([1]);
    await client.subscribe(topic, 0);
    await client.publish(topic, 'z');
    expect((await client.message()).properties.subscriptionIds).toBeUndefined();
  },
);

specTest(
  {
    section: 'MQTT-3.3.4-5',
    rule: 'one copy carries the identifiers of all that match',
    unlike: { mosquitto: 'one copy for each' },
  },
  async (t) => {
    const own = t.name();
    const client = await t.connect();
    await client.subscribe(`${own}/a`, 0, { subscriptionIds: [1] });
    await client.subscribe(`${own}/+`, 0, { subscriptionIds: [2] });
    await client.subscribe(`${own}/#`, 0);
    await client.publish(`${own}/a`, 'x');
    const { properties } = await client.message();
    expect([...(properties.subscriptionIds ?? [])].sort((a, b) => a - b)).toEqual([1, 2]);
    await client.silent();
  },
);

specTest(
  { section: '3.8.2.1.2', rule: 'subscription identifier 0 is a protocol error' },
  async (t) => {
    const client = await t.connect();
    client.write(subscribePacket(5, 1, [{ filter: t.name() }], { subscriptionIds: [0] }));
    const end = await client.closed();
    if (peer === undefined) expect(end?.code).toBe(0x82);
  },
);
