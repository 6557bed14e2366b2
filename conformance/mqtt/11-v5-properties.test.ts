import { expect } from 'vitest';
import { pause, useMqtt } from '../support/mqtt-test.ts';
import { PUBACK, publishPacket } from '../support/mqtt-wire.ts';

const { specTest, peer } = useMqtt();

const FULL = {
  payloadFormat: 1,
  messageExpiry: 1000,
  contentType: 'application/json',
  responseTopic: 'answers/to/me',
  correlationData: Buffer.from([0, 1, 2, 253, 254, 255]),
  user: [
    ['key', 'value'],
    ['key', 'again'],
    ['', 'empty name'],
    ['empty value', ''],
    ['ключ', '値'],
    ['a', 'last'],
  ],
} as const;

for (const qos of [0, 1, 2]) {
  specTest(
    {
      section: 'MQTT-3.3.2-17',
      rule: `QoS ${qos}: all PUBLISH properties arrive, in order`,
      unlike: { rabbitmq: 'sorts and deduplicates user properties' },
    },
    async (t) => {
      const topic = t.name();
      const reader = await t.subscriber(topic, qos);
      await (await t.connect()).publish(topic, '{}', { qos, properties: FULL });
      const { properties } = await reader.message();
      const { messageExpiry, ...rest } = properties;
      const { messageExpiry: sent, ...expected } = FULL;
      expect(rest).toEqual(expected);
      expect(messageExpiry).toBeLessThanOrEqual(sent);
      expect(messageExpiry).toBeGreaterThan(sent - 10);
    },
  );
}

specTest({ section: '3.3.2.3', rule: 'none are invented' }, async (t) => {
  const topic = t.name();
  const reader = await t.subscriber(topic);
  await (await t.connect()).publish(topic, 'x');
  expect((await reader.message()).properties).toEqual({});
});

specTest(
  { section: '3.3.2.3', rule: 'a 3.1.1 subscriber gets the message without them' },
  async (t) => {
    const topic = t.name();
    const reader = await t.subscriber(topic, 1, { version: 4 });
    await (await t.connect()).publish(topic, 'x', { qos: 1, properties: FULL });
    expect((await reader.message()).payload.toString()).toBe('x');
  },
);

specTest(
  { section: 'MQTT-3.3.2-4', rule: 'payload format 0 is passed on as 0 or left out' },
  async (t) => {
    const topic = t.name();
    const reader = await t.subscriber(topic);
    await (await t.connect()).publish(topic, 'x', { properties: { payloadFormat: 0 } });
    expect((await reader.message()).properties.payloadFormat ?? 0).toBe(0);
  },
);

specTest(
  {
    section: '3.3.2.3.9',
    rule: 'a content type of 1000 characters, correlation data of 60,000 bytes',
    unlike: { rabbitmq: 'drops content types above 255 bytes' },
  },
  async (t) => {
    const topic = t.name();
    const reader = await t.subscriber(topic, 1);
    const contentType = 'c'.repeat(1000);
    const correlationData = Buffer.alloc(60_000, 7);
    const properties = { contentType, correlationData };
    await (await t.connect()).publish(topic, 'x', { qos: 1, properties });
    const got = (await reader.message()).properties;
    expect(got.contentType).toBe(contentType);
    expect(got.correlationData?.equals(correlationData)).toBe(true);
  },
);

specTest(
  {
    section: '3.3.2.3.7',
    rule: '500 user properties',
    unlike: { rabbitmq: 'sorts and deduplicates user properties' },
  },
  async (t) => {
    const topic = t.name();
    const reader = await t.subscriber(topic, 1);
    const user = Array.from({ length: 500 }, (_, index) => [`k${index % 7}`, `${index}`] as const);
    await (await t.connect()).publish(topic, 'x', { qos: 1, properties: { user } });
    expect((await reader.message()).properties.user).toEqual(user);
  },
);

