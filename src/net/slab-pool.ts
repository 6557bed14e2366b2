/**
 * Memory for outbound bytes, in two sizes. A connection with nothing to send holds none, so ten
 * thousand idle connections cost nothing here, and ten thousand heartbeats in one turn cost
 * 10,000 * 2 KiB = 20 MiB, not 640.
 */
import type { WrittenCallback } from './transport.ts';

/** First slab of a turn: heartbeats, replies, confirms. */
export const SMALL_SLAB_BYTES = 2 * 1024;
/** Every further slab of the turn: deliveries. As much as one socket read at the other end. */
export const LARGE_SLAB_BYTES = 64 * 1024;
/** 512 * 2 KiB = 1 MiB kept for reuse. */
const MAX_FREE_SMALL = 512;
/** 256 * 64 KiB = 16 MiB kept for reuse. */
const MAX_FREE_LARGE = 256;

/** One piece of reusable memory. */
export class Slab {
  readonly buffer: Buffer;
  /**
   * Gives the slab back; bound once, so that a write needs no closure of its own. After a failed
   * write the kernel may still hold the memory: it is left to the garbage collector instead.
   */
  readonly release: WrittenCallback;

  constructor(byteCount: number, giveBack: (slab: Slab) => void) {
    this.buffer = Buffer.allocUnsafeSlow(byteCount);
    this.release = (error) => {
      if (error == null) giveBack(this);
    };
  }
}

/** Recycles slabs; shared by all connections of one flush set. */
export class SlabPool {
  readonly #small: Slab[];
  readonly #large: Slab[];
  readonly #giveBack: (slab: Slab) => void;

  constructor() {
    this.#small = [];
    this.#large = [];
    this.#giveBack = (slab) => this.#recycle(slab);
  }

  /** A slab of the smallest size that holds `byteCount`; above the largest, of just that size. */
  take(byteCount: number): Slab {
    if (byteCount <= SMALL_SLAB_BYTES) {
      return this.#small.pop() ?? new Slab(SMALL_SLAB_BYTES, this.#giveBack);
    }
    if (byteCount <= LARGE_SLAB_BYTES) {
      return this.#large.pop() ?? new Slab(LARGE_SLAB_BYTES, this.#giveBack);
    }
    return new Slab(byteCount, this.#giveBack);
  }

  /** Slabs waiting for reuse. */
  get freeCount(): number {
    return this.#small.length + this.#large.length;
  }

  #recycle(slab: Slab): void {
    const byteCount = slab.buffer.length;
    if (byteCount === SMALL_SLAB_BYTES) {
      if (this.#small.length < MAX_FREE_SMALL) this.#small.push(slab);
    } else if (byteCount === LARGE_SLAB_BYTES) {
      if (this.#large.length < MAX_FREE_LARGE) this.#large.push(slab);
    }
  }
}
