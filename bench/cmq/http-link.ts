/**
 * One keep-alive HTTP/1.1 connection of the load generator: a raw socket with one request under way
 * at a time. It knows just enough HTTP for replies with a Content-Length, so that the generator
 * costs less than the gateway it measures.
 */
import { type Socket, connect } from 'node:net';

const HEAD_END = Buffer.from('\r\n\r\n');
const CONTENT_LENGTH = /\r\ncontent-length: *(\d+)/i;

interface Pending {
  readonly resolve: (text: string) => void;
  readonly reject: (error: Error) => void;
}

export class HttpLink {
  readonly #socket: Socket;
  #received: Buffer;
  #pending: Pending | undefined;
  #failure: Error | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#received = Buffer.alloc(0);
    this.#pending = undefined;
    this.#failure = undefined;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#onData(chunk));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('the server closed the connection')));
  }

  static open(port: number): Promise<HttpLink> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.off('error', reject);
        resolve(new HttpLink(socket));
      });
      socket.once('error', reject);
    });
  }

  /** Sends a POST of an ASCII body; resolves with that of the reply, whose status must be 200. */
  post(path: string, headers: string, body: string): Promise<string> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject };
      const length = `Content-Length: ${body.length}\r\n`;
      this.#socket.write(`POST ${path} HTTP/1.1\r\n${headers}${length}\r\n${body}`, 'latin1');
    });
  }

  close(): void {
    this.#pending = undefined;
    this.#socket.destroy();
  }

  #onData(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const headEnd = this.#received.indexOf(HEAD_END);
    if (headEnd < 0) return;
    const head = this.#received.toString('latin1', 0, headEnd);
    const length = CONTENT_LENGTH.exec(head)?.[1];
    if (length === undefined) {
      this.#fail(new Error(`a reply without Content-Length: ${head}`));
      return;
    }
    const end = headEnd + HEAD_END.length + Number(length);
    if (this.#received.length < end) return;
    const body = this.#received.toString('utf8', headEnd + HEAD_END.length, end);
    this.#received = this.#received.subarray(end);
    const pending = this.#pending;
    this.#pending = undefined;
    if (head.startsWith('HTTP/1.1 200 ')) pending?.resolve(body);
    else pending?.reject(new Error(`${head.slice(0, 60)}: ${body.slice(0, 200)}`));
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    const pending = this.#pending;
    this.#pending = undefined;
    pending?.reject(error);
  }
}
