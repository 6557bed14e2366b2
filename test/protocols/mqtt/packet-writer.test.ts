/** Packets a server sends, as hex literals of every version. */
import { describe, expect, test } from 'vitest';
import {
  writeAck,
  writeAuth,
  writeConnack,
  writeDisconnect,
  writePingresp,
  writeSuback,
  writeUnsuback,
} from '../../../protocols/mqtt/packet-writer.ts';
import { OutgoingPublish, writePublish } from '../../../protocols/mqtt/publish-writer.ts';
import { PACKET_BYTES_HARD_CAP } from '../../../protocols/mqtt/spec/packets.ts';
import { Collector, field, hex, packet, userProperty } from './wire.ts';

const MAX = PACKET_BYTES_HARD_CAP;
const out = new Collector();

/** Checks that the returned count is what was written, and gives that. */
function written(byteCount: number): string {
  const bytes = out.take();
  expect(bytes).toHaveLength(byteCount);
  return bytes.toString('hex');
}

function compact(text: string): string {
  return hex(text).toString('hex');
}

describe('CONNACK', () => {
  test.each([
    [5, true, 0, undefined, '20 03 01 00 00'],
    [5, false, 0, { topicAliasMaximum: 10 }, '20 06 00 00 03 22000a'],
    [5, true, 0x87, undefined, '20 03 00 87 00'],
    [4, true, 0, { topicAliasMaximum: 10 }, '20 02 01 00'],
    [4, true, 0x84, undefined, '20 02 00 01'],
    [4, false, 0x85, undefined, '20 02 00 02'],
    [4, false, 0x97, undefined, '20 02 00 03'],
    [4, false, 0x86, undefined, '20 02 00 04'],
    [3, false, 0x87, undefined, '20 02 00 05'],
    [4, false, 0x81, undefined, ''],
  ])('version %i, session %s, reason %i', (version, session, reason, properties, expected) => {
    const count = writeConnack(out, version, session, reason, properties, MAX);
    expect(written(count)).toBe(compact(expected));
  });

  test('all properties', () => {
    const count = writeConnack(
      out,
      5,
      false,
      0,
      {
        ...{ sessionExpirySeconds: 1, assignedClientId: 'x', serverKeepAliveSeconds: 2 },
        ...{ authMethod: 'm', authData: hex('00'), responseInfo: 'r', serverReference: 's' },
        ...{ reasonString: 'ok', receiveMaximum: 3, topicAliasMaximum: 4, maximumQos: 1 },
        ...{ retainAvailable: 1, userProperties: [['k', 'v']], maximumPacketBytes: 5 },
        ...{ wildcardAvailable: 1, subscriptionIdsAvailable: 1, sharedAvailable: 0 },
      },
      MAX,
    );
    expect(written(count)).toBe(
      compact(
        `20 40 00 00 3d 1100000001 12000178 130002 1500016d 16000100 1a000172 1c000173
         1f00026f6b 210003 220004 2401 2501 2600016b000176 2700000005 2801 2901 2a00`,
      ),
    );
  });
});

describe('acknowledgements', () => {
  test.each([
    [4, 4, 1, 0x87, undefined, '40 02 0001'],
    [5, 4, 1, 0, undefined, '40 02 0001'],
    [5, 4, 1, 0x10, undefined, '40 03 0001 10'],
    [5, 5, 0xffff, 0x97, { reasonString: 'no' }, '50 09 ffff 97 05 1f00026e6f'],
    [4, 6, 2, 0, undefined, '62 02 0002'],
    [5, 6, 2, 0x92, undefined, '62 03 0002 92'],
    [5, 7, 3, 0, { userProperties: [['k', 'v']] as const }, '70 0b 0003 00 07 2600016b000176'],
  ])('version %i, type %i', (version, type, id, reason, properties, expected) => {
    expect(written(writeAck(out, version, type, id, reason, properties, MAX))).toBe(
      compact(expected),
    );
  });

  test.each([
    [4, [0, 1, 2, 0x80, 0x8f], undefined, '90 07 0001 00 01 02 80 80'],
    [5, [0, 1, 2, 0x80, 0x8f], undefined, '90 08 0001 00 00 01 02 80 8f'],
    [5, [0x87], { reasonString: 'no' }, '90 09 0001 05 1f00026e6f 87'],
  ])('SUBACK version %i, %j', (version, codes, properties, expected) => {
    const count = writeSuback(out, version, 1, codes, properties, MAX);
    expect(written(count)).toBe(compact(expected));
  });

  test('UNSUBACK', () => {
    expect(written(writeUnsuback(out, 4, 1, [0, 0x11], undefined, MAX))).toBe('b0020001');
    expect(written(writeUnsuback(out, 5, 1, [0, 0x11], undefined, MAX))).toBe('b0050001000011');
  });

  test('PINGRESP', () => {
    expect(written(writePingresp(out))).toBe('d000');
  });
});

