import { MemoryDisk } from '../../src/store/memory-disk.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { describeStoreContract } from './store-contract.ts';
import { ManualClock } from './manual-clock.ts';

describeStoreContract('MemoryStore', () => {
  const disk = new MemoryDisk();
  const clock = new ManualClock();
  return {
    open: () => Promise.resolve(new MemoryStore({ disk, clock })),
    setWallMs: (wallMs) => clock.setWallMs(wallMs),
    dispose: () => Promise.resolve(),
  };
});
