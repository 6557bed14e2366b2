import { FRAME_END } from './encode.ts';

/**
 * Receives one complete frame. `bytes` is borrowed until the call returns; the payload lies in
 * [start, end).
 */
export type OnFrame = (
  type: number,
  channel: number,
  bytes: Buffer,
  start: number,
  end: number,
) => void;

/**
 * Cuts a byte stream into frames without slicing: whole frames are reported where they lie in
 * the chunk, and only a frame that a chunk splits is copied to the carry.
 */
export class FrameReader {
  readonly #onFrame: OnFrame;
  #carry: Buffer;
  #carryBytes: number;

  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame;
    this.#carry = Buffer.allocUnsafeSlow(256 * 1024);
    this.#carryBytes = 0;
  }

  /** Takes the next chunk, valid in [0, end) until this returns. */
  feed(chunk: Buffer, end: number): void {
    let at = 0;
    if (this.#carryBytes > 0) {
      at = this.#completeCarry(chunk, end);
      if (at < 0) return;
    }
    const onFrame = this.#onFrame;
    while (end - at >= 7) {
      const payloadBytes =
        chunk[at + 3]! * 0x1000000 +
        ((chunk[at + 4]! << 16) | (chunk[at + 5]! << 8) | chunk[at + 6]!);
      const frameEnd = at + 7 + payloadBytes;
      if (frameEnd >= end) break;
      if (chunk[frameEnd] !== FRAME_END) throw new Error('frame without end octet');
      onFrame(chunk[at]!, (chunk[at + 1]! << 8) | chunk[at + 2]!, chunk, at + 7, frameEnd);
      at = frameEnd + 1;
    }
    if (at < end) this.#keep(chunk, at, end);
  }

  /** Fills the carried frame from the chunk; returns where the next frame starts, or -1. */
  #completeCarry(chunk: Buffer, end: number): number {
    let at = 0;
    if (this.#carryBytes < 7) {
      at = Math.min(7 - this.#carryBytes, end);
      this.#keep(chunk, 0, at);
      if (this.#carryBytes < 7) return -1;
    }
    const payloadBytes = this.#carry.readUInt32BE(3);
    const missing = payloadBytes + 8 - this.#carryBytes;
    const taken = Math.min(missing, end - at);
    this.#keep(chunk, at, at + taken);
    if (taken < missing) return -1;
    const carry = this.#carry;
    const frameEnd = payloadBytes + 7;
    if (carry[frameEnd] !== FRAME_END) throw new Error('frame without end octet');
    this.#carryBytes = 0;
    this.#onFrame(carry[0]!, carry.readUInt16BE(1), carry, 7, frameEnd);
    return at + taken;
  }

  #keep(chunk: Buffer, start: number, end: number): void {
    const total = this.#carryBytes + end - start;
    if (total > this.#carry.length) {
      const larger = Buffer.allocUnsafeSlow(total * 2);
      this.#carry.copy(larger, 0, 0, this.#carryBytes);
      this.#carry = larger;
    }
    chunk.copy(this.#carry, this.#carryBytes, start, end);
    this.#carryBytes = total;
  }
}
