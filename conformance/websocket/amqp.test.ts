/** AMQP 0-9-1 over WebSocket: the stock browser client, and what an upgrade may ask for. */
import { once } from 'node:events';
import { type AMQPMessage, AMQPWebSocketClient } from '@cloudamqp/amqp-client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { ServerProcess } from '../support/server-process.ts';

/** The client takes the browser's; Node 20 has none. */
Object.assign(globalThis, { WebSocket });

let server: ServerProcess;

beforeAll(async () => {
  server = await ServerProcess.start({ args: ['--allowed-origins', 'https://app.example'] });
});

afterAll(async () => {
  const exit = await server.stop();
  expect(exit.code).toBe(0);
  expect(server.errors).toEqual([]);
  await server.dispose();
});

function url(path: string, scheme = 'ws'): string {
  return `${scheme}://127.0.0.1:${server.port('http')}${path}`;
}

async function connect(path = '/ws/amqp', frameMax = 8192) {
  const client = new AMQPWebSocketClient({ url: url(path), frameMax });
  await client.connect();
  return client;
}

/** Opens a raw WebSocket; rejects with the status of a refused upgrade. */
async function upgrade(path: string, tokens: string[] = [], origin?: string): Promise<WebSocket> {
  const socket = new WebSocket(url(path), tokens, origin === undefined ? {} : { origin });
  await once(socket, 'open');
  return socket;
}

test('publishes with confirms and consumes what was published', async () => {
  const client = await connect();
  const channel = await client.channel();
  await channel.confirmSelect();
  const queue = await channel.queueDeclare('', { exclusive: true });
  const received: string[] = [];
  const got = new Promise<void>((resolve) => {
    void channel.basicConsume(queue.name, { noAck: false }, (message: AMQPMessage) => {
      received.push(message.bodyString() ?? '');
      expect(message.properties.headers).toEqual({ from: 'browser' });
      void message.ack();
      if (received.length === 100) resolve();
    });
  });
  const bodies = Array.from({ length: 100 }, (_, index) => `message ${index}`);
  const properties = { deliveryMode: 2, headers: { from: 'browser' } };
  await Promise.all(bodies.map((body) => channel.basicPublish('', queue.name, body, properties)));
  await got;
  expect(received).toEqual(bodies);
  await client.close();
});

test.each([
  ['/ws/amqp', 8192],
  ['/ws', 131_072],
  ['/', 131_072],
])('a message of 5 MB passes %s whole, in frames of %d bytes', async (path, frameMax) => {
  const client = await connect(path, frameMax);
  const channel = await client.channel();
  await channel.confirmSelect();
  const queue = await channel.queueDeclare('', { exclusive: true });
  const body = new Uint8Array(5_000_000);
  for (let index = 0; index < body.length; index += 1) body[index] = index * 31;
  await channel.basicPublish('', queue.name, body);
  const message = await channel.basicGet(queue.name, { noAck: true });
  expect(Buffer.compare(Buffer.from(message!.body!), Buffer.from(body))).toBe(0);
  await client.close();
});

test('what one turn delivers comes as one WebSocket message', async () => {
  const publisher = await connect();
  const channel = await publisher.channel();
  await channel.confirmSelect();
  const queue = await channel.queueDeclare('coalesced', { durable: false, autoDelete: true });
  await Promise.all(
    Array.from({ length: 200 }, () => channel.basicPublish('', queue.name, 'x'.repeat(20))),
  );
  const consumer = await connect();
  let messageCount = 0;
  const { socket } = consumer as unknown as { socket: WebSocket };
  socket.addEventListener('message', () => {
    messageCount += 1;
  });
  const consuming = await consumer.channel();
  let deliveryCount = 0;
  await new Promise<void>((resolve) => {
    void consuming.basicConsume(queue.name, { noAck: true }, () => {
      deliveryCount += 1;
      if (deliveryCount === 200) resolve();
    });
  });
  expect(messageCount).toBeLessThan(20);
  await consumer.close();
  await publisher.close();
});

test('a wrong password is refused in the protocol', async () => {
  const client = new AMQPWebSocketClient({ url: url('/ws/amqp'), password: 'wrong' });
  await expect(client.connect()).rejects.toBeDefined();
});

test('an offered `amqp` is echoed, no other token', async () => {
  const socket = await upgrade('/ws/amqp', ['other', 'amqp']);
  expect(socket.protocol).toBe('amqp');
  socket.terminate();
  await expect(upgrade('/ws/amqp', ['other'])).rejects.toThrow('400');
  await expect(upgrade('/nowhere')).rejects.toThrow('400');
});

test('pages of other origins are refused', async () => {
  await expect(upgrade('/ws/amqp', [], 'https://evil.example')).rejects.toThrow('403');
  for (const origin of [url('', 'http'), 'https://app.example']) {
    const socket = await upgrade('/ws/amqp', [], origin);
    socket.terminate();
  }
});

test('text messages end the connection with 1003', async () => {
  const socket = await upgrade('/ws/amqp');
  socket.send('AMQP');
  const [code] = (await once(socket, 'close')) as [number];
  expect(code).toBe(1003);
});

test('frames may be cut anywhere between messages', async () => {
  const socket = await upgrade('/ws/amqp');
  for (const byte of Buffer.from('AMQP\0\0\x09\x01', 'latin1')) socket.send(Buffer.of(byte));
  const [start] = (await once(socket, 'message')) as [Buffer];
  expect(start.subarray(0, 1)).toEqual(Buffer.of(1));
  expect(start.subarray(7, 11)).toEqual(Buffer.of(0, 10, 0, 10));
  socket.terminate();
});

test('a message above the limit ends the connection with 1009', async () => {
  const socket = await upgrade('/ws/amqp');
  socket.on('error', () => undefined);
  socket.send(Buffer.alloc(66 * 1024 * 1024));
  const [code] = (await once(socket, 'close')) as [number];
  expect([1006, 1009]).toContain(code);
});

test('plain requests get small answers', async () => {
  const index = await fetch(url('/', 'http'));
  expect(await index.text()).toContain('/ws/amqp');
  const health = await fetch(url('/health', 'http'));
  expect([health.status, await health.text()]).toEqual([200, 'ok\n']);
  expect((await fetch(url('/other', 'http'))).status).toBe(404);
  expect((await fetch(url('/', 'http'), { method: 'PUT', body: 'x' })).status).toBe(405);
});

test('a stop closes the AMQP connection in order, then the WebSocket', async () => {
  const own = await ServerProcess.start();
  const client = new AMQPWebSocketClient(`ws://127.0.0.1:${own.port('http')}/ws/amqp`);
  client.onerror = () => undefined;
  const lost = new Promise<unknown>((resolve) => {
    client.ondisconnect = resolve;
  });
  await client.connect();
  const exit = await own.stop();
  expect(exit.code).toBe(0);
  expect(String(await lost)).toContain('320');
  await own.dispose();
});
