/**
 * A bag of values that reads like a plain array: what hangs at a direct key or a trie node.
 *
 * A value may be added several times (a queue bound twice with different arguments) and stands in
 * `items` once. Removing swaps the last item in, so order is not kept. Up to `SCAN_MAX` items are
 * found by scanning, beyond that by an index: most lists hold one item once, some hold 50,000.
 */

const SCAN_MAX = 8;

export class CountedList<V> {
  /** Distinct values; read only for others, and another array after a change. */
  items: V[] = [];
  /** Values that were added more than once, with how often. */
  #counts: Map<V, number> | undefined = undefined;
  /** Positions in `items`, once there are many. */
  #index: Map<V, number> | undefined = undefined;

  add(value: V): void {
    if (this.#find(value) >= 0) {
      this.#counts ??= new Map();
      this.#counts.set(value, (this.#counts.get(value) ?? 1) + 1);
      return;
    }
    if (this.items.length === 0) {
      // A push into an empty array makes room for seventeen.
      this.items = [value];
      return;
    }
    this.#index?.set(value, this.items.length);
    this.items.push(value);
    if (this.#index === undefined && this.items.length > SCAN_MAX) {
      this.#index = new Map(this.items.map((item, i) => [item, i]));
    }
  }

  /** Takes one occurrence away; false when there is none. */
  remove(value: V): boolean {
    const at = this.#find(value);
    if (at < 0) return false;
    const count = this.#counts?.get(value) ?? 1;
    if (count > 2) {
      this.#counts?.set(value, count - 1);
    } else if (count === 2) {
      this.#counts?.delete(value);
    } else {
      this.#takeOut(value, at);
    }
    return true;
  }

  #takeOut(value: V, at: number): void {
    const moved = this.items.pop() as V;
    this.#index?.delete(value);
    if (at === this.items.length) return;
    this.items[at] = moved;
    this.#index?.set(moved, at);
  }

  #find(value: V): number {
    if (this.#index !== undefined) return this.#index.get(value) ?? -1;
    return this.items.indexOf(value);
  }
}
