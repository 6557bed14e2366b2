/** What a restart keeps, after a clean stop and after SIGKILL. */
import { afterEach, expect, test } from 'vitest';
import { ServerProcess } from '../support/server-process.ts';
import { type Delivery, type WireChannel, WireConnection } from '../support/wire-client.ts';

const PERSISTENT = { deliveryMode: 2 };
const servers: ServerProcess[] = [];

async function start(args: readonly string[] = []): Promise<ServerProcess> {
  const server = await ServerProcess.start({ args });
  servers.push(server);
  return server;
}

afterEach(async () => {
  for (const server of servers.splice(0)) await server.dispose();
});

async function publishConfirmed(
  channel: WireChannel,
  queue: string,
  bodies: readonly string[],
): Promise<void> {
  await channel.confirmSelect();
  for (const body of bodies) channel.publish('', queue, body, PERSISTENT);
  expect(await channel.confirmed(bodies.length)).toEqual([]);
}

async function takeAll(server: ServerProcess, queue: string): Promise<Delivery[]> {
  const connection = await WireConnection.open(server.url);
  const channel = await connection.channel();
  const list: Delivery[] = [];
  for (;;) {
    const message = await channel.get(queue, true);
    if (message === undefined) break;
    list.push(message);
  }
  await connection.close();
  return list;
}

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `message ${index}`);
}

test('a clean restart keeps durable queues, bindings and persistent messages, in order', async () => {
  const server = await start();
  const connection = await WireConnection.open(server.url);
  const channel = await connection.channel();
  await channel.queue('kept', { durable: true });
  await channel.queue('gone', { durable: false, exclusive: true });
  await channel.exchange('kept-exchange', 'topic', { durable: true });
  await channel.bind('kept', 'kept-exchange', 'a.#');
  await publishConfirmed(channel, 'kept', numbered(300));
  expect((await server.stop()).code).toBe(0);
  await server.restart();

  const again = await WireConnection.open(server.url);
  const check = await again.channel();
  expect((await check.counts('kept')).messages).toBe(300);
  check.publish('kept-exchange', 'a.b.c', 'through the binding', PERSISTENT);
  await check.settled('kept', 301);
  const gone = await again.channel();
  await gone.refused('queue.declare', { queue: 'gone', passive: true }, 404);
  await again.close();
  const messages = await takeAll(server, 'kept');
  expect(messages.map((message) => message.body)).toEqual([
    ...numbered(300),
    'through the binding',
  ]);
});

test('after a clean restart, what was never delivered is not marked redelivered', async () => {
  const server = await start();
  const connection = await WireConnection.open(server.url);
  const channel = await connection.channel();
  await channel.queue('fresh', { durable: true });
  await publishConfirmed(channel, 'fresh', numbered(50));
  expect((await server.stop()).code).toBe(0);
  await server.restart();
  const messages = await takeAll(server, 'fresh');
  expect(messages).toHaveLength(50);
  expect(messages.filter((message) => message.redelivered)).toEqual([]);
});

test.each(['SIGTERM', 'SIGKILL'])(
  'what was delivered comes back marked after %s',
  async (signal) => {
    const server = await start();
    const connection = await WireConnection.open(server.url);
    const channel = await connection.channel();
    await channel.queue('leased', { durable: true });
    await publishConfirmed(channel, 'leased', numbered(10));
    const consumer = await connection.channel();
    await consumer.call('basic.qos', { prefetchCount: 4 });
    await consumer.consume('leased');
    const seen = await consumer.deliveries(4);
    expect(seen.map((delivery) => delivery.redelivered)).toEqual([false, false, false, false]);
    if (signal === 'SIGTERM') await server.stop();
    else await server.kill();
    await server.restart();
    const messages = await takeAll(server, 'leased');
    expect(messages.map((message) => message.body)).toEqual(numbered(10));
    expect(messages.slice(0, 4).every((message) => message.redelivered)).toBe(true);
  },
);

test('what was acked before a clean stop does not come back', async () => {
  const server = await start();
  const connection = await WireConnection.open(server.url);
  const channel = await connection.channel();
  await channel.queue('acked', { durable: true });
  await publishConfirmed(channel, 'acked', numbered(20));
  const consumer = await connection.channel();
  await consumer.consume('acked');
  const deliveries = await consumer.deliveries(20);
  for (const delivery of deliveries.filter((_, index) => index % 2 === 0)) {
    consumer.ack(delivery.tag);
  }
  await consumer.sync();
  await server.stop();
  await server.restart();
  const bodies = (await takeAll(server, 'acked')).map((message) => message.body);
  expect(bodies).toEqual(numbered(20).filter((_, index) => index % 2 === 1));
});

test('transient messages and transient queues do not survive; durable definitions do', async () => {
  const server = await start();
  const connection = await WireConnection.open(server.url);
  const channel = await connection.channel();
  await channel.queue('durable', { durable: true });
  await channel.queue('transient', { durable: false });
  channel.publish('', 'durable', 'transient message');
  channel.publish('', 'durable', 'persistent message', PERSISTENT);
  await channel.settled('durable', 2);
  await server.stop();
  await server.restart();
  const messages = await takeAll(server, 'durable');
  expect(messages.map((message) => message.body)).toEqual(['persistent message']);
  const again = await WireConnection.open(server.url);
  const check = await again.channel();
  await check.refused('queue.declare', { queue: 'transient', passive: true }, 404);
  again.destroy();
});

test('a deleted queue and a purge stay deleted after SIGKILL', async () => {
  const server = await start();
  const connection = await WireConnection.open(server.url);
  const channel = await connection.channel();
  await channel.queue('deleted', { durable: true });
  await channel.queue('purged', { durable: true });
  await channel.confirmSelect();
  for (let index = 0; index < 100; index += 1) {
    channel.publish('', 'deleted', `${index}`, PERSISTENT);
    channel.publish('', 'purged', `${index}`, PERSISTENT);
  }
  await channel.confirmed(200);
  expect((await channel.call('queue.delete', { queue: 'deleted' })).messageCount).toBe(100);
  expect((await channel.call('queue.purge', { queue: 'purged' })).messageCount).toBe(100);
  await server.kill();
  await server.restart();
  const again = await WireConnection.open(server.url);
  const check = await again.channel();
  expect((await check.counts('purged')).messages).toBe(0);
  await check.refused('queue.declare', { queue: 'deleted', passive: true }, 404);
  again.destroy();
});

test('headers and properties survive SIGKILL byte for byte', async () => {
  const server = await start();
  const connection = await WireConnection.open(server.url);
  const channel = await connection.channel();
  await channel.queue('properties', { durable: true });
  await channel.confirmSelect();
  const properties = {
    deliveryMode: 2,
    contentType: 'application/json',
    contentEncoding: 'utf-8',
    headers: { text: 'value', flag: true, nested: { deep: 'x' } },
    priority: 3,
    correlationId: 'correlation',
    replyTo: 'reply',
    messageId: 'id-1',
    type: 'type',
    appId: 'app',
  };
  channel.publish('', 'properties', 'first', properties);
  await channel.confirmed(1);
  const before = await channel.get('properties', false);
  await server.kill();
  await server.restart();
  const [after] = await takeAll(server, 'properties');
  expect(after?.rawProperties).toEqual(before?.rawProperties);
  expect(after?.body).toBe('first');
});
