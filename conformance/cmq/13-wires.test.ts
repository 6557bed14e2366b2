/** Reference 4: one message, every wire. Queues and topics of CMQ seen by AMQP and MQTT clients. */
import amqp, { type ChannelModel, type ConfirmChannel } from 'amqplib';
import { connectAsync, type MqttClient } from 'mqtt';
import { afterEach, describe, expect, test } from 'vitest';
import {
  eventually,
  expectCode,
  makeQueue,
  mqttAddress,
  now,
  pause,
  unique,
  useCmq,
} from '../support/cmq-test.ts';

const { client, server } = useCmq();
const connections: ChannelModel[] = [];
const devices: MqttClient[] = [];

afterEach(async () => {
  for (const device of devices.splice(0)) await device.endAsync(true);
  for (const connection of connections.splice(0)) await connection.close();
});

async function amqpChannel(): Promise<ConfirmChannel> {
  const connection = await amqp.connect(server().url);
  connections.push(connection);
  return await connection.createConfirmChannel();
}

async function device(): Promise<MqttClient> {
  const connected = await connectAsync(mqttAddress(server()), {
    protocolVersion: 5,
    clientId: unique('device'),
    reconnectPeriod: 0,
  });
  devices.push(connected);
  return connected;
}

describe('queues', () => {
  test('AMQP sees a CMQ queue with the same counts', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    await cmq.ok('BatchSendMessage', { queueName, msgBody: ['a', 'b', 'c'] });
    const channel = await amqpChannel();
    expect(await channel.checkQueue(queueName)).toMatchObject({
      messageCount: 3,
      consumerCount: 0,
    });
    await cmq.receive(queueName);
    expect((await channel.checkQueue(queueName)).messageCount).toBe(2);
    expect((await cmq.counters(queueName)).active).toBe(2);
  });

  test('AMQP gets what HTTP sent, and HTTP gets what AMQP published', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    const channel = await amqpChannel();
    const before = now();
    const msgId = await cmq.send(queueName, 'from HTTP');
    const got = await channel.get(queueName);
    if (got === false) throw new Error('AMQP found nothing');
    expect(got.content.toString()).toBe('from HTTP');
    channel.ack(got);
    channel.sendToQueue(queueName, Buffer.from('from AMQP'), { persistent: true });
    await channel.waitForConfirms();
    const received = await cmq.receive(queueName, 30);
    expect(received.msgBody).toBe('from AMQP');
    expect(received.msgId).toMatch(/^\d+$/);
    expect(received.msgId).not.toBe(msgId);
    expect(received.enqueueTime).toBeGreaterThanOrEqual(before);
    await cmq.remove(queueName, received);
    expect((await channel.checkQueue(queueName)).messageCount).toBe(0);
  });

  test('a receive count and an enqueue time travel to AMQP in headers', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    const msgId = await cmq.send(queueName, 'x');
    const { receiptHandle } = await cmq.receive(queueName);
    await cmq.ok('ChangeMessageVisibility', { queueName, receiptHandle, visibilityTimeout: 0 });
    const channel = await amqpChannel();
    const got = await channel.get(queueName);
    if (got === false) throw new Error('AMQP found nothing');
    expect(got.fields.redelivered).toBe(true);
    const headers = got.properties.headers ?? {};
    expect(headers['x-delivery-count']).toBe(1);
    expect(headers['x-msg-id']).toBe(msgId);
    expect(JSON.stringify(headers)).toContain(String(now()).slice(0, 8));
  });

  test('bytes that are no UTF-8 come over HTTP as base64 with a mark', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    const channel = await amqpChannel();
    const bytes = Buffer.from([0, 1, 254, 255]);
    channel.sendToQueue(queueName, bytes);
    await channel.waitForConfirms();
    const reply = await cmq.ok('ReceiveMessage', { queueName, pollingWaitSeconds: 2 });
    expect(reply['bodyEncoding']).toBe('base64');
    expect(Buffer.from(reply.msgBody, 'base64').equals(bytes)).toBe(true);
  });

  test('a durable queue of AMQP is usable over CMQ, of any name', async () => {
    const cmq = client();
    const channel = await amqpChannel();
    const queueName = `${unique('amqp')}.with.dots`;
    await channel.assertQueue(queueName, { durable: true });
    await cmq.send(queueName, 'x');
    const got = await cmq.receive(queueName);
    expect(got.nextVisibleTime - got.firstDequeueTime).toBe(30);
    await cmq.remove(queueName, got);
    expect((await channel.checkQueue(queueName)).messageCount).toBe(0);
  });

  test('an exclusive queue of AMQP is not usable over CMQ', async () => {
    const channel = await amqpChannel();
    const { queue } = await channel.assertQueue('', { exclusive: true });
    expect((await client().call('SendMessage', { queueName: queue, msgBody: 'x' })).code).not.toBe(
      0,
    );
  });

  test('a queue of CMQ may be declared by AMQP again and stays what it is', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq, { visibilityTimeout: 77 });
    const channel = await amqpChannel();
    await channel.assertQueue(queueName, { durable: true });
    expect((await cmq.ok('GetQueueAttributes', { queueName }))['visibilityTimeout']).toBe(77);
  });

  test('a long poll and an AMQP consumer share a queue fairly', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    const channel = await amqpChannel();
    const poll = cmq.call('ReceiveMessage', { queueName, pollingWaitSeconds: 30 });
    await pause(3_000);
    const consumed: string[] = [];
    await channel.consume(queueName, (message) => {
      if (message === null) return;
      consumed.push(message.content.toString());
      channel.ack(message);
    });
    await cmq.send(queueName, 'one');
    expectCode(await poll, 0);
    await cmq.send(queueName, 'two');
    await eventually(async () => consumed.length === 1, 'AMQP has the other one');
    expect(consumed).toEqual(['two']);
  });

  test('a full queue nacks an AMQP publisher', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq, { maxMsgHeapNum: 1 });
    await cmq.send(queueName, 'x');
    const channel = await amqpChannel();
    const confirmed = new Promise<boolean>((resolve) => {
      channel.sendToQueue(queueName, Buffer.from('y'), {}, (error) => resolve(error === null));
    });
    expect(await confirmed).toBe(false);
  });

  test('an AMQP dead-letter exchange and a CMQ dead-letter queue are one thing', async () => {
    const cmq = client();
    const dead = await makeQueue(cmq);
    const binding = { deadLetterQueueName: dead, policy: 0, maxReceiveCount: 1 };
    const queueName = await makeQueue(cmq, { visibilityTimeout: 1, ...binding });
    await cmq.send(queueName, 'x');
    await cmq.receive(queueName);
    const channel = await amqpChannel();
    const letter = await eventually(async () => await channel.get(dead), 'a dead letter');
    if (letter === false) throw new Error('no letter');
    const headers = letter.properties.headers ?? {};
    expect(headers['x-death']).toMatchObject([{ queue: queueName, count: 1 }]);
    expect(headers['x-origin-queue']).toBe(queueName);
  });
});

