import { expect } from 'vitest';
import { tagged, type WireTable } from '../support/amqp-wire.ts';
import { pause, useBroker, type SpecContext } from '../support/spec-test.ts';
import type { WireChannel } from '../support/wire-client.ts';

const { specTest } = useBroker();

async function stream(t: SpecContext, args: WireTable = {}): Promise<[WireChannel, string]> {
  const channel = await t.channel();
  const queue = await channel.queue(t.name('stream'), {
    durable: true,
    arguments: { 'x-queue-type': 'stream', ...args },
  });
  return [channel, queue];
}

/** A confirmed run of messages "from" .. "from + count - 1". */
async function fill(channel: WireChannel, queue: string, from: number, count: number) {
  const publisher = await channel.connection.channel();
  await publisher.confirmSelect();
  for (let index = from; index < from + count; index += 1) {
    publisher.publish('', queue, `${index}`, { deliveryMode: 2 });
  }
  await publisher.confirmed(count);
  await publisher.close();
}

/** Reads from an offset on a fresh channel. */
async function read(
  channel: WireChannel,
  queue: string,
  offset: unknown,
  count: number,
): Promise<string[]> {
  const reader = await channel.connection.channel();
  await reader.call('basic.qos', { prefetchCount: 100 });
  await reader.consume(queue, { arguments: { 'x-stream-offset': offset } });
  const bodies: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const message = await reader.delivery();
    bodies.push(message.body);
    reader.ack(message.tag);
  }
  await reader.close();
  return bodies;
}

specTest(
  { section: 'stream', rule: 'must be durable, not exclusive, not auto-delete' },
  async (t) => {
    const connection = await t.connect();
    const type = { arguments: { 'x-queue-type': 'stream' } };
    for (const options of [
      { durable: false },
      { durable: true, exclusive: true },
      { durable: true, autoDelete: true },
    ]) {
      const channel = await connection.channel();
      const args = { queue: t.name(), ...options, ...type };
      await channel.refused('queue.declare', args, 406, 'PRECONDITION_FAILED');
    }
  },
);

specTest({ section: 'stream', rule: 'a prefetch of the whole channel will do' }, async (t) => {
  const [channel, queue] = await stream(t);
  await fill(channel, queue, 0, 3);
  const reader = await t.channel();
  await reader.call('basic.qos', { prefetchCount: 2, global: true });
  await reader.consume(queue, { arguments: { 'x-stream-offset': 'first' } });
  const read = await reader.deliveries(2);
  await reader.expectNothing();
  reader.ack(2, true);
  expect([...read, await reader.delivery()].map(({ body }) => body)).toEqual(['0', '1', '2']);
});

specTest(
  { section: 'stream', rule: 'reading does not remove; offset first and a number' },
  async (t) => {
    const [channel, queue] = await stream(t);
    await fill(channel, queue, 0, 20);
    const all = Array.from({ length: 20 }, (_, index) => `${index}`);
    expect(await read(channel, queue, 'first', 20)).toEqual(all);
    expect(await read(channel, queue, 'first', 20)).toEqual(all);
    expect(await read(channel, queue, 7, 13)).toEqual(all.slice(7));
    await channel.call('queue.delete', { queue });
  },
);

specTest({ section: 'stream', rule: 'deliveries carry x-stream-offset' }, async (t) => {
  const [channel, queue] = await stream(t);
  await fill(channel, queue, 0, 5);
  await channel.call('basic.qos', { prefetchCount: 10 });
  await channel.consume(queue, { arguments: { 'x-stream-offset': 'first' } });
  const offsets = (await channel.deliveries(5)).map((one) => one.headers['x-stream-offset']);
  expect(offsets).toEqual([0, 1, 2, 3, 4]);
  await channel.call('queue.delete', { queue });
});

