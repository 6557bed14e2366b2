import { expect } from 'vitest';
import { tagged, type WireTable } from '../support/amqp-wire.ts';
import { pause, useBroker } from '../support/spec-test.ts';

const { specTest } = useBroker();

specTest({ section: 'direct', rule: 'exact key only' }, async (t) => {
  const channel = await t.channel();
  const exchange = await channel.exchange(t.name('x'), 'direct', { autoDelete: true });
  const queue = await channel.queue('', { exclusive: true });
  await channel.bind(queue, exchange, 'a');
  for (const key of ['a', 'A', 'a.b', '', '#']) channel.publish(exchange, key, key);
  await channel.sync();
  expect((await channel.getSoon(queue)).body).toBe('a');
  expect(await channel.get(queue)).toBeUndefined();
});

specTest({ section: 'fanout', rule: 'every queue, any key' }, async (t) => {
  const channel = await t.channel();
  const exchange = await channel.exchange(t.name('x'), 'fanout', { autoDelete: true });
  const queues = [];
  for (let index = 0; index < 10; index += 1) {
    const queue = await channel.queue('', { exclusive: true });
    await channel.bind(queue, exchange, `k${index}`);
    queues.push(queue);
  }
  channel.publish(exchange, 'whatever', 'all');
  for (const queue of queues) expect((await channel.getSoon(queue)).body).toBe('all');
});

/** Pattern, keys that match, keys that do not. */
const TOPIC_MATRIX: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ['a.b.c', ['a.b.c'], ['a.b', 'a.b.c.d', 'a.b.C', '']],
  ['*', ['a'], ['', 'a.b']],
  ['#', ['', 'a', 'a.b', 'a.b.c', '..'], []],
  ['a.*', ['a.b', 'a.'], ['a', 'a.b.c', 'b.a']],
  ['*.a', ['b.a', '.a'], ['a', 'a.b']],
  ['a.#', ['a', 'a.b', 'a.b.c'], ['b', 'ab', 'b.a']],
  ['#.a', ['a', 'b.a', 'c.b.a'], ['a.b']],
  ['*.*', ['a.b', '.'], ['a', 'a.b.c']],
  ['*.#', ['a', 'a.b', 'a.b.c'], []],
  ['#.*', ['a', 'a.b'], []],
  ['a.#.b', ['a.b', 'a.x.b', 'a.x.y.b'], ['a', 'b', 'a.b.c']],
  ['a.*.#', ['a.b', 'a.b.c'], ['a']],
  ['#.#', ['', 'a', 'a.b.c'], []],
  ['#.a.#', ['a', 'b.a', 'a.b', 'x.a.y'], ['b', 'x.y']],
  ['*.b.*', ['a.b.c'], ['b', 'a.b', 'b.c', 'a.c.b']],
  ['a..b', ['a..b'], ['a.b', 'a.x.b']],
  ['a.b#', ['a.b#'], ['a.b', 'a.bc']],
];

for (const [pattern, matching, others] of TOPIC_MATRIX) {
  specTest({ section: 'topic', rule: `pattern ${pattern}` }, async (t) => {
    const channel = await t.channel();
    const exchange = await channel.exchange(t.name('x'), 'topic', { autoDelete: true });
    const queue = await channel.queue('', { exclusive: true });
    await channel.bind(queue, exchange, pattern);
    for (const key of [...matching, ...others]) channel.publish(exchange, key, `<${key}>`);
    channel.publish('', queue, 'end');
    const seen: string[] = [];
    for (;;) {
      const { body } = await channel.getSoon(queue);
      if (body === 'end') break;
      seen.push(body);
    }
    expect(seen).toEqual(matching.map((key) => `<${key}>`));
  });
}

specTest({ section: 'topic', rule: 'more than two # in a binding key get 406' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  await channel.bind(queue, 'amq.topic', `#.${queue}.#`);
  const args = { queue, exchange: 'amq.topic', routingKey: '#.#.#' };
  await channel.refused('queue.bind', args, 406, "'#' wildcards");
});

