/**
 * Reads the side tables into an empty index: what the rows said that are deleted, or were.
 *
 * A record whose checksum does not match is not believed, and what follows from that is always the
 * side of delivering again: settled entries come back, a state is a fresh entry's, and a mark means
 * that everything in any queue may have been delivered, since the record may be that of any.
 */
import type { QueueId } from '../../engine/ports.ts';
import { PAGES_STUCK } from './checkpoint.ts';
import type { Connection } from './driver.ts';
import type { JournalIndex } from './journal-index.ts';
import { readMeta } from './meta.ts';
import { readTable } from './read-table.ts';
import { sumOf } from './record-sums.ts';
import { DataFileError } from './schema.ts';
import { SupersededStates } from './superseded-states.ts';

/** Records of table `entry_state` fetched per statement, some 60 bytes each. */
const STATES_PER_PAGE = 5_000;

/** A next sequence above this is damage: it takes years to get there. */
const SEQUENCE_MAX = 2 ** 48;

/** The order of `EntryStateRow`. */
const STATE_COLUMNS = [
  'queue_id',
  'sequence',
  'as_of',
  'receive_count',
  'not_before_ms',
  'lease_until_ms',
  'first_received_at_ms',
  'expires_at_ms',
  'is_redelivered',
  'sum',
];
const STATE_FIELDS = 9;

/** What is said of damage; of no row of the journal in particular where `rowId` is 0. */
export interface Damage {
  readonly rowId: number;
  readonly reason: string;
}

export class SideTables {
  readonly #connection: Connection;
  readonly #index: JournalIndex;
  /** Records of table `settled`, unverified. */
  readonly settled: Map<number, Buffer>;
  readonly superseded: SupersededStates;
  /** Row id up to which the marks of a queue are superseded. */
  readonly marksAsOf: Map<QueueId, number>;
  readonly damaged: Damage[];
  hasDamagedMarks: boolean;

  constructor(connection: Connection, index: JournalIndex) {
    this.#connection = connection;
    this.#index = index;
    this.settled = new Map();
    this.superseded = new SupersededStates();
    this.marksAsOf = new Map();
    this.damaged = [];
    this.hasDamagedMarks = false;
  }

  async read(): Promise<void> {
    const connection = this.#connection;
    const { lastRowId } = await readMeta(connection);
    this.#index.nextRowId = lastRowId + 1;
    for (const row of await readTable<{ journal_id: number; bits: Buffer }>(
      connection,
      'settled',
      'SELECT journal_id, bits FROM settled',
    )) {
      this.settled.set(row.journal_id, row.bits);
    }
    await this.#readSetAside();
    await this.#readMarks();
    await this.#readStates();
  }

