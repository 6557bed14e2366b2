/**
 * Chooses which rows to empty: oldest first, up to the work of one transaction.
 *
 * Only committed rows with live entries are candidates, and none that cannot be read.
 */
import type { JournalIndex } from './journal-index.ts';
import type { JournalRow } from './journal-row.ts';
import type { QueueIndex } from './queue-index.ts';

const ROWS_MAX = 1024;
const READ_BYTES_MAX = 16 * 1024 * 1024;

/** Scattered rows of one kind that are worth emptying together. */
const SCATTERED_ROWS_MIN = 4;

/** Queues looked at for scattered rows before giving up for now. */
const QUEUES_PER_SEARCH = 256;

/** A row with fewer entries per run than this has short runs. */
export const SHORT_RUN_ENTRIES = 8;

/** Collects rows until a transaction's work is together. */
class Batch {
  readonly rows: JournalRow[];
  readonly #liveBytesMax: number;
  #liveBytes: number;
  #readBytes: number;

  constructor(liveBytesMax: number) {
    this.rows = [];
    this.#liveBytesMax = liveBytesMax;
    this.#liveBytes = 0;
    this.#readBytes = 0;
  }

  /** Takes a row; false when no more are wanted. */
  add(row: JournalRow): boolean {
    this.rows.push(row);
    this.#liveBytes += row.entryBytes * row.liveCount;
    this.#readBytes += row.totalBytes;
    return (
      this.rows.length < ROWS_MAX &&
      this.#liveBytes < this.#liveBytesMax &&
      this.#readBytes < READ_BYTES_MAX
    );
  }
}

/** Rows that `wants`, by age. */
export function chooseRows(
  index: JournalIndex,
  committedRowId: number,
  liveBytesMax: number,
  wants: (row: JournalRow) => boolean,
): JournalRow[] {
  const batch = new Batch(liveBytesMax);
  for (const row of index.rows.values()) {
    if (row.id > committedRowId) break;
    if (row.liveCount === 0 || row.fault !== undefined || !wants(row)) continue;
    if (!batch.add(row)) break;
  }
  return batch.rows;
}

/** Walks the queues round and round, and finds scattered rows that share one. */
export class ScatteredRows {
  readonly #index: JournalIndex;
  #queues: IterableIterator<QueueIndex>;

  constructor(index: JournalIndex) {
    this.#index = index;
    this.#queues = index.queues.values();
  }

  /** Rows of one kind in which one queue has short runs; none when there are too few. */
  choose(committedRowId: number, liveBytesMax: number): JournalRow[] {
    for (let tries = 0; tries < QUEUES_PER_SEARCH; tries += 1) {
      const queue = this.#nextQueue();
      if (queue === undefined) return [];
      const found = chooseOfQueue(queue, committedRowId, liveBytesMax);
      if (found.length >= SCATTERED_ROWS_MIN) return found;
    }
    return [];
  }

  #nextQueue(): QueueIndex | undefined {
    let next = this.#queues.next();
    if (next.done === true) {
      this.#queues = this.#index.queues.values();
      next = this.#queues.next();
    }
    return next.done === true ? undefined : next.value;
  }
}

/** The rows of the queue with the shortest runs, together with others of their kind. */
function chooseOfQueue(
  queue: QueueIndex,
  committedRowId: number,
  liveBytesMax: number,
): JournalRow[] {
  const batches = new Map<number, { batch: Batch; isOpen: boolean }>();
  for (let i = queue.head; i < queue.runs.length; i += 1) {
    const { row, liveCount } = queue.runs[i]!;
    if (liveCount === 0 || !row.isScattered || row.id > committedRowId) continue;
    if (row.fault !== undefined) continue;
    let chosen = batches.get(row.scatterClass);
    if (chosen === undefined) {
      chosen = { batch: new Batch(liveBytesMax), isOpen: true };
      batches.set(row.scatterClass, chosen);
    }
    if (!chosen.isOpen || chosen.batch.rows.at(-1) === row) continue;
    chosen.isOpen = chosen.batch.add(row);
    if (!chosen.isOpen && row.scatterClass === 0) break;
  }
  const classes = [...batches.keys()].sort((a, b) => a - b);
  for (const scatterClass of classes) {
    const { rows } = batches.get(scatterClass)!.batch;
    // A queue that left a row and came back would name it twice.
    if (rows.length >= SCATTERED_ROWS_MIN) return [...new Set(rows)];
  }
  return [];
}
