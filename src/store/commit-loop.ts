/**
 * Group commit without a timer: while one commit is at the disk, the next collects.
 *
 * Owns tickets, the one-in-flight rule and the failure latch; what a commit consists of is the
 * sink's business. Both stores run on it.
 *
 * Invariants:
 * 1. At most one `sink.write()` is running.
 * 2. `committedTicket <= taken`; `ticket` is `taken + 1` while something is buffered, else `taken`:
 *    in both cases the ticket whose commit makes everything buffered so far durable.
 * 3. After a failure nothing is ever committed again, and `onFailure` has run exactly once.
 * 4. Callbacks run from the event loop, never inside `commit()`.
 *
 *            touch()                commit(false), or commit(true) of urgent content
 *    clean ----------> collecting ------------------------------------------------> at the disk
 *      ^                    | commit(true): after LAZY_COMMIT_MS ----------------------^   |
 *      +------------------------------- onCommitted(ticket) <------------------------------+
 *
 * Gathering. What a commit confirms makes publishers send as much again, some 0.1 ms later. A next
 * commit that starts at once takes only what came meanwhile, so a window splits into two groups
 * that wait for each other's commits for ever. So after a commit with puts the next one waits,
 * event-loop turn by turn, until as many puts have come as were confirmed, at most GATHER_MS.
 * Measured with 1 kB, window 100: 84 k/s without, 114 k/s with; ten publishers 195 and 301 k/s.
 * When gathering ends at its deadline a few times in a row, nobody is answering confirms with
 * publishes, and it pauses.
 *
 * Watching. Publishers that answered the last confirms wait for this commit, so the event loop
 * stays awake for its end instead of sleeping in the kernel, at most WATCH_MS: waking it takes a
 * fifth of a commit's time on a virtual machine. Measured with one message at a time, on two
 * processors: 2,200/s asleep, 2,800/s awake; with 1 kB, window 100: 61 k/s and 74 k/s.
 */
import type { Ticket } from '../engine/ports.ts';
import type { Scheduler } from './scheduler.ts';

/**
 * How long acknowledgements may wait for company. A lost ack is a redelivery, which is legal, so
 * this trades nothing but a little redelivery after a crash for one commit per 20 ms.
 */
export const LAZY_COMMIT_MS = 20;

/** Ms. Longer was measured to be worse (0.4): it delays more than it gathers. */
const GATHER_MS = 0.2;
/** Gatherings in a row that end at the deadline before it pauses. */
const FRUITLESS_MAX = 4;
/** Ms. A commit that takes longer is waited for asleep: its disk is slow, not the waking. */
const WATCH_MS = 1;
/** Commits for which it pauses. */
const PAUSE_COMMITS = 64;

/** What the loop drives. */
export interface CommitSink {
  /** Takes the whole buffer synchronously; resolves when it is durable, rejects when it is not. */
  write(): Promise<void>;
  /**
   * Called after each commit has been reported. The next commit waits for what it returns, so this
   * is the place for work that needs the disk to itself; undefined when there is none.
   */
  afterCommit?(): Promise<void> | undefined;
  /** True when the buffer holds more than settlements, marks and state changes. */
  readonly isUrgent: boolean;
  /** Puts in the buffer. */
  readonly putCount: number;
}

const WANT_NOTHING = 0;
const WANT_LAZILY = 1;
const WANT_NOW = 2;

/** The commit loop. */
export class CommitLoop {
  readonly #sink: CommitSink;
  readonly #scheduler: Scheduler;
  #taken: Ticket;
  #committed: Ticket;
  #isDirty: boolean;
  #isInFlight: boolean;
  /** Between commits, waiting for puts to come in. */
  #isGathering: boolean;
  /** The last gathering ended with all its puts. */
  #isAnswered: boolean;
  #fruitlessCount: number;
  #pauseCount: number;
  #want: number;
  #failure: Error | undefined;
  #cancelTimer: (() => void) | undefined;
  #idleWaiters: (() => void)[];
  onCommitted: (ticket: Ticket) => void;
  onFailure: (error: Error) => void;

  constructor(sink: CommitSink, scheduler: Scheduler) {
    this.#sink = sink;
    this.#scheduler = scheduler;
    this.#taken = 0;
    this.#committed = 0;
    this.#isDirty = false;
    this.#isInFlight = false;
    this.#isGathering = false;
    this.#isAnswered = false;
    this.#fruitlessCount = 0;
    this.#pauseCount = 0;
    this.#want = WANT_NOTHING;
    this.#failure = undefined;
    this.#cancelTimer = undefined;
    this.#idleWaiters = [];
    this.onCommitted = () => {};
    this.onFailure = () => {};
  }

  /** Ticket whose commit makes everything buffered so far durable. */
  get ticket(): Ticket {
    return this.#isDirty ? this.#taken + 1 : this.#taken;
  }

  get committedTicket(): Ticket {
    return this.#committed;
  }

  get isDirty(): boolean {
    return this.#isDirty;
  }

  get isInFlight(): boolean {
    return this.#isInFlight;
  }

