/**
 * Keeps file, memory and recovery time in proportion to what lives.
 *
 * Three kinds of work, all done inside a write transaction that first takes the write buffer:
 *   - *delete*: rows without live entries go, many at a time;
 *   - *clean*: the live entries of rows that are mostly garbage are written into a new row, and
 *     the old rows go in the same transaction;
 *   - *merge*: the same for thin rows (one message per commit) and for rows whose entries are
 *     scattered over many runs.
 *
 * Why the bounds hold: if all rows together have more garbage than live bytes, some row has more
 * garbage than live bytes itself, and cleaning it frees more than it writes.
 *
 * Moving takes two steps. `prepare()` reads victims, asynchronously, while commits go on. `build()`
 * runs when the next transaction is put together: it looks up which entries are live *then*, and
 * changes the index at once. Nothing can come between, so no settlement is lost.
 *
 * Share of time: after work that took t ms, the next waits for REST_FACTOR * t ms.
 */
import type { JournalIndex } from './journal-index.ts';
import { THIN_ROW_BYTES } from './journal-index.ts';
import type { JournalRow, Run } from './journal-row.ts';
import type { BuiltRow, RowBuilder } from './row-builder.ts';
import type { QueueIndex } from './queue-index.ts';
import { type PutRecord, visitIndex } from './row-index.ts';
import type { LoadedRow, RowLoader } from './row-loader.ts';

/** What the cleaner keeps to; tests use smaller values. */
export interface CleanerLimits {
  /** Garbage allowed beyond as many bytes as live. */
  readonly garbageBytes: number;
  /** Thin rows allowed before merging. */
  readonly thinRows: number;
  /** Runs allowed in memory before rows with short runs are merged. */
  readonly runs: number;
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
  deadRows: 256,
  deadBytes: 8 * 1024 * 1024,
  moveBytes: 4 * 1024 * 1024,
};

/** Most work of one transaction. */
const DELETE_ROWS_MAX = 1024;
const DELETE_BYTES_MAX = 32 * 1024 * 1024;
const MOVE_ROWS_MAX = 1024;
const MOVE_READ_BYTES_MAX = 16 * 1024 * 1024;

/** A new row of moved entries is closed at this size. */
const MOVED_ROW_BYTES = 4 * 1024 * 1024;

/** A row with fewer entries per run than this is fragmented. */
const SHORT_RUN_ENTRIES = 8;

/** Longest gap of settled entries that a moved run may span: 4 bytes each, against a run's 100. */
const GAP_MAX = 16;

const REST_FACTOR = 3;

/** When no row was worth moving, nobody looks again for this long. */
const SEARCH_PAUSE_MS = 1000;

/** Rows read and waiting for the next transaction. */
interface Prepared {
  readonly rows: readonly { readonly row: JournalRow; readonly loaded: LoadedRow }[];
  readonly isMerge: boolean;
}

/** Entries of one queue on the move. */
interface QueueMove {
  first: number;
  end: number;
  readonly runs: Run[];
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
    if (nowMs < this.#restUntilMs) return false;
    const { deadRows, deadBytes } = this.#index;
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
    this.#restUntilMs = nowMs + REST_FACTOR * tookMs;
  }

