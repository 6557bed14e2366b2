/** Wrong bytes: the connection ends with the right reason, the server and others go on. */
import { expect } from 'vitest';
import { useMqtt, VERSIONS } from '../support/mqtt-test.ts';
import {
  AUTH,
  CONNACK,
  packet,
  PINGREQ,
  PINGRESP,
  properties,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  publishPacket,
  PUBREC,
  PUBREL,
  SUBACK,
  SUBSCRIBE,
  text,
  u16,
  u8,
  UNSUBACK,
  UNSUBSCRIBE,
  type Version,
} from '../support/mqtt-wire.ts';

const { specTest, peer } = useMqtt();

interface Wrong {
  readonly what: string;
  readonly bytes: Buffer;
  /** Allowed reason codes of a 5.0 DISCONNECT; malformed or protocol error when absent. */
  readonly codes?: readonly number[];
}

const bytesOf = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');

function common(version: Version): readonly Wrong[] {
  const none = version === 5 ? properties() : Buffer.alloc(0);
  const topic = text('t');
  return [
    { what: 'packet type 0', bytes: bytesOf('00 00') },
    { what: 'a remaining length of five bytes', bytes: bytesOf('30 ff ff ff ff 01') },
    { what: 'PINGREQ with flags', bytes: bytesOf('c1 00') },
    { what: 'PINGREQ with a body', bytes: bytesOf('c0 01 00') },
    { what: 'PINGRESP from a client', bytes: packet(PINGRESP, 0) },
    { what: 'CONNACK from a client', bytes: packet(CONNACK, 0, u16(0), none) },
    { what: 'SUBACK from a client', bytes: packet(SUBACK, 0, u16(1), none, u8(0)) },
    { what: 'UNSUBACK from a client', bytes: packet(UNSUBACK, 0, u16(1), none, u8(0)) },
    { what: 'PUBLISH of QoS 3', bytes: packet(PUBLISH, 6, topic, u16(1), none) },
    { what: 'PUBLISH with packet id 0', bytes: packet(PUBLISH, 2, topic, u16(0), none) },
    { what: 'PUBLISH with DUP at QoS 0', bytes: packet(PUBLISH, 8, topic, none) },
    { what: 'PUBLISH shorter than its topic', bytes: bytesOf('30 03 00 09 61') },
    { what: 'PUBLISH without a topic length', bytes: bytesOf('30 01 00') },
    { what: 'PUBLISH without its packet id', bytes: packet(PUBLISH, 2, topic) },
    {
      what: 'PUBLISH to a wildcard',
      bytes: packet(PUBLISH, 0, text('a/+'), none),
      codes: [0x81, 0x82, 0x90],
    },
    {
      what: 'PUBLISH with U+0000 in the topic',
      bytes: packet(PUBLISH, 0, text('a\0b'), none),
      codes: [0x81, 0x82, 0x90],
    },
    {
      what: 'PUBLISH with an overlong encoding',
      bytes: packet(PUBLISH, 0, text(bytesOf('c0 af')), none),
      codes: [0x81, 0x82, 0x90],
    },
    {
      what: 'PUBLISH with a surrogate in the topic',
      bytes: packet(PUBLISH, 0, text(bytesOf('ed a0 80')), none),
      codes: [0x81, 0x82, 0x90],
    },
    {
      what: 'PUBLISH with a cut character',
      bytes: packet(PUBLISH, 0, text(bytesOf('61 e6 bc')), none),
      codes: [0x81, 0x82, 0x90],
    },
    { what: 'SUBSCRIBE with flags 0', bytes: packet(SUBSCRIBE, 0, u16(1), none, topic, u8(0)) },
    { what: 'UNSUBSCRIBE with flags 0', bytes: packet(UNSUBSCRIBE, 0, u16(1), none, topic) },
    { what: 'SUBSCRIBE without options', bytes: packet(SUBSCRIBE, 2, u16(1), none, topic) },
    { what: 'PUBREL with flags 0', bytes: packet(PUBREL, 0, u16(1)) },
    { what: 'PUBACK with flags', bytes: packet(PUBACK, 2, u16(1)) },
    { what: 'PUBREC with flags', bytes: packet(PUBREC, 1, u16(1)) },
    { what: 'PUBCOMP with flags', bytes: packet(PUBCOMP, 4, u16(1)) },
    { what: 'PUBACK of one byte', bytes: bytesOf('40 01 00') },
    { what: 'DISCONNECT with flags', bytes: bytesOf('e1 00') },
    {
      what: 'SUBSCRIBE with invalid UTF-8',
      bytes: packet(SUBSCRIBE, 2, u16(1), none, text(bytesOf('ff')), u8(0)),
      codes: [0x81, 0x82, 0x8f],
    },
  ];
}

