import { describe, expect, it } from 'vitest';
import { definitionKey } from '../../../src/engine/definitions.ts';
import { TopicHarness } from './topic-harness.ts';

const NAME_64 = 'n'.repeat(64);

async function withTopic(filterType = 1, settings = {}): Promise<TopicHarness> {
  const harness = await TopicHarness.open(settings);
  await harness.ok('CreateQueue', { queueName: 'q' });
  await harness.ok('CreateTopic', { topicName: 'T', filterType });
  return harness;
}

describe('CreateTopic', () => {
  it.each([
    ['the shortest name', { topicName: 'a' }, '0'],
    ['the longest name', { topicName: NAME_64 }, '0'],
    ['a name too long', { topicName: `${NAME_64}n` }, '4000/10590'],
    ['a name with a digit first', { topicName: '1a' }, '4000/10590'],
    ['a name with a dot', { topicName: 'a.b' }, '4000/10590'],
    ['no name', {}, '4000/10390'],
    ['the smallest size', { topicName: 'a', maxMsgSize: 1_024 }, '0'],
    ['a size too small', { topicName: 'a', maxMsgSize: 1_023 }, '4000/10350'],
    ['the largest size', { topicName: 'a', maxMsgSize: 1_048_576 }, '0'],
    ['a size too large', { topicName: 'a', maxMsgSize: 1_048_577 }, '4000/10350'],
    ['filterType 0', { topicName: 'a', filterType: 0 }, '4000/10350'],
    ['filterType 3', { topicName: 'a', filterType: 3 }, '4000/10350'],
    ['retention 60', { topicName: 'a', msgRetentionSeconds: 60 }, '0'],
    ['retention 59', { topicName: 'a', msgRetentionSeconds: 59 }, '4000/10350'],
    ['retention 86,400', { topicName: 'a', msgRetentionSeconds: 86_400 }, '0'],
    ['retention 86,401', { topicName: 'a', msgRetentionSeconds: 86_401 }, '4000/10350'],
    ['an existing name', { topicName: 'T' }, '4460/10620'],
    ['an existing name in other case', { topicName: 't' }, '4460/10620'],
  ])('%s', async (_, parameters, code) => {
    const harness = await withTopic();
    expect(await harness.codeOf('CreateTopic', parameters as Record<string, string>)).toBe(code);
  });

  it('refuses the name of an exchange that AMQP declared', async () => {
    const harness = await TopicHarness.open();
    harness.fixture.engine.exchange('E', 'fanout');
    expect(await harness.codeOf('CreateTopic', { topicName: 'e' })).toBe('4460/10620');
  });

  it('keeps to the quota: the last one fits, one more does not', async () => {
    const harness = await TopicHarness.open({ topicsMax: 3 });
    for (const topicName of ['a', 'b', 'c']) await harness.ok('CreateTopic', { topicName });
    expect(await harness.codeOf('CreateTopic', { topicName: 'd' })).toBe('4450/10610');
    await harness.ok('DeleteTopic', { topicName: 'a' });
    await harness.ok('CreateTopic', { topicName: 'd' });
  });

  it('has room for 1,000 topics', async () => {
    const harness = await TopicHarness.open({ topicsMax: 1_000 });
    for (let index = 1; index < 1_000; index += 1) harness.fixture.topic(`Topic-${index}`);
    expect(await harness.codeOf('CreateTopic', { topicName: 'Topic-1000' })).toBe('0');
    expect(await harness.codeOf('CreateTopic', { topicName: 'Topic-1001' })).toBe('4450/10610');
    const next = await harness.restart();
    expect((await next.ok('ListTopic'))['totalCount']).toBe(1_000);
  });

  it('makes an exchange that AMQP sees', async () => {
    const harness = await TopicHarness.open();
    await harness.ok('CreateTopic', { topicName: 'tags' });
    await harness.ok('CreateTopic', { topicName: 'keys', filterType: 2 });
    const { exchanges } = harness.fixture.engine.vhost.topology;
    expect(exchanges.get('tags')).toMatchObject({ type: 'x-tags', isDurable: true });
    expect(exchanges.get('keys')).toMatchObject({ type: 'topic', isDurable: true });
  });
});

