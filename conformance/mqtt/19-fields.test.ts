/** What packets are made of: text, lengths, flags, and what a packet may not exceed. */
import { expect } from 'vitest';
import { useMqtt, VERSIONS } from '../support/mqtt-test.ts';
import {
  CONNACK,
  CONNECT,
  packet,
  properties,
  PUBACK,
  PUBCOMP,
  publishPacket,
  PUBREC,
  PUBREL,
  text,
  u16,
  u8,
  varint,
} from '../support/mqtt-wire.ts';

const { specTest } = useMqtt();

const WRONG_TEXTS: readonly (readonly [string, Buffer])[] = [
  ['a surrogate', Buffer.from('eda080', 'hex')],
  ['an overlong encoding', Buffer.from('c0af', 'hex')],
  ['a cut character', Buffer.from('61e6bc', 'hex')],
  ['U+0000', Buffer.from('610062', 'hex')],
];

const NOTHING = Buffer.alloc(0);

/** CONNECT of 5.0 part by part; flags as given. */
function connectOf(flags: number, list: Buffer, ...payload: readonly Buffer[]): Buffer {
  return packet(CONNECT, 0, text('MQTT'), u8(5), u8(flags), u16(0), list, ...payload);
}

/** A property list of one property with this value. */
function listOf(id: number, value: Buffer): Buffer {
  return Buffer.concat([varint(1 + value.length), u8(id), value]);
}

const id = text('c');
const none = properties();
const TEXT_FIELDS: readonly (readonly [string, (bytes: Buffer) => Buffer])[] = [
  ['3.1.3-4: the client identifier', (bytes) => connectOf(2, none, text(bytes))],
  ['3.1.3-11: the will topic', (bytes) => connectOf(6, none, id, none, text(bytes), text('x'))],
  ['3.1.3-12: the user name', (bytes) => connectOf(0x82, none, id, text(bytes))],
  [
    '1.5.7-1: the name of a user property',
    (bytes) => connectOf(2, listOf(0x26, Buffer.concat([text(bytes), text('v')])), id),
  ],
  [
    '1.5.7-1: the value of a user property',
    (bytes) => connectOf(2, listOf(0x26, Buffer.concat([text('n'), text(bytes)])), id),
  ],
  ['1.5.4-1: the authentication method', (bytes) => connectOf(2, listOf(0x15, text(bytes)), id)],
  [
    '3.3.2-13: the response topic of a will',
    (bytes) => connectOf(6, none, id, listOf(0x08, text(bytes)), text('t'), text('x')),
  ],
  [
    '3.3.2-19: the content type of a will',
    (bytes) => connectOf(6, none, id, listOf(0x03, text(bytes)), text('t'), text('x')),
  ],
];

for (const [what, build] of TEXT_FIELDS) {
  specTest({ section: `MQTT-${what}`, rule: 'that is no text is malformed' }, async (t) => {
    for (const [, bytes] of WRONG_TEXTS) {
      const client = await t.dial();
      client.write(build(bytes));
      expect((await client.next(CONNACK)).code).toBe(0x81);
      expect(await client.closed()).toBeUndefined();
    }
  });
}

specTest({ section: 'MQTT-1.5.4-3', rule: 'a byte order mark is a character' }, async (t) => {
  const plain = t.name();
  const marked = `\u{feff}${plain}`;
  const reader = await t.subscriber('+');
  const writer = await t.connect();
  for (const topic of [marked, plain]) await writer.publish(topic, 'x');
  const mine = (topic: string): boolean => topic.endsWith(plain);
  const seen: string[] = [];
  while (seen.length < 2) {
    const { topic } = await reader.message();
    if (mine(topic)) seen.push(topic);
  }
  expect(seen).toEqual([marked, plain]);
});

specTest(
  { section: 'MQTT-4.7.3-4', rule: 'characters that look alike are different topics' },
  async (t) => {
    const own = t.name();
    const reader = await t.subscriber(`${own}/\u{e9}`);
    const writer = await t.connect();
    for (const level of ['e\u{301}', '\u{c9}', '\u{e9}']) {
      await writer.publish(`${own}/${level}`, level);
    }
    expect((await reader.message()).payload.toString()).toBe('\u{e9}');
  },
);

specTest(
  {
    section: 'MQTT-1.5.5-1',
    rule: 'lengths are written in the fewest bytes, ids above QoS 0 only',
  },
  async (t) => {
    const topic = t.name();
    const reader = await t.subscriber(topic, 1);
    const writer = await t.connect();
    for (const qos of [0, 1]) {
      for (const byteCount of [100, 120, 16_360, 16_380, 2_097_130, 2_097_150]) {
        await writer.publish(topic, 'x'.repeat(byteCount), { qos });
        const { size } = await reader.message();
        const remaining = 2 + topic.length + (qos > 0 ? 2 : 0) + 1 + byteCount;
        expect(size).toBe(1 + varint(remaining).length + remaining);
      }
    }
  },
);

