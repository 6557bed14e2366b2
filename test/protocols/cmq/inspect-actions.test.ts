/** What the gateway adds to CMQ: peek, describe, trace, schedule, redrive. */
import { describe, expect, test } from 'vitest';
import { MemoryDisk } from '../../../src/store/memory-disk.ts';
import { QueueHarness } from './queue-harness.ts';

async function withQueue(parameters: Record<string, string | number> = {}): Promise<QueueHarness> {
  const harness = await QueueHarness.open();
  await harness.create('q', parameters);
  return harness;
}

describe('PeekMessage', () => {
  test('shows the oldest ready messages and changes nothing', async () => {
    const harness = await withQueue();
    expect(await harness.failure('PeekMessage', { queueName: 'q' })).toBe('7000/10200');
    const ids = await harness.send('q', 'a', 'b', 'c');
    for (let look = 0; look < 2; look += 1) {
      const reply = await harness.ok('PeekMessage', { queueName: 'q', numOfMsg: 2 });
      expect(reply['msgInfoList']).toMatchObject([
        { msgBody: 'a', msgId: ids[0], dequeueCount: 0, firstDequeueTime: 0 },
        { msgBody: 'b', msgId: ids[1] },
      ]);
    }
    expect(await harness.counts('q')).toEqual([3, 0, 0, 0]);
    expect(await harness.receive('q')).toMatchObject({ msgBody: 'a', dequeueCount: 1 });
    const many = { queueName: 'q', numOfMsg: 17 };
    expect(await harness.failure('PeekMessage', many)).toBe('4000/10350');
  });
});

describe('replies with large bodies, which AMQP published', () => {
  const body = '\u0001'.repeat(9 * 1024 * 1024);

  test('hold what makes up 16 MiB', async () => {
    const harness = await withQueue();
    const publish = () => harness.engine.publish('', 'q', body);
    publish();
    publish();
    publish();
    await harness.settle();
    const asked = { queueName: 'q', numOfMsg: 16 };
    const peeked = await harness.ok('PeekMessage', asked);
    expect(peeked['msgInfoList']).toHaveLength(2);
    const first = await harness.ok('BatchReceiveMessage', asked);
    expect(first['msgInfoList']).toHaveLength(2);
    const second = await harness.ok('BatchReceiveMessage', asked);
    expect(second['msgInfoList']).toHaveLength(1);
  });
});

describe('DescribeMessage', () => {
  test('tells the state, the holder and the times', async () => {
    const harness = await withQueue({ rewindSeconds: 60 });
    const describeIt = (msgId: string) => harness.ok('DescribeMessage', { queueName: 'q', msgId });
    const sentAt = harness.nowSeconds;
    const [msgId] = await harness.send('q', 'hello');
    expect(await describeIt(msgId!)).toMatchObject({
      state: 'active',
      msgSize: 5,
      enqueueTime: sentAt,
      history: [],
    });
    const { receiptHandle, nextVisibleTime } = await harness.receive('q');
    expect(await describeIt(msgId!)).toMatchObject({
      state: 'inactive',
      receiptHandle,
      nextVisibleTime,
      dequeueCount: 1,
      receivedBy: 'guest@192.0.2.7',
    });
    await harness.delete('q', receiptHandle);
    expect(await describeIt(msgId!)).toMatchObject({ state: 'rewindable' });
    const send = { queueName: 'q', msgBody: 'later', delaySeconds: 50 };
    const delayed = (await harness.ok('SendMessage', send))['msgId'] as string;
    expect(await describeIt(delayed)).toMatchObject({
      state: 'delayed',
      msgId: delayed,
      nextVisibleTime: sentAt + 50,
    });
    const unknown = { queueName: 'q', msgId: '12345' };
    expect(await harness.failure('DescribeMessage', unknown)).toBe('4440/10100');
    const noId = { queueName: 'q', msgId: 'abc' };
    expect(await harness.failure('DescribeMessage', noId)).toBe('4000/10350');
  });

  test('tells only owners who holds it, and what happened', async () => {
    const harness = await withQueue({ trace: 1 });
    const [msgId] = await harness.send('q', 'x');
    await harness.receive('q');
    const { access } = harness.engine.broker;
    access.putUser('bob', { tags: [] });
    access.setPermission('bob', '/', { configure: '^$', write: '^$', read: '^q$' });
    harness.actor = { ...harness.actor, user: access.user('bob')! };
    const reply = await harness.ok('DescribeMessage', { queueName: 'q', msgId: msgId! });
    expect(reply).toMatchObject({ state: 'inactive', msgBody: 'x' });
    expect(reply['history']).toBeUndefined();
    expect(JSON.stringify(reply)).not.toContain('guest');
    expect(reply['receiptHandle']).toBeUndefined();
    expect(await harness.failure('QueryTrace', { queueName: 'q' })).toBe('4000/10461');
  });

  test('of a lease held over AMQP names no holder', async () => {
    const harness = await withQueue();
    const [msgId] = await harness.send('q', 'x');
    harness.engine.consume('q');
    await harness.settle();
    const reply = await harness.ok('DescribeMessage', { queueName: 'q', msgId: msgId! });
    expect(reply).toMatchObject({ state: 'inactive', dequeueCount: 1 });
    expect(reply['receivedBy']).toBeUndefined();
  });
});

