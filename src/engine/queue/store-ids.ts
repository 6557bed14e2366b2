/** A store id holds the epoch above 32 bits of counter. */
export const ID_EPOCH_FACTOR = 2 ** 32;

/** Store ids a queue may use: one per priority level (0 to 255), the delayed, the rewindable. */
export const IDS_PER_QUEUE = 512;

/** Sequences stay below 2^44: a level and a sequence make one exact number. */
export const LEVEL_FACTOR = 2 ** 44;

/** Names an entry within its queue. */
export function placeKey(level: number, sequence: number): number {
  return level * LEVEL_FACTOR + sequence;
}