describe('topics', () => {
  async function topicTo(filterType: 1 | 2, filter: object) {
    const cmq = client();
    const topicName = unique('t');
    await cmq.ok('CreateTopic', { topicName, filterType });
    const endpoint = await makeQueue(cmq);
    const subscriptionName = 'sub';
    const wanted = { topicName, subscriptionName, protocol: 'queue', endpoint };
    await cmq.ok('Subscribe', { ...wanted, ...filter });
    return { cmq, topicName, endpoint };
  }

  test('of type 1 are an exchange: AMQP publishes tags and binds queues by tags', async () => {
    const { cmq, topicName, endpoint } = await topicTo(1, { filterTag: ['red'] });
    const channel = await amqpChannel();
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, topicName, '', { 'x-tags': ['blue', 'red'] });
    channel.publish(topicName, '', Buffer.from('amqp red'), { headers: { 'x-msg-tag': ['red'] } });
    channel.publish(topicName, '', Buffer.from('amqp blue'), {
      headers: { 'x-msg-tag': ['blue'] },
    });
    await channel.waitForConfirms();
    await cmq.ok('PublishMessage', { topicName, msgBody: 'http red', msgTag: ['red', 'big'] });
    expect(await cmq.drain(endpoint)).toEqual(['amqp red', 'http red']);
    const got: unknown[] = [];
    for (let at = 0; at < 3; at += 1) {
      const message = await channel.get(queue, { noAck: true });
      if (message !== false) got.push(message.content.toString());
      if (at === 2 && message !== false) {
        expect(message.properties.headers?.['x-msg-tag']).toEqual(['red', 'big']);
      }
    }
    expect(got).toEqual(['amqp red', 'amqp blue', 'http red']);
  });

  test('of type 2 are a topic exchange', async () => {
    const { cmq, topicName, endpoint } = await topicTo(2, { bindingKey: ['order.*'] });
    const channel = await amqpChannel();
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, topicName, '#.paid');
    channel.publish(topicName, 'order.paid', Buffer.from('amqp'));
    await channel.waitForConfirms();
    await cmq.ok('PublishMessage', { topicName, msgBody: 'http', routingKey: 'order.sent' });
    await cmq.ok('PublishMessage', { topicName, msgBody: 'deep', routingKey: 'order.x.paid' });
    expect(await cmq.drain(endpoint)).toEqual(['amqp', 'http']);
    expect((await channel.checkQueue(queue)).messageCount).toBe(2);
  });

  test('are MQTT topics: devices publish to them and hear what is published', async () => {
    const { cmq, topicName, endpoint } = await topicTo(2, { bindingKey: ['#'] });
    const sensor = await device();
    const screen = await device();
    const heard: string[] = [];
    screen.on('message', (topic, payload) => heard.push(`${topic} ${payload.toString()}`));
    await screen.subscribeAsync(`${topicName}/#`, { qos: 1 });
    await sensor.publishAsync(`${topicName}/room/7`, 'warm', { qos: 1 });
    expect((await cmq.receive(endpoint, 30)).msgBody).toBe('warm');
    await cmq.ok('PublishMessage', { topicName, msgBody: 'cold', routingKey: 'room.8' });
    await eventually(async () => heard.length === 2, 'the screen hears both');
    await pause(200);
    expect(heard).toEqual([`${topicName}/room/7 warm`, `${topicName}/room/8 cold`]);
    expect(await cmq.drain(endpoint)).toEqual(['cold']);
  });

  test('of type 1 take MQTT publishes on their name', async () => {
    const { cmq, topicName, endpoint } = await topicTo(1, {});
    const sensor = await device();
    await sensor.publishAsync(topicName, 'from a device', { qos: 1 });
    expect((await cmq.receive(endpoint, 30)).msgBody).toBe('from a device');
  });

  test('AMQP mandatory returns what nobody subscribes to', async () => {
    const cmq = client();
    const topicName = unique('t');
    await cmq.ok('CreateTopic', { topicName });
    const channel = await amqpChannel();
    const returned = new Promise<number>((resolve) => {
      channel.on('return', (message: { fields: { replyCode: number } }) =>
        resolve(message.fields.replyCode),
      );
    });
    channel.publish(topicName, '', Buffer.from('x'), { mandatory: true });
    await channel.waitForConfirms();
    expect(await returned).toBe(312);
  });
});
