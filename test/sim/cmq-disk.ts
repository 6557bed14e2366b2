/** What the simulated processes of one seed store on, one after the other. */
import type { Clock } from '../../src/base/clock.ts';
import type { Store } from '../../src/engine/ports.ts';
import { MemoryDisk } from '../../src/store/memory-disk.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { IMMEDIATE_SCHEDULER } from '../support/immediate-scheduler.ts';

export interface CmqDisk {
  /** Bytes of bodies to store, as often as they are to come. */
  readonly bodyBytes: readonly number[];
  /** Opens what the last store left; one that was not closed has crashed. */
  open(clock: Clock): Promise<Store>;
  /** The next crash leaves what is committed now, whatever is written until then. */
  hold(): void;
  /** Does background work of the present store. */
  tidy(): Promise<void>;
  /** The run is over, in an orderly way when `isOrderly`. @throws when something is damaged */
  dispose(isOrderly: boolean): Promise<void>;
}

/** Commits of an abandoned in-memory store reach nothing, so there is nothing to hold. */
export class MemoryCmqDisk implements CmqDisk {
  readonly bodyBytes = [8];
  readonly #disk = new MemoryDisk();

  open(clock: Clock): Promise<Store> {
    const scheduler = IMMEDIATE_SCHEDULER;
    return Promise.resolve(new MemoryStore({ clock, disk: this.#disk, scheduler }));
  }

  hold(): void {}

  tidy(): Promise<void> {
    return Promise.resolve();
  }

  dispose(): Promise<void> {
    return Promise.resolve();
  }
}
