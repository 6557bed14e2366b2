/** Frames no client should send. The answer is the right close code or the end of the socket. */
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import {
  contentFrames,
  encodeFrame,
  encodeHeader,
  encodeMethod,
  FRAME_BODY,
  FRAME_HEADER,
  FRAME_METHOD,
  methodFrame,
  PROTOCOL_HEADER,
  type WireTable,
} from '../support/amqp-wire.ts';
import { GROWTH_MAX_BYTES } from '../support/server-process.ts';
import type { WireChannel, WireConnection } from '../support/wire-client.ts';
import { Arena } from './arena.ts';

const isExternal = inject('target').url !== undefined;

describe.skipIf(isExternal)('hostile frames', () => {
  let arena: Arena;

  beforeAll(async () => {
    arena = await Arena.open();
  });

  afterEach(async () => {
    await arena.check();
  });

  afterAll(async () => {
    await arena.close();
  });

  const open = async (): Promise<[WireConnection, WireChannel]> => {
    const connection = await arena.connect();
    return [connection, await connection.channel()];
  };

  test('every prefix of a session, then the end of the socket', async () => {
    const session = Buffer.concat([
      PROTOCOL_HEADER,
      methodFrame(0, 'connection.start-ok', {
        clientProperties: { capabilities: { 'basic.nack': true } },
        mechanism: 'PLAIN',
        response: '\0guest\0guest',
        locale: 'en_US',
      }),
      methodFrame(0, 'connection.tune-ok', { frameMax: 131_072, channelMax: 2047 }),
      methodFrame(0, 'connection.open', { virtualHost: '/' }),
      methodFrame(1, 'channel.open'),
      methodFrame(1, 'queue.declare', { queue: 'cut', arguments: { 'x-expires': 60_000 } }),
      methodFrame(1, 'basic.publish', { routingKey: 'cut' }),
      contentFrames(1, Buffer.from('body'), { headers: { a: [1, { b: 2 }] } }, 131_072),
      methodFrame(1, 'basic.get', { queue: 'cut' }),
    ]);
    const cut = async (at: number): Promise<void> => {
      const connection = await arena.dial();
      connection.goRaw();
      connection.write(session.subarray(0, at));
      connection.end();
      await connection.ended();
    };
    for (let from = 0; from <= session.length; from += 50) {
      const cuts = Array.from({ length: 50 }, (_, index) => from + index);
      await Promise.all(cuts.filter((at) => at <= session.length).map(cut));
    }
  });

  test('a wrong end octet, in every kind of frame', async () => {
    for (const frame of [
      methodFrame(1, 'basic.qos'),
      encodeFrame(FRAME_HEADER, 1, encodeHeader(3)),
      encodeFrame(FRAME_BODY, 1, Buffer.from('abc')),
      encodeFrame(8, 0, Buffer.alloc(0)),
    ]) {
      for (const end of [0x00, 0xcd, 0xff]) {
        const [connection] = await open();
        frame[frame.length - 1] = end;
        connection.write(frame);
        await connection.expectClose(501, 'FRAME_ERROR');
      }
    }
  });

  test('a large frame before login ends the socket', async () => {
    for (const size of [8_193, 100_000, 0x7fff_ffff, 0xffff_ffff]) {
      const connection = await arena.dial();
      connection.write(PROTOCOL_HEADER);
      await connection.control.expect('connection.start');
      const head = Buffer.alloc(7);
      head.writeUInt8(FRAME_METHOD, 0);
      head.writeUInt32BE(size, 3);
      connection.write(head);
      connection.write(Buffer.alloc(8_192, 1));
      await connection.outcome();
      await connection.ended();
    }
  });

  test('start-ok just under 8 KiB is fine, far above is not', async () => {
    const fine = await arena.dial();
    await fine.authenticate({ clientProperties: { padding: 'x'.repeat(7_500) } });
    await fine.control.expect('connection.tune');
    const large = await arena.dial();
    await large.authenticate({ clientProperties: { padding: 'x'.repeat(20_000) } });
    await large.outcome();
  });

  test('body sizes nobody can send', async () => {
    for (const size of [1n << 63n, (1n << 64n) - 1n, 1n << 32n, 1n << 31n, 1n << 53n]) {
      const [connection, channel] = await open();
      channel.send('basic.publish', { routingKey: 'x' });
      channel.sendFrame(FRAME_HEADER, encodeHeader(size));
      await connection.expectClose(501);
    }
  });

  test('large bodies claimed on many channels take no memory', async () => {
    const connection = await arena.connect();
    for (let id = 1; id <= 500; id += 1) {
      const channel = connection.bareChannel(id);
      channel.send('channel.open');
      channel.send('basic.publish', { routingKey: 'x' });
      channel.sendFrame(FRAME_HEADER, encodeHeader(60 * 1024 * 1024));
      channel.sendFrame(FRAME_BODY, Buffer.from('x'));
    }
    for (let id = 1; id <= 500; id += 1) {
      await connection.bareChannel(id).expect('channel.open-ok');
    }
    expect(arena.server.grownBytes).toBeLessThan(GROWTH_MAX_BYTES);
  });

  test('a body in one-byte and empty frames', async () => {
    const [, channel] = await open();
    const queue = await channel.queue('', { exclusive: true });
    channel.send('basic.publish', { routingKey: queue });
    channel.sendFrame(FRAME_HEADER, encodeHeader(100_000));
    const one = encodeFrame(FRAME_BODY, channel.id, Buffer.from('x'));
    const none = encodeFrame(FRAME_BODY, channel.id, Buffer.alloc(0));
    const pair = Buffer.concat([none, one]);
    for (let sent = 0; sent < 100_000; sent += 1_000) {
      channel.connection.write(Buffer.concat(Array.from({ length: 1_000 }, () => pair)));
    }
    expect((await channel.getSoon(queue)).bytes.length).toBe(100_000);
  });

  const nestedTable = (depth: number): Buffer => {
    // key "a", tag F, length: 7 bytes a level, written from the inside.
    let inner = Buffer.alloc(0);
    const parts: Buffer[] = [];
    for (let level = 0; level < depth; level += 1) {
      const head = Buffer.alloc(7);
      head.write('\x01aF', 'latin1');
      head.writeUInt32BE(level * 7, 3);
      parts.push(head);
    }
    inner = Buffer.concat(parts.reverse());
    return inner;
  };

  const nestedArray = (depth: number): Buffer => {
    const parts: Buffer[] = [];
    for (let level = 0; level < depth; level += 1) {
      const head = Buffer.alloc(5);
      head.write('A', 'latin1');
      head.writeUInt32BE(level * 5, 1);
      parts.push(head);
    }
    return Buffer.concat([Buffer.from('\x01a', 'latin1'), ...parts.reverse()]);
  };

  const lengthOf = (bytes: Buffer): Buffer => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return length;
  };

  for (const [what, make] of [
    ['tables', nestedTable],
    ['arrays', nestedArray],
  ] as const) {
    test(`${what} nested 10,000 deep, in message headers`, async () => {
      const [, setup] = await open();
      const exchange = await setup.exchange(`deep-${what}`, 'headers', { autoDelete: true });
      const queue = await setup.queue('', { exclusive: true });
      await setup.bind(queue, exchange, '', { 'x-match': 'any', a: null });
      const [connection, channel] = await open();
      const table = make(10_000);
      channel.send('basic.publish', { exchange });
      const flags = Buffer.from([0x20, 0x00]);
      const fixed = encodeHeader(1).subarray(0, 12);
      const header = Buffer.concat([fixed, flags, lengthOf(table), table]);
      channel.sendFrame(FRAME_HEADER, header);
      channel.sendFrame(FRAME_BODY, Buffer.from('x'));
      channel.send('basic.qos');
      const answer = await channel.next().catch((error: unknown) => error);
      expect(answer).toBeDefined();
      connection.destroy();
    });

    test(`${what} nested 10,000 deep, in arguments`, async () => {
      const table = make(10_000);
      const [connection, channel] = await open();
      const plain = encodeMethod('queue.declare', { queue: `deep-${what}` });
      const payload = Buffer.concat([plain.subarray(0, plain.length - 4), lengthOf(table), table]);
      channel.sendFrame(FRAME_METHOD, payload);
      await channel.next().catch((error: unknown) => error);
      connection.destroy();
    });
  }

  test('table lengths that point outside', async () => {
    for (const length of [1, 100, 0x7fff_ffff, 0xffff_ffff]) {
      const [connection, channel] = await open();
      const payload = encodeMethod('queue.declare', { queue: 'q' });
      payload.writeUInt32BE(length, payload.length - 4);
      channel.sendFrame(FRAME_METHOD, payload);
      const error = await connection.outcome();
      expect([501, 502]).toContain(error.code);
    }
  });

  test('unknown methods and classes', async () => {
    for (const [classId, methodId] of [
      [0, 0],
      [10, 99],
      [60, 0xffff],
      [0xffff, 0xffff],
      [110, 10],
    ] as const) {
      const [connection, channel] = await open();
      const payload = Buffer.alloc(200);
      payload.writeUInt16BE(classId, 0);
      payload.writeUInt16BE(methodId, 2);
      channel.sendFrame(FRAME_METHOD, payload);
      const error = await connection.outcome();
      expect([501, 502, 503, 540]).toContain(error.code);
    }
  });

  test('methods on channels that were never opened', async () => {
    for (const id of [1, 2047, 2048, 0xffff]) {
      const connection = await arena.connect();
      connection.bareChannel(id).send('queue.declare', { queue: 'q' });
      const error = await connection.outcome();
      expect([504, 530]).toContain(error.code);
    }
  });

  test('opening and closing channels without waiting', async () => {
    const connection = await arena.connect();
    for (let id = 1; id <= 1_000; id += 1) {
      const channel = connection.bareChannel(id);
      channel.send('channel.open');
      channel.send('channel.close', { replyCode: 200 });
    }
    const last = connection.bareChannel(1_001);
    await last.open();
    await last.sync();
  });

  test('taking the same numbers again without waiting is an error, as in RabbitMQ', async () => {
    const connection = await arena.connect();
    for (let round = 0; round < 2_000; round += 1) {
      const channel = connection.bareChannel((round % 50) + 1);
      channel.send('channel.open');
      channel.send('channel.close', { replyCode: 200 });
    }
    await connection.expectClose(504, "CHANNEL_ERROR - second 'channel.open' seen");
  });

  test('topic patterns of nothing but # do not explode', async () => {
    const [connection, channel] = await open();
    for (const count of [3, 127]) {
      const other = await connection.channel();
      const queue = await other.queue('', { exclusive: true });
      const routingKey = Array.from({ length: count }, () => '#').join('.');
      const args = { queue, exchange: 'amq.topic', routingKey };
      await other.refused('queue.bind', args, 406, 'Topic binding key');
    }
    const exchange = await channel.exchange('hashes', 'topic', { autoDelete: true });
    const queue = await channel.queue('', { exclusive: true });
    await channel.bind(queue, exchange, '#.#');
    for (let stars = 0; stars < 60; stars += 1) {
      const middle = Array.from({ length: stars }, (_, index) => (index % 2 ? '*' : 'a'));
      await channel.bind(queue, exchange, ['#', ...middle, '#', 'a'].join('.'));
      await channel.bind(queue, exchange, ['#', 'a', '#', ...middle, 'b'].join('.'));
    }
    const words = Array.from({ length: 120 }, () => 'a');
    const startedAt = performance.now();
    await channel.confirmSelect();
    for (let index = 0; index < 200; index += 1) {
      channel.publish(exchange, [...words, `${index}`].join('.'), 'x');
    }
    await channel.confirmed(200);
    // Takes a fraction of a second; every way to split the words would take years.
    expect(performance.now() - startedAt).toBeLessThan(25_000);
  });

  test('short strings at their limit everywhere', async () => {
    const [, channel] = await open();
    const long = 'n'.repeat(255);
    const queue = await channel.queue(long, { exclusive: true });
    await channel.exchange(long, 'topic', { autoDelete: true });
    await channel.bind(queue, long, long);
    await channel.consume(queue, { consumerTag: long, noAck: true });
    channel.publish(long, long, 'x', { messageId: long, correlationId: long, type: long });
    expect((await channel.delivery()).properties.messageId).toBe(long);
  });

  test('an argument table of 1,000 keys', async () => {
    const [, channel] = await open();
    const args: WireTable = {};
    for (let index = 0; index < 1_000; index += 1) args[`x-key-${index}`] = 'v'.repeat(50);
    await channel.queue('', { exclusive: true, arguments: args });
  });

  for (const [what, bytes] of [
    ['HTTP', Buffer.from('GET /api HTTP/1.1\r\nHost: a\r\n\r\n')],
    ['a TLS hello', Buffer.from('1603010200010001fc0303', 'hex')],
    ['SSH', Buffer.from('SSH-2.0-OpenSSH_9.9\r\n')],
    ['zeros', Buffer.alloc(4_096)],
    ['a flood of noise', Buffer.alloc(2_000_000, 0xa5)],
  ] as const) {
    test(`${what} on the port`, async () => {
      const connection = await arena.dial();
      connection.goRaw();
      connection.write(bytes);
      await connection.ended();
      expect(connection.receivedBytes).toBeLessThanOrEqual(8);
    });
  }

  test('a thousand connections that come and go', async () => {
    for (let round = 0; round < 20; round += 1) {
      const all = await Promise.all(Array.from({ length: 50 }, () => arena.dial()));
      for (const connection of all) {
        connection.goRaw();
        connection.write(PROTOCOL_HEADER);
        connection.destroy();
      }
    }
  });
});
