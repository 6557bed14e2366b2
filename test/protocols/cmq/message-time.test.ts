/** What time does to messages: retention, leases, delays, long polls, dead letters, rewind. */
import { describe, expect, test } from 'vitest';
import { MemoryDisk } from '../../../src/store/memory-disk.ts';
import { type Pending, QueueHarness, type Received } from './queue-harness.ts';

const DAY = 86_400;
const EMPTY = '7000/10200';

async function withQueue(parameters: Record<string, string | number> = {}): Promise<QueueHarness> {
  const harness = await QueueHarness.open();
  await harness.create('q', parameters);
  return harness;
}

function isEmpty(harness: QueueHarness): Promise<string> {
  return harness.failure('ReceiveMessage', { queueName: 'q' });
}

describe('retention', () => {
  test('of 15 days counts from the send, whatever the state', async () => {
    const harness = await withQueue({ msgRetentionSeconds: 15 * DAY });
    await harness.send('q', 'leased', 'ready');
    const delayed = { queueName: 'q', msgBody: 'delayed', delaySeconds: 20 * DAY };
    await harness.ok('SendMessage', delayed);
    await harness.pass(15 * DAY - 60);
    const { receiptHandle } = await harness.receive('q', { visibilityTimeout: 43_200 });
    await harness.pass(59);
    expect(await harness.counts('q')).toEqual([1, 1, 1, 0]);
    await harness.pass(1);
    expect(await harness.counts('q')).toEqual([0, 0, 0, 0]);
    const gone = { queueName: 'q', receiptHandle };
    expect(await harness.failure('DeleteMessage', gone)).toBe('4430/10260');
    expect(await isEmpty(harness)).toBe(EMPTY);
  });

  test('of 4 days is the default, and nothing acknowledges by itself before', async () => {
    const harness = await withQueue();
    await harness.send('q', 'x');
    await harness.pass(4 * DAY - 31);
    await harness.receive('q');
    await harness.pass(30);
    expect(await harness.receive('q')).toMatchObject({ dequeueCount: 2 });
    await harness.pass(1);
    expect(await harness.counts('q')).toEqual([0, 0, 0, 0]);
  });

  test('changes with the attribute', async () => {
    const harness = await withQueue();
    await harness.send('q', 'x');
    await harness.pass(100);
    await harness.ok('SetQueueAttributes', { queueName: 'q', msgRetentionSeconds: 60 });
    await harness.settle();
    expect(await harness.counts('q')).toEqual([0, 0, 0, 0]);
  });
});

describe('leases', () => {
  test('of 12 hours', async () => {
    const harness = await withQueue({ visibilityTimeout: 43_200 });
    await harness.send('q', 'x');
    const first = await harness.receive('q');
    await harness.pass(43_199);
    expect(await isEmpty(harness)).toBe(EMPTY);
    await harness.pass(1);
    const second = await harness.receive('q');
    expect(second.firstDequeueTime).toBe(first.firstDequeueTime);
  });

  test('are extended, shortened and ended by ChangeMessageVisibility', async () => {
    const harness = await withQueue();
    await harness.send('q', 'x');
    const { receiptHandle } = await harness.receive('q');
    const change = (visibilityTimeout: number) =>
      harness.call('ChangeMessageVisibility', { queueName: 'q', receiptHandle, visibilityTimeout });
    expect(await change(100)).toMatchObject({ code: 0, nextVisibleTime: harness.nowSeconds + 100 });
    await harness.pass(99);
    expect(await isEmpty(harness)).toBe(EMPTY);
    expect((await change(10)).code).toBe(0);
    await harness.pass(9);
    expect(await isEmpty(harness)).toBe(EMPTY);
    expect((await change(0)).code).toBe(0);
    expect((await change(1)).code).toBe(4430);
    expect(await harness.receive('q')).toMatchObject({ dequeueCount: 2 });
    const beyond = { queueName: 'q', receiptHandle, visibilityTimeout: 43_201 };
    expect(await harness.failure('ChangeMessageVisibility', beyond)).toBe('4000/10350');
  });
});

