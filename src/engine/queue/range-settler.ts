import type { Entry } from '../message.ts';
import { STORE_NONE, STORE_PENDING } from '../message.ts';
import type { QueueId, Store } from '../ports.ts';

/**
 * Settles many entries. Those that follow one another in the order of sequences are one range: the
 * store is asked once for a million of them, not a million times.
 */
export class RangeSettler {
  readonly #store: Store;
  /** Of the range. */
  #id: QueueId;
  #from: number;
  /** Undefined while there is no range. */
  #last: Entry | undefined;

  constructor(store: Store) {
    this.#store = store;
    this.#id = 0;
    this.#from = 0;
    this.#last = undefined;
  }

  /** Takes the next, stored under `id`; the caller has no more use for it. */
  add(id: QueueId, entry: Entry): void {
    if (entry.storeState === STORE_NONE) return;
    if (entry.storeState === STORE_PENDING) {
      // Its put is taken back at once: a range would have to look for it.
      this.#store.settle(id, entry);
      return;
    }
    if (this.#last === undefined || id !== this.#id || entry.sequence !== this.#last.sequence + 1) {
      this.end();
      this.#id = id;
      this.#from = entry.sequence;
    }
    this.#last = entry;
  }

  /** Settles what is left. */
  end(): void {
    const last = this.#last;
    this.#last = undefined;
    if (last === undefined) return;
    if (last.sequence === this.#from) this.#store.settle(this.#id, last);
    else this.#store.settleRange(this.#id, this.#from, last.sequence + 1);
  }
}
