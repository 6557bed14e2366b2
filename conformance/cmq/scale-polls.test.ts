/** Acceptance 4 in small: many parked long polls. `bench/cmq/polls.ts` is the full size. */
import fs from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { CmqClient, CmqReply } from '../support/cmq-client.ts';
import { eventually, makeQueue, pause, useCmq } from '../support/cmq-test.ts';

const { client, server } = useCmq();
const POLLS = 400;
const QUEUES = 300;
const SENDS = 10;
/** What the machine may add to the 100 ms that the bench allows. */
const WAKE_MS = 20_000;
/** CPU seconds in which parked polls may cost next to nothing. */
const IDLE_SECONDS = 3;
const IDLE_CORES = 0.1;
const IDLE_WITHIN_MS = 60_000;

interface Poll {
  readonly answer: Promise<CmqReply | undefined>;
  readonly hangUp: () => void;
}

/** Parks a poll; `answer` is undefined when the client hung up. */
function park(cmq: CmqClient, queueName: string): Poll {
  const abort = new AbortController();
  const answer = cmq
    .call('ReceiveMessage', { queueName, pollingWaitSeconds: 30 }, abort.signal)
    .catch(() => undefined);
  return { answer, hangUp: () => abort.abort() };
}

/** CPU seconds of the server so far. */
function cpuSeconds(pid: number): number {
  const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

describe('many parked polls', () => {
  test(`of ${POLLS} on one queue each send wakes exactly one, at once`, async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    const woken: { body: string; atMs: number }[] = [];
    const polls = Array.from({ length: POLLS }, () => park(cmq, queueName));
    for (const { answer } of polls) {
      void answer.then((reply) => {
        if (reply !== undefined) woken.push({ body: reply.msgBody, atMs: performance.now() });
      });
    }
    await pause(1_500);
    expect(woken).toEqual([]);
    for (let sent = 1; sent <= SENDS; sent += 1) {
      const startedAtMs = performance.now();
      await cmq.send(queueName, `${sent}`);
      await eventually(async () => woken.length >= sent, 'a poll wakes');
      await pause(50);
      expect(woken.map(({ body }) => body)).toHaveLength(sent);
      expect(woken.at(-1)!.body).toBe(`${sent}`);
      expect(woken.at(-1)!.atMs - startedAtMs).toBeLessThan(WAKE_MS);
    }
    for (const { hangUp } of polls) hangUp();
  });

  test('those whose clients have gone take nothing', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    const leaving = Array.from({ length: POLLS / 2 }, () => park(cmq, queueName));
    await pause(500);
    const staying = Array.from({ length: POLLS / 2 }, () => park(cmq, queueName));
    await pause(1_000);
    for (const { hangUp } of leaving) hangUp();
    await pause(3_000);
    const bodies = staying.map((_, n) => `${n}`);
    await Promise.all(bodies.map((body) => cmq.send(queueName, body)));
    const replies = await Promise.all(staying.map(({ answer }) => answer));
    const received = replies.map((reply) => reply?.msgBody ?? 'none');
    expect(received.toSorted()).toEqual(bodies.toSorted());
    expect(await cmq.counters(queueName)).toMatchObject({ active: 0, inactive: POLLS / 2 });
  });

  test(`on ${QUEUES} quiet queues cost no time`, async () => {
    const cmq = client();
    const names = await Promise.all(Array.from({ length: QUEUES }, () => makeQueue(cmq)));
    const polls = names.map((queueName) => park(cmq, queueName));
    const look = async (): Promise<number> => {
      const before = cpuSeconds(server().pid);
      await pause(IDLE_SECONDS * 1000);
      return (cpuSeconds(server().pid) - before) / IDLE_SECONDS;
    };
    // The first look may still see them come.
    await eventually(async () => (await look()) < IDLE_CORES, 'quiet', IDLE_WITHIN_MS);
    for (const { hangUp } of polls) hangUp();
  });
});
