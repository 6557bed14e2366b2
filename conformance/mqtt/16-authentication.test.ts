/** AUTH: SCRAM-SHA-256 and tokens, once and again; rights with the names of user and client. */
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import amqp from 'amqplib';
import { SignJWT } from 'jose';
import { afterAll, describe, expect } from 'vitest';
import { writeDefinitions } from '../support/definitions.ts';
import { MqttConnection } from '../support/mqtt-client.ts';
import { type MqttContext, useMqtt } from '../support/mqtt-test.ts';
import {
  AUTH,
  CONNACK,
  PUBACK,
  type Properties,
  authPacket,
  connectPacket,
  publishPacket,
} from '../support/mqtt-wire.ts';
import { ServerProcess } from '../support/server-process.ts';
import { ScramClient } from '../support/scram-client.ts';

const SCRAM = 'SCRAM-SHA-256';
const BEARER = 'OAUTHBEARER';
const ISSUER = 'https://issuer.example';
const CONTINUE = 0x18;
const AGAIN = 0x19;

const all = { vhost: '/', configure: '.*', write: '.*', read: '.*' };
const onTopics = { vhost: '/', exchange: 'amq.topic' };
const definitions = writeDefinitions({
  vhosts: [{ name: '/' }, { name: 'yard' }],
  users: [
    { name: 'ann', password: 'ann-secret', tags: '' },
    { name: 'b.b', password: 'b-secret', tags: '' },
  ],
  permissions: [
    { user: 'guest', ...all, vhost: 'yard' },
    { user: 'ann', ...all },
    { user: 'b.b', ...all },
  ],
  topic_permissions: ['ann', 'b.b'].map((user) => ({
    user,
    ...onTopics,
    write: '^out[.]{username}[.]{client_id}$',
    read: '^(in[.]{client_id}|of[.]{username})[.].*$',
  })),
});
const keys = mkdtempSync(join(tmpdir(), 'mqtt-keys-'));
const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'ES256', use: 'sig' };
writeFileSync(join(keys, 'keys.json'), JSON.stringify({ keys: [jwk] }));

const { specTest } = useMqtt({
  args: [
    ...['--load-definitions', definitions.file, '--token-jwks', join(keys, 'keys.json')],
    ...['--token-issuer', ISSUER, '--token-audience', 'tributary'],
  ],
});

afterAll(() => {
  definitions.dispose();
  rmSync(keys, { recursive: true, force: true });
});

/** Begins with SCRAM; what the server says first. */
async function beginScram(t: MqttContext, scram: ScramClient): Promise<MqttConnection> {
  const client = await t.dial(5);
  const properties = { authMethod: SCRAM, authData: scram.first };
  client.write(connectPacket({ version: 5, clientId: t.name('c'), properties }));
  return client;
}

function sendAuth(client: MqttConnection, code: number, authData: Buffer, method = SCRAM): void {
  client.write(authPacket(code, { authMethod: method, authData }));
}

/** Answers the server's challenge. */
async function prove(client: MqttConnection, scram: ScramClient): Promise<void> {
  const challenge = await client.next(AUTH);
  expect(challenge).toMatchObject({ code: CONTINUE, properties: { authMethod: SCRAM } });
  sendAuth(client, CONTINUE, scram.answer(challenge.properties.authData!));
}

async function scramLogin(t: MqttContext, name = 'ann', password = 'ann-secret') {
  const scram = new ScramClient(name, password);
  const client = await beginScram(t, scram);
  await prove(client, scram);
  const connack = await client.next(CONNACK);
  expect(connack).toMatchObject({ code: 0, properties: { authMethod: SCRAM } });
  expect(scram.isProof(connack.properties.authData)).toBe(true);
  return client;
}

async function token(scopes: readonly string[], lifeSeconds = 60, sub = 'device'): Promise<string> {
  const claims = {
    iss: ISSUER,
    aud: 'tributary',
    sub,
    scope: scopes.map((scope) => `tributary.${scope}`).join(' '),
    exp: Math.floor(Date.now() / 1000) + lifeSeconds,
  };
  return new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: 'one' }).sign(privateKey);
}

function bearer(text: string): Properties {
  return {
    authMethod: BEARER,
    authData: Buffer.from(`n,,\u0001auth=Bearer ${text}\u0001\u0001`),
  };
}

