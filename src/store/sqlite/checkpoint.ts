/**
 * The text of the part of a write transaction that deletes rows: saves every fact whose only
 * durable copy is in a row about to go, then deletes the rows and what they own.
 *
 * All of it is one string for one call: the values are numbers and hex made here, and a call costs
 * more than its parsing. The journal index is updated to match.
 */
import { assert } from '../../base/assert.ts';
import { type EntryStates, NO_STATE } from './entry-states.ts';
import type { QueueIndex } from './queue-index.ts';
import type { JournalIndex } from './journal-index.ts';
import type { JournalRow } from './journal-row.ts';
import { metaText } from './meta.ts';
import { sealBits, sumOf } from './record-sums.ts';
import { BODY_DAMAGED } from './row-fault.ts';
import { wholeMs } from './row-index.ts';

/** Values per INSERT; keeps a statement's text to some tens of kilobytes. */
const VALUES_PER_STATEMENT = 500;

/**
 * Records of states whose entries are gone that one transaction deletes: recovery ignores the
 * others, and a purge of a million delayed messages must not hold up a commit for seconds.
 */
const STALE_STATES_MAX = 20_000;

/** Why rows are set aside that could be read, but not be deleted. */
export const PAGES_STUCK = 'its pages cannot be freed';

const SEPARATOR = ';\n';
const DELETED_ROWS =
  /^DELETE FROM journal WHERE id (?:BETWEEN (?<first>\d+) AND (?<last>\d+)|IN \((?<list>.*)\))$/;

/**
 * SQL that deletes `doomed` rows safely; call it after everything buffered is in rows of the same
 * transaction. Removes the rows from the index, except from its list of dead rows.
 */
export function deleteRows(
  index: JournalIndex,
  doomed: readonly JournalRow[],
  nowMs: number,
): string {
  const ids = new Set<number>();
  let maxId = 0;
  for (const row of doomed) {
    ids.add(row.id);
    if (row.id > maxId) maxId = row.id;
  }
  const statements: string[] = [];
  saveSettled(index, ids, maxId, statements);
  saveQueueFacts(index, ids, maxId, statements);
  saveStates(index, ids, maxId, statements);
  forgetDropped(index, ids, maxId, statements);
  forgetStaleStates(index, statements);
  const going = setAside(doomed, nowMs, statements);
  const checkpointed = doomed.filter((row) => row.isCheckpointed);
  deleteFrom('settled', 'journal_id', idsOf(checkpointed), statements);
  const bodyIds = going.flatMap((row) => row.bodyIds ?? []);
  deleteFrom('body', 'id', keepDamaged(index, bodyIds, nowMs, statements), statements);
  deleteFrom('journal', 'id', idsOf(going), statements);
  // Row ids are never used twice, even when the last rows go: checkpoints refer to them.
  statements.push(metaText('last_row_id', index.nextRowId - 1));
  for (const row of doomed) index.removeRow(row);
  return `${statements.join(SEPARATOR)};`;
}

/**
 * The same for rows of which SQLite says that their pages, or those beside them in the tree, are
 * malformed: all facts are saved, but the rows are set aside with what they own and stay in the
 * file.
 */
export function keepRows(text: string): string {
  if (text === '') return text;
  const statements: string[] = [];
  const values: string[] = [];
  for (const statement of text.slice(0, -1).split(SEPARATOR)) {
    const keys = DELETED_ROWS.exec(statement)?.groups;
    if (keys !== undefined) {
      const { first, last, list } = keys;
      const ids = list?.split(',').map(Number) ?? [];
      for (let id = Number(first); id <= Number(last); id += 1) ids.push(id);
      for (const id of ids) {
        values.push(`(${id},'${PAGES_STUCK}',CAST(unixepoch('subsec')*1000 AS INTEGER),NULL,NULL)`);
      }
    } else if (!statement.startsWith('DELETE FROM body')) statements.push(statement);
  }
  insertInto('set_aside', values, statements);
  return `${statements.join(SEPARATOR)};`;
}

/**
 * Sets the rows aside that cannot be read, and returns the others. Where pages are not what they
 * should be, the list of a row's pages may name those of another, and freeing them would destroy
 * that: so the row stays, and its id in table `set_aside` says that the journal is without it.
 */
function setAside(doomed: readonly JournalRow[], nowMs: number, out: string[]): JournalRow[] {
  const going: JournalRow[] = [];
  const values: string[] = [];
  for (const row of doomed) {
    if (row.fault === undefined || row.fault === BODY_DAMAGED) going.push(row);
    else values.push(`(${row.id},'${row.fault}',${Math.floor(nowMs)},NULL,NULL)`);
  }
  insertInto('set_aside', values, out);
  return going;
}

/** Likewise for bodies apart, which are named by their negative ids. */
function keepDamaged(
  index: JournalIndex,
  bodyIds: readonly number[],
  nowMs: number,
  out: string[],
): number[] {
  const { damagedBodies } = index;
  if (damagedBodies.size === 0) return [...bodyIds];
  const kept = bodyIds.filter((id) => damagedBodies.delete(id));
  const values = kept.map((id) => `(${-id},'${BODY_DAMAGED}',${Math.floor(nowMs)},NULL,NULL)`);
  insertInto('set_aside', values, out);
  return bodyIds.filter((id) => !kept.includes(id));
}

/** Settlements recorded in doomed rows, of entries in rows that stay. */
function saveSettled(
  index: JournalIndex,
  ids: ReadonlySet<number>,
  maxId: number,
  out: string[],
): void {
  const values: string[] = [];
  for (const row of index.dirtyRows) {
    if (row.dirtyFrom > maxId) break;
    if (ids.has(row.id)) continue;
    // No live entries: an empty blob says all are settled.
    const sealed = sealBits(row.id, row.slotCount, row.liveCount === 0 ? undefined : bitsOf(row));
    values.push(`(${row.id},x'${sealed.toString('hex')}')`);
    row.dirtyFrom = 0;
    row.isCheckpointed = true;
    index.dirtyRows.delete(row);
  }
  insertInto('settled', values, out);
}

