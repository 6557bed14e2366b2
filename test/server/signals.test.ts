import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { silentLogger } from '../../src/base/logger.ts';
import { obeySignals, type Stoppable } from '../../src/server/signals.ts';

/** A process that remembers how it ended. */
class StubProcess extends EventEmitter {
  readonly exit = vi.fn();
}

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

function setUp() {
  const target = new StubProcess();
  const server = { stop: vi.fn(() => Promise.resolve()), reloadTls: vi.fn() };
  let resolve: (server: Stoppable) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const starting = new Promise<Stoppable>((done, fail) => {
    resolve = done;
    reject = fail;
  });
  const isStopping = obeySignals(starting, silentLogger, 5_000, target);
  const settle = () => vi.advanceTimersByTimeAsync(0);
  return { target, server, isStopping, started: () => resolve(server), failed: reject, settle };
}

test('SIGHUP while the server starts reloads once it has started', async () => {
  const { target, server, started, settle } = setUp();
  expect(target.emit('SIGHUP', 'SIGHUP')).toBe(true);
  await settle();
  expect(server.reloadTls).not.toHaveBeenCalled();
  started();
  await settle();
  expect(server.reloadTls).toHaveBeenCalledOnce();
  expect(target.exit).not.toHaveBeenCalled();
});

test.each(['SIGTERM', 'SIGINT'] as const)(
  '%s while the server starts stops it in order once it has started',
  async (signal) => {
    const { target, server, isStopping, started, settle } = setUp();
    expect(target.emit(signal, signal)).toBe(true);
    expect(isStopping()).toBe(true);
    await settle();
    expect(target.exit).not.toHaveBeenCalled();
    started();
    await settle();
    expect(server.stop).toHaveBeenCalledOnce();
    expect(target.exit.mock.calls).toEqual([[0]]);
  },
);

test('a start that does not end is not waited for without end', async () => {
  const { target } = setUp();
  target.emit('SIGTERM', 'SIGTERM');
  await vi.advanceTimersByTimeAsync(60_000);
  expect(target.exit.mock.calls).toEqual([[1]]);
});

test('a start that fails is left to who started it', async () => {
  const { target, failed, settle } = setUp();
  target.emit('SIGHUP', 'SIGHUP');
  target.emit('SIGTERM', 'SIGTERM');
  failed(new Error('address in use'));
  await settle();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(target.exit).not.toHaveBeenCalled();
});

test('a second SIGINT ends at once, unless it is the first one twice', async () => {
  const { target } = setUp();
  target.emit('SIGINT', 'SIGINT');
  target.emit('SIGINT', 'SIGINT');
  expect(target.exit).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1_500);
  target.emit('SIGTERM', 'SIGTERM');
  expect(target.exit).not.toHaveBeenCalled();
  target.emit('SIGINT', 'SIGINT');
  expect(target.exit.mock.calls).toEqual([[1]]);
});
