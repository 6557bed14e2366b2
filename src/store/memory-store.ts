/**
 * The store without a disk: for tests, simulations and brokers that need no durability.
 *
 * It keeps the contract of the SQLite store to the letter (tickets, asynchronous commits, cancelled
 * puts, recovery from its `MemoryDisk`), so that an engine tested on it meets no surprise.
 *
 * Two views: `#queues` is what the process sees at once; `MemoryDisk` is what a commit has made
 * durable. `#operations` carries one to the other in call order, all or nothing.
 */
import {
  type Entry as EntryType,
  Entry,
  STORE_CANCELLED,
  STORE_NONE,
  STORE_PENDING,
  STORE_WRITTEN,
} from '../engine/message.ts';
import type { QueueId, RecoveredQueue, Recovery, Store, Ticket } from '../engine/ports.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import { CommitLoop, type CommitSink } from './commit-loop.ts';
import { copyState, MemoryDisk, MemoryRecord } from './memory-disk.ts';
import { MemoryQueue } from './memory-queue.ts';
import { type Scheduler, systemScheduler } from './scheduler.ts';

interface PutOperation {
  kind: 'put';
  queueId: QueueId;
  entry: EntryType;
  record: MemoryRecord;
  /** What the commit makes durable; undefined when cancelled. */
  stored: MemoryRecord | undefined;
}

interface DefineOperation {
  kind: 'define';
  id: string;
  definition: { kind: string; key: string; value: string };
  /** Gives the value when the commit takes it. */
  late: (() => string) | undefined;
}

/** What a commit changes on the disk. */
type Operation =
  | PutOperation
  | { kind: 'settle'; queueId: QueueId; sequence: number }
  | { kind: 'update'; queueId: QueueId; state: MemoryRecord }
  | { kind: 'mark'; queueId: QueueId; below: number }
  | { kind: 'drop'; queueId: QueueId }
  | DefineOperation
  | { kind: 'undefine'; id: string };

export interface MemoryStoreOptions {
  /** What an earlier store left; a new disk when absent. */
  readonly disk?: MemoryDisk;
  readonly clock?: Clock;
  readonly scheduler?: Scheduler;
}

/** Accounting size of an entry beyond its message's bytes. */
const ENTRY_OVERHEAD_BYTES = 64;

export class MemoryStore implements Store, CommitSink {
  readonly disk: MemoryDisk;
  readonly #clock: Clock;
  readonly #loop: CommitLoop;
  #queues: Map<QueueId, MemoryQueue>;
  #operations: Operation[];
  #isUrgent: boolean;
  #bufferedBytes: number;
  #inFlightBytes: number;
  #epoch: number;

  constructor(options: MemoryStoreOptions = {}) {
    this.disk = options.disk ?? new MemoryDisk();
    this.#clock = options.clock ?? systemClock;
    this.#loop = new CommitLoop(this, options.scheduler ?? systemScheduler);
    this.#queues = new Map();
    this.#operations = [];
    this.#isUrgent = false;
    this.#bufferedBytes = 0;
    this.#inFlightBytes = 0;
    this.#epoch = 0;
  }

  recover(): Promise<Recovery> {
    const disk = this.disk;
    disk.epoch += 1;
    this.#epoch = disk.epoch;
    const wasClean = disk.wasClean;
    disk.wasClean = false;
    const queues = new Map<QueueId, RecoveredQueue>();
    for (const [queueId, diskQueue] of disk.queues) {
      const records = [...diskQueue.records.values()].sort((a, b) => a.sequence - b.sequence);
      const queue = new MemoryQueue();
      queue.nextSequence = diskQueue.nextSequence;
      const delayed: { sequence: number; notBeforeMs: number }[] = [];
      const leased: { sequence: number; leaseUntilMs: number }[] = [];
      let liveBodyBytes = 0;
      let liveCount = 0;
      let firstSequence = diskQueue.nextSequence;
      for (const record of records) {
        if (!record.survivesRestart) {
          diskQueue.records.delete(record.sequence);
          continue;
        }
        queue.add(cloneRecord(record));
        if (liveCount === 0) firstSequence = record.sequence;
        liveCount += 1;
        liveBodyBytes += record.message.bodyBytes;
        if (record.notBeforeMs > 0) {
          delayed.push({ sequence: record.sequence, notBeforeMs: record.notBeforeMs });
        }
        if (record.leaseUntilMs !== Infinity) {
          leased.push({ sequence: record.sequence, leaseUntilMs: record.leaseUntilMs });
        }
      }
      this.#queues.set(queueId, queue);
      const { nextSequence, deliveredBelow } = diskQueue;
      queues.set(queueId, {
        nextSequence,
        liveCount,
        liveBodyBytes,
        firstSequence,
        deliveredBelow,
        delayed,
        leased,
      });
    }
    const definitions = [...disk.definitions.values()];
    return Promise.resolve({ epoch: disk.epoch, wasClean, definitions, queues });
  }

