import { createHmac } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'amqplib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Logger, silentLogger } from '../../src/base/logger.ts';
import { withOfflineBroker } from '../../src/server/commands/offline-broker.ts';
import type { Config } from '../../src/server/config.ts';
import { Server } from '../../src/server/server.ts';
import { SqliteStore } from '../../src/store/sqlite/sqlite-store.ts';
import { serverConfig } from '../support/server-config.ts';
import { typeCommand } from './commands/type-command.ts';

let directory = '';
const cleanUps: (() => unknown)[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tributary-control-'));
});

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  rmSync(directory, { recursive: true });
});

/** Collects what is logged. */
function collector(): { readonly logger: Logger; readonly lines: string[] } {
  const lines: string[] = [];
  const note = (fields: object, message: string): void => {
    lines.push(`${message} ${JSON.stringify(fields)}`);
  };
  return { logger: { ...silentLogger, info: note, warn: note, error: note }, lines };
}

async function start(
  options: Partial<Config> = {},
  logger: Logger = silentLogger,
): Promise<{ readonly server: Server; readonly config: Config }> {
  const config = serverConfig(directory, { durability: 'relaxed', httpPort: 0, ...options });
  const store = await SqliteStore.open({ directory: config.dataDir, durability: 'relaxed' });
  const onFatal = (): void => undefined;
  const server = await Server.start({ config, logger, store, onFatal });
  cleanUps.push(() => server.stop());
  return { server, config };
}

const run = (argv: string, input = '', dataDir = directory) => typeCommand(dataDir, argv, input);

const DONE = { code: 0, output: '', errors: '' };

/** Code of the answer to a request signed with a key. */
async function codeOfListQueue(server: Server, id: string, secret: string): Promise<unknown> {
  const { port } = server.listeners.find(({ protocol }) => protocol === 'http')!;
  const host = `127.0.0.1:${port}`;
  const timestamp = Math.floor(Date.now() / 1_000);
  const query = `Action=ListQueue&SecretId=${id}&Timestamp=${timestamp}`;
  const text = `POST${host}/v2/index.php?${query}`;
  const signature = createHmac('sha1', secret).update(text).digest('base64');
  const body = `${query}&Signature=${encodeURIComponent(signature)}`;
  const answer = await fetch(`http://${host}/v2/index.php`, { method: 'POST', body });
  return ((await answer.json()) as { code: unknown }).code;
}

function logIn(server: Server, username: string, password: string): Promise<unknown> {
  const { port } = server.listeners.find(({ protocol }) => protocol === 'amqp')!;
  const opened = connect({ hostname: '127.0.0.1', port, username, password });
  return opened.then((client) => client.close());
}

