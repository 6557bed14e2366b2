import { describe, expect, test } from 'vitest';
import { CircuitBreaker } from '../../../src/net/push/circuit-breaker.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const LIMITS = { failuresMax: 3, suspectFailures: 2, openMs: 1_000, endpointsMax: 2 };

function open(): { clock: FakeClock; breaker: CircuitBreaker } {
  const clock = new FakeClock();
  const breaker = new CircuitBreaker(clock, LIMITS);
  for (let count = 0; count < 3; count += 1) {
    expect(breaker.tryEnter('x')).toBe(true);
    breaker.failed('x');
  }
  return { clock, breaker };
}

describe('CircuitBreaker', () => {
  test('opens after so many failures in a row, for that endpoint', () => {
    const { breaker } = open();
    expect(breaker.tryEnter('x')).toBe(false);
    expect(breaker.tryEnter('y')).toBe(true);
    expect(breaker.openCount).toBe(1);
  });

  test('a success in between starts the count again', () => {
    const breaker = new CircuitBreaker(new FakeClock(), LIMITS);
    for (let count = 0; count < 10; count += 1) {
      breaker.failed('x');
      breaker.failed('x');
      breaker.succeeded('x');
    }
    expect(breaker.tryEnter('x')).toBe(true);
  });

  test('lets one probe through after a while; its success closes', () => {
    const { clock, breaker } = open();
    clock.advance(999);
    expect(breaker.tryEnter('x')).toBe(false);
    clock.advance(1);
    expect(breaker.tryEnter('x')).toBe(true);
    expect(breaker.tryEnter('x')).toBe(false);
    breaker.succeeded('x');
    expect(breaker.tryEnter('x')).toBe(true);
    expect(breaker.tryEnter('x')).toBe(true);
    expect(breaker.openCount).toBe(0);
  });

  test('a failed probe opens it for as long again; an abandoned one leaves the next to another', () => {
    const { clock, breaker } = open();
    clock.advance(1_000);
    expect(breaker.tryEnter('x')).toBe(true);
    breaker.failed('x');
    clock.advance(999);
    expect(breaker.tryEnter('x')).toBe(false);
    clock.advance(1);
    expect(breaker.tryEnter('x')).toBe(true);
    breaker.abandoned('x');
    expect(breaker.tryEnter('x')).toBe(true);
  });

  test('suspects who failed more than once in a row', () => {
    const breaker = new CircuitBreaker(new FakeClock(), LIMITS);
    breaker.failed('x');
    expect(breaker.isSuspect('x')).toBe(false);
    breaker.failed('x');
    expect(breaker.isSuspect('x')).toBe(true);
    expect(breaker.isSuspect('y')).toBe(false);
    breaker.succeeded('x');
    expect(breaker.isSuspect('x')).toBe(false);
  });

  test('tells those that wait how the probe ended, and when another is due', () => {
    const { clock, breaker } = open();
    const told: unknown[] = [];
    const wait = (): (() => void) => breaker.onProbed('x', (isUp) => told.push(isUp));
    wait();
    expect(breaker.probeDelayMs('x')).toBe(1_000);
    clock.advance(400);
    expect(breaker.probeDelayMs('x')).toBe(600);
    // An attempt from before it opened is no probe.
    breaker.failed('x');
    expect(told).toEqual([]);
    clock.advance(1_000);
    breaker.tryEnter('x');
    expect(breaker.probeDelayMs('x')).toBeUndefined();
    breaker.failed('x');
    expect(told).toEqual([false]);
    clock.advance(1_000);
    breaker.tryEnter('x');
    wait();
    breaker.abandoned('x');
    wait();
    wait()();
    breaker.tryEnter('x');
    breaker.succeeded('x');
    expect(told).toEqual([false, undefined, true]);
  });

  test('lets those go that wait for an endpoint it forgets', () => {
    const { breaker } = open();
    const told: unknown[] = [];
    breaker.onProbed('x', (isUp) => told.push(isUp));
    breaker.failed('y');
    breaker.failed('z');
    expect(told).toEqual([undefined]);
  });

  test('remembers a bounded number of endpoints', () => {
    const { breaker } = open();
    breaker.failed('y');
    breaker.failed('z');
    expect(breaker.tryEnter('x')).toBe(true);
  });
});