  /** The error that ended this store, if any. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Notes that something was buffered. */
  touch(): void {
    this.#isDirty = true;
  }

  /** See `Store.commit`. */
  commit(lazily: boolean): void {
    if (!this.#isDirty || this.#failure !== undefined) return;
    const want = lazily && !this.#sink.isUrgent ? WANT_LAZILY : WANT_NOW;
    if (want > this.#want) this.#want = want;
    if (!this.#isInFlight && !this.#isGathering) this.#pump();
  }

  /** Starts a commit even of an empty buffer, for background work; false when one is running. */
  force(): boolean {
    if (this.#isInFlight || this.#isGathering || this.#failure !== undefined) return false;
    this.#start();
    return true;
  }

  /** Resolves when nothing is in flight and nothing wanted is left, or after a failure. */
  idle(): Promise<void> {
    if (this.#isIdle()) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  /** Ends the loop because of an error outside a commit, too. */
  fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#stopTimer();
    this.onFailure(error);
    this.#wakeIdle();
  }

  #isIdle(): boolean {
    if (this.#failure !== undefined) return !this.#isInFlight;
    if (this.#isGathering) return false;
    return !this.#isInFlight && !(this.#isDirty && this.#want !== WANT_NOTHING);
  }

  #pump(): void {
    if (!this.#isDirty || this.#want === WANT_NOTHING) return;
    if (this.#want === WANT_NOW) {
      this.#start();
      return;
    }
    if (this.#cancelTimer !== undefined) return;
    this.#cancelTimer = this.#scheduler.after(LAZY_COMMIT_MS, () => {
      this.#cancelTimer = undefined;
      if (!this.#isInFlight && this.#isDirty && this.#failure === undefined) this.#start();
    });
  }

  #start(): void {
    this.#stopTimer();
    this.#want = WANT_NOTHING;
    this.#isDirty = false;
    this.#isInFlight = true;
    this.#taken += 1;
    const ticket = this.#taken;
    const putCount = this.#sink.putCount;
    this.#sink.write().then(
      () => this.#finish(ticket, putCount),
      (error: unknown) => this.#breakOff(error),
    );
    if (this.#isAnswered && this.#scheduler.hasSpareProcessor) this.#watch();
  }

  /** Keeps the event loop awake while the commit is at the disk. */
  #watch(): void {
    const ticket = this.#taken;
    const untilMs = this.#scheduler.nowMs() + WATCH_MS;
    const look = (): void => {
      if (!this.#isInFlight || this.#taken !== ticket) return;
      if (this.#scheduler.nowMs() < untilMs) this.#scheduler.soon(look);
    };
    this.#scheduler.soon(look);
  }

  #finish(ticket: Ticket, putCount: number): void {
    if (this.#failure !== undefined) {
      this.#release();
      return;
    }
    this.#committed = ticket;
    const chore = this.#sink.afterCommit?.();
    if (chore !== undefined) {
      chore.then(
        () => this.#release(),
        (error: unknown) => this.#breakOff(error),
      );
      this.onCommitted(ticket);
      return;
    }
    // Not in flight any more when the listener runs: it may start the next commit at once.
    this.#isInFlight = false;
    if (this.#mayGather(putCount)) this.#gather(this.#sink.putCount + putCount);
    this.onCommitted(ticket);
    if (!this.#isInFlight && !this.#isGathering) this.#release();
  }

  #mayGather(putCount: number): boolean {
    if (putCount === 0) return false;
    if (this.#pauseCount === 0) return true;
    this.#pauseCount -= 1;
    return false;
  }

  /** Holds the next commit until the buffer has `goal` puts, or GATHER_MS are over. */
  #gather(goal: number): void {
    this.#isGathering = true;
    const untilMs = this.#scheduler.nowMs() + GATHER_MS;
    const look = (): void => {
      const isFull = this.#sink.putCount >= goal;
      if (!isFull && this.#failure === undefined && this.#scheduler.nowMs() < untilMs) {
        this.#scheduler.soon(look);
        return;
      }
      this.#isGathering = false;
      this.#isAnswered = isFull;
      this.#fruitlessCount = isFull ? 0 : this.#fruitlessCount + 1;
      if (this.#fruitlessCount >= FRUITLESS_MAX) {
        this.#fruitlessCount = 0;
        this.#pauseCount = PAUSE_COMMITS;
      }
      this.#release();
    };
    this.#scheduler.soon(look);
  }

  #release(): void {
    this.#isInFlight = false;
    if (this.#failure === undefined) this.#pump();
    this.#wakeIdle();
  }

  #breakOff(error: unknown): void {
    this.#isInFlight = false;
    this.fail(error instanceof Error ? error : new Error(String(error)));
    this.#wakeIdle();
  }

  #stopTimer(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  #wakeIdle(): void {
    if (this.#idleWaiters.length === 0 || !this.#isIdle()) return;
    const waiters = this.#idleWaiters;
    this.#idleWaiters = [];
    for (const wake of waiters) wake();
  }
}
