/**
 * When a connection is not read.
 *
 * While its login is checked, while it does not read what it asked for, and, once it publishes,
 * while the broker is low on memory or disk or behind with its commits: a client feels that as TCP
 * back-pressure. What was parsed half way waits in the parser.
 */
import type { Broker } from '../../src/engine/broker.ts';
import type { Transport } from '../../src/net/transport.ts';
import type { PacketParser } from './packet-parser.ts';

/** The login is being checked, or its answer waits for the disk. */
export const HOLD_LOGIN = 1;
/** Replies pile up because the client does not read. */
export const HOLD_REPLIES = 2;
/** Publishers are to wait. */
const HOLD_PRESSURE = 4;

export class InputGate {
  readonly #broker: Broker;
  readonly #transport: Transport;
  readonly #parser: PacketParser;
  #reasons: number;
  #isPublisher: boolean;

  constructor(broker: Broker, transport: Transport, parser: PacketParser) {
    this.#broker = broker;
    this.#transport = transport;
    this.#parser = parser;
    this.#reasons = 0;
    this.#isPublisher = false;
  }

  /** True while the client is silent because the broker's own state keeps it unread. */
  get excusesSilence(): boolean {
    return this.#reasons === HOLD_PRESSURE;
  }

  has(reason: number): boolean {
    return (this.#reasons & reason) !== 0;
  }

  becamePublisher(): void {
    if (this.#isPublisher) return;
    this.#isPublisher = true;
    this.update();
  }

  add(reason: number): void {
    if (this.#reasons === 0) {
      this.#parser.pause();
      this.#transport.pause();
    }
    this.#reasons |= reason;
  }

  /**
   * Ends `reason` and goes on with what was kept when it was the last.
   *
   * @throws MqttError as the parser
   */
  remove(reason: number): void {
    if ((this.#reasons & reason) === 0) return;
    this.#reasons &= ~reason;
    if (this.#reasons !== 0) return;
    this.#transport.resume();
    this.#parser.resume();
  }

  /** Alarms or the commit backlog changed. @throws MqttError as the parser */
  update(): void {
    const { alarms, isOverloaded } = this.#broker;
    if (this.#isPublisher && (alarms.size > 0 || isOverloaded)) this.add(HOLD_PRESSURE);
    else this.remove(HOLD_PRESSURE);
  }
}
