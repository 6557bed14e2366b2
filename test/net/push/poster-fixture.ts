import { createServer, type RequestListener } from 'node:http';
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Server,
  type Socket,
} from 'node:net';
import { AddressGuard } from '../../../src/net/push/address-guard.ts';
import type { HostResolver } from '../../../src/net/push/host-resolver.ts';
import { HttpPoster, type PosterOptions } from '../../../src/net/push/http-poster.ts';
import type { PostResult } from '../../../src/net/push/post-failure.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { FakeTimers } from './fake-timers.ts';

const LOOPBACK = [{ address: '127.0.0.0', prefixBits: 8 }];
export const HEADERS = { 'Content-Type': 'text/plain' };

const cleanUps: (() => unknown)[] = [];

/** Ends what this file made; for `afterEach`. */
export async function cleanUp(): Promise<void> {
  for (const run of cleanUps.splice(0).reverse()) await run();
}

/** Answers from a table, and remembers what it was asked. */
export class TableResolver implements HostResolver {
  readonly asked: string[] = [];
  readonly #table: Readonly<Record<string, readonly (readonly string[])[]>>;

  /** Answers in turn; the last one stays. */
  constructor(table: Readonly<Record<string, readonly (readonly string[])[]>>) {
    this.#table = table;
  }

  resolve(name: string, isTrusted: boolean, done: (addresses: readonly string[]) => void) {
    const answers = this.#table[name] ?? [[]];
    const count = this.asked.filter((asked) => asked.startsWith(`${name} `)).length;
    this.asked.push(`${name} ${isTrusted ? 'trusted' : 'checked'}`);
    const timer = setImmediate(() => done(answers[Math.min(count, answers.length - 1)]!));
    return () => clearImmediate(timer);
  }
}

export interface Fixture {
  readonly poster: HttpPoster;
  readonly timers: FakeTimers;
  readonly clock: FakeClock;
  post(url: string, body?: Buffer, headers?: Record<string, string>): Promise<PostResult>;
}

export function createPoster(options: Partial<PosterOptions> = {}): Fixture {
  const timers = new FakeTimers();
  const clock = new FakeClock();
  const poster = new HttpPoster({
    guard: new AddressGuard({
      allowedBlocks: LOOPBACK,
      allowedNames: [],
      ownAddresses: () => [],
    }),
    resolver: new TableResolver({}),
    clock,
    timers,
    timeoutMs: 15_000,
    concurrencyMax: 16,
    endpointConcurrencyMax: 2,
    ports: [],
    ...options,
  });
  cleanUps.push(() => poster.close());
  const post: Fixture['post'] = (url, body = Buffer.from('x'), headers = HEADERS) =>
    new Promise((resolve) => {
      poster.post({ url, makeContent: () => ({ headers, body }), tenant: 't' }, resolve);
    });
  return { poster, timers, clock, post };
}

export async function listen(server: Server, host = '127.0.0.1'): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  cleanUps.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}

/** An HTTP server; the address of it. */
export async function serve(onRequest: RequestListener): Promise<string> {
  return `http://127.0.0.1:${await listen(createServer(onRequest))}/`;
}

/** A server that speaks whatever it likes, once it has the end of a request's head. */
export async function serveRaw(onHead: (socket: Socket) => void): Promise<string> {
  const server = createTcpServer((socket) => {
    socket.once('data', () => onHead(socket));
  });
  return `http://127.0.0.1:${await listen(server)}/`;
}

/** Lets sockets work until `isDone`. */
export async function until(isDone: () => boolean): Promise<void> {
  while (!isDone()) await new Promise((resolve) => setImmediate(resolve));
}
