/** Bytes. Smallest carry buffer, and the largest that is kept for the next cut unit. */
export const CARRY_BYTES_KEPT = 256;

/** How far a carry buffer runs ahead of what came: copying while it grows stays below a third. */
const GROWTH = 4;

const NO_BYTES = Buffer.alloc(0);

/**
 * The begin of a frame or packet that was cut by the end of a chunk.
 *
 * It grows with the bytes that really arrive, at most fourfold ahead of them: a length that lies
 * costs its sender more than us. A large buffer is not used again: ten thousand idle connections
 * each hold next to nothing, and who takes it may keep it.
 */
export class CarryBuffer {
  /** What was kept is [0, length) of it; borrowed until the next call. */
  bytes: Buffer;
  length: number;

  constructor() {
    this.bytes = NO_BYTES;
    this.length = 0;
  }

  /**
   * Copies [start, end) of `buf` behind what is kept.
   *
   * @param most  bytes the whole will have, as far as is known: not grown ahead beyond that
   */
  append(buf: Buffer, start: number, end: number, most: number): void {
    const used = this.length;
    const needed = used + end - start;
    if (needed > this.bytes.length) {
      const wanted = Math.max(Math.min(needed * GROWTH, most), needed, CARRY_BYTES_KEPT);
      // Slow: one that is kept must not pin Node's shared pool.
      const grown = Buffer.allocUnsafeSlow(wanted);
      this.bytes.copy(grown, 0, 0, used);
      this.bytes = grown;
    }
    buf.copy(this.bytes, used, start, end);
    this.length = needed;
  }

  /**
   * Copies until `wanted` bytes are kept, or up to `end`.
   *
   * @returns where it stands in `buf`
   */
  fill(buf: Buffer, pos: number, end: number, wanted: number): number {
    const next = Math.min(end, pos + wanted - this.length);
    if (next <= pos) return pos;
    this.append(buf, pos, next, wanted);
    return next;
  }

  /** Forgets the first `count` bytes: what follows is the begin now. */
  discard(count: number): void {
    const left = this.length - count;
    const isWasteful = this.bytes.length > CARRY_BYTES_KEPT && this.bytes.length > left * GROWTH;
    if (left === 0) this.take();
    else if (isWasteful) this.bytes = Buffer.from(this.bytes.subarray(count, this.length));
    else this.bytes.copyWithin(0, count, this.length);
    this.length = left;
  }

  /**
   * Empties it and hands out what held the bytes: for good when it is longer than CARRY_BYTES_KEPT,
   * else borrowed until the next call.
   */
  take(): Buffer {
    const { bytes } = this;
    this.length = 0;
    if (bytes.length > CARRY_BYTES_KEPT) this.bytes = NO_BYTES;
    return bytes;
  }

  /** Lets go of all memory. */
  drop(): void {
    this.bytes = NO_BYTES;
    this.length = 0;
  }
}
