import { expect } from 'vitest';
import type { WireTable } from '../support/amqp-wire.ts';
import { pause, useBroker, type SpecContext } from '../support/spec-test.ts';
import type { WireChannel } from '../support/wire-client.ts';

const { specTest } = useBroker();

/** An exclusive queue with arguments, on a channel of its own. */
async function featured(t: SpecContext, args: WireTable): Promise<[WireChannel, string]> {
  const channel = await t.channel();
  const queue = await channel.queue(t.name(), { exclusive: true, arguments: args });
  return [channel, queue];
}

async function bodies(channel: WireChannel, queue: string): Promise<string[]> {
  const list: string[] = [];
  for (;;) {
    const message = await channel.get(queue);
    if (!message) return list;
    list.push(message.body);
  }
}

type Death = {
  queue: string;
  reason: string;
  count: number;
  exchange: string;
  'routing-keys': string[];
  time: { timestamp: number };
  'original-expiration'?: string;
};

// Time to live ---------------------------------------------------------------------------------

specTest({ section: 'x-message-ttl', rule: 'expired messages are never delivered' }, async (t) => {
  const [channel, queue] = await featured(t, { 'x-message-ttl': 4_000 });
  channel.publish('', queue, 'old');
  await channel.settled(queue, 1);
  await pause(4_200);
  channel.publish('', queue, 'new');
  expect((await channel.getSoon(queue)).body).toBe('new');
});

specTest({ section: 'x-message-ttl', rule: 'expired messages leave the count' }, async (t) => {
  const [channel, queue] = await featured(t, { 'x-message-ttl': 4_000 });
  for (let index = 0; index < 10; index += 1) channel.publish('', queue, 'x');
  await channel.settled(queue, 10);
  await channel.settled(queue, 0);
});

specTest({ section: 'x-message-ttl', rule: '0 expires unless deliverable at once' }, async (t) => {
  const [channel, queue] = await featured(t, { 'x-message-ttl': 0 });
  channel.publish('', queue, 'nobody');
  await channel.settled(queue, 0);
  await channel.consume(queue, { noAck: true });
  channel.publish('', queue, 'somebody');
  expect((await channel.delivery()).body).toBe('somebody');
});

specTest(
  { section: 'x-message-ttl', rule: 'the original expiry holds after a requeue' },
  async (t) => {
    const [channel, queue] = await featured(t, { 'x-message-ttl': 4_000 });
    channel.publish('', queue, 'x');
    const message = await channel.getSoon(queue, false);
    await pause(2_500);
    channel.reject(message.tag, true);
    await pause(2_500);
    expect(await channel.get(queue)).toBeUndefined();
  },
);

specTest(
  { section: 'x-message-ttl', rule: 'a message held by a consumer does not expire' },
  async (t) => {
    const [channel, queue] = await featured(t, { 'x-message-ttl': 4_000 });
    channel.publish('', queue, 'x');
    const message = await channel.getSoon(queue, false);
    await pause(4_300);
    channel.ack(message.tag);
    await channel.sync();
  },
);

specTest({ section: 'expiration', rule: 'is per message; the smaller one wins' }, async (t) => {
  const [channel, queue] = await featured(t, { 'x-message-ttl': 60_000 });
  channel.publish('', queue, 'short', { expiration: '4000' });
  await channel.settled(queue, 1);
  await channel.settled(queue, 0);
  const [, other] = await featured(t, { 'x-message-ttl': 100 });
  expect(other).toBeTypeOf('string');
});

specTest({ section: 'expiration', rule: 'the property is delivered as sent' }, async (t) => {
  const [channel, queue] = await featured(t, {});
  channel.publish('', queue, 'x', { expiration: '60000' });
  expect((await channel.getSoon(queue)).properties.expiration).toBe('60000');
});

specTest({ section: 'x-expires', rule: 'an unused queue goes' }, async (t) => {
  const [channel, queue] = await featured(t, { 'x-expires': 200 });
  await pause(3_000);
  await channel.refused('queue.declare', { queue, passive: true }, 404);
});

