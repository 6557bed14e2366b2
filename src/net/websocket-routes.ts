/**
 * Which protocol a WebSocket upgrade means: by path and by offered subprotocol tokens.
 *
 * One offered token is echoed, never one that was not offered. A route that takes clients without
 * any token says so (`@cloudamqp/amqp-client` offers none). The first route that fits wins.
 */
import type { AcceptTransport } from './transport.ts';

/** One protocol reachable over WebSocket. */
export interface WebSocketRoute {
  readonly protocol: string;
  readonly paths: readonly string[];
  /** Subprotocol tokens, the preferred first. */
  readonly tokens: readonly string[];
  /** Serves a client that offers no token at all. */
  readonly acceptsNoToken: boolean;
  /** Messages are text frames. */
  readonly isText: boolean;
  /**
   * The protocol finds dead peers itself, and its stock clients cannot answer WebSocket pings:
   * paho-mqtt sends its pong unmasked, Paho's Java client none.
   */
  readonly isNeverPinged?: boolean;
  readonly accept: AcceptTransport;
}

export interface ChosenRoute {
  readonly route: WebSocketRoute;
  /** The token to echo; undefined when none was offered. */
  readonly token: string | undefined;
}

/** The route for an upgrade request; undefined when nothing fits. */
export function chooseRoute(
  routes: readonly WebSocketRoute[],
  path: string,
  offered: ReadonlySet<string>,
): ChosenRoute | undefined {
  for (const route of routes) {
    if (!route.paths.includes(path)) continue;
    if (offered.size === 0) {
      if (route.acceptsNoToken) return { route, token: undefined };
      continue;
    }
    const token = route.tokens.find((candidate) => offered.has(candidate));
    if (token !== undefined) return { route, token };
  }
  return undefined;
}

/**
 * True when a request may open a WebSocket. Browsers always send an Origin: it must be the server's
 * own or listed; anything else sends none and is let in (it could claim any).
 */
export function isOriginAllowed(
  origin: string | undefined,
  host: string | undefined,
  allowed: readonly string[],
): boolean {
  if (origin === undefined) return true;
  if (allowed.includes('*') || allowed.includes(origin)) return true;
  try {
    return host !== undefined && new URL(origin).host === host.toLowerCase();
  } catch {
    return false;
  }
}
