/** Labels of queues and topics in both APIs, and the filters that look for them. */
import { describe, expect, it } from 'vitest';
import { Form, nestedJson } from '../../../protocols/cmq/form.ts';
import { TopicHarness } from './topic-harness.ts';

const LABELS = {
  a: [{ TagKey: 'env', TagValue: 'test' }],
  b: [
    { TagKey: 'env', TagValue: 'live' },
    { TagKey: 'team', TagValue: '' },
  ],
  c: [],
};

const KINDS = [
  {
    kind: 'queues',
    create: 'CreateCmqQueue',
    modify: 'ModifyCmqQueueAttribute',
    list: 'DescribeCmqQueues',
    older: 'DescribeQueueDetail',
    set: 'QueueSet',
    name: 'QueueName',
    get: 'GetQueueAttributes',
    v2: 'queueName',
    create2: 'CreateQueue',
    list2: 'ListQueue',
  },
  {
    kind: 'topics',
    create: 'CreateCmqTopic',
    modify: 'ModifyCmqTopicAttribute',
    list: 'DescribeCmqTopics',
    older: 'DescribeTopicDetail',
    set: 'TopicSet',
    name: 'TopicName',
    get: 'GetTopicAttributes',
    v2: 'topicName',
    create2: 'CreateTopic',
    list2: 'ListTopic',
  },
] as const;

