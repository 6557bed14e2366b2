import { expect } from 'vitest';
import { pause, useBroker } from '../support/spec-test.ts';

const { specTest } = useBroker();
const REPLY = 'amq.rabbitmq.reply-to';

// exchange.bind --------------------------------------------------------------------------------

specTest(
  { section: 'exchange.bind', rule: 'messages flow from source to destination' },
  async (t) => {
    const channel = await t.channel();
    const source = await channel.exchange(t.name('x'), 'topic', { autoDelete: true });
    const destination = await channel.exchange(t.name('x'), 'fanout', { autoDelete: true });
    const queue = await channel.queue('', { exclusive: true });
    await channel.bind(queue, destination);
    await channel.call('exchange.bind', { destination, source, routingKey: 'a.*' });
    channel.publish(source, 'a.b', 'in');
    channel.publish(source, 'b.b', 'out');
    const message = await channel.getSoon(queue);
    expect([message.body, message.exchange, message.routingKey]).toEqual(['in', source, 'a.b']);
    await channel.call('exchange.unbind', { destination, source, routingKey: 'a.*' });
    await channel.refused('exchange.declare', { exchange: source, passive: true }, 404);
  },
);

specTest({ section: 'exchange.bind', rule: 'missing exchanges get 404' }, async (t) => {
  const connection = await t.connect();
  for (const side of ['source', 'destination']) {
    const channel = await connection.channel();
    const missing = t.name('x');
    const args = { source: 'amq.direct', destination: 'amq.fanout', [side]: missing };
    await channel.refused('exchange.bind', args, 404, `no exchange '${missing}' in vhost '`);
  }
});

specTest({ section: 'exchange.bind', rule: 'the default exchange gets 403' }, async (t) => {
  const connection = await t.connect();
  for (const method of ['exchange.bind', 'exchange.unbind']) {
    for (const side of ['source', 'destination']) {
      const channel = await connection.channel();
      const args = { source: 'amq.direct', destination: 'amq.fanout', [side]: '' };
      await channel.refused(method, args, 403, 'operation not permitted on the default exchange');
    }
  }
});

specTest({ section: 'exchange.unbind', rule: 'what is missing is fine' }, async (t) => {
  const channel = await t.channel();
  const routingKey = t.name('k');
  const args = { source: 'amq.direct', destination: 'amq.fanout', routingKey };
  await channel.call('exchange.unbind', args);
  await channel.call('exchange.unbind', { ...args, source: t.name('x') });
});

specTest({ section: 'exchange.bind', rule: 'a cycle delivers once' }, async (t) => {
  const channel = await t.channel();
  const first = await channel.exchange(t.name('x'), 'fanout');
  const second = await channel.exchange(t.name('x'), 'fanout');
  await channel.call('exchange.bind', { source: first, destination: second });
  await channel.call('exchange.bind', { source: second, destination: first });
  const queue = await channel.queue('', { exclusive: true });
  await channel.bind(queue, first);
  await channel.bind(queue, second);
  channel.publish(first, '', 'once');
  channel.publish(second, '', 'twice');
  await channel.settled(queue, 2);
  for (const exchange of [first, second]) await channel.call('exchange.delete', { exchange });
});

// alternate-exchange ---------------------------------------------------------------------------

specTest(
  { section: 'alternate-exchange', rule: 'takes what has no route, in chains' },
  async (t) => {
    const channel = await t.channel();
    const last = await channel.exchange(t.name('x'), 'fanout');
    const middle = await channel.exchange(t.name('x'), 'direct', {
      arguments: { 'alternate-exchange': last },
    });
    const first = await channel.exchange(t.name('x'), 'direct', {
      arguments: { 'alternate-exchange': middle },
    });
    const queue = await channel.queue('', { exclusive: true });
    const normal = await channel.queue('', { exclusive: true });
    await channel.bind(queue, last);
    await channel.bind(normal, first, 'known');
    channel.publish(first, 'unknown', 'caught');
    channel.publish(first, 'known', 'normal');
    expect((await channel.getSoon(queue)).body).toBe('caught');
    expect((await channel.getSoon(normal)).body).toBe('normal');
    expect(await channel.get(queue)).toBeUndefined();
    for (const exchange of [first, middle, last])
      await channel.call('exchange.delete', { exchange });
  },
);

