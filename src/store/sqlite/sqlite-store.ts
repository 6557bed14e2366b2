/**
 * The store on SQLite: an append-only journal in which one commit is one row.
 *
 * This file only joins the parts: write buffer and journal index (memory), commit loop, transaction
 * writer, pager and cleaner. Formats are in row-index.ts and message-record.ts; the reasons are in
 * docs/STORAGE.md. Invariants, in the order in which the rest relies on them:
 *
 * I1. Every write transaction takes the whole write buffer. So when one is put together, the
 *     journal index is exactly the state that this transaction makes durable.
 * I2. Row ids grow and are never used twice. Recovery applies rows in id order: settlements reach
 *     entries of rows up to their own only, and a sequence is put once, so an old settlement never
 *     hits a newer entry. A moved entry is written live into a new row, after all its history.
 * I3. A row goes only in a transaction that also saves every fact whose last durable copy it holds
 *     (checkpoint.ts), and in which none of its entries is live, or the live ones are in new rows.
 * I4. A body apart is owned by exactly one row, named in its index; it goes with its owner, or is
 *     named by the row to which its message moved, in the same transaction.
 * I5. Nothing is confirmed, and no row is read, before the transaction that wrote it has ended.
 * I6. A checksum is verified before any byte of a row is believed. A bad row is reported and kept
 *     in table `set_aside`; its entries are never delivered.
 * I7. The first error of a write ends the store: later transactions are not tried, `onFailure`
 *     runs once, nothing further is confirmed.
 */
import { statSync } from 'node:fs';
import { type Clock, systemClock } from '../../base/clock.ts';
import { type Entry, STORE_CANCELLED, STORE_PENDING, STORE_WRITTEN } from '../../engine/message.ts';
import type { QueueId, Recovery, Store, Ticket } from '../../engine/ports.ts';
import { CommitLoop, type CommitSink } from '../commit-loop.ts';
import { systemScheduler } from '../scheduler.ts';
import { Backups } from './backup.ts';
import { deleteRows } from './checkpoint.ts';
import { Cleaner, CLEANER_LIMITS } from './cleaner.ts';
import { DataFile } from './data-file.ts';
import { Housekeeper } from './housekeeper.ts';
import { JournalIndex } from './journal-index.ts';
import type { JournalRow, Run } from './journal-row.ts';
import { LatencyRing } from './latency-ring.ts';
import { PatientWriter } from './patient-writer.ts';
import { Pager, type PagerHost } from './pager.ts';
import type { QueueIndex } from './queue-index.ts';
import { JournalRecovery, readDefinitions } from './recovery.ts';
import { type BuiltRow, RowBuilder } from './row-builder.ts';
import { type FileSettings, limitFile, readSettings } from './schema.ts';
import type { DamageReport, SqliteStoreOptions, StoreMetrics } from './store-options.ts';
import { isEmpty } from './transaction.ts';
import { ROW_BYTES_MAX, stateFieldsOf, WriteBuffer } from './write-buffer.ts';

export type { DamageReport, SqliteStoreOptions, StoreMetrics } from './store-options.ts';

/** Builders kept from transaction to transaction. */
const BUILDERS_KEPT = 4;

export class SqliteStore implements Store, CommitSink, PagerHost {
  readonly #file: DataFile;
  readonly #clock: Clock;
  readonly #onDamage: (report: DamageReport) => void;
  readonly #index: JournalIndex;
  readonly #buffer: WriteBuffer;
  readonly #loop: CommitLoop;
  readonly #writer: PatientWriter;
  readonly #pager: Pager;
  readonly #cleaner: Cleaner;
  readonly #housekeeper: Housekeeper;
  readonly #backups: Backups;
  readonly #latency: LatencyRing;
  #builders: RowBuilder[];
  #lastQueue: QueueIndex | undefined;
  #committedRowId: number;
  #inFlightBytes: number;
  #commitWaiters: (() => void)[];
  #commits: number;
  #committedBytes: number;
  #lastCommitMs: number;
  #damagedRows: number;
  #isClosed: boolean;

