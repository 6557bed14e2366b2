/**
 * Each parameter at its limits and one beyond, with the code and module the reference has for it
 * (2.2 to 2.4, 2.11), through both APIs. The last test makes sure that no parameter is left out.
 */
import { describe, expect, test } from 'vitest';
import { CmqFailure } from '../../../protocols/cmq/error-mapper.ts';
import { Form } from '../../../protocols/cmq/form.ts';
import {
  bindParameters,
  FormSource,
  nameInV3,
  ObjectSource,
} from '../../../protocols/cmq/request-binder.ts';
import { ACTIONS, ACTIONS_V2 } from '../../../protocols/cmq/spec/actions.ts';
import { CMQ_ERRORS } from '../../../protocols/cmq/spec/errors.ts';

type Value = string | readonly string[];
type Given = Readonly<Record<string, Value>>;

const REQUIRED: Readonly<Record<string, string>> = {
  queueName: 'q',
  topicName: 't',
  subscriptionName: 's',
  msgBody: 'x',
  numOfMsg: '1',
  receiptHandle: 'h',
  startConsumeTime: '0',
  sourceQueueName: 'q',
  deadLetterQueueName: 'q',
  protocol: 'queue',
  endpoint: 'q',
  msgId: '1',
  visibilityTimeout: '1',
  delaySeconds: '0',
};

function send(action: string, given: Given): string {
  const spec = ACTIONS_V2.get(action.toLowerCase())!;
  const form = new Form();
  const add = (name: string, value: Value): void => {
    if (typeof value === 'string') form.add(name, value);
    else for (const [index, item] of value.entries()) form.add(`${name}.${index}`, item);
  };
  for (const { name, type, isRequired } of spec.parameters) {
    if (isRequired === false || name in given) continue;
    add(name, type === 'list' ? [REQUIRED[name]!] : REQUIRED[name]!);
  }
  for (const [name, value] of Object.entries(given)) add(name, value);
  return outcome(() => bindParameters(spec, undefined, new FormSource(form)));
}

function outcome(bind: () => unknown): string {
  try {
    bind();
    return 'ok';
  } catch (error) {
    if (!(error instanceof CmqFailure)) throw error;
    const { code, module } = CMQ_ERRORS[error.error];
    return `${code}/${module}`;
  }
}

const RANGE = '4000/10350';
const TYPE = '4000/10360';
const long = (count: number, piece = 'x'): string => piece.repeat(count);
const many = (count: number, item = 'a'): string[] => Array.from({ length: count }, () => item);

interface Row {
  readonly actions: readonly string[];
  readonly parameter: string;
  readonly good: readonly Value[];
  /** Each with its code and module. */
  readonly bad: readonly (readonly [Value, string])[];
}

function integers(
  actions: readonly string[],
  parameter: string,
  least: number,
  most: number,
  code = RANGE,
): Row {
  return {
    actions,
    parameter,
    good: [String(least), String(most)],
    bad: [
      [String(least - 1), code],
      [String(most + 1), code],
      ['x', TYPE],
      ['1.5', TYPE],
      ['', TYPE],
      [' 1', TYPE],
      ['1e3', TYPE],
      [long(21, '9'), TYPE],
    ],
  };
}

function flags(actions: readonly string[], parameter: string): Row {
  const good = ['true', 'false', 'True', '0', '1'];
  return {
    actions,
    parameter,
    good,
    bad: [
      ['2', TYPE],
      ['', TYPE],
    ],
  };
}

