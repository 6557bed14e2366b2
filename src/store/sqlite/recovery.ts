/**
 * Rebuilds the journal index from the data file: side tables first, then each row's index in id
 * order, whose records apply just as they did when they were written. Bodies are not read, except
 * the data of a row that is partly settled and whose bodies differ in size (for exact byte counts).
 */
import type { Definition, QueueId, RecoveredQueue } from '../../engine/ports.ts';
import type { Connection } from './driver.ts';
import type { JournalIndex } from './journal-index.ts';
import { JournalRow, Run } from './journal-row.ts';
import { highestRowId, JournalWalk } from './journal-walk.ts';
import type { QueueIndex } from './queue-index.ts';
import {
  type PutRecord,
  readHeader,
  ROW_IS_SHARED,
  type RowHeader,
  visitIndex,
} from './row-index.ts';
import { loadOrFault } from './row-fault.ts';
import type { RowLoader } from './row-loader.ts';
import { readTable } from './read-table.ts';
import { openBits, openDefinition } from './record-sums.ts';
import { DataFileError } from './schema.ts';
import { type Damage, SideTables } from './side-tables.ts';

/** Rows fetched per statement; the index of one that went to 10,000 queues has some 140 KB. */
const ROWS_PER_PAGE = 500;

/** What recovery found besides the index. */
export interface RecoveredJournal {
  readonly queues: Map<QueueId, RecoveredQueue>;
  readonly damaged: Damage[];
  readonly nextBodyId: number;
}

/** A run with what is needed to count its live body bytes. */
interface RunBytes {
  readonly queue: QueueIndex;
  readonly run: Run;
  readonly put: PutRecord;
}

interface IndexRow {
  readonly id: number;
  readonly dataBytes: number;
  readonly runs: Buffer;
}

/** All definitions. @throws DataFileError where one is damaged: a queue would lose its messages */
export async function readDefinitions(connection: Connection): Promise<Definition[]> {
  const { definitions, damaged } = await readWholeDefinitions(connection);
  const [first] = damaged;
  if (first === undefined) return definitions;
  throw new DataFileError(
    `the data file is damaged: the checksum of ${first} in table definition does not match; ` +
      'restore the data directory from a backup, or delete that record and declare it anew: ' +
      'if it is a queue, the messages in it are discarded',
  );
}

/** The definitions that are whole, and a name for each of the others. */
export async function readWholeDefinitions(
  connection: Connection,
): Promise<{ definitions: Definition[]; damaged: string[] }> {
  const definitions: Definition[] = [];
  const damaged: string[] = [];
  for (const stored of await readTable<Definition>(
    connection,
    'definition',
    'SELECT kind, key, value FROM definition',
  )) {
    const { kind, key } = stored;
    const value = openDefinition(kind, key, stored.value);
    if (value === undefined) damaged.push(`${kind} ${JSON.stringify(key)}`);
    else definitions.push({ kind, key, value });
  }
  return { definitions, damaged };
}

/** Reads one journal into an empty index. */
export class JournalRecovery {
  readonly #connection: Connection;
  readonly #isLenient: boolean;
  readonly #loader: RowLoader;
  readonly #index: JournalIndex;
  readonly #sideTables: SideTables;
  readonly #runs: RunBytes[];
  readonly #damaged: Damage[];
  /** Queues in which settled entries came back, and the end of those. */
  readonly #distrusted: Map<QueueIndex, number>;
  /** The newest row of which nothing is known. */
  #lostRowId: number;
  #highestBodyId: number;

  /** @param isLenient goes on behind any damage of the journal: for tools */
  constructor(connection: Connection, loader: RowLoader, index: JournalIndex, isLenient = false) {
    this.#connection = connection;
    this.#isLenient = isLenient;
    this.#loader = loader;
    this.#index = index;
    this.#sideTables = new SideTables(connection, index);
    this.#runs = [];
    this.#damaged = this.#sideTables.damaged;
    this.#distrusted = new Map();
    this.#lostRowId = 0;
    this.#highestBodyId = 0;
  }

