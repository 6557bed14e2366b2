import { readFileSync } from 'node:fs';
import { BlockList, connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import { TcpListener, type TcpListenerOptions } from '../../src/net/tcp-listener.ts';
import { distinguishedName, type TlsOptions } from '../../src/net/tls.ts';
import type { Transport, TransportHandler } from '../../src/net/transport.ts';

function fixture(name: string): Buffer {
  return readFileSync(new URL(`../fixtures/tls/${name}`, import.meta.url));
}

const TLS: TlsOptions = {
  cert: fixture('server.pem'),
  key: fixture('server.key'),
  ca: fixture('ca.pem'),
  clientCertificate: 'none',
  clientName: 'common-name',
  minVersion: 'TLSv1.2',
};

/** Records what a connection did; `closed` resolves with its end. */
class Recorder implements TransportHandler {
  readonly transport: Transport;
  readonly closed: Promise<Error | undefined>;
  bytes = Buffer.alloc(0);
  drainCount = 0;
  isEcho: boolean;
  #onClosed!: (error: Error | undefined) => void;

  constructor(transport: Transport, isEcho: boolean) {
    this.transport = transport;
    this.isEcho = isEcho;
    this.closed = new Promise((resolve) => {
      this.#onClosed = resolve;
    });
  }

  onChunk(chunk: Buffer): void {
    this.bytes = Buffer.concat([this.bytes, chunk]);
    if (this.isEcho) this.transport.write(Buffer.from(chunk));
  }

  onDrain(): void {
    this.drainCount += 1;
  }

  onClosed(error: Error | undefined): void {
    this.#onClosed(error);
  }
}

const cleanUps: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function listen(options: Partial<TcpListenerOptions> = {}) {
  const refused: string[] = [];
  const accepted: Recorder[] = [];
  let onAccepted: (recorder: Recorder) => void = () => undefined;
  const next = new Promise<Recorder>((resolve) => {
    onAccepted = resolve;
  });
  const listener = await TcpListener.listen(
    { host: '127.0.0.1', port: 0, onRefused: (reason) => refused.push(reason), ...options },
    (transport) => {
      const recorder = new Recorder(transport, true);
      accepted.push(recorder);
      onAccepted(recorder);
      cleanUps.push(() => transport.destroy());
      return recorder;
    },
  );
  cleanUps.push(() => listener.close());
  return { listener, refused, accepted, next };
}

function open(port: number, host = '127.0.0.1'): Socket {
  const socket = connectTcp({ port, host });
  socket.on('error', () => undefined);
  cleanUps.push(() => socket.destroy());
  return socket;
}

function openTls(port: number, options: ConnectionOptions = {}) {
  const socket = connectTls({ port, host: '127.0.0.1', ca: fixture('ca.pem'), ...options });
  socket.on('error', () => undefined);
  cleanUps.push(() => socket.destroy());
  return socket;
}

/** Collects until `byteCount` bytes came, or the connection ended. */
async function read(socket: Socket, byteCount: number): Promise<Buffer> {
  let bytes = Buffer.alloc(0);
  return new Promise((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      if (bytes.length >= byteCount) resolve(bytes);
    });
    socket.once('close', () => resolve(bytes));
  });
}

