import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { PostHandle } from '../../../src/net/push/http-poster.ts';
import type { PostResult } from '../../../src/net/push/post-failure.ts';
import {
  cleanUp,
  createPoster,
  HEADERS,
  listen,
  serve,
  serveRaw,
  TableResolver,
  until,
} from './poster-fixture.ts';

function fixture(name: string): string {
  return readFileSync(new URL(`../../fixtures/tls/${name}`, import.meta.url), 'utf8');
}

const CONTENT = () => ({ headers: HEADERS, body: Buffer.from('x') });

afterEach(cleanUp);

describe('a content that cannot be made', () => {
  test('fails its attempt, and no other of the endpoint', async () => {
    const url = await serve((_request, response) => response.end());
    const { poster, post } = createPoster();
    const makeContent = (): never => {
      throw new RangeError('Invalid string length');
    };
    const result = await new Promise<PostResult>((resolve) => {
      poster.post({ url, makeContent, tenant: 't' }, resolve);
    });
    expect(result).toEqual({
      isOk: false,
      reason: 'endpoint',
      detail: 'the message cannot be written',
    });
    expect(poster.attemptCount).toBe(0);
    expect(poster.openCircuitCount).toBe(0);
    expect((await post(url)).isOk).toBe(true);
  });
});

describe('an answer', () => {
  test('sends the request as told', async () => {
    let seen: object = {};
    const url = await serve((request, response) => {
      const { method, url: path, rawHeaders } = request;
      request.setEncoding('hex').on('data', (body: string) => {
        seen = { method, path, rawHeaders, body };
        response.end();
      });
    });
    const { post } = createPoster();
    const headers = { 'Content-Type': 'text/plain', 'x-cmq-message-id': '7' };
    const result = await post(`${url}a/b?c=d#e`, Buffer.from([0, 255, 10]), headers);
    expect(result).toEqual({ isOk: true, detail: 'status 200' });
    expect(seen).toEqual({
      method: 'POST',
      path: '/a/b?c=d',
      rawHeaders: [
        'Host',
        new URL(url).host,
        'Content-Type',
        'text/plain',
        'x-cmq-message-id',
        '7',
        'Content-Length',
        '3',
        'Connection',
        'keep-alive',
      ],
      body: '00ff0a',
    });
  });

  test.each([
    [200, 'ok'],
    [201, 'ok'],
    [204, 'ok'],
    [299, 'ok'],
    [300, 'redirect'],
    [301, 'redirect'],
    [302, 'redirect'],
    [304, 'redirect'],
    [307, 'redirect'],
    [400, 'status'],
    [404, 'status'],
    [500, 'status'],
    [503, 'status'],
    [999, 'status'],
  ])('status %i is %s', async (status, outcome) => {
    let requestCount = 0;
    const url = await serve((_request, response) => {
      requestCount += 1;
      response.writeHead(status, { location: '/elsewhere' }).end();
    });
    const result = await createPoster().post(url);
    expect(result).toMatchObject({ isOk: outcome === 'ok', detail: `status ${status}` });
    if (!result.isOk) expect(result.reason).toBe(outcome);
    expect(requestCount).toBe(1);
  });

  test('uses a connection again', async () => {
    const ports = new Set<number | undefined>();
    const url = await serve((request, response) => {
      ports.add(request.socket.remotePort);
      request.resume();
      response.end('thanks');
    });
    const { poster, post } = createPoster();
    for (let count = 0; count < 20; count += 1) {
      expect(await post(url)).toMatchObject({ isOk: true });
      await until(() => poster.attemptCount === 0);
    }
    expect(ports.size).toBe(1);
  });

  test('a kept connection that was cut meanwhile is replaced', async () => {
    let requestCount = 0;
    const url = await serve((request, response) => {
      requestCount += 1;
      request.resume();
      // The second request on a connection is answered by its end.
      if (requestCount === 2) request.socket.resetAndDestroy();
      else response.end();
    });
    const { poster, post } = createPoster();
    expect(await post(url)).toMatchObject({ isOk: true });
    await until(() => poster.attemptCount === 0);
    expect(await post(url)).toMatchObject({ isOk: true });
    expect(requestCount).toBe(3);
  });

  test('sends credentials of the address', async () => {
    let authorization: string | undefined;
    const url = await serve((request, response) => {
      ({ authorization } = request.headers);
      response.end();
    });
    await createPoster().post(url.replace('http://', 'http://u:p%40ss@'));
    expect(authorization).toBe(`Basic ${Buffer.from('u:p@ss').toString('base64')}`);
  });
});

