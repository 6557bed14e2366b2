/** Actions on queues: limits, codes, attributes, dead-letter bindings, rewind, clear. */
import { describe, expect, test } from 'vitest';
import { MemoryDisk } from '../../../src/store/memory-disk.ts';
import { ACTIONS } from '../../../protocols/cmq/spec/actions.ts';
import { QueueHarness } from './queue-harness.ts';

test('every action on queues has a handler, unless the table says why not', async () => {
  const harness = await QueueHarness.open();
  const wanted = ACTIONS.filter(
    ({ resource, unserved }) => resource === 'queue' && unserved === undefined,
  ).map(({ name }) => name);
  expect(harness.actions.toSorted()).toEqual(wanted.toSorted());
});

describe('CreateQueue', () => {
  test.each([
    ['maxMsgHeapNum', 1, 1_000_000_000],
    ['pollingWaitSeconds', 0, 30],
    ['visibilityTimeout', 1, 43_200],
    ['maxMsgSize', 1_024, 1_048_576],
    ['msgRetentionSeconds', 60, 1_296_000],
  ])('takes %s from %i to %i', async (name, min, max) => {
    const harness = await QueueHarness.open();
    for (const [index, value] of [min, max].entries()) {
      await harness.ok('CreateQueue', { queueName: `q${index}`, [name]: value });
      const reply = await harness.ok('GetQueueAttributes', { queueName: `q${index}` });
      expect(reply[name]).toBe(value);
    }
    for (const value of [min - 1, max + 1]) {
      const refused = await harness.failure('CreateQueue', { queueName: 'r', [name]: value });
      expect(refused).toBe('4000/10350');
    }
    expect(harness.queue('r')).toBeUndefined();
  });

  test('takes rewindSeconds up to msgRetentionSeconds', async () => {
    const harness = await QueueHarness.open();
    const retention = { msgRetentionSeconds: 1_296_000 };
    await harness.create('q', { rewindSeconds: 1_296_000, ...retention });
    const beyond = { queueName: 'r', rewindSeconds: 1_296_001, ...retention };
    expect(await harness.failure('CreateQueue', beyond)).toBe('4000/10350');
    const more = { queueName: 'r', rewindSeconds: 61, msgRetentionSeconds: 60 };
    expect(await harness.failure('CreateQueue', more)).toBe('4000/10700');
    await harness.create('s', { rewindSeconds: 60, msgRetentionSeconds: 60 });
    const less = { queueName: 'q', msgRetentionSeconds: 60 };
    expect(await harness.failure('SetQueueAttributes', less)).toBe('4000/10700');
  });

  test('has the defaults of the reference', async () => {
    const harness = await QueueHarness.open();
    const created = await harness.ok('CreateQueue', { queueName: 'q' });
    const reply = await harness.ok('GetQueueAttributes', { queueName: 'q' });
    expect(reply).toMatchObject({
      queueId: created['queueId'],
      queueName: 'q',
      maxMsgHeapNum: 100_000_000,
      pollingWaitSeconds: 0,
      visibilityTimeout: 30,
      maxMsgSize: 1_048_576,
      msgRetentionSeconds: 345_600,
      rewindSeconds: 0,
      createTime: harness.nowSeconds,
      lastModifyTime: harness.nowSeconds,
      activeMsgNum: 0,
      inactiveMsgNum: 0,
      delayMsgNum: 0,
      rewindMsgNum: 0,
      rewindmsgNum: 0,
      minMsgTime: 0,
      deadLetterSource: [],
    });
    expect(created['queueId']).toMatch(/^queue-[0-9a-z]+$/);
  });

  test.each([
    ['a', true],
    ['A'.padEnd(64, 'x'), true],
    ['a_b-c', true],
    ['A'.padEnd(65, 'x'), false],
    ['1a', false],
    ['-a', false],
    ['a.b', false],
    ['', false],
  ])('name %j: %s', async (queueName, isGood) => {
    const harness = await QueueHarness.open();
    const expected = isGood ? '0' : '4000/10020';
    expect(await harness.failure('CreateQueue', { queueName })).toBe(expected);
  });

  test('refuses a name that exists in whatever case, also one declared over AMQP', async () => {
    const harness = await QueueHarness.open();
    await harness.create('Orders');
    expect(await harness.failure('CreateQueue', { queueName: 'orders' })).toBe('4460/10210');
    harness.engine.queue('amqpQueue');
    expect(await harness.failure('CreateQueue', { queueName: 'AMQPQUEUE' })).toBe('4460/10210');
    await harness.ok('DeleteQueue', { queueName: 'ORDERS' });
    expect(await harness.failure('CreateQueue', { queueName: 'orders' })).toBe('0');
  });

  test('ends at the quota', async () => {
    const harness = await QueueHarness.open({ settings: { queuesMax: 2 } });
    await harness.create('a');
    await harness.create('b');
    expect(await harness.failure('CreateQueue', { queueName: 'c' })).toBe('4450/10220');
    await harness.ok('DeleteQueue', { queueName: 'a' });
    expect(await harness.failure('CreateQueue', { queueName: 'c' })).toBe('0');
  });

  test('waits for a deleted name to cool down where that is set', async () => {
    const harness = await QueueHarness.open({ settings: { nameCoolDownSeconds: 10 } });
    await harness.create('q');
    await harness.ok('DeleteQueue', { queueName: 'q' });
    await harness.pass(9);
    expect(await harness.failure('CreateQueue', { queueName: 'Q' })).toBe('6040/10660');
    await harness.pass(1);
    expect(await harness.failure('CreateQueue', { queueName: 'Q' })).toBe('0');
  });

  test('lacking and wrong parameters', async () => {
    const harness = await QueueHarness.open();
    expect(await harness.failure('CreateQueue')).toBe('4000/10390');
    const wrong = { queueName: 'q', pollingWaitSeconds: 'x' };
    expect(await harness.failure('CreateQueue', wrong)).toBe('4000/10360');
    expect(await harness.failure('CreateQueue', { queueName: ['q'] })).toBe('4000/10330');
  });
});