describe('delays', () => {
  test('end on time, in the order of due times, also after a restart', async () => {
    const disk = new MemoryDisk();
    const before = await QueueHarness.open({ disk });
    await before.create('q');
    const ids: unknown[] = [];
    for (const delaySeconds of [30, 5, 10]) {
      const send = { queueName: 'q', msgBody: `${delaySeconds}`, delaySeconds };
      ids.push((await before.ok('SendMessage', send))['msgId']);
    }
    expect(await before.counts('q')).toEqual([0, 0, 3, 0]);
    await before.settle();
    const harness = await QueueHarness.open({ disk, clock: before.clock });
    await harness.pass(4.9);
    expect(await isEmpty(harness)).toBe(EMPTY);
    await harness.pass(0.2);
    expect(await harness.receive('q')).toMatchObject({ msgBody: '5', msgId: ids[1] });
    await harness.pass(25);
    expect(await harness.receive('q')).toMatchObject({ msgBody: '10', msgId: ids[2] });
    expect(await harness.receive('q')).toMatchObject({ msgBody: '30', msgId: ids[0] });
  });

  test('of 70 days, in a queue that keeps messages as long', async () => {
    const harness = await QueueHarness.open();
    harness.engine.queue('q');
    const send = { queueName: 'q', msgBody: 'x', delaySeconds: 6_048_000 };
    await harness.ok('SendMessage', send);
    await harness.pass(6_047_999);
    expect(await isEmpty(harness)).toBe(EMPTY);
    await harness.pass(1);
    expect(await harness.receive('q')).toMatchObject({ msgBody: 'x' });
  });
});

