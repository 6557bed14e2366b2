import { expect } from 'vitest';
import { useBroker } from '../support/spec-test.ts';

const { specTest } = useBroker();

specTest({ section: 'tx.select', rule: 'is idempotent' }, async (t) => {
  const channel = await t.channel();
  await channel.call('tx.select');
  await channel.call('tx.select');
  await channel.call('tx.commit');
});

specTest({ section: 'tx.select', rule: 'on a confirm channel gets 406' }, async (t) => {
  const channel = await t.channel();
  await channel.confirmSelect();
  await channel.refused(
    'tx.select',
    {},
    406,
    'PRECONDITION_FAILED - cannot switch from confirm to tx mode',
  );
});

for (const method of ['tx.commit', 'tx.rollback']) {
  specTest({ section: method, rule: 'without select gets 406' }, async (t) => {
    const channel = await t.channel();
    await channel.refused(method, {}, 406, 'PRECONDITION_FAILED - channel is not transactional');
  });
}

specTest(
  { section: 'tx.commit', rule: 'publishes appear with the commit, in order' },
  async (t) => {
    const connection = await t.connect();
    const channel = await connection.channel();
    const other = await connection.channel();
    const queue = await channel.queue(t.name(), { durable: true });
    await channel.call('tx.select');
    for (let index = 0; index < 20; index += 1) {
      channel.publish('', queue, `${index}`, { deliveryMode: 2 });
    }
    await channel.sync();
    expect((await other.counts(queue)).messages).toBe(0);
    await channel.call('tx.commit');
    expect((await other.counts(queue)).messages).toBe(20);
    for (let index = 0; index < 20; index += 1) {
      expect((await other.get(queue))?.body).toBe(`${index}`);
    }
    await other.call('queue.delete', { queue });
  },
);

specTest({ section: 'tx.rollback', rule: 'publishes vanish' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  await channel.call('tx.select');
  channel.publish('', queue, 'never');
  await channel.call('tx.rollback');
  await channel.call('tx.commit');
  expect((await channel.counts(queue)).messages).toBe(0);
});

specTest({ section: 'tx.commit', rule: 'acks take effect with the commit' }, async (t) => {
  const connection = await t.connect();
  const other = await connection.channel();
  const queue = await other.queue('', { exclusive: true });
  other.publish('', queue, 'a');
  other.publish('', queue, 'b');
  await other.settled(queue, 2);
  const channel = await connection.channel();
  await channel.call('tx.select');
  await channel.get(queue, false);
  channel.ack(1);
  await channel.call('tx.commit');
  await channel.get(queue, false);
  channel.ack(2);
  await channel.close();
  const again = await other.getSoon(queue);
  expect([again.body, again.redelivered]).toEqual(['b', true]);
  expect(await other.get(queue)).toBeUndefined();
});

specTest({ section: 'tx.rollback', rule: 'acks return to the unacked list' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  channel.publish('', queue, 'a');
  await channel.settled(queue, 1);
  await channel.call('tx.select');
  await channel.get(queue, false);
  channel.ack(1);
  await channel.call('tx.rollback');
  expect(await channel.get(queue)).toBeUndefined();
  channel.ack(1);
  await channel.call('tx.commit');
  await channel.call('basic.recover', { requeue: true });
  expect((await channel.counts(queue)).messages).toBe(0);
});

specTest({ section: 'tx.commit', rule: 'nacks wait for the commit' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue('', { exclusive: true });
  channel.publish('', queue, 'a');
  await channel.settled(queue, 1);
  await channel.call('tx.select');
  await channel.get(queue, false);
  channel.nack(1, { requeue: true });
  await channel.sync();
  expect((await channel.counts(queue)).messages).toBe(0);
  await channel.call('tx.commit');
  await channel.settled(queue, 1);
});

specTest({ section: 'tx', rule: 'an unknown tag gets 406 at once' }, async (t) => {
  const channel = await t.channel();
  await channel.call('tx.select');
  channel.ack(9);
  await channel.expectClose(406, 'unknown delivery tag 9');
});

specTest({ section: 'tx', rule: 'a missing exchange is refused at the publish' }, async (t) => {
  const channel = await t.channel();
  await channel.call('tx.select');
  channel.publish(t.name('x'), 'k', 'x');
  await channel.expectClose(404, 'no exchange');
});

specTest({ section: 'tx', rule: 'an error drops what was published before' }, async (t) => {
  const connection = await t.connect();
  const other = await connection.channel();
  const queue = await other.queue('', { exclusive: true });
  const channel = await connection.channel();
  await channel.call('tx.select');
  channel.publish('', queue, 'never');
  channel.publish(t.name('x'), 'k', 'x');
  await channel.expectClose(404);
  expect((await other.counts(queue)).messages).toBe(0);
});

specTest({ section: 'tx.commit', rule: 'returns come before commit-ok' }, async (t) => {
  const channel = await t.channel();
  await channel.call('tx.select');
  channel.publish('', t.name(), 'back', {}, { mandatory: true });
  await channel.sync();
  await channel.expectNothing(50);
  channel.send('tx.commit');
  expect((await channel.next()).name).toBe('basic.return');
  await channel.expect('tx.commit-ok');
});

specTest({ section: 'tx', rule: 'closing the channel rolls back' }, async (t) => {
  const connection = await t.connect();
  const other = await connection.channel();
  const queue = await other.queue('', { exclusive: true });
  const channel = await connection.channel();
  await channel.call('tx.select');
  channel.publish('', queue, 'never');
  await channel.close();
  expect((await other.counts(queue)).messages).toBe(0);
});

specTest({ section: 'tx.commit', rule: 'a rejecting queue gets 406' }, async (t) => {
  const channel = await t.channel();
  const args = { 'x-max-length': 0, 'x-overflow': 'reject-publish' };
  const queue = await channel.queue(t.name(), { exclusive: true, arguments: args });
  await channel.call('tx.select');
  channel.publish('', queue, 'x');
  await channel.refused('tx.commit', {}, 406, 'PRECONDITION_FAILED - partial tx completion');
});

specTest({ section: 'tx.commit', rule: 'several commits in a row' }, async (t) => {
  const channel = await t.channel();
  const queue = await channel.queue(t.name(), { durable: true });
  await channel.call('tx.select');
  for (let round = 1; round <= 10; round += 1) {
    channel.publish('', queue, 'x', { deliveryMode: 2 });
    await channel.call('tx.commit');
    expect((await channel.counts(queue)).messages).toBe(round);
  }
  await channel.call('queue.delete', { queue });
});

specTest({ section: 'tx.commit', rule: 'publish and ack in one commit' }, async (t) => {
  const channel = await t.channel();
  const from = await channel.queue('', { exclusive: true });
  const to = await channel.queue('', { exclusive: true });
  await channel.call('tx.select');
  channel.publish('', from, 'job');
  await channel.call('tx.commit');
  await channel.get(from, false);
  channel.publish('', to, 'result');
  channel.ack(1);
  await channel.call('tx.commit');
  expect((await channel.counts(to)).messages).toBe(1);
  await channel.call('basic.recover', { requeue: true });
  expect((await channel.counts(from)).messages).toBe(0);
});
