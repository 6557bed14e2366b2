import type { ListenerInfo } from './listeners.ts';

/** What a person at a terminal wants to see when it serves. */
export interface BannerFacts {
  readonly version: string;
  readonly listeners: readonly ListenerInfo[];
  readonly dataDirectory: string;
  readonly durability: 'full' | 'relaxed';
  /** In whole ms. */
  readonly startMs: number;
}

/** A few lines for a terminal; logs carry the same as JSON. */
export function formatBanner(facts: BannerFacts): string {
  const promise =
    facts.durability === 'full'
      ? 'full: a confirmed message survives power loss'
      : 'relaxed: a confirmed message survives the end of the process, not power loss';
  const lines = [
    `Tributary ${facts.version} is ready after ${facts.startMs} ms`,
    ...facts.listeners.map(({ protocol, host, port }) => {
      const address = host.includes(':') ? `[${host}]` : host;
      return `  ${protocol.padEnd(11)} ${address}:${port}`;
    }),
    `  data        ${facts.dataDirectory}`,
    `  durability  ${promise}`,
    '  Ctrl+C stops it',
  ];
  return `${lines.join('\n')}\n`;
}
