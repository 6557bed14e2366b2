import { expect, test } from 'vitest';
import { silentLogger } from '../../src/base/logger.ts';
import { ResourceMonitor, SystemProbe } from '../../src/server/resource-monitor.ts';

const LIMITS = { directory: '/data', memoryLimitBytes: 1_000, diskFreeLimitBytes: 100 };

function setUp() {
  const figures = { rss: 0, heap: 0, free: 10_000 as number | Error };
  const alarms: string[] = [];
  const monitor = new ResourceMonitor(
    LIMITS,
    (name, isOn) => alarms.push(`${name} ${isOn ? 'on' : 'off'}`),
    silentLogger,
    {
      residentBytes: () => figures.rss,
      heapShare: () => figures.heap,
      diskFreeBytes: () =>
        figures.free instanceof Error
          ? Promise.reject(figures.free)
          : Promise.resolve(figures.free),
      close: () => undefined,
    },
  );
  return { figures, alarms, monitor };
}

test('the memory alarm comes above the limit and goes well below it', () => {
  const { figures, alarms, monitor } = setUp();
  for (const rss of [1_000, 1_001, 2_000, 951, 950, 1_000]) {
    figures.rss = rss;
    monitor.sampleMemory();
  }
  expect(alarms).toEqual(['memory on', 'memory off']);
});

test('a nearly full heap raises the memory alarm too', () => {
  const { figures, alarms, monitor } = setUp();
  for (const heap of [0.8, 0.81, 0.77, 0.75]) {
    figures.heap = heap;
    monitor.sampleMemory();
  }
  expect(alarms).toEqual(['memory on', 'memory off']);
});

test('the disk alarm comes below the limit, and is looked at more often near it', async () => {
  const { figures, alarms, monitor } = setUp();
  const waits: number[] = [];
  for (const free of [800, 799, 100, 99, 0, 105, 106]) {
    figures.free = free;
    waits.push(await monitor.sampleDisk());
  }
  expect(alarms).toEqual(['disk on', 'disk off']);
  expect(waits[0]).toBeGreaterThan(waits[1]!);
});

test('an unknown figure changes nothing', async () => {
  const { figures, alarms, monitor } = setUp();
  figures.free = 0;
  await monitor.sampleDisk();
  figures.free = new Error('EIO');
  await monitor.sampleDisk();
  expect(alarms).toEqual(['disk on']);
});

test('start samples at once, and nothing comes after stop', async () => {
  const { figures, alarms, monitor } = setUp();
  figures.free = 0;
  await monitor.start();
  expect(alarms).toEqual(['disk on']);
  monitor.stop();
  figures.rss = 5_000;
  monitor.sampleMemory();
  expect(alarms).toEqual(['disk on']);
});

test('the system has figures', async () => {
  const probe = new SystemProbe();
  expect(probe.residentBytes()).toBeGreaterThan(1e6);
  expect(probe.heapShare()).toBeLessThan(0.8);
  expect(await probe.diskFreeBytes('.')).toBeGreaterThan(0);
  probe.close();
});

test('a store without room raises the disk alarm whatever the figure says', async () => {
  const { alarms, monitor } = setUp();
  monitor.storeFull(true);
  await monitor.sampleDisk();
  expect(alarms).toEqual(['disk on']);
  monitor.storeFull(false);
  await monitor.sampleDisk();
  expect(alarms).toEqual(['disk on', 'disk off']);
});
