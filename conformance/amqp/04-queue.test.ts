import { expect } from 'vitest';
import { tagged } from '../support/amqp-wire.ts';
import { useBroker } from '../support/spec-test.ts';

const { specTest } = useBroker();

specTest({ section: 'queue.declare', rule: 'declare-ok has name and counts' }, async (t) => {
  const channel = await t.channel();
  const queue = t.name();
  const ok = await channel.call('queue.declare', { queue, exclusive: true });
  expect([ok.queue, ok.messageCount, ok.consumerCount]).toEqual([queue, 0, 0]);
  channel.publish('', queue, 'a');
  channel.publish('', queue, 'b');
  await channel.settled(queue, 2);
  await channel.call('basic.qos', { prefetchCount: 1 });
  await channel.consume(queue);
  await channel.delivery();
  const again = await channel.call('queue.declare', { queue, exclusive: true });
  expect([again.messageCount, again.consumerCount]).toEqual([1, 1]);
});

specTest({ section: 'queue.declare', rule: 'the server names a queue ""' }, async (t) => {
  const channel = await t.channel();
  const first = await channel.queue('', { exclusive: true });
  const second = await channel.queue('', { exclusive: true });
  expect(first).toMatch(/^amq\.gen-.{10,}/);
  expect(second).not.toBe(first);
});

specTest({ section: 'queue.declare', rule: 'passive: a missing queue gets 404' }, async (t) => {
  const channel = await t.channel();
  const queue = t.name();
  await channel.refused(
    'queue.declare',
    { queue, passive: true },
    404,
    new RegExp(`^NOT_FOUND - no queue '${queue}' in vhost '`),
  );
});

specTest({ section: 'queue.declare', rule: 'new names under amq. get 403' }, async (t) => {
  const channel = await t.channel();
  await channel.refused(
    'queue.declare',
    { queue: `amq.${t.name()}` },
    403,
    /^ACCESS_REFUSED - queue name 'amq\..*' contains reserved prefix 'amq\.\*'$/,
  );
});

for (const [what, first, second, text] of [
  [
    'durable',
    { durable: true },
    { durable: false },
    /inequivalent arg 'durable' for queue 'q-.*' in vhost '.*': received 'false' but current is 'true'$/,
  ],
  [
    'auto_delete',
    { durable: true },
    { durable: true, autoDelete: true },
    /inequivalent arg 'auto_delete' for queue 'q-.*': received 'true' but current is 'false'$/,
  ],
  [
    'x-message-ttl',
    { durable: true, arguments: { 'x-message-ttl': 1000 } },
    { durable: true, arguments: { 'x-message-ttl': 2000 } },
    /inequivalent arg 'x-message-ttl' .*: received '2000' but current is '1000'$/,
  ],
  [
    'x-message-ttl (absent)',
    { durable: true, arguments: { 'x-message-ttl': 1000 } },
    { durable: true },
    /inequivalent arg 'x-message-ttl' .*: received none but current is the value '1000' of type/,
  ],
  [
    'x-dead-letter-exchange',
    { durable: true },
    { durable: true, arguments: { 'x-dead-letter-exchange': 'amq.fanout' } },
    /inequivalent arg 'x-dead-letter-exchange' .*: received the value 'amq.fanout' of type/,
  ],
] as const) {
  specTest({ section: 'queue.declare', rule: `another ${what} gets 406` }, async (t) => {
    const channel = await t.channel();
    const connection = channel.connection;
    const queue = await channel.queue(t.name(), first);
    await channel.refused('queue.declare', { queue, ...second }, 406, text);
    await (await connection.channel()).call('queue.delete', { queue });
  });
}

specTest({ section: 'queue.declare', rule: 'unknown arguments do not count' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue(t.name(), { exclusive: true });
  await channel.queue(queue, { exclusive: true, arguments: { 'x-nonsense': 'y' } });
});

specTest({ section: 'queue.declare', rule: 'integers compare across their types' }, async (t) => {
  const channel = await t.channel();
  const args = (tag: string) => ({
    exclusive: true,
    arguments: { 'x-message-ttl': tagged(tag, 1000) },
  });
  const queue = await channel.queue(t.name(), args('I'));
  for (const tag of ['l', 's', 'u', 'i']) await channel.queue(queue, args(tag));
});

specTest({ section: 'queue.declare', rule: 'a string is not an integer' }, async (t) => {
  const channel = await t.channel();
  const args = { queue: t.name(), arguments: { 'x-message-ttl': '1000' } };
  await channel.refused('queue.declare', args, 406, "invalid arg 'x-message-ttl'");
});

