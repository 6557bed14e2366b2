import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jwtVerify } from 'jose';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../../src/base/logger.ts';
import { parseJwks } from '../../../src/server/jwt/jwks.ts';
import { findKeyFileProblems, KeySource } from '../../../src/server/jwt/key-source.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { Issuer } from './issuer.ts';

const TLS_FILES = join(import.meta.dirname, '../../fixtures/tls');

const clock = new FakeClock();
let first: Issuer;
let second: Issuer;
let directory: string;
let cleanups: (() => void)[];
let problems: unknown[];
const logger = {
  ...silentLogger,
  error: (fields: object) => problems.push((fields as { problem: unknown }).problem),
};

beforeAll(async () => {
  first = await Issuer.make('k1', 'ES256', () => clock.wallMs());
  second = await Issuer.make('k2', 'ES256', () => clock.wallMs());
});

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'keys-'));
  problems = [];
  cleanups = [() => rmSync(directory, { recursive: true })];
});

afterEach(() => {
  for (const cleanup of cleanups) cleanup();
});

async function open(location: string): Promise<KeySource> {
  const source = await KeySource.open({ location, refreshMs: 60_000, clock, logger });
  cleanups.push(() => source.close());
  return source;
}

async function isKnown(source: KeySource, issuer: Issuer): Promise<boolean> {
  try {
    await jwtVerify(await issuer.token(), source.getKey, {
      currentDate: new Date(clock.wallMs()),
    });
    return true;
  } catch {
    return false;
  }
}

async function serve(onRequest: RequestListener): Promise<string> {
  const server: Server = createServer(onRequest);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
}

describe('a file', () => {
  it('is looked at by check-config, unlike a URL', async () => {
    const file = join(directory, 'keys.json');
    expect(await findKeyFileProblems(file)).toEqual([`token-jwks: ${file} cannot be read: ENOENT`]);
    writeFileSync(file, '{');
    expect(await findKeyFileProblems(file)).toEqual([`token-jwks: ${file} is not JSON`]);
    writeFileSync(file, first.jwks);
    expect(await findKeyFileProblems(file)).toEqual([]);
    expect(await findKeyFileProblems('http://127.0.0.1:1/keys')).toEqual([]);
  });

  it('gives keys, and new ones when it changes', async () => {
    const file = join(directory, 'keys.json');
    writeFileSync(file, first.jwks);
    const source = await open(file);
    expect(await isKnown(source, first)).toBe(true);
    expect(await isKnown(source, second)).toBe(false);
    writeFileSync(file, second.jwks);
    clock.advance(1_000);
    expect(await isKnown(source, second)).toBe(true);
    expect(await isKnown(source, first)).toBe(false);
  });

  it('that is spoilt leaves the last good keys', async () => {
    const file = join(directory, 'keys.json');
    writeFileSync(file, first.jwks);
    const source = await open(file);
    for (const text of ['', '{', '{"keys":[]}', 'null', '[]', '{"keys":{}}']) {
      writeFileSync(file, text);
      expect(await source.refresh()).toBe(false);
      expect(await isKnown(source, first)).toBe(true);
    }
    rmSync(file);
    expect(await source.refresh()).toBe(false);
    expect(await isKnown(source, first)).toBe(true);
  });

  it('that is missing or wrong keeps the server from starting', async () => {
    const file = join(directory, 'keys.json');
    await expect(open(file)).rejects.toThrow(`token-jwks: ${file} cannot be read: ENOENT`);
    writeFileSync(file, 'secret');
    await expect(open(file)).rejects.toThrow(`token-jwks: ${file} is not JSON`);
  });
});

