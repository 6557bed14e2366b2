import { expect } from 'vitest';
import { useMqtt, VERSIONS } from '../support/mqtt-test.ts';
import { connectPacket, type Will } from '../support/mqtt-wire.ts';

const { specTest, server } = useMqtt();

for (const version of VERSIONS) {
  const wills = (topic: string): Will => ({
    topic,
    payload: 'gone',
    qos: 1,
  });

  specTest(
    { section: 'MQTT-3.1.2-8', rule: `${version}: published when the socket drops` },
    async (t) => {
      const topic = t.name();
      const reader = await t.subscriber(topic, 1, { version });
      const client = await t.connect({ version, will: wills(topic) });
      await client.drop();
      const message = await reader.message();
      expect(message).toMatchObject({ topic, qos: 1, retain: false });
      expect(message.payload.toString()).toBe('gone');
    },
  );

  specTest({ section: 'MQTT-3.1.2-10', rule: `${version}: not after DISCONNECT` }, async (t) => {
    const topic = t.name();
    const reader = await t.subscriber(topic, 1, { version });
    await (await t.connect({ version, will: wills(topic) })).disconnect();
    await reader.silent();
  });

  specTest({ section: '3.1.2.5', rule: `${version}: after a protocol error` }, async (t) => {
    const topic = t.name();
    const reader = await t.subscriber(topic, 1, { version });
    const client = await t.connect({ version, will: wills(topic) });
    client.write(Buffer.from([0x00, 0x00]));
    await client.closed();
    await reader.message();
  });

  specTest({ section: '3.1.2.5', rule: `${version}: when the keep alive runs out` }, async (t) => {
    const topic = t.name();
    const reader = await t.subscriber(topic, 1, { version });
    await t.connect({ version, will: wills(topic), keepAlive: 1 });
    await reader.message();
  });

  specTest(
    { section: '3.1.4', rule: `${version}: when another takes the client id` },
    async (t) => {
      const topic = t.name();
      const clientId = t.name('c');
      const reader = await t.subscriber(topic, 1, { version });
      await t.connect({ version, clientId, will: wills(topic) });
      await t.connect({ version, clientId });
      await reader.message();
    },
  );

  specTest({ section: 'MQTT-3.1.2-15', rule: `${version}: with RETAIN it is kept` }, async (t) => {
    const topic = t.name();
    const writer = await t.connect({ version });
    const client = await t.connect({ version, will: { ...wills(topic), retain: true } });
    const present = await t.subscriber(topic, 1, { version });
    await client.drop();
    await present.message();
    const late = await t.subscriber(topic, 1, { version });
    expect((await late.message()).retain).toBe(true);
    await writer.publish(topic, '', { retain: true, qos: 1 });
  });

  specTest(
    { section: '3.1.2.5', rule: `${version}: QoS 0 and 2, an empty payload, 60 kB` },
    async (t) => {
      const topic = t.name();
      const reader = await t.subscriber(topic, 2, { version });
      const payloads = ['', 'x'.repeat(60_000), '\0\x01'];
      for (const qos of [0, 1]) {
        for (const payload of payloads) {
          const client = await t.connect({ version, will: { topic, payload, qos } });
          await client.drop();
          const message = await reader.message();
          expect(message.payload.toString()).toBe(payload);
          expect(message.qos).toBe(qos);
        }
      }
    },
  );

  specTest(
    { section: '3.1.3.3', rule: `${version}: a will topic with wildcards is refused` },
    async (t) => {
      const client = await t.dial(version);
      client.write(connectPacket({ version, clientId: t.name('c'), will: wills('a/#') }));
      await client.closed();
      expect(client.unread.every(({ code }) => code !== 0)).toBe(true);
    },
  );
}

specTest({ section: '3.14.2.1', rule: 'DISCONNECT 0x04 publishes it' }, async (t) => {
  const topic = t.name();
  const reader = await t.subscriber(topic, 1);
  const client = await t.connect({ will: { topic, payload: 'w', qos: 1 } });
  await client.disconnect(0x04);
  await reader.message();
});

specTest({ section: '3.1.3.2', rule: 'its properties come with it' }, async (t) => {
  const topic = t.name();
  const reader = await t.subscriber(topic, 1);
  const client = await t.connect({
    will: {
      topic,
      payload: 'w',
      qos: 1,
      properties: {
        contentType: 'text/plain',
        payloadFormat: 1,
        responseTopic: 'r',
        correlationData: Buffer.from('c'),
        messageExpiry: 100,
        user: [
          ['k', 'v'],
          ['k', 'w'],
        ],
      },
    },
  });
  await client.drop();
  const { properties } = await reader.message();
  expect(properties).toMatchObject({
    contentType: 'text/plain',
    payloadFormat: 1,
    responseTopic: 'r',
    user: [
      ['k', 'v'],
      ['k', 'w'],
    ],
  });
  expect(properties.correlationData?.toString()).toBe('c');
  expect(properties.messageExpiry).toBeGreaterThan(90);
});

const delayed = (topic: string): Will => ({
  topic,
  payload: 'w',
  qos: 1,
  properties: { willDelay: 8 },
});

specTest({ section: '3.1.3.2.2', rule: 'the delay passes first' }, async (t) => {
  const topic = t.name();
  const reader = await t.subscriber(topic, 1);
  const will = delayed(topic);
  const client = await t.connect({ will, properties: { sessionExpiry: 60 } });
  await client.drop();
  await reader.silent(1_000);
  await reader.message();
});

specTest({ section: 'MQTT-3.1.3-9', rule: 'coming back in time cancels it' }, async (t) => {
  const topic = t.name();
  const clientId = t.name('c');
  const reader = await t.subscriber(topic, 1);
  const will = delayed(topic);
  const properties = { sessionExpiry: 60 };
  await (await t.connect({ clientId, will, properties })).drop();
  const back = await t.connect({ clientId, cleanStart: false, properties });
  expect(back.connack.sessionPresent).toBe(true);
  await reader.silent(9_000);
});

specTest({ section: '3.1.3.2.2', rule: 'the end of the session brings it at once' }, async (t) => {
  const topic = t.name();
  const reader = await t.subscriber(topic, 1);
  const will = { topic, payload: 'w', qos: 1, properties: { willDelay: 60 } };
  await (await t.connect({ will, properties: { sessionExpiry: 1 } })).drop();
  await reader.message();
});

specTest(
  {
    section: '3.1.2.5',
    rule: 'a clean start ends the session and brings it',
    unlike: { mosquitto: 'forgets it' },
  },
  async (t) => {
    const topic = t.name();
    const clientId = t.name('c');
    const reader = await t.subscriber(topic, 1);
    const will = { topic, payload: 'w', qos: 1, properties: { willDelay: 60 } };
    await (await t.connect({ clientId, will, properties: { sessionExpiry: 60 } })).drop();
    await reader.silent(200);
    await t.connect({ clientId, cleanStart: true });
    await reader.message();
  },
);

specTest(
  { section: '3.1.2.5', rule: 'a will of a stopped server is published', needsServer: true },
  async (t) => {
    const topic = t.name();
    const clientId = t.name('c');
    const keep = { clientId, cleanStart: false, properties: { sessionExpiry: 300 } };
    await (await t.subscriber(topic, 1, keep)).disconnect();
    const will = { topic, payload: 'w', qos: 1, properties: { willDelay: 2 } };
    await (await t.connect({ will, properties: { sessionExpiry: 60 } })).drop();
    await server().kill();
    await server().restart();
    const back = await t.connect(keep);
    expect((await back.message()).payload.toString()).toBe('w');
  },
);
