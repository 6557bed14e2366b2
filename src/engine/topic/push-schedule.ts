/**
 * The order and the clock of one subscription's deliveries.
 *
 *                 +--------------------- ok, or given up ----------------------+
 *                 v                                                            |
 *     IDLE --> RECEIVING --> (queue hands the oldest over) --> ATTEMPTING -----+
 *      ^                                                           | failed, retries left
 *      +------------------- due: given back to the queue ------ WAITING
 *
 * The subscription's queue holds all state: attempts made are the entry's receive count and the
 * time of the next one is the end of its lease, so that both are as durable as the message. While
 * one message is attempted or waits, nothing else is received: the head blocks the line.
 *
 * A restart in mid-schedule leaves the head leased; the schedule waits for that lease to end. A
 * restart in mid-attempt does the same, with the short lease of an attempt.
 *
 * A message lives `lifeMs` from its publish. Retries never prolong that: when the next one would
 * come too late the message is given up at once, since nothing more can happen to it.
 */
import type { Entry } from '../message.ts';
import { ENTRY_LEASED } from '../message.ts';
import type { ClassicQueue } from '../queue/classic-queue.ts';
import type { DeathReason } from '../queue/queue.ts';
import { Receive } from '../queue/receive.ts';
import type { WakeAt, WakeTarget } from '../wake-target.ts';
import type { PushHandle, PushOutcome } from './push-transport.ts';

/** Ms. Lease of an attempt: what a crash in the midst of one costs. */
export const ATTEMPT_LEASE_MS = 30_000;
/** Ms. An attempt that has to wait for its turn in the transport renews its lease this often. */
const RENEW_MS = 20_000;
/** Ms between looks at a lease of somebody else whose end is not known yet. */
const FOREIGN_LEASE_MS = 1_000;

/** What a schedule needs from its subscription. */
export interface PushScheduleHost {
  nowMs(): number;
  readonly wakeAt: WakeAt;
  /** Something was settled: a commit is due. */
  requestTurn(): void;
  /** False while there is nobody to make attempts. */
  readonly isOpen: boolean;
  /** Ms a message may live from its publish. */
  readonly lifeMs: number;
  /** Makes one attempt; `done` may be called at once. Undefined: it cannot be aborted. */
  attempt(entry: Entry, done: (outcome: PushOutcome) => void): PushHandle | undefined;
  /** Ms to wait after that many failed attempts; undefined: give up. */
  retryDelayMs(failedAttempts: number): number | undefined;
  /** It arrived; it is settled next, in the same run. */
  arrived(entry: Entry): void;
  /** No further attempt: dead-letters it. It is settled next, in the same run. */
  abandon(entry: Entry, reason: DeathReason): void;
}

export class PushSchedule implements WakeTarget {
  readonly queue: ClassicQueue;
  readonly #host: PushScheduleHost;
  #receive: Receive | undefined;
  /** The head of the line while it is attempted or waits. */
  #entry: Entry | undefined;
  #attempt: PushHandle | undefined;
  #isAttempting: boolean;
  /** Wall ms: the next attempt of a head that waits, the next renewal of one that is attempted. */
  #dueAtMs: number;
  /** Earliest wake-up asked for and not yet come. */
  #wakeAtMs: number;
  #isDeleted: boolean;

  constructor(queue: ClassicQueue, host: PushScheduleHost) {
    this.queue = queue;
    this.#host = host;
    this.#receive = undefined;
    this.#entry = undefined;
    this.#attempt = undefined;
    this.#isAttempting = false;
    this.#dueAtMs = 0;
    this.#wakeAtMs = Infinity;
    this.#isDeleted = false;
  }

  get isDeleted(): boolean {
    return this.#isDeleted;
  }

  /** Wall ms of the next attempt of a message that failed; undefined while none waits. */
  get nextAttemptMs(): number | undefined {
    return this.#entry === undefined || this.#isAttempting ? undefined : this.#dueAtMs;
  }