describe('a trace', () => {
  const BY = 'guest@192.0.2.7';

  interface Event {
    readonly event: string;
    readonly timeMs: number;
  }

  async function eventsOf(harness: QueueHarness, parameters = {}): Promise<Event[]> {
    const reply = await harness.ok('QueryTrace', { queueName: 'q', ...parameters });
    return reply['eventList'] as Event[];
  }

  test('tells every step of a message, with who and which handle', async () => {
    const harness = await withQueue({ trace: 1, visibilityTimeout: 10, rewindSeconds: 60 });
    const [msgId, other] = await harness.send('q', 'x', 'other');
    const first = await harness.receive('q');
    await harness.pass(5);
    const handle = { queueName: 'q', receiptHandle: first.receiptHandle };
    await harness.ok('ChangeMessageVisibility', { ...handle, visibilityTimeout: 10 });
    await harness.pass(10);
    const second = await harness.receive('q');
    await harness.delete('q', second.receiptHandle);
    const startConsumeTime = harness.nowSeconds - 15;
    await harness.ok('RewindQueue', { queueName: 'q', startConsumeTime });
    const { history, state } = await harness.ok('DescribeMessage', {
      queueName: 'q',
      msgId: msgId!,
    });
    expect(state).toBe('active');
    expect(history).toMatchObject([
      { event: 'sent', msgId, by: BY },
      { event: 'received', msgId, by: BY, receiptHandle: first.receiptHandle },
      { event: 'extended', msgId, by: BY },
      { event: 'released', msgId },
      { event: 'received', msgId, by: BY, receiptHandle: second.receiptHandle },
      { event: 'deleted', msgId, by: BY },
      { event: 'rewound', msgId },
    ]);
    const of = await eventsOf(harness, { msgId: other! });
    expect(of.map(({ event }) => event)).toEqual(['sent']);
  });

  test('tells the end of what is gone', async () => {
    const harness = await QueueHarness.open();
    await harness.create('dlq');
    const policy = { deadLetterQueueName: 'dlq', policy: 0, maxReceiveCount: 1 };
    const times = { visibilityTimeout: 10, msgRetentionSeconds: 60 };
    await harness.create('q', { trace: 1, ...times, ...policy });
    const [dead, expired] = await harness.send('q', 'dead', 'expired');
    await harness.receive('q');
    await harness.pass(10);
    await harness.pass(50);
    const ends = async (msgId: string) => {
      const reply = await harness.ok('DescribeMessage', { queueName: 'q', msgId });
      return [reply['state'], (reply['history'] as Event[]).map(({ event }) => event)];
    };
    expect(await ends(dead!)).toEqual(['dead-lettered', ['sent', 'received', 'dead-lettered']]);
    expect(await ends(expired!)).toEqual(['expired', ['sent', 'expired']]);
  });

  test('names the connection that consumes, and a get', async () => {
    const harness = await withQueue({ trace: 1 });
    const consumer = harness.engine.consume('q');
    const [msgId] = await harness.send('q', 'x');
    await harness.settle();
    const received = async (): Promise<unknown[]> => {
      const reply = await harness.ok('QueryTrace', { queueName: 'q', msgId: msgId! });
      const events = reply['eventList'] as { event: string; by: string }[];
      return events.filter(({ event }) => event === 'received').map(({ by }) => by);
    };
    const name = `guest#${harness.actor.connectionId}`;
    expect(await received()).toEqual([name]);
    const queue = harness.queue('q');
    queue.removeConsumer(consumer);
    queue.requeue(consumer.deliveries[0]!.entry, false);
    queue.get(() => {});
    await harness.settle();
    expect(await received()).toEqual([name, 'get']);
  });

  test('sees other protocols', async () => {
    const harness = await withQueue({ trace: 1 });
    harness.engine.publish('', 'q', 'x', { persistent: true });
    const consumer = harness.engine.consume('q');
    await harness.settle();
    const { queue, entry } = consumer.deliveries[0]!;
    queue.acknowledge(entry);
    const events = await eventsOf(harness);
    expect(events.map(({ event }) => event)).toEqual(['sent', 'received', 'deleted']);
  });

  test('is cut by time and number', async () => {
    const harness = await withQueue({ trace: 1 });
    const began = harness.nowSeconds;
    for (let n = 0; n < 5; n += 1) {
      await harness.send('q', `${n}`);
      await harness.pass(1);
    }
    expect(await eventsOf(harness)).toHaveLength(5);
    expect(await eventsOf(harness, { limit: 2 })).toHaveLength(2);
    expect(await eventsOf(harness, { startTime: began + 2 })).toHaveLength(3);
    const within = { startTime: began + 1, endTime: began + 2 };
    expect(await eventsOf(harness, within)).toHaveLength(2);
  });

  test('is kept for three days, over restarts and being switched off', async () => {
    const disk = new MemoryDisk();
    const before = await QueueHarness.open({ disk });
    await before.create('q', { trace: 1 });
    await before.send('q', 'x');
    await before.ok('SetQueueAttributes', { queueName: 'q', trace: 0 });
    await before.send('q', 'untraced');
    await before.settle();
    const after = await QueueHarness.open({ disk, clock: before.clock });
    expect(await eventsOf(after)).toHaveLength(1);
    await after.pass(3 * 86_400);
    expect(await eventsOf(after)).toHaveLength(1);
    await after.pass(1);
    expect(await eventsOf(after)).toHaveLength(0);
  });

  test('is not there without the attribute, and goes with the queue', async () => {
    const harness = await withQueue();
    await harness.send('q', 'x');
    expect(await eventsOf(harness)).toEqual([]);
    await harness.ok('SetQueueAttributes', { queueName: 'q', trace: 1 });
    await harness.send('q', 'y');
    expect(harness.engine.vhost.topology.queues.has('amq.cmq-trace.q')).toBe(true);
    await harness.ok('DeleteQueue', { queueName: 'q' });
    expect(harness.engine.vhost.topology.queues.has('amq.cmq-trace.q')).toBe(false);
  });
});

