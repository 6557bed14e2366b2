/**
 * The sequences in the paged range of a backlog that are not ready there: leased before the
 * restart, or taken out. What was taken out is being read for a moment, to be settled then.
 */
export class Holes {
  readonly #sequences: Set<number>;
  /** Leased before the restart, not read yet: their bytes are among those of the range. */
  readonly #leased: Set<number>;
  /** Taken out and being read: so are theirs. */
  readonly #leaving: Set<number>;

  constructor() {
    this.#sequences = new Set();
    this.#leased = new Set();
    this.#leaving = new Set();
  }

  get count(): number {
    return this.#sequences.size;
  }

  has(sequence: number): boolean {
    return this.#sequences.size > 0 && this.#sequences.has(sequence);
  }

  /** Notes what was leased before the restart. */
  restore(leased: readonly number[]): void {
    for (const sequence of leased) {
      this.#sequences.add(sequence);
      this.#leased.add(sequence);
    }
  }

  /** Notes one that is taken out and being read. */
  leave(sequence: number): void {
    this.#sequences.add(sequence);
    this.#leaving.add(sequence);
  }

  /** One was read. Returns false when the range was purged meanwhile. */
  left(sequence: number): boolean {
    return this.#leaving.delete(sequence) || this.#leased.delete(sequence);
  }

  /** The range is purged: returns what was taken out of it and not read; the caller settles it. */
  purge(): number[] {
    const leaving = [...this.#leaving];
    this.#leaving.clear();
    this.#leased.clear();
    return leaving;
  }

  /** Those in [from, end) that are not settled by whoever empties the range, rising. */
  between(from: number, end: number): number[] {
    const inside = [...this.#sequences].filter((sequence) => sequence >= from && sequence < end);
    return inside.toSorted((a, b) => a - b);
  }

  /** The range begins at `from` now: what lies before it is no hole any more. */
  forgetBelow(from: number): void {
    if (this.#sequences.size === 0) return;
    for (const sequence of this.#sequences) {
      if (sequence < from) this.#sequences.delete(sequence);
    }
  }

  clear(): void {
    this.#sequences.clear();
    this.#leaving.clear();
    this.#leased.clear();
  }
}
