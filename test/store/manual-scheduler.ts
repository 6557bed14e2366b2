/** Timers that fire when a test says so. */
import type { Scheduler } from '../../src/store/scheduler.ts';

export class ManualScheduler implements Scheduler {
  readonly #tasks: Map<number, { delayMs: number; task: () => void }>;
  #nextId: number;
  /** Tasks given to `soon`. */
  readonly soonTasks: (() => void)[] = [];
  /** What `nowMs` says. */
  clockMs = 0;
  hasSpareProcessor = false;

  constructor() {
    this.#tasks = new Map();
    this.#nextId = 1;
  }

  after(delayMs: number, task: () => void): () => void {
    const id = this.#nextId;
    this.#nextId += 1;
    this.#tasks.set(id, { delayMs, task });
    return () => this.#tasks.delete(id);
  }

  soon(task: () => void): void {
    this.soonTasks.push(task);
  }

  nowMs(): number {
    return this.clockMs;
  }

  /** One event-loop iteration: runs what was given to `soon` so far. */
  iterate(): void {
    for (const task of this.soonTasks.splice(0)) task();
  }

  /** Delays of the timers that wait. */
  get delays(): number[] {
    return [...this.#tasks.values()].map(({ delayMs }) => delayMs);
  }

  /** Fires all timers that wait now. */
  fire(): void {
    const tasks = [...this.#tasks.values()];
    this.#tasks.clear();
    for (const { task } of tasks) task();
  }
}
