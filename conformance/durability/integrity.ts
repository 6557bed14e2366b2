/** Lets SQLite itself check the database files of a stopped server, on a copy. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import sqlite3 from 'sqlite3';

const SQLITE_MAGIC = 'SQLite format 3\0';

function isDatabase(file: string): boolean {
  const handle = fs.openSync(file, 'r');
  try {
    const head = Buffer.alloc(16);
    fs.readSync(handle, head, 0, 16, 0);
    return head.toString('latin1') === SQLITE_MAGIC;
  } finally {
    fs.closeSync(handle);
  }
}

function check(file: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const database = new sqlite3.Database(file, (openError) => {
      if (openError) return reject(openError);
      database.all('PRAGMA integrity_check', (error, rows: { integrity_check: string }[]) => {
        database.close(() => {
          if (error) reject(error);
          else resolve(rows.map((row) => row.integrity_check).join('; '));
        });
      });
    });
  });
}

/**
 * Copies every database of the directory with its write-ahead log and runs
 * `PRAGMA integrity_check`, which first recovers the log as the server would.
 *
 * @returns 'ok', or what SQLite complains about
 */
export async function checkIntegrity(dataDir: string): Promise<string> {
  const copyDir = fs.mkdtempSync(path.join(os.tmpdir(), 'integrity-'));
  try {
    let databaseCount = 0;
    const verdicts: string[] = [];
    for (const entry of fs.readdirSync(dataDir, { withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const from = path.join(dataDir, entry.name);
      fs.copyFileSync(from, path.join(copyDir, entry.name));
    }
    for (const name of fs.readdirSync(copyDir)) {
      const file = path.join(copyDir, name);
      if (!/-(wal|shm|journal)$/.test(name) && isDatabase(file)) {
        databaseCount += 1;
        const verdict = await check(file);
        if (verdict !== 'ok') verdicts.push(`${name}: ${verdict}`);
      }
    }
    if (databaseCount === 0) return 'no database found';
    return verdicts.length === 0 ? 'ok' : verdicts.join('; ');
  } finally {
    fs.rmSync(copyDir, { recursive: true, force: true });
  }
}
