import { describe, expect, it } from 'vitest';
import type { ClassicQueue } from '../../../src/engine/queue/classic-queue.ts';
import { EngineFixture } from '../../support/engine-fixture.ts';
import { type Answer, ScriptedTransport, TopicFixture } from './topic-fixture.ts';

const HOUR_MS = 3_600_000;

/** Seconds between attempts. */
function waits(fixture: TopicFixture, body: string): number[] {
  const times = fixture.transport.made.filter((made) => made.body === body).map((m) => m.atMs);
  return times.slice(1).map((atMs, index) => (atMs - times[index]!) / 1_000);
}

async function failing(strategy: 'BACKOFF_RETRY' | 'EXPONENTIAL_DECAY_RETRY', extra = {}) {
  const fixture = await TopicFixture.open();
  const topic = fixture.topic('T');
  const subscription = fixture.push(topic, 'S', { strategy, ...extra });
  fixture.transport.answer = () => 'failed';
  return { fixture, topic, subscription, startMs: fixture.engine.clock.wallMs() };
}

describe('EXPONENTIAL_DECAY_RETRY', () => {
  it('makes 176 retries over 86,015 s, then gives up', async () => {
    const { fixture, subscription, startMs } = await failing('EXPONENTIAL_DECAY_RETRY');
    fixture.publish('T', '', 'm');
    await fixture.runUntil(startMs + 25 * HOUR_MS);
    const doubling = [1, 2, 4, 8, 16, 32, 64, 128, 256];
    const made = waits(fixture, 'm');
    expect(made).toEqual([...doubling, ...Array<number>(167).fill(512)]);
    expect(made.reduce((sum, wait) => sum + wait, 0)).toBe(86_015);
    expect(fixture.transport.made.map(({ attempt }) => attempt.message.attempt)).toEqual(
      Array.from({ length: 177 }, (_, index) => index + 1),
    );
    expect(subscription.pendingCount).toBe(0);
    expect(subscription.counters).toMatchObject({ attempts: 177, abandonedMessages: 1 });
  });

  it('never lets a message live longer than 24 hours from its publish', async () => {
    const { fixture, startMs } = await failing('EXPONENTIAL_DECAY_RETRY');
    fixture.publish('T', '', 'first');
    await fixture.runUntil(startMs + HOUR_MS);
    fixture.publish('T', '', 'second');
    await fixture.runUntil(startMs + 48 * HOUR_MS);
    const of = (body: string) => fixture.transport.made.filter((made) => made.body === body);
    expect(of('first')).toHaveLength(177);
    const last = of('second').at(-1)!;
    expect(of('second')[0]!.atMs).toBe(startMs + 86_015_000);
    expect(last.atMs).toBeLessThan(startMs + 25 * HOUR_MS);
    expect(last.atMs + 512_000).toBeGreaterThanOrEqual(startMs + 25 * HOUR_MS);
  });

  it('keeps its place in the schedule over a restart', async () => {
    const { fixture: first, startMs } = await failing('EXPONENTIAL_DECAY_RETRY');
    let fixture = first;
    fixture.publish('T', '', 'm');
    for (const hours of [0.01, 1, 5, 12, 20]) {
      await fixture.runUntil(startMs + hours * HOUR_MS);
      fixture = await fixture.restart();
    }
    await fixture.runUntil(startMs + 25 * HOUR_MS);
    const doubling = [1, 2, 4, 8, 16, 32, 64, 128, 256];
    expect(waits(fixture, 'm')).toEqual([...doubling, ...Array<number>(167).fill(512)]);
    expect(fixture.transport.made.at(-1)!.attempt.message.attempt).toBe(177);
  });
});

