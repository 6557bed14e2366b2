import { type LevelWithSilent, pino } from 'pino';
import type { Logger } from '../base/logger.ts';
import { LogOutput } from './log-output.ts';

/** The process log. */
export interface ProcessLog extends Logger {
  /** Logged at any level but `silent`: whoever started the process waits for it. */
  ready(fields: object): void;
  /** Writes what waits for a reader, as far as that takes a second; for the end of the process. */
  flushAtEnd(): void;
}

/** From this level on a human must act: such lines have room of their own. */
const URGENT_LEVEL = pino.levels.values['error']!;

/**
 * One JSON object per line on standard output, written before the call returns. Where that cannot
 * be written to (its disk is full, the reader of its pipe stalls), lines wait for room, up to a
 * bound: who cannot log still serves.
 *
 * @param descriptor instead of standard output
 */
export function createProcessLog(level: LevelWithSilent, descriptor = 1): ProcessLog {
  const output = new LogOutput(descriptor, describeLoss);
  const options = {
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    // Callers never pass secrets; this is the second lock.
    redact: { paths: ['password', 'passphrase', '*.password', '*.passphrase'], censor: '***' },
  };
  const stream = {
    // So pino sets the level of each line.
    [pino.symbols.needsMetadataGsym]: true as const,
    lastLevel: 0,
    write: (line: string) => output.write(line, stream.lastLevel >= URGENT_LEVEL),
  };
  const announcements = { write: (line: string) => output.write(line, true) };
  const announcer = pino({ ...options, level: level === 'silent' ? level : 'info' }, announcements);
  return Object.assign(pino({ ...options, level }, stream), {
    ready: (fields: object) => announcer.info(fields, 'ready'),
    flushAtEnd: () => output.flushAtEnd(),
  });
}

function describeLoss(lines: number): string {
  const time = new Date().toISOString();
  return `${JSON.stringify({ level: 'warn', time, lines, msg: 'log lines lost' })}\n`;
}