describe('scheduled messages', () => {
  async function scheduled(): Promise<{ harness: QueueHarness; ids: string[] }> {
    const harness = await withQueue({ trace: 1 });
    const ids: string[] = [];
    for (const delaySeconds of [30, 10, 20]) {
      const send = { queueName: 'q', msgBody: `${delaySeconds}`, delaySeconds };
      ids.push((await harness.ok('SendMessage', send))['msgId'] as string);
    }
    return { harness, ids };
  }

  test('are listed in the order of their due times', async () => {
    const { harness, ids } = await scheduled();
    const reply = await harness.ok('ListScheduledMessages', { queueName: 'q', limit: 2 });
    expect(reply).toMatchObject({
      totalCount: 3,
      msgInfoList: [
        { msgId: ids[1], msgBody: '10', nextVisibleTime: harness.nowSeconds + 10 },
        { msgId: ids[2], msgBody: '20' },
      ],
    });
    const rest = await harness.ok('ListScheduledMessages', { queueName: 'q', offset: 2 });
    expect(rest['msgInfoList']).toMatchObject([{ msgId: ids[0] }]);
    const beyond = { queueName: 'q', limit: 51 };
    expect(await harness.failure('ListScheduledMessages', beyond)).toBe('4000/10350');
  });

  test('of a queue declared over AMQP have ids as well', async () => {
    const harness = await QueueHarness.open();
    harness.engine.queue('plain');
    const send = { queueName: 'plain', msgBody: 'x', delaySeconds: 5 };
    const { msgId } = await harness.ok('SendMessage', send);
    const reply = await harness.ok('ListScheduledMessages', { queueName: 'plain' });
    expect(reply['msgInfoList']).toMatchObject([{ msgId }]);
  });

  test('get another time, also a past one', async () => {
    const { harness, ids } = await scheduled();
    const retime = (msgId: string, delaySeconds: number) =>
      harness.failure('RescheduleMessage', { queueName: 'q', msgId, delaySeconds });
    expect(await retime(ids[0]!, 1)).toBe('0');
    expect(await retime(ids[1]!, 0)).toBe('0');
    await harness.settle();
    expect(await harness.receive('q')).toMatchObject({ msgId: ids[1] });
    await harness.pass(1);
    expect(await harness.receive('q')).toMatchObject({ msgId: ids[0] });
    expect(await retime(ids[0]!, 1)).toBe('4440/10100');
    expect(await retime('77', 1)).toBe('4440/10100');
    expect(await retime(ids[2]!, 6_048_001)).toBe('4000/10692');
  });

  test('are cancelled', async () => {
    const { harness, ids } = await scheduled();
    await harness.ok('CancelScheduledMessage', { queueName: 'q', msgId: ids[1]! });
    expect(await harness.counts('q')).toEqual([0, 0, 2, 0]);
    await harness.pass(10);
    expect(await harness.failure('ReceiveMessage', { queueName: 'q' })).toBe('7000/10200');
    const again = { queueName: 'q', msgId: ids[1]! };
    expect(await harness.failure('CancelScheduledMessage', again)).toBe('4440/10100');
    const { state } = await harness.ok('DescribeMessage', again);
    expect(state).toBe('cancelled');
  });
});

