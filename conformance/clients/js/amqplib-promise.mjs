// amqplib, promise API: one check per messaging pattern and protocol feature.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import amqp from 'amqplib';
import {
  check, eventually, finish, largeBytes, restartBroker, SKIP, sleep, unique, url,
} from './checks.mjs';

const connection = await amqp.connect(url);
const queues = [];
const exchanges = [];

async function withChannel(run, from = connection) {
  const channel = await from.createChannel();
  channel.on('error', () => {});
  await run(channel);
  await channel.close();
}

async function queue(channel, options = {}) {
  const name = unique('amqplib');
  queues.push(name);
  await channel.assertQueue(name, options);
  return name;
}

async function exchange(channel, type, options = { durable: false }) {
  const name = unique('amqplib');
  exchanges.push(name);
  await channel.assertExchange(name, type, options);
  return name;
}

/** Consumes into an array until `count` messages are there. */
async function collect(channel, name, count, options = { noAck: true }) {
  const received = [];
  const { consumerTag } = await channel.consume(name, (message) => received.push(message), options);
  await eventually(() => received.length >= count, `${count} messages (got ${received.length})`);
  await sleep(30);
  await channel.cancel(consumerTag);
  return received;
}

await check('work queue: prefetch 1, two workers, every task acked once', () =>
  withChannel(async (channel) => {
    const name = await queue(channel, { durable: true });
    const workers = [await connection.createChannel(), await connection.createChannel()];
    const done = [[], []];
    for (const [index, worker] of workers.entries()) {
      await worker.prefetch(1);
      await worker.consume(name, (message) => {
        setTimeout(() => {
          done[index].push(message.content.toString());
          worker.ack(message);
        }, index === 0 ? 2 : 20);
      });
    }
    for (let task = 0; task < 30; task += 1) {
      channel.sendToQueue(name, Buffer.from(`task ${task}`), { persistent: true });
    }
    await eventually(() => done[0].length + done[1].length === 30, '30 tasks');
    assert.ok(done[0].length > done[1].length, 'the fast worker takes more tasks');
    assert.ok(done[1].length > 0, 'the slow worker takes some');
    assert.equal(new Set([...done[0], ...done[1]]).size, 30);
    for (const worker of workers) await worker.close();
    assert.equal((await channel.checkQueue(name)).messageCount, 0);
  }));

await check('publish/subscribe: a fanout exchange copies to every queue', () =>
  withChannel(async (channel) => {
    const logs = await exchange(channel, 'fanout');
    const subscribers = [];
    for (let index = 0; index < 3; index += 1) {
      const { queue: name } = await channel.assertQueue('', { exclusive: true });
      assert.match(name, /^amq\.gen-/);
      await channel.bindQueue(name, logs, '');
      subscribers.push(name);
    }
    for (let index = 0; index < 5; index += 1) channel.publish(logs, '', Buffer.from(`log ${index}`));
    for (const name of subscribers) {
      const bodies = (await collect(channel, name, 5)).map((message) => message.content.toString());
      assert.deepEqual(bodies, ['log 0', 'log 1', 'log 2', 'log 3', 'log 4']);
    }
  }));

await check('routing: a direct exchange routes by equal keys', () =>
  withChannel(async (channel) => {
    const direct = await exchange(channel, 'direct');
    const errors = await queue(channel, { exclusive: true });
    await channel.bindQueue(errors, direct, 'error');
    for (const key of ['info', 'error', 'warning', 'errors']) {
      channel.publish(direct, key, Buffer.from(key));
    }
    const received = await collect(channel, errors, 1);
    assert.deepEqual(received.map((message) => message.fields.routingKey), ['error']);
  }));