  put(queueId: QueueId, entry: EntryType, survivesRestart: boolean): void {
    const record = new MemoryRecord(entry, survivesRestart);
    this.#queue(queueId).add(record);
    entry.storeState = STORE_PENDING;
    this.#bufferedBytes +=
      ENTRY_OVERHEAD_BYTES + entry.message.headerBytes + entry.message.bodyBytes;
    this.#isUrgent = true;
    this.#push({ kind: 'put', queueId, entry, record, stored: undefined });
  }

  settle(queueId: QueueId, entry: EntryType): void {
    if (entry.storeState === STORE_NONE || entry.storeState === STORE_CANCELLED) return;
    const queue = this.#queues.get(queueId);
    const record = queue?.find(entry.sequence);
    if (queue === undefined || record === undefined) return;
    queue.settle(record);
    if (entry.storeState === STORE_PENDING) entry.storeState = STORE_CANCELLED;
    else this.#push({ kind: 'settle', queueId, sequence: entry.sequence });
  }

  settleRange(queueId: QueueId, first: number, end: number): void {
    const queue = this.#queues.get(queueId);
    if (queue === undefined) return;
    for (const record of queue.inRange(first, end)) {
      queue.settle(record);
      this.#push({ kind: 'settle', queueId, sequence: record.sequence });
    }
  }

  update(queueId: QueueId, entry: EntryType): void {
    const record = this.#queues.get(queueId)?.find(entry.sequence);
    if (record === undefined) return;
    this.#push({ kind: 'update', queueId, state: new MemoryRecord(entry, true) });
    if (record.isCommitted) copyState(entry, record);
    else record.recorded = new MemoryRecord(entry, true);
  }

  mark(queueId: QueueId, deliveredBelow: number): void {
    this.#push({ kind: 'mark', queueId, below: deliveredBelow });
  }

  dropQueue(queueId: QueueId): void {
    this.#queues.delete(queueId);
    this.#isUrgent = true;
    this.#push({ kind: 'drop', queueId });
  }

  define(kind: string, key: string, given: string | (() => string)): void {
    const isLate = typeof given !== 'string';
    const value = isLate ? '' : given;
    this.#isUrgent = true;
    this.#bufferedBytes += ENTRY_OVERHEAD_BYTES + kind.length + key.length + value.length;
    const definition = { kind, key, value };
    const late = isLate ? given : undefined;
    this.#push({ kind: 'define', id: `${kind}\0${key}`, definition, late });
  }

  undefine(kind: string, key: string): void {
    this.#isUrgent = true;
    this.#push({ kind: 'undefine', id: `${kind}\0${key}` });
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
    return this.#bufferedBytes + this.#inFlightBytes;
  }

  get putCount(): number {
    return this.#operations.length;
  }

