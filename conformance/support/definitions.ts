/** A definitions file, as RabbitMQ exports it, for one test file; removed with its directory. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface DefinitionsFile {
  readonly file: string;
  dispose(): void;
}

/** Writes `definitions`, besides `guest` who may do everything. */
export function writeDefinitions(definitions: Readonly<Record<string, object[]>>): DefinitionsFile {
  const directory = mkdtempSync(join(tmpdir(), 'definitions-'));
  const file = join(directory, 'definitions.json');
  const { users = [], permissions = [], ...more } = definitions;
  const all = { configure: '.*', write: '.*', read: '.*' };
  const document = {
    vhosts: [{ name: '/' }],
    users: [{ name: 'guest', password: 'guest', tags: 'administrator' }, ...users],
    permissions: [{ user: 'guest', vhost: '/', ...all }, ...permissions],
    ...more,
  };
  writeFileSync(file, JSON.stringify(document));
  return { file, dispose: () => rmSync(directory, { recursive: true, force: true }) };
}
