import { expect, test } from 'vitest';
import type { ClassicQueue } from '../../../src/engine/queue/classic-queue.ts';
import type { FieldValue } from '../../../src/base/field-value.ts';
import { EngineFixture } from '../../support/engine-fixture.ts';

const DAY_MS = 86_400_000;

const headers = new Map([['x-delay', 1_000]]);

test('a queue that counts receives keeps a message for as long as its header asks', async () => {
  const e = await EngineFixture.open();
  const queue = e.queue('q') as ClassicQueue;
  queue.applySettings({ ...queue.settings, countsReceives: true, delayMs: 60_000 });
  e.publish('', 'q', 'soon', { headers });
  e.publish('', 'q', 'late');
  await e.settle();
  expect([queue.readyCount, queue.delayed?.count]).toEqual([0, 2]);
  e.clock.advance(1_000);
  await e.settle();
  const got = e.get('q')!;
  expect([got.body, queue.delayed?.count]).toEqual(['soon', 1]);
  // Said to have been kept, so that nobody keeps it again.
  expect(e.headersOf(got.entry.message).get('x-delay')).toBe(-1_000);
});

test.each([
  ['60 days', 60 * DAY_MS, 60 * DAY_MS],
  ['what no clock shows', '9223372036854775807', 36_600 * DAY_MS],
])('%s are kept, not cut to what fits into 32 bits', async (_what, asked, keptMs) => {
  const e = await EngineFixture.open();
  const queue = e.queue('q') as ClassicQueue;
  queue.applySettings({ ...queue.settings, countsReceives: true });
  e.exchange('later', 'x-delayed-message', { 'x-delayed-type': 'direct' });
  const behind = e.queue('behind');
  e.bind('behind', 'later', 'k');
  const long = new Map<string, FieldValue>([['x-delay', asked]]);
  e.publish('', 'q', 'm', { headers: long, persistent: true });
  e.publish('later', 'k', 'm', { headers: long, persistent: true });
  await e.settle();
  e.clock.advance(keptMs - 1);
  await e.settle();
  expect([queue.readyCount, behind.readyCount]).toEqual([0, 0]);
  e.clock.advance(1);
  await e.settle();
  expect([queue.readyCount, behind.readyCount]).toEqual([1, 1]);
  const { message } = e.get('behind')!.entry;
  expect(Number(e.headersOf(message).get('x-delay'))).toBe(-keptMs);
});

test('other queues leave the header to exchanges, as RabbitMQ does', async () => {
  const e = await EngineFixture.open();
  e.queue('q');
  e.publish('', 'q', 'now', { headers });
  expect(e.get('q')?.body).toBe('now');
});

test('a dead letter is not delayed by what it asked of another queue', async () => {
  const e = await EngineFixture.open();
  const dead = e.queue('dead') as ClassicQueue;
  dead.applySettings({ ...dead.settings, countsReceives: true });
  const args = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'dead' };
  e.queue('q', args);
  e.publish('', 'q', 'm', { headers });
  const got = e.get('q')!;
  got.queue.reject(got.entry);
  await e.settle();
  expect([dead.readyCount, dead.delayed?.count ?? 0]).toEqual([1, 0]);
});