describe('a long poll', () => {
  function poll(harness: QueueHarness, pollingWaitSeconds = 30): Pending {
    return harness.start('ReceiveMessage', { queueName: 'q', pollingWaitSeconds });
  }

  test("ends with 7000 when its time is over, the queue's unless it says so itself", async () => {
    const harness = await withQueue({ pollingWaitSeconds: 10 });
    const usual = harness.start('ReceiveMessage', { queueName: 'q' });
    const own = poll(harness, 20);
    const none = poll(harness, 0);
    await harness.settle();
    expect(none.reply?.code).toBe(7_000);
    await harness.pass(9.9);
    expect(usual.reply).toBeUndefined();
    await harness.pass(0.1);
    expect(usual.reply?.code).toBe(7_000);
    expect(own.reply).toBeUndefined();
    await harness.pass(10);
    expect(own.reply?.code).toBe(7_000);
    const beyond = { queueName: 'q', pollingWaitSeconds: 31 };
    expect(await harness.failure('ReceiveMessage', beyond)).toBe('4000/10350');
  });

  test('wakes on a send', async () => {
    const harness = await withQueue();
    const pending = poll(harness);
    await harness.pass(3);
    await harness.send('q', 'x');
    await harness.settle();
    expect(pending.reply).toMatchObject({ code: 0, msgBody: 'x' });
  });

  test('wakes on a publish over AMQP', async () => {
    const harness = await withQueue();
    const pending = poll(harness);
    await harness.settle();
    harness.engine.publish('', 'q', 'x', { persistent: true });
    await harness.settle();
    expect(pending.reply).toMatchObject({ code: 0, msgBody: 'x' });
  });

  test('wakes when a delay is due', async () => {
    const harness = await withQueue();
    await harness.ok('SendMessage', { queueName: 'q', msgBody: 'x', delaySeconds: 5 });
    const pending = poll(harness);
    await harness.pass(4.9);
    expect(pending.reply).toBeUndefined();
    await harness.pass(0.1);
    expect(pending.reply).toMatchObject({ code: 0, msgBody: 'x' });
  });

  test('wakes when a lease ends', async () => {
    const harness = await withQueue({ visibilityTimeout: 5 });
    await harness.send('q', 'x');
    await harness.receive('q');
    const pending = poll(harness);
    await harness.pass(4.9);
    expect(pending.reply).toBeUndefined();
    await harness.pass(0.1);
    expect(pending.reply).toMatchObject({ code: 0, msgBody: 'x', dequeueCount: 2 });
  });

  test('wakes on a rewind', async () => {
    const harness = await withQueue({ rewindSeconds: 60 });
    await harness.send('q', 'x');
    await harness.delete('q', (await harness.receive('q')).receiptHandle);
    const pending = poll(harness);
    await harness.settle();
    const startConsumeTime = harness.nowSeconds;
    await harness.ok('RewindQueue', { queueName: 'q', startConsumeTime });
    await harness.settle();
    expect(pending.reply).toMatchObject({ code: 0, msgBody: 'x' });
  });

  test('one of 1,000 wakes for one message, the one that waited longest', async () => {
    const harness = await withQueue();
    const pending = Array.from({ length: 1_000 }, () => poll(harness));
    await harness.settle();
    await harness.send('q', 'x');
    await harness.settle();
    expect(pending.filter(({ reply }) => reply !== undefined)).toEqual([pending[0]]);
    expect(await harness.counts('q')).toEqual([0, 1, 0, 0]);
    await harness.pass(30);
    expect(pending.filter(({ reply }) => reply?.code === 7_000)).toHaveLength(999);
  });

  test('of a client that has gone takes nothing', async () => {
    const harness = await withQueue();
    const [first, second] = [poll(harness), poll(harness)];
    await harness.settle();
    first.gone();
    await harness.send('q', 'x');
    await harness.settle();
    expect(first.reply).toBeUndefined();
    expect(second.reply).toMatchObject({ code: 0, dequeueCount: 1 });
  });

  test('gives back at once what was leased for a client found gone', async () => {
    const harness = await withQueue();
    await harness.send('q', 'x');
    const pending = poll(harness, 0);
    pending.gone();
    await harness.settle();
    expect(await harness.counts('q')).toEqual([1, 0, 0, 0]);
    expect(await harness.receive('q')).toMatchObject({ msgBody: 'x' });
  });

  test('gives back at once what the reply finds nobody to take', async () => {
    const harness = await withQueue();
    const [first, second] = [poll(harness), poll(harness)];
    await harness.settle();
    first.vanish();
    await harness.send('q', 'x');
    await harness.settle();
    expect(first.reply).toBeUndefined();
    expect(second.reply).toMatchObject({ msgBody: 'x', dequeueCount: 2 });
    await harness.ok('DeleteMessage', {
      queueName: 'q',
      receiptHandle: second.reply!['receiptHandle'] as string,
    });
    const batch = { queueName: 'q', numOfMsg: 16, pollingWaitSeconds: 5 };
    const gone = harness.start('BatchReceiveMessage', batch);
    await harness.settle();
    gone.vanish();
    await harness.ok('BatchSendMessage', { queueName: 'q', msgBody: ['a', 'b', 'c'] });
    await harness.settle();
    expect(await harness.counts('q')).toEqual([3, 0, 0, 0]);
    const { msgInfoList } = await harness.ok('BatchReceiveMessage', batch);
    expect(msgInfoList).toMatchObject([{ msgBody: 'a' }, { msgBody: 'b' }, { msgBody: 'c' }]);
  });

  test('gives back what is leased still when its reply was not sent', async () => {
    const harness = await withQueue();
    await harness.send('q', 'x');
    const first = poll(harness, 0);
    await harness.settle();
    expect(first.reply).toMatchObject({ msgBody: 'x', dequeueCount: 1 });
    first.unsent();
    await harness.settle();
    expect(await harness.counts('q')).toEqual([1, 0, 0, 0]);
    const second = poll(harness, 0);
    await harness.settle();
    await harness.pass(31);
    const third = await harness.receive('q');
    // The lease is another one's now.
    second.unsent();
    await harness.settle();
    expect(await harness.counts('q')).toEqual([0, 1, 0, 0]);
    await harness.delete('q', third.receiptHandle);
    first.unsent();
    expect(await harness.counts('q')).toEqual([0, 0, 0, 0]);
  });

  test('ends when the queue is deleted', async () => {
    const harness = await withQueue();
    const pending = poll(harness);
    await harness.settle();
    await harness.ok('DeleteQueue', { queueName: 'q' });
    expect(pending.reply?.code).toBe(4_440);
  });

  test('shares fairly with consumers of other protocols', async () => {
    const harness = await withQueue();
    const consumer = harness.engine.consume('q');
    const polls = Array.from({ length: 5 }, () => poll(harness));
    await harness.settle();
    for (let n = 0; n < 10; n += 1) await harness.send('q', `${n}`);
    await harness.settle();
    expect(polls.every(({ reply }) => reply?.code === 0)).toBe(true);
    expect(consumer.bodies).toHaveLength(5);
  });
});

