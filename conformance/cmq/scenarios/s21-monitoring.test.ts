/**
 * S21 and 1b: the figures of the reference after a scripted workload, a thousand parked polls of
 * which one send wakes one, and a byte that changed on disk, which is told and never delivered.
 */
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { CmqClient } from '../../support/cmq-client.ts';
import {
  cmqUrl,
  eventually,
  KEYS,
  makeQueue,
  pause,
  startCmq,
  timed,
  unique,
  useCmq,
} from '../../support/cmq-test.ts';
import type { ServerProcess } from '../../support/server-process.ts';
import { tell } from './sizes.ts';

const POLLS = 1_000;
const { client, server } = useCmq({ args: ['--metrics-port', '0'] });
let damaged: ServerProcess | undefined;

afterAll(async () => {
  await damaged?.dispose();
});

/** Samples of one queue or topic, by name. */
async function figures(label: string): Promise<Record<string, number>> {
  const reply = await fetch(`http://127.0.0.1:${server().port('http/prometheus')}/metrics`);
  const text = await reply.text();
  const found: Record<string, number> = {};
  for (const line of text.split('\n')) {
    const sample = /^(\w+)\{(.*)\} (\S+)$/.exec(line);
    if (sample?.[2]?.includes(`"${label}"`)) found[sample[1]!] = Number(sample[3]);
  }
  return found;
}

test('S21: the figures of a queue are exact', async () => {
  const cmq = client();
  const queueName = await makeQueue(cmq);
  await cmq.send(queueName, 'a');
  await cmq.ok('BatchSendMessage', { queueName, msgBody: ['b', 'c', 'd'] });
  const got = await cmq.receive(queueName);
  await cmq.ok('BatchReceiveMessage', { queueName, numOfMsg: 2 });
  await cmq.remove(queueName, got);
  const empty = await makeQueue(cmq);
  await cmq.call('ReceiveMessage', { queueName: empty });
  await cmq.call('BatchReceiveMessage', { queueName: empty, numOfMsg: 2 });
  expect(await figures(queueName)).toMatchObject({
    tributary_cmq_send_msg_req_count_total: 2,
    tributary_cmq_send_msg_num_total: 4,
    tributary_cmq_recv_msg_req_count_total: 2,
    tributary_cmq_recv_msg_num_total: 3,
    tributary_cmq_del_msg_req_count_total: 1,
    tributary_cmq_del_msg_num_total: 1,
    tributary_cmq_visible_msg_num: 1,
    tributary_cmq_invisible_msg_num: 2,
  });
  expect(await figures(empty)).toMatchObject({
    tributary_cmq_recv_null_msg_num_total: 1,
    tributary_cmq_batch_recv_null_msg_num_total: 1,
  });
});

test('S21: the figures of a topic are exact', async () => {
  const cmq = client();
  const topicName = unique('t');
  await cmq.ok('CreateTopic', { topicName });
  const endpoint = await makeQueue(cmq);
  const place = { topicName, subscriptionName: unique('s'), protocol: 'queue', endpoint };
  await cmq.ok('Subscribe', { ...place, filterTag: ['a'] });
  await cmq.ok('PublishMessage', { topicName, msgBody: '12345', msgTag: ['a'] });
  await cmq.ok('PublishMessage', { topicName, msgBody: '123', msgTag: ['b'] });
  await cmq.ok('BatchPublishMessage', { topicName, msgBody: ['x', 'y'], msgTag: ['a'] });
  expect(await figures(topicName)).toMatchObject({
    tributary_cmq_num_of_msg_published_total: 2,
    tributary_cmq_count_of_msg_published_total: 2,
    tributary_cmq_num_of_msg_batch_published_total: 2,
    tributary_cmq_count_of_msg_batch_published_total: 1,
    tributary_cmq_publish_size_total: 8,
    tributary_cmq_batch_publish_size_total: 2,
    tributary_cmq_num_of_match_total: 3,
  });
});

