/**
 * Visits the rows of table `journal` by ascending id, around pages that SQLite cannot read.
 *
 * Rows are fetched many at a time. Where that fails, it goes on row by row: a row whose key is good
 * but whose columns are not has damaged pages of its own. Where not even the next key can be had, a
 * leaf of the tree is damaged, and with it all that its rows said; the next leaf is found by asking
 * for one id after the other. Statements say `id >= ?`: that looks into the page in which the id
 * would be, where `id > ?` would look into the one before.
 *
 * Inner pages of the tree say which ids lie in which leaf, and have no checksums. Behind a wrong
 * one rows can be scanned, but neither read nor deleted by their ids, and a scan that begins there
 * passes over others. So each row is searched for, and a scan goes on from one that was found.
 *
 * Rows that were set aside are left out: all they said is saved elsewhere.
 */
import { type Connection, isMalformed, type SqlValue } from './driver.ts';
import { PAGES_DAMAGED, UNREADABLE_MAX } from './row-fault.ts';
import { isIndexOf } from './row-index.ts';
import { DataFileError } from './schema.ts';

/** Rows that cannot be trusted; one, unless `lastRowId` is another. */
export interface DamagedRow {
  readonly rowId: number;
  readonly lastRowId: number;
  readonly reason: string;
}

/** Ids above this are damage. */
const ROW_ID_MAX = 2 ** 52;

/** Rows with damaged keys that may stand together in one page. */
const STRAYS_MAX = 64;

/** How many rows are found by their ids, from the root of the tree each if those descend. */
const FIND_TEXT = `SELECT count(*) AS count
  FROM json_each(?) AS key CROSS JOIN journal ON journal.id = key.value`;

const IS_IN_USE = 'id NOT IN (SELECT id FROM set_aside)';

/** What a walk needs of a row. */
export interface WalkedRow {
  readonly id: number;
  readonly runs: Buffer;
}

/** How a walk is made. */
export interface WalkOptions {
  /** Of the rows, `id` and `runs` among them. */
  readonly columns: string;
  readonly rowsPerPage: number;
  /** Goes on behind any damage, be it that good rows are missed: for a look at what is left. */
  readonly isLenient: boolean;
}

export class JournalWalk<Row extends WalkedRow> {
  readonly #connection: Connection;
  readonly #isLenient: boolean;
  readonly #rowsPerPage: number;
  readonly #pageText: (comparison: string) => string;
  readonly #rowText: string;
  #nextId: number;
  /** The row before the next, when a search leads to it. */
  #foundId: number | undefined;
  /** Keys of rows are damaged, too: then searches go wrong in the leaf that has them. */
  #hasStrays: boolean;

