import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { silentLogger } from '../../src/base/logger.ts';
import type { Config } from '../../src/server/config.ts';
import { loadConfig } from '../../src/server/config-loader.ts';
import { Server } from '../../src/server/server.ts';
import { MemoryDisk } from '../../src/store/memory-disk.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { serverConfig } from '../support/server-config.ts';

const KEY = { cmqSecretId: 'AKIDtest', cmqSecretKey: 'secretsecret' };

let directory = '';
const cleanUps: (() => unknown)[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tributary-cmq-'));
});

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  rmSync(directory, { recursive: true });
});

async function start(options: Partial<Config> = {}, disk = new MemoryDisk()): Promise<Server> {
  const config = serverConfig(directory, { amqpPort: 'off', httpPort: 0, ...options });
  const store = new MemoryStore({ disk });
  const onFatal = () => undefined;
  const server = await Server.start({ config, logger: silentLogger, store, onFatal });
  cleanUps.push(() => server.stop());
  return server;
}

function hostOf(server: Server, protocol = 'http'): string {
  return `127.0.0.1:${server.listeners.find((one) => one.protocol === protocol)!.port}`;
}

async function call(
  server: Server,
  Action: string,
  parameters: Readonly<Record<string, string>> = {},
): Promise<Readonly<Record<string, unknown>>> {
  const all: Record<string, string> = {
    Action,
    SecretId: KEY.cmqSecretId,
    Timestamp: String(Math.floor(Date.now() / 1_000)),
    ...parameters,
  };
  const host = hostOf(server);
  const names = Object.keys(all).sort();
  const text = `POST${host}/v2/index.php?${names.map((name) => `${name}=${all[name]}`).join('&')}`;
  const Signature = createHmac('sha1', KEY.cmqSecretKey).update(text).digest('base64');
  const body = new URLSearchParams({ ...all, Signature });
  const answer = await fetch(`http://${host}/v2/index.php`, { method: 'POST', body });
  expect(answer.status).toBe(200);
  return (await answer.json()) as Readonly<Record<string, unknown>>;
}

const queueName = 'q';

test('serves queues to whoever has the configured key', async () => {
  const server = await start(KEY);
  expect(await call(server, 'CreateQueue', { queueName })).toMatchObject({ code: 0 });
  const sent = await call(server, 'SendMessage', { queueName, msgBody: 'hello' });
  expect(sent).toMatchObject({ code: 0 });
  const received = await call(server, 'ReceiveMessage', { queueName });
  expect(received).toMatchObject({ code: 0, msgId: sent['msgId'], msgBody: 'hello' });
  const receiptHandle = received['receiptHandle'] as string;
  expect(await call(server, 'DeleteMessage', { queueName, receiptHandle })).toMatchObject({
    code: 0,
  });
  expect(await call(server, 'ReceiveMessage', { queueName })).toMatchObject({ code: 7000 });
});

test('the pages are still there, and CMQ can be off', async () => {
  const on = await start(KEY);
  const page = await fetch(`http://${hostOf(on)}/`);
  expect(await page.text()).toContain('Tributary message gateway');
  const off = await start({ ...KEY, cmq: false });
  const body = new URLSearchParams({ Action: 'ListQueue' });
  const refused = await fetch(`http://${hostOf(off)}/v2/index.php`, { method: 'POST', body });
  expect(refused.status).toBe(405);
});

test('the port of MQTT alone has no CMQ and no examples', async () => {
  const server = await start({ ...KEY, webMqttPort: 0, serveExamples: true });
  const host = hostOf(server, 'http/web-mqtt');
  const body = new URLSearchParams({ Action: 'ListQueue' });
  const refused = await fetch(`http://${host}/v2/index.php`, { method: 'POST', body });
  expect(refused.status).toBe(405);
  expect((await fetch(`http://${host}/examples/`)).status).toBe(404);
  expect(await (await fetch(`http://${host}/`)).text()).not.toContain('CMQ');
});

test('without a key nobody gets in', async () => {
  const server = await start();
  expect(await call(server, 'ListQueue')).toMatchObject({ code: 4100 });
});

