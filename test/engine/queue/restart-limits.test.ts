/** TTL and length limits of what a restart left on disk only. */
import { describe, expect, test } from 'vitest';
import { MemoryDisk } from '../../../src/store/memory-disk.ts';
import { EngineFixture } from '../../support/engine-fixture.ts';
import { FakeClock } from '../../support/fake-clock.ts';

describe('after a restart', () => {
  test('a TTL ends although a higher level is empty and nobody consumes', async () => {
    const disk = new MemoryDisk();
    const clock = new FakeClock();
    const args = { 'x-max-priority': 2 };
    const before = await EngineFixture.open({ disk, clock });
    before.queue('q', args);
    before.publish('', 'q', 'low', { persistent: true, priority: 0, expirationMs: 5_000 });
    before.publish('', 'q', 'high', { persistent: true, priority: 2 });
    await before.settle();
    const high = before.get('q')!;
    high.queue.acknowledge(high.entry);
    await before.settle();
    await before.settle();
    const after = await EngineFixture.open({ disk, clock });
    await after.settle();
    const queue = after.queue('q', args);
    expect(queue.readyCount).toBe(1);
    clock.advance(6_000);
    await after.settle();
    expect(queue.readyCount).toBe(0);
  });

  test('a new length limit takes effect on entries that must be read first', async () => {
    const disk = new MemoryDisk();
    const before = await EngineFixture.open({ disk });
    before.queue('q');
    for (let n = 0; n < 50; n += 1) before.publish('', 'q', `${n}`, { persistent: true });
    await before.settle();
    const after = await EngineFixture.open({ disk });
    const queue = after.queue('q');
    queue.applySettings({ ...queue.settings, maxLength: 10 });
    await after.settle();
    expect(queue.readyCount).toBe(10);
    expect(after.get('q')?.body).toBe('40');
  });
});