const ATTRIBUTES = ['CreateQueue', 'SetQueueAttributes'];
const ANY_QUEUE = ACTIONS.filter(
  ({ name, resource, parameters }) =>
    resource === 'queue' &&
    name !== 'CreateQueue' &&
    parameters.some((parameter) => parameter.name === 'queueName'),
).map(({ name }) => name);
const ANY_TOPIC = ACTIONS.filter(({ parameters }) =>
  parameters.some((parameter) => parameter.name === 'topicName'),
).map(({ name }) => name);
const ANY_SUBSCRIPTION = ACTIONS.filter(({ parameters }) =>
  parameters.some((parameter) => parameter.name === 'subscriptionName'),
).map(({ name }) => name);
const PAGED = [
  'ListQueue',
  'ListTopic',
  'ListSubscriptionByTopic',
  'DescribeDeadLetterSourceQueues',
  'ListScheduledMessages',
];
const SENDS = ['SendMessage', 'BatchSendMessage'];
const RECEIVES = ['ReceiveMessage', 'BatchReceiveMessage'];
const PUBLISHES = ['PublishMessage', 'BatchPublishMessage'];
const SUBSCRIBES = ['Subscribe', 'SetSubscriptionAttributes'];

const ROWS: readonly Row[] = [
  {
    actions: ['CreateQueue'],
    parameter: 'queueName',
    good: ['a', 'Z', 'a-b_1', `a${long(63)}`],
    bad: ['', '1a', '-a', '_a', 'a.b', 'a b', 'ä', `a${long(64)}`].map((v) => [v, '4000/10020']),
  },
  {
    actions: ANY_QUEUE,
    parameter: 'queueName',
    good: ['a', 'named by AMQP / any.how', long(255)],
    bad: ['', long(256), long(128, 'ä')].map((value) => [value, '4000/10020']),
  },
  integers(ATTRIBUTES, 'maxMsgHeapNum', 1, 1_000_000_000),
  integers([...ATTRIBUTES, ...RECEIVES], 'pollingWaitSeconds', 0, 30),
  integers([...ATTRIBUTES, ...RECEIVES], 'visibilityTimeout', 1, 43_200),
  integers(['ChangeMessageVisibility'], 'visibilityTimeout', 0, 43_200),
  integers([...ATTRIBUTES, 'CreateTopic', 'SetTopicAttributes'], 'maxMsgSize', 1_024, 1_048_576),
  integers(ATTRIBUTES, 'msgRetentionSeconds', 60, 1_296_000),
  integers(['CreateTopic', 'SetTopicAttributes'], 'msgRetentionSeconds', 60, 86_400),
  integers(ATTRIBUTES, 'rewindSeconds', 0, 1_296_000),
  integers(ATTRIBUTES, 'policy', 0, 1),
  integers(ATTRIBUTES, 'maxReceiveCount', 1, 1_000),
  integers(ATTRIBUTES, 'maxTimeToLive', 300, 43_200),
  integers(ATTRIBUTES, 'transaction', 0, 0, '4490/10790'),
  integers(ATTRIBUTES, 'firstQueryInterval', 0, 0, '4490/10790'),
  integers(ATTRIBUTES, 'maxQueryCount', 0, 0, '4490/10790'),
  integers(ATTRIBUTES, 'retentionSizeInMB', 0, 0),
  {
    actions: ATTRIBUTES,
    parameter: 'deadLetterPolicy',
    good: ['', '{}', '{"deadLetterQueue":"q","policy":0,"maxReceiveCount":1}', '{"policy":"1"}'],
    bad: [
      ['{', '4000/10310'],
      ['[]', '4000/10310'],
      ['1', '4000/10310'],
      ['{"maxReceiveCount":0}', RANGE],
      ['{"maxReceiveCount":1001}', RANGE],
      ['{"maxTimeToLive":299}', RANGE],
      ['{"maxTimeToLive":43201}', RANGE],
      ['{"policy":2}', RANGE],
      ['{"policy":true}', TYPE],
      [`{"deadLetterQueue":"${long(256)}"}`, '4000/10020'],
      [`{"x":"${long(1_024)}"}`, RANGE],
    ],
  },
  {
    actions: [...ATTRIBUTES, 'CreateTopic', 'SetTopicAttributes'],
    parameter: 'tags',
    good: ['', '[]', '[{"TagKey":"a","TagValue":"b"}]'],
    bad: [
      ['{', '4000/10310'],
      [`"${long(65_535)}"`, RANGE],
    ],
  },
  {
    actions: ['ListQueue', 'ListTopic'],
    parameter: 'filters',
    good: ['', '[]'],
    bad: [['{', '4000/10310']],
  },
  {
    actions: ['ListQueue', 'ListTopic'],
    parameter: 'tagKey',
    good: ['', 'k', long(127)],
    bad: [[long(128), RANGE]],
  },
  {
    actions: [...ATTRIBUTES, ...SUBSCRIBES, 'DescribeDeadLetterSourceQueues'],
    parameter: 'deadLetterQueueName',
    good: ['q', long(255)],
    bad: [[long(256), '4000/10020']],
  },
  flags([...ATTRIBUTES, 'CreateTopic', 'SetTopicAttributes'], 'trace'),
  flags(['ListQueue', 'ListTopic'], 'isTagFilter'),
  integers(PAGED, 'offset', 0, 1_000_000_000),
  integers(PAGED, 'limit', 1, 50),
  {
    actions: ['ListQueue', 'ListTopic', 'ListSubscriptionByTopic'],
    parameter: 'searchWord',
    good: ['', 'x', long(255)],
    bad: [[long(256), RANGE]],
  },
  {
    actions: ['ListQueue'],
    parameter: 'queueNameList',
    good: [many(1_000)],
    bad: [[['a', ''], '4000/10020']],
  },
  {
    actions: ['ListTopic'],
    parameter: 'topicNameList',
    good: [many(1_000)],
    bad: [[['a', ''], '4000/10590']],
  },
  integers(['RewindQueue'], 'startConsumeTime', 0, 9_999_999_999_999, '4000/10680'),
  {
    actions: ['UnbindDeadLetter', 'DescribeDeadLetterSourceQueues'],
    parameter: 'sourceQueueName',
    good: ['q', long(255)],
    bad: [[long(256), '4000/10020']],
  },
  {
    actions: ['SendMessage', 'PublishMessage'],
    parameter: 'msgBody',
    good: ['x', '0', ' ', long(1_048_576)],
    bad: [['', '4000/10120']],
  },
  {
    actions: ['BatchSendMessage', 'BatchPublishMessage'],
    parameter: 'msgBody',
    good: [['x'], many(16)],
    bad: [
      [many(17), '4000/10370'],
      [['x', ''], '4000/10120'],
    ],
  },
  integers([...SENDS, 'RescheduleMessage'], 'delaySeconds', 0, 6_048_000, '4000/10692'),
  {
    actions: [...SENDS, ...PUBLISHES],
    parameter: 'bodyEncoding',
    good: ['text', 'base64'],
    bad: [['gzip', RANGE]],
  },
  integers(['BatchReceiveMessage', 'PeekMessage'], 'numOfMsg', 1, 16),
  {
    actions: ['DeleteMessage', 'ChangeMessageVisibility'],
    parameter: 'receiptHandle',
    good: ['a', '1-2:3_4%5#6', long(256)],
    bad: ['', 'a b', 'ä', '"', long(257)].map((value) => [value, '4000/10470']),
  },
  {
    actions: ['BatchDeleteMessage'],
    parameter: 'receiptHandle',
    good: [['a'], many(16, long(256))],
    bad: [
      [many(17), '4000/10370'],
      [[''], '4000/10470'],
      [['a', long(257)], '4000/10470'],
    ],
  },
  {
    actions: [
      'DescribeMessage',
      'RescheduleMessage',
      'CancelScheduledMessage',
      'QueryTrace',
      'QueryTopicTrace',
    ],
    parameter: 'msgId',
    good: ['0', '18446744073709551615'],
    bad: ['', '-1', 'x', long(21, '1')].map((value) => [value, RANGE]),
  },
  integers(['QueryTrace', 'QueryTopicTrace'], 'startTime', 0, 99_999_999_999),
  integers(['QueryTrace', 'QueryTopicTrace'], 'endTime', 0, 99_999_999_999),
  integers(['QueryTrace', 'QueryTopicTrace'], 'limit', 1, 10_000),
  integers(['StartRedrive'], 'messagesPerSecond', 1, 100_000),
  {
    actions: ['StartRedrive'],
    parameter: 'targetQueueName',
    good: ['q', long(255)],
    bad: ['', long(256)].map((value) => [value, '4000/10020']),
  },
  {
    actions: ANY_TOPIC,
    parameter: 'topicName',
    good: ['a', 'a-b_1', `a${long(63)}`],
    bad: ['', '1a', '-a', 'a.b', 'ä', `a${long(64)}`].map((value) => [value, '4000/10590']),
  },
  integers(['CreateTopic', 'SetTopicAttributes'], 'filterType', 1, 2),
  {
    actions: PUBLISHES,
    parameter: 'msgTag',
    good: [['a'], many(5, long(16))],
    bad: [
      [many(6), '4000/10720'],
      [[long(17)], RANGE],
      [[''], RANGE],
    ],
  },
  {
    actions: PUBLISHES,
    parameter: 'routingKey',
    good: ['', 'a', long(15, '.'), long(64)],
    bad: [
      [long(65), RANGE],
      [long(16, '.'), '4000/10690'],
    ],
  },
  {
    actions: ANY_SUBSCRIPTION,
    parameter: 'subscriptionName',
    good: ['a', `a${long(63)}`],
    bad: ['', '1a', 'a.b', `a${long(64)}`].map((value) => [value, '4000/10590']),
  },
  {
    actions: ['Subscribe'],
    parameter: 'protocol',
    good: ['http', 'https', 'queue', 'function'],
    bad: ['', 'HTTP', 'smtp', long(17)].map((value) => [value, '4000/10510']),
  },
  {
    actions: ['SetSubscriptionAttributes'],
    parameter: 'protocol',
    good: ['', 'http', 'https', 'queue', 'function'],
    bad: ['HTTP', 'smtp', long(17)].map((value) => [value, '4000/10510']),
  },
  {
    actions: SUBSCRIBES,
    parameter: 'endpoint',
    good: ['q', long(500)],
    bad: ['', long(501)].map((value) => [value, '4000/10500']),
  },
  {
    actions: SUBSCRIBES,
    parameter: 'notifyStrategy',
    good: ['', 'BACKOFF_RETRY', 'EXPONENTIAL_DECAY_RETRY'],
    bad: [['NEVER', '4000/10520']],
  },
  {
    actions: SUBSCRIBES,
    parameter: 'notifyContentFormat',
    good: ['', 'JSON', 'SIMPLIFIED'],
    bad: [['XML', '4000/10530']],
  },
  {
    actions: SUBSCRIBES,
    parameter: 'filterTag',
    good: [many(5, long(16))],
    bad: [
      [many(6), '4000/10490'],
      [[long(17)], RANGE],
    ],
  },
  {
    actions: SUBSCRIBES,
    parameter: 'bindingKey',
    good: [many(5, long(64)), [long(15, '.')]],
    bad: [
      [many(6), '4000/10680'],
      [[long(65)], RANGE],
      [[long(16, '.')], '4000/10691'],
    ],
  },
  {
    actions: SUBSCRIBES,
    parameter: 'secret',
    good: ['', long(256)],
    bad: [[long(257), RANGE]],
  },
  {
    actions: ['ListSubscriptionByTopic'],
    parameter: 'queueName',
    good: ['', long(255)],
    bad: [[long(256), '4000/10020']],
  },
  {
    actions: ['ListSubscriptionByTopic'],
    parameter: 'queryType',
    good: ['topic', 'queue', ''],
    bad: [['other', RANGE]],
  },
];

