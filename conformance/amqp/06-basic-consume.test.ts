import { expect } from 'vitest';
import { useBroker } from '../support/spec-test.ts';

const { specTest } = useBroker();

specTest({ section: 'basic.consume', rule: 'the server makes tags up' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  const first = await channel.consume(queue);
  const second = await channel.consume(queue);
  expect(first).toMatch(/^amq\.ctag-.{10,}/);
  expect(second).not.toBe(first);
});

specTest(
  { section: 'basic.consume', rule: 'consume-ok comes before the first delivery' },
  async (t) => {
    const channel = await t.channel();
    const queue = await channel.queue('', { exclusive: true });
    for (let index = 0; index < 50; index += 1) channel.publish('', queue, `${index}`);
    await channel.settled(queue, 50);
    channel.send('basic.consume', { queue, consumerTag: 'me' });
    expect((await channel.expect('basic.consume-ok')).consumerTag).toBe('me');
    const messages = await channel.deliveries(50);
    expect(messages.map((message) => message.tag)).toEqual(messages.map((_, index) => index + 1));
    expect(messages.every((message) => message.consumerTag === 'me')).toBe(true);
  },
);

specTest({ section: 'basic.consume', rule: 'a missing queue gets 404' }, async (t) => {
  const channel = await t.channel();
  const queue = t.name();
  const error = await channel.refused(
    'basic.consume',
    { queue },
    404,
    `NOT_FOUND - no queue '${queue}' in vhost '`,
  );
  expect([error.classId, error.methodId]).toEqual([60, 20]);
});

specTest({ section: 'basic.consume', rule: 'a used tag on the channel gets 530' }, async (t) => {
  const connection = await t.connect();
  const channel = await connection.channel();
  const queue = await channel.queue('', { exclusive: true });
  await channel.consume(queue, { consumerTag: 'same' });
  channel.send('basic.consume', { queue, consumerTag: 'same' });
  await connection.expectClose(530, "NOT_ALLOWED - attempt to reuse consumer tag 'same'");
});

specTest(
  { section: 'basic.consume', rule: 'the same tag on another channel is fine' },
  async (t) => {
    const connection = await t.connect();
    const first = await connection.channel();
    const queue = await first.queue('', { exclusive: true });
    await first.consume(queue, { consumerTag: 'same' });
    await (await connection.channel()).consume(queue, { consumerTag: 'same' });
  },
);

specTest({ section: 'basic.consume', rule: 'no-wait: no reply, deliveries come' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  channel.send('basic.consume', { queue, consumerTag: 'c', noWait: true, noAck: true });
  channel.publish('', queue, 'x');
  expect((await channel.delivery()).consumerTag).toBe('c');
});

specTest({ section: 'basic.consume', rule: 'no-ack deliveries are settled at once' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  channel.publish('', queue, 'gone');
  await channel.consume(queue, { noAck: true });
  const message = await channel.delivery();
  channel.ack(message.tag);
  await channel.expectClose(406, `unknown delivery tag ${message.tag}`);
});

specTest({ section: 'basic.consume', rule: 'exclusive refuses a second consumer' }, async (t) => {
  const connection = await t.connect();
  const channel = await connection.channel();
  const queue = await channel.queue('', { exclusive: true });
  await channel.consume(queue, { exclusive: true });
  const other = await connection.channel();
  await other.refused(
    'basic.consume',
    { queue },
    403,
    /^ACCESS_REFUSED - queue '.*' in vhost '.*' in exclusive use$/,
  );
});

specTest(
  { section: 'basic.consume', rule: 'exclusive fails beside another consumer' },
  async (t) => {
    const connection = await t.connect();
    const channel = await connection.channel();
    const queue = await channel.queue('', { exclusive: true });
    await channel.consume(queue);
    const other = await connection.channel();
    await other.refused('basic.consume', { queue, exclusive: true }, 403, 'in exclusive use');
  },
);

specTest({ section: 'basic.consume', rule: 'exclusive use ends with a cancel' }, async (t) => {
  const connection = await t.connect();
  const channel = await connection.channel();
  const queue = await channel.queue('', { exclusive: true });
  const consumerTag = await channel.consume(queue, { exclusive: true });
  await channel.call('basic.cancel', { consumerTag });
  await (await connection.channel()).consume(queue);
});

specTest({ section: 'basic.consume', rule: 'no-local is ignored' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  await channel.consume(queue, { noLocal: true, noAck: true });
  channel.publish('', queue, 'mine');
  expect((await channel.delivery()).body).toBe('mine');
});

