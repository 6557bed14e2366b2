/** RFC 6455 on the wire: handshakes, frames and closes that no library would send. */
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { Transport, TransportHandler } from '../../src/net/transport.ts';
import { WebSocketListener } from '../../src/net/websocket-listener.ts';

const open: WebSocketListener[] = [];
const sockets: Socket[] = [];
const transports: Transport[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const transport of transports.splice(0)) transport.destroy();
  for (const listener of open.splice(0)) await listener.close();
});

/** Sends every chunk back; `bye` ends the connection in order. */
function echo(transport: Transport): TransportHandler {
  transports.push(transport);
  return {
    onChunk: (chunk) => {
      transport.write(Buffer.from(chunk));
      if (chunk.toString() === 'bye') transport.end();
    },
    onDrain: () => undefined,
    onClosed: () => undefined,
  };
}

async function listen(): Promise<number> {
  const shared = { acceptsNoToken: true, accept: echo };
  const listener = await WebSocketListener.listen({
    host: '127.0.0.1',
    port: 0,
    allowedOrigins: [],
    messageBytesMax: 100_000,
    onRequest: (request, response) => void response.end(`page ${request.url ?? ''}`),
    routes: [
      { protocol: 'b', paths: ['/binary'], tokens: ['b1', 'b2'], isText: false, ...shared },
      { protocol: 't', paths: ['/text'], tokens: ['t'], isText: true, ...shared },
    ],
  });
  open.push(listener);
  return listener.address.port;
}

/** A socket, and what has come. */
class Wire {
  readonly socket: Socket;
  received: Buffer = Buffer.alloc(0);
  isEnded = false;

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    sockets.push(this.socket);
    this.socket.on('error', () => undefined);
    this.socket.on('data', (chunk: Buffer) => {
      this.received = Buffer.concat([this.received, chunk]);
    });
    this.socket.on('end', () => {
      this.isEnded = true;
    });
  }

  /** Bytes in hex, once there are as many; what is behind them stays. */
  async take(count: number): Promise<string> {
    await expect.poll(() => this.received.length).toBeGreaterThanOrEqual(count);
    const taken = this.received.subarray(0, count).toString('hex');
    this.received = this.received.subarray(count);
    return taken;
  }

  async ended(): Promise<void> {
    await expect.poll(() => this.isEnded).toBe(true);
  }
}

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const UPGRADE = {
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': KEY,
};

/** Sends a request; returns the head of the answer, or all of it when the server hangs up. */
async function request(
  wire: Wire,
  path: string,
  headers: Record<string, string>,
  method = 'GET',
): Promise<string> {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  wire.socket.write(`${method} ${path} HTTP/1.1\r\nHost: x\r\n${lines.join('')}\r\n`);
  await expect.poll(() => wire.received.includes('\r\n\r\n')).toBe(true);
  const end = wire.received.indexOf('\r\n\r\n') + 4;
  const head = wire.received.subarray(0, end).toString();
  wire.received = wire.received.subarray(end);
  return head;
}

/** A socket behind its upgrade. */
async function upgraded(path: string): Promise<Wire> {
  const wire = new Wire(await listen());
  expect(await request(wire, path, UPGRADE)).toMatch(/^HTTP\/1\.1 101 /);
  return wire;
}

/** A masked frame; `first` has FIN and the opcode. */
function frame(first: number, payload: string | Buffer = ''): Buffer {
  const bytes = Buffer.from(payload);
  const mask = Buffer.from([1, 2, 3, 4]);
  const masked = bytes.map((byte, at) => byte ^ mask[at % 4]!);
  return Buffer.concat([Buffer.from([first, 0x80 | bytes.length]), mask, masked]);
}

const CONTINUED = 0x00;
const TEXT = 0x01;
const BINARY = 0x02;
const FIN = 0x80;
const CLOSE = 0x88;
const PING = 0x89;

function closeFrame(code: number, reason = ''): string {
  const payload = Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason)]);
  return Buffer.concat([Buffer.from([CLOSE, payload.length]), payload]).toString('hex');
}

