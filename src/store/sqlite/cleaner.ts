/**
 * Keeps file, memory and recovery time in proportion to what lives.
 *
 * Three kinds of work, all done inside a write transaction that first takes the write buffer:
 *   - *delete*: rows without live entries go, many at a time;
 *   - *clean*: the live entries of rows that are mostly garbage are written into a new row, and
 *     the old rows go in the same transaction;
 *   - *merge*: the same for thin rows (one message per commit);
 *   - *gather*: the same for rows in which many queues have a few entries each, written queue by
 *     queue, so that reading one queue back does not load everybody's.
 *
 * Why the bounds hold: if all rows together have more garbage than live bytes, some row has more
 * garbage than live bytes itself, and cleaning it frees more than it writes.
 *
 * Moving takes two steps. `prepare()` reads victims, asynchronously, while commits go on. `build()`
 * runs when the next transaction is put together: it looks up which entries are live *then*, and
 * changes the index at once. Nothing can come between, so no settlement is lost.
 *
 * Share of time: after work that took t ms, the next waits for 3t, or 9t when it only gathers,
 * which bounds nothing; for t when it has fallen four times behind its limits, and hardly at all at
 * sixteen times: then commits get slower, which slows publishers down, rather than file and memory
 * larger.
 */
import type { JournalIndex } from './journal-index.ts';
import type { JournalRow } from './journal-row.ts';
import { Mover, type Victim } from './mover.ts';
import type { BuiltRow, RowBuilder } from './row-builder.ts';
import { loadManyOrFaults } from './row-fault.ts';
import type { RowLoader } from './row-loader.ts';
import { chooseRows, ScatteredRows, SHORT_RUN_ENTRIES } from './victims.ts';

/** What the cleaner keeps to; tests use smaller values. */
export interface CleanerLimits {
  /** Garbage allowed beyond as many bytes as live. */
  readonly garbageBytes: number;
  /** Thin rows allowed before merging. */
  readonly thinRows: number;
  /** Runs allowed in memory before rows of shared messages with short runs are merged. */
  readonly runs: number;
  /** Bytes allowed in rows in which many queues have a few entries each. */
  readonly scatteredBytes: number;
  /** Dead rows, or their bytes, that start a delete while the store is busy. */
  readonly deadRows: number;
  readonly deadBytes: number;
  /** Live bytes moved by one transaction. */
  readonly moveBytes: number;
}

export const CLEANER_LIMITS: CleanerLimits = {
  garbageBytes: 32 * 1024 * 1024,
  thinRows: 2048,
  runs: 64 * 1024,
  scatteredBytes: 160 * 1024 * 1024,
  deadRows: 256,
  deadBytes: 8 * 1024 * 1024,
  moveBytes: 4 * 1024 * 1024,
};

/** Most deletions of one transaction. */
const DELETE_ROWS_MAX = 1024;
const DELETE_BYTES_MAX = 32 * 1024 * 1024;

/** How long to rest, in multiples of the work, by how far behind its limits the cleaner is. */
const REST_FACTOR = 3;
const REST_FACTOR_GATHERING = 9;
const REST_FACTOR_BEHIND = 1;
const REST_FACTOR_FAR_BEHIND = 0.2;
const BEHIND = 4;
const FAR_BEHIND = 16;

/** Scattered rows cost memory, some 100 bytes an entry: they are behind sooner than others. */
const SCATTERED_WEIGHT = 2;

/** When no row was worth moving, nobody looks again for this long. */
const SEARCH_PAUSE_MS = 1000;

/** Rows read and waiting for the next transaction. */
interface Prepared {
  readonly victims: readonly Victim[];
  readonly isByQueue: boolean;
}

/** What a cleaning step adds to a transaction. */
export interface CleanerStep {
  /** Rows to insert. */
  readonly built: BuiltRow[];
  /** Rows to delete. */
  readonly doomed: JournalRow[];
}

export class Cleaner {
  readonly #index: JournalIndex;
  readonly #loader: RowLoader;
  readonly #limits: CleanerLimits;
  readonly #onDamage: (row: JournalRow, fault: string) => void;
  readonly #scattered: ScatteredRows;
  #prepared: Prepared | undefined;
  #isPreparing: boolean;
  #restUntilMs: number;
  #searchAgainMs: number;
  /** Metrics. */
  deletedRows: number;
  movedEntries: number;

