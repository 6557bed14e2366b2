/**
 * Up to which row the records of an entry's state are superseded by table `entry_state`.
 *
 * There may be a million such entries at a start, so each costs a place in a map outside the heap;
 * the row ids are few, one per transaction that saved states, and are named by number.
 */
import { NumberMap } from '../../base/number-map.ts';
import type { QueueId } from '../../engine/ports.ts';

export class SupersededStates {
  readonly #queues: Map<QueueId, NumberMap>;
  readonly #rowIds: number[];
  readonly #numbers: Map<number, number>;

  constructor() {
    this.#queues = new Map();
    this.#rowIds = [];
    this.#numbers = new Map();
  }

  /** The table has the state as it was when row `asOf` was written. */
  add(queueId: QueueId, sequence: number, asOf: number): void {
    let number = this.#numbers.get(asOf);
    if (number === undefined) {
      number = this.#rowIds.push(asOf) - 1;
      this.#numbers.set(asOf, number);
    }
    let sequences = this.#queues.get(queueId);
    if (sequences === undefined) {
      sequences = new NumberMap();
      this.#queues.set(queueId, sequences);
    }
    sequences.set(sequence, number);
  }

  /** Whether what row `rowId` says of the state is older than what the table says. */
  has(queueId: QueueId, sequence: number, rowId: number): boolean {
    const number = this.#queues.get(queueId)?.get(sequence);
    return number !== undefined && this.#rowIds[number]! >= rowId;
  }
}
