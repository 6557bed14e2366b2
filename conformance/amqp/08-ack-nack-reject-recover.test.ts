import { expect } from 'vitest';
import { useBroker, type SpecContext } from '../support/spec-test.ts';
import type { WireChannel } from '../support/wire-client.ts';

const { specTest } = useBroker();

/** A channel with an exclusive queue that holds `bodies`. */
async function filled(t: SpecContext, bodies: readonly string[]): Promise<[WireChannel, string]> {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  for (const body of bodies) channel.publish('', queue, body);
  await channel.settled(queue, bodies.length);
  return [channel, queue];
}

/** Everything ready in the queue, in order, removed. */
async function drain(channel: WireChannel, queue: string): Promise<string[]> {
  const bodies: string[] = [];
  for (;;) {
    const message = await channel.get(queue);
    if (!message) return bodies;
    bodies.push(message.redelivered ? `${message.body}*` : message.body);
  }
}

specTest({ section: 'basic.ack', rule: 'settles one message' }, async (t) => {
  const [channel, queue] = await filled(t, ['a', 'b', 'c']);
  for (let index = 0; index < 3; index += 1) await channel.get(queue, false);
  channel.ack(2);
  await channel.call('basic.recover', { requeue: true });
  expect(await drain(channel, queue)).toEqual(['a*', 'c*']);
});

specTest({ section: 'basic.ack', rule: 'multiple settles up to the tag' }, async (t) => {
  const [channel, queue] = await filled(t, ['a', 'b', 'c']);
  for (let index = 0; index < 3; index += 1) await channel.get(queue, false);
  channel.ack(2, true);
  await channel.call('basic.recover', { requeue: true });
  expect(await drain(channel, queue)).toEqual(['c*']);
});

specTest({ section: 'basic.ack', rule: 'tag 0 with multiple settles all' }, async (t) => {
  const [channel, queue] = await filled(t, ['a', 'b', 'c']);
  for (let index = 0; index < 3; index += 1) await channel.get(queue, false);
  channel.ack(0, true);
  await channel.call('basic.recover', { requeue: true });
  expect(await drain(channel, queue)).toEqual([]);
});

specTest(
  { section: 'basic.ack', rule: 'tag 0 with multiple and nothing to settle is fine' },
  async (t) => {
    const channel = await t.channel();
    channel.ack(0, true);
    await channel.sync();
  },
);

specTest({ section: 'basic.ack', rule: 'tag 0 alone gets 406' }, async (t) => {
  const channel = await t.channel();
  channel.ack(0);
  await channel.expectClose(406, 'PRECONDITION_FAILED - unknown delivery tag 0');
});

specTest({ section: 'basic.ack', rule: 'an unknown tag gets 406' }, async (t) => {
  const channel = await t.channel();
  channel.ack(42);
  const error = await channel.expectClose(406, 'PRECONDITION_FAILED - unknown delivery tag 42');
  expect([error.classId, error.methodId]).toEqual([60, 80]);
});

specTest({ section: 'basic.ack', rule: 'an unknown tag with multiple gets 406' }, async (t) => {
  const [channel, queue] = await filled(t, ['a']);
  await channel.get(queue, false);
  channel.ack(42, true);
  await channel.expectClose(406, 'unknown delivery tag 42');
});

specTest({ section: 'basic.ack', rule: 'acking twice gets 406' }, async (t) => {
  const [channel, queue] = await filled(t, ['a']);
  await channel.get(queue, false);
  channel.ack(1);
  channel.ack(1);
  await channel.expectClose(406, 'unknown delivery tag 1');
});

specTest({ section: 'basic.ack', rule: "another channel's tag gets 406" }, async (t) => {
  const [channel, queue] = await filled(t, ['a']);
  await channel.get(queue, false);
  const other = await channel.connection.channel();
  other.ack(1);
  await other.expectClose(406, 'unknown delivery tag 1');
});

specTest({ section: 'basic.ack', rule: 'works out of order' }, async (t) => {
  const [channel, queue] = await filled(t, ['a', 'b', 'c', 'd']);
  for (let index = 0; index < 4; index += 1) await channel.get(queue, false);
  for (const tag of [4, 1, 3, 2]) channel.ack(tag);
  await channel.call('basic.recover', { requeue: true });
  expect(await drain(channel, queue)).toEqual([]);
});

