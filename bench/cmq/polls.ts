/**
 * `node dist/bench/cmq/polls.js [--polls 1000] [--sends 20] [--queues 10000] [--idle-seconds 10]`:
 * parked long polls. Many on one queue: each send wakes exactly one, at once. One on each of many
 * queues: the gateway does nothing.
 */
import { parseArgs } from 'node:util';
import { pause } from '../target.ts';
import { cpuSeconds, residentBytes } from '../load/process-stats.ts';
import { type CmqGateway, KEY, startCmq } from './broker.ts';
import { type CmqLink, EMPTY, openLinks, type Reply } from './cmq-link.ts';

const { values } = parseArgs({
  options: {
    polls: { type: 'string', default: '1000' },
    sends: { type: 'string', default: '20' },
    queues: { type: 'string', default: '10000' },
    'idle-seconds': { type: 'string', default: '10' },
  },
});

const POLL_SECONDS = 30;
/** What a poll may take to wake. */
const WAKE_MS_MAX = 100;
/** Cores that count as idle. */
const IDLE_CORES_MAX = 0.02;
/** Time in which a second poll that woke would be seen. */
const SETTLE_MS = 300;

function park(link: CmqLink, queue: string): Promise<Reply> {
  const wait = String(POLL_SECONDS);
  return link.call('ReceiveMessage', [
    ['queueName', queue],
    ['pollingWaitSeconds', wait],
  ]);
}

/** Parks `count` polls on one queue and sends; returns whether all was as it must be. */
async function wakeOne(port: number, count: number, sends: number): Promise<boolean> {
  const queue = 'crowded';
  const [sender] = await openLinks(port, KEY, 1);
  await sender!.ok('CreateQueue', [['queueName', queue]]);
  const links = await openLinks(port, KEY, count);
  const woken: { link: CmqLink; atMs: number; reply: Reply }[] = [];
  const parkOn = (link: CmqLink): void => {
    const note = (reply: Reply) => woken.push({ link, atMs: performance.now(), reply });
    void park(link, queue).then(note, (error: unknown) => {
      if (!isOver) throw error;
    });
  };
  let isOver = false;
  for (const link of links) parkOn(link);
  await pause(1_000 + count / 4);
  let slowestMs = 0;
  let isExact = woken.length === 0;
  for (let sent = 1; sent <= sends && isExact; sent += 1) {
    const startedAtMs = performance.now();
    const body = `message ${sent}`;
    await sender!.ok('SendMessage', [
      ['queueName', queue],
      ['msgBody', body],
    ]);
    await pause(SETTLE_MS);
    const [first] = woken.splice(0);
    isExact = woken.length === 0 && first?.reply.msgBody === body;
    if (first === undefined) break;
    slowestMs = Math.max(slowestMs, first.atMs - startedAtMs);
    const handle = ['receiptHandle', first.reply.receiptHandle] as const;
    await sender!.ok('DeleteMessage', [['queueName', queue], handle]);
    parkOn(first.link);
  }
  isOver = true;
  await sender!.ok('DeleteQueue', [['queueName', queue]]);
  for (const link of [sender!, ...links]) link.close();
  const isQuick = slowestMs <= WAKE_MS_MAX;
  console.log(
    `${count} polls on one queue, ${sends} sends one by one: ` +
      `${isExact ? 'each woke exactly one' : 'NOT exactly one woke'}, slowest ` +
      `${slowestMs.toFixed(1)} ms, ${WAKE_MS_MAX} allowed: ${isQuick ? 'reached' : 'MISSED'}`,
  );
  return isExact && isQuick;
}

/** Parks one poll on each of `count` queues and looks at the gateway's CPU time. */
async function idle({ port, gateway }: CmqGateway, count: number): Promise<boolean> {
  const links = await openLinks(port, KEY, count);
  const queues = links.map((_, index) => `quiet-${index}`);
  for (let from = 0; from < count; from += 256) {
    const some = links.slice(from, from + 256);
    await Promise.all(
      some.map((link, index) => link.ok('CreateQueue', [['queueName', queues[from + index]!]])),
    );
  }
  let early = 0;
  let isOver = false;
  for (const [index, link] of links.entries()) {
    const note = ({ code }: Reply) => {
      if (!isOver || code !== EMPTY) early += 1;
    };
    void park(link, queues[index]!).then(note, () => undefined);
  }
  // The last of the requests has been read when a later one is answered.
  const [probe] = await openLinks(port, KEY, 1);
  await probe!.ok('GetQueueAttributes', [['queueName', queues[0]!]]);
  await pause(3_000);
  const seconds = Number(values['idle-seconds']);
  const before = cpuSeconds(gateway.pid);
  await pause(seconds * 1000);
  const cores = (cpuSeconds(gateway.pid) - before) / seconds;
  isOver = true;
  const memory = residentBytes(gateway.pid).total / 1e6;
  for (const link of [probe!, ...links]) link.close();
  const isIdle = cores <= IDLE_CORES_MAX && early === 0;
  console.log(
    `${count} polls on as many queues: ${(cores * 100).toFixed(2)} % of a core over ${seconds} s, ` +
      `${(IDLE_CORES_MAX * 100).toFixed(0)} % allowed, ${early} ended early, ` +
      `${memory.toFixed(0)} MB: ${isIdle ? 'reached' : 'MISSED'}`,
  );
  return isIdle;
}

const target = await startCmq();
try {
  const isWoken = await wakeOne(target.port, Number(values.polls), Number(values.sends));
  const isIdle = await idle(target, Number(values.queues));
  process.exitCode = isWoken && isIdle ? 0 : 1;
} finally {
  await target.gateway.stop();
  target.gateway.remove();
}
