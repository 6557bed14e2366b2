/** Growable memory to encode into, reused from commit to commit. Little-endian, no bounds lies. */
import { assert } from '../../base/assert.ts';

/** Copies up to this many bytes are done by a loop: cheaper than a call into the runtime. */
const LOOP_COPY_BYTES = 48;

/** Memory above this size is given back when a commit is done. */
const RETAINED_BYTES = 8 * 1024 * 1024;

export class Scratch {
  buffer: Buffer;
  view: DataView;
  /** Bytes written. */
  length: number;
  readonly #initialBytes: number;

  constructor(initialBytes: number) {
    this.#initialBytes = initialBytes;
    this.buffer = Buffer.allocUnsafeSlow(initialBytes);
    this.view = new DataView(this.buffer.buffer, this.buffer.byteOffset, initialBytes);
    this.length = 0;
  }

  /** Forgets the content, and the memory when it grew out of proportion. */
  clear(): void {
    this.length = 0;
    if (this.buffer.length > RETAINED_BYTES) this.#replace(this.#initialBytes);
  }

  /** Makes room for `byteCount` more bytes and returns the offset at which they go. */
  reserve(byteCount: number): number {
    const at = this.length;
    if (at + byteCount > this.buffer.length) this.#grow(at + byteCount);
    this.length = at + byteCount;
    return at;
  }

  u8(value: number): void {
    const at = this.reserve(1);
    this.buffer[at] = value;
  }

  /** LEB128 of a non-negative integer up to 2^53. */
  varint(value: number): void {
    // Anything else would write bytes that say something else, or without end.
    assert(value >= 0 && value <= Number.MAX_SAFE_INTEGER, 'a number cannot be stored');
    if (this.length + 8 > this.buffer.length) this.#grow(this.length + 8);
    const buffer = this.buffer;
    let at = this.length;
    let rest = value;
    while (rest > 0x7fffffff) {
      buffer[at] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
      at += 1;
    }
    while (rest > 0x7f) {
      buffer[at] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
      at += 1;
    }
    buffer[at] = rest;
    this.length = at + 1;
  }

  /** Copies borrowed bytes. */
  copy(source: Buffer, start: number, byteCount: number): void {
    const at = this.reserve(byteCount);
    const target = this.buffer;
    if (byteCount <= LOOP_COPY_BYTES) {
      for (let i = 0; i < byteCount; i += 1) target[at + i] = source[start + i]!;
    } else {
      source.copy(target, at, start, start + byteCount);
    }
  }

  /** What was written: valid until the next write. */
  written(): Buffer {
    return this.buffer.subarray(0, this.length);
  }

  #grow(neededBytes: number): void {
    const old = this.buffer;
    this.#replace(Math.max(neededBytes, old.length * 2));
    old.copy(this.buffer, 0, 0, this.length);
  }

  #replace(byteCount: number): void {
    this.buffer = Buffer.allocUnsafeSlow(byteCount);
    this.view = new DataView(this.buffer.buffer, this.buffer.byteOffset, byteCount);
  }
}
