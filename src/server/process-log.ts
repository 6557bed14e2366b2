import { destination, type LevelWithSilent, pino } from 'pino';
import type { Logger } from '../base/logger.ts';

/** The process log. */
export interface ProcessLog extends Logger {
  /** Logged at any level but `silent`: whoever started the process waits for it. */
  ready(fields: object): void;
}

/** Bytes of lines that are held while they cannot be written; what comes then is lost. */
const HELD_BYTES_MAX = 1024 * 1024;

/**
 * One JSON object per line on standard output, written before the call returns. Where that cannot
 * be written to (its disk is full), lines wait for room: who cannot log still serves.
 *
 * @param descriptor instead of standard output
 */
export function createProcessLog(level: LevelWithSilent, descriptor = 1): ProcessLog {
  const output = destination({ dest: descriptor, sync: true, maxLength: HELD_BYTES_MAX });
  output.on('error', () => undefined);
  const log = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      // Callers never pass secrets; this is the second lock.
      redact: { paths: ['password', 'passphrase', '*.password', '*.passphrase'], censor: '***' },
    },
    output,
  );
  const announcer = level === 'silent' ? log : log.child({}, { level: 'info' });
  return Object.assign(log, { ready: (fields: object) => announcer.info(fields, 'ready') });
}