describe('topic attributes', () => {
  it('are the defaults, then what was set; filterType never changes', async () => {
    const harness = await TopicHarness.open();
    const { topicId } = await harness.ok('CreateTopic', { topicName: 'T' });
    const createTime = Math.floor(harness.fixture.engine.clock.wallMs() / 1_000);
    expect(await harness.ok('GetTopicAttributes', { topicName: 't' })).toMatchObject({
      topicId,
      topicName: 'T',
      maxMsgSize: 1_048_576,
      msgRetentionSeconds: 86_400,
      filterType: 1,
      msgCount: 0,
      topicOwner: 'guest',
      createTime,
      lastModifyTime: createTime,
    });
    harness.fixture.engine.clock.advance(5_000);
    const set = { topicName: 'T', maxMsgSize: 2_048, msgRetentionSeconds: 600, trace: 'true' };
    const other = { ...set, filterType: 2 };
    expect(await harness.codeOf('SetTopicAttributes', other)).toBe('4000/10110');
    await harness.ok('SetTopicAttributes', { ...set, filterType: 1 });
    const next = await harness.restart();
    expect(await next.ok('GetTopicAttributes', { topicName: 'T' })).toMatchObject({
      topicId,
      maxMsgSize: 2_048,
      msgRetentionSeconds: 600,
      trace: true,
      filterType: 1,
      createTime,
      lastModifyTime: createTime + 5,
    });
  });

  it.each(['SetTopicAttributes', 'GetTopicAttributes', 'DeleteTopic', 'ListSubscriptionByTopic'])(
    '%s of a topic that is not there',
    async (action) => {
      const harness = await TopicHarness.open();
      expect(await harness.codeOf(action, { topicName: 'none' })).toBe('4440/10600');
    },
  );

  it('are shown of a topic that was made before there were labels', async () => {
    let harness = await TopicHarness.open();
    await harness.ok('CreateTopic', { topicName: 'T' });
    const { broker, vhost } = harness.fixture.engine;
    const { tags: _, ...record } = vhost.topics.find('T')!.record;
    broker.store.define('cmq_topic', definitionKey('/', 'T'), JSON.stringify(record));
    harness = await harness.restart();
    expect(await harness.ok('GetTopicAttributes', { topicName: 'T' })).toMatchObject({ tags: [] });
    const page = await harness.ok('ListTopic', { tagKey: 'k' });
    expect(page).toMatchObject({ totalCount: 0 });
  });

  it('lists topics by name, in pages, by part of the name', async () => {
    const harness = await TopicHarness.open();
    for (let index = 10; index < 35; index += 1) {
      await harness.ok('CreateTopic', { topicName: `Topic-${index}` });
    }
    const names = (reply: Record<string, unknown>): string[] =>
      (reply['topicList'] as { topicName: string }[]).map(({ topicName }) => topicName);
    const all = await harness.ok('ListTopic');
    expect(all['totalCount']).toBe(25);
    expect(names(all)).toHaveLength(20);
    const page = await harness.ok('ListTopic', { offset: 20, limit: 50 });
    expect(names(page)).toEqual([30, 31, 32, 33, 34].map((index) => `Topic-${index}`));
    const found = await harness.ok('ListTopic', { searchWord: 'pic-3' });
    expect(found['totalCount']).toBe(5);
    expect(await harness.codeOf('ListTopic', { limit: 51 })).toBe('4000/10350');
    expect(await harness.codeOf('ListTopic', { limit: 0 })).toBe('4000/10350');
  });

  it('are shown and changed with the right to do so only', async () => {
    const harness = await withTopic();
    const { broker, vhost } = harness.fixture.engine;
    broker.access.putUser('reader', { password: undefined, tags: [] });
    broker.access.setPermission('reader', '/', { configure: '^$', write: '^$', read: '^q$' });
    harness.actor = { ...harness.actor, user: broker.access.user('reader')!, vhost };
    expect((await harness.ok('ListTopic'))['totalCount']).toBe(0);
    for (const action of ['GetTopicAttributes', 'DeleteTopic', 'ListSubscriptionByTopic']) {
      expect(await harness.codeOf(action, { topicName: 'T' })).toBe('4000/10461');
    }
    const publish = { topicName: 'T', msgBody: 'x' };
    expect(await harness.codeOf('PublishMessage', publish)).toBe('4000/10461');
    expect(await harness.codeOf('CreateTopic', { topicName: 'U' })).toBe('4000/10461');
  });
});

