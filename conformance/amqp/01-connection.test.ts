import { networkInterfaces } from 'node:os';
import { expect } from 'vitest';
import { encodeTable, PROTOCOL_HEADER, type WireTable } from '../support/amqp-wire.ts';
import { useBroker } from '../support/spec-test.ts';
import { WireConnection } from '../support/wire-client.ts';

const { specTest } = useBroker();

specTest(
  { section: 'connection.start', rule: 'answers the 0-9-1 header with version 0-9' },
  async (t) => {
    const connection = await t.dial();
    connection.write(PROTOCOL_HEADER);
    const start = await connection.control.expect('connection.start');
    expect([start.versionMajor, start.versionMinor]).toEqual([0, 9]);
    expect(start.mechanisms.split(' ')).toEqual(expect.arrayContaining(['PLAIN', 'AMQPLAIN']));
    expect(start.locales.split(' ')).toContain('en_US');
  },
);

specTest(
  { section: 'connection.start', rule: 'accepts the 0-9 header AMQP 1 1 0 9' },
  async (t) => {
    const connection = await t.dial();
    connection.write(Buffer.from('AMQP\x01\x01\x00\x09', 'latin1'));
    await connection.control.expect('connection.start');
  },
);

specTest(
  { section: 'connection.start', rule: 'server-properties name the product and capabilities' },
  async (t) => {
    const { serverProperties } = await t.connect();
    for (const key of ['product', 'version', 'platform', 'copyright', 'information']) {
      expect(serverProperties[key], key).toBeTypeOf('string');
    }
    expect(serverProperties['version']).toMatch(/^\d+\.\d+\.\d+/);
    expect(serverProperties['cluster_name']).toBeTypeOf('string');
    expect(serverProperties['capabilities']).toMatchObject({
      publisher_confirms: true,
      exchange_exchange_bindings: true,
      'basic.nack': true,
      consumer_cancel_notify: true,
      'connection.blocked': true,
      consumer_priorities: true,
      authentication_failure_close: true,
      per_consumer_qos: true,
      direct_reply_to: true,
    });
  },
);

specTest(
  { section: 'protocol header', rule: 'an unknown version is answered with a header and a close' },
  async (t) => {
    const connection = await t.dial();
    connection.write(Buffer.from('AMQP\x00\x00\x0a\x07', 'latin1'));
    await connection.ended();
    expect(connection.firstBytes.subarray(0, 4).toString()).toBe('AMQP');
    expect(connection.firstBytes.length).toBe(8);
  },
);