specTest({ section: 'x-expires', rule: 'a consumer keeps it' }, async (t) => {
  const [channel, queue] = await featured(t, { 'x-expires': 3_000 });
  const consumerTag = await channel.consume(queue);
  await pause(4_000);
  await channel.call('basic.cancel', { consumerTag });
  await pause(5_000);
  await channel.refused('queue.declare', { queue, passive: true }, 404);
});

specTest({ section: 'x-expires', rule: 'redeclaring and basic.get renew it' }, async (t) => {
  const [channel, queue] = await featured(t, { 'x-expires': 5_000 });
  for (let round = 0; round < 4; round += 1) {
    await pause(1_500);
    if (round % 2 === 0) await channel.get(queue);
    else await channel.queue(queue, { exclusive: true, arguments: { 'x-expires': 5_000 } });
  }
  await channel.get(queue);
});

// Length ---------------------------------------------------------------------------------------

specTest({ section: 'x-max-length', rule: 'the oldest ready message is dropped' }, async (t) => {
  const [channel, queue] = await featured(t, { 'x-max-length': 3 });
  for (const body of ['a', 'b', 'c', 'd', 'e']) channel.publish('', queue, body);
  await channel.settled(queue, 3);
  expect(await bodies(channel, queue)).toEqual(['c', 'd', 'e']);
});

specTest({ section: 'x-max-length', rule: 'unacked messages do not count' }, async (t) => {
  const [channel, queue] = await featured(t, { 'x-max-length': 2 });
  channel.publish('', queue, 'a');
  channel.publish('', queue, 'b');
  await channel.settled(queue, 2);
  await channel.get(queue, false);
  await channel.get(queue, false);
  for (const body of ['c', 'd', 'e']) channel.publish('', queue, body);
  expect((await channel.getSoon(queue)).body).toBe('d');
  expect(await bodies(channel, queue)).toEqual(['e']);
});

specTest({ section: 'x-max-length', rule: '0 keeps nothing but still delivers' }, async (t) => {
  const [channel, queue] = await featured(t, { 'x-max-length': 0 });
  channel.publish('', queue, 'dropped');
  await channel.settled(queue, 0);
  await channel.consume(queue, { noAck: true });
  channel.publish('', queue, 'passed');
  expect((await channel.delivery()).body).toBe('passed');
});

specTest({ section: 'x-max-length-bytes', rule: 'counts body bytes' }, async (t) => {
  const [channel, queue] = await featured(t, { 'x-max-length-bytes': 100 });
  for (const body of ['a', 'b', 'c', 'd']) channel.publish('', queue, body.repeat(30));
  await channel.settled(queue, 3);
  expect((await channel.getSoon(queue)).body[0]).toBe('b');
});

specTest({ section: 'x-max-length', rule: 'works together with bytes' }, async (t) => {
  const [channel, queue] = await featured(t, { 'x-max-length': 10, 'x-max-length-bytes': 50 });
  for (let index = 0; index < 20; index += 1) channel.publish('', queue, `${index}`.padEnd(10));
  await channel.settled(queue, 5);
});

specTest({ section: 'x-overflow', rule: 'reject-publish keeps the old ones' }, async (t) => {
  const args = { 'x-max-length': 2, 'x-overflow': 'reject-publish' };
  const [channel, queue] = await featured(t, args);
  await channel.confirmSelect();
  for (const body of ['a', 'b', 'c', 'd']) {
    channel.publish('', queue, body);
    await channel.confirmed(1).catch(() => undefined);
    await channel.sync();
  }
  const left = await bodies(channel, queue);
  expect(left.slice(0, 2)).toEqual(['a', 'b']);
  expect(left.length).toBeLessThanOrEqual(3);
});

specTest(
  { section: 'x-overflow', rule: 'reject-publish-dlx dead-letters the refused' },
  async (t) => {
    const channel = await t.channel();
    const dead = await channel.queue('', { exclusive: true });
    const queue = await channel.queue(t.name(), {
      exclusive: true,
      arguments: {
        'x-max-length': 1,
        'x-overflow': 'reject-publish-dlx',
        'x-dead-letter-exchange': '',
        'x-dead-letter-routing-key': dead,
      },
    });
    await channel.confirmSelect();
    channel.publish('', queue, 'kept');
    await channel.confirmed(1);
    channel.publish('', queue, 'refused');
    expect(await channel.confirmed(2)).toEqual([2]);
    const message = await channel.getSoon(dead);
    expect(message.body).toBe('refused');
    expect(message.headers['x-first-death-reason']).toBe('maxlen');
  },
);

