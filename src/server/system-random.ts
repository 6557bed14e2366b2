import { randomBytes } from 'node:crypto';
import type { RandomSource } from '../base/random.ts';

/** The operating system's randomness, fit for names that must not be guessed. */
export const systemRandom: RandomSource = {
  bytes: (byteCount) => randomBytes(byteCount),
};
