/**
 * Finding a value by a range of wire bytes, without making a string first.
 *
 * Publishers name the same exchange and routing key again and again. `ByteCache` maps the raw
 * bytes to what they stood for last time (a string, a route) at the cost of one hash and one
 * comparison. It is a cache in the strict sense: a fixed number of slots, two per bucket, where a
 * newcomer displaces the older of the two. So its memory is bounded by `slots * keyBytesMax` bytes
 * whatever peers send, and keys made to collide only evict each other.
 */
import { assert } from './assert.ts';
import { readText } from './byte-reader.ts';

/** 32-bit FNV-1a offset basis and prime. */
const FNV_BASIS = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

interface Slot<T> {
  readonly hash: number;
  readonly key: Uint8Array;
  readonly value: T;
}

/** A bounded map from byte ranges to values. */
export class ByteCache<T> {
  readonly #slots: (Slot<T> | undefined)[];
  readonly #mask: number;
  readonly #keyBytesMax: number;

  /**
   * @param slotCount    a power of two
   * @param keyBytesMax  longer keys are never kept
   */
  constructor(slotCount: number, keyBytesMax: number) {
    assert(slotCount >= 2 && (slotCount & (slotCount - 1)) === 0, 'slot count is a power of two');
    this.#slots = new Array<Slot<T> | undefined>(slotCount).fill(undefined);
    // Buckets of two neighbours: the lowest bit of the index chooses within one.
    this.#mask = slotCount - 2;
    this.#keyBytesMax = keyBytesMax;
  }

  /** The value kept for the bytes [start, end) of `buf` (borrowed), if it still is. */
  get(buf: Uint8Array, start: number, end: number): T | undefined {
    if (end - start > this.#keyBytesMax) return undefined;
    const hash = hashBytes(buf, start, end);
    const bucket = bucketOf(hash, this.#mask);
    const first = this.#slots[bucket];
    if (first !== undefined && first.hash === hash && sameBytes(first.key, buf, start, end)) {
      return first.value;
    }
    const second = this.#slots[bucket + 1];
    if (second !== undefined && second.hash === hash && sameBytes(second.key, buf, start, end)) {
      return second.value;
    }
    return undefined;
  }

  /** Keeps `value` for the bytes [start, end), which are copied; replaces an older value. */
  set(buf: Uint8Array, start: number, end: number, value: T): void {
    if (end - start > this.#keyBytesMax) return;
    const hash = hashBytes(buf, start, end);
    const bucket = bucketOf(hash, this.#mask);
    const first = this.#slots[bucket];
    const isSame =
      first !== undefined && first.hash === hash && sameBytes(first.key, buf, start, end);
    if (first !== undefined && !isSame) this.#slots[bucket + 1] = first;
    // Uint8Array.from over a copy: a pooled Buffer slice would pin the pool.
    this.#slots[bucket] = { hash, key: new Uint8Array(buf.subarray(start, end)), value };
  }

  /** Forgets everything. */
  clear(): void {
    this.#slots.fill(undefined);
  }
}

/** Slots of a string cache: names in use on one node rarely exceed it, and it costs some 100 kB. */
const TEXT_SLOT_COUNT = 1_024;

/** Bytes of the longest string worth keeping. */
const TEXT_BYTES_MAX = 128;

/** Gives back the same string for the same bytes while they are in use. */
export class TextCache {
  readonly #cache: ByteCache<string>;

  constructor() {
    this.#cache = new ByteCache(TEXT_SLOT_COUNT, TEXT_BYTES_MAX);
  }

  /** The text in [start, end) of `buf` (borrowed), or undefined when it is not UTF-8. */
  read(buf: Buffer, start: number, end: number): string | undefined {
    if (start === end) return '';
    const known = this.#cache.get(buf, start, end);
    if (known !== undefined) return known;
    const text = readText(buf, start, end);
    if (text !== undefined) this.#cache.set(buf, start, end, text);
    return text;
  }
}

function hashBytes(buf: Uint8Array, start: number, end: number): number {
  let hash = FNV_BASIS;
  for (let i = start; i < end; i += 1) hash = Math.imul(hash ^ buf[i]!, FNV_PRIME);
  return hash;
}

/** FNV's low bits mix worst, so the high ones are folded in. */
function bucketOf(hash: number, mask: number): number {
  return (hash ^ (hash >>> 15)) & mask;
}

function sameBytes(key: Uint8Array, buf: Uint8Array, start: number, end: number): boolean {
  if (key.length !== end - start) return false;
  for (let i = 0; i < key.length; i += 1) {
    if (key[i] !== buf[start + i]) return false;
  }
  return true;
}