describe('a redrive', () => {
  async function withDeadLetters(
    count: number,
    disk = new MemoryDisk(),
  ): Promise<{ harness: QueueHarness; ids: string[] }> {
    const harness = await QueueHarness.open({ disk });
    await harness.create('dlq');
    const policy = { deadLetterQueueName: 'dlq', policy: 0, maxReceiveCount: 1 };
    await harness.create('q', { visibilityTimeout: 10, ...policy });
    const bodies = Array.from({ length: count }, (_, n) => `${n}`);
    const ids = await harness.send('q', ...bodies);
    for (let n = 0; n < count; n += 1) await harness.receive('q');
    await harness.pass(10);
    expect(await harness.counts('dlq')).toEqual([count, 0, 0, 0]);
    return { harness, ids };
  }

  test('brings messages home with their ids, as if they were new', async () => {
    const { harness, ids } = await withDeadLetters(3);
    const started = await harness.ok('StartRedrive', { queueName: 'dlq' });
    expect(started).toMatchObject({ status: 'running', totalMsgNum: 3, messagesPerSecond: 500 });
    await harness.pass(1);
    await harness.settle();
    expect(await harness.counts('q')).toEqual([3, 0, 0, 0]);
    expect(await harness.counts('dlq')).toEqual([0, 0, 0, 0]);
    expect(await harness.ok('DescribeRedrive', { queueName: 'dlq' })).toMatchObject({
      status: 'completed',
      movedMsgNum: 3,
      failedMsgNum: 0,
      lastError: '',
    });
    const consumer = harness.engine.consume('q');
    await harness.settle();
    const headers = consumer.deliveries.map(({ entry }) => harness.engine.headersOf(entry.message));
    expect(headers.map((one) => one.get('x-msg-id'))).toEqual(ids);
    for (const one of headers) {
      expect(Number(one.get('x-receive-count'))).toBe(1);
      expect([...one.keys()].filter((name) => /death|origin/.test(name))).toEqual([]);
    }
  });

  test('keeps its rate', async () => {
    const { harness } = await withDeadLetters(20);
    await harness.ok('StartRedrive', { queueName: 'dlq', messagesPerSecond: 2 });
    for (let half = 0; half < 6; half += 1) await harness.pass(0.5);
    const { movedMsgNum } = await harness.ok('DescribeRedrive', { queueName: 'dlq' });
    expect(movedMsgNum).toBeGreaterThanOrEqual(6);
    expect(movedMsgNum).toBeLessThanOrEqual(7);
    for (const messagesPerSecond of [0, 100_001]) {
      const start = { queueName: 'q', messagesPerSecond };
      expect(await harness.failure('StartRedrive', start)).toBe('4000/10350');
    }
  });

  test('is one at a time, and can be cancelled', async () => {
    const { harness } = await withDeadLetters(5);
    expect(await harness.failure('DescribeRedrive', { queueName: 'dlq' })).toBe('4440/10100');
    expect(await harness.failure('CancelRedrive', { queueName: 'dlq' })).toBe('4440/10100');
    const start = { queueName: 'dlq', messagesPerSecond: 1 };
    await harness.ok('StartRedrive', start);
    expect(await harness.failure('StartRedrive', start)).toBe('4000/10110');
    await harness.settle();
    expect(await harness.ok('CancelRedrive', { queueName: 'dlq' })).toMatchObject({
      status: 'cancelled',
      movedMsgNum: 1,
    });
    await harness.pass(60);
    expect(await harness.counts('dlq')).toEqual([4, 0, 0, 0]);
    await harness.ok('StartRedrive', start);
  });

  test('waits while its destination is full', async () => {
    const { harness } = await withDeadLetters(3);
    await harness.create('small', { maxMsgHeapNum: 1 });
    await harness.ok('StartRedrive', { queueName: 'dlq', targetQueueName: 'SMALL' });
    for (let second = 0; second < 3; second += 1) await harness.pass(1);
    const progress = await harness.ok('DescribeRedrive', { queueName: 'dlq' });
    expect(progress).toMatchObject({
      status: 'running',
      targetQueueName: 'small',
      movedMsgNum: 1,
      lastError: "queue 'small' is full",
    });
    await harness.ok('SetQueueAttributes', { queueName: 'small', maxMsgHeapNum: 10 });
    for (let second = 0; second < 3; second += 1) await harness.pass(1);
    expect(await harness.counts('small')).toEqual([3, 0, 0, 0]);
    expect(await harness.counts('dlq')).toEqual([0, 0, 0, 0]);
  });

  test('leaves what has no way home, and says why', async () => {
    const { harness } = await withDeadLetters(2);
    await harness.send('dlq', 'never died');
    await harness.ok('StartRedrive', { queueName: 'dlq' });
    await harness.pass(1);
    await harness.settle();
    expect(await harness.ok('DescribeRedrive', { queueName: 'dlq' })).toMatchObject({
      status: 'completed',
      movedMsgNum: 2,
      failedMsgNum: 1,
      lastError: 'a message does not say where it came from',
    });
    expect(await harness.counts('dlq')).toEqual([1, 0, 0, 0]);
  });

  test('that is slow holds what has no way home beyond its lease, and moves the rest', async () => {
    const disk = new MemoryDisk();
    const { harness } = await withDeadLetters(0, disk);
    await harness.send('dlq', 'never died');
    await harness.send('q', 'a', 'b', 'c');
    for (let n = 0; n < 3; n += 1) await harness.receive('q');
    await harness.pass(10);
    expect(await harness.counts('dlq')).toEqual([4, 0, 0, 0]);
    await harness.ok('StartRedrive', { queueName: 'dlq', messagesPerSecond: 1 });
    await harness.settle();
    expect(await harness.counts('dlq')).toEqual([3, 1, 0, 0]);
    const after = await QueueHarness.open({ disk, clock: harness.clock });
    await after.pass(1);
    await after.pass(40);
    for (let second = 0; second < 4; second += 1) await after.pass(1);
    expect(await after.ok('DescribeRedrive', { queueName: 'dlq' })).toMatchObject({
      status: 'completed',
      movedMsgNum: 3,
      failedMsgNum: 1,
    });
    expect(await after.counts('dlq')).toEqual([1, 0, 0, 0]);
  });

  test('has the rights of who started it', async () => {
    const { harness } = await withDeadLetters(1);
    const { access } = harness.engine.broker;
    access.putUser('bob', { tags: [] });
    access.setPermission('bob', '/', { configure: '^dlq$', write: '^$', read: '^$' });
    harness.actor = { ...harness.actor, user: access.user('bob')! };
    const elsewhere = { queueName: 'dlq', targetQueueName: 'q' };
    expect(await harness.failure('StartRedrive', elsewhere)).toBe('4000/10461');
    await harness.ok('StartRedrive', { queueName: 'dlq' });
    await harness.pass(1);
    const reply = await harness.ok('DescribeRedrive', { queueName: 'dlq' });
    expect(reply).toMatchObject({ movedMsgNum: 0, failedMsgNum: 1 });
  });

  test('goes on after a restart', async () => {
    const disk = new MemoryDisk();
    const { harness: before } = await withDeadLetters(6, disk);
    await before.ok('StartRedrive', { queueName: 'dlq', messagesPerSecond: 1 });
    await before.pass(1);
    await before.settle();
    const { clock } = before;
    const after = await QueueHarness.open({ disk, clock });
    for (let second = 0; second < 8; second += 1) await after.pass(1);
    expect(await after.counts('q')).toEqual([6, 0, 0, 0]);
    expect(await after.counts('dlq')).toEqual([0, 0, 0, 0]);
    expect(await after.ok('DescribeRedrive', { queueName: 'dlq' })).toMatchObject({
      status: 'completed',
      totalMsgNum: 6,
      movedMsgNum: 6,
    });
  });
});
