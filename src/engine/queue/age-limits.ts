/**
 * Age limits: how long a message may be in a queue, counted from its publishing.
 *
 *     retention   at publishedAt + retentionMs    it is dropped, whatever its state
 *     age limit   at publishedAt + ageLimitMs     it is dead-lettered, unless it is leased then;
 *                 messages older than the limit itself (ageLimitFromMs) are exempt, and so
 *                 are those that were taken back by a rewind
 *
 * Both act without a receive and anywhere in the queue. Messages lie in the order of publishing
 * almost always, so looking at the head is enough. One that does not (released from a delay,
 * rewound, or published while exempt ones stand before it) is a *stray*: it is remembered here by
 * its own deadline and taken out of the middle. Strays are few; their mark on disk is
 * `Entry.notBeforeMs`, the time their age counts from.
 */
import { DeadlineHeap } from '../../base/deadline-heap.ts';
import type { Entry, Message } from '../message.ts';
import type { PriorityLevels } from './priority-levels.ts';
import type { QueueSettings } from './settings.ts';
import { placeKey } from './store-ids.ts';

/** What an age limit does to a message: nothing yet, end it silently, or dead-letter it. */
export type Fate = 'stays' | 'drop' | 'dead-letter';

/** Strays from which on gone ones are dropped from the heap. */
const SWEEP_FROM = 1_024;

export interface Stray {
  readonly level: number;
  readonly sequence: number;
  readonly publishedAtMs: number;
  /** Back from the rewind window: only retention ends it. */
  readonly isRewound: boolean;
  /** Known by its time only since the restart: it may be a rewound one. */
  readonly isUnread?: boolean;
}

export class AgeLimits {
  #retentionMs: number;
  #ageLimitMs: number;
  #ageLimitFromMs: number;
  #newestMs: number;
  /** Messages that are exempt from the age limit for being older may be in the queue. */
  #mayHaveExempt: boolean;
  /** Made with the first: most queues have none. */
  #strays: Map<number, Stray> | undefined;
  /** Strays that the age limit does not end, or may not: what lies behind them is stray, too. */
  #lastingCount: number;
  /** Made with them. */
  #deadlines: DeadlineHeap<Stray> | undefined;
  #sweepAt: number;

  constructor(settings: QueueSettings) {
    this.#retentionMs = Infinity;
    this.#ageLimitMs = Infinity;
    this.#ageLimitFromMs = 0;
    this.#newestMs = 0;
    this.#mayHaveExempt = false;
    this.#strays = undefined;
    this.#lastingCount = 0;
    this.#deadlines = undefined;
    this.#sweepAt = SWEEP_FROM;
    this.configure(settings);
  }

  get isSet(): boolean {
    return this.#retentionMs !== Infinity || this.#ageLimitMs !== Infinity;
  }

  /** Wall ms of the next stray's deadline; Infinity without any. */
  get nextMs(): number {
    return this.#deadlines?.nextKey ?? Infinity;
  }

  get strayCount(): number {
    return this.#strays?.size ?? 0;
  }

