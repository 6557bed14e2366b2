/**
 * Owned memory for small messages, taken from shared slabs.
 *
 * A `Buffer` object costs more to make than a small message takes to copy. So small messages lie
 * one after the other in a slab, and a message is (slab, start, lengths). A slab is freed by the
 * garbage collector with the last message in it; nobody writes to a range after its owner filled
 * it. Slabs stay small so that one old message pins little memory.
 */
import { assert } from './assert.ts';

/** Bytes of a slab: a thousand messages of 32 bytes, and little to pin. */
export const ARENA_SLAB_BYTES = 32 * 1024;

/** Bytes. Larger messages get a buffer of their own, lest the rest of a slab is wasted. */
export const ARENA_MESSAGE_BYTES_MAX = 8 * 1024;

export class MessageArena {
  #slab: Buffer;
  #used: number;

  constructor() {
    this.#slab = Buffer.alloc(0);
    this.#used = 0;
  }

  /** The slab of the latest `reserve`. */
  get slab(): Buffer {
    return this.#slab;
  }

  /**
   * Gives the caller `byteCount` bytes of `slab`, uninitialised, for good.
   *
   * @param byteCount  at most ARENA_MESSAGE_BYTES_MAX
   * @returns their offset in `slab`
   */
  reserve(byteCount: number): number {
    assert(byteCount <= ARENA_MESSAGE_BYTES_MAX, 'too large for an arena');
    if (this.#used + byteCount > this.#slab.length) {
      // Slow: not from Node's own pool, whose slices would pin each other.
      this.#slab = Buffer.allocUnsafeSlow(ARENA_SLAB_BYTES);
      this.#used = 0;
    }
    const start = this.#used;
    this.#used = start + byteCount;
    return start;
  }
}
