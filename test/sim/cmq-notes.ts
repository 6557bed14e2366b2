/** What a simulation writes down: its steps, and the first fact in which engine and model differ. */
import type { FakeClock } from '../support/fake-clock.ts';

export const START_MS = 1_700_000_000_000;

export class CmqNotes {
  readonly #clock: FakeClock;
  readonly log: string[] = [];
  #difference: string | undefined;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  note(text: string): void {
    this.log.push(`${this.#clock.wallMs() - START_MS}: ${text}`);
  }

  /** Notes the first difference; callers may stand in a callback of the engine. */
  expect(what: string, actual: unknown, expected: unknown): void {
    if (actual === expected || this.#difference !== undefined) return;
    this.#difference = `${what}: engine ${String(actual)}, model ${String(expected)}`;
  }

  /** @throws when there was a difference */
  check(): void {
    if (this.#difference !== undefined) throw new Error(this.#difference);
  }
}
