/** What docs/OPERATIONS.md tells an operator to do with a running server. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { ServerProcess } from '../support/server-process.ts';
import { WireConnection } from '../support/wire-client.ts';

const MAIN = process.env['SERVER_MAIN'] ?? path.join(import.meta.dirname, '../../dist/src/main.js');
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

/** Runs a command as typed; its exit code, and what it wrote. */
function run(dataDir: string, ...argv: readonly string[]) {
  const args = [MAIN, ...argv, '--data-dir', dataDir];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  return { status, stdout, stderr };
}

/** As `cp`, which leaves the socket out or copies it as one. */
function copyFiles(from: string, to: string): void {
  for (const entry of fs.readdirSync(from, { withFileTypes: true })) {
    if (entry.isFile()) fs.copyFileSync(path.join(from, entry.name), path.join(to, entry.name));
  }
}

test('a copy that was made while the process stood still has all that was confirmed', async () => {
  const server = await start();
  const connection = await WireConnection.open(server.url);
  const channel = await connection.channel();
  await channel.queue('kept', { durable: true });
  await channel.confirmSelect();
  for (let n = 0; n < 300; n += 1) channel.publish('', 'kept', `first ${n}`, PERSISTENT);
  expect(await channel.confirmed(300)).toEqual([]);
  for (let n = 0; n < 300; n += 1) channel.publish('', 'kept', `then ${n}`, PERSISTENT);
  const copy = fs.mkdtempSync(path.join(os.tmpdir(), 'backup-'));
  cleanups.push(() => fs.rmSync(copy, { recursive: true }));
  process.kill(server.pid, 'SIGSTOP');
  try {
    copyFiles(server.dataDir, copy);
  } finally {
    process.kill(server.pid, 'SIGCONT');
  }
  expect(await channel.confirmed(600)).toEqual([]);
  connection.destroy();
  const { status, stdout } = run(copy, 'check');
  expect(stdout).toMatch(/\nsound\n$/);
  expect(status).toBe(0);
  const restored = await start({ dataDir: copy });
  const other = await WireConnection.open(restored.url);
  const { messages } = await (await other.channel()).counts('kept');
  expect(messages).toBeGreaterThanOrEqual(300);
  other.destroy();
});

test('what a command changed on a running server is there after a kill', async () => {
  const server = await start();
  const added = run(server.dataDir, 'key', 'add', 'guest');
  expect(added).toMatchObject({ status: 0, stderr: '' });
  const [id = ''] = added.stdout.split('\t');
  expect(run(server.dataDir, 'key', 'disable', id)).toMatchObject({ status: 0, stderr: '' });
  await server.kill();
  const listed = `${id}\tguest\t/\tdisabled\n`;
  // On the stopped directory, whose socket file is still there, and on a server again.
  expect(run(server.dataDir, 'key', 'list')).toMatchObject({ status: 0, stdout: listed });
  await server.restart();
  expect(run(server.dataDir, 'key', 'list')).toMatchObject({ status: 0, stdout: listed });
});
