/**
 * Entries on disk, read before they are due and kept here until they leave.
 *
 * They come due in an order of their own, but rows hold them in that of publishing, and to read one
 * entry is to load its row. Reading many at once, by sequence, loads a row once for all entries of
 * it that will soon be due; and what is due is in memory already.
 *
 * The order of due times (timed-entries.ts) stays the truth: this is a cache of its first part, and
 * nothing leaves the order by being read. `find` may answer for an entry that has gone or was
 * re-timed, for which nobody asks; the next `fill` forgets it.
 *
 *   look at nextFillMs --- fill ---> READING, some at a time ---> all read, or too many bytes
 *
 * How many are taken follows from their size: as many as DELAYED_RESIDENT_BYTES hold. The next fill
 * comes when half of the time that the last one reached ahead is over.
 */
import { DELAYED_RESIDENT_BYTES, DELAYED_RESIDENT_ENTRIES } from '../../base/limits.ts';
import type { Entry } from '../message.ts';
import type { TimedEntries } from './timed-entries.ts';

/** Entries of the first fill, whose sizes nobody knows. */
const FIRST_LIMIT = 64;
/** Growth from one fill to the next at most. */
const GROWTH = 4;
/** Reads under way at once: each may be large, and other readers wait behind them. */
const READS_MAX = 32;
/** How far ahead of its due time an entry is read. */
const AHEAD_MS = 60_000;

export class ReadAhead {
  readonly #entries: TimedEntries;
  /** What has been read; undefined for an entry that the store could not give. */
  #read: Map<number, Entry | undefined>;
  #readBytes: number;
  /** By sequence; those before `#at` have been asked for. */
  #unread: number[];
  #at: number;
  #underWay: number;
  /** Reads are being started: those that answer at once must not start others. */
  #isStarting: boolean;
  /** What the fill under way was asked for. */
  #isHurried: boolean;
  #wantedCount: number;
  #done: () => void;
  /** Entries the next fill takes. */
  #limit: number;
  #nextFillMs: number;
  /** Discards what comes back late: counts up with each `clear`. */
  #era: number;

  constructor(entries: TimedEntries) {
    this.#entries = entries;
    this.#read = new Map();
    this.#readBytes = 0;
    this.#unread = [];
    this.#at = 0;
    this.#underWay = 0;
    this.#isStarting = false;
    this.#isHurried = false;
    this.#wantedCount = 0;
    this.#done = () => {};
    this.#limit = FIRST_LIMIT;
    this.#nextFillMs = 0;
    this.#era = 0;
  }

  /** A fill is under way. */
  get isReading(): boolean {
    return this.#underWay > 0;
  }

  /** ... and takes only what is due. */
  get isHurried(): boolean {
    return this.isReading && this.#isHurried;
  }

  /** Wall ms at which `fill` should be called, unless one is under way; Infinity: not at all. */
  get nextFillMs(): number {
    return this.#entries.count > this.#entries.residentCount ? this.#nextFillMs : Infinity;
  }

  /** An entry that is in memory, here or there. */
  find(sequence: number): Entry | undefined {
    return this.#entries.inMemory(sequence) ?? this.#read.get(sequence);
  }

  /** True when a read came back without the entry: a damaged row was set aside with it. */
  isLost(sequence: number): boolean {
    return this.#read.has(sequence) && this.#read.get(sequence) === undefined;
  }

  /** Forgets an entry that has left the order. */
  forget(sequence: number): void {
    const entry = this.#read.get(sequence);
    if (!this.#read.delete(sequence) || entry === undefined) return;
    this.#readBytes -= entry.message.byteCount;
  }

  /**
   * Reads the first entries of the order that are not in memory; `done` when they have come.
   * Returns true when they came at once: then `done` is not called.
   *
   * @param isHurried only what is due by now, because somebody waits for it: what was being read
   *   stays to be read after that
   */
  fill(nowMs: number, isHurried: boolean, done: () => void): boolean {
    const wanted = this.#chooseNext(nowMs);
    const kept = new Map<number, Entry | undefined>();
    this.#readBytes = 0;
    for (const [sequence] of wanted) {
      const entry = this.#read.get(sequence);
      if (entry === undefined) continue;
      kept.set(sequence, entry);
      this.#readBytes += entry.message.byteCount;
    }
    this.#read = kept;
    this.#unread = [];
    for (const [sequence, atMs] of wanted) {
      if (isHurried && atMs > nowMs) break;
      if (this.find(sequence) === undefined) this.#unread.push(sequence);
    }
    this.#unread.sort((a, b) => a - b);
    this.#at = 0;
    if (isHurried) this.#nextFillMs = nowMs;
    this.#isHurried = isHurried;
    this.#wantedCount = wanted.length;
    this.#done = done;
    return this.#unread.length > 0 && this.#readOn();
  }

  /** Forgets everything, what is being read as well. */
  clear(): void {
    this.#read = new Map();
    this.#readBytes = 0;
    this.#unread = [];
    this.#at = 0;
    this.#underWay = 0;
    this.#nextFillMs = 0;
    this.#era += 1;
  }

  /** The first entries of the order, with their times; notes when to look again. */
  #chooseNext(nowMs: number): [sequence: number, atMs: number][] {
    const wanted: [number, number][] = [];
    const untilMs = nowMs + AHEAD_MS;
    // With all of it in memory: what is put and let go meanwhile is found then.
    this.#nextFillMs = untilMs;
    this.#entries.visitInOrder((sequence, atMs) => {
      if (wanted.length < this.#limit && atMs <= untilMs) {
        wanted.push([sequence, atMs]);
        return true;
      }
      this.#nextFillMs = Math.max((nowMs + atMs) / 2, atMs - AHEAD_MS);
      return false;
    });
    return wanted;
  }

  /** Starts reads; returns true when all have ended. */
  #readOn(): boolean {
    const era = this.#era;
    this.#isStarting = true;
    while (this.#at < this.#unread.length && this.#underWay < READS_MAX) {
      // What somebody waits for is read whatever is here already.
      const isNeeded = this.#isHurried && this.#at === 0;
      if (this.#readBytes > DELAYED_RESIDENT_BYTES && !isNeeded) break;
      const sequence = this.#unread[this.#at]!;
      this.#at += 1;
      this.#underWay += 1;
      this.#entries.read(sequence, (entry) => {
        if (era !== this.#era) return;
        this.#underWay -= 1;
        this.#note(sequence, entry);
        if (!this.#isStarting && this.#readOn()) this.#done();
      });
    }
    this.#isStarting = false;
    if (this.#underWay > 0) return false;
    this.#adapt();
    return true;
  }

  /** A hurried fill may have asked for what was on its way already. */
  #note(sequence: number, entry: Entry | undefined): void {
    this.forget(sequence);
    this.#read.set(sequence, entry);
    if (entry !== undefined) this.#readBytes += entry.message.byteCount;
  }

  /** How many fit follows from the sizes seen; fewer than now when there were too many bytes. */
  #adapt(): void {
    const fitting = Math.floor((DELAYED_RESIDENT_BYTES * this.#read.size) / (this.#readBytes + 1));
    const isFull = this.#wantedCount === this.#limit && !this.#isHurried;
    const wanted = isFull ? GROWTH * this.#limit : this.#limit;
    this.#limit = Math.max(1, Math.min(wanted, fitting, DELAYED_RESIDENT_ENTRIES));
    this.#isHurried = false;
  }
}
