import path from 'node:path';
import { defineConfig } from 'vitest/config';

/**
 * Conformance runs black box over real sockets. Without AMQP_URL every test file starts the built
 * server (`npm run build` first) on a free port and a fresh data directory.
 */
export default defineConfig({
  test: {
    root: path.resolve(import.meta.dirname, '..'),
    include: ['amqp', 'browser', 'cmq', 'cross', 'hostile', 'mqtt', 'stomp', 'websocket'].map(
      (suite) => `conformance/${suite}/**/*.test.ts`,
    ),
    globalSetup: ['conformance/support/target.ts'],
    // Generous: a busy machine is no fault, and nothing waits that long unless something is broken.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 60_000 } },
    // On two processors: many tests wait for real time to pass.
    maxWorkers: 3,
    reporters: ['default'],
  },
});
