import type { Socket } from 'node:net';
import type { PeerInfo, Transport, TransportHandler, WrittenCallback } from './transport.ts';

/** After our FIN the peer has this long to send its own before the socket is destroyed. */
const LINGER_MS = 5_000;

/** A TCP or TLS socket as a `Transport`. */
export class TcpTransport implements Transport {
  readonly peer: PeerInfo;
  readonly #socket: Socket;
  #error: Error | undefined;
  #isEnding: boolean;
  #isPaused: boolean;
  #linger: NodeJS.Timeout | undefined;

  /** @param socket connected, and for TLS past its handshake; owned by the transport from now on */
  constructor(socket: Socket, peer: PeerInfo) {
    this.peer = peer;
    this.#socket = socket;
    this.#error = undefined;
    this.#isEnding = false;
    this.#isPaused = false;
    this.#linger = undefined;
    socket.on('error', (error) => {
      this.#error = error;
    });
  }

  /** Starts to read. Called once, by the listener that made the transport. */
  start(handler: TransportHandler): void {
    const socket = this.#socket;
    socket.on('drain', () => handler.onDrain());
    socket.on('close', () => {
      clearTimeout(this.#linger);
      handler.onClosed(this.#error);
    });
    socket.on('data', (chunk: Buffer) => {
      if (!this.#isEnding) handler.onChunk(chunk);
    });
    // A gate before this one may have paused it, which a `data` listener alone does not undo.
    if (!this.#isPaused) socket.resume();
  }

  write(bytes: Buffer, onWritten?: WrittenCallback): boolean {
    if (this.#isEnding || this.#socket.destroyed) return true;
    return this.#socket.write(bytes, onWritten);
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  cork(): void {
    this.#socket.cork();
  }

  uncork(): void {
    this.#socket.uncork();
  }

  pause(): void {
    if (this.#isEnding) return;
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#socket.resume();
  }

  end(): void {
    if (this.#isEnding || this.#socket.destroyed) return;
    this.#isEnding = true;
    this.#socket.end();
    // Unread bytes at close would make the kernel send RST, and with it lose what we just said.
    this.#socket.resume();
    this.#linger = setTimeout(() => this.#socket.destroy(), LINGER_MS).unref();
  }

  destroy(): void {
    this.#isEnding = true;
    this.#socket.destroy();
  }
}