describe('on a serving broker', () => {
  test('a stolen key is revoked at once, and its successor was there before', async () => {
    const { server, config } = await start();
    const [first = '', firstSecret = ''] = (await run('key add guest')).output.trim().split('\t');
    expect(await codeOfListQueue(server, first, firstSecret)).toBe(0);
    const [next = '', nextSecret = ''] = (await run('key add guest')).output.trim().split('\t');
    expect(await run(`key disable ${first}`)).toEqual(DONE);
    expect(await codeOfListQueue(server, first, firstSecret)).toBe(4100);
    expect(await codeOfListQueue(server, next, nextSecret)).toBe(0);
    expect(await run(`key delete ${first}`)).toEqual(DONE);
    expect((await run('key list')).output).toBe(`${next}\tguest\t/\tenabled\n`);
    // What was answered is on disk.
    await server.stop();
    await withOfflineBroker(config, ({ access }) =>
      expect([...access.keys.all()].map(({ id }) => id)).toEqual([next]),
    );
  });

  test('users come, change their passwords and go', async () => {
    const { server } = await start();
    expect(await run('add-user ann --permissions .* .* .*', 'one\n')).toEqual(DONE);
    await logIn(server, 'ann', 'one');
    expect(await run('change-password ann', 'two\n')).toEqual(DONE);
    await logIn(server, 'ann', 'two');
    await expect(logIn(server, 'ann', 'one')).rejects.toThrow('ACCESS_REFUSED');
    expect((await run('list-users')).output).toBe('ann\t\nguest\tadministrator\n');
    expect(await run('add-vhost shop')).toEqual(DONE);
    expect(await run('set-permissions ann .* .* ^r --vhost shop')).toEqual(DONE);
    expect(server.broker.access.permission('ann', 'shop')!.read.source).toBe('^r');
    expect(await run('delete-user ann')).toEqual(DONE);
    await expect(logIn(server, 'ann', 'two')).rejects.toThrow('ACCESS_REFUSED');
  });

  test('connections of a deleted user end', async () => {
    const { server } = await start();
    await run('add-user ann --permissions .* .* .*', 'one');
    const { port } = server.listeners.find(({ protocol }) => protocol === 'amqp')!;
    const login = { hostname: '127.0.0.1', port, username: 'ann', password: 'one' };
    const client = await connect(login);
    const closed = new Promise<Error>((resolve) => client.once('close', resolve));
    await run('delete-user ann');
    expect((await closed).message).toContain('320');
  });

  test('files are read and written where the command was typed', async () => {
    await start();
    const file = join(directory, 'secret');
    writeFileSync(file, 'a secret of mine\n');
    const { output } = await run(`key add guest --secret-id AKIDx --secret-key-file ${file}`);
    expect(output).toBe('AKIDx\ta secret of mine\n');
    const definitions = join(directory, 'out.json');
    expect(await run(`export-definitions ${definitions}`)).toEqual(DONE);
    expect(statSync(definitions).mode & 0o777).toBe(0o600);
  });

  test('mistakes are told as on a stopped one', async () => {
    await start();
    for (const [argv, expected] of [
      ['key disable AKIDnone', "there is no access key 'AKIDnone'"],
      ['key add bob', "there is no user 'bob'"],
      ['add-user guest', "user 'guest' exists"],
      ['set-permissions guest ( .* .*', 'invalid regular expression'],
      ['check', 'which must be stopped first'],
    ] as const) {
      const { code, errors } = await run(argv, 'password');
      expect(errors).toContain(expected);
      expect(code).toBe(1);
    }
  });

  test('a key of the configuration comes with a word on the next start', async () => {
    await start({ cmqSecretId: 'AKIDx', cmqSecretKey: 'secretsecret' });
    const { code, errors } = await run('key delete AKIDx');
    expect([code, errors]).toEqual([
      0,
      'tributary: cmq-secret-id names this key, so the next start makes it again: ' +
        'take it out of there as well\n',
    ]);
  });

  test('the log tells what was done, and no secret', async () => {
    const { logger, lines } = collector();
    await start({}, logger);
    const [, secret] = (await run('key add guest')).output.trim().split('\t');
    await run('add-user ann', 'pass word');
    const told = lines.filter((line) => line.startsWith('command carried out'));
    expect(told).toEqual([
      'command carried out {"command":"key","words":["add","guest"]}',
      'command carried out {"command":"add-user","words":["ann"]}',
    ]);
    expect(lines.join('\n')).not.toContain(secret);
    expect(lines.join('\n')).not.toContain('pass word');
  });
});

describe('the socket', () => {
  const path = () => join(directory, 'tributary.sock');

  test('is for its owner only, and goes with the server', async () => {
    const { server } = await start();
    expect(statSync(path()).mode & 0o777).toBe(0o600);
    await server.stop();
    expect(existsSync(path())).toBe(false);
    expect((await run('list-users')).output).toBe('guest\tadministrator\n');
  });

  test('of a killed process is replaced', async () => {
    writeFileSync(path(), '');
    await start();
    expect((await run('list-users')).output).toBe('guest\tadministrator\n');
  });

  test('is left out where its path would be too long', async () => {
    const deep = join(directory, 'd'.repeat(100));
    mkdirSync(deep);
    const { logger, lines } = collector();
    await start({ dataDir: deep }, logger);
    expect(lines.join('\n')).toContain('no control socket: commands need the server stopped');
    const { code, errors } = await run('list-users', '', deep);
    expect(errors).toContain('which takes no commands');
    expect(code).toBe(1);
  });

  test.each([
    ['no JSON', 'hello'],
    ['no order', '{"command":1}'],
    ['words that are none', '{"command":"key","words":[1],"options":{}}'],
    ['an unknown command', '{"command":"make-coffee","words":[],"options":{}}'],
    ['too few words', '{"command":"add-vhost","words":[],"options":{}}'],
  ])('refuses %s', async (_, text) => {
    await start();
    expect(await ask(text)).toMatch(/^\{"error":"/);
    expect((await run('list-users')).code).toBe(0);
  });

  test('drops who says too much', async () => {
    await start();
    expect(await ask('x'.repeat(100_000))).toBe('');
  });

  function ask(text: string): Promise<string> {
    return new Promise((resolve) => {
      let answer = '';
      const socket = connectSocket(path(), () => socket.end(text));
      socket.on('data', (chunk) => {
        answer += chunk.toString('utf8');
      });
      socket.on('error', () => undefined);
      socket.on('close', () => resolve(answer));
    });
  }
});
