/**
 * A WebSocket as a byte stream. What was flushed in one turn goes out as one message; messages that
 * come in are chunks, whatever they contain: protocols find their own boundaries.
 *
 * Back-pressure is the socket's below: `ws` hands every frame to it at once, so its buffer and its
 * `drain` are the truth.
 *
 * `ws` puts a message together before it shows it. A peer that has not logged in must not fill
 * memory that way: until `admitted` the bytes of the message that is coming in are counted.
 */
import { isUtf8 } from 'node:buffer';
import type { Socket } from 'node:net';
import type WebSocket from 'ws';
import type { PeerInfo, Transport, TransportHandler, WrittenCallback } from './transport.ts';

/** WebSocket close codes (RFC 6455, 7.4.1). */
const CLOSE_NORMAL = 1000;
const CLOSE_UNSUPPORTED_DATA = 1003;
const CLOSE_TOO_BIG = 1009;
/**
 * Bytes that may be held of a message before the login: MQTT takes a CONNECT of 64 KiB, and the
 * kernel hands over 64 KiB at a time.
 */
const STRANGER_BYTES_MAX = 128 * 1024;
/** After our close frame the peer has this long to answer before the socket is destroyed. */
const LINGER_MS = 5_000;
/** Bytes buffered in the socket above which a writer should wait. */
const WRITE_WAIT_BYTES = 65_536;

export class WebSocketTransport implements Transport {
  readonly peer: PeerInfo;
  readonly #webSocket: WebSocket;
  readonly #socket: Socket;
  /** The protocol is made of text frames; binary ones are accepted too. */
  readonly #isText: boolean;
  #error: Error | undefined;
  #isEnding: boolean;
  #linger: NodeJS.Timeout | undefined;
  /** Counts what a peer sends that has not logged in; undefined once it has. */
  #onStrangerData: ((chunk: Buffer) => void) | undefined;
  /** Bytes of it since the last whole message. */
  #heldBytes: number;
  #sawMessage: boolean;

  constructor(webSocket: WebSocket, socket: Socket, peer: PeerInfo, isText: boolean) {
    this.peer = peer;
    this.#webSocket = webSocket;
    this.#socket = socket;
    this.#isText = isText;
    this.#error = undefined;
    this.#isEnding = false;
    this.#linger = undefined;
    this.#onStrangerData = (chunk) => this.#countStranger(chunk.length);
    this.#heldBytes = 0;
    this.#sawMessage = false;
    webSocket.on('error', (error) => {
      this.#error = error;
    });
  }

  /** Starts to read. Called once, by the listener. */
  start(handler: TransportHandler): void {
    const webSocket = this.#webSocket;
    webSocket.binaryType = 'nodebuffer';
    this.#socket.on('drain', () => handler.onDrain());
    if (this.#onStrangerData !== undefined) this.#socket.on('data', this.#onStrangerData);
    webSocket.on('close', () => {
      clearTimeout(this.#linger);
      handler.onClosed(this.#error);
    });
    webSocket.on('message', (data, isBinary) => {
      this.#sawMessage = true;
      if (this.#isEnding) return;
      if (!isBinary && !this.#isText) {
        this.#close(CLOSE_UNSUPPORTED_DATA, 'binary messages only');
        return;
      }
      handler.onChunk(data as Buffer);
    });
  }

  write(bytes: Buffer, onWritten?: WrittenCallback): boolean {
    if (this.#isEnding || this.#webSocket.readyState !== this.#webSocket.OPEN) return true;
    // A text message must be UTF-8 (RFC 6455, 8.1): bodies that are not go as binary ones.
    const options = { binary: !this.#isText || !isUtf8(bytes), compress: false };
    this.#webSocket.send(bytes, options, (error) => onWritten?.(error ?? null));
    return this.#socket.writableLength < WRITE_WAIT_BYTES;
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
    if (!this.#isEnding) this.#webSocket.pause();
  }

  resume(): void {
    this.#webSocket.resume();
  }

  end(): void {
    this.#close(CLOSE_NORMAL, '');
  }

  destroy(): void {
    this.#isEnding = true;
    this.#webSocket.terminate();
  }

  admitted(): void {
    if (this.#onStrangerData === undefined) return;
    this.#socket.off('data', this.#onStrangerData);
    this.#onStrangerData = undefined;
  }

  /** After `ws` has had the same bytes: what it made no message of, it holds. */
  #countStranger(byteCount: number): void {
    this.#heldBytes = this.#sawMessage ? 0 : this.#heldBytes + byteCount;
    this.#sawMessage = false;
    if (this.#heldBytes <= STRANGER_BYTES_MAX || this.#isEnding) return;
    this.#close(CLOSE_TOO_BIG, 'too much before the login');
    this.#socket.destroySoon();
  }

  #close(code: number, reason: string): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#webSocket.close(code, reason);
    this.#webSocket.resume();
    this.#linger = setTimeout(() => this.#webSocket.terminate(), LINGER_MS).unref();
  }
}
