/**
 * Visits the rows of table `journal` by ascending id, around pages that SQLite cannot read.
 *
 * Rows are fetched many at a time. Where that fails, it goes on row by row: a row whose key is good
 * but whose columns are not has damaged pages of its own. Where not even the next key can be had, a
 * leaf of the tree is damaged, and with it all that its rows said; the next leaf is found by asking
 * for one id after the other. Statements say `id >= ?`: that looks into the page in which the id
 * would be, where `id > ?` would look into the one before.
 *
 * Rows that were set aside are left out: all they said is saved elsewhere.
 */
import { type Connection, isMalformed } from './driver.ts';
import { PAGES_DAMAGED, UNREADABLE_MAX } from './row-fault.ts';
import { DataFileError } from './schema.ts';

/** Rows that cannot be trusted; one, unless `lastRowId` is another. */
export interface DamagedRow {
  readonly rowId: number;
  readonly lastRowId: number;
  readonly reason: string;
}

const IS_IN_USE = 'id NOT IN (SELECT id FROM set_aside)';

/** How a walk is made. */
export interface WalkOptions {
  /** Of the rows, `id` among them. */
  readonly columns: string;
  readonly rowsPerPage: number;
  /** Goes on behind any damage, be it that good rows are missed: for a look at what is left. */
  readonly isLenient: boolean;
}

export class JournalWalk<Row extends { readonly id: number }> {
  readonly #connection: Connection;
  readonly #isLenient: boolean;
  readonly #pageText: string;
  readonly #rowText: string;
  #nextId: number;

  constructor(connection: Connection, options: WalkOptions) {
    const { columns, rowsPerPage, isLenient } = options;
    this.#connection = connection;
    this.#isLenient = isLenient;
    this.#pageText = `SELECT ${columns} FROM journal
      WHERE id >= ? AND ${IS_IN_USE} ORDER BY id LIMIT ${rowsPerPage}`;
    this.#rowText = `SELECT ${columns} FROM journal WHERE id = ? AND ${IS_IN_USE}`;
    this.#nextId = 0;
  }

  /** @throws DataFileError when more than single pages are damaged */
  async run(visit: (row: Row) => void, onDamage: (damaged: DamagedRow) => void): Promise<void> {
    while (this.#nextId < Number.MAX_SAFE_INTEGER) {
      const rows = await this.#ask<Row>(this.#pageText);
      if (rows === undefined) {
        await this.#stepAround(visit, onDamage);
        continue;
      }
      if (rows.length === 0) return;
      for (const row of rows) this.#visit(row, visit);
    }
  }

  #visit(row: Row, visit: (row: Row) => void): void {
    if (row.id < this.#nextId) {
      throw new DataFileError(`the ids of journal rows are out of order at ${row.id}`);
    }
    this.#nextId = row.id + 1;
    visit(row);
  }

  /** Row by row until the damage is passed. */
  async #stepAround(
    visit: (row: Row) => void,
    onDamage: (damaged: DamagedRow) => void,
  ): Promise<void> {
    for (;;) {
      const next = await this.#nextKey();
      if (next === Infinity) return;
      if (next === undefined) {
        const first = this.#nextId;
        await this.#leaveLeaf(first);
        const lastRowId = this.#nextId - 1;
        const reason = `a page is damaged that had rows from ${first} to ${lastRowId}`;
        onDamage({ rowId: first, lastRowId, reason });
        return;
      }
      this.#nextId = next;
      const rows = await this.#ask<Row>(this.#rowText);
      for (const row of rows ?? []) this.#visit(row, visit);
      this.#nextId = next + 1;
      if (rows === undefined) {
        onDamage({ rowId: next, lastRowId: next, reason: PAGES_DAMAGED });
        return;
      }
    }
  }

  /** The next id: Infinity when there is none, undefined when its page cannot be read. */
  async #nextKey(): Promise<number | undefined> {
    const rows = await this.#ask<{ id: number }>(
      'SELECT id FROM journal WHERE id >= ? ORDER BY id LIMIT 1',
    );
    return rows === undefined ? undefined : (rows[0]?.id ?? Infinity);
  }

  async #leaveLeaf(first: number): Promise<void> {
    for (let count = 1; count <= UNREADABLE_MAX; count += 1) {
      if (await this.#canReadFrom(first + count)) return;
    }
    if (!this.#isLenient) {
      throw new DataFileError(
        `the data file is damaged: the journal cannot be read from row ${first} on, in more than ` +
          'one page or in its newest; restore the data directory from a backup, or see what ' +
          'tributary dump can read',
      );
    }
    let low = this.#nextId;
    let high = low;
    for (let step = UNREADABLE_MAX; !(await this.#canReadFrom(high)); step *= 2) {
      if (high === Number.MAX_SAFE_INTEGER) return;
      low = high;
      high = Math.min(low + step, Number.MAX_SAFE_INTEGER);
    }
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (await this.#canReadFrom(middle)) high = middle;
      else low = middle;
    }
    this.#nextId = high;
  }

  async #canReadFrom(id: number): Promise<boolean> {
    this.#nextId = id;
    return (await this.#nextKey()) !== undefined;
  }

  /** The answer from the next id on; undefined when SQLite finds a malformed page. */
  async #ask<Result>(text: string): Promise<Result[] | undefined> {
    try {
      return await this.#connection.all<Result>(text, [this.#nextId]);
    } catch (error) {
      if (isMalformed(error)) return undefined;
      throw error;
    }
  }
}