for (const [what, bytes] of [
  ['HTTP', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'],
  ['garbage', '\x07\x01\x02\x03\x04\x05\x06\x07\x08'],
  ['a TLS hello', '\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03'],
] as const) {
  specTest(
    { section: 'protocol header', rule: `${what} is answered with a protocol header and a close` },
    async (t) => {
      const connection = await t.dial();
      connection.goRaw();
      connection.write(Buffer.from(bytes, 'latin1'));
      await connection.ended();
      expect(connection.firstBytes.length).toBe(8);
      expect(connection.firstBytes.subarray(0, 4).toString()).toBe('AMQP');
    },
  );
}

specTest({ section: 'connection.start-ok', rule: 'PLAIN logs in' }, async (t) => {
  await t.connect({ mechanism: 'PLAIN' });
});

specTest({ section: 'connection.start-ok', rule: 'AMQPLAIN logs in' }, async (t) => {
  const table: WireTable = { LOGIN: 'guest', PASSWORD: 'guest' };
  const target = (await t.dial()).target;
  table['LOGIN'] = target.user;
  table['PASSWORD'] = target.password;
  await t.connect({ mechanism: 'AMQPLAIN', response: encodeTable(table).subarray(4) });
});

specTest(
  { section: 'connection.start-ok', rule: 'a wrong password gets 403 with the full sentence' },
  async (t) => {
    const connection = await t.dial();
    await connection.authenticate({ password: 'wrong' });
    const error = await connection.expectClose(403);
    expect(error.text).toBe(
      'ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. ' +
        'For details see the broker logfile.',
    );
    await connection.ended();
  },
);

specTest(
  { section: 'connection.start-ok', rule: 'a wrong AMQPLAIN password names AMQPLAIN' },
  async (t) => {
    const connection = await t.dial();
    const response = encodeTable({ LOGIN: 'guest', PASSWORD: 'no' }).subarray(4);
    await connection.authenticate({ mechanism: 'AMQPLAIN', response });
    await connection.expectClose(403, 'authentication mechanism AMQPLAIN');
  },
);

specTest(
  {
    section: 'authentication_failure_close',
    rule: 'without the capability a wrong password just ends the socket',
  },
  async (t) => {
    const connection = await t.dial();
    await connection.authenticate({ password: 'wrong', capabilities: {} });
    expect((await connection.outcome()).level).toBe('socket');
  },
);

specTest(
  { section: 'connection.start-ok', rule: 'an unknown user is refused like a wrong password' },
  async (t) => {
    const connection = await t.dial();
    await connection.authenticate({ user: t.name('nobody') });
    await connection.expectClose(403, 'ACCESS_REFUSED - Login was refused');
  },
);

specTest(
  {
    section: 'connection.start-ok',
    rule: 'an unknown mechanism is never let in',
  },
  async (t) => {
    const connection = await t.dial();
    await connection.authenticate({ mechanism: 'NO-SUCH' });
    const error = await connection.outcome();
    expect([0, 503]).toContain(error.code);
  },
);

specTest({ section: 'connection.tune', rule: '131072 bytes, 2047 channels, 60 s' }, async (t) => {
  const connection = await t.dial();
  await connection.authenticate();
  const tune = await connection.control.expect('connection.tune');
  expect([tune.frameMax, tune.channelMax, tune.heartbeat]).toEqual([131_072, 2047, 60]);
});

for (const [what, change] of [
  ['a larger frame_max', { frameMax: 131_073 }],
  ['frame_max 0 (unlimited)', { frameMax: 0 }],
  ['a larger channel_max', { channelMax: 2048 }],
  ['channel_max 0 (unlimited)', { channelMax: 0 }],
] as const) {
  specTest(
    {
      section: 'connection.tune-ok',
      rule: `${what} is refused`,
      tolerance: 'RabbitMQ drops the socket after 3 s; 530 tells the client more',
    },
    async (t) => {
      const connection = await t.dial();
      await connection.authenticate();
      await connection.tune(change);
      connection.control.send('connection.open', { virtualHost: connection.target.vhost });
      const error = await connection.outcome();
      if (error.level === 'connection') {
        expect([error.code, error.text]).toEqual([530, expect.stringMatching(/^NOT_ALLOWED - /)]);
      }
    },
  );
}

specTest(
  {
    section: 'connection.tune-ok',
    rule: 'a frame_max below the minimum is refused',
    tolerance: 'RabbitMQ 4.1+ sets the minimum to 8192 and we keep the 4096 of the specification',
  },
  async (t) => {
    const connection = await t.dial();
    await connection.authenticate();
    await connection.tune({ frameMax: 4095 });
    connection.control.send('connection.open', { virtualHost: connection.target.vhost });
    const error = await connection.outcome();
    if (error.level === 'connection') expect(error.code).toBe(530);
  },
);

specTest(
  {
    section: 'connection.tune-ok',
    rule: 'frame_max 4096 works in both directions',
    oursOnly: 'RabbitMQ 4.1+ refuses frame_max below 8192',
  },
  async (t) => {
    const channel = await t.channel({ frameMax: 4096 });
    const queue = await channel.queue('', { exclusive: true });
    const body = Buffer.alloc(20_000, 'x');
    channel.publish('', queue, body);
    const message = await channel.getSoon(queue);
    expect(message.bytes.equals(body)).toBe(true);
  },
);

specTest({ section: 'connection.tune-ok', rule: 'a smaller frame_max is kept' }, async (t) => {
  const channel = await t.channel({ frameMax: 8192 });
  const queue = await channel.queue('', { exclusive: true });
  const body = Buffer.alloc(50_000, 'y');
  channel.publish('', queue, body);
  const message = await channel.getSoon(queue);
  expect(message.bytes.equals(body)).toBe(true);
});

specTest({ section: 'connection.open', rule: 'answers open-ok' }, async (t) => {
  const connection = await t.dial();
  await connection.authenticate();
  await connection.tune();
  connection.control.send('connection.open', { virtualHost: connection.target.vhost });
  const ok = await connection.control.expect('connection.open-ok');
  expect(ok.reserved1).toBe('');
});

specTest({ section: 'connection.open', rule: 'an unknown vhost gets 530' }, async (t) => {
  const connection = await t.dial();
  await connection.authenticate();
  await connection.tune();
  const virtualHost = t.name('vhost');
  connection.control.send('connection.open', { virtualHost });
  const error = await connection.expectClose(530, /^NOT_ALLOWED - vhost .* not found$/);
  expect([error.classId, error.methodId]).toEqual([10, 40]);
});

specTest({ section: 'connection.open', rule: 'the vhost "" is not "/"' }, async (t) => {
  const connection = await t.dial();
  await connection.authenticate();
  await connection.tune();
  connection.control.send('connection.open', { virtualHost: '' });
  await connection.expectClose(530, 'NOT_ALLOWED - vhost');
});

specTest({ section: 'connection.close', rule: 'close-ok, then the client ends it' }, async (t) => {
  const connection = await t.connect();
  const args = { replyCode: 200, replyText: 'done' };
  await connection.control.call('connection.close', args);
  connection.end();
  await connection.ended();
});

specTest(
  { section: 'connection.close', rule: 'exclusive queues are gone when close-ok arrives' },
  async (t) => {
    const name = t.name();
    for (let round = 0; round < 10; round += 1) {
      const connection = await t.connect();
      const channel = await connection.channel();
      await channel.queue(name, { exclusive: true });
      await connection.control.call('connection.close', { replyCode: 200 });
    }
    const channel = await t.channel();
    await channel.refused('queue.declare', { queue: name, passive: true }, 404);
  },
);

specTest(
  { section: 'connection.close', rule: 'unacked messages are ready again when close-ok arrives' },
  async (t) => {
    const setup = await t.channel();
    const queue = await setup.queue(t.name(), { durable: true });
    setup.publish('', queue, 'one');
    const connection = await t.connect();
    const channel = await connection.channel();
    await channel.consume(queue);
    expect((await channel.delivery()).body).toBe('one');
    await connection.control.call('connection.close', { replyCode: 200 });
    const again = await setup.getSoon(queue);
    expect([again.body, again.redelivered]).toEqual(['one', true]);
    await setup.call('queue.delete', { queue });
  },
);

specTest(
  { section: 'connection.close', rule: 'everything after a server-sent close is ignored' },
  async (t) => {
    const connection = await t.connect({ manualCloseOk: true });
    const channel = await connection.channel();
    connection.control.send('connection.tune-ok', { frameMax: 131_072 });
    await connection.outcome();
    channel.send('queue.declare', { queue: t.name() });
    channel.send('channel.flow', { active: false });
    connection.control.send('connection.close-ok');
    await connection.ended();
  },
);

specTest(
  { section: 'connection.close', rule: 'a client close that crosses ours gets close-ok' },
  async (t) => {
    const connection = await t.connect({ manualCloseOk: true });
    const channel = await connection.channel();
    channel.send('basic.qos', { prefetchSize: 1 });
    connection.control.send('connection.close', { replyCode: 200 });
    await connection.outcome();
    connection.control.send('connection.close-ok');
    await connection.ended();
  },
);

specTest(
  { section: 'connection', rule: 'a connection method in the wrong state closes the connection' },
  async (t) => {
    const connection = await t.connect();
    connection.control.send('connection.tune-ok', { frameMax: 131_072 });
    const error = await connection.outcome();
    expect(error.level).toBe('connection');
    expect([503, 504]).toContain(error.code);
  },
);

specTest(
  { section: 'connection', rule: 'a channel method before connection.open is refused' },
  async (t) => {
    const connection = await t.dial();
    connection.write(PROTOCOL_HEADER);
    await connection.control.expect('connection.start');
    connection.bareChannel(1).send('channel.open');
    const error = await connection.outcome();
    if (error.level === 'connection') expect([501, 503, 504, 505]).toContain(error.code);
  },
);

specTest({ section: 'connection.update-secret', rule: 'a password user gets ok' }, async (t) => {
  const connection = await t.connect();
  const secret = { newSecret: connection.target.password, reason: 'rotation' };
  await connection.control.call('connection.update-secret', secret);
  const channel = await connection.channel();
  await channel.queue('', { exclusive: true });
});

specTest(
  { section: 'access.request', rule: 'old clients get ticket 1', tolerance: 'any ticket' },
  async (t) => {
    const channel = await t.channel();
    const ok = await channel.call('access.request', { realm: '/data', active: true });
    expect(ok.ticket).toBe(1);
  },
);

/** Some containers have no IPv6: then there is nothing to listen on. */
const hasIpv6 = Object.values(networkInterfaces()).some(
  (addresses) => addresses?.some(({ address }) => address === '::1') ?? false,
);

specTest(
  { section: 'connection', rule: 'listens on the IPv6 loopback too', oursOnly: 'a test peer' },
  async (t) => {
    if (!hasIpv6) return;
    const connection = await t.dial();
    const target = { ...connection.target, host: '::1' };
    const other = await WireConnection.open(target);
    await other.close();
  },
);

specTest({ section: 'connection', rule: 'two hundred connections at once' }, async (t) => {
  const all = await Promise.all(Array.from({ length: 200 }, () => t.connect()));
  const channel = await all[199]!.channel();
  await channel.sync();
  await Promise.all(all.map((connection) => connection.close()));
});
