/** Reference 2.2: queue management, every attribute at its limits and beyond. */
import { describe, expect, test } from 'vitest';
import { moduleOf } from '../support/cmq-client.ts';
import {
  expectCode,
  makeQueue,
  now,
  PARAMETER_MODULES,
  pause,
  unique,
  useCmq,
} from '../support/cmq-test.ts';

const { client } = useCmq();

const DEFAULTS = {
  maxMsgHeapNum: 100_000_000,
  pollingWaitSeconds: 0,
  visibilityTimeout: 30,
  maxMsgSize: 1_048_576,
  msgRetentionSeconds: 345_600,
  rewindSeconds: 0,
};

/** Attribute, least, most. */
const LIMITS = [
  ['maxMsgHeapNum', 1, 1_000_000_000],
  ['pollingWaitSeconds', 0, 30],
  ['visibilityTimeout', 1, 43_200],
  ['maxMsgSize', 1_024, 1_048_576],
  ['msgRetentionSeconds', 60, 1_296_000],
] as const;

test('a new queue has the default attributes and nothing in it', async () => {
  const cmq = client();
  const before = now();
  const queueName = unique();
  const { queueId } = await cmq.ok('CreateQueue', { queueName });
  expect(queueId).toMatch(/^(queue|cmqq)-./);
  const reply = await cmq.ok('GetQueueAttributes', { queueName });
  expect(reply).toMatchObject({
    ...DEFAULTS,
    activeMsgNum: 0,
    inactiveMsgNum: 0,
    delayMsgNum: 0,
    rewindMsgNum: 0,
    rewindmsgNum: 0,
  });
  expect(Number(reply['createTime'])).toBeGreaterThanOrEqual(before);
  expect(Number(reply['createTime'])).toBeLessThanOrEqual(now());
  expect(Number(reply['lastModifyTime'])).toBeGreaterThanOrEqual(Number(reply['createTime']));
});

describe.each(LIMITS)('%s', (attribute, least, most) => {
  test('is accepted at both limits, at creation and later', async () => {
    const cmq = client();
    for (const value of [least, most]) {
      const queueName = await makeQueue(cmq, { [attribute]: value });
      expect((await cmq.ok('GetQueueAttributes', { queueName }))[attribute]).toBe(value);
      const other = await makeQueue(cmq);
      await cmq.ok('SetQueueAttributes', { queueName: other, [attribute]: value });
      expect((await cmq.ok('GetQueueAttributes', { queueName: other }))[attribute]).toBe(value);
    }
  });

  test.each([String(least - 1), String(most + 1), '-1', 'many', '1.5', ''])(
    'is refused as %j, at creation and later',
    async (value) => {
      const cmq = client();
      const queueName = unique();
      const created = await cmq.call('CreateQueue', { queueName, [attribute]: value });
      expectCode(created, 4000, ...PARAMETER_MODULES);
      expectCode(await cmq.call('GetQueueAttributes', { queueName }), 4440);
      const other = await makeQueue(cmq);
      const set = await cmq.call('SetQueueAttributes', { queueName: other, [attribute]: value });
      expectCode(set, 4000, ...PARAMETER_MODULES);
      expect(await cmq.ok('GetQueueAttributes', { queueName: other })).toMatchObject(DEFAULTS);
    },
  );
});

describe('rewindSeconds', () => {
  test('is accepted up to the retention and refused beyond with 10700', async () => {
    const cmq = client();
    const msgRetentionSeconds = 1_296_000;
    await makeQueue(cmq, { msgRetentionSeconds, rewindSeconds: 1_296_000 });
    await makeQueue(cmq, { msgRetentionSeconds: 600, rewindSeconds: 600 });
    const beyond = { queueName: unique(), msgRetentionSeconds: 600, rewindSeconds: 601 };
    expectCode(await cmq.call('CreateQueue', beyond), 4000, 10700);
    const queueName = await makeQueue(cmq, { msgRetentionSeconds: 600 });
    expectCode(
      await cmq.call('SetQueueAttributes', { queueName, rewindSeconds: 601 }),
      4000,
      10700,
    );
  });

  test('of more than 15 days is out of range', async () => {
    const reply = await client().call('CreateQueue', {
      queueName: unique(),
      msgRetentionSeconds: 1_296_000,
      rewindSeconds: 1_296_001,
    });
    expectCode(reply, 4000, 10700, ...PARAMETER_MODULES);
  });

  test('is not left above a smaller retention', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq, { msgRetentionSeconds: 600, rewindSeconds: 600 });
    const reply = await cmq.call('SetQueueAttributes', { queueName, msgRetentionSeconds: 300 });
    expectCode(reply, 4000, 10700);
  });
});