describe('TcpListener', () => {
  test('hands over bytes and addresses', async () => {
    const { listener, next } = await listen();
    const socket = open(listener.address.port);
    socket.write('hello');
    expect((await read(socket, 5)).toString()).toBe('hello');
    const { peer } = (await next).transport;
    expect(peer).toEqual({
      remoteAddress: '127.0.0.1',
      remotePort: socket.localPort,
      localAddress: '127.0.0.1',
      localPort: listener.address.port,
      isLoopback: true,
      isEncrypted: false,
    });
  });

  test('reports an orderly end without an error', async () => {
    const { listener, next } = await listen();
    open(listener.address.port).end();
    expect(await (await next).closed).toBeUndefined();
  });

  test('reports a reset with its error', async () => {
    const { listener, next } = await listen();
    const socket = open(listener.address.port);
    const recorder = await next;
    socket.resetAndDestroy();
    expect((await recorder.closed)?.message).toContain('ECONNRESET');
  });

  test('end() sends what is buffered and hands over nothing more', async () => {
    const { listener, next } = await listen();
    const socket = open(listener.address.port);
    const recorder = await next;
    recorder.transport.write(Buffer.from('bye'));
    recorder.transport.end();
    socket.write('late');
    expect((await read(socket, 3)).toString()).toBe('bye');
    await recorder.closed;
    expect(recorder.bytes.length).toBe(0);
    expect(recorder.transport.write(Buffer.from('ignored'))).toBe(true);
  });

  test('write() asks to wait when the peer does not read, and onDrain follows', async () => {
    const { listener, next } = await listen();
    const socket = open(listener.address.port);
    socket.pause();
    const { transport, ...rest } = await next;
    const recorder = { transport, ...rest };
    const chunk = Buffer.alloc(1 << 20);
    let writtenCount = 0;
    let isReady = true;
    while (transport.bufferedBytes === 0 || isReady) {
      isReady = transport.write(chunk, () => {
        writtenCount += 1;
      });
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(transport.bufferedBytes).toBeGreaterThan(0);
    socket.resume();
    const handler = await next;
    await expect.poll(() => handler.drainCount).toBeGreaterThan(0);
    await expect.poll(() => recorder.transport.bufferedBytes).toBe(0);
    expect(writtenCount).toBeGreaterThan(0);
  });

  test('pause() stops reading and resume() goes on', async () => {
    const { listener, next } = await listen();
    const socket = open(listener.address.port);
    const recorder = await next;
    recorder.isEcho = false;
    recorder.transport.pause();
    let sentBytes = 0;
    const chunk = Buffer.alloc(1 << 20);
    for (let count = 0; count < 64; count += 1) {
      socket.write(chunk);
      sentBytes += chunk.length;
    }
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(recorder.bytes.length).toBe(0);
    recorder.onChunk = (bytes) => {
      sentBytes -= bytes.length;
    };
    recorder.transport.resume();
    await expect.poll(() => sentBytes).toBe(0);
  });

  test('close() frees the port and leaves accepted connections alone', async () => {
    const { listener, next } = await listen();
    const socket = open(listener.address.port);
    await next;
    await listener.close();
    const second = await TcpListener.listen(
      { host: '127.0.0.1', port: listener.address.port },
      (transport) => new Recorder(transport, true),
    );
    cleanUps.push(() => second.close());
    socket.write('still here');
    expect((await read(socket, 10)).toString()).toBe('still here');
  });

  test('rejects when the port is taken', async () => {
    const { listener } = await listen();
    const again = TcpListener.listen(
      { host: '127.0.0.1', port: listener.address.port },
      (transport) => new Recorder(transport, true),
    );
    await expect(again).rejects.toThrow('EADDRINUSE');
  });
});

describe('TLS', () => {
  test('encrypts, without a client name unless asked', async () => {
    const { listener, next } = await listen({ tls: TLS });
    const socket = openTls(listener.address.port);
    socket.write('secret');
    expect((await read(socket, 6)).toString()).toBe('secret');
    const { peer } = (await next).transport;
    expect(peer.isEncrypted).toBe(true);
    expect(peer.isLoopback).toBe(true);
    expect(peer.certificateSubject).toBeUndefined();
  });

  test.each([
    ['common-name', 'orders'],
    ['distinguished-name', 'CN=orders,O=Orders\\, Inc.'],
  ] as const)('names a verified client by its %s', async (clientName, expected) => {
    const tls: TlsOptions = { ...TLS, clientCertificate: 'required', clientName };
    const { listener, next } = await listen({ tls });
    openTls(listener.address.port, { cert: fixture('client.pem'), key: fixture('client.key') });
    expect((await next).transport.peer.certificateSubject).toBe(expected);
  });

  test('`required` refuses a client without a certificate', async () => {
    const { listener, accepted, refused } = await listen({
      tls: { ...TLS, clientCertificate: 'required' },
    });
    const socket = openTls(listener.address.port);
    await read(socket, 1);
    await expect.poll(() => refused.length).toBe(1);
    expect(accepted).toEqual([]);
  });

  test('`optional` lets it in, without a name', async () => {
    const { listener, next } = await listen({ tls: { ...TLS, clientCertificate: 'optional' } });
    openTls(listener.address.port);
    expect((await next).transport.peer.certificateSubject).toBeUndefined();
  });

  test('drops a plain-text client', async () => {
    const { listener, refused, accepted } = await listen({ tls: TLS });
    const socket = open(listener.address.port);
    socket.write('AMQP\0\0\t\u0001');
    await read(socket, 1_000);
    await expect.poll(() => refused.length).toBe(1);
    expect(accepted).toEqual([]);
  });

  test('new handshakes get a new certificate; a bad one changes nothing', async () => {
    const { listener } = await listen({ tls: TLS });
    const subject = async () => {
      const socket = openTls(listener.address.port);
      await new Promise((resolve) => socket.once('secureConnect', resolve));
      return socket.getPeerCertificate().subject.O;
    };
    expect(await subject()).toBeUndefined();
    const renewed = { cert: fixture('server-renewed.pem'), key: fixture('server-renewed.key') };
    listener.replaceTls({ ...TLS, ...renewed });
    expect(await subject()).toBe('Renewed');
    const mismatch = { ...TLS, key: fixture('client.key') };
    expect(() => listener.replaceTls(mismatch)).toThrow();
    expect(() => listener.replaceTls({ ...TLS, cert: 'nonsense' })).toThrow();
    expect(await subject()).toBe('Renewed');
  });
});

describe('PROXY protocol', () => {
  const trustedProxies = new BlockList();
  trustedProxies.addSubnet('127.0.0.0', 8, 'ipv4');
  const header = 'PROXY TCP4 192.0.2.1 198.51.100.2 56324 5672\r\n';
  const claimed = { remoteAddress: '192.0.2.1', remotePort: 56_324, isLoopback: false };

  test('the client behind a balancer is not on loopback', async () => {
    const { listener, next } = await listen({ trustedProxies });
    const socket = open(listener.address.port);
    for (const letter of header) {
      socket.write(letter);
      await new Promise((resolve) => setImmediate(resolve));
    }
    socket.write('hello');
    expect((await read(socket, 5)).toString()).toBe('hello');
    expect((await next).transport.peer).toMatchObject(claimed);
  });

  test('header and first bytes may come together', async () => {
    const { listener, next } = await listen({ trustedProxies });
    const socket = open(listener.address.port);
    socket.write(`${header}hello`);
    expect((await read(socket, 5)).toString()).toBe('hello');
    expect((await next).transport.peer).toMatchObject(claimed);
  });

  test('goes before TLS', async () => {
    const { listener, next } = await listen({ trustedProxies, tls: TLS });
    const raw = open(listener.address.port);
    raw.write(header);
    const socket = openTls(0, { socket: raw, servername: 'localhost' });
    socket.write('hello');
    expect((await read(socket, 5)).toString()).toBe('hello');
    expect((await next).transport.peer).toMatchObject({ ...claimed, isEncrypted: true });
  });

  test('a connection without a header is dropped', async () => {
    const { listener, refused, accepted } = await listen({ trustedProxies });
    const socket = open(listener.address.port);
    socket.write('AMQP\0\0\t\u0001');
    await read(socket, 1);
    expect(refused).toEqual(['no PROXY header']);
    expect(accepted).toEqual([]);
  });

  test('a header from an address that is not trusted is not read', async () => {
    const { listener, refused } = await listen({ trustedProxies: new BlockList() });
    const socket = open(listener.address.port);
    socket.write(header);
    await read(socket, 1);
    expect(refused).toEqual(['not a trusted proxy']);
  });
});

test('a distinguished name escapes what would end a part', () => {
  const subject = { C: 'DE', OU: ['a', 'b'], CN: ' x+y="#1" ' };
  expect(distinguishedName(subject)).toBe('CN=\\ x\\+y=\\"#1\\"\\ ,OU=b,OU=a,C=DE');
});
