/** The measured time of a load run, whatever the protocol: warm-up, two snapshots, their difference. */
import { Histogram } from './histogram.ts';
import { cpuSeconds, pidListeningOn, residentBytes } from './process-stats.ts';

/** A publisher as it is measured. */
export interface MeasuredPublisher {
  readonly published: number;
  readonly confirmed: number;
  readonly confirmLatency: Histogram;
  /** Called when it has published its maximum. */
  onFinished: (() => void) | undefined;
  start(): void;
}

/** A consumer or subscriber as it is measured. */
export interface MeasuredReceiver {
  readonly delivered: number;
  readonly latency: Histogram;
}

/** Who takes part. */
export interface Players {
  readonly publishers: readonly MeasuredPublisher[];
  readonly receivers: readonly MeasuredReceiver[];
  readonly links: readonly { readonly failure: Error | undefined }[];
}

export interface Schedule {
  readonly warmupSeconds: number;
  readonly durationSeconds: number;
  /** Process of the broker; 0 to look for the one that listens on `port`. */
  readonly serverPid: number;
  readonly port: number;
}

export interface Measured {
  readonly seconds: number;
  readonly published: number;
  readonly confirmed: number;
  readonly delivered: number;
  /** CPU seconds per second. */
  readonly generatorCores: number;
  readonly serverCores: number;
  readonly serverResidentBytes: number;
}

export interface Percentiles {
  readonly count: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Starts the publishers and measures until the time is over (see `untilOver`). */
export async function measure(players: Players, schedule: Schedule): Promise<Measured> {
  const serverPid = schedule.serverPid || (pidListeningOn(schedule.port) ?? 0);
  const over = untilOver(players, schedule);
  for (const publisher of players.publishers) publisher.start();
  await sleep(schedule.warmupSeconds * 1000);
  for (const receiver of players.receivers) receiver.latency.clear();
  for (const publisher of players.publishers) publisher.confirmLatency.clear();
  const before = snapshot(players, serverPid);
  await over;
  const after = snapshot(players, serverPid);
  const seconds = (after.atMs - before.atMs) / 1000;
  return {
    seconds,
    published: after.published - before.published,
    confirmed: after.confirmed - before.confirmed,
    delivered: after.delivered - before.delivered,
    generatorCores: (after.generatorCpu - before.generatorCpu) / seconds,
    serverCores: (after.serverCpu - before.serverCpu) / seconds,
    serverResidentBytes: residentBytes(serverPid).total,
  };
}

/** Ends with the time, with all publishers at their maximum, or with a broken connection. */
function untilOver(players: Players, schedule: Schedule): Promise<void> {
  return new Promise((resolve) => {
    let busy = players.publishers.length;
    const poll = setInterval(() => {
      if (players.links.some((link) => link.failure !== undefined)) end();
    }, 50);
    const timer = setTimeout(end, (schedule.warmupSeconds + schedule.durationSeconds) * 1000);
    function end(): void {
      clearInterval(poll);
      clearTimeout(timer);
      resolve();
    }
    for (const publisher of players.publishers) {
      publisher.onFinished = () => {
        busy -= 1;
        if (busy === 0) end();
      };
    }
  });
}

function snapshot(players: Players, serverPid: number) {
  const cpu = process.cpuUsage();
  return {
    atMs: performance.now(),
    published: sum(players.publishers, (one) => one.published),
    confirmed: sum(players.publishers, (one) => one.confirmed),
    delivered: sum(players.receivers, (one) => one.delivered),
    generatorCpu: (cpu.user + cpu.system) / 1e6,
    serverCpu: serverPid === 0 ? 0 : cpuSeconds(serverPid),
  };
}

/** Of all of them together. */
export function percentiles(histograms: readonly Histogram[]): Percentiles {
  const all = new Histogram();
  for (const histogram of histograms) all.merge(histogram);
  return {
    count: all.count,
    p50Ms: all.quantileMs(0.5),
    p95Ms: all.quantileMs(0.95),
    p99Ms: all.quantileMs(0.99),
    maxMs: all.maxMs,
  };
}

export function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