for (const method of ['reject', 'nack'] as const) {
  specTest(
    { section: `basic.${method}`, rule: 'requeue puts it back in its place, redelivered' },
    async (t) => {
      const [channel, queue] = await filled(t, ['a', 'b', 'c']);
      await channel.get(queue, false);
      await channel.get(queue, false);
      channel.send(`basic.${method}`, { deliveryTag: 2, requeue: true });
      channel.send(`basic.${method}`, { deliveryTag: 1, requeue: true });
      expect(await drain(channel, queue)).toEqual(['a*', 'b*', 'c']);
    },
  );

  specTest({ section: `basic.${method}`, rule: 'without requeue it is dropped' }, async (t) => {
    const [channel, queue] = await filled(t, ['a', 'b']);
    await channel.get(queue, false);
    channel.send(`basic.${method}`, { deliveryTag: 1, requeue: false });
    expect(await drain(channel, queue)).toEqual(['b']);
  });

  specTest({ section: `basic.${method}`, rule: 'an unknown tag gets 406' }, async (t) => {
    const channel = await t.channel();
    channel.send(`basic.${method}`, { deliveryTag: 7 });
    await channel.expectClose(406, 'unknown delivery tag 7');
  });

  specTest(
    { section: `basic.${method}`, rule: 'a requeued message goes to a consumer' },
    async (t) => {
      const [channel, queue] = await filled(t, ['a']);
      await channel.consume(queue);
      const first = await channel.delivery();
      channel.send(`basic.${method}`, { deliveryTag: first.tag, requeue: true });
      const second = await channel.delivery();
      expect([second.body, second.redelivered, second.tag]).toEqual(['a', true, 2]);
    },
  );
}

specTest({ section: 'basic.nack', rule: 'multiple takes all up to the tag' }, async (t) => {
  const [channel, queue] = await filled(t, ['a', 'b', 'c']);
  for (let index = 0; index < 3; index += 1) await channel.get(queue, false);
  channel.nack(2, { multiple: true, requeue: true });
  expect(await drain(channel, queue)).toEqual(['a*', 'b*']);
});

specTest({ section: 'basic.nack', rule: 'tag 0 with multiple takes all' }, async (t) => {
  const [channel, queue] = await filled(t, ['a', 'b', 'c']);
  for (let index = 0; index < 3; index += 1) await channel.get(queue, false);
  channel.nack(0, { multiple: true, requeue: false });
  await channel.call('basic.recover', { requeue: true });
  expect(await drain(channel, queue)).toEqual([]);
});

specTest(
  { section: 'basic.recover', rule: 'requeue=true gives all back and answers' },
  async (t) => {
    const [channel, queue] = await filled(t, ['a', 'b', 'c']);
    for (let index = 0; index < 3; index += 1) await channel.get(queue, false);
    await channel.call('basic.recover', { requeue: true });
    expect(await drain(channel, queue)).toEqual(['a*', 'b*', 'c*']);
  },
);

specTest({ section: 'basic.recover', rule: 'the old tags die' }, async (t) => {
  const [channel, queue] = await filled(t, ['a']);
  await channel.get(queue, false);
  await channel.call('basic.recover', { requeue: true });
  channel.ack(1);
  await channel.expectClose(406, 'unknown delivery tag 1');
});

specTest({ section: 'basic.recover', rule: 'requeue=false gets 540' }, async (t) => {
  const connection = await t.connect();
  const channel = await connection.channel();
  channel.send('basic.recover', { requeue: false });
  await connection.expectClose(540, 'NOT_IMPLEMENTED - requeue=false');
});

specTest({ section: 'basic.recover', rule: 'redelivers to the own consumer' }, async (t) => {
  const [channel, queue] = await filled(t, ['a', 'b']);
  await channel.consume(queue);
  await channel.deliveries(2);
  await channel.call('basic.recover', { requeue: true });
  const again = await channel.deliveries(2);
  expect(again.map((message) => [message.body, message.redelivered])).toEqual([
    ['a', true],
    ['b', true],
  ]);
});

specTest({ section: 'basic.recover-async', rule: 'requeues without an answer' }, async (t) => {
  const [channel, queue] = await filled(t, ['a']);
  await channel.get(queue, false);
  channel.send('basic.recover-async', { requeue: true });
  await channel.sync();
  expect((await channel.getSoon(queue)).redelivered).toBe(true);
  await channel.expectNothing(20);
});

specTest(
  { section: 'requeue', rule: 'a lost connection requeues in the original order' },
  async (t) => {
    const setup = await t.channel();
    const queue = await setup.queue(t.name(), { durable: true });
    for (const body of ['a', 'b', 'c', 'd']) setup.publish('', queue, body);
    await setup.settled(queue, 4);
    const consumer = await t.channel();
    await consumer.call('basic.qos', { prefetchCount: 3 });
    await consumer.consume(queue);
    await consumer.deliveries(3);
    consumer.connection.destroy();
    await setup.settled(queue, 4);
    expect(await drain(setup, queue)).toEqual(['a*', 'b*', 'c*', 'd']);
    await setup.call('queue.delete', { queue });
  },
);
