/**
 * Keeps a second broker out of a data directory.
 *
 * The lock is an open EXCLUSIVE transaction on an empty SQLite file of its own, that is, a lock of
 * the operating system: it ends with the process, however that ends, so nothing stale can block a
 * restart. The process id beside it is for the message only.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Connection, isBusy } from './sqlite/driver.ts';

const LOCK_FILE = 'tributary.lock';
const OWNER_FILE = 'tributary.pid';

/** The directory belongs to another process. */
export class DataDirBusyError extends Error {
  constructor(directory: string, owner: string) {
    super(`data directory ${directory} is in use by ${owner}`);
    this.name = 'DataDirBusyError';
  }
}

export class DataDirLock {
  readonly #connection: Connection;

  private constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** @throws DataDirBusyError when another store has the directory, in this process or another */
  static async acquire(directory: string): Promise<DataDirLock> {
    const ownerPath = join(directory, OWNER_FILE);
    const lockPath = join(directory, LOCK_FILE);
    createPrivate(lockPath);
    const connection = await Connection.open(lockPath);
    try {
      await connection.execute('PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE;');
    } catch (error) {
      await connection.close();
      if (!isBusy(error)) throw error;
      throw new DataDirBusyError(directory, describeOwner(ownerPath));
    }
    noteOwner(ownerPath);
    return new DataDirLock(connection);
  }

  /** Gives the directory up. */
  async release(): Promise<void> {
    await this.#connection.execute('ROLLBACK');
    await this.#connection.close();
  }
}

/**
 * Creates a file only its owner can read, unless it exists. An existing one is not opened: closing
 * it again would end the locks that this process may hold on it (POSIX record locks).
 */
export function createPrivate(path: string): void {
  if (!existsSync(path)) writeFileSync(path, '', { mode: 0o600, flag: 'wx' });
}

/** For the message of another process only: a start with a full disk does not depend on it. */
function noteOwner(path: string): void {
  try {
    writeFileSync(path, `${process.pid}\n`, { mode: 0o600 });
  } catch {
    // What it says now may be the process before; the lock itself is what counts.
  }
}

function describeOwner(path: string): string {
  try {
    return `process ${readFileSync(path, 'utf8').trim()}`;
  } catch {
    return 'another process';
  }
}
