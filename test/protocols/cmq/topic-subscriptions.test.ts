import { describe, expect, it } from 'vitest';
import { TopicHarness } from './topic-harness.ts';

const HTTP = { protocol: 'http', endpoint: 'http://example.com/hook' };
const QUEUE = { protocol: 'queue', endpoint: 'q' };
const LOCAL = { protocol: 'function', endpoint: 'local:resize' };
const NAMES = { topicName: 'T', subscriptionName: 'S' };

async function withTopic(filterType = 1, settings = {}): Promise<TopicHarness> {
  const harness = await TopicHarness.open(settings);
  await harness.ok('CreateQueue', { queueName: 'q' });
  await harness.ok('CreateTopic', { topicName: 'T', filterType });
  return harness;
}

/** `http://h/` and a path that makes it so long. */
function endpoint(length: number): string {
  const start = 'http://h/';
  return start + 'p'.repeat(length - start.length);
}

describe('Subscribe', () => {
  const long = 's'.repeat(64);
  const keys = (count: number) => Array.from({ length: count }, (_, index) => `k${index}`);
  it.each<[string, number, Record<string, unknown>, string]>([
    ['to a queue', 1, QUEUE, '0'],
    ['to a queue in other case', 1, { ...QUEUE, endpoint: 'Q' }, '0'],
    ['to a queue that is not there', 1, { ...QUEUE, endpoint: 'none' }, '4440/10100'],
    ['to an http endpoint', 1, HTTP, '0'],
    ['to an https endpoint', 1, { ...HTTP, endpoint: 'https://example.com/' }, '0'],
    ['protocol https', 1, { protocol: 'https', endpoint: 'https://example.com/' }, '0'],
    ['to a function behind a URL', 1, { ...HTTP, protocol: 'function' }, '0'],
    ['to a local function', 1, { protocol: 'function', endpoint: 'local:resize' }, '0'],
    ['to no function', 1, { protocol: 'function', endpoint: 'local:../x' }, '4000/10500'],
    ['by mail', 1, { ...HTTP, protocol: 'mail' }, '4000/10510'],
    ['without protocol', 1, { endpoint: 'q' }, '4000/10390'],
    ['without endpoint', 1, { protocol: 'queue' }, '4000/10390'],
    ['the longest endpoint', 1, { ...HTTP, endpoint: endpoint(500) }, '0'],
    ['an endpoint too long', 1, { ...HTTP, endpoint: endpoint(501) }, '4000/10500'],
    ['another scheme', 1, { ...HTTP, endpoint: 'ftp://example.com/' }, '4000/10500'],
    ['no URL', 1, { ...HTTP, endpoint: 'http://' }, '4000/10630'],
    ['blanks in the URL', 1, { ...HTTP, endpoint: 'http://example.com/a b' }, '4510/10570'],
    ['the longest name', 1, { ...QUEUE, subscriptionName: long }, '0'],
    ['a name too long', 1, { ...QUEUE, subscriptionName: `${long}s` }, '4000/10590'],
    ['a wrong name', 1, { ...QUEUE, subscriptionName: '-s' }, '4000/10590'],
    ['BACKOFF_RETRY', 1, { ...HTTP, notifyStrategy: 'BACKOFF_RETRY' }, '0'],
    ['no strategy', 1, { ...HTTP, notifyStrategy: 'NEVER' }, '4000/10520'],
    ['SIMPLIFIED', 1, { ...HTTP, notifyContentFormat: 'SIMPLIFIED' }, '0'],
    ['no format', 1, { ...HTTP, notifyContentFormat: 'XML' }, '4000/10530'],
    ['JSON to a queue', 1, { ...QUEUE, notifyContentFormat: 'JSON' }, '4000/10640'],
    ['SIMPLIFIED to a queue', 1, { ...QUEUE, notifyContentFormat: 'SIMPLIFIED' }, '0'],
    ['SIMPLIFIED to a function', 1, { ...LOCAL, notifyContentFormat: 'SIMPLIFIED' }, '4000/10110'],
    ['JSON to a function', 1, { ...LOCAL, notifyContentFormat: 'JSON' }, '0'],
    ['a secret to a local function', 1, { ...LOCAL, secret: 's' }, '4000/10110'],
    ['a secret to a queue', 1, { ...QUEUE, secret: 's' }, '4000/10110'],
    ['no secret to a queue', 1, { ...QUEUE, secret: '' }, '0'],
    ['5 tags', 1, { ...QUEUE, filterTag: keys(5) }, '0'],
    ['6 tags', 1, { ...QUEUE, filterTag: keys(6) }, '4000/10490'],
    ['a tag of 16', 1, { ...QUEUE, filterTag: ['t'.repeat(16)] }, '0'],
    ['a tag of 17', 1, { ...QUEUE, filterTag: ['t'.repeat(17)] }, '4000/10350'],
    ['keys to a tag topic', 1, { ...QUEUE, bindingKey: ['#'] }, '4000/10110'],
    ['5 keys', 2, { ...QUEUE, bindingKey: keys(5) }, '0'],
    ['6 keys', 2, { ...QUEUE, bindingKey: keys(6) }, '4000/10680'],
    ['a key of 64', 2, { ...QUEUE, bindingKey: ['k'.repeat(64)] }, '0'],
    ['a key of 65', 2, { ...QUEUE, bindingKey: ['k'.repeat(65)] }, '4000/10350'],
    ['15 dots', 2, { ...QUEUE, bindingKey: [`*${'.*'.repeat(15)}`] }, '0'],
    ['16 dots', 2, { ...QUEUE, bindingKey: [`*${'.*'.repeat(16)}`] }, '4000/10691'],
    ['no key', 2, QUEUE, '4000/10710'],
    ['tags to a key topic', 2, { ...QUEUE, bindingKey: ['#'], filterTag: ['a'] }, '4000/10110'],
    ['a dead-letter queue', 1, { ...HTTP, deadLetterQueueName: 'Q' }, '0'],
    ['no dead-letter queue', 1, { ...HTTP, deadLetterQueueName: 'none' }, '4440/10100'],
    ['to another topic', 1, { ...QUEUE, topicName: 'none' }, '4440/10600'],
  ])('%s', async (_, filterType, parameters, code) => {
    const harness = await withTopic(filterType);
    const all = { ...NAMES, ...parameters } as Record<string, string>;
    expect(await harness.codeOf('Subscribe', all)).toBe(code);
    expect(harness.fixture.topics.find('T')!.subscriptions.size).toBe(code === '0' ? 1 : 0);
  });

  it('refuses a name that is taken, whatever its case', async () => {
    const harness = await withTopic();
    await harness.ok('Subscribe', { ...NAMES, ...QUEUE });
    for (const subscriptionName of ['S', 's']) {
      const again = { ...NAMES, subscriptionName, ...HTTP };
      expect(await harness.codeOf('Subscribe', again)).toBe('4490/10470');
    }
  });

  it('keeps to the quota', async () => {
    const harness = await withTopic(1, { subscriptionsMax: 500 });
    for (let index = 0; index < 500; index += 1) {
      const subscriptionName = `s${index}`;
      await harness.ok('Subscribe', { topicName: 'T', subscriptionName, ...QUEUE });
    }
    expect(await harness.codeOf('Subscribe', { ...NAMES, ...QUEUE })).toBe('4500/10480');
    await harness.ok('PublishMessage', { topicName: 'T', msgBody: 'x' });
    expect(harness.bodies('q')).toHaveLength(500);
  });

  it('needs write on the queue it leads to', async () => {
    const harness = await withTopic();
    const { broker } = harness.fixture.engine;
    broker.access.putUser('u', { password: undefined, tags: [] });
    broker.access.setPermission('u', '/', { configure: 'T', write: '^$', read: '^$' });
    harness.actor = { ...harness.actor, user: broker.access.user('u')! };
    expect(await harness.codeOf('Subscribe', { ...NAMES, ...QUEUE })).toBe('4000/10461');
    expect(await harness.codeOf('Subscribe', { ...NAMES, ...HTTP })).toBe('0');
  });
});

