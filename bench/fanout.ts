/**
 * `node dist/bench/fanout.js [--url amqp://...] [--queues 1000] [--size 100000]`: one persistent
 * publish to a fanout exchange with many queues. Reports the time to the confirm, what the data
 * directory grew by (the body should lie there once) and the server's memory.
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { countReady } from './load/load.ts';
import { residentBytes } from './load/process-stats.ts';
import { Publisher } from './load/publisher.ts';
import { megabytes, openTarget, pause } from './target.ts';
import * as encode from './wire/encode.ts';
import { CHANNEL, Link } from './wire/link.ts';

const { values } = parseArgs({
  options: {
    url: { type: 'string' },
    queues: { type: 'string' },
    size: { type: 'string' },
  },
});
const queueCount = Number(values.queues ?? 1000);
const sizeBytes = Number(values.size ?? 100_000);

/** Bytes of all files below a directory. */
function directoryBytes(directory: string): number {
  let total = 0;
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    total += entry.isDirectory() ? directoryBytes(path) : statSync(path).size;
  }
  return total;
}

const target = await openTarget(values.url);
try {
  const exchange = `bench-fanout-${process.pid}`;
  const names = Array.from(
    { length: queueCount },
    (_, index) => `${exchange}-${String(index).padStart(5, '0')}`,
  );
  const control = await Link.open(target.url);
  await control.call(
    encode.exchangeDeclare(CHANNEL, exchange, 'fanout'),
    encode.EXCHANGE_DECLARE_OK,
  );
  await control.pipeline(
    names.map((name) => encode.queueDeclare(CHANNEL, name, { isDurable: true })),
    encode.QUEUE_DECLARE_OK,
  );
  await control.pipeline(
    names.map((name) => encode.queueBind(CHANNEL, name, exchange, '')),
    encode.QUEUE_BIND_OK,
  );
  await pause(1000);
  const directory = target.gateway?.directory;
  const bytesBefore = directory === undefined ? 0 : directoryBytes(directory);
  const memoryBefore = residentBytes(target.pid).total;
  const link = await Link.open(target.url);
  const publisher = new Publisher(link, {
    index: 0,
    exchange,
    routingKeys: [''],
    sizeBytes,
    isPersistent: true,
    confirmWindow: 1,
    rate: 0,
    isStamped: false,
    maxMessages: 1,
  });
  await publisher.prepare();
  const startedAtMs = performance.now();
  const finished = new Promise<void>((resolve) => {
    publisher.onFinished = resolve;
  });
  publisher.start();
  await finished;
  const confirmMs = performance.now() - startedAtMs;
  const ready = await countReady(control, names);
  console.log(
    `one publish of ${sizeBytes} B to ${queueCount} queues: confirmed in ` +
      `${confirmMs.toFixed(1)} ms, ${ready} messages ready`,
  );
  if (directory !== undefined) {
    const grown = directoryBytes(directory) - bytesBefore;
    console.log(`the data directory grew by ${grown} B, ${(grown / sizeBytes).toFixed(2)} bodies`);
  }
  const memoryGrown = residentBytes(target.pid).total - memoryBefore;
  console.log(`resident memory grew by ${megabytes(memoryGrown)} MB`);
  await link.close();
  await control.pipeline(
    names.map((name) => encode.queueDelete(CHANNEL, name)),
    encode.QUEUE_DELETE_OK,
  );
  await control.call(encode.exchangeDelete(CHANNEL, exchange), encode.EXCHANGE_DELETE_OK);
  await control.close();
} finally {
  await target.close();
}
