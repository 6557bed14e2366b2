import type { Clock } from '../../src/base/clock.ts';
import type { ProtocolLogger } from '../../src/base/logger.ts';

/** Lines per second; a client that tries keys on an open connection could write thousands. */
const LINES_MAX = 10;

/** Logs calls that were refused for their key, a few of them. */
export class RequestRefusals {
  readonly #clock: Clock;
  readonly #logger: ProtocolLogger;
  #second: number;
  #lineCount: number;
  /** Not logged since the last line. */
  #omittedCount: number;

  constructor(clock: Clock, logger: ProtocolLogger) {
    this.#clock = clock;
    this.#logger = logger;
    this.#second = 0;
    this.#lineCount = 0;
    this.#omittedCount = 0;
  }

  /** @param keyIdOf asked for a line that is written */
  log(reason: string, remoteAddress: string, keyIdOf: () => string | undefined): void {
    const second = Math.floor(this.#clock.monotonicMs() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#lineCount = 0;
    }
    if (this.#lineCount === LINES_MAX) {
      this.#omittedCount += 1;
      return;
    }
    const omitted = this.#omittedCount === 0 ? {} : { omitted: this.#omittedCount };
    const keyId = keyIdOf();
    const key = keyId === undefined ? {} : { keyId };
    this.#logger.warn({ reason, ...key, remoteAddress, ...omitted }, 'CMQ call refused');
    this.#lineCount += 1;
    this.#omittedCount = 0;
  }
}
