import type { Logger } from '../base/logger.ts';

/** What a signal acts on. */
export interface Stoppable {
  stop(): Promise<void>;
  reloadTls(): void;
}

/** The process, as far as signals need it. */
export interface SignalledProcess {
  on(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown;
  exit(code: number): void;
}

/** Time beyond the clients' own for the store to write what is left and close. */
const STORE_CLOSE_MS = 30_000;

/** One Ctrl+C under `npm start` arrives twice: from the terminal, and again through npm. */
const IMPATIENCE_MS = 1_000;

/**
 * SIGTERM and SIGINT stop in order and exit 0; a further SIGINT, not sooner than a second later,
 * exits at once with 1. SIGHUP reloads certificates. A stop that hangs ends with exit code 1
 * instead of waiting for a SIGKILL. What comes while the server starts is done once it has: only
 * then is the data directory in order. A start that fails is left to the caller.
 *
 * @returns whether it has been told to stop
 */
export function obeySignals(
  starting: Promise<Stoppable>,
  logger: Logger,
  clientTimeoutMs: number,
  target: SignalledProcess = process,
): () => boolean {
  let stoppingSinceMs = Infinity;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stoppingSinceMs !== Infinity) {
      const isImpatient = performance.now() - stoppingSinceMs > IMPATIENCE_MS;
      if (signal !== 'SIGINT' || !isImpatient) return;
      logger.warn({ signal }, 'asked again, exiting at once');
      target.exit(1);
      return;
    }
    stoppingSinceMs = performance.now();
    logger.info({ signal }, 'stopping');
    const limitMs = clientTimeoutMs + STORE_CLOSE_MS;
    const watchdog = setTimeout(() => {
      logger.error({ limitMs }, 'stop took too long');
      target.exit(1);
    }, limitMs);
    const stop = async (server: Stoppable): Promise<void> => {
      try {
        await server.stop();
        logger.info({}, 'stopped');
        target.exit(0);
      } catch (error) {
        const { message, stack } = error as Error;
        logger.error({ error: message, stack }, 'stop failed');
        target.exit(1);
      } finally {
        clearTimeout(watchdog);
      }
    };
    starting.then(stop, () => clearTimeout(watchdog));
  };
  target.on('SIGTERM', onSignal);
  target.on('SIGINT', onSignal);
  target.on('SIGHUP', () => {
    starting.then(
      (server) => server.reloadTls(),
      () => undefined,
    );
  });
  return () => stoppingSinceMs !== Infinity;
}