describe.each(ROWS)('$parameter', ({ actions, parameter, good, bad }) => {
  test.each(actions)('of %s', (action) => {
    for (const value of good) {
      expect([value, send(action, { [parameter]: value })]).toEqual([value, 'ok']);
    }
    for (const [value, code] of bad) {
      expect([value, send(action, { [parameter]: value })]).toEqual([value, code]);
    }
  });
});

describe('the form of parameters', () => {
  const missing = (action: string, parameter: string): string => {
    const spec = ACTIONS_V2.get(action.toLowerCase())!;
    const form = new Form();
    for (const { name, type, isRequired } of spec.parameters) {
      if (isRequired === false || name === parameter) continue;
      form.add(type === 'list' ? `${name}.0` : name, REQUIRED[name]!);
    }
    return outcome(() => bindParameters(spec, undefined, new FormSource(form)));
  };
  const required = ACTIONS.flatMap(({ name, parameters }) =>
    parameters
      .filter(({ isRequired }) => isRequired !== false)
      .map((parameter) => [name, parameter.name] as const),
  );

  test.each(required)('%s without %s', (action, parameter) => {
    const isSingleBody = parameter === 'msgBody' && !action.startsWith('Batch');
    expect(missing(action, parameter)).toBe(isSingleBody ? '4000/10120' : '4000/10390');
  });

  const batch = (...names: string[]): string => {
    const form = new Form();
    form.add('queueName', 'q');
    for (const name of names) form.add(name, 'x');
    const spec = ACTIONS_V2.get('batchsendmessage')!;
    return outcome(() => bindParameters(spec, undefined, new FormSource(form)));
  };

  test('lists are counted from 0 or 1, without gaps, in any order', () => {
    expect(batch('msgBody.0', 'msgBody.1')).toBe('ok');
    expect(batch('msgBody.2', 'msgBody.1')).toBe('ok');
    expect(batch('msgBody.2')).toBe('4000/10380');
    expect(batch('msgBody.0', 'msgBody.2')).toBe('4000/10380');
    expect(batch('msgBody.1', 'msgBody.3')).toBe('4000/10380');
    expect(batch('msgBody.0', 'msgBody.9999')).toBe('4000/10380');
    for (const name of ['msgBody', 'msgBody.x', 'msgBody.', 'msgBody.00', 'msgBody.-1']) {
      expect([name, batch(name)]).toEqual([name, '4000/10310']);
    }
    expect(batch(...Array.from({ length: 17 }, (_, index) => `msgBody.${index}`))).toBe(
      '4000/10370',
    );
  });

  test('what is no list must not come as one', () => {
    const form = new Form();
    form.add('queueName.0', 'q');
    form.add('msgBody', 'x');
    const spec = ACTIONS_V2.get('sendmessage')!;
    expect(outcome(() => bindParameters(spec, undefined, new FormSource(form)))).toBe('4000/10330');
  });

  test('unknown parameters are tolerated', () => {
    expect(send('SendMessage', { RequestClient: 'x', UserpollingWaitSeconds: '1', any: 'y' })).toBe(
      'ok',
    );
  });
});

