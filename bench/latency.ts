/**
 * `node dist/bench/latency.js [--url amqp://...] [--rate 1000] [--size 64] [--seconds 10]
 * [--persistent] [--confirm 100]`: end-to-end latency at a steady rate, publisher and consumer in
 * one process so that both read one clock.
 */
import { parseArgs } from 'node:util';
import { DEFAULT_LOAD, runLoad } from './load/load.ts';
import type { Percentiles } from './load/measure.ts';
import { megabytes, openTarget } from './target.ts';

const { values } = parseArgs({
  options: {
    url: { type: 'string' },
    rate: { type: 'string' },
    size: { type: 'string' },
    seconds: { type: 'string' },
    persistent: { type: 'boolean' },
    confirm: { type: 'string' },
  },
});

function line(name: string, value: Percentiles | undefined): void {
  if (value === undefined) return;
  console.log(
    `${name} ms: p50 ${value.p50Ms.toFixed(3)}, p95 ${value.p95Ms.toFixed(3)}, ` +
      `p99 ${value.p99Ms.toFixed(3)}, max ${value.maxMs.toFixed(3)} (${value.count} samples)`,
  );
}

const target = await openTarget(values.url);
try {
  const confirmWindow = Number(values.confirm ?? 0);
  const result = await runLoad({
    ...DEFAULT_LOAD,
    url: target.url,
    serverPid: target.pid,
    rate: Number(values.rate ?? 1000),
    sizeBytes: Number(values.size ?? 64),
    durationSeconds: Number(values.seconds ?? 10),
    warmupSeconds: 2,
    isPersistent: values.persistent === true,
    confirmWindow,
    ackEvery: confirmWindow > 0 ? 1 : 0,
    prefetch: confirmWindow > 0 ? 100 : 0,
    isStamped: true,
  });
  console.log(`${result.server.product} ${result.server.version}`);
  line('latency', result.latency);
  line('confirm latency', result.confirmLatency);
  console.log(
    `delivered ${result.deliveredPerSecond.toFixed(0)}/s, ` +
      `unaccounted ${result.unaccounted}, server ${result.serverCores.toFixed(2)} cores, ` +
      `${megabytes(result.serverResidentBytes)} MB`,
  );
} finally {
  await target.close();
}
