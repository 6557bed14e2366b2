import { expect, it } from 'vitest';
import type { ClassicQueue } from '../../src/engine/queue/classic-queue.ts';
import { MemoryDisk } from '../../src/store/memory-disk.ts';
import { bodyOf, EngineFixture } from '../support/engine-fixture.ts';

it('a look at what is on disk goes on where a page of it ends', async () => {
  const disk = new MemoryDisk();
  const before = await EngineFixture.open({ disk });
  before.queue('q');
  const large = '.'.repeat(1024 * 1024);
  for (let n = 1; n <= 5; n += 1) before.publish('', 'q', `${n}${large}`, { persistent: true });
  await before.settle();

  const after = await EngineFixture.open({ disk });
  after.publish('', 'q', '6', { persistent: true });
  const queue = after.vhost.topology.queues.get('q') as ClassicQueue;
  const seen = await new Promise((resolve) => {
    queue.peek(16, (entries) => resolve(entries.map(({ message }) => bodyOf(message)[0])));
  });
  expect(seen).toEqual(['1', '2', '3', '4', '5', '6']);
});
