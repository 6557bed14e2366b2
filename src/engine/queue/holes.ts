/**
 * The sequences in the paged range of a backlog that are not ready there: leased before the
 * restart, or taken out. What was taken out is being read for a moment, to be settled then.
 *
 * Almost every backlog has none, ever: the sets are made with the first.
 */
export class Holes {
  #sequences: Set<number> | undefined;
  /** Leased before the restart, not read yet: their bytes are among those of the range. */
  #leased: Set<number> | undefined;
  /** Taken out and being read: so are theirs. */
  #leaving: Set<number> | undefined;

  constructor() {
    this.#sequences = undefined;
    this.#leased = undefined;
    this.#leaving = undefined;
  }

  get count(): number {
    return this.#sequences?.size ?? 0;
  }

  has(sequence: number): boolean {
    return this.#sequences !== undefined && this.#sequences.has(sequence);
  }

  /** Notes what was leased before the restart. */
  restore(leased: readonly number[]): void {
    if (leased.length === 0) return;
    this.#sequences = new Set([...(this.#sequences ?? []), ...leased]);
    this.#leased = new Set([...(this.#leased ?? []), ...leased]);
  }

  /** Notes one that is taken out and being read. */
  leave(sequence: number): void {
    this.#sequences ??= new Set();
    this.#leaving ??= new Set();
    this.#sequences.add(sequence);
    this.#leaving.add(sequence);
  }

  /** One was read. Returns false when the range was purged meanwhile. */
  left(sequence: number): boolean {
    return this.#leaving?.delete(sequence) === true || this.#leased?.delete(sequence) === true;
  }

  /** The range is purged: returns what was taken out of it and not read; the caller settles it. */
  purge(): number[] {
    const leaving = [...(this.#leaving ?? [])];
    this.#leaving = undefined;
    this.#leased = undefined;
    return leaving;
  }

  /** Those in [from, end) that are not settled by whoever empties the range, rising. */
  between(from: number, end: number): number[] {
    const all = [...(this.#sequences ?? [])];
    const inside = all.filter((sequence) => sequence >= from && sequence < end);
    return inside.toSorted((a, b) => a - b);
  }

  /** The range begins at `from` now: what lies before it is no hole any more. */
  forgetBelow(from: number): void {
    if (this.#sequences === undefined) return;
    for (const sequence of this.#sequences) {
      if (sequence < from) this.#sequences.delete(sequence);
    }
    if (this.#sequences.size === 0) this.#sequences = undefined;
  }

  clear(): void {
    this.#sequences = undefined;
    this.#leaving = undefined;
    this.#leased = undefined;
  }
}
