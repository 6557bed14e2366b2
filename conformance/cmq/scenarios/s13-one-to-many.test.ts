/**
 * S9, S13, S14: one topic, many subscribers. The tag truth table of the reference, copies that live
 * on their own, and what becomes of messages that nobody wants.
 */
import amqp from 'amqplib';
import { expect, test } from 'vitest';
import { expectCode, makeQueue, unique, useCmq } from '../../support/cmq-test.ts';

const { client, server } = useCmq();
const PUBLISHES = 100;
const COUPON_DELAY_MS = 2_000;

async function makeTopic(filterType: 1 | 2 = 1): Promise<string> {
  const topicName = unique('t');
  await client().ok('CreateTopic', { topicName, filterType });
  return topicName;
}

async function subscribe(topicName: string, subscriptionName: string, more: object = {}) {
  const cmq = client();
  const endpoint = await makeQueue(cmq);
  const place = { topicName, subscriptionName, protocol: 'queue', endpoint };
  await cmq.ok('Subscribe', { ...place, notifyContentFormat: 'SIMPLIFIED', ...more });
  return endpoint;
}

test('S13: tags {apple, imac, iphone, macbook}: A, C and D get 100, B none', async () => {
  const cmq = client();
  const topicName = await makeTopic();
  const queues = {
    A: await subscribe(topicName, 'A', { filterTag: ['apple'] }),
    B: await subscribe(topicName, 'B', { filterTag: ['xiaomi'] }),
    C: await subscribe(topicName, 'C', { filterTag: ['imac', 'xiaomi'] }),
    D: await subscribe(topicName, 'D'),
  };
  const msgTag = ['apple', 'imac', 'iphone', 'macbook'];
  const bodies = Array.from({ length: PUBLISHES }, (_, at) => `${at}`);
  for (let at = 0; at < PUBLISHES; at += 10) {
    const msgBody = bodies.slice(at, at + 10);
    await cmq.ok('BatchPublishMessage', { topicName, msgBody, msgTag });
  }
  const counts: Record<string, number> = {};
  for (const [name, queueName] of Object.entries(queues)) {
    counts[name] = (await cmq.counters(queueName)).active;
  }
  expect(counts).toEqual({ A: PUBLISHES, B: 0, C: PUBLISHES, D: PUBLISHES });
  for (const name of ['A', 'C', 'D'] as const) {
    expect(await cmq.drain(queues[name])).toEqual(bodies);
  }
});

test('S9: one publish is used by six subscribers, each in its own time and manner', async () => {
  const cmq = client();
  const connection = await amqp.connect(server().url);
  const channel = await connection.createChannel();
  const topicName = await makeTopic();
  const names = ['membership', 'gifts', 'coupons', 'erp', 'billing', 'statistics'];
  const queues = new Map<string, string>();
  for (const [at, name] of names.entries()) {
    const endpoint = unique();
    // Coupons are for later.
    if (name === 'coupons') {
      await channel.assertQueue(endpoint, { arguments: { 'x-message-delay': COUPON_DELAY_MS } });
    }
    await cmq.ok(name === 'coupons' ? 'SetQueueAttributes' : 'CreateQueue', {
      queueName: endpoint,
      msgRetentionSeconds: 3_600 * (at + 1),
      visibilityTimeout: 10 * at + 5,
      rewindSeconds: name === 'statistics' ? 600 : 0,
    });
    const place = { topicName, subscriptionName: name, protocol: 'queue', endpoint };
    await cmq.ok('Subscribe', place);
    queues.set(name, endpoint);
  }
  const publishedAtMs = Date.now();
  const { msgId } = await cmq.ok('PublishMessage', { topicName, msgBody: 'order 4711' });
  const queueOf = (name: string): string => queues.get(name)!;
  // One deletes it, one fails and gets it again, one has it and rewinds, the others never look.
  await cmq.remove(queueOf('billing'), await cmq.receive(queueOf('billing')));
  await cmq.receive(queueOf('membership'));
  expect(await cmq.receive(queueOf('membership'), 30)).toMatchObject({ msgId, dequeueCount: 2 });
  await cmq.drain(queueOf('statistics'));
  const startConsumeTime = Math.floor(Date.now() / 1000) - 60;
  await cmq.ok('RewindQueue', { queueName: queueOf('statistics'), startConsumeTime });
  expect(await cmq.receive(queueOf('statistics'))).toMatchObject({ msgId, msgBody: 'order 4711' });
  expect(await cmq.receive(queueOf('coupons'), 30)).toMatchObject({ msgId, dequeueCount: 1 });
  expect(Date.now() - publishedAtMs).toBeGreaterThanOrEqual(COUPON_DELAY_MS);
  for (const name of ['gifts', 'erp']) {
    expect(await cmq.counters(queueOf(name))).toMatchObject({ active: 1, inactive: 0 });
    expect(await cmq.receive(queueOf(name))).toMatchObject({ msgId, dequeueCount: 1 });
  }
  await connection.close();
});

test('S14: what cannot be routed is told, in the words of each protocol', async () => {
  const cmq = client();
  const topicName = await makeTopic(2);
  const publish = (routingKey: string) =>
    cmq.call('PublishMessage', { topicName, msgBody: 'x', routingKey });
  expectCode(await publish('a'), 6030, 10650);
  await subscribe(topicName, 's', { bindingKey: ['b'] });
  expectCode(await publish('a'), 6030, 10730);
  expectCode(await publish('b'), 0);
  const connection = await amqp.connect(server().url);
  const channel = await connection.createConfirmChannel();
  const returned = new Promise<{ replyCode: number }>((resolve) => {
    channel.on('return', (message: { fields: { replyCode: number } }) => resolve(message.fields));
  });
  channel.publish(topicName, 'a', Buffer.from('x'), { mandatory: true });
  await channel.waitForConfirms();
  expect((await returned).replyCode).toBe(312);
  await connection.close();
});