test('the configured key follows the configuration', async () => {
  const disk = new MemoryDisk();
  const first = await start(KEY, disk);
  await first.stop();
  const second = await start({ ...KEY, cmqSecretKey: 'another-secret' }, disk);
  expect(second.broker.access.keys.find(KEY.cmqSecretId)!.secret).toBe('another-secret');
  await second.stop();
  // Left out, it stays.
  const third = await start({}, disk);
  expect(third.broker.access.keys.find(KEY.cmqSecretId)!.secret).toBe('another-secret');
  const wrongUser = start({ ...KEY, cmqKeyUser: 'nobody' });
  await expect(wrongUser).rejects.toThrow("cmq-secret-id: no user 'nobody'");
  const wrongVhost = start({ ...KEY, cmqKeyVhost: 'none' });
  await expect(wrongVhost).rejects.toThrow("cmq-key-vhost: there is no vhost 'none'");
});

test('parked polls are answered when the server stops', async () => {
  const server = await start(KEY);
  await call(server, 'CreateQueue', { queueName });
  const parked = call(server, 'ReceiveMessage', { queueName, pollingWaitSeconds: '30' });
  // The poll is parked once calls that followed it have been answered.
  for (let count = 0; count < 3; count += 1) await call(server, 'ListQueue');
  await server.stop();
  expect(await parked).toMatchObject({ code: 7000 });
});

test('connections are limited, idle ones too', async () => {
  const server = await start({ ...KEY, maxConnections: 2 });
  const { port } = new URL(`http://${hostOf(server)}`);
  const open = () => connect(Number(port), '127.0.0.1').on('error', () => undefined);
  const sockets = [open(), open()];
  cleanUps.push(() => sockets.forEach((socket) => socket.destroy()));
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  const third = open();
  await once(third, 'close');
  sockets[0]!.destroy();
  await expect
    .poll(() => call(server, 'ListQueue').catch(() => undefined))
    .toMatchObject({
      code: 0,
    });
});

test('metrics count calls and messages', async () => {
  const server = await start({ ...KEY, metricsPort: 0 });
  await call(server, 'CreateQueue', { queueName });
  await call(server, 'SendMessage', { queueName, msgBody: 'x' });
  await call(server, 'ReceiveMessage', { queueName });
  await call(server, 'ReceiveMessage', { queueName });
  const url = `http://${hostOf(server, 'http/prometheus')}/metrics`;
  const text = await (await fetch(url)).text();
  expect(text).toContain('\ntributary_cmq_requests_total{action="ReceiveMessage",code="7000"} 1\n');
  expect(text).toContain('\ntributary_cmq_send_msg_num_total{vhost="/",queue="q"} 1\n');
  expect(text).toContain('\ntributary_cmq_recv_msg_num_total{vhost="/",queue="q"} 1\n');
  expect(text).toContain('\ntributary_cmq_recv_null_msg_num_total{vhost="/",queue="q"} 1\n');
  expect(text).toContain('\ntributary_cmq_invisible_msg_num{vhost="/",queue="q"} 1\n');
  const types = text.split('\n').filter((line) => line.startsWith('# TYPE'));
  expect(new Set(types).size).toBe(types.length);
});

test.each<[Record<string, string>, RegExp]>([
  [{ 'cmq-secret-id': 'AKIDx' }, /one is useless without the other/],
  [{ 'cmq-secret-key': 'x' }, /one is useless without the other/],
  [{ 'cmq-secret-id': 'AKID x', 'cmq-secret-key': 'long enough' }, /a key id has 1 to 64 letters/],
  [{ 'cmq-secret-id': 'AKIDx', 'cmq-secret-key': 'short' }, /secret of a key has 8 to 256/],
  [
    { 'cmq-secret-id': 'AKIDx', 'cmq-secret-key': 'x', 'cmq-secret-key-file': 'y' },
    /give one of them/,
  ],
  [{ 'cmq-delay-max': '6048001s' }, /cmq-delay-max: expected a time/],
])('%j is refused', (options, expected) => {
  const load = () => loadConfig({ flags: new Map(Object.entries(options)), environment: {} });
  expect(load).toThrow(expected);
});
