/**
 * The states of entries that differ from a fresh one's: due times, leases, receive counts.
 *
 * There may be a million of them (delayed messages), and each CMQ receive makes one, so they lie in
 * columns, 41 bytes a state, and are named by their slot; all but a due time is in an
 * object beside. A queue maps sequences to slots. Slots are used again, and states move to other
 * slots when the columns shrink: a slot is good until the next state is removed.
 *
 * A state is a fact of the row with its newest record, and such states form a list, by ascending
 * row id: what is set goes to its end.
 */
import { NumberMap } from '../../base/number-map.ts';
import type { QueueIndex } from './queue-index.ts';
import type { StateFields } from './row-index.ts';

const FIRST_CAPACITY = 64;

/** No slot. */
export const NO_STATE = -1;

/** Table `entry_state` has a record for it. */
const IS_CHECKPOINTED = 1;
/** Waits for the next commit. */
const IS_BUFFERED = 2;

type OtherFields = Readonly<Omit<StateFields, 'notBeforeMs'>>;

const FRESH: OtherFields = {
  receiveCount: 0,
  leaseUntilMs: Infinity,
  firstReceivedAtMs: 0,
  expiresAtMs: Infinity,
  isRedelivered: false,
};

export class EntryStates {
  readonly #queues: (QueueIndex | undefined)[];
  #sequences: Float64Array;
  /** Row of the newest record; 0 when that is in table `entry_state` only. */
  #rowIds: Float64Array;
  #notBeforeMs: Float64Array;
  /** Fields besides the due time, by slot, unless they are a fresh entry's. */
  readonly #others: Map<number, OtherFields>;
  #flags: Uint8Array;
  /** Neighbours in the list of facts. */
  #older: Int32Array;
  /** ... or, of a free slot, the next free one. */
  #newer: Int32Array;
  #capacity: number;
  #count: number;
  #free: number;
  #oldest: number;
  #newest: number;

  constructor() {
    this.#queues = [];
    this.#sequences = new Float64Array(0);
    this.#rowIds = new Float64Array(0);
    this.#notBeforeMs = new Float64Array(0);
    this.#others = new Map();
    this.#flags = new Uint8Array(0);
    this.#older = new Int32Array(0);
    this.#newer = new Int32Array(0);
    this.#capacity = 0;
    this.#count = 0;
    this.#free = NO_STATE;
    this.#oldest = NO_STATE;
    this.#newest = NO_STATE;
  }

  /** The state of an entry; NO_STATE when it is a fresh one's. */
  find(queue: QueueIndex, sequence: number): number {
    return queue.states?.get(sequence) ?? NO_STATE;
  }

