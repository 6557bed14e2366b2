/** MQTT packets no client should send. The answer is the right reason code or the bare end. */
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import type { MqttConnection } from '../support/mqtt-client.ts';
import * as wire from '../support/mqtt-wire.ts';
import { GROWTH_MAX_BYTES } from '../support/server-process.ts';
import { MqttArena } from './mqtt-arena.ts';

const isExternal = inject('target').url !== undefined;
const MALFORMED = 0x81;
const PROTOCOL_ERROR = 0x82;

/** Texts that are no MQTT string (1.5.4): cut, overlong, surrogate, too high, U+0000. */
const BAD_TEXTS: readonly (readonly [string, Buffer])[] = [
  ['cut sequence', Buffer.from([0x61, 0xc3])],
  ['lone continuation', Buffer.from([0x80, 0x61])],
  ['overlong slash', Buffer.from([0xc0, 0xaf])],
  ['overlong of three', Buffer.from([0xe0, 0x80, 0xaf])],
  ['surrogate', Buffer.from([0xed, 0xa0, 0x80])],
  ['above U+10FFFF', Buffer.from([0xf4, 0x90, 0x80, 0x80])],
  ['byte 0xFF', Buffer.from([0x61, 0xff, 0x62])],
  ['U+0000', Buffer.from([0x61, 0x00, 0x62])],
];

/** A fixed header that claims `length` bytes, without them. */
function claim(type: number, flags: number, length: number): Buffer {
  return Buffer.concat([wire.u8((type << 4) | flags), wire.varint(length)]);
}

