import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Broker } from '../../src/engine/broker.ts';
import { FlushSet } from '../../src/net/flush-set.ts';
import { Turn } from '../../src/server/turn.ts';

const SECOND_MS = 1_000;
const HOUR_MS = 3_600 * SECOND_MS;

/** Wall ms of the clock, which goes with the timers until it is set. */
let offsetMs = 0;
let dueAtMs: number[] = [];
/** Wall ms at which each came. */
let ran: number[] = [];
let turn: Turn;

beforeEach(() => {
  vi.useFakeTimers();
  offsetMs = 0;
  dueAtMs = [];
  ran = [];
  turn = new Turn();
  const wallMs = (): number => Date.now() + offsetMs;
  const broker = {
    clock: { wallMs, monotonicMs: wallMs },
    store: { onCommitted: () => undefined },
    get nextDueMs() {
      return Math.min(Infinity, ...dueAtMs);
    },
    turn: () => {
      ran.push(...dueAtMs.filter((atMs) => atMs <= wallMs()).map(() => wallMs()));
      dueAtMs = dueAtMs.filter((atMs) => atMs > wallMs());
    },
  } as unknown as Broker;
  turn.start(broker, new FlushSet(turn.request));
});

afterEach(() => {
  turn.stop();
  vi.useRealTimers();
});

function wallMs(): number {
  return Date.now() + offsetMs;
}

function wakeIn(ms: number): void {
  dueAtMs.push(wallMs() + ms);
  turn.request();
}

test('comes when something is due', () => {
  wakeIn(5 * SECOND_MS);
  wakeIn(HOUR_MS);
  vi.advanceTimersByTime(4 * SECOND_MS);
  expect(ran).toHaveLength(0);
  vi.advanceTimersByTime(SECOND_MS + 10);
  expect(ran).toHaveLength(1);
  vi.advanceTimersByTime(HOUR_MS);
  expect(ran).toHaveLength(2);
});

test('what a sleep has made due is a minute late at most', () => {
  wakeIn(2 * HOUR_MS);
  vi.advanceTimersByTime(SECOND_MS);
  offsetMs += 2 * HOUR_MS;
  vi.advanceTimersByTime(61 * SECOND_MS);
  expect(ran).toHaveLength(1);
});

test('what comes after the clock was set forward is in time', () => {
  wakeIn(30 * SECOND_MS);
  vi.advanceTimersByTime(SECOND_MS);
  offsetMs += 24 * HOUR_MS;
  wakeIn(2 * SECOND_MS);
  vi.advanceTimersByTime(2 * SECOND_MS + 10);
  expect(ran).toHaveLength(2);
});

test('and after it was set back', () => {
  wakeIn(30 * SECOND_MS);
  vi.advanceTimersByTime(SECOND_MS);
  offsetMs -= 24 * HOUR_MS;
  wakeIn(2 * SECOND_MS);
  vi.advanceTimersByTime(2 * SECOND_MS + 10);
  expect(ran).toHaveLength(1);
});
