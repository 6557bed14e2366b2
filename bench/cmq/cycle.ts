/**
 * Send + receive + delete, over and over, on some connections at once: what the speed bench times,
 * whatever the wire. Between its send and its receive a connection always finds a message, if not
 * its own.
 */
import { Histogram } from '../load/histogram.ts';

/** One connection's part of the work. */
export interface Worker {
  /** One cycle; returns the messages that were sent, received and deleted. */
  cycle(): Promise<number>;
  close(): void | Promise<void>;
}

export interface CycleResult {
  readonly messagesPerSecond: number;
  readonly cyclesPerSecond: number;
  /** Of whole cycles. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Runs all workers for `warmupSeconds`, then measures for `seconds`. */
export async function runCycles(
  workers: readonly Worker[],
  warmupSeconds: number,
  seconds: number,
): Promise<CycleResult> {
  const times = new Histogram();
  let isOver = false;
  let messages = 0;
  const work = async (worker: Worker): Promise<void> => {
    while (!isOver) {
      const startedAtMs = performance.now();
      const count = await worker.cycle();
      messages += count;
      times.record((performance.now() - startedAtMs) * 1000);
    }
  };
  const all = Promise.all(workers.map(work));
  await pauseUnlessFailed(all, warmupSeconds);
  messages = 0;
  times.clear();
  const startedAtMs = performance.now();
  await pauseUnlessFailed(all, seconds);
  const elapsed = (performance.now() - startedAtMs) / 1000;
  const result = {
    messagesPerSecond: messages / elapsed,
    cyclesPerSecond: times.count / elapsed,
    p50Ms: times.quantileMs(0.5),
    p99Ms: times.quantileMs(0.99),
  };
  isOver = true;
  await all;
  return result;
}

function pauseUnlessFailed(work: Promise<unknown>, seconds: number): Promise<unknown> {
  const pause = new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  return Promise.race([pause, work]);
}
