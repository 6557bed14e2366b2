/**
 * Receives: callers that wait for a number of entries and are answered once.
 *
 * AMQP's basic.get is one that does not wait; a CMQ receive may wait up to its deadline. They
 * stand in line per queue: each entry wakes exactly the first that has room, and one whose client
 * has gone takes nothing.
 */
import { DeadlineHeap } from '../../base/deadline-heap.ts';
import type { Entry } from '../message.ts';

/** Receives from which on finished ones are dropped from the heap of deadlines. */
const SWEEP_FROM = 1_024;

export interface ReceiveOptions {
  /** Entries it takes at most. */
  readonly maxCount: number;
  /** Bytes of bodies from which on it takes no more; any number without. */
  readonly enoughBytes?: number;
  /** Lease time in ms; undefined is the queue's, or DEFAULT_VISIBILITY_MS. */
  readonly visibilityMs?: number | undefined;
  /** Wall ms until which it waits for a first entry; not at all when that is past. */
  readonly untilMs: number;
  /**
   * The lease is named by a handle and belongs to no connection: it has a deadline, and lasts over
   * a restart.
   */
  readonly isByHandle: boolean;
  /** Who takes, as the protocol names him. */
  readonly holder?: string;
  /** False: whoever takes looks only, and gives back what it does not want (`giveBack`). */
  readonly isCounted?: boolean;
  /** Called once, in a turn, with what it got; nothing when there was nothing in time. */
  readonly done: (entries: readonly Entry[]) => void;
}

/** One waiting caller. */
export class Receive {
  readonly maxCount: number;
  readonly #enoughBytes: number;
  #byteCount: number;
  readonly visibilityMs: number | undefined;
  readonly untilMs: number;
  readonly isByHandle: boolean;
  readonly holder: string;
  readonly isCounted: boolean;
  #entries: Entry[];
  /** Undefined once it is over. */
  #done: ((entries: readonly Entry[]) => void) | undefined;

  constructor(options: ReceiveOptions) {
    this.maxCount = options.maxCount;
    this.#enoughBytes = options.enoughBytes ?? Infinity;
    this.#byteCount = 0;
    this.visibilityMs = options.visibilityMs;
    this.untilMs = options.untilMs;
    this.isByHandle = options.isByHandle;
    this.holder = options.holder ?? '';
    this.isCounted = options.isCounted ?? true;
    this.#entries = [];
    this.#done = options.done;
  }

  /** What it took; nothing once it is over. */
  get entries(): readonly Entry[] {
    return this.#entries;
  }

  /** It takes no more. */
  get isFull(): boolean {
    return this.#entries.length >= this.maxCount || this.#byteCount >= this.#enoughBytes;
  }

  get isOver(): boolean {
    return this.#done === undefined;
  }

  take(entry: Entry): void {
    entry.holder = this.holder;
    this.#entries.push(entry);
    this.#byteCount += entry.message.bodyBytes;
  }

  /** Answers with what there is. */
  finish(): void {
    const done = this.#done;
    done?.(this.abandon());
  }

  /** The caller has gone: no answer. Returns what it took; it may lie in a heap yet, without. */
  abandon(): readonly Entry[] {
    const entries = this.#entries;
    this.#entries = [];
    this.#done = undefined;
    return entries;
  }
}

/**
 * The receives of one queue. Those that wait are served first, in the order in which they came:
 * they were here before whoever does not. Most queues never have one: each part is made with its
 * first.
 */
export class ReceiveLine {
  #patient: Set<Receive> | undefined;
  #impatient: Set<Receive> | undefined;
  #deadlines: DeadlineHeap<Receive> | undefined;
  #sweepAt: number;

  constructor() {
    this.#patient = undefined;
    this.#impatient = undefined;
    this.#deadlines = undefined;
    this.#sweepAt = SWEEP_FROM;
  }

  get count(): number {
    return (this.#patient?.size ?? 0) + (this.#impatient?.size ?? 0);
  }

  /** Wall ms of the earliest deadline, possibly of one that is over; Infinity without any. */
  get nextMs(): number {
    return this.#deadlines?.nextKey ?? Infinity;
  }

  push(receive: Receive, nowMs: number): void {
    if (receive.untilMs <= nowMs) {
      this.#impatient ??= new Set();
      this.#impatient.add(receive);
      return;
    }
    this.#patient ??= new Set();
    this.#patient.add(receive);
    if (receive.untilMs === Infinity) return;
    this.#deadlines ??= new DeadlineHeap();
    if (this.#deadlines.length >= this.#sweepAt) this.#sweep(this.#deadlines);
    this.#deadlines.push(receive.untilMs, receive);
  }

  /** Whose turn it is. */
  next(): Receive | undefined {
    for (const receive of this.#patient ?? []) return receive;
    for (const receive of this.#impatient ?? []) return receive;
    return undefined;
  }

  /** Gives an entry; a full receive is answered at once, so that entries leave in their order. */
  give(receive: Receive, entry: Entry): void {
    receive.take(entry);
    if (receive.isFull) this.#finish(receive);
  }

  /** Its client has gone: it takes nothing. Returns what it took and was not answered with. */
  cancel(receive: Receive): readonly Entry[] {
    this.#leave(receive);
    return receive.abandon();
  }

  /** A pass is over: answers who got something, and who does not wait when nothing is left. */
  settle(isEmpty: boolean): void {
    for (const receive of this.#patient ?? []) {
      // Whoever stands behind one that got nothing got nothing either.
      if (receive.entries.length === 0) break;
      this.#finish(receive);
    }
    for (const receive of this.#impatient ?? []) {
      if (isEmpty || receive.entries.length > 0) this.#finish(receive);
    }
  }

  /** Answers those whose time is over. */
  expire(nowMs: number): void {
    while (this.nextMs <= nowMs) {
      const receive = this.#deadlines!.pop()!;
      if (!receive.isOver) this.#finish(receive);
    }
  }

  /** The queue is gone. */
  endAll(): void {
    for (const receive of [...(this.#patient ?? []), ...(this.#impatient ?? [])]) {
      this.#finish(receive);
    }
    this.#deadlines = undefined;
  }

  #finish(receive: Receive): void {
    this.#leave(receive);
    receive.finish();
  }

  #leave(receive: Receive): void {
    if (this.#patient?.delete(receive) !== true) this.#impatient?.delete(receive);
  }

  #sweep(deadlines: DeadlineHeap<Receive>): void {
    deadlines.retain((_, receive) => !receive.isOver);
    this.#sweepAt = Math.max(SWEEP_FROM, 2 * deadlines.length);
  }
}
