/**
 * What survives a restart and what does not, after an orderly stop and after SIGKILL. Each test
 * has a server of its own, so this file needs our built server and not an address.
 */
import { afterEach, describe, expect, inject, test } from 'vitest';
import { ServerProcess } from '../support/server-process.ts';
import { type WireChannel, WireConnection } from '../support/wire-client.ts';

const isExternal = inject('target').url !== undefined;
/** Ms until what nothing confirms is on disk, also on one that stalls for seconds. */
const UNCONFIRMED_MS = 5_000;
const servers: ServerProcess[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) await server.dispose();
});

async function start(): Promise<ServerProcess> {
  const server = await ServerProcess.start();
  servers.push(server);
  return server;
}

async function channelOf(server: ServerProcess): Promise<WireChannel> {
  return await (await WireConnection.open(server.url)).channel();
}

type How = 'stop' | 'kill';

async function restart(server: ServerProcess, how: How): Promise<WireChannel> {
  if (how === 'stop') expect((await server.stop()).code).toBe(0);
  else await server.kill();
  await server.restart();
  return await channelOf(server);
}

const missing = async (channel: WireChannel, method: string, args: object): Promise<void> => {
  await channel.refused(method, { passive: true, ...args }, 404);
};

describe.skipIf(isExternal).each<How>(['stop', 'kill'])('after %s', (how) => {
  test('durable queues, exchanges and bindings are there, others gone', async () => {
    const server = await start();
    const before = await channelOf(server);
    await before.queue('durable', { durable: true, arguments: { 'x-max-length': 100 } });
    await before.queue('transient');
    await before.queue('exclusive', { exclusive: true, durable: true });
    await before.exchange('durable-x', 'topic', { durable: true });
    await before.exchange('inner-x', 'fanout', { durable: true, internal: true });
    await before.exchange('transient-x', 'topic');
    await before.bind('durable', 'durable-x', 'a.*');
    await before.bind('durable', 'transient-x', 'a.*');
    await before.call('exchange.bind', {
      source: 'durable-x',
      destination: 'inner-x',
      routingKey: 'b.*',
    });
    await before.bind('durable', 'inner-x', '');

    const channel = await restart(server, how);
    const { connection } = channel;
    await channel.queue('durable', { durable: true, arguments: { 'x-max-length': 100 } });
    await channel.exchange('durable-x', 'topic', { durable: true });
    await channel.exchange('inner-x', 'fanout', { durable: true, internal: true });
    channel.publish('durable-x', 'a.b', 'direct');
    channel.publish('durable-x', 'b.c', 'through');
    expect((await channel.getSoon('durable')).body).toBe('direct');
    expect((await channel.getSoon('durable')).body).toBe('through');
    await missing(await connection.channel(), 'queue.declare', { queue: 'transient' });
    await missing(await connection.channel(), 'queue.declare', { queue: 'exclusive' });
    await missing(await connection.channel(), 'exchange.declare', { exchange: 'transient-x' });
  });

  test('deleted and unbound things stay away', async () => {
    const server = await start();
    const before = await channelOf(server);
    await before.queue('kept', { durable: true });
    await before.queue('deleted', { durable: true });
    await before.exchange('deleted-x', 'fanout', { durable: true });
    await before.bind('kept', 'amq.direct', 'unbound');
    await before.call('queue.delete', { queue: 'deleted' });
    await before.call('exchange.delete', { exchange: 'deleted-x' });
    await before.call('queue.unbind', {
      queue: 'kept',
      exchange: 'amq.direct',
      routingKey: 'unbound',
    });
    const channel = await restart(server, how);
    channel.publish('amq.direct', 'unbound', 'x', {}, { mandatory: true });
    expect((await channel.returned()).replyCode).toBe(312);
    await missing(await channel.connection.channel(), 'queue.declare', { queue: 'deleted' });
    const other = await channel.connection.channel();
    await missing(other, 'exchange.declare', { exchange: 'deleted-x' });
  });

  test('confirmed persistent messages are there, in order, with all they carry', async () => {
    const server = await start();
    const before = await channelOf(server);
    await before.queue('q', { durable: true });
    await before.confirmSelect();
    const headers = { a: 1, list: ['x', null, true], nested: { deep: 0.5 } };
    for (let index = 0; index < 500; index += 1) {
      const properties = { deliveryMode: 2, messageId: `${index}`, headers, priority: 3 };
      before.publish('', 'q', `body ${index}`, properties);
    }
    expect(await before.confirmed(500)).toEqual([]);
    const channel = await restart(server, how);
    expect((await channel.counts('q')).messages).toBe(500);
    await channel.consume('q', { noAck: true });
    for (const [index, message] of (await channel.deliveries(500)).entries()) {
      expect(message.body).toBe(`body ${index}`);
      expect(message.properties).toEqual({
        deliveryMode: 2,
        messageId: `${index}`,
        headers,
        priority: 3,
      });
      // After a crash nobody knows what was delivered: the flag may be set, never falsely clear.
      if (how === 'stop') expect(message.redelivered).toBe(false);
    }
  });

  test('what was delivered but not acked comes back redelivered', async () => {
    const server = await start();
    const before = await channelOf(server);
    await before.queue('q', { durable: true });
    await before.confirmSelect();
    for (const body of ['a', 'b', 'c']) before.publish('', 'q', body, { deliveryMode: 2 });
    await before.confirmed(3);
    expect((await before.getSoon('q', false)).body).toBe('a');
    // Until the mark of the delivery, which nothing confirms, is on disk.
    await new Promise((resolve) => setTimeout(resolve, UNCONFIRMED_MS));
    const channel = await restart(server, how);
    const seen = [];
    for (let index = 0; index < 3; index += 1) {
      const message = await channel.getSoon('q');
      seen.push([message.body, message.redelivered]);
    }
    expect(seen[0]).toEqual(['a', true]);
    expect(seen.map(([body]) => body)).toEqual(['a', 'b', 'c']);
  });

  test('a committed transaction is there whole, an open one not at all', async () => {
    const server = await start();
    const before = await channelOf(server);
    for (const queue of ['from', 'one', 'two']) await before.queue(queue, { durable: true });
    before.publish('', 'from', 'job', { deliveryMode: 2 });
    await before.call('tx.select');
    const job = await before.getSoon('from', false);
    before.publish('', 'one', 'result', { deliveryMode: 2 });
    before.publish('', 'two', 'result', { deliveryMode: 2 });
    before.ack(job.tag);
    await before.call('tx.commit');
    before.publish('', 'one', 'uncommitted', { deliveryMode: 2 });
    await before.sync();
    const channel = await restart(server, how);
    expect((await channel.counts('from')).messages).toBe(0);
    expect((await channel.counts('one')).messages).toBe(1);
    expect((await channel.counts('two')).messages).toBe(1);
  });

  test('a purged queue stays empty, priorities and streams stay as they were', async () => {
    const server = await start();
    const before = await channelOf(server);
    await before.confirmSelect();
    await before.queue('purged', { durable: true });
    const priority = { durable: true, arguments: { 'x-max-priority': 5 } };
    await before.queue('priority', priority);
    await before.queue('stream', { durable: true, arguments: { 'x-queue-type': 'stream' } });
    for (let index = 0; index < 10; index += 1) {
      for (const queue of ['purged', 'priority', 'stream']) {
        before.publish('', queue, `${index}`, { deliveryMode: 2, priority: index % 3 });
      }
    }
    await before.confirmed(30);
    await before.call('queue.purge', { queue: 'purged' });
    const channel = await restart(server, how);
    expect((await channel.counts('purged')).messages).toBe(0);
    const bodies = [];
    for (let index = 0; index < 10; index += 1) bodies.push((await channel.get('priority'))!.body);
    expect(bodies).toEqual(['2', '5', '8', '1', '4', '7', '0', '3', '6', '9']);
    await channel.call('basic.qos', { prefetchCount: 20 });
    await channel.consume('stream', { arguments: { 'x-stream-offset': 'first' } });
    const all = (await channel.deliveries(10)).map((message) => message.body);
    expect(all).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
  });

  test('time to live goes on across the restart', async () => {
    const server = await start();
    const before = await channelOf(server);
    await before.queue('q', { durable: true, arguments: { 'x-message-ttl': 1_500 } });
    await before.confirmSelect();
    before.publish('', 'q', 'short', { deliveryMode: 2 });
    await before.confirmed(1);
    const channel = await restart(server, how);
    await new Promise((resolve) => setTimeout(resolve, 1_600));
    expect(await channel.get('q')).toBeUndefined();
  });

  test('a delayed message is still delivered', async () => {
    const server = await start();
    const before = await channelOf(server);
    await before.exchange('late', 'x-delayed-message', {
      durable: true,
      arguments: { 'x-delayed-type': 'direct' },
    });
    await before.queue('q', { durable: true });
    await before.bind('q', 'late', 'k');
    await before.confirmSelect();
    before.publish('late', 'k', 'later', { deliveryMode: 2, headers: { 'x-delay': 1_500 } });
    await before.confirmed(1);
    const channel = await restart(server, how);
    expect((await channel.getSoon('q')).body).toBe('later');
  });

  test('dead letters and delivery counts go on', async () => {
    const server = await start();
    const before = await channelOf(server);
    await before.queue('dead', { durable: true });
    await before.queue('work', {
      durable: true,
      arguments: {
        'x-queue-type': 'quorum',
        'x-delivery-limit': 2,
        'x-dead-letter-exchange': '',
        'x-dead-letter-routing-key': 'dead',
      },
    });
    await before.confirmSelect();
    before.publish('', 'work', 'poison', { deliveryMode: 2 });
    await before.confirmed(1);
    before.reject((await before.getSoon('work', false)).tag, true);
    await before.sync();
    // Until the count, which nothing confirms, is on disk.
    await new Promise((resolve) => setTimeout(resolve, UNCONFIRMED_MS));
    const channel = await restart(server, how);
    for (let round = 0; round < 2; round += 1) {
      const message = await channel.getSoon('work', false);
      expect(message.headers['x-delivery-count']).toBe(round + 1);
      channel.reject(message.tag, true);
    }
    expect((await channel.getSoon('dead')).headers['x-last-death-reason']).toBe('delivery_limit');
  });
});

describe.skipIf(isExternal)('process', () => {
  test('SIGTERM closes connections with 320 and ends with 0', async () => {
    const server = await start();
    const connection = await WireConnection.open(server.url);
    const [error, exit] = await Promise.all([connection.outcome(), server.stop()]);
    expect([error.level, error.code]).toEqual(['connection', 320]);
    expect(error.text).toMatch(/^CONNECTION_FORCED/);
    expect(exit).toEqual({ code: 0, signal: null });
  });

  test('a second process on the same data directory is refused', async () => {
    const server = await start();
    await expect(ServerProcess.start({ dataDir: server.dataDir })).rejects.toThrow(/ended with/);
    expect(server.isRunning).toBe(true);
    await (await channelOf(server)).sync();
  });

  test('ten restarts in a row lose nothing', async () => {
    const server = await start();
    let channel = await channelOf(server);
    await channel.queue('q', { durable: true });
    for (let round = 1; round <= 10; round += 1) {
      await channel.confirmSelect();
      channel.publish('', 'q', `${round}`, { deliveryMode: 2 });
      await channel.confirmed(1);
      channel = await restart(server, round % 2 === 0 ? 'stop' : 'kill');
      expect((await channel.counts('q')).messages).toBe(round);
    }
  });
});
