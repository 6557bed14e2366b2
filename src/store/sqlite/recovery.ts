/**
 * Rebuilds the journal index from the data file: side tables first, then each row's index in id
 * order, whose records apply just as they did when they were written. Bodies are not read, except
 * the data of a row that is partly settled and whose bodies differ in size (for exact byte counts).
 */
import type { Definition, QueueId, RecoveredQueue } from '../../engine/ports.ts';
import type { Connection } from './driver.ts';
import type { JournalIndex } from './journal-index.ts';
import { JournalRow, Run } from './journal-row.ts';
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
import { SupersededStates } from './superseded-states.ts';

/** Rows fetched per statement; the index of one that went to 10,000 queues has some 140 KB. */
const ROWS_PER_PAGE = 500;

/** Records of table `entry_state` fetched per statement, some 60 bytes each. */
const STATES_PER_PAGE = 5_000;

/** The order of `EntryStateRow`. */
const STATE_COLUMNS = `queue_id, sequence, as_of, receive_count, not_before_ms, lease_until_ms,
  first_received_at_ms, expires_at_ms, is_redelivered`;

/** A row that cannot be trusted: its index is damaged, so nothing is known about it. */
export interface DamagedRow {
  readonly rowId: number;
  readonly reason: string;
}

/** What recovery found besides the index. */
export interface RecoveredJournal {
  readonly queues: Map<QueueId, RecoveredQueue>;
  readonly damaged: DamagedRow[];
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

/** All definitions. */
export function readDefinitions(connection: Connection): Promise<Definition[]> {
  return connection.all<Definition>('SELECT kind, key, value FROM definition');
}

/** Reads one journal into an empty index. */
export class JournalRecovery {
  readonly #connection: Connection;
  readonly #loader: RowLoader;
  readonly #index: JournalIndex;
  readonly #settled: Map<number, Buffer>;
  readonly #superseded: SupersededStates;
  /** Row id up to which the marks of a queue are superseded. */
  readonly #marksAsOf: Map<QueueId, number>;
  readonly #runs: RunBytes[];
  readonly #damaged: DamagedRow[];
  #highestBodyId: number;

  constructor(connection: Connection, loader: RowLoader, index: JournalIndex) {
    this.#connection = connection;
    this.#loader = loader;
    this.#index = index;
    this.#settled = new Map();
    this.#superseded = new SupersededStates();
    this.#marksAsOf = new Map();
    this.#runs = [];
    this.#damaged = [];
    this.#highestBodyId = 0;
  }

  async run(): Promise<RecoveredJournal> {
    await this.#readSideTables();
    let lastId = -1;
    for (;;) {
      const rows = await this.#connection.all<IndexRow>(
        `SELECT id, length(data) AS dataBytes, runs FROM journal
         WHERE id > ? ORDER BY id LIMIT ${ROWS_PER_PAGE}`,
        [lastId],
      );
      for (const row of rows) this.#applyRow(row);
      const last = rows[rows.length - 1];
      if (last === undefined) break;
      lastId = last.id;
    }
    this.#dropStaleStates();
    this.#dropTransients();
    const [body] = await this.#connection.all<{ id: number | null }>(
      'SELECT max(id) AS id FROM body',
    );
    const highest = Math.max(body?.id ?? 0, this.#highestBodyId);
    const queues = await this.#describeQueues();
    return { queues, damaged: this.#damaged, nextBodyId: highest + 1 };
  }

  async #readSideTables(): Promise<void> {
    const connection = this.#connection;
    const index = this.#index;
    const [meta] = await connection.all<{ value: number }>(
      "SELECT value FROM meta WHERE name='last_row_id'",
    );
    index.nextRowId = (meta?.value ?? 0) + 1;
    for (const row of await connection.all<{ journal_id: number; bits: Buffer }>(
      'SELECT journal_id, bits FROM settled',
    )) {
      this.#settled.set(row.journal_id, row.bits);
    }
    for (const row of await connection.all<QueueMarkRow>('SELECT * FROM queue_mark')) {
      const queue = index.queue(row.queue_id);
      queue.nextSequence = row.next_sequence;
      queue.deliveredBelow = row.delivered_below;
      this.#marksAsOf.set(row.queue_id, row.as_of);
    }
    await this.#readStates();
  }

