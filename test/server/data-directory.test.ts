import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  createDataDirectory,
  explainOpening,
  type RoomListener,
  watchRoom,
} from '../../src/server/data-directory.ts';
import { DataDirBusyError } from '../../src/store/data-dir-lock.ts';

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

test('a store that cannot be opened names the directory', async () => {
  const damaged = Promise.reject(new Error('SQLITE_NOTADB'));
  await expect(explainOpening('/data', damaged)).rejects.toThrow(
    /^data-dir: \/data: SQLITE_NOTADB$/,
  );
  const busy = Promise.reject(new DataDirBusyError('/data', 'process 7'));
  await expect(explainOpening('/data', busy)).rejects.toThrow(
    'data-dir: data directory /data is in use by process 7: stop that one, or give this one ' +
      'another directory',
  );
  expect(await explainOpening('/data', Promise.resolve(1))).toBe(1);
});

test.runIf(existsSync('/proc/self'))('comes back where nothing can be created', () => {
  expect(() => createDataDirectory('/proc/nothing/here')).toThrow('data-dir: cannot create');
});

test('a start without room on the disk is refused; a server is told', () => {
  const refused: string[] = [];
  const told: boolean[] = [];
  const servers: RoomListener[] = [];
  const onFull = watchRoom(
    '/data',
    () => servers[0],
    ({ message }) => refused.push(message),
  );
  onFull(false);
  expect(refused).toEqual([]);
  onFull(true);
  expect(refused).toEqual(['data-dir: /data: no room on the disk for what a start writes']);
  servers.push({ storeFull: (isFull) => told.push(isFull) });
  onFull(true);
  onFull(false);
  expect(refused).toHaveLength(1);
  expect(told).toEqual([true, false]);
});
