import type { Logger } from '../base/logger.ts';

/** What a signal acts on. */
export interface Stoppable {
  stop(): Promise<void>;
  reloadTls(): void;
}

/** Time beyond the clients' own for the store to write what is left and close. */
const STORE_CLOSE_MS = 30_000;

/** One Ctrl+C under `npm start` arrives twice: from the terminal, and again through npm. */
const IMPATIENCE_MS = 1_000;

/**
 * SIGTERM and SIGINT stop in order and exit 0; a further SIGINT, not sooner than a second later,
 * exits at once with 1. SIGHUP reloads certificates. A stop that hangs ends with exit code 1
 * instead of waiting for a SIGKILL.
 */
export function stopOnSignals(server: Stoppable, logger: Logger, clientTimeoutMs: number): void {
  let stoppingSinceMs = Infinity;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stoppingSinceMs !== Infinity) {
      const isImpatient = performance.now() - stoppingSinceMs > IMPATIENCE_MS;
      if (signal !== 'SIGINT' || !isImpatient) return;
      logger.warn({ signal }, 'asked again, exiting at once');
      process.exit(1);
    }
    stoppingSinceMs = performance.now();
    logger.info({ signal }, 'stopping');
    const limitMs = clientTimeoutMs + STORE_CLOSE_MS;
    const watchdog = setTimeout(() => {
      logger.error({ limitMs }, 'stop took too long');
      process.exit(1);
    }, limitMs);
    server.stop().then(
      () => {
        clearTimeout(watchdog);
        logger.info({}, 'stopped');
        process.exit(0);
      },
      (error: Error) => {
        logger.error({ error: error.message, stack: error.stack }, 'stop failed');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  process.on('SIGHUP', () => server.reloadTls());
}
