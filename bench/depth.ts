/**
 * `node dist/bench/depth.js [--messages 10000000] [--size 256] [--mode bulk|thin|pinned]`: a deep
 * backlog on one durable queue.
 *
 * - bulk: publish with confirms (window 1000) and no consumer; memory and rate by million; restart
 *   with the backlog; then one consumer takes everything and checks order and completeness.
 * - thin: the same, each message confirmed before the next is sent, so one commit per message.
 * - pinned: 10,000 messages stay in one queue while `--messages` come and go in others; the data
 *   directory must stay within twice the live bytes plus 64 MB.
 *
 * `--limits` makes a broken bound exit code 1: resident memory below 400 MB throughout, last slice
 * at least 0.8 of the first, ready in under 3 s. `--steady-limits` leaves out the bounds on time,
 * which a machine with much else to do breaks on its own.
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Gateway } from './gateway.ts';
import { Consumer } from './load/consumer.ts';
import { countReady } from './load/load.ts';
import { residentBytes } from './load/process-stats.ts';
import { Publisher } from './load/publisher.ts';
import { megabytes, pause } from './target.ts';
import * as encode from './wire/encode.ts';
import { CHANNEL, Link } from './wire/link.ts';

const { values } = parseArgs({
  options: {
    messages: { type: 'string' },
    size: { type: 'string' },
    mode: { type: 'string' },
    slice: { type: 'string' },
    window: { type: 'string' },
    limits: { type: 'boolean' },
    'steady-limits': { type: 'boolean' },
    'data-dir': { type: 'string' },
    'skip-restart': { type: 'boolean' },
  },
});
const messageCount = Number(values.messages ?? 10_000_000);
const sizeBytes = Number(values.size ?? 256);
const mode = values.mode ?? 'bulk';
const sliceCount = Number(values.slice ?? Math.min(1_000_000, Math.ceil(messageCount / 10)));
const PINNED_COUNT = 10_000;
const RESIDENT_LIMIT_BYTES = 400e6;
const RESTART_LIMIT_MS = 3000;
const QUEUE = 'depth';

const broken: string[] = [];

function bound(isKept: boolean, text: string): void {
  console.log(`${isKept ? 'ok' : 'BROKEN'}: ${text}`);
  if (!isKept) broken.push(text);
}

/** A bound on time: counts only where the machine is known to do nothing else. */
function boundInTime(isKept: boolean, text: string): void {
  if (isKept || values['steady-limits'] !== true) bound(isKept, text);
  else console.log(`not kept: ${text}`);
}

/** Samples resident memory a few times a second and keeps the highest. */
class MemoryWatch {
  peakBytes: number;
  #pid: number;
  readonly #timer: NodeJS.Timeout;

  constructor(pid: number) {
    this.peakBytes = 0;
    this.#pid = pid;
    this.#timer = setInterval(() => {
      this.peakBytes = Math.max(this.peakBytes, residentBytes(this.#pid).total);
    }, 200);
  }

