/** CONNECT, CONNACK, login, keep alive, take-over (MQTT 5 sections 3.1, 3.2, 3.14, 4.1). */
import { describe, expect, test } from 'vitest';
import { Harness } from './mqtt-harness.ts';

describe('CONNECT', () => {
  test.each([3, 4, 5])('is accepted in version %i [MQTT-3.2.0-1]', async (version) => {
    const harness = await Harness.open();
    const client = await harness.connect('a', { version });
    expect(client.connack).toMatchObject({ sessionPresent: false });
    expect(client.connack!.reasonCode ?? client.connack!.returnCode).toBe(0);
    client.send({ cmd: 'pingreq' });
    expect(await client.names()).toEqual(['pingresp']);
  });

  test('tells limits and gives a client id [MQTT-3.1.3-6], [MQTT-3.2.2-16]', async () => {
    const harness = await Harness.open({ receiveMaximum: 7, topicAliasMax: 3 });
    const client = await harness.connect('', {
      properties: { sessionExpiryInterval: 0xffff_ffff },
    });
    expect(client.connack!.properties).toMatchObject({
      receiveMaximum: 7,
      topicAliasMaximum: 3,
      sessionExpiryInterval: 86_400,
      maximumPacketSize: 16 * 1024 * 1024,
    });
    expect(client.connack!.properties!.assignedClientIdentifier).toMatch(/^auto-[0-9a-f]{24}$/);
  });

  test('an empty id wants a clean session in 3.1.1 [MQTT-3.1.3-8]', async () => {
    const harness = await Harness.open();
    const refused = harness.accept(4);
    refused.raw(Buffer.from([0x10, 12, 0, 4, 77, 81, 84, 84, 4, 0, 0, 0, 0, 0]));
    expect(await refused.next('connack')).toMatchObject({ returnCode: 2 });
    expect(refused.isClosed).toBe(true);
    expect((await harness.connect('', { version: 4 })).connack!.returnCode).toBe(0);
  });

  test('anything else first, or a second one, ends the connection [MQTT-3.1.0-1]', async () => {
    const harness = await Harness.open();
    const early = harness.accept();
    early.send({ cmd: 'pingreq' });
    expect(await early.all()).toEqual([]);
    expect(early.isClosed).toBe(true);
    const twice = await harness.connect('a');
    twice.send({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: 5,
      clean: true,
      clientId: 'a',
    });
    expect(await twice.next('disconnect')).toMatchObject({ reasonCode: 0x82 });
  });

  test('packets sent before CONNACK wait for it [MQTT-3.1.4-5]', async () => {
    const harness = await Harness.open();
    const client = harness.accept();
    const login = { clientId: 'a', username: 'guest', password: Buffer.from('guest') };
    client.send({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 5, clean: true, ...login });
    client.send({ cmd: 'pingreq' });
    expect(client.transport.isPaused).toBe(true);
    await harness.until(() => client.transport.received.length > 2);
    expect(await client.names()).toEqual(['connack', 'pingresp']);
    expect(client.transport.isPaused).toBe(false);
  });

  test('without a CONNECT the connection ends in time', async () => {
    const harness = await Harness.open({ connectTimeoutMs: 1000 });
    const client = harness.accept();
    harness.advance(1000);
    expect(client.isClosed).toBe(true);
  });

  test('an unknown level is refused in words [MQTT-3.1.2-2]', async () => {
    const harness = await Harness.open();
    const client = harness.accept(4);
    client.raw(Buffer.from([0x10, 12, 0, 4, 77, 81, 84, 84, 9, 2, 0, 0, 0, 0]));
    await harness.settle();
    expect(client.transport.received.subarray(0, 1)).toEqual(Buffer.from([0x20]));
    expect(client.transport.received[3]).toBe(0x84);
    expect(client.isClosed).toBe(true);
  });
});

