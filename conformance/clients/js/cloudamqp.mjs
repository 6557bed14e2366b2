// @cloudamqp/amqp-client over TCP: low-level channels, then sessions that recover.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { AMQPClient, AMQPSession } from '@cloudamqp/amqp-client';
import {
  check, eventually, finish, largeBytes, restartBroker, SKIP, sleep, unique, url,
} from './checks.mjs';

const connection = await new AMQPClient(url).connect();
const queues = [];
const exchanges = [];

async function withChannel(run) {
  const channel = await connection.channel();
  channel.onerror = () => {};
  await run(channel);
  await channel.close();
}

async function queue(channel, params = { durable: false }, args = {}) {
  const name = unique('cloudamqp');
  queues.push(name);
  await channel.queueDeclare(name, params, args);
  return name;
}

async function exchange(channel, type) {
  const name = unique('cloudamqp');
  exchanges.push(name);
  await channel.exchangeDeclare(name, type, { durable: false });
  return name;
}

async function collect(channel, name, count) {
  const received = [];
  const consumer = await channel.basicConsume(name, { noAck: true }, (m) => { received.push(m); });
  await eventually(() => received.length >= count, `${count} messages (got ${received.length})`);
  await sleep(20);
  await channel.basicCancel(consumer.tag);
  return received;
}

await check('work queue: prefetch and acknowledgements', () =>
  withChannel(async (channel) => {
    const name = await queue(channel, { durable: true });
    await channel.prefetch(1);
    const done = [];
    let outstanding = 0;
    await channel.basicConsume(name, { noAck: false }, async (message) => {
      outstanding += 1;
      assert.ok(outstanding <= 1, 'prefetch 1');
      await sleep(1);
      outstanding -= 1;
      done.push(message.bodyString());
      await message.ack();
    });
    for (let task = 0; task < 50; task += 1) {
      await channel.basicPublish('', name, `task ${task}`, { deliveryMode: 2 });
    }
    await eventually(() => done.length === 50, '50 tasks');
    assert.deepEqual(done, Array.from({ length: 50 }, (_, index) => `task ${index}`));
  }));

await check('fanout, direct, topic and headers exchanges', () =>
  withChannel(async (channel) => {
    const cases = [
      ['fanout', '', {}, ['any', 'key'], ['any', 'key']],
      ['direct', 'red', {}, ['red', 'blue'], ['red']],
      ['topic', 'a.*.#', {}, ['a.b', 'a', 'a.b.c', 'b.a'], ['a.b', 'a.b.c']],
    ];
    for (const [type, key, args, sent, expected] of cases) {
      const source = await exchange(channel, type);
      const name = await queue(channel);
      await channel.queueBind(name, source, key, args);
      for (const routingKey of sent) await channel.basicPublish(source, routingKey, 'x');
      const received = await collect(channel, name, expected.length);
      assert.deepEqual(received.map((m) => m.routingKey), expected, type);
    }
    const source = await exchange(channel, 'headers');
    const name = await queue(channel);
    await channel.queueBind(name, source, '', { 'x-match': 'all', a: 1, b: 'two' });
    await channel.basicPublish(source, '', 'no', { headers: { a: 1 } });
    await channel.basicPublish(source, '', 'yes', { headers: { a: 1, b: 'two', c: true } });
    assert.deepEqual((await collect(channel, name, 1)).map((m) => m.bodyString()), ['yes']);
  }));

await check('publisher confirms: sequence numbers in order', () =>
  withChannel(async (channel) => {
    const name = await queue(channel, { durable: true });
    await channel.confirmSelect();
    const confirmed = await Promise.all(
      Array.from({ length: 300 }, (_, index) => channel.basicPublish('', name, `${index}`, { deliveryMode: 2 })),
    );
    assert.deepEqual(confirmed, Array.from({ length: 300 }, (_, index) => index + 1));
    assert.equal((await channel.queueDeclare(name, { passive: true })).messageCount, 300);
  }));

await check('mandatory: the message comes back', () =>
  withChannel(async (channel) => {
    const returned = [];
    channel.onReturn = (message) => returned.push(message);
    await channel.confirmSelect();
    await channel.basicPublish('', unique('nowhere'), 'lost', { headers: { a: 1 } }, true);
    assert.equal(returned.length, 1);
    assert.equal(returned[0].replyCode, 312);
    assert.equal(returned[0].replyText, 'NO_ROUTE');
    assert.equal(returned[0].bodyString(), 'lost');
  }));

await check('get, nack with requeue, reject', () =>
  withChannel(async (channel) => {
    const name = await queue(channel);
    await channel.confirmSelect();
    await channel.basicPublish('', name, 'one');
    const first = await channel.basicGet(name, { noAck: false });
    assert.equal(first.redelivered, false);
    assert.equal(first.messageCount, 0);
    await first.nack(true);
    const second = await eventually(() => channel.basicGet(name, { noAck: false }), 'redelivery');
    assert.equal(second.redelivered, true);
    await second.reject(false);
    assert.equal(await channel.basicGet(name), null);
  }));

await check('headers: field types arrive intact', () =>
  withChannel(async (channel) => {
    const name = await queue(channel);
    const headers = {
      string: 'Größe', yes: true, no: false, int: 42, negative: -42, long: 2 ** 40, double: 1.5,
      nothing: null, date: new Date(1_790_000_000_000), list: [1, 'two', [false]],
      table: { a: { b: 'c' } },
    };
    await channel.basicPublish('', name, '', { headers });
    const [message] = await collect(channel, name, 1);
    assert.equal(message.bodySize, 0);
    for (const [key, value] of Object.entries(headers)) {
      const got = message.properties.headers[key];
      if (typeof value === 'number') assert.equal(Number(got), value, key);
      else if (key === 'list') assert.deepEqual([Number(got[0]), ...got.slice(1)], value);
      else assert.deepEqual(got ?? null, value, key);
    }
  }));