describe('names', () => {
  test.each(['a', 'Z', 'a-b', 'a_b', 'A1', `a${'b'.repeat(63)}`])('%s is a name', async (name) => {
    const cmq = client();
    await cmq.ok('CreateQueue', { queueName: name });
    await cmq.ok('DeleteQueue', { queueName: name });
  });

  test.each(['1a', '-a', '_a', 'a.b', 'a b', 'a/b', 'ä', 'a%', `a${'b'.repeat(64)}`, ''])(
    '%j is none: 4000/10020',
    async (name) => {
      const reply = await client().call('CreateQueue', { queueName: name });
      expectCode(reply, 4000, 10020, ...(name === '' ? PARAMETER_MODULES : []));
    },
  );

  test('missing is 4000', async () => {
    expectCode(await client().call('CreateQueue'), 4000, 10020, ...PARAMETER_MODULES);
    expectCode(await client().call('GetQueueAttributes'), 4000, 10020, ...PARAMETER_MODULES);
  });

  test('are case-insensitive: a second one is 4460, and any case finds it', async () => {
    const cmq = client();
    const queueName = unique('Case');
    await cmq.ok('CreateQueue', { queueName });
    expectCode(await cmq.call('CreateQueue', { queueName }), 4460);
    expectCode(await cmq.call('CreateQueue', { queueName: queueName.toUpperCase() }), 4460);
    await cmq.send(queueName.toLowerCase(), 'x');
    expect((await cmq.receive(queueName.toUpperCase())).msgBody).toBe('x');
    await cmq.ok('DeleteQueue', { queueName: queueName.toLowerCase() });
    expectCode(await cmq.call('GetQueueAttributes', { queueName }), 4440);
  });

  test('may be used again at once', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    await cmq.send(queueName, 'old');
    await cmq.ok('DeleteQueue', { queueName });
    await cmq.ok('CreateQueue', { queueName });
    expectCode(await cmq.call('ReceiveMessage', { queueName }), 7000);
  });
});

test.each([
  ['GetQueueAttributes', {}],
  ['SetQueueAttributes', { visibilityTimeout: 5 }],
  ['DeleteQueue', {}],
  ['RewindQueue', { startConsumeTime: now() }],
  ['ClearQueue', {}],
  ['SendMessage', { msgBody: 'x' }],
  ['BatchSendMessage', { msgBody: ['x'] }],
  ['ReceiveMessage', {}],
  ['BatchReceiveMessage', { numOfMsg: 1 }],
  ['DeleteMessage', { receiptHandle: '1' }],
  ['BatchDeleteMessage', { receiptHandle: ['1'] }],
] as const)('%s of an absent queue is 4440/10100', async (action, parameters) => {
  const reply = await client().call(action, { queueName: unique('absent'), ...parameters });
  expectCode(reply, 4440, 10100);
});

test('SetQueueAttributes changes what it names and nothing else', async () => {
  const cmq = client();
  const queueName = await makeQueue(cmq, { visibilityTimeout: 60, pollingWaitSeconds: 2 });
  const before = await cmq.ok('GetQueueAttributes', { queueName });
  await pause(1_100);
  await cmq.ok('SetQueueAttributes', { queueName, visibilityTimeout: 90 });
  const after = await cmq.ok('GetQueueAttributes', { queueName });
  expect(after).toMatchObject({ visibilityTimeout: 90, pollingWaitSeconds: 2 });
  expect(after['createTime']).toBe(before['createTime']);
  expect(Number(after['lastModifyTime'])).toBeGreaterThan(Number(before['lastModifyTime']));
});

