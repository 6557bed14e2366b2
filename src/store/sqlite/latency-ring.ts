/** The last few durations, for percentiles on demand. */
const RING_SIZE = 1024;

export class LatencyRing {
  readonly #values: Float64Array;
  #count: number;

  constructor() {
    this.#values = new Float64Array(RING_SIZE);
    this.#count = 0;
  }

  /** Adds a duration in ms. */
  add(durationMs: number): void {
    this.#values[this.#count % RING_SIZE] = durationMs;
    this.#count += 1;
  }

  /** The given quantile (0 to 1) of the last 1024 durations; 0 when there are none. */
  quantile(fraction: number): number {
    const count = Math.min(this.#count, RING_SIZE);
    if (count === 0) return 0;
    const sorted = this.#values.slice(0, count).sort();
    return sorted[Math.min(count - 1, Math.floor(count * fraction))]!;
  }
}
