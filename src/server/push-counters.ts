import { POST_FAILURES, type PostFailure } from '../net/push/post-failure.ts';

/** Why an attempt failed, functions included. */
export type PushFailure = PostFailure | 'function';

const FAILURES: readonly PushFailure[] = [...POST_FAILURES, 'function'];

/** A figure as the metrics page takes it. */
interface LabelledFigure {
  readonly name: string;
  readonly help: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Attempts since the start, by their end. Aborted ones count as attempts only. */
export class PushCounters {
  #attempts: number;
  #successes: number;
  readonly #failures: Map<PushFailure, number>;

  constructor() {
    this.#attempts = 0;
    this.#successes = 0;
    this.#failures = new Map(FAILURES.map((reason) => [reason, 0]));
  }

  attempted(): void {
    this.#attempts += 1;
  }

  succeeded(): void {
    this.#successes += 1;
  }

  failed(reason: PushFailure): void {
    this.#failures.set(reason, this.#failures.get(reason)! + 1);
  }

  /** Counters for the metrics page, without prefix and `_total`. */
  samples(): readonly LabelledFigure[] {
    const attempts = 'Attempts to push a message';
    const failures = 'Attempts that failed, by reason';
    return [
      { name: 'push_attempts', help: attempts, labels: {}, value: this.#attempts },
      {
        name: 'push_successes',
        help: 'Of those that succeeded',
        labels: {},
        value: this.#successes,
      },
      ...[...this.#failures].map(([reason, value]) => {
        return { name: 'push_failures', help: failures, labels: { reason }, value };
      }),
    ];
  }
}