describe('subscription attributes', () => {
  it('are what was asked for, over a restart, without the secret', async () => {
    const harness = await withTopic();
    const { subscriptionId } = await harness.ok('Subscribe', {
      ...NAMES,
      ...HTTP,
      filterTag: ['a', 'b'],
      secret: 'key',
      deadLetterQueueName: 'q',
    });
    const expected = {
      subscriptionId,
      topicOwner: 'guest',
      msgCount: 0,
      protocol: 'http',
      endpoint: 'http://example.com/hook',
      notifyStrategy: 'EXPONENTIAL_DECAY_RETRY',
      notifyContentFormat: 'JSON',
      filterTags: ['a', 'b'],
      bindingKey: [],
      deadLetterQueueName: 'q',
      isSigned: true,
    };
    expect(await harness.ok('GetSubscriptionAttributes', NAMES)).toMatchObject(expected);
    const next = await harness.restart();
    const reply = await next.ok('GetSubscriptionAttributes', NAMES);
    expect(reply).toMatchObject(expected);
    expect(JSON.stringify(reply)).not.toContain('key"');
    expect(next.fixture.topics.find('T')!.subscription('S')!.record.secret).toBe('key');
  });

  it('change, but for protocol and endpoint', async () => {
    const harness = await withTopic();
    await harness.ok('Subscribe', { ...NAMES, ...HTTP, secret: 'k', deadLetterQueueName: 'q' });
    harness.fixture.engine.clock.advance(9_000);
    for (const other of [{ endpoint: 'http://elsewhere.example.com' }, { protocol: 'queue' }]) {
      const set = { ...NAMES, filterTag: ['y'], ...other };
      expect(await harness.codeOf('SetSubscriptionAttributes', set)).toBe('4000/10110');
    }
    await harness.ok('SetSubscriptionAttributes', {
      ...NAMES,
      ...HTTP,
      notifyStrategy: 'BACKOFF_RETRY',
      notifyContentFormat: 'SIMPLIFIED',
      filterTag: ['x'],
      secret: '',
      deadLetterQueueName: '',
    });
    const reply = await harness.ok('GetSubscriptionAttributes', NAMES);
    expect(reply).toMatchObject({
      notifyStrategy: 'BACKOFF_RETRY',
      notifyContentFormat: 'SIMPLIFIED',
      filterTags: ['x'],
      protocol: 'http',
      endpoint: 'http://example.com/hook',
      isSigned: false,
      deadLetterQueueName: '',
    });
    expect(Number(reply['lastModifyTime']) - Number(reply['createTime'])).toBe(9);
  });

  it.each<[string, number, Record<string, unknown>, string]>([
    ['JSON to a queue', 1, { notifyContentFormat: 'JSON' }, '4000/10640'],
    ['6 tags', 1, { filterTag: ['1', '2', '3', '4', '5', '6'] }, '4000/10490'],
    ['no strategy', 1, { notifyStrategy: 'x' }, '4000/10520'],
    ['another subscription', 1, { subscriptionName: 'none' }, '4440/10600'],
    ['keys', 2, { bindingKey: ['b.*', 'c.#'] }, '0'],
    ['more # than AMQP allows', 2, { bindingKey: ['#.a.#.b.#'] }, '4000/10110'],
  ])('set: %s', async (_, filterType, parameters, code) => {
    const harness = await withTopic(filterType);
    const filter = filterType === 2 ? { bindingKey: ['a'] } : {};
    await harness.ok('Subscribe', { ...NAMES, ...QUEUE, ...filter });
    const all = { ...NAMES, ...parameters } as Record<string, string>;
    expect(await harness.codeOf('SetSubscriptionAttributes', all)).toBe(code);
    if (filterType === 1) return;
    // What is refused changes nothing.
    const routingKey = code === '0' ? 'b.x' : 'a';
    await harness.ok('PublishMessage', { topicName: 'T', msgBody: 'm', routingKey });
    expect(harness.bodies('q')).toEqual(['m']);
  });

  it('let go of tags: the subscription gets everything', async () => {
    const harness = await withTopic();
    await harness.ok('Subscribe', { ...NAMES, ...QUEUE, filterTag: ['a'] });
    await harness.ok('PublishMessage', { topicName: 'T', msgBody: '1' });
    await harness.ok('ClearSUbscriptionFIlterTags', NAMES);
    await harness.ok('PublishMessage', { topicName: 'T', msgBody: '2' });
    expect(harness.bodies('q')).toEqual(['2']);
    const none = { ...NAMES, subscriptionName: 'none' };
    expect(await harness.codeOf('ClearSubscriptionFilterTags', none)).toBe('4440/10600');
  });

  it('have no tags to let go of where filters are keys', async () => {
    const harness = await withTopic(2);
    await harness.ok('Subscribe', { ...NAMES, ...QUEUE, bindingKey: ['a'] });
    expect(await harness.codeOf('ClearSubscriptionFilterTags', NAMES)).toBe('4000/10110');
    const attributes = await harness.ok('GetSubscriptionAttributes', NAMES);
    expect(attributes).toMatchObject({ bindingKey: ['a'], filterTags: [] });
  });

  it('count what is pending and what there was in all', async () => {
    const harness = await withTopic();
    await harness.ok('Subscribe', { ...NAMES, ...QUEUE });
    await harness.ok('Subscribe', { ...NAMES, subscriptionName: 'P', ...HTTP });
    harness.fixture.transport.answer = () => 'failed';
    for (const msgBody of ['1', '2', '3']) {
      await harness.ok('PublishMessage', { topicName: 'T', msgBody });
    }
    await harness.fixture.settle();
    const queue = await harness.ok('GetSubscriptionAttributes', NAMES);
    expect(queue).toMatchObject({ msgCount: 3, pendingMsgCount: 0, totalMsgCount: 3 });
    const push = { ...NAMES, subscriptionName: 'P' };
    const seconds = Math.floor(harness.fixture.engine.clock.wallMs() / 1_000);
    expect(await harness.ok('GetSubscriptionAttributes', push)).toMatchObject({
      msgCount: 3,
      pendingMsgCount: 3,
      totalMsgCount: 3,
      notifyCount: 1,
      succNotifyCount: 0,
      lastFailure: 'status 500',
      lastFailureTime: seconds,
      nextNotifyTime: seconds + 1,
    });
    expect((await harness.ok('GetTopicAttributes', { topicName: 'T' }))['msgCount']).toBe(3);
    harness.fixture.transport.answer = () => 'ok';
    await harness.fixture.runUntil((seconds + 5) * 1_000);
    expect(await harness.ok('GetSubscriptionAttributes', push)).toMatchObject({
      msgCount: 0,
      totalMsgCount: 3,
      notifyCount: 4,
      succNotifyCount: 3,
    });
  });
});