  follow(pid: number): void {
    this.#pid = pid;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

async function declare(url: string, names: readonly string[]): Promise<void> {
  const link = await Link.open(url);
  await link.pipeline(
    names.map((name) => encode.queueDeclare(CHANNEL, name, { isDurable: true })),
    encode.QUEUE_DECLARE_OK,
  );
  await link.close();
}

/** Publishes stamped messages; prints rate and memory for each slice; returns the rates. */
async function fill(
  gateway: Gateway,
  queues: readonly string[],
  count: number,
  confirmWindow: number,
  watch: MemoryWatch,
): Promise<number[]> {
  const link = await Link.open(gateway.url);
  const publisher = new Publisher(link, {
    index: 1,
    exchange: '',
    routingKeys: queues,
    sizeBytes,
    isPersistent: true,
    confirmWindow,
    rate: 0,
    isStamped: true,
    maxMessages: count,
  });
  await publisher.prepare();
  let isFinished = false;
  publisher.onFinished = () => {
    isFinished = true;
  };
  publisher.start();
  const rates: number[] = [];
  let sliceStartedAtMs = performance.now();
  let sliceStart = 0;
  while (!isFinished) {
    await pause(20);
    if (link.failure !== undefined) throw link.failure;
    if (publisher.confirmed - sliceStart < sliceCount) continue;
    const nowMs = performance.now();
    const rate = (publisher.confirmed - sliceStart) / ((nowMs - sliceStartedAtMs) / 1000);
    rates.push(rate);
    console.log(
      `published ${publisher.confirmed}: ${Math.round(rate).toLocaleString('en')}/s, ` +
        `${megabytes(residentBytes(gateway.pid).total)} MB, peak ${megabytes(watch.peakBytes)} MB`,
    );
    sliceStartedAtMs = nowMs;
    sliceStart = publisher.confirmed;
  }
  if (publisher.refused > 0) bound(false, `${publisher.refused} publishes were refused`);
  await link.close();
  return rates;
}

/** One consumer takes `count` messages; order and completeness by the stamps. */
async function empty(gateway: Gateway, count: number, queue = QUEUE): Promise<void> {
  const link = await Link.open(gateway.url);
  const consumer = new Consumer(link, {
    queues: [queue],
    ackEvery: 100,
    prefetch: 1000,
    isStamped: true,
  });
  const startedAtMs = performance.now();
  let printed = 0;
  await consumer.start();
  let lastCount = 0;
  let stalledMs = 0;
  while (consumer.delivered < count && stalledMs < 30_000) {
    await pause(50);
    if (link.failure !== undefined) throw link.failure;
    stalledMs = consumer.delivered === lastCount ? stalledMs + 50 : 0;
    lastCount = consumer.delivered;
    if (consumer.delivered - printed < sliceCount) continue;
    printed = consumer.delivered;
    console.log(`consumed ${printed}: ${megabytes(residentBytes(gateway.pid).total)} MB`);
  }
  const rate = consumer.delivered / ((performance.now() - startedAtMs) / 1000);
  console.log(`consumed at ${Math.round(rate).toLocaleString('en')}/s`);
  await consumer.stop();
  await link.close();
  const { outOfOrder, gaps, duplicates } = consumer.order;
  bound(
    consumer.delivered === count && outOfOrder === 0 && gaps === 0 && duplicates === 0,
    `consumed ${consumer.delivered} of ${count}: out of order ${outOfOrder}, missing ${gaps}, ` +
      `twice ${duplicates}`,
  );
}

async function restart(gateway: Gateway, watch: MemoryWatch): Promise<Gateway> {
  const code = await gateway.stop();
  bound(code === 0, `stopped with exit code ${code}`);
  const again = await Gateway.start({ directory: gateway.directory });
  watch.follow(again.pid);
  boundInTime(
    again.startMs < RESTART_LIMIT_MS,
    `restart with the backlog: ready in ${(again.startMs / 1000).toFixed(2)} s, ` +
      `${megabytes(residentBytes(again.pid).total)} MB`,
  );
  const link = await Link.open(again.url);
  console.log(`ready messages after the restart: ${await countReady(link, [QUEUE])}`);
  await link.close();
  return again;
}

/** Bytes of the data files, and of the write-ahead log, which has a cap of its own. */
function dataBytes(directory: string): { main: number; log: number } {
  const sizes = { main: 0, log: 0 };
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const { size } = statSync(join(directory, entry.name));
    if (entry.name.endsWith('-wal')) sizes.log += size;
    else sizes.main += size;
  }
  return sizes;
}

function fileText({ main, log }: { main: number; log: number }): string {
  return `${megabytes(main)} MB and ${megabytes(log)} MB of write-ahead log`;
}

async function runBacklog(first: Gateway, watch: MemoryWatch): Promise<Gateway> {
  await declare(first.url, [QUEUE]);
  const window = mode === 'thin' ? 1 : Number(values.window ?? 1000);
  const rates = await fill(first, [QUEUE], messageCount, window, watch);
  const share = (rates.at(-1) ?? 0) / (rates[0] ?? 1);
  boundInTime(share >= 0.8, `publish rate of the last slice is ${share.toFixed(2)} of the first`);
  console.log(`data: ${fileText(dataBytes(first.directory))}`);
  const gateway = values['skip-restart'] === true ? first : await restart(first, watch);
  await empty(gateway, messageCount);
  return gateway;
}

/** The oldest messages stay, everything after them goes: does the file shrink with it? */
async function runPinned(gateway: Gateway, watch: MemoryWatch): Promise<void> {
  // Names as long as QUEUE: the publisher goes round robin over messages of one size.
  const others = Array.from({ length: 4 }, (_, index) => `gone${index}`);
  await declare(gateway.url, [QUEUE, ...others]);
  // Interleaved with the others' first ones, so that they share journal rows.
  await fill(gateway, [QUEUE, ...others], PINNED_COUNT * (others.length + 1), 1000, watch);
  const links = await Promise.all(others.map(() => Link.open(gateway.url)));
  const consumers = links.map((link, index) => {
    const queue = others[index]!;
    return new Consumer(link, {
      queues: [queue],
      ackEvery: 10,
      prefetch: 500,
      isStamped: false,
    });
  });
  for (const consumer of consumers) await consumer.start();
  let peakBytes = 0;
  const timer = setInterval(() => {
    peakBytes = Math.max(peakBytes, dataBytes(gateway.directory).main);
  }, 500);
  await fill(gateway, others, messageCount, 1000, watch);
  const total = messageCount + PINNED_COUNT * others.length;
  for (let waited = 0; waited < 60_000; waited += 50) {
    if (consumers.reduce((sum, consumer) => sum + consumer.delivered, 0) >= total) break;
    await pause(50);
  }
  for (const consumer of consumers) await consumer.stop();
  await pause(3000);
  clearInterval(timer);
  const liveBytes = PINNED_COUNT * sizeBytes;
  const limitBytes = 2 * liveBytes + 64e6;
  const sizes = dataBytes(gateway.directory);
  peakBytes = Math.max(peakBytes, sizes.main);
  bound(
    peakBytes <= limitBytes,
    `data at the end ${fileText(sizes)}; highest on the way ${megabytes(peakBytes)} MB, ` +
      `limit ${megabytes(limitBytes)} MB`,
  );
  const control = await Link.open(gateway.url);
  const kept = await countReady(control, [QUEUE]);
  bound(kept === PINNED_COUNT, `${kept} of the ${PINNED_COUNT} oldest messages are there`);
  for (const link of [...links, control]) await link.close();
}

let gateway = await Gateway.start(
  values['data-dir'] === undefined ? {} : { directory: values['data-dir'] },
);
const watch = new MemoryWatch(gateway.pid);
try {
  console.log(`${mode}: ${messageCount} messages of ${sizeBytes} B`);
  if (mode === 'pinned') await runPinned(gateway, watch);
  else gateway = await runBacklog(gateway, watch);
  bound(
    watch.peakBytes < RESIDENT_LIMIT_BYTES,
    `highest resident memory ${megabytes(watch.peakBytes)} MB`,
  );
} finally {
  watch.stop();
  await gateway.stop();
  if (values['data-dir'] === undefined) gateway.remove();
}
const isBinding = values.limits === true || values['steady-limits'] === true;
if (isBinding && broken.length > 0) process.exitCode = 1;
