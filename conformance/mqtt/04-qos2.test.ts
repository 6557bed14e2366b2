import { expect } from 'vitest';
import { texts, useMqtt, VERSIONS } from '../support/mqtt-test.ts';
import { PUBACK, PUBCOMP, PUBLISH, publishPacket, PUBREC, PUBREL } from '../support/mqtt-wire.ts';

const { specTest, peer } = useMqtt();
const unlike = { rabbitmq: 'has no QoS 2' };

for (const version of VERSIONS) {
  const keep = { version, cleanStart: false, properties: { sessionExpiry: 300 } } as const;

  specTest({ section: '4.3.3', rule: `${version}: both handshakes in full`, unlike }, async (t) => {
    const topic = t.name();
    const reader = await t.subscriber(topic, 2, { version, manualAck: true });
    const writer = await t.connect({ version });
    await writer.publish(topic, 'x', { qos: 2, packetId: 77 });
    const message = await reader.message();
    expect(message).toMatchObject({ topic, qos: 2, dup: false });
    reader.ack(PUBREC, message.packetId);
    expect((await reader.next(PUBREL)).packetId).toBe(message.packetId);
    reader.ack(PUBCOMP, message.packetId);
    await reader.silent();
  });

  specTest(
    {
      section: 'MQTT-4.3.3-10',
      rule: `${version}: a repeated PUBLISH is not passed on`,
      unlike: { ...unlike, mosquitto: 'ends a connection that repeats itself' },
    },
    async (t) => {
      const topic = t.name();
      const reader = await t.subscriber(topic, 2, { version });
      const writer = await t.connect({ version });
      const fields = { version, topic, payload: 'x', qos: 2, packetId: 5 };
      writer.write(publishPacket(fields));
      await writer.next(PUBREC);
      for (let round = 0; round < 3; round += 1) {
        writer.write(publishPacket({ ...fields, dup: true }));
        expect((await writer.next(PUBREC)).packetId).toBe(5);
      }
      writer.ack(PUBREL, 5);
      await writer.next(PUBCOMP);
      await reader.message();
      await reader.silent();
      await writer.publish(topic, 'next', { qos: 2, packetId: 5 });
      expect((await reader.message()).payload.toString()).toBe('next');
    },
  );

  specTest(
    { section: '3.6', rule: `${version}: PUBREL of an unknown id is completed`, unlike },
    async (t) => {
      const client = await t.connect({ version });
      client.ack(PUBREL, 99);
      const answer = await client.next(PUBCOMP);
      expect(answer.packetId).toBe(99);
      if (version === 5) expect([0, 0x92]).toContain(answer.code);
    },
  );

  specTest(
    { section: '3.6', rule: `${version}: a repeated PUBREL is completed again`, unlike },
    async (t) => {
      const client = await t.connect({ version });
      await client.publish(t.name(), 'x', { qos: 2, packetId: 3 });
      client.ack(PUBREL, 3);
      expect((await client.next(PUBCOMP)).packetId).toBe(3);
    },
  );

  specTest(
    {
      section: 'MQTT-4.3.3-10',
      rule: `${version}: the received id survives a reconnect of the publisher`,
      unlike,
    },
    async (t) => {
      const topic = t.name();
      const clientId = t.name('c');
      const reader = await t.subscriber(topic, 2, { version });
      const first = await t.connect({ ...keep, clientId });
      const fields = { version, topic, payload: 'x', qos: 2, packetId: 6 };
      first.write(publishPacket(fields));
      await first.next(PUBREC);
      await first.drop();
      const second = await t.connect({ ...keep, clientId });
      expect(second.connack.sessionPresent).toBe(true);
      second.write(publishPacket({ ...fields, dup: true }));
      await second.next(PUBREC);
      second.ack(PUBREL, 6);
      await second.next(PUBCOMP);
      await reader.message();
      await reader.silent();
    },
  );

  specTest(
    {
      section: 'MQTT-4.4.0-1',
      rule: `${version}: PUBLISH without PUBREC is sent again with DUP`,
      unlike,
    },
    async (t) => {
      const topic = t.name();
      const clientId = t.name('c');
      const first = await t.subscriber(topic, 2, { ...keep, clientId, manualAck: true });
      await (await t.connect({ version })).publish(topic, 'x', { qos: 2 });
      const { packetId } = await first.message();
      await first.drop();
      const second = await t.connect({ ...keep, clientId, manualAck: true });
      const again = await second.message();
      expect(again).toMatchObject({ dup: true, packetId, qos: 2 });
      second.ack(PUBREC, packetId);
      await second.next(PUBREL);
      second.ack(PUBCOMP, packetId);
      await second.silent(100);
    },
  );

  specTest(
    {
      section: 'MQTT-4.4.0-1',
      rule: `${version}: PUBREL without PUBCOMP is sent again, never PUBLISH`,
      unlike,
    },
    async (t) => {
      const topic = t.name();
      const clientId = t.name('c');
      const first = await t.subscriber(topic, 2, { ...keep, clientId, manualAck: true });
      await (await t.connect({ version })).publish(topic, 'x', { qos: 2 });
      const { packetId } = await first.message();
      first.ack(PUBREC, packetId);
      await first.next(PUBREL);
      await first.drop();
      for (let round = 0; round < 2; round += 1) {
        const next = await t.connect({ ...keep, clientId, manualAck: true });
        expect((await next.next(PUBREL)).packetId).toBe(packetId);
        if (round === 1) {
          next.ack(PUBCOMP, packetId);
          await next.sync();
        }
        await next.drop();
      }
      const last = await t.connect({ ...keep, clientId, manualAck: true });
      await last.silent();
    },
  );

  specTest(
    { section: '4.6', rule: `${version}: 500 in order, with mixed QoS, once each`, unlike },
    async (t) => {
      const topic = t.name();
      const reader = await t.subscriber(topic, 2, { version });
      const writer = await t.connect({ version });
      for (let start = 0; start < 500; start += 20) {
        const batch = Array.from({ length: 20 }, async (_, index) => {
          await writer.publish(topic, `${start + index}`, { qos: 2 });
        });
        await Promise.all(batch);
      }
      const expected = Array.from({ length: 500 }, (_, index) => `${index}`);
      expect(texts(await reader.messages(500))).toEqual(expected);
      await reader.silent(100);
    },
  );

  specTest(
    { section: '3.8.4', rule: `${version}: granted 1 delivers QoS 2 as 1`, unlike },
    async (t) => {
      const topic = t.name();
      const reader = await t.subscriber(topic, 1, { version });
      await (await t.connect({ version })).publish(topic, 'x', { qos: 2 });
      expect((await reader.message()).qos).toBe(1);
    },
  );

  specTest(
    {
      section: '4.3.3',
      rule: `${version}: a QoS 2 publish is passed on before PUBREL or after it, not lost`,
      unlike,
    },
    async (t) => {
      const topic = t.name();
      const reader = await t.subscriber(topic, 2, { version });
      const writer = await t.connect({ version });
      writer.write(publishPacket({ version, topic, payload: 'x', qos: 2, packetId: 1 }));
      await writer.next(PUBREC);
      writer.ack(PUBREL, 1);
      await writer.next(PUBCOMP);
      expect((await reader.message()).type).toBe(PUBLISH);
    },
  );
}