describe('API 3.0', () => {
  const bind = (name: string, object: object) => {
    const spec = ACTIONS.find(({ v3 }) => v3.some((row) => row.name === name))!;
    const row = spec.v3.find((candidate) => candidate.name === name)!;
    return bindParameters(spec, row, new ObjectSource(object));
  };

  test('names its parameters in its own way', () => {
    const sent = bind('SendCmqMsg', { QueueName: 'q', MsgContent: 'x', DelaySeconds: 3 });
    expect(sent.text('msgBody')).toBe('x');
    expect(sent.integer('delaySeconds')).toBe(3);
    const published = bind('PublishCmqMsg', { TopicName: 't', MsgContent: 'x', MsgTag: ['a'] });
    expect(published.list('msgTag')).toEqual(['a']);
    const made = { TopicName: 't', SubscriptionName: 's', Protocol: 'http', Endpoint: 'e' };
    const subscribed = bind('CreateCmqSubscribe', { ...made, FilterTag: ['a'] });
    expect(subscribed.list('filterTag')).toEqual(['a']);
    const changed = bind('ModifyCmqSubscriptionAttribute', { ...made, FilterTags: ['b'] });
    expect(changed.list('filterTag')).toEqual(['b']);
    expect(bind('DescribeCmqQueues', { QueueName: 'x' }).text('searchWord')).toBe('x');
    expect(bind('DescribeCmqTopics', { TopicName: 'x' }).text('searchWord')).toBe('x');
    const found = bind('DescribeCmqSubscriptionDetail', { QueueName: 'q', QueryType: 'queue' });
    expect(found.has('topicName')).toBe(false);
    expect(found.text('queueName')).toBe('q');
    expect(bind('UnbindCmqDeadLetter', { SourceQueueName: 'q' }).text('sourceQueueName')).toBe('q');
  });

  test('half of a surrogate pair is no text', () => {
    const send = (text: string) =>
      outcome(() => bind('SendCmqMsg', { QueueName: 'q', MsgContent: text }));
    expect(send('a\u{1f600}b')).toBe('ok');
    expect(send('a\ud83db')).toBe('4000/10310');
    expect(send('\ude00\ud83d')).toBe('4000/10310');
    const tagged = { TopicName: 't', MsgContent: 'x', MsgTag: ['a', '\ud83d'] };
    expect(outcome(() => bind('PublishCmqMsg', tagged))).toBe('4000/10310');
  });

  test('has JSON types, and null for what is not there', () => {
    const created = bind('CreateCmqQueue', {
      QueueName: 'q',
      Trace: true,
      RewindSeconds: '60',
      MaxMsgSize: null,
      Tags: [{ TagKey: 'a', TagValue: 'b' }],
    });
    expect(created.optionalFlag('trace')).toBe(true);
    expect(created.integer('rewindSeconds')).toBe(60);
    expect(created.has('maxMsgSize')).toBe(false);
    const wrong = (object: object) => outcome(() => bind('CreateCmqQueue', object));
    expect(wrong({ QueueName: 1 })).toBe(TYPE);
    expect(wrong({ QueueName: 'q', MaxMsgSize: 1024.5 })).toBe(TYPE);
    expect(wrong({ QueueName: 'q', MaxMsgSize: {} })).toBe(TYPE);
    expect(wrong({ QueueName: 'q', Trace: 2 })).toBe(TYPE);
    expect(wrong({ __proto__: { QueueName: 'q' } })).toBe('4000/10390');
    const tags = (MsgTag: unknown) =>
      outcome(() => bind('PublishCmqMsg', { TopicName: 't', MsgContent: 'x', MsgTag }));
    expect(tags('a')).toBe(TYPE);
    expect(tags([1])).toBe(TYPE);
    // 64 bytes here, 16 in API 2.0.
    expect(tags([long(64)])).toBe('ok');
    expect(tags([long(65)])).toBe(RANGE);
  });

  test('members of deadLetterPolicy stand for parameters of their own', () => {
    const spec = ACTIONS_V2.get('createqueue')!;
    const form = new Form();
    form.add('queueName', 'q');
    form.add('maxReceiveCount', '7');
    form.add('deadLetterPolicy', '{"deadLetterQueue":"d","policy":"0","maxReceiveCount":3}');
    const parameters = bindParameters(spec, undefined, new FormSource(form));
    expect(parameters.text('deadLetterQueueName')).toBe('d');
    expect(parameters.integer('policy')).toBe(0);
    // Said twice: the parameter itself counts.
    expect(parameters.integer('maxReceiveCount')).toBe(7);
  });

  test('no two parameters of an action share a name', () => {
    for (const action of ACTIONS) {
      const own = action.parameters.map(({ name }) => name);
      expect(new Set(own).size, action.name).toBe(own.length);
      for (const row of action.v3) {
        const names = action.parameters.map((parameter) => nameInV3(parameter, row));
        expect(new Set(names).size, row.name).toBe(names.length);
      }
    }
  });
});

test('every parameter of every action is above', () => {
  const covered = new Set(
    ROWS.flatMap(({ actions, parameter }) => actions.map((action) => `${action}.${parameter}`)),
  );
  const missing = ACTIONS.flatMap(({ name, parameters }) =>
    parameters.map((parameter) => `${name}.${parameter.name}`),
  ).filter((text) => !covered.has(text));
  expect(missing).toEqual([]);
});
