import { availableParallelism } from 'node:os';

/** The timer port of the stores: a test can own time, production uses the event loop. */
export interface Scheduler {
  /** Runs `task` once after about `delayMs`; the returned function cancels it. */
  after(delayMs: number, task: () => void): () => void;
  /** Runs `task` once the sockets that are readable now have been read. */
  soon(task: () => void): void;
  /** The disk's thread has a processor while the event loop is busy. */
  readonly hasSpareProcessor: boolean;
  /** Monotonic ms. */
  nowMs(): number;
}

/** The event loop's timers; they do not keep the process alive. */
export const systemScheduler: Scheduler = {
  after(delayMs, task) {
    const timer = setTimeout(task, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
  soon(task) {
    setImmediate(task);
  },
  hasSpareProcessor: availableParallelism() > 1,
  nowMs: () => performance.now(),
};
