/**
 * What the engine has asked for since the last commit took everything.
 *
 * Settlements change the journal index at once and leave a range per queue here; puts wait as they
 * are, because an entry settled before it is written never reaches the disk at all.
 */
import { type Entry, STORE_CANCELLED, STORE_PENDING, STORE_WRITTEN } from '../../engine/message.ts';
import type { QueueId } from '../../engine/ports.ts';
import { NO_STATE } from './entry-states.ts';
import type { QueueIndex } from './queue-index.ts';
import { sealDefinition } from './record-sums.ts';
import type { JournalIndex } from './journal-index.ts';
import type { BuiltRow, RowBuilder } from './row-builder.ts';
import { type StateFields, writeDrop, writeMark, writeSettle, writeState } from './row-index.ts';
import { mergeRanges, subtractValues } from './ranges.ts';

/** Rows are closed at this size; the rest of the commit goes into further rows of it. */
export const ROW_BYTES_MAX = 4 * 1024 * 1024;

/** Characters of definitions given to one statement; a string has a limit of 2^29. */
const DEFINITIONS_TEXT_MAX = 4 * 1024 * 1024;

/** Accounting size of a buffered entry beyond its message's bytes. */
const ENTRY_OVERHEAD_BYTES = 64;

/** A definition's new value, or its removal. */
interface DefinitionChange {
  readonly kind: string;
  readonly key: string;
  readonly value: string | (() => string) | undefined;
}

/** Definition changes of one commit, ready for the two statements. */
export interface DefinitionBatch {
  /** JSON arrays of [kind, key, value], each of some DEFINITIONS_TEXT_MAX. */
  readonly upserts: readonly string[];
  /** JSON arrays of [kind, key]. */
  readonly removals: readonly string[];
  /** Size of kinds, keys and values, by estimate. */
  readonly byteCount: number;
}

export class WriteBuffer {
  readonly #index: JournalIndex;
  readonly #rowBytesMax: number;
  #entries: Entry[];
  #queues: QueueIndex[];
  #survives: boolean[];
  /** Queues with buffered settlements or marks. */
  #listed: QueueIndex[];
  /** Queue and sequence of each changed state. */
  #stateQueues: QueueIndex[];
  #stateSequences: number[];
  /** States of buffered entries as they were last recorded; the others have what they have then. */
  #recorded: Map<Entry, StateFields>;
  #drops: QueueId[];
  #definitions: Map<string, DefinitionChange>;
  #definitionBytes: number;
  #byteCount: number;
  #nextBodyId: number;

  constructor(index: JournalIndex, rowBytesMax: number) {
    this.#index = index;
    this.#rowBytesMax = rowBytesMax;
    this.#entries = [];
    this.#queues = [];
    this.#survives = [];
    this.#listed = [];
    this.#stateQueues = [];
    this.#stateSequences = [];
    this.#recorded = new Map();
    this.#drops = [];
    this.#definitions = new Map();
    this.#definitionBytes = 0;
    this.#byteCount = 0;
    this.#nextBodyId = 1;
  }

  /** Body ids below this are in use; set by recovery. */
  set nextBodyId(id: number) {
    this.#nextBodyId = id;
  }

  /** Bytes buffered, by estimate. */
  get byteCount(): number {
    return this.#byteCount + this.#definitionBytes;
  }

  /** Entries buffered, cancelled ones included. */
  get putCount(): number {
    return this.#entries.length;
  }

  /** More than settlements, marks and states is buffered. */
  get isUrgent(): boolean {
    return this.#entries.length > 0 || this.#drops.length > 0 || this.#definitions.size > 0;
  }

  put(queue: QueueIndex, entry: Entry, survives: boolean): void {
    entry.storeState = STORE_PENDING;
    this.#entries.push(entry);
    this.#queues.push(queue);
    this.#survives.push(survives);
    if (entry.sequence < queue.pendingFirst) queue.pendingFirst = entry.sequence;
    this.#byteCount += ENTRY_OVERHEAD_BYTES + entry.message.headerBytes + entry.message.bodyBytes;
  }

  /** Notes that the entries [first, end) were settled in the index. */
  settled(queue: QueueIndex, first: number, end: number): void {
    const { settled } = queue;
    if (settled.length > 0 && settled[settled.length - 1] === first) {
      settled[settled.length - 1] = end;
      return;
    }
    settled.push(first, end);
    this.#list(queue);
  }

