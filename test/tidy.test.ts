import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT, readSources, type SourceFile } from './support/source-tree.ts';
import {
  checkBarrels,
  checkCycles,
  checkDeterminism,
  checkLayers,
  checkLockFile,
  checkMachinePaths,
  checkNames,
  checkSizes,
  checkWords,
  FILE_LINES_MAX,
  importsOf,
  LINE_COLUMNS_MAX,
} from './support/tidy-rules.ts';

const SOURCES = readSources(
  ['src', 'protocols', 'test', 'conformance', 'bench', 'scripts'],
  ['.ts', '.mjs'],
);
const PRODUCT = SOURCES.filter(({ path }) => /^(src|protocols)\//.test(path));
const TEXTS = readSources(['docs', 'scripts', 'src', 'protocols', 'bench'], ['.md', '.ts', '.mjs']);

describe('the house', () => {
  test('has sources', () => {
    expect(PRODUCT.length).toBeGreaterThan(50);
  });

  test('imports go one way', () => {
    expect(checkLayers(SOURCES)).toEqual([]);
  });

  test('has no import cycles', () => {
    expect(checkCycles(SOURCES)).toEqual([]);
  });

  test('the engine reads no time or randomness by itself', () => {
    expect(checkDeterminism(SOURCES)).toEqual([]);
  });

  test('files and lines are short', () => {
    expect(checkSizes(SOURCES)).toEqual([]);
  });

  test('no debt, no narrowed tests, named exports, no enums', () => {
    expect(checkWords(SOURCES)).toEqual([]);
  });

  test('files are named in kebab case', () => {
    expect(checkNames(SOURCES)).toEqual([]);
  });

  test('there are no barrels', () => {
    expect(checkBarrels(PRODUCT)).toEqual([]);
  });

  test('nothing names a folder of one machine', () => {
    expect(checkMachinePaths(TEXTS)).toEqual([]);
  });

  test('the lock file names no hosts', () => {
    expect(checkLockFile(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'))).toEqual([]);
  });

  test('every script of package.json that runs a file has it', () => {
    const text = readFileSync(join(ROOT, 'package.json'), 'utf8');
    const { scripts } = JSON.parse(text) as { scripts: Record<string, string> };
    for (const command of Object.values(scripts)) {
      for (const [, file] of command.matchAll(/(?:node|--config) ([\w./-]+)/g)) {
        if (!file!.startsWith('dist/')) expect(() => readFileSync(join(ROOT, file!))).not.toThrow();
      }
    }
  });
});

function file(path: string, text: string): SourceFile {
  return { path, text };
}

/** Each rule finds what it is for, in a planted mistake, and nothing in its opposite. */
describe('the rules', () => {
  test('see every form of import', () => {
    const text = [
      "import a from './a.ts';",
      "import type { B } from '../b.ts';",
      "import {\n  c,\n  type D,\n} from './c.ts';",
      "import './effect.ts';",
      "export { e } from './e.ts';",
      "import * as fs from 'node:fs';",
      "const f = await import('./f.ts');",
    ].join('\n');
    expect(importsOf(file('src/net/x.ts', text))).toEqual([
      { target: 'src/net/a.ts', isType: false },
      { target: 'src/b.ts', isType: true },
      { target: 'src/net/c.ts', isType: false },
      { target: 'src/net/effect.ts', isType: false },
      { target: 'src/net/e.ts', isType: false },
      { target: 'node:fs', isType: false },
      { target: 'src/net/f.ts', isType: false },
    ]);
  });

  test.each([
    ['src/base/x.ts', '../net/y.ts'],
    ['src/net/x.ts', '../engine/y.ts'],
    ['src/engine/x.ts', '../store/y.ts'],
    ['src/store/x.ts', '../engine/broker.ts'],
    ['src/store/x.ts', '../net/y.ts'],
    ['protocols/amqp/x.ts', '../mqtt/y.ts'],
    ['protocols/amqp/x.ts', '../../src/store/y.ts'],
    ['protocols/amqp/x.ts', '../../src/server/y.ts'],
    ['conformance/amqp/x.ts', '../../protocols/amqp/codec.ts'],
    ['src/server/x.ts', '../../test/y.ts'],
    ['src/server/x.ts', 'sqlite3'],
  ])('%s must not import %s', (path, target) => {
    expect(checkLayers([file(path, `import { y } from '${target}';`)])).toHaveLength(1);
  });

  test.each([
    ['src/base/x.ts', './y.ts'],
    ['src/net/x.ts', '../base/y.ts'],
    ['src/store/sqlite/x.ts', '../../engine/ports.ts'],
    ['src/store/sqlite/driver.ts', 'sqlite3'],
    ['protocols/amqp/x.ts', './spec/y.ts'],
    ['protocols/amqp/x.ts', '../../src/engine/y.ts'],
    ['src/main.ts', './server/y.ts'],
    ['src/server/x.ts', '../../protocols/amqp/y.ts'],
    ['conformance/amqp/x.ts', '../support/y.ts'],
    ['test/net/x.ts', '../../src/net/y.ts'],
  ])('%s may import %s', (path, target) => {
    expect(checkLayers([file(path, `import { y } from '${target}';`)])).toEqual([]);
  });

  test('find a cycle, and leave type imports alone', () => {
    const a = file('src/a.ts', "import { b } from './b.ts';");
    const b = file('src/b.ts', "import { c } from './c.ts';");
    const back = file('src/c.ts', "import { a } from './a.ts';");
    const typeBack = file('src/c.ts', "import type { A } from './a.ts';");
    expect(checkCycles([a, b, back])).toEqual([
      'import cycle: src/a.ts -> src/b.ts -> src/c.ts -> src/a.ts',
    ]);
    expect(checkCycles([a, b, typeBack])).toEqual([]);
  });

  test('find a clock in the engine, but not in its comments', () => {
    const clock = 'const now = Date.now();';
    expect(checkDeterminism([file('src/engine/x.ts', clock)])).toHaveLength(1);
    expect(checkDeterminism([file('src/net/x.ts', clock)])).toEqual([]);
    expect(checkDeterminism([file('src/engine/x.ts', `/* ${clock} */\n// ${clock}`)])).toEqual([]);
  });

  test('measure files and lines at the limit and above', () => {
    const lines = (count: number) => Array.from({ length: count }, () => 'x').join('\n');
    expect(checkSizes([file('src/x.ts', lines(FILE_LINES_MAX))])).toEqual([]);
    expect(checkSizes([file('src/x.ts', lines(FILE_LINES_MAX + 1))])).toHaveLength(1);
    expect(checkSizes([file('src/x.generated.ts', lines(FILE_LINES_MAX + 1))])).toEqual([]);
    const line = `a = ${'b'.repeat(LINE_COLUMNS_MAX - 4)}`;
    expect(checkSizes([file('src/x.ts', line)])).toEqual([]);
    expect(checkSizes([file('src/x.ts', `${line}c`)])).toHaveLength(1);
  });

  test('find forbidden words', () => {
    const planted = [
      `// ${'TO' + 'DO'}: later`,
      `test.${'on' + 'ly'}('x', () => {});`,
      `describe.${'sk' + 'ip'}('x', () => {});`,
      `export ${'def' + 'ault'} x;`,
      `export ${'en' + 'um'} X { A }`,
    ];
    expect(checkWords([file('src/x.ts', planted.join('\n'))])).toHaveLength(planted.length);
    expect(checkWords([file('x.config.ts', `export ${'def' + 'ault'} x;`)])).toEqual([]);
  });

  test('find names, barrels, folders and hosts', () => {
    expect(checkNames([file('src/BadName.ts', ''), file('src/good-name.test.ts', '')])).toEqual([
      'src/BadName.ts is not named in kebab case',
    ]);
    expect(checkBarrels([file('src/x.ts', "export * from './y.ts';")])).toHaveLength(1);
    expect(checkMachinePaths([file('docs/x.md', `see /${'ho' + 'me'}/me/x`)])).toHaveLength(1);
    const entry = (resolved?: string) => JSON.stringify({ packages: { x: { resolved } } });
    expect(checkLockFile(entry('https://registry.example/x.tgz'))).toHaveLength(1);
    expect(checkLockFile(entry())).toEqual([]);
  });
});
