/**
 * Decides when background work happens: cleaning, giving pages back, checkpoints.
 *
 * While commits go on, due work rides on them. When they pause, a coarse timer forces empty ones.
 * The timer runs only while there is something to tidy, so an idle broker sleeps.
 */
import type { Clock } from '../../base/clock.ts';
import type { CommitLoop } from '../commit-loop.ts';
import type { Scheduler } from '../scheduler.ts';
import type { Cleaner } from './cleaner.ts';
import { type Connection, isBusy, isDiskFull, isMalformed } from './driver.ts';
import type { JournalIndex } from './journal-index.ts';

const TICK_MS = 100;

/** Without commits for this long, small leftovers are tidied too, and the WAL is emptied. */
const QUIET_MS = 2000;

/** How often a busy store looks at its file size. */
const SIZE_CHECK_MS = 1000;

/** The promise of docs/STORAGE.md: the file stays within twice the live bytes and this. */
export const FILE_ALLOWANCE_BYTES = 64 * 1024 * 1024;

/** Pages given back per step: 4 MiB of 16 KiB pages. */
const VACUUM_PAGES = 256;
const PAGE_BYTES = 16 * 1024;

/** After a step that took t ms the next waits this many times t. */
const REST_FACTOR = 3;

/** What the housekeeper works on. */
export interface HousekeeperDeps {
  readonly index: JournalIndex;
  readonly cleaner: Cleaner;
  readonly loop: CommitLoop;
  readonly connection: Connection;
  readonly scheduler: Scheduler;
  readonly clock: Clock;
  readonly committedRowId: () => number;
  readonly onError: (error: Error) => void;
}

export class Housekeeper {
  readonly #deps: HousekeeperDeps;
  #cancelTimer: (() => void) | undefined;
  #isStopped: boolean;
  /** The next write carries a step whether due or not. */
  #isForced: boolean;
  #preparing: Promise<void> | undefined;
  #lastCommitMs: number;
  #nextSizeCheckMs: number;
  #isWalUsed: boolean;
  #wantsCheckpoint: boolean;
  /** The file may be larger than promised. */
  #isSizeDue: boolean;

  constructor(deps: HousekeeperDeps) {
    this.#deps = deps;
    this.#cancelTimer = undefined;
    this.#isStopped = true;
    this.#isForced = false;
    this.#preparing = undefined;
    this.#lastCommitMs = 0;
    this.#nextSizeCheckMs = 0;
    this.#isWalUsed = false;
    this.#wantsCheckpoint = false;
    this.#isSizeDue = false;
  }

  /** Begins after recovery. */
  start(): void {
    this.#isStopped = false;
    this.#isWalUsed = true;
    this.#isSizeDue = true;
    this.#lastCommitMs = this.#deps.clock.monotonicMs();
    this.#arm();
  }

  /** Begins no further work. */
  stop(): void {
    this.#isStopped = true;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  /** Resolves when no work of its own is running. */
  async ended(): Promise<void> {
    await this.#preparing;
  }

  /** Whether the transaction being put together carries a cleaning step. */
  shouldClean(nowMs: number): boolean {
    const isForced = this.#isForced;
    this.#isForced = false;
    return isForced || this.#deps.cleaner.isDue(nowMs);
  }

  /** The next chore is a checkpoint. */
  wantCheckpoint(): void {
    this.#wantsCheckpoint = true;
  }

  /** What to do now that a commit has ended and the connection is free; undefined for nothing. */
  chore(): Promise<void> | undefined {
    const nowMs = this.#deps.clock.monotonicMs();
    if (this.#isStopped) return undefined;
    if (this.#wantsCheckpoint) {
      this.#wantsCheckpoint = false;
      this.#isWalUsed = false;
      return this.#checkpoint();
    }
    return this.#isSizeCheckDue(nowMs) ? this.#checkSize(nowMs) : undefined;
  }

  /** A write has ended well; an empty one has left the disk alone. */
  committed(wasEmpty: boolean): void {
    if (!wasEmpty) {
      this.#lastCommitMs = this.#deps.clock.monotonicMs();
      this.#isWalUsed = true;
      this.#isSizeDue = true;
    }
    this.#prepareIfWanted(this.#deps.clock.monotonicMs());
    this.#arm();
  }

  /** Works until nothing is left, without rests. */
  async runAll(): Promise<void> {
    const { cleaner, loop, committedRowId } = this.#deps;
    for (;;) {
      await loop.idle();
      await this.#preparing;
      if (loop.failure !== undefined) return;
      if (cleaner.wantsToMove(Infinity)) await cleaner.prepare(committedRowId(), 0);
      if (!cleaner.hasWork) return;
      this.#isForced = true;
      loop.force();
    }
  }

  #arm(): void {
    if (this.#isStopped || this.#cancelTimer !== undefined) return;
    this.#cancelTimer = this.#deps.scheduler.after(TICK_MS, () => {
      this.#cancelTimer = undefined;
      this.#tick();
    });
  }