describe('BACKOFF_RETRY', () => {
  it('makes 3 retries, each after 10 to 20 s, then lets the next message proceed', async () => {
    const { fixture, startMs } = await failing('BACKOFF_RETRY');
    fixture.publish('T', '', 'a');
    fixture.publish('T', '', 'b');
    await fixture.runUntil(startMs + HOUR_MS);
    for (const body of ['a', 'b']) {
      const made = waits(fixture, body);
      expect(made).toHaveLength(3);
      for (const wait of made) {
        expect(wait).toBeGreaterThanOrEqual(10);
        expect(wait).toBeLessThanOrEqual(20);
      }
    }
    expect(fixture.transport.bodies).toEqual(['a', 'a', 'a', 'a', 'b', 'b', 'b', 'b']);
  });

  it('is exact about when it is tried again, and by chance otherwise', async () => {
    const { fixture, startMs } = await failing('BACKOFF_RETRY');
    for (let index = 0; index < 40; index += 1) fixture.publish('T', '', `m${index}`);
    await fixture.runUntil(startMs + 12 * HOUR_MS);
    const all = Array.from({ length: 40 }, (_, index) => waits(fixture, `m${index}`)).flat();
    expect(all).toHaveLength(120);
    expect(Math.min(...all)).toBeLessThan(11);
    expect(Math.max(...all)).toBeGreaterThan(19);
  });
});

