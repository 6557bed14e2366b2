import { afterEach, expect, test, vi } from 'vitest';
import { lastKnown } from '../../src/server/last-known.ts';
import { SystemProbe } from '../../src/server/resource-monitor.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

function noFiles(): never {
  throw Object.assign(new Error('too many open files'), { code: 'EMFILE' });
}

test('tells what is, and what was last while the system does not tell', () => {
  let figure = 1;
  let isTold = true;
  const read = lastKnown(() => (isTold ? figure : noFiles()));
  expect(read()).toBe(1);
  figure = 2;
  expect(read()).toBe(2);
  isTold = false;
  figure = 3;
  expect(read()).toBe(2);
  isTold = true;
  expect(read()).toBe(3);
});

test('has nothing to tell when the first time fails', () => {
  expect(() => lastKnown(noFiles)).toThrow('too many open files');
});

test('a process with all the files open that it may have goes on watching its memory', () => {
  const probe = new SystemProbe();
  const resident = probe.residentBytes();
  const known = probe.knownBytes();
  vi.spyOn(process, 'memoryUsage').mockImplementation(noFiles);
  process.memoryUsage.rss = noFiles;
  expect(probe.residentBytes()).toBe(resident);
  expect(probe.knownBytes()).toBe(known);
  probe.close();
});
