import { expect } from 'vitest';
import { useBroker } from '../support/spec-test.ts';

const { specTest } = useBroker();

specTest({ section: 'confirm.select', rule: 'is answered and idempotent' }, async (t) => {
  const channel = await t.channel();
  await channel.confirmSelect();
  await channel.confirmSelect();
  channel.publish('', t.name(), 'x');
  expect(await channel.confirmed(1)).toEqual([]);
});

specTest({ section: 'confirm.select', rule: 'no-wait sends no reply' }, async (t) => {
  const channel = await t.channel();
  channel.send('confirm.select', { noWait: true });
  channel.publish('', t.name(), 'x');
  expect(await channel.confirmed(1)).toEqual([]);
});

specTest({ section: 'confirm.select', rule: 'on a tx channel gets 406' }, async (t) => {
  const channel = await t.channel();
  await channel.call('tx.select');
  await channel.refused(
    'confirm.select',
    {},
    406,
    'PRECONDITION_FAILED - cannot switch from tx to confirm mode',
  );
});

specTest(
  { section: 'confirm', rule: 'numbers start with the first publish after select' },
  async (t) => {
    const channel = await t.channel();
    const queue = await channel.queue('', { exclusive: true });
    channel.publish('', queue, 'before');
    await channel.confirmSelect();
    channel.publish('', queue, 'after');
    const ack = await channel.expect('basic.ack');
    expect(ack.deliveryTag).toBe(1);
  },
);

for (const [what, durable, deliveryMode] of [
  ['persistent to a durable queue', true, 2],
  ['transient to a durable queue', true, 1],
  ['persistent to a transient queue', false, 2],
] as const) {
  specTest({ section: 'confirm', rule: `${what} is acked` }, async (t) => {
    const channel = await t.channel();
    const queue = await channel.queue(t.name(), { durable, exclusive: !durable });
    await channel.confirmSelect();
    for (let index = 0; index < 100; index += 1) {
      channel.publish('', queue, `${index}`, { deliveryMode });
    }
    expect(await channel.confirmed(100)).toEqual([]);
    expect((await channel.call('queue.delete', { queue })).messageCount).toBe(100);
  });
}

specTest({ section: 'confirm', rule: 'unroutable messages are acked' }, async (t) => {
  const channel = await t.channel();
  await channel.confirmSelect();
  for (let index = 0; index < 10; index += 1) channel.publish('', t.name(), 'x');
  expect(await channel.confirmed(10)).toEqual([]);
});

specTest({ section: 'confirm', rule: 'a return comes before its ack' }, async (t) => {
  const channel = await t.channel();
  await channel.confirmSelect();
  channel.publish('', t.name(), 'x', {}, { mandatory: true });
  expect((await channel.next()).name).toBe('basic.return');
  const ack = await channel.expect('basic.ack');
  expect(ack.deliveryTag).toBe(1);
});

specTest({ section: 'confirm', rule: 'no message is acked twice, none left out' }, async (t) => {
  const channel = await t.channel();
  const durable = await channel.queue(t.name(), { durable: true });
  const transient = await channel.queue('', { exclusive: true });
  await channel.confirmSelect();
  const count = 1_000;
  for (let index = 0; index < count; index += 1) {
    const target = [durable, transient, 'nowhere'][index % 3]!;
    channel.publish('', target, 'x', { deliveryMode: 2 });
  }
  const seen = new Set<number>();
  while (seen.size < count) {
    const ack = await channel.expect('basic.ack');
    const tag = Number(ack.deliveryTag);
    const from = ack.multiple ? 1 : tag;
    let fresh = 0;
    for (let number = from; number <= tag; number += 1) {
      if (!seen.has(number)) fresh += 1;
      seen.add(number);
    }
    expect(fresh).toBeGreaterThan(0);
  }
  await channel.expectNothing(50);
  await channel.call('queue.delete', { queue: durable });
});

specTest({ section: 'confirm', rule: 'reject-publish gets a nack' }, async (t) => {
  const channel = await t.channel();
  const args = { 'x-max-length': 1, 'x-overflow': 'reject-publish' };
  const queue = await channel.queue(t.name(), { exclusive: true, arguments: args });
  await channel.confirmSelect();
  channel.publish('', queue, 'fits');
  await channel.confirmed(1);
  channel.publish('', queue, 'too many');
  expect(await channel.confirmed(2)).toEqual([2]);
  expect((await channel.counts(queue)).messages).toBe(1);
});

specTest({ section: 'confirm', rule: 'one refusing queue of several nacks' }, async (t) => {
  const channel = await t.channel();
  const exchange = await channel.exchange(t.name('x'), 'fanout', { autoDelete: true });
  const args = { 'x-max-length': 0, 'x-overflow': 'reject-publish' };
  const full = await channel.queue(t.name(), { exclusive: true, arguments: args });
  const open = await channel.queue('', { exclusive: true });
  await channel.bind(full, exchange);
  await channel.bind(open, exchange);
  await channel.confirmSelect();
  channel.publish(exchange, '', 'x');
  expect(await channel.confirmed(1)).toEqual([1]);
  await channel.settled(open, 1);
});

specTest({ section: 'confirm', rule: 'deleting the queue still confirms' }, async (t) => {
  const connection = await t.connect();
  const channel = await connection.channel();
  const queue = await channel.queue(t.name(), { durable: true });
  await channel.confirmSelect();
  for (let index = 0; index < 200; index += 1) channel.publish('', queue, 'x', { deliveryMode: 2 });
  const other = await connection.channel();
  await other.call('queue.delete', { queue });
  expect(await channel.confirmed(200)).toEqual([]);
});

specTest({ section: 'confirm', rule: 'a consumer may ack before the confirm' }, async (t) => {
  const connection = await t.connect();
  const channel = await connection.channel();
  const queue = await channel.queue(t.name(), { durable: true });
  const consumer = await connection.channel();
  await consumer.consume(queue);
  await channel.confirmSelect();
  for (let index = 0; index < 200; index += 1) channel.publish('', queue, 'x', { deliveryMode: 2 });
  for (let index = 0; index < 200; index += 1) consumer.ack((await consumer.delivery()).tag);
  expect(await channel.confirmed(200)).toEqual([]);
  await channel.call('queue.delete', { queue });
});

specTest(
  { section: 'confirm', rule: 'a channel error leaves earlier publishes routed' },
  async (t) => {
    const connection = await t.connect();
    const other = await connection.channel();
    const queue = await other.queue('', { exclusive: true });
    const channel = await connection.channel();
    await channel.confirmSelect();
    channel.publish('', queue, 'kept');
    channel.publish(t.name('x'), 'k', 'refused');
    await channel.expectClose(404);
    expect((await other.getSoon(queue)).body).toBe('kept');
  },
);
