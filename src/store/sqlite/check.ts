/**
 * Reads a data file that no broker has open, for people: `checkDataFile` verifies everything that
 * has a checksum or a cross-reference, `dumpDataFile` lists rows and entries.
 *
 * Both recover the journal as the broker would, so "live" means what the broker would deliver.
 */
import { join } from 'node:path';
import type { QueueId } from '../../engine/ports.ts';
import { DataDirLock } from '../data-dir-lock.ts';
import { Connection, isMalformed } from './driver.ts';
import { JournalIndex } from './journal-index.ts';
import { type DamagedRow, JournalWalk } from './journal-walk.ts';
import type { LoadedRow } from './row-loader.ts';
import { checkRow, RowLoader } from './row-loader.ts';
import { readMeta } from './meta.ts';
import { openBits } from './record-sums.ts';
import { JournalRecovery, readWholeDefinitions } from './recovery.ts';
import { loadBodyIfWhole, loadOrFault } from './row-fault.ts';
import { readHeader, visitIndex } from './row-index.ts';
import { DATA_FILE, DataFileError, MIGRATIONS } from './schema.ts';

/** What a check found. No problems: every entry can be delivered as it was stored. */
export interface CheckReport {
  readonly schemaVersion: number;
  readonly epoch: number;
  readonly wasClean: boolean;
  readonly definitions: number;
  readonly rows: number;
  readonly entries: number;
  readonly liveEntries: number;
  readonly journalBytes: number;
  readonly bodies: number;
  readonly setAside: number;
  readonly problems: readonly string[];
}

/** One entry as listed by a dump. */
export interface DumpedEntry {
  readonly queueId: QueueId;
  readonly sequence: number;
  readonly isLive: boolean;
  readonly exchange: string;
  readonly routingKey: string;
  readonly format: number;
  readonly isPersistent: boolean;
  readonly publishedAtMs: number;
  readonly headerBytes: number;
  readonly bodyBytes: number;
  /** Id in table `body`, or -1. */
  readonly bodyId: number;
}

/** One journal row as listed by a dump. */
export interface DumpedRow {
  readonly id: number;
  readonly commitMs: number;
  readonly indexBytes: number;
  readonly dataBytes: number;
  /** What the index records besides entries, one line each. */
  readonly deltas: readonly string[];
  readonly entries: readonly DumpedEntry[];
}

interface StoredRow {
  readonly id: number;
  readonly runs: Buffer;
  readonly data: Buffer;
}

/** Verifies a data directory. @throws DataDirBusyError while a broker has it */
export function checkDataFile(directory: string): Promise<CheckReport> {
  return withDataFile(directory, async (connection, index, problems) => {
    const { epoch, isClean } = await readMeta(connection);
    const { definitions, damaged } = await readWholeDefinitions(connection);
    for (const name of damaged) problems.push(`definition ${name}: checksum`);
    let entries = 0;
    const ownedBodies = new Map<number, number>();
    await eachRow(connection, (row) => {
      if ('reason' in row) {
        problems.push(`row ${row.rowId}: ${row.reason}`);
        return;
      }
      const loaded = checkRow(row.id, row.runs, row.data);
      if (typeof loaded === 'string') {
        problems.push(`row ${row.id}: ${loaded}`);
        return;
      }
      entries += loaded.header.slotCount;
      checkSlots(loaded, index, problems);
      visitIndex(row.runs, {
        onBody: (bodyId) => {
          const owner = ownedBodies.get(bodyId);
          if (owner !== undefined) {
            problems.push(`body ${bodyId} is owned by rows ${owner} and ${row.id}`);
          }
          ownedBodies.set(bodyId, row.id);
        },
      });
    });
    const kept = await keptBodies(connection);
    const bodies = await checkBodies(connection, index, ownedBodies, kept, problems);
    await checkSideTables(connection, index, problems);
    return {
      schemaVersion: MIGRATIONS.length,
      epoch,
      wasClean: isClean,
      definitions: definitions.length + damaged.length,
      rows: index.rows.size,
      entries,
      liveEntries: index.liveCount,
      journalBytes: index.totalBytes,
      bodies,
      setAside: await count(connection, 'set_aside'),
      // A row that cannot be read is found by the recovery and by the check.
      problems: [...new Set(problems)],
    };
  });
}

