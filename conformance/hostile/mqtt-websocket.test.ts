/** MQTT over WebSocket from clients that split, join, bloat and break frames. */
import { once } from 'node:events';
import net from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { WebSocket } from 'ws';
import { Random } from '../support/random.ts';
import { DEFAULT_TIMEOUT_MS } from '../support/inbox.ts';
import * as wire from '../support/mqtt-wire.ts';
import { GROWTH_MAX_BYTES } from '../support/server-process.ts';
import { IS_FULL } from './arena.ts';
import { MqttArena } from './mqtt-arena.ts';

const isExternal = inject('target').url !== undefined;
const MUTATIONS = Number(process.env['HOSTILE_MUTATIONS'] ?? (IS_FULL ? 100_000 : 3_000));
const SEED = Number(process.env['HOSTILE_SEED'] ?? Date.now() % 1_000_000_007);
const MIB = 1024 * 1024;

const CONNECT = wire.connectPacket({ clientId: '', user: 'guest', password: 'guest' });
const UPGRADE =
  'GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n' +
  'Sec-WebSocket-Protocol: mqtt\r\n\r\n';

/** A masked frame (RFC 6455, 5.2); `length` may lie. */
function frame(
  opcode: number,
  payload: Buffer,
  options: { fin?: boolean; masked?: boolean; rsv?: number; length?: number } = {},
): Buffer {
  const length = options.length ?? payload.length;
  const first = (options.fin === false ? 0 : 0x80) | ((options.rsv ?? 0) << 4) | opcode;
  const mask = options.masked === false ? 0 : 0x80;
  let head: Buffer;
  if (length < 126) {
    head = Buffer.from([first, mask | length]);
  } else if (length < 65_536) {
    head = Buffer.from([first, mask | 126, length >> 8, length & 255]);
  } else {
    head = Buffer.alloc(10);
    head[0] = first;
    head[1] = mask | 127;
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  if (mask === 0) return Buffer.concat([head, payload]);
  const key = Buffer.from([1, 2, 3, 4]);
  const masked = Buffer.from(payload.map((byte, at) => byte ^ key[at % 4]!));
  return Buffer.concat([head, key, masked]);
}

/** A raw socket behind the upgrade. */
class RawSocket {
  readonly socket: net.Socket;
  readonly ended: Promise<void>;
  received = Buffer.alloc(0);
  isEnded = false;

  private constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      this.received = Buffer.concat([this.received, chunk]);
    });
    this.ended = new Promise((resolve) => {
      socket.once('close', () => {
        this.isEnded = true;
        resolve();
      });
    });
  }

  static async open(port: number): Promise<RawSocket> {
    const raw = new RawSocket(net.connect(port, '127.0.0.1'));
    raw.socket.write(UPGRADE);
    await raw.until(() => raw.received.includes('\r\n\r\n'));
    raw.received = raw.received.subarray(raw.received.indexOf('\r\n\r\n') + 4);
    return raw;
  }

  async until(isReached: () => boolean): Promise<void> {
    const deadline = Date.now() + DEFAULT_TIMEOUT_MS;
    while (!isReached() && !this.isEnded) {
      if (Date.now() > deadline) throw new Error('nothing came of it');
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  /** True once the server has sent a CONNACK in a binary frame. */
  get isConnected(): boolean {
    return this.received.length > 4 && this.received[0] === 0x82 && this.received[2] === 0x20;
  }

  /** Code of the server's close frame, or undefined. */
  closeCode(): number | undefined {
    const at = this.received.lastIndexOf(0x88);
    return at < 0 || this.received.length < at + 4 ? undefined : this.received.readUInt16BE(at + 2);
  }
}

describe.skipIf(isExternal)('hostile MQTT over WebSocket', () => {
  let arena: MqttArena;
  let port: number;
  const open: RawSocket[] = [];

  beforeAll(async () => {
    arena = await MqttArena.open(['--handshake-timeout', '5s']);
    port = arena.arena.server.port('http');
  });

  afterEach(async () => {
    for (const raw of open.splice(0)) raw.socket.destroy();
    await arena.check();
  });

  afterAll(async () => {
    await arena.close();
  });

  const dial = async (): Promise<RawSocket> => {
    const raw = await RawSocket.open(port);
    open.push(raw);
    return raw;
  };

  const connect = async (): Promise<RawSocket> => {
    const raw = await dial();
    raw.socket.write(frame(2, CONNECT));
    await raw.until(() => raw.isConnected);
    expect(raw.isConnected).toBe(true);
    return raw;
  };

  test('a packet cut over messages, and many packets in one', async () => {
    const cut = await dial();
    for (const byte of CONNECT) cut.socket.write(frame(2, Buffer.from([byte])));
    await cut.until(() => cut.isConnected);
    const joined = await dial();
    const ping = wire.PINGREQ_PACKET;
    joined.socket.write(
      frame(2, Buffer.concat([CONNECT, ...Array.from({ length: 50 }, () => ping)])),
    );
    await joined.until(() => joined.received.includes(Buffer.from([0xd0, 0, 0xd0, 0])));
  });

  test('one message in fragments of a byte, with pings between', async () => {
    const raw = await dial();
    for (let at = 0; at < CONNECT.length; at += 1) {
      const isLast = at === CONNECT.length - 1;
      raw.socket.write(frame(at === 0 ? 2 : 0, CONNECT.subarray(at, at + 1), { fin: isLast }));
      raw.socket.write(frame(9, Buffer.from('p')));
    }
    await raw.until(() => raw.received.includes(Buffer.from([0x20])));
  });

  test('fragments without end are cut off', async () => {
    const raw = await connect();
    raw.socket.write(frame(2, Buffer.alloc(0), { fin: false }));
    const many = Buffer.concat(
      Array.from({ length: 1_000 }, () => frame(0, Buffer.from('x'), { fin: false })),
    );
    for (let round = 0; round < 100 && !raw.isEnded; round += 1) {
      raw.socket.write(many);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await raw.until(() => raw.isEnded);
    expect(raw.isEnded).toBe(true);
  });

  test('a message larger than any may be', async () => {
    for (const length of [200 * MIB, 2 ** 40, 2 ** 52]) {
      const raw = await connect();
      raw.socket.write(frame(2, Buffer.alloc(1_000), { length }));
      await raw.until(() => raw.isEnded);
      expect([1009, 1002, undefined]).toContain(raw.closeCode());
    }
  });

  test('large messages claimed on many sockets take no memory', async () => {
    const all = await Promise.all(Array.from({ length: 200 }, connect));
    for (const raw of all) raw.socket.write(frame(2, Buffer.alloc(100), { length: 10 * MIB }));
    await arena.bystander.oneMore();
    expect(arena.arena.server.grownBytes).toBeLessThan(GROWTH_MAX_BYTES);
  });

  test('frames that break the rules of WebSocket', async () => {
    const ping = wire.PINGREQ_PACKET;
    const broken: readonly (readonly [string, Buffer])[] = [
      ['unmasked', frame(2, ping, { masked: false })],
      ['reserved bits', frame(2, ping, { rsv: 5 })],
      ['unknown opcode', frame(3, ping)],
      ['unknown control opcode', frame(11, ping)],
      ['ping in fragments', frame(9, ping, { fin: false })],
      ['ping of 126 bytes', frame(9, Buffer.alloc(126))],
      ['continuation of nothing', frame(0, ping)],
      ['close of one byte', frame(8, Buffer.from([3]))],
      ['close code 1005', frame(8, Buffer.from([0x03, 0xed]))],
      ['text', frame(1, Buffer.from('MQTT'))],
    ];
    for (const [what, bytes] of broken) {
      const raw = await connect();
      raw.socket.write(bytes);
      await raw.until(() => raw.isEnded);
      expect(raw.isEnded, what).toBe(true);
    }
  });

  test('an MQTT error tells its reason, then the socket closes', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/mqtt`, ['mqtt']);
    const messages: Buffer[] = [];
    socket.on('message', (data: Buffer) => messages.push(data));
    await once(socket, 'open');
    const closed = once(socket, 'close');
    socket.send(Buffer.concat([CONNECT, wire.packet(wire.PUBREL, 0, wire.u16(1))]));
    await closed;
    const bytes = Buffer.concat(messages);
    expect(bytes[0]).toBe(0x20);
    const disconnect = bytes.indexOf(Buffer.from([0xe0]));
    expect(disconnect).toBeGreaterThan(0);
    expect(bytes[disconnect + 2]).toBe(0x81);
  });

  test(`${MUTATIONS} mutations of frames, seed ${SEED}`, async () => {
    const random = new Random(SEED);
    const packets = [
      CONNECT,
      wire.subscribePacket(5, 1, [{ filter: 'ws/#', qos: 1 }]),
      wire.publishPacket({ topic: 'ws/a', payload: 'x'.repeat(200), qos: 1 }),
      wire.PINGREQ_PACKET,
    ];
    let sent = 0;
    let ended = 0;
    const one = async (): Promise<void> => {
      const raw = await dial();
      raw.socket.write(frame(2, CONNECT));
      for (let round = 0; round < 30 && !raw.isEnded && sent < MUTATIONS; round += 1) {
        sent += 1;
        const packet = packets[random.between(0, packets.length - 1)]!;
        const opcode = random.chance(0.8) ? 2 : random.between(0, 15);
        const bytes = frame(opcode, packet, { fin: random.chance(0.9) });
        const flips = random.between(0, 3);
        for (let flip = 0; flip < flips; flip += 1) {
          const at = random.between(0, random.chance(0.5) ? 5 : bytes.length - 1);
          bytes[at] = random.between(0, 255);
        }
        raw.socket.write(bytes);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      if (raw.isEnded) ended += 1;
      raw.socket.destroy();
      await raw.ended;
    };
    const worker = async (): Promise<void> => {
      while (sent < MUTATIONS) await one();
    };
    await Promise.all(Array.from({ length: 16 }, worker));
    open.length = 0;
    await arena.check();
    process.stdout.write(
      `${sent} WebSocket mutations, seed ${SEED}, ${ended} connections ended by the server; ` +
        `peak ${Math.round(arena.arena.server.peakResidentBytes() / MIB)} MiB\n`,
    );
    expect(ended).toBeGreaterThan(0);
  }, 600_000);
});
