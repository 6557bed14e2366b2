/** The randomness port: names and tokens. Seeded in tests and simulations. */
export interface RandomSource {
  /** `byteCount` random bytes, owned by the caller. */
  bytes(byteCount: number): Uint8Array;
}
