/**
 * Moving the messages of a dead-letter queue back to where they came from, at a rate.
 *
 *   start --> RUNNING --- all looked at ----> COMPLETED
 *               |  \----- cancel -----------> CANCELLED
 *               |   \---- queue deleted ----> (gone with it)
 *               +-- destination full: waits, tries again
 *
 * 1. A move is one synchronous run: published there, settled here, in one commit. A crash moves a
 *    message or does not.
 * 2. A redrive looks at as many messages as there were at its start; what dies again meanwhile is
 *    for the next one.
 * 3. A message without a way home (no origin, a queue that is gone, no right to write) is counted
 *    as failed and held until the end, then given back.
 * 4. Its rights are those of the user who started it, asked for each destination.
 */
import type { Entry, Message } from '../message.ts';
import { REFUSED } from '../queue/queue.ts';
import type { Queue } from '../queue/queue.ts';
import type { ClassicQueue } from '../queue/classic-queue.ts';
import { Receive } from '../queue/receive.ts';
import type { WakeAt, WakeTarget } from '../wake-target.ts';
import {
  REDRIVE_BATCH_MAX,
  REDRIVE_HELD_MAX,
  REDRIVE_LEASE_MS,
  REDRIVE_RETRY_MS,
} from './cmq-limits.ts';

export type RedriveStatus = 'running' | 'completed' | 'cancelled';

/** What is persisted and shown of a redrive. */
export interface RedriveState {
  readonly id: string;
  status: RedriveStatus;
  /** Name of the queue that takes everything; undefined: each message goes home. */
  readonly destination: string | undefined;
  /** Messages per second. */
  readonly rate: number;
  /** Who started it. */
  readonly userName: string;
  /** Messages there were at the start. */
  readonly total: number;
  moved: number;
  failed: number;
  readonly startedAtMs: number;
  /** 0 while it runs. */
  endedAtMs: number;
  /** What went wrong last; empty when nothing did. */
  lastError: string;
}

/** What a redrive needs from its surroundings. */
export interface RedriveHost {
  nowMs(): number;
  readonly wakeAt: WakeAt;
  /** Where a message goes; a text says why it cannot. */
  targetOf(state: RedriveState, message: Message): Queue | string;
  /** The message as new to `target`. */
  revive(message: Message, target: Queue): Message;
  /** One message has moved. */
  moved(from: Queue, entry: Entry, to: Queue): void;
  /** The state has changed: it is to be written in this run. */
  changed(redrive: Redrive): void;
}

export class Redrive implements WakeTarget {
  readonly queue: ClassicQueue;
  readonly state: RedriveState;
  readonly #host: RedriveHost;
  /** Entries without a way home. */
  readonly #held: Entry[];
  #receive: Receive | undefined;
  /** Messages it may move now; grows with time. */
  #allowance: number;
  #countedAtMs: number;

  constructor(queue: ClassicQueue, state: RedriveState, host: RedriveHost) {
    this.queue = queue;
    this.state = state;
    this.#host = host;
    this.#held = [];
    this.#receive = undefined;
    this.#allowance = 1;
    this.#countedAtMs = host.nowMs();
  }

  get isDeleted(): boolean {
    return this.state.status !== 'running';
  }

  start(): void {
    if (!this.isDeleted) this.#host.wakeAt(this, this.#host.nowMs());
  }

  /** Goes on after a restart: what was held then is ready again, and looked at again. */
  resume(): void {
    if (this.isDeleted) return;
    this.state.failed = 0;
    this.start();
  }

  cancel(): void {
    if (!this.isDeleted) this.#end('cancelled');
  }

  tick(nowMs: number): void {
    if (this.isDeleted || this.#receive !== undefined) return;
    const { rate } = this.state;
    this.#allowance += (Math.max(nowMs - this.#countedAtMs, 0) * rate) / 1_000;
    // What was missed while it waited is not caught up with.
    this.#allowance = Math.min(this.#allowance, Math.max(rate, 1));
    this.#countedAtMs = nowMs;
    const maxCount = Math.min(Math.floor(this.#allowance), this.#remaining, REDRIVE_BATCH_MAX);
    if (this.#remaining === 0) this.#end('completed');
    else if (maxCount === 0) this.#wakeForAllowance(nowMs);
    else this.#take(maxCount);
  }

  /** Messages still to be looked at. */
  get #remaining(): number {
    const { total, moved, failed } = this.state;
    return Math.max(total - moved - failed, 0);
  }

  #take(maxCount: number): void {
    this.#receive = new Receive({
      maxCount,
      // Those without a way home are held to the end, past the queue's own lease time.
      visibilityMs: REDRIVE_LEASE_MS,
      untilMs: 0,
      isByHandle: false,
      isCounted: false,
      done: (entries) => this.#move(entries),
    });
    this.queue.receive(this.#receive);
  }

  #move(entries: readonly Entry[]): void {
    this.#receive = undefined;
    let isRefused = false;
    for (const entry of entries) {
      if (isRefused || this.isDeleted) this.queue.giveBack(entry);
      else isRefused = !this.#moveOne(entry);
    }
    if (this.isDeleted || this.queue.isDeleted) return;
    const nowMs = this.#host.nowMs();
    if (isRefused) this.#host.wakeAt(this, nowMs + REDRIVE_RETRY_MS);
    // Nothing is left, or what is left is leased to others.
    else if (entries.length === 0 || this.#remaining === 0) this.#end('completed');
    else this.#wakeForAllowance(nowMs);
    if (!this.isDeleted) this.#host.changed(this);
  }

  /** Returns false when the destination has no room: the entry is given back. */
  #moveOne(entry: Entry): boolean {
    const { state } = this;
    const target = this.#host.targetOf(state, entry.message);
    this.#allowance -= 1;
    if (typeof target === 'string') {
      state.failed += 1;
      state.lastError = target;
      this.#held.push(entry);
      if (this.#held.length >= REDRIVE_HELD_MAX) this.#end('completed');
      return true;
    }
    const accepted = target.publish(this.#host.revive(entry.message, target));
    if (accepted === REFUSED) {
      state.lastError = `queue '${target.name}' is full`;
      this.queue.giveBack(entry);
      return false;
    }
    state.moved += 1;
    this.queue.acknowledge(entry);
    this.#host.moved(this.queue, entry, target);
    return true;
  }

  #wakeForAllowance(nowMs: number): void {
    const missing = Math.max(1 - this.#allowance, 0);
    this.#host.wakeAt(this, nowMs + Math.max(1, Math.ceil((missing * 1_000) / this.state.rate)));
  }

  #end(status: RedriveStatus): void {
    this.state.status = status;
    this.state.endedAtMs = this.#host.nowMs();
    if (this.#receive !== undefined) this.queue.cancelReceive(this.#receive);
    this.#receive = undefined;
    for (const entry of this.#held.splice(0)) this.queue.giveBack(entry);
    this.#host.changed(this);
  }
}
