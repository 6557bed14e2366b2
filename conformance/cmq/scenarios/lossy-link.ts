/** A TCP link to the gateway that can swallow what goes one way, so that the other side never knows. */
import net from 'node:net';
import type { AddressInfo } from 'node:net';

export class LossyLink {
  readonly #server: net.Server;
  readonly #sockets: Set<net.Socket>;
  #swallows: 'requests' | 'replies' | undefined;
  /** Bytes that were swallowed since. */
  swallowed: number;

  private constructor(port: number) {
    this.#sockets = new Set();
    this.swallowed = 0;
    this.#server = net.createServer((client) => {
      const gateway = net.connect(port, '127.0.0.1');
      for (const [from, to, what] of [
        [client, gateway, 'requests'],
        [gateway, client, 'replies'],
      ] as const) {
        this.#sockets.add(from);
        from.on('error', () => {});
        from.on('close', () => {
          this.#sockets.delete(from);
          to.destroy();
        });
        from.on('data', (chunk: Buffer) => {
          if (this.#swallows === what) this.swallowed += chunk.length;
          else to.write(chunk);
        });
      }
    });
  }

  /** A link to a port of this machine. */
  static async to(port: number): Promise<LossyLink> {
    const link = new LossyLink(port);
    await new Promise<void>((resolve) => link.#server.listen(0, '127.0.0.1', resolve));
    return link;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  swallow(what: 'requests' | 'replies'): void {
    this.#swallows = what;
  }

  /** Cuts every connection; the next ones lose nothing. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#swallows = undefined;
    this.swallowed = 0;
  }

  stop(): void {
    this.cut();
    this.#server.close();
  }
}
