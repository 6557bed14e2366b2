import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LOG_HELD_BYTES_MAX } from '../../src/base/limits.ts';
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

/** A pipe with a log at one end and a reader that only reads when told to at the other. */
function openPipe() {
  spawnSync('mkfifo', [join(directory, 'pipe')]);
  const reader = openReader();
  return { ...reader, writer: fs.openSync(join(directory, 'pipe'), fs.constants.O_WRONLY) };
}

function openReader() {
  const { O_RDONLY, O_NONBLOCK } = fs.constants;
  const descriptor = fs.openSync(join(directory, 'pipe'), O_RDONLY | O_NONBLOCK);
  const chunk = Buffer.alloc(1024 * 1024);
  let text = '';
  /** All whole lines so far. */
  const read = () => {
    try {
      for (;;) text += chunk.toString('utf8', 0, fs.readSync(descriptor, chunk));
    } catch (error) {
      expect(error).toMatchObject({ code: 'EAGAIN' });
    }
    const whole = text.slice(0, text.lastIndexOf('\n') + 1).trimEnd();
    return whole.split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  return { read, close: () => fs.closeSync(descriptor) };
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

test('a reader that stalls costs lines beyond a bound, and they are counted', () => {
  const { writer, read } = openPipe();
  const log = createProcessLog('info', writer);
  const word = 'x'.repeat(1_000);
  for (let n = 0; n < 3_000; n += 1) log.info({ n, word }, 'line');
  log.error({}, 'urgent');
  log.ready({});
  // Each line finds the room that the reader has made.
  let seen = read();
  while (!seen.some(({ msg }) => msg === 'log lines lost')) {
    log.info({}, 'later');
    seen = read();
  }
  const kept = seen.filter(({ msg }) => msg === 'line');
  expect(kept.map(({ n }) => n)).toEqual(kept.map((_, index) => index));
  expect(kept.length * word.length).toBeGreaterThan(LOG_HELD_BYTES_MAX / 2);
  expect(kept.length * word.length).toBeLessThan(LOG_HELD_BYTES_MAX * 2);
  const lost = { level: 'warn', lines: 3_000 - kept.length, msg: 'log lines lost' };
  const others = seen.filter(({ msg }) => msg !== 'line' && msg !== 'later');
  expect(others).toMatchObject([{ msg: 'urgent' }, { msg: 'ready' }, lost]);
  expect(seen.filter(({ msg }) => msg === 'later').length).toBeGreaterThan(0);
});

test('what waits for a reader is written at the end of the process', () => {
  const { writer, read } = openPipe();
  const log = createProcessLog('info', writer);
  const word = 'x'.repeat(1_000);
  for (let n = 0; n < 100; n += 1) log.info({ word }, 'line');
  const before = read().length;
  expect(before).toBeLessThan(100);
  log.flushAtEnd();
  expect(read()).toHaveLength(100);
});

test('the end of the process does not wait long for a reader that stalls', () => {
  const { writer, read } = openPipe();
  const log = createProcessLog('info', writer);
  for (let n = 0; n < 100; n += 1) log.info({ word: 'x'.repeat(1_000) }, 'line');
  log.flushAtEnd();
  expect(read().length).toBeLessThan(100);
});

test('lines to a pipe without a reader are counted, should another come', () => {
  const { writer, close } = openPipe();
  const log = createProcessLog('info', writer);
  close();
  log.info({}, 'one');
  log.info({}, 'two');
  const { read } = openReader();
  log.info({}, 'three');
  expect(read()).toMatchObject([{ lines: 2, msg: 'log lines lost' }, { msg: 'three' }]);
});
