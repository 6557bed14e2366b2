/**
 * One HTTP port that serves pages and upgrades WebSockets to any protocol of the gateway.
 *
 *     GET with Upgrade: websocket -> Origin check -> route by path and token -> AcceptTransport
 *     anything else               -> the request handler
 *
 * That goes for an offer of HTTP/2, too (`Upgrade: h2c`, Java's client and curl make it): who does
 * not take an upgrade answers the request as it stands (RFC 9110, 7.8). Node leaves such a request
 * to us once we take any upgrade.
 *
 * Compression is off: per-message deflate costs memory per connection and invites inflation bombs.
 * Idle connections are pinged, because proxies cut them after a minute of silence.
 */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Server as TlsServer, TLSSocket } from 'node:tls';
import { WebSocketServer, type WebSocket } from 'ws';
import { isLoopbackAddress } from './loopback.ts';
import { replaceContext, type TlsOptions, tlsServerOptions, verifiedSubject } from './tls.ts';
import type { PeerInfo } from './transport.ts';
import { WebSocketTransport } from './websocket-transport.ts';
import {
  chooseRoute,
  isOriginAllowed,
  type ChosenRoute,
  type WebSocketRoute,
} from './websocket-routes.ts';

/** Frames of one message; more only serve memory attacks with tiny fragments (CVE-2026-48779). */
const FRAGMENTS_MAX = 4_096;
/**
 * Chunks the receiver may hold of one frame: a message of 64 MiB may come in one frame, and in
 * packets of 1,400 bytes.
 */
const BUFFERED_CHUNKS_MAX = 65_536;
/** Ms between pings; proxies commonly cut at 60 s. */
const PING_MS = 25_000;
/** Ms a request may take to send its head. */
const HEADERS_TIMEOUT_MS = 10_000;
/** Ms a request may take to send all of itself: 1 MB at 280 kbit/s. */
const REQUEST_TIMEOUT_MS = 30_000;
/** Ms an idle keep-alive connection may stay: longer than pools of clients keep theirs. */
const KEEP_ALIVE_MS = 75_000;
/** Bytes of a request's head: some clients put a batch of messages into the query. */
const HEAD_BYTES_MAX = 64 * 1024;

export interface WebSocketListenerOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Serves https and wss instead of http and ws. */
  readonly tls?: TlsOptions;
  /** An IPv6 wildcard takes no IPv4 connections. */
  readonly isV6Only?: boolean;
  /** Connections the kernel holds until they are accepted. */
  readonly backlog?: number;
  /** Connections of this socket, idle ones and WebSockets included; more are dropped. */
  readonly connectionsMax?: number;
  readonly routes: readonly WebSocketRoute[];
  /** Origins besides the server's own; '*' lets all in. */
  readonly allowedOrigins: readonly string[];
  /** Bytes of the largest message taken, fragments joined. */
  readonly messageBytesMax: number;
  /** Answers requests that are no upgrades. */
  readonly onRequest: RequestListener;
  readonly onRefused?: (reason: string, remoteAddress: string) => void;
}

type Server = ReturnType<typeof createServer> | ReturnType<typeof createTlsServer>;

/** A listening HTTP socket; see above. */
export class WebSocketListener {
  readonly address: { readonly host: string; readonly port: number };
  readonly #server: Server;
  readonly #upgrader: WebSocketServer;
  readonly #pinger: NodeJS.Timeout;

  private constructor(server: Server, upgrader: WebSocketServer) {
    const { address, port } = server.address() as AddressInfo;
    this.address = { host: address, port };
    this.#server = server;
    this.#upgrader = upgrader;
    this.#pinger = setInterval(() => pingAll(upgrader), PING_MS).unref();
  }

  /** Binds and serves. Rejects with the system's error when the address cannot be bound. */
  static async listen(options: WebSocketListenerOptions): Promise<WebSocketListener> {
    const { host, port, routes, messageBytesMax, backlog, isV6Only: ipv6Only = false } = options;
    const upgrader = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      maxPayload: messageBytesMax,
      maxFragments: FRAGMENTS_MAX,
      maxBufferedChunks: BUFFERED_CHUNKS_MAX,
      handleProtocols: (offered, request) =>
        chooseRoute(routes, pathOf(request), offered)?.token ?? false,
    });
    const server = makeServer(options);
    if (options.connectionsMax !== undefined) server.maxConnections = options.connectionsMax;
    server.on('drop', (dropped) =>
      options.onRefused?.('max-connections', dropped?.remoteAddress ?? ''),
    );
    server.on('upgrade', (request, socket, head) =>
      upgrade(upgrader, options, request, socket, head),
    );
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port, ipv6Only, ...(backlog && { backlog }) }, () => {
        server.off('error', reject);
        resolve();
      });
    });
    server.on('error', (error) => options.onRefused?.(error.message, ''));
    server.on('tlsClientError', (error: Error, socket: TLSSocket) =>
      options.onRefused?.(error.message, socket.remoteAddress ?? ''),
    );
    return new WebSocketListener(server, upgrader);
  }

  /**
   * Uses new certificates from the next handshake on.
   *
   * @throws when they are unusable; the old ones stay in service
   */
  replaceTls(options: TlsOptions): void {
    if (this.#server instanceof TlsServer) replaceContext(this.#server, options);
  }

  /**
   * Stops accepting and ends plain requests. Open WebSockets live on until their protocols close
   * them.
   */
  async close(): Promise<void> {
    clearInterval(this.#pinger);
    this.#server.close();
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => setImmediate(resolve));
  }

  /** WebSockets that are open. */
  get connectionCount(): number {
    return this.#upgrader.clients.size;
  }
}

