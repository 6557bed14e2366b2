import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createProcessLog } from '../../src/server/process-log.ts';

let directory = '';
let file = 0;

beforeEach(() => {
  directory = fs.mkdtempSync(join(tmpdir(), 'tributary-log-'));
  file = fs.openSync(join(directory, 'log'), 'w');
});

afterEach(() => {
  vi.restoreAllMocks();
  fs.closeSync(file);
  fs.rmSync(directory, { recursive: true });
});

function lines(): string[] {
  const text = fs.readFileSync(join(directory, 'log'), 'utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { msg: string }).msg);
}

function failWith(code: string) {
  return vi.spyOn(fs, 'writeSync').mockImplementation(() => {
    throw Object.assign(new Error(code), { code });
  });
}

test('is written before the call returns', () => {
  const log = createProcessLog('info', file);
  log.info({}, 'one');
  expect(lines()).toEqual(['one']);
});

test('a full disk costs no line and no process', () => {
  const log = createProcessLog('info', file);
  const full = failWith('ENOSPC');
  log.info({}, 'one');
  log.warn({}, 'two');
  expect(full).toHaveBeenCalled();
  full.mockRestore();
  log.info({}, 'three');
  expect(lines()).toEqual(['one', 'two', 'three']);
});

test('what waits for room is bounded', () => {
  const log = createProcessLog('info', file);
  const full = failWith('ENOSPC');
  const word = 'x'.repeat(100_000);
  for (let count = 0; count < 30; count += 1) log.info({ word }, 'long');
  full.mockRestore();
  log.info({}, 'last');
  log.info({}, 'later');
  const kept = lines();
  expect(kept.length).toBeLessThan(15);
  expect(kept.at(-1)).toBe('later');
});

test('a reader that has gone, after a full disk too, ends nothing', () => {
  const log = createProcessLog('info', file);
  const full = failWith('ENOSPC');
  log.info({}, 'one');
  full.mockRestore();
  failWith('EPIPE');
  log.info({}, 'two');
  log.info({}, 'three');
  expect(lines()).toEqual([]);
});
