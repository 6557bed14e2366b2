import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findFunction } from '../../../src/server/functions/function-directory.ts';

let root = '';
let directory = '';

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'functions-'));
  directory = join(root, 'inside');
  mkdirSync(join(directory, 'folder.mjs'), { recursive: true });
  writeFileSync(join(root, 'outside.mjs'), '');
  for (const name of ['one.mjs', 'two.js', 'both.js', 'both.mjs', 'three.cjs', '.hidden.mjs']) {
    writeFileSync(join(directory, name), '');
  }
});

afterAll(() => rmSync(root, { recursive: true }));

describe('findFunction', () => {
  test.each([
    ['one', 'one.mjs'],
    ['two', 'two.js'],
    ['both', 'both.mjs'],
  ])('%s is %s', (name, file) => {
    expect(findFunction(directory, name)).toMatchObject({ name, path: join(directory, file) });
  });

  test.each([
    'three',
    'folder',
    'missing',
    '',
    '.',
    '..',
    '../outside',
    '..%2Foutside',
    'inside/../../outside',
    '/etc/passwd',
    'one.mjs',
    '.hidden',
    'one\u0000',
    'one\n',
    'ONE/',
    '-one',
    '\\..\\outside',
    'a'.repeat(129),
  ])('%j is no function', (name) => {
    expect(findFunction(directory, name)).toBeUndefined();
  });

  test('the version changes with the file', () => {
    const before = findFunction(directory, 'one')!.version;
    expect(findFunction(directory, 'one')!.version).toBe(before);
    writeFileSync(join(directory, 'one.mjs'), 'export const handler = () => undefined;');
    expect(findFunction(directory, 'one')!.version).not.toBe(before);
  });
});
