/**
 * `node dist/bench/topology.js [--queues 10000] [--bindings 50000] [--patterns 10000]`: many
 * queues and bindings. Reports declare rates, idle CPU, memory, restart time, and the speed
 * through a topic exchange with many patterns against one with ten.
 */
import { parseArgs } from 'node:util';
import { Gateway } from './gateway.ts';
import { cpuSeconds, residentBytes } from './load/process-stats.ts';
import { Publisher } from './load/publisher.ts';
import { Consumer } from './load/consumer.ts';
import { megabytes, pause } from './target.ts';
import * as encode from './wire/encode.ts';
import { CHANNEL, Link } from './wire/link.ts';

const { values } = parseArgs({
  options: {
    queues: { type: 'string' },
    bindings: { type: 'string' },
    patterns: { type: 'string' },
    seconds: { type: 'string' },
  },
});
const queueCount = Number(values.queues ?? 10_000);
const bindingCount = Number(values.bindings ?? 50_000);
const patternCount = Number(values.patterns ?? 10_000);
const seconds = Number(values.seconds ?? 5);
const IDLE_SECONDS = 5;

function queueName(index: number): string {
  return `q-${String(index).padStart(6, '0')}`;
}

async function timed(
  link: Link,
  what: string,
  requests: readonly Buffer[],
  replyKey: number,
): Promise<void> {
  const startedAtMs = performance.now();
  await link.pipeline(requests, replyKey);
  const elapsed = (performance.now() - startedAtMs) / 1000;
  const rate = Math.round(requests.length / elapsed).toLocaleString('en');
  console.log(`${what}: ${requests.length} in ${elapsed.toFixed(2)} s, ${rate}/s`);
}

async function declareAll(url: string): Promise<void> {
  const link = await Link.open(url);
  const queues = Array.from({ length: queueCount }, (_, index) =>
    encode.queueDeclare(CHANNEL, queueName(index), { isDurable: true }),
  );
  await timed(link, 'declare durable queues', queues, encode.QUEUE_DECLARE_OK);
  const bindings = Array.from({ length: bindingCount }, (_, index) =>
    encode.queueBind(CHANNEL, queueName(index % queueCount), 'amq.direct', `key-${index}`),
  );
  await timed(link, 'bind durable queues', bindings, encode.QUEUE_BIND_OK);
  await link.close();
}

async function idle(gateway: Gateway, when: string): Promise<void> {
  await pause(2000);
  const before = cpuSeconds(gateway.pid);
  await pause(IDLE_SECONDS * 1000);
  const share = ((cpuSeconds(gateway.pid) - before) / IDLE_SECONDS) * 100;
  const memory = megabytes(residentBytes(gateway.pid).total);
  console.log(`${when}: idle CPU ${share.toFixed(1)} %, ${memory} MB`);
}

/** Messages per second through a topic exchange where one of its patterns matches each. */
async function topicRate(url: string, patterns: number): Promise<number> {
  const exchange = `topic-${patterns}`;
  const queue = `topic-queue-${patterns}`;
  const link = await Link.open(url);
  await link.call(encode.exchangeDeclare(CHANNEL, exchange, 'topic'), encode.EXCHANGE_DECLARE_OK);
  await link.call(
    encode.queueDeclare(CHANNEL, queue, { isDurable: true }),
    encode.QUEUE_DECLARE_OK,
  );
  const binds = Array.from({ length: patterns }, (_, index) => {
    const number = String(index).padStart(6, '0');
    return encode.queueBind(CHANNEL, queue, exchange, `stock.*.item-${number}.#`);
  });
  await link.pipeline(binds, encode.QUEUE_BIND_OK);
  const consumerLink = await Link.open(url);
  const consumer = new Consumer(consumerLink, {
    queues: [queue],
    ackEvery: 0,
    prefetch: 0,
    isStamped: false,
  });
  await consumer.start();
  // As many different keys as the larger exchange has patterns, so that a route cache by key does
  // not decide the figure; those without a pattern here are dropped by the broker.
  const routingKeys = Array.from({ length: patternCount }, (_, index) => {
    const number = String(index % patterns).padStart(6, '0');
    return `stock.s${String(index).padStart(6, '0')}.item-${number}.sold`;
  });
  const publisherLink = await Link.open(url);
  const publisher = new Publisher(publisherLink, {
    index: 0,
    exchange,
    routingKeys,
    sizeBytes: 16,
    isPersistent: false,
    confirmWindow: 1000,
    rate: 0,
    isStamped: false,
    maxMessages: Infinity,
  });
  await publisher.prepare();
  publisher.start();
  await pause(1000);
  const before = consumer.delivered;
  const startedAtMs = performance.now();
  await pause(seconds * 1000);
  const rate = (consumer.delivered - before) / ((performance.now() - startedAtMs) / 1000);
  publisher.stop();
  await publisher.settle(10_000);
  for (const open of [publisherLink, consumerLink, link]) await open.close();
  return rate;
}

let gateway = await Gateway.start();
try {
  await declareAll(gateway.url);
  await idle(gateway, 'after declaring');
  await gateway.stop();
  gateway = await Gateway.start({ directory: gateway.directory });
  console.log(`restart: ready in ${(gateway.startMs / 1000).toFixed(2)} s`);
  await idle(gateway, 'after the restart');
  const few = await topicRate(gateway.url, 10);
  const many = await topicRate(gateway.url, patternCount);
  console.log(
    `topic exchange: 10 patterns ${Math.round(few).toLocaleString('en')}/s, ` +
      `${patternCount} patterns ${Math.round(many).toLocaleString('en')}/s, ` +
      `ratio ${(many / few).toFixed(2)}`,
  );
} finally {
  await gateway.stop();
  gateway.remove();
}