await check('topics: * is one word, # is any number', () =>
  withChannel(async (channel) => {
    const topic = await exchange(channel, 'topic');
    const expected = {
      '*.orange.*': ['quick.orange.rabbit'],
      'lazy.#': ['lazy.brown.fox', 'lazy', 'lazy.pink.big.rabbit'],
      '#': ['quick.orange.rabbit', 'lazy.brown.fox', 'lazy', 'lazy.pink.big.rabbit', 'other'],
    };
    const names = {};
    for (const pattern of Object.keys(expected)) {
      names[pattern] = await queue(channel, { exclusive: true });
      await channel.bindQueue(names[pattern], topic, pattern);
    }
    for (const key of expected['#']) channel.publish(topic, key, Buffer.from(''));
    for (const [pattern, keys] of Object.entries(expected)) {
      const received = await collect(channel, names[pattern], keys.length);
      assert.deepEqual(received.map((message) => message.fields.routingKey), keys);
    }
  }));

await check('headers exchange: x-match all and any', () =>
  withChannel(async (channel) => {
    const headers = await exchange(channel, 'headers');
    const all = await queue(channel, { exclusive: true });
    const any = await queue(channel, { exclusive: true });
    await channel.bindQueue(all, headers, '', { 'x-match': 'all', kind: 'report', pages: 2 });
    await channel.bindQueue(any, headers, '', { 'x-match': 'any', kind: 'report', pages: 2 });
    channel.publish(headers, '', Buffer.from('both'), { headers: { kind: 'report', pages: 2 } });
    channel.publish(headers, '', Buffer.from('one'), { headers: { kind: 'report', pages: 3 } });
    channel.publish(headers, '', Buffer.from('none'), { headers: { kind: 'log' } });
    assert.deepEqual((await collect(channel, all, 1)).map((m) => m.content.toString()), ['both']);
    assert.deepEqual((await collect(channel, any, 2)).map((m) => m.content.toString()), ['both', 'one']);
  }));

await check('rpc: reply_to and correlation_id through an exclusive queue', () =>
  withChannel(async (channel) => {
    const requests = await queue(channel);
    await channel.consume(requests, (message) => {
      const answer = Number(message.content.toString()) * 2;
      channel.sendToQueue(message.properties.replyTo, Buffer.from(String(answer)), {
        correlationId: message.properties.correlationId,
      });
      channel.ack(message);
    });
    const { queue: replies } = await channel.assertQueue('', { exclusive: true });
    for (let n = 1; n <= 10; n += 1) {
      channel.sendToQueue(requests, Buffer.from(String(n)), { correlationId: `c${n}`, replyTo: replies });
    }
    const received = await collect(channel, replies, 10);
    assert.deepEqual(
      received.map((m) => [m.properties.correlationId, m.content.toString()]),
      Array.from({ length: 10 }, (_, i) => [`c${i + 1}`, String(2 * (i + 1))]),
    );
  }));

await check('direct reply-to: amq.rabbitmq.reply-to answers without a queue', () =>
  withChannel(async (channel) => {
    const requests = await queue(channel);
    const server = await connection.createChannel();
    await server.consume(requests, (message) => {
      assert.match(message.properties.replyTo, /^amq\.rabbitmq\.reply-to\./);
      server.sendToQueue(message.properties.replyTo, Buffer.from(`re: ${message.content}`), {
        correlationId: message.properties.correlationId,
      });
    }, { noAck: true });
    const replies = [];
    await channel.consume('amq.rabbitmq.reply-to', (message) => replies.push(message), { noAck: true });
    channel.sendToQueue(requests, Buffer.from('hello'), {
      replyTo: 'amq.rabbitmq.reply-to', correlationId: 'd1',
    });
    await eventually(() => replies.length === 1, 'the reply');
    assert.equal(replies[0].content.toString(), 're: hello');
    assert.equal(replies[0].properties.correlationId, 'd1');
    await server.close();
  }));

await check('publisher confirms: a window of 500 persistent messages', async () => {
  const channel = await connection.createConfirmChannel();
  const name = await queue(channel, { durable: true });
  let confirmed = 0;
  for (let index = 0; index < 500; index += 1) {
    channel.sendToQueue(name, Buffer.from(`${index}`), { persistent: true }, (error) => {
      if (error === null) confirmed += 1;
    });
  }
  await channel.waitForConfirms();
  assert.equal(confirmed, 500);
  assert.equal((await channel.checkQueue(name)).messageCount, 500);
  await channel.close();
});

