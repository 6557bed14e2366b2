/** Reference 2.2 to 2.4 over API 3.0: every Cmq action, its fields and its errors. */
import { describe, expect, test } from 'vitest';
import { expectCode, makeQueue, now, unique, useCmq } from '../support/cmq-test.ts';

const { client } = useCmq();

describe('queues', () => {
  test('are created, described, modified and deleted', async () => {
    const cmq = client();
    const QueueName = unique('Q');
    const created = await cmq.ok3('CreateCmqQueue', {
      QueueName,
      MaxMsgHeapNum: 1_000_000,
      PollingWaitSeconds: 3,
      VisibilityTimeout: 45,
      MaxMsgSize: 65_536,
      MsgRetentionSeconds: 7_200,
      RewindSeconds: 3_600,
      Trace: true,
    });
    const detail = await cmq.ok3('DescribeCmqQueueDetail', { QueueName });
    expect(detail['QueueDescribe']).toMatchObject({
      QueueId: created['QueueId'],
      QueueName,
      MaxMsgHeapNum: 1_000_000,
      PollingWaitSeconds: 3,
      VisibilityTimeout: 45,
      MaxMsgSize: 65_536,
      MsgRetentionSeconds: 7_200,
      RewindSeconds: 3_600,
      Trace: true,
      ActiveMsgNum: 0,
      InactiveMsgNum: 0,
      DelayMsgNum: 0,
      RewindMsgNum: 0,
    });
    await cmq.ok3('ModifyCmqQueueAttribute', { QueueName, VisibilityTimeout: 50 });
    const later = await cmq.ok3('DescribeCmqQueueDetail', { QueueName });
    expect(later['QueueDescribe']).toMatchObject({ VisibilityTimeout: 50, PollingWaitSeconds: 3 });
    await cmq.ok3('DeleteCmqQueue', { QueueName });
    expect((await cmq.call3('DescribeCmqQueueDetail', { QueueName })).Error?.Code).toMatch(
      /^ResourceNotFound/,
    );
  });

  test('are the queues of API 2.0', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq, { visibilityTimeout: 33 });
    const detail = await cmq.ok3('DescribeCmqQueueDetail', { QueueName: queueName });
    expect(detail['QueueDescribe']).toMatchObject({ VisibilityTimeout: 33 });
    const sent = await cmq.ok3('SendCmqMsg', {
      QueueName: queueName,
      MsgContent: 'über 3.0',
      DelaySeconds: 0,
    });
    const { MsgId: msgId } = sent;
    expect(sent['Result']).toBe(true);
    expect(await cmq.receive(queueName)).toMatchObject({ msgId, msgBody: 'über 3.0' });
  });

  test('are listed by part of a name, by names and in pages', async () => {
    const cmq = client();
    const mark = unique('many');
    const names = Array.from({ length: 3 }, (_, at) => `${mark}-${at}`);
    for (const QueueName of names) await cmq.ok3('CreateCmqQueue', { QueueName });
    const all = await cmq.ok3('DescribeCmqQueues', { QueueName: mark });
    expect(all['TotalCount']).toBe(3);
    const list = all['QueueList'] as { QueueName: string; VisibilityTimeout: number }[];
    expect(list.map((queue) => queue.QueueName).toSorted()).toEqual(names);
    expect(list[0]?.VisibilityTimeout).toBe(30);
    const page = await cmq.ok3('DescribeCmqQueues', { QueueName: mark, Offset: 2, Limit: 2 });
    expect(page['QueueList']).toHaveLength(1);
    const named = await cmq.ok3('DescribeCmqQueues', { QueueNameList: names.slice(0, 2) });
    expect(named['TotalCount']).toBe(2);
  });

  test('are cleared, rewound and unbound', async () => {
    const cmq = client();
    const dead = await makeQueue(cmq);
    const QueueName = unique();
    await cmq.ok3('CreateCmqQueue', {
      QueueName,
      RewindSeconds: 600,
      DeadLetterQueueName: dead,
      Policy: 0,
      MaxReceiveCount: 5,
    });
    await cmq.send(QueueName, 'x');
    expect(await cmq.drain(QueueName)).toEqual(['x']);
    await cmq.ok3('RewindCmqQueue', { QueueName, StartConsumeTime: now() - 60 });
    expect((await cmq.counters(QueueName)).active).toBe(1);
    await cmq.ok3('ClearCmqQueue', { QueueName });
    expect(await cmq.counters(QueueName)).toMatchObject({ active: 0, rewindable: 0 });
    const source = await cmq.ok3('DescribeCmqQueueDetail', { QueueName: dead });
    expect(source['QueueDescribe']).toMatchObject({ DeadLetterSource: [{ QueueName }] });
    const sources = await cmq.ok3('DescribeCmqDeadLetterSourceQueues', {
      DeadLetterQueueName: dead,
    });
    expect(sources['TotalCount']).toBe(1);
    await cmq.ok3('UnbindCmqDeadLetter', { SourceQueueName: QueueName });
    await cmq.ok3('DeleteCmqQueue', { QueueName: dead });
  });

  test.each([
    ['CreateCmqQueue', {}, /^(Missing|Invalid)Parameter/],
    ['CreateCmqQueue', { QueueName: '0' }, /^InvalidParameterValue/],
    ['CreateCmqQueue', { QueueName: 'ok', VisibilityTimeout: 0 }, /^InvalidParameter/],
    ['CreateCmqQueue', { QueueName: 'ok', VisibilityTimeout: 'x' }, /^InvalidParameter/],
    ['CreateCmqQueue', { QueueName: 7 }, /^InvalidParameter/],
    ['DeleteCmqQueue', { QueueName: 'absent-3' }, /^ResourceNotFound/],
    ['ClearCmqQueue', { QueueName: 'absent-3' }, /^ResourceNotFound/],
    ['ModifyCmqQueueAttribute', { QueueName: 'absent-3' }, /^ResourceNotFound/],
    ['RewindCmqQueue', { QueueName: 'absent-3', StartConsumeTime: 1 }, /^ResourceNotFound/],
    [
      'SendCmqMsg',
      { QueueName: 'absent-3', MsgContent: 'x', DelaySeconds: 0 },
      /^ResourceNotFound/,
    ],
  ] as const)('%s with %j fails with %s', async (action, payload, code) => {
    const reply = await client().call3(action, payload);
    expect(reply.Error?.Code, reply.Error?.Message).toMatch(code);
  });

  test('that exist are ResourceInUse, off rewind is FailedOperation', async () => {
    const cmq = client();
    const QueueName = await makeQueue(cmq);
    const again = await cmq.call3('CreateCmqQueue', { QueueName });
    expect(again.Error?.Code).toMatch(/^ResourceInUse/);
    const rewind = await cmq.call3('RewindCmqQueue', { QueueName, StartConsumeTime: now() });
    expect(rewind.Error?.Code).toMatch(/^FailedOperation/);
  });
});

