/** Reference 2.3: sending, receiving and deleting, singly and in batches, with every limit. */
import { describe, expect, test } from 'vitest';
import {
  expectCode,
  makeQueue,
  now,
  PARAMETER_MODULES,
  unique,
  useCmq,
} from '../support/cmq-test.ts';

const { client } = useCmq();
const HANDLE = /^[A-Za-z0-9%#:_-]{1,256}$/;

test('a message keeps its id and body, and says when it came and until when it is hidden', async () => {
  const cmq = client();
  const queueName = await makeQueue(cmq, { visibilityTimeout: 20 });
  const before = now();
  const msgId = await cmq.send(queueName, 'body');
  const got = await cmq.receive(queueName);
  const after = now();
  expect(msgId).toMatch(/^\d{1,20}$/);
  expect(got).toMatchObject({ msgId, msgBody: 'body', dequeueCount: 1 });
  expect(got.receiptHandle).toMatch(HANDLE);
  for (const at of [got.enqueueTime, got.firstDequeueTime]) {
    expect(at).toBeGreaterThanOrEqual(before);
    expect(at).toBeLessThanOrEqual(after);
  }
  expect(got.nextVisibleTime - got.firstDequeueTime).toBe(20);
  expect(await cmq.counters(queueName)).toMatchObject({ active: 0, inactive: 1 });
  await cmq.remove(queueName, got);
  expect(await cmq.counters(queueName)).toMatchObject({ active: 0, inactive: 0 });
});

test('ids are unique and messages come in the order they were sent', async () => {
  const cmq = client();
  const queueName = await makeQueue(cmq);
  const ids: string[] = [];
  for (let at = 0; at < 20; at += 1) ids.push(await cmq.send(queueName, String(at)));
  expect(new Set(ids).size).toBe(20);
  for (let at = 0; at < 20; at += 1) {
    expect(await cmq.receive(queueName)).toMatchObject({ msgBody: String(at), msgId: ids[at] });
  }
});

test('an empty queue is 7000/10200 at once', async () => {
  const cmq = client();
  const queueName = await makeQueue(cmq);
  expectCode(await cmq.call('ReceiveMessage', { queueName }), 7000, 10200);
  expectCode(await cmq.call('BatchReceiveMessage', { queueName, numOfMsg: 16 }), 7000, 10200);
});

describe('the body', () => {
  test('is at least one byte: 4000/10120', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    await cmq.send(queueName, 'x');
    expectCode(await cmq.call('SendMessage', { queueName, msgBody: '' }), 4000, 10120);
    expectCode(await cmq.call('SendMessage', { queueName }), 4000, 10120, ...PARAMETER_MODULES);
    const batch = { queueName, msgBody: ['x', ''] };
    expectCode(await cmq.call('BatchSendMessage', batch), 4000, 10120);
    expect(await cmq.counters(queueName)).toMatchObject({ active: 1 });
  });

  test('is at most maxMsgSize bytes, not characters: 4400/10230', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq, { maxMsgSize: 1_024 });
    await cmq.send(queueName, 'x'.repeat(1_024));
    await cmq.send(queueName, 'é'.repeat(512));
    for (const msgBody of ['x'.repeat(1_025), 'é'.repeat(513)]) {
      expectCode(await cmq.call('SendMessage', { queueName, msgBody }), 4400, 10230);
      const batch = { queueName, msgBody: ['ok', msgBody] };
      expectCode(await cmq.call('BatchSendMessage', batch), 4400, 10230);
    }
    expect(await cmq.drain(queueName)).toHaveLength(2);
  });

  test('may be nearly as large as a request', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    const msgBody = 'y'.repeat(1_048_000);
    await cmq.send(queueName, msgBody);
    expect((await cmq.receive(queueName)).msgBody).toBe(msgBody);
  });
});

