/**
 * How large the scenarios are. `CMQ_FULL=1` is what the reference asks for in its acceptance column;
 * without it they are as large as CI has time for. `CMQ_PEAK_FULL=1` makes only the peak and the
 * backlog full. Every size may be given by itself, too.
 */
export const IS_FULL = process.env['CMQ_FULL'] === '1';
const IS_PEAK_FULL = IS_FULL || process.env['CMQ_PEAK_FULL'] === '1';

function size(name: string, full: number, small: number, isFull = IS_FULL): number {
  const given = process.env[name];
  return given === undefined ? (isFull ? full : small) : Number(given);
}

/** S1, S2: how often the server is killed, and messages before each kill. */
export const KILL_CYCLES = size('CMQ_KILL_CYCLES', 50, 3);
export const KILL_MESSAGES = size('CMQ_KILL_MESSAGES', 10_000, 10_000);
/** S2, S3: messages of 1 KB that wait, and queues that exist. */
export const BACKLOG = size('CMQ_BACKLOG', 1_000_000, 30_000, IS_PEAK_FULL);
export const QUEUES = size('CMQ_QUEUES', 10_000, 1_000);
/** S5: tasks, and workers that are killed. */
export const TASKS = size('CMQ_TASKS', 10_000, 3_000);
export const WORKER_KILLS = size('CMQ_WORKER_KILLS', 24, 8);
/** S6: seconds the producer is left alone. */
export const PRODUCER_SECONDS = size('CMQ_PRODUCER_SECONDS', 60, 5);
/** S7: messages between 50 producers and 50 consumers. */
export const MESSAGES = size('CMQ_MESSAGES', 200_000, 10_000);
/** S11: seconds the endpoint is away. */
export const AWAY_SECONDS = size('CMQ_AWAY_SECONDS', 60, 2);
/** S12: messages of the peak, and the seconds in which they come. */
export const PEAK_MESSAGES = size('CMQ_PEAK_MESSAGES', 100_000, 5_000, IS_PEAK_FULL);
export const PEAK_SECONDS = size('CMQ_PEAK_SECONDS', 5, 1, IS_PEAK_FULL);
/** S12: messages a queue may hold in the check of its quota. */
export const QUOTA = 10_000;

/** Prints what a scenario measured, for the table in the README. */
export function tell(scenario: string, figures: Readonly<Record<string, number | string>>): void {
  const text = Object.entries(figures).map(([name, value]) => `${name} ${value}`);
  process.stdout.write(`${scenario}: ${text.join(', ')}\n`);
}

/** Of sorted or unsorted figures, the one that 99 of 100 do not exceed. */
export function p99(figures: Float64Array | readonly number[]): number {
  const sorted = Float64Array.from(figures).toSorted();
  return sorted[Math.floor(sorted.length * 0.99)] ?? 0;
}
