/** When a failed push is tried again: CMQ's two strategies (reference 2.6). */
import type { RandomSource } from '../../base/random.ts';
import type { PushStrategy } from './push-transport.ts';

export const STRATEGIES: readonly PushStrategy[] = ['BACKOFF_RETRY', 'EXPONENTIAL_DECAY_RETRY'];

/** Tries after the first one. */
export const BACKOFF_RETRIES = 3;
/** Ms. */
export const BACKOFF_MIN_MS = 10_000;
/** Ms. */
export const BACKOFF_MAX_MS = 20_000;

/** Tries after the first one. With the delays below they take 86,015 s. */
export const DECAY_RETRIES = 176;
/** Retries before which the wait doubles: 1, 2, 4 ... 256 s. All later ones wait the longest. */
const DECAY_DOUBLINGS = 9;
/** Ms. */
export const DECAY_MAX_MS = 512_000;

/**
 * Ms to wait after a number of failed attempts; undefined when there is no further attempt.
 *
 * @param failedAttempts 1 or more
 */
export function retryDelayMs(
  strategy: PushStrategy,
  failedAttempts: number,
  random: RandomSource,
): number | undefined {
  if (strategy === 'BACKOFF_RETRY') {
    if (failedAttempts > BACKOFF_RETRIES) return undefined;
    return BACKOFF_MIN_MS + randomBelow(random, BACKOFF_MAX_MS - BACKOFF_MIN_MS + 1);
  }
  if (failedAttempts > DECAY_RETRIES) return undefined;
  if (failedAttempts > DECAY_DOUBLINGS) return DECAY_MAX_MS;
  return 1_000 * 2 ** (failedAttempts - 1);
}

/** A number in [0, bound). */
function randomBelow(random: RandomSource, bound: number): number {
  const [a = 0, b = 0, c = 0, d = 0] = random.bytes(4);
  return Math.floor(((a * 256 + b) * 65_536 + c * 256 + d) * (bound / 2 ** 32));
}