  #tick(): void {
    const { cleaner, loop, clock } = this.#deps;
    if (this.#isStopped || loop.failure !== undefined) return;
    const nowMs = clock.monotonicMs();
    if (loop.isInFlight) {
      this.#arm();
      return;
    }
    this.#prepareIfWanted(nowMs);
    const isQuiet = nowMs - this.#lastCommitMs >= QUIET_MS;
    const isDue = cleaner.isDue(nowMs) || (isQuiet && cleaner.hasWork);
    if (isDue || this.#isSizeCheckDue(nowMs)) {
      this.#isForced = isDue;
      loop.force();
    } else if (isQuiet && this.#isWalUsed && !cleaner.isPreparing) {
      this.#wantsCheckpoint = true;
      loop.force();
    }
    const isUnfinished = this.#isWalUsed || cleaner.hasWork || this.#isSizeDue;
    if (isUnfinished || cleaner.isResting(nowMs)) this.#arm();
  }

  #prepareIfWanted(nowMs: number): void {
    const { cleaner, committedRowId, onError } = this.#deps;
    if (this.#isStopped || !cleaner.wantsToMove(nowMs)) return;
    this.#preparing = cleaner
      .prepare(committedRowId(), nowMs)
      .catch((error: unknown) => onError(asError(error)))
      .then(() => this.#arm());
  }

  #isSizeCheckDue(nowMs: number): boolean {
    return this.#isSizeDue && nowMs >= this.#nextSizeCheckMs;
  }

  /** Moves the WAL into the file while nobody waits. */
  async #checkpoint(): Promise<void> {
    try {
      await this.#deps.connection.all('PRAGMA wal_checkpoint(PASSIVE)');
    } catch (error) {
      // Somebody reads at this moment, or there is no room: the log stays, which loses nothing, and
      // the next quiet moment will do.
      if (!isBusy(error) && !isDiskFull(error)) throw error;
      this.#isWalUsed = true;
      this.#lastCommitMs = this.#deps.clock.monotonicMs();
    }
  }

  async #checkSize(startedMs: number): Promise<void> {
    this.#isSizeDue = await this.#giveBackPages();
    const endedMs = this.#deps.clock.monotonicMs();
    this.#nextSizeCheckMs = this.#isSizeDue
      ? endedMs + REST_FACTOR * (endedMs - startedMs)
      : endedMs + SIZE_CHECK_MS;
  }

  /** Gives free pages back when the file is larger than promised; true when it still is. */
  async #giveBackPages(): Promise<boolean> {
    const { connection, index } = this.#deps;
    // Moving a page writes into others that it refers to: not where they may be the wrong ones.
    if (index.hasDamage) return false;
    const [row] = await connection.all<{ pages: number; free: number }>(
      `SELECT page_count AS pages, freelist_count AS free
       FROM pragma_page_count(), pragma_freelist_count()`,
    );
    if (row === undefined) return false;
    const allowedBytes = 2 * Math.max(0, index.liveBytes) + FILE_ALLOWANCE_BYTES;
    const excessPages = Math.ceil((row.pages * PAGE_BYTES - allowedBytes) / PAGE_BYTES);
    const pages = Math.min(excessPages, row.free, VACUUM_PAGES);
    if (pages <= 0) return false;
    try {
      await connection.all(`PRAGMA incremental_vacuum(${pages})`);
    } catch (error) {
      index.hasDamage = isMalformed(error);
      // Moving pages takes room in the log; without it the commits will say so.
      if (!index.hasDamage && !isDiskFull(error)) throw error;
      return false;
    }
    // The file itself gets shorter with the next checkpoint.
    this.#isWalUsed = true;
    return pages === VACUUM_PAGES;
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