describe('DeleteTopic', () => {
  it('is refused while there are subscriptions', async () => {
    const harness = await withTopic();
    const subscription = { topicName: 'T', subscriptionName: 'S' };
    await harness.ok('Subscribe', { ...subscription, protocol: 'queue', endpoint: 'q' });
    expect(await harness.codeOf('DeleteTopic', { topicName: 'T' })).toBe('4000/10540');
    await harness.ok('Unsubscribe', subscription);
    await harness.ok('DeleteTopic', { topicName: 'T' });
    expect(harness.fixture.engine.vhost.topology.exchanges.has('T')).toBe(false);
    const next = await harness.restart();
    expect((await next.ok('ListTopic'))['totalCount']).toBe(0);
    await next.ok('CreateTopic', { topicName: 'T' });
  });
});

describe('PublishMessage', () => {
  it.each([
    ['a body at the limit', { msgBody: 'x'.repeat(1_024) }, '0'],
    ['a body beyond it', { msgBody: 'x'.repeat(1_025) }, '4400/10230'],
    ['an empty body', { msgBody: '' }, '4000/10120'],
    ['no body', {}, '4000/10120'],
    ['5 tags', { msgBody: 'x', msgTag: ['a', 'b', 'c', 'd', 'e'] }, '0'],
    ['6 tags', { msgBody: 'x', msgTag: ['a', 'b', 'c', 'd', 'e', 'f'] }, '4000/10720'],
    ['a tag of 16 characters', { msgBody: 'x', msgTag: ['标'.repeat(16)] }, '0'],
    ['a tag of 16', { msgBody: 'x', msgTag: ['t'.repeat(16)] }, '0'],
    ['a tag of 17', { msgBody: 'x', msgTag: ['t'.repeat(17)] }, '4000/10350'],
    ['an empty tag', { msgBody: 'x', msgTag: [''] }, '4000/10350'],
    ['a key of 64', { msgBody: 'x', routingKey: 'k'.repeat(64) }, '0'],
    ['a key of 65', { msgBody: 'x', routingKey: 'k'.repeat(65) }, '4000/10350'],
    ['15 dots', { msgBody: 'x', routingKey: `a${'.a'.repeat(15)}` }, '0'],
    ['16 dots', { msgBody: 'x', routingKey: `a${'.a'.repeat(16)}` }, '4000/10690'],
    ['bytes as base64', { msgBody: '//8=', bodyEncoding: 'base64' }, '0'],
    ['broken base64', { msgBody: '//8', bodyEncoding: 'base64' }, '4000/10310'],
  ])('%s', async (_, parameters, code) => {
    const harness = await withTopic();
    await harness.ok('SetTopicAttributes', { topicName: 'T', maxMsgSize: 1_024 });
    await harness.ok('Subscribe', {
      topicName: 'T',
      subscriptionName: 'S',
      protocol: 'queue',
      endpoint: 'q',
    });
    const all = { topicName: 'T', ...parameters } as Record<string, string>;
    expect(await harness.codeOf('PublishMessage', all)).toBe(code);
    expect(harness.bodies('q')).toHaveLength(code === '0' ? 1 : 0);
  });

  it('needs a routing key where filters are by key', async () => {
    const harness = await withTopic(2);
    const publish = { topicName: 'T', msgBody: 'x' };
    expect(await harness.codeOf('PublishMessage', publish)).toBe('4000/10700');
    expect(await harness.codeOf('PublishMessage', { ...publish, routingKey: '' })).toBe(
      '4000/10700',
    );
  });

  it('fails without any subscription', async () => {
    for (const filterType of [1, 2]) {
      const harness = await withTopic(filterType);
      const publish = { topicName: 'T', msgBody: 'x', routingKey: 'k' };
      expect(await harness.codeOf('PublishMessage', publish)).toBe('6030/10650');
      // Whoever binds over AMQP is a subscriber too.
      harness.fixture.engine.bind('q', 'T', 'k');
      expect(await harness.codeOf('PublishMessage', publish)).toBe('0');
    }
  });

  it.each([
    ['tags, as usual', 1, {}, '0'],
    ['tags, strict', 1, { failsUnmatched: true }, '6030/10730'],
    ['keys', 2, {}, '6030/10730'],
  ])('no match: %s', async (_, filterType, settings, code) => {
    const harness = await withTopic(filterType, settings);
    await harness.ok('Subscribe', {
      topicName: 'T',
      subscriptionName: 'S',
      protocol: 'queue',
      endpoint: 'q',
      ...(filterType === 1 ? { filterTag: ['wanted'] } : { bindingKey: ['wanted'] }),
    });
    const publish = { topicName: 'T', msgBody: 'x', routingKey: 'other', msgTag: ['other'] };
    expect(await harness.codeOf('PublishMessage', publish)).toBe(code);
    expect(harness.bodies('q')).toEqual([]);
  });

  it('tells the id that every copy carries', async () => {
    const harness = await withTopic();
    for (const subscriptionName of ['A', 'B']) {
      const to = { protocol: 'queue', endpoint: 'q' };
      await harness.ok('Subscribe', { topicName: 'T', subscriptionName, ...to });
    }
    const publish = { topicName: 'T', msgBody: 'x', msgTag: ['a', 'b'] };
    const { msgId } = await harness.ok('PublishMessage', publish);
    expect(msgId).toMatch(/^\d{1,20}$/);
    const { engine } = harness.fixture;
    const copies = [engine.get('q')!, engine.get('q')!].map(({ entry }) =>
      engine.headersOf(entry.message),
    );
    expect(copies.map((headers) => headers.get('x-msg-id'))).toEqual([msgId, msgId]);
    expect(copies.map((headers) => headers.get('x-msg-tag'))).toEqual([
      ['a', 'b'],
      ['a', 'b'],
    ]);
    expect(copies.map((headers) => headers.get('x-subscription')).toSorted()).toEqual([
      'T/A',
      'T/B',
    ]);
  });

  it('is refused when an AMQP queue behind the topic is full', async () => {
    const harness = await withTopic();
    const { engine } = harness.fixture;
    engine.queue('small', { 'x-max-length': 1, 'x-overflow': 'reject-publish' });
    engine.bind('small', 'T', '');
    const publish = { topicName: 'T', msgBody: 'x' };
    expect(await harness.codeOf('PublishMessage', publish)).toBe('0');
    expect(await harness.codeOf('PublishMessage', publish)).toBe('4410/10240');
  });
});

