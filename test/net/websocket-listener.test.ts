import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { Transport, TransportHandler } from '../../src/net/transport.ts';
import { WebSocketListener } from '../../src/net/websocket-listener.ts';
import { isOriginAllowed } from '../../src/net/websocket-routes.ts';

const open: WebSocketListener[] = [];
const transports: Transport[] = [];

afterEach(async () => {
  for (const transport of transports.splice(0)) transport.destroy();
  for (const listener of open.splice(0)) await listener.close();
});

/** Echoes bytes; remembers how connections ended. */
function echo(log: string[]) {
  return (transport: Transport): TransportHandler => {
    transports.push(transport);
    return {
      onChunk: (chunk) => void transport.write(Buffer.from(chunk)),
      onDrain: () => undefined,
      onClosed: () => void log.push('closed'),
    };
  };
}

async function listen(log: string[] = []): Promise<string> {
  const accept = echo(log);
  const listener = await WebSocketListener.listen({
    host: '127.0.0.1',
    port: 0,
    allowedOrigins: ['https://app.example'],
    messageBytesMax: 1_000,
    onRequest: (_request, response) => void response.writeHead(404).end(),
    routes: [
      {
        protocol: 'mqtt',
        paths: ['/mqtt', '/ws'],
        tokens: ['mqtt', 'mqttv3.1'],
        acceptsNoToken: false,
        isText: false,
        accept,
      },
      {
        protocol: 'amqp',
        paths: ['/ws/amqp', '/ws', '/'],
        tokens: ['amqp'],
        acceptsNoToken: true,
        isText: false,
        accept,
      },
    ],
  });
  open.push(listener);
  return `ws://127.0.0.1:${listener.address.port}`;
}

/** A TCP connection whose end does not follow that of the server. */
async function dial(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connectTcp({ host: hostname, port: Number(port), allowHalfOpen: true });
  await once(socket, 'connect');
  return socket;
}

function upgradeOf(path: string): string {
  return (
    `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
    'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n'
  );
}

function connect(url: string, tokens: string[] = [], origin?: string): Promise<WebSocket> {
  const socket = new WebSocket(url, tokens, origin === undefined ? {} : { origin });
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve(socket));
    socket.once('error', reject);
  });
}

describe('WebSocketListener', () => {
  it('carries bytes both ways and echoes one offered token', async () => {
    const url = await listen();
    const socket = await connect(`${url}/ws`, ['other', 'mqttv3.1']);
    expect(socket.protocol).toBe('mqttv3.1');
    const answer = new Promise<Buffer>((resolve) => socket.once('message', resolve));
    socket.send(Buffer.from([1, 2, 3]));
    expect([...(await answer)]).toEqual([1, 2, 3]);
  });

  it('takes a client without a token where the route says so, and nowhere else', async () => {
    const url = await listen();
    expect((await connect(`${url}/ws`)).protocol).toBe('');
    await expect(connect(`${url}/mqtt`)).rejects.toThrow(/400/);
    await expect(connect(`${url}/nowhere`, ['mqtt'])).rejects.toThrow(/400/);
    await expect(connect(`${url}/mqtt`, ['graphql-ws'])).rejects.toThrow(/400/);
  });

  it('outlives a peer that is refused and resets its connection', async () => {
    const url = await listen();
    const surprises: unknown[] = [];
    const note = (error: unknown) => void surprises.push(error);
    process.on('uncaughtException', note);
    try {
      for (let attempt = 0; attempt < 20; attempt += 1) {
        const socket = await dial(url);
        socket.write(upgradeOf('/nowhere'));
        await once(socket, 'data');
        // Unread bytes and no more interest: the kernel says RST.
        socket.resetAndDestroy();
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      expect(surprises).toEqual([]);
    } finally {
      process.off('uncaughtException', note);
    }
  });

  it.each([
    ['is refused', upgradeOf('/nowhere')],
    ['offers HTTP/2', upgradeOf('/page').replace('websocket', 'h2c')],
  ])('hangs up on a peer that %s and stays', async (_, request) => {
    const url = await listen();
    const socket = await dial(url);
    let isCut = false;
    socket.on('error', () => (isCut = true));
    socket.on('data', () => undefined);
    socket.write(request);
    await once(socket, 'end');
    // A connection that is half open takes this for ever; one that is closed answers with a reset.
    for (let tries = 0; tries < 500 && !isCut; tries += 1) {
      socket.write('more');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(isCut).toBe(true);
  });

  it('checks the Origin', async () => {
    const url = await listen();
    const own = url.replace('ws:', 'http:');
    await expect(connect(url, [], 'https://evil.example')).rejects.toThrow(/403/);
    expect((await connect(url, [], 'https://app.example')).readyState).toBe(WebSocket.OPEN);
    expect((await connect(url, [], own)).readyState).toBe(WebSocket.OPEN);
    expect(isOriginAllowed('null', 'a', [])).toBe(false);
  });

  it('refuses text on a binary protocol with 1003 and oversize messages with 1009', async () => {
    const log: string[] = [];
    const url = await listen(log);
    const closeCode = (socket: WebSocket) =>
      new Promise<number>((resolve) => socket.once('close', resolve));
    const text = await connect(url);
    text.send('hello');
    expect(await closeCode(text)).toBe(1003);
    const large = await connect(url);
    large.send(Buffer.alloc(1_001));
    expect(await closeCode(large)).toBe(1009);
    await expect.poll(() => log.length).toBe(2);
  });

  it('refuses a message of too many fragments', async () => {
    const url = await listen();
    const socket = await connect(url);
    const code = new Promise<number>((resolve) => socket.once('close', resolve));
    socket.on('error', () => undefined);
    for (let index = 0; index < 4_200; index += 1) {
      socket.send(Buffer.alloc(0), { fin: false });
    }
    expect(await code).toBeGreaterThan(1_000);
  });
});
