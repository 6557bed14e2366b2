/** Reference 2.3: delay, rewind and dead letters, with restarts between. Tests run at once. */
import { describe, expect, test } from 'vitest';
import type { CmqClient, CmqMessage } from '../support/cmq-client.ts';
import {
  eventually,
  expectCode,
  makeQueue,
  now,
  pause,
  timed,
  useCmq,
} from '../support/cmq-test.ts';

const { client } = useCmq();
const DELAY_SECONDS = 8;
/** Seconds of a poll that is to wake, and how soon it does: a busy machine is no missed wake. */
const WAIT_SECONDS = 30;
const WAKE_MS = 20_000;

/** Sends bodies one by one, takes and deletes them all; their ids. */
async function consume(cmq: CmqClient, queueName: string, bodies: readonly string[]) {
  const ids: string[] = [];
  for (const body of bodies) ids.push(await cmq.send(queueName, body));
  expect(await cmq.drain(queueName)).toEqual(bodies);
  return ids;
}

async function takeAll(cmq: CmqClient, queueName: string): Promise<CmqMessage[]> {
  const found: CmqMessage[] = [];
  for (;;) {
    const reply = await cmq.call('BatchReceiveMessage', { queueName, numOfMsg: 16 });
    if (reply.code === 7000) return found;
    expectCode(reply, 0);
    found.push(...reply.msgInfoList);
  }
}

describe.concurrent('delay', () => {
  test('hides a message until its time and then no longer', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    const { ms, value: got } = await timed(async () => {
      await cmq.send(queueName, 'x', { delaySeconds: DELAY_SECONDS });
      expectCode(await cmq.call('ReceiveMessage', { queueName }), 7000);
      expect(await cmq.counters(queueName)).toMatchObject({ active: 0, delayed: 1 });
      return await cmq.receive(queueName, WAIT_SECONDS);
    });
    expect(ms).toBeGreaterThanOrEqual(DELAY_SECONDS * 1_000 - 10);
    expect(ms).toBeLessThan(DELAY_SECONDS * 1_000 + WAKE_MS);
    expect(got.msgBody).toBe('x');
    expect(await cmq.counters(queueName)).toMatchObject({ inactive: 1, delayed: 0 });
  });

  test('orders by due time, whatever the order of sending', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    for (const seconds of [12, 4, 8]) {
      await cmq.send(queueName, String(seconds), { delaySeconds: seconds });
    }
    await cmq.send(queueName, '0');
    const got: string[] = [];
    for (let at = 0; at < 4; at += 1)
      got.push((await cmq.receive(queueName, WAIT_SECONDS)).msgBody);
    expect(got).toEqual(['0', '4', '8', '12']);
  });

  test('counts from the send: enqueueTime is that of the send', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    const sentAt = now();
    const msgId = await cmq.send(queueName, 'x', { delaySeconds: 2 });
    const got = await cmq.receive(queueName, WAIT_SECONDS);
    expect(got.msgId).toBe(msgId);
    expect(got.enqueueTime).toBeLessThanOrEqual(sentAt + 1);
    expect(got.dequeueCount).toBe(1);
  });

  test('applies to a whole batch', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    const batch = { queueName, msgBody: ['a', 'b', 'c'], delaySeconds: DELAY_SECONDS };
    const { msgList } = await cmq.ok('BatchSendMessage', batch);
    expect(await cmq.counters(queueName)).toMatchObject({ active: 0, delayed: 3 });
    await eventually(async () => (await cmq.counters(queueName)).active === 3, 'all are due');
    const got = await takeAll(cmq, queueName);
    expect(got.map((message) => message.msgId)).toEqual(msgList.map((message) => message.msgId));
  });
});

