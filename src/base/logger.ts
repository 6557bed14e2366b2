/**
 * The log port. Lines are constant messages with the data in fields; never bodies, passwords or
 * other secrets. `error` means a human must act.
 */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** What a protocol may log. */
export type ProtocolLogger = Pick<Logger, 'info' | 'warn' | 'error'>;

/** Drops everything; for tests. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
