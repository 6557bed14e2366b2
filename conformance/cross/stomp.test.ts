/** STOMP beside AMQP and MQTT: all directions, properties, questions and answers, one limit. */
import { once } from 'node:events';
import amqp from 'amqplib';
import { afterAll, afterEach, expect } from 'vitest';
import { useCross } from '../support/cross-test.ts';
import { writeDefinitions } from '../support/definitions.ts';
import { VERSIONS } from '../support/mqtt-test.ts';
import { StompPeer } from '../support/stomp-reader.ts';

const all = { vhost: '/', configure: '.*', write: '.*', read: '.*' };
const definitions = writeDefinitions({
  users: [{ name: 'few', password: 'few', tags: '', limits: { 'max-connections': 2 } }],
  permissions: [{ user: 'few', ...all }],
});
const { crossTest, server } = useCross({ args: ['--load-definitions', definitions.file] });
const peers: StompPeer[] = [];
const needsServer = true;

afterAll(() => definitions.dispose());

afterEach(async () => {
  for (const peer of peers.splice(0)) await peer.close();
});

async function stomp(login = 'guest', passcode = login): Promise<StompPeer> {
  const url = `ws://127.0.0.1:${server().port('http')}/ws/stomp`;
  const peer = await StompPeer.connect(url, login, passcode);
  peers.push(peer);
  return peer;
}

for (const version of VERSIONS) {
  crossTest(
    { section: 'topics', rule: `${version}: STOMP to AMQP and MQTT`, needsServer },
    async (t) => {
      const own = t.name();
      const reader = await t.bound(await t.channel(), `${own}.#`);
      const device = await t.subscriber(`${own}/+/temp`, 1, { version });
      const sender = await stomp();
      await sender.send(`/topic/${own}.kitchen.temp`, '21', { persistent: 'true' });
      await sender.send(`/exchange/amq.topic/${own}.cellar.temp`, '12');
      const [first, second] = await device.messages(2);
      expect(first).toMatchObject({ topic: `${own}/kitchen/temp`, qos: 1, retain: false });
      expect(second).toMatchObject({ topic: `${own}/cellar/temp`, qos: 0 });
      expect((await reader.next()).fields.routingKey).toBe(`${own}.kitchen.temp`);
      expect((await reader.next()).content.toString()).toBe('12');
    },
  );

  crossTest(
    { section: 'topics', rule: `${version}: MQTT to AMQP and STOMP`, needsServer },
    async (t) => {
      const own = t.name();
      const reader = await t.bound(await t.channel(), `${own}.#`);
      const page = await (await stomp()).subscribe(`/topic/${own}.*.temp`);
      const device = await t.connect({ version });
      for (const qos of [0, 1, 2]) await device.publish(`${own}/r${qos}/temp`, `${qos}`, { qos });
      await device.publish(`${own}/r/humidity`, 'no', { qos: 1 });
      for (const qos of [0, 1, 2]) {
        const message = await page.next();
        expect(message.body).toBe(`${qos}`);
        expect(message.headers['destination']).toBe(`/topic/${own}.r${qos}.temp`);
        expect(message.headers['persistent']).toBe(qos === 0 ? undefined : 'true');
        expect((await reader.next()).content.toString()).toBe(`${qos}`);
      }
      expect(page.unread).toBe(0);
    },
  );

  crossTest(
    { section: 'topics', rule: `${version}: AMQP to MQTT and STOMP`, needsServer },
    async (t) => {
      const own = t.name();
      const page = await (await stomp()).subscribe(`/topic/${own}.#`);
      const device = await t.subscriber(`${own}/#`, 1, { version });
      const channel = await t.channel();
      channel.publish('amq.topic', `${own}.a.b`, Buffer.from('x'), { persistent: true });
      expect((await page.next()).body).toBe('x');
      expect(await device.message()).toMatchObject({ topic: `${own}/a/b`, qos: 1 });
    },
  );
}

crossTest(
  { section: 'topics', rule: 'a slash in a word is a dot in a level, and back', needsServer },
  async (t) => {
    const own = t.name();
    const peer = await stomp();
    const page = await peer.subscribe(`/topic/${own}.#`);
    const device = await t.subscriber(`${own}/#`);
    await device.publish(`${own}/room.1/temp`, 'up', { qos: 1 });
    const up = await page.next();
    expect((await device.message()).topic).toBe(`${own}/room.1/temp`);
    await peer.send(up.headers['destination']!, 'down');
    const down = await device.message();
    expect(down.topic).toBe(`${own}/room.1/temp`);
    expect(down.payload.toString()).toBe('down');
  },
);

