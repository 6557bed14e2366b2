/**
 * S16, diversity: queues with opposite settings side by side, and every setting changed while its
 * clients stay connected: the next operation follows it.
 */
import amqp from 'amqplib';
import { describe, expect, test } from 'vitest';
import {
  eventually,
  expectCode,
  makeQueue,
  now,
  pause,
  timed,
  useCmq,
} from '../../support/cmq-test.ts';

const { client, server } = useCmq();

describe.concurrent('queues with opposite settings', () => {
  test('do not influence each other', async () => {
    const cmq = client();
    const hasty = await makeQueue(cmq, {
      ...{ visibilityTimeout: 3, pollingWaitSeconds: 0, maxMsgSize: 1_024 },
      ...{ maxMsgHeapNum: 2, rewindSeconds: 0, msgRetentionSeconds: 60 },
    });
    const patient = await makeQueue(cmq, {
      ...{ visibilityTimeout: 43_200, pollingWaitSeconds: 1, maxMsgSize: 1_048_576 },
      ...{ maxMsgHeapNum: 1_000_000, rewindSeconds: 600, msgRetentionSeconds: 1_296_000 },
    });
    const long = 'x'.repeat(2_000);
    expectCode(await cmq.call('SendMessage', { queueName: hasty, msgBody: long }), 4400);
    await cmq.send(patient, long);
    await cmq.ok('BatchSendMessage', { queueName: hasty, msgBody: ['a', 'b'] });
    expectCode(await cmq.call('SendMessage', { queueName: hasty, msgBody: 'c' }), 4410);
    await cmq.ok('BatchSendMessage', { queueName: patient, msgBody: ['b', 'c'] });
    for (const queueName of [hasty, patient]) await cmq.receive(queueName);
    await eventually(async () => (await cmq.counters(hasty)).inactive === 0, 'the short lease');
    expect((await cmq.counters(patient)).inactive).toBe(1);
    await cmq.drain(hasty);
    await cmq.drain(patient);
    expect((await cmq.counters(hasty)).rewindable).toBe(0);
    expect((await cmq.counters(patient)).rewindable).toBe(2);
    const none = (queueName: string) => timed(() => cmq.call('ReceiveMessage', { queueName }));
    expect((await none(patient)).ms).toBeGreaterThan(990);
    await cmq.ok('SetQueueAttributes', { queueName: patient, pollingWaitSeconds: 30 });
    expect((await none(hasty)).ms).toBeLessThan(10_000);
  });
});

describe.concurrent('a change acts on the next operation', () => {
  const set = (queueName: string, attributes: object) =>
    client().ok('SetQueueAttributes', { queueName, ...attributes });

  test('maxMsgSize and maxMsgHeapNum', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    const msgBody = 'x'.repeat(2_000);
    await cmq.send(queueName, msgBody);
    await set(queueName, { maxMsgSize: 1_024 });
    expectCode(await cmq.call('SendMessage', { queueName, msgBody }), 4400, 10230);
    await set(queueName, { maxMsgSize: 4_096, maxMsgHeapNum: 1 });
    expectCode(await cmq.call('SendMessage', { queueName, msgBody }), 4410, 10240);
    await set(queueName, { maxMsgHeapNum: 2 });
    await cmq.send(queueName, msgBody);
  });

  test('pollingWaitSeconds and visibilityTimeout', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    const empty = () => timed(() => cmq.call('ReceiveMessage', { queueName }));
    expect((await empty()).ms).toBeLessThan(10_000);
    await set(queueName, { pollingWaitSeconds: 1, visibilityTimeout: 5 });
    expect((await empty()).ms).toBeGreaterThan(990);
    await cmq.send(queueName, 'x');
    const got = await cmq.receive(queueName);
    expect(got.nextVisibleTime - got.firstDequeueTime).toBe(5);
  });

  test('trace on, and off again', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    const traced = async (): Promise<number> => {
      const msgId = await cmq.send(queueName, 'x');
      const reply = await cmq.ok('QueryTrace', { queueName, msgId });
      return (reply['eventList'] as unknown[]).length;
    };
    expect(await traced()).toBe(0);
    await set(queueName, { trace: 1 });
    expect(await traced()).toBe(1);
    await set(queueName, { trace: 0 });
    expect(await traced()).toBe(0);
  });

  test('rewindSeconds on, and off again', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    const consume = async (body: string): Promise<void> => {
      await cmq.send(queueName, body);
      await cmq.drain(queueName);
    };
    await consume('before');
    await set(queueName, { rewindSeconds: 600 });
    await consume('kept');
    await cmq.ok('RewindQueue', { queueName, startConsumeTime: now() - 60 });
    expect(await cmq.drain(queueName)).toEqual(['kept']);
    await set(queueName, { rewindSeconds: 0 });
    const reply = await cmq.call('RewindQueue', { queueName, startConsumeTime: now() - 60 });
    expectCode(reply, 6050, 10670);
  });

  test('a dead-letter policy bound, and unbound again', async () => {
    const cmq = client();
    const dead = await makeQueue(cmq);
    const queueName = await makeQueue(cmq, { visibilityTimeout: 8 });
    await cmq.send(queueName, 'x');
    await cmq.remove(queueName, await cmq.receive(queueName));
    await set(queueName, { deadLetterQueueName: dead, policy: 0, maxReceiveCount: 1 });
    await cmq.send(queueName, 'y');
    await cmq.receive(queueName);
    expect((await cmq.receive(dead, 30)).msgBody).toBe('y');
    await cmq.ok('ClearQueue', { queueName: dead });
    await cmq.ok('UnbindDeadLetter', { sourceQueueName: queueName });
    await cmq.send(queueName, 'z');
    await cmq.receive(queueName);
    await pause(8_300);
    expect((await cmq.counters(dead)).active).toBe(0);
    expect((await cmq.receive(queueName)).msgBody).toBe('z');
  });

  test('while AMQP clients stay connected, whose re-declare still fits', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq, { visibilityTimeout: 40_000 });
    const connection = await amqp.connect(server().url);
    const channel = await connection.createChannel();
    const held: amqp.ConsumeMessage[] = [];
    await channel.prefetch(1);
    await channel.consume(queueName, (message) => {
      if (message !== null) held.push(message);
    });
    await set(queueName, { visibilityTimeout: 10 });
    await cmq.send(queueName, 'x');
    await eventually(async () => held.length === 1, 'delivered');
    // The consumer holds on to it past the new deadline: it is another's, and its late ack nobody's.
    const got = await cmq.receive(queueName, 30);
    expect(got).toMatchObject({ msgBody: 'x', dequeueCount: 2 });
    channel.ack(held[0]!);
    await channel.assertQueue(queueName, { durable: true });
    expect((await cmq.counters(queueName)).inactive).toBe(1);
    await cmq.remove(queueName, got);
    await cmq.send(queueName, 'y');
    await eventually(async () => held.length === 2, 'the consumer goes on');
    channel.ack(held[1]!);
    await eventually(async () => (await cmq.counters(queueName)).inactive === 0, 'acknowledged');
    await connection.close();
  });
});