describe('https', () => {
  async function serveTls(): Promise<{ port: number; names: unknown[] }> {
    const names: unknown[] = [];
    const server = createTlsServer(
      { cert: fixture('server.pem'), key: fixture('server.key') },
      (request, response) => {
        names.push((request.socket as Socket & { servername?: unknown }).servername);
        response.end();
      },
    );
    return { port: await listen(server), names };
  }

  test('checks the certificate against the name, and sends the name', async () => {
    const { port, names } = await serveTls();
    const resolver = new TableResolver({ localhost: [['127.0.0.1']], wrong: [['127.0.0.1']] });
    const { post } = createPoster({ resolver, ca: fixture('ca.pem') });
    expect(await post(`https://localhost:${port}/`)).toEqual({ isOk: true, detail: 'status 200' });
    expect(names).toEqual(['localhost']);
    expect(await post(`https://wrong:${port}/`)).toEqual({
      isOk: false,
      reason: 'tls',
      detail: 'ERR_TLS_CERT_ALTNAME_INVALID',
    });
  });

  test('takes no certificate of an unknown authority', async () => {
    const { port } = await serveTls();
    const resolver = new TableResolver({ localhost: [['127.0.0.1']] });
    const { post } = createPoster({ resolver });
    expect(await post(`https://localhost:${port}/`)).toMatchObject({ isOk: false, reason: 'tls' });
  });

  test('has its time limit during the handshake too', async () => {
    let isAsked = false;
    const url = await serveRaw(() => {
      isAsked = true;
    });
    const { poster, timers, post } = createPoster();
    const result = post(url.replace('http:', 'https:'));
    await until(() => isAsked);
    timers.advance(15_000);
    expect(await result).toMatchObject({ isOk: false, reason: 'timeout' });
    await until(() => poster.attemptCount === 0);
  });

  test('is not spoken to a server without it', async () => {
    const url = await serve((_request, response) => response.end());
    const result = await createPoster().post(url.replace('http:', 'https:'));
    expect(result).toMatchObject({ isOk: false, reason: 'tls' });
  });
});

