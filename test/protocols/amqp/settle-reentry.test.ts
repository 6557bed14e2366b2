/** A settlement can make a queue deliver to the same channel at once, while the ring is walked. */
import { describe, expect, test } from 'vitest';
import { Harness } from './amqp-harness.ts';

/**
 * Deliveries 1 to 16 of queue a; 17 would grow the ring and squeeze out the holes acks left. What
 * is rejected goes to queue b, which is over its limit at once and so hands over to this channel.
 */
async function rejecting(acked: readonly number[]) {
  const harness = await Harness.open();
  const { fixture } = harness;
  const client = await harness.connect();
  const a = fixture.queue('a', { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'b' });
  const b = fixture.queue('b', { 'x-max-length': 0 });
  await client.consume(1, 'a');
  await client.consume(1, 'b');
  for (let id = 1; id <= 16; id += 1) fixture.publish('', 'a', `${id}`);
  await client.all();
  for (const tag of acked) client.send('basic.ack', 1, [tag, false]);
  return { client, a, b };
}

describe('a settlement that causes a delivery to its own channel', () => {
  test('settles the delivery it names', async () => {
    const { client, a, b } = await rejecting([2, 3, 4, 5]);
    client.send('basic.reject', 1, [10, false]);
    expect([a.unackedCount, b.unackedCount]).toEqual([11, 1]);
    for (const tag of [1, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17]) {
      client.send('basic.ack', 1, [tag, false]);
    }
    expect((await client.all()).map(({ name }) => name)).not.toContain('channel.close');
    expect([a.unackedCount, b.unackedCount]).toEqual([0, 0]);
  });

  test('with multiple it settles what was delivered up to its tag, and no more', async () => {
    const { client, a, b } = await rejecting([2, 3, 4, 5]);
    client.send('basic.nack', 1, [10, true, false]);
    expect([a.unackedCount, b.unackedCount]).toEqual([6, 6]);
    client.send('basic.ack', 1, [0, true]);
    expect([a.unackedCount, b.unackedCount]).toEqual([0, 0]);
  });

  test('within a transaction as well', async () => {
    const { client, a, b } = await rejecting([2, 3, 4, 5]);
    await client.call('tx.select', 1, [], 'tx.selectOk');
    client.send('basic.nack', 1, [10, true, false]);
    client.send('tx.commit', 1, []);
    await client.all();
    expect([a.unackedCount, b.unackedCount]).toEqual([6, 6]);
    client.send('basic.recover', 1, [true]);
    await client.all();
    expect(a.unackedCount + a.readyCount).toBe(6);
  });
});
