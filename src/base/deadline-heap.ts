/**
 * A binary min-heap of (key, value): deadlines, or sequences that come back out of order. Equal
 * keys leave in the order in which they came.
 *
 * Keys, arrival numbers and values lie in parallel arrays, so pushing allocates nothing but array
 * growth. There is no removal from the middle: owners leave stale items in and skip them when they
 * surface (a queue compares the deadline it still wants with the one popped). Where stale items can
 * outnumber the others, owners `retain` the latter from time to time.
 */
export class DeadlineHeap<T> {
  #keys: number[];
  #arrivals: number[];
  #values: T[];
  #arrivalCount: number;

  constructor() {
    this.#keys = [];
    this.#arrivals = [];
    this.#values = [];
    this.#arrivalCount = 0;
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
    this.#arrivalCount += 1;
    this.#rise(key, this.#arrivalCount, value);
  }

  /** Removes and returns the value of the smallest key. */
  pop(): T | undefined {
    const length = this.#keys.length - 1;
    if (length < 0) return undefined;
    const top = this.#values[0];
    const key = this.#keys.pop()!;
    const arrival = this.#arrivals.pop()!;
    const value = this.#values.pop()!;
    if (length > 0) this.#sink(key, arrival, value, length);
    return top;
  }

  /** Every item, in no order that matters. */
  forEach(visit: (key: number, value: T) => void): void {
    for (let index = 0; index < this.#keys.length; index += 1) {
      visit(this.#keys[index]!, this.#values[index]!);
    }
  }

  /** Drops every item that is not wanted any more. */
  retain(isWanted: (key: number, value: T) => boolean): void {
    const keys = this.#keys;
    const arrivals = this.#arrivals;
    const values = this.#values;
    this.clear();
    for (let index = 0; index < keys.length; index += 1) {
      const key = keys[index]!;
      const value = values[index]!;
      if (isWanted(key, value)) this.#rise(key, arrivals[index]!, value);
    }
  }

  /** Drops everything and gives the memory back. */
  clear(): void {
    this.#keys = [];
    this.#arrivals = [];
    this.#values = [];
  }

  /** Enters an item at the end and moves it up to its place. */
  #rise(key: number, arrival: number, value: T): void {
    const keys = this.#keys;
    const arrivals = this.#arrivals;
    const values = this.#values;
    let index = keys.length;
    keys.push(key);
    arrivals.push(arrival);
    values.push(value);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = keys[parent]!;
      if (above < key || (above === key && arrivals[parent]! < arrival)) break;
      this.#move(parent, index);
      index = parent;
    }
    this.#put(index, key, arrival, value);
  }

  /** Enters an item at the root, whose own has left, and moves it down to its place. */
  #sink(key: number, arrival: number, value: T, length: number): void {
    let index = 0;
    for (;;) {
      let child = index * 2 + 1;
      if (child >= length) break;
      if (child + 1 < length && this.#isBefore(child + 1, child)) child += 1;
      const below = this.#keys[child]!;
      if (key < below || (key === below && arrival < this.#arrivals[child]!)) break;
      this.#move(child, index);
      index = child;
    }
    this.#put(index, key, arrival, value);
  }

  #isBefore(a: number, b: number): boolean {
    const difference = this.#keys[a]! - this.#keys[b]!;
    return difference < 0 || (difference === 0 && this.#arrivals[a]! < this.#arrivals[b]!);
  }

  #move(from: number, to: number): void {
    this.#put(to, this.#keys[from]!, this.#arrivals[from]!, this.#values[from]!);
  }

  #put(index: number, key: number, arrival: number, value: T): void {
    this.#keys[index] = key;
    this.#arrivals[index] = arrival;
    this.#values[index] = value;
  }
}