describe('bounds', () => {
  /** A server whose answers wait; the requests under way. */
  async function hold(): Promise<{ url: string; waiting: (() => void)[] }> {
    const waiting: (() => void)[] = [];
    const url = await serve((request, response) => {
      request.resume();
      waiting.push(() => response.end());
    });
    return { url, waiting };
  }

  test('a slow endpoint has its slots and holds up no other', async () => {
    const slow = await hold();
    const fast = await serve((_request, response) => response.end());
    const { poster, post } = createPoster();
    const results = Array.from({ length: 5 }, () => post(slow.url));
    await until(() => slow.waiting.length === 2);
    for (let count = 0; count < 10; count += 1) {
      expect(await post(fast)).toMatchObject({ isOk: true });
    }
    expect(slow.waiting).toHaveLength(2);
    for (let answered = 0; answered < 5; answered += 1) {
      await until(() => slow.waiting.length > answered);
      slow.waiting[answered]!();
    }
    for (const result of results) expect(await result).toMatchObject({ isOk: true });
    await until(() => poster.attemptCount === 0);
  });

  test('those that wait have no request in memory', async () => {
    const slow = await hold();
    const { poster } = createPoster();
    let madeCount = 0;
    const makeContent = () => {
      madeCount += 1;
      return CONTENT();
    };
    for (let count = 0; count < 10; count += 1) {
      poster.post({ url: slow.url, makeContent, tenant: 't' }, () => undefined);
    }
    await until(() => slow.waiting.length === 2);
    expect(madeCount).toBe(2);
  });

  test('large contents are few at a time, and hold up no small ones', async () => {
    const slow = await hold();
    const { poster, post } = createPoster();
    const results: PostResult[] = [];
    const large = (path: string, tenant: string): PostHandle =>
      poster.post(
        { url: slow.url + path, makeContent: CONTENT, ownBytes: 2 ** 20 + 1, tenant },
        (result) => results.push(result),
      );
    for (const path of ['1', '2', '3']) for (const tenant of ['a', 'b', 'c']) large(path, tenant);
    // One of a tenant, two in all.
    await until(() => slow.waiting.length === 2);
    const fast = await serve((_request, response) => response.end());
    expect(await post(fast)).toMatchObject({ isOk: true });
    for (let answered = 0; answered < 9; answered += 1) {
      await until(() => slow.waiting.length > answered);
      expect(slow.waiting.length).toBeLessThanOrEqual(answered + 2);
      slow.waiting[answered]!();
    }
    await until(() => results.length === 9);
  });

  test('idle connections are few, however many hosts there are', async () => {
    const server = createServer((request, response) => {
      request.resume();
      response.end();
    });
    // All of 127.0.0.0/8 is this machine.
    const port = await listen(server, '0.0.0.0');
    const { poster, post } = createPoster({ concurrencyMax: 2 });
    for (let host = 1; host <= 6; host += 1) {
      expect(await post(`http://127.0.0.${host}:${port}/`)).toMatchObject({ isOk: true });
    }
    await until(() => poster.attemptCount === 0);
    const count = () =>
      new Promise<number>((resolve) => server.getConnections((_, n) => resolve(n)));
    while ((await count()) > 2) await new Promise((resolve) => setImmediate(resolve));
    expect(await count()).toBe(2);
  });

  test('the time limit does not count the wait for a slot', async () => {
    const slow = await hold();
    const { timers, post } = createPoster({ endpointConcurrencyMax: 1 });
    const first = post(slow.url);
    const second = post(slow.url);
    await until(() => slow.waiting.length === 1);
    timers.advance(15_000);
    expect(await first).toMatchObject({ reason: 'timeout' });
    await until(() => slow.waiting.length === 2);
    timers.advance(14_000);
    slow.waiting[1]!();
    expect(await second).toMatchObject({ isOk: true });
  });

  test('any number of slow endpoints leaves slots to others, once they are known', async () => {
    const slow = await hold();
    const fast = await serve((_request, response) => response.end());
    const { poster, timers, post } = createPoster();
    const urls = Array.from({ length: 20 }, (_, at) => `${slow.url}${at}`);
    for (const round of [1, 2]) {
      const results = urls.map((url) => post(url));
      while (poster.attemptCount > 0) {
        // The tenant's half of 16.
        const running = Math.min(8, poster.attemptCount);
        const asked = slow.waiting.length + running;
        await until(() => slow.waiting.length === asked);
        timers.advance(15_000);
        const left = poster.attemptCount - running;
        await until(() => poster.attemptCount === left);
      }
      for (const result of await Promise.all(results)) {
        expect(result, `round ${round}`).toMatchObject({ reason: 'timeout' });
      }
    }
    const before = slow.waiting.length;
    const results = urls.map((url) => post(url));
    await until(() => slow.waiting.length === before + 2);
    for (let count = 0; count < 10; count += 1) {
      expect(await post(fast)).toMatchObject({ isOk: true });
    }
    expect(slow.waiting).toHaveLength(before + 2);
    poster.close();
    expect(results).toHaveLength(20);
  });

  /** An endpoint that cuts connections until it is up, and how many requests it saw. */
  async function broken(): Promise<{ url: string; isUp: boolean; requestCount: number }> {
    const endpoint = { url: '', isUp: false, requestCount: 0 };
    endpoint.url = await serve((request, response) => {
      endpoint.requestCount += 1;
      request.resume();
      if (endpoint.isUp) response.end();
      else request.destroy();
    });
    return endpoint;
  }

  const DOWN = { isOk: false, reason: 'circuit', detail: 'endpoint is down, not tried' };

  test('an endpoint that is down is tried by one probe, and the others go by its end', async () => {
    const endpoint = await broken();
    const other = await serve((_request, response) => response.end());
    const { clock, timers, poster, post } = createPoster();
    for (let count = 0; count < 5; count += 1) await post(endpoint.url);
    expect(poster.openCircuitCount).toBe(1);
    const down = Array.from({ length: 10 }, () => post(endpoint.url));
    expect(await post(other)).toMatchObject({ isOk: true });
    // One timer for each of those that wait.
    await until(() => timers.count === 10);
    clock.advance(5_000);
    timers.advance(5_000);
    const results = await Promise.all(down);
    expect(results.filter(({ detail }) => detail === DOWN.detail)).toHaveLength(9);
    expect(endpoint.requestCount).toBe(6);
    // Nobody fails for what was before his time.
    const up = Array.from({ length: 10 }, () => post(endpoint.url));
    await until(() => timers.count === 10);
    endpoint.isUp = true;
    clock.advance(5_000);
    timers.advance(5_000);
    for (const result of await Promise.all(up)) expect(result).toMatchObject({ isOk: true });
    await until(() => poster.attemptCount === 0);
    expect(endpoint.requestCount).toBe(16);
  });

  test('those that wait for a probe hold no slot, and are aborted without a result', async () => {
    const endpoint = await broken();
    const { poster, timers, clock, post } = createPoster();
    for (let count = 0; count < 5; count += 1) await post(endpoint.url);
    const results: PostResult[] = [];
    const order = { url: endpoint.url, makeContent: CONTENT, tenant: 't' };
    const handles = Array.from({ length: 40 }, () =>
      poster.post(order, (result) => results.push(result)),
    );
    const fast = await serve((_request, response) => response.end());
    expect(await post(fast)).toMatchObject({ isOk: true });
    for (const handle of handles) handle.abort();
    await until(() => poster.attemptCount === 0);
    clock.advance(5_000);
    timers.advance(5_000);
    endpoint.isUp = true;
    expect(await post(endpoint.url)).toMatchObject({ isOk: true });
    expect(results).toEqual([]);
    expect(endpoint.requestCount).toBe(6);
  });

  test('a probe that is aborted leaves the next to another', async () => {
    const slow = await hold();
    const { poster, timers, clock, post } = createPoster();
    for (let count = 0; count < 5; count += 1) {
      const late = post(slow.url);
      await until(() => slow.waiting.length === count + 1);
      timers.advance(15_000);
      expect(await late).toMatchObject({ reason: 'timeout' });
    }
    clock.advance(5_000);
    const order = { url: slow.url, makeContent: CONTENT, tenant: 't' };
    const probe = poster.post(order, () => expect.unreachable());
    await until(() => slow.waiting.length === 6);
    const next = post(slow.url);
    const fast = await serve((_request, response) => response.end());
    expect(await post(fast)).toMatchObject({ isOk: true });
    probe.abort();
    timers.advance(0);
    await until(() => slow.waiting.length === 7);
    slow.waiting[6]!();
    expect(await next).toMatchObject({ isOk: true });
  });

  test.each([400, 429, 500, 503])('whoever answers is up: status %i', async (status) => {
    const url = await serve((request, response) => {
      request.resume();
      response.writeHead(status).end();
    });
    const { poster, post } = createPoster();
    for (let count = 0; count < 20; count += 1) {
      expect(await post(url)).toMatchObject({ reason: 'status' });
    }
    expect(poster.openCircuitCount).toBe(0);
  });

  test('what another tenant makes of an endpoint does not close it', async () => {
    const endpoint = await broken();
    const { poster, post } = createPoster();
    for (let count = 0; count < 5; count += 1) await post(endpoint.url);
    endpoint.isUp = true;
    const result = await new Promise<PostResult>((resolve) => {
      poster.post({ url: endpoint.url, makeContent: CONTENT, tenant: 'u' }, resolve);
    });
    expect(result).toMatchObject({ isOk: true });
    expect(poster.openCircuitCount).toBe(1);
  });

  test('an attempt is aborted at every point without a result', async () => {
    const slow = await hold();
    const { poster, timers } = createPoster({ endpointConcurrencyMax: 1 });
    const results: PostResult[] = [];
    const post = (): PostHandle =>
      poster.post({ url: slow.url, makeContent: CONTENT, tenant: 't' }, (result) =>
        results.push(result),
      );
    const running = post();
    await until(() => slow.waiting.length === 1);
    const inLine = post();
    const fresh = post();
    fresh.abort();
    inLine.abort();
    running.abort();
    running.abort();
    await until(() => poster.attemptCount === 0);
    expect(timers.count).toBe(0);
    const last = post();
    await until(() => slow.waiting.length === 2);
    slow.waiting[1]!();
    await until(() => results.length === 1);
    last.abort();
    await until(() => poster.attemptCount === 0);
    expect(results).toEqual([{ isOk: true, detail: 'status 200' }]);
  });

  test('closing ends everything, and what comes after has no result', async () => {
    const slow = await hold();
    const { poster, timers } = createPoster();
    const results: PostResult[] = [];
    const order = { url: slow.url, makeContent: CONTENT, tenant: 't' };
    for (let count = 0; count < 4; count += 1) {
      poster.post(order, (result) => results.push(result));
    }
    await until(() => slow.waiting.length === 2);
    poster.close();
    poster.post(order, (result) => results.push(result)).abort();
    await until(() => poster.attemptCount === 0);
    expect(timers.count).toBe(0);
    expect(results).toEqual([]);
  });

  test('a header that cannot be sent fails its attempt only', async () => {
    const url = await serve((_request, response) => response.end());
    const { poster, post } = createPoster();
    const result = await post(url, Buffer.from('x'), { 'x-bad': 'a\r\nb: c' });
    expect(result).toMatchObject({ isOk: false, reason: 'protocol' });
    await until(() => poster.attemptCount === 0);
    expect(await post(url)).toMatchObject({ isOk: true });
  });
});
