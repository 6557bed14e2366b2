/** Logins with a token: their rights end with it, and belong to nobody else of the same name. */
import { describe, expect, test } from 'vitest';
import { TokenGrant } from '../../../src/engine/access/token-grant.ts';
import { MemoryDisk } from '../../../src/store/memory-disk.ts';
import { type Any, Harness, type TestClient } from './mqtt-harness.ts';

const TOKEN = 'eyJ9.e30.c2ln';
const LIFE_MS = 60_000;
const NO_SUBSCRIBERS = 0x10;
/** What a device needs: its session, topics to publish to and to subscribe to. */
const DEVICE = [
  'configure:%2F/mqtt-subscription-{sub}-*',
  'read:%2F/mqtt-subscription-{sub}-*',
  'write:%2F/amq.topic/out.{sub}.*',
  'read:%2F/amq.topic/in.{sub}.*',
];

/** A token for `name` is taken from now on, for a minute. */
function takeToken(harness: Harness, name: string, scopes: readonly string[]): void {
  const { access, clock } = harness.fixture.broker;
  const grant = new TokenGrant(scopes, { sub: name }, clock.wallMs() + LIFE_MS);
  access.tokenVerifier = { verify: (_token, done) => done({ name, grant }) };
}

async function withToken(harness: Harness, clientId: string, more = {}): Promise<TestClient> {
  const login = { username: 'x', password: Buffer.from(TOKEN) };
  return harness.resume(clientId, { ...login, ...more });
}

describe('a token', () => {
  test('allows what its scopes say', async () => {
    const harness = await Harness.open();
    takeToken(harness, 'd1', DEVICE);
    const device = await withToken(harness, 'd1-a');
    expect(device.connack?.reasonCode).toBe(0);
    expect(await device.subscribe('in/d1/#', { qos: 1 })).toEqual([1]);
    expect(await device.subscribe('in/d2/#', { qos: 1 })).toEqual([0x87]);
    device.publish('out/d1/x', 'm', { qos: 1 });
    expect((await device.next('puback')).reasonCode).toBe(NO_SUBSCRIBERS);
    device.publish('out/d2/x', 'm', { qos: 1 });
    expect((await device.next('puback')).reasonCode).toBe(0x87);
    const other = await withToken(harness, 'd2-a');
    expect(other.connack?.reasonCode).toBe(0x87);
  });

  test('ends the connection with it', async () => {
    const harness = await Harness.open();
    takeToken(harness, 'd1', DEVICE);
    const device = await withToken(harness, 'd1-a');
    harness.advance(LIFE_MS - 1);
    expect(await device.names()).toEqual([]);
    harness.advance(1);
    expect((await device.next('disconnect')).reasonCode).toBe(0xa0);
  });
});

describe('the will of a login with a token', () => {
  const scopes = ['configure:*/*', 'read:*/*', 'write:*/*/out.*'];
  const will = { topic: 'out/w', payload: Buffer.from('gone'), qos: 1 as const, retain: false };

  test('is published while the token is valid', async () => {
    const harness = await Harness.open();
    const watching = await harness.connect('watch');
    await watching.subscribe('#', { qos: 1 });
    takeToken(harness, 'd1', scopes);
    await (await withToken(harness, 'a', { will })).lose();
    expect(await watching.messages()).toEqual(['gone']);
  });

  test('is not published after a crash with the rights of a user of the same name', async () => {
    const disk = new MemoryDisk();
    const before = await Harness.open({}, { disk });
    takeToken(before, 'guest', scopes);
    const secret = { ...will, topic: 'secret/w' };
    await withToken(before, 'connected', { will: secret });
    const delayed = { ...secret, properties: { willDelayInterval: 10 } };
    await (await withToken(before, 'gone', { will: delayed })).lose();
    await before.settle();

    const { clock } = before.fixture;
    const after = await Harness.open({}, { disk, clock });
    const watching = await after.connect('watch');
    await watching.subscribe('#', { qos: 1 });
    after.advance(20_000);
    expect(await watching.messages()).toEqual([]);
  });

  test('is published after a crash with the rights of the token, as long as it is valid', async () => {
    for (const [restartMs, expected] of [
      [LIFE_MS - 1, ['gone']],
      [LIFE_MS, []],
    ] as const) {
      const disk = new MemoryDisk();
      const before = await Harness.open({}, { disk });
      takeToken(before, 'd1', ['configure:*/*', 'read:*/*', 'write:*/*/out.{sub}.*']);
      await withToken(before, 'a', { will: { ...will, topic: 'out/d1/w' } });
      await before.settle();
      const { clock } = before.fixture;
      clock.advance(restartMs);
      const after = await Harness.open({}, { disk, clock });
      const watching = await after.connect('watch');
      await watching.subscribe('#', { qos: 1 });
      after.advance(0);
      expect(await watching.messages()).toEqual(expected);
    }
  });
});