  async run(): Promise<RecoveredJournal> {
    await this.#sideTables.read();
    const walk = new JournalWalk<IndexRow>(this.#connection, {
      columns: 'id, length(data) AS dataBytes, runs',
      rowsPerPage: ROWS_PER_PAGE,
      isLenient: this.#isLenient,
    });
    await walk.run(
      (row) => this.#applyRow(row),
      ({ rowId, lastRowId, reason }) => this.#lose(rowId, lastRowId, reason),
    );
    if (this.#damaged.length > 0) this.#index.hasDamage = true;
    if (this.#lostRowId > 0 && !this.#isLenient) {
      const highest = await highestRowId(this.#connection);
      this.#index.nextRowId = Math.max(this.#index.nextRowId, highest + 1);
    }
    this.#distrustMarks();
    this.#dropStaleStates();
    this.#dropTransients();
    const [body] = await readTable<{ id: number | null }>(
      this.#connection,
      'body',
      'SELECT max(id) AS id FROM body',
    );
    const highest = Math.max(body?.id ?? 0, this.#highestBodyId);
    const queues = await this.#describeQueues();
    return { queues, damaged: this.#damaged, nextBodyId: highest + 1 };
  }

  /** What may have been delivered before, though no mark says so. */
  #distrustMarks(): void {
    for (const [queue, end] of this.#distrusted) {
      queue.deliveredBelow = Math.max(queue.deliveredBelow, end);
    }
    const { hasDamagedMarks, marksAsOf } = this.#sideTables;
    for (const queue of this.#index.queues.values()) {
      const markRowId = Math.max(queue.markRowId, marksAsOf.get(queue.id) ?? 0);
      if (hasDamagedMarks || markRowId < this.#lostRowId) {
        queue.deliveredBelow = queue.nextSequence;
      }
    }
  }

  /** Notes that nothing is known of rows. */
  #lose(first: number, last: number, reason: string): void {
    this.#damaged.push({ rowId: first, reason });
    this.#lostRowId = Math.max(this.#lostRowId, last);
  }

  #applyRow(stored: IndexRow): void {
    const index = this.#index;
    if (stored.id >= index.nextRowId) index.nextRowId = stored.id + 1;
    const header = readHeader(stored.runs);
    if (header === undefined) {
      this.#lose(stored.id, stored.id, 'index checksum');
      return;
    }
    const puts: PutRecord[] = [];
    const bodyIds: number[] = [];
    let bodyBytes = 0;
    visitIndex(stored.runs, {
      onPut: (put) => puts.push(put),
      onBody: (id, byteCount) => {
        bodyIds.push(id);
        bodyBytes += byteCount;
        if (id > this.#highestBodyId) this.#highestBodyId = id;
      },
    });
    const row = new JournalRow(
      stored.id,
      header.slotCount,
      header.slotCount - puts.reduce((sum, put) => sum + put.gapCount, 0),
      stored.dataBytes + stored.runs.length + bodyBytes,
      puts.length,
      bodyIds.length === 0 ? undefined : bodyIds,
      header.commitMs,
      (header.flags & ROW_IS_SHARED) !== 0,
    );
    const isKnown = this.#restoreSettled(row);
    index.addRow(row);
    for (const put of puts) {
      const queue = this.#applyPut(row, header, put);
      if (!isKnown) this.#distrusted.set(queue, put.first + put.count);
    }
    this.#applyDeltas(stored, row);
    this.#noteRuns(puts, row);
  }

  /** False when it is not known which entries were settled. */
  #restoreSettled(row: JournalRow): boolean {
    const stored = this.#sideTables.settled.get(row.id);
    if (stored === undefined) return true;
    row.isCheckpointed = true;
    const bits = openBits(row.id, row.slotCount, stored);
    if (bits === undefined) {
      const reason = 'the record of its settled entries is damaged: they come back';
      this.#damaged.push({ rowId: row.id, reason });
      return false;
    }
    row.liveCount = 0;
    if (bits.length === 0) return true;
    for (let slot = 0; slot < row.slotCount; slot += 1) {
      if ((bits[slot >>> 3]! & (1 << (slot & 7))) === 0) row.liveCount += 1;
    }
    if (row.liveCount > 0) row.settledBits = new Uint8Array(bits);
    return true;
  }