describe('a URL', () => {
  it('gives keys', async () => {
    const url = await serve((_request, response) => response.end(first.jwks));
    expect(await isKnown(await open(url), first)).toBe(true);
  });

  it.each<[string, RequestListener]>([
    ['404 with keys', (_q, response) => response.writeHead(404).end(second.jwks)],
    ['500', (_q, response) => response.writeHead(500).end()],
    ['201 with keys', (_q, response) => response.writeHead(201).end(second.jwks)],
    ['204', (_q, response) => response.writeHead(204).end()],
    ['a page', (_q, response) => response.end('<html>login</html>')],
    ['no keys', (_q, response) => response.end('{"keys":[]}')],
    ['more than it may', (_q, response) => response.end(`{"keys":[${' '.repeat(2 ** 21)}]}`)],
    [
      'half an answer',
      (_q, response) => {
        response.writeHead(200, { 'content-length': 100 }).write('{');
        response.destroy();
      },
    ],
    ['a redirect', (_q, response) => response.writeHead(302, { location: '/other' }).end()],
    ['nothing', (request) => request.socket.destroy()],
  ])('that answers with %s leaves the last good keys', async (_name, bad) => {
    let isBad = false;
    const url = await serve((request, response) => {
      if (isBad && request.url === '/keys') bad(request, response);
      else response.end(isBad ? second.jwks : first.jwks);
    });
    const source = await open(url);
    isBad = true;
    expect(await source.refresh()).toBe(false);
    expect(await isKnown(source, first)).toBe(true);
    clock.advance(60_000);
    expect(await isKnown(source, second)).toBe(false);
  });

  it('that fails at the start is asked again', async () => {
    let isUp = false;
    const url = await serve((_request, response) => {
      if (isUp) response.end(first.jwks);
      else response.writeHead(503).end();
    });
    const source = await open(url);
    expect(await isKnown(source, first)).toBe(false);
    isUp = true;
    clock.advance(10_000);
    expect(await isKnown(source, first)).toBe(true);
  });

  it('with a certificate nobody vouches for gives none', async () => {
    const read = (name: string) => readFileSync(join(TLS_FILES, name));
    const server = createTlsServer(
      { cert: read('server.pem'), key: read('server.key') },
      (_request, response) => response.end(first.jwks),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => {
      server.closeAllConnections();
      server.close();
    });
    const source = await open(`https://127.0.0.1:${(server.address() as AddressInfo).port}/keys`);
    expect(await isKnown(source, first)).toBe(false);
    expect(problems).toEqual([expect.stringMatching(/^cannot be fetched: .*certificate/)]);
  });

  it('is asked at once about a new key, but not by everyone who makes one up', async () => {
    let count = 0;
    let jwks = first.jwks;
    const url = await serve((_request, response) => {
      count += 1;
      response.end(jwks);
    });
    const source = await open(url);
    expect(count).toBe(1);
    jwks = second.jwks;
    clock.advance(10_000);
    const answers = await Promise.all(Array.from({ length: 20 }, () => isKnown(source, second)));
    expect(answers).not.toContain(false);
    expect(count).toBe(2);
    for (let index = 0; index < 20; index += 1) await isKnown(source, first);
    expect(count).toBe(2);
  });
});

describe('parseJwks', () => {
  it('takes public keys for signatures only', () => {
    const keys = [
      { kty: 'oct', k: 'c2VjcmV0', kid: 'a' },
      { kty: 'RSA', n: 'x', e: 'AQAB', d: 'private', kid: 'b' },
      { kty: 'RSA', n: 'x', e: 'AQAB', use: 'enc', kid: 'c' },
      { kty: 'RSA', n: 'x', e: 'AQAB', kid: 'd' },
      null,
      7,
    ];
    expect(parseJwks(JSON.stringify({ keys })).keys.map(({ kid }) => kid)).toEqual(['d']);
    expect(() => parseJwks(JSON.stringify({ keys: keys.slice(0, 3) }))).toThrow(
      'has no public key for signatures',
    );
  });

  it('takes a bounded number', () => {
    const keys = Array.from({ length: 101 }, () => ({ kty: 'RSA', n: 'x', e: 'AQAB' }));
    expect(() => parseJwks(JSON.stringify({ keys }))).toThrow('has more than 100 keys');
  });
});
