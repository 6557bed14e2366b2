/** Where features meet, and answers that few programs ever see: all as RabbitMQ 4.3 has them. */
import { expect } from 'vitest';
import { tagged, type WireTable } from '../support/amqp-wire.ts';
import { pause, type SpecContext, useBroker } from '../support/spec-test.ts';
import type { WireChannel } from '../support/wire-client.ts';

const { specTest } = useBroker();

/** A channel and an exclusive queue with these arguments. */
async function featured(t: SpecContext, args: WireTable): Promise<[WireChannel, string]> {
  const channel = await t.channel();
  return [channel, await channel.queue(t.name(), { exclusive: true, arguments: args })];
}

specTest(
  { section: 'basic.get', rule: 'a quorum queue keeps to its active consumer' },
  async (t) => {
    const channel = await t.channel();
    const queue = await channel.queue(t.name(), {
      durable: true,
      arguments: { 'x-queue-type': 'quorum', 'x-single-active-consumer': true },
    });
    await channel.refused(
      'basic.get',
      { queue },
      405,
      /cannot obtain access to locked queue '.*' in vhost '.*'\. basic\.get operations are not supp/,
    );
    await (await t.channel()).call('queue.delete', { queue });
  },
);

specTest(
  { section: 'consumer priorities', rule: 'meet prefetch: what one has no room for goes down' },
  async (t) => {
    const [channel, queue] = await featured(t, {});
    await channel.call('basic.qos', { prefetchCount: 2 });
    const consume = async (consumerTag: string, priority: number): Promise<void> => {
      await channel.consume(queue, { consumerTag, arguments: { 'x-priority': priority } });
    };
    await consume('low', -1);
    await consume('high', 7);
    await consume('middle', 0);
    for (let index = 0; index < 6; index += 1) channel.publish('', queue, `${index}`);
    const first = await channel.deliveries(6);
    expect(first.map(({ consumerTag }) => consumerTag)).toEqual([
      'high',
      'high',
      'middle',
      'middle',
      'low',
      'low',
    ]);
    channel.ack(first[5]!.tag);
    channel.ack(first[1]!.tag);
    await channel.sync();
    channel.publish('', queue, '6');
    channel.publish('', queue, '7');
    const second = await channel.deliveries(2);
    expect(second.map(({ consumerTag }) => consumerTag)).toEqual(['high', 'low']);
  },
);

for (const args of [
  { 'x-max-length': tagged('s', 5) },
  { 'x-max-length': tagged('u', 5) },
  { 'x-max-length': tagged('b', 5) },
  { 'x-max-length': tagged('B', 5) },
  { 'x-max-length': tagged('I', 5) },
  { 'x-max-length': tagged('i', 5) },
  { 'x-max-length': tagged('l', 5) },
]) {
  const tag = args['x-max-length'].tag;
  specTest({ section: 'queue.declare', rule: `5 as '${tag}' is 5` }, async (t) => {
    const [channel, queue] = await featured(t, { 'x-max-length': tagged('l', 5) });
    await channel.queue(queue, { exclusive: true, arguments: args });
    const [other, typed] = await featured(t, args);
    await other.queue(typed, { exclusive: true, arguments: { 'x-max-length': 5 } });
    for (let index = 0; index < 7; index += 1) other.publish('', typed, 'x');
    await other.settled(typed, 5);
  });
}

for (const [what, value] of [
  ['a double', tagged('d', 5)],
  ['text', '5'],
  ['a truth', true],
  ['nothing', null],
] as const) {
  specTest({ section: 'queue.declare', rule: `5 as ${what} is not 5` }, async (t) => {
    const [channel, queue] = await featured(t, { 'x-max-length': 5 });
    const args = { queue, exclusive: true, arguments: { 'x-max-length': value } };
    await channel.refused('queue.declare', args, 406, /inequivalent arg 'x-max-length'/);
  });
}

