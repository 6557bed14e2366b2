/** The clock port: the engine never reads time on its own, so a test or a simulation can own it. */
export interface Clock {
  /** Wall-clock time in ms since the Unix epoch; for timestamps, TTLs and anything persisted. */
  wallMs(): number;
  /** Monotonic time in ms; for intervals inside one process only. */
  monotonicMs(): number;
}

/** The operating system's clock. */
export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};
