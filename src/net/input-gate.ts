/**
 * When a connection is not read.
 *
 * Reasons to hold bound memory that only the broker can free: what the client asked for and does
 * not read, requests that wait for the disk, bytes of a peer whose login is being checked. While
 * one holds, the parser keeps the rest of its chunk and the transport is not read.
 *
 * Pressure (an alarm for memory or disk, commits that fall behind) is for connections that publish
 * only, so that consumers keep draining. The transport alone stops: the client feels TCP
 * back-pressure, and what had arrived is still served. A client can be told of alarms.
 */
import type { Transport } from './transport.ts';

/** The login is being checked, or its answer waits for the disk. */
export const HOLD_LOGIN = 1;
/** Replies pile up because the client does not read. */
export const HOLD_REPLIES = 2;
/** Many requests wait for what lies on disk. */
export const HOLD_READS = 4;

const HOLD_ANY = HOLD_LOGIN | HOLD_REPLIES | HOLD_READS;

/** Why publishers are to wait; the broker. */
export interface Pressure {
  /** What runs low, as clients are told: `memory`, `disk`. */
  readonly alarms: ReadonlySet<string>;
  /** Commits are behind. */
  readonly isOverloaded: boolean;
}

/** The parser: keeps what it was given while paused. */
export interface PausableInput {
  pause(): void;
  resume(): void;
}

/** Tells a client that understands it. */
export interface BlockedNotices {
  blocked(reason: string): void;
  unblocked(): void;
}

/** The gate of one connection. */
export class InputGate {
  readonly #pressure: Pressure;
  readonly #transport: Transport;
  readonly #input: PausableInput;
  readonly #notices: BlockedNotices | undefined;
  #holds: number;
  #isPublisher: boolean;
  #isAlarmed: boolean;
  #isPressed: boolean;
  #isReading: boolean;

  constructor(
    pressure: Pressure,
    transport: Transport,
    input: PausableInput,
    notices?: BlockedNotices,
  ) {
    this.#pressure = pressure;
    this.#transport = transport;
    this.#input = input;
    this.#notices = notices;
    this.#holds = 0;
    this.#isPublisher = false;
    this.#isAlarmed = false;
    this.#isPressed = false;
    this.#isReading = true;
  }

  /** True while the client is silent because the broker's own state alone keeps it unread. */
  get excusesSilence(): boolean {
    return this.#isPressed && this.#holds === 0;
  }

  /** True while `reason` holds. */
  has(reason: number): boolean {
    return (this.#holds & reason) !== 0;
  }

  /** From the first publish on pressure applies. */
  becamePublisher(): void {
    if (this.#isPublisher) return;
    this.#isPublisher = true;
    this.update();
  }

  /** @param reason  HOLD_LOGIN, HOLD_REPLIES or HOLD_READS */
  hold(reason: number): void {
    if (this.#holds === 0) this.#input.pause();
    this.#holds |= reason;
    this.#apply();
  }

  /**
   * Ends `reasons` and goes on with what was kept when they were the last. Not to be called from
   * within the engine: it serves what it parses.
   *
   * @throws whatever the parser throws
   */
  release(reasons: number): void {
    if ((this.#holds & reasons) === 0) return;
    this.#holds &= ~reasons;
    if (this.#holds !== 0) return;
    this.#apply();
    this.#input.resume();
  }

  /** Alarms or the commit backlog changed. */
  update(): void {
    if (!this.#isPublisher) return;
    const { alarms, isOverloaded } = this.#pressure;
    const isAlarmed = alarms.size > 0;
    this.#isPressed = isAlarmed || isOverloaded;
    // A second alarm is not told; the end is told when all are over (RabbitMQ).
    if (isAlarmed !== this.#isAlarmed) {
      this.#isAlarmed = isAlarmed;
      if (isAlarmed) this.#notices?.blocked(`low on ${[...alarms].join(' & ')}`);
      else this.#notices?.unblocked();
    }
    this.#apply();
  }

  /**
   * The connection is closing: what the peer still says is read, under pressure too.
   *
   * @throws as `release`
   */
  open(): void {
    this.#isPublisher = false;
    this.#isPressed = false;
    this.release(HOLD_ANY);
    this.#apply();
  }

  #apply(): void {
    const isReading = this.#holds === 0 && !this.#isPressed;
    if (isReading === this.#isReading) return;
    this.#isReading = isReading;
    if (isReading) this.#transport.resume();
    else this.#transport.pause();
  }
}