describe.concurrent('rewind', () => {
  test('brings back what was enqueued since then, in order, with the same ids', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq, { rewindSeconds: 600 });
    const early = Array.from({ length: 50 }, (_, at) => `early ${at}`);
    const late = Array.from({ length: 50 }, (_, at) => `late ${at}`);
    await consume(cmq, queueName, early);
    // The wire knows whole seconds.
    await pause(2_100 - (Date.now() % 1_000));
    const since = now();
    const ids = await consume(cmq, queueName, late);
    expect(await cmq.counters(queueName)).toMatchObject({ active: 0, rewindable: 100 });
    await cmq.ok('RewindQueue', { queueName, startConsumeTime: since });
    expect(await cmq.counters(queueName)).toMatchObject({ active: 50, rewindable: 50 });
    const got = await takeAll(cmq, queueName);
    expect(got.map((message) => message.msgBody)).toEqual(late);
    expect(got.map((message) => message.msgId)).toEqual(ids);
    expect(new Set(got.map((message) => message.dequeueCount))).toEqual(new Set([2]));
    expect(Math.min(...got.map((message) => message.enqueueTime))).toBeGreaterThanOrEqual(since);
  });

  test('off is 6050/10670, before the window is 4000/10680', async () => {
    const cmq = client();
    const off = await makeQueue(cmq);
    const on = await makeQueue(cmq, { rewindSeconds: 60 });
    const rewind = (queueName: string, startConsumeTime: number | string) =>
      cmq.call('RewindQueue', { queueName, startConsumeTime });
    expectCode(await rewind(off, now()), 6050, 10670);
    expectCode(await rewind(on, now() - 120), 4000, 10680);
    expectCode(await rewind(on, now() + 600), 4000, 10680);
    expectCode(await rewind(on, now() - 30), 0);
    expect((await rewind(on, 'yesterday')).code).toBe(4000);
    expect((await cmq.call('RewindQueue', { queueName: on })).code).toBe(4000);
  });

  test('takes milliseconds as an example of the vendor has them', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq, { rewindSeconds: 600 });
    await consume(cmq, queueName, ['x']);
    await cmq.ok('RewindQueue', { queueName, startConsumeTime: Date.now() - 60_000 });
    expect((await cmq.receive(queueName)).msgBody).toBe('x');
  });

  test('after the oldest message that is left is out of range', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq, { rewindSeconds: 600 });
    await cmq.send(queueName, 'left');
    await pause(2_100);
    const reply = await cmq.call('RewindQueue', { queueName, startConsumeTime: now() });
    expectCode(reply, 4000, 10680);
  });

  test('turned off drops what was kept at once', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq, { rewindSeconds: 600 });
    await consume(cmq, queueName, ['a', 'b']);
    await cmq.ok('SetQueueAttributes', { queueName, rewindSeconds: 0 });
    expect((await cmq.counters(queueName)).rewindable).toBe(0);
    await cmq.ok('SetQueueAttributes', { queueName, rewindSeconds: 600 });
    await cmq.ok('RewindQueue', { queueName, startConsumeTime: now() - 60 });
    expectCode(await cmq.call('ReceiveMessage', { queueName }), 7000);
  });

  test('its window passes by itself', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq, { rewindSeconds: 1 });
    await consume(cmq, queueName, ['x']);
    await eventually(async () => (await cmq.counters(queueName)).rewindable === 0, 'dropped');
  });

  test('messages of a rewound pass can be deleted and rewound again', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq, { rewindSeconds: 600 });
    const ids = await consume(cmq, queueName, ['a', 'b', 'c']);
    for (let pass = 0; pass < 3; pass += 1) {
      await cmq.ok('RewindQueue', { queueName, startConsumeTime: now() - 60 });
      const got = await takeAll(cmq, queueName);
      expect(got.map((message) => message.msgId)).toEqual(ids);
      const receiptHandle = got.map((message) => message.receiptHandle);
      await cmq.ok('BatchDeleteMessage', { queueName, receiptHandle });
      expect(await cmq.counters(queueName)).toMatchObject({ active: 0, rewindable: 3 });
    }
  });
});

