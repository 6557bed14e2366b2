import type { Percentiles } from './measure.ts';

/** What the results of all protocols have in common. */
export interface CommonResult {
  readonly seconds: number;
  /** Over the measured time. */
  readonly publishedPerSecond: number;
  readonly confirmedPerSecond: number;
  readonly deliveredPerSecond: number;
  /** Whole run, warm-up and settling included. */
  readonly published: number;
  readonly confirmed: number;
  readonly refused: number;
  readonly delivered: number;
  readonly redelivered: number;
  readonly outOfOrder: number;
  readonly latency: Percentiles | undefined;
  readonly confirmLatency: Percentiles | undefined;
  /** CPU seconds per second over the measured time. */
  readonly generatorCores: number;
  readonly serverCores: number;
  readonly serverResidentBytes: number;
}

/**
 * A result as text.
 *
 * @param server   what stands first: who it was
 * @param balance  what the sums come to, in the protocol's own words
 */
export function reportText(result: CommonResult, server: string, balance: string): string {
  const rounded = (value: number): string => Math.round(value).toLocaleString('en');
  const lines = [
    `${server}${result.seconds.toFixed(1)} s`,
    `published ${rounded(result.publishedPerSecond)}/s, ` +
      `confirmed ${rounded(result.confirmedPerSecond)}/s, ` +
      `delivered ${rounded(result.deliveredPerSecond)}/s`,
    `in all: published ${result.published}, confirmed ${result.confirmed}, ` +
      `refused ${result.refused}, delivered ${result.delivered}, ` +
      `redelivered ${result.redelivered}, ${balance}, out of order ${result.outOfOrder}`,
    `cores: generator ${result.generatorCores.toFixed(2)}, ` +
      `server ${result.serverCores.toFixed(2)}; ` +
      `server memory ${(result.serverResidentBytes / 1e6).toFixed(1)} MB`,
  ];
  for (const [name, value] of [
    ['latency', result.latency],
    ['confirm latency', result.confirmLatency],
  ] as const) {
    if (value === undefined || value.count === 0) continue;
    lines.push(
      `${name} ms: p50 ${value.p50Ms.toFixed(3)}, p95 ${value.p95Ms.toFixed(3)}, ` +
        `p99 ${value.p99Ms.toFixed(3)}, max ${value.maxMs.toFixed(3)} (${value.count})`,
    );
  }
  return lines.join('\n');
}
