import { expect, test } from 'vitest';
import { silentLogger } from '../../src/base/logger.ts';
import { ResourceMonitor, SystemProbe } from '../../src/server/resource-monitor.ts';

const MIB = 1024 * 1024;
const LIMITS = { directory: '/data', memoryLimitBytes: 1_000, diskFreeLimitBytes: 100 };

function setUp(limits = LIMITS) {
  const figures = { rss: 0, known: 0, heap: 0, free: 10_000 as number | Error, collections: 0 };
  const thrift: boolean[] = [];
  const alarms: string[] = [];
  const monitor = new ResourceMonitor(
    limits,
    (name, isOn) => alarms.push(`${name} ${isOn ? 'on' : 'off'}`),
    silentLogger,
    {
      residentBytes: () => figures.rss,
      knownBytes: () => figures.known,
      heapShare: () => figures.heap,
      collect: () => {
        figures.collections += 1;
      },
      setThrift: (isThrifty) => {
        thrift.push(isThrifty);
      },
      diskFreeBytes: () =>
        figures.free instanceof Error
          ? Promise.reject(figures.free)
          : Promise.resolve(figures.free),
      close: () => undefined,
    },
  );
  return { figures, alarms, thrift, monitor };
}

test('the memory alarm comes above the limit and goes well below it', () => {
  const { figures, alarms, monitor } = setUp();
  for (const rss of [1_000, 1_001, 2_000, 951, 950, 1_000]) {
    figures.rss = rss;
    monitor.sampleMemory();
  }
  expect(alarms).toEqual(['memory on', 'memory off']);
});

test('what is freed while publishers are blocked ends the alarm, resident or not', () => {
  const { figures, alarms, monitor } = setUp({ ...LIMITS, memoryLimitBytes: 300 * MIB });
  const sample = (rss: number, known: number): void => {
    figures.rss = rss * MIB;
    figures.known = known * MIB;
    monitor.sampleMemory();
  };
  figures.rss = 80 * MIB;
  figures.known = 20 * MIB;
  void monitor.start();
  sample(310, 240);
  expect(alarms).toEqual(['memory on']);
  // Drained, but nothing was collected: who knows.
  sample(310, 20);
  expect(alarms).toEqual(['memory on']);
  sample(310, 20);
  expect(figures.collections).toBe(1);
  expect(alarms).toEqual(['memory on', 'memory off']);
  // The same memory used again does not raise it before it is all in use.
  sample(310, 120);
  expect(alarms).toHaveLength(2);
  sample(320, 240);
  expect(alarms).toHaveLength(3);
  monitor.stop();
});

test('while the alarm stays, collections come ever more rarely', () => {
  const { figures, monitor } = setUp();
  figures.rss = 2_000;
  const counts: number[] = [];
  for (let sample = 0; sample < 300; sample += 1) {
    monitor.sampleMemory();
    if (sample === 2 || sample === 6 || sample === 14) counts.push(figures.collections);
  }
  expect(counts).toEqual([1, 2, 3]);
  expect(figures.collections).toBe(8);
});

test('garbage is collected early while much memory is in use', () => {
  const { figures, thrift, monitor } = setUp({ ...LIMITS, memoryLimitBytes: 1_000 * MIB });
  for (const rss of [255, 257, 300, 200, 191, 230, 257]) {
    figures.rss = rss * MIB;
    monitor.sampleMemory();
  }
  expect(thrift).toEqual([true, false, true]);
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
  expect(probe.knownBytes()).toBeGreaterThan(1e6);
  expect(probe.knownBytes()).toBeLessThan(probe.residentBytes() * 2);
  probe.collect();
  expect(probe.heapShare()).toBeGreaterThan(0);
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