specTest({ section: 'topic', rule: 'many patterns at once, then unbound' }, async (t) => {
  const channel = await t.channel();
  const exchange = await channel.exchange(t.name('x'), 'topic');
  const all = await channel.queue('', { exclusive: true });
  const queues: string[] = [];
  await channel.bind(all, exchange, '#');
  for (let index = 0; index < 50; index += 1) {
    const queue = await channel.queue('', { exclusive: true });
    await channel.bind(queue, exchange, `device.${index}.*`);
    queues.push(queue);
  }
  for (let index = 0; index < 50; index += 1) channel.publish(exchange, `device.${index}.t`, 'x');
  await channel.settled(all, 50);
  for (const queue of queues) expect((await channel.counts(queue)).messages).toBe(1);
  for (const [index, queue] of queues.entries()) {
    await channel.call('queue.unbind', { queue, exchange, routingKey: `device.${index}.*` });
  }
  for (let index = 0; index < 50; index += 1) channel.publish(exchange, `device.${index}.t`, 'x');
  await channel.settled(all, 100);
  for (const queue of queues) expect((await channel.counts(queue)).messages).toBe(1);
  await channel.call('exchange.delete', { exchange });
});

/** Binding arguments, headers that match, headers that do not. */
const HEADERS_MATRIX: readonly (readonly [
  WireTable,
  readonly WireTable[],
  readonly WireTable[],
])[] = [
  [{ 'x-match': 'all', a: 1, b: 'x' }, [{ a: 1, b: 'x', c: 9 }], [{ a: 1 }, { a: 2, b: 'x' }, {}]],
  [{ a: 1 }, [{ a: 1 }], [{ a: 2 }, {}]],
  [{ 'x-match': 'any', a: 1, b: 'x' }, [{ a: 1 }, { b: 'x', a: 5 }], [{ a: 2, b: 'y' }, {}]],
  [{ 'x-match': 'all', 'x-tenant': 1, a: 1 }, [{ a: 1 }, { a: 1, 'x-tenant': 2 }], [{ a: 2 }]],
  [{ 'x-match': 'any', 'x-tenant': 1, a: 1 }, [{ a: 1 }], [{ 'x-tenant': 1 }]],
  [
    { 'x-match': 'all-with-x', 'x-tenant': 1, a: 1 },
    [{ a: 1, 'x-tenant': 1 }],
    [{ a: 1 }, { a: 1, 'x-tenant': 2 }],
  ],
  [{ 'x-match': 'any-with-x', 'x-tenant': 1, a: 1 }, [{ a: 1 }, { 'x-tenant': 1 }], [{ b: 1 }]],
  [{ 'x-match': 'all' }, [{}, { a: 1 }], []],
  [{ 'x-match': 'any' }, [], [{}, { a: 1 }]],
  [{ 'x-match': 'all', a: null }, [{ a: 1 }, { a: 'x' }, { a: null }], [{ b: 1 }, {}]],
  [{ 'x-match': 'all', a: true }, [{ a: true }], [{ a: false }, { a: 'true' }, { a: 1 }]],
  [{ 'x-match': 'all', a: 'x' }, [{ a: 'x' }], [{ a: 'X' }, { a: ['x'] }]],
];

for (const [args, matching, others] of HEADERS_MATRIX) {
  specTest({ section: 'headers', rule: `binding ${JSON.stringify(args)}` }, async (t) => {
    const channel = await t.channel();
    const exchange = await channel.exchange(t.name('x'), 'headers', { autoDelete: true });
    const queue = await channel.queue('', { exclusive: true });
    await channel.bind(queue, exchange, '', args);
    for (const headers of [...matching, ...others]) {
      channel.publish(exchange, 'any', JSON.stringify(headers), { headers });
    }
    channel.publish('', queue, 'end');
    const seen: string[] = [];
    for (;;) {
      const { body } = await channel.getSoon(queue);
      if (body === 'end') break;
      seen.push(body);
    }
    expect(seen).toEqual(matching.map((headers) => JSON.stringify(headers)));
  });
}

