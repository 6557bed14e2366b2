/**
 * What a `MemoryStore` leaves behind when it ends: the "disk" of tests and simulations.
 *
 * A new `MemoryStore` on the same disk recovers from it, whether the old one was closed or merely
 * abandoned (a crash): a commit of an abandoned store no longer reaches the disk.
 */
import type { Definition, QueueId } from '../engine/ports.ts';
import type { Entry, Message } from '../engine/message.ts';

/** One stored entry: a snapshot, so that the engine's later changes count only when updated. */
export class MemoryRecord {
  readonly message: Message;
  readonly sequence: number;
  readonly survivesRestart: boolean;
  /** Wall ms of the commit that took it. */
  committedAtMs: number;
  isLive: boolean;
  isCommitted: boolean;
  expiresAtMs: number;
  notBeforeMs: number;
  receiveCount: number;
  leaseUntilMs: number;
  firstReceivedAtMs: number;
  isRedelivered: boolean;
  /** State that `update` recorded before the commit: it is stored, whatever the entry has then. */
  recorded: MemoryRecord | undefined;

  constructor(entry: Entry, survivesRestart: boolean) {
    this.message = entry.message;
    this.sequence = entry.sequence;
    this.survivesRestart = survivesRestart;
    this.committedAtMs = 0;
    this.isLive = true;
    this.isCommitted = false;
    this.expiresAtMs = entry.expiresAtMs;
    this.notBeforeMs = entry.notBeforeMs;
    this.receiveCount = entry.receiveCount;
    this.leaseUntilMs = entry.leaseUntilMs;
    this.firstReceivedAtMs = entry.firstReceivedAtMs;
    this.isRedelivered = entry.isRedelivered;
    this.recorded = undefined;
  }
}

/** Copies the changeable state of an entry into `record`. */
export function copyState(from: Entry | MemoryRecord, to: Entry | MemoryRecord): void {
  to.expiresAtMs = from.expiresAtMs;
  to.notBeforeMs = from.notBeforeMs;
  to.receiveCount = from.receiveCount;
  to.leaseUntilMs = from.leaseUntilMs;
  to.firstReceivedAtMs = from.firstReceivedAtMs;
  to.isRedelivered = from.isRedelivered;
}

/** The durable side of one queue. */
export class MemoryDiskQueue {
  readonly records: Map<number, MemoryRecord>;
  nextSequence: number;
  deliveredBelow: number;

  constructor() {
    this.records = new Map();
    this.nextSequence = 1;
    this.deliveredBelow = 0;
  }
}

/** Everything durable. */
export class MemoryDisk {
  epoch: number;
  wasClean: boolean;
  readonly definitions: Map<string, Definition>;
  readonly queues: Map<QueueId, MemoryDiskQueue>;

  constructor() {
    this.epoch = 0;
    this.wasClean = true;
    this.definitions = new Map();
    this.queues = new Map();
  }

  /** The queue, created when missing. */
  queue(queueId: QueueId): MemoryDiskQueue {
    let queue = this.queues.get(queueId);
    if (queue === undefined) {
      queue = new MemoryDiskQueue();
      this.queues.set(queueId, queue);
    }
    return queue;
  }
}
