import type { Logger } from '../base/logger.ts';

/** What a signal acts on. */
export interface Stoppable {
  stop(): Promise<void>;
  reloadTls(): void;
}

/** Time beyond the clients' own for the store to write what is left and close. */
const STORE_CLOSE_MS = 30_000;

/**
 * SIGTERM and SIGINT stop in order and exit 0; a second one exits at once with 1. SIGHUP reloads
 * certificates. A stop that hangs ends with exit code 1 instead of waiting for a SIGKILL.
 */
export function stopOnSignals(server: Stoppable, logger: Logger, clientTimeoutMs: number): void {
  let isStopping = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (isStopping) {
      logger.warn({ signal }, 'second signal, exiting at once');
      process.exit(1);
    }
    isStopping = true;
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
