/** Our gateway with an access key and an HTTP port, for the CMQ benches. */
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { Gateway, type GatewayOptions } from '../gateway.ts';
import type { Key } from './signed-form.ts';

export const KEY: Key = { id: 'AKIDbench', secret: 'secret-of-the-bench' };

export interface CmqGateway {
  readonly gateway: Gateway;
  readonly port: number;
}

/** Starts the built gateway; the caller stops and removes it. */
export async function startCmq(options: GatewayOptions = {}): Promise<CmqGateway> {
  const port = await freePort();
  const flags = ['--http-port', String(port), '--cmq-secret-id', KEY.id];
  const gateway = await Gateway.start({
    ...options,
    flags: [...flags, '--cmq-secret-key', KEY.secret, ...(options.flags ?? [])],
  });
  return { gateway, port };
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