describe('a queue and its attributes', () => {
  test('outlive a restart', async () => {
    const disk = new MemoryDisk();
    const before = await QueueHarness.open({ disk });
    await before.create('dlq');
    await before.create('q', {
      visibilityTimeout: 7,
      rewindSeconds: 60,
      deadLetterPolicy: JSON.stringify({
        deadLetterQueueName: 'dlq',
        policy: 0,
        maxReceiveCount: 3,
      }),
    });
    await before.settle();
    const after = await QueueHarness.open({ disk, clock: before.clock });
    const reply = await after.ok('GetQueueAttributes', { queueName: 'Q' });
    expect(reply).toMatchObject({
      visibilityTimeout: 7,
      rewindSeconds: 60,
      deadLetterPolicy: { deadLetterQueueName: 'dlq', policy: 0, maxReceiveCount: 3 },
    });
    expect(after.queue('q').settings).toMatchObject({
      visibilityTimeoutMs: 7_000,
      rewindMs: 60_000,
      retentionMs: 345_600_000,
      deliveryLimit: 2,
      countsReceives: true,
    });
    expect(await after.failure('DeleteQueue', { queueName: 'dlq' })).toBe('4000/10110');
  });

  test('change with the next operation', async () => {
    const harness = await QueueHarness.open();
    await harness.create('q');
    await harness.pass(10);
    await harness.ok('SetQueueAttributes', { queueName: 'q', visibilityTimeout: 100 });
    const reply = await harness.ok('GetQueueAttributes', { queueName: 'q' });
    expect(reply['lastModifyTime']).toBe((reply['createTime'] as number) + 10);
    await harness.send('q', 'x');
    const { nextVisibleTime } = await harness.receive('q');
    expect(nextVisibleTime).toBe(harness.nowSeconds + 100);
  });

  test('are not there when the queue is not', async () => {
    const harness = await QueueHarness.open();
    for (const action of [
      'GetQueueAttributes',
      'SetQueueAttributes',
      'DeleteQueue',
      'ClearQueue',
    ]) {
      expect(await harness.failure(action, { queueName: 'none' })).toBe('4440/10100');
    }
    harness.engine.queue('transient', {}, { durable: false });
    harness.engine.queue('stream', { 'x-queue-type': 'stream' });
    for (const queueName of ['transient', 'stream']) {
      expect(await harness.failure('GetQueueAttributes', { queueName })).toBe('4440/10100');
    }
  });

  test('of a queue declared over AMQP stay as declared until one is set', async () => {
    const harness = await QueueHarness.open();
    harness.engine.queue('my.queue', { 'x-max-length': 5 });
    const before = await harness.ok('GetQueueAttributes', { queueName: 'My.Queue' });
    expect(before).toMatchObject({ msgRetentionSeconds: 0, maxMsgHeapNum: 0, createTime: 0 });
    await harness.ok('SetQueueAttributes', { queueName: 'my.queue', rewindSeconds: 60 });
    const { settings } = harness.queue('my.queue');
    expect(settings).toMatchObject({ maxLength: 5, rewindMs: 60_000 });
    expect(settings.visibilityTimeoutMs).toBeUndefined();
    expect(settings.retentionMs).toBeUndefined();
  });
});