describe.each(KINDS)('$kind', (kind) => {
  async function withLabels(): Promise<TopicHarness> {
    const harness = await TopicHarness.open();
    for (const [name, Tags] of Object.entries(LABELS)) {
      expect(await harness.callV3(kind.create, { [kind.name]: name, Tags })).not.toHaveProperty(
        'Error',
      );
    }
    return harness;
  }

  async function names(harness: TopicHarness, parameters: object, version?: string) {
    const action = version === undefined ? kind.list : kind.older;
    const reply = await harness.callV3(action, parameters, version);
    // The newer version of 3.0 calls its lists by their 2.0 names.
    const list = reply[kind.set] ?? reply[`${kind.name.slice(0, 5)}List`];
    const rows = list as Record<string, unknown>[] | undefined;
    return rows?.map((row) => row[kind.name]) ?? (reply['Error'] as { Code: string }).Code;
  }

  it.each<[string, object, unknown]>([
    ['nothing', {}, ['a', 'b', 'c']],
    ['a label', { Filters: [{ Name: 'tag:env', Values: [] }] }, ['a', 'b']],
    ['a value', { Filters: [{ Name: 'tag: env', Values: ['live'] }] }, ['b']],
    ['any of two values', { Filters: [{ Name: 'tag:env', Values: ['live', 'test'] }] }, ['a', 'b']],
    ['two labels', { Filters: [{ Name: 'tag:env' }, { Name: 'tag:team' }] }, ['b']],
    ['an empty value', { Filters: [{ Name: 'tag:team', Values: [''] }] }, ['b']],
    ['a label nobody has', { Filters: [{ Name: 'tag:none' }] }, []],
    ['IsTagFilter', { IsTagFilter: true, Filters: [{ Name: 'tag:env' }] }, ['a', 'b']],
    ['TagKey', { TagKey: 'team' }, ['b']],
    ['IsTagFilter and TagKey', { IsTagFilter: true, TagKey: 'team' }, ['b']],
    ['no TagKey', { TagKey: '', IsTagFilter: false }, ['a', 'b', 'c']],
    ['IsTagFilter without any', { IsTagFilter: true }, 'InvalidParameter'],
    [
      'filters by tag that are none',
      { IsTagFilter: false, Filters: [{ Name: 'tag:env' }] },
      'InvalidParameter',
    ],
    ['another filter', { Filters: [{ Name: 'Region', Values: ['x'] }] }, 'InvalidParameterValue'],
    ['no key', { Filters: [{ Name: 'tag:' }] }, 'InvalidParameterValue'],
    ['no name', { Filters: [{ Values: ['x'] }] }, 'InvalidParameter'],
    ['no list', { Filters: { Name: 'tag:env' } }, 'InvalidParameter'],
    ['no texts', { Filters: [{ Name: 'tag:env', Values: [1] }] }, 'InvalidParameter'],
    [
      'too many',
      { Filters: Array.from({ length: 11 }, () => ({ Name: 'tag:env' })) },
      'InvalidParameterValue',
    ],
  ])('are found by %s', async (_, parameters, expected) => {
    expect(await names(await withLabels(), parameters)).toEqual(expected);
  });

  it('are found by a filter of their name, in the older version, too', async () => {
    const harness = await withLabels();
    const Filters = [{ Name: kind.name, Values: ['B'] }];
    expect(await names(harness, { Filters })).toEqual(['b']);
    expect(await names(harness, { Filters, TagKey: 'env' }, '2019-03-04')).toEqual(['b']);
    expect(await names(harness, { [`${kind.name}List`]: ['A', 'c'] })).toEqual(['a', 'c']);
  });

  it('have labels that last, and change as a whole', async () => {
    const harness = await withLabels();
    const labels = async (from: TopicHarness, name: string) =>
      (await from.ok(kind.get, { [kind.v2]: name }))['tags'];
    const next = await harness.restart();
    expect(await labels(next, 'b')).toEqual([
      { tagKey: 'env', tagValue: 'live' },
      { tagKey: 'team', tagValue: '' },
    ]);
    await next.callV3(kind.modify, { [kind.name]: 'b', Tags: [{ TagKey: 'k', TagValue: 'v' }] });
    expect(await labels(next, 'b')).toEqual([{ tagKey: 'k', tagValue: 'v' }]);
    await next.callV3(kind.modify, { [kind.name]: 'b', Trace: true });
    expect(await labels(next, 'b')).toHaveLength(1);
    await next.callV3(kind.modify, { [kind.name]: 'b', Tags: [] });
    expect(await labels(next, 'b')).toEqual([]);
  });

  it('take them as JSON in API 2.0, and as the SDKs flatten them', async () => {
    const harness = await TopicHarness.open();
    await harness.ok(kind.create2, { [kind.v2]: 'j', tags: '[{"tagKey":"k","tagValue":"v"}]' });
    await harness.ok(kind.create2, {
      [kind.v2]: 'f',
      'tags.0.TagKey': 'k',
      'tags.0.TagValue': 'v',
      'tags.1.TagKey': 'l',
    });
    expect(await harness.ok(kind.get, { [kind.v2]: 'j' })).toMatchObject({
      tags: [{ tagKey: 'k', tagValue: 'v' }],
    });
    expect(await harness.ok(kind.get, { [kind.v2]: 'f' })).toMatchObject({
      tags: [
        { tagKey: 'k', tagValue: 'v' },
        { tagKey: 'l', tagValue: '' },
      ],
    });
    const filter = { 'filters.1.Name': 'tag:l', 'filters.1.Values.1': '' };
    expect(await harness.ok(kind.list2, filter)).toMatchObject({ totalCount: 1 });
  });

  it.each<[string, unknown, string]>([
    ['50 of the longest', labelsOf(50), 'ok'],
    ['51', labelsOf(51), 'InvalidParameterValue'],
    ['a key too long', [{ TagKey: 'k'.repeat(128) }], 'InvalidParameterValue'],
    ['a value too long', [{ TagKey: 'k', TagValue: 'v'.repeat(256) }], 'InvalidParameterValue'],
    ['an empty key', [{ TagKey: '' }], 'InvalidParameterValue'],
    ['a key twice', [{ TagKey: 'k' }, { TagKey: 'k' }], 'InvalidParameterValue'],
    ['no key', [{ TagValue: 'v' }], 'InvalidParameter'],
    ['no texts', [{ TagKey: 'k', TagValue: 1 }], 'InvalidParameter'],
    ['no objects', ['k'], 'InvalidParameter'],
    ['no list', { TagKey: 'k' }, 'InvalidParameter'],
  ])('take labels: %s', async (_, Tags, code) => {
    const harness = await TopicHarness.open();
    const reply = await harness.callV3(kind.create, { [kind.name]: 'x', Tags });
    expect((reply['Error'] as { Code: string } | undefined)?.Code ?? 'ok').toBe(code);
  });
});

function labelsOf(count: number): object[] {
  return Array.from({ length: count }, (_, n) => ({
    TagKey: `${n}`.padStart(127, 'k'),
    TagValue: 'v'.repeat(255),
  }));
}

describe('nestedJson', () => {
  it.each<[string, readonly (readonly [string, string])[], string | undefined]>([
    ['nothing', [['other', 'x']], undefined],
    [
      'a list',
      [
        ['a.1', 'y'],
        ['a.0', 'x'],
      ],
      '["x","y"]',
    ],
    [
      'objects',
      [
        ['a.0.k', 'x'],
        ['a.0.l.0', 'y'],
      ],
      '[{"k":"x","l":["y"]}]',
    ],
    ['a name that objects have', [['a.__proto__.x', 'y']], '{"__proto__":{"x":"y"}}'],
    ['more parts than there are', [['a.b.c.d.e.f', 'x']], '{"b":{"c":{"d":{"e.f":"x"}}}}'],
  ])('makes %s', (_, pairs, json) => {
    const form = new Form();
    for (const [name, value] of pairs) form.add(name, value);
    expect(nestedJson(form, 'a')).toBe(json);
  });
});
