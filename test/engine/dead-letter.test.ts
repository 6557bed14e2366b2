/** Whose x-death counts. */
import { expect, test } from 'vitest';
import { encodeHeader } from '../../protocols/amqp/content-header.ts';
import type { FieldTable } from '../../src/base/field-value.ts';
import { FORMAT_AMQP, Message } from '../../src/engine/message.ts';
import { EngineFixture } from '../support/engine-fixture.ts';

/** Queues whose rejected messages go from one to the other. */
async function pair(): Promise<EngineFixture> {
  const e = await EngineFixture.open();
  for (const [name, next] of [
    ['a', 'b'],
    ['b', 'a'],
  ] as const) {
    e.queue(name, { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': next });
  }
  return e;
}

function publish(e: EngineFixture, queue: string, headers: FieldTable): void {
  const header = encodeHeader({ deliveryMode: 2, headers }, 1);
  const bytes = Buffer.concat([header, Buffer.from('x')]);
  const at = e.clock.wallMs();
  const message = new Message('', queue, FORMAT_AMQP, bytes, 0, header.length, 1, true, -1, -1, at);
  e.vhost.publish(e.vhost.resolveRoute(e.actor, '', queue), message);
}

/** Rejects the message at the head of `queue`; returns the headers it had. */
async function reject(e: EngineFixture, queue: string): Promise<FieldTable> {
  await e.settle();
  const { entry } = e.get(queue)!;
  const headers = e.headersOf(entry.message);
  e.vhost.topology.queues.get(queue)!.reject(entry);
  return headers;
}

function deathsOf(headers: FieldTable): string[] {
  const deaths = headers.get('x-death') as readonly FieldTable[];
  return deaths.map((death) => `${String(death.get('queue'))} ${String(death.get('count'))}`);
}

test('deaths are counted as often as a message goes round', async () => {
  const e = await pair();
  publish(e, 'a', new Map());
  for (const queue of ['a', 'b', 'a', 'b', 'a']) await reject(e, queue);
  expect(deathsOf(await reject(e, 'b'))).toEqual(['a 3', 'b 2']);
});

test('what the gateway wrote starts anew when a client publishes it', async () => {
  const e = await pair();
  publish(e, 'a', new Map());
  for (const queue of ['a', 'b', 'a']) await reject(e, queue);
  await e.settle();
  const { entry } = e.get('b')!;
  const dead = e.headersOf(entry.message);
  expect(deathsOf(dead)).toEqual(['a 2', 'b 1']);
  e.vhost.topology.queues.get('b')!.acknowledge(entry);
  publish(e, 'b', dead);
  expect(deathsOf(await reject(e, 'b'))).toEqual(['a 2', 'b 1']);
  const fresh = await reject(e, 'a');
  expect(deathsOf(fresh)).toEqual(['b 1']);
  expect(fresh.get('x-first-death-queue')).toBe('b');
});

test('a client that names the next queue as a grave loses nothing', async () => {
  const e = await EngineFixture.open();
  e.queue('q', {
    'x-message-ttl': 100,
    'x-dead-letter-exchange': '',
    'x-dead-letter-routing-key': 'dead',
  });
  e.queue('dead');
  const grave = new Map([
    ['queue', 'dead'],
    ['reason', 'expired'],
  ]);
  publish(e, 'q', new Map([['x-death', [grave]]]));
  await e.settle();
  e.clock.advance(100);
  await e.settle();
  expect(e.get('dead')?.body).toBe('x');
});

test('counts stay longs in every record: clients cast them', async () => {
  const e = await pair();
  publish(e, 'a', new Map());
  for (const queue of ['a', 'b', 'a']) await reject(e, queue);
  await e.settle();
  const { bytes, start, headerBytes } = e.get('b')!.entry.message;
  const header = bytes.toString('latin1', start, start + headerBytes);
  // The name of the field, its tag and the value: as RabbitMQ writes them.
  const rests = header.split('\x05count').slice(1);
  expect(rests.map((rest) => rest[0])).toEqual(['l', 'l']);
});

test('CC and BCC route no more once a death has given the message another key', async () => {
  const e = await EngineFixture.open();
  e.exchange('x', 'direct');
  e.queue('work', { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'wait' });
  e.queue('wait', { 'x-dead-letter-exchange': 'x' });
  for (const [queue, key] of [
    ['dead', 'wait'],
    ['copies', 'cc'],
  ] as const) {
    e.queue(queue);
    e.bind(queue, 'x', key);
  }
  publish(e, 'work', new Map([['CC', ['cc']]]));
  await reject(e, 'work');
  await reject(e, 'wait');
  await e.settle();
  expect(e.get('copies')).toBeUndefined();
  const deaths = e.headersOf(e.get('dead')!.entry.message).get('x-death') as FieldTable[];
  expect(deaths.map((death) => death.get('routing-keys'))).toEqual([['wait'], ['work', 'cc']]);
});

test('CC routes at every death that leaves the key as it is', async () => {
  const e = await EngineFixture.open();
  e.exchange('x', 'direct');
  for (const queue of ['first', 'second']) e.queue(queue, { 'x-dead-letter-exchange': 'x' });
  e.bind('second', 'x', 'first');
  e.queue('copies');
  e.bind('copies', 'x', 'cc');
  publish(e, 'first', new Map([['CC', ['cc']]]));
  await reject(e, 'first');
  await reject(e, 'second');
  await e.settle();
  expect([e.get('copies')?.body, e.get('copies')?.body]).toEqual(['x', 'x']);
});