specTest(
  {
    section: '3.5.2.1',
    rule: 'PUBREC with an error ends the delivery and frees its place',
    unlike: { ...unlike, mosquitto: 'the place stays taken' },
  },
  async (t) => {
    const topic = t.name();
    const reader = await t.subscriber(topic, 2, {
      manualAck: true,
      properties: { receiveMaximum: 1 },
    });
    const writer = await t.connect();
    await writer.publish(topic, 'a', { qos: 2 });
    await writer.publish(topic, 'b', { qos: 2 });
    const first = await reader.message();
    reader.ack(PUBREC, first.packetId, 0x80);
    const second = await reader.message();
    expect(second.payload.toString()).toBe('b');
  },
);

specTest(
  {
    section: '3.5',
    rule: 'PUBREC of an unknown id is answered with PUBREL 0x92',
    unlike: { ...unlike, mosquitto: 'ignores it' },
  },
  async (t) => {
    const client = await t.connect({ manualAck: true });
    client.ack(PUBREC, 1234);
    const answer = await client.next(PUBREL);
    expect(answer).toMatchObject({ packetId: 1234, code: 0x92 });
  },
);

specTest(
  { section: '3.4', rule: 'PUBACK for a QoS 2 delivery does not settle it silently', unlike },
  async (t) => {
    const topic = t.name();
    const reader = await t.subscriber(topic, 2, { manualAck: true });
    await (await t.connect()).publish(topic, 'x', { qos: 2 });
    const { packetId } = await reader.message();
    reader.ack(PUBACK, packetId);
    // Either a protocol error, or the PUBACK is ignored and the exchange goes on.
    reader.ack(PUBREC, packetId);
    const outcome = await Promise.race([
      reader.closed().then((end) => end?.code ?? 0),
      reader.reply(PUBREL, packetId).then(
        () => -1,
        () => 0,
      ),
    ]);
    if (peer === undefined && outcome > 0) expect([0x82, 0x81]).toContain(outcome);
  },
);
