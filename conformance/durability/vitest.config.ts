import { defineConfig } from 'vitest/config';

/** Durability runs alone and one file at a time: it kills servers and measures restarts. */
export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ['**/*.test.ts'],
    // Generous: a busy machine is no fault, and nothing waits that long unless something is broken.
    testTimeout: 240_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 60_000 } },
    fileParallelism: false,
    reporters: ['default'],
  },
});