specTest({ section: 'headers', rule: 'integers match across their wire types' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  const key = t.name('h');
  await channel.bind(queue, 'amq.headers', '', { [key]: tagged('l', 5) });
  channel.publish('amq.headers', '', 'x', { headers: { [key]: tagged('I', 5) } });
  expect((await channel.getSoon(queue)).body).toBe('x');
});

specTest({ section: 'headers', rule: 'a message without headers' }, async (t) => {
  const channel = await t.channel();
  const exchange = await channel.exchange(t.name('x'), 'headers', { autoDelete: true });
  const queue = await channel.queue('', { exclusive: true });
  await channel.bind(queue, exchange, '', { 'x-match': 'all' });
  channel.publish(exchange, '', 'bare');
  expect((await channel.getSoon(queue)).body).toBe('bare');
});

for (const value of ['some', 5]) {
  specTest({ section: 'headers', rule: `x-match ${JSON.stringify(value)} gets 406` }, async (t) => {
    const channel = await t.channel();
    const queue = await channel.queue('', { exclusive: true });
    const args = { queue, exchange: 'amq.headers', arguments: { 'x-match': value } };
    await channel.refused('queue.bind', args, 406, /^PRECONDITION_FAILED - .*x-match/);
  });
}

// Consistent hash ------------------------------------------------------------------------------

const HASH = 'x-consistent-hash';

specTest(
  {
    section: HASH,
    rule: 'spreads by weight, the same key always alike',
    oursOnly: 'a plugin that the packaged peer does not enable',
  },
  async (t) => {
    const channel = await t.channel();
    const exchange = await channel.exchange(t.name('x'), HASH, { autoDelete: true });
    const queues: string[] = [];
    for (const weight of ['1', '1', '2']) {
      const queue = await channel.queue('', { exclusive: true });
      await channel.bind(queue, exchange, weight);
      queues.push(queue);
    }
    await channel.confirmSelect();
    for (let round = 0; round < 2; round += 1) {
      for (let index = 0; index < 2_000; index += 1) channel.publish(exchange, `key-${index}`, 'x');
    }
    await channel.confirmed(4_000);
    let total = 0;
    const counts: number[] = [];
    for (const queue of queues) {
      const { messages } = await channel.counts(queue);
      expect(messages % 2).toBe(0);
      counts.push(messages);
      total += messages;
    }
    expect(total).toBe(4_000);
    expect(counts[2]!).toBeGreaterThan(counts[0]!);
    expect(Math.min(...counts)).toBeGreaterThan(300);
  },
);

specTest(
  {
    section: HASH,
    rule: 'a binding key that is no weight gets 406',
    oursOnly: 'a plugin that the packaged peer does not enable',
  },
  async (t) => {
    const channel = await t.channel();
    const exchange = await channel.exchange(t.name('x'), HASH);
    const queue = await channel.queue('', { exclusive: true });
    const args = { queue, exchange, routingKey: 'heavy' };
    await channel.refused('queue.bind', args, 406, 'PRECONDITION_FAILED');
  },
);

for (const [what, args, properties] of [
  ['hash-header', { 'hash-header': 'tenant' }, { headers: { tenant: 'acme' } }],
  ['hash-property', { 'hash-property': 'correlation_id' }, { correlationId: 'acme' }],
] as const) {
  specTest(
    {
      section: HASH,
      rule: `${what} decides instead of the key`,
      oursOnly: 'a plugin that the packaged peer does not enable',
    },
    async (t) => {
      const channel = await t.channel();
      const exchange = await channel.exchange(t.name('x'), HASH, {
        autoDelete: true,
        arguments: args,
      });
      const queues: string[] = [];
      for (let index = 0; index < 4; index += 1) {
        const queue = await channel.queue('', { exclusive: true });
        await channel.bind(queue, exchange, '10');
        queues.push(queue);
      }
      await channel.confirmSelect();
      for (let index = 0; index < 100; index += 1) {
        channel.publish(exchange, `key-${index}`, 'x', properties);
      }
      await channel.confirmed(100);
      const counts = [];
      for (const queue of queues) counts.push((await channel.counts(queue)).messages);
      expect(counts.sort()).toEqual([0, 0, 0, 100]);
    },
  );
}

// Delayed messages -----------------------------------------------------------------------------

