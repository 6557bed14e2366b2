/** What CMQ does not have: leases that change, peeks, scheduled messages, traces, redrive. */
import { describe, expect, test } from 'vitest';
import { eventually, expectCode, makeQueue, pause, unique, useCmq } from '../support/cmq-test.ts';

const { client } = useCmq();

describe.concurrent('ChangeMessageVisibility', () => {
  test('extends a lease: the handle stays good past its first deadline', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq, { visibilityTimeout: 6 });
    await cmq.send(queueName, 'x');
    const got = await cmq.receive(queueName);
    const { receiptHandle } = got;
    const changed = await cmq.ok('ChangeMessageVisibility', {
      queueName,
      receiptHandle,
      visibilityTimeout: 30,
    });
    await pause(6_400);
    expect((await cmq.counters(queueName)).inactive).toBe(1);
    const handle = changed.receiptHandle ?? receiptHandle;
    await cmq.ok('DeleteMessage', { queueName, receiptHandle: handle });
  });

  test('0 gives a message back at once', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    await cmq.send(queueName, 'x');
    const { receiptHandle } = await cmq.receive(queueName);
    const back = { queueName, receiptHandle, visibilityTimeout: 0 };
    await cmq.ok('ChangeMessageVisibility', back);
    expect((await cmq.receive(queueName)).dequeueCount).toBe(2);
    expectCode(await cmq.call('ChangeMessageVisibility', back), 4430, 10260);
  });

  test.each([-1, 43_201, 'long'])('%s is out of range', async (visibilityTimeout) => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    const change = { queueName, receiptHandle: '1', visibilityTimeout };
    expectCode(await cmq.call('ChangeMessageVisibility', change), 4000);
  });
});

describe('PeekMessage', () => {
  test('shows the oldest ready messages and changes nothing', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    await cmq.ok('BatchSendMessage', { queueName, msgBody: ['a', 'b', 'c'] });
    for (let at = 0; at < 3; at += 1) {
      const reply = await cmq.ok('PeekMessage', { queueName, numOfMsg: 2 });
      expect(reply.msgInfoList.map((message) => message.msgBody)).toEqual(['a', 'b']);
      expect(reply.msgInfoList.map((message) => message.dequeueCount)).toEqual([0, 0]);
    }
    expect(await cmq.counters(queueName)).toMatchObject({ active: 3, inactive: 0 });
    expect(await cmq.receive(queueName)).toMatchObject({ msgBody: 'a', dequeueCount: 1 });
  });

  test('of an empty queue is 7000', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    expectCode(await cmq.call('PeekMessage', { queueName }), 7000, 10200);
  });
});

describe('DescribeMessage', () => {
  test('tells the state of a message through its life', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq, { trace: true, rewindSeconds: 600 });
    const msgId = await cmq.send(queueName, 'x', { delaySeconds: 6 });
    const state = async (): Promise<unknown> => {
      const reply = await cmq.ok('DescribeMessage', { queueName, msgId });
      return reply['state'];
    };
    expect(await state()).toBe('delayed');
    const got = await cmq.receive(queueName, 30);
    expect(await state()).toBe('inactive');
    await cmq.ok('ChangeMessageVisibility', {
      queueName,
      receiptHandle: got.receiptHandle,
      visibilityTimeout: 0,
    });
    expect(await state()).toBe('active');
    await cmq.remove(queueName, await cmq.receive(queueName));
    expect(await state()).toBe('rewindable');
    const history = JSON.stringify(await cmq.ok('DescribeMessage', { queueName, msgId }));
    expect(history).toContain('127.0.0.1');
  });

  test('of an unknown message is 4440', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    expect((await cmq.call('DescribeMessage', { queueName, msgId: '12345' })).code).toBe(4440);
    expect((await cmq.call('DescribeMessage', { queueName, msgId: 'x' })).code).toBe(4000);
  });
});

describe('scheduled messages', () => {
  test('are listed, moved in time and cancelled by id', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    const ids: string[] = [];
    for (const delaySeconds of [300, 100, 200]) {
      ids.push(await cmq.send(queueName, String(delaySeconds), { delaySeconds }));
    }
    const list = async (): Promise<string[]> => {
      const reply = await cmq.ok('ListScheduledMessages', { queueName });
      const found = Object.values(reply).find((value) => Array.isArray(value)) as
        | { msgId: string }[]
        | undefined;
      return (found ?? []).map((message) => message.msgId);
    };
    expect(await list()).toEqual([ids[1], ids[2], ids[0]]);
    await cmq.ok('RescheduleMessage', { queueName, msgId: ids[0]!, delaySeconds: 0 });
    expect(await cmq.receive(queueName, 30)).toMatchObject({ msgId: ids[0], msgBody: '300' });
    await cmq.ok('CancelScheduledMessage', { queueName, msgId: ids[1]! });
    expect(await list()).toEqual([ids[2]]);
    expect((await cmq.counters(queueName)).delayed).toBe(1);
    const gone = await cmq.call('CancelScheduledMessage', { queueName, msgId: ids[1]! });
    expect(gone.code).toBe(4440);
  });
});

describe('redrive', () => {
  test('is paced, told of and cancelled', async () => {
    const cmq = client();
    const dead = await makeQueue(cmq);
    const target = await makeQueue(cmq);
    for (let at = 0; at < 3; at += 1) {
      const msgBody = Array.from({ length: 10 }, (_, n) => `${at}-${n}`);
      await cmq.ok('BatchSendMessage', { queueName: dead, msgBody });
    }
    const redrive = { queueName: dead, targetQueueName: target, messagesPerSecond: 2 };
    const startedAtMs = performance.now();
    await cmq.ok('StartRedrive', redrive);
    await eventually(async () => (await cmq.counters(target)).active > 2, 'some are moved');
    const moved = (await cmq.counters(target)).active;
    const seconds = (performance.now() - startedAtMs) / 1_000;
    expect(moved).toBeLessThanOrEqual(2 * (seconds + 1) + 1);
    await cmq.ok('CancelRedrive', { queueName: dead });
    const stopped = (await cmq.counters(target)).active;
    await pause(2_000);
    expect((await cmq.counters(target)).active).toBe(stopped);
    expect((await cmq.counters(dead)).active).toBe(30 - stopped);
    await cmq.ok('StartRedrive', { queueName: dead, targetQueueName: target });
    await eventually(async () => (await cmq.counters(target)).active === 30, 'all moved');
    expect((await cmq.drain(target)).length).toBe(30);
  });

  test('of a queue without a task is 4440', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    expect((await cmq.call('DescribeRedrive', { queueName })).code).toBe(4440);
    expect((await cmq.call('StartRedrive', { queueName: unique('absent') })).code).toBe(4440);
  });
});

test('bytes that are no text come as base64 with a mark, and may be sent so', async () => {
  const cmq = client();
  const queueName = await makeQueue(cmq);
  const bytes = Buffer.from([0, 255, 128, 1]);
  await cmq.send(queueName, bytes.toString('base64'), { bodyEncoding: 'base64' });
  const got = await cmq.ok('ReceiveMessage', { queueName });
  expect(got['bodyEncoding']).toBe('base64');
  expect(Buffer.from(got.msgBody, 'base64').equals(bytes)).toBe(true);
  await cmq.send(queueName, 'text');
  const text = await cmq.ok('ReceiveMessage', { queueName });
  expect(text['bodyEncoding'] ?? 'text').toBe('text');
  expect(
    (await cmq.call('SendMessage', { queueName, msgBody: '%%', bodyEncoding: 'base64' })).code,
  ).toBe(4000);
});
