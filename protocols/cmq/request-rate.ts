import type { Clock } from '../../src/base/clock.ts';

/** The frequency limit: calls of one account and action within each second. */
export class RequestRate {
  readonly #clock: Clock;
  /** 0: no limit. */
  readonly #max: number;
  #second: number;
  readonly #counts: Map<string, number>;

  constructor(clock: Clock, max: number) {
    this.#clock = clock;
    this.#max = max;
    this.#second = 0;
    this.#counts = new Map();
  }

  /** Counts a call; false when it is one too many. */
  admit(account: string, action: string): boolean {
    if (this.#max === 0) return true;
    const second = Math.floor(this.#clock.monotonicMs() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#counts.clear();
    }
    const key = `${action}\0${account}`;
    const count = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, count);
    return count <= this.#max;
  }
}
