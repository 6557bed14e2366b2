import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createDataDirectory } from '../../src/server/data-directory.ts';

let directory = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tributary-data-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

test('creates what is missing, for its owner alone', () => {
  const path = join(directory, 'a', 'b');
  createDataDirectory(path);
  createDataDirectory(path);
  expect(statSync(path).mode & 0o777).toBe(0o700);
});

test('says so when a file is in the way', () => {
  const path = join(directory, 'file');
  writeFileSync(path, '');
  expect(() => createDataDirectory(join(path, 'a'))).toThrow('data-dir: cannot create');
});

test('says so when it is a file itself', () => {
  const path = join(directory, 'file');
  writeFileSync(path, '');
  expect(() => createDataDirectory(path)).toThrow(`data-dir: ${path} is a file, not a directory`);
});

test.runIf(existsSync('/proc/self'))('comes back where nothing can be created', () => {
  expect(() => createDataDirectory('/proc/nothing/here')).toThrow('data-dir: cannot create');
});
