import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ConnectionSet, type DrivenConnection } from '../../src/net/connection-set.ts';

class Connection implements DrivenConnection {
  readonly told: string[] = [];

  onPressureChange(): void {
    this.told.push('pressure');
  }

  shutdown(text: string): void {
    this.told.push(text);
  }
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('ticks while there are connections', () => {
  let ticks = 0;
  const set = new ConnectionSet<Connection>(() => {
    ticks += 1;
  }, 100);
  const [one, two] = [new Connection(), new Connection()];
  vi.advanceTimersByTime(1_000);
  expect(ticks).toBe(0);
  set.add(one);
  set.add(two);
  vi.advanceTimersByTime(300);
  expect(ticks).toBe(3);
  set.remove(one);
  vi.advanceTimersByTime(100);
  expect(ticks).toBe(4);
  set.remove(two);
  vi.advanceTimersByTime(1_000);
  expect(ticks).toBe(4);
  expect(vi.getTimerCount()).toBe(0);
});

test('ticks on for other work, until there is none or all is closed', async () => {
  let ticks = 0;
  let hasWork = true;
  const set = new ConnectionSet<Connection>(
    () => {
      ticks += 1;
    },
    100,
    () => hasWork,
  );
  const one = new Connection();
  set.add(one);
  set.remove(one);
  vi.advanceTimersByTime(300);
  expect(ticks).toBe(3);
  hasWork = false;
  vi.advanceTimersByTime(1_000);
  expect([ticks, vi.getTimerCount()]).toEqual([4, 0]);
  hasWork = true;
  set.wake();
  vi.advanceTimersByTime(100);
  expect(ticks).toBe(5);
  await set.closeAll('bye');
  expect(vi.getTimerCount()).toBe(0);
});

test('tells all of pressure', () => {
  const set = new ConnectionSet<Connection>(() => undefined, 100);
  const all = [new Connection(), new Connection()];
  for (const connection of all) set.add(connection);
  set.onPressureChange();
  expect(all.map(({ told }) => told)).toEqual([['pressure'], ['pressure']]);
  expect([...set]).toEqual(all);
});

test('closing is over when the last one is gone', async () => {
  const set = new ConnectionSet<Connection>(() => undefined, 100);
  await set.closeAll('none');
  const all = [new Connection(), new Connection()];
  for (const connection of all) set.add(connection);
  let isClosed = false;
  const closed = set.closeAll('bye').then(() => {
    isClosed = true;
  });
  expect(all.map(({ told }) => told)).toEqual([['bye'], ['bye']]);
  set.remove(all[0]!);
  await Promise.resolve();
  expect(isClosed).toBe(false);
  set.remove(all[1]!);
  await closed;
});
