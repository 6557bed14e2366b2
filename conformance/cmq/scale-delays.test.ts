/**
 * Acceptance 5 in small: many delayed messages, a kill -9, and each comes due at its time.
 * `bench/cmq/delays.ts` is the full size.
 */
import { expect, test } from 'vitest';
import type { CmqClient } from '../support/cmq-client.ts';
import { makeQueue, useCmq } from '../support/cmq-test.ts';

const { client, server } = useCmq();
const COUNT = 8_000;
const BATCH = 16;
/** Code of a receive that found nothing. */
const EMPTY = 7000;
const CLIENTS = 16;
/** Seconds after the start at which the first is due; doubled until sending and restart take less. */
const LEAD_SECONDS = 20;
const SPREAD_SECONDS = 8;
/** Left before the first is due, for a look at the counters. */
const MARGIN_MS = 3_000;
/** What tells late from lost on any machine; the second that is allowed is the bench's. */
const LATE_MS_MAX = 30_000;
const PATIENCE_MS = 60_000;

interface Sent {
  readonly fromMs: number;
  readonly untilMs: number;
  readonly delaySeconds: number;
}

async function sendAll(cmq: CmqClient, queueName: string, firstDueMs: number): Promise<Sent[]> {
  const batches: Sent[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < COUNT / BATCH) {
      const batch = next;
      next += 1;
      const dueMs = firstDueMs + (batch % SPREAD_SECONDS) * 1000;
      const delaySeconds = Math.max(0, Math.ceil((dueMs - Date.now()) / 1000));
      const msgBody = Array.from({ length: BATCH }, (_, n) => `${batch * BATCH + n}`);
      const fromMs = Date.now();
      await cmq.ok('BatchSendMessage', { queueName, msgBody, delaySeconds });
      batches[batch] = { fromMs, untilMs: Date.now(), delaySeconds };
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, work));
  return batches;
}

/** Sends all and kills the server before the first is due, with as much time as the machine needs. */
async function sendAndKill() {
  for (let leadSeconds = LEAD_SECONDS; ; leadSeconds *= 2) {
    const queueName = await makeQueue(client());
    const firstDueMs = Date.now() + leadSeconds * 1000;
    const batches = await sendAll(client(), queueName, firstDueMs);
    await server().kill();
    await server().restart();
    if (Date.now() < firstDueMs - MARGIN_MS) return { queueName, batches, firstDueMs };
    await client().ok('DeleteQueue', { queueName });
  }
}

test(`${COUNT} delayed messages survive kill -9 and come due on time, once each`, async () => {
  const { queueName, batches, firstDueMs } = await sendAndKill();
  const cmq = client();
  expect(await cmq.counters(queueName)).toMatchObject({ active: 0, delayed: COUNT });
  const seen = new Set<string>();
  const faults: string[] = [];
  const note = (body: string): void => {
    const nowMs = Date.now();
    const { fromMs, untilMs, delaySeconds } = batches[Math.floor(Number(body) / BATCH)]!;
    if (seen.has(body)) faults.push(`${body} came twice`);
    seen.add(body);
    if (nowMs < fromMs + delaySeconds * 1000) faults.push(`${body} came early`);
    const lateMs = nowMs - untilMs - delaySeconds * 1000;
    if (lateMs > LATE_MS_MAX) faults.push(`${body} came ${lateMs} ms late`);
  };
  const endMs = firstDueMs + SPREAD_SECONDS * 1000 + PATIENCE_MS;
  const work = async (): Promise<void> => {
    while (seen.size < COUNT && Date.now() < endMs) {
      const request = { queueName, numOfMsg: BATCH, pollingWaitSeconds: 1 };
      const { code, msgInfoList } = await cmq.call('BatchReceiveMessage', request);
      if (code === EMPTY) continue;
      for (const { msgBody } of msgInfoList) note(msgBody);
      const receiptHandle = msgInfoList.map((message) => message.receiptHandle);
      await cmq.ok('BatchDeleteMessage', { queueName, receiptHandle });
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, work));
  expect(faults.slice(0, 5)).toEqual([]);
  expect(seen.size).toBe(COUNT);
  const none = { active: 0, inactive: 0, delayed: 0 };
  expect(await cmq.counters(queueName)).toMatchObject(none);
}, 300_000);