specTest({ section: 'queue.declare', rule: 'an exclusive queue of another is 405' }, async (t) => {
  const owner = await t.channel();
  const queue = await owner.queue(t.name(), { exclusive: true });
  await owner.bind(queue, 'amq.direct', 'k');
  const other = await t.connect();
  const text = /^RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '/;
  for (const [method, args] of [
    ['queue.declare', { queue, exclusive: true }],
    ['queue.declare', { queue, passive: true }],
    ['queue.bind', { queue, exchange: 'amq.direct', routingKey: 'k' }],
    ['queue.unbind', { queue, exchange: 'amq.direct', routingKey: 'k' }],
    ['basic.consume', { queue }],
    ['basic.get', { queue }],
    ['queue.purge', { queue }],
    ['queue.delete', { queue }],
  ] as const) {
    await (await other.channel()).refused(method, args, 405, text);
  }
});

specTest(
  { section: 'queue.declare', rule: 'redeclaring with another exclusive is 405' },
  async (t) => {
    const channel = await t.channel();
    const connection = channel.connection;
    const queue = await channel.queue(t.name(), { durable: true });
    const args = { queue, durable: true, exclusive: true };
    await channel.refused('queue.declare', args, 405, 'RESOURCE_LOCKED');
    await (await connection.channel()).call('queue.delete', { queue });
  },
);

specTest(
  { section: 'queue.declare', rule: 'an exclusive queue dies with its connection' },
  async (t) => {
    const owner = await t.channel();
    const queue = await owner.queue(t.name(), { exclusive: true });
    owner.connection.destroy();
    const other = await t.connect();
    for (let attempt = 0; ; attempt += 1) {
      const channel = await other.channel();
      channel.send('queue.declare', { queue, passive: true });
      const error = await channel.inbox.next(3000, 'a close').catch((reason: unknown) => reason);
      if ((error as { code?: number }).code === 404) break;
      if (attempt === 50) throw error;
    }
  },
);

specTest(
  { section: 'queue.declare', rule: 'an exclusive queue outlives its channel' },
  async (t) => {
    const connection = await t.connect();
    const first = await connection.channel();
    const queue = await first.queue('', { exclusive: true });
    await first.close();
    const second = await connection.channel();
    await second.call('queue.declare', { queue, passive: true });
  },
);

specTest({ section: 'queue.declare', rule: 'no-wait sends no reply' }, async (t) => {
  const channel = await t.channel();
  const queue = t.name();
  channel.send('queue.declare', { queue, exclusive: true, noWait: true });
  await channel.expectNothing(50);
  await channel.call('queue.declare', { queue, passive: true });
});

specTest({ section: 'queue.declare', rule: 'CR and LF are stripped from names' }, async (t) => {
  const channel = await t.channel();
  const name = t.name();
  expect(await channel.queue(`${name}\r\n`, { exclusive: true })).toBe(name);
});

specTest(
  { section: 'queue.declare', rule: 'a transient non-exclusive queue is accepted' },
  async (t) => {
    const channel = await t.channel();
    const queue = await channel.queue(t.name());
    await channel.call('queue.delete', { queue });
  },
);

for (const [key, value, text] of [
  ['x-message-ttl', -1, "invalid arg 'x-message-ttl' for queue"],
  ['x-message-ttl', 315_360_000_001, "invalid arg 'x-message-ttl' for queue"],
  ['x-expires', 0, "invalid arg 'x-expires' for queue"],
  ['x-max-length', -1, "invalid arg 'x-max-length' for queue"],
  ['x-max-length-bytes', 'x', "invalid arg 'x-max-length-bytes' for queue"],
  ['x-max-priority', 256, "invalid arg 'x-max-priority' for queue"],
  ['x-overflow', 'bogus', "invalid arg 'x-overflow' for queue"],
  ['x-queue-type', 'bogus', 'PRECONDITION_FAILED'],
  ['x-dead-letter-exchange', 5, "invalid type 'signedint' for arg 'x-dead-letter-exchange'"],
  ['x-dead-letter-routing-key', 'k', 'routing_key_but_no_dlx_defined'],
  ['x-single-active-consumer', 'yes', "invalid arg 'x-single-active-consumer' for queue"],
] as const) {
  specTest(
    { section: 'queue.declare', rule: `${key}=${JSON.stringify(value)} gets 406` },
    async (t) => {
      const channel = await t.channel();
      const args = { queue: t.name(), durable: true, arguments: { [key]: value } };
      await channel.refused('queue.declare', args, 406, text);
    },
  );
}

