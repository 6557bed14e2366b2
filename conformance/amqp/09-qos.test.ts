import { expect } from 'vitest';
import { useBroker, type SpecContext } from '../support/spec-test.ts';
import type { WireChannel } from '../support/wire-client.ts';

const { specTest } = useBroker();

async function filled(t: SpecContext, count: number): Promise<[WireChannel, string]> {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  for (let index = 0; index < count; index += 1) channel.publish('', queue, `${index}`);
  await channel.settled(queue, count);
  return [channel, queue];
}

specTest({ section: 'basic.qos', rule: 'prefetch_size other than 0 gets 540' }, async (t) => {
  const connection = await t.connect();
  const channel = await connection.channel();
  channel.send('basic.qos', { prefetchSize: 1 });
  await connection.expectClose(540, 'NOT_IMPLEMENTED - prefetch_size!=0 (1)');
});

specTest(
  { section: 'basic.qos', rule: 'a consumer holds no more than its prefetch' },
  async (t) => {
    const [channel, queue] = await filled(t, 10);
    await channel.call('basic.qos', { prefetchCount: 3 });
    await channel.consume(queue);
    await channel.deliveries(3);
    await channel.expectNothing();
    channel.ack(1);
    expect((await channel.delivery()).body).toBe('3');
    await channel.expectNothing(50);
    channel.ack(0, true);
    await channel.deliveries(3);
  },
);

specTest({ section: 'basic.qos', rule: '0 is unlimited' }, async (t) => {
  const [channel, queue] = await filled(t, 100);
  await channel.call('basic.qos', { prefetchCount: 0 });
  await channel.consume(queue);
  await channel.deliveries(100);
});

specTest({ section: 'basic.qos', rule: 'does not bind no-ack consumers' }, async (t) => {
  const [channel, queue] = await filled(t, 10);
  await channel.call('basic.qos', { prefetchCount: 1 });
  await channel.consume(queue, { noAck: true });
  await channel.deliveries(10);
});

specTest(
  { section: 'per_consumer_qos', rule: 'every new consumer has its own limit' },
  async (t) => {
    const [channel, queue] = await filled(t, 10);
    await channel.call('basic.qos', { prefetchCount: 2 });
    await channel.consume(queue, { consumerTag: 'a' });
    await channel.call('basic.qos', { prefetchCount: 3 });
    await channel.consume(queue, { consumerTag: 'b' });
    const messages = await channel.deliveries(5);
    await channel.expectNothing();
    const of = (tag: string) => messages.filter((message) => message.consumerTag === tag).length;
    expect([of('a'), of('b')]).toEqual([2, 3]);
  },
);

specTest({ section: 'per_consumer_qos', rule: 'existing consumers keep theirs' }, async (t) => {
  const [channel, queue] = await filled(t, 5);
  await channel.call('basic.qos', { prefetchCount: 1 });
  await channel.consume(queue);
  await channel.delivery();
  await channel.call('basic.qos', { prefetchCount: 5 });
  await channel.expectNothing();
});

specTest({ section: 'basic.qos', rule: 'a nack or reject returns credit as well' }, async (t) => {
  const [channel, queue] = await filled(t, 3);
  await channel.call('basic.qos', { prefetchCount: 1 });
  await channel.consume(queue);
  channel.reject((await channel.delivery()).tag, false);
  channel.nack((await channel.delivery()).tag, { requeue: false });
  expect((await channel.delivery()).body).toBe('2');
});

specTest(
  { section: 'basic.qos', rule: 'a slow consumer does not hold a free one up' },
  async (t) => {
    const [slow, queue] = await filled(t, 20);
    await slow.call('basic.qos', { prefetchCount: 1 });
    await slow.consume(queue);
    await slow.delivery();
    const fast = await slow.connection.channel();
    await fast.call('basic.qos', { prefetchCount: 1 });
    await fast.consume(queue);
    for (let index = 0; index < 19; index += 1) fast.ack((await fast.delivery()).tag);
  },
);

specTest(
  {
    section: 'basic.qos',
    rule: 'global=true is one limit for the channel',
    oursOnly: 'RabbitMQ 4.3 treats it as per consumer unless permitted',
  },
  async (t) => {
    const [channel, queue] = await filled(t, 10);
    await channel.call('basic.qos', { prefetchCount: 3, global: true });
    await channel.consume(queue, { consumerTag: 'a' });
    await channel.consume(queue, { consumerTag: 'b' });
    await channel.deliveries(3);
    await channel.expectNothing();
    channel.ack(0, true);
    await channel.deliveries(3);
    await channel.expectNothing(50);
  },
);

specTest(
  {
    section: 'basic.qos',
    rule: 'raising a global limit acts on existing consumers',
    oursOnly: 'RabbitMQ 4.3 treats it as per consumer unless permitted',
  },
  async (t) => {
    const [channel, queue] = await filled(t, 10);
    await channel.call('basic.qos', { prefetchCount: 1, global: true });
    await channel.consume(queue);
    await channel.delivery();
    await channel.call('basic.qos', { prefetchCount: 4, global: true });
    await channel.deliveries(3);
    await channel.expectNothing(50);
  },
);