  constructor(connection: Connection, options: WalkOptions) {
    const { columns, rowsPerPage, isLenient } = options;
    this.#connection = connection;
    this.#isLenient = isLenient;
    this.#rowsPerPage = rowsPerPage;
    this.#pageText = (comparison) => `SELECT ${columns} FROM journal
      WHERE id ${comparison} ? AND ${IS_IN_USE} ORDER BY id LIMIT ?`;
    this.#rowText = `SELECT ${columns} FROM journal WHERE id = ? AND ${IS_IN_USE}`;
    this.#nextId = 0;
    this.#foundId = undefined;
    this.#hasStrays = false;
  }

  /** @throws DataFileError when more than single pages are damaged */
  async run(visit: (row: Row) => void, onDamage: (damaged: DamagedRow) => void): Promise<void> {
    let limit = this.#rowsPerPage;
    while (this.#nextId < Number.MAX_SAFE_INTEGER) {
      const from = this.#nextId;
      const rows = await this.#nextRows(limit);
      this.#foundId = undefined;
      if (rows === undefined) await this.#stepAround(visit, onDamage);
      for (const row of rows ?? []) this.#visit(row, visit, onDamage);
      if (rows?.length === 0) return;
      if (rows !== undefined && !this.#hasStrays) await this.#find(rows, onDamage);
      // To the end of the table, where a stray would be met again and again.
      if (rows !== undefined && rows.length < limit && this.#hasStrays) return;
      if (this.#nextId > from) limit = this.#rowsPerPage;
      else if (limit < STRAYS_MAX) limit = STRAYS_MAX;
      else throw new DataFileError(`the data file is damaged: no order in journal rows at ${from}`);
    }
  }

  #nextRows(limit: number): Promise<Row[] | undefined> {
    const found = this.#foundId;
    if (found === undefined) return this.#ask<Row>(this.#pageText('>='), this.#nextId, limit);
    return this.#ask<Row>(this.#pageText('>'), found, limit);
  }

  /** Searches for rows that were scanned. */
  async #find(rows: readonly Row[], onDamage: (damaged: DamagedRow) => void): Promise<void> {
    const ids = rows.map(({ id }) => id);
    const [first = 0, last = 0] = [ids[0], ids.at(-1)];
    const [found] =
      (await this.#ask<{ count: number }>(FIND_TEXT, JSON.stringify(ids.reverse()))) ?? [];
    if (found?.count === ids.length) {
      this.#foundId = last;
      return;
    }
    if (!this.#isLenient) {
      throw new DataFileError(
        'the data file is damaged: the tree of the journal does not lead to all rows from ' +
          `${first} to ${last}; restore the data directory from a backup, or see what ` +
          'tributary dump can read',
      );
    }
    onDamage({
      rowId: first,
      lastRowId: last,
      reason: 'the tree of the journal does not lead to it',
    });
  }

  /** A row with a damaged key stands among the others, and nothing follows from where it says. */
  #visit(row: Row, visit: (row: Row) => void, onDamage: (damaged: DamagedRow) => void): void {
    if (row.id >= this.#nextId && isIndexOf(row.runs, row.id)) {
      this.#nextId = row.id + 1;
      visit(row);
      return;
    }
    this.#hasStrays = true;
    const reason = 'a row has this id, and it is not its own';
    onDamage({ rowId: row.id, lastRowId: Number.MAX_SAFE_INTEGER, reason });
  }

  /** Row by row until the damage is passed. */
  async #stepAround(
    visit: (row: Row) => void,
    onDamage: (damaged: DamagedRow) => void,
  ): Promise<void> {
    const from = this.#nextId;
    for (;;) {
      const next = await this.#nextKey();
      if (next === Infinity) {
        // A search has passed over what a scan could not read.
        const reason = `a page is damaged that may have had rows from ${from} on`;
        onDamage({ rowId: from, lastRowId: Number.MAX_SAFE_INTEGER, reason });
        return;
      }
      if (next === undefined) {
        const first = this.#nextId;
        await this.#leaveLeaf(first);
        const lastRowId = this.#nextId - 1;
        const reason = `a page is damaged that had rows from ${first} to ${lastRowId}`;
        onDamage({ rowId: first, lastRowId, reason });
        return;
      }
      this.#nextId = next;
      const rows = await this.#ask<Row>(this.#rowText, this.#nextId);
      for (const row of rows ?? []) this.#visit(row, visit, onDamage);
      this.#nextId = next + 1;
      if (rows === undefined) {
        onDamage({ rowId: next, lastRowId: next, reason: PAGES_DAMAGED });
        return;
      }
    }
  }

  /** The next id: Infinity when there is none, undefined when its page cannot be right. */
  async #nextKey(): Promise<number | undefined> {
    const from = this.#nextId;
    const rows = await this.#ask<{ id: number }>(
      'SELECT id FROM journal WHERE id >= ? ORDER BY id LIMIT 1',
      from,
    );
    const id = rows?.[0]?.id ?? Infinity;
    if (rows === undefined || id < from) return undefined;
    if (id === Infinity) return id;
    const [row] = (await this.#ask<WalkedRow>(this.#rowText, id)) ?? [];
    return row === undefined || isIndexOf(row.runs, id) ? id : undefined;
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

  /** The answer; undefined when SQLite finds a malformed page. */
  async #ask<Result>(text: string, ...values: SqlValue[]): Promise<Result[] | undefined> {
    try {
      return await this.#connection.all<Result>(text, values);
    } catch (error) {
      if (isMalformed(error)) return undefined;
      throw error;
    }
  }
}

/**
 * The highest id of the journal, to be asked for where there is damage: new rows go into the same
 * page, which must be in order.
 *
 * @throws DataFileError when it is not
 */
export async function highestRowId(connection: Connection): Promise<number> {
  const text = 'SELECT id FROM journal ORDER BY id DESC LIMIT';
  // The second may lie in another page, which may be the damaged one.
  const rows = await connection
    .all<{ id: number }>(`${text} 2`)
    .catch(() => connection.all<{ id: number }>(`${text} 1`));
  const [highest, second] = rows.map(({ id }) => id);
  if (highest === undefined) return 0;
  if (highest > (second ?? 0) && highest <= ROW_ID_MAX) return highest;
  throw new DataFileError(
    'the data file is damaged: the newest rows of the journal are not in order; restore the data ' +
      'directory from a backup, or see what tributary dump can read',
  );
}
