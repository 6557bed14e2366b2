import type { Consumer } from './consumer.ts';

/** Left slots from which on the rest is moved together. */
const HOLES_MIN = 32;

/**
 * Consumers in order of arrival, and whose turn it is. One that leaves leaves a hole: a connection
 * may take twenty thousand with it, and moving all that follow each of them takes seconds.
 */
export class ConsumerRoster {
  #slots: (Consumer | undefined)[];
  /** Index of the first slot that is not left. */
  #start: number;
  #count: number;
  /** Index of the slot to ask first. */
  #cursor: number;

  constructor() {
    this.#slots = [];
    this.#start = 0;
    this.#count = 0;
    this.#cursor = 0;
  }

  get count(): number {
    return this.#count;
  }

  /** Who came first of those that are here. */
  get first(): Consumer | undefined {
    return this.#slots[this.#start];
  }

  /** A copy, in order of arrival. */
  toArray(): Consumer[] {
    return this.#slots.filter((consumer) => consumer !== undefined);
  }

  hasExclusive(): boolean {
    return this.#slots.some((consumer) => consumer?.exclusive === true);
  }

  /** Whether `next` would find one. */
  hasCredit(): boolean {
    for (const consumer of this.#slots) if (consumer?.hasCredit() === true) return true;
    return false;
  }

  add(consumer: Consumer): void {
    this.#slots.push(consumer);
    this.#count += 1;
  }

  /** Returns false when it was not here. */
  remove(consumer: Consumer): boolean {
    const at = this.#slots.indexOf(consumer, this.#start);
    if (at < 0) return false;
    this.#slots[at] = undefined;
    this.#count -= 1;
    if (at === this.#start) this.#start = this.#nextTaken(at);
    const holes = this.#slots.length - this.#count;
    if (this.#count === 0 || holes > Math.max(HOLES_MIN, this.#count)) this.#closeUp();
    return true;
  }

  /** The next one with credit, one delivery each; undefined when none has any. */
  next(): Consumer | undefined {
    const slots = this.#slots;
    const { length } = slots;
    let at = this.#cursor;
    for (let step = 0; step < length; step += 1) {
      if (at >= length) at = 0;
      const consumer = slots[at];
      at += 1;
      if (consumer?.hasCredit() !== true) continue;
      this.#cursor = at;
      return consumer;
    }
    return undefined;
  }

  #nextTaken(from: number): number {
    let at = from;
    while (at < this.#slots.length && this.#slots[at] === undefined) at += 1;
    return at;
  }

  #closeUp(): void {
    let served = 0;
    for (let at = 0; at < this.#cursor; at += 1) if (this.#slots[at] !== undefined) served += 1;
    this.#slots = this.toArray();
    this.#start = 0;
    this.#cursor = served;
  }
}