describe('a push subscription', () => {
  it('is tried as scripted: failure, no answer in time, redirect, success', async () => {
    const { fixture, startMs } = await failing('EXPONENTIAL_DECAY_RETRY');
    const answers = ['failed', 'failed', 'failed', 'ok'] as const;
    fixture.transport.answer = ({ attempt }) => answers[attempt.message.attempt - 1]!;
    fixture.publish('T', '', 'm');
    await fixture.runUntil(startMs + HOUR_MS);
    expect(waits(fixture, 'm')).toEqual([1, 2, 4]);
  });

  it('keeps order: while the head is retried the line waits, others do not', async () => {
    const { fixture, topic, startMs } = await failing('EXPONENTIAL_DECAY_RETRY');
    fixture.push(topic, 'other');
    fixture.transport.answer = ({ attempt, body }) => {
      const { subscriptionName, attempt: count } = attempt.message;
      return subscriptionName === 'S' && body === '2' && count < 4 ? 'failed' : 'ok';
    };
    for (const body of ['1', '2', '3', '4']) fixture.publish('T', '', body);
    await fixture.settle();
    const of = (name: string) =>
      fixture.transport.made
        .filter(({ attempt }) => attempt.message.subscriptionName === name)
        .map(({ body }) => body);
    expect(of('other')).toEqual(['1', '2', '3', '4']);
    expect(of('S')).toEqual(['1', '2']);
    await fixture.runUntil(startMs + 60_000);
    expect(of('S')).toEqual(['1', '2', '2', '2', '2', '3', '4']);
  });

  it('loses nothing when the endpoint is down for a minute', async () => {
    const { fixture, startMs, subscription } = await failing('EXPONENTIAL_DECAY_RETRY');
    fixture.transport.answer = ({ atMs }) => (atMs < startMs + 60_000 ? 'failed' : 'ok');
    const sent = Array.from({ length: 50 }, (_, index) => `${index}`);
    for (const body of sent) fixture.publish('T', '', body);
    await fixture.runUntil(startMs + 2 * 60_000 + 10_000);
    const arrived = fixture.transport.made.filter(({ atMs }) => atMs >= startMs + 60_000);
    expect(arrived.map(({ body }) => body)).toEqual(sent);
    expect(subscription.counters.deliveredMessages).toBe(50);
  });

  it('repeats an attempt that a crash cut off, after the lease of attempts, and counts it', async () => {
    const { fixture, startMs } = await failing('EXPONENTIAL_DECAY_RETRY');
    fixture.transport.answer = () => 'hang';
    fixture.publish('T', '', 'm');
    await fixture.settle();
    fixture.transport.answer = () => 'ok';
    const next = await fixture.restart();
    await next.runUntil(startMs + 60_000);
    expect(next.transport.made.map(({ attempt }) => attempt.message.attempt)).toEqual([1, 2]);
    expect(waits(next, 'm')).toEqual([30]);
  });

  it('renews the lease of an attempt that takes long', async () => {
    const { fixture, startMs, subscription } = await failing('EXPONENTIAL_DECAY_RETRY');
    fixture.transport.answer = () => 'hang';
    fixture.publish('T', '', 'm');
    await fixture.runUntil(startMs + 10 * 60_000);
    expect(fixture.transport.made).toHaveLength(1);
    expect(subscription.pendingCount).toBe(1);
  });

  it('waits for a transport', async () => {
    const engine = await EngineFixture.open();
    const { topics } = engine.vhost;
    const { topic } = topics.create(engine.actor, 'T', {
      filterType: 1,
      maxMsgSize: 1_024,
      msgRetentionSeconds: 86_400,
      trace: false,
      tags: [],
    });
    const { subscription } = topics.subscribe(engine.actor, topic, 'S', {
      protocol: 'http',
      endpoint: 'http://example.com/',
      strategy: 'BACKOFF_RETRY',
      format: 'JSON',
      filterTags: [],
      bindingKeys: [],
    });
    engine.publish('T', '', 'm', { persistent: true });
    await engine.settle();
    expect(subscription.pendingCount).toBe(1);
    const transport = new ScriptedTransport(engine.clock);
    engine.broker.push.open(transport);
    await engine.settle();
    expect(transport.bodies).toEqual(['m']);
  });

  it('tells when the next attempt is', async () => {
    const { fixture, subscription, startMs } = await failing('EXPONENTIAL_DECAY_RETRY');
    fixture.publish('T', '', 'm');
    await fixture.runUntil(startMs + 1_000);
    expect(subscription.nextAttemptMs).toBe(startMs + 3_000);
    expect(subscription.lastFailure).toEqual({ detail: 'status 500', atMs: startMs + 1_000 });
  });

  it('gives up to its dead-letter queue, with where it comes from', async () => {
    const fixture = await TopicFixture.open();
    const startMs = fixture.engine.clock.wallMs();
    fixture.engine.queue('parked');
    const topic = fixture.topic('T');
    const subscription = fixture.push(topic, 'S', {
      strategy: 'BACKOFF_RETRY',
      deadLetterQueue: 'parked',
    });
    fixture.transport.answer = () => 'failed';
    fixture.publish('T', '', 'm');
    await fixture.runUntil(startMs + HOUR_MS);
    const got = fixture.engine.get('parked')!;
    expect(got.body).toBe('m');
    const headers = fixture.engine.headersOf(got.entry.message);
    expect(headers.get('x-msg-id')).toBe(fixture.transport.made[0]!.attempt.message.msgId);
    expect(headers.get('x-first-death-queue')).toBe('cmq.push.T.S');
    expect(headers.get('x-origin-queue')).toBe('cmq.push.T.S');
    expect(headers.get('x-origin-receive-count')).toBe(4);
    expect(headers.get('x-first-death-reason')).toBe('delivery_limit');
    expect(subscription.counters.deadLetteredMessages).toBe(1);
  });

  it('pushes again what a redrive takes home', async () => {
    const fixture = await TopicFixture.open();
    const { engine } = fixture;
    const startMs = engine.clock.wallMs();
    engine.queue('parked');
    const strategy = 'BACKOFF_RETRY';
    fixture.push(fixture.topic('T'), 'S', { strategy, deadLetterQueue: 'parked' });
    fixture.transport.answer = () => 'failed';
    for (const body of ['1', '2']) fixture.publish('T', '', body);
    await fixture.runUntil(startMs + HOUR_MS);
    expect(engine.vhost.topology.queues.get('parked')!.readyCount).toBe(2);
    fixture.transport.made.length = 0;
    fixture.transport.answer = () => 'ok';
    engine.vhost.cmq.redrives.start(engine.actor, 'parked');
    await fixture.runUntil(startMs + HOUR_MS + 10_000);
    expect(fixture.transport.bodies).toEqual(['1', '2']);
    expect(engine.vhost.topology.queues.get('parked')!.readyCount).toBe(0);
  });

  it('dead-letters what expires unattempted, too', async () => {
    const fixture = await TopicFixture.open();
    const startMs = fixture.engine.clock.wallMs();
    fixture.engine.queue('parked');
    const topic = fixture.topic('T', 1, { msgRetentionSeconds: 60 });
    fixture.push(topic, 'S', { deadLetterQueue: 'parked' });
    fixture.transport.answer = () => 'failed';
    fixture.publish('T', '', 'a');
    fixture.publish('T', '', 'b');
    await fixture.runUntil(startMs + HOUR_MS);
    expect(fixture.drain('parked')).toEqual(['a', 'b']);
    expect(fixture.transport.made.at(-1)!.atMs).toBeLessThan(startMs + 60_000);
  });

  it('ends with its subscription: the attempt is aborted, the line dropped', async () => {
    const { fixture, subscription } = await failing('EXPONENTIAL_DECAY_RETRY');
    fixture.transport.answer = () => 'hang';
    fixture.publish('T', '', 'a');
    fixture.publish('T', '', 'b');
    await fixture.settle();
    fixture.topics.unsubscribe(fixture.engine.actor, subscription);
    await fixture.settle();
    expect(fixture.transport.abortCount).toBe(1);
    expect(fixture.engine.vhost.topology.queues.has('cmq.push.T.S')).toBe(false);
    const next = await fixture.restart();
    expect(next.topics.find('T')!.subscriptions.size).toBe(0);
    expect(next.engine.vhost.topology.queues.size).toBe(0);
  });

  it('ends with the exchange of its topic, in mid-attempt', async () => {
    const { fixture } = await failing('EXPONENTIAL_DECAY_RETRY');
    const { engine, transport } = fixture;
    transport.answer = () => 'hang';
    fixture.publish('T', '', 'm');
    await fixture.settle();
    engine.vhost.deleteExchange(engine.actor, 'T', false);
    await fixture.runUntil(engine.clock.wallMs() + HOUR_MS);
    expect(transport.abortCount).toBe(1);
    expect(transport.made).toHaveLength(1);
    expect(engine.vhost.topology.queues.size).toBe(0);
  });

  it('is another one when its name is taken again in mid-attempt', async () => {
    const { fixture, topic, subscription } = await failing('EXPONENTIAL_DECAY_RETRY');
    let answer: Answer = 'hang';
    fixture.transport.answer = () => answer;
    fixture.publish('T', '', 'old');
    await fixture.settle();
    fixture.topics.unsubscribe(fixture.engine.actor, subscription);
    const next = fixture.push(topic, 'S');
    answer = 'ok';
    fixture.publish('T', '', 'new');
    await fixture.runUntil(fixture.engine.clock.wallMs() + HOUR_MS);
    expect(fixture.transport.bodies).toEqual(['old', 'new']);
    expect(next.counters).toMatchObject({ matchedMessages: 1, attempts: 1, deliveredMessages: 1 });
  });

  it('costs its attempts and no more, as one of many that fail', async () => {
    const { fixture, topic, startMs } = await failing('EXPONENTIAL_DECAY_RETRY');
    const COUNT = 200;
    for (let index = 1; index < COUNT; index += 1) fixture.push(topic, `S${index}`);
    const { broker, vhost } = fixture.engine;
    for (const body of ['1', '2', '3']) fixture.publish('T', '', body);
    await fixture.settle();
    let wakeUps = 0;
    for (let dueMs = broker.nextDueMs; dueMs <= startMs + HOUR_MS; dueMs = broker.nextDueMs) {
      wakeUps += 1;
      await fixture.runUntil(dueMs);
    }
    // 1, 2 ... 256, and six times 512 s; only the oldest message is attempted.
    expect(fixture.transport.made).toHaveLength(COUNT * 16);
    expect(new Set(fixture.transport.bodies)).toEqual(new Set(['1']));
    // All are due at the same times: one wake-up for that, and two that an attempt asked for in vain.
    expect(wakeUps).toBeLessThanOrEqual(3 * 16);
    for (const queue of vhost.topology.queues.values()) {
      expect((queue as ClassicQueue).leaseCount).toBeLessThanOrEqual(2);
    }
  });
});
