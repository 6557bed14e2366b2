/**
 * `node dist/bench/load/self-check.js`: what the generator reaches when the other side does
 * nothing, so that a broker's figure can be told from the generator's own limit. The stand-in
 * broker runs in a child process.
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Link } from '../wire/link.ts';
import { Consumer } from './consumer.ts';
import { Publisher } from './publisher.ts';
import { startSink } from './sink.ts';

const BODY_BYTES = 16;
const SECONDS = 3;

async function checkPublish(url: string): Promise<void> {
  const link = await Link.open(url);
  const publisher = new Publisher(link, {
    index: 0,
    exchange: '',
    routingKeys: ['queue'],
    sizeBytes: BODY_BYTES,
    isPersistent: false,
    confirmWindow: 0,
    rate: 0,
    isStamped: false,
    maxMessages: Infinity,
  });
  await measured(
    'publishes',
    () => publisher.start(),
    () => publisher.published,
  );
  publisher.stop();
  link.destroy();
}

async function checkDeliver(url: string, ackEvery: number): Promise<void> {
  const link = await Link.open(url);
  const consumer = new Consumer(link, {
    queues: ['queue'],
    ackEvery,
    prefetch: 0,
    isStamped: false,
  });
  const name = ackEvery === 0 ? 'deliveries, auto-ack' : `deliveries, ack every ${ackEvery}`;
  await measured(
    name,
    () => void consumer.start(),
    () => consumer.delivered,
  );
  link.destroy();
}

async function measured(name: string, start: () => void, count: () => number): Promise<void> {
  start();
  await new Promise((resolve) => setTimeout(resolve, 500));
  const before = { count: count(), cpu: process.cpuUsage(), atMs: performance.now() };
  await new Promise((resolve) => setTimeout(resolve, SECONDS * 1000));
  const cpu = process.cpuUsage(before.cpu);
  const seconds = (performance.now() - before.atMs) / 1000;
  const messages = count() - before.count;
  console.log(
    `${name}: ${Math.round(messages / seconds).toLocaleString('en')}/s, ` +
      `${((cpu.user + cpu.system) / messages).toFixed(3)} us of generator CPU each`,
  );
}

if (process.argv[2] === 'sink') {
  const { port } = await startSink(BODY_BYTES);
  process.send?.(port);
} else {
  const child = fork(fileURLToPath(import.meta.url), ['sink']);
  const port = await new Promise<number>((resolve) => {
    child.once('message', (message) => resolve(Number(message)));
  });
  const url = `amqp://127.0.0.1:${port}`;
  await checkPublish(url);
  await checkDeliver(url, 0);
  await checkDeliver(url, 10);
  await checkDeliver(url, 1);
  child.kill();
}
