/** The process at its edges: drain on SIGTERM, a second process, a full disk, a stopped clock. */
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { ServerProcess } from '../support/server-process.ts';
import { WireConnection } from '../support/wire-client.ts';

const PERSISTENT = { deliveryMode: 2 };
const cleanups: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(options: Parameters<typeof ServerProcess.start>[0] = {}) {
  const server = await ServerProcess.start(options);
  cleanups.push(() => server.dispose());
  return server;
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

test.each(['SIGTERM', 'SIGINT'] as const)(
  '%s closes clients with 320 and exits 0',
  async (signal) => {
    const server = await start();
    const connections = await Promise.all(
      Array.from({ length: 5 }, () => WireConnection.open(server.url)),
    );
    const busy = await connections[0]!.channel();
    await busy.queue('busy', { durable: true });
    await busy.confirmSelect();
    for (let index = 0; index < 500; index += 1) {
      busy.publish('', 'busy', `message ${index}`, PERSISTENT);
    }
    await busy.confirmed(500);
    process.kill(server.pid, signal);
    for (const connection of connections) {
      const outcome = await connection.outcome();
      expect([outcome.level, outcome.code]).toEqual(['connection', 320]);
    }
    // A second signal would end it at once: ask for the exit only when it is there.
    for (let waited = 0; server.isRunning && waited < 45_000; waited += 20) await pause(20);
    expect(await server.stop()).toEqual({ code: 0, signal: null });
    await server.restart();
    const check = await (await WireConnection.open(server.url)).channel();
    expect((await check.counts('busy')).messages).toBe(500);
  },
);

test('SIGTERM ends in bounded time though a client neither reads nor answers', async () => {
  const server = await start();
  const connection = await WireConnection.open(server.url);
  await connection.channel();
  connection.manualCloseOk = true;
  connection.stopReading();
  const startedAtMs = performance.now();
  const exit = await server.stop();
  connection.destroy();
  expect(exit).toEqual({ code: 0, signal: null });
  // The server gives such a client ten seconds; the rest is for a busy machine.
  expect(performance.now() - startedAtMs).toBeLessThan(30_000);
});

test('SIGTERM to `npm start` reaches the server, and its code comes back', async () => {
  const dataDir = fs.mkdtempSync(path.join(os.tmpdir(), 'conformance-npm-'));
  cleanups.push(() => fs.rmSync(dataDir, { recursive: true, force: true }));
  const ports = ['amqp', 'mqtt', 'stomp', 'http'].flatMap((name) => [`--${name}-port`, '0']);
  const npm = spawn('npm', ['start', '--silent', '--', '--data-dir', dataDir, ...ports], {
    cwd: path.resolve(import.meta.dirname, '../..'),
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let output = '';
  npm.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    if (text.includes('"msg":"ready"')) npm.kill('SIGTERM');
  });
  const code = await new Promise((resolve) => npm.once('exit', resolve));
  const pid = /"pid":(\d+)/.exec(output)?.[1];
  if (!output.includes('"msg":"stopped"')) process.kill(Number(pid), 'SIGKILL');
  expect(output).toContain('"msg":"stopped"');
  expect(code).toBe(0);
});

test('a second process on the same data directory is refused with a clear message', async () => {
  const server = await start();
  const second = ServerProcess.start({ dataDir: server.dataDir });
  await expect(second).rejects.toThrow(/data|lock|use|running/i);
  // The first is unharmed, and once it is gone the directory is free, SIGKILL included.
  const connection = await WireConnection.open(server.url);
  await (await connection.channel()).queue('alive', { durable: true });
  connection.destroy();
  await server.kill();
  await server.restart();
});

test('SIGSTOP and SIGCONT lose nothing', async () => {
  const server = await start();
  const connection = await WireConnection.open(server.url);
  const channel = await connection.channel();
  await channel.queue('paused', { durable: true });
  await channel.confirmSelect();
  for (let index = 0; index < 200; index += 1) {
    channel.publish('', 'paused', `before ${index}`, PERSISTENT);
  }
  process.kill(server.pid, 'SIGSTOP');
  for (let index = 0; index < 200; index += 1) {
    channel.publish('', 'paused', `during ${index}`, PERSISTENT);
  }
  await pause(1_500);
  process.kill(server.pid, 'SIGCONT');
  expect(await channel.confirmed(400)).toEqual([]);
  expect((await channel.counts('paused')).messages).toBe(400);
  connection.destroy();
});

/** Mounts a small tmpfs; undefined when this machine does not allow that. */
function mountTmpfs(megabytes: number): string | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'small-disk-'));
  const { status } = spawnSync('mount', [
    '-t',
    'tmpfs',
    '-o',
    `size=${megabytes}m`,
    'tmpfs',
    directory,
  ]);
  if (status !== 0) {
    fs.rmdirSync(directory);
    return undefined;
  }
  cleanups.push(() => {
    spawnSync('umount', ['-l', directory]);
    fs.rmdirSync(directory);
  });
  return directory;
}

test('a full disk: publishers are held or the process ends, and nothing confirmed is lost', async (context) => {
  const dataDir = mountTmpfs(24);
  if (dataDir === undefined) return context.skip();
  const server = await start({ dataDir });
  const connection = await WireConnection.open(server.url);
  const channel = await connection.channel();
  await channel.queue('full', { durable: true });
  await channel.confirmSelect();
  const body = 'x'.repeat(20_000);
  const sent = 2_000;
  for (let index = 0; index < sent; index += 1) {
    channel.publish('', 'full', `${index} ${body}`, PERSISTENT);
  }
  // 40 MB into 24 MB: some are confirmed, and then no more.
  let confirmed = 0;
  for (;;) {
    const incoming = await channel.next(4_000).catch((error: unknown) => error);
    if (incoming instanceof Error) break;
    const { name, args } = incoming as { name: string; args: { deliveryTag: bigint } };
    if (name === 'basic.ack') confirmed = Math.max(confirmed, Number(args.deliveryTag));
  }
  connection.destroy();
  expect(confirmed).toBeLessThan(sent);
  if (server.isRunning) await server.kill();
  // More room, and the server must come up with every confirmed message.
  spawnSync('mount', ['-o', 'remount,size=200m', dataDir]);
  await server.restart();
  const check = await (await WireConnection.open(server.url)).channel();
  const bodies = new Set<number>();
  for (;;) {
    const message = await check.get('full', true);
    if (message === undefined) break;
    bodies.add(Number(message.body.split(' ')[0]));
  }
  const missing = Array.from({ length: confirmed }, (_, index) => index).filter(
    (index) => !bodies.has(index),
  );
  expect(missing).toEqual([]);
});

test('an unreadable data directory is refused with a message and a code', async () => {
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'not-a-directory-')), 'file');
  fs.writeFileSync(file, 'this is no directory');
  cleanups.push(() => fs.rmSync(path.dirname(file), { recursive: true, force: true }));
  const main = path.resolve(import.meta.dirname, '../../dist/src/main.js');
  const ports = ['amqp', 'mqtt', 'stomp', 'http'].flatMap((name) => [`--${name}-port`, '0']);
  const child = spawn(process.execPath, [main, '--data-dir', file, ...ports], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const timer = setTimeout(() => child.kill('SIGKILL'), 60_000);
  const code = await new Promise((resolve) => child.once('exit', resolve));
  clearTimeout(timer);
  expect(code).not.toBe(0);
  expect(code).not.toBe(null);
  expect(output.length).toBeGreaterThan(0);
});
