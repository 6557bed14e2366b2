import { expect } from 'vitest';
import { texts, useMqtt, VERSIONS } from '../support/mqtt-test.ts';
import { PUBACK, PUBLISH, publishPacket } from '../support/mqtt-wire.ts';

const { specTest } = useMqtt();

for (const version of VERSIONS) {
  const keep = { version, cleanStart: false, properties: { sessionExpiry: 300 } } as const;

  specTest({ section: 'MQTT-4.3.2-4', rule: `${version}: PUBACK has the packet id` }, async (t) => {
    const topic = t.name();
    const reader = await t.subscriber(topic, 1, { version });
    const writer = await t.connect({ version });
    const answer = await writer.publish(topic, 'x', { qos: 1, packetId: 65_535 });
    expect(answer).toMatchObject({ type: PUBACK, packetId: 65_535, code: 0 });
    const message = await reader.message();
    expect(message).toMatchObject({ qos: 1, dup: false, topic });
    expect(message.packetId).toBeGreaterThan(0);
  });

  specTest(
    { section: '3.8.4', rule: `${version}: delivered QoS is the lower of the two` },
    async (t) => {
      const topic = t.name();
      const low = await t.subscriber(topic, 0, { version });
      const high = await t.subscriber(topic, 1, { version });
      const writer = await t.connect({ version });
      await writer.publish(topic, 'zero', { qos: 0 });
      await writer.publish(topic, 'one', { qos: 1 });
      expect((await low.messages(2)).map(({ qos }) => qos)).toEqual([0, 0]);
      expect((await high.messages(2)).map(({ qos }) => qos)).toEqual([0, 1]);
    },
  );

  specTest(
    { section: 'MQTT-4.6.0-2', rule: `${version}: acknowledgements come in order` },
    async (t) => {
      const topic = t.name();
      const reader = await t.subscriber(topic, 1, { version });
      const writer = await t.connect({ version });
      const sent = Array.from({ length: 500 }, (_, index) => `${index}`);
      writer.write(
        Buffer.concat(
          sent.map((payload, index) =>
            publishPacket({ version, topic, payload, qos: 1, packetId: index + 1 }),
          ),
        ),
      );
      for (let index = 1; index <= 500; index += 1) {
        expect((await writer.next(PUBACK)).packetId).toBe(index);
      }
      expect(texts(await reader.messages(500))).toEqual(sent);
    },
  );

  specTest(
    {
      section: 'MQTT-4.4.0-1',
      rule: `${version}: unacknowledged is sent again, with DUP, in order`,
    },
    async (t) => {
      const topic = t.name();
      const clientId = t.name('c');
      const first = await t.subscriber(topic, 1, { ...keep, clientId, manualAck: true });
      const writer = await t.connect({ version });
      for (const payload of ['a', 'b', 'c']) await writer.publish(topic, payload, { qos: 1 });
      const before = await first.messages(3);
      first.ack(PUBACK, before[0]!.packetId);
      await first.sync();
      await first.drop();
      const second = await t.connect({ ...keep, clientId });
      expect(second.connack.sessionPresent).toBe(true);
      const after = await second.messages(2);
      expect(texts(after)).toEqual(['b', 'c']);
      expect(after.map(({ dup }) => dup)).toEqual([true, true]);
      expect(after.map(({ packetId }) => packetId)).toEqual(
        before.slice(1).map(({ packetId }) => packetId),
      );
      await second.silent();
    },
  );

  specTest(
    {
      section: 'MQTT-4.4.0-1',
      rule: `${version}: not sent again while connected`,
    },
    async (t) => {
      const topic = t.name();
      const reader = await t.subscriber(topic, 1, { version, manualAck: true });
      await (await t.connect({ version })).publish(topic, 'once', { qos: 1 });
      await reader.message();
      await reader.silent(1_500);
    },
  );

  specTest(
    { section: '4.3.2', rule: `${version}: a repeated PUBLISH is acknowledged again` },
    async (t) => {
      const topic = t.name();
      const writer = await t.connect({ version });
      await writer.publish(topic, 'x', { qos: 1, packetId: 9 });
      const again = await writer.publish(topic, 'x', { qos: 1, packetId: 9, dup: true });
      expect(again?.packetId).toBe(9);
    },
  );

  specTest({ section: 'MQTT-3.3.1-3', rule: `${version}: DUP is not passed on` }, async (t) => {
    const topic = t.name();
    const reader = await t.subscriber(topic, 1, { version });
    const writer = await t.connect({ version });
    await writer.publish(topic, 'x', { qos: 1, dup: true });
    expect((await reader.message()).dup).toBe(false);
  });

  specTest(
    { section: '3.4', rule: `${version}: PUBACK of an unknown id does no harm` },
    async (t) => {
      const client = await t.connect({ version });
      client.ack(PUBACK, 4711);
      if (!client.isClosed) await client.sync().catch(() => undefined);
      await (await t.connect({ version })).sync();
    },
  );

  specTest(
    {
      section: '4.3.2',
      rule: `${version}: more than 65,535 messages on one connection`,
    },
    async (t) => {
      const topic = t.name();
      const reader = await t.subscriber(topic, 1, { version });
      const writer = await t.connect({ version });
      const total = 66_000;
      const batch = 500;
      let packetId = 0;
      for (let sent = 0; sent < total; sent += batch) {
        const parts: Buffer[] = [];
        const ids: number[] = [];
        for (let index = 0; index < batch; index += 1) {
          packetId = (packetId % 65_535) + 1;
          ids.push(packetId);
          const payload = `${sent + index}`;
          parts.push(publishPacket({ version, topic, payload, qos: 1, packetId }));
        }
        writer.write(Buffer.concat(parts));
        for (const id of ids) expect((await writer.next(PUBACK)).packetId).toBe(id);
        const got = await reader.messages(batch);
        expect(got[0]!.payload.toString()).toBe(`${sent}`);
        expect(got.at(-1)!.payload.toString()).toBe(`${sent + batch - 1}`);
      }
      await reader.silent(100);
    },
  );
}

specTest({ section: '3.4.2.1', rule: '0x10 or 0 when nobody subscribes' }, async (t) => {
  const answer = await (await t.connect()).publish(t.name(), 'x', { qos: 1 });
  expect([0, 0x10]).toContain(answer?.code);
});

specTest(
  { section: '4.3.2', rule: 'queued for an offline session, in order, and delivered once' },
  async (t) => {
    const topic = t.name();
    const clientId = t.name('c');
    const keep = { cleanStart: false, clientId, properties: { sessionExpiry: 300 } };
    await (await t.subscriber(topic, 1, keep)).disconnect();
    const writer = await t.connect();
    const sent = Array.from({ length: 300 }, (_, index) => `${index}`);
    for (const payload of sent) await writer.publish(topic, payload, { qos: 1 });
    const back = await t.connect(keep);
    const got = await back.messages(300);
    expect(texts(got)).toEqual(sent);
    expect(got.every(({ type, dup }) => type === PUBLISH && !dup)).toBe(true);
    await back.disconnect();
    const again = await t.connect(keep);
    await again.silent();
  },
);