specTest({ section: 'x-max-priority', rule: 'what is above counts as the highest' }, async (t) => {
  const [channel, queue] = await featured(t, { 'x-max-priority': 3 });
  for (const [body, priority] of [
    ['a', 3],
    ['b', 255],
    ['c', 2],
    ['d', 4],
  ] as const) {
    channel.publish('', queue, body, { priority });
  }
  await channel.settled(queue, 4);
  const got = [];
  for (let index = 0; index < 4; index += 1) got.push(await channel.getSoon(queue));
  expect(got.map(({ body }) => body)).toEqual(['a', 'b', 'd', 'c']);
  expect(got[1]!.properties.priority).toBe(255);
});

specTest(
  { section: 'expiration', rule: '0 reaches who waits, and dies where nobody does' },
  async (t) => {
    const channel = await t.channel();
    const dead = await channel.queue('', { exclusive: true });
    const queue = await channel.queue(t.name(), {
      exclusive: true,
      arguments: { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': dead },
    });
    channel.publish('', queue, 'nobody', { expiration: '0' });
    const { body, headers } = await channel.getSoon(dead);
    expect([body, headers['x-first-death-reason']]).toEqual(['nobody', 'expired']);
    await channel.consume(queue, { noAck: true });
    channel.publish('', queue, 'somebody', { expiration: '0' });
    expect((await channel.delivery()).body).toBe('somebody');
  },
);

specTest({ section: 'expiration', rule: 'ends a message at the head only' }, async (t) => {
  const channel = await t.channel();
  const dead = await channel.queue('', { exclusive: true });
  const queue = await channel.queue(t.name(), {
    exclusive: true,
    arguments: { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': dead },
  });
  channel.publish('', queue, 'stays');
  channel.publish('', queue, 'ends', { expiration: '300' });
  await channel.settled(queue, 2);
  await pause(1_000);
  expect((await channel.counts(queue)).messages).toBe(2);
  expect((await channel.counts(dead)).messages).toBe(0);
  expect((await channel.getSoon(queue)).body).toBe('stays');
  expect((await channel.getSoon(dead)).body).toBe('ends');
  expect(await channel.get(queue)).toBeUndefined();
});

specTest(
  { section: 'x-death', rule: 'three queues in a ring: a row each, counted by round' },
  async (t) => {
    const channel = await t.channel();
    const names = [t.name(), t.name(), t.name()];
    for (const [at, name] of names.entries()) {
      await channel.queue(name, {
        exclusive: true,
        arguments: {
          'x-dead-letter-exchange': '',
          'x-dead-letter-routing-key': names[(at + 1) % names.length],
        },
      });
    }
    channel.publish('', names[0]!, 'round and round', { headers: { mine: 1 } });
    for (let step = 0; step < 7; step += 1) {
      const { tag } = await channel.getSoon(names[step % names.length]!, false);
      channel.reject(tag, false);
    }
    const { headers } = await channel.getSoon(names[1]!);
    const rows = headers['x-death'] as { queue: string; count: bigint | number; reason: string }[];
    expect(rows.map(({ queue, count, reason }) => [queue, Number(count), reason])).toEqual([
      [names[0], 3, 'rejected'],
      [names[2], 2, 'rejected'],
      [names[1], 2, 'rejected'],
    ]);
    expect(headers).toMatchObject({
      mine: 1,
      'x-first-death-queue': names[0],
      'x-last-death-queue': names[0],
    });
  },
);

specTest(
  { section: 'x-max-length', rule: 'what comes back above the limit is dropped' },
  async (t) => {
    const [channel, queue] = await featured(t, { 'x-max-length': 2 });
    for (const body of ['1', '2']) channel.publish('', queue, body);
    await channel.settled(queue, 2);
    const held = [await channel.getSoon(queue, false), await channel.getSoon(queue, false)];
    for (const body of ['3', '4', '5']) channel.publish('', queue, body);
    await channel.settled(queue, 2);
    channel.nack(held[1]!.tag, { multiple: true });
    await channel.settled(queue, 2);
    const left = [await channel.getSoon(queue), await channel.getSoon(queue)];
    expect(left.map(({ body }) => body)).toEqual(['4', '5']);
  },
);

specTest(
  { section: 'basic.recover', rule: 'gives back all a channel holds, in order, marked' },
  async (t) => {
    const [channel, queue] = await featured(t, {});
    for (let index = 0; index < 6; index += 1) channel.publish('', queue, `${index}`);
    await channel.settled(queue, 6);
    const got = [];
    for (let index = 0; index < 4; index += 1) got.push(await channel.getSoon(queue, false));
    channel.ack(got[1]!.tag);
    await channel.call('basic.recover', { requeue: true });
    await channel.consume(queue, { noAck: true });
    const again = await channel.deliveries(5);
    expect(again.map(({ body, redelivered }) => [body, redelivered])).toEqual([
      ['0', true],
      ['2', true],
      ['3', true],
      ['4', false],
      ['5', false],
    ]);
  },
);

specTest(
  { section: 'tx', rule: 'returns what has no route, in order, before commit-ok' },
  async (t) => {
    const [channel, queue] = await featured(t, {});
    await channel.call('tx.select');
    const mandatory = { mandatory: true };
    channel.publish('', t.name(), 'lost 1', {}, mandatory);
    channel.publish('', queue, 'kept', {}, mandatory);
    channel.publish('amq.direct', t.name(), 'lost 2', {}, mandatory);
    channel.publish('', t.name(), 'lost quietly');
    await channel.expectNothing(100);
    channel.send('tx.commit');
    const returned = [await channel.returned(), await channel.returned()];
    expect(returned.map(({ body, replyCode }) => [body, replyCode])).toEqual([
      ['lost 1', 312],
      ['lost 2', 312],
    ]);
    await channel.expect('tx.commit-ok');
    expect((await channel.getSoon(queue)).body).toBe('kept');
  },
);

/** Binding arguments, headers that match, headers that do not. */
const HEADERS: readonly (readonly [string, unknown, readonly unknown[], readonly unknown[]])[] = [
  ['a list', ['x', 1], [['x', 1]], [[1, 'x'], ['x'], 'x', []]],
  ['a table', { a: 1 }, [{ a: 1 }], [{ a: 2 }, {}, { a: 1, b: 1 }]],
  [
    'bytes that are the text',
    'abc',
    [tagged('x', Buffer.from('abc'))],
    [tagged('x', Buffer.from('ab'))],
  ],
  ['a float', tagged('d', 1.5), [tagged('d', 1.5), tagged('f', 1.5)], [1, '1.5']],
];

for (const [what, wanted, matching, others] of HEADERS) {
  specTest({ section: 'headers', rule: `${what} in a binding` }, async (t) => {
    const channel = await t.channel();
    const exchange = await channel.exchange(t.name('x'), 'headers', { autoDelete: true });
    const queue = await channel.queue('', { exclusive: true });
    await channel.bind(queue, exchange, '', { 'x-match': 'all', a: wanted });
    for (const a of others) channel.publish(exchange, '', 'other', { headers: { a } });
    for (const a of matching) channel.publish(exchange, '', 'match', { headers: { a } });
    channel.publish('', queue, 'end');
    const seen: string[] = [];
    for (let body = ''; body !== 'end'; seen.push(body)) ({ body } = await channel.getSoon(queue));
    expect(seen).toEqual([...matching.map(() => 'match'), 'end']);
  });
}

specTest(
  { section: 'exchange.bind', rule: 'two cycles through one exchange deliver once' },
  async (t) => {
    const channel = await t.channel();
    const [hub, one, two] = [t.name('x'), t.name('x'), t.name('x')];
    for (const name of [hub, one, two]) {
      await channel.exchange(name, 'fanout', { autoDelete: false });
    }
    const queue = await channel.queue('', { exclusive: true });
    for (const [source, destination] of [
      [hub, one],
      [one, hub],
      [hub, two],
      [two, hub],
      [one, two],
    ] as const) {
      await channel.call('exchange.bind', { source, destination });
    }
    for (const exchange of [hub, one, two]) await channel.bind(queue, exchange);
    channel.publish(two, '', 'once');
    channel.publish('', queue, 'end');
    expect((await channel.getSoon(queue)).body).toBe('once');
    expect((await channel.getSoon(queue)).body).toBe('end');
    for (const exchange of [hub, one, two]) await channel.call('exchange.delete', { exchange });
  },
);
