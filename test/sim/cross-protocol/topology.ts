/** What the messages of the simulation go through: every type of exchange, into every queue. */
import type { FieldValue } from '../../../src/base/field-value.ts';
import type { World } from './world.ts';

type Arguments = Readonly<Record<string, FieldValue>>;

/** Queues, and which protocol empties each. */
export const QUEUES: Readonly<Record<string, Arguments>> = {
  plain: {},
  dlx: { 'x-dead-letter-exchange': 'topic', 'x-message-ttl': 20_000 },
  ttl: {
    'x-message-ttl': 5_000,
    'x-dead-letter-exchange': '',
    'x-dead-letter-routing-key': 'dead',
  },
  prio: { 'x-max-priority': 5, 'x-max-length': 40, 'x-dead-letter-exchange': 'amq.topic' },
  quorum: {
    'x-queue-type': 'quorum',
    'x-delivery-limit': 2,
    'x-dead-letter-exchange': 'headers',
  },
  stream: { 'x-queue-type': 'stream' },
  dead: {},
  mqtt: { 'x-dead-letter-exchange': 'fanout' },
  stomp: { 'x-dead-letter-exchange': 'amq.topic' },
};

export const EXCHANGES: Readonly<Record<string, readonly [string, Arguments]>> = {
  topic: ['topic', {}],
  fanout: ['fanout', {}],
  direct: ['direct', { 'alternate-exchange': 'fanout' }],
  headers: ['headers', { 'alternate-exchange': 'topic' }],
  hash: ['x-consistent-hash', {}],
  hashHeader: ['x-consistent-hash', { 'hash-header': 'hash-me' }],
  hashProperty: ['x-consistent-hash', { 'hash-property': 'timestamp' }],
  modulus: ['x-modulus-hash', {}],
  random: ['x-random', {}],
  tags: ['x-tags', {}],
  delayed: ['x-delayed-message', { 'x-delayed-type': 'topic' }],
  delayedTags: ['x-delayed-message', { 'x-delayed-type': 'x-tags' }],
};

/** Queues of CMQ that topics lead to. */
export const CMQ_QUEUES = ['c1', 'c2'] as const;

/** Topics: one filters by tag, one by key. */
export const TOPICS = ['T1', 'T2'] as const;

/** Makes all of it; what a restart left is there already. */
export async function makeTopology(world: World): Promise<void> {
  const { fixture } = world;
  for (const [name, [type, args]] of Object.entries(EXCHANGES)) fixture.exchange(name, type, args);
  for (const [name, args] of Object.entries(QUEUES)) fixture.queue(name, args);
  await makeCmq(world);
  const queues = [...Object.keys(QUEUES), ...CMQ_QUEUES];
  for (const [index, name] of queues.entries()) {
    for (const exchange of ['topic', 'delayed']) fixture.bind(name, exchange, '#');
    fixture.bind(name, 'fanout', '');
    for (const hash of ['hash', 'hashHeader', 'hashProperty'])
      fixture.bind(name, hash, `${index + 1}`);
    for (const any of ['modulus', 'random', 'tags', 'delayedTags']) fixture.bind(name, any, 'k');
    fixture.bind(name, 'direct', '__proto__');
    fixture.bind(
      name,
      'headers',
      '',
      new Map<string, FieldValue>([
        ['x-match', 'any'],
        ['a', null],
      ]),
    );
    fixture.bind(name, 'headers', '', new Map<string, FieldValue>([['hash-me', 1n]]));
  }
  fixture.bind('plain', 'amq.topic', '#');
  fixture.bind('c1', 'amq.topic', '#');
  await world.settle();
}

async function makeCmq(world: World): Promise<void> {
  const attributes = { maxMsgSize: 1_048_576, visibilityTimeout: 30, msgRetentionSeconds: 3_600 };
  await world.call('CreateQueue', { queueName: 'cdead', ...attributes });
  for (const queueName of CMQ_QUEUES) {
    await world.call('CreateQueue', {
      queueName,
      ...attributes,
      rewindSeconds: 600,
      trace: 'true',
      deadLetterQueueName: 'cdead',
      policy: 0,
      maxReceiveCount: 2,
    });
  }
  for (const [index, topicName] of TOPICS.entries()) {
    const filter = index === 0 ? { filterTag: ['a', 'T1'] } : { bindingKey: ['#'] };
    await world.call('CreateTopic', { topicName, filterType: index + 1, trace: 'true' });
    const common = { topicName, protocol: 'queue', notifyContentFormat: 'SIMPLIFIED' };
    await world.call('Subscribe', {
      ...common,
      subscriptionName: 'all',
      endpoint: 'c1',
      ...(index === 0 ? {} : filter),
    });
    await world.call('Subscribe', {
      ...common,
      subscriptionName: 'some',
      endpoint: 'c2',
      ...filter,
    });
  }
}
