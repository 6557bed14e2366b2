/**
 * An order of (time, sequence) from whose later part can be taken in small steps.
 *
 *     not split   one heap
 *     split       ASIDE: what stays, and what is pushed meanwhile
 *                 HEAP:  first still what lies before `fromMs`, moved aside by `sortOut`;
 *                        then only what is to be taken, by `takeLate`
 *
 * Finding the later part of a million items in one go would take a second. When the heap is empty
 * what was set aside takes its place: nothing is moved back.
 *
 * To everybody else the later part is not in the order while it is split: it is being taken.
 */
import { DueHeap } from '../../base/due-heap.ts';

export class SplitOrder {
  #heap: DueHeap;
  /** Undefined while it is not split. */
  #aside: DueHeap | undefined;
  #fromMs: number;

  constructor() {
    this.#heap = new DueHeap();
    this.#aside = undefined;
    this.#fromMs = Infinity;
  }

  /** Items of both parts. */
  get length(): number {
    return this.#heap.length + (this.#aside?.length ?? 0);
  }

  /** Smallest time; Infinity without one. */
  get nextTime(): number {
    return this.#first().nextTime;
  }

  /** Number of the smallest item; -1 without one. */
  get nextNumber(): number {
    return this.#first().nextNumber;
  }

  push(time: number, number: number): void {
    (this.#aside ?? this.#heap).push(time, number);
  }

  /** Removes the smallest item. */
  pop(): void {
    this.#first().pop();
  }

  /** Items in their order until `visit` returns false. Not while it is split. */
  visitInOrder(visit: (time: number, number: number) => boolean): void {
    this.#heap.visitInOrder(visit);
  }

  /** Drops every item of both parts that is not wanted any more. */
  retain(isWanted: (time: number, number: number) => boolean): void {
    this.#heap.retain(isWanted);
    this.#aside?.retain(isWanted);
  }

  /** Drops everything; it is not split any more. */
  clear(): void {
    this.#heap.clear();
    this.#aside = undefined;
  }

  /** Begins to take what has a time >= `fromMs`. Not while it is split. */
  split(fromMs: number): void {
    this.#aside = new DueHeap();
    this.#fromMs = fromMs;
  }

  /** Sets aside at most `budget` items before the later part; returns what is left of it. */
  sortOut(budget: number): number {
    const heap = this.#heap;
    let left = budget;
    while (left > 0 && this.#aside !== undefined && heap.nextTime < this.#fromMs) {
      this.#setAside(this.#aside);
      left -= 1;
    }
    return left;
  }

  /**
   * Takes the earliest item of the later part, once `sortOut` has something left. 0: its number was
   * not below `endNumber`, so it stays; -1: there was none, and it is not split any more.
   */
  takeLate(endNumber: number): number {
    const heap = this.#heap;
    if (this.#aside === undefined) return -1;
    const number = heap.nextNumber;
    if (number >= endNumber) {
      this.#setAside(this.#aside);
      return 0;
    }
    if (heap.length > 0) {
      heap.pop();
    } else {
      this.#heap = this.#aside;
      this.#aside = undefined;
    }
    return number;
  }

  #setAside(aside: DueHeap): void {
    aside.push(this.#heap.nextTime, this.#heap.nextNumber);
    this.#heap.pop();
  }

  /** The part with the smallest item that is not to be taken. */
  #first(): DueHeap {
    const heap = this.#heap;
    const aside = this.#aside;
    if (aside === undefined) return heap;
    const isEarly = heap.nextTime < this.#fromMs && heap.nextTime < aside.nextTime;
    return isEarly ? heap : aside;
  }
}