describe('topics', () => {
  test('are created, described, modified and deleted', async () => {
    const cmq = client();
    const TopicName = unique('T');
    const { TopicId } = await cmq.ok3('CreateCmqTopic', {
      TopicName,
      FilterType: 2,
      MsgRetentionSeconds: 60,
      Trace: false,
    });
    const detail = await cmq.ok3('DescribeCmqTopicDetail', { TopicName });
    expect(detail['TopicDescribe']).toMatchObject({ TopicId, TopicName, FilterType: 2 });
    await cmq.ok3('ModifyCmqTopicAttribute', { TopicName, MaxMsgSize: 1_024 });
    const list = await cmq.ok3('DescribeCmqTopics', { TopicName });
    expect(list['TotalCount']).toBe(1);
    expect(list['TopicList']).toMatchObject([{ TopicName, MaxMsgSize: 1_024 }]);
    await cmq.ok3('DeleteCmqTopic', { TopicName });
    expect((await cmq.call3('DescribeCmqTopicDetail', { TopicName })).Error?.Code).toMatch(
      /^ResourceNotFound/,
    );
  });

  test.each([59, 86_401])('keep messages for no %i s', async (MsgRetentionSeconds) => {
    const reply = await client().call3('CreateCmqTopic', {
      TopicName: unique('T'),
      MsgRetentionSeconds,
    });
    expect(reply.Error?.Code).toMatch(/^InvalidParameter/);
  });

  test('have subscriptions, found by topic and by queue', async () => {
    const cmq = client();
    const TopicName = unique('T');
    const Endpoint = await makeQueue(cmq);
    const SubscriptionName = 'sub';
    const one = { TopicName, SubscriptionName };
    await cmq.ok3('CreateCmqTopic', { TopicName });
    await cmq.ok3('CreateCmqSubscribe', {
      ...one,
      Protocol: 'queue',
      Endpoint,
      NotifyContentFormat: 'SIMPLIFIED',
      FilterTag: ['a', 'x'.repeat(64)],
    });
    const byTopic = await cmq.ok3('DescribeCmqSubscriptionDetail', {
      TopicName,
      QueryType: 'topic',
    });
    expect(byTopic['SubscriptionSet']).toMatchObject([
      { SubscriptionName, Endpoint, Protocol: 'queue', FilterTags: ['a', 'x'.repeat(64)] },
    ]);
    const byQueue = await cmq.ok3('DescribeCmqSubscriptionDetail', {
      QueueName: Endpoint,
      QueryType: 'queue',
    });
    expect(byQueue['SubscriptionSet']).toMatchObject([{ TopicName, SubscriptionName }]);
    await cmq.ok3('ModifyCmqSubscriptionAttribute', { ...one, FilterTags: ['b'] });
    const published = await cmq.ok3('PublishCmqMsg', {
      TopicName,
      MsgContent: 'to b',
      MsgTag: ['b'],
    });
    expect(published['Result']).toBe(true);
    expect(await cmq.receive(Endpoint)).toMatchObject({
      msgBody: 'to b',
      msgId: published['MsgId'],
    });
    await cmq.ok3('ClearCmqSubscriptionFilterTags', one);
    expect((await cmq.call3('DeleteCmqTopic', { TopicName })).Error).toBeDefined();
    await cmq.ok3('DeleteCmqSubscribe', one);
    await cmq.ok3('DeleteCmqTopic', { TopicName });
  });
});

test('an error has a code, a message and a request id, and HTTP 200', async () => {
  const reply = await client().call3('DeleteCmqQueue', { QueueName: unique('absent') });
  expect(Object.keys(reply).toSorted()).toEqual(['Error', 'RequestId']);
  expect(reply.Error).toEqual({ Code: expect.any(String), Message: expect.any(String) });
});

test('a body that is no JSON object is refused', async () => {
  const cmq = client();
  for (const payload of [[], 'text', 7]) {
    const reply = await cmq.call3('DescribeCmqQueues', payload as object);
    expect(reply.Error?.Code, JSON.stringify(payload)).toMatch(/^InvalidParameter/);
  }
});

test('data plane actions of API 2.0 are not in API 3.0, control actions are in both', async () => {
  const cmq = client();
  expect((await cmq.call3('ReceiveMessage', { QueueName: 'x' })).Error?.Code).toMatch(
    /^InvalidAction/,
  );
  expectCode(await cmq.call('CreateCmqQueue', { queueName: 'x' }), 4000, 10280, 10430);
});
