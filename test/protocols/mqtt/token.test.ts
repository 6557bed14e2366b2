/** Logins with a token: their rights end with it, and belong to nobody else of the same name. */
import { describe, expect, test } from 'vitest';
import { TokenGrant } from '../../../src/engine/access/token-grant.ts';
import { MemoryDisk } from '../../../src/store/memory-disk.ts';
import { Harness, type TestClient } from './mqtt-harness.ts';

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
});
