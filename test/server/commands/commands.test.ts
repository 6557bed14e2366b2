import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { importDefinitions } from '../../../src/engine/definitions-import.ts';
import { Message } from '../../../src/engine/message.ts';
import { withOfflineBroker } from '../../../src/server/commands/offline-broker.ts';
import { type Config, defaultConfig } from '../../../src/server/config.ts';
import { SqliteStore } from '../../../src/store/sqlite/sqlite-store.ts';
import { encodeHeader } from '../../../protocols/amqp/content-header.ts';
import { damageFile } from './damage.ts';
import { type Typed, typeCommand } from './type-command.ts';

let directory = '';
let config: Config;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tributary-commands-'));
  config = { ...defaultConfig(), dataDir: directory, durability: 'relaxed' };
  const store = await SqliteStore.open({ directory, durability: 'relaxed' });
  await store.recover();
  await store.close();
  await withOfflineBroker(config, (broker) =>
    importDefinitions(broker, { vhosts: [{ name: '/' }], users: [{ name: 'ann', tags: 'own' }] }),
  );
});

afterEach(() => rmSync(directory, { recursive: true }));

const run = (argv: string, input = '') => typeCommand(directory, argv, input);

const DONE: Typed = { code: 0, output: '', errors: '' };

describe('users', () => {
  test('are added, listed and deleted', async () => {
    const add = 'add-user bob --tags administrator,own --permissions .* ^w --vhost /';
    expect(await run(add.replace('^w', '^w .*'), 'secret\n')).toEqual(DONE);
    expect((await run('list-users')).output).toBe('ann\town\nbob\tadministrator,own\n');
    await withOfflineBroker(config, async ({ access }) => {
      const user = await new Promise((resolve) => access.authenticate('bob', 'secret', resolve));
      expect(user).toBe(access.user('bob'));
      expect(access.user('bob')!.password!.algorithm).toBe('scrypt');
      const patterns = { configure: '.*', write: '^w', read: '.*' };
      expect(access.permission('bob', '/')!.toJson()).toEqual(patterns);
    });
    expect(await run('delete-user bob')).toEqual(DONE);
    expect((await run('list-users')).output).toBe('ann\town\n');
  });

  test('get passwords from a file and new ones later', async () => {
    const file = join(directory, 'password');
    writeFileSync(file, 'one\n');
    expect(await run(`add-user bob --password-file ${file}`)).toEqual(DONE);
    expect(await run('change-password bob', 'two')).toEqual(DONE);
    await withOfflineBroker(config, async ({ access }) => {
      const login = (password: string) =>
        new Promise((resolve) => access.authenticate('bob', password, resolve));
      expect(await login('one')).toBeUndefined();
      expect(await login('two')).toBeDefined();
    });
  });

  test('get permissions in a vhost', async () => {
    expect(await run('add-vhost shop')).toEqual(DONE);
    expect(await run('set-permissions ann .* .* ^r --vhost=shop')).toEqual(DONE);
    await withOfflineBroker(config, ({ access }) =>
      expect(access.permission('ann', 'shop')!.read.source).toBe('^r'),
    );
  });

  test.each([
    ['add-user', /^tributary: usage: tributary add-user NAME/],
    ['add-user ann', /user 'ann' exists/],
    ['add-user bob --permissions ( .* .*', /invalid regular expression/],
    ['add-user bob --permissions .*', /--permissions: takes 3 values/],
    ['add-user bob --permissions .* .* .* --vhost no', /there is no vhost 'no'/],
    ['add-user bob --vhost /', /--permissions is missing/],
    ['add-user bob --tag own', /--tag: no such option of add-user/],
    ['add-user bob --tags a --tags b', /--tags: given twice/],
    ['add-user bob --password-file /none/such', /--password-file: cannot be read: ENOENT/],
    ['delete-user bob', /there is no user 'bob'/],
    ['change-password bob', /there is no user 'bob'/],
    ['set-permissions ann .* .*', /usage: tributary set-permissions USER/],
    ['set-permissions ann .* .* .* --vhost no', /there is no vhost 'no'/],
    ['add-vhost /', /vhost '\/' exists/],
    ['list-users --data-dir /none/such', /there is no data in \/none\/such/],
    ['export-definitions /none/such', /\/none\/such: cannot be written: ENOENT/],
    ['dump --limit x', /--limit: takes a whole number/],
    ['dump --queue none', /there is no durable queue 'none'/],
  ])('%s is refused', async (argv, text) => {
    const { code, errors } = await run(argv, 'password');
    expect(errors).toMatch(text);
    expect(code).toBe(1);
    expect((await run('list-users')).output).toBe('ann\town\n');
  });

  test('have no empty password', async () => {
    expect(await run('add-user bob', '\n')).toMatchObject({ code: 1 });
  });
});

test('the first user besides guest comes with a word on what it opens', async () => {
  expect(await run('add-user guest', 'secret')).toEqual(DONE);
  expect(await run('delete-user ann')).toEqual(DONE);
  const { code, errors } = await run('add-user bob', 'secret');
  expect(errors).toMatch(/^tributary: from the next start on it listens on all addresses/);
  expect(code).toBe(0);
  expect(await run('add-user cid', 'secret')).toEqual(DONE);
});

