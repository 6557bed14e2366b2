/** MQTT clients that ask for much: long names, many properties, floods, clients that do not read. */
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { MqttLink } from '../durability/mqtt-link.ts';
import { DEFAULT_TIMEOUT_MS, within } from '../support/inbox.ts';
import * as wire from '../support/mqtt-wire.ts';
import { GROWTH_MAX_BYTES } from '../support/server-process.ts';
import { MqttArena } from './mqtt-arena.ts';

const isExternal = inject('target').url !== undefined;
/** Ms. Long enough for those who do log in on a busy machine. */
const HANDSHAKE_MS = 3_000;

describe.skipIf(isExternal)('MQTT under pressure', () => {
  let arena: MqttArena;

  beforeAll(async () => {
    arena = await MqttArena.open(['--handshake-timeout', `${HANDSHAKE_MS}ms`]);
  });

  afterEach(async () => {
    await arena.check();
  });

  afterAll(async () => {
    await arena.close();
  });

  test('a topic of 65,535 bytes comes back whole', async () => {
    const client = await arena.connect();
    const topic = `long/${'x'.repeat(65_530)}`;
    expect((await client.subscribe('long/+', 1)).codes).toEqual([1]);
    await client.publish(topic, 'body', { qos: 1 });
    expect((await client.message()).topic).toBe(topic);
    const exact = await arena.connect();
    expect((await exact.subscribe(topic, 1)).codes).toEqual([1]);
    await exact.publish(topic, 'again', { qos: 1, retain: true });
    expect((await exact.message()).topic).toBe(topic);
    await exact.publish(topic, '', { qos: 1, retain: true });
  });

  test('topics and filters of 10,000 levels', async () => {
    const client = await arena.connect();
    const topic = Array.from({ length: 10_000 }, (_, at) => `${at % 10}`).join('/');
    const plus = Array.from({ length: 10_000 }, () => '+').join('/');
    const suback = await client.subscribe([
      { filter: plus, qos: 1 },
      { filter: `${topic}/#`, qos: 1 },
      { filter: Array.from({ length: 30_000 }, () => '').join('/'), qos: 1 },
    ]);
    for (const code of suback.codes) expect([0, 1, 0x80, 0x8f, 0x97]).toContain(code);
    const puback = await client.publish(topic, 'deep', { qos: 1 });
    expect([0, 0x10, 0x90, 0x97]).toContain(puback?.code);
    if (suback.codes[0]! < 0x80 && puback!.code === 0) {
      expect((await client.message()).topic).toBe(topic);
    }
    await client.publish(topic, 'deep', { qos: 1, retain: true });
    await client.publish(topic, '', { qos: 1, retain: true });
  });

  test('filters made to multiply do not explode', async () => {
    const client = await arena.connect();
    const filters: string[] = [];
    // Every mix of + and a word in ten levels.
    for (let mask = 0; mask < 1_024; mask += 1) {
      filters.push(Array.from({ length: 10 }, (_, at) => ((mask >> at) & 1 ? '+' : 'a')).join('/'));
    }
    await client.subscribe(filters.map((filter) => ({ filter })));
    const publisher = await arena.connect();
    const topic = Array.from({ length: 10 }, () => 'a').join('/');
    for (let round = 0; round < 200; round += 1) await publisher.publish(topic, `${round}`);
    await publisher.sync();
    expect((await client.messages(200)).length).toBe(200);
  });

  test('100,000 user properties: delivered, or refused with a reason', async () => {
    const one = Buffer.concat([wire.u8(0x26), wire.text('k'), wire.text('v')]);
    const rawProperties = Buffer.concat(Array.from({ length: 100_000 }, () => one));
    const subscriber = await MqttLink.open({
      url: arena.url,
      clientId: 'many-properties',
      version: 5,
      isClean: true,
      sessionExpirySeconds: 0,
      receiveMaximum: 0,
    });
    await subscriber.subscribe('many/properties', 1);
    const delivered = new Promise<number>((resolve) => {
      subscriber.start((type, _, body) => type === wire.PUBLISH && resolve(body.length));
    });
    const client = await arena.connect();
    const fields = { topic: 'many/properties', payload: 'x', qos: 1, packetId: 9, rawProperties };
    client.write(wire.publishPacket(fields));
    const answer = await client.reply(wire.PUBACK, 9).catch(() => client.closed(1_000));
    if (answer?.type === wire.PUBACK && answer.code === 0) {
      expect(await within(delivered, DEFAULT_TIMEOUT_MS, 'the delivery')).toBeGreaterThan(
        rawProperties.length,
      );
    } else {
      expect(answer?.code).toBeGreaterThanOrEqual(0x80);
    }
    const list = wire.packet(
      wire.SUBSCRIBE,
      2,
      wire.u16(1),
      wire.varint(rawProperties.length),
      rawProperties,
      wire.text('a'),
      wire.u8(0),
    );
    const other = await arena.connect();
    other.write(list);
    const suback = await other.reply(wire.SUBACK, 1).catch(() => other.closed(1_000));
    expect(suback).toBeDefined();
    subscriber.destroy();
  });

  test('10,000 filters in one SUBSCRIBE, taken back in one UNSUBSCRIBE', async () => {
    const client = await arena.connect();
    const filters = Array.from({ length: 10_000 }, (_, at) => `bulk/${at}/+/#`);
    client.write(
      wire.subscribePacket(
        5,
        1,
        filters.map((filter) => ({ filter, qos: 1 })),
      ),
    );
    const suback = await client.reply(wire.SUBACK, 1);
    expect(suback.codes.length).toBe(10_000);
    client.write(wire.unsubscribePacket(5, 2, filters));
    const unsuback = await client.reply(wire.UNSUBACK, 2);
    expect(unsuback.codes.length).toBe(10_000);
  });

  test('$SYS belongs to the server', async () => {
    const watcher = await arena.connect();
    await watcher.subscribe('$SYS/broker/hostile/#', 1);
    for (const qos of [0, 1, 2]) {
      const client = await arena.connect();
      const topic = '$SYS/broker/hostile/x';
      client.write(wire.publishPacket({ topic, payload: 'mine', qos, packetId: 3, retain: true }));
      if (qos > 0) {
        const type = qos === 1 ? wire.PUBACK : wire.PUBREC;
        const answer = await client.reply(type, 3).catch(() => client.closed(1_000));
        expect(answer?.code).toBeGreaterThanOrEqual(0x80);
      }
    }
    await watcher.silent(500);
    const late = await arena.connect();
    await late.subscribe('$SYS/broker/hostile/#', 1);
    await late.silent(300);
    const will = { topic: '$SYS/broker/hostile/will', payload: 'mine' };
    const dying = await arena.dial();
    const connack = await dying.login(arena.url, { will });
    await dying.drop();
    if (connack.code === 0) await watcher.silent(500);
  });

  test('client ids that look like filters, SQL, paths', async () => {
    const ids = [
      '#',
      '+',
      '+/+',
      'a/#',
      '$SYS',
      '$share/g/#',
      "'; DROP TABLE sessions; --",
      '../../etc',
      '%s%n',
      'a.b.*',
      ' ',
      '\u{feff}',
      '\u{10ffff}',
      'x'.repeat(1_000),
      'y'.repeat(65_535),
    ];
    for (const clientId of ids) {
      const first = await arena.dial();
      const options = { clientId, cleanStart: false, properties: { sessionExpiry: 60 } };
      const connack = await first.login(arena.url, options).catch((error: unknown) => {
        // A CONNECT above what a stranger may send ends the socket.
        if (!first.isClosed || clientId.length < 10_000) throw error;
        return undefined;
      });
      if (connack?.code !== 0) {
        expect([0x85, 0x87, 0x95, undefined]).toContain(connack?.code);
        continue;
      }
      await first.subscribe('ids/own', 1);
      await first.disconnect();
      const again = await arena.connect(5, options);
      expect(again.connack.sessionPresent, clientId.slice(0, 30)).toBe(true);
      await again.publish('ids/own', 'hello', { qos: 1 });
      expect((await again.message()).payload.toString()).toBe('hello');
      await again.disconnect();
      await (await arena.connect(5, { clientId })).disconnect();
    }
  });

  test('more QoS 2 than the server takes at a time', async () => {
    const client = await arena.connect(5, { manualAck: true });
    const max = client.connack.properties.receiveMaximum ?? 65_535;
    const one = (packetId: number): Buffer =>
      wire.publishPacket({ topic: 'much', qos: 2, packetId });
    const ids = Array.from({ length: Math.min(max + 1, 65_535) }, (_, at) => at + 1);
    client.write(Buffer.concat(ids.map(one)));
    if (max < 65_535) expect((await client.closed())?.code).toBe(0x93);
  });

  test('pings by the hundred thousand, unread', async () => {
    const client = await arena.connect();
    client.stopReading();
    const pings = Buffer.concat(Array.from({ length: 10_000 }, () => wire.PINGREQ_PACKET));
    for (let round = 0; round < 100; round += 1) client.write(pings);
    await arena.bystander.oneMore();
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(arena.arena.server.grownBytes).toBeLessThan(GROWTH_MAX_BYTES);
  });

  test('a subscriber that does not read costs bounded memory', async () => {
    const slow = await arena.connect(5, { clientId: 'slow' });
    await slow.subscribe('flood', 0);
    slow.stopReading();
    const publisher = await arena.connect();
    const payload = Buffer.alloc(100_000, 'z');
    const batch = Buffer.concat(
      Array.from({ length: 20 }, () => wire.publishPacket({ topic: 'flood', payload })),
    );
    for (let round = 0; round < 300; round += 1) {
      publisher.write(batch);
      if (round % 10 === 9) await publisher.sync().catch(() => undefined);
    }
    expect(arena.arena.server.grownBytes).toBeLessThan(GROWTH_MAX_BYTES);
  });

  test('one client id, five hundred connections at once', async () => {
    const all = await Promise.all(
      Array.from({ length: 500 }, async () => {
        const client = await arena.dial();
        await client.login(arena.url, { clientId: 'contested' }).catch(() => undefined);
        return client;
      }),
    );
    await expect.poll(() => all.filter((client) => !client.isClosed).length).toBe(1);
  });

  const connect = wire.connectPacket({ clientId: 'slowloris', user: 'guest', password: 'guest' });
  const states: readonly (readonly [string, Buffer])[] = [
    ['nothing', Buffer.alloc(0)],
    ['one byte', connect.subarray(0, 1)],
    ['half of CONNECT', connect.subarray(0, 14)],
    ['all of CONNECT but a byte', connect.subarray(0, connect.length - 1)],
  ];
  test.each(states)('silent after %s', async (_, bytes) => {
    const client = await arena.dial();
    const startedAt = Date.now();
    client.write(bytes);
    await client.closed();
    expect(Date.now() - startedAt).toBeGreaterThan(HANDSHAKE_MS * 0.8);
  });

  test('three hundred silent sockets are all let go', async () => {
    const all = await Promise.all(Array.from({ length: 300 }, () => arena.dial()));
    await arena.bystander.oneMore();
    await Promise.all(all.map((client) => client.closed()));
  });

  test('pipelined behind a CONNECT that is refused', async () => {
    const client = await arena.dial();
    client.write(
      Buffer.concat([
        wire.connectPacket({ clientId: 'no', user: 'guest', password: 'wrong' }),
        wire.publishPacket({ topic: 'pipelined', payload: 'x', qos: 1 }),
        wire.subscribePacket(5, 2, [{ filter: '#' }]),
      ]),
    );
    await client.closed();
    const [connack, ...rest] = client.unread;
    expect([0x86, 0x87]).toContain(connack?.code);
    expect(rest).toEqual([]);
  });
});
