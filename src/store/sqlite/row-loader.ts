/**
 * Loads journal rows and large bodies, checks them, and keeps the last few.
 *
 * One load at a time: the connection is one, and a load in the thread pool waits for a commit that
 * has it, so more would only hold threads.
 */
import { crc32 } from 'node:zlib';
import type { Connection, Statement } from './driver.ts';
import { RowData } from './message-record.ts';
import { readHeader, type RowHeader } from './row-index.ts';

/** Rows kept after reading, in bytes: a queue is read forward, a few queues at a time. */
const CACHED_BYTES = 16 * 1024 * 1024;

/** And in number: the cost of a small row is its objects. */
const CACHED_ROWS = 1024;

/** A row as loaded: its index bytes, and its data ready for reading. */
export interface LoadedRow {
  readonly id: number;
  readonly header: RowHeader;
  readonly runs: Buffer;
  readonly data: RowData;
  readonly byteCount: number;
}

/** Why a row cannot be read. */
export type RowFault = 'missing' | 'index checksum' | 'data checksum' | 'data length';

export class RowLoader {
  readonly #selectRow: Statement;
  readonly #selectRows: Statement;
  readonly #selectBody: Statement;
  readonly #cache: Map<number, LoadedRow>;
  #cachedBytes: number;

  private constructor(selectRow: Statement, selectRows: Statement, selectBody: Statement) {
    this.#selectRow = selectRow;
    this.#selectRows = selectRows;
    this.#selectBody = selectBody;
    this.#cache = new Map();
    this.#cachedBytes = 0;
  }

  static async create(connection: Connection): Promise<RowLoader> {
    return new RowLoader(
      await connection.prepare('SELECT runs, data FROM journal WHERE id=?'),
      await connection.prepare(
        'SELECT id, runs, data FROM journal WHERE id IN (SELECT value FROM json_each(?))',
      ),
      await connection.prepare('SELECT data FROM body WHERE id=?'),
    );
  }

  /** The row, or what is wrong with it. Rejects on an I/O error. */
  async load(id: number): Promise<LoadedRow | RowFault> {
    const cached = this.#cache.get(id);
    if (cached !== undefined) {
      this.#cache.delete(id);
      this.#cache.set(id, cached);
      return cached;
    }
    const [row] = await this.#selectRow.all<{ runs: Buffer; data: Buffer }>([id]);
    if (row === undefined) return 'missing';
    const loaded = checkRow(id, row.runs, row.data);
    if (typeof loaded !== 'string') this.#keep(loaded);
    return loaded;
  }

  /** Whether `load` will answer from memory. */
  has(id: number): boolean {
    return this.#cache.has(id);
  }

  /** Loads rows in one statement and keeps the good ones; faults show when one is loaded. */
  async prefetch(ids: readonly number[]): Promise<void> {
    for (const loaded of (await this.loadMany(ids)).values()) {
      if (typeof loaded !== 'string') this.#keep(loaded);
    }
  }

  /** Rows for the cleaner, in one statement and past the cache; absent ones are missing. */
  async loadMany(ids: readonly number[]): Promise<Map<number, LoadedRow | RowFault>> {
    const rows = await this.#selectRows.all<{ id: number; runs: Buffer; data: Buffer }>([
      JSON.stringify(ids),
    ]);
    return new Map(rows.map(({ id, runs, data }) => [id, checkRow(id, runs, data)]));
  }

  /** The bytes of a body apart, or undefined when missing or damaged. */
  async loadBody(id: number, crc: number, byteCount: number): Promise<Buffer | undefined> {
    const [row] = await this.#selectBody.all<{ data: Buffer }>([id]);
    if (row === undefined || row.data.length !== byteCount) return undefined;
    return crc32(row.data) === crc ? row.data : undefined;
  }

  /** Drops a row that is about to be deleted. */
  forget(id: number): void {
    const cached = this.#cache.get(id);
    if (cached === undefined) return;
    this.#cache.delete(id);
    this.#cachedBytes -= cached.byteCount;
  }

  async close(): Promise<void> {
    await this.#selectRow.finalize();
    await this.#selectRows.finalize();
    await this.#selectBody.finalize();
  }

  #keep(row: LoadedRow): void {
    this.forget(row.id);
    this.#cache.set(row.id, row);
    this.#cachedBytes += row.byteCount;
    for (const oldest of this.#cache.keys()) {
      if (this.#cache.size <= CACHED_ROWS && this.#cachedBytes <= CACHED_BYTES) break;
      this.forget(oldest);
    }
  }
}

/** Verifies both columns of a row. */
export function checkRow(id: number, runs: Buffer, data: Buffer): LoadedRow | RowFault {
  const header = readHeader(runs);
  if (header === undefined) return 'index checksum';
  // A column that has lost its type can be null.
  if (!Buffer.isBuffer(data) || data.length !== header.dataBytes) return 'data length';
  if (crc32(data) !== header.dataCrc) return 'data checksum';
  const byteCount = runs.length + data.length;
  return { id, header, runs, data: new RowData(data, header), byteCount };
}
