import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { importDefinitions } from '../../../src/engine/definitions-import.ts';
import { withOfflineBroker } from '../../../src/server/commands/offline-broker.ts';
import { type Config, defaultConfig } from '../../../src/server/config.ts';
import { SqliteStore } from '../../../src/store/sqlite/sqlite-store.ts';
import { typeCommand } from './type-command.ts';

let directory = '';
let config: Config;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tributary-keys-'));
  config = { ...defaultConfig(), dataDir: directory, durability: 'relaxed' };
  const store = await SqliteStore.open({ directory, durability: 'relaxed' });
  await store.recover();
  await store.close();
  await withOfflineBroker(config, (broker) =>
    importDefinitions(broker, {
      vhosts: [{ name: '/' }, { name: 'shop' }],
      users: [{ name: 'ann', tags: '' }],
    }),
  );
});

afterEach(() => rmSync(directory, { recursive: true }));

const run = (argv: string) => typeCommand(directory, argv);

test('keys are added, listed, disabled, enabled and deleted', async () => {
  const added = await run('key add ann --vhost shop');
  expect(added.output).toMatch(/^AKID\w{32}\t\w{32}\n$/);
  const [id = '', secret] = added.output.trimEnd().split('\t');
  await withOfflineBroker(config, ({ access }) =>
    expect(access.keys.find(id)).toMatchObject({ secret, user: 'ann', vhost: 'shop' }),
  );
  const listed = (state: string) => `${id}\tann\tshop\t${state}\n`;
  expect((await run('key list')).output).toBe(listed('enabled'));
  expect(await run(`key disable ${id}`)).toEqual({ code: 0, output: '', errors: '' });
  expect((await run('key list')).output).toBe(listed('disabled'));
  await run(`key enable ${id}`);
  expect((await run('key list')).output).toBe(listed('enabled'));
  await run(`key delete ${id}`);
  expect((await run('key list')).output).toBe('');
});

test('id and secret may be given', async () => {
  const file = join(directory, 'secret');
  writeFileSync(file, 'a secret of mine\n');
  const { output } = await run(`key add ann --secret-id AKIDmine --secret-key-file ${file}`);
  expect(output).toBe('AKIDmine\ta secret of mine\n');
  expect((await run('key add ann --secret-id AKIDmine')).errors).toMatch(/'AKIDmine' exists/);
});

test.each([
  ['key', /usage: tributary key/],
  ['key make ann', /usage: tributary key add USER/],
  ['key constructor ann', /usage: tributary key add USER/],
  ['key add', /usage: tributary key add USER[^]*--data-dir DIR/],
  ['key list all', /usage: tributary key add USER/],
  ['key add bob', /there is no user 'bob'/],
  ['key add ann --vhost no', /there is no vhost 'no'/],
  ['key add ann --secret-id a.b', /a key id has 1 to 64 letters/],
  ['key add ann --secret-key-file /none/such', /--secret-key-file: cannot be read: ENOENT/],
  ['key delete AKIDnone', /there is no access key 'AKIDnone'/],
  ['key disable AKIDnone', /there is no access key 'AKIDnone'/],
])('%s is refused', async (argv, expected) => {
  const { code, errors } = await run(argv);
  expect(code).toBe(1);
  expect(errors).toMatch(expected);
});
