import { PAGE_IN_BYTES } from '../../base/limits.ts';
import type { Entry } from '../message.ts';
import type { QueueId, Store } from '../ports.ts';

/** Which entries of a queue in the store are looked for. */
export interface WantedEntries {
  /** First sequence. */
  readonly from: number;
  readonly maxCount: number;
  /** Entries that may lie among them, about. */
  readonly unwantedCount: number;
  readonly isWanted: (entry: Entry) => boolean;
}

/**
 * Reads the first entries that are wanted, in as many pages as it takes: what comes after an unread
 * one must not be taken for the next. `done` gets what is still wanted then.
 */
export function readWanted(
  store: Store,
  queueId: QueueId,
  { from, maxCount, unwantedCount, isWanted }: WantedEntries,
  done: (entries: readonly Entry[]) => void,
): void {
  const found: Entry[] = [];
  const readOn = (next: number): void => {
    const count = maxCount - found.length + unwantedCount;
    store.read(queueId, next, count, PAGE_IN_BYTES, (entries, end) => {
      found.push(...entries.filter(isWanted));
      if (entries.length > 0 && found.length < maxCount) readOn(end);
      else done(found.filter(isWanted));
    });
  };
  readOn(from);
}