describe('the handshake', () => {
  test('proves the key, and takes no extension that is offered', async () => {
    const wire = new Wire(await listen());
    const head = await request(wire, '/binary', {
      ...UPGRADE,
      'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits, x-webkit-deflate',
    });
    expect(head).toMatch(/^HTTP\/1\.1 101 /);
    expect(head).toContain('Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
    expect(head.toLowerCase()).not.toContain('extensions');
    // What a client compresses all the same is refused: nobody agreed to the bit.
    wire.socket.write(frame(FIN | 0x40 | BINARY, 'x'));
    expect(await wire.take(4)).toBe(closeFrame(1002));
  });

  test.each([
    ['b2', 'b2'],
    ['other, b2', 'b2'],
    ['b2, b1', 'b1'],
    ['b1,b1x', 'b1'],
  ])('of the tokens %s one is echoed: %s', async (offered, token) => {
    const wire = new Wire(await listen());
    const head = await request(wire, '/binary', { ...UPGRADE, 'Sec-WebSocket-Protocol': offered });
    expect(head).toContain(`\r\nSec-WebSocket-Protocol: ${token}\r\n`);
  });

  test('without tokens none is made up', async () => {
    const wire = new Wire(await listen());
    expect((await request(wire, '/binary', UPGRADE)).toLowerCase()).not.toContain('protocol:');
  });

  test.each([
    ['no known token', { 'Sec-WebSocket-Protocol': 'B1' }],
    ['a list that is none', { 'Sec-WebSocket-Protocol': 'b1,,b2' }],
    ['no key', { 'Sec-WebSocket-Key': '' }],
    ['a key of 15 bytes', { 'Sec-WebSocket-Key': 'MDEyMzQ1Njc4OWFiY2Q=' }],
  ])('%s is refused with 400', async (_what, headers) => {
    const wire = new Wire(await listen());
    expect(await request(wire, '/binary', { ...UPGRADE, ...headers })).toMatch(/^HTTP\/1\.1 400 /);
    await wire.ended();
  });

  test('another version is told which to take', async () => {
    const wire = new Wire(await listen());
    const head = await request(wire, '/binary', { ...UPGRADE, 'Sec-WebSocket-Version': '12' });
    expect(head).toMatch(/^HTTP\/1\.1 4\d\d /);
    expect(head).toMatch(/\r\nSec-WebSocket-Version: 13/);
    await wire.ended();
  });

  test('an offer of HTTP/2 is declined: the request is answered as it stands', async () => {
    const offer = {
      Connection: 'Upgrade, HTTP2-Settings',
      Upgrade: 'h2c',
      'HTTP2-Settings': 'AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA',
    };
    const wire = new Wire(await listen());
    expect(await request(wire, '/health', offer)).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    await wire.ended();
    expect(wire.received.toString()).toContain('page /health');
    const other = new Wire(await listen());
    expect(await request(other, '/', offer, 'POST')).toMatch(/^HTTP\/1\.1 400 /);
    await other.ended();
  });
});

describe('frames', () => {
  test('fragments are one message, with pings between them that are answered', async () => {
    const wire = await upgraded('/binary');
    wire.socket.write(
      Buffer.concat([
        frame(BINARY, 'a'),
        frame(PING, 'one'),
        frame(CONTINUED, 'b'),
        frame(PING),
        frame(FIN | CONTINUED, 'c'),
      ]),
    );
    expect(await wire.take(5)).toBe(`8a03${Buffer.from('one').toString('hex')}`);
    expect(await wire.take(2)).toBe('8a00');
    expect(await wire.take(5)).toBe(`8203${Buffer.from('abc').toString('hex')}`);
  });

  test('a pong nobody asked for is ignored, and so is an empty message', async () => {
    const wire = await upgraded('/binary');
    wire.socket.write(Buffer.concat([frame(0x8a, 'x'), frame(FIN | BINARY, 'y')]));
    expect(await wire.take(3)).toBe('820179');
  });

  test('text may be cut within a character, and must be whole in the end', async () => {
    const euro = Buffer.from('\u{20ac}');
    const wire = await upgraded('/text');
    wire.socket.write(
      Buffer.concat([frame(TEXT, euro.subarray(0, 1)), frame(FIN | CONTINUED, euro.subarray(1))]),
    );
    expect(await wire.take(5)).toBe(`8103${euro.toString('hex')}`);
    wire.socket.write(frame(FIN | TEXT, euro.subarray(0, 2)));
    expect(await wire.take(4)).toBe(closeFrame(1007));
    await wire.ended();
  });

  test('a text protocol takes binary messages', async () => {
    const wire = await upgraded('/text');
    wire.socket.write(frame(FIN | BINARY, 'x'));
    expect(await wire.take(3)).toBe('810178');
  });

  test.each([
    ['a frame without a mask', Buffer.from('820141', 'hex')],
    ['a reserved bit', frame(FIN | 0x20 | BINARY, 'x')],
    ['an unknown opcode', frame(FIN | 0x03, 'x')],
    ['a control frame in fragments', frame(0x09, 'x')],
    ['a continuation of nothing', frame(FIN | CONTINUED, 'x')],
    ['a message within a message', Buffer.concat([frame(BINARY, 'x'), frame(FIN | BINARY, 'y')])],
    ['a ping of 126 bytes', Buffer.from('89fe007e01020304', 'hex')],
    ['a close with one byte', frame(CLOSE, 'x')],
    ['a close code that is no code', frame(CLOSE, Buffer.from([0x03, 0xe7]))],
    ['close code 1005, which is never sent', frame(CLOSE, Buffer.from([0x03, 0xed]))],
  ])('%s is a protocol error (1002)', async (_what, bytes) => {
    const wire = await upgraded('/binary');
    wire.socket.write(bytes);
    expect(await wire.take(4)).toBe(closeFrame(1002));
    await wire.ended();
  });

  test('a close reason that is no text is 1007', async () => {
    const wire = await upgraded('/binary');
    wire.socket.write(frame(CLOSE, Buffer.from([0x03, 0xe8, 0xff])));
    expect(await wire.take(4)).toBe(closeFrame(1007));
  });
});

describe('the close', () => {
  test.each([
    ['without a code', frame(CLOSE), '8800'],
    ['with 1000', frame(CLOSE, Buffer.from([0x03, 0xe8])), closeFrame(1000)],
    ['with 1001', frame(CLOSE, Buffer.from([0x03, 0xe9])), closeFrame(1001)],
    ['with a code of an application', frame(CLOSE, Buffer.from([0x0f, 0xa0])), closeFrame(4000)],
  ])('%s is answered in kind, then the socket ends', async (_what, bytes, answer) => {
    const wire = await upgraded('/binary');
    wire.socket.write(bytes);
    expect(await wire.take(answer.length / 2)).toBe(answer);
    await wire.ended();
    expect(wire.received.length).toBe(0);
  });

  test('of ours follows what was written, and waits for its answer', async () => {
    const wire = await upgraded('/binary');
    wire.socket.write(frame(FIN | BINARY, 'bye'));
    expect(await wire.take(5)).toBe(`8203${Buffer.from('bye').toString('hex')}`);
    expect(await wire.take(4)).toBe(closeFrame(1000));
    // What comes until then is not looked at.
    wire.socket.write(frame(FIN | BINARY, 'late'));
    expect(wire.isEnded).toBe(false);
    wire.socket.write(frame(CLOSE, Buffer.from([0x03, 0xe8])));
    await wire.ended();
    expect(wire.received.length).toBe(0);
  });

  test('a message above the limit is 1009 before it is there', async () => {
    const wire = await upgraded('/binary');
    wire.socket.write(Buffer.from('82ff00000000000186a101020304', 'hex'));
    expect(await wire.take(4)).toBe(closeFrame(1009));
    await wire.ended();
  });
});