const CREDENTIALS: readonly (readonly [string, Buffer])[] = [
  ['3.1.2-16: a user name without its flag', connectOf(0x02, none, id, text('guest'))],
  ['3.1.2-17: the flag without a user name', connectOf(0x82, none, id)],
  ['3.1.2-18: a password without its flag', connectOf(0x82, none, id, text('u'), text('p'))],
  ['3.1.2-19: the flag without a password', connectOf(0xc2, none, id, text('guest'))],
  ['3.1.2-9: the will flag without a will', connectOf(0x06, none, id)],
  ['3.1.2-9: a will without its flag', connectOf(0x02, none, id, none, text('t'), text('x'))],
  ['3.1.3-3: no client identifier', connectOf(0x02, none)],
  ['2.2.2-1: no property length', connectOf(0x02, NOTHING)],
];

for (const [what, bytes] of CREDENTIALS) {
  specTest({ section: `MQTT-${what}`, rule: 'is malformed' }, async (t) => {
    const client = await t.dial();
    client.write(bytes);
    expect((await client.next(CONNACK)).code).toBe(0x81);
    await client.closed();
  });
}

specTest(
  { section: 'MQTT-3.4.2-2', rule: 'reason strings are left out where they do not fit' },
  async (t) => {
    // `$SYS` is the server's, id 9 nobody's: both are answered with more than four bytes.
    const answers = async (maximumPacketSize: number): Promise<[number, boolean][]> => {
      const client = await t.connect({ manualAck: true, properties: { maximumPacketSize } });
      client.write(publishPacket({ topic: '$SYS/x', qos: 1, packetId: 1 }));
      client.write(publishPacket({ topic: '$SYS/x', qos: 2, packetId: 2 }));
      client.ack(PUBREL, 9);
      client.ack(PUBREC, 9);
      const found: [number, boolean][] = [];
      for (const type of [PUBACK, PUBREC, PUBCOMP, PUBREL]) {
        const { code, properties: values, size } = await client.next(type);
        expect(size).toBeLessThanOrEqual(maximumPacketSize);
        found.push([code, values.reason !== undefined]);
      }
      return found;
    };
    const codes = [0x87, 0x87, 0x92, 0x92];
    expect(await answers(1_000)).toEqual(codes.map((code) => [code, true]));
    const { size } = (await t.connect()).connack;
    expect(await answers(size)).toEqual(codes.map((code) => [code, false]));
  },
);

specTest(
  { section: 'MQTT-3.14.2-3', rule: 'DISCONNECT goes without a reason string that does not fit' },
  async (t) => {
    const { size: maximumPacketSize } = (await t.connect()).connack;
    const client = await t.connect({ properties: { maximumPacketSize } });
    client.write(publishPacket({ topic: '', qos: 1, packetId: 1 }));
    const end = await client.closed();
    expect(end?.code).toBe(0x82);
    expect(end!.size).toBeLessThanOrEqual(maximumPacketSize);
    expect(end!.properties.reason).toBeUndefined();
  },
);

specTest(
  { section: 'MQTT-3.2.2-19', rule: 'a refusal goes without a reason string that does not fit' },
  async (t) => {
    const authMethod = 'no such method';
    const wordy = await t.attempt({ properties: { authMethod } });
    expect(wordy.connack.properties.reason).toBeDefined();
    const short = await t.attempt({ properties: { authMethod, maximumPacketSize: 5 } });
    expect(short.connack).toMatchObject({ code: 0x8c, size: 5 });
    expect(short.connack.properties).toEqual({});
  },
);

specTest(
  {
    section: 'MQTT-3.1.2-24',
    rule: 'a client that cannot take our CONNACK is told so',
    unlike: { mosquitto: 'has less to say' },
  },
  async (t) => {
    const client = await t.attempt({ properties: { maximumPacketSize: 8 } });
    expect(client.connack).toMatchObject({ code: 0x95, size: 5 });
    await client.closed();
  },
);

for (const version of VERSIONS) {
  specTest(
    { section: 'MQTT-3.1.4-6', rule: `${version}: nothing behind a refused CONNECT counts` },
    async (t) => {
      const topic = t.name();
      const flags = 0x02 | 0x01;
      const client = await t.dial(version);
      const list = version === 5 ? none : NOTHING;
      client.write(
        Buffer.concat([
          packet(CONNECT, 0, text('MQTT'), u8(version), u8(flags), u16(0), list, text(t.name())),
          publishPacket({ version, topic, payload: 'x', retain: true }),
        ]),
      );
      await client.closed();
      const reader = await t.subscriber(topic, 0, { version });
      await reader.sync();
      expect(reader.unread).toEqual([]);
    },
  );
}
