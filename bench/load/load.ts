/**
 * One load run against any AMQP 0-9-1 broker: declares durable queues, lets publishers and
 * consumers run for a time, stops in an order that makes the sums exact, and counts what is left:
 *
 *     published = delivered (first time) + left in the queues
 */
import * as encode from '../wire/encode.ts';
import { CHANNEL, Link, type ServerIdentity } from '../wire/link.ts';
import { Consumer } from './consumer.ts';
import { type Measured, measure, percentiles, sum } from './measure.ts';
import { Publisher } from './publisher.ts';
import type { CommonResult } from './report.ts';

export interface LoadOptions {
  readonly url: string;
  readonly publishers: number;
  readonly consumers: number;
  readonly queues: number;
  readonly sizeBytes: number;
  readonly isPersistent: boolean;
  /** 0: no publisher confirms. */
  readonly confirmWindow: number;
  /** 0: auto-ack. */
  readonly ackEvery: number;
  readonly prefetch: number;
  /** Messages per second over all publishers; 0 for as many as possible. */
  readonly rate: number;
  readonly warmupSeconds: number;
  readonly durationSeconds: number;
  /** Per publisher; Infinity for no limit but time. */
  readonly maxMessages: number;
  readonly queueType: 'classic' | 'quorum';
  readonly queueArguments: encode.Table;
  /** Stamp bodies: latency percentiles and order. */
  readonly isStamped: boolean;
  /** Process of the broker; 0 to look for the one that listens on the URL's port. */
  readonly serverPid: number;
  readonly queuePrefix: string;
  /** Leave the queues and what is in them. */
  readonly keepsQueues: boolean;
}

export const DEFAULT_LOAD: LoadOptions = {
  url: 'amqp://guest:guest@127.0.0.1:5672',
  publishers: 1,
  consumers: 1,
  queues: 1,
  sizeBytes: 16,
  isPersistent: false,
  confirmWindow: 0,
  ackEvery: 0,
  prefetch: 0,
  rate: 0,
  warmupSeconds: 1,
  durationSeconds: 10,
  maxMessages: Infinity,
  queueType: 'classic',
  queueArguments: {},
  isStamped: false,
  serverPid: 0,
  queuePrefix: '',
  keepsQueues: false,
};

export interface LoadResult extends CommonResult {
  readonly server: ServerIdentity;
  readonly leftInQueues: number;
  /** published - (delivered - redelivered) - leftInQueues; 0 when the sums are right. */
  readonly unaccounted: number;
}

interface Cast {
  readonly control: Link;
  readonly publishers: Publisher[];
  readonly consumers: Consumer[];
  readonly links: Link[];
}

/** Runs one load. Rejects when a connection fails on the way. */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const queues = queueNames(options);
  const control = await Link.open(options.url);
  const links = [control];
  try {
    await declareQueues(control, queues, options);
    const cast: Cast = { control, publishers: [], consumers: [], links };
    await engage(cast, queues, options);
    const { publishers, consumers } = cast;
    const port = Number(new URL(options.url).port || 5672);
    const measured = await measure(
      { publishers, receivers: consumers, links },
      { ...options, port },
    );
    await stop(cast);
    const failure = links.find((link) => link.failure !== undefined)?.failure;
    if (failure !== undefined) throw failure;
    const leftInQueues = await countReady(control, queues);
    return summarize(cast, measured, leftInQueues, options);
  } finally {
    if (!options.keepsQueues && control.failure === undefined) {
      await control
        .pipeline(
          queues.map((name) => encode.queueDelete(CHANNEL, name)),
          encode.QUEUE_DELETE_OK,
        )
        .catch(() => undefined);
    }
    await Promise.all(links.map((link) => link.close()));
  }
}

/** Ready messages over all the queues. */
export async function countReady(control: Link, queues: readonly string[]): Promise<number> {
  let total = 0;
  for (const name of queues) {
    const reply = await control.call(
      encode.queueDeclare(CHANNEL, name, { isPassive: true }),
      encode.QUEUE_DECLARE_OK,
    );
    total += reply.readUInt32BE(5 + reply[4]!);
  }
  return total;
}

