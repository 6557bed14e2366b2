import { destination, type LevelWithSilent, pino } from 'pino';
import type { Logger } from '../base/logger.ts';

/** The process log. */
export interface ProcessLog extends Logger {
  /** Logged at any level but `silent`: whoever started the process waits for it. */
  ready(fields: object): void;
}

/** One JSON object per line on standard output, written before the call returns. */
export function createProcessLog(level: LevelWithSilent): ProcessLog {
  const log = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      // Callers never pass secrets; this is the second lock.
      redact: { paths: ['password', 'passphrase', '*.password', '*.passphrase'], censor: '***' },
    },
    destination({ dest: 1, sync: true }),
  );
  const announcer = level === 'silent' ? log : log.child({}, { level: 'info' });
  return Object.assign(log, { ready: (fields: object) => announcer.info(fields, 'ready') });
}
