/**
 * A map from integers of 0 and above to 32-bit integers that lies outside the JavaScript heap: 12
 * bytes a place, at most two thirds of them taken. A `Map` of a million costs the collector's time
 * and makes it let the heap grow.
 *
 * Open addressing with linear probing. Removal shifts back what stands behind, so there are no
 * tombstones; what is removed during an iteration may hide others from it.
 */
const FIRST_CAPACITY = 8;
/** A place that is free. */
const FREE = -1;

export class NumberMap {
  #keys: Float64Array;
  #values: Int32Array;
  #mask: number;
  #size: number;

  constructor() {
    this.#keys = new Float64Array(FIRST_CAPACITY).fill(FREE);
    this.#values = new Int32Array(FIRST_CAPACITY);
    this.#mask = FIRST_CAPACITY - 1;
    this.#size = 0;
  }

  get size(): number {
    return this.#size;
  }

  get(key: number): number | undefined {
    const place = this.#placeOf(key);
    return this.#keys[place] === key ? this.#values[place] : undefined;
  }

  set(key: number, value: number): void {
    const place = this.#placeOf(key);
    this.#values[place] = value;
    if (this.#keys[place] === key) return;
    this.#keys[place] = key;
    this.#size += 1;
    if (this.#size * 3 > (this.#mask + 1) * 2) this.#resize((this.#mask + 1) * 2);
  }

  /** Returns false when it was not there. */
  delete(key: number): boolean {
    const place = this.#placeOf(key);
    if (this.#keys[place] !== key) return false;
    this.#shiftBack(place);
    this.#size -= 1;
    const capacity = this.#mask + 1;
    if (capacity > FIRST_CAPACITY && this.#size * 6 < capacity) this.#resize(capacity / 2);
    return true;
  }

  /** Every key, in no order that matters. */
  *keys(): Generator<number> {
    for (const key of this.#keys) if (key !== FREE) yield key;
  }

  /** Every key with its value, in no order that matters. */
  *[Symbol.iterator](): Generator<[number, number]> {
    for (let place = 0; place <= this.#mask; place += 1) {
      const key = this.#keys[place]!;
      if (key !== FREE) yield [key, this.#values[place]!];
    }
  }

  /** Where the key is, or would be. */
  #placeOf(key: number): number {
    const mask = this.#mask;
    let place = hash(key) & mask;
    while (this.#keys[place] !== FREE && this.#keys[place] !== key) place = (place + 1) & mask;
    return place;
  }

  /** Frees a place; what could stand there, from further on, moves up (Knuth 6.4, algorithm R). */
  #shiftBack(freed: number): void {
    const mask = this.#mask;
    let gap = freed;
    for (let place = (gap + 1) & mask; ; place = (place + 1) & mask) {
      const key = this.#keys[place]!;
      if (key === FREE) break;
      const wanted = hash(key) & mask;
      if (((place - wanted) & mask) < ((place - gap) & mask)) continue;
      this.#keys[gap] = key;
      this.#values[gap] = this.#values[place]!;
      gap = place;
    }
    this.#keys[gap] = FREE;
  }

  #resize(capacity: number): void {
    const keys = this.#keys;
    const values = this.#values;
    this.#keys = new Float64Array(capacity).fill(FREE);
    this.#values = new Int32Array(capacity);
    this.#mask = capacity - 1;
    for (let from = 0; from < keys.length; from += 1) {
      const key = keys[from]!;
      if (key === FREE) continue;
      const place = this.#placeOf(key);
      this.#keys[place] = key;
      this.#values[place] = values[from]!;
    }
  }
}

/** Spreads consecutive keys: multiplication by 2^32 / golden ratio, the high bits folded in. */
function hash(key: number): number {
  const mixed = Math.imul(key ^ (key / 2 ** 32), 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}
