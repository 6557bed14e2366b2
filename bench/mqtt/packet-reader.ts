/**
 * Finds packets in a byte stream and hands them on where they lie. Only a packet that is cut by
 * the end of a chunk is copied, into a carry buffer of this reader.
 */

/** `start` to `end` is what follows the fixed header; the bytes are valid until it returns. */
export type OnPacket = (firstByte: number, bytes: Buffer, start: number, end: number) => void;

const NOTHING = Buffer.alloc(0);

export class PacketReader {
  readonly #onPacket: OnPacket;
  #carry: Buffer;
  #carryBytes: number;

  constructor(onPacket: OnPacket) {
    this.#onPacket = onPacket;
    this.#carry = NOTHING;
    this.#carryBytes = 0;
  }

  /** Reads the first `byteCount` bytes of `chunk`. */
  feed(chunk: Buffer, byteCount: number): void {
    if (this.#carryBytes === 0) {
      this.#keep(chunk, this.#scan(chunk, byteCount), byteCount);
      return;
    }
    const length = this.#carryBytes + byteCount;
    if (this.#carry.length < length) {
      const larger = Buffer.allocUnsafeSlow(length);
      this.#carry.copy(larger, 0, 0, this.#carryBytes);
      this.#carry = larger;
    }
    chunk.copy(this.#carry, this.#carryBytes, 0, byteCount);
    const carry = this.#carry;
    this.#carryBytes = 0;
    this.#keep(carry, this.#scan(carry, length), length);
  }

  #keep(bytes: Buffer, from: number, end: number): void {
    const left = end - from;
    this.#carryBytes = left;
    if (left === 0) {
      // Many readers idle at a time: a large carry is not worth keeping.
      if (this.#carry.length > 65_536) this.#carry = NOTHING;
      return;
    }
    if (this.#carry.length < left) this.#carry = Buffer.allocUnsafeSlow(left);
    bytes.copy(this.#carry, 0, from, end);
  }

  /** Returns the offset of the first packet that is not whole. */
  #scan(bytes: Buffer, end: number): number {
    let at = 0;
    for (;;) {
      if (end - at < 2) return at;
      let cursor = at + 1;
      let length = bytes[cursor]!;
      cursor += 1;
      if (length > 127) {
        length &= 127;
        let shift = 7;
        for (;;) {
          if (cursor >= end) return at;
          const byte = bytes[cursor]!;
          cursor += 1;
          length |= (byte & 127) << shift;
          if (byte < 128) break;
          shift += 7;
          if (shift > 21) throw new Error('remaining length of more than four bytes');
        }
      }
      const next = cursor + length;
      if (next > end) return at;
      this.#onPacket(bytes[at]!, bytes, cursor, next);
      at = next;
    }
  }
}
