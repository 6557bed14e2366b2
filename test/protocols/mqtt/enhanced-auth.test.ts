/** AUTH with SCRAM-SHA-256 (MQTT 5 section 4.12, RFC 5802, RFC 7677). */
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { type Any, Harness, type TestClient } from './mqtt-harness.ts';

const METHOD = 'SCRAM-SHA-256';

/** The client's side, after RFC 5802. */
class ScramClient {
  readonly first: Buffer;
  readonly #bare: string;
  readonly #password: string;
  #serverSignature = '';

  constructor(name: string, password: string) {
    this.#bare = `n=${name},r=rOprNGfwEbeRWgbNEkqO`;
    this.first = Buffer.from(`n,,${this.#bare}`);
    this.#password = password;
  }

  answer(challenge: Buffer): Buffer {
    const text = challenge.toString();
    const [, nonce, salt, count] = /^r=(.*),s=(.*),i=(\d+)$/.exec(text)!;
    const salted = pbkdf2Sync(
      this.#password,
      Buffer.from(salt!, 'base64'),
      Number(count),
      32,
      'sha256',
    );
    const hmac = (key: Buffer, data: string) => createHmac('sha256', key).update(data).digest();
    const clientKey = hmac(salted, 'Client Key');
    const storedKey = createHash('sha256').update(clientKey).digest();
    const withoutProof = `c=biws,r=${nonce}`;
    const message = `${this.#bare},${text},${withoutProof}`;
    const signature = hmac(storedKey, message);
    const proof = Buffer.from(clientKey.map((byte, at) => byte ^ signature[at]!));
    this.#serverSignature = hmac(hmac(salted, 'Server Key'), message).toString('base64');
    return Buffer.from(`${withoutProof},p=${proof.toString('base64')}`);
  }

  expectProven(data: Buffer): void {
    expect(data.toString()).toBe(`v=${this.#serverSignature}`);
  }
}

function begin(harness: Harness, scram: ScramClient, fields: Any = {}): TestClient {
  const client = harness.accept(5, { certificateSubject: undefined } as never);
  client.send({
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 5,
    clean: true,
    clientId: 'a',
    properties: { authenticationMethod: METHOD, authenticationData: scram.first },
    ...fields,
  });
  return client;
}

function sendAuth(client: TestClient, reasonCode: number, data: Buffer): void {
  const properties = { authenticationMethod: METHOD, authenticationData: data };
  client.send({ cmd: 'auth', reasonCode, properties });
}

async function loggedIn(harness: Harness): Promise<TestClient> {
  const scram = new ScramClient('guest', 'guest');
  const client = begin(harness, scram);
  const challenge = await client.next('auth');
  expect(challenge).toMatchObject({
    reasonCode: 0x18,
    properties: { authenticationMethod: METHOD },
  });
  sendAuth(client, 0x18, scram.answer(challenge.properties.authenticationData));
  const connack = await client.next('connack');
  expect(connack).toMatchObject({
    reasonCode: 0,
    properties: { authenticationMethod: METHOD },
  });
  scram.expectProven(connack.properties.authenticationData);
  return client;
}

describe('SCRAM-SHA-256', () => {
  test('proves both sides [MQTT-4.12.0-2], [MQTT-4.12.0-5]', async () => {
    const client = await loggedIn(await Harness.open());
    client.send({ cmd: 'pingreq' });
    expect(await client.names()).toEqual(['pingresp']);
  });

  test('refuses a wrong password and an unknown user alike [MQTT-4.12.0-4]', async () => {
    const harness = await Harness.open();
    for (const [name, password] of [
      ['guest', 'wrong'],
      ['nobody', 'guest'],
    ]) {
      const scram = new ScramClient(name!, password!);
      const client = begin(harness, scram);
      const challenge = await client.next('auth');
      sendAuth(client, 0x18, scram.answer(challenge.properties.authenticationData));
      expect(await client.next('connack')).toMatchObject({ reasonCode: 0x86 });
      expect(client.isClosed).toBe(true);
    }
  });

  test('refuses what is no SCRAM message, and packets in between [MQTT-3.1.4-6]', async () => {
    const harness = await Harness.open();
    const scram = new ScramClient('guest', 'guest');
    const bad = begin(harness, scram, {
      properties: { authenticationMethod: METHOD, authenticationData: Buffer.from('hello') },
    });
    expect(await bad.next('connack')).toMatchObject({ reasonCode: 0x82 });
    const hasty = begin(harness, scram);
    await hasty.next('auth');
    hasty.send({ cmd: 'pingreq' });
    expect(await hasty.all()).toEqual([]);
    expect(hasty.isClosed).toBe(true);
  });

  test('authenticates again on the same connection [MQTT-4.12.1-1]', async () => {
    const harness = await Harness.open();
    const client = await loggedIn(harness);
    const again = new ScramClient('guest', 'guest');
    sendAuth(client, 0x19, again.first);
    const challenge = await client.next('auth');
    sendAuth(client, 0x18, again.answer(challenge.properties.authenticationData));
    const done = await client.next('auth');
    expect(done.reasonCode).toBe(0);
    again.expectProven(done.properties.authenticationData);
    expect(client.isClosed).toBe(false);
  });

  test('a failure then ends the connection [MQTT-4.12.1-2]', async () => {
    const harness = await Harness.open();
    const client = await loggedIn(harness);
    const again = new ScramClient('guest', 'wrong');
    sendAuth(client, 0x19, again.first);
    const challenge = await client.next('auth');
    sendAuth(client, 0x18, again.answer(challenge.properties.authenticationData));
    expect(await client.next('disconnect')).toMatchObject({ reasonCode: 0x87 });
  });

  test('works for users set after the start, and over a restart of the record', async () => {
    const { userFromJson, userRecord } = await import('../../../src/engine/access/user.ts');
    const harness = await Harness.open();
    const user = harness.fixture.broker.access.user('guest')!;
    const back = userFromJson('guest', userRecord(user));
    expect(back.password).toEqual(user.password);
    expect(back.password!.scram).toMatch(/^4096\$/);
  });
});
