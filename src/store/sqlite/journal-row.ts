/** What the process keeps in memory of one journal row, and of one run of entries in it. */

/** A run of this many bytes is long enough: reading it loads not much that is another's. */
const LONG_RUN_BYTES = 16 * 1024;

/** How many bits of a byte are set. */
const ONES = Uint8Array.from({ length: 256 }, (_, byte) => {
  let count = 0;
  for (let rest = byte; rest > 0; rest >>>= 1) count += rest & 1;
  return count;
});

/** One row of table `journal`. Slots are its entries, in the order of its index. */
export class JournalRow {
  readonly id: number;
  readonly slotCount: number;
  /** Slots that held an entry when the row was written: all but the gaps. */
  readonly bornCount: number;
  /** Bytes of both columns and of the bodies it owns. */
  readonly totalBytes: number;
  /** Put records in its index: the memory its entries cost. */
  readonly runCount: number;
  /** Ids in table `body` that go when this row goes. */
  bodyIds: readonly number[] | undefined;
  /** Wall ms of its commit. */
  readonly commitMs: number;
  liveCount: number;
  /** One bit per slot, set when settled; undefined while none is (or when all are). */
  settledBits: Uint8Array | undefined;
  /**
   * Lowest row id holding a settlement of this row's entries that no checkpoint has saved; 0 when
   * there is none.
   */
  dirtyFrom: number;
  /** Table `settled` has a record for it. */
  isCheckpointed: boolean;
  /** Why it, or a body it owns, cannot be read. */
  fault: string | undefined;
  /** Being moved by the transaction under construction. */
  isVictim: boolean;
  /** Written by the cleaner. */
  isMoved: boolean;
  /** Has messages that went to several queues: taking them apart would multiply their bytes. */
  readonly isShared: boolean;

  constructor(
    id: number,
    slotCount: number,
    bornCount: number,
    totalBytes: number,
    runCount: number,
    bodyIds: readonly number[] | undefined,
    commitMs: number,
    isShared: boolean,
  ) {
    this.id = id;
    this.slotCount = slotCount;
    this.bornCount = bornCount;
    this.totalBytes = totalBytes;
    this.runCount = runCount;
    this.bodyIds = bodyIds;
    this.commitMs = commitMs;
    this.liveCount = slotCount;
    this.settledBits = undefined;
    this.dirtyFrom = 0;
    this.isCheckpointed = false;
    this.fault = undefined;
    this.isVictim = false;
    this.isMoved = false;
    this.isShared = isShared;
  }

  /** Its entries may be written queue by queue, into several rows. */
  get mayScatter(): boolean {
    return !this.isShared && this.bodyIds === undefined;
  }

  /** Many queues have a few entries each in it. */
  get isScattered(): boolean {
    return this.mayScatter && this.runCount > 1 && this.totalBytes < this.runCount * LONG_RUN_BYTES;
  }

  /** 0, 1, 2: the longer its runs. Rows of one class are gathered together. */
  get scatterClass(): number {
    const runBytes = this.totalBytes / this.runCount;
    if (runBytes * 16 < LONG_RUN_BYTES) return 0;
    return runBytes * 4 < LONG_RUN_BYTES ? 1 : 2;
  }

  /** Whether the entry in a slot is gone. */
  isSettled(slot: number): boolean {
    if (this.liveCount === 0) return true;
    const bits = this.settledBits;
    return bits !== undefined && (bits[slot >>> 3]! & (1 << (slot & 7))) !== 0;
  }

  /** Settles a slot; false when it was already. The caller keeps the counts of the run. */
  settleSlot(slot: number): boolean {
    if (this.liveCount === 0) return false;
    if (this.liveCount > 1 || this.settledBits !== undefined) {
      this.settledBits ??= new Uint8Array((this.slotCount + 7) >>> 3);
      const bits = this.settledBits;
      const bit = 1 << (slot & 7);
      if ((bits[slot >>> 3]! & bit) !== 0) return false;
      bits[slot >>> 3]! |= bit;
    }
    this.liveCount -= 1;
    if (this.liveCount === 0) this.settledBits = undefined;
    return true;
  }

  /**
   * Settles the slots [first, end), byte by byte of the bits; returns how many were live. The
   * caller keeps the counts of the run.
   */
  settleSlots(first: number, end: number): number {
    let count = this.liveCount;
    if (count === 0) return 0;
    if (this.settledBits === undefined && end - first === count) {
      this.liveCount = 0;
      return count;
    }
    this.settledBits ??= new Uint8Array((this.slotCount + 7) >>> 3);
    const bits = this.settledBits;
    count = 0;
    for (let at = first >>> 3; at * 8 < end; at += 1) {
      const low = Math.max(0, first - at * 8);
      const high = Math.min(8, end - at * 8);
      const live = ~bits[at]! & ((0xff >>> (8 - high)) & (0xff << low));
      bits[at]! |= live;
      count += ONES[live]!;
    }
    this.liveCount -= count;
    if (this.liveCount === 0) this.settledBits = undefined;
    return count;
  }

  /** Average bytes of an entry, for estimates of live bytes. */
  get entryBytes(): number {
    return this.bornCount === 0 ? 0 : this.totalBytes / this.bornCount;
  }

  /** More than half of it is garbage. */
  get isMostlyGarbage(): boolean {
    return this.liveCount * 2 < this.bornCount;
  }
}

/** Consecutive sequences of one queue in consecutive slots of one row. */
export class Run {
  readonly first: number;
  readonly count: number;
  readonly row: JournalRow;
  readonly slotBase: number;
  readonly survives: boolean;
  /**
   * How much earlier than its row the newest of its entries was committed: 0 unless moved. Kept as
   * a small integer because there may be many runs and a float field is an object of its own.
   */
  readonly #lagMs: number;
  liveCount: number;

  constructor(
    first: number,
    count: number,
    row: JournalRow,
    slotBase: number,
    survives: boolean,
    timeMs: number,
  ) {
    this.first = first;
    this.count = count;
    this.row = row;
    this.slotBase = slotBase;
    this.survives = survives;
    this.#lagMs = Math.max(0, Math.round(row.commitMs - timeMs));
    this.liveCount = count;
  }

  /** Newest commit time of its entries, wall ms. */
  get timeMs(): number {
    return this.row.commitMs - this.#lagMs;
  }

  /** Lowest live sequence >= `from` in this run, or Infinity. */
  firstLive(from: number): number {
    if (this.liveCount === 0) return Infinity;
    const bits = this.row.settledBits;
    const end = this.first + this.count;
    let sequence = Math.max(from, this.first);
    if (bits === undefined) return sequence < end ? sequence : Infinity;
    while (sequence < end) {
      const slot = this.slotBase + (sequence - this.first);
      const byte = bits[slot >>> 3]!;
      if (byte === 0xff) sequence += 8 - (slot & 7);
      else if ((byte & (1 << (slot & 7))) !== 0) sequence += 1;
      else return sequence;
    }
    return Infinity;
  }

  /** Highest live sequence < `end` in this run, or -1. */
  lastLive(end: number): number {
    if (this.liveCount === 0) return -1;
    const bits = this.row.settledBits;
    let sequence = Math.min(end, this.first + this.count) - 1;
    if (bits === undefined) return sequence >= this.first ? sequence : -1;
    while (sequence >= this.first) {
      const slot = this.slotBase + (sequence - this.first);
      const byte = bits[slot >>> 3]!;
      if (byte === 0xff) sequence -= (slot & 7) + 1;
      else if ((byte & (1 << (slot & 7))) !== 0) sequence -= 1;
      else return sequence;
    }
    return -1;
  }
}
