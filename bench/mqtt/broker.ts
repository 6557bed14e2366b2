/** The broker an MQTT bench runs against: our gateway on a fresh directory, or a peer by URL. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { Gateway, type GatewayOptions } from '../gateway.ts';
import { pidListeningOn } from '../load/process-stats.ts';
import { DEFAULT_LINK, Link } from './link.ts';
import type { PeerKind } from './scenarios.ts';

export interface OurBroker {
  readonly url: string;
  readonly gateway: Gateway;
  close(): Promise<void>;
}

/** Starts the built gateway with an MQTT listener. */
export async function startOurs(options: GatewayOptions = {}): Promise<OurBroker> {
  const port = await freePort();
  const gateway = await Gateway.start({
    ...options,
    flags: ['--mqtt-port', String(port), ...(options.flags ?? [])],
  });
  return {
    url: `mqtt://guest:guest@127.0.0.1:${port}`,
    gateway,
    close: async () => {
      await gateway.stop();
      gateway.remove();
    },
  };
}

export interface Peer {
  readonly url: string;
  readonly kind: PeerKind | undefined;
  readonly name: string;
  /** 0 when it is not on this machine. */
  readonly pid: number;
}

/** What answers on a URL: Mosquitto tells its version in `$SYS`, RabbitMQ is a BEAM process. */
export async function identify(url: string): Promise<Peer> {
  const pid = pidListeningOn(Number(new URL(url).port || 1883)) ?? 0;
  const clientId = `bench-identify-${process.pid}`;
  const link = await Link.open({ ...DEFAULT_LINK, url, clientId });
  let version = '';
  link.onPacket = (_, bytes, start, end) => {
    version = bytes.toString('utf8', start + 2 + bytes.readUInt16BE(start), end);
  };
  await link.subscribe(['$SYS/broker/version'], 0).catch(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, 500));
  await link.close();
  if (/mosquitto/i.test(version)) {
    return { url, pid, kind: 'mosquitto', name: version.replace(' version', '') };
  }
  if (pid !== 0 && readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('beam')) {
    return { url, pid, kind: 'rabbitmq', name: 'RabbitMQ' };
  }
  return { url, pid, kind: undefined, name: version || new URL(url).host };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}