describe('DISCONNECT and AUTH', () => {
  test('DISCONNECT is for 5.0', () => {
    expect(written(writeDisconnect(out, 4, 0x8b, undefined, MAX))).toBe('');
    expect(written(writeDisconnect(out, 5, 0x8b, undefined, MAX))).toBe('e0018b');
    expect(written(writeDisconnect(out, 5, 0x9d, { serverReference: 'b:1' }, MAX))).toBe(
      compact('e0 08 9d 06 1c 0003 623a31'),
    );
  });

  test('AUTH', () => {
    const count = writeAuth(out, 0x18, { authMethod: 'm', authData: hex('00ff') }, MAX);
    expect(written(count)).toBe(compact('f0 0b 18 09 15 0001 6d 16 0002 00ff'));
  });
});

describe('Maximum Packet Size of the client', () => {
  const properties = { reasonString: 'why', userProperties: [['k', 'v']] as const };
  const whole = 2 + 3 + 1 + 7 + 6;

  test.each([
    [whole, '40 11 0001 87 0d 1f0003776879 2600016b000176'],
    [whole - 1, '40 0a 0001 87 06 1f0003776879'],
    [12, '40 0a 0001 87 06 1f0003776879'],
    [11, '40 03 0001 87'],
    [6, '40 03 0001 87'],
    [5, ''],
  ])('%i bytes', (max, expected) => {
    expect(written(writeAck(out, 5, 4, 1, 0x87, properties, max))).toBe(compact(expected));
  });

  test('properties that are needed are kept, or the packet is not sent', () => {
    const needed = { ...properties, assignedClientId: 'x' };
    expect(written(writeConnack(out, 5, false, 0, needed, 9))).toBe('200700000412000178');
    expect(written(writeConnack(out, 5, false, 0, needed, 8))).toBe('');
  });

  test('holds for SUBACK, UNSUBACK, DISCONNECT', () => {
    expect(written(writeSuback(out, 5, 1, [0], properties, 6))).toBe('900400010000');
    expect(written(writeSuback(out, 5, 1, [0, 0], properties, 6))).toBe('');
    expect(written(writeUnsuback(out, 5, 1, [0], properties, 6))).toBe('b00400010000');
    expect(written(writeDisconnect(out, 5, 0x8b, properties, 4))).toBe('e0018b');
  });
});

function publish(version: number, changes: Partial<OutgoingPublish> = {}): OutgoingPublish {
  const topic = Buffer.from('a/b');
  const payload = Buffer.from('xhiy');
  return Object.assign(new OutgoingPublish(version), {
    ...{ topic, topicStart: 0, topicEnd: 3, payload, payloadStart: 1, payloadEnd: 3 },
    ...changes,
  });
}

describe('PUBLISH', () => {
  test.each([
    [4, {}, '30 07 0003 612f62 6869'],
    [4, { qos: 1, packetId: 7 }, '32 09 0003 612f62 0007 6869'],
    [3, { qos: 2, packetId: 7, isDup: true, isRetain: true }, '3d 09 0003 612f62 0007 6869'],
    [4, { isDup: true, isRetain: true, topicAlias: 3 }, '31 07 0003 612f62 6869'],
    [5, {}, '30 08 0003 612f62 00 6869'],
    [5, { topicAlias: 3, topicEnd: 0 }, '30 08 0000 03 230003 6869'],
    [5, { expirySeconds: 0xffffffff }, '30 0d 0003 612f62 05 02ffffffff 6869'],
    [5, { subscriptionIds: [1, 128] }, '30 0d 0003 612f62 05 0b01 0b8001 6869'],
    [
      5,
      { qos: 1, packetId: 1, properties: hex('ff 0101 ff'), propertiesStart: 1, propertiesEnd: 3 },
      '32 0c 0003 612f62 0001 02 0101 6869',
    ],
  ])('version %i, %j', (version, changes, expected) => {
    expect(written(writePublish(out, publish(version, changes), MAX))).toBe(compact(expected));
  });

  test('everything at once', () => {
    const properties = Buffer.concat([hex('0101'), userProperty('k', 'v')]);
    const count = writePublish(
      out,
      publish(5, {
        ...{ qos: 2, packetId: 9, topicAlias: 1, expirySeconds: 60, subscriptionIds: [5] },
        ...{ properties, propertiesStart: 0, propertiesEnd: properties.length },
      }),
      MAX,
    );
    expect(written(count)).toBe(
      compact('34 1d 0003 612f62 0009 13 230001 020000003c 0b05 0101 2600016b000176 6869'),
    );
  });

  test.each([0, 1, 4_096, 4_097, 16_384, 100_000])('a payload of %i bytes', (size) => {
    const payload = Buffer.alloc(size, 'p');
    const message = publish(5, { payload, payloadStart: 0, payloadEnd: size });
    out.appendedBytes = 0;
    const count = writePublish(out, message, MAX);
    expect(out.take()).toEqual(packet(0x30, field('a/b'), hex('00'), payload));
    expect(count).toBe(packet(0x30, field('a/b'), hex('00'), payload).length);
    // Large payloads may go out from where they lie.
    expect(out.appendedBytes).toBe(size > 4_096 ? size : 0);
  });

  test('is not sent when it is larger than the client takes [MQTT-3.1.2-25]', () => {
    expect(written(writePublish(out, publish(5), 10))).toHaveLength(20);
    expect(written(writePublish(out, publish(5), 9))).toBe('');
  });
});
