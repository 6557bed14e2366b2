import { defineConfig } from 'vitest/config';

/** The fast suite: in process, no network but loopback. Conformance has its own configuration. */
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 20_000,
    // Modules are stateless by rule, so files may share a worker: it saves a start per file.
    isolate: false,
  },
});
