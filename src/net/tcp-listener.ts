/**
 * One listening TCP socket. Each accepted connection passes up to two gates before a protocol
 * sees it, both bounded in bytes and time:
 *
 *     accept -> [PROXY header] -> [TLS handshake] -> AcceptTransport
 */
import {
  type AddressInfo,
  type BlockList,
  createServer,
  isIP,
  type Server,
  Socket,
} from 'node:net';
import { assert } from '../base/assert.ts';
import { isLoopbackAddress } from './loopback.ts';
import { PROXY_HEADER_MAX_BYTES, parseProxyHeader, type ProxyAddresses } from './proxy-header.ts';
import { TcpTransport } from './tcp-transport.ts';
import { TlsAcceptor, type TlsOptions } from './tls.ts';
import type { AcceptTransport, PeerInfo } from './transport.ts';

/** Probes on an idle connection start after this long; the kernel decides when it is dead. */
const KEEP_ALIVE_DELAY_MS = 60_000;
/** A balancer sends its header at once; this only frees sockets that never speak. */
const PROXY_HEADER_TIMEOUT_MS = 5_000;

/** How to listen. */
export interface TcpListenerOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly tls?: TlsOptions;
  /**
   * Every connection must begin with a PROXY header (v1 or v2) and come from one of these
   * addresses; others are dropped.
   */
  readonly trustedProxies?: BlockList;
  /** An IPv6 wildcard takes no IPv4 connections. */
  readonly isV6Only?: boolean;
  /** Connections the kernel holds until they are accepted. */
  readonly backlog?: number;
  /** Gets the reason why a connection ended before a protocol saw it. */
  readonly onRefused?: (reason: string, remoteAddress: string) => void;
}

/** A listening socket; see above. */
export class TcpListener {
  readonly address: { readonly host: string; readonly port: number };
  readonly #server: Server;
  readonly #tls: TlsAcceptor | undefined;
  /** Sockets still in the gates: a protocol does not know them, so `close` must end them. */
  readonly #arriving: Set<Socket>;

  private constructor(
    address: AddressInfo,
    server: Server,
    tls: TlsAcceptor | undefined,
    arriving: Set<Socket>,
  ) {
    this.address = { host: address.address, port: address.port };
    this.#server = server;
    this.#tls = tls;
    this.#arriving = arriving;
  }