await check('publisher confirms: a full queue that rejects nacks', async () => {
  const channel = await connection.createConfirmChannel();
  const name = await queue(channel, {
    arguments: { 'x-max-length': 1, 'x-overflow': 'reject-publish' },
  });
  channel.sendToQueue(name, Buffer.from('fits'));
  await channel.waitForConfirms();
  const outcome = await new Promise((resolve) => {
    channel.sendToQueue(name, Buffer.from('does not'), {}, resolve);
  });
  assert.ok(outcome instanceof Error, 'a nack');
  await channel.close();
});

await check('mandatory: an unroutable message comes back before its confirm', async () => {
  const channel = await connection.createConfirmChannel();
  const order = [];
  channel.on('return', (message) => order.push(message));
  await new Promise((resolve, reject) => {
    channel.publish('', unique('nowhere'), Buffer.from('lost'), {
      mandatory: true, headers: { kept: 'yes' }, contentType: 'text/plain',
    }, (error) => {
      order.push('confirm');
      if (error) reject(error);
      else resolve();
    });
  });
  assert.equal(order[1], 'confirm');
  assert.equal(order[0].fields.replyCode, 312);
  assert.equal(order[0].fields.replyText, 'NO_ROUTE');
  assert.equal(order[0].content.toString(), 'lost');
  assert.equal(order[0].properties.headers.kept, 'yes');
  await channel.close();
});

await check('nack with requeue redelivers in place, without drops', () =>
  withChannel(async (channel) => {
    const name = await queue(channel);
    for (const body of ['a', 'b', 'c']) channel.sendToQueue(name, Buffer.from(body));
    await eventually(async () => (await channel.checkQueue(name)).messageCount === 3, '3 ready');
    const first = await channel.get(name);
    assert.equal(first.fields.redelivered, false);
    assert.equal(first.fields.messageCount, 2);
    channel.nack(first, false, true);
    const again = await channel.get(name);
    assert.equal(again.content.toString(), 'a');
    assert.equal(again.fields.redelivered, true);
    channel.reject(again, false);
    const second = await channel.get(name);
    assert.equal(second.content.toString(), 'b');
    channel.ackAll();
    assert.equal((await channel.get(name)).content.toString(), 'c');
    channel.nackAll(true);
    await eventually(async () => (await channel.checkQueue(name)).messageCount === 1, '1 ready');
  }));

await check('closing a channel gives its unacked messages back in order', () =>
  withChannel(async (channel) => {
    const name = await queue(channel);
    for (let index = 0; index < 10; index += 1) channel.sendToQueue(name, Buffer.from(`${index}`));
    const other = await connection.createChannel();
    const held = [];
    await other.consume(name, (message) => held.push(message));
    await eventually(() => held.length === 10, '10 held');
    await other.close();
    const received = await collect(channel, name, 10);
    assert.deepEqual(received.map((m) => m.content.toString()), [...'0123456789']);
    assert.ok(received.every((m) => m.fields.redelivered));
  }));