specTest(
  { section: 'x-overflow', rule: 'drop-head dead-letters with reason maxlen' },
  async (t) => {
    const channel = await t.channel();
    const dead = await channel.queue('', { exclusive: true });
    const queue = await channel.queue(t.name(), {
      exclusive: true,
      arguments: {
        'x-max-length': 1,
        'x-dead-letter-exchange': '',
        'x-dead-letter-routing-key': dead,
      },
    });
    channel.publish('', queue, 'old');
    channel.publish('', queue, 'new');
    const message = await channel.getSoon(dead);
    expect([message.body, message.headers['x-last-death-reason']]).toEqual(['old', 'maxlen']);
  },
);

// Dead lettering -------------------------------------------------------------------------------

specTest(
  { section: 'dead letter', rule: 'a rejected message carries an exact x-death' },
  async (t) => {
    const channel = await t.channel();
    const dlx = await channel.exchange(t.name('x'), 'fanout', { autoDelete: true });
    const dead = await channel.queue('', { exclusive: true });
    await channel.bind(dead, dlx);
    const key = t.name('k');
    const queue = await channel.queue(t.name(), {
      exclusive: true,
      arguments: { 'x-dead-letter-exchange': dlx },
    });
    await channel.bind(queue, 'amq.direct', key);
    channel.publish('amq.direct', key, 'x', { headers: { mine: 1 }, messageId: 'm' });
    channel.reject((await channel.getSoon(queue, false)).tag, false);
    const message = await channel.getSoon(dead);
    expect([message.exchange, message.routingKey]).toEqual([dlx, key]);
    expect(message.properties.messageId).toBe('m');
    const [death, ...more] = message.headers['x-death'] as Death[];
    expect(more).toEqual([]);
    expect(death).toMatchObject({
      queue,
      reason: 'rejected',
      count: 1,
      exchange: 'amq.direct',
      'routing-keys': [key],
    });
    expect(Math.abs(death!.time.timestamp - Date.now() / 1000)).toBeLessThan(60);
    const { 'x-death': _, ...rest } = message.headers;
    expect(rest).toEqual({
      mine: 1,
      'x-first-death-queue': queue,
      'x-first-death-reason': 'rejected',
      'x-first-death-exchange': 'amq.direct',
      'x-last-death-queue': queue,
      'x-last-death-reason': 'rejected',
      'x-last-death-exchange': 'amq.direct',
    });
  },
);