specTest({ section: 'alternate-exchange', rule: 'a loop ends and returns' }, async (t) => {
  const channel = await t.channel();
  const first = t.name('x');
  const second = t.name('x');
  await channel.exchange(first, 'direct', { arguments: { 'alternate-exchange': second } });
  await channel.exchange(second, 'direct', { arguments: { 'alternate-exchange': first } });
  channel.publish(first, 'k', 'x', {}, { mandatory: true });
  expect((await channel.returned()).replyCode).toBe(312);
  for (const exchange of [first, second]) await channel.call('exchange.delete', { exchange });
});

specTest({ section: 'alternate-exchange', rule: 'a missing one drops' }, async (t) => {
  const channel = await t.channel();
  const exchange = await channel.exchange(t.name('x'), 'direct', {
    arguments: { 'alternate-exchange': t.name('none') },
  });
  channel.publish(exchange, 'k', 'x', {}, { mandatory: true });
  expect((await channel.returned()).replyCode).toBe(312);
  await channel.call('exchange.delete', { exchange });
});

// CC, BCC --------------------------------------------------------------------------------------

specTest({ section: 'CC/BCC', rule: 'add routing keys; BCC is taken out' }, async (t) => {
  const channel = await t.channel();
  const queues: string[] = [];
  for (let index = 0; index < 3; index += 1) {
    queues.push(await channel.queue('', { exclusive: true }));
  }
  const [to, cc, bcc] = queues as [string, string, string];
  channel.publish('', to, 'x', { headers: { CC: [cc], BCC: [bcc], other: 1 } });
  for (const queue of queues) {
    const message = await channel.getSoon(queue);
    expect(message.headers).toEqual({ CC: [cc], other: 1 });
    expect(message.routingKey).toBe(to);
  }
});

specTest({ section: 'CC/BCC', rule: 'a queue gets one copy' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  channel.publish('', queue, 'x', { headers: { CC: [queue, queue], BCC: [queue] } });
  await channel.settled(queue, 1);
  await channel.getSoon(queue);
  expect(await channel.get(queue)).toBeUndefined();
});

specTest({ section: 'CC/BCC', rule: 'drive direct and topic exchanges' }, async (t) => {
  const channel = await t.channel();
  for (const exchange of ['amq.direct', 'amq.topic']) {
    const queue = await channel.queue('', { exclusive: true });
    const key = t.name('k');
    await channel.bind(queue, exchange, key);
    channel.publish(exchange, t.name('other'), 'x', { headers: { CC: [key] } });
    expect((await channel.getSoon(queue)).body).toBe('x');
  }
});

for (const [header, value, type] of [
  ['CC', 'not-a-list', 'longstr'],
  ['BCC', 5, 'signedint'],
  ['CC', { a: 1 }, 'table'],
] as const) {
  specTest(
    { section: 'CC/BCC', rule: `${header}=${JSON.stringify(value)} gets 406` },
    async (t) => {
      const channel = await t.channel();
      channel.publish('', 'q', 'x', { headers: { [header]: value } });
      await channel.expectClose(
        406,
        'PRECONDITION_FAILED - invalid message: ' +
          `{unacceptable_type_in_header,"${header}",${type}}`,
      );
    },
  );
}

specTest({ section: 'CC/BCC', rule: 'entries that are no strings are left out' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  channel.publish('', t.name(), 'x', { headers: { CC: [queue, 5] } });
  expect((await channel.getSoon(queue)).body).toBe('x');
});

// user-id --------------------------------------------------------------------------------------

specTest({ section: 'user-id', rule: "another's name gets 406" }, async (t) => {
  const channel = await t.channel();
  channel.publish('', 'q', 'x', { userId: 'somebody' });
  await channel.expectClose(
    406,
    "PRECONDITION_FAILED - user_id property set to 'somebody' but authenticated user was '",
  );
});

specTest({ section: 'user-id', rule: 'the own name passes' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  const userId = channel.connection.target.user;
  channel.publish('', queue, 'x', { userId });
  expect((await channel.getSoon(queue)).properties.userId).toBe(userId);
});

// direct reply-to ------------------------------------------------------------------------------

