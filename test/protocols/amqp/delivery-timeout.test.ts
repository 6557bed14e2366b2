/** Deliveries that are not settled in time (x-consumer-timeout of quorum queues). */
import { beforeEach, describe, expect, test } from 'vitest';
import type { FieldValue } from '../../../src/base/field-value.ts';
import { Harness, type TestClient } from './amqp-harness.ts';

const TIMEOUT_TEXT =
  'PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. ' +
  'Timeout value used: 2000 ms. ' +
  'This timeout value can be configured, see consumers doc guide to learn more';

let harness: Harness;
let client: TestClient;

beforeEach(async () => {
  harness = await Harness.open();
  client = await harness.connect([1, 2]);
});

function quorum(name: string, args: Record<string, FieldValue> = {}): Promise<string> {
  const all = { 'x-queue-type': 'quorum', 'x-consumer-timeout': 2_000, ...args };
  return client.declare(2, name, all, { durable: true });
}

/** Lets time pass as the acceptor sees it. */
function pass(ms: number): void {
  for (let left = ms; left > 0; left -= 250) {
    harness.fixture.clock.advance(Math.min(left, 250));
    harness.acceptor.tick();
  }
}

/** What arrived: names, with the tag and body of deliveries. */
async function seen(of: TestClient = client): Promise<string[]> {
  return (await of.all()).map(({ name, fields, body }) =>
    name === 'basic.deliver'
      ? `${String(body)} redelivered=${String(fields['redelivered'])}`
      : name,
  );
}

describe('a delivery that takes too long', () => {
  test('goes back, and its consumer is cancelled', async () => {
    await quorum('q');
    await client.call('basic.qos', 1, [0, 2, false], 'basic.qosOk');
    await client.consume(1, 'q', { tag: 'slow' });
    for (const body of ['a', 'b', 'c']) client.publish(1, '', 'q', body);
    expect(await seen()).toEqual(['a redelivered=false', 'b redelivered=false']);
    pass(2_000);
    expect(await seen()).toEqual([]);
    pass(250);
    const [cancel, ...more] = await client.all();
    expect(cancel).toMatchObject({ name: 'basic.cancel', channel: 1 });
    expect(cancel!.fields).toEqual({ consumerTag: 'slow', noWait: true });
    expect(more).toEqual([]);
    expect(await client.readyCount('q')).toBe(3);
    const other = await harness.connect([1]);
    await other.consume(1, 'q');
    expect(await seen(other)).toEqual([
      'a redelivered=true',
      'b redelivered=true',
      'c redelivered=false',
    ]);
  });

  test.each([
    ['ack', 'basic.ack', [1, false]],
    ['ack of several', 'basic.ack', [2, true]],
    ['nack', 'basic.nack', [1, false, true]],
    ['reject', 'basic.reject', [2, false]],
  ])('a late %s is ignored, once', async (_, method, values) => {
    await quorum('q');
    await client.consume(1, 'q');
    client.publish(1, '', 'q', 'a');
    client.publish(1, '', 'q', 'b');
    await client.all();
    pass(2_250);
    await client.all();
    client.send(method, 1, values);
    expect(await seen()).toEqual([]);
    expect(await client.readyCount('q')).toBe(2);
    client.send(method, 1, values);
    expect(await seen()).toEqual(['channel.close']);
  });

  test('one settled in time is none, and others of a consumer ended go back in their time', async () => {
    await quorum('q');
    await client.consume(1, 'q');
    client.publish(1, '', 'q', 'a');
    client.publish(1, '', 'q', 'b');
    await client.all();
    client.send('basic.ack', 1, [1, false]);
    pass(1_000);
    client.publish(1, '', 'q', 'c');
    await client.all();
    pass(1_250);
    expect(await seen()).toEqual(['basic.cancel']);
    expect(await client.readyCount('q')).toBe(1);
    pass(1_000);
    expect(await seen()).toEqual([]);
    expect(await client.readyCount('q')).toBe(2);
  });

  test('gives back the credit that consumers of the channel share', async () => {
    await quorum('q');
    await client.declare(1, 'other');
    await client.call('basic.qos', 1, [0, 1, true], 'basic.qosOk');
    await client.consume(1, 'q');
    await client.consume(1, 'other');
    client.publish(1, '', 'q', 'a');
    await client.all();
    client.publish(1, '', 'other', 'x');
    expect(await seen()).toEqual([]);
    pass(2_250);
    expect(await seen()).toEqual(['basic.cancel', 'x redelivered=false']);
  });

  test('does not count as failed', async () => {
    await quorum('q', { 'x-delivery-limit': 0 });
    for (let round = 0; round < 3; round += 1) {
      await client.consume(1, 'q');
      if (round === 0) client.publish(1, '', 'q', 'a');
      expect(await seen()).toEqual([`a redelivered=${round > 0}`]);
      pass(2_250);
      expect(await seen()).toEqual(['basic.cancel']);
    }
    expect(await client.readyCount('q')).toBe(1);
  });

  test('means nothing once the queue is gone', async () => {
    await quorum('q');
    await client.consume(1, 'q');
    client.publish(1, '', 'q', 'a');
    await client.all();
    client.send('queue.delete', 2, ['q', false, false, false]);
    expect(await seen()).toEqual(['basic.cancel', 'queue.deleteOk']);
    pass(5_000);
    expect(await seen()).toEqual([]);
    client.send('basic.ack', 1, [1, false]);
    expect(await seen()).toEqual([]);
  });

  test('settled in a transaction that is not committed, it goes back too', async () => {
    await quorum('q');
    await client.call('tx.select', 1, [], 'tx.selectOk');
    await client.consume(1, 'q');
    client.publish(2, '', 'q', 'a');
    await client.all();
    client.send('basic.ack', 1, [1, false]);
    pass(2_250);
    expect(await seen()).toEqual(['basic.cancel']);
    await client.call('tx.commit', 1, [], 'tx.commitOk');
    expect(await client.readyCount('q')).toBe(1);
    await client.call('tx.rollback', 1, [], 'tx.rollbackOk');
  });
});

