/** One figure of the calls that were answered. */
export interface CallCount {
  /** Canonical name of the action; `none` when it is not known. */
  readonly action: string;
  /** Code of the reply in API 2.0. */
  readonly code: number;
  readonly count: number;
}

/** Counts replies by action and code. Messages are counted by the engine. */
export class RequestMetrics {
  readonly #calls = new Map<string, Map<number, number>>();

  count(action: string, code: number): void {
    let codes = this.#calls.get(action);
    if (codes === undefined) this.#calls.set(action, (codes = new Map()));
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }

  counts(): readonly CallCount[] {
    return [...this.#calls].flatMap(([action, codes]) =>
      [...codes].map(([code, count]) => ({ action, code, count })),
    );
  }
}
