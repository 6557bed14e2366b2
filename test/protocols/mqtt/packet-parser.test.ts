import { describe, expect, test } from 'vitest';
import { MqttError } from '../../../protocols/mqtt/mqtt-errors.ts';
import { PacketParser } from '../../../protocols/mqtt/packet-parser.ts';
import { VERSION_3_1, VERSION_3_1_1, VERSION_5 } from '../../../protocols/mqtt/spec/packets.ts';
import { CONNECT_4, CONNECT_5, field, hex, packet } from './wire.ts';

interface Seen {
  readonly seen: string[];
  readonly parser: PacketParser;
}

function parserOf(version: 3 | 4 | 5 = VERSION_5, packetBytesMax = 1 << 20): Seen {
  const seen: string[] = [];
  const parser: PacketParser = new PacketParser(
    {
      onPacket: (type, flags, buf, start, end) => {
        if (type === 1) parser.setVersion(version);
        seen.push(`${type}/${flags} ${buf.toString('hex', start, end)}`);
      },
    },
    packetBytesMax,
  );
  return { seen, parser };
}

function connected(version: 3 | 4 | 5 = VERSION_5, packetBytesMax = 1 << 20): Seen {
  const both = parserOf(version, packetBytesMax);
  both.parser.push(CONNECT_4);
  both.seen.length = 0;
  return both;
}

/** The reason code `run` throws. */
function reasonOf(run: () => void): number {
  try {
    run();
  } catch (error) {
    if (error instanceof MqttError) return error.reasonCode;
    throw error;
  }
  return 0;
}

const big = packet(0x30, field('big'), Buffer.alloc(70_000, 'x'));

const STREAM = Buffer.concat([
  CONNECT_5,
  packet(0x30, field('a/b'), Buffer.from([0]), Buffer.from('hello')),
  packet(0x33, field('c'), hex('0001 00'), Buffer.alloc(200, 'p')),
  hex('c000'),
  packet(0x82, hex('0002 00'), field('x/#'), hex('01')),
  hex('40 02 0001'),
  hex('62 02 0001'),
  packet(0x3d, field('d'), hex('0007 00')),
  hex('e000'),
]);

function wholeStream(): string[] {
  const { seen, parser } = parserOf();
  parser.push(STREAM);
  return seen;
}