specTest({ section: 'direct reply-to', rule: 'request and reply without a queue' }, async (t) => {
  const client = await t.channel();
  const server = await t.channel();
  const queue = await server.queue(t.name(), { autoDelete: true });
  await server.consume(queue, { noAck: true });
  const consumerTag = await client.consume(REPLY, { noAck: true });
  client.publish('', queue, 'ping', { replyTo: REPLY, correlationId: '7' });
  const request = await server.delivery();
  expect(request.properties.replyTo).toMatch(/^amq\.rabbitmq\.reply-to\../);
  server.publish('', request.properties.replyTo!, 'pong', { correlationId: '7' });
  const reply = await client.delivery();
  expect(reply).toMatchObject({ body: 'pong', consumerTag, properties: { correlationId: '7' } });
});

specTest({ section: 'direct reply-to', rule: 'consuming with acks gets 406' }, async (t) => {
  const channel = await t.channel();
  const args = { queue: REPLY };
  await channel.refused('basic.consume', args, 406, 'reply consumer cannot acknowledge');
});

specTest({ section: 'direct reply-to', rule: 'a second reply consumer gets 406' }, async (t) => {
  const channel = await t.channel();
  await channel.consume(REPLY, { noAck: true });
  const args = { queue: REPLY, noAck: true };
  await channel.refused('basic.consume', args, 406, 'reply consumer already set');
});

specTest(
  { section: 'direct reply-to', rule: 'publishing without a reply consumer gets 406' },
  async (t) => {
    const channel = await t.channel();
    channel.publish('', 'q', 'x', { replyTo: REPLY });
    await channel.expectClose(406, 'fast reply consumer does not exist');
  },
);

specTest({ section: 'direct reply-to', rule: 'the key counts as a route' }, async (t) => {
  const client = await t.channel();
  const queue = await client.queue('', { exclusive: true });
  await client.consume(REPLY, { noAck: true });
  client.publish('', queue, 'x', { replyTo: REPLY });
  const key = (await client.getSoon(queue)).properties.replyTo!;
  const server = await t.channel();
  server.publish('', key, 'routed', {}, { mandatory: true });
  expect((await client.delivery()).body).toBe('routed');
  await server.expectNothing(30);
});

specTest(
  { section: 'direct reply-to', rule: 'declaring the key tests for existence' },
  async (t) => {
    const client = await t.channel();
    const queue = await client.queue('', { exclusive: true });
    await client.consume(REPLY, { noAck: true });
    client.publish('', queue, 'x', { replyTo: REPLY });
    const key = (await client.getSoon(queue)).properties.replyTo!;
    const server = await t.channel();
    const ok = await server.call('queue.declare', { queue: key, passive: true });
    expect([ok.queue, ok.messageCount, ok.consumerCount]).toEqual([key, 0, 1]);
    await client.close();
    await server.refused('queue.declare', { queue: key, passive: true }, 404);
  },
);

specTest({ section: 'direct reply-to', rule: 'cancel ends it, a new one may start' }, async (t) => {
  const channel = await t.channel();
  const consumerTag = await channel.consume(REPLY, { noAck: true });
  await channel.call('basic.cancel', { consumerTag });
  await channel.consume(REPLY, { noAck: true });
});

// nack, cancel notify --------------------------------------------------------------------------

specTest({ section: 'consumer_cancel_notify', rule: 'a deleted queue cancels' }, async (t) => {
  const channel = await t.channel();
  const other = await channel.connection.channel();
  const queue = await channel.queue('', { exclusive: true });
  const consumerTag = await channel.consume(queue);
  await other.call('queue.delete', { queue });
  const cancel = await channel.expect('basic.cancel');
  expect([cancel.consumerTag, cancel.noWait]).toEqual([consumerTag, true]);
  await channel.sync();
});

specTest(
  {
    section: 'consumer_cancel_notify',
    rule: 'the client may answer cancel-ok',
    oursOnly: 'RabbitMQ 4.3.6 closes the connection with 541',
  },
  async (t) => {
    const channel = await t.channel();
    const queue = await channel.queue('', { exclusive: true });
    const consumerTag = await channel.consume(queue);
    await channel.call('queue.delete', { queue });
    await channel.expect('basic.cancel');
    channel.send('basic.cancel-ok', { consumerTag });
    await channel.sync();
  },
);

