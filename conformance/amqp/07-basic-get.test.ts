import { expect } from 'vitest';
import { pause, useBroker } from '../support/spec-test.ts';

const { specTest } = useBroker();

specTest({ section: 'basic.get', rule: 'an empty queue answers get-empty' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  channel.send('basic.get', { queue });
  expect((await channel.expect('basic.get-empty')).reserved1).toBe('');
});

specTest({ section: 'basic.get', rule: 'get-ok counts what remains' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  for (const body of ['a', 'b', 'c']) channel.publish('', queue, body);
  await channel.settled(queue, 3);
  const seen = [];
  for (let index = 0; index < 3; index += 1) {
    const message = await channel.get(queue);
    seen.push([message?.body, message?.messageCount, message?.redelivered]);
  }
  expect(seen).toEqual([
    ['a', 2, false],
    ['b', 1, false],
    ['c', 0, false],
  ]);
});

specTest({ section: 'basic.get', rule: 'without no-ack it must be settled' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  channel.publish('', queue, 'a');
  const message = await channel.getSoon(queue, false);
  expect(await channel.get(queue)).toBeUndefined();
  channel.reject(message.tag, true);
  expect((await channel.getSoon(queue, true)).redelivered).toBe(true);
});

specTest({ section: 'basic.get', rule: 'no-ack removes for good' }, async (t) => {
  const connection = await t.connect();
  const channel = await connection.channel();
  const queue = await channel.queue('', { exclusive: true });
  channel.publish('', queue, 'a');
  await channel.getSoon(queue, true);
  await channel.close();
  const other = await connection.channel();
  expect(await other.get(queue)).toBeUndefined();
});

specTest({ section: 'basic.get', rule: 'a missing queue gets 404' }, async (t) => {
  const channel = await t.channel();
  const queue = t.name();
  await channel.refused('basic.get', { queue }, 404, `no queue '${queue}' in vhost '`);
});

specTest({ section: 'basic.get', rule: 'is not limited by prefetch' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  await channel.call('basic.qos', { prefetchCount: 1 });
  for (const body of ['a', 'b', 'c']) channel.publish('', queue, body);
  await channel.settled(queue, 3);
  for (const body of ['a', 'b', 'c']) expect((await channel.get(queue, false))?.body).toBe(body);
});

specTest({ section: 'basic.get', rule: 'works beside an exclusive consumer' }, async (t) => {
  const connection = await t.connect();
  const channel = await connection.channel();
  const queue = await channel.queue('', { exclusive: true });
  await channel.consume(queue, { exclusive: true });
  const other = await connection.channel();
  expect(await other.get(queue)).toBeUndefined();
});

specTest({ section: 'basic.get', rule: 'never returns an expired message' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  channel.publish('', queue, 'old', { expiration: '3000' });
  await channel.settled(queue, 1);
  await pause(3_200);
  expect(await channel.get(queue)).toBeUndefined();
});

specTest({ section: 'basic.get', rule: 'works on a single-active-consumer queue' }, async (t) => {
  const channel = await t.channel();
  const args = { 'x-single-active-consumer': true };
  const queue = await channel.queue(t.name(), { exclusive: true, arguments: args });
  channel.publish('', queue, 'a');
  expect((await channel.getSoon(queue)).body).toBe('a');
});

specTest({ section: 'basic.get', rule: 'pipelined gets answer in order' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  for (let index = 0; index < 20; index += 1) channel.publish('', queue, `${index}`);
  await channel.settled(queue, 20);
  for (let index = 0; index < 21; index += 1) channel.send('basic.get', { queue, noAck: true });
  for (let index = 0; index < 20; index += 1) {
    const incoming = await channel.next();
    expect(incoming.name).toBe('basic.get-ok');
    expect(incoming.body?.toString()).toBe(`${index}`);
  }
  await channel.expect('basic.get-empty');
});