const OWN = ['configure:%2F/mqtt-*', 'read:%2F/*', 'read:%2F/*/in.*', 'write:%2F/*/out.*'];

specTest(
  { section: '4.12', rule: 'SCRAM-SHA-256 proves both sides', needsServer: true },
  async (t) => {
    const client = await scramLogin(t);
    await client.sync();
    await scramLogin(t, '/:b.b', 'b-secret');
  },
);

specTest(
  {
    section: 'MQTT-4.12.0-4',
    rule: 'a wrong proof and an unknown name are 0x86',
    needsServer: true,
  },
  async (t) => {
    for (const [name, password] of [
      ['ann', 'wrong'],
      ['nobody', 'ann-secret'],
    ] as const) {
      const scram = new ScramClient(name, password);
      const client = await beginScram(t, scram);
      await prove(client, scram);
      expect((await client.next(CONNACK)).code).toBe(0x86);
      await client.closed();
    }
  },
);

specTest(
  { section: 'MQTT-4.12.0-1', rule: 'an unknown method is 0x8C', needsServer: true },
  async (t) => {
    const properties = { authMethod: 'SCRAM-SHA-1', authData: new ScramClient('ann', 'x').first };
    const client = await t.attempt({ properties });
    expect(client.connack.code).toBe(0x8c);
    await client.closed();
  },
);

specTest(
  {
    section: 'MQTT-4.12.1-1',
    rule: 'the same user proves itself again while publishing',
    needsServer: true,
  },
  async (t) => {
    const client = await scramLogin(t, 'guest', 'guest');
    const topic = t.name();
    await client.subscribe(topic, 1);
    const again = new ScramClient('guest', 'guest');
    sendAuth(client, AGAIN, again.first);
    const challenge = await client.next(AUTH);
    const fields = { version: 5, topic, payload: 'between', qos: 1, packetId: 77 } as const;
    client.write(publishPacket(fields));
    sendAuth(client, CONTINUE, again.answer(challenge.properties.authData!));
    await client.reply(PUBACK, 77);
    const done = await client.reply(AUTH, 0);
    expect(done.code).toBe(0);
    expect(again.isProof(done.properties.authData)).toBe(true);
    expect((await client.message()).payload.toString()).toBe('between');
  },
);

specTest(
  {
    section: 'MQTT-4.12.1-2',
    rule: 'when that fails, or is another user, it ends',
    needsServer: true,
  },
  async (t) => {
    for (const [name, password] of [
      ['ann', 'wrong'],
      ['b.b', 'b-secret'],
    ] as const) {
      const client = await scramLogin(t);
      const again = new ScramClient(name, password);
      sendAuth(client, AGAIN, again.first);
      await prove(client, again);
      expect((await client.closed())?.code).toBe(0x87);
    }
  },
);

specTest(
  { section: 'MQTT-4.12.0-7', rule: 'AUTH without a method in CONNECT is 0x82', needsServer: true },
  async (t) => {
    const client = await t.connect();
    sendAuth(client, AGAIN, new ScramClient('guest', 'guest').first);
    expect((await client.closed())?.code).toBe(0x82);
  },
);

specTest(
  {
    section: '4.12',
    rule: 'a token logs in by AUTH, and a new one renews its rights',
    needsServer: true,
  },
  async (t) => {
    const login = { user: undefined, password: undefined };
    const client = await t.connect({ ...login, properties: bearer(await token(OWN, 6)) });
    expect(client.connack.properties.authMethod).toBe(BEARER);
    expect((await client.subscribe('in/x')).codes).toEqual([0]);
    expect((await client.subscribe('more/x')).codes).toEqual([0x87]);
    const renewed = await token([...OWN, 'read:%2F/*/more.*']);
    client.write(authPacket(AGAIN, bearer(renewed)));
    expect(await client.next(AUTH)).toMatchObject({ code: 0, properties: { authMethod: BEARER } });
    expect((await client.subscribe('more/x')).codes).toEqual([0]);
    // The first token is over by now.
    await new Promise((resolve) => setTimeout(resolve, 6_500));
    await client.sync();
  },
);

