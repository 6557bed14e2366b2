import type { RandomSource } from '../../src/base/random.ts';

/** A small deterministic generator (mulberry32): the same seed gives the same run. */
export class SeededRandom implements RandomSource {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Uniform in [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** Integer in [0, bound). */
  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  bytes(byteCount: number): Uint8Array {
    const bytes = new Uint8Array(byteCount);
    for (let index = 0; index < byteCount; index += 1) bytes[index] = this.below(256);
    return bytes;
  }
}

/** Gives whole numbers below a bound: the same from the same seed, everywhere. */
export function randomFrom(seed: number): (bound: number) => number {
  const random = new SeededRandom(seed);
  return (bound) => random.below(bound);
}
