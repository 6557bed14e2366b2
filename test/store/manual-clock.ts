/** A clock whose wall time a test sets; monotonic time is real. */
import type { Clock } from '../../src/base/clock.ts';

export class ManualClock implements Clock {
  #wallMs: number;

  constructor(wallMs = 1_700_000_000_000) {
    this.#wallMs = wallMs;
  }

  setWallMs(wallMs: number): void {
    this.#wallMs = wallMs;
  }

  wallMs(): number {
    return this.#wallMs;
  }

  monotonicMs(): number {
    return performance.now();
  }
}