specTest(
  { section: '4.12', rule: 'a token that is refused, or allows less, ends it', needsServer: true },
  async (t) => {
    const login = { user: undefined, password: undefined };
    const less = await token(OWN.filter((scope) => !scope.includes('/in.')));
    const other = await token(OWN, 60, 'somebody');
    for (const next of [less, other, 'eyJhbGciOiJub25lIn0.e30.']) {
      const client = await t.connect({ ...login, properties: bearer(await token(OWN)) });
      await client.subscribe('in/x');
      client.write(authPacket(AGAIN, bearer(next)));
      expect((await client.closed())?.code).toBe(0x87);
    }
    const refused = await t.attempt({ ...login, properties: bearer(await token(OWN, -10)) });
    expect(refused.connack.code).toBe(0x86);
  },
);

specTest(
  {
    section: 'topic permissions',
    rule: '{username} and {client_id} stand for themselves',
    needsServer: true,
  },
  async (t) => {
    const ann = { user: 'ann', password: 'ann-secret' };
    const watching = await t.subscriber('#', 0);
    const client = await t.connect({ ...ann, clientId: 'c.1' });
    expect((await client.publish('out/ann/c/1', 'no', { qos: 1 }))?.code).toBe(0x87);
    expect((await client.publish('out/ann/cx1', 'no', { qos: 2 }))?.code).toBe(0x87);
    expect((await client.publish('out/b.b/c.1', 'no', { qos: 1 }))?.code).toBe(0x87);
    expect((await client.publish('out/ann/c.1', 'own', { qos: 1 }))?.code).toBe(0);
    expect((await watching.message()).topic).toBe('out/ann/c.1');
    const plain = await t.connect({ ...ann, clientId: 'plain' });
    expect((await plain.publish('out/ann/plain', 'yes', { qos: 1 }))?.code).toBe(0);
    expect((await watching.message()).topic).toBe('out/ann/plain');
    expect((await plain.subscribe('in/plain/x')).codes).toEqual([0]);
    expect((await plain.subscribe('in/plainer/x')).codes).toEqual([0x87]);
    expect((await plain.subscribe('of/ann/+')).codes).toEqual([0]);
    expect((await plain.subscribe('#')).codes).toEqual([0x87]);
    await watching.silent(100);
  },
);

specTest(
  { section: 'topic permissions', rule: 'patterns in names do not widen them', needsServer: true },
  async (t) => {
    const clientId = '.*';
    const client = await t.connect({ user: 'b.b', password: 'b-secret', clientId });
    expect((await client.subscribe('in/other/x')).codes).toEqual([0x87]);
    expect((await client.subscribe('of/bxb/x')).codes).toEqual([0x87]);
    expect((await client.subscribe('of/b/b/x')).codes).toEqual([0x87]);
    expect((await client.subscribe('of/b.b/x')).codes).toEqual([0]);
    expect((await client.publish('out/b.b/other', 'no', { qos: 1 }))?.code).toBe(0x87);
    const will = { topic: 'out/b.b/other', payload: 'no' };
    const watching = await t.subscriber('out/#', 0);
    const dying = await t.connect({ user: 'b.b', password: 'b-secret', clientId, will });
    await dying.drop();
    await watching.silent(200);
  },
);

describe('vhosts', () => {
  specTest(
    {
      section: 'vhosts',
      rule: 'by port, unless the user name has one',
      needsServer: true,
    },
    async (t) => {
      const port = await freePort();
      const server = await ServerProcess.start({
        args: [
          ...['--load-definitions', definitions.file, '--mqtt-port', String(port)],
          ...['--mqtt-port-vhosts', `${port}=yard`],
        ],
      });
      const url = `mqtt://guest:guest@127.0.0.1:${port}`;
      const clients = [await MqttConnection.dial(url), await MqttConnection.dial(url)];
      try {
        const [mapped, named] = clients as [MqttConnection, MqttConnection];
        await mapped.login(url, { clientId: t.name('c') });
        await named.login(url, { clientId: t.name('c'), user: '/:guest' });
        await mapped.subscribe('#');
        await named.subscribe('#');
        const connection = await amqp.connect(`${server.url}/yard`);
        const channel = await connection.createChannel();
        channel.publish('amq.topic', 'a.b', Buffer.from('in the yard'));
        expect((await mapped.message()).payload.toString()).toBe('in the yard');
        await named.publish('a/c', 'elsewhere');
        expect((await named.message()).topic).toBe('a/c');
        await mapped.silent(100);
        await connection.close();
      } finally {
        for (const client of clients) client.destroy();
        await server.dispose();
      }
    },
  );
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
