import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { answerHealth, answerText } from './plain-answers.ts';

/** What the two pages show. */
export interface MetricsPages {
  /** Prometheus text. */
  metrics(): string;
  /** Names of what is wrong; healthy when there is none. */
  troubles(): readonly string[];
}

/** A scraper sends a few hundred bytes, at once. */
const LIMITS = { maxHeaderSize: 8 * 1024, headersTimeout: 5_000, requestTimeout: 5_000 };

/** Prometheus' text format. */
const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Serves /metrics and /healthz, and nothing else. */
export class MetricsListener {
  readonly address: { readonly host: string; readonly port: number };
  readonly #server: Server;

  private constructor(address: AddressInfo, server: Server) {
    this.address = { host: address.address, port: address.port };
    this.#server = server;
  }

  /** Binds and serves. Rejects with the system's error when the address cannot be bound. */
  static async listen(
    address: { readonly host: string; readonly port: number; readonly isV6Only: boolean },
    pages: MetricsPages,
  ): Promise<MetricsListener> {
    const server = createServer(LIMITS, (request, response) => {
      // The body of a request nobody should send is discarded, not collected.
      request.resume();
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        answerText(response, 405, 'method not allowed\n');
        return;
      }
      switch (request.url?.split('?', 1)[0]) {
        case '/metrics':
          answerText(response, 200, pages.metrics(), METRICS_TYPE);
          return;
        case '/healthz':
          answerHealth(response, pages.troubles());
          return;
        default:
          answerText(response, 404, 'not found\n');
      }
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      const { host, port, isV6Only: ipv6Only } = address;
      server.listen({ host, port, ipv6Only }, () => {
        server.off('error', reject);
        resolve();
      });
    });
    // After this an error concerns one accept (no file handles left): the next one may work.
    server.on('error', () => undefined);
    return new MetricsListener(server.address() as AddressInfo, server);
  }

  /** Has none. */
  replaceTls(): void {}

  /** Stops accepting and ends what is open. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }
}
