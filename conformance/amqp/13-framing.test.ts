import { expect } from 'vitest';
import {
  contentFrames,
  encodeFrame,
  encodeHeader,
  encodeMethod,
  FRAME_BODY,
  FRAME_HEADER,
  FRAME_HEARTBEAT,
  FRAME_METHOD,
  methodFrame,
  PROTOCOL_HEADER,
} from '../support/amqp-wire.ts';
import { useBroker, type SpecContext } from '../support/spec-test.ts';
import type { WireChannel, WireConnection } from '../support/wire-client.ts';

const { specTest } = useBroker();

async function open(t: SpecContext): Promise<[WireConnection, WireChannel]> {
  const connection = await t.connect();
  return [connection, await connection.channel()];
}

const EMPTY = Buffer.alloc(0);

specTest({ section: 'frame', rule: 'a wrong end octet gets 501' }, async (t) => {
  const [connection] = await open(t);
  const frame = methodFrame(1, 'basic.qos', { prefetchCount: 1 });
  frame[frame.length - 1] = 0;
  connection.write(frame);
  await connection.expectClose(501, 'FRAME_ERROR');
});

specTest({ section: 'frame', rule: 'an unknown frame type is a connection error' }, async (t) => {
  const [connection] = await open(t);
  connection.write(encodeFrame(7, 1, EMPTY));
  const error = await connection.outcome();
  expect([error.level, error.code]).toEqual(['connection', 501]);
});

specTest({ section: 'frame', rule: 'larger than frame_max gets 501' }, async (t) => {
  const [connection, channel] = await open(t);
  channel.send('basic.publish', { routingKey: 'x' });
  channel.sendFrame(FRAME_HEADER, encodeHeader(200_000));
  channel.sendFrame(FRAME_BODY, Buffer.alloc(131_072 + 1));
  await connection.expectClose(501, 'FRAME_ERROR');
});

specTest({ section: 'frame', rule: 'exactly frame_max is accepted' }, async (t) => {
  const [, channel] = await open(t);
  const queue = await channel.queue('', { exclusive: true });
  channel.send('basic.publish', { routingKey: queue });
  channel.sendFrame(FRAME_HEADER, encodeHeader(131_072 - 8));
  channel.sendFrame(FRAME_BODY, Buffer.alloc(131_072 - 8, 'z'));
  expect((await channel.getSoon(queue)).bytes.length).toBe(131_072 - 8);
});

specTest({ section: 'frame', rule: 'the server keeps to frame_max' }, async (t) => {
  const channel = await t.channel({ frameMax: 8192 });
  const queue = await channel.queue('', { exclusive: true });
  const seen: number[] = [];
  const original = channel.onFrame.bind(channel);
  channel.onFrame = (frame) => {
    seen.push(frame.payload.length + 8);
    original(frame);
  };
  channel.publish('', queue, Buffer.alloc(100_000));
  await channel.getSoon(queue);
  expect(Math.max(...seen)).toBeLessThanOrEqual(8192);
});

specTest({ section: 'frame', rule: 'a heartbeat on a channel gets 505' }, async (t) => {
  const [connection] = await open(t);
  connection.write(encodeFrame(FRAME_HEARTBEAT, 1, EMPTY));
  const error = await connection.outcome();
  expect([error.level, error.code]).toEqual(['connection', 505]);
});

for (const [what, type] of [
  ['header', FRAME_HEADER],
  ['body', FRAME_BODY],
] as const) {
  specTest({ section: 'frame', rule: `a ${what} frame on channel 0 gets 505` }, async (t) => {
    const [connection] = await open(t);
    connection.write(encodeFrame(type, 0, encodeHeader(0)));
    const error = await connection.outcome();
    expect([error.level, error.code]).toEqual(['connection', 505]);
  });

  specTest({ section: 'content', rule: `a ${what} frame without a method gets 505` }, async (t) => {
    const [connection, channel] = await open(t);
    channel.sendFrame(type, encodeHeader(0));
    await connection.expectClose(505, 'UNEXPECTED_FRAME - expected method frame');
  });
}