describe('BatchPublishMessage', () => {
  it('publishes up to 16 bodies with one set of tags, ids in order', async () => {
    const harness = await withTopic();
    const to = { protocol: 'queue', endpoint: 'q', filterTag: ['a'] };
    await harness.ok('Subscribe', { topicName: 'T', subscriptionName: 'S', ...to });
    const msgBody = Array.from({ length: 16 }, (_, index) => `m${index}`);
    const batch = { topicName: 'T', msgTag: ['a'] };
    const reply = await harness.ok('BatchPublishMessage', { ...batch, msgBody });
    const ids = (reply['msgList'] as { msgId: string }[]).map(({ msgId }) => msgId);
    expect(new Set(ids).size).toBe(16);
    const { engine } = harness.fixture;
    for (const [index, id] of ids.entries()) {
      const { body, entry } = engine.get('q')!;
      expect(body).toBe(`m${index}`);
      expect(engine.headersOf(entry.message).get('x-msg-id')).toBe(id);
    }
    const many = [...msgBody, 'm16'];
    expect(await harness.codeOf('BatchPublishMessage', { ...batch, msgBody: many })).toBe(
      '4000/10370',
    );
    const counters = harness.fixture.topics.find('T')!.counters;
    expect(counters).toMatchObject({
      batchPublishRequests: 1,
      batchPublishedMessages: 16,
      batchPublishedBytes: 10 * 2 + 6 * 3,
      publishRequests: 0,
    });
  });

  it.each([
    ['a gap in the indices', { 'msgBody.0': 'a', 'msgBody.2': 'b' }, '4000/10380'],
    ['indices from 1', { 'msgBody.1': 'a', 'msgBody.2': 'b' }, '0'],
    ['one too large', { msgBody: ['x', 'y'.repeat(1_025)] }, '4400/10230'],
    ['an empty one', { msgBody: ['x', ''] }, '4000/10120'],
    ['none', {}, '4000/10390'],
  ])('%s', async (_, parameters, code) => {
    const harness = await withTopic();
    await harness.ok('SetTopicAttributes', { topicName: 'T', maxMsgSize: 1_024 });
    const to = { protocol: 'queue', endpoint: 'q' };
    await harness.ok('Subscribe', { topicName: 'T', subscriptionName: 'S', ...to });
    const all = { topicName: 'T', ...parameters } as Record<string, string>;
    expect(await harness.codeOf('BatchPublishMessage', all)).toBe(code);
    expect(harness.bodies('q')).toEqual(code === '0' ? ['a', 'b'] : []);
  });

  it('refuses more than 1 MB in all', async () => {
    const harness = await withTopic();
    const to = { protocol: 'queue', endpoint: 'q' };
    await harness.ok('Subscribe', { topicName: 'T', subscriptionName: 'S', ...to });
    const half = 'x'.repeat(524_288);
    const batch = { topicName: 'T', msgBody: [half, half] };
    expect(await harness.codeOf('BatchPublishMessage', batch)).toBe('0');
    const more = { topicName: 'T', msgBody: [half, half, 'x'] };
    expect(await harness.codeOf('BatchPublishMessage', more)).toBe('4470/10300');
  });
});