  /** Rows that are still in the file although they are none of the journal any more. */
  async #readSetAside(): Promise<void> {
    const [kept] = await readTable<{ count: number; stuck: number; rowId: number }>(
      this.#connection,
      'set_aside',
      `SELECT count(*) AS count, count(*) FILTER (WHERE reason='${PAGES_STUCK}') AS stuck,
         min(id) FILTER (WHERE reason='${PAGES_STUCK}') AS rowId
       FROM set_aside WHERE runs IS NULL`,
    );
    if (kept === undefined || kept.count === 0) return;
    this.#index.hasDamage = true;
    if (kept.stuck === 0) return;
    const others = kept.stuck === 1 ? '' : `, nor those of ${kept.stuck - 1} others`;
    this.damaged.push({ rowId: kept.rowId, reason: `${PAGES_STUCK}${others}` });
  }

  async #readMarks(): Promise<void> {
    for (const row of await readTable<QueueMarkRow>(
      this.#connection,
      'queue_mark',
      'SELECT * FROM queue_mark',
    )) {
      const { queue_id: queueId, as_of: asOf, next_sequence: next, delivered_below: below } = row;
      const isWhole = row.sum === null || row.sum === sumOf([queueId, asOf, next, below]);
      if (isWhole) {
        const queue = this.#index.queue(queueId);
        queue.nextSequence = next;
        queue.deliveredBelow = below;
        this.marksAsOf.set(queueId, asOf);
        continue;
      }
      this.hasDamagedMarks = true;
      this.damaged.push({
        rowId: 0,
        reason: `the record of queue ${queueId} in queue_mark is damaged: all is redelivered`,
      });
      // No sequence shall be used twice: rather too high than too low.
      if (!Number.isSafeInteger(queueId) || !Number.isSafeInteger(next)) continue;
      if (next <= SEQUENCE_MAX) this.#index.queue(queueId).nextSequence = Math.max(1, next);
    }
  }

  /**
   * There may be a million: one page after the other, for memory's sake, and each as one text:
   * making an object of each row costs the driver more than all else here takes.
   *
   * A page is found by the last key before it. A damaged key would have that pass over others, so
   * then pages are found by counting, which takes longer the more there are.
   */
  async #readStates(): Promise<void> {
    if (await this.#readStatesByKey()) return;
    let damagedCount = 0;
    for (let count = 0, isEnd = false; !isEnd; ) {
      const page = await this.#statePage('', count, []);
      for (const row of page) {
        if (isWhole(row)) this.#applyState(row);
        else {
          damagedCount += 1;
          this.#forgetState(row[0], row[1]);
        }
      }
      count += page.length;
      isEnd = page.length === 0;
    }
    if (damagedCount === 0) return;
    const reason = `${damagedCount} records in entry_state are damaged: those messages are as new`;
    this.damaged.push({ rowId: 0, reason });
  }

  /** False when that does not lead to all records, or to a damaged one. */
  async #readStatesByKey(): Promise<boolean> {
    const [all] = await readTable<{ count: number }>(
      this.#connection,
      'entry_state',
      'SELECT count(*) AS count FROM entry_state',
    );
    let left = all?.count ?? 0;
    let last: readonly [number, number] = [-1, -1];
    while (left > 0) {
      const page = await this.#statePage('WHERE (queue_id, sequence) > (?, ?)', 0, last);
      const end = page.at(-1);
      if (end === undefined || !page.every(isWhole)) return false;
      for (const row of page) this.#applyState(row);
      left -= page.length;
      last = [end[0], end[1]];
    }
    return left === 0;
  }

  async #statePage(
    where: string,
    offset: number,
    parameters: readonly number[],
  ): Promise<readonly EntryStateRow[]> {
    const read = async (columns: readonly string[]): Promise<readonly EntryStateRow[]> => {
      const [page] = await readTable<{ rows: string }>(
        this.#connection,
        'entry_state',
        `SELECT json_group_array(json_array(${columns.join()})) AS rows FROM (
           SELECT * FROM entry_state ${where}
           ORDER BY queue_id, sequence LIMIT ${STATES_PER_PAGE} OFFSET ${offset})`,
        parameters,
      );
      return JSON.parse(page?.rows ?? '[]') as EntryStateRow[];
    };
    try {
      return await read(STATE_COLUMNS);
    } catch (error) {
      if (error instanceof DataFileError) throw error;
      // A damaged type, which JSON does not know.
      return read(STATE_COLUMNS.map((column) => `CAST(${column} AS INTEGER)`));
    }
  }

  /** Has a damaged record deleted. */
  #forgetState(queueId: number, sequence: number): void {
    if (!Number.isSafeInteger(queueId) || !Number.isSafeInteger(sequence)) return;
    this.#index.staleStates.push(queueId, sequence);
  }

  #applyState(row: EntryStateRow): void {
    const [queueId, sequence, asOf, receiveCount, notBeforeMs, leaseUntilMs] = row;
    const [, , , , , , firstReceivedAtMs, expiresAtMs, isRedelivered] = row;
    const { states } = this.#index;
    const slot = states.set(
      this.#index.queue(queueId),
      sequence,
      {
        receiveCount,
        notBeforeMs: notBeforeMs ?? 0,
        leaseUntilMs: leaseUntilMs ?? Infinity,
        firstReceivedAtMs: firstReceivedAtMs ?? 0,
        expiresAtMs: expiresAtMs ?? Infinity,
        isRedelivered: isRedelivered === 1,
      },
      0,
    );
    states.checkpointed(slot);
    this.superseded.add(queueId, sequence, asOf);
  }
}

interface QueueMarkRow {
  readonly queue_id: number;
  readonly as_of: number;
  readonly next_sequence: number;
  readonly delivered_below: number;
  readonly sum: number | null;
}

/** A record of table `entry_state`, as STATE_COLUMNS. */
type EntryStateRow = readonly [
  queueId: number,
  sequence: number,
  asOf: number,
  receiveCount: number,
  notBeforeMs: number | null,
  leaseUntilMs: number | null,
  firstReceivedAtMs: number | null,
  expiresAtMs: number | null,
  isRedelivered: number,
  sum: number | null,
];

/** Whether the checksum of a record matches; those of schema version 1 have none. */
function isWhole(row: EntryStateRow): boolean {
  const sum = row[STATE_FIELDS];
  return sum === null || sum === sumOf(row, STATE_FIELDS);
}
