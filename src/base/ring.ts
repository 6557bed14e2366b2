/**
 * A FIFO ring of power-of-two capacity: the only queue type on the data plane.
 *
 *     slots:  [ c d _ _ a b ]      head = 4 (a), length = 4
 *
 * `Array.shift` moves every element once the array is long (44 us at 100,000 elements); this is
 * constant. Freed slots are cleared so that the ring never pins what it no longer holds, and a ring
 * that never held anything has no slots: most queues are empty.
 */
const INITIAL_CAPACITY = 16;
/** An empty ring of more slots than this gives them back: most bursts are the last for a while. */
const KEPT_CAPACITY = 4_096;

export class Ring<T> {
  #slots: (T | undefined)[];
  #mask: number;
  #head: number;
  #length: number;

  constructor() {
    this.#slots = [];
    this.#mask = -1;
    this.#head = 0;
    this.#length = 0;
  }

  get length(): number {
    return this.#length;
  }

  /** Items there is memory for. */
  get capacity(): number {
    return this.#mask + 1;
  }

  /** Appends at the tail. */
  push(item: T): void {
    if (this.#length > this.#mask) this.#grow();
    this.#slots[(this.#head + this.#length) & this.#mask] = item;
    this.#length += 1;
  }

  /** Oldest item, or undefined when empty. */
  peek(): T | undefined {
    return this.#slots[this.#head];
  }

  /** Item `index` places from the head, or undefined when out of range. */
  at(index: number): T | undefined {
    if (index < 0 || index >= this.#length) return undefined;
    return this.#slots[(this.#head + index) & this.#mask];
  }

  /** Removes and returns the oldest item. */
  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const item = this.#slots[this.#head];
    this.#slots[this.#head] = undefined;
    this.#head = (this.#head + 1) & this.#mask;
    this.#length -= 1;
    if (this.#length === 0 && this.#mask >= KEPT_CAPACITY) this.clear();
    return item;
  }

  /** Drops everything and gives the memory back. */
  clear(): void {
    this.#slots = [];
    this.#mask = -1;
    this.#head = 0;
    this.#length = 0;
  }

  #grow(): void {
    const capacity = Math.max(INITIAL_CAPACITY, this.#slots.length * 2);
    const slots = new Array<T | undefined>(capacity).fill(undefined);
    for (let index = 0; index < this.#length; index += 1) {
      slots[index] = this.#slots[(this.#head + index) & this.#mask];
    }
    this.#slots = slots;
    this.#mask = capacity - 1;
    this.#head = 0;
  }
}