specTest({ section: 'content', rule: 'a method where the header belongs gets 505' }, async (t) => {
  const [connection, channel] = await open(t);
  channel.send('basic.publish', { routingKey: 'x' });
  channel.send('basic.qos', { prefetchCount: 1 });
  await connection.expectClose(
    505,
    'UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead',
  );
});

specTest({ section: 'content', rule: 'a method where the body belongs gets 505' }, async (t) => {
  const [connection, channel] = await open(t);
  channel.send('basic.publish', { routingKey: 'x' });
  channel.sendFrame(FRAME_HEADER, encodeHeader(10));
  channel.send('basic.qos', { prefetchCount: 1 });
  await connection.expectClose(
    505,
    'UNEXPECTED_FRAME - expected content body, got non content body frame instead',
  );
});

specTest({ section: 'content', rule: 'a body where the header belongs gets 505' }, async (t) => {
  const [connection, channel] = await open(t);
  channel.send('basic.publish', { routingKey: 'x' });
  channel.sendFrame(FRAME_BODY, Buffer.from('abc'));
  await connection.expectClose(505, 'UNEXPECTED_FRAME - expected content header for class 60');
});

specTest({ section: 'content', rule: 'a header of another class gets 505' }, async (t) => {
  const [connection, channel] = await open(t);
  channel.send('basic.publish', { routingKey: 'x' });
  channel.sendFrame(FRAME_HEADER, encodeHeader(3, {}, 50));
  await connection.expectClose(505, 'UNEXPECTED_FRAME');
});

specTest({ section: 'content', rule: 'more body than declared gets 501' }, async (t) => {
  const [connection, channel] = await open(t);
  channel.send('basic.publish', { routingKey: 'x' });
  channel.sendFrame(FRAME_HEADER, encodeHeader(2));
  channel.sendFrame(FRAME_BODY, Buffer.from('abc'));
  const error = await connection.outcome();
  expect([error.level, error.code]).toEqual(['connection', 501]);
});

specTest({ section: 'content', rule: 'body frames of any cut make one body' }, async (t) => {
  const [, channel] = await open(t);
  const queue = await channel.queue('', { exclusive: true });
  channel.send('basic.publish', { routingKey: queue });
  channel.sendFrame(FRAME_HEADER, encodeHeader(10));
  for (const piece of ['a', '', 'bcd', 'e', 'fghij']) {
    channel.sendFrame(FRAME_BODY, Buffer.from(piece));
  }
  expect((await channel.getSoon(queue)).body).toBe('abcdefghij');
});

specTest({ section: 'content', rule: 'channels interleave their content' }, async (t) => {
  const [connection, first] = await open(t);
  const second = await connection.channel();
  const queue = await first.queue('', { exclusive: true });
  first.send('basic.publish', { routingKey: queue });
  second.send('basic.publish', { routingKey: queue });
  second.sendFrame(FRAME_HEADER, encodeHeader(4));
  first.sendFrame(FRAME_HEADER, encodeHeader(4));
  first.sendFrame(FRAME_BODY, Buffer.from('fi'));
  second.sendFrame(FRAME_BODY, Buffer.from('se'));
  connection.sendHeartbeat();
  first.sendFrame(FRAME_BODY, Buffer.from('rs'));
  second.sendFrame(FRAME_BODY, Buffer.from('co'));
  await first.settled(queue, 2);
  const bodies = [(await first.get(queue))?.body, (await first.get(queue))?.body];
  expect(bodies).toEqual(['firs', 'seco']);
});

specTest(
  { section: 'content', rule: 'a claimed body above any limit is refused at the header' },
  async (t) => {
    const [connection, channel] = await open(t);
    channel.send('basic.publish', { routingKey: 'x' });
    channel.sendFrame(FRAME_HEADER, encodeHeader(1n << 63n));
    const error = await connection.outcome();
    expect([error.level, error.code]).toEqual(['connection', 501]);
  },
);

specTest({ section: 'method', rule: 'an unknown method is a connection error' }, async (t) => {
  for (const ids of [
    [60, 999],
    [999, 10],
  ]) {
    const [connection, channel] = await open(t);
    const payload = Buffer.alloc(4);
    payload.writeUInt16BE(ids[0]!, 0);
    payload.writeUInt16BE(ids[1]!, 2);
    channel.sendFrame(FRAME_METHOD, payload);
    const error = await connection.outcome();
    // RabbitMQ just drops the socket.
    if (!t.isPeer) expect([error.level, error.code]).toEqual(['connection', 503]);
  }
});