/** Lists a data directory row by row. @throws DataDirBusyError while a broker has it */
export function dumpDataFile(directory: string, visit: (row: DumpedRow) => void): Promise<void> {
  return withDataFile(directory, async (connection, index) => {
    await eachRow(connection, (row) => {
      if ('reason' in row) return;
      const loaded = checkRow(row.id, row.runs, row.data);
      if (typeof loaded !== 'string') visit(describeRow(loaded, index));
    });
  });
}

/**
 * Opens a data file for reading only, with its journal index as the broker would recover it.
 *
 * @throws DataDirBusyError while a broker has it, DataFileError when another version wrote it
 */
export async function withDataFile<Result>(
  directory: string,
  use: (connection: Connection, index: JournalIndex, problems: string[]) => Promise<Result>,
): Promise<Result> {
  const lock = await DataDirLock.acquire(directory);
  try {
    const connection = await Connection.openExisting(join(directory, DATA_FILE));
    try {
      const problems: string[] = [];
      await connection.execute('PRAGMA query_only=ON');
      await requireVersion(connection);
      const [row] = await connection.all<{ integrity_check: string }>('PRAGMA integrity_check(1)');
      if (row?.integrity_check !== 'ok') problems.push(`file: ${row?.integrity_check}`);
      const loader = await RowLoader.create(connection);
      const index = new JournalIndex();
      try {
        const recovery = new JournalRecovery(connection, loader, index, true);
        const { damaged } = await recovery.run();
        for (const { rowId, reason } of damaged) {
          problems.push(rowId === 0 ? reason : `row ${rowId}: ${reason}`);
        }
        return await use(connection, index, problems);
      } finally {
        await loader.close();
      }
    } finally {
      await connection.close();
    }
  } finally {
    await lock.release();
  }
}

async function requireVersion(connection: Connection): Promise<void> {
  const [row] = await connection.all<{ user_version: number }>('PRAGMA user_version');
  const version = row?.user_version ?? 0;
  if (version === MIGRATIONS.length) return;
  throw new DataFileError(
    `the data file has schema version ${version}; this program reads ${MIGRATIONS.length}`,
  );
}

/** Visits every row, or what says that one cannot be read. */
function eachRow(
  connection: Connection,
  visit: (row: StoredRow | DamagedRow) => void,
): Promise<void> {
  return new JournalWalk<StoredRow>(connection, {
    columns: 'id, runs, data',
    rowsPerPage: 1,
    isLenient: true,
  }).run(visit, visit);
}

/** Bodies of rows that were set aside, and such that were set aside themselves. */
async function keptBodies(connection: Connection): Promise<Set<number>> {
  const kept = new Set<number>();
  for (const { id } of await connection.all<{ id: number }>('SELECT id FROM set_aside')) {
    if (id < 0) kept.add(-id);
    const runs = id < 0 ? undefined : await readRuns(connection, id);
    if (runs === undefined || readHeader(runs) === undefined) continue;
    visitIndex(runs, { onBody: (bodyId) => kept.add(bodyId) });
  }
  return kept;
}

async function readRuns(connection: Connection, id: number): Promise<Buffer | undefined> {
  try {
    const [row] = await connection.all<StoredRow>('SELECT runs FROM journal WHERE id = ?', [id]);
    return row?.runs;
  } catch (error) {
    if (isMalformed(error)) return undefined;
    throw error;
  }
}

/** Every live slot has a record that lies within the data. */
function checkSlots(loaded: LoadedRow, index: JournalIndex, problems: string[]): void {
  const row = index.rows.get(loaded.id);
  if (row === undefined) return;
  const { data } = loaded;
  for (let slot = 0; slot < row.slotCount; slot += 1) {
    if (row.isSettled(slot)) continue;
    const at = data.recordAt(slot);
    if (at + 28 > data.data.length || at + data.recordBytes(at) > data.data.length) {
      problems.push(`row ${loaded.id}: slot ${slot} points outside`);
    }
  }
}

