import { createServer } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { AddressGuard } from '../../../src/net/push/address-guard.ts';
import type { HostResolver } from '../../../src/net/push/host-resolver.ts';
import type { PostResult } from '../../../src/net/push/post-failure.ts';
import { cleanUp, createPoster, listen, serveRaw, TableResolver, until } from './poster-fixture.ts';

afterEach(cleanUp);

describe('a hostile endpoint', () => {
  /** Posts, lets the server show itself, then lets the time limit pass. */
  async function timeoutOf(url: string, isReady: () => boolean): Promise<PostResult> {
    const { poster, timers, post } = createPoster();
    const result = post(url);
    await until(isReady);
    timers.advance(14_999);
    expect(poster.attemptCount).toBe(1);
    timers.advance(1);
    const ended = await result;
    await until(() => poster.attemptCount === 0);
    expect(timers.count).toBe(0);
    return ended;
  }
  const TIMEOUT = { isOk: false, reason: 'timeout', detail: 'no answer within 15 s' };

  test('that never answers', async () => {
    let isAsked = false;
    const url = await serveRaw(() => {
      isAsked = true;
    });
    expect(await timeoutOf(url, () => isAsked)).toEqual(TIMEOUT);
  });

  test('that sends its head byte by byte', async () => {
    let isSent = false;
    const url = await serveRaw((socket) => {
      for (const char of 'HTTP/1.1 200 OK\r\nX-Slow: ') socket.write(char);
      isSent = true;
    });
    expect(await timeoutOf(url, () => isSent)).toEqual(TIMEOUT);
  });

  test('that takes no connection', async () => {
    const { post } = createPoster();
    const server = createTcpServer();
    const port = await listen(server);
    await new Promise((resolve) => server.close(resolve));
    expect(await post(`http://127.0.0.1:${port}/`)).toEqual({
      isOk: false,
      reason: 'connect',
      detail: 'ECONNREFUSED',
    });
  });

  test('that resets the connection, or closes it, at each point', async () => {
    const starts = ['', 'HTTP/1.1', 'HTTP/1.1 200 OK\r\nContent-Le'];
    for (const start of starts) {
      const resetting = await serveRaw((socket) => {
        socket.write(start, () => socket.resetAndDestroy());
      });
      expect(await createPoster().post(resetting)).toMatchObject({ isOk: false });
      const closing = await serveRaw((socket) => socket.end(start));
      expect(await createPoster().post(closing)).toMatchObject({ isOk: false });
    }
  });

  test.each([
    ['garbage', '\u0000\u0001\u0002 hello\r\n\r\n'],
    ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ['HTTP/0.9', '<html></html>'],
    ['a status that is none', 'HTTP/1.1 2x0 OK\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx'],
    ['a line without a colon', 'HTTP/1.1 200 OK\r\nnonsense\r\n\r\n'],
    ['switching protocols', 'HTTP/1.1 101 Hi\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'],
    ['an endless line of interim answers', 'HTTP/1.1 102 Wait\r\n\r\n'.repeat(2_000)],
    ['an endless line of continues', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(2_000)],
    ['one header that is too long', `HTTP/1.1 200 OK\r\nX: ${'y'.repeat(100_000)}`],
    ['too many headers', `HTTP/1.1 200 OK\r\n${'X: y\r\n'.repeat(50_000)}`],
  ])('that answers with %s', async (_what, answer) => {
    const url = await serveRaw((socket) => socket.write(answer));
    const { poster, timers, post } = createPoster();
    expect(await post(url)).toMatchObject({ isOk: false, reason: 'protocol' });
    await until(() => poster.attemptCount === 0);
    expect(timers.count).toBe(0);
  });

  test('whose body does not end is read for a few kB', async () => {
    let writtenCount = 0;
    let isCut = false;
    const url = await serveRaw((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
      const chunk = `10000\r\n${'z'.repeat(65_536)}\r\n`;
      const pump = (): void => {
        while (!socket.destroyed && socket.write(chunk)) writtenCount += 1;
      };
      socket.on('drain', pump);
      socket.on('close', () => {
        isCut = true;
      });
      pump();
    });
    const { poster, timers, post } = createPoster();
    expect(await post(url)).toEqual({ isOk: true, detail: 'status 200' });
    await until(() => isCut && poster.attemptCount === 0);
    // What the kernel took, not what was read.
    expect(writtenCount).toBeLessThan(500);
    expect(timers.count).toBe(0);
  });

  test('whose body never comes holds its slot for a second', async () => {
    const url = await serveRaw((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx');
    });
    const { poster, timers, post } = createPoster();
    expect(await post(url)).toEqual({ isOk: true, detail: 'status 200' });
    expect(poster.attemptCount).toBe(1);
    timers.advance(1_000);
    await until(() => poster.attemptCount === 0);
  });

  test('that cuts a large body short has answered', async () => {
    const url = await serveRaw((socket) => {
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nx');
    });
    const { poster, post } = createPoster();
    expect(await post(url)).toEqual({ isOk: true, detail: 'status 200' });
    await until(() => poster.attemptCount === 0);
  });

  test('that answers and closes before it has read the request', async () => {
    const url = await serveRaw((socket) => {
      socket.pause();
      socket.end('HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    });
    const { poster, timers, post } = createPoster();
    const result = await post(url, Buffer.alloc(8 * 1024 * 1024));
    expect(result).toEqual({ isOk: false, reason: 'status', detail: 'status 413' });
    timers.advance(1_000);
    await until(() => poster.attemptCount === 0);
  });
});

describe('addresses', () => {
  const PUBLIC = '127.0.0.1';

  /** Loopback stands for the public network; everything else is as it is. */
  async function target(): Promise<{ port: number; requestCount: () => number }> {
    let requestCount = 0;
    const server = createServer((request, response) => {
      requestCount += 1;
      request.resume();
      response.end();
    });
    return { port: await listen(server), requestCount: () => requestCount };
  }

  test('a name that leads to a private address is refused', async () => {
    const resolver = new TableResolver({ 'public.example': [['10.0.0.1', '::1', '192.168.1.1']] });
    const result = await createPoster({ resolver }).post('http://public.example/');
    expect(result).toEqual({
      isOk: false,
      reason: 'address',
      detail: 'address not allowed (private, not global unicast)',
    });
  });

  test('a name is resolved once per connection, and what was checked is connected to', async () => {
    const { port, requestCount } = await target();
    // Public when checked, private when asked again.
    const resolver = new TableResolver({ 'rebind.example': [[PUBLIC], ['10.0.0.1']] });
    const { post, poster } = createPoster({ resolver });
    expect(await post(`http://rebind.example:${port}/`)).toMatchObject({ isOk: true });
    await until(() => poster.attemptCount === 0);
    expect(requestCount()).toBe(1);
    expect(resolver.asked).toEqual(['rebind.example checked']);
    // A new connection has a new answer, which is checked again.
    poster.close();
    const later = createPoster({ resolver });
    const result = await later.post(`http://rebind.example:${port}/`);
    expect(result).toMatchObject({ isOk: false, reason: 'address' });
  });

  test('of several addresses only those are tried that are allowed', async () => {
    const { port } = await target();
    const resolver = new TableResolver({ 'mixed.example': [['10.255.255.1', PUBLIC]] });
    const { post } = createPoster({ resolver });
    expect(await post(`http://mixed.example:${port}/`)).toMatchObject({ isOk: true });
  });

  test.each([
    'http://10.0.0.1/',
    'http://167772161/',
    'http://0xa.1/',
    'http://012.0.0.1/',
    'http://[::ffff:10.0.0.1]/',
    'http://[64:ff9b::a00:1]/',
    'http://169.254.169.254/latest/meta-data/',
    'http://0/',
  ])('%s is refused without a connection', async (url) => {
    const result = await createPoster().post(url);
    expect(result).toMatchObject({ isOk: false, reason: 'address' });
  });

  test('names of the allow-list may lead anywhere', async () => {
    const { port } = await target();
    const guard = new AddressGuard({
      allowedBlocks: [],
      allowedNames: ['hooks.internal'],
      ownAddresses: () => [],
    });
    const resolver = new TableResolver({
      'hooks.internal': [['127.0.0.1']],
      'other.internal': [['127.0.0.1']],
    });
    const { post } = createPoster({ guard, resolver });
    expect(await post(`http://Hooks.Internal.:${port}/`)).toMatchObject({ isOk: true });
    expect(await post(`http://other.internal:${port}/`)).toMatchObject({ reason: 'address' });
    expect(resolver.asked).toEqual(['hooks.internal trusted', 'other.internal checked']);
  });

  test('a name without an address fails', async () => {
    const result = await createPoster().post('http://nowhere.example/');
    expect(result).toEqual({ isOk: false, reason: 'name', detail: 'name has no address' });
  });

  test('a name server that does not answer costs the time limit', async () => {
    let isCancelled = false;
    let isAsked = false;
    const resolver: HostResolver = {
      resolve: () => {
        isAsked = true;
        return () => {
          isCancelled = true;
        };
      },
    };
    const { poster, timers, post } = createPoster({ resolver });
    const result = post('http://slow.example/');
    await until(() => isAsked);
    timers.advance(15_000);
    expect(await result).toMatchObject({ reason: 'timeout' });
    await until(() => poster.attemptCount === 0);
    expect(isCancelled).toBe(true);
  });

  test('ports and other addresses that will not do', async () => {
    const { post } = createPoster({ ports: [80, 443] });
    expect(await post('http://127.0.0.1:22/')).toMatchObject({ reason: 'endpoint' });
    expect(await post('gopher://127.0.0.1/')).toMatchObject({ reason: 'endpoint' });
    expect(await post('')).toMatchObject({ reason: 'endpoint' });
  });
});