  /** Cancels buffered puts of the queue in [first, end). */
  cancelRange(queue: QueueIndex, first: number, end: number): void {
    if (queue.pendingFirst >= end) return;
    for (let i = 0; i < this.#entries.length; i += 1) {
      const entry = this.#entries[i]!;
      if (this.#queues[i] !== queue || entry.storeState !== STORE_PENDING) continue;
      if (entry.sequence >= first && entry.sequence < end) entry.storeState = STORE_CANCELLED;
    }
  }

  mark(queue: QueueIndex): void {
    queue.isMarkBuffered = true;
    this.#list(queue);
  }

  /** Notes a changed state; its values are read when the commit takes it. */
  state(queue: QueueIndex, sequence: number, slot: number): void {
    if (!this.#index.states.buffer(slot)) return;
    this.#stateQueues.push(queue);
    this.#stateSequences.push(sequence);
  }

  /** Notes the state of a buffered entry, which may have another for a consumer's eyes. */
  record(entry: Entry): void {
    this.#recorded.set(entry, stateFieldsOf(entry));
  }

  drop(queueId: QueueId): void {
    this.#drops.push(queueId);
  }

  define(kind: string, key: string, value: DefinitionChange['value']): void {
    const id = `${kind}\0${key}`;
    const change = { kind, key, value };
    this.#definitionBytes += sizeOf(change) - sizeOf(this.#definitions.get(id));
    this.#definitions.set(id, change);
  }

  /** Takes the definition changes. */
  takeDefinitions(): DefinitionBatch {
    let byteCount = this.#definitionBytes;
    if (this.#definitions.size === 0) return { upserts: [], removals: [], byteCount };
    const upserts: string[][] = [];
    const removals: string[][] = [];
    for (const { kind, key, value } of this.#definitions.values()) {
      if (value === undefined) {
        removals.push([kind, key]);
      } else if (typeof value === 'string') {
        upserts.push([kind, key, sealDefinition(kind, key, value)]);
      } else {
        const text = value();
        byteCount += text.length;
        upserts.push([kind, key, sealDefinition(kind, key, text)]);
      }
    }
    this.#definitions = new Map();
    this.#definitionBytes = 0;
    return { upserts: inBatches(upserts), removals: inBatches(removals), byteCount };
  }

  /**
   * Encodes everything but definitions into rows, entries become written, and the index takes the
   * rows. `builder(i)` gives the builder of the i-th row of this transaction. Deltas are in the
   * first row, whose id is the `nextRowId` under which the index noted their facts.
   */
  take(commitMs: number, builder: (rowNumber: number) => RowBuilder): BuiltRow[] {
    this.#spareBufferedPuts();
    const built: BuiltRow[] = [];
    const hasDeltas = this.#listed.length + this.#stateQueues.length + this.#drops.length > 0;
    let at = 0;
    while (at < this.#entries.length || (built.length === 0 && hasDeltas)) {
      const target = builder(built.length);
      target.begin(commitMs);
      const rowId = this.#index.nextRowId;
      const freshStates: number[] = [];
      at = this.#addEntries(target, at, rowId, freshStates);
      if (target.entryCount === 0 && !(built.length === 0 && hasDeltas)) break;
      this.#index.nextRowId += 1;
      const row = target.sealPuts(rowId);
      if (built.length === 0) this.#writeDeltas(target);
      for (const slot of freshStates) this.#writeState(target, slot);
      const result = target.seal(row);
      this.#index.addRow(row);
      for (const { queue, run } of result.puts) this.#index.addRun(queue, run, rowId);
      built.push(result);
    }
    this.#reset();
    return built;
  }

  /** Adds buffered entries from number `at` until the row is full; returns where it stopped. */
  #addEntries(target: RowBuilder, at: number, rowId: number, freshStates: number[]): number {
    const entries = this.#entries;
    const nextBodyId = (): number => this.#nextBodyId++;
    let i = at;
    let lastMessage: unknown;
    for (; i < entries.length; i += 1) {
      const entry = entries[i]!;
      const queue = this.#queues[i]!;
      queue.pendingFirst = Infinity;
      if (entry.storeState !== STORE_PENDING) continue;
      if (queue.isDropped) {
        entry.storeState = STORE_CANCELLED;
        continue;
      }
      const { message } = entry;
      // Never between two entries of one message: its record and large body have one owner.
      if (message !== lastMessage && target.dataBytes >= this.#rowBytesMax) break;
      lastMessage = message;
      entry.storeState = STORE_WRITTEN;
      target.add(queue, entry.sequence, message, this.#survives[i]!, entry.expiresAtMs, nextBodyId);
      const fields = this.#recorded.get(entry) ?? entry;
      if (isUnusual(fields)) {
        const { states } = this.#index;
        freshStates.push(states.set(queue, entry.sequence, stateFieldsOf(fields), rowId));
      }
    }
    return i;
  }

  #writeDeltas(target: RowBuilder): void {
    const { index } = target;
    for (const queue of this.#listed) {
      if (queue.isDropped) continue;
      const ranges = mergeRanges(queue.settled);
      for (let i = 0; i < ranges.length; i += 2) {
        writeSettle(index, queue.id, ranges[i]!, ranges[i + 1]! - ranges[i]!);
      }
      if (queue.isMarkBuffered) writeMark(index, queue.id, queue.deliveredBelow);
    }
    const { states } = this.#index;
    for (const [at, queue] of this.#stateQueues.entries()) {
      const slot = states.find(queue, this.#stateSequences[at]!);
      // Settled, or its queue dropped, since.
      if (slot === NO_STATE) continue;
      states.unbuffer(slot);
      this.#writeState(target, slot);
    }
    for (const queueId of this.#drops) writeDrop(index, queueId);
  }

  #writeState(target: RowBuilder, slot: number): void {
    const { states } = this.#index;
    const { id } = states.queueOf(slot);
    writeState(target.index, id, states.sequenceOf(slot), states.fieldsOf(slot));
  }

  /**
   * A range settled before a put with a sequence inside it (an entry paged out late) must not
   * settle that too: a row's settlements apply after its puts.
   */
  #spareBufferedPuts(): void {
    const spared = new Map<QueueIndex, number[]>();
    for (const queue of this.#listed) {
      if (queue.pendingFirst === Infinity || queue.settled.length === 0) continue;
      queue.settled = mergeRanges(queue.settled);
      if (queue.pendingFirst < queue.settled.at(-1)!) spared.set(queue, []);
    }
    if (spared.size === 0) return;
    for (let i = 0; i < this.#entries.length; i += 1) {
      const { storeState, sequence } = this.#entries[i]!;
      if (storeState === STORE_PENDING) spared.get(this.#queues[i]!)?.push(sequence);
    }
    for (const [queue, sequences] of spared) {
      queue.settled = subtractValues(queue.settled, sequences);
    }
  }

  #list(queue: QueueIndex): void {
    if (queue.isListed) return;
    queue.isListed = true;
    this.#listed.push(queue);
  }

  #reset(): void {
    this.#entries = [];
    this.#queues = [];
    this.#survives = [];
    for (const queue of this.#listed) {
      queue.settled = [];
      queue.isMarkBuffered = false;
      queue.isListed = false;
    }
    this.#listed = [];
    this.#stateQueues = [];
    this.#stateSequences = [];
    if (this.#recorded.size > 0) this.#recorded = new Map();
    this.#drops = [];
    this.#byteCount = 0;
  }
}

function sizeOf(change: DefinitionChange | undefined): number {
  if (change === undefined) return 0;
  const { kind, key, value } = change;
  // What is not asked for yet is counted when it is.
  const valueLength = typeof value === 'string' ? value.length : 0;
  return ENTRY_OVERHEAD_BYTES + kind.length + key.length + valueLength;
}

/** The texts of `changes`, each a JSON array of some of them. */
function inBatches(changes: readonly string[][]): string[] {
  const texts: string[] = [];
  let batch: string[][] = [];
  let length = 0;
  for (const change of changes) {
    batch.push(change);
    for (const field of change) length += field.length;
    if (length < DEFINITIONS_TEXT_MAX) continue;
    texts.push(JSON.stringify(batch));
    batch = [];
    length = 0;
  }
  if (batch.length > 0) texts.push(JSON.stringify(batch));
  return texts;
}

/** Whether an entry has state that a fresh one has not. */
function isUnusual(entry: StateFields): boolean {
  return (
    entry.receiveCount !== 0 ||
    entry.notBeforeMs !== 0 ||
    entry.leaseUntilMs !== Infinity ||
    entry.firstReceivedAtMs !== 0 ||
    entry.isRedelivered
  );
}

/** A snapshot of the changeable state of an entry. */
export function stateFieldsOf(entry: StateFields): StateFields {
  const { receiveCount, notBeforeMs, leaseUntilMs } = entry;
  const { firstReceivedAtMs, expiresAtMs, isRedelivered } = entry;
  return {
    receiveCount,
    notBeforeMs,
    leaseUntilMs,
    firstReceivedAtMs,
    expiresAtMs,
    isRedelivered,
  };
}
