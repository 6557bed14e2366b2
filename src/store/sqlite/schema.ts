/**
 * Tables, pragmas and forward-only migrations.
 *
 * `user_version` is the schema version. A newer version than ours is refused untouched; an older
 * one is brought forward step by step, each step in one transaction with its version number.
 */
import type { Connection } from './driver.ts';

/** The data file's name in the data directory. */
export const DATA_FILE = 'tributary.db';

/** How much a confirm is worth: `full` survives power loss, `relaxed` only a process kill. */
export type Durability = 'full' | 'relaxed';

/**
 * 16 KiB pages moved rows of 128 kB at about twice the rate of 8 KiB pages, with thin commits
 * equal. Fixed when the file is created.
 */
const PAGE_BYTES = 16 * 1024;

/** 4000 pages of 16 KiB: a checkpoint of up to 64 MiB runs inside one commit in some thousands. */
const AUTOCHECKPOINT_PAGES = 4000;

/** The WAL file is cut to this after a checkpoint has emptied it. */
const WAL_LIMIT_BYTES = 128 * 1024 * 1024;

/** Page cache: the tail of the journal and the inner pages of its tree. */
const CACHE_KIB = 8 * 1024;

/** Steps to version 1, 2, ...; never edit one that was released. */
export const MIGRATIONS: readonly string[] = [
  `CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;
   INSERT INTO meta VALUES ('epoch', 0), ('is_clean', 1), ('last_row_id', 0);
   CREATE TABLE definition(kind TEXT, key TEXT, value TEXT, PRIMARY KEY (kind, key)) WITHOUT ROWID;
   CREATE TABLE journal(id INTEGER PRIMARY KEY, runs BLOB NOT NULL, data BLOB NOT NULL);
   CREATE TABLE body(id INTEGER PRIMARY KEY, data BLOB NOT NULL);
   CREATE TABLE settled(journal_id INTEGER PRIMARY KEY, bits BLOB NOT NULL);
   CREATE TABLE queue_mark(queue_id INTEGER PRIMARY KEY, as_of INTEGER NOT NULL,
     next_sequence INTEGER NOT NULL, delivered_below INTEGER NOT NULL);
   CREATE TABLE entry_state(queue_id INTEGER NOT NULL, sequence INTEGER NOT NULL,
     as_of INTEGER NOT NULL, receive_count INTEGER NOT NULL, not_before_ms INTEGER,
     lease_until_ms INTEGER, first_received_at_ms INTEGER, expires_at_ms INTEGER,
     is_redelivered INTEGER NOT NULL, PRIMARY KEY (queue_id, sequence)) WITHOUT ROWID;
   CREATE TABLE set_aside(id INTEGER PRIMARY KEY, reason TEXT NOT NULL, at_ms INTEGER NOT NULL,
     runs BLOB, data BLOB);`,
  // Checksums of records (record-sums.ts); those without are from before.
  `ALTER TABLE meta ADD COLUMN sum INTEGER;
   ALTER TABLE queue_mark ADD COLUMN sum INTEGER;
   ALTER TABLE entry_state ADD COLUMN sum INTEGER;`,
];

/** A data file this version of the program must not touch, or settings it could not get. */
export class DataFileError extends Error {
  constructor(text: string) {
    super(text);
    this.name = 'DataFileError';
  }
}

/** Sets what must be set at every open, and refuses to go on without it. */
export async function applyPragmas(connection: Connection, durability: Durability): Promise<void> {
  // Before the first access of the file: the lock is the operating system's and ends with the
  // process; and with one process only, the WAL index stays in memory instead of a shared file.
  await connection.execute(
    `PRAGMA locking_mode=EXCLUSIVE; PRAGMA page_size=${PAGE_BYTES}; PRAGMA auto_vacuum=INCREMENTAL;`,
  );
  const [mode] = await connection.all<{ journal_mode: string }>('PRAGMA journal_mode=WAL');
  if (mode?.journal_mode !== 'wal') {
    throw new DataFileError(`the data file cannot use a write-ahead log (${mode?.journal_mode})`);
  }
  const level = durability === 'full' ? 2 : 1;
  await connection.execute(
    `PRAGMA synchronous=${level}; PRAGMA wal_autocheckpoint=${AUTOCHECKPOINT_PAGES};
     PRAGMA journal_size_limit=${WAL_LIMIT_BYTES}; PRAGMA cache_size=-${CACHE_KIB};
     PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY; PRAGMA cell_size_check=ON;
     PRAGMA trusted_schema=OFF;`,
  );
  const [synchronous] = await connection.all<{ synchronous: number }>('PRAGMA synchronous');
  if (synchronous?.synchronous !== level) {
    throw new DataFileError(`the data file cannot be opened with durability ${durability}`);
  }
}

/** Settings of an open data file that its promises rest on. */
export interface FileSettings {
  readonly journalMode: string;
  /** 2 is FULL: every commit waits for the disk. */
  readonly synchronous: number;
  readonly pageBytes: number;
  /** 2 is INCREMENTAL. */
  readonly autoVacuum: number;
  readonly lockingMode: string;
}

/** Reads the settings back. */
export async function readSettings(connection: Connection): Promise<FileSettings> {
  const value = async (name: string): Promise<unknown> => {
    const [row] = await connection.all<Record<string, unknown>>(`PRAGMA ${name}`);
    return row?.[name];
  };
  return {
    journalMode: String(await value('journal_mode')),
    synchronous: Number(await value('synchronous')),
    pageBytes: Number(await value('page_size')),
    autoVacuum: Number(await value('auto_vacuum')),
    lockingMode: String(await value('locking_mode')),
  };
}

/** Sets how large the file may grow; Infinity for no limit. */
export async function limitFile(connection: Connection, maxFileBytes: number): Promise<void> {
  // SQLite's own ceiling stands for "no limit".
  const pages = Math.max(1, Math.min(4_294_967_294, Math.ceil(maxFileBytes / PAGE_BYTES)));
  await connection.all(`PRAGMA max_page_count=${pages}`);
}

/** Brings the schema to this program's version. */
export async function migrate(connection: Connection): Promise<void> {
  const [row] = await connection.all<{ user_version: number }>('PRAGMA user_version');
  const version = row?.user_version ?? 0;
  if (version > MIGRATIONS.length) {
    throw new DataFileError(
      `the data file has schema version ${version}, made by a newer program; ` +
        `this one knows up to ${MIGRATIONS.length}`,
    );
  }
  for (let step = version; step < MIGRATIONS.length; step += 1) {
    await connection.execute(
      `BEGIN IMMEDIATE; ${MIGRATIONS[step]} PRAGMA user_version=${step + 1}; COMMIT;`,
    );
  }
}
