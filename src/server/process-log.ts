import { destination, type LevelWithSilent, pino } from 'pino';
import type { Logger } from '../base/logger.ts';

/** The process log: one JSON object per line on standard output, written before the call returns. */
export function createProcessLog(level: LevelWithSilent): Logger & { flush(): void } {
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
  return log;
}
