/**
 * The live records of one queue of a `MemoryStore`, sorted by sequence.
 *
 * A sorted array with a head index: settling at the head is O(1), elsewhere a binary search;
 * settled records stay as tombstones until they are half of the array.
 */
import type { MemoryRecord } from './memory-disk.ts';

export class MemoryQueue {
  #records: MemoryRecord[];
  #head: number;
  #deadCount: number;
  /** One above the highest sequence ever put. */
  nextSequence: number;

  constructor() {
    this.#records = [];
    this.#head = 0;
    this.#deadCount = 0;
    this.nextSequence = 1;
  }

  /** Inserts a record, usually at the end. */
  add(record: MemoryRecord): void {
    const records = this.#records;
    const last = records[records.length - 1];
    if (last === undefined || last.sequence < record.sequence) records.push(record);
    else {
      const at = this.#indexOf(record.sequence);
      records.splice(at, 0, record);
      if (at < this.#head) this.#head = at;
    }
    if (record.sequence >= this.nextSequence) this.nextSequence = record.sequence + 1;
  }

  /** The live record with that sequence. */
  find(sequence: number): MemoryRecord | undefined {
    const atHead = this.#records[this.#head];
    if (atHead?.sequence === sequence) return atHead.isLive ? atHead : undefined;
    const record = this.#records[this.#indexOf(sequence)];
    return record?.sequence === sequence && record.isLive ? record : undefined;
  }

  /** Marks a record dead and drops tombstones. */
  settle(record: MemoryRecord): void {
    record.isLive = false;
    this.#deadCount += 1;
    const records = this.#records;
    while (this.#head < records.length && !records[this.#head]!.isLive) this.#head += 1;
    if (this.#deadCount > 64 && this.#deadCount * 2 > records.length) this.#compact();
  }

  /** Lowest live committed record with sequence >= `from`. */
  firstFrom(from: number): MemoryRecord | undefined {
    const records = this.#records;
    for (let i = Math.max(this.#indexOf(from), this.#head); i < records.length; i += 1) {
      const record = records[i]!;
      if (record.isLive && record.isCommitted) return record;
    }
    return undefined;
  }

  /** Below this, and from `from` on, nothing is waiting to be committed. */
  committedEnd(from: number): number {
    for (const { isCommitted, sequence } of this.inRange(from, Infinity)) {
      if (!isCommitted) return sequence;
    }
    return this.nextSequence;
  }

  /** Live records with sequence in [first, end), committed or not. */
  inRange(first: number, end: number): MemoryRecord[] {
    const found: MemoryRecord[] = [];
    const records = this.#records;
    for (let i = Math.max(this.#indexOf(first), this.#head); i < records.length; i += 1) {
      const record = records[i]!;
      if (record.sequence >= end) break;
      if (record.isLive) found.push(record);
    }
    return found;
  }

  #compact(): void {
    this.#records = this.#records.filter((record) => record.isLive);
    this.#head = 0;
    this.#deadCount = 0;
  }

  /** Index of the first record with sequence >= `sequence`. */
  #indexOf(sequence: number): number {
    let low = 0;
    let high = this.#records.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#records[middle]!.sequence < sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
