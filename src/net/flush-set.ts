import type { Outbound } from './outbound.ts';
import { SlabPool } from './slab-pool.ts';

/**
 * The connections that have something to send in this turn. The turn ends with one `flushAll`, so
 * each connection costs one write however many frames it was given.
 */
export class FlushSet {
  /** Memory the members write into. */
  readonly pool: SlabPool;
  readonly #requestTurn: () => void;
  readonly #dirty: Outbound[];

  /** @param requestTurn schedules a turn soon; called on the first `add` after a flush */
  constructor(requestTurn: () => void) {
    this.pool = new SlabPool();
    this.#requestTurn = requestTurn;
    this.#dirty = [];
  }

  /** Lists `outbound` for the next `flushAll`; a second call before that has no effect. */
  add(outbound: Outbound): void {
    if (outbound.isListed) return;
    outbound.isListed = true;
    this.#dirty.push(outbound);
    if (this.#dirty.length === 1) this.#requestTurn();
  }

  /** Flushes every listed connection and empties the list. */
  flushAll(): void {
    const dirty = this.#dirty;
    for (let index = 0; index < dirty.length; index += 1) {
      const outbound = dirty[index]!;
      outbound.isListed = false;
      outbound.flush();
    }
    dirty.length = 0;
  }
}
