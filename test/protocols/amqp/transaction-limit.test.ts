/** What is published in transactions and never committed: its memory is bounded and given back. */
import { afterAll, beforeEach, expect, test, vi } from 'vitest';
import type { Harness, Received, TestClient } from './amqp-harness.ts';
import { bodyFrame, headerFrame } from './wire.ts';

const LIMITS = '../../../protocols/amqp/limits.ts';
const LIMIT_BYTES = 1_000_000;
const REFUSAL = `PRECONDITION_FAILED - transaction too large: a connection may have ${LIMIT_BYTES} bytes uncommitted`;
const BODY = Buffer.alloc(100_000, 'b');

vi.resetModules();
vi.doMock(LIMITS, () => ({ TRANSACTION_BYTES_MAX: LIMIT_BYTES }));
afterAll(() => {
  vi.doUnmock(LIMITS);
  vi.resetModules();
});
const { Harness: Opened } = await import('./amqp-harness.ts');

let harness: Harness;
let client: TestClient;

beforeEach(async () => {
  harness = await Opened.open();
  client = await harness.connect([1, 2]);
  await client.declare(1, 'q', {}, { durable: true });
  await client.call('tx.select', 1, [], 'tx.selectOk');
  await client.call('tx.select', 2, [], 'tx.selectOk');
});

function expectRefused(answers: Received[], channel: number): void {
  expect(answers.map(({ name }) => name)).toEqual(['channel.close']);
  expect(answers[0]).toMatchObject({
    channel,
    fields: { replyCode: 406, replyText: REFUSAL },
  });
}

function publish(channel: number, count: number): void {
  for (let at = 0; at < count; at += 1) client.publish(channel, '', 'q', BODY);
}

test('a transaction that grows too large ends its channel, and nothing of it is done', async () => {
  publish(1, 9);
  expect(await client.all()).toEqual([]);
  publish(1, 100);
  expectRefused(await client.all(), 1);
  client.send('channel.closeOk', 1);
  await client.call('channel.open', 1, [], 'channel.openOk');
  await client.call('tx.select', 1, [], 'tx.selectOk');
  await client.call('tx.commit', 1, [], 'tx.commitOk');
  expect(await client.readyCount('q')).toBe(0);
});

test('a channel that is never said to be closed has given its memory back', async () => {
  publish(1, 20);
  expectRefused(await client.all(), 1);
  publish(2, 9);
  await client.call('tx.commit', 2, [], 'tx.commitOk');
  expect(await client.readyCount('q')).toBe(9);
});

test('the channels of a connection share it, and commit, rollback and close give it back', async () => {
  publish(1, 5);
  publish(2, 4);
  expect(await client.all()).toEqual([]);
  await client.call('tx.rollback', 1, [], 'tx.rollbackOk');
  publish(2, 5);
  await client.call('tx.commit', 2, [], 'tx.commitOk');
  publish(1, 9);
  await client.call('channel.close', 1, [200, '', 0, 0], 'channel.closeOk');
  publish(2, 9);
  expect(await client.all()).toEqual([]);
  await client.call('channel.open', 1, [], 'channel.openOk');
  await client.call('tx.select', 1, [], 'tx.selectOk');
  publish(1, 1);
  expectRefused(await client.all(), 1);
  await client.call('tx.commit', 2, [], 'tx.commitOk');
  expect(await client.readyCount('q')).toBe(18);
});

test('another connection has its own', async () => {
  publish(1, 9);
  const first = client;
  client = await harness.connect();
  await client.call('tx.select', 1, [], 'tx.selectOk');
  publish(1, 9);
  await client.call('tx.commit', 1, [], 'tx.commitOk');
  await first.call('tx.commit', 1, [], 'tx.commitOk');
  expect(await client.readyCount('q')).toBe(18);
});

test('messages without a body count, too', async () => {
  for (let at = 0; at < 4_000; at += 1) client.publish(1, '', 'q', '');
  expectRefused(await client.all(), 1);
});

test('one message alone is never too large', async () => {
  const part = Buffer.alloc(130_000, 'l');
  for (let at = 0; at < 3; at += 1) {
    client.send('basic.publish', 1, ['', 'q', false, false]);
    client.raw(headerFrame(1, 10 * part.length, 0, Buffer.alloc(0)));
    for (let sent = 0; sent < 10; sent += 1) client.raw(bodyFrame(1, part));
    if (at < 2) await client.call('tx.commit', 1, [], 'tx.commitOk');
  }
  client.publish(1, '', 'q', 'one more');
  expectRefused(await client.all(), 1);
  expect(await client.readyCount('q')).toBe(2);
});