describe.concurrent('dead letters', () => {
  test('policy 0: after the third receive it moves by itself, with its id and origin', async () => {
    const cmq = client();
    const dead = await makeQueue(cmq);
    const queueName = await makeQueue(cmq, {
      visibilityTimeout: 1,
      deadLetterQueueName: dead,
      policy: 0,
      maxReceiveCount: 3,
    });
    await cmq.send(queueName, 'poison');
    for (let count = 1; count <= 3; count += 1) {
      expect((await cmq.receive(queueName, WAIT_SECONDS)).dequeueCount).toBe(count);
      if (count < 3) expect((await cmq.counters(dead)).active).toBe(0);
    }
    await eventually(async () => (await cmq.counters(dead)).active === 1, 'it moved by itself');
    expect(await cmq.counters(queueName)).toMatchObject({ active: 0, inactive: 0 });
    expectCode(await cmq.call('ReceiveMessage', { queueName }), 7000);
    const letter = await cmq.receive(dead);
    expect(letter).toMatchObject({ msgBody: 'poison', dequeueCount: 1 });
  });

  test('policy 0 with one receive: the lease is the only chance', async () => {
    const cmq = client();
    const dead = await makeQueue(cmq);
    const binding = { deadLetterQueueName: dead, policy: 0, maxReceiveCount: 1 };
    const queueName = await makeQueue(cmq, { visibilityTimeout: 1, ...binding });
    await cmq.ok('BatchSendMessage', { queueName, msgBody: ['a', 'b'] });
    const long = { queueName, visibilityTimeout: 43_200 };
    await cmq.remove(queueName, await cmq.ok('ReceiveMessage', long));
    await cmq.receive(queueName);
    expect((await cmq.receive(dead, WAIT_SECONDS)).msgBody).toBe('b');
  });

  test('a dead-letter queue may be long-polled for what comes', async () => {
    const cmq = client();
    const dead = await makeQueue(cmq);
    const binding = { deadLetterQueueName: dead, policy: 0, maxReceiveCount: 1 };
    const queueName = await makeQueue(cmq, { visibilityTimeout: 1, ...binding });
    await cmq.send(queueName, 'x');
    await cmq.receive(queueName);
    const { ms } = await timed(() => cmq.receive(dead, WAIT_SECONDS));
    expect(ms).toBeLessThan(1_000 + WAKE_MS);
  });

  test('a deleted message never becomes a dead letter', async () => {
    const cmq = client();
    const dead = await makeQueue(cmq);
    const binding = { deadLetterQueueName: dead, policy: 0, maxReceiveCount: 1 };
    const queueName = await makeQueue(cmq, { visibilityTimeout: 8, ...binding });
    await cmq.send(queueName, 'x');
    await cmq.remove(queueName, await cmq.receive(queueName));
    await pause(8_500);
    expect((await cmq.counters(dead)).active).toBe(0);
  });

  test('StartRedrive takes letters home to the queue they came from', async () => {
    const cmq = client();
    const dead = await makeQueue(cmq);
    const binding = { deadLetterQueueName: dead, policy: 0, maxReceiveCount: 1 };
    const sources = [
      await makeQueue(cmq, { visibilityTimeout: 10, ...binding }),
      await makeQueue(cmq, { visibilityTimeout: 10, ...binding }),
    ];
    for (const queueName of sources) {
      await cmq.send(queueName, `of ${queueName}`);
      await cmq.receive(queueName);
    }
    await eventually(async () => (await cmq.counters(dead)).active === 2, 'both moved');
    await cmq.ok('StartRedrive', { queueName: dead, messagesPerSecond: 100 });
    for (const queueName of sources) {
      const got = await cmq.receive(queueName, WAIT_SECONDS);
      expect(got).toMatchObject({ msgBody: `of ${queueName}`, dequeueCount: 1 });
    }
    expect((await cmq.counters(dead)).active).toBe(0);
    const task = await cmq.ok('DescribeRedrive', { queueName: dead });
    expect(JSON.stringify(task)).toMatch(/2/);
  });
});
