/**
 * Many connections that do nothing: how fast they are accepted, what each costs in resident
 * memory, and what they cost in CPU while they ping. Runs against any broker on this machine.
 */
import { cpuSeconds, residentBytes } from '../load/process-stats.ts';
import { DEFAULT_LINK, Link } from './link.ts';
import { eachAtOnce } from './load.ts';

export interface ConnectionOptions {
  readonly url: string;
  readonly serverPid: number;
  readonly count: number;
  readonly keepAliveSeconds: number;
  /** Each with one QoS 1 subscription of its own. */
  readonly subscribes: boolean;
  /** How long they idle, pinging at their keep-alive. */
  readonly idleSeconds: number;
  /** Opened at a time. */
  readonly atOnce: number;
}

export const DEFAULT_CONNECTIONS = {
  count: 10_000,
  keepAliveSeconds: 60,
  subscribes: false,
  idleSeconds: 20,
  atOnce: 100,
} as const;

export interface ConnectionResult {
  /** From the first connect to the last CONNACK. */
  readonly acceptedPerSecond: number;
  /** Resident memory grown per connection. */
  readonly bytesEach: number;
  /** CPU seconds per second while idle. */
  readonly idleCores: number;
  /** Connections the broker ended meanwhile. */
  readonly lost: number;
}

const SETTLE_MS = 5_000;

export async function runConnections(options: ConnectionOptions): Promise<ConnectionResult> {
  const { url, count, keepAliveSeconds, serverPid } = options;
  const links: Link[] = [];
  // A first one, so that what a broker loads on first use is not counted.
  const first = await Link.open({ ...DEFAULT_LINK, url, clientId: `idle-${process.pid}-first` });
  const residentBefore = residentBytes(serverPid).total;
  const startedAtMs = performance.now();
  await eachAtOnce(
    count,
    async (index) => {
      const clientId = `idle-${process.pid}-${index}`;
      const link = await Link.open({ ...DEFAULT_LINK, url, clientId, keepAliveSeconds });
      if (options.subscribes) await link.subscribe([`idle/${process.pid}/${index}`], 1);
      links.push(link);
    },
    options.atOnce,
  );
  const acceptedPerSecond = (count / (performance.now() - startedAtMs)) * 1000;
  const pings = pingAll(links, keepAliveSeconds);
  try {
    await sleep(SETTLE_MS);
    const bytesEach = (residentBytes(serverPid).total - residentBefore) / count;
    const cpuBefore = cpuSeconds(serverPid);
    const idleFromMs = performance.now();
    await sleep(options.idleSeconds * 1000);
    const idleSeconds = (performance.now() - idleFromMs) / 1000;
    const idleCores = (cpuSeconds(serverPid) - cpuBefore) / idleSeconds;
    const lost = links.filter((link) => link.failure !== undefined).length;
    return { acceptedPerSecond, bytesEach, idleCores, lost };
  } finally {
    clearInterval(pings);
    await eachAtOnce(links.length, (index) => links[index]!.close(), 200);
    await first.close();
  }
}

/** Every client pings once per keep-alive, evenly spread. */
function pingAll(links: readonly Link[], keepAliveSeconds: number): NodeJS.Timeout {
  const startedAtMs = performance.now();
  let pinged = 0;
  return setInterval(() => {
    const elapsed = (performance.now() - startedAtMs) / 1000;
    const due = Math.floor((elapsed / keepAliveSeconds) * links.length);
    while (pinged < due) {
      const link = links[pinged % links.length]!;
      if (link.failure === undefined) link.ping();
      pinged += 1;
    }
  }, 10);
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