await check('ttl and dead letter', () =>
  withChannel(async (channel) => {
    const dead = await queue(channel);
    const name = await queue(channel, { durable: false }, {
      'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': dead,
    });
    await channel.basicPublish('', name, 'late', { expiration: '40' });
    const [message] = await collect(channel, dead, 1);
    const [death] = message.properties.headers['x-death'];
    assert.equal(death.reason, 'expired');
    assert.equal(death.queue, name);
    assert.equal(death['original-expiration'], '40');
    assert.equal(message.properties.expiration, undefined);
  }));

await check('transactions: commit shows, rollback hides', () =>
  withChannel(async (channel) => {
    const name = await queue(channel);
    await channel.txSelect();
    await channel.basicPublish('', name, 'committed');
    assert.equal((await channel.queueDeclare(name, { passive: true })).messageCount, 0);
    await channel.txCommit();
    await channel.basicPublish('', name, 'rolled back');
    await channel.txRollback();
    await channel.txCommit();
    assert.equal((await channel.queueDeclare(name, { passive: true })).messageCount, 1);
  }));

await check('errors: reply code and text reach the caller', async () => {
  const channel = await connection.channel();
  const name = unique('missing');
  await assert.rejects(
    channel.queueDeclare(name, { passive: true }),
    (error) => /404/.test(error.message) && error.message.includes(`no queue '${name}' in vhost '/'`),
  );
  assert.ok(channel.closed);
  const second = await connection.channel();
  await assert.rejects(second.exchangeDeclare('amq.mine', 'direct'), /403/);
  assert.equal(connection.closed, false);
});

await check('errors: a wrong password is refused with 403', async () => {
  const bad = new URL(url);
  bad.password = 'wrong';
  await assert.rejects(new AMQPClient(bad.href).connect(), /403|ACCESS.REFUSED|Login was refused/i);
});

await check('consumer cancel notification when the queue is deleted', () =>
  withChannel(async (channel) => {
    const name = await queue(channel);
    const consumer = await channel.basicConsume(name, {}, () => {});
    const ended = consumer.wait().then(() => 'ended', (error) => error);
    await withChannel((other) => other.queueDelete(name));
    assert.ok(await ended);
    await eventually(() => channel.consumers.size === 0, 'the consumer is gone');
  }));

await check(`large message of ${largeBytes} bytes`, () =>
  withChannel(async (channel) => {
    const name = await queue(channel);
    const body = Buffer.alloc(largeBytes, 'tributary');
    await channel.basicPublish('', name, body);
    const [message] = await collect(channel, name, 1);
    assert.ok(Buffer.from(message.body).equals(body));
  }));

await check('update-secret is answered', () => connection.updateSecret('guest', 'rotation'));

await check('tls: verified round trip', async () => {
  if (!process.env.AMQPS_URL) throw SKIP;
  const ca = readFileSync(`${process.env.TLS_DIRECTORY}/ca.pem`);
  await assert.rejects(new AMQPClient(process.env.AMQPS_URL).connect());
  const secure = await new AMQPClient(process.env.AMQPS_URL, { ca }).connect();
  const channel = await secure.channel();
  const { name } = await channel.queueDeclare('', { exclusive: true, durable: false });
  await channel.basicPublish('', name, 'over tls');
  const message = await eventually(() => channel.basicGet(name), 'the message');
  assert.equal(message.bodyString(), 'over tls');
  await secure.close();
});

await check('session: typed handles, rpc by direct reply-to', async () => {
  const session = await AMQPSession.connect(url, { reconnectInterval: 50 });
  const name = unique('rpc');
  queues.push(name);
  const server = await session.rpcServer(name, async (message) => `re: ${message.bodyString()}`);
  const reply = await session.rpcCall(name, 'hello', { timeout: 5000 });
  assert.equal(reply.bodyString(), 're: hello');
  await server.close();
  const q = await session.queue(unique('session'), { durable: true });
  await q.publish('kept', { deliveryMode: 2 });
  assert.equal((await q.consumeOne({ timeout: 5000 })).bodyString(), 'kept');
  await q.delete();
  await session.stop();
});

await check('session: the subscription is back after a restart', async () => {
  if (!process.env.RESTART_COMMAND) throw SKIP;
  let connects = 0;
  const session = await AMQPSession.connect(url, {
    reconnectInterval: 50, maxReconnectInterval: 200, onconnect: () => { connects += 1; },
  });
  const q = await session.queue(unique('session'), { durable: true });
  const received = [];
  await q.subscribe({ prefetch: 10 }, async (message) => { received.push(message.bodyString()); });
  const cleaner = queues.splice(0);
  await withChannel(async (channel) => {
    for (const name of cleaner) await channel.queueDelete(name);
    for (const name of exchanges.splice(0)) await channel.exchangeDelete(name);
  });
  connection.onerror = () => {};
  await restartBroker();
  await eventually(() => connects >= 2, 'a reconnect');
  await q.publish('after', { deliveryMode: 2 });
  await eventually(() => received.includes('after'), 'delivery after the restart');
  await q.delete();
  await session.stop();
});

if (queues.length > 0) {
  await withChannel(async (channel) => {
    for (const name of queues) await channel.queueDelete(name);
    for (const name of exchanges) await channel.exchangeDelete(name);
  });
}
await connection.close().catch(() => {});
finish();
