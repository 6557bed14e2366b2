/** What an operator may set, and what a publisher is told when there is no room. */
import amqp from 'amqplib';
import { describe, expect } from 'vitest';
import { MqttConnection } from '../support/mqtt-client.ts';
import { type MqttContext, pause, useMqtt } from '../support/mqtt-test.ts';
import { ServerProcess } from '../support/server-process.ts';

const REFERENCE = 'b.example:1883';
const NOT_UTF_8 = Buffer.from('c328', 'hex');

const needsServer = true;

describe('options', () => {
  const { specTest, server } = useMqtt({
    args: [
      ...['--mqtt-check-payload-format', 'true'],
      ...['--mqtt-response-information', 'answers/{username}/{client_id}'],
      ...['--mqtt-server-reference', REFERENCE],
    ],
  });

  specTest(
    { section: '3.2.2.3.15', rule: 'response information when asked for', needsServer },
    async (t) => {
      const clientId = `${t.name()}/ä`;
      const client = await t.connect({ clientId, properties: { requestResponse: 1 } });
      const encoded = encodeURIComponent(clientId);
      expect(client.connack.properties.responseInformation).toBe(`answers/guest/${encoded}`);
      const silent = await t.connect({ properties: { requestResponse: 0 } });
      expect(silent.connack.properties.responseInformation).toBeUndefined();
    },
  );

  specTest(
    { section: '3.3.2.3.2', rule: 'text that is none is refused: 0x99', needsServer },
    async (t) => {
      const client = await t.connect();
      const isText = { properties: { payloadFormat: 1 } };
      const topic = t.name();
      expect((await client.publish(topic, NOT_UTF_8, { ...isText, qos: 1 }))?.code).toBe(0x99);
      expect((await client.publish(topic, NOT_UTF_8, { ...isText, qos: 2 }))?.code).toBe(0x99);
      expect((await client.publish(topic, NOT_UTF_8, { qos: 1 }))?.code).not.toBe(0x99);
      await client.publish(topic, NOT_UTF_8, isText);
      expect((await client.closed())?.code).toBe(0x99);
      const will = { topic, payload: NOT_UTF_8, ...isText };
      expect((await t.attempt({ will })).connack.code).toBe(0x99);
    },
  );

  specTest({ section: '4.11', rule: 'a stop names the other server', needsServer }, async (t) => {
    const client = await t.connect();
    const old = await t.connect({ version: 4 });
    const stopped = server().stop();
    const goodbye = await client.closed();
    expect(goodbye).toMatchObject({ code: 0x9c, properties: { serverReference: REFERENCE } });
    expect(await old.closed()).toBeUndefined();
    await stopped;
    await server().restart();
  });
});

describe('the topic exchange', () => {
  const { specTest, server } = useMqtt({ args: ['--mqtt-exchange', 'devices'] });

  specTest(
    { section: 'mqtt-exchange', rule: 'another exchange, once it is there', needsServer },
    async (t) => {
      const topic = t.name();
      const client = await t.connect({ cleanStart: false, properties: { sessionExpiry: 60 } });
      const connection = await amqp.connect(server().url);
      const channel = await connection.createChannel();
      await channel.deleteExchange('devices');
      expect((await client.subscribe(`${topic}/+`, 1)).codes).toEqual([0x83]);
      await channel.assertExchange('devices', 'topic', { durable: true });
      const { queue } = await channel.assertQueue('', { exclusive: true });
      await channel.bindQueue(queue, 'devices', `${topic}.*`);
      expect((await client.subscribe(`${topic}/+`, 1)).codes).toEqual([1]);
      expect((await client.publish(`${topic}/a`, 'm', { qos: 1 }))?.code).toBe(0);
      expect((await client.message()).payload.toString()).toBe('m');
      const got = await channel.get(queue, { noAck: true });
      expect(got && got.fields.exchange).toBe('devices');
      channel.publish('amq.topic', `${topic}.a`, Buffer.from('no'));
      channel.publish('devices', `${topic}.a`, Buffer.from('yes'));
      expect((await client.message()).payload.toString()).toBe('yes');
      await connection.close();
    },
  );
});

describe('redirection', () => {
  for (const [redirect, code] of [
    ['temporary', 0x9c],
    ['permanent', 0x9d],
  ] as const) {
    describe(redirect, () => {
      const { specTest } = useMqtt({
        args: ['--mqtt-server-reference', REFERENCE, '--mqtt-redirect', redirect],
      });
      specTest(
        { section: '4.11', rule: `CONNECT is sent elsewhere: ${code}`, needsServer },
        async (t) => {
          const client = await t.attempt();
          expect(client.connack).toMatchObject({
            code,
            properties: { serverReference: REFERENCE },
          });
          await client.closed();
          expect((await t.attempt({ version: 4 })).connack.code).toBe(3);
        },
      );
    });
  }
});

describe('no room', () => {
  const { specTest, server } = useMqtt();

  specTest({ section: '4.13', rule: 'a queue that is full: 0x97', needsServer }, async (t) => {
    const topic = t.name();
    const connection = await amqp.connect(server().url);
    const channel = await connection.createChannel();
    const { queue } = await channel.assertQueue('', {
      exclusive: true,
      maxLength: 1,
      arguments: { 'x-overflow': 'reject-publish' },
    });
    await channel.bindQueue(queue, 'amq.topic', topic);
    const client = await t.connect();
    expect((await client.publish(topic, '1', { qos: 1 }))?.code).toBe(0);
    expect((await client.publish(topic, '2', { qos: 1 }))?.code).toBe(0x97);
    expect((await client.publish(topic, '3', { qos: 2 }))?.code).toBe(0x97);
    await channel.get(queue, { noAck: true });
    expect((await client.publish(topic, '4', { qos: 2 }))?.code).toBe(0);
    await connection.close();
  });

  specTest(
    { section: '4.13', rule: 'a disk alarm: 0x97, and consumers go on', needsServer },
    async (t) => {
      const low = await ServerProcess.start({
        args: ['--mqtt-port', '0', '--disk-free-limit', '900TB'],
      });
      try {
        await alarmed(t, `mqtt://guest:guest@127.0.0.1:${low.port('mqtt')}`);
      } finally {
        await low.dispose();
      }
    },
  );
});

async function alarmed(t: MqttContext, url: string): Promise<void> {
  const client = await MqttConnection.dial(url, 5);
  const old = await MqttConnection.dial(url, 4);
  try {
    await client.login(url, { clientId: t.name('c') });
    await client.subscribe('a', 1);
    expect((await client.publish('a', '1', { qos: 1, retain: true }))?.code).toBe(0x97);
    expect((await client.publish('a', '2', { qos: 2 }))?.code).toBe(0x97);
    await client.publish('a', '3');
    await client.sync();
    await client.silent(100);
    // A 3.1.1 client cannot be told: it is not read.
    await old.login(url, { clientId: t.name('c') });
    await old.publish('a', '4');
    await pause(100);
    await expect(old.sync(500)).rejects.toThrow(/PINGRESP/);
    expect(old.isClosed).toBe(false);
  } finally {
    client.destroy();
    old.destroy();
  }
}