describe('dead letters', () => {
  async function bound(policy: Record<string, number>): Promise<QueueHarness> {
    const harness = await QueueHarness.open();
    await harness.create('dlq');
    await harness.create('q', { visibilityTimeout: 10, deadLetterQueueName: 'dlq', ...policy });
    return harness;
  }

  test('by count move after the last receive, by themselves, with their origin', async () => {
    const harness = await bound({ policy: 0, maxReceiveCount: 3 });
    const [msgId] = await harness.send('q', 'x');
    for (let n = 1; n <= 3; n += 1) {
      expect(await harness.receive('q')).toMatchObject({ dequeueCount: n });
      await harness.pass(10);
    }
    expect(await isEmpty(harness)).toBe(EMPTY);
    expect(await harness.counts('dlq')).toEqual([1, 0, 0, 0]);
    const dead = await harness.receive('dlq');
    expect(dead).toMatchObject({ msgBody: 'x', msgId, dequeueCount: 1 });
    const consumer = harness.engine.consume('dlq');
    await harness.pass(30);
    const headers = harness.engine.headersOf(consumer.deliveries[0]!.entry.message);
    expect(headers.get('x-origin-queue')).toBe('q');
    expect(headers.get('x-origin-msg-id')).toBe(msgId);
    expect(Number(headers.get('x-origin-receive-count'))).toBe(3);
    expect(headers.get('x-death')).toHaveLength(1);
  });

  test('by age move without any receive, and leave what is older than the binding', async () => {
    const harness = await QueueHarness.open();
    await harness.create('dlq');
    await harness.create('q');
    await harness.send('q', 'older');
    await harness.pass(1);
    await harness.ok('SetQueueAttributes', {
      queueName: 'q',
      deadLetterQueueName: 'dlq',
      policy: 1,
      maxTimeToLive: 300,
    });
    await harness.send('q', 'newer');
    await harness.pass(299);
    expect(await harness.counts('q')).toEqual([2, 0, 0, 0]);
    await harness.pass(1);
    expect(await harness.counts('q')).toEqual([1, 0, 0, 0]);
    expect(await harness.counts('dlq')).toEqual([1, 0, 0, 0]);
    expect(await harness.receive('dlq')).toMatchObject({ msgBody: 'newer' });
    expect(await harness.receive('q')).toMatchObject({ msgBody: 'older' });
  });

  test('deleted ones never move', async () => {
    const harness = await bound({ policy: 0, maxReceiveCount: 1 });
    await harness.send('q', 'x');
    const { receiptHandle } = await harness.receive('q');
    await harness.delete('q', receiptHandle);
    await harness.pass(DAY);
    expect(await harness.counts('dlq')).toEqual([0, 0, 0, 0]);
  });
});