describe.skipIf(isExternal)('hostile MQTT packets', () => {
  let arena: MqttArena;

  beforeAll(async () => {
    arena = await MqttArena.open();
  });

  afterEach(async () => {
    await arena.check();
  });

  afterAll(async () => {
    await arena.close();
  });

  /** 5.0: DISCONNECT with one of the codes, then the end; 3.1.1: the bare end. */
  const expectEnd = async (client: MqttConnection, ...codes: number[]): Promise<void> => {
    const disconnect = await client.closed();
    if (client.version !== 5) expect(disconnect).toBeUndefined();
    else if (codes.length > 0) expect(codes).toContain(disconnect?.code);
  };

  test('every prefix of a session, then the end of the socket', async () => {
    for (const version of [4, 5] as const) {
      const session = Buffer.concat([
        wire.connectPacket({
          version,
          clientId: `cut-${version}`,
          cleanStart: false,
          user: 'guest',
          password: 'guest',
          will: { topic: 'cut/will', payload: 'gone', qos: 1 },
          properties: { sessionExpiry: 1, user: [['a', 'b']] },
        }),
        wire.subscribePacket(version, 1, [{ filter: 'cut/#', qos: 2 }]),
        wire.publishPacket({ version, topic: 'cut/a', payload: 'x', qos: 2, packetId: 2 }),
        wire.ackPacket(wire.PUBREL, 2),
        wire.unsubscribePacket(version, 3, ['cut/#']),
        wire.disconnectPacket(version),
      ]);
      const cut = async (at: number): Promise<void> => {
        const client = await arena.dial(version);
        client.manualAck = true;
        client.write(session.subarray(0, at));
        client.end();
        await client.closed();
      };
      for (let from = 0; from <= session.length; from += 40) {
        const cuts = Array.from({ length: 40 }, (_, index) => from + index);
        await Promise.all(cuts.filter((at) => at <= session.length).map(cut));
      }
    }
  });

  test('anything before CONNECT ends the socket without a word', async () => {
    for (let type = 0; type <= 15; type += 1) {
      if (type === wire.CONNECT) continue;
      const client = await arena.dial();
      client.write(wire.packet(type, type === 6 || type === 8 || type === 10 ? 2 : 0, wire.u16(1)));
      await client.closed();
      expect(client.receivedBytes).toBe(0);
    }
    const other = await arena.dial();
    other.write(Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'));
    await other.closed();
    expect(other.receivedBytes).toBe(0);
  });

  test('a second CONNECT is a protocol error', async () => {
    for (const version of [4, 5] as const) {
      const client = await arena.connect(version);
      client.write(wire.connectPacket({ version, user: 'guest', password: 'guest' }));
      await expectEnd(client, PROTOCOL_ERROR);
    }
  });

  test('wrong flags in the fixed header', async () => {
    const bodies: readonly (readonly [number, number, Buffer])[] = [
      [wire.PUBACK, 0, wire.u16(1)],
      [wire.PUBREC, 0, wire.u16(1)],
      [wire.PUBREL, 2, wire.u16(1)],
      [wire.PUBCOMP, 0, wire.u16(1)],
      [wire.SUBSCRIBE, 2, Buffer.concat([wire.u16(1), wire.u8(0), wire.text('a'), wire.u8(0)])],
      [wire.UNSUBSCRIBE, 2, Buffer.concat([wire.u16(1), wire.u8(0), wire.text('a')])],
      [wire.PINGREQ, 0, Buffer.alloc(0)],
      [wire.DISCONNECT, 0, Buffer.alloc(0)],
    ];
    for (const [type, right, body] of bodies) {
      for (const flags of [0, 1, 2, 4, 8, 15]) {
        if (flags === right) continue;
        const client = await arena.connect();
        client.write(wire.packet(type, flags, body));
        await expectEnd(client, MALFORMED, PROTOCOL_ERROR);
      }
    }
  });

  test('types a client never sends, and bad publish flags', async () => {
    for (const type of [0, wire.CONNACK, wire.SUBACK, wire.UNSUBACK, wire.PINGRESP]) {
      const client = await arena.connect();
      client.write(wire.packet(type, 0, wire.u16(1), wire.u8(0)));
      await expectEnd(client, MALFORMED, PROTOCOL_ERROR);
    }
    for (const flags of [6, 7, 8, 14]) {
      const client = await arena.connect();
      const parts = [wire.text('a'), wire.u16(1), wire.u8(0)];
      client.write(wire.packet(wire.PUBLISH, flags, ...parts));
      await expectEnd(client, MALFORMED, PROTOCOL_ERROR);
    }
  });

  test('AUTH nobody asked for', async () => {
    const client = await arena.connect();
    client.write(wire.authPacket(0x19, { authMethod: 'SCRAM-SHA-256' }));
    await expectEnd(client, PROTOCOL_ERROR);
    const old = await arena.connect(4);
    old.write(wire.packet(wire.AUTH, 0));
    await expectEnd(old);
  });

  test('a remaining length of five bytes', async () => {
    for (const bytes of [
      [0x30, 0xff, 0xff, 0xff, 0xff, 0x01],
      [0x30, 0x80, 0x80, 0x80, 0x80, 0x00],
    ]) {
      const early = await arena.dial();
      early.write(Buffer.from(bytes));
      await early.closed();
      const client = await arena.connect();
      client.write(Buffer.from(bytes));
      await expectEnd(client, MALFORMED);
    }
  });

  test('large packets claimed before login end the socket', async () => {
    for (const length of [70_000_000, 268_435_455]) {
      const client = await arena.dial();
      client.write(Buffer.concat([claim(wire.CONNECT, 0, length), Buffer.alloc(8_192, 1)]));
      await client.closed();
    }
  });

  test('a packet above the announced maximum is refused', async () => {
    const client = await arena.connect();
    const max = client.connack.properties.maximumPacketSize ?? 268_435_455;
    client.write(Buffer.concat([claim(wire.PUBLISH, 0, Math.min(max + 1, 268_435_455))]));
    client.write(Buffer.alloc(8_192));
    await expectEnd(client, 0x95);
  });

  test('large packets claimed on many connections take no memory', async () => {
    const clients = await Promise.all(Array.from({ length: 300 }, () => arena.connect()));
    for (const client of clients) {
      client.write(Buffer.concat([claim(wire.PUBLISH, 0, 8_000_000), wire.text('claimed')]));
    }
    await arena.bystander.oneMore();
    await arena.bystander.oneMore();
    expect(arena.arena.server.grownBytes).toBeLessThan(GROWTH_MAX_BYTES);
  });

  test('lengths within a packet that point outside', async () => {
    const packets = [
      wire.packet(wire.PUBLISH, 0, wire.u16(500), Buffer.from('short')),
      wire.packet(wire.PUBLISH, 0, wire.text('a'), wire.varint(1_000), Buffer.from('x')),
      wire.packet(wire.PUBLISH, 0, wire.text('a'), Buffer.from([0xff, 0xff, 0xff, 0xff, 0x7f])),
      wire.packet(wire.PUBLISH, 0, wire.text('a'), Buffer.from([3, 0x26, 0, 200])),
      wire.packet(wire.PUBLISH, 2, wire.text('a')),
      wire.packet(wire.PUBLISH, 0, wire.u8(0)),
      wire.packet(wire.PUBLISH, 0),
      wire.packet(wire.SUBSCRIBE, 2, wire.u16(1), wire.u8(0), wire.u16(9), Buffer.from('a')),
      wire.packet(wire.SUBSCRIBE, 2, wire.u16(1), wire.u8(0), wire.text('a')),
      wire.packet(wire.SUBSCRIBE, 2, wire.u16(1), wire.u8(0)),
      wire.packet(wire.UNSUBSCRIBE, 2, wire.u16(1), wire.u8(0)),
      wire.packet(wire.PUBACK, 0, wire.u8(1)),
      wire.packet(wire.PUBACK, 0),
      wire.packet(wire.PUBREL, 2, wire.u16(1), wire.u8(0), wire.u8(9)),
      wire.packet(wire.DISCONNECT, 0, wire.u8(0), wire.u8(50)),
      wire.packet(wire.PINGREQ, 0, wire.u8(0)),
    ];
    for (const [at, packet] of packets.entries()) {
      const client = await arena.connect();
      client.write(packet);
      const disconnect = await client.closed();
      expect([MALFORMED, PROTOCOL_ERROR], `packet ${at}`).toContain(disconnect?.code);
    }
  });

  test('packet id 0', async () => {
    const filter = [{ filter: 'a' }];
    for (const packet of [
      wire.publishPacket({ topic: 'a', qos: 1, packetId: 0 }),
      wire.publishPacket({ topic: 'a', qos: 2, packetId: 0 }),
      wire.subscribePacket(5, 0, filter),
      wire.unsubscribePacket(5, 0, ['a']),
    ]) {
      const client = await arena.connect();
      client.write(packet);
      await expectEnd(client, MALFORMED, PROTOCOL_ERROR);
    }
  });

  test('acknowledgements of nothing do no harm', async () => {
    const client = await arena.connect(5, { manualAck: true });
    client.ack(wire.PUBREL, 77);
    expect((await client.next(wire.PUBCOMP)).code).toBe(0x92);
    client.ack(wire.PUBREC, 77);
    expect((await client.next(wire.PUBREL)).code).toBe(0x92);
    const other = await arena.connect();
    for (let id = 1; id < 5_000; id += 1) other.ack(id % 2 === 0 ? wire.PUBACK : wire.PUBCOMP, id);
    // Ignored or refused, both are right.
    await Promise.race([other.sync(), other.closed()]).catch(() => undefined);
  });

  for (const [what, bytes] of BAD_TEXTS) {
    test(`text that is no UTF-8: ${what}`, async () => {
      const bad = wire.text(bytes);
      const v5 = wire.u8(0);
      const packets = [
        wire.packet(wire.PUBLISH, 0, bad, v5, Buffer.from('x')),
        wire.packet(wire.SUBSCRIBE, 2, wire.u16(1), v5, bad, v5),
        wire.packet(wire.UNSUBSCRIBE, 2, wire.u16(1), v5, bad),
        wire.publishPacket({
          topic: 'a',
          rawProperties: Buffer.concat([wire.u8(0x26), wire.text('k'), bad]),
        }),
        wire.publishPacket({ topic: 'a', rawProperties: Buffer.concat([wire.u8(0x03), bad]) }),
        wire.publishPacket({ topic: 'a', rawProperties: Buffer.concat([wire.u8(0x08), bad]) }),
      ];
      for (const [at, packet] of packets.entries()) {
        const client = await arena.connect();
        client.write(packet);
        const disconnect = await client.closed();
        expect([MALFORMED, 0x90, 0x8f], `packet ${at}`).toContain(disconnect?.code);
      }
      const fixed = Buffer.concat([wire.text('MQTT'), Buffer.from([5, 0x02, 0, 0, 0])]);
      const client = await arena.dial();
      client.write(wire.packet(wire.CONNECT, 0, fixed, bad));
      await client.closed();
      expect(client.unread.every((packet) => packet.code >= 0x80)).toBe(true);
    });
  }

  test('wildcards and nothing as a topic name', async () => {
    for (const topic of ['a/#', '+/a', '#', 'a/b#', '']) {
      for (const qos of [0, 1]) {
        const client = await arena.connect();
        client.write(wire.publishPacket({ topic, qos, packetId: 5 }));
        const answer = await client.closed(3_000).catch(() => client.unread[0]);
        expect([0x90, MALFORMED, PROTOCOL_ERROR]).toContain(answer?.code);
      }
    }
  });

  test('properties twice, in the wrong packet, with values out of range', async () => {
    const twice = (id: number, value: Buffer): Buffer =>
      Buffer.concat([wire.u8(id), value, wire.u8(id), value]);
    const raws = [
      twice(0x01, wire.u8(1)),
      twice(0x02, wire.u32(5)),
      twice(0x03, wire.text('a')),
      twice(0x23, wire.u16(1)),
      Buffer.concat([wire.u8(0x01), wire.u8(2)]),
      Buffer.concat([wire.u8(0x11), wire.u32(5)]),
      Buffer.concat([wire.u8(0x0b), wire.varint(5)]),
      Buffer.concat([wire.u8(0x23), wire.u16(0)]),
      Buffer.concat([wire.u8(0x23), wire.u16(0xffff)]),
      Buffer.concat([wire.u8(0x7f), wire.u8(1)]),
      Buffer.concat([wire.u8(0x08), wire.text('a/#')]),
    ];
    for (const [at, rawProperties] of raws.entries()) {
      const client = await arena.connect();
      client.write(wire.publishPacket({ topic: 'a', rawProperties }));
      const disconnect = await client.closed();
      const codes = [MALFORMED, PROTOCOL_ERROR, 0x94, 0x90];
      expect(codes, `property ${at}`).toContain(disconnect?.code);
    }
  });
});
