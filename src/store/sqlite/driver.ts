/**
 * The only importer of `sqlite3`: promises over its callbacks, and nothing else.
 *
 * Facts this relies on: every call runs on the thread pool and costs some 100 us of CPU, so callers
 * count statements; `bind` copies Buffer parameters before `run` returns, so scratch memory may be
 * reused at once; integers beyond 32 bits are bound as REAL, which an INTEGER column turns back.
 */
import sqlite3 from 'sqlite3';

/** What can stand in a parameter list. */
export type SqlValue = number | string | Buffer | null;

/** An error of SQLite with its result code, such as `SQLITE_FULL`. */
export interface SqliteError extends Error {
  readonly code?: string;
}

/** Whether `error` says that there is no room: on the device, or within the file's size limit. */
export function isDiskFull(error: unknown): boolean {
  return (error as SqliteError).code === 'SQLITE_FULL';
}

/** Whether `error` says that somebody else has the file or a part of it at this moment. */
export function isBusy(error: unknown): boolean {
  const { code } = error as SqliteError;
  return code === 'SQLITE_BUSY' || code === 'SQLITE_LOCKED';
}

/** Whether `error` says that pages of the file hold what cannot be right. */
export function isMalformed(error: unknown): boolean {
  return (error as SqliteError).code === 'SQLITE_CORRUPT';
}

/** What the types of the driver do not say. */
interface CopySource {
  backup(path: string, done: (error: Error | null) => void): NativeCopy;
}

interface NativeCopy {
  /** It can go on no more. */
  readonly failed: boolean;
  step(pages: number, done: (error: Error | null, isDone?: boolean) => void): void;
  finish(done: () => void): void;
}

/** One connection. */
export class Connection {
  readonly #database: sqlite3.Database;

  private constructor(database: sqlite3.Database) {
    this.#database = database;
  }

  /** Opens a database file, and creates it when missing. */
  static open(path: string): Promise<Connection> {
    return Connection.#open(path, sqlite3.OPEN_READWRITE | sqlite3.OPEN_CREATE);
  }

  /** Opens a database file that must exist. */
  static openExisting(path: string): Promise<Connection> {
    return Connection.#open(path, sqlite3.OPEN_READWRITE);
  }

  static #open(path: string, mode: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const database = new sqlite3.Database(path, mode, (error) => {
        if (error === null) resolve(new Connection(database));
        else reject(error);
      });
    });
  }

  /** Runs any number of statements separated by semicolons: one hop to the thread pool. */
  execute(sql: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#database.exec(sql, (error) => settle(error, resolve, reject));
    });
  }

  /** The rows of one statement. */
  all<Row>(sql: string, parameters: readonly SqlValue[] = []): Promise<Row[]> {
    return new Promise((resolve, reject) => {
      this.#database.all<Row>(sql, parameters, (error, rows) => {
        if (error === null) resolve(rows);
        else reject(error);
      });
    });
  }

  prepare(sql: string): Promise<Statement> {
    return new Promise((resolve, reject) => {
      const statement = this.#database.prepare(sql, (error: Error | null) => {
        if (error === null) resolve(new Statement(statement));
        else reject(error);
      });
    });
  }

  /** Begins a copy of the whole database into the empty file `path`. */
  copyTo(path: string): Promise<FileCopy> {
    return new Promise((resolve, reject) => {
      const copy = (this.#database as unknown as CopySource).backup(path, (error) => {
        if (error === null) resolve(new FileCopy(copy));
        else reject(error);
      });
    });
  }

  close(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#database.close((error) => settle(error, resolve, reject));
    });
  }
}

/** One prepared statement. */
export class Statement {
  readonly #statement: sqlite3.Statement;

  constructor(statement: sqlite3.Statement) {
    this.#statement = statement;
  }

  /** Runs it to the end; Buffers among `parameters` may be reused when this returns. */
  run(parameters: readonly SqlValue[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#statement.run(parameters, (error: Error | null) => settle(error, resolve, reject));
    });
  }

  /** All rows; the statement is reset, so that no read transaction stays open. */
  all<Row>(parameters: readonly SqlValue[]): Promise<Row[]> {
    return new Promise((resolve, reject) => {
      this.#statement.all(parameters, (error: Error | null, rows: Row[]) => {
        if (error === null) resolve(rows);
        else reject(error);
      });
    });
  }

  finalize(): Promise<void> {
    return new Promise((resolve) => this.#statement.finalize(() => resolve()));
  }
}

/** A copy of a database that is being made. */
export class FileCopy {
  readonly #copy: NativeCopy;

  constructor(copy: NativeCopy) {
    this.#copy = copy;
  }

  /** Copies some pages; true when it is whole. Outside a transaction of the connection. */
  step(pages: number): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#copy.step(pages, (error, isDone = false) => {
        if (error !== null && !isBusy(error)) reject(error);
        else if (this.#copy.failed) reject(new Error('the copy could not be begun'));
        else resolve(isDone);
      });
    });
  }

  /** Ends it, whole or not. Must be called before the connection is closed. */
  finish(): Promise<void> {
    return new Promise((resolve) => this.#copy.finish(resolve));
  }
}

function settle(error: Error | null, resolve: () => void, reject: (error: Error) => void): void {
  if (error === null) resolve();
  else reject(error);
}
