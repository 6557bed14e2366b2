import { describe, expect, test } from 'vitest';
import { MemoryDisk } from '../../../src/store/memory-disk.ts';
import { EngineFixture } from '../../support/engine-fixture.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const BODY = 'x'.repeat(100);

describe('retention of a stream after a restart', () => {
  test('removes the oldest part, not everything from before', async () => {
    const disk = new MemoryDisk();
    const args = {
      'x-queue-type': 'stream',
      'x-max-length-bytes': 10_000,
      'x-stream-max-segment-size-bytes': 1_000,
    };
    const before = await EngineFixture.open({ disk });
    before.queue('s', args);
    for (let n = 0; n < 100; n += 1) before.publish('', 's', BODY, { persistent: true });
    await before.settle();
    const after = await EngineFixture.open({ disk });
    const queue = after.queue('s', args);
    for (let n = 0; n < 3; n += 1) after.publish('', 's', BODY, { persistent: true });
    await after.settle();
    expect(queue.readyCount).toBeGreaterThanOrEqual(90);
    expect(queue.readyBytes).toBe(queue.readyCount * BODY.length);
    for (let n = 0; n < 200; n += 1) after.publish('', 's', BODY, { persistent: true });
    await after.settle();
    expect(queue.readyBytes).toBe(queue.readyCount * BODY.length);
    expect(queue.readyBytes).toBeLessThanOrEqual(11_000);
  });

  test('by age removes what was too old before the restart', async () => {
    const disk = new MemoryDisk();
    const clock = new FakeClock();
    const args = {
      'x-queue-type': 'stream',
      'x-max-age': '1h',
      'x-stream-max-segment-size-bytes': 1_000,
    };
    const before = await EngineFixture.open({ disk, clock });
    before.queue('s', args);
    for (let n = 0; n < 50; n += 1) before.publish('', 's', BODY, { persistent: true });
    await before.settle();
    clock.advance(3_000_000);
    for (let n = 0; n < 50; n += 1) before.publish('', 's', BODY, { persistent: true });
    await before.settle();
    clock.advance(1_000_000);
    const after = await EngineFixture.open({ disk, clock });
    const queue = after.queue('s', args);
    after.publish('', 's', BODY, { persistent: true });
    await after.settle();
    expect(queue.readyCount).toBe(51);
  });
});