specTest(
  { section: 'consumer_cancel_notify', rule: 'clients without the capability hear nothing' },
  async (t) => {
    const channel = await t.channel({ capabilities: {} });
    const queue = await channel.queue('', { exclusive: true });
    await channel.consume(queue);
    await channel.call('queue.delete', { queue });
    await channel.expectNothing(50);
  },
);

specTest({ section: 'consumer_cancel_notify', rule: 'the tag is free afterwards' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  await channel.consume(queue, { consumerTag: 'again' });
  await channel.call('queue.delete', { queue });
  await channel.expect('basic.cancel');
  const next = await channel.queue('', { exclusive: true });
  await channel.consume(next, { consumerTag: 'again' });
});

// consumer priorities --------------------------------------------------------------------------

specTest(
  { section: 'consumer_priorities', rule: 'the higher gets all while it has credit' },
  async (t) => {
    const channel = await t.channel();
    const queue = await channel.queue('', { exclusive: true });
    await channel.call('basic.qos', { prefetchCount: 5 });
    await channel.consume(queue, { consumerTag: 'low', arguments: { 'x-priority': -1 } });
    await channel.consume(queue, { consumerTag: 'high', arguments: { 'x-priority': 10 } });
    await channel.consume(queue, { consumerTag: 'mid' });
    for (let index = 0; index < 15; index += 1) channel.publish('', queue, `${index}`);
    const tags = (await channel.deliveries(15)).map((message) => message.consumerTag);
    for (const tag of ['low', 'mid', 'high']) {
      expect(tags.filter((seen) => seen === tag).length).toBe(5);
    }
    expect(tags[0]).toBe('high');
  },
);

specTest({ section: 'consumer_priorities', rule: 'equals take turns' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  const tags = ['a', 'b', 'c'];
  for (const consumerTag of tags) {
    await channel.consume(queue, { consumerTag, noAck: true, arguments: { 'x-priority': 3 } });
  }
  for (let index = 0; index < 30; index += 1) {
    channel.publish('', queue, `${index}`);
    await channel.sync();
  }
  const seen = (await channel.deliveries(30)).map((message) => message.consumerTag);
  for (const tag of tags) expect(seen.filter((one) => one === tag).length).toBe(10);
});

specTest({ section: 'consumer_priorities', rule: 'x-priority must be an integer' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  const args = { queue, arguments: { 'x-priority': 'high' } };
  await channel.refused('basic.consume', args, 406, 'PRECONDITION_FAILED');
});

specTest(
  { section: 'basic.consume', rule: 'an argument of another queue type is refused' },
  async (t) => {
    const cases = [
      ['classic', 'x-stream-offset', 'first'],
      ['classic', 'x-stream-filter', 'a'],
      ['classic', 'x-consumer-timeout', 60_000],
      ['quorum', 'x-stream-offset', 'first'],
      ['stream', 'x-priority', 1],
    ] as const;
    for (const [type, name, value] of cases) {
      const channel = await t.channel();
      const queue = t.name();
      await channel.queue(queue, { durable: true, arguments: { 'x-queue-type': type } });
      await channel.call('basic.qos', { prefetchCount: 1 });
      const consume = { queue, arguments: { [name]: value } };
      const text = `${name}' for queue '${queue}' in vhost '`;
      await channel.refused('basic.consume', consume, 406, text);
      const next = await t.channel();
      await next.call('queue.delete', { queue });
    }
  },
);

// update-secret and blocked --------------------------------------------------------------------

specTest({ section: 'connection.update-secret', rule: 'leaves consumers running' }, async (t) => {
  const connection = await t.connect();
  const channel = await connection.channel();
  const queue = await channel.queue('', { exclusive: true });
  await channel.consume(queue, { noAck: true });
  await connection.control.call('connection.update-secret', {
    newSecret: connection.target.password,
    reason: 'x',
  });
  channel.publish('', queue, 'still');
  expect((await channel.delivery()).body).toBe('still');
});

specTest({ section: 'connection.blocked', rule: 'never sent without an alarm' }, async (t) => {
  const connection = await t.connect();
  const channel = await connection.channel();
  for (let index = 0; index < 100; index += 1) channel.publish('', t.name(), 'x');
  await pause(100);
  await connection.control.expectNothing(10);
});