for (const [what, options] of [
  ['non-durable', { durable: false }],
  ['exclusive', { durable: true, exclusive: true }],
] as const) {
  specTest({ section: 'queue.declare', rule: `a quorum queue is never ${what}` }, async (t) => {
    const channel = await t.channel();
    const args = { queue: t.name(), ...options, arguments: { 'x-queue-type': 'quorum' } };
    await channel.refused('queue.declare', args, 406, 'PRECONDITION_FAILED');
  });
}

specTest(
  { section: 'queue.declare', rule: 'x-queue-mode and x-queue-version are accepted' },
  async (t) => {
    const channel = await t.channel();
    for (const args of [{ 'x-queue-mode': 'lazy' }, { 'x-queue-version': 2 }]) {
      await channel.queue('', { exclusive: true, arguments: args });
    }
  },
);

specTest(
  { section: 'queue.declare', rule: '"" is the last declared queue elsewhere' },
  async (t) => {
    const channel = await t.channel();
    const queue = await channel.queue('', { exclusive: true });
    await channel.call('queue.bind', { queue: '', exchange: 'amq.direct', routingKey: '' });
    channel.publish('amq.direct', queue, 'by its own name');
    expect((await channel.getSoon('')).body).toBe('by its own name');
    expect((await channel.call('queue.purge', { queue: '' })).messageCount).toBe(0);
    await channel.consume('');
    expect((await channel.call('queue.delete', { queue: '' })).messageCount).toBe(0);
    await channel.refused('queue.declare', { queue, passive: true }, 404);
  },
);

specTest({ section: 'queue.bind', rule: 'queue "" with a key keeps the key' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  const key = t.name('k');
  await channel.call('queue.bind', { queue: '', exchange: 'amq.direct', routingKey: key });
  channel.publish('amq.direct', key, 'by key');
  expect((await channel.getSoon(queue)).body).toBe('by key');
});

specTest({ section: 'queue.bind', rule: '"" without any declared queue gets 404' }, async (t) => {
  const channel = await t.channel();
  const args = { queue: '', exchange: 'amq.direct' };
  await channel.refused('queue.bind', args, 404, 'NOT_FOUND');
});

specTest({ section: 'queue.bind', rule: 'missing queue or exchange gets 404' }, async (t) => {
  const connection = await t.connect();
  const channel = await connection.channel();
  const queue = await channel.queue('', { exclusive: true });
  const exchange = t.name('x');
  const args = { queue, exchange, routingKey: 'k' };
  await channel.refused('queue.bind', args, 404, `no exchange '${exchange}' in vhost`);
  const other = await connection.channel();
  const missing = t.name();
  await other.refused(
    'queue.bind',
    { queue: missing, exchange: 'amq.direct' },
    404,
    `no queue '${missing}' in vhost`,
  );
});

specTest({ section: 'queue.bind', rule: 'the default exchange gets 403' }, async (t) => {
  const connection = await t.connect();
  for (const method of ['queue.bind', 'queue.unbind']) {
    const channel = await connection.channel();
    const queue = await channel.queue('', { exclusive: true });
    const args = { queue, exchange: '', routingKey: 'k' };
    await channel.refused(method, args, 403, 'operation not permitted on the default exchange');
  }
});

specTest({ section: 'queue.bind', rule: 'the same binding twice is one' }, async (t) => {
  const channel = await t.channel();
  const exchange = await channel.exchange(t.name('x'), 'direct', { autoDelete: true });
  const queue = await channel.queue('', { exclusive: true });
  await channel.bind(queue, exchange, 'k');
  await channel.bind(queue, exchange, 'k');
  channel.publish(exchange, 'k', 'once');
  await channel.settled(queue, 1);
  await channel.call('queue.unbind', { queue, exchange, routingKey: 'k' });
  await channel.refused('exchange.declare', { exchange, passive: true }, 404);
});

specTest({ section: 'queue.bind', rule: 'other arguments make another binding' }, async (t) => {
  const channel = await t.channel();
  const exchange = await channel.exchange(t.name('x'), 'direct', { autoDelete: true });
  const queue = await channel.queue('', { exclusive: true });
  await channel.bind(queue, exchange, 'k', { a: 1 });
  await channel.bind(queue, exchange, 'k', { a: 2 });
  channel.publish(exchange, 'k', 'one copy');
  await channel.settled(queue, 1);
  const gone = { queue, exchange, routingKey: 'k', arguments: { a: 1 } };
  await channel.call('queue.unbind', gone);
  channel.publish(exchange, 'k', 'still bound');
  await channel.settled(queue, 2);
});

