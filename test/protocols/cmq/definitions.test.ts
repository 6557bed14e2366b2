/** Queues, topics and subscriptions of CMQ through a definitions document and back. */
import { describe, expect, it } from 'vitest';
import { exportDefinitions } from '../../../src/engine/definitions-export.ts';
import { DefinitionsError, importDefinitions } from '../../../src/engine/definitions-import.ts';
import { TopicHarness } from './topic-harness.ts';

type Row = Record<string, unknown>;
type Definitions = Record<string, Row[]>;

/** As it is written to a file and read again. */
function exported({ fixture }: TopicHarness): Definitions {
  return JSON.parse(JSON.stringify(exportDefinitions(fixture.engine.broker))) as Definitions;
}

function load({ fixture }: TopicHarness, json: unknown): ReturnType<typeof importDefinitions> {
  return importDefinitions(fixture.engine.broker, json);
}

async function problemsOf(harness: TopicHarness, json: unknown): Promise<readonly string[]> {
  try {
    await load(harness, json);
  } catch (error) {
    if (error instanceof DefinitionsError) return error.problems;
    throw error;
  }
  return [];
}

const QUEUE = {
  maxMsgHeapNum: 1_000,
  pollingWaitSeconds: 3,
  visibilityTimeout: 7,
  maxMsgSize: 2_048,
  msgRetentionSeconds: 3_600,
  rewindSeconds: 60,
  trace: 1,
  tags: '[{"TagKey":"env","TagValue":"live"},{"TagKey":"__proto__","TagValue":"x"}]',
};
const HOOK = { protocol: 'http', endpoint: 'http://example.com/hook' };

/** One of everything. */
async function withAll(): Promise<TopicHarness> {
  const harness = await TopicHarness.open();
  const { engine } = harness.fixture;
  for (const queueName of ['dlq', 'plain']) await harness.ok('CreateQueue', { queueName });
  const deadLetter = { deadLetterQueueName: 'dlq', policy: 1, maxTimeToLive: 300 };
  await harness.ok('CreateQueue', { queueName: 'q', ...QUEUE, ...deadLetter });
  // Declared over AMQP: what was not set stays as it was declared.
  engine.queue('by.amqp', { durable: true });
  await harness.ok('SetQueueAttributes', { queueName: 'by.amqp', pollingWaitSeconds: 5 });
  const topic = { topicName: 'T', maxMsgSize: 4_096, msgRetentionSeconds: 600, trace: 1 };
  await harness.ok('CreateTopic', { ...topic, tags: '[{"TagKey":"team","TagValue":""}]' });
  await harness.ok('CreateTopic', { topicName: 'K', filterType: 2 });
  const toQueue = { protocol: 'queue', endpoint: 'plain' };
  await harness.ok('Subscribe', { topicName: 'T', subscriptionName: 'one', ...toQueue });
  await harness.ok('Subscribe', { topicName: 'T', subscriptionName: 'two', ...toQueue });
  const signed = { ...HOOK, secret: 'hush', deadLetterQueueName: 'dlq', filterTag: ['a', 'b'] };
  const simple = { notifyStrategy: 'BACKOFF_RETRY', notifyContentFormat: 'SIMPLIFIED' };
  await harness.ok('Subscribe', {
    topicName: 'T',
    subscriptionName: 'Web',
    ...signed,
    ...simple,
  });
  const local = { protocol: 'function', endpoint: 'local:resize', bindingKey: ['a.*', '#.z'] };
  await harness.ok('Subscribe', { topicName: 'K', subscriptionName: 'f', ...local });
  // Makes the trace, and the subscription's own queue.
  await harness.ok('PublishMessage', { topicName: 'T', msgBody: 'x', msgTag: ['a'] });
  return harness;
}

/** Of queues only: they are never used again. */
function withoutQueueIds(json: string): string {
  return json.replaceAll(/queue-[a-z0-9]+/g, 'queue-id');
}