  /** Whether the buffer holds more than settlements; for the commit loop. */
  get isUrgent(): boolean {
    return this.#isUrgent;
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

  /** For the commit loop: makes the buffer durable one event-loop turn later. */
  write(): Promise<void> {
    const operations = this.#operations;
    this.#operations = [];
    this.#isUrgent = false;
    this.#inFlightBytes = this.#bufferedBytes;
    this.#bufferedBytes = 0;
    const nowMs = this.#clock.wallMs();
    for (const operation of operations) {
      if (operation.kind === 'put') operation.stored = takePut(operation, nowMs);
    }
    takeLate(operations);
    return new Promise((resolve) => {
      setImmediate(() => {
        if (this.disk.epoch === this.#epoch) this.#apply(operations);
        this.#inFlightBytes = 0;
        resolve();
      });
    });
  }

  read(
    queueId: QueueId,
    fromSequence: number,
    maxCount: number,
    maxBytes: number,
    done: (entries: EntryType[], end: number) => void,
  ): void {
    const queue = this.#queues.get(queueId);
    const entries: EntryType[] = [];
    let end = fromSequence;
    let byteCount = 0;
    while (queue !== undefined && entries.length < maxCount && byteCount < maxBytes) {
      const record = queue.firstFrom(end);
      if (record === undefined) {
        end = Math.max(end, queue.committedEnd(end));
        break;
      }
      const entry = new Entry(record.message, record.sequence, record.expiresAtMs);
      copyState(record, entry);
      entry.storeState = STORE_WRITTEN;
      entries.push(entry);
      byteCount += record.message.headerBytes + record.message.bodyBytes;
      end = record.sequence + 1;
    }
    setImmediate(() => this.#whenCommitted(() => done(entries, end)));
  }

  firstLive(queueId: QueueId, fromSequence: number): number {
    return this.#queues.get(queueId)?.firstFrom(fromSequence)?.sequence ?? Infinity;
  }

  sequenceAt(queueId: QueueId, atMs: number): number {
    const queue = this.#queues.get(queueId);
    if (queue === undefined) return 1;
    for (const record of queue.inRange(0, Infinity)) {
      if (record.isCommitted && record.committedAtMs >= atMs) return record.sequence;
    }
    return queue.nextSequence;
  }

  async close(): Promise<void> {
    this.#loop.commit(false);
    await this.#loop.idle();
    if (this.#loop.failure === undefined) this.disk.wasClean = true;
  }

  /** Makes the store fail as a broken disk would: nothing is committed from now on. For tests. */
  fail(error: Error): void {
    this.#loop.fail(error);
  }

  /** A read that saw entries of the commit in flight answers after it. */
  #whenCommitted(answer: () => void): void {
    if (this.#loop.isInFlight) setImmediate(() => this.#whenCommitted(answer));
    else answer();
  }

  #queue(queueId: QueueId): MemoryQueue {
    let queue = this.#queues.get(queueId);
    if (queue === undefined) {
      queue = new MemoryQueue();
      this.#queues.set(queueId, queue);
    }
    return queue;
  }

  #push(operation: Operation): void {
    this.#operations.push(operation);
    this.#loop.touch();
  }

  #apply(operations: readonly Operation[]): void {
    const disk = this.disk;
    for (const operation of operations) {
      switch (operation.kind) {
        case 'put':
          if (operation.stored !== undefined) this.#applyPut(operation.queueId, operation.stored);
          break;
        case 'settle':
          disk.queue(operation.queueId).records.delete(operation.sequence);
          break;
        case 'update': {
          const stored = disk.queues.get(operation.queueId)?.records.get(operation.state.sequence);
          if (stored !== undefined) copyState(operation.state, stored);
          break;
        }
        case 'mark': {
          disk.queue(operation.queueId).deliveredBelow = operation.below;
          break;
        }
        case 'drop':
          disk.queues.delete(operation.queueId);
          break;
        case 'define':
          disk.definitions.set(operation.id, operation.definition);
          break;
        case 'undefine':
          disk.definitions.delete(operation.id);
          break;
      }
    }
  }

  #applyPut(queueId: QueueId, stored: MemoryRecord): void {
    const queue = this.disk.queue(queueId);
    queue.records.set(stored.sequence, stored);
    if (stored.sequence >= queue.nextSequence) queue.nextSequence = stored.sequence + 1;
  }
}

/** Takes a put into a commit: the entry is written from now on; returns the durable snapshot. */
function takePut(put: PutOperation, nowMs: number): MemoryRecord | undefined {
  const { entry, record } = put;
  if (entry.storeState !== STORE_PENDING) return undefined;
  if (!record.isLive) {
    entry.storeState = STORE_CANCELLED;
    return undefined;
  }
  entry.storeState = STORE_WRITTEN;
  copyState(record.recorded ?? entry, record);
  record.recorded = undefined;
  record.committedAtMs = nowMs;
  record.isCommitted = true;
  return cloneRecord(record);
}

/** Asks for the values that were to be had when the commit takes them, each once. */
function takeLate(operations: readonly Operation[]): void {
  const taken = new Set<string>();
  for (let at = operations.length - 1; at >= 0; at -= 1) {
    const operation = operations[at]!;
    if (operation.kind !== 'define' && operation.kind !== 'undefine') continue;
    if (operation.kind === 'define' && operation.late !== undefined && !taken.has(operation.id)) {
      operation.definition.value = operation.late();
    }
    taken.add(operation.id);
  }
}

/** The live and the durable view change at different times, so neither shares records. */
function cloneRecord(record: MemoryRecord): MemoryRecord {
  const clone = new MemoryRecord(
    new Entry(record.message, record.sequence, 0),
    record.survivesRestart,
  );
  copyState(record, clone);
  clone.committedAtMs = record.committedAtMs;
  clone.isCommitted = record.isCommitted;
  return clone;
}