specTest(
  { section: 'dead letter', rule: 'expired: the expiration moves into x-death' },
  async (t) => {
    const channel = await t.channel();
    const dead = await channel.queue('', { exclusive: true });
    const queue = await channel.queue(t.name(), {
      exclusive: true,
      arguments: { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': dead },
    });
    channel.publish('', queue, 'x', { expiration: '50' });
    const message = await channel.getSoon(dead);
    expect(message.properties.expiration).toBeUndefined();
    expect((message.headers['x-death'] as Death[])[0]).toMatchObject({
      reason: 'expired',
      count: 1,
      queue,
      exchange: '',
      'routing-keys': [queue],
      'original-expiration': '50',
    });
  },
);

specTest(
  { section: 'dead letter', rule: 'without a key the original keys are used' },
  async (t) => {
    const channel = await t.channel();
    const dlx = await channel.exchange(t.name('x'), 'direct', { autoDelete: true });
    const queue = await channel.queue(t.name(), {
      exclusive: true,
      arguments: { 'x-dead-letter-exchange': dlx },
    });
    const other = t.name('cc');
    const dead = await channel.queue('', { exclusive: true });
    await channel.bind(dead, dlx, other);
    channel.publish('', queue, 'x', { headers: { CC: [other] } });
    channel.reject((await channel.getSoon(queue, false)).tag, false);
    const message = await channel.getSoon(dead);
    expect((message.headers['x-death'] as Death[])[0]!['routing-keys']).toEqual([queue, other]);
  },
);

specTest({ section: 'dead letter', rule: 'with a key CC routes no more' }, async (t) => {
  const channel = await t.channel();
  const copied = await channel.queue('', { exclusive: true });
  const dead = await channel.queue('', { exclusive: true });
  const queue = await channel.queue(t.name(), {
    exclusive: true,
    arguments: { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': dead },
  });
  channel.publish('', queue, 'x', { headers: { CC: [copied] } });
  expect((await channel.getSoon(copied)).body).toBe('x');
  channel.reject((await channel.getSoon(queue, false)).tag, false);
  const message = await channel.getSoon(dead);
  expect(message.routingKey).toBe(dead);
  expect(await channel.get(copied)).toBeUndefined();
});

specTest(
  { section: 'dead letter', rule: 'the same death again counts up, moved first' },
  async (t) => {
    const channel = await t.channel();
    const first = t.name('first');
    const second = t.name('second');
    const link = (to: string) => ({
      exclusive: true,
      arguments: { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': to },
    });
    await channel.queue(first, link(second));
    await channel.queue(second, link(first));
    channel.publish('', first, 'x');
    for (const queue of [first, second, first, second, first]) {
      channel.reject((await channel.getSoon(queue, false)).tag, false);
    }
    const message = await channel.getSoon(second);
    const deaths = message.headers['x-death'] as Death[];
    expect(deaths.map((death) => [death.queue, death.count])).toEqual([
      [first, 3],
      [second, 2],
    ]);
    expect(message.headers['x-first-death-queue']).toBe(first);
    expect(message.headers['x-last-death-queue']).toBe(first);
  },
);

specTest({ section: 'dead letter', rule: 'an expiry cycle without a reject is cut' }, async (t) => {
  const channel = await t.channel();
  const queue = t.name();
  await channel.queue(queue, {
    exclusive: true,
    arguments: {
      'x-message-ttl': 800,
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': queue,
    },
  });
  channel.publish('', queue, 'x');
  await channel.settled(queue, 1);
  await channel.settled(queue, 0);
  await pause(200);
  expect((await channel.counts(queue)).messages).toBe(0);
});

specTest({ section: 'dead letter', rule: 'a cycle with a reject goes on' }, async (t) => {
  const channel = await t.channel();
  const work = t.name('work');
  const wait = t.name('wait');
  await channel.queue(work, {
    exclusive: true,
    arguments: { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': wait },
  });
  await channel.queue(wait, {
    exclusive: true,
    arguments: {
      'x-message-ttl': 30,
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': work,
    },
  });
  channel.publish('', work, 'retry');
  for (let round = 1; round <= 4; round += 1) {
    const message = await channel.getSoon(work, false);
    const deaths = (message.headers['x-death'] as Death[] | undefined) ?? [];
    expect(deaths.find((death) => death.queue === work)?.count ?? 0).toBe(round - 1);
    channel.reject(message.tag, false);
  }
});

specTest({ section: 'dead letter', rule: 'a missing exchange drops silently' }, async (t) => {
  const [channel, queue] = await featured(t, { 'x-dead-letter-exchange': t.name('none') });
  channel.publish('', queue, 'x');
  channel.reject((await channel.getSoon(queue, false)).tag, false);
  await channel.sync();
  expect((await channel.counts(queue)).messages).toBe(0);
});

specTest({ section: 'dead letter', rule: 'deleting or purging a queue does not' }, async (t) => {
  const channel = await t.channel();
  const dead = await channel.queue('', { exclusive: true });
  const args = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': dead };
  const queue = await channel.queue(t.name(), { exclusive: true, arguments: args });
  channel.publish('', queue, 'x');
  await channel.settled(queue, 1);
  await channel.call('queue.purge', { queue });
  channel.publish('', queue, 'y');
  await channel.settled(queue, 1);
  await channel.call('queue.delete', { queue });
  await pause(50);
  expect((await channel.counts(dead)).messages).toBe(0);
});

specTest(
  {
    section: 'dead letter',
    rule: 'an x-death sent by a client is passed on, and replaced when the message dies',
  },
  async (t) => {
    const channel = await t.channel();
    const dead = await channel.queue('', { exclusive: true });
    const args = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': dead };
    const queue = await channel.queue(t.name(), { exclusive: true, arguments: args });
    const forged = [
      { queue, reason: 'rejected', count: 41, exchange: '', 'routing-keys': [queue] },
    ];
    const headers = { 'x-death': forged, 'x-first-death-queue': 'f', 'x-last-death-reason': 'l' };
    channel.publish('', queue, 'x', { headers });
    const sent = await channel.getSoon(queue, false);
    expect((sent.headers['x-death'] as Death[])[0]!.count).toBe(41);
    channel.reject(sent.tag, false);
    const message = await channel.getSoon(dead);
    expect(message.headers['x-death']).toHaveLength(1);
    expect((message.headers['x-death'] as Death[])[0]!.count).toBe(1);
    expect(message.headers['x-first-death-queue']).toBe(queue);
    expect(message.headers['x-last-death-reason']).toBe('rejected');
  },
);

specTest(
  { section: 'dead letter', rule: 'an x-death sent by a client makes no cycle' },
  async (t) => {
    const channel = await t.channel();
    const dead = await channel.queue('', { exclusive: true });
    const args = {
      'x-message-ttl': 50,
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': dead,
    };
    const queue = await channel.queue(t.name(), { exclusive: true, arguments: args });
    const forged = [{ queue: dead, reason: 'expired', count: 1, 'routing-keys': [dead] }];
    channel.publish('', queue, 'x', { headers: { 'x-death': forged } });
    expect((await channel.getSoon(dead)).body).toBe('x');
  },
);

specTest({ section: 'dead letter', rule: 'the order of the source is kept' }, async (t) => {
  const channel = await t.channel();
  const dead = await channel.queue('', { exclusive: true });
  const args = {
    'x-dead-letter-exchange': '',
    'x-dead-letter-routing-key': dead,
    'x-message-ttl': 100,
  };
  const queue = await channel.queue(t.name(), { exclusive: true, arguments: args });
  for (let index = 0; index < 100; index += 1) channel.publish('', queue, `${index}`);
  await channel.settled(dead, 100);
  const expected = Array.from({ length: 100 }, (_, index) => `${index}`);
  expect(await bodies(channel, dead)).toEqual(expected);
});

// Priority -------------------------------------------------------------------------------------

specTest({ section: 'x-max-priority', rule: 'higher first, in order within one' }, async (t) => {
  const [channel, queue] = await featured(t, { 'x-max-priority': 10 });
  const sent: [string, number | undefined][] = [
    ['none', undefined],
    ['low-1', 1],
    ['high-1', 9],
    ['low-2', 1],
    ['over', 200],
    ['high-2', 9],
    ['zero', 0],
  ];
  for (const [body, priority] of sent) {
    channel.publish('', queue, body, priority === undefined ? {} : { priority });
  }
  await channel.settled(queue, sent.length);
  expect(await bodies(channel, queue)).toEqual([
    'over',
    'high-1',
    'high-2',
    'low-1',
    'low-2',
    'none',
    'zero',
  ]);
});

specTest({ section: 'x-max-priority', rule: 'a requeued message keeps its place' }, async (t) => {
  const [channel, queue] = await featured(t, { 'x-max-priority': 5 });
  channel.publish('', queue, 'low', { priority: 1 });
  channel.publish('', queue, 'high-1', { priority: 5 });
  channel.publish('', queue, 'high-2', { priority: 5 });
  await channel.settled(queue, 3);
  const message = (await channel.get(queue, false))!;
  channel.reject(message.tag, true);
  expect(await bodies(channel, queue)).toEqual(['high-1', 'high-2', 'low']);
});

specTest(
  { section: 'x-max-priority', rule: 'max-length drops from the head, the most urgent first' },
  async (t) => {
    const [channel, queue] = await featured(t, { 'x-max-priority': 5, 'x-max-length': 2 });
    channel.publish('', queue, 'low', { priority: 1 });
    channel.publish('', queue, 'high', { priority: 5 });
    channel.publish('', queue, 'mid', { priority: 3 });
    await channel.settled(queue, 2);
    expect(await bodies(channel, queue)).toEqual(['mid', 'low']);
  },
);

// Single active consumer -----------------------------------------------------------------------

specTest(
  { section: 'x-single-active-consumer', rule: 'one is served, the next takes over' },
  async (t) => {
    const [channel, queue] = await featured(t, { 'x-single-active-consumer': true });
    await channel.consume(queue, { consumerTag: 'a', noAck: true });
    await channel.consume(queue, { consumerTag: 'b', noAck: true });
    for (let index = 0; index < 10; index += 1) channel.publish('', queue, `${index}`);
    const before = await channel.deliveries(10);
    expect(before.every((message) => message.consumerTag === 'a')).toBe(true);
    await channel.call('basic.cancel', { consumerTag: 'a' });
    channel.publish('', queue, 'x');
    expect((await channel.delivery()).consumerTag).toBe('b');
  },
);

specTest(
  { section: 'x-single-active-consumer', rule: 'the highest priority follows, then the oldest' },
  async (t) => {
    const [channel, queue] = await featured(t, { 'x-single-active-consumer': true });
    for (const [consumerTag, priority] of [
      ['first', 0],
      ['low', -1],
      ['high', 3],
      ['also high', 3],
    ] as const) {
      const args = { 'x-priority': priority };
      await channel.consume(queue, { consumerTag, noAck: true, arguments: args });
    }
    for (const expected of ['first', 'high', 'also high', 'low']) {
      channel.publish('', queue, 'x');
      const { consumerTag } = await channel.delivery();
      expect(consumerTag).toBe(expected);
      await channel.call('basic.cancel', { consumerTag });
    }
  },
);

specTest(
  {
    section: 'x-single-active-consumer',
    rule: 'quorum: a higher priority takes over, once it may',
  },
  async (t) => {
    const channel = await t.channel();
    const queue = await channel.queue(t.name(), {
      durable: true,
      arguments: { 'x-single-active-consumer': true, 'x-queue-type': 'quorum' },
    });
    await channel.consume(queue, { consumerTag: 'low' });
    channel.publish('', queue, '1');
    const held = await channel.delivery();
    await channel.consume(queue, { consumerTag: 'high', arguments: { 'x-priority': 1 } });
    channel.publish('', queue, '2');
    await channel.expectNothing(200);
    channel.ack(held.tag);
    const next = await channel.delivery();
    expect([next.consumerTag, next.body]).toEqual(['high', '2']);
    await channel.call('queue.delete', { queue });
  },
);

specTest(
  { section: 'x-single-active-consumer', rule: 'an exclusive consumer gets 403' },
  async (t) => {
    const [channel, queue] = await featured(t, { 'x-single-active-consumer': true });
    await channel.refused('basic.consume', { queue, exclusive: true }, 403, 'in exclusive use');
  },
);

specTest(
  { section: 'x-single-active-consumer', rule: 'prefetch holds the active one' },
  async (t) => {
    const [channel, queue] = await featured(t, { 'x-single-active-consumer': true });
    await channel.call('basic.qos', { prefetchCount: 1 });
    await channel.consume(queue, { consumerTag: 'a' });
    await channel.consume(queue, { consumerTag: 'b' });
    channel.publish('', queue, '1');
    channel.publish('', queue, '2');
    const first = await channel.delivery();
    await channel.expectNothing(50);
    channel.ack(first.tag);
    expect((await channel.delivery()).consumerTag).toBe('a');
  },
);

// Delivery limit -------------------------------------------------------------------------------

specTest(
  { section: 'x-delivery-limit', rule: 'quorum: rejects count, then dead-letter' },
  async (t) => {
    const channel = await t.channel();
    const dead = await channel.queue('', { exclusive: true });
    const queue = await channel.queue(t.name(), {
      durable: true,
      arguments: {
        'x-queue-type': 'quorum',
        'x-delivery-limit': 2,
        'x-dead-letter-exchange': '',
        'x-dead-letter-routing-key': dead,
      },
    });
    channel.publish('', queue, 'poison', { deliveryMode: 2 });
    await channel.consume(queue);
    const counts: unknown[] = [];
    for (let round = 0; round < 3; round += 1) {
      const message = await channel.delivery();
      counts.push(message.headers['x-delivery-count']);
      channel.reject(message.tag, true);
    }
    const message = await channel.getSoon(dead);
    expect(counts).toEqual([undefined, 1, 2]);
    expect(message.headers['x-last-death-reason']).toBe('delivery_limit');
    expect(message.headers).not.toHaveProperty('x-delivery-count');
    expect(message.headers).not.toHaveProperty('x-acquired-count');
    await channel.call('queue.delete', { queue });
  },
);

specTest(
  { section: 'x-acquired-count', rule: 'quorum: every redelivery counts, whatever the reason' },
  async (t) => {
    const setup = await t.channel();
    const queue = await setup.queue(t.name(), {
      durable: true,
      arguments: { 'x-queue-type': 'quorum' },
    });
    setup.publish('', queue, 'x', { deliveryMode: 2, headers: { 'x-acquired-count': 9 } });
    const counts: unknown[] = [];
    const take = async (channel: WireChannel): Promise<number> => {
      const { headers, tag } = await channel.getSoon(queue, false);
      counts.push([headers['x-acquired-count'], headers['x-delivery-count']]);
      return tag;
    };
    const channel = await t.channel();
    channel.nack(await take(channel));
    channel.reject(await take(channel), true);
    await take(channel);
    await channel.call('basic.recover', { requeue: true });
    await take(channel);
    await channel.close();
    await take(setup);
    expect(counts).toEqual([
      [9, undefined],
      [1, undefined],
      [2, 1],
      [3, 1],
      [4, 2],
    ]);
    await setup.call('queue.delete', { queue });
  },
);

specTest({ section: 'x-delivery-limit', rule: 'a lost consumer counts' }, async (t) => {
  const setup = await t.channel();
  const queue = await setup.queue(t.name(), {
    durable: true,
    arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': 1 },
  });
  setup.publish('', queue, 'poison', { deliveryMode: 2 });
  for (let round = 0; round < 2; round += 1) {
    const channel = await t.channel();
    await channel.consume(queue);
    await channel.delivery();
    await channel.connection.close();
  }
  await setup.settled(queue, 0);
  await setup.call('queue.delete', { queue });
});

specTest(
  {
    section: 'x-delivery-limit',
    rule: 'works on a classic queue',
    oursOnly: 'RabbitMQ refuses the argument on classic queues',
  },
  async (t) => {
    const [channel, queue] = await featured(t, { 'x-delivery-limit': 1 });
    channel.publish('', queue, 'poison');
    await channel.consume(queue);
    channel.reject((await channel.delivery()).tag, true);
    channel.reject((await channel.delivery()).tag, true);
    await channel.settled(queue, 0);
    await channel.expectNothing(50);
  },
);

// Quorum as a name -----------------------------------------------------------------------------

specTest({ section: 'x-queue-type', rule: 'classic and quorum serve alike' }, async (t) => {
  const channel = await t.channel();
  for (const type of ['classic', 'quorum']) {
    const queue = await channel.queue(t.name(), {
      durable: true,
      arguments: { 'x-queue-type': type },
    });
    await channel.confirmSelect();
    channel.publish('', queue, type, { deliveryMode: 2 });
    await channel.settled(queue, 1);
    expect((await channel.getSoon(queue)).body).toBe(type);
    await channel.call('queue.delete', { queue });
  }
});

specTest({ section: 'x-queue-type', rule: 'another type on redeclare gets 406' }, async (t) => {
  const channel = await t.channel();
  const connection = channel.connection;
  const queue = await channel.queue(t.name(), { durable: true });
  const args = { queue, durable: true, arguments: { 'x-queue-type': 'quorum' } };
  await channel.refused('queue.declare', args, 406, "inequivalent arg 'x-queue-type'");
  await (await connection.channel()).call('queue.delete', { queue });
});