describe('ListQueue', () => {
  test('pages, counts all and searches without regard to case', async () => {
    const cmq = client();
    const mark = unique('list');
    const names = Array.from({ length: 25 }, (_, at) => `${mark}-${String(at).padStart(2, '0')}`);
    for (const queueName of names) await cmq.ok('CreateQueue', { queueName });
    const list = async (more: object) => {
      const reply = await cmq.ok('ListQueue', { searchWord: mark, ...more });
      const found = reply['queueList'] as { queueId: string; queueName: string }[];
      return { total: reply['totalCount'], names: found.map((queue) => queue.queueName) };
    };
    const first = await list({});
    expect(first.total).toBe(25);
    expect(first.names).toHaveLength(20);
    const second = await list({ offset: 20, limit: 20 });
    expect([...first.names, ...second.names].toSorted()).toEqual(names);
    expect((await list({ limit: 50 })).names).toHaveLength(25);
    expect((await list({ offset: 24, limit: 1 })).names).toHaveLength(1);
    expect((await list({ offset: 25, limit: 1 })).names).toEqual([]);
    expect((await list({ searchWord: `${mark.toUpperCase()}-07` })).names).toEqual([`${mark}-07`]);
    expect((await list({ searchWord: 'nothing-like-it' })).total).toBe(0);
  });

  test.each([{ limit: 51 }, { limit: -1 }, { offset: -1, limit: 10 }, { limit: 'ten' }])(
    '%j is refused',
    async (page) => {
      expectCode(await client().call('ListQueue', page), 4000, ...PARAMETER_MODULES);
    },
  );
});

describe('dead-letter binding', () => {
  const policy = (deadLetterQueue: string, more: object = { policy: 0, maxReceiveCount: 3 }) =>
    JSON.stringify({ deadLetterQueue, ...more });

  test('by a JSON policy with the id of the queue, and unbound again', async () => {
    const cmq = client();
    const deadName = unique('dead');
    const { queueId } = await cmq.ok('CreateQueue', { queueName: deadName });
    const queueName = await makeQueue(cmq);
    await cmq.ok('SetQueueAttributes', { queueName, deadLetterPolicy: policy(String(queueId)) });
    const source = await cmq.ok('GetQueueAttributes', { queueName });
    expect(source['deadLetterPolicy']).toMatchObject({ policy: 0, maxReceiveCount: 3 });
    const dead = await cmq.ok('GetQueueAttributes', { queueName: deadName });
    expect(dead['deadLetterSource']).toMatchObject([{ queueName }]);
    const reply = await cmq.ok('DescribeDeadLetterSourceQueues', {
      deadLetterQueueName: deadName,
    });
    expect(reply['totalCount']).toBe(1);
    expect((await cmq.call('DeleteQueue', { queueName: deadName })).code).toBe(4000);
    await cmq.ok('UnbindDeadLetter', { sourceQueueName: queueName });
    expect(
      (await cmq.ok('GetQueueAttributes', { queueName: deadName }))['deadLetterSource'],
    ).toEqual([]);
    await cmq.ok('DeleteQueue', { queueName: deadName });
  });

  test('by the name of the queue, at creation', async () => {
    const cmq = client();
    const deadLetterQueueName = await makeQueue(cmq);
    const queueName = await makeQueue(cmq, { deadLetterQueueName, policy: 1, maxTimeToLive: 300 });
    const source = await cmq.ok('GetQueueAttributes', { queueName });
    expect(source['deadLetterPolicy']).toMatchObject({ policy: 1, maxTimeToLive: 300 });
  });

  test.each([
    { policy: 0, maxReceiveCount: 0 },
    { policy: 0, maxReceiveCount: 1_001 },
    { policy: 1, maxTimeToLive: 299 },
    { policy: 1, maxTimeToLive: 43_201 },
    { policy: 2, maxReceiveCount: 1 },
    { policy: -1 },
  ])('with %j is refused', async (more) => {
    const cmq = client();
    const deadLetterQueueName = await makeQueue(cmq);
    const queueName = unique();
    const reply = await cmq.call('CreateQueue', { queueName, deadLetterQueueName, ...more });
    expectCode(reply, 4000);
  });

  test.each([
    { policy: 0, maxReceiveCount: 1 },
    { policy: 0, maxReceiveCount: 1_000 },
    { policy: 1, maxTimeToLive: 300 },
    { policy: 1, maxTimeToLive: 43_200 },
  ])('with %j is accepted', async (more) => {
    const cmq = client();
    const deadLetterQueueName = await makeQueue(cmq);
    await makeQueue(cmq, { deadLetterQueueName, ...more });
  });

  test('maxTimeToLive must be below the retention', async () => {
    const cmq = client();
    const deadLetterQueueName = await makeQueue(cmq);
    const binding = { deadLetterQueueName, policy: 1, maxTimeToLive: 300 };
    const reply = await cmq.call('CreateQueue', {
      queueName: unique(),
      msgRetentionSeconds: 300,
      ...binding,
    });
    expectCode(reply, 4000);
    await makeQueue(cmq, { msgRetentionSeconds: 301, ...binding });
  });

  test('to an absent queue, to itself or to a queue with dead letters is refused', async () => {
    const cmq = client();
    const bind = { policy: 0, maxReceiveCount: 1 };
    const absent = await cmq.call('CreateQueue', {
      queueName: unique(),
      deadLetterQueueName: unique('absent'),
      ...bind,
    });
    expect(absent.code).not.toBe(0);
    const last = await makeQueue(cmq);
    const middle = await makeQueue(cmq, { deadLetterQueueName: last, ...bind });
    const first = await makeQueue(cmq);
    const chained = { queueName: first, deadLetterQueueName: middle, ...bind };
    expect((await cmq.call('SetQueueAttributes', chained)).code).not.toBe(0);
    const itself = { queueName: first, deadLetterQueueName: first, ...bind };
    expect((await cmq.call('SetQueueAttributes', itself)).code).not.toBe(0);
    const reverse = { queueName: last, deadLetterQueueName: first, ...bind };
    expect((await cmq.call('SetQueueAttributes', reverse)).code).not.toBe(0);
  });

  test('takes six sources and no seventh', async () => {
    const cmq = client();
    const deadLetterQueueName = await makeQueue(cmq);
    const bind = { deadLetterQueueName, policy: 0, maxReceiveCount: 1 };
    for (let at = 0; at < 6; at += 1) await makeQueue(cmq, bind);
    expect((await cmq.call('CreateQueue', { queueName: unique(), ...bind })).code).not.toBe(0);
    const reply = await cmq.ok('DescribeDeadLetterSourceQueues', { deadLetterQueueName, limit: 4 });
    expect(reply['totalCount']).toBe(6);
    expect(reply['queueList']).toHaveLength(4);
  });
});

