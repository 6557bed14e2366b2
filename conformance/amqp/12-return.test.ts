import { expect } from 'vitest';
import { useBroker } from '../support/spec-test.ts';

const { specTest } = useBroker();

specTest(
  { section: 'basic.return', rule: 'mandatory without a queue: 312 with all of it' },
  async (t) => {
    const channel = await t.channel();
    const routingKey = t.name('k');
    const headers = { a: 1, b: 'two', c: [true, null] };
    const properties = { headers, contentType: 'text/plain', messageId: 'm1', deliveryMode: 2 };
    channel.publish('amq.direct', routingKey, 'back to you', properties, { mandatory: true });
    expect(await channel.returned()).toMatchObject({
      replyCode: 312,
      replyText: 'NO_ROUTE',
      exchange: 'amq.direct',
      routingKey,
      body: 'back to you',
      properties,
    });
  },
);

specTest({ section: 'basic.return', rule: 'not when a queue took it' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  channel.publish('', queue, 'x', {}, { mandatory: true });
  await channel.settled(queue, 1);
  await channel.expectNothing(30);
});

specTest({ section: 'basic.return', rule: 'not without mandatory' }, async (t) => {
  const channel = await t.channel();
  channel.publish('', t.name(), 'x');
  await channel.sync();
  await channel.expectNothing(30);
});

specTest({ section: 'basic.return', rule: 'a large body comes back whole' }, async (t) => {
  const channel = await t.channel();
  const body = Buffer.alloc(300_000, 'r');
  channel.publish('', t.name(), body, {}, { mandatory: true });
  expect((await channel.returned()).bytes.equals(body)).toBe(true);
});

specTest(
  { section: 'basic.return', rule: 'the alternate exchange counts as a route' },
  async (t) => {
    const channel = await t.channel();
    const alternate = await channel.exchange(t.name('x'), 'fanout', { autoDelete: true });
    const queue = await channel.queue('', { exclusive: true });
    await channel.bind(queue, alternate);
    const exchange = await channel.exchange(t.name('x'), 'direct', {
      arguments: { 'alternate-exchange': alternate },
    });
    channel.publish(exchange, 'k', 'x', {}, { mandatory: true });
    await channel.settled(queue, 1);
    await channel.expectNothing(30);
    await channel.call('exchange.delete', { exchange });
  },
);

specTest(
  { section: 'basic.return', rule: 'a full queue that drops is still a route' },
  async (t) => {
    const channel = await t.channel();
    const queue = await channel.queue(t.name(), {
      exclusive: true,
      arguments: { 'x-max-length': 0 },
    });
    channel.publish('', queue, 'x', {}, { mandatory: true });
    await channel.sync();
    await channel.expectNothing(50);
  },
);

specTest({ section: 'basic.return', rule: 'an unroutable exchange binding returns' }, async (t) => {
  const channel = await t.channel();
  const source = await channel.exchange(t.name('x'), 'fanout');
  const destination = await channel.exchange(t.name('x'), 'fanout');
  await channel.call('exchange.bind', { source, destination });
  channel.publish(source, '', 'x', {}, { mandatory: true });
  expect((await channel.returned()).exchange).toBe(source);
  for (const exchange of [source, destination]) await channel.call('exchange.delete', { exchange });
});
