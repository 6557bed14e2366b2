/** Messages: limits and codes of each action, batches, handles, bodies of other protocols. */
import { describe, expect, test } from 'vitest';
import { MemoryDisk } from '../../../src/store/memory-disk.ts';
import { failureOf, QueueHarness, type Received } from './queue-harness.ts';

async function withQueue(
  parameters: Record<string, string | number> = {},
  settings = {},
): Promise<QueueHarness> {
  const harness = await QueueHarness.open({ settings });
  await harness.create('q', parameters);
  return harness;
}

describe('SendMessage', () => {
  test('answers with a decimal id, which the receive has too', async () => {
    const harness = await withQueue();
    const [msgId] = await harness.send('q', 'hello');
    expect(msgId).toMatch(/^\d{1,20}$/);
    const received = await harness.receive('q');
    expect(received).toMatchObject({
      msgBody: 'hello',
      msgId,
      enqueueTime: harness.nowSeconds,
      firstDequeueTime: harness.nowSeconds,
      nextVisibleTime: harness.nowSeconds + 30,
      dequeueCount: 1,
    });
    expect(received.receiptHandle).toMatch(/^[A-Za-z0-9%#:_-]{1,256}$/);
    await harness.delete('q', received.receiptHandle);
    expect(await harness.counts('q')).toEqual([0, 0, 0, 0]);
  });

  test('refuses an empty body and one above maxMsgSize', async () => {
    const harness = await withQueue({ maxMsgSize: 1_024 });
    const send = (msgBody: string) => harness.failure('SendMessage', { queueName: 'q', msgBody });
    expect(await send('')).toBe('4000/10120');
    expect(await harness.failure('SendMessage', { queueName: 'q' })).toBe('4000/10120');
    expect(await send('x'.repeat(1_024))).toBe('0');
    expect(await send('x'.repeat(1_025))).toBe('4400/10230');
    expect(await send('ä'.repeat(513))).toBe('4400/10230');
  });

  test('ends at maxMsgHeapNum, which counts every state', async () => {
    const harness = await withQueue({ maxMsgHeapNum: 3 });
    await harness.send('q', 'leased', 'ready');
    await harness.receive('q');
    await harness.ok('SendMessage', { queueName: 'q', msgBody: 'delayed', delaySeconds: 5 });
    const send = { queueName: 'q', msgBody: 'x' };
    expect(await harness.failure('SendMessage', send)).toBe('4410/10240');
    expect(await harness.failure('SendMessage', { ...send, delaySeconds: 1 })).toBe('4410/10240');
    await harness.delete('q', (await harness.receive('q')).receiptHandle);
    expect(await harness.failure('SendMessage', send)).toBe('0');
  });

  test('takes delays of up to 70 days, or what the operator allows', async () => {
    const harness = await withQueue();
    const send = (delaySeconds: number) =>
      harness.failure('SendMessage', { queueName: 'q', msgBody: 'x', delaySeconds });
    expect(await send(6_048_000)).toBe('0');
    expect(await send(6_048_001)).toBe('4000/10692');
    expect(await send(-1)).toBe('4000/10692');
    const strict = await withQueue({}, { delaySecondsMax: 3_600 });
    const more = { queueName: 'q', msgBody: 'x', delaySeconds: 3_601 };
    expect(await strict.failure('SendMessage', more)).toBe('4000/10692');
  });

  test('ends at the delayed messages the operator allows', async () => {
    const harness = await withQueue({}, { delayedMax: 1 });
    const send = { queueName: 'q', msgBody: 'x', delaySeconds: 5 };
    expect(await harness.failure('SendMessage', send)).toBe('0');
    expect(await harness.failure('SendMessage', send)).toBe('6070/10690');
    await harness.pass(5);
    expect(await harness.failure('SendMessage', send)).toBe('0');
  });

  test('is refused while memory or disk are short', async () => {
    const harness = await withQueue();
    harness.engine.broker.setAlarm('disk', true);
    const send = { queueName: 'q', msgBody: 'x' };
    expect(await harness.failure('SendMessage', send)).toBe('6000/10090');
    harness.engine.broker.setAlarm('disk', false);
    expect(await harness.failure('SendMessage', send)).toBe('0');
  });
});

describe('batches', () => {
  const bodies = (count: number): string[] => Array.from({ length: count }, (_, n) => `m${n}`);

  test('of 16 keep their order', async () => {
    const harness = await withQueue();
    const send = { queueName: 'q', msgBody: bodies(16) };
    const sent = await harness.ok('BatchSendMessage', send);
    const ids = (sent['msgList'] as { msgId: string }[]).map(({ msgId }) => msgId);
    expect(new Set(ids).size).toBe(16);
    const reply = await harness.ok('BatchReceiveMessage', { queueName: 'q', numOfMsg: 16 });
    const received = reply['msgInfoList'] as Received[];
    expect(received.map(({ msgBody }) => msgBody)).toEqual(bodies(16));
    expect(received.map(({ msgId }) => msgId)).toEqual(ids);
    const receiptHandle = received.map((one) => one.receiptHandle);
    await harness.ok('BatchDeleteMessage', { queueName: 'q', receiptHandle });
    expect(await harness.counts('q')).toEqual([0, 0, 0, 0]);
  });

  test('begin at 0 or 1, have no gaps, and end at 16', async () => {
    const harness = await withQueue();
    const one = { queueName: 'q', 'msgBody.1': 'a', 'msgBody.2': 'b' };
    expect(await harness.failure('BatchSendMessage', one)).toBe('0');
    const gap = { queueName: 'q', 'msgBody.0': 'a', 'msgBody.2': 'b' };
    expect(await harness.failure('BatchSendMessage', gap)).toBe('4000/10380');
    const many = { queueName: 'q', msgBody: bodies(17) };
    expect(await harness.failure('BatchSendMessage', many)).toBe('4000/10370');
    const none = { queueName: 'q' };
    expect(await harness.failure('BatchSendMessage', none)).toBe('4000/10390');
    const empty = { queueName: 'q', msgBody: ['a', ''] };
    expect(await harness.failure('BatchSendMessage', empty)).toBe('4000/10120');
    for (const numOfMsg of [0, 17]) {
      const receive = { queueName: 'q', numOfMsg };
      expect(await harness.failure('BatchReceiveMessage', receive)).toBe('4000/10350');
    }
    expect(await harness.counts('q')).toEqual([2, 0, 0, 0]);
  });

  test('hold 1 MiB, and are sent whole or not at all', async () => {
    const harness = await withQueue({ maxMsgHeapNum: 5 });
    const half = 'x'.repeat(524_288);
    const large = { queueName: 'q', msgBody: [half, half] };
    expect(await harness.failure('BatchSendMessage', large)).toBe('0');
    const larger = { queueName: 'q', msgBody: [half, half, 'x'] };
    expect(await harness.failure('BatchSendMessage', larger)).toBe('4470/10300');
    const beyond = { queueName: 'q', msgBody: bodies(4) };
    expect(await harness.failure('BatchSendMessage', beyond)).toBe('4410/10240');
    expect(await harness.counts('q')).toEqual([2, 0, 0, 0]);
  });

  test('bring each body back as it was, whatever the others are', async () => {
    const harness = await withQueue();
    const texts = [
      'plain',
      '"quoted" \\ and\n\t\u0001\u001f\u007f',
      'é',
      '你好😀\u2028',
      'x'.repeat(5_000),
      `${'x'.repeat(5_000)}"`,
      `${'é'.repeat(2_500)}\0`,
      '+ %41&=',
    ];
    await harness.ok('BatchSendMessage', { queueName: 'q', msgBody: texts });
    await harness.ok('BatchSendMessage', { queueName: 'q', msgBody: ['a', 'bc', 'def'] });
    const reply = await harness.ok('BatchReceiveMessage', { queueName: 'q', numOfMsg: 16 });
    const received = reply['msgInfoList'] as Received[];
    expect(received.map((one) => one.msgBody)).toEqual([...texts, 'a', 'bc', 'def']);
  });

  test('receive what is there without waiting for more', async () => {
    const harness = await withQueue();
    await harness.send('q', 'only');
    const receive = { queueName: 'q', numOfMsg: 16, pollingWaitSeconds: 30 };
    const reply = await harness.ok('BatchReceiveMessage', receive);
    expect(reply['msgInfoList']).toHaveLength(1);
  });

  test('of deletes tell each that failed', async () => {
    const harness = await withQueue();
    await harness.send('q', ...bodies(4));
    const receive = { queueName: 'q', numOfMsg: 4 };
    const reply = await harness.ok('BatchReceiveMessage', receive);
    const handles = (reply['msgInfoList'] as Received[]).map((one) => one.receiptHandle);
    await harness.delete('q', handles[3]!);
    const partial = await harness.call('BatchDeleteMessage', {
      queueName: 'q',
      receiptHandle: handles,
    });
    expect(failureOf(partial)).toBe('6010/10150');
    expect(partial['errorList']).toEqual([
      { code: 4430, message: expect.stringContaining('(10260)'), receiptHandle: handles[3] },
    ]);
    const all = await harness.call('BatchDeleteMessage', {
      queueName: 'q',
      'receiptHandle.1': handles[0]!,
      'receiptHandle.2': 'nonsense',
    });
    expect(failureOf(all)).toBe('6020/10290');
    expect(all['errorList']).toMatchObject([{ code: 4430 }, { code: 4000 }]);
    const many = { queueName: 'q', receiptHandle: bodies(17) };
    expect(await harness.failure('BatchDeleteMessage', many)).toBe('4000/10370');
  });

  test('delete a handle once', async () => {
    const harness = await withQueue();
    await harness.send('q', 'x');
    const { receiptHandle } = await harness.receive('q');
    const twice = { queueName: 'q', receiptHandle: [receiptHandle, receiptHandle] };
    expect(await harness.failure('BatchDeleteMessage', twice)).toBe('6010/10150');
  });
});

describe('receipt handles', () => {
  test('work once, for the newest receive, until its deadline', async () => {
    const harness = await withQueue({ visibilityTimeout: 10 });
    const [msgId] = await harness.send('q', 'x');
    const first = await harness.receive('q');
    await harness.pass(9);
    expect(await harness.failure('ReceiveMessage', { queueName: 'q' })).toBe('7000/10200');
    await harness.pass(1);
    const stale = { queueName: 'q', receiptHandle: first.receiptHandle };
    expect(await harness.failure('DeleteMessage', stale)).toBe('4430/10260');
    const second = await harness.receive('q');
    expect(second).toMatchObject({
      msgId,
      dequeueCount: 2,
      enqueueTime: first.enqueueTime,
      firstDequeueTime: first.firstDequeueTime,
    });
    expect(second.receiptHandle).not.toBe(first.receiptHandle);
    expect(await harness.failure('DeleteMessage', stale)).toBe('4430/10260');
    await harness.delete('q', second.receiptHandle);
    const again = { queueName: 'q', receiptHandle: second.receiptHandle };
    expect(await harness.failure('DeleteMessage', again)).toBe('4430/10260');
  });

  test('of another queue, of nothing, and of no shape', async () => {
    const harness = await withQueue();
    await harness.create('r');
    await harness.send('q', 'x');
    await harness.send('r', 'x');
    const { receiptHandle } = await harness.receive('q');
    await harness.receive('r');
    const remove = (handle: string) =>
      harness.failure('DeleteMessage', { queueName: 'r', receiptHandle: handle });
    expect(await remove(receiptHandle)).toBe('4430/10260');
    expect(await remove('1-0-1-1')).toBe('4430/10260');
    expect(await remove('nonsense')).toBe('4000/10470');
    expect(await remove('!')).toBe('4000/10470');
    expect(await remove('x'.repeat(257))).toBe('4000/10470');
  });

  test('outlive a restart', async () => {
    const disk = new MemoryDisk();
    const before = await QueueHarness.open({ disk });
    await before.create('q', { visibilityTimeout: 100 });
    await before.send('q', 'kept', 'deleted');
    const kept = await before.receive('q');
    const { receiptHandle } = await before.receive('q');
    await before.settle();
    const after = await QueueHarness.open({ disk, clock: before.clock });
    expect(await after.counts('q')).toEqual([0, 2, 0, 0]);
    await after.delete('q', receiptHandle);
    await after.pass(100);
    expect(await after.receive('q')).toMatchObject({
      msgBody: 'kept',
      dequeueCount: 2,
      firstDequeueTime: kept.firstDequeueTime,
    });
  });

  test('are deleted after a restart, those that must be read first among others', async () => {
    const disk = new MemoryDisk();
    const before = await QueueHarness.open({ disk });
    await before.create('q', { visibilityTimeout: 100 });
    await before.send('q', 'a', 'b', 'c');
    const { receiptHandle: first } = await before.receive('q');
    const { receiptHandle: second } = await before.receive('q');
    await before.settle();
    const after = await QueueHarness.open({ disk, clock: before.clock });
    const { receiptHandle: third } = await after.receive('q');
    const reply = await after.call('BatchDeleteMessage', {
      queueName: 'q',
      receiptHandle: ['nonsense', second, third, first, second],
    });
    expect(failureOf(reply)).toBe('6010/10150');
    expect(reply['errorList']).toMatchObject([
      { code: 4000, receiptHandle: 'nonsense' },
      { code: 4430, receiptHandle: second },
    ]);
    expect(await after.counts('q')).toEqual([0, 0, 0, 0]);
  });

  test('may be given for another time than the queue has', async () => {
    const harness = await withQueue();
    await harness.send('q', 'x');
    const { nextVisibleTime } = await harness.receive('q', { visibilityTimeout: 43_200 });
    expect(nextVisibleTime).toBe(harness.nowSeconds + 43_200);
    await harness.pass(43_199);
    expect(await harness.failure('ReceiveMessage', { queueName: 'q' })).toBe('7000/10200');
    await harness.pass(1);
    expect(await harness.receive('q')).toMatchObject({ dequeueCount: 2 });
    for (const visibilityTimeout of [0, 43_201]) {
      const receive = { queueName: 'q', visibilityTimeout };
      expect(await harness.failure('ReceiveMessage', receive)).toBe('4000/10350');
    }
  });
});

describe('ReceiveMessage', () => {
  test('ends at the leased messages the operator allows', async () => {
    const harness = await withQueue({}, { inactiveMax: 1 });
    await harness.send('q', 'a', 'b');
    const { receiptHandle } = await harness.receive('q');
    expect(await harness.failure('ReceiveMessage', { queueName: 'q' })).toBe('6070/10690');
    await harness.delete('q', receiptHandle);
    expect(await harness.failure('ReceiveMessage', { queueName: 'q' })).toBe('0');
  });

  test('counts calls and messages', async () => {
    const harness = await withQueue();
    await harness.ok('BatchSendMessage', { queueName: 'q', msgBody: ['a', 'b'] });
    const { receiptHandle } = await harness.receive('q');
    await harness.receive('q');
    await harness.call('ReceiveMessage', { queueName: 'q' });
    await harness.call('BatchReceiveMessage', { queueName: 'q', numOfMsg: 3 });
    await harness.delete('q', receiptHandle);
    await harness.call('DeleteMessage', { queueName: 'q', receiptHandle });
    const reply = await harness.ok('GetQueueAttributes', { queueName: 'q' });
    expect(reply).toMatchObject({
      sendMsgReqCount: 1,
      sendMsgNum: 2,
      recvMsgReqCount: 4,
      recvMsgNum: 2,
      recvNullMsgNum: 1,
      batchRecvNullMsgNum: 1,
      delMsgReqCount: 2,
      delMsgNum: 1,
    });
  });
});

describe('the rate of a queue', () => {
  test('is so many sends a second, and a tenth more receives', async () => {
    const harness = await withQueue({}, { queueRequestsPerSecond: 10 });
    const codes = (action: string, count: number, parameters = {}): Promise<string[]> =>
      Promise.all(
        Array.from({ length: count }, () =>
          harness.failure(action, { queueName: 'q', ...parameters }),
        ),
      );
    const sent = await codes('SendMessage', 11, { msgBody: 'x' });
    expect(sent.filter((code) => code === '0')).toHaveLength(10);
    expect(sent.at(-1)).toBe('4420/10250');
    const received = await codes('ReceiveMessage', 12);
    expect(received.slice(0, 11)).toEqual([...sent.slice(0, 10), '7000/10200']);
    expect(received.at(-1)).toBe('4420/10250');
    await harness.pass(1);
    await harness.send('q', 'x');
  });
});

describe('bodies', () => {
  test('that are no text come as base64, marked', async () => {
    const harness = await withQueue();
    const bytes = Buffer.from([0xff, 0x00, 0x80]);
    const encoded = bytes.toString('base64');
    const send = { queueName: 'q', msgBody: encoded, bodyEncoding: 'base64' };
    await harness.ok('SendMessage', send);
    const received = await harness.receive('q');
    expect(received).toMatchObject({ msgBody: encoded, bodyEncoding: 'base64' });
    await harness.send('q', 'text');
    expect((await harness.receive('q')).bodyEncoding).toBeUndefined();
    const wrong = { ...send, msgBody: 'no base64!' };
    expect(await harness.failure('SendMessage', wrong)).toBe('4000/10310');
  });

  test('come from AMQP, and go there with id, count and time', async () => {
    const harness = await withQueue();
    harness.engine.publish('', 'q', 'from amqp', { persistent: true });
    await harness.settle();
    const { msgId, receiptHandle } = await harness.receive('q');
    expect(msgId).toMatch(/^\d+$/);
    await harness.ok('ChangeMessageVisibility', {
      queueName: 'q',
      receiptHandle,
      visibilityTimeout: 0,
    });
    const consumer = harness.engine.consume('q');
    await harness.settle();
    expect(consumer.bodies).toEqual(['from amqp']);
    const { entry, queue } = consumer.deliveries[0]!;
    const headers = harness.engine.headersOf(entry.message);
    expect(headers.get('x-msg-id')).toBe(msgId);
    expect(Number(headers.get('x-receive-count'))).toBe(2);
    expect(Math.floor(Number(headers.get('x-enqueue-time')) / 1_000)).toBe(harness.nowSeconds);
    expect(await harness.counts('q')).toEqual([0, 1, 0, 0]);
    queue.acknowledge(entry);
    expect(await harness.counts('q')).toEqual([0, 0, 0, 0]);
  });

  test('of a queue declared over AMQP are leased for 30 s, without any retention', async () => {
    const harness = await QueueHarness.open();
    harness.engine.queue('plain');
    harness.engine.publish('', 'plain', 'x', { persistent: true });
    await harness.settle();
    await harness.pass(20 * 86_400);
    const first = await harness.receive('plain');
    expect(first.nextVisibleTime).toBe(harness.nowSeconds + 30);
    await harness.pass(30);
    const second = await harness.receive('plain');
    expect(second.dequeueCount).toBe(2);
    await harness.delete('plain', second.receiptHandle);
    expect(await harness.counts('plain')).toEqual([0, 0, 0, 0]);
  });
});
