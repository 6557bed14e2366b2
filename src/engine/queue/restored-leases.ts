import { PAGE_IN_BYTES } from '../../base/limits.ts';
import type { Entry } from '../message.ts';
import type { QueueId, Store } from '../ports.ts';

/** Entries asked for in one read. */
const READ_COUNT = 64;

/**
 * Reads entries that were leased before the restart, a page after the other in the order of
 * `sequences` (rising), and tells of each once: what is not there any more as undefined.
 *
 * @param isWanted asked before each read; the queue may have been deleted meanwhile
 */
export function readLeased(
  store: Store,
  id: QueueId,
  sequences: readonly number[],
  isWanted: () => boolean,
  onEntry: (sequence: number, entry: Entry | undefined) => void,
): void {
  let position = 0;
  const readOn = () => {
    const from = sequences[position];
    if (from === undefined || !isWanted()) return;
    store.read(id, from, READ_COUNT, PAGE_IN_BYTES, (entries, end) => {
      const found = new Map(entries.map((entry) => [entry.sequence, entry]));
      const last = Math.max(end, from + 1);
      for (; position < sequences.length && sequences[position]! < last; position += 1) {
        const sequence = sequences[position]!;
        onEntry(sequence, found.get(sequence));
      }
      readOn();
    });
  };
  readOn();
}
