/**
 * The engine's ports: what it needs from outside, and nothing else. A simulation, the in-memory
 * store and the SQLite store all stand behind the same lines.
 */
import type { FieldTable, FieldValue } from '../base/field-value.ts';
import type { Entry, Message } from './message.ts';

/**
 * Number of a queue in the store: `epoch * 2^32 + counter`, never reused, so that journal rows of
 * a deleted queue can never be taken for another's.
 */
export type QueueId = number;

/** A position in commit order. Tickets grow; a promise waits until its ticket is committed. */
export type Ticket = number;

/** What a queue's live entries look like after start-up, without their bodies. */
export interface RecoveredQueue {
  /** First sequence never given out, as far as the disk knows. */
  readonly nextSequence: number;
  readonly liveCount: number;
  /** Body bytes of the live entries. */
  readonly liveBodyBytes: number;
  /** Lowest live sequence; `nextSequence` when there is none. */
  readonly firstSequence: number;
  /**
   * Entries below this sequence may have been delivered before: they come back redelivered.
   * The value last passed to `mark`.
   */
  readonly deliveredBelow: number;
  /**
   * Entries with a time of their own (`Entry.notBeforeMs`, wall ms): a due time, or an age. There
   * may be a million: to be walked once, before anything in the queue changes.
   */
  readonly delayed: Iterable<{ readonly sequence: number; readonly notBeforeMs: number }>;
  /** Entries leased by handle, by sequence, with what was recorded as `Entry.leaseUntilMs`. */
  readonly leased: readonly { readonly sequence: number; readonly leaseUntilMs: number }[];
}

/** One persisted definition: a vhost, user, permission, exchange, queue, binding, policy ... */
export interface Definition {
  readonly kind: string;
  readonly key: string;
  /** JSON text, written by engine/definitions. */
  readonly value: string;
}

export interface Recovery {
  /** Boot counter of this start; 1 on a new data directory. Already committed. */
  readonly epoch: number;
  /** True when the last process closed the store in order: no delivery is in doubt. */
  readonly wasClean: boolean;
  readonly definitions: readonly Definition[];
  readonly queues: ReadonlyMap<QueueId, RecoveredQueue>;
}

/**
 * The store: an append-only journal of commits. Every operation below is buffered in memory and
 * becomes durable, all or nothing, with the commit of its ticket. Operations of one commit apply
 * in call order. The store owns where an entry lies; the engine knows (queue, sequence).
 */
export interface Store {
  /** Opens and reads definitions and indexes, not bodies. Called once, first. */
  recover(): Promise<Recovery>;

  /**
   * Buffers an entry. Consecutive puts of one `Message` object store its bytes once.
   * Sets `entry.storeState` to STORE_PENDING, later STORE_WRITTEN.
   *
   * @param survivesRestart false for a transient entry paged out of memory: recovery drops it
   */
  put(queueId: QueueId, entry: Entry, survivesRestart: boolean): void;

  /**
   * Records that an entry is gone. Costs nothing when it was never put, and cancels the put when
   * that is still pending. Does not start a commit by itself soon (acks ride on the next one).
   */
  settle(queueId: QueueId, entry: Entry): void;

  /** Settles every stored entry of the queue in [first, end): purge and retention. */
  settleRange(queueId: QueueId, first: number, end: number): void;

  /**
   * Records changed state of a stored entry, also of one whose put is still buffered: receiveCount
   * and the times of an Entry as they are at the call.
   */
  update(queueId: QueueId, entry: Entry): void;

  /**
   * Records that entries below `deliveredBelow` may be delivered from now on. Replaces the last
   * value, be it higher: an orderly stop takes back what was reserved and not used.
   */
  mark(queueId: QueueId, deliveredBelow: number): void;

  /** Forgets a queue and everything in it, pending puts included. */
  dropQueue(queueId: QueueId): void;

  /**
   * Upserts a definition. A function is asked for its value once, when a commit takes it: for what
   * is long and changes many times between two commits.
   */
  define(kind: string, key: string, value: string | (() => string)): void;

  /** Removes a definition; missing is fine. */
  undefine(kind: string, key: string): void;

  /** Ticket whose commit makes everything buffered so far durable; known ones when nothing is. */
  readonly ticket: Ticket;
  /** Every ticket up to this one is on disk. */
  readonly committedTicket: Ticket;
  /** True when something is buffered that no commit has taken yet. */
  readonly isDirty: boolean;
  /** Bytes buffered and in flight; publishers are slowed above a limit. */
  readonly backlogBytes: number;

  /** Called after each commit, from the event loop, with the newest committed ticket. */
  onCommitted: (ticket: Ticket) => void;
  /** Called once when the disk cannot be trusted any more (fsync error, I/O error). Fatal. */
  onFailure: (error: Error) => void;

  /**
   * Starts a commit of what is buffered unless one is under way, in which case the next starts
   * when it ends. With `lazily`, settle-only buffers may wait some ms for company.
   */
  commit(lazily: boolean): void;

  /**
   * Reads live, committed entries with sequence >= `fromSequence`, in order, at most `maxCount`
   * and about `maxBytes` of message bytes, and calls `done` from a later event-loop turn.
   * `done` gets what is live at call time; the caller skips what it settled since. Entries come
   * as STORE_WRITTEN. `end` is the sequence to read from next; everything live and committed
   * below it has been returned.
   */
  read(
    queueId: QueueId,
    fromSequence: number,
    maxCount: number,
    maxBytes: number,
    done: (entries: Entry[], end: number) => void,
  ): void;

  /** Lowest live stored sequence >= `fromSequence`, or Infinity. From the index, no I/O. */
  firstLive(queueId: QueueId, fromSequence: number): number;

  /** First sequence of the queue whose commit happened at or after `atMs`; for stream offsets. */
  sequenceAt(queueId: QueueId, atMs: number): number;

  /** Commits what is left, writes the clean mark, closes. */
  close(): Promise<void>;
}

/** Properties any protocol can carry; absent ones are undefined. */
export interface CommonProperties {
  readonly contentType?: string;
  readonly contentEncoding?: string;
  readonly headers?: FieldTable;
  readonly deliveryMode?: number;
  readonly priority?: number;
  readonly correlationId?: string;
  readonly replyTo?: string;
  readonly expiration?: string;
  readonly messageId?: string;
  /** Seconds since the epoch. */
  readonly timestampSeconds?: number;
  readonly type?: string;
  readonly userId?: string;
  readonly appId?: string;
}

/** Changes to make to a header without touching the bytes of anything else in it. */
export interface HeaderEdit {
  /** Headers to set (replacing one of the same name), in order. */
  readonly set?: ReadonlyMap<string, FieldValue>;
  /** Header names to remove. */
  readonly remove?: readonly string[];
  /** Drop the per-message TTL. */
  readonly removeExpiration?: boolean;
  /** New reply-to. */
  readonly replyTo?: string;
}

/** Lazy view of header bytes; one implementation per protocol, registered by Message.format. */
export interface MessageFormat {
  /** The application headers, or undefined when there are none. */
  headers(message: Message): FieldTable | undefined;
  properties(message: Message): CommonProperties;
  /** New header bytes (owned) after `edit`. */
  edit(message: Message, edit: HeaderEdit): Buffer;
}
