/** The trace of a topic: what became of each copy of each message. */
import { describe, expect, it } from 'vitest';
import { TopicHarness } from './topic-harness.ts';

type Event = Record<string, unknown>;

const HOOK = { protocol: 'http', endpoint: 'http://example.com/hook' };
const TRACE = 'amq.cmq-topic-trace.T';

async function withTopic(trace = 1): Promise<TopicHarness> {
  const harness = await TopicHarness.open();
  await harness.ok('CreateQueue', { queueName: 'q' });
  await harness.ok('CreateTopic', { topicName: 'T', trace });
  return harness;
}

async function subscribe(harness: TopicHarness, subscriptionName: string, more: object) {
  await harness.ok('Subscribe', { topicName: 'T', subscriptionName, ...more });
}

async function publish(harness: TopicHarness, msgTag: readonly string[] = []): Promise<string> {
  const reply = await harness.ok('PublishMessage', { topicName: 'T', msgBody: 'x', msgTag });
  await harness.fixture.settle();
  return reply['msgId'] as string;
}

async function trace(harness: TopicHarness, more: object = {}): Promise<Event[]> {
  const reply = await harness.ok('QueryTopicTrace', { topicName: 't', ...more });
  return reply['eventList'] as Event[];
}

/** Without what is the same in each event. */
function brief(events: readonly Event[]): string[] {
  return events.map(({ event, subscriptionName, attempt, reason, queueName }) =>
    [event, subscriptionName, attempt, reason, queueName].filter(Boolean).join(' '),
  );
}

describe('the trace of a topic', () => {
  it('tells of publish, match and delivery, by subscription', async () => {
    const harness = await withTopic();
    await subscribe(harness, 'one', { protocol: 'queue', endpoint: 'q', filterTag: ['a'] });
    await subscribe(harness, 'web', HOOK);
    const [first, second] = [await publish(harness, ['a']), await publish(harness, ['b'])];
    const events = await trace(harness, { msgId: first });
    expect(brief(events)[0]).toBe('published');
    expect(brief(events.filter(({ subscriptionName }) => subscriptionName === 'one'))).toEqual([
      'matched one',
      'delivered one q',
    ]);
    expect(brief(events.filter(({ subscriptionName }) => subscriptionName === 'web'))).toEqual([
      'matched web',
      'delivered web 1',
    ]);
    expect(events.every(({ msgId }) => msgId === first)).toBe(true);
    expect(events[0]).toMatchObject({ by: 'guest@192.0.2.7' });
    const other = await trace(harness, { msgId: second });
    expect(brief(other)).toEqual(['published', 'matched web', 'delivered web 1']);
    expect(await trace(harness)).toHaveLength(8);
    expect(await trace(harness, { limit: 2 })).toHaveLength(2);
  });

  it('tells of failed attempts, and of what is given up', async () => {
    const harness = await withTopic();
    const { transport, engine } = harness.fixture;
    transport.answer = () => 'failed';
    const backoff = { ...HOOK, notifyStrategy: 'BACKOFF_RETRY' };
    await subscribe(harness, 'lost', backoff);
    await publish(harness);
    for (let n = 0; n < 4; n += 1) {
      engine.clock.advance(20_000);
      await harness.fixture.settle();
    }
    expect(brief(await trace(harness))).toEqual([
      'published',
      'matched lost',
      ...[1, 2, 3, 4].map((attempt) => `failed lost ${attempt} status 500`),
      'abandoned lost delivery_limit',
    ]);
  });

  it('names the dead-letter queue', async () => {
    const harness = await withTopic();
    const { transport, engine } = harness.fixture;
    transport.answer = () => 'failed';
    const backoff = { ...HOOK, notifyStrategy: 'BACKOFF_RETRY', deadLetterQueueName: 'q' };
    await subscribe(harness, 'kept', backoff);
    await publish(harness);
    for (let n = 0; n < 4; n += 1) {
      engine.clock.advance(20_000);
      await harness.fixture.settle();
    }
    expect(brief(await trace(harness)).at(-1)).toBe('dead-lettered kept delivery_limit q');
  });

  it('lasts over a restart, and goes with the topic', async () => {
    const before = await withTopic();
    await subscribe(before, 'one', { protocol: 'queue', endpoint: 'q' });
    await publish(before);
    const harness = await before.restart();
    await publish(harness);
    expect(await trace(harness)).toHaveLength(6);
    const { queues } = harness.fixture.engine.vhost.topology;
    expect(queues.has(TRACE)).toBe(true);
    await harness.ok('Unsubscribe', { topicName: 'T', subscriptionName: 'one' });
    await harness.ok('DeleteTopic', { topicName: 'T' });
    expect(queues.has(TRACE)).toBe(false);
  });

  it('is written while it is on, and kept for three days', async () => {
    const harness = await withTopic(0);
    await subscribe(harness, 'one', { protocol: 'queue', endpoint: 'q' });
    await publish(harness);
    expect(await trace(harness)).toEqual([]);
    await harness.ok('SetTopicAttributes', { topicName: 'T', trace: 1 });
    await publish(harness);
    await harness.ok('SetTopicAttributes', { topicName: 'T', trace: 0 });
    await publish(harness);
    expect(await trace(harness)).toHaveLength(3);
    harness.fixture.engine.clock.advance(3 * 86_400_000 + 1_000);
    expect(await trace(harness)).toEqual([]);
  });

  it('is for who may configure the topic', async () => {
    const harness = await withTopic();
    const { access } = harness.fixture.engine.broker;
    access.putUser('bob', { tags: [] });
    access.setPermission('bob', '/', { configure: '', write: '.*', read: '.*' });
    harness.actor = { ...harness.actor, user: access.user('bob')! };
    expect(await harness.codeOf('QueryTopicTrace', { topicName: 'T' })).toBe('4000/10461');
    expect(await harness.codeOf('QueryTopicTrace', { topicName: 'none' })).toBe('4000/10461');
  });
});