test('a name may look like an option after --', async () => {
  expect(await run('add-vhost -- --odd')).toEqual(DONE);
  await withOfflineBroker(config, (broker) => expect(broker.vhost('--odd')).toBeDefined());
});

test('commands are refused while a process has the data and takes no orders', async () => {
  const store = await SqliteStore.open({ directory, durability: 'relaxed' });
  for (const [argv, advice] of [
    ['list-users', 'which takes no commands: it starts or stops now'],
    ['check', 'which must be stopped first'],
  ] as const) {
    const { code, errors } = await run(argv);
    const owner = `data directory ${directory} is in use by process ${process.pid}`;
    expect(errors).toContain(`tributary: ${owner}, ${advice}`);
    expect(code).toBe(1);
  }
  await store.recover();
  await store.close();
});

test('other words are no such commands, and each command has help', async () => {
  expect((await run('serve')).code).toBeUndefined();
  const { code, output } = await run('dump --help');
  expect(code).toBe(0);
  expect(output).toMatch(/^usage: tributary dump \[--queue NAME\]/);
  expect((await run('help dump')).output).toBe(output);
  expect((await run('help')).code).toBeUndefined();
  expect((await run('check --help')).output).toMatch(/^usage: tributary check \[--data-dir DIR\]/);
});

describe('export-definitions', () => {
  test('writes what load-definitions reads', async () => {
    const { output } = await run('export-definitions');
    expect(JSON.parse(output)).toMatchObject({
      product_name: 'Tributary',
      product_version: '1.2.3',
      users: [{ name: 'ann', tags: ['own'] }],
    });
    const file = join(directory, 'out.json');
    expect(await run(`export-definitions ${file}`)).toEqual(DONE);
    expect(readFileSync(file, 'utf8')).toBe(output);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });
});

/** Publishes to the default exchange. */
async function publish(queue: string, bodies: readonly Buffer[]): Promise<void> {
  await withOfflineBroker(config, async (broker) => {
    const queues = [{ name: queue, vhost: '/', durable: true }];
    await importDefinitions(broker, { queues });
    const { publisher, topology } = broker.vhost('/')!;
    const route = publisher.resolve(topology.defaultExchange, queue);
    const headers = new Map([['n', 7]]);
    for (const body of bodies) {
      const header = encodeHeader({ deliveryMode: 2, contentType: 'a/b', headers }, body.length);
      const bytes = Buffer.concat([header, body]);
      const sizes = [header.length, body.length] as const;
      const message = new Message('', queue, 0, bytes, 0, ...sizes, true, -1, -1, 1e12);
      publisher.publish(route, message);
    }
  });
}

describe('dump', () => {
  test('prints each message, text or not, small or large', async () => {
    const large = 'x'.repeat(100_000);
    await publish('b', [Buffer.from('grüße'), Buffer.from([0xff, 0]), Buffer.from(large)]);
    await publish('a', [Buffer.from('other')]);
    const { code, output } = await run('dump');
    expect(code).toBe(0);
    const rows = output
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { body: string });
    expect(rows).toHaveLength(4);
    expect(rows[0]).toMatchObject({ queue: 'a', sequence: 1, body: 'other' });
    expect(rows[1]).toEqual({
      vhost: '/',
      queue: 'b',
      sequence: 1,
      exchange: '',
      routing_key: 'b',
      persistent: true,
      published_at: '2001-09-09T01:46:40.000Z',
      properties: { contentType: 'a/b', deliveryMode: 2, headers: { n: 7 } },
      body_encoding: 'utf8',
      body: 'grüße',
    });
    expect(rows[2]).toMatchObject({ sequence: 2, body_encoding: 'base64', body: '/wA=' });
    expect(rows[3]!.body).toBe(large);
    const some = await run('dump --queue b --limit 2');
    expect(some.output.trimEnd().split('\n')).toHaveLength(2);
    expect((await run('dump --limit 0')).output).toBe('');
    expect((await run('dump --vhost elsewhere')).output).toBe('');
  });
});

describe('check', () => {
  test('says that all is sound, and changes nothing', async () => {
    await publish('q', [Buffer.from('one')]);
    const { code, output } = await run('check');
    expect(output).toMatch(/messages {5}1 live of 1 stored\n[^]*sound\n$/);
    expect(code).toBe(0);
    expect((await run('check')).output).toBe(output);
  });

  test.each([
    ['a flipped bit in a message', 'data', /row \d+: data checksum/],
    ['a flipped bit in an index', 'runs', /row \d+: index checksum/],
    ['settled bits of another row', 'bits', /settled entries of row \d+: 9 bytes for 2 entries/],
  ] as const)('finds %s', async (_, what, text) => {
    await publish('q', [Buffer.from('one'), Buffer.from('two')]);
    await damageFile(directory, what);
    const { code, output } = await run('check');
    expect(output).toMatch(text);
    expect(code).toBe(1);
  });
});
