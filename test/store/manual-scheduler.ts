/** Timers that fire when a test says so. */
import type { Scheduler } from '../../src/store/scheduler.ts';

export class ManualScheduler implements Scheduler {
  readonly #tasks: Map<number, { delayMs: number; task: () => void }>;
  #nextId: number;

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