crossTest(
  { section: 'properties', rule: 'STOMP headers in AMQP and MQTT', needsServer },
  async (t) => {
    const own = t.name();
    const reader = await t.bound(await t.channel(), own);
    const device = await t.subscriber(own, 1);
    await (await stomp()).send(`/topic/${own}`, '{"ä":1}', {
      'content-type': 'application/json',
      'correlation-id': 'order-7',
      expiration: '90000',
      persistent: 'true',
      colour: 'blue',
    });
    const { properties } = await device.message();
    expect(properties).toMatchObject({ contentType: 'application/json' });
    expect(properties.correlationData?.toString()).toBe('order-7');
    expect(properties.messageExpiry).toBeGreaterThan(80);
    expect(Object.fromEntries(properties.user ?? [])).toMatchObject({ colour: 'blue' });
    const message = await reader.next();
    expect(message.content.toString()).toBe('{"ä":1}');
    expect(message.properties).toMatchObject({
      contentType: 'application/json',
      correlationId: 'order-7',
      deliveryMode: 2,
    });
    expect(message.properties.headers).toMatchObject({ colour: 'blue' });
  },
);

crossTest({ section: 'properties', rule: 'MQTT 5 properties in STOMP', needsServer }, async (t) => {
  const own = t.name();
  const page = await (await stomp()).subscribe(`/topic/${own}`);
  const device = await t.connect();
  const user = [
    ['a', '1'],
    ['note', 'two:\nlines'],
  ] as const;
  const properties = {
    contentType: 'text/plain',
    correlationData: Buffer.from('c-1'),
    payloadFormat: 1,
    messageExpiry: 60,
    user,
  };
  await device.publish(own, 'ü', { qos: 1, properties });
  const { headers, body } = await page.next();
  expect(body).toBe('ü');
  expect(headers).toMatchObject({
    'content-type': 'text/plain',
    'correlation-id': 'c-1',
    'content-encoding': 'utf-8',
    expiration: '60000',
    a: '1',
    note: 'two:\nlines',
  });
});

crossTest({ section: 'properties', rule: 'bytes stay bytes', needsServer }, async (t) => {
  const own = t.name();
  const bytes = Buffer.from(Array.from({ length: 512 }, (_, at) => at & 0xff));
  const peer = await stomp();
  const page = await peer.subscribe(`/topic/${own}`);
  const device = await t.subscriber(own, 2);
  const reader = await t.bound(await t.channel(), own);
  await device.publish(own, bytes, { qos: 2 });
  await peer.send(`/topic/${own}`, new Uint8Array(bytes));
  for (let count = 0; count < 2; count += 1) {
    expect(Buffer.from((await page.next()).binaryBody).equals(bytes)).toBe(true);
    expect((await device.message()).payload.equals(bytes)).toBe(true);
    expect((await reader.next()).content.equals(bytes)).toBe(true);
  }
});

crossTest(
  { section: 'queues', rule: 'one work queue for STOMP, AMQP and MQTT', needsServer },
  async (t) => {
    const queue = t.name('jobs');
    const peer = await stomp();
    const page = await peer.subscribe(`/queue/${queue}`, { ack: 'client-individual' });
    const channel = await t.confirmChannel();
    channel.sendToQueue(queue, Buffer.from('from AMQP'), { persistent: true });
    await channel.waitForConfirms();
    const first = await page.next();
    expect(first.body).toBe('from AMQP');
    first.ack();
    await (await t.connect()).publish(`$queue/${queue}`, 'from MQTT', { qos: 1 });
    const second = await page.next();
    expect(second.body).toBe('from MQTT');
    second.ack();
    await peer.close();
    await (await stomp()).send(`/queue/${queue}`, 'from STOMP', { persistent: 'true' });
    const reader = await t.consume(channel, queue);
    expect((await reader.next()).content.toString()).toBe('from STOMP');
    await channel.deleteQueue(queue);
  },
);