  /** Binds and accepts. Rejects with the system's error when the address cannot be bound. */
  static async listen(options: TcpListenerOptions, accept: AcceptTransport): Promise<TcpListener> {
    const arriving = new Set<Socket>();
    const gate = new Gate(options, accept, arriving);
    const server = createServer({
      allowHalfOpen: false,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS,
    });
    server.on('connection', (socket) => gate.enter(socket));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      const { host, port, backlog, isV6Only: ipv6Only = false } = options;
      server.listen({ host, port, ipv6Only, ...(backlog && { backlog }) }, () => {
        server.off('error', reject);
        resolve();
      });
    });
    // After this an error concerns one accept (no file handles left): the next one may work.
    server.on('error', (error) => options.onRefused?.(error.message, ''));
    return new TcpListener(server.address() as AddressInfo, server, gate.tls, arriving);
  }

  /**
   * Uses new certificates from the next handshake on.
   *
   * @throws when they are unusable; the old ones stay in service
   */
  replaceTls(options: TlsOptions): void {
    this.#tls?.replace(options);
  }

  /** Stops accepting and drops what no protocol has seen yet. Accepted connections live on. */
  async close(): Promise<void> {
    // The callback of `close` waits for the accepted connections too; the port is free at once.
    this.#server.close();
    for (const socket of this.#arriving) socket.destroy();
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

/** What a socket is known to be while it passes the gates. */
interface Arrival {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
}

class Gate {
  readonly tls: TlsAcceptor | undefined;
  readonly #trustedProxies: BlockList | undefined;
  readonly #accept: AcceptTransport;
  readonly #arriving: Set<Socket>;
  readonly #onRefused: (reason: string, remoteAddress: string) => void;
  /** Who is behind a socket in its TLS handshake, which only hands the TLS socket back. */
  readonly #arrivals: WeakMap<Socket, Arrival>;

  constructor(options: TcpListenerOptions, accept: AcceptTransport, arriving: Set<Socket>) {
    this.#trustedProxies = options.trustedProxies;
    this.#accept = accept;
    this.#arriving = arriving;
    this.#onRefused = options.onRefused ?? (() => undefined);
    this.#arrivals = new WeakMap();
    this.tls = options.tls === undefined ? undefined : this.#makeTls(options.tls);
  }

  enter(socket: Socket): void {
    const arrival = arrivalOf(socket);
    this.#arriving.add(socket);
    socket.once('close', () => this.#arriving.delete(socket));
    if (this.#trustedProxies === undefined) {
      this.#secure(socket, arrival);
      return;
    }
    if (!isListed(this.#trustedProxies, arrival.remoteAddress)) {
      this.#refuse(socket, 'not a trusted proxy', arrival);
      return;
    }
    this.#readProxyHeader(socket, arrival);
  }

  #makeTls(options: TlsOptions): TlsAcceptor {
    return new TlsAcceptor(
      options,
      (socket, subject) => {
        const arrival = this.#arrivals.get(innerSocket(socket));
        // Never fall back to the socket's own address: behind a balancer that may be loopback.
        assert(arrival !== undefined, 'a TLS socket must come from this listener');
        this.#handOver(socket, arrival, true, subject);
      },
      (error, socket) => {
        const arrival = this.#arrivals.get(innerSocket(socket)) ?? arrivalOf(socket);
        this.#refuse(socket, `TLS: ${error.message}`, arrival);
      },
    );
  }

  #secure(socket: Socket, arrival: Arrival): void {
    if (this.tls === undefined) {
      this.#handOver(socket, arrival, false, undefined);
      return;
    }
    this.#arrivals.set(socket, arrival);
    this.tls.accept(socket);
  }

  #handOver(
    socket: Socket,
    arrival: Arrival,
    isEncrypted: boolean,
    subject: string | undefined,
  ): void {
    this.#arriving.delete(innerSocket(socket));
    const peer: PeerInfo = {
      ...arrival,
      isLoopback: isLoopbackAddress(arrival.remoteAddress),
      isEncrypted,
      ...(subject === undefined ? {} : { certificateSubject: subject }),
    };
    const transport = new TcpTransport(socket, peer);
    transport.start(this.#accept(transport));
  }

  #refuse(socket: Socket, reason: string, arrival: Arrival): void {
    this.#onRefused(reason, arrival.remoteAddress);
    socket.destroy();
  }

  #readProxyHeader(socket: Socket, arrival: Arrival): void {
    let bytes: Buffer = Buffer.alloc(0);
    const timer = setTimeout(() => finish('no PROXY header in time'), PROXY_HEADER_TIMEOUT_MS);
    const ignoreError = () => undefined;
    const finish = (reason?: string, addresses?: ProxyAddresses): void => {
      clearTimeout(timer);
      socket.off('data', onData);
      socket.off('close', onClose);
      if (reason !== undefined) {
        this.#refuse(socket, reason, arrival);
        return;
      }
      socket.pause();
      socket.off('error', ignoreError);
      this.#secure(socket, addresses ?? arrival);
    };
    const onClose = (): void => clearTimeout(timer);
    const onData = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk]);
      const header = parseProxyHeader(bytes.subarray(0, PROXY_HEADER_MAX_BYTES));
      if (header.kind === 'incomplete') return;
      if (header.kind === 'invalid') {
        finish(header.reason);
        return;
      }
      const rest = bytes.subarray(header.byteCount);
      socket.pause();
      if (rest.length > 0) socket.unshift(rest);
      finish(undefined, header.addresses);
    };
    socket.on('error', ignoreError);
    socket.on('close', onClose);
    socket.on('data', onData);
    socket.resume();
  }
}

function arrivalOf(socket: Socket): Arrival {
  return {
    remoteAddress: socket.remoteAddress ?? '',
    remotePort: socket.remotePort ?? 0,
    localAddress: socket.localAddress ?? '',
    localPort: socket.localPort ?? 0,
  };
}

/** The TCP socket under a TLS one; the socket itself when it is plain. */
function innerSocket(socket: Socket): Socket {
  const parent: unknown = (socket as { readonly _parent?: unknown })._parent;
  return parent instanceof Socket ? parent : socket;
}

function isListed(list: BlockList, address: string): boolean {
  const plain = address.toLowerCase().startsWith('::ffff:') ? address.slice(7) : address;
  return list.check(plain, isIP(plain) === 6 ? 'ipv6' : 'ipv4');
}
