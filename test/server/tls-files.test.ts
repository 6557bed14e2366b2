import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Config, defaultConfig } from '../../src/server/config.ts';
import { QuietCall, readTlsFiles } from '../../src/server/tls-files.ts';

const fixture = (name: string) => new URL(`../fixtures/tls/${name}`, import.meta.url).pathname;
const GOOD = { tlsCert: fixture('server.pem'), tlsKey: fixture('server.key') };

let directory = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tributary-tls-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

function read(options: Partial<Config>): ReturnType<typeof readTlsFiles> {
  return readTlsFiles({ ...defaultConfig(), ...GOOD, ...options });
}

test('reads what fits together', () => {
  expect(read({}).minVersion).toBe('TLSv1.2');
});

test('names the option whose file is missing or holds something else', () => {
  const junk = join(directory, 'junk.pem');
  writeFileSync(junk, 'hello\n');
  expect(() => read({ tlsCert: '/none/such' })).toThrow(/^tls-cert: cannot be read: ENOENT/);
  expect(() => read({ tlsKey: '/none/such' })).toThrow(/^tls-key: cannot be read: ENOENT/);
  expect(() => read({ tlsCert: junk })).toThrow(/^tls-cert: unusable: /);
  expect(() => read({ tlsKey: junk })).toThrow(/^tls-key, tls-passphrase: unusable: /);
  expect(() => read({ tlsKey: fixture('client.key') })).toThrow(/^tls-cert, tls-key: unusable: /);
});

test('files that change one after another are read once', () => {
  vi.useFakeTimers();
  try {
    const call = vi.fn();
    const quiet = new QuietCall(call, 1_000);
    quiet.ask();
    vi.advanceTimersByTime(999);
    quiet.ask();
    vi.advanceTimersByTime(999);
    expect(call).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(call).toHaveBeenCalledTimes(1);
    quiet.ask();
    quiet.cancel();
    vi.advanceTimersByTime(2_000);
    expect(call).toHaveBeenCalledTimes(1);
  } finally {
    vi.useRealTimers();
  }
});
