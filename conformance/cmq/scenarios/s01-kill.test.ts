/**
 * S1, S2, S8, S11: what was promised survives `kill -9`. Senders, a consumer, a delay, leases, dead
 * letters and a rewind are under way when the server dies; afterwards every promise is looked up.
 * `conformance/durability` does the same over AMQP and MQTT with a power-loss model; here it is CMQ.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CmqClient } from '../../support/cmq-client.ts';
import { cmqUrl, eventually, KEYS, now, startCmq, unique } from '../../support/cmq-test.ts';
import type { ServerProcess } from '../../support/server-process.ts';
import { KILL_CYCLES as CYCLES, tell } from './sizes.ts';

const SENDERS = 8;

let server: ServerProcess;
let cmq: CmqClient;

const connect = (): void => {
  cmq?.close();
  cmq = new CmqClient(cmqUrl(server), KEYS.guest);
};

beforeAll(async () => {
  server = await startCmq();
  connect();
});

afterAll(async () => {
  cmq?.close();
  await server?.dispose();
});

async function killAndRestart(): Promise<void> {
  await server.kill();
  await server.restart();
  connect();
}

/** Sends until the server is gone, single and in batches; bodies by the id that was answered. */
async function sendUntilGone(queueName: string, sender: number, confirmed: Map<string, string>) {
  for (let at = 0; ; at += 1) {
    const bodies = Array.from({ length: at % 3 === 0 ? 16 : 1 }, (_, n) => `${sender}-${at}-${n}`);
    try {
      if (bodies.length === 1) {
        confirmed.set(await cmq.send(queueName, bodies[0]!), bodies[0]!);
        continue;
      }
      const { msgList } = await cmq.ok('BatchSendMessage', { queueName, msgBody: bodies });
      msgList.forEach(({ msgId }, n) => confirmed.set(msgId, bodies[n]!));
    } catch {
      return;
    }
  }
}

/** Deletes until the server is gone: ids whose deletion was asked for, and was answered. */
async function consumeUntilGone(queueName: string, asked: Set<string>, deleted: Set<string>) {
  for (;;) {
    try {
      const wait = { queueName, numOfMsg: 16, pollingWaitSeconds: 1 };
      const reply = await cmq.call('BatchReceiveMessage', wait);
      if (reply.code === 7000) continue;
      const receiptHandle = reply.msgInfoList.map((message) => message.receiptHandle);
      for (const { msgId } of reply.msgInfoList) asked.add(msgId);
      await cmq.ok('BatchDeleteMessage', { queueName, receiptHandle });
      for (const { msgId } of reply.msgInfoList) deleted.add(msgId);
    } catch {
      return;
    }
  }
}

/** Every message that is left, by id; each is deleted. */
async function takeRest(queueName: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (;;) {
    const reply = await cmq.call('BatchReceiveMessage', {
      queueName,
      numOfMsg: 16,
      pollingWaitSeconds: 0,
    });
    if (reply.code === 7000) return found;
    const receiptHandle = reply.msgInfoList.map((message) => message.receiptHandle);
    for (const { msgId, msgBody } of reply.msgInfoList) found.set(msgId, msgBody);
    await cmq.ok('BatchDeleteMessage', { queueName, receiptHandle });
  }
}

test(
  'confirmed messages are there, deleted ones stay away, whenever the server dies',
  async () => {
    const queueName = unique();
    await cmq.ok('CreateQueue', { queueName, visibilityTimeout: 1 });
    const confirmed = new Map<string, string>();
    const asked = new Set<string>();
    const deleted = new Set<string>();
    for (let cycle = 0; cycle < CYCLES; cycle += 1) {
      const busy = Array.from({ length: SENDERS }, (_, at) =>
        sendUntilGone(queueName, cycle * SENDERS + at, confirmed),
      );
      busy.push(consumeUntilGone(queueName, asked, deleted));
      const target = confirmed.size + 100 + Math.floor(Math.random() * 400);
      await eventually(async () => confirmed.size >= target, 'traffic', 60_000);
      await server.kill();
      await Promise.all(busy);
      await server.restart();
      connect();
    }
    // Leases of killed receives run out.
    await eventually(async () => (await cmq.counters(queueName)).inactive === 0, 'leases are over');
    const rest = await takeRest(queueName);
    expect(deleted.size).toBeGreaterThan(0);
    expect([...deleted].filter((msgId) => rest.has(msgId))).toEqual([]);
    const lost = [...confirmed].filter(
      ([msgId, body]) => !asked.has(msgId) && rest.get(msgId) !== body,
    );
    tell('S1, in traffic', { cycles: CYCLES, confirmed: confirmed.size, lost: lost.length });
    expect(lost).toEqual([]);
  },
  120_000 + CYCLES * 30_000,
);