async function attributes(harness: TopicHarness): Promise<unknown[]> {
  const calls = [
    ...['q', 'dlq', 'plain', 'by.amqp'].map(
      (queueName) => ['GetQueueAttributes', { queueName }] as const,
    ),
    ...['T', 'K'].map((topicName) => ['GetTopicAttributes', { topicName }] as const),
    ...['one', 'two', 'Web'].map(
      (subscriptionName) =>
        ['GetSubscriptionAttributes', { topicName: 'T', subscriptionName }] as const,
    ),
    ['GetSubscriptionAttributes', { topicName: 'K', subscriptionName: 'f' }] as const,
  ];
  const replies = await Promise.all(calls.map(([action, names]) => harness.ok(action, names)));
  const isCount = (name: string): boolean => /Count$|Num$|Time$|^queueId$|^totalMsg/.test(name);
  return replies.map((reply) =>
    Object.fromEntries(
      Object.entries(JSON.parse(withoutQueueIds(JSON.stringify(reply))) as object).filter(
        ([name]) => !isCount(name),
      ),
    ),
  );
}

describe('an import on a broker without them', () => {
  it('makes them as they were, and they work', async () => {
    const before = await withAll();
    const document = exported(before);
    const after = await TopicHarness.open();
    const { applied, warnings } = await load(after, document);
    expect(warnings).toEqual([]);
    expect(applied).toMatchObject({ cmq_queues: 4, cmq_topics: 2, cmq_subscriptions: 4 });
    expect(exported(after)).toEqual(document);
    expect(await attributes(after)).toEqual(await attributes(before));
    await after.ok('PublishMessage', { topicName: 'T', msgBody: 'hello', msgTag: ['b'] });
    await after.fixture.settle();
    expect(after.bodies('plain')).toEqual(['hello', 'hello']);
    const [made] = after.fixture.transport.made;
    expect(made).toMatchObject({ body: 'hello', attempt: { subscription: { secret: 'hush' } } });
    expect(await after.codeOf('DeleteQueue', { queueName: 'dlq' })).toBe('4000/10110');
  });

  it('lasts over a restart', async () => {
    const document = exported(await withAll());
    const after = await TopicHarness.open();
    await load(after, document);
    expect(exported(await after.restart())).toEqual(document);
  });

  it('leaves out what the gateway makes for itself', async () => {
    const document = exported(await withAll());
    expect(document['queues']!.map(({ name }) => name)).toEqual(['by.amqp', 'dlq', 'plain', 'q']);
  });

  it('has no lists where there is nothing of CMQ', async () => {
    const document = exported(await TopicHarness.open());
    expect(Object.keys(document).filter((name) => name.startsWith('cmq_'))).toEqual([]);
  });

  it('takes what is not said as the calls of CMQ do', async () => {
    const harness = await TopicHarness.open();
    const base = { vhost: '/', durable: true };
    await load(harness, {
      queues: [{ ...base, name: 'q' }],
      exchanges: [{ ...base, name: 'T', type: 'x-tags' }],
      cmq_queues: [{ name: 'q', vhost: '/' }],
      cmq_topics: [{ name: 'T', vhost: '/' }],
      cmq_subscriptions: [
        { topic: 'T', name: 'S', vhost: '/', protocol: 'http', endpoint: 'http://h/' },
      ],
    });
    await harness.ok('CreateQueue', { queueName: 'r' });
    const {
      queueName: _,
      queueId: __,
      ...wanted
    } = await harness.ok('GetQueueAttributes', {
      queueName: 'r',
    });
    expect(await harness.ok('GetQueueAttributes', { queueName: 'q' })).toMatchObject(wanted);
    const names = { topicName: 'T', subscriptionName: 'S' };
    expect(await harness.ok('GetSubscriptionAttributes', names)).toMatchObject({
      notifyStrategy: 'EXPONENTIAL_DECAY_RETRY',
      notifyContentFormat: 'JSON',
      subscriptionId: expect.stringMatching(/^subsc-/) as string,
    });
  });
});