describe('SetQueueAttributes', () => {
  test('answers what is set now in API 2.0, and nothing in 3.0', async () => {
    const harness = await QueueHarness.open();
    await harness.create('dlq');
    await harness.create('q', { visibilityTimeout: 7 });
    const set = { queueName: 'q', pollingWaitSeconds: 3, deadLetterQueueName: 'dlq' };
    const reply = await harness.ok('SetQueueAttributes', set);
    expect(reply).toEqual({
      code: 0,
      message: '',
      requestId: '1',
      maxMsgHeapNum: 100_000_000,
      pollingWaitSeconds: 3,
      visibilityTimeout: 7,
      maxMsgSize: 1_048_576,
      msgRetentionSeconds: 345_600,
      rewindSeconds: 0,
      trace: false,
      tags: [],
      deadLetterPolicy: expect.objectContaining({
        deadLetterQueueName: 'dlq',
        policy: 0,
      }) as object,
    });
    const newer = await harness.callV3('ModifyCmqQueueAttribute', { queueName: 'q', trace: 1 });
    expect(newer).toEqual({ RequestId: '1' });
  });
});

describe('ListQueue', () => {
  test('pages, and searches in any case', async () => {
    const harness = await QueueHarness.open();
    for (let n = 10; n < 35; n += 1) await harness.create(`queue-${n}`);
    await harness.create('Other');
    const all = await harness.ok('ListQueue');
    expect(all['totalCount']).toBe(26);
    expect(all['queueList']).toHaveLength(20);
    const page = await harness.ok('ListQueue', { searchWord: 'QUEUE-', offset: 24, limit: 50 });
    expect(page['totalCount']).toBe(25);
    expect(page['queueList']).toMatchObject([{ queueName: 'queue-34' }]);
    expect(await harness.failure('ListQueue', { limit: 51 })).toBe('4000/10350');
    expect(await harness.failure('ListQueue', { limit: 0 })).toBe('4000/10350');
  });

  test('shows only what the user may see, and nothing internal', async () => {
    const harness = await QueueHarness.open();
    await harness.create('mine', { trace: 1 });
    await harness.create('theirs');
    await harness.send('mine', 'traced');
    const { access } = harness.engine.broker;
    access.putUser('bob', { tags: [] });
    access.setPermission('bob', '/', { configure: '^$', write: '^mine$', read: '^$' });
    harness.actor = { ...harness.actor, user: access.user('bob')! };
    const reply = await harness.ok('ListQueue');
    expect(reply['queueList']).toMatchObject([{ queueName: 'mine' }]);
    expect(await harness.failure('ReceiveMessage', { queueName: 'mine' })).toBe('4000/10461');
    expect(await harness.failure('DeleteQueue', { queueName: 'mine' })).toBe('4000/10461');
    expect(await harness.failure('SendMessage', { queueName: 'mine', msgBody: 'x' })).toBe('0');
    const theirs = { queueName: 'theirs', msgBody: 'x' };
    expect(await harness.failure('SendMessage', theirs)).toBe('4000/10461');
  });

  test('gives API 3.0 every attribute', async () => {
    const settings = { queueRequestsPerSecond: 50, inactiveMax: 7 };
    const harness = await QueueHarness.open({ settings });
    await harness.create('q', { visibilityTimeout: 9 });
    const reply = await harness.callV3('DescribeCmqQueues');
    expect(reply['TotalCount']).toBe(1);
    expect(reply['QueueList']).toMatchObject([{ QueueName: 'q', VisibilityTimeout: 9 }]);
    const detail = await harness.callV3('DescribeCmqQueueDetail', { queueName: 'q' });
    const own = { Qps: 50, Bps: 0, MaxUnackedMsgNum: 7, MaxMsgBacklogSize: 0, CreateUin: 0 };
    const TransactionPolicy = { FirstQueryInterval: 0, MaxQueryCount: 0 };
    expect(detail['QueueDescribe']).toMatchObject({ ...own, Transaction: 0, TransactionPolicy });
    expect(await harness.ok('GetQueueAttributes', { queueName: 'q' })).not.toHaveProperty('bps');
  });
});