  constructor(
    index: JournalIndex,
    loader: RowLoader,
    limits: CleanerLimits,
    onDamage: (row: JournalRow, fault: string) => void,
  ) {
    this.#index = index;
    this.#loader = loader;
    this.#limits = limits;
    this.#onDamage = onDamage;
    this.#scattered = new ScatteredRows(index);
    this.#prepared = undefined;
    this.#isPreparing = false;
    this.#restUntilMs = 0;
    this.#searchAgainMs = 0;
    this.deletedRows = 0;
    this.movedEntries = 0;
  }

  get isPreparing(): boolean {
    return this.#isPreparing;
  }

  /** Whether the next transaction should carry a step. */
  isDue(nowMs: number): boolean {
    const { deadRows, deadBytes, hasDeadFault } = this.#index;
    // Set aside by the transaction that settles its last entry: afterwards nobody would read it.
    if (hasDeadFault) return true;
    if (nowMs < this.#restUntilMs) return false;
    return (
      this.#prepared !== undefined ||
      deadRows.length >= this.#limits.deadRows ||
      deadBytes >= this.#limits.deadBytes
    );
  }

  /** Whether there is anything to tidy when nothing else goes on. */
  get hasWork(): boolean {
    return this.#prepared !== undefined || this.#index.deadRows.length > 0;
  }

  /** Notes what a transaction with a step cost. */
  rest(nowMs: number, tookMs: number): void {
    this.#restUntilMs = nowMs + this.#restFactor() * tookMs;
  }

  #restFactor(): number {
    const debt = this.#debt();
    if (debt >= FAR_BEHIND) return REST_FACTOR_FAR_BEHIND;
    if (debt >= BEHIND) return REST_FACTOR_BEHIND;
    const mayWait = !this.#hasGarbage() && !this.#hasThinRows();
    return mayWait ? REST_FACTOR_GATHERING : REST_FACTOR;
  }

  /** Whether rows should be moved, and are not being read yet. */
  wantsToMove(nowMs: number): boolean {
    if (this.#prepared !== undefined || this.#isPreparing) return false;
    if (nowMs < Math.max(this.#restUntilMs, this.#searchAgainMs)) return false;
    return this.#isBehind();
  }

  /** Whether rows should be moved once it has rested: the rest may outlast all commits. */
  isResting(nowMs: number): boolean {
    return nowMs < this.#restUntilMs && this.#isBehind();
  }

  /** Reads the next victims; resolves when they are ready or there are none. */
  async prepare(committedRowId: number, nowMs: number): Promise<void> {
    if (this.#isPreparing || this.#prepared !== undefined) return;
    this.#isPreparing = true;
    try {
      const { rows, isByQueue } = this.#chooseVictims(committedRowId);
      if (rows.length === 0) {
        this.#searchAgainMs = nowMs + SEARCH_PAUSE_MS;
        return;
      }
      const victims: Victim[] = [];
      const found = await loadManyOrFaults(
        this.#loader,
        rows.map((row) => row.id),
      );
      for (const row of rows) {
        const loaded = found.get(row.id) ?? 'missing';
        if (typeof loaded !== 'string') victims.push({ row, loaded });
        else if (this.#index.rows.has(row.id)) this.#onDamage(row, loaded);
      }
      if (victims.length > 0) this.#prepared = { victims, isByQueue };
    } finally {
      this.#isPreparing = false;
    }
  }

  /**
   * Takes this step's work: builds rows of moved entries and names the rows to delete. Must be
   * called in the same synchronous run in which the buffer was taken, after it.
   *
   * @param firstNewRowId first row of the transaction under construction; those stay
   */
  build(commitMs: number, firstNewRowId: number, nextBuilder: () => RowBuilder): CleanerStep {
    const mover = new Mover(this.#index, commitMs, nextBuilder);
    const prepared = this.#prepared;
    this.#prepared = undefined;
    if (prepared !== undefined) mover.move(prepared.victims, prepared.isByQueue);
    const { built, doomed } = mover;
    this.#takeDead(firstNewRowId, doomed);
    this.movedEntries += mover.movedEntries;
    this.deletedRows += doomed.length;
    for (const row of doomed) this.#loader.forget(row.id);
    return { built, doomed };
  }

  #isBehind(): boolean {
    return (
      this.#hasGarbage() || this.#hasThinRows() || this.#hasScatteredRows() || this.#hasShortRuns()
    );
  }

  #hasGarbage(): boolean {
    return this.#excessGarbage() > this.#limits.garbageBytes;
  }

  /** Bytes of garbage beyond as many as live, dead rows apart. */
  #excessGarbage(): number {
    const { totalBytes, liveBytes, deadBytes } = this.#index;
    return totalBytes - deadBytes - 2 * liveBytes;
  }

  /** How often the worst of the limits is exceeded. */
  #debt(): number {
    const { thinCount, scatteredBytes, deadBytes } = this.#index;
    const limits = this.#limits;
    return Math.max(
      this.#excessGarbage() / limits.garbageBytes,
      thinCount / limits.thinRows,
      (scatteredBytes / limits.scatteredBytes) * SCATTERED_WEIGHT,
      deadBytes / limits.deadBytes,
    );
  }

  #hasThinRows(): boolean {
    return this.#index.thinCount > this.#limits.thinRows;
  }

  #hasScatteredRows(): boolean {
    return this.#index.scatteredBytes > this.#limits.scatteredBytes;
  }