describe('batches', () => {
  test('of 16 are accepted, in order, and answered in order', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    const msgBody = Array.from({ length: 16 }, (_, at) => `n${at}`);
    const { msgList } = await cmq.ok('BatchSendMessage', { queueName, msgBody });
    const { msgInfoList } = await cmq.ok('BatchReceiveMessage', { queueName, numOfMsg: 16 });
    expect(msgInfoList.map((message) => message.msgBody)).toEqual(msgBody);
    expect(msgInfoList.map((message) => message.msgId)).toEqual(
      msgList.map((message) => message.msgId),
    );
    expect(new Set(msgInfoList.map((message) => message.receiptHandle)).size).toBe(16);
    for (const message of msgInfoList) expect(message.receiptHandle).toMatch(HANDLE);
  });

  test('of 17 are 4000/10370', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    const msgBody = Array.from({ length: 17 }, () => 'x');
    expectCode(await cmq.call('BatchSendMessage', { queueName, msgBody }), 4000, 10370);
    const handles = { queueName, receiptHandle: msgBody };
    expectCode(await cmq.call('BatchDeleteMessage', handles), 4000, 10370);
    expect(await cmq.counters(queueName)).toMatchObject({ active: 0 });
  });

  test.each([
    ['a gap', { 'msgBody.0': 'a', 'msgBody.2': 'c' }],
    ['a start at 2', { 'msgBody.2': 'a', 'msgBody.3': 'c' }],
    ['a gap after 1', { 'msgBody.1': 'a', 'msgBody.3': 'c' }],
  ])('with %s are 4000/10380', async (_name, parameters) => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    expectCode(await cmq.call('BatchSendMessage', { queueName, ...parameters }), 4000, 10380);
  });

  test('without any element, or with an index that is no number, are refused', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    for (const parameters of [{}, { 'msgBody.x': 'a' }, { msgBody: 'a' }]) {
      expectCode(await cmq.call('BatchSendMessage', { queueName, ...parameters }), 4000);
    }
    expectCode(await cmq.call('BatchDeleteMessage', { queueName }), 4000);
  });

  test('are cut by the request limit', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    const half = 'z'.repeat(500_000);
    await cmq.ok('BatchSendMessage', { queueName, msgBody: [half, half] });
    const reply = await cmq.call('BatchSendMessage', { queueName, msgBody: [half, half, half] });
    expect([4000, 4470], reply.message).toContain(reply.code);
  });

  test.each([0, 17, -1, 'all'])('numOfMsg %s is out of range', async (numOfMsg) => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    const reply = await cmq.call('BatchReceiveMessage', { queueName, numOfMsg });
    expectCode(reply, 4000, ...PARAMETER_MODULES);
  });

  test('numOfMsg is required', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    const reply = await cmq.call('BatchReceiveMessage', { queueName });
    expectCode(reply, 4000, ...PARAMETER_MODULES);
  });

  test('return what is there without waiting for more', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    await cmq.ok('BatchSendMessage', { queueName, msgBody: ['a', 'b'] });
    const started = performance.now();
    const wait = { queueName, numOfMsg: 16, pollingWaitSeconds: 30 };
    const { msgInfoList } = await cmq.ok('BatchReceiveMessage', wait);
    expect(msgInfoList).toHaveLength(2);
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});

describe('deleting', () => {
  test('twice is 4430/10260', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    await cmq.send(queueName, 'x');
    const { receiptHandle } = await cmq.receive(queueName);
    await cmq.ok('DeleteMessage', { queueName, receiptHandle });
    expectCode(await cmq.call('DeleteMessage', { queueName, receiptHandle }), 4430, 10260);
  });

  test('a part of a batch is 6010/10150 with one entry per failure', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    await cmq.ok('BatchSendMessage', { queueName, msgBody: ['a', 'b', 'c', 'd'] });
    const { msgInfoList } = await cmq.ok('BatchReceiveMessage', { queueName, numOfMsg: 4 });
    const handles = msgInfoList.map((message) => message.receiptHandle);
    await cmq.ok('DeleteMessage', { queueName, receiptHandle: handles[3]! });
    const reply = await cmq.call('BatchDeleteMessage', { queueName, receiptHandle: handles });
    expectCode(reply, 6010, 10150);
    expect(reply.errorList).toHaveLength(1);
    expect(reply.errorList[0]).toMatchObject({ code: 4430, receiptHandle: handles[3] });
    expect(await cmq.counters(queueName)).toMatchObject({ active: 0, inactive: 0 });
  });

  test('nothing of a batch is 6020/10290', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    await cmq.ok('BatchSendMessage', { queueName, msgBody: ['a', 'b'] });
    const { msgInfoList } = await cmq.ok('BatchReceiveMessage', { queueName, numOfMsg: 2 });
    const receiptHandle = msgInfoList.map((message) => message.receiptHandle);
    await cmq.ok('BatchDeleteMessage', { queueName, receiptHandle });
    const reply = await cmq.call('BatchDeleteMessage', { queueName, receiptHandle });
    expectCode(reply, 6020, 10290);
    expect(reply.errorList).toHaveLength(2);
  });

  test('the same handle twice in a batch counts once', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    await cmq.send(queueName, 'x');
    const { receiptHandle } = await cmq.receive(queueName);
    const twice = { queueName, receiptHandle: [receiptHandle, receiptHandle] };
    const reply = await cmq.call('BatchDeleteMessage', twice);
    expect([0, 6010]).toContain(reply.code);
    expect(await cmq.counters(queueName)).toMatchObject({ active: 0, inactive: 0 });
  });

  test.each(['a b', 'ä', 'a/b', 'x'.repeat(257)])('%j is no handle', async (receiptHandle) => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    const reply = await cmq.call('DeleteMessage', { queueName, receiptHandle });
    expect([4000, 4430], reply.message).toContain(reply.code);
  });

  test.each(['1', 'x', '0-0-0', '18446744073709551615', 'A'.repeat(256)])(
    '%j is nobody’s handle',
    async (receiptHandle) => {
      const cmq = client();
      const queueName = await makeQueue(cmq);
      const reply = await cmq.call('DeleteMessage', { queueName, receiptHandle });
      expectCode(reply, reply.code === 4430 ? 4430 : 4000, 10260, 10470);
    },
  );

  test('with a handle of a message to come is 4430', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    await cmq.send(queueName, 'x');
    const got = await cmq.receive(queueName);
    await cmq.ok('DeleteMessage', { queueName, receiptHandle: got.receiptHandle });
    await cmq.send(queueName, 'y');
    const { receiptHandle } = got;
    expectCode(await cmq.call('DeleteMessage', { queueName, receiptHandle }), 4430, 10260);
    expect(await cmq.drain(queueName)).toEqual(['y']);
  });

  test('with a handle of another queue is 4430', async () => {
    const cmq = client();
    const [one, two] = [await makeQueue(cmq), await makeQueue(cmq)];
    await cmq.send(one, 'x');
    await cmq.send(two, 'x');
    const { receiptHandle } = await cmq.receive(one);
    await cmq.receive(two);
    expectCode(await cmq.call('DeleteMessage', { queueName: two, receiptHandle }), 4430, 10260);
    await cmq.ok('DeleteMessage', { queueName: one, receiptHandle });
  });
});

