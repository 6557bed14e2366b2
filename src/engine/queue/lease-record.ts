/**
 * What the disk holds of a lease by handle, in the one number it has for it: when it ends, and
 * which start of the gateway gave it.
 *
 *      52  51                                   9            0
 *     +---+--------------------------------------+-------------+
 *     | 1 | wall ms at which it ends             | start       |
 *     +---+--------------------------------------+-------------+
 *
 * The start is part of the handle: a receive is answered before its lease is on disk, and when the
 * gateway dies in between the next receiver of the message is the n-th once more. Records without
 * bit 52 are of builds before this: the end alone.
 */
import { type Entry, STORE_PENDING } from '../message.ts';

/** Starts are told apart modulo this. */
const EPOCHS = 1_024;
const MARK = 2 ** 52;
/** The latest end that can be told; clients may ask for more. */
const UNTIL_MS_MAX = 2 ** 42 - 1;

/** Start of a lease of which the disk does not tell it. */
export const UNKNOWN_EPOCH = -1;

export interface LeaseRecord {
  /** Wall ms. */
  readonly untilMs: number;
  /** Modulo 1,024, or UNKNOWN_EPOCH. */
  readonly epoch: number;
}

/** A start of the gateway as leases know it. */
export function leaseEpoch(startCount: number): number {
  return startCount % EPOCHS;
}

/** The number for the disk. */
export function encodeLease({ untilMs, epoch }: LeaseRecord): number {
  if (epoch === UNKNOWN_EPOCH) return untilMs;
  return MARK + Math.min(Math.ceil(untilMs), UNTIL_MS_MAX) * EPOCHS + epoch;
}

/** True while the put that waits for its commit would tell of a lease, of whatever kind. */
export function isToldByPut(entry: Entry): boolean {
  return entry.storeState === STORE_PENDING && entry.leaseUntilMs !== Infinity;
}

/** The reverse. */
export function decodeLease(recorded: number): LeaseRecord {
  if (recorded < MARK) return { untilMs: recorded, epoch: UNKNOWN_EPOCH };
  const epoch = recorded % EPOCHS;
  return { untilMs: (recorded - MARK - epoch) / EPOCHS, epoch };
}
