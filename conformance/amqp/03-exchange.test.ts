import { expect } from 'vitest';
import { useBroker } from '../support/spec-test.ts';

const { specTest } = useBroker();

specTest({ section: 'exchange.declare', rule: 'the four standard types' }, async (t) => {
  const channel = await t.channel();
  for (const type of ['direct', 'fanout', 'topic', 'headers']) {
    const exchange = await channel.exchange(t.name('x'), type, { autoDelete: true });
    await channel.call('exchange.delete', { exchange });
  }
});

specTest(
  { section: 'exchange.declare', rule: 'predeclared exchanges exist, durable' },
  async (t) => {
    const channel = await t.channel();
    for (const [exchange, type] of [
      ['amq.direct', 'direct'],
      ['amq.fanout', 'fanout'],
      ['amq.topic', 'topic'],
      ['amq.headers', 'headers'],
      ['amq.match', 'headers'],
    ] as const) {
      await channel.call('exchange.declare', { exchange, type, durable: true });
      await channel.call('exchange.declare', { exchange, passive: true });
    }
    const trace = { exchange: 'amq.rabbitmq.trace', type: 'topic', durable: true, internal: true };
    await channel.call('exchange.declare', trace);
  },
);

specTest({ section: 'exchange.declare', rule: 'an unknown type gets 406' }, async (t) => {
  const channel = await t.channel();
  const args = { exchange: t.name('x'), type: 'no-such' };
  await channel.refused(
    'exchange.declare',
    args,
    406,
    "PRECONDITION_FAILED - unknown exchange type 'no-such'",
  );
});

specTest(
  { section: 'exchange.declare', rule: 'the type is checked before the name' },
  async (t) => {
    const channel = await t.channel();
    const args = { exchange: 'amq.direct', type: 'no-such' };
    await channel.refused('exchange.declare', args, 406, 'unknown exchange type');
  },
);

specTest({ section: 'exchange.declare', rule: 'passive: a missing one gets 404' }, async (t) => {
  const channel = await t.channel();
  const exchange = t.name('x');
  await channel.refused(
    'exchange.declare',
    { exchange, passive: true },
    404,
    new RegExp(`^NOT_FOUND - no exchange '${exchange}' in vhost '/?`),
  );
});

specTest({ section: 'exchange.declare', rule: 'passive ignores type and flags' }, async (t) => {
  const channel = await t.channel();
  await channel.call('exchange.declare', {
    exchange: 'amq.direct',
    type: 'fanout',
    passive: true,
    autoDelete: true,
  });
});

for (const [what, change, key] of [
  ['type', { type: 'fanout' }, "inequivalent arg 'type'"],
  ['durable', { durable: true }, "inequivalent arg 'durable'"],
  ['auto_delete', { autoDelete: false }, "inequivalent arg 'auto_delete'"],
  ['internal', { internal: true }, "inequivalent arg 'internal'"],
  [
    'alternate-exchange',
    { arguments: { 'alternate-exchange': 'amq.fanout' } },
    "inequivalent arg 'alternate-exchange'",
  ],
] as const) {
  specTest({ section: 'exchange.declare', rule: `another ${what} gets 406` }, async (t) => {
    const channel = await t.channel();
    const exchange = await channel.exchange(t.name('x'), 'direct', { autoDelete: true });
    const args = { exchange, type: 'direct', autoDelete: true, ...change };
    await channel.refused('exchange.declare', args, 406, key);
  });
}

specTest(
  { section: 'exchange.declare', rule: 'unknown arguments do not count in equivalence' },
  async (t) => {
    const channel = await t.channel();
    const exchange = await channel.exchange(t.name('x'), 'direct', { autoDelete: true });
    await channel.exchange(exchange, 'direct', {
      autoDelete: true,
      arguments: { 'x-nonsense': 'whatever' },
    });
  },
);

specTest({ section: 'exchange.declare', rule: 'new names under amq. get 403' }, async (t) => {
  const channel = await t.channel();
  const args = { exchange: `amq.${t.name()}`, type: 'direct' };
  await channel.refused(
    'exchange.declare',
    args,
    403,
    /^ACCESS_REFUSED - exchange name 'amq\..*' contains reserved prefix 'amq\.\*'$/,
  );
});