await check('headers: every field type arrives with type and value intact', () =>
  withChannel(async (channel) => {
    const name = await queue(channel);
    const headers = {
      string: 'text', utf8: 'Größe 東京 🚚', empty: '', yes: true, no: false,
      byte: -7, short: -30_000, int: 2_000_000_000, long: 2 ** 40, negative: -(2 ** 40),
      double: 3.25, nothing: null, bytes: Buffer.from([0, 255, 1]),
      float: { '!': 'float', value: 0.5 }, int8: { '!': 'int8', value: -128 },
      int16: { '!': 'int16', value: 32_767 }, int32: { '!': 'int32', value: -1 },
      int64: { '!': 'int64', value: 9_007_199_254_740_991 },
      timestamp: { '!': 'timestamp', value: 1_790_000_000 },
      decimal: { '!': 'decimal', value: { digits: 12_345, places: 2 } },
      list: ['x', 1, [true, null], { deep: 'yes' }],
      table: { a: 1, b: { c: 'd', e: [1.5] } },
    };
    channel.sendToQueue(name, Buffer.from('h'), { headers });
    const [message] = await collect(channel, name, 1);
    const got = message.properties.headers;
    for (const key of ['string', 'utf8', 'empty', 'yes', 'no', 'byte', 'short', 'int', 'long',
      'negative', 'double', 'nothing', 'bytes', 'list', 'table', 'timestamp', 'decimal']) {
      assert.deepEqual(got[key], headers[key], key);
    }
    assert.equal(got.float, 0.5);
    assert.equal(got.int8, -128);
    assert.equal(got.int16, 32_767);
    assert.equal(got.int32, -1);
    assert.equal(got.int64, 9_007_199_254_740_991);
  }));

await check('properties: all fourteen arrive', () =>
  withChannel(async (channel) => {
    const name = await queue(channel);
    const sent = {
      contentType: 'application/json', contentEncoding: 'gzip', headers: { a: 1 }, persistent: true,
      priority: 3, correlationId: 'corr', replyTo: 'back', expiration: '60000', messageId: 'id-1',
      timestamp: 1_790_000_000, type: 'order', userId: 'guest', appId: 'shop',
    };
    channel.sendToQueue(name, Buffer.from('{}'), sent);
    const [{ properties }] = await collect(channel, name, 1);
    const { persistent, ...same } = sent;
    assert.equal(persistent, properties.deliveryMode === 2);
    for (const [key, value] of Object.entries(same)) assert.deepEqual(properties[key], value, key);
  }));

await check('ttl and dead letter: an expired message arrives with x-death', () =>
  withChannel(async (channel) => {
    const dlx = await exchange(channel, 'fanout');
    const dead = await queue(channel);
    await channel.bindQueue(dead, dlx, '');
    const name = await queue(channel, {
      arguments: { 'x-message-ttl': 50, 'x-dead-letter-exchange': dlx },
    });
    channel.sendToQueue(name, Buffer.from('late'));
    const [message] = await collect(channel, dead, 1);
    const [death] = message.properties.headers['x-death'];
    assert.equal(death.reason, 'expired');
    assert.equal(death.queue, name);
    assert.equal(death.exchange, '');
    assert.equal(death.count, 1);
    assert.deepEqual(death['routing-keys'], [name]);
    assert.equal(message.properties.headers['x-first-death-queue'], name);
    assert.equal(message.properties.headers['x-last-death-reason'], 'expired');
  }));

await check('priority queue: higher priorities first', () =>
  withChannel(async (channel) => {
    const name = await queue(channel, { maxPriority: 5 });
    for (const priority of [0, 5, 3, 1]) channel.sendToQueue(name, Buffer.from(`${priority}`), { priority });
    await eventually(async () => (await channel.checkQueue(name)).messageCount === 4, '4 ready');
    const bodies = (await collect(channel, name, 4)).map((m) => m.content.toString());
    assert.deepEqual(bodies, ['5', '3', '1', '0']);
  }));

async function channelError(run) {
  const channel = await connection.createChannel();
  const failed = once(channel, 'error');
  const outcome = await run(channel).then(() => undefined, (error) => error);
  const [error] = await failed;
  return { error, outcome };
}

await check('errors: 404 closes the channel with code, text and method', async () => {
  const name = unique('missing');
  const { error, outcome } = await channelError((channel) => channel.checkQueue(name));
  assert.equal(error.code, 404);
  assert.ok(outcome);
  assert.match(error.message, new RegExp(`NOT_FOUND - no queue '${name}' in vhost '/'`));
  assert.equal(error.classId, 50);
  assert.equal(error.methodId, 10);
});