specTest({ section: 'basic.consume', rule: 'consumers of a queue take turns' }, async (t) => {
  const connection = await t.connect();
  const publisher = await connection.channel();
  const queue = await publisher.queue('', { exclusive: true });
  const consumers = [await connection.channel(), await connection.channel()];
  consumers.push(await connection.channel());
  for (const channel of consumers) await channel.consume(queue, { noAck: true });
  for (let index = 0; index < 300; index += 1) publisher.publish('', queue, `${index}`);
  await publisher.settled(queue, 0);
  for (const channel of consumers) expect(channel.inbox.size).toBeGreaterThan(50);
});

specTest({ section: 'basic.cancel', rule: 'answers with the tag' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  const consumerTag = await channel.consume(queue, { consumerTag: 'mine' });
  expect((await channel.call('basic.cancel', { consumerTag })).consumerTag).toBe('mine');
});

specTest({ section: 'basic.cancel', rule: 'an unknown tag gets cancel-ok' }, async (t) => {
  const channel = await t.channel();
  const consumerTag = t.name('tag');
  expect((await channel.call('basic.cancel', { consumerTag })).consumerTag).toBe(consumerTag);
});

specTest({ section: 'basic.cancel', rule: 'no delivery follows cancel-ok' }, async (t) => {
  const connection = await t.connect();
  const channel = await connection.channel();
  const publisher = await connection.channel();
  const queue = await publisher.queue('', { exclusive: true });
  const consumerTag = await channel.consume(queue, { noAck: true });
  for (let index = 0; index < 200; index += 1) publisher.publish('', queue, `${index}`);
  channel.send('basic.cancel', { consumerTag });
  let delivered = 0;
  for (;;) {
    const { name } = await channel.next();
    if (name === 'basic.cancel-ok') break;
    delivered += 1;
  }
  for (let index = 0; index < 50; index += 1) publisher.publish('', queue, `${index}`);
  await publisher.settled(queue, 250 - delivered);
  await channel.expectNothing(50);
});

specTest({ section: 'basic.cancel', rule: 'unacked messages stay with the channel' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  channel.publish('', queue, 'held');
  const consumerTag = await channel.consume(queue);
  const message = await channel.delivery();
  await channel.call('basic.cancel', { consumerTag });
  expect(await channel.get(queue)).toBeUndefined();
  channel.ack(message.tag);
  await channel.sync();
  expect(await channel.counts(queue)).toEqual({ messages: 0, consumers: 0 });
});

specTest({ section: 'basic.cancel', rule: 'a cancelled tag can be used again' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  for (let round = 0; round < 10; round += 1) {
    const consumerTag = await channel.consume(queue, { consumerTag: 'same' });
    await channel.call('basic.cancel', { consumerTag });
  }
});

specTest({ section: 'basic.cancel', rule: 'no-wait sends no reply' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  const consumerTag = await channel.consume(queue);
  channel.send('basic.cancel', { consumerTag, noWait: true });
  await channel.sync();
  expect((await channel.counts(queue)).consumers).toBe(0);
  await channel.expectNothing(20);
});

specTest(
  { section: 'basic.deliver', rule: 'carries exchange, key, tag and properties' },
  async (t) => {
    const channel = await t.channel();
    const queue = await channel.queue('', { exclusive: true });
    const routingKey = t.name('k');
    await channel.bind(queue, 'amq.direct', routingKey);
    const consumerTag = await channel.consume(queue);
    channel.publish('amq.direct', routingKey, 'body', { contentType: 'text/plain', priority: 3 });
    const message = await channel.delivery();
    expect(message).toMatchObject({
      consumerTag,
      tag: 1,
      redelivered: false,
      exchange: 'amq.direct',
      routingKey,
      body: 'body',
      properties: { contentType: 'text/plain', priority: 3 },
    });
  },
);

specTest(
  { section: 'basic.deliver', rule: 'tags count per channel, no-ack included' },
  async (t) => {
    const channel = await t.channel();
    const queue = await channel.queue('', { exclusive: true });
    for (const body of ['a', 'b', 'c']) channel.publish('', queue, body);
    await channel.settled(queue, 3);
    expect((await channel.get(queue, true))?.tag).toBe(1);
    expect((await channel.get(queue, false))?.tag).toBe(2);
    await channel.consume(queue, { noAck: true });
    expect((await channel.delivery()).tag).toBe(3);
  },
);

specTest({ section: 'basic.consume', rule: 'a hundred consumers on one channel' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  for (let index = 0; index < 100; index += 1) {
    channel.send('basic.consume', { queue, consumerTag: `c${index}`, noAck: true });
  }
  for (let index = 0; index < 100; index += 1) await channel.expect('basic.consume-ok');
  expect((await channel.counts(queue)).consumers).toBe(100);
});
