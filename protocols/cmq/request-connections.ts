import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Who wants to know that a client has gone. */
export interface Guest {
  gone(): void;
}

/** Calls of one connection that have no answer yet: pipelined polls cost memory each. */
const OPEN_CALLS_MAX = 64;

/**
 * Which calls came over which connection. Node tells of a closed connection only the answer that
 * is being written, not those of pipelined requests behind it.
 */
export class RequestConnections {
  readonly #guests = new WeakMap<Socket, Set<Guest>>();

  /** `guest.gone` runs when the connection closes, until `remove`. */
  add(socket: Socket, guest: Guest): void {
    let guests = this.#guests.get(socket);
    if (guests === undefined) {
      const own = new Set<Guest>();
      guests = own;
      this.#guests.set(socket, own);
      socket.once('close', () => {
        for (const each of own) each.gone();
        own.clear();
      });
    }
    guests.add(guest);
  }

  /**
   * A reply is written that stands behind those of earlier requests, which are not there yet:
   * `gone` runs when the connection closes before its turn comes. Nothing of one whose turn it is.
   */
  addUnsent(socket: Socket, response: ServerResponse, gone: () => void): void {
    if (response.socket !== null) return;
    const guest = { gone };
    this.add(socket, guest);
    response.once('finish', () => this.remove(socket, guest));
  }

  /** Whether a connection has as many open calls as it may have. */
  isFull(socket: Socket): boolean {
    return (this.#guests.get(socket)?.size ?? 0) >= OPEN_CALLS_MAX;
  }

  remove(socket: Socket, guest: Guest): void {
    this.#guests.get(socket)?.delete(guest);
  }
}
