import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Channel, connect } from 'amqplib';
import { silentLogger } from '../../../src/base/logger.ts';
import { Server } from '../../../src/server/server.ts';
import { SqliteStore } from '../../../src/store/sqlite/sqlite-store.ts';
import { serverConfig } from '../../support/server-config.ts';
import { typeCommand } from './type-command.ts';

let root = '';
let data = '';
let copy = '';
const cleanUps: (() => unknown)[] = [];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tributary-backup-'));
  data = join(root, 'data');
  copy = join(root, 'copy');
});

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  rmSync(root, { recursive: true });
});

async function start(directory: string) {
  const store = await SqliteStore.open({ directory, durability: 'relaxed' });
  const config = serverConfig(directory);
  const server = await Server.start({
    config,
    logger: silentLogger,
    store,
    backup: (target) => store.backup(target),
    onFatal: (error) => expect.fail(error.message),
  });
  cleanUps.push(() => server.stop());
  const { port } = server.listeners[0]!;
  const client = await connect({ port, username: 'guest', password: 'guest' });
  client.on('error', () => undefined);
  cleanUps.push(() => client.close().catch(() => undefined));
  return { server, client };
}

async function drain(channel: Channel): Promise<string[]> {
  const texts: string[] = [];
  for (;;) {
    const message = await channel.get('work', { noAck: true });
    if (message === false) return texts;
    texts.push(message.content.toString());
  }
}

test('of a running server has what was confirmed, and a server starts with it', async () => {
  const { client } = await start(data);
  const channel = await client.createConfirmChannel();
  await channel.assertQueue('work');
  const publish = (text: string) =>
    channel.sendToQueue('work', Buffer.from(text), { persistent: true });
  for (let n = 0; n < 100; n += 1) publish(`before ${n}`);
  await channel.waitForConfirms();
  let isDone = false;
  const typed = typeCommand(data, `backup ${relative(process.cwd(), copy)}`).finally(() => {
    isDone = true;
  });
  for (let n = 0; !isDone; n += 1) {
    publish(`meanwhile ${n}`);
    await channel.waitForConfirms();
  }
  expect(await typed).toEqual({ code: 0, output: '', errors: '' });
  expect((await typeCommand(copy, 'check')).output).toMatch(/\nsound\n$/);
  const again = await start(copy);
  const texts = await drain(await again.client.createChannel());
  const before = Array.from({ length: 100 }, (_, n) => `before ${n}`);
  const meanwhile = Array.from({ length: texts.length - 100 }, (_, n) => `meanwhile ${n}`);
  expect(texts).toEqual([...before, ...meanwhile]);
});

test('of a stopped one, and what is there stays', async () => {
  const { server } = await start(data);
  await server.stop();
  expect(await typeCommand(data, `backup ${copy}`)).toEqual({ code: 0, output: '', errors: '' });
  expect((await typeCommand(copy, 'check')).output).toMatch(/\nsound\n$/);
  const refused = await typeCommand(data, `backup ${copy}`);
  expect(refused).toMatchObject({ code: 1, errors: expect.stringMatching(/^tributary: .*copy/) });
  expect(readdirSync(copy)).toContain('tributary.db');
  expect((await typeCommand(data, 'backup')).errors).toMatch(/^tributary: usage: .* backup DIR/);
  expect((await typeCommand(join(root, 'none'), `backup ${root}/other`)).code).toBe(1);
  expect(existsSync(join(root, 'other'))).toBe(false);
});