  /**
   * There may be a million: one page after the other, for memory's sake, and each as one text:
   * making an object of each row costs the driver more than all else here takes.
   */
  async #readStates(): Promise<void> {
    let lastQueue = -1;
    let lastSequence = -1;
    for (;;) {
      const [page] = await this.#connection.all<{ rows: string }>(
        `SELECT json_group_array(json_array(${STATE_COLUMNS})) AS rows FROM (
           SELECT * FROM entry_state WHERE (queue_id, sequence) > (?, ?)
           ORDER BY queue_id, sequence LIMIT ${STATES_PER_PAGE})`,
        [lastQueue, lastSequence],
      );
      const rows = JSON.parse(page?.rows ?? '[]') as EntryStateRow[];
      if (rows.length === 0) return;
      for (const row of rows) {
        const [queueId, sequence] = row;
        if (queueId > lastQueue) {
          lastQueue = queueId;
          lastSequence = sequence;
        } else if (queueId === lastQueue) lastSequence = Math.max(lastSequence, sequence);
        this.#applyCheckpointedState(row);
      }
    }
  }

  #applyCheckpointedState(row: EntryStateRow): void {
    const [queueId, sequence, asOf, receiveCount, notBeforeMs, leaseUntilMs] = row;
    const [, , , , , , firstReceivedAtMs, expiresAtMs, isRedelivered] = row;
    const { states } = this.#index;
    const slot = states.set(
      this.#index.queue(queueId),
      sequence,
      {
        receiveCount,
        notBeforeMs: notBeforeMs ?? 0,
        leaseUntilMs: leaseUntilMs ?? Infinity,
        firstReceivedAtMs: firstReceivedAtMs ?? 0,
        expiresAtMs: expiresAtMs ?? Infinity,
        isRedelivered: isRedelivered === 1,
      },
      0,
    );
    states.checkpointed(slot);
    this.#superseded.add(queueId, sequence, asOf);
  }

  #applyRow(stored: IndexRow): void {
    const index = this.#index;
    if (stored.id >= index.nextRowId) index.nextRowId = stored.id + 1;
    const header = readHeader(stored.runs);
    if (header === undefined) {
      this.#damaged.push({ rowId: stored.id, reason: 'index checksum' });
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
    this.#restoreSettled(row);
    index.addRow(row);
    for (const put of puts) this.#applyPut(row, header, put);
    this.#applyDeltas(stored, row);
    this.#noteRuns(puts, row);
  }

  #restoreSettled(row: JournalRow): void {
    const bits = this.#settled.get(row.id);
    if (bits === undefined) return;
    row.isCheckpointed = true;
    row.liveCount = 0;
    if (bits.length === 0) return;
    for (let slot = 0; slot < row.slotCount; slot += 1) {
      if ((bits[slot >>> 3]! & (1 << (slot & 7))) === 0) row.liveCount += 1;
    }
    if (row.liveCount === 0) return;
    row.settledBits = new Uint8Array((row.slotCount + 7) >>> 3);
    row.settledBits.set(bits.subarray(0, row.settledBits.length));
  }

  #applyPut(row: JournalRow, header: RowHeader, put: PutRecord): void {
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
        if ((this.#marksAsOf.get(queueId) ?? -1) >= row.id) return;
        index.setMark(index.queue(queueId), deliveredBelow, row.id);
      },
      onState: (queueId, sequence, state) => {
        if (this.#superseded.has(queueId, sequence, row.id)) return;
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
        const run = queue.find(sequence);
        const isLive =
          run !== undefined && !run.row.isSettled(run.slotBase + (sequence - run.first));
        if (!isLive) stale.push(sequence);
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

interface QueueMarkRow {
  readonly queue_id: number;
  readonly as_of: number;
  readonly next_sequence: number;
  readonly delivered_below: number;
}

/** A record of table `entry_state`, as STATE_COLUMNS. */
type EntryStateRow = readonly [
  queueId: number,
  sequence: number,
  asOf: number,
  receiveCount: number,
  notBeforeMs: number | null,
  leaseUntilMs: number | null,
  firstReceivedAtMs: number | null,
  expiresAtMs: number | null,
  isRedelivered: number,
];