  /** Asks for the oldest message unless one is under way. */
  start(): void {
    if (this.#isDeleted || this.#receive !== undefined || this.#entry !== undefined) return;
    if (!this.#host.isOpen) return;
    if (this.queue.unackedCount > 0) {
      this.#awaitForeignLease();
      return;
    }
    const receive = new Receive({
      maxCount: 1,
      visibilityMs: ATTEMPT_LEASE_MS,
      untilMs: Infinity,
      isByHandle: true,
      done: ([entry]) => this.#received(entry),
    });
    this.#receive = receive;
    this.queue.receive(receive);
  }

  /** The subscription or its queue is gone. */
  stop(): void {
    this.#isDeleted = true;
    if (this.#receive !== undefined) this.queue.cancelReceive(this.#receive);
    this.#receive = undefined;
    this.#entry = undefined;
    this.#attempt?.abort();
    this.#attempt = undefined;
  }

  tick(nowMs: number): void {
    this.#wakeAtMs = Infinity;
    if (this.queue.isDeleted) {
      this.stop();
      return;
    }
    const entry = this.#entry;
    if (entry === undefined) {
      this.start();
    } else if (nowMs < this.#dueAtMs) {
      this.#wake(this.#dueAtMs);
    } else if (this.#isAttempting) {
      this.queue.lease(entry, nowMs + ATTEMPT_LEASE_MS);
      this.#wakeWhenDue(nowMs + RENEW_MS);
    } else {
      this.#entry = undefined;
      if (entry.state === ENTRY_LEASED) this.queue.lease(entry, nowMs);
      this.start();
    }
  }

  #received(entry: Entry | undefined): void {
    this.#receive = undefined;
    if (this.#isDeleted || entry === undefined) return;
    const nowMs = this.#host.nowMs();
    this.#entry = entry;
    if (nowMs >= this.#diesAtMs(entry)) {
      this.#abandon(entry, 'expired');
      return;
    }
    this.#isAttempting = true;
    let isOver = false;
    const handle = this.#host.attempt(entry, (outcome) => {
      if (isOver) return;
      isOver = true;
      this.#attempted(entry, outcome);
    });
    if (isOver) return;
    this.#attempt = handle;
    this.#wakeWhenDue(nowMs + RENEW_MS);
  }

  #attempted(entry: Entry, outcome: PushOutcome): void {
    if (this.#isDeleted || this.#entry !== entry) return;
    this.#isAttempting = false;
    this.#attempt = undefined;
    this.#host.requestTurn();
    if (outcome === 'ok') {
      this.#host.arrived(entry);
      this.#settle(entry);
      return;
    }
    const nowMs = this.#host.nowMs();
    const delayMs = this.#host.retryDelayMs(entry.receiveCount);
    if (delayMs === undefined) {
      this.#abandon(entry, 'delivery_limit');
    } else if (nowMs + delayMs >= this.#diesAtMs(entry)) {
      this.#abandon(entry, 'expired');
    } else {
      if (entry.state === ENTRY_LEASED) this.queue.lease(entry, nowMs + delayMs);
      this.#wakeWhenDue(nowMs + delayMs);
    }
  }

  #abandon(entry: Entry, reason: DeathReason): void {
    this.#host.abandon(entry, reason);
    this.#settle(entry);
  }

  #settle(entry: Entry): void {
    this.#entry = undefined;
    this.queue.acknowledge(entry);
    this.start();
  }

  #awaitForeignLease(): void {
    const nowMs = this.#host.nowMs();
    const endMs = this.queue.nextLeaseMs;
    const isKnown = endMs > nowMs && endMs < Infinity;
    this.#wake(isKnown ? endMs : nowMs + FOREIGN_LEASE_MS);
  }

  #wakeWhenDue(atMs: number): void {
    this.#dueAtMs = atMs;
    this.#wake(atMs);
  }

  /** Asks for `tick` at `atMs`, unless one is due before that. */
  #wake(atMs: number): void {
    if (atMs >= this.#wakeAtMs) return;
    this.#wakeAtMs = atMs;
    this.#host.wakeAt(this, atMs);
  }

  #diesAtMs(entry: Entry): number {
    return entry.message.publishedAtMs + this.#host.lifeMs;
  }
}
