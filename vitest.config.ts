import { defineConfig } from 'vitest/config';

/** The fast suite: in process, no network but loopback. Conformance has its own configuration. */
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Generous: a busy machine is no fault, and nothing waits that long unless something is broken.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 60_000 } },
    // Modules are stateless by rule, so files may share a worker: it saves a start per file.
    isolate: false,
  },
});
