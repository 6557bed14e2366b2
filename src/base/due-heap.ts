/**
 * A binary min-heap of (time, number): what comes due when, at 16 bytes an item whatever the
 * count. Equal times leave by rising number.
 *
 * Both numbers lie in one array of doubles, outside the garbage-collected heap, which doubles as it
 * fills, halves as it empties, and is given back by `clear`. There is no removal from the middle:
 * owners skip stale items when they surface, and `retain` the others when stale ones are many.
 */

/** Items the first array has room for. */
const FIRST_CAPACITY = 16;
/** Doubles: an array of up to 8 KiB is not worth halving. */
const SHRINK_MIN = 1024;

export class DueHeap {
  /** Item n: time at 2n, number at 2n + 1. */
  #items: Float64Array;
  #length: number;

  constructor() {
    this.#items = new Float64Array(0);
    this.#length = 0;
  }

  get length(): number {
    return this.#length;
  }

  /** Bytes of the array. */
  get byteCount(): number {
    return this.#items.byteLength;
  }

  /** Smallest time; Infinity when empty. */
  get nextTime(): number {
    return this.#length === 0 ? Infinity : this.#items[0]!;
  }

  /** Number of the smallest item; -1 when empty. */
  get nextNumber(): number {
    return this.#length === 0 ? -1 : this.#items[1]!;
  }

  push(time: number, number: number): void {
    if (2 * this.#length === this.#items.length) this.#grow();
    this.#length += 1;
    this.#rise(this.#length - 1, time, number);
  }

  /** Removes the smallest item. */
  pop(): void {
    const items = this.#items;
    if (this.#length === 0) return;
    this.#length -= 1;
    const last = 2 * this.#length;
    this.#sink(items[last]!, items[last + 1]!);
    this.#shrink();
  }

  /** Items in their order until `visit` returns false; costs what it visits, not the length. */
  visitInOrder(visit: (time: number, number: number) => boolean): void {
    const items = this.#items;
    /** Indexes whose parents were visited: a heap like this one. */
    const frontier: number[] = [];
    for (let index = 0; index < this.#length; ) {
      if (!visit(items[2 * index]!, items[2 * index + 1]!)) return;
      this.#enter(frontier, 2 * index + 1);
      this.#enter(frontier, 2 * index + 2);
      index = this.#leave(frontier) ?? this.#length;
    }
  }

  /** Drops every item that is not wanted any more. */
  retain(isWanted: (time: number, number: number) => boolean): void {
    const items = this.#items;
    const length = this.#length;
    this.#length = 0;
    for (let at = 0; at < 2 * length; at += 2) {
      const time = items[at]!;
      const number = items[at + 1]!;
      // What is kept lies before what is still to be looked at.
      if (isWanted(time, number)) this.push(time, number);
    }
    this.#shrink();
  }

  /** Drops everything and gives the memory back. */
  clear(): void {
    this.#items = new Float64Array(0);
    this.#length = 0;
  }

  #grow(): void {
    const grown = new Float64Array(Math.max(2 * FIRST_CAPACITY, 2 * this.#items.length));
    grown.set(this.#items);
    this.#items = grown;
  }

  /** Gives memory back when less than a quarter is in use. */
  #shrink(): void {
    let size = this.#items.length;
    while (size > SHRINK_MIN && 8 * this.#length < size) size /= 2;
    if (size < this.#items.length) this.#items = this.#items.slice(0, size);
  }

  /** Adds an index to the heap `frontier`, when there is an item. */
  #enter(frontier: number[], index: number): void {
    if (index >= this.#length) return;
    let at = frontier.length;
    frontier.push(index);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isFirst(index, frontier[parent]!)) break;
      frontier[at] = frontier[parent]!;
      at = parent;
    }
    frontier[at] = index;
  }

  /** Takes the index of the smallest item out of the heap `frontier`. */
  #leave(frontier: number[]): number | undefined {
    const first = frontier[0];
    const last = frontier.pop();
    const { length } = frontier;
    if (last === undefined || length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= length) break;
      if (child + 1 < length && this.#isFirst(frontier[child + 1]!, frontier[child]!)) child += 1;
      if (this.#isFirst(last, frontier[child]!)) break;
      frontier[at] = frontier[child]!;
      at = child;
    }
    frontier[at] = last;
    return first;
  }

  /** True when the item at `index` comes before the one at `other`. */
  #isFirst(index: number, other: number): boolean {
    return this.#isAbove(this.#items[2 * index]!, this.#items[2 * index + 1]!, other);
  }

  #rise(from: number, time: number, number: number): void {
    const items = this.#items;
    let index = from;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#isAbove(time, number, parent)) break;
      items[2 * index] = items[2 * parent]!;
      items[2 * index + 1] = items[2 * parent + 1]!;
      index = parent;
    }
    items[2 * index] = time;
    items[2 * index + 1] = number;
  }

  /** Enters an item at the root, whose own has left, and moves it down to its place. */
  #sink(time: number, number: number): void {
    const items = this.#items;
    const length = this.#length;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= length) break;
      const right = child + 1;
      if (right < length && this.#isAbove(items[2 * right]!, items[2 * right + 1]!, child)) {
        child = right;
      }
      if (this.#isAbove(time, number, child)) break;
      items[2 * index] = items[2 * child]!;
      items[2 * index + 1] = items[2 * child + 1]!;
      index = child;
    }
    if (length === 0) return;
    items[2 * index] = time;
    items[2 * index + 1] = number;
  }

  /** True when (time, number) comes before the item at `index`. */
  #isAbove(time: number, number: number, index: number): boolean {
    const other = this.#items[2 * index]!;
    return time < other || (time === other && number < this.#items[2 * index + 1]!);
  }
}