  #hasShortRuns(): boolean {
    const { runCount, liveCount } = this.#index;
    return runCount > this.#limits.runs && liveCount < runCount * SHORT_RUN_ENTRIES;
  }

  /** What is worth moving most, and how. */
  #chooseVictims(committedRowId: number): { rows: JournalRow[]; isByQueue: boolean } {
    const index = this.#index;
    const { moveBytes } = this.#limits;
    if (this.#hasGarbage()) {
      const wants = (row: JournalRow): boolean => row.isMostlyGarbage;
      const rows = chooseRows(index, committedRowId, moveBytes, wants);
      if (rows.length > 0) return { rows, isByQueue: false };
    }
    if (this.#hasThinRows()) {
      const wants = (row: JournalRow): boolean => index.isThin(row);
      const rows = chooseRows(index, committedRowId, moveBytes, wants);
      if (rows.length > 1) return { rows, isByQueue: rows.every((row) => row.mayScatter) };
    }
    if (this.#hasScatteredRows()) {
      const rows = this.#scattered.choose(committedRowId, moveBytes);
      if (rows.length > 0) return { rows, isByQueue: true };
    }
    if (this.#hasShortRuns()) {
      const rows = chooseRows(index, committedRowId, moveBytes, hasShortRuns);
      if (rows.length > 1) return { rows, isByQueue: false };
    }
    return { rows: [], isByQueue: false };
  }

  #takeDead(firstNewRowId: number, doomed: JournalRow[]): void {
    const index = this.#index;
    const dead = index.deadRows.filter((row) => !row.isVictim);
    dead.sort((a, b) => Number(isWhole(a)) - Number(isWhole(b)) || a.id - b.id);
    let byteCount = 0;
    let taken = 0;
    while (taken < dead.length && taken < DELETE_ROWS_MAX && byteCount < DELETE_BYTES_MAX) {
      const row = dead[taken]!;
      // A row of the transaction under construction that is dead already: the next one's.
      if (row.id >= firstNewRowId) break;
      byteCount += row.totalBytes;
      doomed.push(row);
      taken += 1;
    }
    index.deadRows = dead.slice(taken);
    index.hasDeadFault = !index.deadRows.every(isWhole);
    index.deadBytes = 0;
    for (const row of index.deadRows) index.deadBytes += row.totalBytes;
  }
}

function isWhole(row: JournalRow): boolean {
  return row.fault === undefined;
}

/** A row that moving by row can help, once: messages that went to many queues. */
function hasShortRuns(row: JournalRow): boolean {
  return !row.isMoved && !row.isScattered && row.bornCount < row.runCount * SHORT_RUN_ENTRIES;
}
