/**
 * S15, multi-device interconnection: any part may send and receive, over any protocol; there is one
 * state per message and every counter moves exactly.
 */
import amqp, { type ChannelModel } from 'amqplib';
import { connectAsync, type MqttClient } from 'mqtt';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CmqClient } from '../../support/cmq-client.ts';
import {
  eventually,
  expectCode,
  makeQueue,
  mqttAddress,
  now,
  timed,
  unique,
  useCmq,
} from '../../support/cmq-test.ts';

const { client, server } = useCmq();
/** Longer than a disk may stall: what is delayed is to be seen delayed. */
const DELAY_SECONDS = 8;
let cmq: CmqClient;
let connection: ChannelModel;
let device: MqttClient;

beforeAll(async () => {
  cmq = client();
  connection = await amqp.connect(server().url);
  device = await connectAsync(mqttAddress(server()), {
    protocolVersion: 5,
    reconnectPeriod: 0,
  });
});

afterAll(async () => {
  await device?.endAsync(true);
  await connection?.close();
});

/** A topic that a device publishes to, and the queue it fills. */
async function deviceQueue(attributes: object = {}) {
  const topicName = unique('devices');
  const queueName = await makeQueue(cmq, { ...attributes });
  await cmq.ok('CreateTopic', { topicName, filterType: 2 });
  const place = { topicName, subscriptionName: 's', protocol: 'queue', endpoint: queueName };
  await cmq.ok('Subscribe', { ...place, bindingKey: ['#'] });
  return { topicName, queueName };
}

const NOTHING = { active: 0, inactive: 0, delayed: 0, rewindable: 0 };

test('one message through MQTT, HTTP and AMQP, counted exactly at every step', async () => {
  const { topicName, queueName } = await deviceQueue({
    visibilityTimeout: 10,
    rewindSeconds: 600,
  });
  const channel = await connection.createChannel();
  const counters = () => cmq.counters(queueName);
  expect(await counters()).toEqual(NOTHING);

  await device.publishAsync(`${topicName}/sensor/1`, '21.5', { qos: 1 });
  expect(await counters()).toEqual({ ...NOTHING, active: 1 });

  const leased = await cmq.receive(queueName);
  expect(leased).toMatchObject({ msgBody: '21.5', dequeueCount: 1 });
  expect(await counters()).toEqual({ ...NOTHING, inactive: 1 });
  expect(await channel.get(queueName)).toBe(false);

  await eventually(async () => (await counters()).active === 1, 'the lease ends');
  expect(await counters()).toEqual({ ...NOTHING, active: 1 });
  const got = await channel.get(queueName);
  if (got === false) throw new Error('AMQP found nothing');
  expect(got.fields.redelivered).toBe(true);
  expect(got.content.toString()).toBe('21.5');
  expect(await counters()).toEqual({ ...NOTHING, inactive: 1 });
  const { receiptHandle } = leased;
  expectCode(await cmq.call('DeleteMessage', { queueName, receiptHandle }), 4430, 10260);

  channel.ack(got);
  await eventually(async () => (await counters()).inactive === 0, 'the ack is taken');
  expect(await counters()).toEqual({ ...NOTHING, rewindable: 1 });

  await cmq.ok('RewindQueue', { queueName, startConsumeTime: now() - 60 });
  expect(await counters()).toEqual({ ...NOTHING, active: 1 });
  const last = await cmq.receive(queueName);
  expect(last).toMatchObject({ msgId: leased.msgId, dequeueCount: 3 });
  await cmq.remove(queueName, last);
  expect(await counters()).toEqual({ ...NOTHING, rewindable: 1 });
  await channel.close();
});

test('a delayed message is nobody’s until it is due, then everybody’s', async () => {
  const queueName = await makeQueue(cmq);
  const channel = await connection.createChannel();
  await cmq.send(queueName, 'later', { delaySeconds: DELAY_SECONDS });
  expect(await cmq.counters(queueName)).toEqual({ ...NOTHING, delayed: 1 });
  expect(await channel.get(queueName)).toBe(false);
  expectCode(await cmq.call('ReceiveMessage', { queueName }), 7000);
  const delivered = new Promise<string>((resolve) => {
    const take = (message: amqp.ConsumeMessage | null): void => {
      if (message !== null) resolve(message.content.toString());
    };
    void channel.consume(queueName, take, { noAck: true });
  });
  expect(await delivered).toBe('later');
  expect(await cmq.counters(queueName)).toEqual(NOTHING);
  await channel.close();
});

test.each([
  ['of delays', 'x-delayed-message'],
  ['of any type', 'direct'],
])('1b: a delay that AMQP asked for at an exchange %s is that of CMQ', async (_what, type) => {
  const queueName = await makeQueue(cmq);
  const confirms = await connection.createConfirmChannel();
  const exchange = unique('late');
  const options = { arguments: type === 'direct' ? {} : { 'x-delayed-type': 'direct' } };
  await confirms.assertExchange(exchange, type, options);
  await confirms.bindQueue(queueName, exchange, 'k');
  const { ms, value: got } = await timed(async () => {
    const headers = { 'x-delay': DELAY_SECONDS * 1_000 };
    confirms.publish(exchange, 'k', Buffer.from('later'), { persistent: true, headers });
    await confirms.waitForConfirms();
    expect(await cmq.counters(queueName)).toMatchObject({ active: 0, inactive: 0 });
    return await cmq.receive(queueName, 30);
  });
  expect(got).toMatchObject({ msgBody: 'later', dequeueCount: 1 });
  expect(ms).toBeGreaterThanOrEqual(DELAY_SECONDS * 1_000 - 10);
  await confirms.deleteExchange(exchange);
  await confirms.close();
});

test('an AMQP consumer that rejects, requeues or dies moves the same counters', async () => {
  const queueName = await makeQueue(cmq, { visibilityTimeout: 40_000 });
  await cmq.ok('BatchSendMessage', { queueName, msgBody: ['a', 'b', 'c'] });
  const channel = await connection.createChannel();
  const take = async () => {
    const got = await channel.get(queueName);
    if (got === false) throw new Error('nothing there');
    return got;
  };
  const [a, b] = [await take(), await take()];
  expect(await cmq.counters(queueName)).toEqual({ ...NOTHING, active: 1, inactive: 2 });
  channel.nack(a, false, true);
  await eventually(async () => (await cmq.counters(queueName)).active === 2, 'a is back');
  channel.reject(b, false);
  await eventually(async () => (await cmq.counters(queueName)).inactive === 0, 'b is gone');
  expect(await cmq.counters(queueName)).toEqual({ ...NOTHING, active: 2 });
  await take();
  await channel.close();
  await eventually(async () => (await cmq.counters(queueName)).active === 2, 'given back');
  expect(await cmq.drain(queueName)).toEqual(['a', 'c']);
});

test('an answer of HTTP reaches the device that asked', async () => {
  const { topicName, queueName } = await deviceQueue();
  const answers: string[] = [];
  device.on('message', (topic, payload) => {
    if (topic.endsWith('/answer')) answers.push(payload.toString());
  });
  await device.subscribeAsync(`${topicName}/+/answer`, { qos: 1 });
  await device.publishAsync(`${topicName}/door/ask`, 'may I open?', { qos: 1 });
  const question = await cmq.receive(queueName, 30);
  expect(question.msgBody).toBe('may I open?');
  await cmq.remove(queueName, question);
  await cmq.ok('PublishMessage', { topicName, msgBody: 'yes', routingKey: 'door.answer' });
  await eventually(async () => answers.length === 1, 'the device is answered');
  expect(answers).toEqual(['yes']);
});