await check('errors: 406 names the argument that differs', async () => {
  const name = unique('amqplib');
  queues.push(name);
  await withChannel((channel) => channel.assertQueue(name, { durable: true }));
  const { error } = await channelError((channel) => channel.assertQueue(name, { durable: false }));
  assert.equal(error.code, 406);
  assert.match(error.message, /PRECONDITION_FAILED - inequivalent arg 'durable' for queue '.*' in vhost '\/': received 'false' but current is 'true'/);
});

await check('errors: 403 refuses reserved names, 405 a locked queue', async () => {
  const refused = await channelError((channel) => channel.assertQueue('amq.mine'));
  assert.equal(refused.error.code, 403);
  assert.match(refused.error.message, /ACCESS_REFUSED/);
  const other = await amqp.connect(url);
  const channel = await other.createChannel();
  const { queue: name } = await channel.assertQueue(unique('locked'), { exclusive: true });
  const locked = await channelError((mine) => mine.checkQueue(name));
  assert.equal(locked.error.code, 405);
  assert.match(locked.error.message, /RESOURCE_LOCKED/);
  await other.close();
});

await check('errors: a bad acknowledgement is 406 unknown delivery tag', async () => {
  const { error } = await channelError(async (channel) => {
    channel.ack({ fields: { deliveryTag: 99 } });
  });
  assert.equal(error.code, 406);
  assert.match(error.message, /unknown delivery tag 99/);
});

await check('errors: a wrong password is 403, an unknown vhost 530', async () => {
  const bad = new URL(url);
  bad.password = 'wrong';
  await assert.rejects(amqp.connect(bad.href), /403|ACCESS.REFUSED/i);
  const lost = new URL(url);
  lost.pathname = '/no-such-vhost';
  await assert.rejects(amqp.connect(lost.href), /530|NOT.ALLOWED|ConnectionClose/i);
});

await check('a failed channel leaves its connection and other channels alone', () =>
  withChannel(async (channel) => {
    await channelError((failing) => failing.checkExchange(unique('missing')));
    const name = await queue(channel);
    channel.sendToQueue(name, Buffer.from('alive'));
    assert.equal((await collect(channel, name, 1)).length, 1);
  }));

await check('consumer cancel notification when the queue is deleted', () =>
  withChannel(async (channel) => {
    const name = await queue(channel);
    const received = [];
    await channel.consume(name, (message) => received.push(message));
    await withChannel((other) => other.deleteQueue(name));
    await eventually(() => received.length === 1, 'the notification');
    assert.equal(received[0], null);
  }));

await check('exchange to exchange bindings', () =>
  withChannel(async (channel) => {
    const source = await exchange(channel, 'topic');
    const destination = await exchange(channel, 'fanout');
    const name = await queue(channel);
    await channel.bindExchange(destination, source, 'eu.#');
    await channel.bindQueue(name, destination, '');
    channel.publish(source, 'us.ny', Buffer.from('no'));
    channel.publish(source, 'eu.fr', Buffer.from('yes'));
    assert.deepEqual((await collect(channel, name, 1)).map((m) => m.content.toString()), ['yes']);
    await channel.unbindExchange(destination, source, 'eu.#');
    channel.publish(source, 'eu.fr', Buffer.from('no more'));
    await sleep(50);
    assert.equal(await channel.get(name), false);
  }));

await check('queue operations: purge, delete, counts', () =>
  withChannel(async (channel) => {
    const name = await queue(channel);
    for (let index = 0; index < 7; index += 1) channel.sendToQueue(name, Buffer.from('x'));
    await eventually(async () => (await channel.checkQueue(name)).messageCount === 7, '7 ready');
    assert.equal((await channel.purgeQueue(name)).messageCount, 7);
    channel.sendToQueue(name, Buffer.from('x'));
    await eventually(async () => (await channel.checkQueue(name)).messageCount === 1, '1 ready');
    assert.equal((await channel.deleteQueue(name)).messageCount, 1);
    assert.equal((await channel.deleteQueue(name)).messageCount, 0);
  }));