for (const offset of ['next', undefined]) {
  specTest(
    { section: 'stream', rule: `offset ${offset ?? '(none)'}: only new ones` },
    async (t) => {
      const [channel, queue] = await stream(t);
      await fill(channel, queue, 0, 5);
      await channel.call('basic.qos', { prefetchCount: 10 });
      const args = offset === undefined ? {} : { 'x-stream-offset': offset };
      await channel.consume(queue, { arguments: args });
      await channel.expectNothing(100);
      await fill(channel, queue, 5, 2);
      expect((await channel.deliveries(2)).map((one) => one.body)).toEqual(['5', '6']);
      await channel.call('queue.delete', { queue });
    },
  );
}

specTest(
  {
    section: 'stream',
    rule: 'offset last: from the last chunk',
    tolerance: 'a chunk is the broker’s affair: the last message must be among what comes',
  },
  async (t) => {
    const [channel, queue] = await stream(t);
    await fill(channel, queue, 0, 5);
    await fill(channel, queue, 5, 1);
    await channel.call('basic.qos', { prefetchCount: 10 });
    await channel.consume(queue, { arguments: { 'x-stream-offset': 'last' } });
    for (;;) {
      if ((await channel.delivery()).body === '5') break;
    }
    await channel.call('queue.delete', { queue });
  },
);

specTest({ section: 'stream', rule: 'offset timestamp' }, async (t) => {
  const [channel, queue] = await stream(t);
  await fill(channel, queue, 0, 3);
  await pause(2_100);
  const now = Math.floor(Date.now() / 1000);
  await fill(channel, queue, 3, 3);
  expect(await read(channel, queue, tagged('T', now), 3)).toEqual(['3', '4', '5']);
  const past = tagged('T', now - 3600);
  expect(await read(channel, queue, past, 6)).toEqual(['0', '1', '2', '3', '4', '5']);
  await channel.call('queue.delete', { queue });
});

specTest({ section: 'stream', rule: 'offset interval' }, async (t) => {
  const [channel, queue] = await stream(t);
  await fill(channel, queue, 0, 3);
  expect(await read(channel, queue, '5m', 3)).toEqual(['0', '1', '2']);
  expect(await read(channel, queue, '1h', 3)).toEqual(['0', '1', '2']);
  await channel.call('queue.delete', { queue });
});

specTest({ section: 'stream', rule: 'an offset that means nothing gets 406' }, async (t) => {
  const [channel, queue] = await stream(t);
  const other = await channel.connection.channel();
  await other.call('basic.qos', { prefetchCount: 10 });
  const args = { queue, arguments: { 'x-stream-offset': 'sometime' } };
  await other.refused('basic.consume', args, 406, 'PRECONDITION_FAILED');
  await channel.call('queue.delete', { queue });
});

specTest({ section: 'stream', rule: 'consuming without prefetch gets 406' }, async (t) => {
  const [channel, queue] = await stream(t);
  const other = await channel.connection.channel();
  await other.refused('basic.consume', { queue }, 406, 'consumer prefetch count is not set');
  await channel.call('queue.delete', { queue });
});

specTest({ section: 'stream', rule: 'consuming with no-ack gets 540' }, async (t) => {
  const [channel, queue] = await stream(t);
  const connection = await t.connect();
  const other = await connection.channel();
  await other.call('basic.qos', { prefetchCount: 10 });
  other.send('basic.consume', { queue, noAck: true });
  await connection.expectClose(540, 'NOT_IMPLEMENTED');
  await channel.call('queue.delete', { queue });
});

for (const method of ['basic.get', 'queue.purge']) {
  specTest({ section: 'stream', rule: `${method} gets 540` }, async (t) => {
    const [channel, queue] = await stream(t);
    const connection = await t.connect();
    (await connection.channel()).send(method, { queue });
    await connection.expectClose(540, 'NOT_IMPLEMENTED');
    await channel.call('queue.delete', { queue });
  });
}