  /** Sets a state whose record is in row `rowId`; in none when that is 0. */
  set(queue: QueueIndex, sequence: number, fields: StateFields, rowId: number): number {
    let slot = this.find(queue, sequence);
    if (slot === NO_STATE) slot = this.#add(queue, sequence);
    else this.#unlink(slot);
    this.#notBeforeMs[slot] = fields.notBeforeMs;
    const others = othersOf(fields);
    if (others !== undefined) this.#others.set(slot, others);
    else if (this.#others.size > 0) this.#others.delete(slot);
    this.#rowIds[slot] = rowId;
    if (rowId > 0) this.#append(slot);
    return slot;
  }

  /** Forgets a state. Returns whether table `entry_state` has a record of it. */
  remove(queue: QueueIndex, sequence: number): boolean {
    const slot = this.find(queue, sequence);
    if (slot === NO_STATE) return false;
    queue.states?.delete(sequence);
    const isCheckpointed = this.#hasFlag(slot, IS_CHECKPOINTED);
    this.#unlink(slot);
    this.#queues[slot] = undefined;
    if (this.#others.size > 0) this.#others.delete(slot);
    this.#newer[slot] = this.#free;
    this.#free = slot;
    this.#count -= 1;
    if (this.#capacity > FIRST_CAPACITY && this.#count * 4 < this.#capacity) this.#shrink();
    return isCheckpointed;
  }

  /** Forgets the states of a queue. */
  removeAll(queue: QueueIndex): void {
    for (const sequence of [...(queue.states?.keys() ?? [])]) this.remove(queue, sequence);
    queue.states = undefined;
  }

  /** Bytes of the columns. */
  get byteCount(): number {
    return this.#capacity * (3 * 8 + 2 * 4 + 1);
  }

  fieldsOf(slot: number): StateFields {
    const others = this.#others.get(slot) ?? FRESH;
    const { receiveCount, leaseUntilMs, firstReceivedAtMs, expiresAtMs, isRedelivered } = others;
    // Not spread: V8 defines what is spread one property at a time, for each receive of a commit.
    return {
      receiveCount,
      notBeforeMs: this.#notBeforeMs[slot]!,
      leaseUntilMs,
      firstReceivedAtMs,
      expiresAtMs,
      isRedelivered,
    };
  }

  /** The entries of a queue that have a due time, as they are when they are asked for. */
  *delayedOf(queue: QueueIndex): Generator<{ sequence: number; notBeforeMs: number }> {
    for (const [sequence, slot] of queue.states ?? []) {
      const notBeforeMs = this.#notBeforeMs[slot]!;
      if (notBeforeMs > 0) yield { sequence, notBeforeMs };
    }
  }

  leaseUntilMs(slot: number): number {
    return (this.#others.get(slot) ?? FRESH).leaseUntilMs;
  }

  queueOf(slot: number): QueueIndex {
    return this.#queues[slot]!;
  }

  sequenceOf(slot: number): number {
    return this.#sequences[slot]!;
  }

  rowIdOf(slot: number): number {
    return this.#rowIds[slot]!;
  }

  /** The fact with the lowest row id; NO_STATE without one. */
  get oldestFact(): number {
    return this.#oldest;
  }

  /** The fact after that one. */
  factAfter(slot: number): number {
    return this.#newer[slot]!;
  }

  /** The state is in table `entry_state` now, and a fact of no row. */
  checkpointed(slot: number): void {
    this.#unlink(slot);
    this.#rowIds[slot] = 0;
    this.#setFlag(slot, IS_CHECKPOINTED, true);
  }

  /** Notes that the state waits for a commit; false when it was noted before. */
  buffer(slot: number): boolean {
    if (this.#hasFlag(slot, IS_BUFFERED)) return false;
    this.#setFlag(slot, IS_BUFFERED, true);
    return true;
  }

  /** A commit takes it. */
  unbuffer(slot: number): void {
    this.#setFlag(slot, IS_BUFFERED, false);
  }

  #add(queue: QueueIndex, sequence: number): number {
    if (this.#free === NO_STATE) this.#grow();
    const slot = this.#free;
    this.#free = this.#newer[slot]!;
    this.#count += 1;
    this.#queues[slot] = queue;
    this.#sequences[slot] = sequence;
    this.#rowIds[slot] = 0;
    this.#flags[slot] = 0;
    queue.states ??= new NumberMap();
    queue.states.set(sequence, slot);
    return slot;
  }

  #append(slot: number): void {
    this.#older[slot] = this.#newest;
    this.#newer[slot] = NO_STATE;
    if (this.#newest === NO_STATE) this.#oldest = slot;
    else this.#newer[this.#newest] = slot;
    this.#newest = slot;
  }

  /** Takes a slot out of the list of facts, if it is there. */
  #unlink(slot: number): void {
    if (this.#rowIds[slot] === 0) return;
    const older = this.#older[slot]!;
    const newer = this.#newer[slot]!;
    if (older === NO_STATE) this.#oldest = newer;
    else this.#newer[older] = newer;
    if (newer === NO_STATE) this.#newest = older;
    else this.#older[newer] = older;
    this.#rowIds[slot] = 0;
  }

  #hasFlag(slot: number, flag: number): boolean {
    return (this.#flags[slot]! & flag) !== 0;
  }

  #setFlag(slot: number, flag: number, isSet: boolean): void {
    if (isSet) this.#flags[slot]! |= flag;
    else this.#flags[slot]! &= ~flag;
  }

  #grow(): void {
    const from = this.#capacity;
    this.#resize(Math.max(FIRST_CAPACITY, 2 * from));
    for (let slot = this.#capacity - 1; slot >= from; slot -= 1) {
      this.#newer[slot] = this.#free;
      this.#free = slot;
    }
  }

  /** Moves the states to the lowest slots, and halves the columns. */
  #shrink(): void {
    const places = new Int32Array(this.#capacity).fill(NO_STATE);
    let count = 0;
    for (let slot = 0; slot < this.#capacity; slot += 1) {
      const queue = this.#queues[slot];
      if (queue === undefined) continue;
      places[slot] = count;
      if (slot !== count) this.#rename(queue, slot, count);
      count += 1;
    }
    const placeOf = (slot: number): number => (slot === NO_STATE ? NO_STATE : places[slot]!);
    for (let slot = 0; slot < count; slot += 1) {
      this.#older[slot] = placeOf(this.#older[slot]!);
      this.#newer[slot] = placeOf(this.#newer[slot]!);
    }
    this.#oldest = placeOf(this.#oldest);
    this.#newest = placeOf(this.#newest);
    this.#queues.length = count;
    this.#resize(this.#capacity / 2);
    this.#free = NO_STATE;
    for (let slot = this.#capacity - 1; slot >= count; slot -= 1) {
      this.#newer[slot] = this.#free;
      this.#free = slot;
    }
  }

  /** Moves a state to a lower slot, whose own is gone; its links still name the old slots. */
  #rename(queue: QueueIndex, from: number, to: number): void {
    this.#queues[to] = queue;
    this.#sequences[to] = this.#sequences[from]!;
    this.#rowIds[to] = this.#rowIds[from]!;
    this.#notBeforeMs[to] = this.#notBeforeMs[from]!;
    this.#flags[to] = this.#flags[from]!;
    this.#older[to] = this.#older[from]!;
    this.#newer[to] = this.#newer[from]!;
    const others = this.#others.get(from);
    if (others !== undefined) {
      this.#others.delete(from);
      this.#others.set(to, others);
    }
    queue.states?.set(this.#sequences[to], to);
  }

  /** Columns of `capacity` places with what fits of the present ones. */
  #resize(capacity: number): void {
    const kept = Math.min(capacity, this.#capacity);
    const resized = (column: Float64Array): Float64Array => {
      const copy = new Float64Array(capacity);
      copy.set(column.subarray(0, kept));
      return copy;
    };
    this.#sequences = resized(this.#sequences);
    this.#rowIds = resized(this.#rowIds);
    this.#notBeforeMs = resized(this.#notBeforeMs);
    const links = (column: Int32Array): Int32Array => {
      const copy = new Int32Array(capacity);
      copy.set(column.subarray(0, kept));
      return copy;
    };
    this.#older = links(this.#older);
    this.#newer = links(this.#newer);
    const flags = new Uint8Array(capacity);
    flags.set(this.#flags.subarray(0, kept));
    this.#flags = flags;
    this.#capacity = capacity;
  }
}

/** The fields besides the due time, when one of them is not a fresh entry's. */
function othersOf(fields: StateFields): OtherFields | undefined {
  const { receiveCount, leaseUntilMs, firstReceivedAtMs, expiresAtMs, isRedelivered } = fields;
  const isFresh =
    receiveCount === 0 &&
    leaseUntilMs === Infinity &&
    firstReceivedAtMs === 0 &&
    expiresAtMs === Infinity &&
    !isRedelivered;
  if (isFresh) return undefined;
  return { receiveCount, leaseUntilMs, firstReceivedAtMs, expiresAtMs, isRedelivered };
}
