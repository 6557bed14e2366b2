import { expect } from 'vitest';
import { FRAME_BODY, FRAME_HEADER, encodeHeader, methodFrame } from '../support/amqp-wire.ts';
import { useBroker } from '../support/spec-test.ts';

const { specTest } = useBroker();

specTest({ section: 'channel.open', rule: 'open-ok carries an empty channel id' }, async (t) => {
  const connection = await t.connect();
  const channel = connection.bareChannel(1);
  channel.send('channel.open');
  expect((await channel.expect('channel.open-ok')).reserved1).toBe('');
});

specTest({ section: 'channel.open', rule: 'opening twice gets 504' }, async (t) => {
  const connection = await t.connect();
  const channel = await connection.channel();
  channel.send('channel.open');
  await connection.expectClose(504, "CHANNEL_ERROR - second 'channel.open' seen");
});

specTest(
  { section: 'channel.open', rule: 'before close-ok to a close of the server gets 504' },
  async (t) => {
    const connection = await t.connect({ manualCloseOk: true });
    const channel = await connection.channel();
    channel.send('queue.declare', { queue: t.name(), passive: true });
    await channel.expectClose(404);
    channel.send('channel.open');
    const error = await connection.expectClose(504, "CHANNEL_ERROR - second 'channel.open' seen");
    expect([error.classId, error.methodId]).toEqual([20, 10]);
  },
);

specTest(
  { section: 'channel.open', rule: 'sent together with channel.close gets 504' },
  async (t) => {
    const connection = await t.connect();
    await connection.channel(1);
    connection.write(
      Buffer.concat([
        methodFrame(1, 'channel.close', { replyCode: 200 }),
        methodFrame(1, 'channel.open'),
      ]),
    );
    await connection.expectClose(504, "CHANNEL_ERROR - second 'channel.open' seen");
  },
);

specTest(
  { section: 'channel.open', rule: 'sent together with close-ok opens the channel again' },
  async (t) => {
    const connection = await t.connect({ manualCloseOk: true });
    const channel = await connection.channel(1);
    channel.send('queue.declare', { queue: t.name(), passive: true });
    await channel.expectClose(404);
    connection.write(
      Buffer.concat([methodFrame(1, 'channel.close-ok'), methodFrame(1, 'channel.open')]),
    );
    expect((await channel.nextAfterClose()).name).toBe('channel.open-ok');
  },
);

specTest(
  { section: 'channel.open', rule: 'a method on an unopened channel gets 504' },
  async (t) => {
    const connection = await t.connect();
    connection.bareChannel(5).send('queue.declare', { queue: 'x' });
    await connection.expectClose(504, "CHANNEL_ERROR - expected 'channel.open'");
  },
);

specTest({ section: 'channel.open', rule: 'more channels than channel_max get 530' }, async (t) => {
  const connection = await t.connect({ channelMax: 10 });
  for (let id = 1; id <= 10; id += 1) await connection.channel(id);
  connection.bareChannel(11).send('channel.open');
  await connection.expectClose(530, /^NOT_ALLOWED - number of channels opened \(10\) has reached/);
});

specTest({ section: 'channel.open', rule: 'numbers need not be consecutive' }, async (t) => {
  const connection = await t.connect();
  for (const id of [2047, 3, 1000]) await (await connection.channel(id)).sync();
});

specTest(
  { section: 'channel.close', rule: 'the number can be used again after close-ok' },
  async (t) => {
    const connection = await t.connect();
    for (let round = 0; round < 20; round += 1) {
      const channel = await connection.channel(7);
      await channel.queue('', { exclusive: true });
      await channel.close();
    }
  },
);

specTest({ section: 'channel.close', rule: 'close of an unopened channel' }, async (t) => {
  const connection = await t.connect();
  connection.bareChannel(9).send('channel.close', { replyCode: 200 });
  const error = await connection.outcome();
  expect([error.level, error.code]).toEqual(['connection', 504]);
});

specTest(
  { section: 'channel.close', rule: 'unacked messages are requeued before close-ok' },
  async (t) => {
    const connection = await t.connect();
    const other = await connection.channel();
    const queue = await other.queue('', { exclusive: true });
    other.publish('', queue, 'one');
    const channel = await connection.channel();
    await channel.consume(queue);
    await channel.delivery();
    await channel.close();
    const message = await other.getSoon(queue);
    expect(message.redelivered).toBe(true);
  },
);