  #applyPut(row: JournalRow, header: RowHeader, put: PutRecord): QueueIndex {
    const { first, count, slotBase, survives } = put;
    const queue = this.#index.queue(put.queueId);
    const timeMs = header.commitMs - put.lagMs;
    const run = new Run(first, count, row, slotBase, survives, timeMs);
    if (row.liveCount === 0) run.liveCount = 0;
    else if (row.settledBits !== undefined) {
      for (let slot = slotBase; slot < slotBase + count; slot += 1) {
        if (row.isSettled(slot)) run.liveCount -= 1;
      }
    }
    this.#index.addRun(queue, run, row.id);
    return queue;
  }

  /**
   * A settlement or state shows, too, that a sequence was given out: where the row that put it is
   * damaged, it must not be given to another entry, which would inherit the state.
   */
  #applyDeltas(stored: IndexRow, row: JournalRow): void {
    const index = this.#index;
    visitIndex(stored.runs, {
      onSettle: (queueId, first, count) => {
        const queue = index.queues.get(queueId);
        if (queue === undefined) return;
        index.settleRange(queue, first, first + count, row.id);
        index.proveSequence(queue, first + count, row.id);
      },
      onMark: (queueId, deliveredBelow) => {
        if ((this.#sideTables.marksAsOf.get(queueId) ?? -1) >= row.id) return;
        index.setMark(index.queue(queueId), deliveredBelow, row.id);
      },
      onState: (queueId, sequence, state) => {
        if (this.#sideTables.superseded.has(queueId, sequence, row.id)) return;
        const queue = index.queue(queueId);
        index.states.set(queue, sequence, state, row.id);
        index.proveSequence(queue, sequence + 1, row.id);
      },
      onDrop: (queueId) => index.dropQueue(index.queue(queueId), row.id),
    });
  }

  /** Remembers the row's runs, to count their live body bytes when all rows are in. */
  #noteRuns(puts: readonly PutRecord[], row: JournalRow): void {
    for (const put of puts) {
      const queue = this.#index.queues.get(put.queueId);
      const run = queue?.find(put.first);
      if (queue === undefined || run === undefined || run.row !== row) continue;
      this.#runs.push({ queue, run, put });
    }
  }

  /** Checkpointed states of entries that are gone: ignored, and deleted some time. */
  #dropStaleStates(): void {
    const { states, staleStates } = this.#index;
    for (const queue of this.#index.queues.values()) {
      const stale: number[] = [];
      for (const sequence of queue.states?.keys() ?? []) {
        if (!queue.isLive(sequence)) stale.push(sequence);
      }
      for (const sequence of stale) {
        if (states.remove(queue, sequence)) staleStates.push(queue.id, sequence);
      }
    }
  }

  /** Entries that were paged out, not promised: gone with the process that wrote them. */
  #dropTransients(): void {
    const index = this.#index;
    for (const queue of index.queues.values()) {
      for (const run of [...queue.runs]) {
        if (run.survives || run.liveCount === 0) continue;
        const { dirtyFrom } = run.row;
        index.settleRange(queue, run.first, run.first + run.count, index.nextRowId);
        // Every recovery drops them again, so no row holds this fact and none must be kept for it.
        if (dirtyFrom === 0) {
          run.row.dirtyFrom = 0;
          index.dirtyRows.delete(run.row);
        }
      }
    }
  }

  async #describeQueues(): Promise<Map<QueueId, RecoveredQueue>> {
    const bytes = await this.#countBodyBytes();
    const queues = new Map<QueueId, RecoveredQueue>();
    const { states } = this.#index;
    for (const queue of this.#index.queues.values()) {
      const leased: { sequence: number; leaseUntilMs: number }[] = [];
      for (const [sequence, slot] of queue.states ?? []) {
        const leaseUntilMs = states.leaseUntilMs(slot);
        if (leaseUntilMs !== Infinity) leased.push({ sequence, leaseUntilMs });
      }
      const { nextSequence, deliveredBelow, liveCount } = queue;
      const first = queue.firstLive(0);
      queues.set(queue.id, {
        nextSequence,
        liveCount,
        liveBodyBytes: bytes.get(queue) ?? 0,
        firstSequence: first === Infinity ? nextSequence : first,
        deliveredBelow,
        delayed: { [Symbol.iterator]: () => states.delayedOf(queue) },
        leased: leased.toSorted((a, b) => a.sequence - b.sequence),
      });
    }
    return queues;
  }

  async #countBodyBytes(): Promise<Map<QueueIndex, number>> {
    const totals = new Map<QueueIndex, number>();
    for (const { queue, run, put } of this.#runs) {
      if (run.liveCount === 0 || queue.isDropped) continue;
      const bornCount = put.count - put.gapCount;
      let live = put.bodyBytes;
      if (run.liveCount < bornCount) {
        live = put.isUniform ? (live / bornCount) * run.liveCount : await this.#measureRun(run);
      }
      totals.set(queue, (totals.get(queue) ?? 0) + live);
    }
    return totals;
  }

  /** Sums the body sizes of a run's live entries from the row's data. */
  async #measureRun(run: Run): Promise<number> {
    const loaded = await loadOrFault(this.#loader, run.row.id);
    if (typeof loaded === 'string') return 0;
    let total = 0;
    for (let slot = run.slotBase; slot < run.slotBase + run.count; slot += 1) {
      if (!run.row.isSettled(slot)) total += loaded.data.bodyBytes(loaded.data.recordAt(slot));
    }
    return total;
  }
}