describe('authentication with a token (OAUTHBEARER)', () => {
  const METHOD = 'OAUTHBEARER';
  const bearer = (token: string): Buffer =>
    Buffer.from(`n,,\u0001host=a\u0001auth=Bearer ${token}\u0001\u0001`);
  const properties = (data: Buffer): Any => ({
    authenticationMethod: METHOD,
    authenticationData: data,
  });

  async function loggedIn(harness: Harness, data: Buffer, more: Any = {}): Promise<TestClient> {
    return harness.connect(
      'd1-a',
      { clean: false, properties: { ...properties(data), sessionExpiryInterval: 600 }, ...more },
      { certificateSubject: undefined } as never,
    );
  }

  function renew(client: TestClient, token = TOKEN): void {
    client.send({ cmd: 'auth', reasonCode: 0x19, properties: properties(bearer(token)) });
  }

  test('needs one step, as the message of RFC 7628 or as the token alone', async () => {
    const harness = await Harness.open();
    takeToken(harness, 'd1', DEVICE);
    for (const data of [bearer(TOKEN), Buffer.from(TOKEN)]) {
      const client = await loggedIn(harness, data);
      expect(client.connack).toMatchObject({
        reasonCode: 0,
        properties: { authenticationMethod: METHOD },
      });
      expect(await client.subscribe('in/d1/#')).toEqual([0]);
      expect(await client.subscribe('in/d2/#')).toEqual([0x87]);
    }
  });

  test('is refused without a token, and unknown where none are taken', async () => {
    const harness = await Harness.open();
    expect((await loggedIn(harness, bearer(TOKEN))).connack?.reasonCode).toBe(0x8c);
    takeToken(harness, 'd1', DEVICE);
    for (const data of [Buffer.alloc(0), Buffer.from('guest'), bearer('x')]) {
      const client = await loggedIn(harness, data);
      expect(client.connack?.reasonCode).toBe(0x86);
      expect(client.isClosed).toBe(true);
    }
    const { access } = harness.fixture.broker;
    access.tokenVerifier = { verify: (_token, done) => done(undefined) };
    expect((await loggedIn(harness, bearer(TOKEN))).connack?.reasonCode).toBe(0x86);
  });

  test('AUTH 0x19 renews the rights and the time [MQTT-4.12.1-1]', async () => {
    const harness = await Harness.open();
    takeToken(harness, 'd1', DEVICE);
    const client = await loggedIn(harness, bearer(TOKEN));
    expect(await client.subscribe('in/d1/#')).toEqual([0]);
    harness.advance(LIFE_MS - 1_000);
    takeToken(harness, 'd1', [...DEVICE, 'write:%2F/amq.topic/more.*']);
    client.publish('more/x', 'm', { qos: 1 });
    expect((await client.next('puback')).reasonCode).toBe(0x87);
    renew(client);
    const done = await client.next('auth');
    expect(done).toMatchObject({ reasonCode: 0, properties: { authenticationMethod: METHOD } });
    client.publish('more/x', 'm', { qos: 1 });
    expect((await client.next('puback')).reasonCode).toBe(NO_SUBSCRIBERS);
    harness.advance(LIFE_MS - 1);
    expect(client.isClosed).toBe(false);
    harness.advance(1);
    expect((await client.next('disconnect')).reasonCode).toBe(0xa0);
  });

  test.each([
    ['of somebody else', 'd2', DEVICE],
    ['that no longer allows the session', 'd1', DEVICE.slice(1)],
    ['that no longer allows a subscription', 'd1', DEVICE.slice(0, 3)],
    ['that does not name the vhost', 'd1', ['tag:monitoring']],
  ])('a token %s ends the connection [MQTT-4.12.1-2]', async (_, name, scopes) => {
    const harness = await Harness.open();
    takeToken(harness, 'd1', DEVICE);
    const client = await loggedIn(harness, bearer(TOKEN));
    await client.subscribe('in/d1/#');
    takeToken(harness, name, scopes);
    renew(client);
    expect((await client.next('disconnect')).reasonCode).toBe(0x87);
  });

  test('a refused token ends the connection, another AUTH meanwhile does too', async () => {
    const harness = await Harness.open();
    takeToken(harness, 'd1', DEVICE);
    const { access } = harness.fixture.broker;
    const refused = await loggedIn(harness, bearer(TOKEN));
    access.tokenVerifier = { verify: (_token, done) => done(undefined) };
    renew(refused);
    expect((await refused.next('disconnect')).reasonCode).toBe(0x87);
    takeToken(harness, 'd1', DEVICE);
    const hasty = await loggedIn(harness, bearer(TOKEN));
    access.tokenVerifier = { verify: () => undefined };
    renew(hasty);
    renew(hasty);
    expect((await hasty.next('disconnect')).reasonCode).toBe(0x82);
  });

  test('the will has the renewed rights, also after a crash', async () => {
    const disk = new MemoryDisk();
    const before = await Harness.open({}, { disk });
    const will = { topic: 'late/w', payload: Buffer.from('gone'), qos: 1, retain: false };
    takeToken(before, 'd1', DEVICE);
    const client = await loggedIn(before, bearer(TOKEN), { will });
    before.advance(LIFE_MS - 1);
    takeToken(before, 'd1', [...DEVICE, 'write:%2F/amq.topic/late.*']);
    renew(client);
    await client.next('auth');
    await before.settle();
    const { clock } = before.fixture;
    clock.advance(1_000);
    const after = await Harness.open({}, { disk, clock });
    const watching = await after.connect('watch');
    await watching.subscribe('#', { qos: 1 });
    after.advance(0);
    expect(await watching.messages()).toEqual(['gone']);
  });
});
