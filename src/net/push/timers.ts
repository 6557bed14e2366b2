/** The timer port of what waits for peers: a test owns the time. */
export interface Timers {
  /** Calls `run` once after `ms`; what it returns calls that off. */
  after(ms: number, run: () => void): () => void;
}

/** The event loop's timers. They keep no process alive. */
export const systemTimers: Timers = {
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
