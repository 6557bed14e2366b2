/**
 * Why a connection takes no more input for now, whatever it sends.
 *
 * Each reason bounds memory that only the broker can free: what the client asked for and does not
 * read, requests that wait for the disk, bytes of a peer whose login is still being checked. While
 * any holds, the parser keeps the rest of its chunk and the socket is not read.
 */
import type { FrameParser } from './frame-parser.ts';
import type { PublisherGate } from './publisher-gate.ts';

/** The login is being checked. */
export const HOLD_LOGIN = 1;
/** Replies pile up because the client does not read. */
export const HOLD_REPLIES = 2;
/** Many basic.get wait for entries that lie on disk. */
export const HOLD_GETS = 4;

export class InputHold {
  readonly #parser: FrameParser;
  readonly #gate: PublisherGate;
  #reasons: number;

  constructor(parser: FrameParser, gate: PublisherGate) {
    this.#parser = parser;
    this.#gate = gate;
    this.#reasons = 0;
  }

  /** True while `reason` holds. */
  has(reason: number): boolean {
    return (this.#reasons & reason) !== 0;
  }

  add(reason: number): void {
    if (this.#reasons === 0) {
      this.#parser.pause();
      this.#gate.setHeld(true);
    }
    this.#reasons |= reason;
  }

  /**
   * Ends `reason` (or several at once) and goes on with what was kept when it was the last.
   * Not to be called from within the engine: it serves what it parses.
   *
   * @throws BrokerError FRAME_ERROR (connection), as the parser
   */
  remove(reason: number): void {
    if ((this.#reasons & reason) === 0) return;
    this.#reasons &= ~reason;
    if (this.#reasons !== 0) return;
    this.#gate.setHeld(false);
    this.#parser.resume();
  }
}
