/**
 * One HTTP port that serves pages and upgrades WebSockets to any protocol of the gateway.
 *
 *     GET with Upgrade: websocket -> Origin check -> route by path and token -> AcceptTransport
 *     anything else               -> the request handler
 *
 * Compression is off: per-message deflate costs memory per connection and invites inflation bombs.
 * Idle connections are pinged, because proxies cut them after a minute of silence.
 */
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import { isLoopbackAddress } from './loopback.ts';
import type { PeerInfo } from './transport.ts';
import { WebSocketTransport } from './websocket-transport.ts';
import {
  chooseRoute,
  isOriginAllowed,
  type ChosenRoute,
  type WebSocketRoute,
} from './websocket-routes.ts';

/** Frames of one message; more only serve memory attacks with tiny fragments (CVE-2026-48779). */
const FRAGMENTS_MAX = 1_024;
/** Chunks the receiver may hold of one frame. */
const BUFFERED_CHUNKS_MAX = 4_096;
/** Ms between pings; proxies commonly cut at 60 s. */
const PING_MS = 25_000;
/** Ms a request may take to send its head, and an idle keep-alive connection may stay. */
const HEADERS_TIMEOUT_MS = 10_000;

export interface WebSocketListenerOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly routes: readonly WebSocketRoute[];
  /** Origins besides the server's own; '*' lets all in. */
  readonly allowedOrigins: readonly string[];
  /** Bytes of the largest message taken, fragments joined. */
  readonly messageBytesMax: number;
  /** Answers requests that are no upgrades. */
  readonly onRequest: RequestListener;
  readonly onRefused?: (reason: string, remoteAddress: string) => void;
}

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
    const { host, port, routes, messageBytesMax } = options;
    const upgrader = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      maxPayload: messageBytesMax,
      maxFragments: FRAGMENTS_MAX,
      maxBufferedChunks: BUFFERED_CHUNKS_MAX,
      handleProtocols: (offered, request) =>
        chooseRoute(routes, pathOf(request), offered)?.token ?? false,
    });
    const server = createServer(
      { headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: HEADERS_TIMEOUT_MS, noDelay: true },
      options.onRequest,
    );
    server.on('upgrade', (request, socket, head) =>
      upgrade(upgrader, options, request, socket, head),
    );
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port }, () => {
        server.off('error', reject);
        resolve();
      });
    });
    server.on('error', (error) => options.onRefused?.(error.message, ''));
    return new WebSocketListener(server, upgrader);
  }

  /** Stops accepting. Open WebSockets live on until their protocols close them. */
  async close(): Promise<void> {
    clearInterval(this.#pinger);
    this.#server.close();
    this.#server.closeIdleConnections();
    await new Promise<void>((resolve) => setImmediate(resolve));
  }

  /** WebSockets that are open. */
  get connectionCount(): number {
    return this.#upgrader.clients.size;
  }
}

function upgrade(
  upgrader: WebSocketServer,
  options: WebSocketListenerOptions,
  request: IncomingMessage,
  duplex: Duplex,
  head: Buffer,
): void {
  const socket = duplex as Socket;
  const { origin, host } = request.headers;
  if (!isOriginAllowed(origin, host, options.allowedOrigins)) {
    refuse(socket, '403 Forbidden', `origin ${origin ?? ''} is not allowed`, options);
    return;
  }
  const chosen = chooseRoute(options.routes, pathOf(request), offeredTokens(request));
  if (chosen === undefined) {
    refuse(socket, '400 Bad Request', 'no protocol for this path and subprotocol', options);
    return;
  }
  upgrader.handleUpgrade(request, socket, head, (webSocket) => open(webSocket, socket, chosen));
}

function open(webSocket: WebSocket, socket: Socket, { route }: ChosenRoute): void {
  const transport = new WebSocketTransport(webSocket, socket, peerOf(socket), route.isText);
  upgradeLiveness(webSocket);
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
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

function pathOf(request: IncomingMessage): string {
  const url = request.url ?? '/';
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
}

function offeredTokens(request: IncomingMessage): Set<string> {
  const header = request.headers['sec-websocket-protocol'];
  if (header === undefined) return new Set();
  return new Set(header.split(',').map((token) => token.trim()).filter((token) => token !== ''));
}

function peerOf(socket: Socket): PeerInfo {
  const remoteAddress = socket.remoteAddress ?? '';
  return {
    remoteAddress,
    remotePort: socket.remotePort ?? 0,
    localAddress: socket.localAddress ?? '',
    localPort: socket.localPort ?? 0,
    isLoopback: isLoopbackAddress(remoteAddress),
    isEncrypted: 'encrypted' in socket,
  };
}

const answeredPing = new WeakSet<WebSocket>();

function upgradeLiveness(webSocket: WebSocket): void {
  answeredPing.add(webSocket);
  webSocket.on('pong', () => answeredPing.add(webSocket));
}

/** A peer that left the last ping unanswered is gone. */
function pingAll(upgrader: WebSocketServer): void {
  for (const webSocket of upgrader.clients) {
    if (!answeredPing.delete(webSocket)) webSocket.terminate();
    else webSocket.ping();
  }
}