specTest({ section: 'MQTT-3.3.2-5', rule: 'an expired message is not delivered' }, async (t) => {
  const topic = t.name();
  const reader = await t.subscriber(topic, 1, {
    manualAck: true,
    properties: { receiveMaximum: 1 },
  });
  const writer = await t.connect();
  await writer.publish(topic, 'blocks', { qos: 1 });
  await writer.publish(topic, 'expires', { qos: 1, properties: { messageExpiry: 1 } });
  await writer.publish(topic, 'stays', { qos: 1 });
  const first = await reader.message();
  await pause(2_200);
  reader.ack(PUBACK, first.packetId);
  expect((await reader.message()).payload.toString()).toBe('stays');
});

specTest({ section: '3.3.2.3.3', rule: 'expiry 0 is legal' }, async (t) => {
  const answer = await (await t.connect()).publish(t.name(), 'x', {
    qos: 1,
    properties: { messageExpiry: 0 },
  });
  expect([0, 0x10]).toContain(answer?.code);
});

specTest({ section: '4.10', rule: 'request and response' }, async (t) => {
  const requests = t.name('req');
  const answers = t.name('ans');
  const server = await t.subscriber(requests, 1);
  const client = await t.subscriber(answers, 1);
  await client.publish(requests, '2+2', {
    qos: 1,
    properties: { responseTopic: answers, correlationData: Buffer.from('id-1') },
  });
  const { properties } = await server.message();
  await server.publish(properties.responseTopic!, '4', {
    qos: 1,
    properties: { correlationData: properties.correlationData! },
  });
  const answer = await client.message();
  expect(answer.payload.toString()).toBe('4');
  expect(answer.properties.correlationData?.toString()).toBe('id-1');
});

specTest(
  { section: 'MQTT-3.1.2-29', rule: 'without problem information acks bring no reason strings' },
  async (t) => {
    const client = await t.connect({ properties: { requestProblem: 0 } });
    const answer = await client.publish(t.name(), 'x', { qos: 1 });
    expect(answer?.properties).toEqual({});
    const suback = await client.subscribe('$share//bad/filter').catch(() => undefined);
    if (suback !== undefined) expect(suback.properties).toEqual({});
  },
);

specTest(
  { section: 'MQTT-3.1.2-25', rule: "a packet above the client's maximum is dropped" },
  async (t) => {
    const topic = t.name();
    const reader = await t.subscriber(topic, 1, { properties: { maximumPacketSize: 200 } });
    const writer = await t.connect();
    await writer.publish(topic, 'x'.repeat(500), { qos: 1 });
    await writer.publish(topic, 'small', { qos: 1 });
    expect((await reader.message()).payload.toString()).toBe('small');
    await reader.silent(100);
  },
);

specTest(
  { section: '3.1.2.11.4', rule: 'maximum packet size 0 is a protocol error' },
  async (t) => {
    const client = await t.attempt({ properties: { maximumPacketSize: 0 } });
    expect([0x81, 0x82]).toContain(client.connack.code);
    await client.closed();
  },
);

specTest(
  { section: '2.2.2.2', rule: 'user properties on every packet are accepted' },
  async (t) => {
    const user = [['k', 'v']] as const;
    const topic = t.name();
    const client = await t.connect({ properties: { user } });
    await client.subscribe(topic, 1, { user });
    await client.publish(topic, 'x', { qos: 1, properties: { user } });
    await client.message();
    client.manualAck = true;
    client.write(publishPacket({ topic, payload: 'y', qos: 1, packetId: 500 }));
    const message = await client.message().catch(async () => await client.message());
    client.ack(PUBACK, message.packetId, 0, { user, reason: 'thank you' });
    await client.reply(PUBACK, 500);
    await client.sync();
    await client.disconnect(0, { user, reason: 'done' });
  },
);

specTest(
  {
    section: '3.1.2.11.6',
    rule: 'response information comes only when asked for',
  },
  async (t) => {
    const silent = await t.connect({ properties: { requestResponse: 0 } });
    expect(silent.connack.properties.responseInformation).toBeUndefined();
    const asking = await t.connect({ properties: { requestResponse: 1 } });
    const prefix = asking.connack.properties.responseInformation;
    if (peer === undefined && prefix !== undefined) expect(prefix.length).toBeGreaterThan(0);
  },
);