  /** Takes new limits; those present are held to them at once. */
  configure(settings: QueueSettings): void {
    this.#retentionMs = settings.retentionMs ?? Infinity;
    this.#ageLimitMs = settings.ageLimitMs ?? Infinity;
    const fromMs = settings.ageLimitFromMs ?? 0;
    if (fromMs !== this.#ageLimitFromMs) this.#mayHaveExempt = fromMs > 0;
    this.#ageLimitFromMs = fromMs;
    this.#rebuild();
  }

  /** Wall ms at which the first of the limits ends the message while it is ready. */
  deadlineMs(publishedAtMs: number, isRewound: boolean): number {
    return Math.min(this.retentionEndMs(publishedAtMs), this.#ageEndMs(publishedAtMs, isRewound));
  }

  /** When the oldest stray that is still in the queue was published (wall ms); Infinity. */
  get oldestStrayMs(): number {
    let oldestMs = Infinity;
    for (const stray of this.#strays?.values() ?? [])
      oldestMs = Math.min(oldestMs, stray.publishedAtMs);
    return oldestMs;
  }

  /** Wall ms at which retention ends the message, leased or not. */
  retentionEndMs(publishedAtMs: number): number {
    return publishedAtMs + this.#retentionMs;
  }

  fate(message: Message, isRewound: boolean, nowMs: number): Fate {
    const { publishedAtMs } = message;
    const ageEndMs = this.#ageEndMs(publishedAtMs, isRewound);
    const retentionEndMs = this.retentionEndMs(publishedAtMs);
    if (ageEndMs <= nowMs && ageEndMs <= retentionEndMs) return 'dead-letter';
    return retentionEndMs <= nowMs ? 'drop' : 'stays';
  }

  /**
   * True when a message published then would not be found by looking at the head.
   *
   * @param isAlone no message stands before it
   */
  isStray(publishedAtMs: number, nowMs: number, isAlone: boolean): boolean {
    if (isAlone) this.#startOver();
    if (publishedAtMs < this.#ageLimitFromMs) this.#mayHaveExempt = true;
    if (publishedAtMs < this.#newestMs) return true;
    this.#newestMs = publishedAtMs;
    if (this.#ageLimitMs === Infinity) return false;
    if (this.#lastingCount > 0) return true;
    return this.#mayHaveExempt && nowMs < this.#ageLimitFromMs + this.#retentionMs;
  }

  /** Messages there, of before the restart or the first limit, were published before now. */
  begin(nowMs: number): void {
    this.#newestMs = nowMs;
  }

  /** Remembers a stray. */
  add(stray: Stray): void {
    const key = placeKey(stray.level, stray.sequence);
    this.#remove(key);
    this.#strays ??= new Map();
    this.#strays.set(key, stray);
    if (mayLast(stray)) this.#lastingCount += 1;
    if (this.#deadlineCount >= this.#sweepAt) this.#rebuild();
    this.#enter(stray);
  }

  /** The entry is gone for good. */
  forget(level: number, entry: Entry): void {
    if (entry.notBeforeMs > 0) this.#remove(placeKey(level, entry.sequence));
  }

  /** Every ready entry is gone; the leased ones, each of its level, are not. */
  forgetReady(leased: ReadonlySet<Entry> | undefined, levels: PriorityLevels): void {
    const kept: Stray[] = [];
    for (const { message, sequence } of leased ?? []) {
      const stray = this.#strays?.get(placeKey(levels.levelOf(message), sequence));
      if (stray !== undefined) kept.push(stray);
    }
    this.clear();
    for (const stray of kept) this.add(stray);
  }

  /** A stray whose deadline has passed; it may be leased at the moment. */
  takeDue(nowMs: number): Stray | undefined {
    while (this.nextMs <= nowMs) {
      const stray = this.#deadlines!.pop()!;
      if (this.#strays?.get(placeKey(stray.level, stray.sequence)) === stray) return stray;
    }
    return undefined;
  }

  clear(): void {
    this.#strays = undefined;
    this.#lastingCount = 0;
    this.#deadlines = undefined;
  }

  /** The queue is empty: whatever is remembered of it is stale. */
  #startOver(): void {
    this.#mayHaveExempt = false;
    if (this.strayCount > 0) this.clear();
  }

  #ageEndMs(publishedAtMs: number, isRewound: boolean): number {
    if (isRewound || publishedAtMs < this.#ageLimitFromMs) return Infinity;
    return publishedAtMs + this.#ageLimitMs;
  }

  #remove(key: number): void {
    const stray = this.#strays?.get(key);
    if (stray === undefined) return;
    this.#strays?.delete(key);
    if (mayLast(stray)) this.#lastingCount -= 1;
  }

  #enter(stray: Stray): void {
    const deadlineMs = this.deadlineMs(stray.publishedAtMs, stray.isRewound);
    if (deadlineMs === Infinity) return;
    this.#deadlines ??= new DeadlineHeap();
    this.#deadlines.push(deadlineMs, stray);
  }

  get #deadlineCount(): number {
    return this.#deadlines?.length ?? 0;
  }

  #rebuild(): void {
    this.#deadlines = undefined;
    for (const stray of this.#strays?.values() ?? []) this.#enter(stray);
    this.#sweepAt = Math.max(SWEEP_FROM, 2 * this.#deadlineCount);
  }
}

function mayLast({ isRewound, isUnread }: Stray): boolean {
  return isRewound || isUnread === true;
}
