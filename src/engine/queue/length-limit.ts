import { EXPIRIES_PER_TURN } from '../../base/limits.ts';
import type { Message } from '../message.ts';
import type { EntryLife } from './entry-life.ts';
import { hasLengthLimit, isOverLimit } from './overflow.ts';
import type { Queue, QueueHost } from './queue.ts';

/** Keeps a queue within its length limits by dropping from the head, a turn's share at a time. */
export class LengthLimit {
  readonly #life: EntryLife;
  readonly #queue: Queue;
  readonly #host: QueueHost;
  /** Over a limit by entries that must be read before they can be dropped, or by very many. */
  #hasExcess: boolean;
  /** `trim` drops when consumers have had their share. */
  #isTrimming: boolean;

  constructor(queue: Queue, host: QueueHost, life: EntryLife) {
    this.#life = life;
    this.#queue = queue;
    this.#host = host;
    this.#hasExcess = false;
    this.#isTrimming = false;
  }

  get isOver(): boolean {
    return isOverLimit(this.#queue.settings, this.#life.levels.count, this.#bodyBytes);
  }

  /** True when one more message is too many although consumers took what they could. */
  isFullFor(message: Message): boolean {
    if (!this.#wouldExceed(message)) return false;
    this.#queue.deliver();
    return this.#wouldExceed(message);
  }

  /** Drops from the head until the limits hold; consumers waiting take theirs first. */
  trim(): void {
    this.#isTrimming = true;
    this.#queue.deliver();
    this.#isTrimming = false;
    this.#drop();
  }

  /**
   * Goes on with what had to be read first, or was more than a turn's share, and drops what came
   * back above the limits and found nobody to take it.
   */
  resume(): void {
    if (this.#isTrimming) return;
    const { settings } = this.#queue;
    const isDropping = hasLengthLimit(settings) && settings.overflow === 'drop-head';
    if (this.#hasExcess || (isDropping && this.isOver)) this.#drop();
  }

  #wouldExceed(message: Message): boolean {
    const bytes = this.#bodyBytes + message.bodyBytes;
    return isOverLimit(this.#queue.settings, this.#life.levels.count + 1, bytes);
  }

  /** Of ready messages, as far as they are known not to be leased since before the restart. */
  get #bodyBytes(): number {
    const { leases, levels } = this.#life;
    return leases?.isExpecting === true ? 0 : levels.bodyBytes;
  }

  #drop(): void {
    this.#hasExcess = false;
    for (let budget = EXPIRIES_PER_TURN; this.isOver; budget -= 1) {
      const backlog = this.#life.levels.top();
      const entry = backlog?.peek();
      if (backlog === undefined || entry === undefined || budget === 0) {
        this.#hasExcess = true;
        if (entry === undefined) backlog?.pageIn();
        else this.#host.markDirty(this.#queue);
        return;
      }
      backlog.shift();
      this.#life.die(backlog, entry, 'maxlen');
    }
  }
}
