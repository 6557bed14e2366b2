/**
 * protocols/cmq/README.md against the tables it is about. `UPDATE_GENERATED=1` writes the generated
 * parts anew.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ACTIONS, type ActionSpec, type ApiVersion } from '../../../protocols/cmq/spec/actions.ts';
import { CMQ_ERRORS } from '../../../protocols/cmq/spec/errors.ts';
import { ROOT } from '../../support/source-tree.ts';

const FOLDER = join(ROOT, 'protocols/cmq');
const README = join(FOLDER, 'README.md');

const SOURCES = ['', 'spec'].flatMap((folder) =>
  readdirSync(join(FOLDER, folder))
    .filter((name) => name.endsWith('.ts') && name !== 'errors.ts')
    .map((name) => {
      const path = folder === '' ? name : `${folder}/${name}`;
      return { path, text: readFileSync(join(FOLDER, path), 'utf8') };
    }),
);

function actionTable(): string {
  const inVersion = ({ v3 }: ActionSpec, version: ApiVersion): string =>
    v3
      .filter((row) => row.version === version)
      .map(({ name }) => name)
      .join(', ');
  const rows = ACTIONS.map((action) => {
    const { name, isExtension, right = 'each', parameters, unserved } = action;
    const list = parameters.map((parameter) => {
      const suffix = parameter.type === 'list' ? '.n' : '';
      return `${parameter.name}${suffix}${parameter.isRequired === true ? '*' : ''}`;
    });
    const shown = isExtension ? `*${name}*` : name;
    const cells = [
      unserved === undefined ? shown : `${shown} (not served)`,
      right,
      list.join(' '),
      inVersion(action, '2020-02-17'),
      inVersion(action, '2019-03-04'),
    ];
    return `| ${cells.join(' | ')} |`;
  });
  const head = '| 2.0 | right | parameters | 3.0, 2020-02-17 | 3.0, 2019-03-04 |';
  return [head, '| --- | --- | --- | --- | --- |', ...rows].join('\n');
}

function errorTable(): string {
  const rows = Object.entries(CMQ_ERRORS).map(([name, { code, module, v3 }]) => {
    const word = new RegExp(`\\b${name}\\b`);
    const isGiven = SOURCES.some(({ text }) => word.test(text));
    return `| ${code} | ${module} | ${name} | ${v3} | ${isGiven ? 'yes' : ''} |`;
  });
  const head = '| code | module | name | in 3.0 | given |';
  return [head, '| --- | --- | --- | --- | --- |', ...rows].join('\n');
}

function withPart(text: string, name: string, table: string): string {
  const begin = `<!-- ${name}: generated -->`;
  const from = text.indexOf(begin) + begin.length;
  const to = text.indexOf('<!-- end -->', from);
  return `${text.slice(0, from)}\n\n${table}\n\n${text.slice(to)}`;
}

describe('protocols/cmq/README.md', () => {
  test('has the tables of actions and errors', () => {
    const text = readFileSync(README, 'utf8');
    const fresh = withPart(withPart(text, 'actions', actionTable()), 'errors', errorTable());
    if (process.env['UPDATE_GENERATED'] === '1') writeFileSync(README, fresh);
    else expect(text).toBe(fresh);
  });

  test('names files and tests that exist', () => {
    const text = readFileSync(README, 'utf8');
    const coverage = text.slice(text.indexOf('## Coverage'), text.indexOf('## Actions'));
    const rows = [...coverage.matchAll(/^\| (.*) \|$/gm)]
      .map(([, row]) => row!.split(' | '))
      .slice(2);
    expect(rows.length).toBeGreaterThan(25);
    for (const cells of rows) {
      expect(cells, cells[1]).toHaveLength(5);
      const [, rule, , code = '', tests = ''] = cells;
      const files = [...code.matchAll(/`([^`]+)`/g)].map(([, file]) => file!);
      expect(files.length, rule).toBeGreaterThan(0);
      for (const file of files) expect(existsSync(join(FOLDER, file)), file).toBe(true);
      const names = [...tests.matchAll(/`([^`]+)`/g)].map(([, name]) => name!);
      expect(names.length, rule).toBeGreaterThan(0);
      for (const name of names) {
        const path = name.includes('/') ? name : `test/protocols/cmq/${name}`;
        expect(existsSync(join(ROOT, path)), path).toBe(true);
      }
    }
  });

  test('names every file of the folder', () => {
    const text = readFileSync(README, 'utf8');
    const patterns = [...text.matchAll(/`([a-z0-9*-]+\.ts)`/g)].map(
      ([, name]) => new RegExp(`^${name!.replace('.', '\\.').replace('*', '.*')}$`),
    );
    const missing = SOURCES.map(({ path }) => path).filter(
      (path) => !path.includes('/') && !patterns.some((pattern) => pattern.test(path)),
    );
    expect(missing).toEqual([]);
  });
});
