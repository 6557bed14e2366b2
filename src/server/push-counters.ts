import type { LabelledSample } from './metrics.ts';
import { POST_FAILURES, type PostFailure } from '../net/push/post-failure.ts';

/** Why an attempt failed, functions included. */
export type PushFailure = PostFailure | 'function';

const FAILURES: readonly PushFailure[] = [...POST_FAILURES, 'function'];

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

  /** Counters for the metrics page. */
  samples(): readonly LabelledSample[] {
    return [
      counter('attempts', 'Attempts to push a message', this.#attempts),
      counter('successes', 'Attempts that succeeded', this.#successes),
      ...[...this.#failures].map(([reason, count]) =>
        counter('failures', 'Attempts that failed, by reason', count, { reason }),
      ),
    ];
  }
}

function counter(
  name: string,
  help: string,
  value: number,
  labels: LabelledSample['labels'] = {},
): LabelledSample {
  return { name: `tributary_push_${name}_total`, help, type: 'counter', labels, value };
}