async function checkBodies(
  connection: Connection,
  index: JournalIndex,
  owned: ReadonlyMap<number, number>,
  kept: ReadonlySet<number>,
  problems: string[],
): Promise<number> {
  const stored = new Set<number>();
  for (const { id } of await connection.all<{ id: number }>('SELECT id FROM body')) {
    stored.add(id);
    if (!owned.has(id) && !kept.has(id)) problems.push(`body ${id} has no owner`);
  }
  const loader = await RowLoader.create(connection);
  try {
    for (const [bodyId, rowId] of owned) {
      if (!stored.has(bodyId)) problems.push(`body ${bodyId} of row ${rowId} is missing`);
    }
    for (const row of index.rows.values()) {
      if (row.bodyIds === undefined || row.liveCount === 0) continue;
      const loaded = await loadOrFault(loader, row.id);
      if (typeof loaded === 'string') continue;
      for (let slot = 0; slot < row.slotCount; slot += 1) {
        if (row.isSettled(slot)) continue;
        const at = loaded.data.recordAt(slot);
        const bodyId = loaded.data.bodyId(at);
        if (bodyId < 0) continue;
        const size = loaded.data.bodyBytes(at);
        const crc = loaded.data.bodyCrc(at);
        if ((await loadBodyIfWhole(loader, bodyId, crc, size)) === undefined) {
          problems.push(`body ${bodyId} of row ${row.id} is damaged`);
        }
      }
    }
  } finally {
    await loader.close();
  }
  return stored.size;
}

async function checkSideTables(
  connection: Connection,
  index: JournalIndex,
  problems: string[],
): Promise<void> {
  for (const { id, bits } of await connection.all<{ id: number; bits: Buffer }>(
    'SELECT journal_id AS id, bits FROM settled',
  )) {
    const row = index.rows.get(id);
    if (row === undefined) {
      problems.push(`settled entries of row ${id}, which is not there`);
    } else if (openBits(id, row.slotCount, bits) === undefined) {
      problems.push(
        `settled entries of row ${id}: ${bits?.length} bytes for ${row.slotCount} entries, checksum`,
      );
    }
  }
}

async function count(connection: Connection, table: string): Promise<number> {
  const [row] = await connection.all<{ n: number }>(`SELECT count(*) AS n FROM ${table}`);
  return row?.n ?? 0;
}

function describeRow(loaded: LoadedRow, index: JournalIndex): DumpedRow {
  const { data, header, id } = loaded;
  const row = index.rows.get(id);
  const deltas: string[] = [];
  const entries: DumpedEntry[] = [];
  visitIndex(loaded.runs, {
    onPut: (put) => {
      for (let i = 0; i < put.count; i += 1) {
        const at = data.recordAt(put.slotBase + i);
        // A gap within a run: settled when the row was written.
        if (at >= data.data.length) continue;
        const message = data.message(at, data.data, data.payloadAt(at));
        entries.push({
          queueId: put.queueId,
          sequence: put.first + i,
          isLive: row !== undefined && !row.isSettled(put.slotBase + i),
          exchange: message.exchange,
          routingKey: message.routingKey,
          format: message.format,
          isPersistent: message.isPersistent,
          publishedAtMs: message.publishedAtMs,
          headerBytes: message.headerBytes,
          bodyBytes: message.bodyBytes,
          bodyId: data.bodyId(at),
        });
      }
    },
    onSettle: (queueId, first, length) =>
      deltas.push(`settle queue ${queueId} from ${first}, ${length} entries`),
    onMark: (queueId, below) => deltas.push(`mark queue ${queueId} below ${below}`),
    onState: (queueId, sequence, state) =>
      deltas.push(`state queue ${queueId} sequence ${sequence} ${JSON.stringify(state)}`),
    onDrop: (queueId) => deltas.push(`drop queue ${queueId}`),
    onBody: (bodyId, byteCount) => deltas.push(`body ${bodyId}, ${byteCount} bytes`),
  });
  const { commitMs, dataBytes } = header;
  return { id, commitMs, indexBytes: loaded.runs.length, dataBytes, deltas, entries };
}
