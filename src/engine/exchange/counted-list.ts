/**
 * A bag of values that reads like a plain array: what hangs at a direct key or a trie node.
 *
 * A value may be added several times (a queue bound twice with different arguments) and stands in
 * `items` once. Removing swaps the last item in, so order is not kept. Up to `SCAN_MAX` items are
 * found by scanning, beyond that by an index: most lists hold one item, some hold 50,000.
 */
const SCAN_MAX = 8;

export class CountedList<V> {
  /** Distinct values; read only for others. */
  readonly items: V[] = [];
  readonly #counts: number[] = [];
  #index: Map<V, number> | undefined;

  add(value: V): void {
    const at = this.#find(value);
    if (at >= 0) {
      this.#counts[at] = (this.#counts[at] ?? 0) + 1;
      return;
    }
    this.#index?.set(value, this.items.length);
    this.items.push(value);
    this.#counts.push(1);
    if (this.#index === undefined && this.items.length > SCAN_MAX) this.#buildIndex();
  }

  /** Takes one occurrence away; false when there is none. */
  remove(value: V): boolean {
    const at = this.#find(value);
    if (at < 0) return false;
    const count = this.#counts[at] ?? 0;
    if (count > 1) {
      this.#counts[at] = count - 1;
      return true;
    }
    const last = this.items.length - 1;
    const moved = this.items[last];
    if (at !== last && moved !== undefined) {
      this.items[at] = moved;
      this.#counts[at] = this.#counts[last] ?? 0;
      this.#index?.set(moved, at);
    }
    this.items.pop();
    this.#counts.pop();
    this.#index?.delete(value);
    return true;
  }

  #find(value: V): number {
    if (this.#index !== undefined) return this.#index.get(value) ?? -1;
    return this.items.indexOf(value);
  }

  #buildIndex(): void {
    const index = new Map<V, number>();
    for (let i = 0; i < this.items.length; i++) {
      const item = this.items[i];
      if (item !== undefined) index.set(item, i);
    }
    this.#index = index;
  }
}
