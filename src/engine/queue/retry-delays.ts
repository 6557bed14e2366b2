/**
 * Deliveries that came back and wait before they are tried again (`x-delayed-retry-*` of quorum
 * queues, RabbitMQ 4.3): the delay grows with the count of failures up to a maximum.
 *
 * What waits is neither ready nor unacked, and keeps its place in the queue. The wait is not on
 * disk: after a restart it is over.
 */
import { DeadlineHeap } from '../../base/deadline-heap.ts';
import type { Entry } from '../message.ts';
import { ENTRY_DELAYED, ENTRY_SETTLED } from '../message.ts';
import type { QueueSettings } from './settings.ts';

/** Ms a returned delivery waits; 0: none. `isFailure`: it was refused, not merely returned. */
export function retryDelayMs(settings: QueueSettings, entry: Entry, isFailure: boolean): number {
  const type = settings.delayedRetryType;
  if (type === 'disabled') return 0;
  if (type === 'failed' && !isFailure) return 0;
  if (type === 'returned' && isFailure) return 0;
  const minMs = settings.delayedRetryMinMs ?? 0;
  const maxMs = settings.delayedRetryMaxMs ?? Infinity;
  return Math.min(minMs * Math.max(entry.receiveCount, 1), maxMs);
}

export class RetryDelays {
  readonly #waiting: DeadlineHeap<Entry>;

  constructor() {
    this.#waiting = new DeadlineHeap();
  }

  /** Entries that wait. */
  get count(): number {
    return this.#waiting.length;
  }

  /** Wall ms at which the first is to be tried again; Infinity without any. */
  get nextMs(): number {
    return this.#waiting.nextKey;
  }

  add(entry: Entry, dueAtMs: number): void {
    entry.state = ENTRY_DELAYED;
    this.#waiting.push(dueAtMs, entry);
  }

  /** The next whose time has come, or undefined. */
  takeDue(nowMs: number): Entry | undefined {
    return this.#waiting.nextKey <= nowMs ? this.#waiting.pop() : undefined;
  }

  /** Ends every wait; returns the entries, settled. */
  clear(): Entry[] {
    const waiting: Entry[] = [];
    this.#waiting.forEach((_, entry) => {
      entry.state = ENTRY_SETTLED;
      waiting.push(entry);
    });
    this.#waiting.clear();
    return waiting;
  }
}
