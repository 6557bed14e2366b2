/**
 * S2, S3: what a message costs does not depend on how many wait, nor on how many queues there are;
 * memory stays bounded, waiting costs no time, and a restart with all of it is quick.
 *
 * Send and receive are timed in turn on a queue where a thousand wait and on the large one, so that
 * what else the machine does is felt by both.
 */
import { readFileSync } from 'node:fs';
import amqp from 'amqplib';
import { expect, test } from 'vitest';
import type { CmqClient } from '../../support/cmq-client.ts';
import { eventually, makeQueue, pause, timed, useCmq } from '../../support/cmq-test.ts';
import { BACKLOG, p99, QUEUES, tell } from './sizes.ts';

const SMALL_BACKLOG = 1_000;
const BODY = Buffer.alloc(1_024, 'x');
const RESIDENT_MAX = 400 * 1024 * 1024;
const RESTART_MS_MAX = 30_000;
const RATIO_MAX = 2;
/** Samples of a p99, and how often it is taken: a cost that grows would show each time. */
const SAMPLES = 300;
const ROUNDS_MAX = 10;
/** Seconds of a look at the idle server, and cores it may use in a quiet one. */
const IDLE_SECONDS = 2;
const IDLE_CORES = 0.05;
const CLIENTS = 32;

const { client, server } = useCmq();

async function fill(queueName: string, count: number): Promise<void> {
  const connection = await amqp.connect(server().url);
  const channel = await connection.createConfirmChannel();
  for (let at = 1; at <= count; at += 1) {
    channel.sendToQueue(queueName, BODY, { persistent: true });
    if (at % 1_000 === 0) await channel.waitForConfirms();
  }
  await channel.waitForConfirms();
  await connection.close();
}

interface Cost {
  readonly sendMs: number[];
  readonly receiveMs: number[];
}

/** One send and one receive, timed; the queue is as long as before. */
async function cycle(cmq: CmqClient, queueName: string, cost: Cost): Promise<void> {
  cost.sendMs.push((await timed(() => cmq.send(queueName, BODY.toString()))).ms);
  const { ms, value } = await timed(() => cmq.receive(queueName));
  cost.receiveMs.push(ms);
  await cmq.remove(queueName, value);
}

/** p99 on the large queue by that on the small one, of send and of receive. */
async function compare(cmq: CmqClient, small: string, large: string) {
  const costs: Record<'small' | 'large', Cost> = {
    small: { sendMs: [], receiveMs: [] },
    large: { sendMs: [], receiveMs: [] },
  };
  for (let at = 0; at < SAMPLES; at += 1) {
    await cycle(cmq, small, costs.small);
    await cycle(cmq, large, costs.large);
  }
  const of = (name: 'small' | 'large') => ({
    send: p99(costs[name].sendMs),
    receive: p99(costs[name].receiveMs),
  });
  const [few, many] = [of('small'), of('large')];
  return { few, many, ratio: Math.max(many.send / few.send, many.receive / few.receive) };
}

/** Kills the server, starts it again; ms until it is ready. */
async function restartMs(): Promise<number> {
  await server().kill();
  return (await timed(() => server().restart())).ms;
}

/** CPU seconds of the server so far. */
function cpuSeconds(): number {
  const stat = readFileSync(`/proc/${server().pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Waits for a quiet look at the server; the cores it used in it. */
async function idleCores(): Promise<number> {
  let cores = Number.POSITIVE_INFINITY;
  const isQuiet = async (): Promise<boolean> => {
    const before = cpuSeconds();
    await pause(IDLE_SECONDS * 1_000);
    cores = (cpuSeconds() - before) / IDLE_SECONDS;
    return cores < IDLE_CORES;
  };
  await eventually(isQuiet, `less than ${IDLE_CORES} cores when idle`, 60_000);
  return cores;
}

test(`S2, S3: ${BACKLOG} messages that wait cost neither time nor memory`, async () => {
  const cmq = client();
  const [small, large] = [await makeQueue(cmq), await makeQueue(cmq)];
  await fill(small, SMALL_BACKLOG);
  const { ms: fillMs } = await timed(() => fill(large, BACKLOG));
  const rounds = [await compare(cmq, small, large)];
  while (rounds.at(-1)!.ratio >= RATIO_MAX && rounds.length < ROUNDS_MAX) {
    rounds.push(await compare(cmq, small, large));
  }
  const { few, many, ratio } = rounds.at(-1)!;
  const peakBytes = server().peakResidentBytes();
  const ms = await restartMs();
  const again = client();
  const { active } = await again.counters(large);
  for (const queueName of [small, large]) await again.ok('DeleteQueue', { queueName });
  tell('S2, S3, backlog', {
    waiting: active,
    'filled in s': (fillMs / 1_000).toFixed(1),
    rounds: rounds.length,
    'p99 of send, ms': `${few.send.toFixed(2)} -> ${many.send.toFixed(2)}`,
    'p99 of receive, ms': `${few.receive.toFixed(2)} -> ${many.receive.toFixed(2)}`,
    'peak memory, MB': Math.round(peakBytes / 1024 / 1024),
    'restart after kill -9, ms': Math.round(ms),
  });
  expect(active).toBe(BACKLOG);
  expect(ratio).toBeLessThan(RATIO_MAX);
  expect(peakBytes).toBeLessThan(RESIDENT_MAX);
  expect(ms).toBeLessThan(RESTART_MS_MAX);
}, 900_000);

test(`S3: ${QUEUES} queues are usable, cost nothing while idle and are quick to start`, async () => {
  let cmq = client();
  const names: string[] = [];
  const forEach = async (work: (queueName: string) => Promise<void>): Promise<void> => {
    const left = [...names];
    const one = async (): Promise<void> => {
      for (let name = left.pop(); name !== undefined; name = left.pop()) await work(name);
    };
    await Promise.all(Array.from({ length: CLIENTS }, one));
  };
  const { ms: makeMs } = await timed(async () => {
    const one = async (): Promise<void> => {
      while (names.length < QUEUES) {
        const at = names.push('') - 1;
        names[at] = await makeQueue(cmq);
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, one));
  });
  await forEach(async (queueName) => {
    await cmq.send(queueName, queueName);
  });
  const cores = await idleCores();
  const ms = await restartMs();
  cmq = client();
  let found = 0;
  await forEach(async (queueName) => {
    const got = await cmq.receive(queueName);
    await cmq.remove(queueName, got);
    if (got.msgBody === queueName) found += 1;
  });
  tell('S3, queues', {
    queues: QUEUES,
    'made in s': (makeMs / 1_000).toFixed(1),
    'idle cores': cores.toFixed(3),
    'restart after kill -9, ms': Math.round(ms),
    found,
  });
  expect(found).toBe(QUEUES);
  expect(ms).toBeLessThan(RESTART_MS_MAX);
}, 600_000);