describe('an import on a broker that has them', () => {
  it('changes nothing the second time', async () => {
    const harness = await withAll();
    const document = exported(harness);
    harness.fixture.engine.clock.advance(5_000);
    const ticket = harness.fixture.engine.broker.ticket;
    expect((await load(harness, document)).applied).toEqual({});
    expect(harness.fixture.engine.broker.ticket).toBe(ticket);
    const next = await harness.restart();
    expect((await load(next, document)).applied).toEqual({});
  });

  it('gives them the form of the document', async () => {
    const harness = await withAll();
    const document = exported(harness);
    const row = (list: string, name: string) =>
      document[list]!.find((each) => each['name'] === name)!;
    Object.assign(row('cmq_queues', 'q'), { visibilityTimeout: 9, tags: {} });
    delete row('cmq_queues', 'q')['deadLetterPolicy'];
    row('cmq_queues', 'plain')['deadLetterPolicy'] = {
      deadLetterQueueName: 'dlq',
      maxReceiveCount: 2,
    };
    Object.assign(row('cmq_topics', 'T'), { trace: false, maxMsgSize: 1_024 });
    const web = row('cmq_subscriptions', 'Web');
    Object.assign(web, { filterTags: ['c'], notifyContentFormat: 'JSON' });
    delete web['secret'];
    const { applied } = await load(harness, document);
    expect(applied).toEqual({ cmq_queues: 2, cmq_topics: 1, cmq_subscriptions: 1 });
    const q = await harness.ok('GetQueueAttributes', { queueName: 'q' });
    expect(q).toMatchObject({ visibilityTimeout: 9, tags: [] });
    expect(q).not.toHaveProperty('deadLetterPolicy');
    const sources = { deadLetterQueueName: 'dlq' };
    expect(await harness.ok('DescribeDeadLetterSourceQueues', sources)).toMatchObject({
      queueList: [{ queueName: 'plain' }],
    });
    const names = { topicName: 'T', subscriptionName: 'Web' };
    expect(await harness.ok('GetSubscriptionAttributes', names)).toMatchObject({
      filterTags: ['c'],
      isSigned: false,
    });
    const made = harness.fixture.transport.made.length;
    await harness.ok('PublishMessage', { topicName: 'T', msgBody: 'old', msgTag: ['a'] });
    await harness.ok('PublishMessage', { topicName: 'T', msgBody: 'new', msgTag: ['c'] });
    await harness.fixture.settle();
    const bodies = harness.fixture.transport.bodies.slice(made);
    expect(bodies).not.toContain('old');
    expect(bodies).toContain('new');
  });

  it('warns of a subscription whose queue is gone', async () => {
    const before = await withAll();
    await before.ok('DeleteQueue', { queueName: 'plain' });
    const after = await TopicHarness.open();
    const { warnings } = await load(after, exported(before));
    expect(warnings).toEqual(
      ['one', 'two'].map(
        (name) =>
          `CMQ subscription 'T/${name}' in vhost '/': there is no queue 'plain' for its messages`,
      ),
    );
  });
});