specTest({ section: 'exchange.declare', rule: 'the default exchange gets 403' }, async (t) => {
  for (const passive of [false, true]) {
    const channel = await t.channel();
    const args = { exchange: '', type: 'direct', passive };
    await channel.refused(
      'exchange.declare',
      args,
      403,
      'ACCESS_REFUSED - operation not permitted on the default exchange',
    );
  }
});

specTest({ section: 'exchange.declare', rule: 'CR and LF are stripped from names' }, async (t) => {
  const channel = await t.channel();
  const name = t.name('x');
  await channel.exchange(`\r\n${name}\n`, 'direct', { autoDelete: true });
  await channel.call('exchange.declare', { exchange: name, passive: true });
  await channel.call('exchange.delete', { exchange: name });
});

specTest({ section: 'exchange.declare', rule: 'no-wait sends no reply' }, async (t) => {
  const channel = await t.channel();
  const exchange = t.name('x');
  channel.send('exchange.declare', { exchange, type: 'direct', autoDelete: true, noWait: true });
  await channel.expectNothing(50);
  await channel.call('exchange.declare', { exchange, passive: true });
  await channel.call('exchange.delete', { exchange });
});

specTest({ section: 'exchange.declare', rule: 'no-wait errors still close' }, async (t) => {
  const channel = await t.channel();
  const args = { exchange: t.name('x'), type: 'no-such', noWait: true };
  await channel.refused('exchange.declare', args, 406);
});

specTest(
  { section: 'exchange.declare', rule: 'alternate-exchange must be a string' },
  async (t) => {
    const channel = await t.channel();
    const args = {
      exchange: t.name('x'),
      type: 'direct',
      arguments: { 'alternate-exchange': 5 },
    };
    await channel.refused(
      'exchange.declare',
      args,
      406,
      /invalid type 'signedint' for arg 'alternate-exchange' in exchange '/,
    );
  },
);

specTest({ section: 'exchange.declare', rule: 'names of 127 bytes work' }, async (t) => {
  const channel = await t.channel();
  const exchange = t.name('x').padEnd(127, 'z');
  await channel.exchange(exchange, 'topic', { autoDelete: true });
  await channel.call('exchange.delete', { exchange });
});

specTest({ section: 'exchange.delete', rule: 'a missing exchange is fine' }, async (t) => {
  const channel = await t.channel();
  await channel.call('exchange.delete', { exchange: t.name('x') });
});

specTest({ section: 'exchange.delete', rule: 'amq.* gets 403' }, async (t) => {
  const channel = await t.channel();
  await channel.refused('exchange.delete', { exchange: 'amq.direct' }, 403, 'ACCESS_REFUSED');
});

specTest({ section: 'exchange.delete', rule: 'the default exchange gets 403' }, async (t) => {
  const channel = await t.channel();
  await channel.refused(
    'exchange.delete',
    { exchange: '' },
    403,
    'operation not permitted on the default exchange',
  );
});

specTest({ section: 'exchange.delete', rule: 'if-unused with bindings gets 406' }, async (t) => {
  const channel = await t.channel();
  const exchange = await channel.exchange(t.name('x'), 'direct');
  const queue = await channel.queue('', { exclusive: true });
  await channel.bind(queue, exchange, 'k');
  const connection = channel.connection;
  await channel.refused('exchange.delete', { exchange, ifUnused: true }, 406, /in use$/);
  await (await connection.channel()).call('exchange.delete', { exchange });
});

specTest(
  { section: 'exchange.delete', rule: 'if-unused counts bindings as source only' },
  async (t) => {
    const channel = await t.channel();
    const exchange = await channel.exchange(t.name('x'), 'direct');
    const args = { destination: exchange, source: 'amq.direct', routingKey: t.name('k') };
    await channel.call('exchange.bind', args);
    await channel.call('exchange.delete', { exchange, ifUnused: true });
  },
);

