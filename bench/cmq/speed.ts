/**
 * `node dist/bench/cmq/speed.js [--connections 64] [--sizes 64,1024] [--seconds 10] [--runs 3]
 * [--elasticmq PORT]`: send + receive + delete over keep-alive HTTP, durable, in turn with the same
 * cycle over AMQP (the ceiling) and, where it runs, against ElasticMQ, which keeps messages in
 * memory. `bench/cmq/elasticmq/run.sh PORT` starts one.
 */
import { parseArgs } from 'node:util';
import { cpuSeconds } from '../load/process-stats.ts';
import { AmqpWorker } from './amqp-worker.ts';
import { KEY, startCmq } from './broker.ts';
import { CmqLink } from './cmq-link.ts';
import { openCmqWorkers } from './cmq-worker.ts';
import { type CycleResult, runCycles, type Worker } from './cycle.ts';
import { SqsWorker } from './sqs-worker.ts';

const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: '64' },
    sizes: { type: 'string', default: '64,1024' },
    seconds: { type: 'string', default: '10' },
    runs: { type: 'string', default: '3' },
    elasticmq: { type: 'string' },
  },
});

const CONNECTIONS = Number(values.connections);
const SECONDS = Number(values.seconds);
const WARMUP_SECONDS = 2;
const QUEUE = 'bench';
const BATCH = 16;
/** What batches must reach in messages per second, in single calls. */
const BATCH_FACTOR = 8;

type Name = 'CMQ, single calls' | 'CMQ, batches of 16' | 'AMQP basic.get' | 'ElasticMQ';

let results = new Map<Name, CycleResult[]>();

async function measure(name: Name, workers: readonly Worker[], pid: number): Promise<void> {
  const cpuBefore = cpuSeconds(pid);
  const ownBefore = cpuSeconds(process.pid);
  const result = await runCycles(workers, WARMUP_SECONDS, SECONDS);
  const cores = (cpuSeconds(pid) - cpuBefore) / (WARMUP_SECONDS + SECONDS);
  const ownCores = (cpuSeconds(process.pid) - ownBefore) / (WARMUP_SECONDS + SECONDS);
  for (const worker of workers) await worker.close();
  const known = results.get(name) ?? [];
  known.push(result);
  results.set(name, known);
  console.log(
    `${name}: ${result.messagesPerSecond.toFixed(0)} messages/s, cycle p50 ` +
      `${result.p50Ms.toFixed(1)} ms, p99 ${result.p99Ms.toFixed(1)} ms` +
      (pid > 0 ? `, server ${cores.toFixed(2)} cores` : '') +
      `, generator ${ownCores.toFixed(2)}`,
  );
}

function workersOf(open: () => Promise<Worker>): Promise<Worker[]> {
  return Promise.all(Array.from({ length: CONNECTIONS }, open));
}

async function runOurs(size: number): Promise<void> {
  const { gateway, port } = await startCmq();
  try {
    const admin = await CmqLink.open(port, KEY);
    await admin.ok('CreateQueue', [['queueName', QUEUE]]);
    admin.close();
    for (const batch of [1, BATCH]) {
      const workers = await openCmqWorkers(port, KEY, QUEUE, CONNECTIONS, size, batch);
      const name = batch === 1 ? 'CMQ, single calls' : 'CMQ, batches of 16';
      await measure(name, workers, gateway.pid);
    }
    const open = () => AmqpWorker.open(gateway.url, 'ceiling', size);
    await measure('AMQP basic.get', await workersOf(open), gateway.pid);
  } finally {
    await gateway.stop();
    gateway.remove();
  }
}

function median(name: Name): number {
  const rates = (results.get(name) ?? []).map((result) => result.messagesPerSecond);
  rates.sort((a, b) => a - b);
  return rates[rates.length >> 1] ?? 0;
}

function row(name: Name, unit: number): string {
  const rate = median(name);
  return `| ${name} | ${rate.toFixed(0)} | ${(rate / unit).toFixed(2)} |`;
}

/** Measures with bodies of `size` bytes; returns whether batches are as fast as they must be. */
async function compare(size: number): Promise<boolean> {
  results = new Map();
  for (let run = 0; run < Number(values.runs); run += 1) {
    await runOurs(size);
    if (values.elasticmq === undefined) continue;
    const port = Number(values.elasticmq);
    await measure('ElasticMQ', await workersOf(() => SqsWorker.open(port, QUEUE, size)), 0);
  }
  const single = median('CMQ, single calls');
  console.log(`\n| ${CONNECTIONS} connections, ${size} B | messages/s | to single calls |`);
  console.log('|---|---|---|');
  for (const name of results.keys()) console.log(row(name, single));
  const factor = median('CMQ, batches of 16') / single;
  const isReached = factor >= BATCH_FACTOR;
  const verdict = isReached ? 'reached' : 'MISSED';
  const wanted = `${BATCH_FACTOR} wanted: ${verdict}`;
  console.log(`\nbatches: ${factor.toFixed(1)} times single calls, ${wanted}`);
  console.log(`CMQ to AMQP basic.get: ${(single / median('AMQP basic.get')).toFixed(2)}`);
  if (values.elasticmq !== undefined) {
    const ratio = single / median('ElasticMQ');
    console.log(`CMQ (durable) to ElasticMQ (memory): ${ratio.toFixed(2)}`);
  }
  console.log('');
  return isReached;
}

let areReached = true;
for (const size of values.sizes.split(',').map(Number)) {
  areReached = (await compare(size)) && areReached;
}
process.exitCode = areReached ? 0 : 1;
