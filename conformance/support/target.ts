/**
 * Global set-up: which broker the suites talk to. Without AMQP_URL every file starts our built
 * server. With AMQP_URL the suites use that broker; when it is a RabbitMQ with its management API
 * they get a vhost of their own, removed at the end with all that is in it.
 */
import type { TestProject } from 'vitest/node';
import { parseTarget, WireConnection } from './wire-client.ts';

export interface TargetInfo {
  /** undefined: every file starts its own server. */
  readonly url: string | undefined;
  readonly kind: 'ours' | 'rabbitmq';
}

declare module 'vitest' {
  export interface ProvidedContext {
    target: TargetInfo;
    /** A RabbitMQ to compare the probes with. */
    peerUrl: string | undefined;
  }
}

type Cleanup = () => Promise<void>;

/** RabbitMQ's management API beside an AMQP URL; the packaged peer has it 10,000 ports higher. */
export function managementUrl(amqpUrl: string): string {
  const { host, port } = parseTarget(amqpUrl);
  return process.env['MANAGEMENT_URL'] ?? `http://${host}:${port + 10_000}`;
}

/** One request to the management API, as the URL's user. */
export async function manage(
  amqpUrl: string,
  method: string,
  path: string,
  body?: unknown,
): Promise<Response> {
  const { user, password } = parseTarget(amqpUrl);
  const response = await fetch(`${managementUrl(amqpUrl)}/api${path}`, {
    method,
    headers: {
      authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
      'content-type': 'application/json',
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!response.ok && response.status !== 404) {
    throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  }
  return response;
}

async function openPeer(url: string): Promise<{ url: string; cleanup: Cleanup }> {
  const vhost = `conformance-${process.pid}-${Date.now().toString(36)}`;
  const { host, port, user, password } = parseTarget(url);
  await manage(url, 'PUT', `/vhosts/${vhost}`, {});
  const rights = { configure: '.*', write: '.*', read: '.*' };
  await manage(url, 'PUT', `/permissions/${vhost}/${user}`, rights);
  return {
    url: `amqp://${user}:${password}@${host}:${port}/${vhost}`,
    cleanup: async () => {
      await manage(url, 'DELETE', `/vhosts/${vhost}`);
    },
  };
}

async function isRabbit(url: string): Promise<boolean> {
  const connection = await WireConnection.open(url);
  const isErlang = /erlang/i.test(String(connection.serverProperties['platform']));
  connection.destroy();
  return isErlang;
}

/** Called by vitest before the first file; what it returns runs after the last. */
export async function setup(project: TestProject): Promise<Cleanup> {
  const cleanups: Cleanup[] = [];
  let target: TargetInfo = { url: undefined, kind: 'ours' };
  const url = process.env['AMQP_URL'];
  if (url !== undefined && (await isRabbit(url))) {
    const peer = await openPeer(url);
    cleanups.push(peer.cleanup);
    target = { url: peer.url, kind: 'rabbitmq' };
  } else if (url !== undefined) {
    target = { url, kind: 'ours' };
  }
  let peerUrl = process.env['PEER_AMQP_URL'];
  if (peerUrl !== undefined) {
    const peer = await openPeer(peerUrl);
    cleanups.push(peer.cleanup);
    peerUrl = peer.url;
  }
  project.provide('target', target);
  project.provide('peerUrl', peerUrl);
  return async () => {
    for (const cleanup of cleanups) await cleanup();
  };
}
