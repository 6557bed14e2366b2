/** What the SQLite store is told, and what it tells. */
import type { Clock } from '../../base/clock.ts';
import type { QueueId } from '../../engine/ports.ts';
import type { Scheduler } from '../scheduler.ts';
import type { CleanerLimits } from './cleaner.ts';
import type { Durability } from './schema.ts';

/** Something the operator should know, that does not stop the store. */
export interface DamageReport {
  readonly rowId: number;
  readonly reason: string;
  /** Whose entries cannot be read; absent when the row's index itself is damaged. */
  readonly queueId?: QueueId;
  readonly firstSequence?: number;
  readonly endSequence?: number;
}

export interface SqliteStoreOptions {
  /** Data directory; created when missing. */
  readonly directory: string;
  readonly durability: Durability;
  readonly clock?: Clock;
  readonly scheduler?: Scheduler;
  /** Called for damaged rows, from recovery on. */
  readonly onDamage?: (report: DamageReport) => void;
  /**
   * Called with true when there is no room for a commit, which is then tried again until there is,
   * and with false after that. Nothing is confirmed in between.
   */
  readonly onFull?: (isFull: boolean) => void;
  /** Size limit of the data file in bytes; a full file is treated as a full disk. */
  readonly maxFileBytes?: number;
  /** What the cleaner keeps to; for tests. */
  readonly cleanerLimits?: Partial<CleanerLimits>;
  /** Rows with fewer bytes are thin; for tests. */
  readonly thinRowBytes?: number;
  /** Where a commit is split into further rows; for tests. */
  readonly rowBytesMax?: number;
}

/** Figures for metrics; bytes and ms. */
export interface StoreMetrics {
  /** Transactions that wrote something. */
  readonly commits: number;
  /** Of the last 1024, from taking the buffer to durable. */
  readonly commitP50Ms: number;
  readonly commitP99Ms: number;
  readonly lastCommitMs: number;
  /** Bytes of rows and bodies written by commits, moved ones included. */
  readonly committedBytes: number;
  readonly backlogBytes: number;
  readonly rows: number;
  readonly deadRows: number;
  readonly runs: number;
  readonly liveEntries: number;
  /** By estimate: a row's bytes count in proportion to its live entries. */
  readonly liveBytes: number;
  readonly journalBytes: number;
  readonly fileBytes: number;
  readonly walBytes: number;
  readonly movedEntries: number;
  readonly deletedRows: number;
  readonly damagedRows: number;
  /** There is no room for the commit under way. */
  readonly isFull: boolean;
}