describe('API 3.0', () => {
  it('runs the same actions under its names', async () => {
    const harness = await TopicHarness.open();
    await harness.ok('CreateQueue', { queueName: 'q' });
    const made = await harness.callV3('CreateCmqTopic', { TopicName: 'T', FilterType: 1 });
    expect(made['TopicId']).toMatch(/^topic-/);
    const subscribed = await harness.callV3('CreateCmqSubscribe', {
      TopicName: 'T',
      SubscriptionName: 'S',
      Protocol: 'queue',
      Endpoint: 'q',
      NotifyContentFormat: 'SIMPLIFIED',
      FilterTag: ['a'],
    });
    expect(subscribed['SubscriptionId']).toMatch(/^subsc-/);
    // API 3.0 lets a tag be 64 long.
    const tag = 't'.repeat(64);
    const modified = await harness.callV3('ModifyCmqSubscriptionAttribute', {
      TopicName: 'T',
      SubscriptionName: 'S',
      FilterTags: ['a', tag],
      BindingKey: [],
    });
    expect(modified).toEqual({ RequestId: '1' });
    const published = await harness.callV3('PublishCmqMsg', {
      TopicName: 'T',
      MsgContent: 'hello',
      MsgTag: [tag],
    });
    expect(published).toMatchObject({ Result: true, MsgId: expect.stringMatching(/^\d+$/) });
    expect(harness.bodies('q')).toEqual(['hello']);
    const topics = await harness.callV3('DescribeCmqTopics');
    expect(topics).toMatchObject({
      TotalCount: 1,
      TopicList: [{ TopicName: 'T', FilterType: 1, MaxMsgSize: 1_048_576, MsgCount: 0 }],
    });
    const detail = await harness.callV3('DescribeCmqTopicDetail', { TopicName: 'T' });
    expect(detail).toMatchObject({ TopicDescribe: { TopicName: 'T', FilterType: 1 } });
    const subscriptions = await harness.callV3('DescribeCmqSubscriptionDetail', {
      TopicName: 'T',
    });
    expect(subscriptions).toMatchObject({
      TotalCount: 1,
      SubscriptionSet: [
        {
          SubscriptionName: 'S',
          Protocol: 'queue',
          Endpoint: 'q',
          FilterTags: ['a', tag],
          BindingKey: [],
          NotifyStrategy: 'EXPONENTIAL_DECAY_RETRY',
          NotifyContentFormat: 'SIMPLIFIED',
          // An unsigned integer to the clients of Go and Java.
          TopicOwner: 0,
        },
      ],
    });
    const byQueue = await harness.callV3('DescribeCmqSubscriptionDetail', {
      QueueName: 'Q',
      QueryType: 'queue',
    });
    expect(byQueue['TotalCount']).toBe(1);
    const names = { TopicName: 'T', SubscriptionName: 'S' };
    expect(await harness.callV3('ClearCmqSubscriptionFilterTags', names)).toEqual({
      RequestId: '1',
    });
    expect(await harness.callV3('DeleteCmqSubscribe', names)).toEqual({ RequestId: '1' });
    expect(await harness.callV3('DeleteCmqTopic', { TopicName: 'T' })).toEqual({
      RequestId: '1',
    });
  });

  it('has errors of its own form', async () => {
    const harness = await TopicHarness.open();
    expect(await harness.callV3('DescribeCmqTopicDetail', { TopicName: 'T' })).toMatchObject({
      Error: { Code: 'ResourceNotFound' },
    });
    expect(await harness.callV3('DescribeCmqSubscriptionDetail')).toMatchObject({
      Error: { Code: 'MissingParameter' },
    });
  });
});
