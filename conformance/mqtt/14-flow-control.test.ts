import { expect } from 'vitest';
import { texts, useMqtt, VERSIONS } from '../support/mqtt-test.ts';
import { PUBACK, PUBCOMP, publishPacket, PUBREC, PUBREL } from '../support/mqtt-wire.ts';
import { GROWTH_MAX_BYTES } from '../support/server-process.ts';

const { specTest, server, peer } = useMqtt();

specTest(
  { section: 'MQTT-3.3.4-9', rule: "never more in flight than the client's receive maximum" },
  async (t) => {
    const topic = t.name();
    const reader = await t.subscriber(topic, 1, {
      manualAck: true,
      properties: { receiveMaximum: 3 },
    });
    const writer = await t.connect();
    for (let index = 0; index < 10; index += 1) {
      await writer.publish(topic, `${index}`, { qos: 1 });
    }
    const got = await reader.messages(3);
    await reader.silent(300);
    for (let index = 3; index < 10; index += 1) {
      reader.ack(PUBACK, got[index - 3]!.packetId);
      got.push(await reader.message());
      await reader.silent(20);
    }
    expect(texts(got)).toEqual(Array.from({ length: 10 }, (_, index) => `${index}`));
  },
);

specTest(
  {
    section: '4.9',
    rule: 'a QoS 2 delivery holds its place until PUBCOMP',
    unlike: { rabbitmq: 'has no QoS 2' },
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
    reader.ack(PUBREC, first.packetId);
    await reader.next(PUBREL);
    await reader.silent(300);
    reader.ack(PUBCOMP, first.packetId);
    expect((await reader.message()).payload.toString()).toBe('b');
  },
);

specTest({ section: '4.9', rule: 'QoS 0 passes a full window, or waits for it' }, async (t) => {
  const topic = t.name();
  const reader = await t.subscriber(topic, 1, {
    manualAck: true,
    properties: { receiveMaximum: 1 },
  });
  const writer = await t.connect();
  await writer.publish(topic, 'held', { qos: 1 });
  const { packetId } = await reader.message();
  await writer.publish(topic, 'free', { qos: 0 });
  await writer.sync();
  reader.ack(PUBACK, packetId);
  expect(await reader.message()).toMatchObject({ qos: 0 });
});

specTest(
  {
    section: '4.9',
    rule: "more than the server's receive maximum ends with 0x93",
    unlike: { mosquitto: 'only logs it', rabbitmq: 'has no QoS 2' },
  },
  async (t) => {
    const topic = t.name();
    const client = await t.connect();
    const limit = client.connack.properties.receiveMaximum ?? 65_535;
    const parts: Buffer[] = [];
    for (let packetId = 1; packetId <= limit + 1; packetId += 1) {
      parts.push(publishPacket({ topic, qos: 2, packetId }));
    }
    client.manualAck = true;
    client.write(Buffer.concat(parts));
    expect((await client.closed())?.code).toBe(0x93);
  },
);

for (const version of VERSIONS) {
  specTest(
    {
      section: '4.9',
      rule: `${version}: a reader that stops reading gets everything of QoS 1 later`,
    },
    async (t) => {
      const topic = t.name();
      const reader = await t.subscriber(topic, 1, { version });
      reader.stopReading();
      const writer = await t.connect({ version });
      const payload = 'x'.repeat(10_000);
      for (let index = 0; index < 1_500; index += 50) {
        const batch = Array.from({ length: 50 }, async (_, offset) => {
          await writer.publish(topic, `${index + offset}:${payload}`, { qos: 1 });
        });
        await Promise.all(batch);
      }
      reader.resumeReading();
      const got = await reader.messages(1_500);
      expect(got.map((message) => Number.parseInt(message.payload.toString(), 10))).toEqual(
        Array.from({ length: 1_500 }, (_, index) => index),
      );
    },
  );
}

specTest(
  {
    section: '4.9',
    rule: 'a QoS 0 reader that stops reading does not fill the memory',
    needsServer: true,
  },
  async (t) => {
    const topic = t.name();
    const reader = await t.subscriber(topic, 0);
    reader.stopReading();
    const other = t.name();
    const bystander = await t.subscriber(other, 0);
    const writer = await t.connect();
    const batch = Buffer.concat([
      ...Array.from({ length: 20 }, () =>
        publishPacket({ topic, payload: Buffer.alloc(100_000, 1) }),
      ),
      publishPacket({ topic: other, payload: 'served' }),
    ]);
    for (let round = 0; round < 300; round += 1) {
      writer.write(batch);
      await bystander.message();
    }
    expect(server().grownBytes).toBeLessThan(GROWTH_MAX_BYTES);
    expect(peer).toBeUndefined();
    await writer.sync();
  },
);
