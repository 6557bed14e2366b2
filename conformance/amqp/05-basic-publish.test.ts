import { expect } from 'vitest';
import { useBroker } from '../support/spec-test.ts';

const { specTest } = useBroker();

specTest(
  { section: 'basic.publish', rule: 'the default exchange routes by queue name' },
  async (t) => {
    const channel = await t.channel();
    const queue = await channel.queue('', { exclusive: true });
    channel.publish('', queue, 'hello');
    const message = await channel.getSoon(queue);
    expect([message.body, message.exchange, message.routingKey]).toEqual(['hello', '', queue]);
  },
);

specTest({ section: 'basic.publish', rule: 'an empty body arrives as such' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  channel.publish('', queue, '', { messageId: 'empty' });
  const message = await channel.getSoon(queue);
  expect([message.body, message.properties]).toEqual(['', { messageId: 'empty' }]);
});

specTest(
  { section: 'basic.publish', rule: 'an unroutable message is dropped silently' },
  async (t) => {
    const channel = await t.channel();
    channel.publish('', t.name(), 'lost');
    channel.publish('amq.direct', t.name('k'), 'lost');
    await channel.sync();
  },
);

specTest({ section: 'basic.publish', rule: 'a missing exchange gets 404' }, async (t) => {
  const channel = await t.channel();
  const exchange = t.name('x');
  channel.publish(exchange, 'k', 'body');
  const error = await channel.expectClose(404, `NOT_FOUND - no exchange '${exchange}' in vhost '`);
  expect([error.classId, error.methodId]).toEqual([60, 40]);
});

specTest(
  { section: 'basic.publish', rule: 'after a refused publish its whole content is consumed' },
  async (t) => {
    const connection = await t.connect();
    const channel = await connection.channel();
    const good = await connection.channel();
    const queue = await good.queue('', { exclusive: true });
    channel.publish(t.name('x'), 'k', Buffer.alloc(400_000));
    good.publish('', queue, 'after');
    await channel.expectClose(404);
    expect((await good.getSoon(queue)).body).toBe('after');
  },
);

specTest({ section: 'basic.publish', rule: 'immediate=true gets 540' }, async (t) => {
  const connection = await t.connect();
  const channel = await connection.channel();
  const queue = await channel.queue('', { exclusive: true });
  channel.publish('', queue, 'now', {}, { immediate: true });
  await connection.expectClose(540, 'NOT_IMPLEMENTED - immediate=true');
});

specTest(
  { section: 'basic.publish', rule: 'order is kept from one channel to a queue' },
  async (t) => {
    const channel = await t.channel();
    const queue = await channel.queue('', { exclusive: true });
    await channel.consume(queue, { noAck: true });
    const count = 2_000;
    for (let index = 0; index < count; index += 1) channel.publish('', queue, `${index}`);
    const bodies = (await channel.deliveries(count)).map((message) => Number(message.body));
    expect(bodies).toEqual(Array.from({ length: count }, (_, index) => index));
  },
);

specTest({ section: 'basic.publish', rule: 'channels of one connection interleave' }, async (t) => {
  const connection = await t.connect();
  const first = await connection.channel();
  const second = await connection.channel();
  const queue = await first.queue('', { exclusive: true });
  for (let index = 0; index < 100; index += 1) {
    first.publish('', queue, `1-${index}`);
    second.publish('', queue, `2-${index}`);
  }
  await first.settled(queue, 200);
  await first.consume(queue, { noAck: true });
  const bodies = (await first.deliveries(200)).map((message) => message.body);
  for (const channel of ['1', '2']) {
    const own = bodies.filter((body) => body.startsWith(channel)).map((body) => body.slice(2));
    expect(own).toEqual(Array.from({ length: 100 }, (_, index) => `${index}`));
  }
});

for (const expiration of ['abc', '-1', '1.5', '10x', ' 5', '', '99999999999999999999']) {
  specTest(
    { section: 'basic.publish', rule: `expiration ${JSON.stringify(expiration)} gets 406` },
    async (t) => {
      const channel = await t.channel();
      channel.publish('', 'nowhere', 'x', { expiration });
      await channel.expectClose(406, `PRECONDITION_FAILED - invalid expiration '${expiration}'`);
    },
  );
}

specTest({ section: 'basic.publish', rule: 'a body of 4 MiB arrives whole' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  const body = Buffer.alloc(4 * 1024 * 1024);
  for (let at = 0; at < body.length; at += 4) body.writeUInt32BE(at, at);
  channel.publish('', queue, body);
  const message = await channel.getSoon(queue);
  expect(message.bytes.equals(body)).toBe(true);
});

specTest(
  {
    section: 'basic.publish',
    rule: 'a body of 23 MiB is within the default limit',
    oursOnly: 'RabbitMQ 4 has a default limit of 16 MiB',
  },
  async (t) => {
    const channel = await t.channel();
    const queue = await channel.queue('', { exclusive: true });
    const body = Buffer.alloc(23 * 1024 * 1024, 'm');
    channel.publish('', queue, body);
    const message = await channel.getSoon(queue);
    expect(message.bytes.equals(body)).toBe(true);
  },
);

specTest(
  { section: 'basic.publish', rule: 'a body above the limit gets 406 once it has arrived' },
  async (t) => {
    const connection = await t.connect();
    const channel = await connection.channel();
    const size = (t.isPeer ? 16 : 64) * 1024 * 1024 + 1;
    channel.publish('', 'nowhere', Buffer.alloc(size));
    await channel.expectClose(406, 'PRECONDITION_FAILED - message size');
    await (await connection.channel()).sync();
  },
);

specTest({ section: 'basic.publish', rule: 'a queue bound twice gets one copy' }, async (t) => {
  const channel = await t.channel();
  const exchange = await channel.exchange(t.name('x'), 'topic', { autoDelete: true });
  const queue = await channel.queue('', { exclusive: true });
  for (const key of ['#', 'a.*', 'a.b', '*.b']) await channel.bind(queue, exchange, key);
  channel.publish(exchange, 'a.b', 'one');
  await channel.settled(queue, 1);
  expect((await channel.getSoon(queue)).body).toBe('one');
  expect(await channel.get(queue)).toBeUndefined();
});