const block = (hex: string): Buffer => {
  const bytes = bytesOf(hex);
  return Buffer.concat([u8(bytes.length), bytes]);
};

const publishWith = (hex: string): Buffer => packet(PUBLISH, 0, text('t'), block(hex));

const ONLY_V5: readonly Wrong[] = [
  { what: 'PUBLISH with an empty topic', bytes: publishPacket({ topic: '' }) },
  { what: 'an unknown property', bytes: publishWith('7f 00') },
  { what: 'a property of another packet', bytes: publishWith('11 00 00 00 01') },
  { what: 'a cut property', bytes: publishWith('02 00 00') },
  { what: 'a property twice', bytes: publishWith('01 00 01 00') },
  { what: 'payload format 2', bytes: publishWith('01 02') },
  { what: 'topic alias 0', bytes: publishWith('23 00 00'), codes: [0x94, 0x82] },
  { what: 'a topic alias above the maximum', bytes: publishWith('23 ff ff'), codes: [0x94] },
  { what: 'a subscription identifier from a client', bytes: publishWith('0b 01') },
  {
    what: 'a response topic with a wildcard',
    bytes: publishWith('08 00 01 23'),
    codes: [0x82, 0x90],
  },
  { what: 'a property length beyond the packet', bytes: packet(PUBLISH, 0, text('t'), u8(90)) },
  { what: 'a property length of five bytes', bytes: bytesOf('30 08 00 01 74 ff ff ff ff 01') },
  { what: 'AUTH without a method', bytes: packet(AUTH, 0, u8(0x19), properties()) },
  { what: 'AUTH with flags', bytes: packet(AUTH, 1) },
  { what: 'PINGREQ of length 1', bytes: packet(PINGREQ, 0, u8(0)) },
  { what: 'a bad DISCONNECT code', bytes: bytesOf('e0 01 01') },
  { what: 'a bad PUBACK code', bytes: bytesOf('40 03 00 01 05') },
];

const LENIENT: Readonly<Record<string, readonly string[]>> = {
  mosquitto: [
    'CONNACK from a client',
    'a bad DISCONNECT code',
    'AUTH with flags',
    'PUBREC with flags',
    'PUBCOMP with flags',
  ],
};

for (const version of VERSIONS) {
  const wrong = [...common(version), ...(version === 5 ? ONLY_V5 : [])];
  for (const { what, bytes, codes } of wrong) {
    const isLenient = peer !== undefined && (LENIENT[peer] ?? []).includes(what);
    specTest(
      {
        section: '4.13',
        rule: `${version}: ${what}`,
        ...(isLenient ? { unlike: { [peer]: 'lets it pass' } } : {}),
      },
      async (t) => {
        const client = await t.connect({ version });
        client.write(bytes);
        const end = await client.closed(4_000);
        expect(client.unread).toEqual([]);
        if (version === 5 && peer === undefined) {
          expect(codes ?? [0x81, 0x82]).toContain(end?.code);
        }
        await (await t.connect({ version })).sync();
      },
    );
  }

  specTest(
    { section: '3.3', rule: `${version}: 2 MiB of noise ends the connection only` },
    async (t) => {
      const bystander = await t.connect({ version });
      for (let seed = 1; seed <= 20; seed += 1) {
        const noise = Buffer.alloc(100_000);
        let state = seed;
        for (let index = 0; index < noise.length; index += 1) {
          state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
          noise[index] = state >>> 16;
        }
        const client = await t.connect({ version });
        client.write(noise);
        client.end();
        await client.closed();
      }
      await bystander.sync();
    },
  );
}

specTest(
  {
    section: '3.2.2.3.6',
    rule: 'a packet above the stated maximum is refused with 0x95',
    unlike: { mosquitto: 'states none' },
  },
  async (t) => {
    const client = await t.connect();
    const limit = client.connack.properties.maximumPacketSize;
    expect(limit).toBeGreaterThan(0);
    // Only the header is sent: the server must not wait for the body.
    const length = limit! + 100;
    const header = Buffer.from([
      0x30,
      (length & 127) | 128,
      ((length >> 7) & 127) | 128,
      ((length >> 14) & 127) | 128,
      (length >> 21) & 127,
    ]);
    client.write(header);
    expect((await client.closed())?.code).toBe(0x95);
  },
);
