import type { Ring } from '../../base/ring.ts';
import type { Entry } from '../message.ts';

/** The entry with that sequence, by binary search: sequences rise within a ring. */
export function findIn(ring: Ring<Entry>, sequence: number): Entry | undefined {
  let low = 0;
  let high = ring.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ring.at(middle)!.sequence < sequence) low = middle + 1;
    else high = middle;
  }
  const entry = ring.at(low);
  return entry?.sequence === sequence ? entry : undefined;
}
