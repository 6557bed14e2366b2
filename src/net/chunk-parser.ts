import { assert } from '../base/assert.ts';

const NO_BYTES = Buffer.alloc(0);

/**
 * What parsers of a stream of borrowed chunks have in common: they can be paused and stopped.
 *
 * 1. A handler may `pause()` during any call. The rest of the chunk is then copied and kept, and
 *    what is pushed meanwhile queues behind it; `resume()` goes on from there. What is kept is
 *    bounded by the caller, who stops reading the socket with it.
 * 2. After an error, an exception from the handler, or `stop()`, everything is ignored: without
 *    boundaries there is no way back.
 */
export abstract class ChunkParser {
  /** Paused or stopped: to be looked at after every call of a handler. */
  protected isHalted: boolean;
  #isParsing: boolean;
  #isPaused: boolean;
  #isStopped: boolean;
  /** What arrived while paused; owned. */
  #pending: Buffer;
  #pendingStart: number;

  constructor() {
    this.isHalted = false;
    this.#isParsing = false;
    this.#isPaused = false;
    this.#isStopped = false;
    this.#pending = NO_BYTES;
    this.#pendingStart = 0;
  }

  /**
   * Parses `buf` from `pos` on, and goes on with what was carried even where nothing is left of
   * `buf`. What is cut by its end is taken over (carried); what is left by a halt is not.
   *
   * @returns where it stands
   */
  protected abstract walk(buf: Buffer, pos: number): number;

  /** Bytes of what was cut. */
  protected abstract get carriedBytes(): number;

  /** Lets go of what was cut. */
  protected abstract dropCarried(): void;

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** True after an error or `stop`. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Bytes held back: of what was cut, and of what arrived while paused. */
  get heldBytes(): number {
    return this.carriedBytes + this.#pending.length - this.#pendingStart;
  }

  /**
   * Parses a chunk and calls the handler for what is complete.
   *
   * @param chunk  borrowed until it returns
   * @throws errors of the protocol's framing, and whatever the handler throws. The parser has then
   *   stopped.
   */
  push(chunk: Buffer): void {
    assert(!this.#isParsing, 'push from within a handler');
    if (this.#isStopped || chunk.length === 0) return;
    if (this.#isPaused) {
      this.#pending = Buffer.concat([this.#pending.subarray(this.#pendingStart), chunk]);
      this.#pendingStart = 0;
      return;
    }
    const pos = this.#parse(chunk, 0);
    if (pos < chunk.length && !this.#isStopped) this.#pending = Buffer.from(chunk.subarray(pos));
  }

  /** Stops after what is being handled; what is left is kept. */
  pause(): void {
    this.#isPaused = true;
    this.isHalted = true;
  }

  /** Goes on with what was kept. Throws as `push`. From within a handler it undoes `pause`. */
  resume(): void {
    this.#isPaused = false;
    this.isHalted = this.#isStopped;
    if (this.#isParsing || this.#isStopped) return;
    const pos = this.#parse(this.#pending, this.#pendingStart);
    if (this.#isStopped) return;
    if (pos < this.#pending.length) {
      this.#pendingStart = pos;
    } else {
      this.#pending = NO_BYTES;
      this.#pendingStart = 0;
    }
  }

  /** Ignores everything from now on. */
  stop(): void {
    this.#isStopped = true;
    this.isHalted = true;
    this.#pending = NO_BYTES;
    this.#pendingStart = 0;
    this.dropCarried();
  }

  #parse(buf: Buffer, from: number): number {
    this.#isParsing = true;
    let isDone = false;
    try {
      const pos = this.walk(buf, from);
      isDone = true;
      return pos;
    } finally {
      this.#isParsing = false;
      if (!isDone) this.stop();
    }
  }
}