specTest({ section: 'stream', rule: 'prefetch is credit: acks make room' }, async (t) => {
  const [channel, queue] = await stream(t);
  await fill(channel, queue, 0, 10);
  await channel.call('basic.qos', { prefetchCount: 3 });
  await channel.consume(queue, { arguments: { 'x-stream-offset': 'first' } });
  const got = [...(await channel.deliveries(3))];
  await channel.expectNothing(50);
  while (got.length < 10) {
    channel.ack(got.at(-1)!.tag, true);
    got.push(await channel.delivery());
  }
  const expected = Array.from({ length: 10 }, (_, index) => `${index}`);
  expect(got.map((one) => one.body)).toEqual(expected);
  await channel.call('queue.delete', { queue });
});

specTest({ section: 'stream', rule: 'many readers, each at its own offset' }, async (t) => {
  const [channel, queue] = await stream(t);
  await fill(channel, queue, 0, 30);
  const all = Array.from({ length: 30 }, (_, index) => `${index}`);
  const starts = [0, 10, 20];
  const results = await Promise.all(starts.map((start) => read(channel, queue, start, 30 - start)));
  expect(results).toEqual(starts.map((start) => all.slice(start)));
  await channel.call('queue.delete', { queue });
});

specTest({ section: 'stream', rule: 'a reject neither removes nor requeues' }, async (t) => {
  const [channel, queue] = await stream(t);
  await fill(channel, queue, 0, 3);
  const reader = await channel.connection.channel();
  await reader.call('basic.qos', { prefetchCount: 10 });
  await reader.consume(queue, { arguments: { 'x-stream-offset': 'first' } });
  for (const message of await reader.deliveries(3)) reader.reject(message.tag, false);
  await reader.expectNothing(50);
  expect(await read(channel, queue, 'first', 3)).toEqual(['0', '1', '2']);
  await channel.call('queue.delete', { queue });
});

for (const [key, value] of [
  ['x-max-age', 'soon'],
  ['x-max-age', 5],
  ['x-max-length-bytes', -1],
] as const) {
  specTest({ section: 'stream', rule: `${key}=${value} gets 406` }, async (t) => {
    const channel = await t.channel();
    const args = { 'x-queue-type': 'stream', [key]: value };
    const declare = { queue: t.name(), durable: true, arguments: args };
    await channel.refused('queue.declare', declare, 406, 'PRECONDITION_FAILED');
  });
}

specTest({ section: 'stream', rule: 'retention arguments are accepted' }, async (t) => {
  const [channel, queue] = await stream(t, {
    'x-max-age': '7D',
    'x-max-length-bytes': 1_000_000,
    'x-stream-max-segment-size-bytes': 100_000,
  });
  await fill(channel, queue, 0, 3);
  expect(await read(channel, queue, 'first', 3)).toEqual(['0', '1', '2']);
  await channel.call('queue.delete', { queue });
});

specTest(
  {
    section: 'stream',
    rule: 'x-max-length-bytes drops the oldest',
  },
  async (t) => {
    const [channel, queue] = await stream(t, {
      'x-max-length-bytes': 20_000,
      'x-stream-max-segment-size-bytes': 5_000,
    });
    const publisher = await channel.connection.channel();
    await publisher.confirmSelect();
    for (let index = 0; index < 100; index += 1) {
      publisher.publish('', queue, `${index}`.padEnd(1_000), { deliveryMode: 2 });
    }
    await publisher.confirmed(100);
    const first = async (): Promise<number> => Number((await read(channel, queue, 'first', 1))[0]);
    await expect.poll(first).toBeGreaterThan(50);
    await channel.call('queue.delete', { queue });
  },
);

specTest({ section: 'stream', rule: 'bound to exchanges like any queue' }, async (t) => {
  const [channel, queue] = await stream(t);
  const key = t.name('k');
  await channel.bind(queue, 'amq.topic', key);
  await channel.confirmSelect();
  channel.publish('amq.topic', key, 'routed', { headers: { a: 1 } });
  await channel.confirmed(1);
  expect(await read(channel, queue, 'first', 1)).toEqual(['routed']);
  await channel.call('queue.delete', { queue });
});
