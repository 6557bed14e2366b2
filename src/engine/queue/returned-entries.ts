import { DeadlineHeap } from '../../base/deadline-heap.ts';
import { type Entry, ENTRY_SETTLED } from '../message.ts';

/** The entries of a backlog that were delivered once and came back, by sequence. */
export class ReturnedEntries {
  /** Made with the first: in most queues nothing comes back. */
  #entries: DeadlineHeap<Entry> | undefined;
  /** Made when one is looked for, void when they change. */
  #bySequence: Map<number, Entry> | undefined;

  constructor() {
    this.#entries = undefined;
    this.#bySequence = undefined;
  }

  get length(): number {
    return this.#entries?.length ?? 0;
  }

  /** The one with the lowest sequence. */
  peek(): Entry | undefined {
    return this.#entries?.peek();
  }

  push(entry: Entry): void {
    this.#entries ??= new DeadlineHeap();
    this.#entries.push(entry.sequence, entry);
    this.#bySequence = undefined;
  }

  /** Removes what `peek` returned. */
  pop(): void {
    this.#entries?.pop();
    this.#bySequence = undefined;
  }

  clear(): void {
    this.#entries = undefined;
    this.#bySequence = undefined;
  }

  /** Those not settled, in no order that matters. */
  forEach(visit: (entry: Entry) => void): void {
    this.#entries?.forEach((_, entry) => {
      if (entry.state !== ENTRY_SETTLED) visit(entry);
    });
  }

  /** Those of the lowest sequences that are not settled, at most `maxCount`, rising. */
  oldest(maxCount: number): Entry[] {
    const found: Entry[] = [];
    this.forEach((entry) => {
      if (found.length === maxCount && found[maxCount - 1]!.sequence < entry.sequence) return;
      const at = found.findLastIndex((other) => other.sequence < entry.sequence) + 1;
      found.splice(at, 0, entry);
      if (found.length > maxCount) found.pop();
    });
    return found;
  }

  /** The one with that sequence, unless it is settled. */
  find(sequence: number): Entry | undefined {
    if (this.length === 0) return undefined;
    const entry = (this.#bySequence ??= this.#index()).get(sequence);
    return entry?.state === ENTRY_SETTLED ? undefined : entry;
  }

  #index(): Map<number, Entry> {
    const bySequence = new Map<number, Entry>();
    this.forEach((entry) => bySequence.set(entry.sequence, entry));
    return bySequence;
  }
}
