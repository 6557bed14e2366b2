import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import type { PushAttempt, PushTarget } from '../../src/engine/topic/push-transport.ts';
import type { HttpPoster, PostOrder } from '../../src/net/push/http-poster.ts';
import { type Config, defaultConfig } from '../../src/server/config.ts';
import { createPush } from '../../src/server/push.ts';
import { OutgoingPush } from '../../src/server/push-transport.ts';

const LOOPBACK = { pushAllow: [{ address: '127.0.0.0', prefixBits: 8 }] };

const cleanUps: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

function createTransport(config: Partial<Config> = {}): OutgoingPush {
  const push = createPush({ ...defaultConfig(), ...LOOPBACK, ...config }, silentLogger);
  cleanUps.push(() => push.close());
  return push;
}

function functionsDir(functions: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(tmpdir(), 'functions-'));
  cleanUps.push(() => rmSync(directory, { recursive: true }));
  for (const [name, text] of Object.entries(functions)) {
    writeFileSync(join(directory, `${name}.mjs`), text);
  }
  return directory;
}

interface Seen {
  readonly contentType: string | undefined;
  readonly body: string;
}

async function serve(): Promise<{ url: string; seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => {
      body += text;
    });
    request.on('end', () => {
      seen.push({ contentType: request.headers['content-type'], body });
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanUps.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, seen };
}

function attempt(target: Pick<PushTarget, 'protocol' | 'endpoint'>): PushAttempt {
  const names = { topicName: 't', subscriptionName: 's' };
  return {
    subscription: { format: 'SIMPLIFIED', secret: undefined, vhostName: '/', ...names, ...target },
    message: {
      msgId: '1',
      tags: [],
      routingKey: '',
      body: Buffer.from('hello'),
      publishedAtMs: 0,
      topicOwner: '7',
      requestId: 'r',
      attempt: 1,
      ...names,
    },
  };
}

/** Outcome and detail; fails when it comes from within `send`. */
function send(
  push: OutgoingPush,
  protocol: PushTarget['protocol'],
  endpoint: string,
): Promise<[string, string]> {
  return new Promise((resolve) => {
    let isWithin = true;
    push.send(attempt({ protocol, endpoint }), (outcome, detail) => {
      expect(isWithin).toBe(false);
      resolve([outcome, detail]);
    });
    isWithin = false;
  });
}

describe('OutgoingPush', () => {
  test('pushes the message, and events to functions behind a URL', async () => {
    const { url, seen } = await serve();
    const push = createTransport();
    expect(await send(push, 'http', url)).toEqual(['ok', 'status 200']);
    expect(await send(push, 'function', url)).toEqual(['ok', 'status 200']);
    expect(seen[0]).toEqual({ contentType: 'text/plain', body: 'hello' });
    expect(seen[1]!.contentType).toBe('application/json');
    expect(JSON.parse(seen[1]!.body)).toMatchObject({ Records: [{ CMQ: { msgBody: 'hello' } }] });
  });

  test('tells how much memory of its own a request takes: none where the body goes as it is', () => {
    const orders: PostOrder[] = [];
    const poster = {
      post: (order: PostOrder) => {
        orders.push(order);
        return { abort: () => undefined };
      },
    };
    const push = new OutgoingPush({
      poster: poster as unknown as HttpPoster,
      runner: undefined,
      clock: systemClock,
    });
    const { message, subscription } = attempt({ protocol: 'http', endpoint: 'http://h/' });
    for (const target of [{}, { format: 'JSON' }, { protocol: 'function' }] as const) {
      push.send({ message, subscription: { ...subscription, ...target } }, () => expect.fail());
    }
    expect(orders.map(({ ownBytes }) => ownBytes)).toEqual([0, 5, 5]);
  });

  test.each(['local', 'function'])('calls functions of the directory: %s:NAME', async (scheme) => {
    const text = `export const main_handler = ({ Records: [{ CMQ }] }) => {
      throw new Error(CMQ.msgBody + CMQ.topicOwner);
    };`;
    const push = createTransport({
      functionsDir: functionsDir({ f: text, g: 'export default () => 0;' }),
    });
    expect(await send(push, 'function', `${scheme}:f`)).toEqual(['failed', 'Error: hello7']);
    expect(await send(push, 'function', `${scheme}:g`)).toEqual(['ok', 'returned']);
    expect(await send(push, 'function', `${scheme}:../g`)).toEqual(['failed', 'no such function']);
    expect(await send(push, 'http', `${scheme}:g`)).toEqual(['failed', 'neither http nor https']);
  });

  test('has no functions without a directory', async () => {
    const push = createTransport();
    expect(await send(push, 'function', 'local:f')).toEqual(['failed', 'no functions-dir is set']);
    push.send(attempt({ protocol: 'function', endpoint: 'local:f' }), expect.unreachable).abort();
  });

  test('refuses local addresses unless allowed', async () => {
    const { url } = await serve();
    const push = createTransport({ pushAllow: [] });
    const refused = ['failed', 'address not allowed (loopback)'];
    expect(await send(push, 'http', url)).toEqual(refused);
    const { port } = new URL(url);
    const byName = await send(push, 'http', `http://localhost:${port}/`);
    expect(byName[1]).toBe('address not allowed (loopback, not global unicast)');
    const named = createTransport({ pushAllow: [{ name: 'localhost' }] });
    expect(await send(named, 'http', `http://localhost:${port}/`)).toEqual(['ok', 'status 200']);
    expect(await send(named, 'http', url)).toEqual(refused);
  });

  test('counts what it did', async () => {
    const { url } = await serve();
    const push = createTransport();
    await send(push, 'http', url);
    await send(push, 'http', 'ftp://a.example/');
    await send(push, 'http', 'http://10.0.0.1/');
    await send(push, 'function', 'local:f');
    const figures = push.samples().filter(({ value }) => value > 0);
    expect(figures.map(({ name, labels, value }) => [name, labels, value])).toEqual([
      ['tributary_push_attempts_total', {}, 4],
      ['tributary_push_successes_total', {}, 1],
      ['tributary_push_failures_total', { reason: 'endpoint' }, 1],
      ['tributary_push_failures_total', { reason: 'address' }, 1],
      ['tributary_push_failures_total', { reason: 'function' }, 1],
    ]);
  });
});
