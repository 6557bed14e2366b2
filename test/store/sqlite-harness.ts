/**
 * A data directory whose stores can crash: opening again without closing copies the files to a
 * new directory, which is what a killed process leaves, and opens that.
 */
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DATA_FILE } from '../../src/store/sqlite/schema.ts';
import {
  type DamageReport,
  SqliteStore,
  type SqliteStoreOptions,
} from '../../src/store/sqlite/sqlite-store.ts';
import { ManualClock } from './manual-clock.ts';
import { temporaryDirectory } from './support.ts';

export class SqliteHarness {
  readonly clock: ManualClock;
  readonly damage: DamageReport[];
  readonly #root: { path: string; remove: () => void };
  readonly #options: Partial<SqliteStoreOptions>;
  #generation: number;
  #store: SqliteStore | undefined;
  #abandoned: SqliteStore[];

  constructor(options: Partial<SqliteStoreOptions> = {}) {
    this.clock = new ManualClock();
    this.damage = [];
    this.#root = temporaryDirectory();
    this.#options = options;
    this.#generation = 0;
    this.#store = undefined;
    this.#abandoned = [];
  }

  /** The present data directory. */
  get directory(): string {
    return join(this.#root.path, `data-${this.#generation}`);
  }

  get dataPath(): string {
    return join(this.directory, DATA_FILE);
  }

  setWallMs(wallMs: number): void {
    this.clock.setWallMs(wallMs);
  }

  async open(): Promise<SqliteStore> {
    if (this.#store !== undefined && !this.#store.isClosed) this.#crash();
    this.#store = await SqliteStore.open({
      directory: this.directory,
      // The crashes here are process deaths; power loss is another suite's business.
      durability: 'full',
      clock: this.clock,
      onDamage: (report) => this.damage.push(report),
      ...this.#options,
    });
    return this.#store;
  }

  async dispose(): Promise<void> {
    for (const store of [...this.#abandoned, this.#store]) {
      if (store !== undefined && !store.isClosed) await store.close();
    }
    this.#root.remove();
  }

  #crash(): void {
    const from = this.directory;
    this.#abandoned.push(this.#store!);
    this.#generation += 1;
    mkdirSync(this.directory, { mode: 0o700 });
    for (const suffix of ['', '-wal']) {
      const source = join(from, `${DATA_FILE}${suffix}`);
      if (existsSync(source)) copyFileSync(source, join(this.directory, `${DATA_FILE}${suffix}`));
    }
  }
}