function queueNames(options: LoadOptions): string[] {
  const prefix = options.queuePrefix || `bench-${process.pid}-${Date.now().toString(36)}`;
  const names: string[] = [];
  for (let index = 0; index < options.queues; index += 1) {
    names.push(`${prefix}-${String(index).padStart(5, '0')}`);
  }
  return names;
}

async function declareQueues(
  control: Link,
  queues: readonly string[],
  options: LoadOptions,
): Promise<void> {
  const queueArguments =
    options.queueType === 'quorum'
      ? { 'x-queue-type': 'quorum', ...options.queueArguments }
      : options.queueArguments;
  for (const name of queues) {
    await control.call(
      encode.queueDeclare(CHANNEL, name, { isDurable: true }, queueArguments),
      encode.QUEUE_DECLARE_OK,
    );
  }
}

async function engage(cast: Cast, queues: string[], options: LoadOptions): Promise<void> {
  for (let index = 0; index < options.consumers; index += 1) {
    const link = await Link.open(options.url);
    cast.links.push(link);
    const own =
      queues.length >= options.consumers
        ? queues.filter((_, at) => at % options.consumers === index)
        : [queues[index % queues.length]!];
    const consumer = new Consumer(link, {
      queues: own,
      ackEvery: options.ackEvery,
      prefetch: options.prefetch,
      isStamped: options.isStamped,
    });
    cast.consumers.push(consumer);
    await consumer.start();
  }
  for (let index = 0; index < options.publishers; index += 1) {
    const link = await Link.open(options.url);
    cast.links.push(link);
    const turn = index % queues.length;
    const publisher = new Publisher(link, {
      index,
      exchange: '',
      routingKeys: [...queues.slice(turn), ...queues.slice(0, turn)],
      sizeBytes: options.sizeBytes,
      isPersistent: options.isPersistent,
      confirmWindow: options.confirmWindow,
      rate: options.rate / options.publishers,
      isStamped: options.isStamped,
      maxMessages: options.maxMessages,
    });
    cast.publishers.push(publisher);
    await publisher.prepare();
  }
}

async function stop(cast: Cast): Promise<void> {
  for (const publisher of cast.publishers) publisher.stop();
  await Promise.all(cast.publishers.map((publisher) => publisher.settle(30_000)));
  await Promise.all(cast.consumers.map((consumer) => consumer.stop()));
}

function summarize(
  cast: Cast,
  measured: Measured,
  leftInQueues: number,
  options: LoadOptions,
): LoadResult {
  const published = sum(cast.publishers, (one) => one.published);
  const delivered = sum(cast.consumers, (one) => one.delivered);
  const redelivered = sum(cast.consumers, (one) => one.redelivered);
  return {
    server: cast.control.server,
    seconds: measured.seconds,
    publishedPerSecond: measured.published / measured.seconds,
    confirmedPerSecond: measured.confirmed / measured.seconds,
    deliveredPerSecond: measured.delivered / measured.seconds,
    published,
    confirmed: sum(cast.publishers, (one) => one.confirmed),
    refused: sum(cast.publishers, (one) => one.refused),
    delivered,
    redelivered,
    leftInQueues,
    unaccounted: published - (delivered - redelivered) - leftInQueues,
    outOfOrder: sum(cast.consumers, (one) => one.order.outOfOrder),
    latency: options.isStamped ? percentiles(cast.consumers.map((one) => one.latency)) : undefined,
    confirmLatency:
      options.isStamped && options.confirmWindow > 0
        ? percentiles(cast.publishers.map((one) => one.confirmLatency))
        : undefined,
    generatorCores: measured.generatorCores,
    serverCores: measured.serverCores,
    serverResidentBytes: measured.serverResidentBytes,
  };
}
