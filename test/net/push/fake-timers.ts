import type { Timers } from '../../../src/net/push/timers.ts';

interface Pending {
  readonly atMs: number;
  readonly run: () => void;
}

/** Timers that fire when told to. */
export class FakeTimers implements Timers {
  readonly #pending: Set<Pending> = new Set();
  #nowMs = 0;

  get count(): number {
    return this.#pending.size;
  }

  after(ms: number, run: () => void): () => void {
    const item = { atMs: this.#nowMs + ms, run };
    this.#pending.add(item);
    return () => this.#pending.delete(item);
  }

  /** Fires what is due, in order of due time. */
  advance(byMs: number): void {
    this.#nowMs += byMs;
    const due = [...this.#pending].filter(({ atMs }) => atMs <= this.#nowMs);
    for (const item of due.sort((a, b) => a.atMs - b.atMs)) {
      if (this.#pending.delete(item)) item.run();
    }
  }
}
