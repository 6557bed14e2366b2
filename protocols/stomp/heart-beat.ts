/**
 * Heart-beats (1.1, 1.2): a line end when there is nothing else to say.
 *
 * The client tells `cx,cy`: it can send every cx ms and wants something every cy ms. We can do
 * what it wishes, rounded up to a second, and say so; 0 is no heart-beat in that direction.
 */
import { HEART_BEAT_MS_MAX, HEART_BEAT_MS_MIN } from './limits.ts';
import { StompError } from './stomp-error.ts';

export const HEART_BEAT_NONE = 0;
export const HEART_BEAT_SEND = 1;
export const HEART_BEAT_DEAD = 2;

/** Ticks come every quarter of a second: send early enough that the client never waits longer. */
const SEND_MARGIN_MS = 400;

/** Watches one connection. */
export class HeartBeat {
  /** Ms between our signs of life; 0 = none promised. */
  readonly sendMs: number;
  /** Ms between the client's; 0 = none expected. */
  readonly receiveMs: number;
  didRead: boolean;
  didWrite: boolean;
  #lastReadAtMs: number;
  #lastWriteAtMs: number;

  constructor(sendMs: number, receiveMs: number, nowMs: number) {
    this.sendMs = sendMs;
    this.receiveMs = receiveMs;
    this.didRead = false;
    this.didWrite = false;
    this.#lastReadAtMs = nowMs;
    this.#lastWriteAtMs = nowMs;
  }

  /** @throws StompError when `header` is no pair of numbers */
  static agree(header: string, nowMs: number): HeartBeat {
    const match = /^\s*(\d{1,15})\s*,\s*(\d{1,15})\s*$/.exec(header);
    if (match === null) throw new StompError('Invalid header', `heart-beat '${header}'\n`);
    return new HeartBeat(intervalOf(match[2]!), intervalOf(match[1]!), nowMs);
  }

  /** One look. @param isListening  false while the broker itself does not read */
  tick(nowMs: number, isListening: boolean): number {
    if (this.didRead || !isListening) {
      this.didRead = false;
      this.#lastReadAtMs = nowMs;
    }
    if (this.didWrite) {
      this.didWrite = false;
      this.#lastWriteAtMs = nowMs;
    }
    // Twice the interval: clocks and networks are no better (1.2, "Heart-beating").
    if (this.receiveMs > 0 && nowMs - this.#lastReadAtMs > this.receiveMs * 2) {
      return HEART_BEAT_DEAD;
    }
    if (this.sendMs > 0 && nowMs - this.#lastWriteAtMs >= this.sendMs - SEND_MARGIN_MS) {
      this.#lastWriteAtMs = nowMs;
      return HEART_BEAT_SEND;
    }
    return HEART_BEAT_NONE;
  }
}

function intervalOf(text: string): number {
  const wishMs = Number(text);
  if (wishMs === 0) return 0;
  return Math.min(Math.max(wishMs, HEART_BEAT_MS_MIN), HEART_BEAT_MS_MAX);
}