specTest({ section: 'queue.bind', rule: 'no-wait sends no reply' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  const routingKey = t.name('k');
  channel.send('queue.bind', { queue, exchange: 'amq.direct', routingKey, noWait: true });
  channel.publish('amq.direct', routingKey, 'bound');
  expect((await channel.getSoon(queue)).body).toBe('bound');
});

specTest({ section: 'queue.unbind', rule: 'what is missing is fine' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  const none = { exchange: 'amq.direct', routingKey: 'k' };
  await channel.call('queue.unbind', { queue, ...none });
  await channel.call('queue.unbind', { queue: t.name(), ...none });
  await channel.call('queue.unbind', { queue, exchange: t.name('x'), routingKey: 'k' });
});

specTest({ section: 'queue.unbind', rule: 'stops the flow' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  const routingKey = t.name('k');
  await channel.bind(queue, 'amq.direct', routingKey);
  await channel.call('queue.unbind', { queue, exchange: 'amq.direct', routingKey });
  channel.publish('amq.direct', routingKey, 'x', {}, { mandatory: true });
  expect((await channel.returned()).replyCode).toBe(312);
});

specTest({ section: 'queue.purge', rule: 'counts and removes ready messages only' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  for (const body of ['a', 'b', 'c']) channel.publish('', queue, body);
  await channel.settled(queue, 3);
  await channel.get(queue, false);
  expect((await channel.call('queue.purge', { queue })).messageCount).toBe(2);
  channel.reject(1);
  expect((await channel.getSoon(queue)).body).toBe('a');
});

specTest({ section: 'queue.purge', rule: 'a missing queue gets 404' }, async (t) => {
  const channel = await t.channel();
  await channel.refused('queue.purge', { queue: t.name() }, 404, 'no queue');
});

specTest({ section: 'queue.delete', rule: 'a missing queue is fine, count 0' }, async (t) => {
  const channel = await t.channel();
  expect((await channel.call('queue.delete', { queue: t.name() })).messageCount).toBe(0);
});

specTest({ section: 'queue.delete', rule: 'returns the ready count' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  channel.publish('', queue, 'a');
  channel.publish('', queue, 'b');
  await channel.settled(queue, 2);
  expect((await channel.call('queue.delete', { queue })).messageCount).toBe(2);
});

specTest({ section: 'queue.delete', rule: 'if-unused with a consumer gets 406' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  await channel.consume(queue);
  await channel.refused('queue.delete', { queue, ifUnused: true }, 406, /in use$/);
});

specTest({ section: 'queue.delete', rule: 'if-empty with messages gets 406' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  channel.publish('', queue, 'a');
  await channel.settled(queue, 1);
  await channel.refused('queue.delete', { queue, ifEmpty: true }, 406, /not empty$/);
});

specTest({ section: 'queue.delete', rule: 'unacked tags become no-ops' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  channel.publish('', queue, 'a');
  const message = await channel.getSoon(queue, false);
  await channel.call('queue.delete', { queue });
  channel.ack(message.tag);
  await channel.sync();
});

specTest({ section: 'queue.delete', rule: 'the name is free at once' }, async (t) => {
  const channel = await t.channel();
  const queue = t.name();
  for (let round = 0; round < 5; round += 1) {
    await channel.queue(queue, { durable: round % 2 === 0 });
    await channel.call('queue.delete', { queue });
  }
});

specTest({ section: 'auto-delete', rule: 'the last cancel deletes it' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue(t.name(), { autoDelete: true });
  const first = await channel.consume(queue);
  const second = await channel.consume(queue);
  await channel.call('basic.cancel', { consumerTag: first });
  await channel.call('queue.declare', { queue, passive: true });
  await channel.call('basic.cancel', { consumerTag: second });
  await channel.refused('queue.declare', { queue, passive: true }, 404);
});

specTest({ section: 'auto-delete', rule: 'the end of the channel counts' }, async (t) => {
  const connection = await t.connect();
  const channel = await connection.channel();
  const queue = await channel.queue(t.name(), { autoDelete: true });
  await channel.consume(queue);
  await channel.close();
  const other = await connection.channel();
  await other.refused('queue.declare', { queue, passive: true }, 404);
});

specTest({ section: 'auto-delete', rule: 'never because of basic.get' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue(t.name(), { autoDelete: true });
  await channel.get(queue);
  await channel.call('queue.declare', { queue, passive: true });
  await channel.call('queue.delete', { queue });
});
