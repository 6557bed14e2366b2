/**
 * The turn: what follows whenever sockets have been read or a commit is complete.
 *
 * The first request schedules one `setImmediate`, which runs after the poll phase, hence after
 * everything readable in this iteration was parsed and applied. So batches form by themselves under
 * load and an idle gateway does nothing. Between turns one timer waits for the engine's next due
 * time (TTL, queue expiry, delay); it is coarse by `TIMER_SLACK_MS`, never early by design: a turn
 * that comes early just finds nothing due.
 */
import type { Broker } from '../engine/broker.ts';
import type { FlushSet } from '../net/flush-set.ts';
import type { AcceptTransport } from '../net/transport.ts';

/**
 * Bytes read since the last turn above which one follows at once. The event loop may read a busy
 * socket 32 times (2 MiB) before any other phase; delivering after each 64 KiB keeps queues short,
 * messages in the cache, and a fast publisher from running away from its consumers.
 */
const BYTES_PER_TURN = 65_536;
/** Ms. Due times closer than this share one wake-up. */
const TIMER_SLACK_MS = 1;
/**
 * Ms. Timers do not run while the machine sleeps, and know nothing of a wall clock that is set
 * forward: what has become due meanwhile is found after a minute at the latest.
 */
const TIMER_MS_MAX = 60_000;

export class Turn {
  #broker: Broker | undefined;
  #flushSet: FlushSet | undefined;
  #isRequested: boolean;
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs: number;
  #isStopped: boolean;
  #bytesRead: number;
  readonly request: () => void;
  readonly #run: () => void;

  constructor() {
    this.#broker = undefined;
    this.#flushSet = undefined;
    this.#isRequested = false;
    this.#timer = undefined;
    this.#timerAtMs = Infinity;
    this.#isStopped = false;
    this.#bytesRead = 0;
    this.#run = () => this.run();
    this.request = () => {
      if (this.#isRequested || this.#isStopped) return;
      this.#isRequested = true;
      setImmediate(this.#run);
    };
  }

  /** Connects the parts; `request` may have been called before. */
  start(broker: Broker, flushSet: FlushSet): void {
    this.#broker = broker;
    this.#flushSet = flushSet;
    broker.store.onCommitted = (ticket) => {
      broker.onCommitted(ticket);
      flushSet.flushAll();
    };
    this.request();
  }

  /** Counts what connections read, so that a turn follows in time. */
  wrap(accept: AcceptTransport): AcceptTransport {
    return (transport) => {
      const handler = accept(transport);
      return {
        onChunk: (chunk) => {
          const byteCount = chunk.length;
          handler.onChunk(chunk);
          this.#bytesRead += byteCount;
          if (this.#bytesRead >= BYTES_PER_TURN) this.run();
        },
        onDrain: () => handler.onDrain(),
        onClosed: (error) => handler.onClosed(error),
      };
    };
  }

  /** One pass: expire, deliver, commit, confirm, then each socket is written once. */
  run(): void {
    this.#isRequested = false;
    this.#bytesRead = 0;
    if (this.#broker === undefined || this.#isStopped) return;
    this.#broker.turn();
    this.#flushSet?.flushAll();
    this.#schedule(this.#broker.nextDueMs);
  }

  /** No turn runs any more. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #schedule(dueAtMs: number): void {
    if (dueAtMs === Infinity) return;
    const nowMs = this.#broker!.clock.wallMs();
    // A timer whose time is past comes too late for all that follows: the clock was set forward.
    if (dueAtMs >= this.#timerAtMs && nowMs <= this.#timerAtMs) return;
    clearTimeout(this.#timer);
    const waitMs = Math.min(Math.max(dueAtMs - nowMs, TIMER_SLACK_MS), TIMER_MS_MAX);
    this.#timerAtMs = nowMs + waitMs;
    this.#timer = setTimeout(() => {
      this.#timerAtMs = Infinity;
      this.request();
    }, waitMs);
  }
}