describe('a mistake names its row', () => {
  const vhost = '/';
  const q = { name: 'q', vhost };
  const T = { name: 'T', vhost };
  const S = { topic: 'T', name: 'S', vhost, ...HOOK };
  const binding = (deadLetterQueueName: string) => ({ deadLetterPolicy: { deadLetterQueueName } });
  const inQ = "CMQ queue 'q' in vhost '/'";
  const inT = "CMQ topic 'T' in vhost '/'";
  const inS = "CMQ subscription 'T/S' in vhost '/'";

  it.each<[string, Record<string, unknown>, string]>([
    ['no queue', { cmq_queues: [{ ...q, name: 'x' }] }, "CMQ queue 'x' in vhost '/': there is no"],
    ['a stream', { cmq_queues: [{ ...q, name: 'st' }] }, "CMQ queue 'st' in vhost '/': there is"],
    ['no vhost', { cmq_queues: [{ ...q, vhost: 'v' }] }, "CMQ queue 'q' in vhost 'v': there is no"],
    ['no name', { cmq_queues: [{ vhost }] }, 'CMQ queue cmq_queues[0]: name is missing'],
    ['no object', { cmq_queues: [1] }, 'cmq_queues[0]: must be an object'],
    ['twice', { cmq_queues: [q, q] }, `${inQ}: is there twice`],
    ['beyond', { cmq_queues: [{ ...q, visibilityTimeout: 0 }] }, `${inQ}: visibilityTimeout 0`],
    ['no number', { cmq_queues: [{ ...q, rewindSeconds: 'x' }] }, `${inQ}: rewindSeconds must`],
    ['a fraction', { cmq_queues: [{ ...q, rewindSeconds: 1.5 }] }, `${inQ}: rewindSeconds must`],
    [
      'rewind above retention',
      { cmq_queues: [{ ...q, rewindSeconds: 61, msgRetentionSeconds: 60 }] },
      `${inQ}: rewindSeconds 61`,
    ],
    ['tags', { cmq_queues: [{ ...q, tags: { k: 1 } }] }, `${inQ}: tags must be texts by key`],
    ['a tag', { cmq_queues: [{ ...q, tags: { '': 'x' } }] }, `${inQ}: the key of a tag is empty`],
    [
      'a binding to itself',
      { cmq_queues: [{ ...q, ...binding('q') }] },
      `${inQ}: deadLetterPolicy: a queue cannot`,
    ],
    [
      'a binding to nothing',
      { cmq_queues: [{ ...q, ...binding('x') }] },
      `${inQ}: deadLetterPolicy: there is no queue 'x'`,
    ],
    [
      'a chain',
      {
        cmq_queues: [
          { ...q, ...binding('r') },
          { ...q, name: 'r', ...binding('s') },
        ],
      },
      `${inQ}: deadLetterPolicy: queue 'r' has a dead-letter queue itself`,
    ],
    [
      'a policy',
      { cmq_queues: [{ ...q, deadLetterPolicy: { deadLetterQueueName: 'r', policy: 2 } }] },
      `${inQ}: policy must be 0 or 1`,
    ],
    [
      'a seventh source',
      {
        queues: Array.from({ length: 7 }, (_, n) => ({ name: `q${n}`, vhost })),
        cmq_queues: Array.from({ length: 7 }, (_, n) => ({
          name: `q${n}`,
          vhost,
          ...binding('r'),
        })),
      },
      "CMQ queue 'q0' in vhost '/': deadLetterPolicy: queue 'r' takes the dead letters of more",
    ],
    ['no exchange', { cmq_topics: [{ ...T, name: 'X' }] }, "CMQ topic 'X' in vhost '/': there is"],
    ['the other type', { cmq_topics: [{ ...T, filterType: 2 }] }, `${inT}: there is no durable`],
    ['no type', { cmq_topics: [{ ...T, filterType: 3 }] }, `${inT}: filterType must be 1 or 2`],
    [
      'no topic name',
      { cmq_topics: [{ ...T, name: 'a.b' }] },
      "CMQ topic 'a.b' in vhost '/': name",
    ],
    ['size', { cmq_topics: [{ ...T, maxMsgSize: 1 }] }, `${inT}: maxMsgSize 1 is not from 1024`],
    ['twice, by case', { cmq_topics: [T, { ...T, name: 't' }] }, "CMQ topic 't' in vhost '/': is"],
    ['no topic', { cmq_subscriptions: [S] }, `${inS}: there is no such topic`],
    [
      'an endpoint',
      { cmq_topics: [T], cmq_subscriptions: [{ ...S, endpoint: 'ftp://h/' }] },
      `${inS}: endpoint 'ftp://h/' is none of protocol http`,
    ],
    [
      'a protocol',
      { cmq_topics: [T], cmq_subscriptions: [{ ...S, protocol: 'mail' }] },
      `${inS}: protocol must be one of queue, http, function`,
    ],
    [
      'a format',
      {
        cmq_topics: [T],
        cmq_subscriptions: [
          { ...S, protocol: 'queue', endpoint: 'q', notifyContentFormat: 'JSON' },
        ],
      },
      `${inS}: notifyContentFormat must be one of SIMPLIFIED`,
    ],
    [
      'a secret without use',
      {
        cmq_topics: [T],
        cmq_subscriptions: [{ ...S, protocol: 'queue', endpoint: 'q', secret: 's' }],
      },
      `${inS}: secret is for pushes over HTTP`,
    ],
    [
      'a filter of the other kind',
      { cmq_topics: [T], cmq_subscriptions: [{ ...S, bindingKeys: ['#'] }] },
      `${inS}: its filter is for the other filterType`,
    ],
    [
      'no binding key',
      {
        cmq_topics: [{ ...T, name: 'K', filterType: 2 }],
        cmq_subscriptions: [{ ...S, topic: 'K' }],
      },
      "CMQ subscription 'K/S' in vhost '/': a topic of filterType 2 needs",
    ],
    [
      'a key of three #',
      {
        cmq_topics: [{ ...T, name: 'K', filterType: 2 }],
        cmq_subscriptions: [{ ...S, topic: 'K', bindingKeys: ['#.a.#.b.#'] }],
      },
      "CMQ subscription 'K/S' in vhost '/': ",
    ],
    [
      'six tags',
      { cmq_topics: [T], cmq_subscriptions: [{ ...S, filterTags: [...'abcdef'] }] },
      `${inS}: filterTags are more than 5`,
    ],
  ])('%s', async (_, lists, problem) => {
    const harness = await TopicHarness.open();
    const base = { vhost, durable: true };
    const given = (lists['queues'] ?? []) as object[];
    const stream = { ...base, name: 'st', arguments: { 'x-queue-type': 'stream' } };
    const queues = [...['q', 'r', 's'].map((name) => ({ ...base, name })), stream, ...given];
    const exchanges = [
      { ...base, name: 'T', type: 'x-tags' },
      { ...base, name: 't', type: 'x-tags' },
      { ...base, name: 'K', type: 'topic' },
    ];
    const problems = await problemsOf(harness, { ...lists, queues, exchanges });
    expect(problems.join('\n')).toContain(problem);
    expect(exported(harness)['queues']).toEqual([]);
  });

  it.each<[string, string, Row, string]>([
    ['another filterType', 'cmq_topics', { name: 'T', filterType: 2 }, 'filterType is 1'],
    ['a name in other case', 'cmq_topics', { name: 't' }, "there is a topic 'T'"],
    [
      'another endpoint',
      'cmq_subscriptions',
      { topic: 'T', name: 'Web', ...HOOK, endpoint: 'http://other/' },
      'protocol and endpoint are http',
    ],
    [
      'a subscription in other case',
      'cmq_subscriptions',
      { topic: 'T', name: 'web', ...HOOK },
      "there is a subscription 'Web'",
    ],
    [
      'a binding to a queue that has one',
      'cmq_queues',
      { name: 'plain', deadLetterPolicy: { deadLetterQueueName: 'q' } },
      "queue 'q' has a dead-letter queue itself",
    ],
    [
      'a binding of a queue that is one',
      'cmq_queues',
      { name: 'dlq', deadLetterPolicy: { deadLetterQueueName: 'plain' } },
      'the queue takes dead letters itself',
    ],
  ])('%s than there is', async (_, list, row, problem) => {
    const harness = await withAll();
    const before = exported(harness);
    const problems = await problemsOf(harness, { [list]: [{ vhost: '/', ...row }] });
    expect(problems.join('\n')).toContain(problem);
    expect(exported(harness)).toEqual(before);
  });
});