test('1b: a poll of 10 s is answered when a message comes after 3 s, and otherwise at 10 s', async () => {
  const cmq = client();
  const [wakes, stays] = [await makeQueue(cmq), await makeQueue(cmq)];
  const poll = (queueName: string) =>
    timed(() => cmq.call('ReceiveMessage', { queueName, pollingWaitSeconds: 10 }));
  const polls = Promise.all([poll(wakes), poll(stays)]);
  await pause(3_000);
  await cmq.send(wakes, 'x');
  const [woken, ended] = await polls;
  expect([woken.value.code, ended.value.code]).toEqual([0, 7000]);
  tell('1b, polls', { 'woken at ms': Math.round(woken.ms), 'ended at ms': Math.round(ended.ms) });
  expect(woken.ms).toBeGreaterThanOrEqual(2_990);
  expect(ended.ms).toBeGreaterThanOrEqual(9_990);
  // Whether the message woke it, not how busy the machine is.
  expect(woken.ms).toBeLessThan(ended.ms);
});

test('1b: a thousand polls wait, one message wakes exactly one', async () => {
  const cmq = client();
  const queueName = await makeQueue(cmq);
  let woken = 0;
  const polls = Array.from({ length: POLLS }, async () => {
    const reply = await cmq.call('ReceiveMessage', { queueName, pollingWaitSeconds: 30 });
    if (reply.code === 0) woken += 1;
    return reply.code;
  });
  const waiting = async (): Promise<boolean> => {
    const attributes = await cmq.ok('GetQueueAttributes', { queueName });
    return attributes.code === 0;
  };
  for (let at = 0; at < 10; at += 1) await waiting();
  const { ms } = await timed(async () => {
    await cmq.send(queueName, 'one');
    await eventually(async () => woken > 0, 'one wakes');
  });
  expect(ms).toBeLessThan(10_000);
  expect(woken).toBe(1);
  // As many messages as polls that are left: each gets one, none is left and none is taken twice.
  for (let sent = 1; sent < POLLS; sent += 16) {
    const msgBody = Array.from({ length: Math.min(16, POLLS - sent) }, () => 'more');
    await cmq.ok('BatchSendMessage', { queueName, msgBody });
  }
  const codes = await Promise.all(polls);
  expect(codes.filter((code) => code === 0)).toHaveLength(POLLS);
  expect(await cmq.counters(queueName)).toMatchObject({ active: 0, inactive: POLLS });
});

test('1b: a byte that changed on disk is told, and that message is never delivered wrong', async () => {
  await damaged?.dispose();
  damaged = await startCmq();
  const cmq = new CmqClient(cmqUrl(damaged), KEYS.guest);
  const queueName = await makeQueue(cmq);
  const bodies = ['first', 'MARK-OF-THE-DAMAGED-MESSAGE', 'last'];
  for (const body of bodies) await cmq.send(queueName, body);
  cmq.close();
  await damaged.stop();
  let flips = 0;
  for (const name of fs.readdirSync(damaged.dataDir)) {
    const file = path.join(damaged.dataDir, name);
    if (!fs.statSync(file).isFile()) continue;
    const bytes = fs.readFileSync(file);
    for (let at = bytes.indexOf('MARK-OF-'); at >= 0; at = bytes.indexOf('MARK-OF-', at + 1)) {
      bytes[at] = 'X'.charCodeAt(0);
      flips += 1;
    }
    fs.writeFileSync(file, bytes);
  }
  expect(flips).toBeGreaterThan(0);
  await damaged.restart();
  const again = new CmqClient(cmqUrl(damaged), KEYS.guest);
  const found = await again.drain(queueName).catch((error: Error) => [error.message]);
  again.close();
  for (const body of found) expect(body).not.toContain('XARK-OF-');
  expect(damaged.log).toMatch(/damag|corrupt|checksum/i);
});
