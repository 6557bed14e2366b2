/**
 * Moves the live entries of rows into new rows, within the transaction under construction.
 *
 * Two orders of writing:
 *   - *by row*: rows one after the other, a record shared by many queues stays one record. For
 *     rows that are mostly garbage, and for messages that went to many queues.
 *   - *by queue*: all entries of one queue together, new rows cut between queues. For thin rows
 *     and rows in which many queues have a few entries each: reading a queue back then loads rows
 *     that are mostly its own, and its runs become few and long.
 *
 * By row, all entries of a row go to one new row, so a large body keeps exactly one owner; by
 * queue they may not, so rows that own bodies are never moved that way.
 */
import type { JournalIndex } from './journal-index.ts';
import type { JournalRow, Run } from './journal-row.ts';
import type { QueueIndex } from './queue-index.ts';
import type { BuiltRow, RowBuilder } from './row-builder.ts';
import { type PutRecord, visitIndex } from './row-index.ts';
import type { LoadedRow } from './row-loader.ts';

/**
 * A row is closed at this size, by queue only between queues: it is what must be loaded for the
 * sake of one entry of it.
 */
const ROW_BYTES = 256 * 1024;

/** A row of one queue's entries is closed at this size. */
const LONG_QUEUE_ROW_BYTES = 1024 * 1024;

/** Longest gap of settled entries that a moved run may span: 4 bytes each, against a run's 80. */
const GAP_MAX = 16;

/** A row to empty. */
export interface Victim {
  readonly row: JournalRow;
  readonly loaded: LoadedRow;
}

/** Live entries of one put record. */
interface Piece {
  readonly victim: Victim;
  readonly put: PutRecord;
}

/** Entries of one queue on the move. */
interface QueueMove {
  readonly queue: QueueIndex;
  readonly pieces: Piece[];
  first: number;
  end: number;
  readonly runs: Run[];
}

export class Mover {
  readonly #index: JournalIndex;
  readonly #commitMs: number;
  readonly #nextBuilder: () => RowBuilder;
  readonly #moves: Map<QueueIndex, QueueMove>;
  /** Offset in the row being built of each record copied into it, by its source row. */
  readonly #copied: Map<Victim, Map<number, number>>;
  #builder: RowBuilder | undefined;
  /** New rows. */
  readonly built: BuiltRow[];
  /** Emptied rows. */
  readonly doomed: JournalRow[];
  movedEntries: number;

  constructor(index: JournalIndex, commitMs: number, nextBuilder: () => RowBuilder) {
    this.#index = index;
    this.#commitMs = commitMs;
    this.#nextBuilder = nextBuilder;
    this.#moves = new Map();
    this.#copied = new Map();
    this.#builder = undefined;
    this.built = [];
    this.doomed = [];
    this.movedEntries = 0;
  }

  /** Moves the entries that are live now, and points the index at their new places. */
  move(victims: readonly Victim[], isByQueue: boolean): void {
    for (const victim of victims) {
      const { row } = victim;
      // It died and was deleted while the others were read.
      if (!this.#index.rows.has(row.id)) continue;
      row.isVictim = true;
      this.doomed.push(row);
      if (row.liveCount === 0) continue;
      this.#notePieces(victim);
      if (!isByQueue) this.#writeRow(victim);
    }
    if (isByQueue) this.#writeQueues();
    this.#closeRow();
    for (const { queue, first, end, runs } of this.#moves.values()) {
      runs.sort((a, b) => a.first - b.first);
      queue.replaceMoved(first, end, runs);
    }
  }

  /** Notes what of each queue lies in the row. */
  #notePieces(victim: Victim): void {
    visitIndex(victim.loaded.runs, {
      onPut: (put) => {
        const queue = this.#index.queues.get(put.queueId);
        if (queue === undefined) return;
        const end = put.first + put.count;
        let move = this.#moves.get(queue);
        if (move === undefined) {
          move = { queue, pieces: [], first: put.first, end, runs: [] };
          this.#moves.set(queue, move);
        }
        move.first = Math.min(move.first, put.first);
        move.end = Math.max(move.end, end);
        move.pieces.push({ victim, put });
      },
    });
  }

  #writeRow(victim: Victim): void {
    const { row } = victim;
    visitIndex(victim.loaded.runs, {
      onPut: (put) => {
        const queue = this.#index.queues.get(put.queueId);
        if (queue !== undefined) this.#writePiece(queue, { victim, put }, Infinity);
      },
    });
    if (row.bodyIds !== undefined) {
      const kept = this.#builder?.bodyIds ?? new Set();
      row.bodyIds = row.bodyIds.filter((bodyId) => !kept.has(bodyId));
    }
    if ((this.#builder?.dataBytes ?? 0) >= ROW_BYTES) this.#closeRow();
  }

  #writeQueues(): void {
    const moves = [...this.#moves.values()].sort((a, b) => a.queue.id - b.queue.id);
    for (const { queue, pieces } of moves) {
      pieces.sort((a, b) => a.put.first - b.put.first);
      for (const piece of pieces) this.#writePiece(queue, piece, LONG_QUEUE_ROW_BYTES);
      if ((this.#builder?.dataBytes ?? 0) >= ROW_BYTES) this.#closeRow();
    }
  }

  /** Copies the live entries of one put record; starts a new row where `bytesMax` is reached. */
  #writePiece(queue: QueueIndex, { victim, put }: Piece, bytesMax: number): void {
    const { row, loaded } = victim;
    const { data, header } = loaded;
    const timeMs = header.commitMs - put.lagMs;
    let lastLive = -1;
    for (let i = 0; i < put.count; i += 1) {
      const slot = put.slotBase + i;
      if (row.isSettled(slot)) continue;
      const sequence = put.first + i;
      const builder = this.#openRow();
      const gap = lastLive < 0 ? 0 : sequence - lastLive - 1;
      if (gap <= GAP_MAX) {
        for (let missing = sequence - gap; missing < sequence; missing += 1) {
          builder.addGap(queue, missing);
        }
      }
      const recordAt = data.recordAt(slot);
      const offset = this.#copyRecord(builder, victim, recordAt);
      const expiresAtMs = data.expiresAtMs(slot);
      const bodyBytes = data.bodyBytes(recordAt);
      builder.addMoved(queue, sequence, offset, put.survives, expiresAtMs, bodyBytes, timeMs);
      lastLive = sequence;
      this.movedEntries += 1;
      if (builder.dataBytes >= bytesMax) {
        this.#closeRow();
        lastLive = -1;
      }
    }
  }

  #copyRecord(builder: RowBuilder, victim: Victim, recordAt: number): number {
    let copied = this.#copied.get(victim);
    if (copied === undefined) {
      copied = new Map();
      this.#copied.set(victim, copied);
    }
    let offset = copied.get(recordAt);
    if (offset === undefined) {
      offset = builder.copyRecord(victim.loaded.data, recordAt);
      copied.set(recordAt, offset);
    }
    return offset;
  }

  #openRow(): RowBuilder {
    if (this.#builder === undefined) {
      this.#builder = this.#nextBuilder();
      this.#builder.begin(this.#commitMs);
    }
    return this.#builder;
  }

  #closeRow(): void {
    const builder = this.#builder;
    if (builder === undefined) return;
    this.#builder = undefined;
    this.#copied.clear();
    const row = builder.sealPuts(this.#index.nextRowId);
    this.#index.nextRowId += 1;
    row.isMoved = true;
    const result = builder.seal(row);
    this.#index.addRow(row);
    for (const { queue, run } of result.puts) this.#moves.get(queue)?.runs.push(run);
    this.built.push(result);
  }
}
