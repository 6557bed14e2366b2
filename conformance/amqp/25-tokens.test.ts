/**
 * JSON Web Tokens in the place of passwords, as with RabbitMQ's OAuth 2 plugin: stock clients on a
 * server of ours that knows the keys of an issuer from a file, and one that knows them by URL.
 */
import { once } from 'node:events';
import fs from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import amqp, { type ChannelModel } from 'amqplib';
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from 'jose';
import mqtt from 'mqtt';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { ServerProcess } from '../support/server-process.ts';

const isExternal = inject('target').url !== undefined;
const ISSUER = 'https://issuer.example';
/** Life of a token that is to expire while connected: enough for a slow machine to use it. */
const LIFE_SECONDS = 10;
const ALL = ['configure:*/*', 'write:*/*', 'read:*/*', 'write:*/*/*', 'read:*/*/*'];

interface Key {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly jwks: string;
}

async function makeKey(kid: string): Promise<Key> {
  const { privateKey, publicKey } = await generateKeyPair('RS256');
  const jwk = { ...(await exportJWK(publicKey)), kid, alg: 'RS256', use: 'sig' };
  return { kid, privateKey, jwks: JSON.stringify({ keys: [jwk] }) };
}

interface Claims {
  readonly lifeSeconds?: number;
  readonly scopes?: readonly string[];
  readonly [claim: string]: unknown;
}

const issued: string[] = [];

async function issue(key: Key, { lifeSeconds = 60, scopes = ALL, ...more }: Claims = {}) {
  const claims = {
    iss: ISSUER,
    aud: ['account', 'tributary'],
    sub: 'ann',
    scope: scopes.map((scope) => `tributary.${scope}`).join(' '),
    exp: Date.now() / 1000 + lifeSeconds,
    ...more,
  };
  const header = { alg: 'RS256', kid: key.kid };
  const token = await new SignJWT(claims).setProtectedHeader(header).sign(key.privateKey);
  issued.push(token);
  return token;
}

/** Settings of a server that takes tokens. */
function tokenArgs(jwks: string): string[] {
  const settings = {
    'token-jwks': jwks,
    'token-issuer': ISSUER,
    'token-audience': 'tributary',
    'mqtt-port': '0',
  };
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
}