  /** Whether rows should be moved, and are not being read yet. */
  wantsToMove(nowMs: number): boolean {
    if (this.#prepared !== undefined || this.#isPreparing) return false;
    if (nowMs < Math.max(this.#restUntilMs, this.#searchAgainMs)) return false;
    return this.#hasGarbage() || this.#hasThinRows() || this.#hasShortRuns();
  }

  /** Reads the next victims; resolves when they are ready or there are none. */
  async prepare(committedRowId: number, nowMs: number): Promise<void> {
    if (this.#isPreparing || this.#prepared !== undefined) return;
    this.#isPreparing = true;
    try {
      const isMerge = !this.#hasGarbage();
      const victims = this.#chooseVictims(committedRowId, isMerge);
      if (victims.length === 0) {
        this.#searchAgainMs = nowMs + SEARCH_PAUSE_MS;
        return;
      }
      const rows: { row: JournalRow; loaded: LoadedRow }[] = [];
      const found = await this.#loader.loadMany(victims.map((row) => row.id));
      for (const row of victims) {
        const loaded = found.get(row.id) ?? 'missing';
        if (typeof loaded !== 'string') rows.push({ row, loaded });
        else if (this.#index.rows.has(row.id)) this.#onDamage(row, loaded);
      }
      if (rows.length > 0) this.#prepared = { rows, isMerge };
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
    const built: BuiltRow[] = [];
    const doomed: JournalRow[] = [];
    const prepared = this.#prepared;
    this.#prepared = undefined;
    if (prepared !== undefined) this.#move(prepared, commitMs, nextBuilder, built, doomed);
    this.#takeDead(firstNewRowId, doomed);
    this.deletedRows += doomed.length;
    for (const row of doomed) this.#loader.forget(row.id);
    return { built, doomed };
  }

  #hasGarbage(): boolean {
    const { totalBytes, liveBytes, deadBytes } = this.#index;
    return totalBytes - deadBytes - liveBytes > liveBytes + this.#limits.garbageBytes;
  }

  #hasThinRows(): boolean {
    return this.#index.thinCount > this.#limits.thinRows;
  }

  #hasShortRuns(): boolean {
    const { runCount, liveCount } = this.#index;
    return runCount > this.#limits.runs && liveCount < runCount * SHORT_RUN_ENTRIES;
  }

  #chooseVictims(committedRowId: number, isMerge: boolean): JournalRow[] {
    const wantsThin = this.#hasThinRows();
    const victims: JournalRow[] = [];
    let liveBytes = 0;
    let readBytes = 0;
    for (const row of this.#index.rows.values()) {
      if (row.id > committedRowId || victims.length >= MOVE_ROWS_MAX) break;
      if (row.liveCount === 0 || row.fault !== undefined) continue;
      if (isMerge ? !isFragment(row, wantsThin) : !row.isMostlyGarbage) continue;
      victims.push(row);
      liveBytes += row.entryBytes * row.liveCount;
      readBytes += row.totalBytes;
      if (liveBytes >= this.#limits.moveBytes || readBytes >= MOVE_READ_BYTES_MAX) break;
    }
    return isMerge && victims.length < 2 ? [] : victims;
  }

  #move(
    prepared: Prepared,
    commitMs: number,
    nextBuilder: () => RowBuilder,
    built: BuiltRow[],
    doomed: JournalRow[],
  ): void {
    const moves = new Map<QueueIndex, QueueMove>();
    let builder: RowBuilder | undefined;
    for (const { row, loaded } of prepared.rows) {
      // It died and was deleted while the others were read.
      if (!this.#index.rows.has(row.id)) continue;
      row.isVictim = true;
      doomed.push(row);
      if (row.liveCount === 0) continue;
      if (builder === undefined) {
        builder = nextBuilder();
        builder.begin(commitMs);
      }
      this.#moveRow(row, loaded, builder, moves);
      if (builder.dataBytes >= MOVED_ROW_BYTES) {
        built.push(this.#sealMoved(builder, prepared.isMerge, moves));
        builder = undefined;
      }
    }
    if (builder !== undefined) built.push(this.#sealMoved(builder, prepared.isMerge, moves));
    for (const [queue, move] of moves) {
      move.runs.sort((a, b) => a.first - b.first);
      queue.replaceMoved(move.first, move.end, move.runs);
    }
  }

  #moveRow(
    row: JournalRow,
    loaded: LoadedRow,
    builder: RowBuilder,
    moves: Map<QueueIndex, QueueMove>,
  ): void {
    // All entries of a row go to one new row, so a large body keeps exactly one owner.
    const recordOffsets = new Map<number, number>();
    const keptBodies = new Set<number>();
    visitIndex(loaded.runs, {
      onPut: (put) => {
        const queue = this.#index.queues.get(put.queueId);
        if (queue === undefined) return;
        const count = moveRun(row, loaded, put, queue, builder, recordOffsets, keptBodies);
        if (count === 0) return;
        this.movedEntries += count;
        const end = put.first + put.count;
        const move = moves.get(queue);
        if (move === undefined) moves.set(queue, { first: put.first, end, runs: [] });
        else {
          move.first = Math.min(move.first, put.first);
          move.end = Math.max(move.end, end);
        }
      },
    });
    if (row.bodyIds !== undefined) {
      row.bodyIds = row.bodyIds.filter((bodyId) => !keptBodies.has(bodyId));
    }
  }

  #sealMoved(builder: RowBuilder, isMerge: boolean, moves: Map<QueueIndex, QueueMove>): BuiltRow {
    const row = builder.sealPuts(this.#index.nextRowId);
    this.#index.nextRowId += 1;
    row.isMerged = isMerge;
    const result = builder.seal(row);
    this.#index.addRow(row);
    for (const { queue, run } of result.puts) moves.get(queue)?.runs.push(run);
    return result;
  }

  #takeDead(firstNewRowId: number, doomed: JournalRow[]): void {
    const index = this.#index;
    const dead = index.deadRows.filter((row) => !row.isVictim);
    dead.sort((a, b) => a.id - b.id);
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
    index.deadBytes = 0;
    for (const row of index.deadRows) index.deadBytes += row.totalBytes;
  }
}

/** Whether merging may pay for this row. */
function isFragment(row: JournalRow, wantsThin: boolean): boolean {
  if (wantsThin) return row.totalBytes < THIN_ROW_BYTES;
  return !row.isMerged && row.bornCount < row.runCount * SHORT_RUN_ENTRIES;
}

/** Copies the live entries of one run; returns how many there were. */
function moveRun(
  row: JournalRow,
  loaded: LoadedRow,
  put: PutRecord,
  queue: QueueIndex,
  builder: RowBuilder,
  recordOffsets: Map<number, number>,
  keptBodies: Set<number>,
): number {
  const { data, header } = loaded;
  const timeMs = header.commitMs - put.lagMs;
  let count = 0;
  let lastLive = -1;
  for (let i = 0; i < put.count; i += 1) {
    const slot = put.slotBase + i;
    if (row.isSettled(slot)) continue;
    const sequence = put.first + i;
    const gap = lastLive < 0 ? 0 : sequence - lastLive - 1;
    if (gap <= GAP_MAX) {
      for (let missing = sequence - gap; missing < sequence; missing += 1) {
        builder.addGap(queue, missing);
      }
    }
    const recordAt = data.recordAt(slot);
    let offset = recordOffsets.get(recordAt);
    if (offset === undefined) {
      offset = builder.copyRecord(data, recordAt);
      recordOffsets.set(recordAt, offset);
      const bodyId = data.bodyId(recordAt);
      if (bodyId >= 0) keptBodies.add(bodyId);
    }
    const expiresAtMs = data.expiresAtMs(slot);
    const bodyBytes = data.bodyBytes(recordAt);
    builder.addMoved(queue, sequence, offset, put.survives, expiresAtMs, bodyBytes, timeMs);
    lastLive = sequence;
    count += 1;
  }
  return count;
}