describe('the channel is closed', () => {
  test('of a client that does not understand basic.cancel', async () => {
    await quorum('q');
    const old = await harness.connect([1], { capabilities: [] });
    await old.consume(1, 'q');
    client.publish(1, '', 'q', 'a');
    expect(await seen(old)).toEqual(['a redelivered=false']);
    pass(2_250);
    const [close] = await old.all();
    expect(close).toMatchObject({ name: 'channel.close', channel: 1 });
    expect(close!.fields).toMatchObject({ replyCode: 406, replyText: TIMEOUT_TEXT });
    expect(await client.readyCount('q')).toBe(1);
  });

  test('for a message of basic.get', async () => {
    await quorum('q');
    client.publish(1, '', 'q', 'a');
    await client.call('basic.get', 1, ['q', false], 'basic.getOk');
    pass(2_250);
    const [close] = await client.all();
    expect(close!.fields).toMatchObject({ replyCode: 406, replyText: TIMEOUT_TEXT });
    expect(await client.readyCount('q')).toBe(1);
  });

  test('for what a consumer left behind that the client itself cancelled', async () => {
    await quorum('q');
    await client.consume(1, 'q', { tag: 'c' });
    client.publish(1, '', 'q', 'a');
    await client.all();
    await client.call('basic.cancel', 1, ['c', false], 'basic.cancelOk');
    pass(2_250);
    expect(await seen()).toEqual(['channel.close']);
  });
});

describe('how long', () => {
  test('a consumer says what counts for it, longer or shorter', async () => {
    await quorum('q');
    await client.consume(1, 'q', { tag: 'long', args: { 'x-consumer-timeout': 60_000 } });
    client.publish(1, '', 'q', 'a');
    await client.all();
    pass(2_250);
    expect(await seen()).toEqual([]);
    await client.call('basic.cancel', 1, ['long', false], 'basic.cancelOk');
    await client.consume(1, 'q', { tag: 'short', args: { 'x-consumer-timeout': 0 } });
    client.publish(1, '', 'q', 'b');
    expect(await seen()).toEqual(['b redelivered=false']);
    pass(250);
    expect(await seen()).toEqual(['basic.cancel']);
  });

  test('else the configured time', async () => {
    harness = await Harness.open({ consumerTimeoutMs: 1_000 });
    client = await harness.connect([1, 2]);
    await client.declare(2, 'q', { 'x-queue-type': 'quorum' }, { durable: true });
    await client.consume(1, 'q');
    client.publish(1, '', 'q', 'a');
    await client.all();
    pass(1_250);
    expect(await seen()).toEqual(['basic.cancel']);
  });

  test('other queues, and deliveries that need no settling, have all the time', async () => {
    harness = await Harness.open({ consumerTimeoutMs: 1_000 });
    client = await harness.connect([1, 2]);
    await client.declare(1, 'classic');
    await client.declare(2, 'q', { 'x-queue-type': 'quorum' }, { durable: true });
    await client.consume(1, 'classic');
    await client.consume(1, 'q', { noAck: true });
    client.publish(1, '', 'classic', 'a');
    client.publish(1, '', 'q', 'b');
    await client.all();
    pass(5_000);
    expect(await seen()).toEqual([]);
  });

  test.each([
    [-1, '{value_negative,-1}'],
    ['abc', '"expected integer, got longstr"'],
    [true, '"expected integer, got bool"'],
  ])('a consumer that says %s is refused', async (value, reason) => {
    await quorum('q');
    const args = new Map<string, FieldValue>([['x-consumer-timeout', value]]);
    client.send('basic.consume', 1, ['q', '', false, false, false, false, args]);
    const close = await client.next('channel.close');
    expect(close.fields).toMatchObject({
      replyCode: 406,
      replyText:
        "PRECONDITION_FAILED - invalid arg 'x-consumer-timeout' " +
        `for queue 'q' in vhost '/': ${reason}`,
    });
  });
});
