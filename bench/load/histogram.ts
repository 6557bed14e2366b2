/**
 * Counts durations in buckets of about 1.5 % width, so that percentiles of millions of samples
 * cost a fixed 64 KiB. Values are microseconds, up to about an hour.
 */

/** Buckets per power of two: 64, so a bucket is at most 1/64 wide. */
const SUB_BUCKETS = 64;
const POWERS = 32;

export class Histogram {
  readonly #counts: Float64Array;
  #total: number;
  #maxUs: number;

  constructor() {
    this.#counts = new Float64Array(SUB_BUCKETS * POWERS);
    this.#total = 0;
    this.#maxUs = 0;
  }

  get count(): number {
    return this.#total;
  }

  record(microseconds: number): void {
    const value = microseconds < 0 ? 0 : Math.floor(microseconds);
    this.#counts[bucketOf(value)]! += 1;
    this.#total += 1;
    if (value > this.#maxUs) this.#maxUs = value;
  }

  /** Milliseconds at or below which the fraction `quantile` (0 to 1) of the samples lies. */
  quantileMs(quantile: number): number {
    let left = Math.max(1, Math.ceil(quantile * this.#total));
    for (let index = 0; index < this.#counts.length; index += 1) {
      left -= this.#counts[index]!;
      if (left <= 0) return Math.min(upperBoundOf(index), this.#maxUs) / 1000;
    }
    return this.#maxUs / 1000;
  }

  get maxMs(): number {
    return this.#maxUs / 1000;
  }

  clear(): void {
    this.#counts.fill(0);
    this.#total = 0;
    this.#maxUs = 0;
  }

  /** Adds another histogram's samples to this one. */
  merge(other: Histogram): void {
    for (let index = 0; index < this.#counts.length; index += 1) {
      this.#counts[index]! += other.#counts[index]!;
    }
    this.#total += other.#total;
    this.#maxUs = Math.max(this.#maxUs, other.#maxUs);
  }
}

function bucketOf(value: number): number {
  if (value < SUB_BUCKETS) return value;
  const power = 31 - Math.clz32(Math.min(value, 0xffffffff));
  const shift = power - 6;
  const index = (shift + 1) * SUB_BUCKETS + ((value >>> shift) - SUB_BUCKETS);
  return Math.min(index, SUB_BUCKETS * POWERS - 1);
}

function upperBoundOf(index: number): number {
  if (index < SUB_BUCKETS) return index;
  const shift = Math.floor(index / SUB_BUCKETS) - 1;
  const within = (index % SUB_BUCKETS) + SUB_BUCKETS;
  return (within + 1) * 2 ** shift - 1;
}
