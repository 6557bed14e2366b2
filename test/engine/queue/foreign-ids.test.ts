/** A publisher may write `x-msg-id`; whose message has which id is not for it to say. */
import { expect, test } from 'vitest';
import type { ClassicQueue } from '../../../src/engine/queue/classic-queue.ts';
import type { FoundEntry } from '../../../src/engine/queue/queue-inspector.ts';
import { EngineFixture } from '../../support/engine-fixture.ts';
import { TopicFixture } from '../topic/topic-fixture.ts';

const FORGED = '4711';
const headers = new Map([['x-msg-id', FORGED]]);

function counting(e: EngineFixture, name: string): ClassicQueue {
  const queue = e.queue(name) as ClassicQueue;
  queue.applySettings({ ...queue.settings, countsReceives: true });
  return queue;
}

async function find(e: EngineFixture, queue: ClassicQueue, id: string): Promise<unknown> {
  let answer: { found: FoundEntry | undefined } | undefined;
  queue.find(id, (found) => {
    answer = { found };
  });
  while (answer === undefined) await e.settle();
  return answer.found;
}

test('two messages of one forged id are two, and a consumer is told the true ones', async () => {
  const e = await EngineFixture.open();
  const queue = counting(e, 'q');
  const sent: string[] = [];
  for (const body of ['1', '2']) {
    e.publish('', 'q', body, { headers, persistent: true });
    sent.push(queue.lastMessageId);
  }
  expect(await find(e, queue, FORGED)).toBeUndefined();
  const got = [e.get('q')!, e.get('q')!];
  expect(got.map(({ entry }) => queue.messageIdOf(entry))).toEqual(sent);
  expect(got.map(({ entry }) => e.headersOf(entry.message).get('x-msg-id'))).toEqual(sent);
});

test('where nothing is counted the header passes through, and names nothing', async () => {
  const e = await EngineFixture.open();
  const queue = e.queue('q') as ClassicQueue;
  e.publish('', 'q', 'm', { headers, persistent: true });
  const sent = queue.lastMessageId;
  const { entry } = e.get('q')!;
  expect(e.headersOf(entry.message).get('x-msg-id')).toBe(FORGED);
  expect(queue.messageIdOf(entry)).toBe(sent);
});

test('a delayed message keeps the id that its sender was told', async () => {
  const e = await EngineFixture.open();
  const queue = counting(e, 'q');
  const delay = new Map<string, string | number>([...headers, ['x-delay', 1_000]]);
  e.publish('', 'q', 'm', { headers: delay, persistent: true });
  const sent = queue.lastMessageId;
  await e.settle();
  e.clock.advance(1_000);
  await e.settle();
  expect(queue.messageIdOf(e.get('q')!.entry)).toBe(sent);
});

test('a dead letter brings no forged id into a queue that counts', async () => {
  const e = await EngineFixture.open();
  const dead = counting(e, 'dead');
  e.queue('q', { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'dead' });
  e.publish('', 'q', 'm', { headers, persistent: true });
  const got = e.get('q')!;
  got.queue.reject(got.entry);
  expect(dead.messageIdOf(e.get('dead')!.entry)).toBe(dead.lastMessageId);
});

test('a topic gives each publish an id of its own, and the copies of one share it', async () => {
  const fixture = await TopicFixture.open();
  const { engine } = fixture;
  const topic = fixture.topic('T');
  for (const name of ['a', 'b']) {
    engine.queue(name);
    fixture.subscribe(topic, name);
  }
  for (const body of ['1', '2']) fixture.publish('T', '', body, { headers });
  const idsIn = (name: string): unknown[] =>
    ['1', '2'].map(() => engine.headersOf(engine.get(name)!.entry.message).get('x-msg-id'));
  const ids = idsIn('a');
  expect(ids).not.toContain(FORGED);
  expect(new Set(ids).size).toBe(2);
  expect(idsIn('b')).toEqual(ids);
});