function saveQueueFacts(
  index: JournalIndex,
  ids: ReadonlySet<number>,
  maxId: number,
  out: string[],
): void {
  const queues = new Set<QueueIndex>();
  for (const queue of index.markFacts) {
    if (queue.markRowId > maxId) break;
    if (ids.has(queue.markRowId)) queues.add(queue);
  }
  for (const queue of index.sequenceFacts) {
    if (queue.sequenceRowId > maxId) break;
    if (ids.has(queue.sequenceRowId)) queues.add(queue);
  }
  const asOf = index.nextRowId - 1;
  const values: string[] = [];
  for (const queue of queues) {
    const fields = [queue.id, asOf, queue.nextSequence, queue.deliveredBelow];
    values.push(`(${fields.join(',')},${sumOf(fields)})`);
    queue.markRowId = 0;
    queue.sequenceRowId = 0;
    index.markFacts.delete(queue);
    index.sequenceFacts.delete(queue);
  }
  insertInto('queue_mark', values, out);
}

function saveStates(
  index: JournalIndex,
  ids: ReadonlySet<number>,
  maxId: number,
  out: string[],
): void {
  const asOf = index.nextRowId - 1;
  const values: string[] = [];
  const { states } = index;
  for (let slot = states.oldestFact, next = slot; slot !== NO_STATE; slot = next) {
    next = states.factAfter(slot);
    if (states.rowIdOf(slot) > maxId) break;
    if (!ids.has(states.rowIdOf(slot))) continue;
    values.push(stateValues(states, slot, asOf));
    states.checkpointed(slot);
  }
  insertInto('entry_state', values, out);
}

/** Side-table records of queues whose drop is recorded in a doomed row. */
function forgetDropped(
  index: JournalIndex,
  ids: ReadonlySet<number>,
  maxId: number,
  out: string[],
): void {
  const { dropFacts } = index;
  if (dropFacts.length === 0 || dropFacts[0]!.rowId > maxId) return;
  const gone = dropFacts.filter((fact) => ids.has(fact.rowId)).map((fact) => fact.queueId);
  index.dropFacts = dropFacts.filter((fact) => !ids.has(fact.rowId));
  deleteFrom('queue_mark', 'queue_id', gone, out);
  deleteFrom('entry_state', 'queue_id', gone, out);
}

function forgetStaleStates(index: JournalIndex, out: string[]): void {
  const stale = index.staleStates.splice(0, 2 * STALE_STATES_MAX);
  const byQueue = new Map<number, number[]>();
  for (let i = 0; i < stale.length; i += 2) {
    const queueId = stale[i]!;
    const sequence = stale[i + 1]!;
    // A damaged record that has been replaced.
    if (index.queues.get(queueId)?.states?.get(sequence) !== undefined) continue;
    const sequences = byQueue.get(queueId);
    if (sequences === undefined) byQueue.set(queueId, [sequence]);
    else sequences.push(sequence);
  }
  for (const [queueId, sequences] of byQueue) {
    deleteFrom('entry_state', `queue_id=${queueId} AND sequence`, sequences, out);
  }
}

function stateValues(states: EntryStates, slot: number, asOf: number): string {
  const instant = (value: number): number | null =>
    Number.isFinite(value) ? wholeMs(value) : null;
  const state = states.fieldsOf(slot);
  const fields = [
    states.queueOf(slot).id,
    states.sequenceOf(slot),
    asOf,
    state.receiveCount,
    instant(state.notBeforeMs),
    instant(state.leaseUntilMs),
    Math.floor(state.firstReceivedAtMs),
    instant(state.expiresAtMs),
    state.isRedelivered ? 1 : 0,
  ];
  return `(${fields.map((field) => field ?? 'NULL').join(',')},${sumOf(fields)})`;
}

function bitsOf(row: JournalRow): Uint8Array {
  assert(row.settledBits !== undefined, 'a row with settled and live entries has no bits');
  return row.settledBits;
}

function idsOf(rows: readonly JournalRow[]): number[] {
  return rows.map((row) => row.id);
}

function insertInto(table: string, values: readonly string[], out: string[]): void {
  for (let i = 0; i < values.length; i += VALUES_PER_STATEMENT) {
    const chunk = values.slice(i, i + VALUES_PER_STATEMENT).join(',');
    out.push(`INSERT OR REPLACE INTO ${table} VALUES ${chunk}`);
  }
}

/**
 * Deletes by key: a range where keys follow one another, a list of the rest. `column` may be the
 * end of a condition.
 */
function deleteFrom(table: string, column: string, keys: number[], out: string[]): void {
  if (keys.length === 0) return;
  keys.sort((a, b) => a - b);
  const loners: number[] = [];
  for (let i = 0; i < keys.length; ) {
    let length = 1;
    while (i + length < keys.length && keys[i + length] === keys[i]! + length) length += 1;
    const first = keys[i]!;
    if (length === 1) loners.push(first);
    else {
      out.push(`DELETE FROM ${table} WHERE ${column} BETWEEN ${first} AND ${first + length - 1}`);
    }
    i += length;
  }
  for (let i = 0; i < loners.length; i += VALUES_PER_STATEMENT) {
    const chunk = loners.slice(i, i + VALUES_PER_STATEMENT).join(',');
    out.push(`DELETE FROM ${table} WHERE ${column} IN (${chunk})`);
  }
}
