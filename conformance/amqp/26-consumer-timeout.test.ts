/** Deliveries of quorum queues that are not settled in time (x-consumer-timeout, RabbitMQ 4.3). */
import { expect } from 'vitest';
import { type SpecContext, useBroker } from '../support/spec-test.ts';
import type { WireChannel } from '../support/wire-client.ts';

const { specTest, isPeer } = useBroker();
const TIMEOUT_MS = 1_500;
/** What the broker may be late by. */
const LATE_MS = 30_000;
/** RabbitMQ 4.3.6 does not know the value at that place, and says so. */
const SHOWN_MS = isPeer ? '-1' : String(TIMEOUT_MS);
const TIMED_OUT =
  `PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. ` +
  `Timeout value used: ${SHOWN_MS} ms. ` +
  'This timeout value can be configured, see consumers doc guide to learn more';

async function quorumQueue(t: SpecContext, channel: WireChannel, args = {}): Promise<string> {
  const all = { 'x-queue-type': 'quorum', ...args };
  return await channel.queue(t.name(), { durable: true, arguments: all });
}

specTest(
  { section: 'x-consumer-timeout', rule: 'basic.cancel, and the message goes to another' },
  async (t) => {
    const channel = await t.channel();
    const queue = await quorumQueue(t, channel, { 'x-consumer-timeout': TIMEOUT_MS });
    await channel.call('basic.qos', { prefetchCount: 1 });
    const tag = await channel.consume(queue);
    channel.publish('', queue, 'a', { deliveryMode: 2 });
    const first = await channel.delivery();
    const cancel = await channel.expect('basic.cancel', TIMEOUT_MS + LATE_MS);
    expect(cancel.consumerTag).toBe(tag);
    const other = await t.channel();
    const again = await other.getSoon(queue);
    expect([again.body, again.redelivered]).toEqual(['a', true]);
    expect(again.headers).not.toHaveProperty('x-delivery-count');
    // Too late, and harmless.
    channel.ack(first.tag);
    await channel.sync();
    await other.call('queue.delete', { queue });
  },
);

specTest(
  { section: 'x-consumer-timeout', rule: 'a consumer may say it; without cancel notify it is 406' },
  async (t) => {
    const channel = await t.channel({ capabilities: {} });
    const queue = await quorumQueue(t, channel);
    await channel.consume(queue, { arguments: { 'x-consumer-timeout': TIMEOUT_MS } });
    channel.publish('', queue, 'a', { deliveryMode: 2 });
    await channel.delivery();
    const error = await channel.inbox.failure(TIMEOUT_MS + LATE_MS);
    expect(error).toMatchObject({ level: 'channel', code: 406, text: TIMED_OUT });
    const other = await t.channel();
    expect((await other.getSoon(queue)).body).toBe('a');
    await other.call('queue.delete', { queue });
  },
);

specTest({ section: 'x-consumer-timeout', rule: 'basic.get ends with 406' }, async (t) => {
  const channel = await t.channel();
  const queue = await quorumQueue(t, channel, { 'x-consumer-timeout': TIMEOUT_MS });
  channel.publish('', queue, 'a', { deliveryMode: 2 });
  await channel.getSoon(queue, false);
  const error = await channel.inbox.failure(TIMEOUT_MS + LATE_MS);
  expect(error).toMatchObject({ level: 'channel', code: 406, text: TIMED_OUT });
  const other = await t.channel();
  await other.call('queue.delete', { queue });
});

specTest({ section: 'x-consumer-timeout', rule: 'must be zero or more' }, async (t) => {
  const cases = [
    [-1, '{value_negative,-1}'],
    ['abc', '"expected integer, got longstr"'],
  ] as const;
  for (const [value, reason] of cases) {
    const channel = await t.channel();
    const queue = await quorumQueue(t, channel);
    const consume = { queue, arguments: { 'x-consumer-timeout': value } };
    const text = `invalid arg 'x-consumer-timeout' for queue '${queue}' in vhost '`;
    const error = await channel.refused('basic.consume', consume, 406, text);
    expect(error.text).toContain(reason);
    const other = await t.channel();
    await other.call('queue.delete', { queue });
  }
});