specTest({ section: 'method', rule: 'a truncated method is a connection error' }, async (t) => {
  const [connection, channel] = await open(t);
  channel.sendFrame(FRAME_METHOD, encodeMethod('queue.declare', { queue: 'abc' }).subarray(0, 9));
  const error = await connection.outcome();
  expect(error.level).toBe('connection');
  expect(t.isPeer || [501, 502].includes(error.code)).toBe(true);
});

specTest({ section: 'method', rule: 'a method only servers send is refused' }, async (t) => {
  const [connection, channel] = await open(t);
  channel.send('queue.declare-ok', { queue: 'q' });
  const error = await connection.outcome();
  expect([error.level, t.isPeer || error.code === 503]).toEqual(['connection', true]);
});

specTest({ section: 'short string', rule: 'invalid UTF-8 gets 501' }, async (t) => {
  const [connection, channel] = await open(t);
  const payload = encodeMethod('queue.declare', { queue: 'abc', exclusive: true });
  payload[7] = 0xff;
  channel.sendFrame(FRAME_METHOD, payload);
  const error = await connection.outcome();
  expect([error.level, error.code]).toEqual(['connection', 501]);
});

specTest(
  { section: 'frame', rule: 'the whole dialogue cut at every byte still works' },
  async (t) => {
    const setup = await t.channel();
    const queue = await setup.queue(t.name(), { durable: true });
    const { target } = setup.connection;
    const dialogue = Buffer.concat([
      PROTOCOL_HEADER,
      methodFrame(0, 'connection.start-ok', {
        clientProperties: { product: 'cut' },
        mechanism: 'PLAIN',
        response: `\0${target.user}\0${target.password}`,
        locale: 'en_US',
      }),
      methodFrame(0, 'connection.tune-ok', { frameMax: 131_072, channelMax: 2047 }),
      methodFrame(0, 'connection.open', { virtualHost: target.vhost }),
      methodFrame(1, 'channel.open'),
      methodFrame(1, 'basic.publish', { routingKey: queue }),
      contentFrames(1, Buffer.from('payload'), { headers: { a: 1 } }, 131_072),
      methodFrame(1, 'channel.close', { replyCode: 200 }),
      methodFrame(0, 'connection.close', { replyCode: 200 }),
    ]);
    // RabbitMQ reads the handshake with exact lengths; every 7th cut is enough against it.
    const step = t.isPeer ? 37 : 1;
    let sent = 0;
    const cuts: number[] = [];
    for (let cut = 1; cut < dialogue.length; cut += step) cuts.push(cut);
    const one = async (cut: number): Promise<void> => {
      const connection = await t.dial();
      connection.goRaw();
      connection.write(dialogue.subarray(0, cut));
      await new Promise((resolve) => setTimeout(resolve, 5));
      connection.write(dialogue.subarray(cut));
      connection.end();
      await connection.ended();
      sent += 1;
    };
    for (let at = 0; at < cuts.length; at += 20) {
      await Promise.all(cuts.slice(at, at + 20).map(one));
    }
    await setup.settled(queue, sent);
    await setup.call('queue.delete', { queue });
  },
);

specTest({ section: 'frame', rule: 'byte by byte works too' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  const bytes = Buffer.concat([
    methodFrame(channel.id, 'basic.publish', { routingKey: queue }),
    contentFrames(channel.id, Buffer.from('slowly'), { messageId: 'm' }, 131_072),
  ]);
  for (const byte of bytes) {
    channel.connection.write(Buffer.from([byte]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect((await channel.getSoon(queue)).body).toBe('slowly');
});

specTest({ section: 'frame', rule: 'frame size 0 in a method frame is an error' }, async (t) => {
  const [connection, channel] = await open(t);
  channel.sendFrame(FRAME_METHOD, EMPTY);
  const error = await connection.outcome();
  expect(error.level).toBe('connection');
});
