/**
 * Liveness of one connection, driven by the acceptor's one coarse timer.
 *
 * Any traffic counts (spec 4.2.7): the data path only sets a flag, and the tick turns flags into
 * instants. So an instant is late by up to one tick, which errs towards patience.
 */

/** Ms between ticks of a connection: half of the shortest heartbeat's half. */
export const TICK_MS = 250;

/** Nothing to do. */
export const HEARTBEAT_IDLE = 0;
/** Nothing was written for half the interval: send a heartbeat frame. */
export const HEARTBEAT_SEND = 1;
/** Nothing was read for two intervals: the peer is gone. */
export const HEARTBEAT_DEAD = 2;

export class Heartbeat {
  /** Set by the connection whenever bytes came in. */
  didRead: boolean;
  /** Set by the connection whenever bytes went out. */
  didWrite: boolean;
  readonly #intervalMs: number;
  #lastReadAtMs: number;
  #lastWriteAtMs: number;

  /** @param intervalSeconds as agreed in tune-ok; 0 switches heartbeats off */
  constructor(intervalSeconds: number, nowMs: number) {
    this.didRead = false;
    this.didWrite = false;
    this.#intervalMs = intervalSeconds * 1_000;
    this.#lastReadAtMs = nowMs;
    this.#lastWriteAtMs = nowMs;
  }

  /**
   * What is due at `nowMs` (monotonic).
   *
   * @param isReading false while the broker itself does not read the socket: silence is our doing
   */
  tick(nowMs: number, isReading: boolean): number {
    if (this.#intervalMs === 0) return HEARTBEAT_IDLE;
    if (this.didRead || !isReading) {
      this.didRead = false;
      this.#lastReadAtMs = nowMs;
    } else if (nowMs - this.#lastReadAtMs >= 2 * this.#intervalMs) {
      return HEARTBEAT_DEAD;
    }
    if (this.didWrite) {
      this.didWrite = false;
      this.#lastWriteAtMs = nowMs;
    } else if (nowMs - this.#lastWriteAtMs >= this.#intervalMs / 2) {
      this.#lastWriteAtMs = nowMs;
      return HEARTBEAT_SEND;
    }
    return HEARTBEAT_IDLE;
  }
}