test('a delay, a lease, dead letters and a rewind live on', async () => {
  const [queueName, dead, delayed, rewound] = [unique(), unique(), unique(), unique()];
  await cmq.ok('CreateQueue', { queueName: dead });
  await cmq.ok('CreateQueue', {
    ...{ queueName, visibilityTimeout: 60 },
    ...{ deadLetterQueueName: dead, policy: 0, maxReceiveCount: 2 },
  });
  await cmq.ok('CreateQueue', { queueName: delayed });
  await cmq.ok('CreateQueue', { queueName: rewound, rewindSeconds: 600 });

  await cmq.ok('BatchSendMessage', { queueName, msgBody: ['held', 'doomed', 'deleted'] });
  const held = await cmq.receive(queueName);
  const doomed = await cmq.ok('ReceiveMessage', { queueName, visibilityTimeout: 3 });
  await cmq.remove(queueName, await cmq.receive(queueName));
  const sentAt = Date.now();
  await cmq.send(delayed, 'later', { delaySeconds: 4 });
  await cmq.send(delayed, 'much later', { delaySeconds: 3_000 });
  await cmq.ok('BatchSendMessage', { queueName: rewound, msgBody: ['a', 'b', 'c'] });
  await cmq.drain(rewound);
  await cmq.ok('RewindQueue', { queueName: rewound, startConsumeTime: now() - 60 });
  await killAndRestart();
  const restartedAt = Date.now();

  // The lease and its handle are what they were.
  const { active, inactive } = await cmq.counters(queueName);
  expect(active + inactive).toBe(2);
  expect(inactive).toBeGreaterThan(0);
  await cmq.remove(queueName, held);
  // The other one had its first receive before the crash; its second is its last.
  const again = await cmq.receive(queueName, 30);
  expect(again).toMatchObject({ msgId: doomed.msgId, msgBody: 'doomed', dequeueCount: 2 });
  const { receiptHandle } = again;
  await cmq.ok('ChangeMessageVisibility', { queueName, receiptHandle, visibilityTimeout: 0 });
  expect(await cmq.receive(dead, 30)).toMatchObject({ msgBody: 'doomed' });
  // The delay ends when it would have.
  expect((await cmq.receive(delayed, 30)).msgBody).toBe('later');
  expect(Date.now()).toBeGreaterThanOrEqual(sentAt + 3_990);
  expect(Date.now()).toBeLessThan(Math.max(sentAt + 4_000, restartedAt) + 20_000);
  expect(await cmq.counters(delayed)).toMatchObject({ delayed: 1 });
  // Still rewound, in order.
  expect(await cmq.drain(rewound)).toEqual(['a', 'b', 'c']);
  await killAndRestart();
  // What was deleted stays away, from the dead-letter queue too.
  expect((await cmq.call('ReceiveMessage', { queueName })).code).toBe(7000);
  await cmq.ok('CreateQueue', { queueName: unique() });
  expect(await cmq.counters(rewound)).toMatchObject({ active: 0, rewindable: 3 });
});

test('topics, subscriptions and attributes are there after a kill, and so are their copies', async () => {
  const [topicName, endpoint] = [unique('t'), unique()];
  await cmq.ok('CreateTopic', { topicName });
  await cmq.ok('CreateQueue', { queueName: endpoint, visibilityTimeout: 77 });
  const place = { topicName, subscriptionName: 's', protocol: 'queue', endpoint };
  await cmq.ok('Subscribe', { ...place, filterTag: ['red'] });
  const tagged = { topicName, msgTag: ['red'] };
  const { msgId } = await cmq.ok('PublishMessage', { ...tagged, msgBody: 'before' });
  await killAndRestart();
  expect(await cmq.receive(endpoint)).toMatchObject({ msgBody: 'before', msgId });
  await cmq.ok('PublishMessage', { ...tagged, msgBody: 'after' });
  await cmq.ok('PublishMessage', { topicName, msgBody: 'blue', msgTag: ['blue'] });
  expect(await cmq.drain(endpoint)).toEqual(['after']);
  const queue = await cmq.ok('GetQueueAttributes', { queueName: endpoint });
  expect(queue['visibilityTimeout']).toBe(77);
});
