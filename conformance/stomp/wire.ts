/** STOMP over TCP for tests: frames as they are written, and what comes back. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect } from 'vitest';
import type { ServerProcess } from '../support/server-process.ts';

/** A socket and what it has received. */
export class Wire {
  readonly socket: Socket;
  text = '';
  isClosed = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.text += chunk.toString('latin1');
    });
    socket.on('close', () => {
      this.isClosed = true;
    });
    socket.on('error', () => undefined);
  }

  /** Waits until `pattern` has come, or the socket is closed. */
  async until(pattern: RegExp): Promise<string> {
    const deadline = Date.now() + 30_000;
    while (!pattern.test(this.text) && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(this.text).toMatch(pattern);
    return this.text;
  }

  async untilClosed(): Promise<void> {
    const deadline = Date.now() + 30_000;
    while (!this.isClosed && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(this.isClosed).toBe(true);
  }
}

/** Sockets of one file; destroyed after each test. */
export class Wires {
  readonly #server: () => ServerProcess;
  readonly #sockets: Socket[] = [];

  constructor(server: () => ServerProcess) {
    this.#server = server;
  }

  /** A socket on which nothing was said yet. */
  async open(): Promise<Wire> {
    const socket = connect(this.#server().port('stomp'), '127.0.0.1');
    this.#sockets.push(socket);
    const wire = new Wire(socket);
    await once(socket, 'connect');
    return wire;
  }

  /** Logged in as guest; what CONNECTED said is gone. */
  async login(version = '1.2'): Promise<Wire> {
    const wire = await this.open();
    wire.socket.write(`CONNECT\naccept-version:${version}\nlogin:guest\npasscode:guest\n\n\0`);
    await wire.until(/^CONNECTED\n[^]*\0/);
    wire.text = '';
    return wire;
  }

  destroyAll(): void {
    for (const socket of this.#sockets.splice(0)) socket.destroy();
  }
}
