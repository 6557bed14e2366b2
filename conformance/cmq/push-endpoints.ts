/**
 * Endpoints for pushes: one that keeps what it gets and answers as told, and those that do harm.
 */
import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo, type Socket } from 'node:net';

/** One request as it came. */
export interface Push {
  readonly method: string;
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
  readonly atMs: number;
}

/** A status, or what else to do with the answer. */
export type Answer = number | ((response: http.ServerResponse) => void);

/** The first address that the suites allow pushes to. */
export const GOOD_HOST = '127.0.0.3';

/** A listening server that ends with everything connected to it. */
export class Endpoint {
  readonly host: string;
  readonly #server: net.Server;
  readonly #sockets: Set<Socket> = new Set();
  /** Connections so far. */
  connectionCount = 0;

  protected constructor(server: net.Server, host: string) {
    this.#server = server;
    this.host = host;
    server.on('connection', (socket: Socket) => {
      this.connectionCount += 1;
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  /** Connections that are open. */
  get openCount(): number {
    return this.#sockets.size;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://${this.host}:${this.port}/`;
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(0, this.host, resolve);
    });
    return this;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Keeps what it gets; answers in the order of its script, then 200. */
export class Receiver extends Endpoint {
  readonly pushes: Push[] = [];
  readonly script: Answer[];

  private constructor(host: string, script: readonly Answer[], tls?: https.ServerOptions) {
    const onRequest: http.RequestListener = (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { method = '', url: path = '', headers } = request;
        const body = Buffer.concat(chunks);
        this.pushes.push({ method, path, headers, body, atMs: Date.now() });
        const answer = this.script.shift() ?? 200;
        if (typeof answer === 'number') response.writeHead(answer).end('answer');
        else answer(response);
      });
    };
    const server = tls ? https.createServer(tls, onRequest) : http.createServer(onRequest);
    super(server, host);
    this.script = [...script];
  }

  static async open(script: readonly Answer[] = [], host = GOOD_HOST): Promise<Receiver> {
    return await new Receiver(host, script).listen();
  }

  /** Speaks TLS on 127.0.0.1; its address is to be called by a name. */
  static async openTls(tls: https.ServerOptions): Promise<Receiver> {
    return await new Receiver('127.0.0.1', [], tls).listen();
  }

  get bodies(): string[] {
    return this.pushes.map(({ body }) => body.toString());
  }
}

/** Does with each connection, once a request has begun on it, what `harm` does. */
export class HostileEndpoint extends Endpoint {
  static async open(harm: (socket: Socket) => void): Promise<HostileEndpoint> {
    const server = net.createServer((socket) => {
      socket.once('data', () => harm(socket));
      socket.resume();
    });
    return await new HostileEndpoint(server, GOOD_HOST).listen();
  }
}

/** Writes `next()` for as long as the peer takes it. */
function flood(socket: Socket, next: () => string | Buffer): void {
  const pump = (): void => {
    while (!socket.destroyed && socket.write(next()));
  };
  socket.on('drain', pump);
  pump();
}

/** Writes `text` again every 50 ms. */
function trickle(socket: Socket, text: string): void {
  const timer = setInterval(() => socket.write(text), 50);
  socket.on('close', () => clearInterval(timer));
}

const OK = 'HTTP/1.1 200 OK\r\n';
const MEGABYTE = Buffer.alloc(1024 * 1024, 'x');
const CHUNK = Buffer.concat([Buffer.from('100000\r\n'), MEGABYTE, Buffer.from('\r\n')]);

/** What an endpoint may do to whom calls it; none of it is an answer in time. */
export const HARMS: Readonly<Record<string, (socket: Socket) => void>> = {
  'never answers': () => undefined,
  'does not even read': (socket) => socket.pause(),
  'sends its status line byte by byte': (socket) => {
    let at = 0;
    const timer = setInterval(() => socket.write(`${OK}X: y`[at++ % 20]!), 50);
    socket.on('close', () => clearInterval(timer));
  },
  'sends headers for ever, slowly': (socket) => {
    socket.write(OK);
    trickle(socket, 'X-Slow: y\r\n');
  },
  'sends headers for ever, fast': (socket) => {
    socket.write(OK);
    flood(socket, () => 'X-Bomb: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n'.repeat(1_000));
  },
  'sends one endless header': (socket) => {
    socket.write(`${OK}X-Bomb: `);
    flood(socket, () => MEGABYTE);
  },
  'sends interim answers for ever': (socket) => {
    flood(socket, () => 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(1_000));
  },
  'resets the connection': (socket) => socket.resetAndDestroy(),
  'closes the connection': (socket) => socket.end(),
  'speaks garbage': (socket) => {
    flood(socket, () => Buffer.alloc(65_536, 0x07));
  },
  'speaks another protocol': (socket) => {
    socket.write('SSH-2.0-OpenSSH_9.2p1\r\n');
  },
  'redirects to itself': (socket) => {
    const { address, port } = socket.address() as AddressInfo;
    const location = `http://${address}:${port}/again`;
    socket.write(`HTTP/1.1 302 Found\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`);
  },
  'fails with an endless body': (socket) => {
    socket.write('HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n');
    flood(socket, () => CHUNK);
  },
  'fails with a body that is announced and never comes': (socket) => {
    socket.write('HTTP/1.1 500 Oops\r\nContent-Length: 1000000000000\r\n\r\nx');
  },
};

/** These take the message, and try to keep the caller busy. */
export const KEEPERS: Readonly<Record<string, (socket: Socket) => void>> = {
  'takes it with an endless body': (socket) => {
    socket.write(`${OK}Transfer-Encoding: chunked\r\n\r\n`);
    flood(socket, () => CHUNK);
  },
  'takes it with a body that trickles': (socket) => {
    socket.write(`${OK}Transfer-Encoding: chunked\r\n\r\n`);
    trickle(socket, '1\r\nx\r\n');
  },
};
