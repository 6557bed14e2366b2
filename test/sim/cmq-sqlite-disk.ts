/**
 * A data directory of the SQLite store for the processes of one seed, with limits so small that
 * every kind of background work happens.
 *
 * A crash copies the files to a new directory, as they are between two commits: that is what a
 * killed process leaves. No timer runs: cleaning rides on commits, or is asked for (`tidy`).
 */
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../src/base/clock.ts';
import type { Store } from '../../src/engine/ports.ts';
import type { Scheduler } from '../../src/store/scheduler.ts';
import { checkDataFile } from '../../src/store/sqlite/check.ts';
import { RowLoader } from '../../src/store/sqlite/row-loader.ts';
import { DATA_FILE } from '../../src/store/sqlite/schema.ts';
import { type DamageReport, SqliteStore } from '../../src/store/sqlite/sqlite-store.ts';
import { temporaryDirectory } from '../store/support.ts';
import type { SeededRandom } from '../support/seeded-random.ts';
import type { CmqDisk } from './cmq-disk.ts';

const EAGER = {
  garbageBytes: 1_000,
  thinRows: 3,
  runs: 8,
  scatteredBytes: 600,
  deadRows: 3,
  deadBytes: 2_000,
  moveBytes: 1_500,
};

/** Ms from which on a timer is the housekeeper's, which is asked instead. */
const HOUSEKEEPER_TICK_MS = 100;

const SCHEDULER: Scheduler = {
  after: (delayMs, task) => {
    if (delayMs < HOUSEKEEPER_TICK_MS) setImmediate(task);
    return () => {};
  },
  soon: (task) => void setImmediate(task),
  hasSpareProcessor: false,
  nowMs: () => Infinity,
};

/** A loader that has no room for every third row: it is read again each time. */
function evictRows(): void {
  const load: RowLoader['load'] = Reflect.get(RowLoader.prototype, 'load');
  RowLoader.prototype.load = function loadEvicted(this: RowLoader, id) {
    if (id % 3 === 0) this.forget(id);
    return load.call(this, id);
  };
}

// The modules of a test file with tiny limits are its own.
evictRows();

export class SqliteCmqDisk implements CmqDisk {
  /** Short ones, some of a few rows, and one that lies apart from its row. */
  readonly bodyBytes = [...Array<number>(20).fill(8), 100, 100, 400, 70_000];
  readonly #random: SeededRandom;
  readonly #root = temporaryDirectory();
  readonly #limits: { cleanerLimits?: typeof EAGER; thinRowBytes?: number; rowBytesMax?: number };
  readonly #damage: DamageReport[] = [];
  #generation = 0;
  #isHeld = false;
  #store: SqliteStore | undefined;

  constructor(random: SeededRandom) {
    this.#random = random;
    this.#limits = {
      ...(random.below(10) < 8 && { cleanerLimits: EAGER }),
      ...(random.below(2) === 0 && { thinRowBytes: 200 }),
      ...(random.below(2) === 0 && { rowBytesMax: 150 }),
    };
  }

  async open(clock: Clock): Promise<Store> {
    const last = this.#store;
    if (last !== undefined && !last.isClosed) {
      if (!this.#isHeld) this.#copy();
      this.#generation += 1;
      await last.close();
    }
    this.#isHeld = false;
    this.#store = await SqliteStore.open({
      directory: this.#directory(),
      durability: 'relaxed',
      clock,
      scheduler: SCHEDULER,
      onDamage: (report) => this.#damage.push(report),
      ...this.#limits,
    });
    return this.#store;
  }

  hold(): void {
    this.#copy();
    this.#isHeld = true;
  }

  async tidy(): Promise<void> {
    if (this.#random.below(3) === 0) await this.#store!.checkpoint();
    else await this.#store!.tidy();
  }

  async dispose(isOrderly: boolean): Promise<void> {
    try {
      await this.#store?.close();
      if (!isOrderly) return;
      const { problems } = await checkDataFile(this.#directory());
      const all = [...problems, ...this.#damage.map(({ reason }) => reason)];
      if (all.length > 0) throw new Error(`data file: ${all.join('; ')}`);
    } finally {
      this.#root.remove();
    }
  }

  #directory(generation = this.#generation): string {
    return join(this.#root.path, `data-${generation}`);
  }

  #copy(): void {
    const to = this.#directory(this.#generation + 1);
    mkdirSync(to, { mode: 0o700 });
    for (const suffix of ['', '-wal']) {
      const source = join(this.#directory(), `${DATA_FILE}${suffix}`);
      if (existsSync(source)) copyFileSync(source, join(to, `${DATA_FILE}${suffix}`));
    }
  }
}