function makeServer({ tls, onRequest }: WebSocketListenerOptions): Server {
  const limits = {
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: HEAD_BYTES_MAX,
    noDelay: true,
  };
  if (tls === undefined) return createServer(limits, onRequest);
  return createTlsServer({ ...limits, ...tlsServerOptions(tls) }, onRequest);
}

function upgrade(
  upgrader: WebSocketServer,
  options: WebSocketListenerOptions,
  request: IncomingMessage,
  duplex: Duplex,
  head: Buffer,
): void {
  const socket = duplex as Socket;
  const { origin, host, upgrade: wanted } = request.headers;
  if (wanted?.toLowerCase() !== 'websocket') {
    answerPlainly(options, request, socket);
    return;
  }
  if (!isOriginAllowed(origin, host, options.allowedOrigins)) {
    refuse(socket, '403 Forbidden', `origin ${origin ?? ''} is not allowed`, options);
    return;
  }
  const chosen = chooseRoute(options.routes, pathOf(request), offeredTokens(request));
  if (chosen === undefined) {
    refuse(socket, '400 Bad Request', 'no protocol for this path and subprotocol', options);
    return;
  }
  upgrader.handleUpgrade(request, socket, head, (webSocket) =>
    open(webSocket, socket, chosen, options.tls),
  );
}

/** Answers a request whose upgrade is declined; the connection ends with it. */
function answerPlainly(
  options: WebSocketListenerOptions,
  request: IncomingMessage,
  socket: Socket,
): void {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    refuse(socket, '400 Bad Request', 'no upgrade of a request with a body', options);
    return;
  }
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  // HTTP sockets may stay half open, and no time limit of the server holds for an upgrade.
  response.once('finish', () => socket.destroySoon());
  socket.setTimeout(REQUEST_TIMEOUT_MS, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  options.onRequest(request, response);
}

function open(
  webSocket: WebSocket,
  socket: Socket,
  { route }: ChosenRoute,
  tls: TlsOptions | undefined,
): void {
  const peer = peerOf(socket, tls);
  const transport = new WebSocketTransport(webSocket, socket, peer, route.isText);
  if (route.isNeverPinged !== true) watchLiveness(webSocket);
  transport.start(route.accept(transport));
}

function refuse(
  socket: Socket,
  status: string,
  reason: string,
  options: WebSocketListenerOptions,
): void {
  options.onRefused?.(reason, socket.remoteAddress ?? '');
  const body = `${reason}\n`;
  // Nobody else listens any more: an error of the peer's would end the process.
  socket.on('error', () => socket.destroy());
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  // HTTP sockets may stay half open, and no time limit of the server holds for an upgrade.
  socket.destroySoon();
}

function pathOf(request: IncomingMessage): string {
  const url = request.url ?? '/';
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
}

function offeredTokens(request: IncomingMessage): Set<string> {
  const header = request.headers['sec-websocket-protocol'];
  if (header === undefined) return new Set();
  return new Set(
    header
      .split(',')
      .map((token) => token.trim())
      .filter((token) => token !== ''),
  );
}

function peerOf(socket: Socket, tls: TlsOptions | undefined): PeerInfo {
  const remoteAddress = socket.remoteAddress ?? '';
  const certificateSubject =
    tls !== undefined && socket instanceof TLSSocket
      ? verifiedSubject(socket, tls.clientName)
      : undefined;
  return {
    remoteAddress,
    remotePort: socket.remotePort ?? 0,
    localAddress: socket.localAddress ?? '',
    localPort: socket.localPort ?? 0,
    isLoopback: isLoopbackAddress(remoteAddress),
    isEncrypted: tls !== undefined,
    ...(certificateSubject === undefined ? {} : { certificateSubject }),
  };
}

const pinged = new WeakSet<WebSocket>();
const answeredPing = new WeakSet<WebSocket>();

function watchLiveness(webSocket: WebSocket): void {
  pinged.add(webSocket);
  answeredPing.add(webSocket);
  webSocket.on('pong', () => answeredPing.add(webSocket));
}

/** A peer that left the last ping unanswered is gone. */
function pingAll(upgrader: WebSocketServer): void {
  for (const webSocket of upgrader.clients) {
    if (!pinged.has(webSocket)) continue;
    if (!answeredPing.delete(webSocket)) webSocket.terminate();
    else webSocket.ping();
  }
}
