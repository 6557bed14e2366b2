/**
 * Opens the listening sockets of one protocol on every address it should be reachable at.
 */
import { BlockList, isIP } from 'node:net';
import type { Logger } from '../base/logger.ts';
import { TcpListener } from '../net/tcp-listener.ts';
import type { TlsOptions } from '../net/tls.ts';
import type { AcceptTransport } from '../net/transport.ts';
import type { Config } from './config.ts';

/** One line of the ready message. */
export interface ListenerInfo {
  readonly protocol: string;
  readonly host: string;
  readonly port: number;
}

/** A listening socket of any kind. */
export interface Listener {
  readonly address: { readonly host: string; readonly port: number };
  /** Stops accepting. */
  close(): Promise<void>;
  /** @throws when the new certificates are unusable; the old ones stay in service */
  replaceTls(options: TlsOptions): void;
}

/** An open listener and the protocol it speaks. */
export interface OpenListener {
  readonly protocol: string;
  readonly listener: Listener;
}

/** Binds one address. */
export type Listen = (host: string, port: number, isV6Only: boolean) => Promise<Listener>;

/** Without `--host` nothing outside this machine can connect ... */
const LOOPBACK_HOSTS = ['127.0.0.1', '::1'];
/** ... until there is a user whose password the operator chose. */
const ALL_HOSTS = ['0.0.0.0', '::'];
/** Tries to find one port that is free on all addresses, when any will do. */
const ANY_PORT_TRIES = 10;
/** Name of the metrics listener in the ready line. */
export const METRICS_PROTOCOL = 'http/prometheus';
/** An address of a family this machine does not have. */
const ABSENT_ADDRESS = new Set(['EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EINVAL']);

/** Addresses to listen on, and whether each must work. */
export interface ListenHosts {
  readonly hosts: readonly string[];
  readonly isExplicit: boolean;
}

/** `host` of the configuration, or the default that is safe for the users there are. */
export function chooseHosts(
  configured: readonly string[],
  userNames: Iterable<string>,
): ListenHosts {
  if (configured.length > 0) return { hosts: configured, isExplicit: true };
  for (const name of userNames) {
    if (name !== 'guest') return { hosts: ALL_HOSTS, isExplicit: false };
  }
  return { hosts: LOOPBACK_HOSTS, isExplicit: false };
}

export interface ListenRequest extends ListenHosts {
  readonly protocol: string;
  /** 0: any free port, the same on all addresses. */
  readonly port: number;
  readonly config: Config;
  readonly tls?: TlsOptions;
  readonly logger: Logger;
}

/**
 * Listens for a protocol over TCP on all addresses of a request.
 *
 * @throws Error with a sentence that names the address; none is left open then
 */
export function listenOnAll(
  request: ListenRequest,
  accept: AcceptTransport,
): Promise<OpenListener[]> {
  return openOnAll(request, (host, port, isV6Only) =>
    TcpListener.listen({ ...listenerOptions(request, host, port), isV6Only }, accept),
  );
}

/**
 * Opens what `listen` binds on all addresses of a request.
 *
 * @throws Error with a sentence that names the address; none is left open then
 */
export async function openOnAll(request: ListenRequest, listen: Listen): Promise<OpenListener[]> {
  const tries = request.port === 0 ? ANY_PORT_TRIES : 1;
  for (let attempt = 1; ; attempt += 1) {
    const open: OpenListener[] = [];
    try {
      await openOnce(request, listen, open);
      return open;
    } catch (error) {
      for (const { listener } of open) await listener.close();
      const isTaken = (error as { cause?: NodeJS.ErrnoException }).cause?.code === 'EADDRINUSE';
      if (!isTaken || attempt >= tries) throw error;
    }
  }
}

async function openOnce(
  request: ListenRequest,
  listen: Listen,
  open: OpenListener[],
): Promise<void> {
  let { port } = request;
  // `::` would take the v4 addresses too, which have their own listener.
  const isV6Only = request.hosts.length > 1;
  let lastError: Error | undefined;
  for (const host of request.hosts) {
    try {
      const listener = await listen(host, port, isV6Only);
      open.push({ protocol: request.protocol, listener });
      port = listener.address.port;
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      lastError = listenError(request.protocol, host, port, error as Error);
      const isOptional = !request.isExplicit && ABSENT_ADDRESS.has(code);
      if (!isOptional) throw lastError;
    }
  }
  if (open.length === 0) throw lastError!;
}

/** A sentence for the operator: what could not be bound, why, and what to change. */
export function listenError(protocol: string, host: string, port: number, cause: Error): Error {
  const advice = adviceOn((cause as NodeJS.ErrnoException).code, optionOf(protocol));
  const text = `cannot listen for ${protocol} on ${host} port ${port}: ${cause.message}${advice}`;
  return new Error(text, { cause });
}

function adviceOn(code: string | undefined, option: string): string {
  switch (code) {
    case 'EADDRINUSE':
      return ` (${option}: another port, or off)`;
    case 'EACCES':
      return ` (${option}: a port above 1023, or let this process bind lower ones)`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return ' (host: an address or name of this machine)';
    default:
      return '';
  }
}

/** The option that has the port: `mqtt-port`, and `web-mqtt-port` of `http/web-mqtt`. */
function optionOf(protocol: string): string {
  if (protocol === METRICS_PROTOCOL) return 'metrics-port';
  return `${protocol.slice(protocol.indexOf('/') + 1)}-port`;
}

function listenerOptions(request: ListenRequest, host: string, port: number) {
  const { config, logger, protocol, tls } = request;
  return {
    host,
    port,
    backlog: config.backlog,
    ...(tls === undefined ? {} : { tls }),
    ...(config.proxyProtocol ? { trustedProxies: toBlockList(config.proxyTrusted) } : {}),
    onRefused: (reason: string, remoteAddress: string) =>
      logger.warn({ protocol, reason, remoteAddress }, 'connection refused'),
  };
}

/** A matcher for address blocks. */
export function toBlockList(blocks: Config['proxyTrusted']): BlockList {
  const list = new BlockList();
  for (const { address, prefixBits } of blocks) {
    list.addSubnet(address, prefixBits, isIP(address) === 6 ? 'ipv6' : 'ipv4');
  }
  return list;
}
