import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Logger, silentLogger } from '../../src/base/logger.ts';
import { readDefinitionsFile } from '../../src/server/definitions-file.ts';
import { parseRabbitmqConf } from '../../src/server/rabbitmq-conf.ts';
import { Server } from '../../src/server/server.ts';
import { MemoryDisk } from '../../src/store/memory-disk.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { serverConfig } from '../support/server-config.ts';

let directory = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tributary-definitions-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

function write(text: string): string {
  const path = join(directory, 'definitions.json');
  writeFileSync(path, text);
  return path;
}

function start(loadDefinitions: string | undefined, disk = new MemoryDisk(), logger?: Logger) {
  const config = serverConfig(directory, { shutdownTimeout: 100, loadDefinitions });
  const store = new MemoryStore({ disk });
  const onFatal = (error: Error) => {
    throw error;
  };
  return Server.start({ config, logger: logger ?? silentLogger, store, onFatal });
}

function userNames(server: Server): string[] {
  return [...server.broker.access.users()].map(({ name }) => name);
}

describe('load-definitions', () => {
  test('takes the place of the default user and vhost, now and later', async () => {
    const disk = new MemoryDisk();
    const file = write('\uFEFF{"users":[{"name":"ann","tags":[]}],"vhosts":[{"name":"v"}]}');
    const server = await start(file, disk);
    await server.stop();
    const again = await start(undefined, disk);
    expect(userNames(again)).toEqual(['ann']);
    expect([...again.broker.vhosts()].map(({ name }) => name)).toEqual(['v']);
    await again.stop();
  });

  test('leaves the users of earlier starts alone', async () => {
    const disk = new MemoryDisk();
    await (await start(undefined, disk)).stop();
    const server = await start(write('{"queues":[{"name":"q","vhost":"/"}]}'), disk);
    expect(userNames(server)).toEqual(['guest']);
    expect(server.broker.vhost('/')!.topology.queues.has('q')).toBe(true);
    await server.stop();
  });

  test('warns when nobody can log in, and of what it leaves out', async () => {
    const warnings: string[] = [];
    const logger: Logger = { ...silentLogger, warn: (_, message) => warnings.push(message) };
    const file = write('{"vhosts":[{"name":"/","limits":{"max-queues":1}}]}');
    await (await start(file, new MemoryDisk(), logger)).stop();
    expect(warnings).toEqual([
      "vhost '/': limits are not enforced",
      'there is no user: nobody can log in until one is defined',
    ]);
  });

  test('refuses the start with every mistake, and leaves no trace', async () => {
    const disk = new MemoryDisk();
    const file = write('{"vhosts":[{"name":"/"},{}],"queues":[{"name":"q","vhost":"w"}]}');
    await expect(start(file, disk)).rejects.toThrow(
      `load-definitions: ${file} has 2 mistakes, nothing of it was applied:\n` +
        '  vhost vhosts[1]: name is missing\n' +
        "  queue 'q' in vhost 'w': there is no such vhost",
    );
    const server = await start(undefined, disk);
    expect(userNames(server)).toEqual(['guest']);
    await server.stop();
  });

  test('names a file that is missing or no JSON', () => {
    expect(() => readDefinitionsFile(join(directory, 'none'))).toThrow(/none: ENOENT/);
    const file = write('{');
    expect(() => readDefinitionsFile(file)).toThrow(`load-definitions: ${file}: `);
  });

  test.each(['load_definitions', 'management.load_definitions', 'definitions.local.path'])(
    'is %s in rabbitmq.conf',
    (key) => {
      const { values, problems } = parseRabbitmqConf(`${key} = /etc/rabbitmq/definitions.json`);
      expect(problems).toEqual([]);
      expect(values.get('load-definitions')).toBe('/etc/rabbitmq/definitions.json');
    },
  );
});