describe('rewind', () => {
  async function consumed(count: number, parameters = {}): Promise<QueueHarness> {
    const harness = await withQueue({ rewindSeconds: 3_600, ...parameters });
    for (let n = 0; n < count; n += 1) {
      await harness.send('q', `${n}`);
      await harness.pass(1);
      await harness.delete('q', (await harness.receive('q')).receiptHandle);
    }
    return harness;
  }

  test('brings back what was sent since then, in order, with its ids', async () => {
    const harness = await withQueue({ rewindSeconds: 3_600 });
    const began = harness.nowSeconds;
    const ids: string[] = [];
    for (let n = 0; n < 100; n += 1) {
      ids.push(...(await harness.send('q', `${n}`)));
      const { receiptHandle } = await harness.receive('q');
      await harness.delete('q', receiptHandle);
      harness.clock.advance(1_000);
    }
    expect(await harness.counts('q')).toEqual([0, 0, 0, 100]);
    await harness.ok('RewindQueue', { queueName: 'q', startConsumeTime: began + 50 });
    expect(await harness.counts('q')).toEqual([50, 0, 0, 50]);
    const back: Received[] = [];
    while (back.length < 50) {
      const batch = await harness.ok('BatchReceiveMessage', { queueName: 'q', numOfMsg: 16 });
      back.push(...(batch['msgInfoList'] as Received[]));
    }
    expect(back.map(({ msgId }) => msgId)).toEqual(ids.slice(50));
    expect(back.map(({ msgBody }) => msgBody)).toEqual(ids.slice(50).map((_, n) => `${n + 50}`));
  });

  test('takes times within the window only, in seconds or ms', async () => {
    const harness = await consumed(2);
    const rewind = (startConsumeTime: number) =>
      harness.failure('RewindQueue', { queueName: 'q', startConsumeTime });
    const now = harness.nowSeconds;
    expect(await rewind(now - 3_601)).toBe('4000/10680');
    expect(await rewind(now + 1)).toBe('4000/10680');
    expect(await rewind(now - 3_600)).toBe('0');
    expect(await harness.counts('q')).toEqual([2, 0, 0, 0]);
    // What is unconsumed was sent two seconds ago: later times would skip it.
    expect(await rewind(now - 1)).toBe('4000/10680');
    expect(await rewind((now - 3_600) * 1_000)).toBe('0');
    expect(await rewind((now - 3_601) * 1_000)).toBe('4000/10680');
  });

  test('is refused where it is off, and switching it off forgets at once', async () => {
    const harness = await consumed(1);
    await harness.ok('SetQueueAttributes', { queueName: 'q', rewindSeconds: 0 });
    expect(await harness.counts('q')).toEqual([0, 0, 0, 0]);
    const rewind = { queueName: 'q', startConsumeTime: harness.nowSeconds };
    expect(await harness.failure('RewindQueue', rewind)).toBe('6050/10670');
  });

  test('forgets what is older than its window', async () => {
    const harness = await consumed(1);
    await harness.pass(3_598);
    expect(await harness.counts('q')).toEqual([0, 0, 0, 1]);
    await harness.pass(2);
    expect(await harness.counts('q')).toEqual([0, 0, 0, 0]);
  });

  test('lasts over a restart, before and after', async () => {
    const disk = new MemoryDisk();
    const before = await QueueHarness.open({ disk });
    await before.create('q', { rewindSeconds: 60 });
    await before.send('q', 'x');
    await before.delete('q', (await before.receive('q')).receiptHandle);
    await before.settle();
    const between = await QueueHarness.open({ disk, clock: before.clock });
    expect(await between.counts('q')).toEqual([0, 0, 0, 1]);
    const startConsumeTime = between.nowSeconds;
    await between.ok('RewindQueue', { queueName: 'q', startConsumeTime });
    const after = await QueueHarness.open({ disk, clock: before.clock });
    expect(await after.counts('q')).toEqual([1, 0, 0, 0]);
    expect(await after.receive('q')).toMatchObject({ msgBody: 'x', dequeueCount: 2 });
  });

  test('passes are not counted towards the dead-letter queue', async () => {
    const harness = await QueueHarness.open();
    await harness.create('dlq');
    const parameters = { deadLetterQueueName: 'dlq', policy: 0, maxReceiveCount: 2 };
    await harness.create('q', { rewindSeconds: 3_600, visibilityTimeout: 10, ...parameters });
    await harness.send('q', 'x');
    await harness.receive('q');
    await harness.pass(10);
    await harness.delete('q', (await harness.receive('q')).receiptHandle);
    const startConsumeTime = harness.nowSeconds - 10;
    await harness.ok('RewindQueue', { queueName: 'q', startConsumeTime });
    expect(await harness.receive('q')).toMatchObject({ dequeueCount: 3 });
    await harness.pass(10);
    expect(await harness.counts('dlq')).toEqual([0, 0, 0, 0]);
    expect(await harness.receive('q')).toMatchObject({ dequeueCount: 4 });
  });

  test('minMsgTime is that of the oldest message not deleted', async () => {
    const harness = await withQueue();
    const sentAt = harness.nowSeconds;
    await harness.send('q', 'a');
    await harness.pass(10);
    await harness.send('q', 'b');
    const minMsgTime = async () =>
      (await harness.ok('GetQueueAttributes', { queueName: 'q' }))['minMsgTime'];
    expect(await minMsgTime()).toBe(sentAt);
    const { receiptHandle } = await harness.receive('q');
    expect(await minMsgTime()).toBe(sentAt);
    await harness.delete('q', receiptHandle);
    expect(await minMsgTime()).toBe(sentAt + 10);
  });
});