  private constructor(options: SqliteStoreOptions, file: DataFile) {
    const scheduler = options.scheduler ?? systemScheduler;
    const { connection, loader } = file;
    this.#file = file;
    this.#clock = options.clock ?? systemClock;
    this.#onDamage = options.onDamage ?? (() => undefined);
    this.#index = new JournalIndex(options.thinRowBytes);
    this.#buffer = new WriteBuffer(this.#index, options.rowBytesMax ?? ROW_BYTES_MAX);
    this.#loop = new CommitLoop(this, scheduler);
    const onFull = options.onFull ?? (() => undefined);
    this.#writer = new PatientWriter(file.writer, scheduler, onFull, () => {
      this.#index.hasDamage = true;
    });
    this.#pager = new Pager(this.#index, loader, this);
    const limits = { ...CLEANER_LIMITS, ...options.cleanerLimits };
    this.#cleaner = new Cleaner(this.#index, loader, limits, (row, fault) => {
      this.#setAsideRow(row, fault);
    });
    this.#housekeeper = new Housekeeper({
      index: this.#index,
      cleaner: this.#cleaner,
      loop: this.#loop,
      connection,
      scheduler,
      clock: this.#clock,
      committedRowId: () => this.#committedRowId,
      onError: (error) => this.onError(error),
    });
    this.#backups = new Backups(file, this.#loop, this.#writer);
    this.#latency = new LatencyRing();
    this.#builders = [];
    this.#lastQueue = undefined;
    this.#committedRowId = 0;
    this.#inFlightBytes = 0;
    this.#commitWaiters = [];
    this.#commits = 0;
    this.#committedBytes = 0;
    this.#lastCommitMs = 0;
    this.#damagedRows = 0;
    this.#isClosed = false;
  }

  /**
   * Opens or creates the data directory and its file; reads nothing yet.
   *
   * @throws DataDirBusyError when another process has it, DataFileError when it cannot be used
   */
  static async open(options: SqliteStoreOptions): Promise<SqliteStore> {
    return new SqliteStore(options, await DataFile.open(options));
  }

  async recover(): Promise<Recovery> {
    const { connection, loader } = this.#file;
    const { epoch, wasClean } = await this.#file.readBoot();
    const definitions = await readDefinitions(connection);
    const recovery = new JournalRecovery(connection, loader, this.#index);
    const { queues, damaged, nextBodyId } = await recovery.run();
    this.#buffer.nextBodyId = nextBodyId;
    this.#committedRowId = this.#index.nextRowId - 1;
    for (const { rowId, reason } of damaged) this.#report({ rowId, reason });
    await this.#file.beginEpoch(epoch);
    this.#housekeeper.start();
    return { epoch, wasClean, definitions, queues };
  }

  put(queueId: QueueId, entry: Entry, survivesRestart: boolean): void {
    this.#buffer.put(this.#queue(queueId), entry, survivesRestart);
    this.#loop.touch();
  }

  settle(queueId: QueueId, entry: Entry): void {
    if (entry.storeState === STORE_WRITTEN) {
      const queue = this.#knownQueue(queueId);
      if (queue === undefined) return;
      const { sequence } = entry;
      if (!this.#index.settle(queue, sequence, this.#index.nextRowId)) return;
      this.#buffer.settled(queue, sequence, sequence + 1);
      this.#loop.touch();
    } else if (entry.storeState === STORE_PENDING) {
      entry.storeState = STORE_CANCELLED;
    }
  }

  settleRange(queueId: QueueId, first: number, end: number): void {
    const queue = this.#knownQueue(queueId);
    if (queue === undefined) return;
    this.#buffer.cancelRange(queue, first, end);
    const range = this.#index.settleRange(queue, first, end, this.#index.nextRowId);
    if (range === undefined) return;
    this.#buffer.settled(queue, range[0], range[1]);
    this.#loop.touch();
  }

  update(queueId: QueueId, entry: Entry): void {
    if (entry.storeState === STORE_PENDING) this.#buffer.record(entry);
    if (entry.storeState !== STORE_WRITTEN) return;
    const queue = this.#knownQueue(queueId);
    const run = queue?.find(entry.sequence);
    if (queue === undefined || run === undefined) return;
    if (run.firstLive(entry.sequence) !== entry.sequence) return;
    const { nextRowId } = this.#index;
    const { sequence } = entry;
    const slot = this.#index.states.set(queue, sequence, stateFieldsOf(entry), nextRowId);
    this.#buffer.state(queue, sequence, slot);
    this.#loop.touch();
  }

  mark(queueId: QueueId, deliveredBelow: number): void {
    const queue = this.#queue(queueId);
    this.#index.setMark(queue, deliveredBelow, this.#index.nextRowId);
    this.#buffer.mark(queue);
    this.#loop.touch();
  }

  dropQueue(queueId: QueueId): void {
    const queue = this.#knownQueue(queueId);
    if (queue === undefined) return;
    this.#index.dropQueue(queue, this.#index.nextRowId);
    this.#buffer.drop(queueId);
    this.#lastQueue = undefined;
    this.#loop.touch();
  }

  define(kind: string, key: string, value: string | (() => string)): void {
    this.#buffer.define(kind, key, value);
    this.#loop.touch();
  }

  undefine(kind: string, key: string): void {
    this.#buffer.define(kind, key, undefined);
    this.#loop.touch();
  }

  get ticket(): Ticket {
    return this.#loop.ticket;
  }

  get committedTicket(): Ticket {
    return this.#loop.committedTicket;
  }

  get isDirty(): boolean {
    return this.#loop.isDirty;
  }

  get backlogBytes(): number {
    return this.#buffer.byteCount + this.#inFlightBytes;
  }

  get onCommitted(): (ticket: Ticket) => void {
    return this.#loop.onCommitted;
  }

  set onCommitted(listener: (ticket: Ticket) => void) {
    this.#loop.onCommitted = listener;
  }

  get onFailure(): (error: Error) => void {
    return this.#loop.onFailure;
  }

  set onFailure(listener: (error: Error) => void) {
    this.#loop.onFailure = listener;
  }

  commit(lazily: boolean): void {
    this.#loop.commit(lazily);
  }

  read(
    queueId: QueueId,
    fromSequence: number,
    maxCount: number,
    maxBytes: number,
    done: (entries: Entry[], end: number) => void,
  ): void {
    this.#pager.read({ queueId, fromSequence, maxCount, maxBytes, done });
  }

  firstLive(queueId: QueueId, fromSequence: number): number {
    return this.#knownQueue(queueId)?.firstLive(fromSequence) ?? Infinity;
  }

  sequenceAt(queueId: QueueId, atMs: number): number {
    const queue = this.#knownQueue(queueId);
    if (queue === undefined) return 1;
    for (let i = queue.head; i < queue.runs.length; i += 1) {
      const run = queue.runs[i]!;
      const first = run.timeMs < atMs ? Infinity : run.firstLive(run.first);
      if (first !== Infinity) return first;
    }
    return queue.nextSequence;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#backups.end();
    this.#housekeeper.stop();
    this.#writer.hurry();
    this.#loop.commit(false);
    await this.#loop.idle();
    await this.#housekeeper.ended();
    await this.#pager.stop();
    if (this.#loop.failure === undefined) await this.#file.markClean();
    await this.#file.close();
  }

  /** Closed, or being closed. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Figures as of now; asks the file system for sizes. */
  metrics(): StoreMetrics {
    const index = this.#index;
    return {
      commits: this.#commits,
      commitP50Ms: this.#latency.quantile(0.5),
      commitP99Ms: this.#latency.quantile(0.99),
      lastCommitMs: this.#lastCommitMs,
      committedBytes: this.#committedBytes,
      backlogBytes: this.backlogBytes,
      rows: index.rows.size,
      deadRows: index.deadRows.length,
      runs: index.runCount,
      liveEntries: index.liveCount,
      liveBytes: Math.max(0, Math.round(index.liveBytes)),
      journalBytes: index.totalBytes,
      fileBytes: fileBytes(this.#file.path),
      walBytes: fileBytes(`${this.#file.path}-wal`),
      movedEntries: this.#cleaner.movedEntries,
      deletedRows: this.#cleaner.deletedRows,
      damagedRows: this.#damagedRows,
      isFull: this.#writer.isFull,
    };
  }

  /** Changes the size limit of the data file; below its present size, it cannot grow. */
  limitFile(maxFileBytes: number): Promise<void> {
    return limitFile(this.#file.connection, maxFileBytes);
  }

  /** The file's settings, as SQLite reports them. */
  settings(): Promise<FileSettings> {
    return readSettings(this.#file.connection);
  }

  /**
   * Makes `directory`, a data directory as of a moment between the call and its end: all that was
   * committed before the call is in it.
   *
   * @throws BackupError; `directory` is as it was before then
   */
  backup(directory: string): Promise<void> {
    return this.#backups.make(directory);
  }

  /** Moves the write-ahead log into the file when the disk is free; resolves when done. */
  async checkpoint(): Promise<void> {
    this.#housekeeper.wantCheckpoint();
    while (!this.#loop.force() && this.#loop.failure === undefined) await this.#loop.idle();
    await this.#loop.idle();
  }

  /** Does background work until there is none left; for tests and tools. */
  tidy(): Promise<void> {
    return this.#housekeeper.runAll();
  }

  // --- CommitSink -------------------------------------------------------------------------------

  get isUrgent(): boolean {
    return this.#buffer.isUrgent;
  }

  get putCount(): number {
    return this.#buffer.putCount;
  }

  /** For the commit loop: puts one transaction together and carries it to the disk. */
  async write(): Promise<void> {
    const startedMs = this.#clock.monotonicMs();
    const nowMs = this.#clock.wallMs();
    const firstRowId = this.#index.nextRowId;
    const rows = this.#buffer.take(nowMs, (rowNumber) => this.#builder(rowNumber));
    const definitions = this.#buffer.takeDefinitions();
    const carriesStep = this.#housekeeper.shouldClean(startedMs);
    let text = '';
    if (carriesStep) {
      let rowNumber = rows.length;
      const step = this.#cleaner.build(nowMs, firstRowId, () => this.#builder(rowNumber++));
      rows.push(...step.built);
      if (step.doomed.length > 0) text = deleteRows(this.#index, step.doomed, nowMs);
    }
    const lastRowId = this.#index.nextRowId - 1;
    this.#inFlightBytes = bytesOf(rows) + definitions.byteCount;
    const content = { rows, definitions, text };
    try {
      await this.#writer.write(content);
    } catch (error) {
      this.#wakeCommitWaiters();
      throw error;
    } finally {
      this.#trimBuilders();
    }
    this.#finishWrite(startedMs, lastRowId, carriesStep);
    this.#housekeeper.committed(isEmpty(content));
  }

  /** For the commit loop: background work that needs the connection to itself. */
  afterCommit(): Promise<void> | undefined {
    return this.#housekeeper.chore() ?? this.#backups.turn();
  }

  // --- PagerHost --------------------------------------------------------------------------------

  get committedRowId(): number {
    return this.#committedRowId;
  }

  commitEnded(): Promise<void> {
    if (!this.#loop.isInFlight) return Promise.resolve();
    return new Promise((resolve) => this.#commitWaiters.push(resolve));
  }

  onDamage(queue: QueueIndex, run: Run, first: number, end: number, reason: string): void {
    const { row } = run;
    row.fault = reason;
    const range = this.#index.settleRange(queue, first, end, this.#index.nextRowId);
    if (range !== undefined) {
      this.#buffer.settled(queue, range[0], range[1]);
      this.#loop.touch();
    }
    this.#report({
      rowId: row.id,
      reason,
      queueId: queue.id,
      firstSequence: first,
      endSequence: end,
    });
  }

  onError(error: Error): void {
    if (!this.#isClosed) this.#loop.fail(error);
  }

  // --- Helpers ----------------------------------------------------------------------------------

  #finishWrite(startedMs: number, lastRowId: number, carriedStep: boolean): void {
    const endedMs = this.#clock.monotonicMs();
    this.#committedRowId = lastRowId;
    this.#commits += 1;
    this.#committedBytes += this.#inFlightBytes;
    this.#inFlightBytes = 0;
    this.#lastCommitMs = endedMs - startedMs;
    this.#latency.add(endedMs - startedMs);
    if (carriedStep) this.#cleaner.rest(endedMs, endedMs - startedMs);
    this.#wakeCommitWaiters();
  }

  #wakeCommitWaiters(): void {
    const waiters = this.#commitWaiters;
    this.#commitWaiters = [];
    for (const wake of waiters) wake();
  }

  /** The queue of a put or mark; made when new. The last one is remembered: runs are the rule. */
  #queue(queueId: QueueId): QueueIndex {
    const last = this.#lastQueue;
    if (last !== undefined && last.id === queueId) return last;
    const queue = this.#index.queue(queueId);
    this.#lastQueue = queue;
    return queue;
  }

  #knownQueue(queueId: QueueId): QueueIndex | undefined {
    const last = this.#lastQueue;
    if (last !== undefined && last.id === queueId) return last;
    const queue = this.#index.queues.get(queueId);
    if (queue !== undefined) this.#lastQueue = queue;
    return queue;
  }

  #builder(rowNumber: number): RowBuilder {
    let builder = this.#builders[rowNumber];
    if (builder === undefined) {
      builder = new RowBuilder();
      this.#builders[rowNumber] = builder;
    }
    return builder;
  }

  /** Keeps some builders, none with more memory than a row needs, and no message in them. */
  #trimBuilders(): void {
    if (this.#builders.length > BUILDERS_KEPT) this.#builders.length = BUILDERS_KEPT;
    for (const builder of this.#builders) builder.release();
  }

  /** The cleaner could not read a row: its entries are lost to every queue. */
  #setAsideRow(row: JournalRow, fault: string): void {
    for (const queue of [...this.#index.queues.values()]) {
      for (const run of [...queue.runs]) {
        if (run.row !== row || run.liveCount === 0) continue;
        this.onDamage(queue, run, run.first, run.first + run.count, fault);
      }
    }
  }

  #report(report: DamageReport): void {
    this.#damagedRows += 1;
    this.#onDamage(report);
  }
}

function bytesOf(rows: readonly BuiltRow[]): number {
  let total = 0;
  for (const { row } of rows) total += row.totalBytes;
  return total;
}

function fileBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