describe('PacketParser', () => {
  test('finds packets in one chunk', () => {
    const seen = wholeStream();
    expect(seen.map((line) => line.split(' ')[0])).toEqual([
      '1/0',
      '3/0',
      '3/3',
      '12/0',
      '8/2',
      '4/0',
      '6/2',
      '3/13',
      '14/0',
    ]);
    expect(seen[1]).toBe(
      `3/0 0003${Buffer.from('a/b').toString('hex')}00${Buffer.from('hello').toString('hex')}`,
    );
  });

  test('finds the same, cut at every byte', () => {
    const expected = wholeStream();
    for (let cut = 1; cut < STREAM.length; cut += 1) {
      const { seen, parser } = parserOf();
      parser.push(STREAM.subarray(0, cut));
      parser.push(STREAM.subarray(cut));
      expect(seen).toEqual(expected);
      expect(parser.heldBytes).toBe(0);
    }
  });

  test('finds the same, in pieces of 1 to 9 bytes', () => {
    const expected = wholeStream();
    for (let size = 1; size <= 9; size += 1) {
      const { seen, parser } = parserOf();
      for (let at = 0; at < STREAM.length; at += size) {
        parser.push(Buffer.from(STREAM.subarray(at, at + size)));
      }
      expect(seen).toEqual(expected);
    }
  });

  test('borrows: what was pushed may be overwritten afterwards', () => {
    const { seen, parser } = connected();
    const bytes = packet(0x30, field('topic'), hex('00'), Buffer.from('payload'));
    const first = Buffer.from(bytes.subarray(0, 9));
    parser.push(first);
    first.fill(0);
    parser.push(bytes.subarray(9));
    expect(seen).toEqual([`3/0 ${bytes.subarray(2).toString('hex')}`]);
  });

  test("a large packet in pieces is the receiver's, a small or whole one is not", () => {
    const owned: boolean[] = [];
    const parser: PacketParser = new PacketParser({
      onPacket: (type) => {
        if (type === 3) owned.push(parser.isPacketOwned);
      },
    });
    parser.push(CONNECT_5);
    parser.setPacketBytesMax(1 << 20);
    parser.push(big);
    for (let at = 0; at < big.length; at += 1_000) parser.push(big.subarray(at, at + 1_000));
    const small = packet(0x30, field('s'));
    parser.push(small.subarray(0, 3));
    parser.push(small.subarray(3));
    expect(owned).toEqual([false, true, false]);
    expect(parser.isPacketOwned).toBe(false);
  });

  test.each([[VERSION_3_1], [VERSION_3_1_1], [VERSION_5]] as const)(
    'judges first bytes, version %i',
    (version) => {
      const verdicts = new Map<number, number[]>();
      for (let head = 0; head < 256; head += 1) {
        const { parser } = connected(version);
        const reason = reasonOf(() => parser.push(Buffer.from([head])));
        verdicts.set(reason, [...(verdicts.get(reason) ?? []), head]);
      }
      const legal = verdicts.get(0)!;
      if (version === VERSION_3_1) {
        // Flags were not used but in PUBLISH.
        expect(legal).toContain(0x8a);
        expect(legal).toContain(0xc1);
        expect(legal).not.toContain(0x36);
        expect(legal).not.toContain(0xf0);
        return;
      }
      const expected = [
        ...[0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x3a, 0x3b, 0x3c, 0x3d],
        ...[0x40, 0x50, 0x62, 0x70, 0x82, 0xa2, 0xc0, 0xe0],
        ...(version === VERSION_5 ? [0xf0] : []),
      ];
      expect(legal).toEqual(expected);
      // CONNECT again, and what only a server sends.
      expect(verdicts.get(0x82)).toEqual([0x10, 0x20, 0x90, 0xb0, 0xd0]);
      expect(verdicts.get(0x81)).toHaveLength(256 - legal.length - 5);
    },
  );

  test('lets nothing in before CONNECT [MQTT-3.1.0-1]', () => {
    for (let head = 0; head < 256; head += 1) {
      const { parser } = parserOf();
      const reason = reasonOf(() => parser.push(Buffer.from([head])));
      const expected = head === 0x10 ? 0 : head >>> 4 === 1 ? 0x81 : 0x82;
      expect(reason).toBe(expected);
      expect(parser.isStopped).toBe(expected !== 0);
    }
  });

  test('names a second CONNECT a protocol error [MQTT-3.1.0-2]', () => {
    const { parser } = connected();
    expect(() => parser.push(CONNECT_5)).toThrow('a second CONNECT');
  });

  test('the size limit counts the whole packet', () => {
    const fits = packet(0x30, field('t'), Buffer.alloc(95));
    expect(fits).toHaveLength(100);
    const { seen, parser } = connected(VERSION_5, 100);
    parser.push(fits);
    expect(seen).toHaveLength(1);
    const tooLarge = packet(0x30, field('t'), Buffer.alloc(96));
    expect(reasonOf(() => parser.push(tooLarge.subarray(0, 2)))).toBe(0x95);
    expect(parser.isStopped).toBe(true);
  });

  test('refuses a large CONNECT before it has arrived', () => {
    const { parser } = parserOf(VERSION_5, 64 * 1024);
    parser.push(hex('10'));
    expect(reasonOf(() => parser.push(hex('ff ff ff 7f')))).toBe(0x95);
  });

  test('the limit can be raised after login', () => {
    const { seen, parser } = connected(VERSION_5, 64 * 1024);
    parser.setPacketBytesMax(1 << 20);
    parser.push(big);
    expect(seen).toHaveLength(1);
    expect(() => parser.setPacketBytesMax(2 ** 28 + 6)).toThrow('256 MiB');
  });

  test('refuses a fifth length byte, in one chunk and byte by byte', () => {
    expect(reasonOf(() => connected().parser.push(hex('30 80 80 80 80 01')))).toBe(0x81);
    const { parser } = connected();
    for (const byte of hex('30 80 80 80')) parser.push(Buffer.from([byte]));
    expect(reasonOf(() => parser.push(hex('80')))).toBe(0x81);
  });

  test('takes a length that is longer than needed', () => {
    const { seen, parser } = connected();
    parser.push(hex('c0 80 80 80 00'));
    for (const byte of hex('c0 80 00')) parser.push(Buffer.from([byte]));
    expect(seen).toEqual(['12/0 ', '12/0 ']);
  });

  test('keeps what arrives while paused, and goes on', () => {
    const seen: number[] = [];
    const parser: PacketParser = new PacketParser({
      onPacket: (type) => {
        seen.push(type);
        parser.pause();
      },
    });
    parser.push(Buffer.concat([CONNECT_5, hex('c000 c0')]));
    parser.push(hex('00 e000'));
    expect(seen).toEqual([1]);
    expect(parser.isPaused).toBe(true);
    expect(parser.heldBytes).toBe(6);
    for (let i = 0; i < 5; i += 1) parser.resume();
    expect(seen).toEqual([1, 12, 12, 14]);
    expect(parser.heldBytes).toBe(0);
  });

  test('pause within a packet that was cut keeps the rest', () => {
    const seen: number[] = [];
    const parser: PacketParser = new PacketParser({
      onPacket: (type) => {
        seen.push(type);
        parser.pause();
      },
    });
    parser.push(CONNECT_5.subarray(0, 5));
    parser.push(Buffer.concat([CONNECT_5.subarray(5), hex('c000 c000')]));
    expect(seen).toEqual([1]);
    parser.resume();
    parser.resume();
    expect(seen).toEqual([1, 12, 12]);
  });

  test('resume from within a handler undoes pause', () => {
    const seen: number[] = [];
    const parser: PacketParser = new PacketParser({
      onPacket: (type) => {
        seen.push(type);
        parser.pause();
        parser.resume();
      },
    });
    parser.push(Buffer.concat([CONNECT_5, hex('c000 e000')]));
    expect(seen).toEqual([1, 12, 14]);
  });

  test('stop from within a handler ends it', () => {
    const seen: number[] = [];
    const parser: PacketParser = new PacketParser({
      onPacket: (type) => {
        seen.push(type);
        if (type === 12) parser.stop();
      },
    });
    parser.push(Buffer.concat([CONNECT_5, hex('c000 e000')]));
    parser.push(hex('c000'));
    expect(seen).toEqual([1, 12]);
    expect(parser.heldBytes).toBe(0);
  });

  test('an exception from the handler stops it', () => {
    const parser = new PacketParser({
      onPacket: () => {
        throw new Error('boom');
      },
    });
    expect(() => parser.push(CONNECT_5)).toThrow('boom');
    expect(parser.isStopped).toBe(true);
    parser.push(CONNECT_5);
  });

  test('a length that lies costs memory only as bytes arrive', () => {
    const { parser } = connected(VERSION_5, 2 ** 28 + 4);
    const before = process.memoryUsage().arrayBuffers;
    parser.push(hex('30 ff ff ff 7f'));
    for (let i = 0; i < 100; i += 1) parser.push(Buffer.alloc(10, 'x'));
    expect(parser.heldBytes).toBe(1_005);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(256 * 1024);
  });
});