describe('ListSubscriptionByTopic', () => {
  it('asks by topic, by queue, or by both', async () => {
    const harness = await withTopic();
    await harness.ok('CreateTopic', { topicName: 'U' });
    await harness.ok('Subscribe', { ...NAMES, ...QUEUE });
    await harness.ok('Subscribe', { ...NAMES, ...HTTP, subscriptionName: 'web' });
    await harness.ok('Subscribe', { ...QUEUE, topicName: 'U', subscriptionName: 'other' });
    const names = async (parameters: object): Promise<unknown> => {
      const reply = await harness.callV3('DescribeCmqSubscriptionDetail', parameters);
      const set = reply['SubscriptionSet'] as { SubscriptionName: string }[] | undefined;
      return set?.map(({ SubscriptionName }) => SubscriptionName) ?? reply['Error'];
    };
    expect(await names({ TopicName: 'T' })).toEqual(['S', 'web']);
    expect(await names({ QueueName: 'Q' })).toEqual(['S', 'other']);
    expect(await names({ QueueName: 'q', QueryType: 'queue' })).toEqual(['S', 'other']);
    expect(await names({ TopicName: 'T', QueueName: 'q' })).toEqual(['S']);
    const missing = { Code: 'MissingParameter' };
    expect(await names({})).toMatchObject(missing);
    expect(await names({ QueryType: 'queue' })).toMatchObject(missing);
    expect(await names({ QueryType: 'topic', QueueName: 'q' })).toMatchObject(missing);
  });

  it('lists by name, in pages, by part of the name', async () => {
    const harness = await withTopic();
    for (const subscriptionName of ['b-2', 'a-1', 'c-3']) {
      await harness.ok('Subscribe', { topicName: 'T', subscriptionName, ...QUEUE });
    }
    const list = async (parameters: Record<string, string | number>) => {
      const reply = await harness.ok('ListSubscriptionByTopic', { topicName: 'T', ...parameters });
      const rows = reply['subscriptionList'] as { subscriptionName: string }[];
      return [reply['totalCount'], rows.map(({ subscriptionName }) => subscriptionName)];
    };
    expect(await list({})).toEqual([3, ['a-1', 'b-2', 'c-3']]);
    expect(await list({ offset: 1, limit: 1 })).toEqual([3, ['b-2']]);
    expect(await list({ searchWord: 'C' })).toEqual([1, ['c-3']]);
    const reply = await harness.ok('ListSubscriptionByTopic', { topicName: 'T', limit: 1 });
    expect(reply['subscriptionList']).toEqual([
      {
        subscriptionId: expect.stringMatching(/^subsc-/),
        subscriptionName: 'a-1',
        protocol: 'queue',
        endpoint: 'q',
      },
    ]);
  });
});

