import { defineConfig } from 'vitest/config';

/** Durability runs alone and one file at a time: it kills servers and measures restarts. */
export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ['**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 30_000,
    fileParallelism: false,
    reporters: ['default'],
  },
});