describe('login', () => {
  const noCertificate = { certificateSubject: undefined } as never;

  test('takes name and password, with a vhost before the name', async () => {
    const harness = await Harness.open();
    for (const username of ['guest', '/:guest']) {
      const login = { username, password: Buffer.from('guest') };
      const client = await harness.connect('a', login, noCertificate);
      expect(client.connack!.reasonCode).toBe(0);
    }
  });

  test('who names no vhost has the one of its certificate, its port, or the default', async () => {
    const harness = await Harness.open({
      vhostsByCertificate: new Map([['guest', 'plant']]),
      vhostsByPort: new Map([['1999', 'yard']]),
    });
    const { broker } = harness.fixture;
    const all = { configure: '.*', write: '.*', read: '.*' };
    for (const name of ['plant', 'yard']) {
      broker.addVHost(name);
      broker.access.setPermission('guest', name, all);
    }
    const login = { username: 'guest', password: Buffer.from('guest') };
    const named = { ...login, username: '/:guest' };
    for (const [id, fields, peer, vhost] of [
      ['certificate', {}, { localPort: 1999 }, 'plant'],
      ['port', login, { certificateSubject: undefined, localPort: 1999 }, 'yard'],
      ['named', named, { localPort: 1999 }, '/'],
      ['other', login, { certificateSubject: undefined, localPort: 1883 }, '/'],
    ] as const) {
      const client = await harness.connect(id, fields, peer as never);
      expect(client.connack!.reasonCode, id).toBe(0);
      const found = [...broker.vhosts()].filter(({ sessions }) => sessions.find(id) !== undefined);
      expect(found.map(({ name }) => name)).toEqual([vhost]);
    }
  });

  test('refuses wrong passwords, unknown vhosts and nobody', async () => {
    const harness = await Harness.open();
    const refusals = [
      [{ username: 'guest', password: Buffer.from('wrong') }, 0x86, 4],
      [{ username: 'nowhere:guest', password: Buffer.from('guest') }, 0x86, 4],
      [{}, 0x87, 5],
    ] as const;
    for (const [login, reasonCode, returnCode] of refusals) {
      const v5 = await harness.connect('a', login, noCertificate);
      expect(v5.connack!.reasonCode).toBe(reasonCode);
      expect(v5.isClosed).toBe(true);
      const v4 = await harness.connect('a', { ...login, version: 4 }, noCertificate);
      expect(v4.connack!.returnCode).toBe(returnCode);
    }
  });

  test('lets nobody in as the anonymous user, if there is one', async () => {
    const harness = await Harness.open({ anonymousUser: 'guest' });
    expect((await harness.connect('a', {}, noCertificate)).connack!.reasonCode).toBe(0);
    const remote = { certificateSubject: undefined, isLoopback: false } as never;
    expect((await harness.connect('a', {}, remote)).connack!.reasonCode).toBe(0x87);
  });

  test("keeps to a user's connection limit, not counting one it takes over", async () => {
    const harness = await Harness.open();
    harness.fixture.broker.access.putUser('guest', { limits: { maxConnections: 2 } });
    const first = await harness.connect('a');
    await harness.connect('b');
    expect((await harness.connect('c')).connack!.reasonCode).toBe(0x97);
    expect((await harness.connect('b')).connack!.reasonCode).toBe(0);
    await first.disconnect();
    expect((await harness.connect('c')).connack!.reasonCode).toBe(0);
  });

  test('without the right to the session nothing happens to it', async () => {
    const harness = await Harness.open();
    const owner = await harness.resume('a');
    const { access } = harness.fixture.broker;
    access.putUser('bob', { tags: [] });
    access.setPermission('bob', '/', { configure: '^$', write: '.*', read: '.*' });
    const thief = await harness.connect('a', {}, { certificateSubject: 'bob' });
    expect(thief.connack!.reasonCode).toBe(0x87);
    expect(owner.isClosed).toBe(false);
  });

  test('a refusal fits its field, however long the name in it is', async () => {
    const harness = await Harness.open();
    const { access } = harness.fixture.broker;
    access.putUser('bob', { tags: [] });
    access.setPermission('bob', '/', { configure: '^$', write: '.*', read: '.*' });
    const bob = { certificateSubject: 'bob' };
    const longest = await harness.connect('c'.repeat(65_490), {}, bob);
    expect(longest.connack!.reasonCode).toBe(0x87);
    expect(longest.connack!.properties!.reasonString).toHaveLength(1_024);
    const authenticationMethod = 'm'.repeat(65_510);
    const unknown = await harness.connect('a', { properties: { authenticationMethod } });
    expect(unknown.connack!.reasonCode).toBe(0x8c);
  });

  test('knows no unknown method of enhanced authentication [MQTT-4.12.0-1]', async () => {
    const harness = await Harness.open();
    const client = await harness.connect('a', { properties: { authenticationMethod: 'X' } });
    expect(client.connack!.reasonCode).toBe(0x8c);
  });

  test('AUTH without a method in CONNECT is an error [MQTT-4.12.0-7]', async () => {
    const harness = await Harness.open();
    const client = await harness.connect('a');
    client.send({ cmd: 'auth', reasonCode: 0x18, properties: { authenticationMethod: 'X' } });
    expect(await client.next('disconnect')).toMatchObject({ reasonCode: 0x82 });
  });
});

describe('the end of a connection', () => {
  test('comes after one and a half keep-alives of silence [MQTT-3.1.2-22]', async () => {
    const harness = await Harness.open();
    const client = await harness.connect('a', { keepalive: 10 });
    harness.advance(14_000);
    client.send({ cmd: 'pingreq' });
    harness.advance(250);
    expect(await client.names()).toEqual(['pingresp']);
    harness.advance(14_500);
    expect(client.isClosed).toBe(false);
    harness.advance(1_000);
    expect(await client.next('disconnect')).toMatchObject({ reasonCode: 0x8d });
  });

  test('the server may shorten the keep-alive [MQTT-3.2.2-21]', async () => {
    const harness = await Harness.open({ keepAliveSecondsMax: 60 });
    const client = await harness.connect('a', { keepalive: 120 });
    expect(client.connack!.properties!.serverKeepAlive).toBe(60);
    harness.advance(90_000);
    expect(client.isClosed).toBe(true);
  });

  test('a second connection takes the client id over [MQTT-3.1.4-3]', async () => {
    const harness = await Harness.open();
    const first = await harness.connect('a');
    const second = await harness.connect('a');
    expect(await first.next('disconnect')).toMatchObject({ reasonCode: 0x8e });
    expect(first.isClosed).toBe(true);
    expect(second.isClosed).toBe(false);
    expect(harness.acceptor.connectionCount).toBe(1);
  });

  test('DISCONNECT may not revive a session expiry of 0 [MQTT-3.14.2-2]', async () => {
    const harness = await Harness.open();
    const client = await harness.connect('a');
    await client.disconnect(0, { sessionExpiryInterval: 10 });
    expect(await client.next('disconnect')).toMatchObject({ reasonCode: 0x82 });
  });

  test('a stopping server says so', async () => {
    const harness = await Harness.open();
    const client = await harness.connect('a');
    await harness.acceptor.closeAll();
    expect(await client.next('disconnect')).toMatchObject({ reasonCode: 0x8b });
  });
});

test('a deleted user is told to go', async () => {
  const harness = await Harness.open();
  const client = await harness.connect('a');
  harness.fixture.broker.access.deleteUser('guest');
  harness.acceptor.tick();
  expect(await client.next('disconnect')).toMatchObject({ reasonCode: 0x98 });
  expect(client.isClosed).toBe(true);
});