specTest(
  { section: 'channel.close', rule: 'a channel error names the failing method' },
  async (t) => {
    const connection = await t.connect();
    const channel = await connection.channel();
    channel.send('queue.declare', { queue: t.name(), passive: true });
    const error = await channel.expectClose(404, /^NOT_FOUND - no queue '.*' in vhost '/);
    expect([error.classId, error.methodId]).toEqual([50, 10]);
    await (await connection.channel()).sync();
  },
);

specTest(
  { section: 'channel.close', rule: 'frames after a server-sent close are discarded' },
  async (t) => {
    const connection = await t.connect({ manualCloseOk: true });
    const channel = await connection.channel();
    const queue = t.name();
    channel.send('queue.declare', { queue: t.name(), passive: true });
    await channel.expectClose(404);
    channel.send('queue.declare', { queue, exclusive: true });
    channel.publish('', queue, 'lost');
    channel.ack(17);
    channel.send('channel.close-ok');
    const other = await connection.channel();
    await other.refused('queue.declare', { queue, passive: true }, 404);
  },
);

specTest(
  { section: 'channel.close', rule: 'a client close crossing ours gets close-ok' },
  async (t) => {
    const connection = await t.connect({ manualCloseOk: true });
    const channel = await connection.channel();
    channel.send('queue.declare', { queue: t.name(), passive: true });
    channel.send('channel.close', { replyCode: 200 });
    await channel.expectClose(404);
    expect((await channel.nextAfterClose()).name).toBe('channel.close-ok');
    connection.manualCloseOk = false;
    const again = await connection.channel();
    await again.sync();
  },
);

specTest(
  { section: 'channel.close', rule: 'settling after the channel closed leaves the connection up' },
  async (t) => {
    const connection = await t.connect();
    const channel = await connection.channel();
    const other = await connection.channel();
    channel.ack(99);
    channel.ack(100);
    channel.ack(101);
    await channel.expectClose(406, 'unknown delivery tag 99');
    await other.sync();
  },
);

specTest(
  { section: 'channel.close', rule: 'content under way when the channel closes is swallowed' },
  async (t) => {
    const connection = await t.connect({ manualCloseOk: true });
    const channel = await connection.channel();
    channel.send('queue.declare', { queue: t.name(), passive: true });
    await channel.expectClose(404);
    channel.send('basic.publish', { routingKey: 'nowhere' });
    channel.sendFrame(FRAME_HEADER, encodeHeader(6));
    channel.sendFrame(FRAME_BODY, Buffer.from('abc'));
    channel.sendFrame(FRAME_BODY, Buffer.from('def'));
    channel.send('channel.close-ok');
    await (await connection.channel()).sync();
  },
);

specTest({ section: 'channel.flow', rule: 'active=true is answered' }, async (t) => {
  const channel = await t.channel();
  expect((await channel.call('channel.flow', { active: true })).active).toBe(true);
});

specTest({ section: 'channel.flow', rule: 'active=false gets 540' }, async (t) => {
  const connection = await t.connect();
  const channel = await connection.channel();
  channel.send('channel.flow', { active: false });
  await connection.expectClose(540, 'NOT_IMPLEMENTED - active=false');
});

specTest(
  { section: 'channel', rule: 'an error on one channel leaves the others alone' },
  async (t) => {
    const connection = await t.connect();
    const good = await connection.channel();
    const queue = await good.queue('', { exclusive: true });
    const bad = await connection.channel();
    await bad.refused('basic.consume', { queue: t.name() }, 404);
    good.publish('', queue, 'still here');
    expect((await good.getSoon(queue)).body).toBe('still here');
  },
);

specTest({ section: 'channel', rule: 'two hundred channels on one connection' }, async (t) => {
  const connection = await t.connect();
  const channels = await Promise.all(
    Array.from({ length: 200 }, (_, index) => connection.channel(index + 1)),
  );
  await Promise.all(channels.map((channel) => channel.sync()));
});

specTest({ section: 'channel', rule: 'requests are answered in order' }, async (t) => {
  const channel = await t.channel();
  const queues = Array.from({ length: 20 }, () => t.name());
  for (const queue of queues) channel.send('queue.declare', { queue, exclusive: true });
  for (const queue of queues) {
    expect((await channel.expect('queue.declare-ok')).queue).toBe(queue);
  }
});