describe('Unsubscribe', () => {
  it('ends deliveries and what waited', async () => {
    const harness = await withTopic();
    await harness.ok('Subscribe', { ...NAMES, ...HTTP });
    harness.fixture.transport.answer = () => 'failed';
    await harness.ok('PublishMessage', { topicName: 'T', msgBody: 'x' });
    await harness.ok('Unsubscribe', NAMES);
    expect(await harness.codeOf('Unsubscribe', NAMES)).toBe('4440/10600');
    const publish = { topicName: 'T', msgBody: 'x' };
    expect(await harness.codeOf('PublishMessage', publish)).toBe('6030/10650');
    const next = await harness.restart();
    expect((await next.ok('GetTopicAttributes', { topicName: 'T' }))['msgCount']).toBe(0);
    expect(await next.codeOf('GetSubscriptionAttributes', NAMES)).toBe('4440/10600');
  });
});

describe('one-to-many with tags', () => {
  it('gives A, C and D what they want, and B nothing', async () => {
    const harness = await withTopic();
    const wants = { A: ['apple'], B: ['xiaomi'], C: ['imac', 'xiaomi'], D: [] };
    for (const [subscriptionName, filterTag] of Object.entries(wants)) {
      await harness.ok('CreateQueue', { queueName: `queue-${subscriptionName}` });
      await harness.ok('Subscribe', {
        topicName: 'T',
        subscriptionName,
        protocol: 'queue',
        endpoint: `queue-${subscriptionName}`,
        filterTag,
      });
    }
    const msgTag = ['apple', 'imac', 'iphone', 'macbook'];
    for (let index = 0; index < 100; index += 1) {
      await harness.ok('PublishMessage', { topicName: 'T', msgBody: `${index}`, msgTag });
    }
    const counts = Object.keys(wants).map((name) => harness.bodies(`queue-${name}`).length);
    expect(counts).toEqual([100, 0, 100, 100]);
  });
});
