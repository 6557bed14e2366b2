import { describe, expect, it } from 'vitest';
import type { CmqAcceptor } from '../../../protocols/cmq/listener.ts';
import { cmqSamples } from '../../../src/server/cmq-metrics.ts';
import { TopicHarness } from './topic-harness.ts';

/** Figures by name without prefix and `_total`, and by topic and subscription. */
function figures(harness: TopicHarness): Record<string, number> {
  const acceptor = { callCounts: () => [] } as unknown as CmqAcceptor;
  const samples = cmqSamples(harness.fixture.engine.broker, acceptor);
  const rows = samples.map(({ name, labels, value }) => {
    const short = name.replace(/^tributary_cmq_/, '').replace(/_total$/, '');
    const owner = [labels['topic'], labels['subscription'], labels['queue']].filter(
      (part) => part !== undefined,
    );
    return [`${short} ${owner.join('/')}`, value] as const;
  });
  // A figure that comes twice would be refused by Prometheus.
  expect(new Set(rows.map(([name]) => name)).size).toBe(rows.length);
  return Object.fromEntries(rows);
}

describe('monitoring of topics', () => {
  it('is exact after a workload', async () => {
    const harness = await TopicHarness.open();
    await harness.ok('CreateQueue', { queueName: 'q' });
    await harness.ok('CreateTopic', { topicName: 'T' });
    for (const subscriptionName of ['A', 'B']) {
      const to = { protocol: 'queue', endpoint: 'q' };
      await harness.ok('Subscribe', { topicName: 'T', subscriptionName, ...to });
    }
    await harness.ok('Subscribe', {
      topicName: 'T',
      subscriptionName: 'P',
      protocol: 'http',
      endpoint: 'http://example.com/',
      filterTag: ['x'],
      notifyStrategy: 'BACKOFF_RETRY',
    });
    harness.fixture.transport.answer = ({ body }) => (body === 'bad' ? 'failed' : 'ok');
    for (const msgBody of ['bad', 'good', 'more']) {
      await harness.ok('PublishMessage', { topicName: 'T', msgBody, msgTag: ['x'] });
    }
    await harness.ok('BatchPublishMessage', { topicName: 'T', msgBody: ['1', '22', '333'] });
    await harness.fixture.settle();
    expect(figures(harness)['msg_heap_num T']).toBe(3);
    const nowMs = harness.fixture.engine.clock.wallMs();
    await harness.fixture.runUntil(nowMs + 3_600_000);
    expect(figures(harness)).toMatchObject({
      'msg_heap_num T': 0,
      'count_of_msg_published T': 3,
      'num_of_msg_published T': 3,
      'publish_size T': 11,
      'count_of_msg_batch_published T': 1,
      'num_of_msg_batch_published T': 3,
      'batch_publish_size T': 6,
      'num_of_match T/A': 6,
      'num_of_notify T/A': 6,
      'num_of_succ_notify T/A': 6,
      'num_of_match T/B': 6,
      'num_of_match T/P': 3,
      // Four attempts of what never works, one of each other.
      'num_of_notify T/P': 6,
      'num_of_succ_notify T/P': 2,
      'num_of_abandoned T/P': 1,
    });
  });
});
