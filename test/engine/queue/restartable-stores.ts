/** The two stores, each with a way to restart it: opening again is a crash. */
import type { Recovery, Store } from '../../../src/engine/ports.ts';
import { MemoryDisk } from '../../../src/store/memory-disk.ts';
import { MemoryStore } from '../../../src/store/memory-store.ts';
import { SqliteHarness } from '../../store/sqlite-harness.ts';

export interface RestartableStore {
  open(): Promise<{ store: Store; recovery: Recovery }>;
  dispose(): Promise<void>;
}

class RestartableMemory implements RestartableStore {
  readonly #disk = new MemoryDisk();

  async open(): Promise<{ store: Store; recovery: Recovery }> {
    const store = new MemoryStore({ disk: this.#disk });
    return { store, recovery: await store.recover() };
  }

  dispose(): Promise<void> {
    return Promise.resolve();
  }
}

class RestartableSqlite implements RestartableStore {
  readonly #harness = new SqliteHarness();

  async open(): Promise<{ store: Store; recovery: Recovery }> {
    const store = await this.#harness.open();
    return { store, recovery: await store.recover() };
  }

  dispose(): Promise<void> {
    return this.#harness.dispose();
  }
}

export const RESTARTABLE_STORES: readonly [name: string, make: () => RestartableStore][] = [
  ['memory', () => new RestartableMemory()],
  ['SQLite', () => new RestartableSqlite()],
];
