import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ChannelModel, connect } from 'amqplib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { silentLogger } from '../../src/base/logger.ts';
import type { Config } from '../../src/server/config.ts';
import { Server } from '../../src/server/server.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { serverConfig } from '../support/server-config.ts';

let directory = '';
const cleanUps: (() => unknown)[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tributary-server-'));
});

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  rmSync(directory, { recursive: true });
});

async function start(options: Partial<Config> = {}, store = new MemoryStore()) {
  const config = serverConfig(directory, options);
  const failures: Error[] = [];
  const onFatal = (error: Error) => failures.push(error);
  const server = await Server.start({ config, logger: silentLogger, store, onFatal });
  cleanUps.push(() => server.stop());
  return { server, store, failures };
}

async function open(port: number, host = '127.0.0.1'): Promise<ChannelModel> {
  const client = await connect({ hostname: host, port, username: 'guest', password: 'guest' });
  client.on('error', () => undefined);
  cleanUps.push(() => client.close().catch(() => undefined));
  return client;
}

function portOf(server: Server, protocol = 'amqp'): number {
  return server.listeners.find((listener) => listener.protocol === protocol)!.port;
}

describe('Server', () => {
  test('serves a stock client', async () => {
    const { server } = await start();
    const client = await open(portOf(server));
    const channel = await client.createConfirmChannel();
    const { queue } = await channel.assertQueue('work', { durable: true });
    channel.sendToQueue(queue, Buffer.from('hello'), { persistent: true });
    await channel.waitForConfirms();
    const message = await channel.get(queue, { noAck: true });
    expect(message !== false && message.content.toString()).toBe('hello');
    expect(server.connectionCount).toBe(1);
  });

  test('says what the configuration tells it to say', async () => {
    const { server } = await start({ serverProduct: 'Other', serverVersion: '3.13.0' });
    const client = await open(portOf(server));
    const { serverProperties } = client.connection as unknown as {
      serverProperties: Record<string, unknown>;
    };
    expect(serverProperties).toMatchObject({ product: 'Other', version: '3.13.0' });
  });

  test('listens on both loopback addresses by default', async () => {
    const { server } = await start({ host: [] });
    const hosts = server.listeners.map(({ host }) => host);
    expect(hosts).toContain('127.0.0.1');
    for (const host of hosts) await open(portOf(server), host);
    expect(new Set(server.listeners.map(({ port }) => port)).size).toBe(1);
  });

  test('closes connections with 320 when it stops', async () => {
    const { server } = await start();
    const port = portOf(server);
    const client = await open(port);
    const closed = new Promise<Error>((resolve) => client.once('close', resolve));
    await server.stop();
    const error = (await closed) as Error & { code?: number };
    expect(error.message).toContain('320');
    const refused = await new Promise<NodeJS.ErrnoException>((resolve) => {
      connectTcp(port, '127.0.0.1').once('error', resolve);
    });
    expect(refused.code).toBe('ECONNREFUSED');
  });

  test('stops although a client never answers', async () => {
    const { server } = await start();
    const socket = connectTcp(portOf(server), '127.0.0.1');
    cleanUps.push(() => socket.destroy());
    await new Promise((resolve) => socket.once('connect', resolve));
    await expect.poll(() => server.connectionCount).toBe(1);
    await server.stop();
  });

  test('drops connections above the maximum', async () => {
    const { server } = await start({ maxConnections: 1 });
    await open(portOf(server));
    await expect(open(portOf(server))).rejects.toThrow();
  });

  test('serves metrics and health when asked to', async () => {
    const { server } = await start({ metricsPort: 0 });
    const client = await open(portOf(server));
    const channel = await client.createChannel();
    await channel.assertQueue('work');
    channel.sendToQueue('work', Buffer.from('x'));
    await channel.checkQueue('work');
    const base = `http://127.0.0.1:${portOf(server, 'http/prometheus')}`;
    const text = await (await fetch(`${base}/metrics`)).text();
    expect(text).toContain('\nrabbitmq_queue_messages_ready 1\n');
    expect(text).toContain('\nrabbitmq_connections 1\n');
    const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    for (const sample of samples)
      expect(sample).toMatch(/^[a-z][a-z0-9_]*(\{\w+="\w+"\})? \d[\d.e-]*$/);
    expect((await fetch(`${base}/healthz`)).status).toBe(200);
    server.broker.setAlarm('disk', true);
    const sick = await fetch(`${base}/healthz`);
    expect([sick.status, await sick.text()]).toEqual([503, 'disk alarm\n']);
    expect((await fetch(`${base}/other`)).status).toBe(404);
    expect((await fetch(`${base}/metrics`, { method: 'POST', body: 'x' })).status).toBe(405);
  });

  test('serves metrics on the addresses that everything else is served on', async () => {
    const { server } = await start({ metricsPort: 0, host: ['127.0.0.1', '127.0.0.2'] });
    const hostsOf = (name: string) =>
      server.listeners.filter(({ protocol }) => protocol === name).map(({ host }) => host);
    expect(hostsOf('http/prometheus')).toEqual(hostsOf('amqp'));
    for (const { protocol, host, port } of server.listeners) {
      if (protocol !== 'http/prometheus') continue;
      expect((await fetch(`http://${host}:${port}/healthz`)).status).toBe(200);
    }
  });

  test('passes on that the store failed', async () => {
    const { store, failures } = await start();
    store.onFailure(new Error('fsync'));
    expect(failures.map(({ message }) => message)).toEqual(['fsync']);
  });

  test('closes the store again when it cannot listen', async () => {
    const { server } = await start();
    const store = new MemoryStore();
    let isClosed = false;
    const close = store.close.bind(store);
    store.close = () => {
      isClosed = true;
      return close();
    };
    await expect(start({ amqpPort: portOf(server) }, store)).rejects.toThrow('cannot listen');
    expect(isClosed).toBe(true);
  });

  test('serves TLS, with a certificate that can be replaced', async () => {
    const fixture = (name: string) => new URL(`../fixtures/tls/${name}`, import.meta.url).pathname;
    const { server } = await start({
      amqpPort: 'off',
      amqpsPort: 0,
      tlsCert: fixture('server.pem'),
      tlsKey: fixture('server.key'),
    });
    expect(server.listeners).toEqual([
      { protocol: 'amqps', host: '127.0.0.1', port: portOf(server, 'amqps') },
    ]);
    const url = `amqps://guest:guest@127.0.0.1:${portOf(server, 'amqps')}`;
    const client = await connect(url, { rejectUnauthorized: false });
    server.reloadTls();
    await client.close();
  });

  test('serves WebSockets over TLS, with the same certificate files', async () => {
    const fixture = (name: string) => new URL(`../fixtures/tls/${name}`, import.meta.url).pathname;
    const { server } = await start({
      amqpPort: 'off',
      httpsPort: 0,
      tlsCert: fixture('server.pem'),
      tlsKey: fixture('server.key'),
    });
    const port = portOf(server, 'https');
    expect(server.listeners).toEqual([{ protocol: 'https', host: '127.0.0.1', port }]);
    server.reloadTls();
    const socket = new WebSocket(`wss://127.0.0.1:${port}/ws/amqp`, { rejectUnauthorized: false });
    const lost = new Promise((resolve) => socket.once('close', resolve));
    await new Promise((resolve) => socket.once('open', resolve));
    const start1 = new Promise<Buffer>((resolve) => socket.once('message', resolve));
    socket.send(Buffer.from('AMQP\0\0\x09\x01', 'latin1'));
    expect([...(await start1).subarray(0, 3)]).toEqual([1, 0, 0]);
    expect(server.connectionCount).toBe(1);
    await server.stop();
    await lost;
  });
});