specTest({ section: 'exchange.delete', rule: 'bindings go with it' }, async (t) => {
  const channel = await t.channel();
  const exchange = await channel.exchange(t.name('x'), 'fanout');
  const queue = await channel.queue('', { exclusive: true });
  await channel.bind(queue, exchange);
  await channel.call('exchange.delete', { exchange });
  await channel.exchange(exchange, 'fanout');
  channel.publish(exchange, '', 'lost', {}, { mandatory: true });
  expect((await channel.returned()).body).toBe('lost');
  await channel.call('exchange.delete', { exchange });
});

specTest({ section: 'exchange.delete', rule: 'no-wait sends no reply' }, async (t) => {
  const channel = await t.channel();
  const exchange = await channel.exchange(t.name('x'), 'fanout');
  channel.send('exchange.delete', { exchange, noWait: true });
  await channel.refused('exchange.declare', { exchange, passive: true }, 404);
});

specTest({ section: 'auto-delete', rule: 'goes with the last binding, not before' }, async (t) => {
  const channel = await t.channel();
  const exchange = await channel.exchange(t.name('x'), 'direct', { autoDelete: true });
  const queue = await channel.queue('', { exclusive: true });
  await channel.bind(queue, exchange, 'a');
  await channel.bind(queue, exchange, 'b');
  await channel.call('queue.unbind', { queue, exchange, routingKey: 'a' });
  await channel.call('exchange.declare', { exchange, passive: true });
  await channel.call('queue.unbind', { queue, exchange, routingKey: 'b' });
  await channel.refused('exchange.declare', { exchange, passive: true }, 404);
});

specTest({ section: 'auto-delete', rule: 'goes when its last bound queue goes' }, async (t) => {
  const channel = await t.channel();
  const exchange = await channel.exchange(t.name('x'), 'direct', { autoDelete: true });
  const queue = await channel.queue('', { exclusive: true });
  await channel.bind(queue, exchange, 'a');
  await channel.call('queue.delete', { queue });
  await channel.refused('exchange.declare', { exchange, passive: true }, 404);
});

specTest({ section: 'auto-delete', rule: 'cascades through exchange bindings' }, async (t) => {
  const channel = await t.channel();
  const first = await channel.exchange(t.name('x'), 'fanout', { autoDelete: true });
  const second = await channel.exchange(t.name('x'), 'fanout', { autoDelete: true });
  const queue = await channel.queue('', { exclusive: true });
  await channel.call('exchange.bind', { destination: second, source: first });
  await channel.bind(queue, second);
  await channel.call('queue.delete', { queue });
  const connection = channel.connection;
  await channel.refused('exchange.declare', { exchange: second, passive: true }, 404);
  const other = await connection.channel();
  await other.refused('exchange.declare', { exchange: first, passive: true }, 404);
});

specTest({ section: 'auto-delete', rule: 'never when never bound' }, async (t) => {
  const channel = await t.channel();
  const exchange = await channel.exchange(t.name('x'), 'direct', { autoDelete: true });
  channel.publish(exchange, 'k', 'x');
  await channel.call('exchange.declare', { exchange, passive: true });
  await channel.call('exchange.delete', { exchange });
});

specTest({ section: 'internal', rule: 'publishing to it gets 403' }, async (t) => {
  const channel = await t.channel();
  const exchange = await channel.exchange(t.name('x'), 'fanout', {
    internal: true,
    autoDelete: true,
  });
  channel.publish(exchange, '', 'no');
  await channel.expectClose(403, /^ACCESS_REFUSED - cannot publish to internal exchange '/);
});

specTest({ section: 'internal', rule: 'routes what another exchange sends it' }, async (t) => {
  const channel = await t.channel();
  const inner = await channel.exchange(t.name('x'), 'fanout', { internal: true });
  const outer = await channel.exchange(t.name('x'), 'fanout');
  await channel.call('exchange.bind', { destination: inner, source: outer });
  const queue = await channel.queue('', { exclusive: true });
  await channel.bind(queue, inner);
  channel.publish(outer, '', 'through');
  expect((await channel.getSoon(queue)).body).toBe('through');
  await channel.call('exchange.delete', { exchange: inner });
  await channel.call('exchange.delete', { exchange: outer });
});
