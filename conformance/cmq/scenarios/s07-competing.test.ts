/**
 * S7, S8: many producers and many consumers of different protocols on one queue. While a lease is
 * alive nobody else has the message; nothing is lost; what is handed out twice was first given back.
 */
import amqp, { type ChannelModel } from 'amqplib';
import { expect, test } from 'vitest';
import { eventually, expectCode, makeQueue, pause, useCmq } from '../../support/cmq-test.ts';

const MESSAGES = Number(process.env['CMQ_MESSAGES'] ?? 2_000);
const PRODUCERS = 20;
const CONSUMERS = 20;

const { client, server } = useCmq();

test('an active message has exactly one taker', async () => {
  const cmq = client();
  const queueName = await makeQueue(cmq, { visibilityTimeout: 60 });
  const taken = new Map<string, number>();
  const take = (body: string): void => {
    taken.set(body, (taken.get(body) ?? 0) + 1);
  };
  const connections: ChannelModel[] = [];
  let isDone = false;
  const pollers: Promise<void>[] = [];
  for (let at = 0; at < CONSUMERS; at += 1) {
    if (at % 2 === 0) {
      const connection = await amqp.connect(server().url);
      connections.push(connection);
      const channel = await connection.createChannel();
      await channel.prefetch(1 + at);
      await channel.consume(queueName, (message) => {
        if (message === null) return;
        take(message.content.toString());
        setImmediate(() => channel.ack(message));
      });
      continue;
    }
    pollers.push(
      (async () => {
        while (!isDone) {
          const wait = { queueName, numOfMsg: at % 16, pollingWaitSeconds: 1 };
          const reply = await cmq.call('BatchReceiveMessage', wait);
          if (reply.code === 7000) continue;
          expectCode(reply, 0);
          for (const { msgBody } of reply.msgInfoList) take(msgBody);
          const receiptHandle = reply.msgInfoList.map((message) => message.receiptHandle);
          await cmq.ok('BatchDeleteMessage', { queueName, receiptHandle });
        }
      })(),
    );
  }
  const share = Math.ceil(MESSAGES / PRODUCERS);
  const producers = Array.from({ length: PRODUCERS }, async (_, producer) => {
    const bodies = Array.from({ length: share }, (_one, at) => `${producer}-${at}`);
    if (producer % 2 === 0) {
      const channel = await connections[producer % connections.length]!.createConfirmChannel();
      for (const body of bodies) channel.sendToQueue(queueName, Buffer.from(body));
      await channel.waitForConfirms();
      return;
    }
    for (let at = 0; at < share; at += 16) {
      await cmq.ok('BatchSendMessage', { queueName, msgBody: bodies.slice(at, at + 16) });
    }
  });
  await Promise.all(producers);
  await eventually(async () => taken.size === share * PRODUCERS, 'all are taken', 20_000);
  await pause(200);
  isDone = true;
  await Promise.all(pollers);
  expect([...taken.values()].filter((times) => times !== 1)).toEqual([]);
  expect(await cmq.counters(queueName)).toMatchObject({ active: 0, inactive: 0 });
  for (const connection of connections) await connection.close();
}, 40_000);

test('S8: a send whose answer was lost and is sent again is two messages of one body', async () => {
  const cmq = client();
  const queueName = await makeQueue(cmq);
  const gone = new AbortController();
  const lost = cmq.call('SendMessage', { queueName, msgBody: 'pay' }, gone.signal);
  lost.catch(() => {});
  await eventually(async () => (await cmq.counters(queueName)).active === 1, 'it was taken');
  gone.abort();
  await cmq.send(queueName, 'pay');
  const [one, two] = [await cmq.receive(queueName), await cmq.receive(queueName)];
  expect([one.msgBody, two.msgBody]).toEqual(['pay', 'pay']);
  expect(one.msgId).not.toBe(two.msgId);
});

test('S8: a message whose deletion never arrived comes again', async () => {
  const cmq = client();
  const queueName = await makeQueue(cmq, { visibilityTimeout: 1 });
  const msgId = await cmq.send(queueName, 'x');
  await cmq.receive(queueName);
  expect(await cmq.receive(queueName, 3)).toMatchObject({ msgId, dequeueCount: 2 });
});

test('S1: a consumer that dies without an acknowledgement gives back, marked as redelivered', async () => {
  const cmq = client();
  const queueName = await makeQueue(cmq);
  await cmq.send(queueName, 'x');
  const connection = await amqp.connect(server().url);
  const channel = await connection.createChannel();
  const held = await channel.get(queueName);
  expect(held).not.toBe(false);
  expect(await cmq.counters(queueName)).toMatchObject({ active: 0, inactive: 1 });
  await connection.close();
  const again = await cmq.receive(queueName, 3);
  expect(again.msgBody).toBe('x');
  expect(again.dequeueCount).toBe(2);
});