crossTest({ section: 'requests', rule: 'STOMP asks, MQTT answers', needsServer }, async (t) => {
  const own = t.name();
  const responder = await t.subscriber(`${own}/ask`, 1);
  const peer = await stomp();
  const answers = peer.unsubscribed();
  await peer.send(`/topic/${own}.ask`, 'why?', {
    'reply-to': '/temp-queue/answers',
    'correlation-id': 'q1',
  });
  const { properties } = await responder.message();
  expect(properties.responseTopic).toMatch(/^\$queue\//);
  const { correlationData } = properties;
  await responder.publish(properties.responseTopic!, 'because', {
    qos: 1,
    properties: { correlationData: correlationData! },
  });
  const answer = await answers.next();
  expect(answer.body).toBe('because');
  expect(answer.headers).toMatchObject({
    subscription: '/temp-queue/answers',
    'correlation-id': 'q1',
  });
});

crossTest({ section: 'requests', rule: 'MQTT asks, STOMP answers', needsServer }, async (t) => {
  const own = t.name();
  const peer = await stomp();
  const questions = await peer.subscribe(`/topic/${own}.ask`);
  const client = await t.subscriber(`${own}/answers/+`, 1);
  await client.publish(`${own}/ask`, 'why?', {
    qos: 1,
    properties: { responseTopic: `${own}/answers/7`, correlationData: Buffer.from('q2') },
  });
  const { headers } = await questions.next();
  const key = headers['x-reply-to-topic'];
  expect(key).toBe(`${own}.answers.7`);
  const correlation = { 'correlation-id': headers['correlation-id']!, persistent: 'true' };
  await peer.send(`/topic/${key}`, 'because', correlation);
  const answer = await client.message();
  expect(answer).toMatchObject({ topic: `${own}/answers/7`, qos: 1 });
  expect(answer.payload.toString()).toBe('because');
  expect(answer.properties.correlationData?.toString()).toBe('q2');
});

crossTest(
  { section: 'requests', rule: 'STOMP and AMQP ask each other', needsServer },
  async (t) => {
    const own = t.name();
    const channel = await t.channel();
    const peer = await stomp();
    const answers = peer.unsubscribed();
    const questions = await t.bound(channel, `${own}.ask`);
    await peer.send(`/topic/${own}.ask`, '1', { 'reply-to': '/temp-queue/a' });
    const { replyTo } = (await questions.next()).properties;
    channel.sendToQueue(replyTo as string, Buffer.from('one'));
    expect((await answers.next()).body).toBe('one');

    const page = await peer.subscribe(`/topic/${own}.other`);
    const { queue } = await channel.assertQueue('', { exclusive: true });
    const reader = await t.consume(channel, queue);
    channel.publish('amq.topic', `${own}.other`, Buffer.from('2'), { replyTo: queue });
    const destination = (await page.next()).headers['reply-to']!;
    expect(destination).toBe(`/reply-queue/${queue}`);
    await peer.send(destination, 'two');
    expect((await reader.next()).content.toString()).toBe('two');
  },
);

crossTest(
  { section: 'sessions', rule: 'an absent device gets what STOMP sent', needsServer },
  async (t) => {
    const own = t.name();
    const session = { clientId: t.name('c'), cleanStart: false, properties: { sessionExpiry: 60 } };
    await (await t.subscriber(own, 1, session)).disconnect();
    await (await stomp()).send(`/topic/${own}`, 'kept', { persistent: 'true' });
    const back = await t.connect(session);
    expect(back.connack.sessionPresent).toBe(true);
    expect((await back.message()).payload.toString()).toBe('kept');
  },
);

crossTest(
  { section: 'limits', rule: 'connections of a user count over all protocols', needsServer },
  async (t) => {
    const few = { user: 'few', password: 'few' };
    const device = await t.connect(few);
    const peer = await stomp('few');
    const url = server().url.replace('guest:guest', 'few:few');
    await expect(amqp.connect(url)).rejects.toThrow();
    await expect(stomp('few')).rejects.toThrow(/connection limit/);
    expect((await t.attempt(few)).connack.code).toBe(0x97);
    await device.disconnect();
    const connection = await amqp.connect(url);
    expect((await t.attempt(few)).connack.code).toBe(0x97);
    await peer.close();
    // The server may be a moment behind its client.
    await expect.poll(async () => (await t.attempt(few)).connack.code).toBe(0);
    const closed = once(connection, 'close');
    await connection.close();
    await closed;
  },
);