describe('delaySeconds', () => {
  test.each([0, 1, 3_600, 6_048_000])('%i is accepted', async (delaySeconds) => {
    const cmq = client();
    const queueName = await makeQueue(cmq, { msgRetentionSeconds: 1_296_000 });
    await cmq.send(queueName, 'x', { delaySeconds });
    const isDelayed = delaySeconds > 0;
    expect(await cmq.counters(queueName)).toMatchObject({
      active: isDelayed ? 0 : 1,
      delayed: isDelayed ? 1 : 0,
    });
  });

  test.each([-1, 6_048_001, 'soon', 1.5])('%s is refused', async (delaySeconds) => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    const send = { queueName, msgBody: 'x', delaySeconds };
    expectCode(await cmq.call('SendMessage', send), 4000, 10692, ...PARAMETER_MODULES);
    const batch = { queueName, msgBody: ['x'], delaySeconds };
    expectCode(await cmq.call('BatchSendMessage', batch), 4000, 10692, ...PARAMETER_MODULES);
  });

  test('beyond the range is 10692', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    const send = { queueName, msgBody: 'x', delaySeconds: 6_048_001 };
    expectCode(await cmq.call('SendMessage', send), 4000, 10692);
  });
});

test.each([-1, 31, 'x'])('pollingWaitSeconds %s is refused', async (pollingWaitSeconds) => {
  const cmq = client();
  const queueName = await makeQueue(cmq);
  const reply = await cmq.call('ReceiveMessage', { queueName, pollingWaitSeconds });
  expectCode(reply, 4000, ...PARAMETER_MODULES);
});

test.each([0, 43_201])('visibilityTimeout %i of one receive is refused', async (seconds) => {
  const cmq = client();
  const queueName = await makeQueue(cmq);
  const reply = await cmq.call('ReceiveMessage', { queueName, visibilityTimeout: seconds });
  expectCode(reply, 4000, ...PARAMETER_MODULES);
});

test('a full queue refuses with 4410/10240 and takes again after a delete', async () => {
  const cmq = client();
  const queueName = await makeQueue(cmq, { maxMsgHeapNum: 3 });
  await cmq.ok('BatchSendMessage', { queueName, msgBody: ['a', 'b'] });
  await cmq.send(queueName, 'later', { delaySeconds: 60 });
  expectCode(await cmq.call('SendMessage', { queueName, msgBody: 'no' }), 4410, 10240);
  const batch = { queueName, msgBody: ['no', 'no'] };
  expectCode(await cmq.call('BatchSendMessage', batch), 4410, 10240);
  const leased = await cmq.receive(queueName);
  expectCode(await cmq.call('SendMessage', { queueName, msgBody: 'no' }), 4410, 10240);
  await cmq.remove(queueName, leased);
  await cmq.send(queueName, 'yes');
  expect(await cmq.drain(queueName)).toEqual(['b', 'yes']);
});

test('a batch is taken whole or not at all', async () => {
  const cmq = client();
  const queueName = await makeQueue(cmq, { maxMsgHeapNum: 3 });
  const reply = await cmq.call('BatchSendMessage', { queueName, msgBody: ['a', 'b', 'c', 'd'] });
  expectCode(reply, 4410, 10240);
  expect(await cmq.counters(queueName)).toMatchObject({ active: 0 });
});

test('a send to a queue of another account finds nothing', async () => {
  const queueName = unique();
  await client().ok('CreateQueue', { queueName });
  const stranger = client('stranger');
  expectCode(await stranger.call('SendMessage', { queueName, msgBody: 'x' }), 4440, 10100);
  await stranger.ok('CreateQueue', { queueName });
  await stranger.send(queueName, 'theirs');
  expectCode(await client().call('ReceiveMessage', { queueName }), 7000);
});