await check('recover gives unacked messages back to the queue', () =>
  withChannel(async (channel) => {
    const name = await queue(channel);
    channel.sendToQueue(name, Buffer.from('again'));
    const message = await eventually(() => channel.get(name), 'the message');
    assert.equal(message.fields.redelivered, false);
    await channel.recover();
    const second = await eventually(() => channel.get(name), 'the message again');
    assert.equal(second.fields.redelivered, true);
    channel.ack(second);
  }));

await check(`large message of ${largeBytes} bytes`, () =>
  withChannel(async (channel) => {
    const name = await queue(channel);
    const body = Buffer.alloc(largeBytes);
    for (let at = 0; at + 4 <= largeBytes; at += 4096) body.writeUInt32BE(at, at);
    channel.sendToQueue(name, body);
    const [message] = await collect(channel, name, 1);
    assert.ok(message.content.equals(body));
  }));

await check('update-secret is answered', () => connection.updateSecret(Buffer.from('guest'), 'rotation'));

await check('blocked and unblocked handlers can be registered', async () => {
  connection.on('blocked', () => {});
  connection.on('unblocked', () => {});
});

await check('tls: verified, and by client certificate with EXTERNAL', async () => {
  if (!process.env.AMQPS_URL) throw SKIP;
  const file = (name) => readFileSync(`${process.env.TLS_DIRECTORY}/${name}`);
  await assert.rejects(amqp.connect(process.env.AMQPS_URL), /self.signed|unable to|certificate/i);
  const plain = { ca: [file('ca.pem')] };
  const external = {
    ...plain, cert: file('guest.pem'), key: file('guest.key'), credentials: amqp.credentials.external(),
  };
  for (const options of [plain, external]) {
    const secure = await amqp.connect(process.env.AMQPS_URL, options);
    await withChannel(async (channel) => {
      const { queue: name } = await channel.assertQueue('', { exclusive: true });
      const body = Buffer.alloc(300_000, 'tls');
      channel.sendToQueue(name, body);
      assert.ok((await collect(channel, name, 1))[0].content.equals(body));
    }, secure);
    await secure.close();
  }
});

await check('reconnect: recovery finds durable queue and persistent message after a restart', async () => {
  if (!process.env.RESTART_COMMAND) throw SKIP;
  const name = unique('amqplib');
  const received = [];
  const events = [];
  const recovering = await amqp.connect(url, {
    recovery: {
      initialDelay: 50, maxDelay: 200,
      async setup(model) {
        const channel = await model.createChannel();
        await channel.assertQueue(name, { durable: true });
        await channel.consume(name, (message) => {
          if (message === null) return; // the notification of the deletion below
          received.push(message.content.toString());
          channel.ack(message);
        });
      },
    },
  });
  recovering.on('disconnect', () => events.push('disconnect'));
  recovering.on('connect', () => events.push('connect'));
  const kept = unique('amqplib-kept');
  const publisher = await connection.createConfirmChannel();
  await publisher.assertQueue(kept, { durable: true });
  publisher.sendToQueue(kept, Buffer.from('survivor'), { persistent: true });
  await publisher.waitForConfirms();
  connection.on('error', () => {});
  await restartBroker();
  await eventually(() => events.includes('disconnect') && events.at(-1) === 'connect', 'a reconnect');
  const after = await amqp.connect(url);
  const channel = await after.createChannel();
  const survivor = await channel.get(kept);
  assert.equal(survivor.content.toString(), 'survivor');
  channel.ack(survivor);
  channel.sendToQueue(name, Buffer.from('after'));
  await eventually(() => received.includes('after'), 'delivery to the recovered consumer');
  await channel.deleteQueue(name);
  await channel.deleteQueue(kept);
  await recovering.close();
  for (const left of queues) await channel.deleteQueue(left);
  for (const left of exchanges) await channel.deleteExchange(left);
  queues.length = 0;
  exchanges.length = 0;
  await after.close();
});

if (queues.length > 0) {
  await withChannel(async (channel) => {
    for (const name of queues) await channel.deleteQueue(name);
    for (const name of exchanges) await channel.deleteExchange(name);
  });
}
await connection.close().catch(() => {});
finish();