describe.skipIf(isExternal)('tokens', () => {
  let server: ServerProcess;
  let key: Key;
  let directory: string;
  let open: ChannelModel[] = [];

  const connect = async (password: string, on = server): Promise<ChannelModel> => {
    const target = { hostname: '127.0.0.1', port: on.port(), username: 'x', password };
    const connection = await amqp.connect(target);
    connection.on('error', () => undefined);
    open.push(connection);
    return connection;
  };

  beforeAll(async () => {
    key = await makeKey('first');
    directory = fs.mkdtempSync(path.join(os.tmpdir(), 'tokens-'));
    fs.writeFileSync(path.join(directory, 'keys.json'), key.jwks);
    server = await ServerProcess.start({ args: tokenArgs(path.join(directory, 'keys.json')) });
  });

  afterEach(async () => {
    for (const connection of open) await connection.close().catch(() => undefined);
    open = [];
  });

  afterAll(async () => {
    // Whatever happened above, no part of a token may have been logged.
    const { log } = server;
    for (const token of issued) {
      for (const part of token.split('.').slice(1)) expect(log).not.toContain(part);
    }
    expect(server.errors).toEqual([]);
    await server.dispose();
    fs.rmSync(directory, { recursive: true });
  });

  test('log in with PLAIN and AMQPLAIN, and passwords still do', async () => {
    const token = await issue(key);
    for (const credentials of [
      amqp.credentials.plain('x', token),
      amqp.credentials.amqplain('x', token),
      amqp.credentials.plain('guest', 'guest'),
    ]) {
      const url = `amqp://127.0.0.1:${server.port()}`;
      const connection = await amqp.connect(url, { credentials });
      open.push(connection);
      const channel = await connection.createConfirmChannel();
      const { queue } = await channel.assertQueue('', { exclusive: true });
      channel.sendToQueue(queue, Buffer.from('hello'));
      await channel.waitForConfirms();
      const message = await channel.get(queue, { noAck: true });
      expect(message && message.content.toString()).toBe('hello');
    }
  });

  test.each<[string, Claims]>([
    ['has expired', { lifeSeconds: -1 }],
    ['is of another issuer', { iss: 'https://other.example' }],
    ['is for another audience', { aud: 'other' }],
    ['never expires', { exp: undefined }],
    ['is not valid yet', { nbf: Date.now() / 1000 + 600 }],
  ])('do not when the token %s', async (_name, claims) => {
    await expect(connect(await issue(key, claims))).rejects.toThrow(/403|ACCESS.REFUSED/);
  });

  test('do not when the key is not the issuer’s', async () => {
    const stranger = await makeKey('first');
    await expect(connect(await issue(stranger))).rejects.toThrow(/403|ACCESS.REFUSED/);
  });

  test('give the rights of their scopes', async () => {
    const scopes = ['configure:%2F/mine-*', 'write:%2F/amq.default', 'read:%2F/mine-*'];
    const connection = await connect(await issue(key, { scopes }));
    const channel = await connection.createConfirmChannel();
    await channel.assertQueue('mine-1', { autoDelete: true });
    channel.sendToQueue('mine-1', Buffer.from('hello'));
    await channel.waitForConfirms();
    expect(await channel.get('mine-1', { noAck: true })).toBeTruthy();
    const refused = await connection.createChannel();
    refused.on('error', () => undefined);
    await expect(refused.assertQueue('yours-1')).rejects.toThrow(
      /ACCESS_REFUSED - configure access to queue 'yours-1' in vhost '\/' refused for user 'ann'/,
    );
  });

  test('need a scope for the vhost', async () => {
    const token = await issue(key, { scopes: ['read:elsewhere/*'] });
    await expect(connect(token)).rejects.toThrow(/ConnectionClose/);
    expect(server.log).toContain("access to vhost '/' refused for user 'ann'");
  });

  test('end the connection when they expire', async () => {
    const connection = await connect(await issue(key, { lifeSeconds: LIFE_SECONDS }));
    const startedAt = performance.now();
    // To amqplib a forced close is no error.
    const [error] = (await once(connection, 'close')) as [Error];
    expect(error.message).toMatch(/320 .*CONNECTION_FORCED - credential expired/);
    expect(performance.now() - startedAt).toBeLessThan(LIFE_SECONDS * 1_000 + 30_000);
  });

  test('are renewed by update-secret', async () => {
    const connection = await connect(await issue(key, { lifeSeconds: LIFE_SECONDS }));
    const channel = await connection.createChannel();
    const { queue } = await channel.assertQueue('', { exclusive: true });
    const isCancelled = new Promise<boolean>((resolve) => {
      void channel.consume(queue, (message) => {
        if (message === null) resolve(true);
      });
    });
    const narrow = await issue(key, { scopes: ['configure:*/*'] });
    await connection.updateSecret(Buffer.from(narrow), 'renewed');
    expect(await isCancelled).toBe(true);
    // The first token is over by then.
    await sleep(LIFE_SECONDS * 1_000 + 500);
    await channel.checkQueue(queue);
  });

  test('of another user do not renew', async () => {
    const connection = await connect(await issue(key));
    const closed = once(connection, 'error') as Promise<[Error]>;
    const other = await issue(key, { sub: 'bob' });
    connection.updateSecret(Buffer.from(other), 'renewed').catch(() => undefined);
    const [error] = await closed;
    expect(error.message).toMatch(/530 .*New secret was refused by one of the backends/);
  });

  test('log in over MQTT, and end that connection too', async () => {
    const password = await issue(key, { lifeSeconds: LIFE_SECONDS });
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${server.port('mqtt')}`, {
      protocolVersion: 5,
      username: 'x',
      password,
      reconnectPeriod: 0,
    });
    const reason = new Promise<number | undefined>((resolve) => {
      client.once('disconnect', ({ reasonCode }) => resolve(reasonCode));
    });
    await client.publishAsync('a/b', 'hello', { qos: 1 });
    expect(await reason).toBe(0xa0);
    await client.endAsync();
  });

  test('may be signed with a key that was added meanwhile', async () => {
    const next = await makeKey('next');
    const file = path.join(directory, 'keys.json');
    const keys = [key, next].flatMap(({ jwks }) => (JSON.parse(jwks) as { keys: object[] }).keys);
    fs.writeFileSync(`${file}.new`, JSON.stringify({ keys }));
    fs.renameSync(`${file}.new`, file);
    const isKnown = async (): Promise<boolean> =>
      await connect(await issue(next)).then(
        () => true,
        () => false,
      );
    await expect.poll(isKnown, { interval: 500 }).toBe(true);
    await connect(await issue(key));
  });

  describe('with keys by URL', () => {
    let web: Server;
    let status = 200;

    beforeEach(async () => {
      status = 200;
      web = createServer((_request, response) => response.writeHead(status).end(key.jwks));
      await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
    });

    afterEach(() => {
      web.closeAllConnections();
      web.close();
    });

    test('log in, also while the URL is out of order', async () => {
      const url = `http://127.0.0.1:${(web.address() as AddressInfo).port}/keys`;
      const other = await ServerProcess.start({
        args: [...tokenArgs(url), '--token-refresh', '1s'],
      });
      try {
        await connect(await issue(key), other);
        status = 500;
        await expect.poll(() => other.log).toContain('answered with status 500');
        const connection = await connect(await issue(key), other);
        await connection.close();
      } finally {
        await other.dispose();
      }
    });
  });
});