const DELAYED = 'x-delayed-message';
const DELAYED_PLUGIN = 'RabbitMQ 4.3.6 has no delayed-message type';

specTest(
  { section: DELAYED, rule: 'x-delay holds a message back', oursOnly: DELAYED_PLUGIN },
  async (t) => {
    const channel = await t.channel();
    const exchange = await channel.exchange(t.name('x'), DELAYED, {
      autoDelete: true,
      arguments: { 'x-delayed-type': 'direct' },
    });
    const queue = await channel.queue('', { exclusive: true });
    await channel.bind(queue, exchange, 'k');
    await channel.consume(queue, { noAck: true });
    const startedAt = Date.now();
    channel.publish(exchange, 'k', 'late', { headers: { 'x-delay': 1_200 } });
    channel.publish(exchange, 'k', 'sooner', { headers: { 'x-delay': 500 } });
    channel.publish(exchange, 'k', 'now');
    const [now, sooner, late] = await channel.deliveries(3);
    expect([now!.body, sooner!.body, late!.body]).toEqual(['now', 'sooner', 'late']);
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(1_190);
  },
);

specTest(
  { section: DELAYED, rule: 'the inner type routes', oursOnly: DELAYED_PLUGIN },
  async (t) => {
    const channel = await t.channel();
    const exchange = await channel.exchange(t.name('x'), DELAYED, {
      autoDelete: true,
      arguments: { 'x-delayed-type': 'topic' },
    });
    const queue = await channel.queue('', { exclusive: true });
    await channel.bind(queue, exchange, 'a.*');
    channel.publish(exchange, 'a.b', 'yes', { headers: { 'x-delay': 50 } });
    channel.publish(exchange, 'b.b', 'no', { headers: { 'x-delay': 50 } });
    expect((await channel.getSoon(queue)).body).toBe('yes');
    await pause(100);
    expect(await channel.get(queue)).toBeUndefined();
  },
);

specTest(
  { section: DELAYED, rule: 'CC and BCC route with the key', oursOnly: DELAYED_PLUGIN },
  async (t) => {
    const channel = await t.channel();
    const exchange = await channel.exchange(t.name('x'), DELAYED, {
      autoDelete: true,
      arguments: { 'x-delayed-type': 'direct' },
    });
    const headers = { 'x-delay': 50, CC: ['cc'], BCC: ['bcc'] };
    const queues: string[] = [];
    for (const key of ['k', 'cc', 'bcc']) {
      const queue = await channel.queue('', { exclusive: true });
      await channel.bind(queue, exchange, key);
      queues.push(queue);
    }
    channel.publish(exchange, 'k', 'x', { headers });
    for (const queue of queues) {
      const message = await channel.getSoon(queue);
      expect(message.headers).toEqual({ 'x-delay': -50, CC: ['cc'] });
    }
  },
);

specTest(
  { section: DELAYED, rule: 'x-delayed-type is required', oursOnly: DELAYED_PLUGIN },
  async (t) => {
    const channel = await t.channel();
    const args = { exchange: t.name('x'), type: DELAYED };
    await channel.refused('exchange.declare', args, 406, 'PRECONDITION_FAILED');
  },
);

for (const type of ['x-modulus-hash', 'x-random', 'x-local-random']) {
  specTest(
    {
      section: type,
      rule: 'sends each message to one queue',
      ...(type === 'x-random' ? { oursOnly: 'a plugin that the packaged peer lacks' } : {}),
    },
    async (t) => {
      const channel = await t.channel();
      const exchange = await channel.exchange(t.name('x'), type, { autoDelete: true });
      const queues = [
        await channel.queue('', { exclusive: true }),
        await channel.queue('', { exclusive: true }),
      ];
      for (const queue of queues) await channel.bind(queue, exchange, '');
      await channel.confirmSelect();
      for (let index = 0; index < 100; index += 1) channel.publish(exchange, `k${index}`, 'x');
      await channel.confirmed(100);
      let total = 0;
      for (const queue of queues) total += (await channel.counts(queue)).messages;
      expect(total).toBe(100);
    },
  );
}
