/**
 * A binary min-heap of (key, value): deadlines, or sequences that come back out of order.
 *
 * Keys and values lie in two parallel arrays, so pushing allocates nothing but array growth.
 * There is no removal from the middle: owners leave stale items in and skip them when they surface
 * (a queue compares the deadline it still wants with the one popped).
 */
export class DeadlineHeap<T> {
  readonly #keys: number[];
  readonly #values: T[];

  constructor() {
    this.#keys = [];
    this.#values = [];
  }

  get length(): number {
    return this.#keys.length;
  }

  /** Smallest key; Infinity when empty. */
  get nextKey(): number {
    return this.#keys.length === 0 ? Infinity : this.#keys[0]!;
  }

  /** Value of the smallest key. */
  peek(): T | undefined {
    return this.#values[0];
  }

  push(key: number, value: T): void {
    const keys = this.#keys;
    const values = this.#values;
    let index = keys.length;
    keys.push(key);
    values.push(value);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (keys[parent]! <= key) break;
      keys[index] = keys[parent]!;
      values[index] = values[parent]!;
      index = parent;
    }
    keys[index] = key;
    values[index] = value;
  }

  /** Removes and returns the value of the smallest key. */
  pop(): T | undefined {
    const keys = this.#keys;
    const values = this.#values;
    const length = keys.length - 1;
    if (length < 0) return undefined;
    const top = values[0];
    const key = keys.pop()!;
    const value = values.pop()!;
    if (length > 0) this.#sink(key, value, length);
    return top;
  }

  clear(): void {
    this.#keys.length = 0;
    this.#values.length = 0;
  }

  #sink(key: number, value: T, length: number): void {
    const keys = this.#keys;
    const values = this.#values;
    let index = 0;
    for (;;) {
      let child = index * 2 + 1;
      if (child >= length) break;
      if (child + 1 < length && keys[child + 1]! < keys[child]!) child += 1;
      if (keys[child]! >= key) break;
      keys[index] = keys[child]!;
      values[index] = values[child]!;
      index = child;
    }
    keys[index] = key;
    values[index] = value;
  }
}