test('ClearQueue removes what is ready, leased and delayed; handles die', async () => {
  const cmq = client();
  const queueName = await makeQueue(cmq, { rewindSeconds: 600 });
  await cmq.ok('BatchSendMessage', { queueName, msgBody: ['a', 'b', 'c'] });
  await cmq.send(queueName, 'later', { delaySeconds: 60 });
  const leased = await cmq.receive(queueName);
  await cmq.remove(queueName, await cmq.receive(queueName));
  expect(await cmq.counters(queueName)).toEqual({
    active: 1,
    inactive: 1,
    delayed: 1,
    rewindable: 1,
  });
  await cmq.ok('ClearQueue', { queueName });
  expect(await cmq.counters(queueName)).toEqual({
    active: 0,
    inactive: 0,
    delayed: 0,
    rewindable: 0,
  });
  const { receiptHandle } = leased;
  const reply = await cmq.call('DeleteMessage', { queueName, receiptHandle });
  expectCode(reply, 4430, 10260);
  await cmq.send(queueName, 'new');
  expect(await cmq.drain(queueName)).toEqual(['new']);
});

test('minMsgTime is the enqueue time of the oldest message that is left', async () => {
  const cmq = client();
  const queueName = await makeQueue(cmq);
  const first = now();
  await cmq.send(queueName, 'old');
  await pause(1_100);
  await cmq.send(queueName, 'new');
  const oldest = async (): Promise<number> =>
    Number((await cmq.ok('GetQueueAttributes', { queueName }))['minMsgTime']);
  const found = await oldest();
  expect(found).toBeGreaterThanOrEqual(first);
  expect(found).toBeLessThanOrEqual(first + 1);
  await cmq.remove(queueName, await cmq.receive(queueName));
  expect(await oldest()).toBeGreaterThan(found);
});

test('a text of a code begins with its module', async () => {
  const reply = await client().call('CreateQueue', { queueName: '0' });
  expect(moduleOf(reply.message)).toBe(10020);
});
