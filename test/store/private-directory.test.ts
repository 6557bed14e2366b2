import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createPrivateDirectory } from '../../src/store/private-directory.ts';
import { SqliteStore } from '../../src/store/sqlite/sqlite-store.ts';
import { readSources } from '../support/source-tree.ts';

let directory = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tributary-private-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

/** Before the others: where it fails, they would hang in native code that no time limit reaches. */
test('nothing creates directories with an option that may never return', () => {
  const offenders = readSources(['src', 'protocols'], ['.ts'])
    .filter(({ text }) => /\bmkdir(Sync)?\([^;]*\brecursive\b/.test(text))
    .map(({ path }) => path);
  expect(offenders).toEqual([]);
});

test('creates every missing level for its owner alone, and again without complaint', () => {
  const path = join(directory, 'a', 'b', 'c');
  createPrivateDirectory(path);
  createPrivateDirectory(path);
  expect(statSync(path).mode & 0o777).toBe(0o700);
  expect(statSync(join(directory, 'a')).mode & 0o777).toBe(0o700);
});

test('throws when a file is in the way', () => {
  const path = join(directory, 'file');
  writeFileSync(path, '');
  expect(() => createPrivateDirectory(join(path, 'a', 'b'))).toThrow('ENOTDIR');
});

test.runIf(existsSync('/proc/self'))('a store that cannot have its directory says so', async () => {
  const open = SqliteStore.open({ directory: '/proc/nothing/here', durability: 'full' });
  await expect(open).rejects.toThrow('ENOENT');
});