describe('dead-letter bindings', () => {
  async function withTwo(): Promise<QueueHarness> {
    const harness = await QueueHarness.open();
    await harness.create('dlq');
    await harness.create('q');
    return harness;
  }

  test('are made, shown on both sides, and ended', async () => {
    const harness = await withTwo();
    const binding = { deadLetterQueueName: 'DLQ', policy: 1, maxTimeToLive: 300 };
    await harness.ok('SetQueueAttributes', { queueName: 'q', ...binding });
    const source = await harness.ok('GetQueueAttributes', { queueName: 'q' });
    expect(source['deadLetterPolicy']).toMatchObject({ ...binding, deadLetterQueueName: 'dlq' });
    const target = await harness.ok('GetQueueAttributes', { queueName: 'dlq' });
    expect(target['deadLetterSource']).toMatchObject([{ queueName: 'q' }]);
    const sources = await harness.ok('DescribeDeadLetterSourceQueues', {
      deadLetterQueueName: 'dlq',
    });
    expect(sources).toMatchObject({ totalCount: 1, queueList: [{ queueName: 'q' }] });
    expect(await harness.failure('DeleteQueue', { queueName: 'dlq' })).toBe('4000/10110');
    const nameless = { queueName: 'q', deadLetterQueueName: '' };
    expect(await harness.failure('SetQueueAttributes', nameless)).toBe('4000/10020');
    expect(harness.queue('q').settings.deadLetterExchange).toBeDefined();
    await harness.ok('UnbindDeadLetter', { sourceQueueName: 'q' });
    await harness.ok('SetQueueAttributes', nameless);
    expect(harness.queue('q').settings.deadLetterExchange).toBeUndefined();
    await harness.ok('DeleteQueue', { queueName: 'dlq' });
  });

  test.each([
    ['maxReceiveCount', 0, 1, 1_000],
    ['maxTimeToLive', 1, 300, 43_200],
  ])('%s has limits', async (name, policy, min, max) => {
    const harness = await withTwo();
    const bind = (value: number): Promise<string> =>
      harness.failure('SetQueueAttributes', {
        queueName: 'q',
        deadLetterQueueName: 'dlq',
        policy,
        [name]: value,
      });
    expect(await bind(min)).toBe('0');
    expect(await bind(max)).toBe('0');
    expect(await bind(min - 1)).toBe('4000/10350');
    expect(await bind(max + 1)).toBe('4000/10350');
  });

  test('maxTimeToLive is less than the retention', async () => {
    const harness = await withTwo();
    const wishes = { deadLetterQueueName: 'dlq', policy: 1, maxTimeToLive: 600 };
    const short = { queueName: 'q', ...wishes, msgRetentionSeconds: 600 };
    expect(await harness.failure('SetQueueAttributes', short)).toBe('4000/10350');
    await harness.ok('SetQueueAttributes', { ...short, msgRetentionSeconds: 601 });
  });

  test('take an id or a name, and must lead somewhere', async () => {
    const harness = await withTwo();
    const { queueId } = await harness.ok('GetQueueAttributes', { queueName: 'dlq' });
    const policy = JSON.stringify({ deadLetterQueue: queueId, policy: 0, maxReceiveCount: 2 });
    await harness.ok('SetQueueAttributes', { queueName: 'q', deadLetterPolicy: policy });
    const reply = await harness.ok('GetQueueAttributes', { queueName: 'q' });
    expect(reply['deadLetterPolicy']).toMatchObject({ deadLetterQueue: queueId });
    const nowhere = { queueName: 'q', deadLetterQueueName: 'none' };
    expect(await harness.failure('SetQueueAttributes', nowhere)).toBe('4440/10100');
    await harness.create('r');
    const unnamed = { queueName: 'r', policy: 0 };
    expect(await harness.failure('SetQueueAttributes', unnamed)).toBe('4000/10110');
  });

  test('keep what a later change does not say', async () => {
    const harness = await withTwo();
    const binding = { deadLetterQueueName: 'dlq', policy: 0, maxReceiveCount: 5 };
    await harness.ok('SetQueueAttributes', { queueName: 'q', ...binding });
    await harness.ok('SetQueueAttributes', { queueName: 'q', maxReceiveCount: 6 });
    await harness.ok('SetQueueAttributes', { queueName: 'q', pollingWaitSeconds: 3 });
    expect(harness.queue('q').settings).toMatchObject({ deliveryLimit: 5 });
  });

  test('are one level deep, and six wide', async () => {
    const harness = await withTwo();
    const to = (queueName: string, deadLetterQueueName: string) =>
      harness.failure('SetQueueAttributes', { queueName, deadLetterQueueName, policy: 0 });
    expect(await to('q', 'q')).toBe('4000/10110');
    expect(await to('q', 'dlq')).toBe('0');
    await harness.create('deeper');
    expect(await to('dlq', 'deeper')).toBe('4000/10110');
    expect(await to('deeper', 'q')).toBe('4000/10110');
    harness.engine.queue('amqp', { 'x-dead-letter-exchange': 'amq.fanout' });
    expect(await to('deeper', 'amqp')).toBe('4000/10110');
    for (let n = 2; n <= 6; n += 1) {
      await harness.create(`q${n}`);
      expect(await to(`q${n}`, 'dlq')).toBe('0');
    }
    await harness.create('q7');
    expect(await to('q7', 'dlq')).toBe('4000/10110');
    expect(await to('q6', 'dlq')).toBe('0');
  });

  test('end when another protocol deletes the dead-letter queue', async () => {
    const harness = await withTwo();
    const binding = { queueName: 'q', deadLetterQueueName: 'dlq', policy: 0 };
    await harness.ok('SetQueueAttributes', binding);
    const { vhost, actor } = harness.engine;
    vhost.deleteQueue(actor, 'dlq', false, false);
    const reply = await harness.ok('GetQueueAttributes', { queueName: 'q' });
    expect(reply['deadLetterPolicy']).toBeUndefined();
    expect(harness.queue('q').settings.deadLetterExchange).toBeUndefined();
  });
});

describe('ClearQueue', () => {
  test('removes messages in every state', async () => {
    const harness = await QueueHarness.open();
    await harness.create('q', { rewindSeconds: 60 });
    await harness.send('q', 'deleted', 'leased', 'ready');
    await harness.ok('SendMessage', { queueName: 'q', msgBody: 'delayed', delaySeconds: 9 });
    const first = await harness.receive('q');
    await harness.delete('q', first.receiptHandle);
    const second = await harness.receive('q');
    expect(await harness.counts('q')).toEqual([1, 1, 1, 1]);
    await harness.ok('ClearQueue', { queueName: 'q' });
    expect(await harness.counts('q')).toEqual([0, 0, 0, 0]);
    const stale = { queueName: 'q', receiptHandle: second.receiptHandle };
    expect(await harness.failure('DeleteMessage', stale)).toBe('4430/10260');
    await harness.pass(60);
    expect(await harness.failure('ReceiveMessage', { queueName: 'q' })).toBe('7000/10200');
  });
});
