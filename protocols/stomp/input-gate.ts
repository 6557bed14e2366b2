import type { Broker } from '../../src/engine/broker.ts';
import type { Transport } from '../../src/net/transport.ts';
import type { FrameParser } from './frame-parser.ts';

/** The login is being checked. */
export const HOLD_LOGIN = 1;
/** The client does not read its receipts. */
export const HOLD_REPLIES = 2;
/** The broker is low on memory or disk, or behind with its commits, and the client sends. */
const HOLD_PRESSURE = 4;

/** Why a connection is not read; what it has sent by then waits in the parser. */
export class InputGate {
  readonly #broker: Broker;
  readonly #transport: Transport;
  readonly #parser: FrameParser;
  #reasons: number;
  #isSender: boolean;

  constructor(broker: Broker, transport: Transport, parser: FrameParser) {
    this.#broker = broker;
    this.#transport = transport;
    this.#parser = parser;
    this.#reasons = 0;
    this.#isSender = false;
  }

  /** False while the client is silent because it is not read. */
  get isOpen(): boolean {
    return this.#reasons === 0;
  }

  /** The client sent its first message: pressure applies to it from now on. */
  becameSender(): void {
    if (this.#isSender) return;
    this.#isSender = true;
    this.update();
  }

  hold(reason: number): void {
    if (this.#reasons === 0) {
      this.#parser.pause();
      this.#transport.pause();
    }
    this.#reasons |= reason;
  }

  /** Goes on with what was kept when this was the last reason. @throws StompError as the parser */
  release(reason: number): void {
    if ((this.#reasons & reason) === 0) return;
    this.#reasons &= ~reason;
    if (this.#reasons !== 0) return;
    this.#transport.resume();
    this.#parser.resume();
  }

  /** Alarms or the commit backlog changed. @throws StompError as the parser */
  update(): void {
    const { alarms, isOverloaded } = this.#broker;
    if (this.#isSender && (alarms.size > 0 || isOverloaded)) this.hold(HOLD_PRESSURE);
    else this.release(HOLD_PRESSURE);
  }
}
