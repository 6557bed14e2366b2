/**
 * S1, S2: a queue without any consumer keeps what was confirmed, however the server ends; and what a
 * consumer held when it was killed, or stopped dead, is delivered again and says so.
 *
 * Each cycle: senders over AMQP and HTTP, the server is killed at a random number of confirms, starts
 * again, and everything is taken out: all that was confirmed is there, each body as it was.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import amqp, { type ChannelModel } from 'amqplib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CmqClient } from '../../support/cmq-client.ts';
import { cmqUrl, eventually, KEYS, startCmq, unique } from '../../support/cmq-test.ts';
import type { ServerProcess } from '../../support/server-process.ts';
import { startProgram } from '../../support/site-process.ts';
import { KILL_CYCLES, KILL_MESSAGES, tell } from './sizes.ts';

const AMQP_SENDERS = 3;
const HTTP_SENDERS = 4;
const BATCH = 16;
const PATIENCE_MS = 60_000;

let server: ServerProcess;
let cmq: CmqClient;

beforeAll(async () => {
  server = await startCmq();
  cmq = new CmqClient(cmqUrl(server), KEYS.guest);
});

afterAll(async () => {
  cmq?.close();
  await server?.dispose();
});

/** A body that tells its id and cannot be mistaken: 64 to 1,023 bytes that follow from the id. */
function bodyOf(id: string): string {
  const digest = createHash('sha256').update(id).digest('hex');
  const length = 64 + (Number.parseInt(digest.slice(0, 4), 16) % 960);
  return `${id} ${digest.repeat(16)}`.slice(0, length);
}

/** Publishes what is there to publish until it is or the server is gone. */
async function overAmqp(queueName: string, ids: readonly string[], confirm: (id: string) => void) {
  try {
    const connection = await amqp.connect(server.url);
    connection.on('error', () => {});
    const channel = await connection.createConfirmChannel();
    channel.on('error', () => {});
    for (const [at, id] of ids.entries()) {
      channel.sendToQueue(queueName, Buffer.from(bodyOf(id)), { persistent: true }, (error) => {
        if (error === null) confirm(id);
      });
      if (at % 200 === 199) await channel.waitForConfirms();
    }
    await channel.waitForConfirms();
    await connection.close();
  } catch {
    // The server is gone.
  }
}

async function overHttp(queueName: string, ids: readonly string[], confirm: (id: string) => void) {
  for (let at = 0; at < ids.length; at += BATCH) {
    const batch = ids.slice(at, at + BATCH);
    try {
      await cmq.ok('BatchSendMessage', { queueName, msgBody: batch.map(bodyOf) });
    } catch {
      return;
    }
    for (const id of batch) confirm(id);
  }
}

/** Sends until a random number of confirms, kills the server at that moment; the confirmed ids. */
async function sendAndKill(queueName: string, cycle: number): Promise<Set<string>> {
  const confirmed = new Set<string>();
  const target = 1 + Math.floor(Math.random() * KILL_MESSAGES);
  let killed: Promise<void> | undefined;
  let markGone = (): void => {};
  const gone = new Promise<void>((resolve) => {
    markGone = resolve;
  });
  const confirm = (id: string): void => {
    confirmed.add(id);
    if (confirmed.size >= target) killed ??= server.kill().then(markGone);
  };
  const senders = AMQP_SENDERS + HTTP_SENDERS;
  const busy = Array.from({ length: senders }, (_, sender) => {
    const share = Math.ceil(KILL_MESSAGES / senders);
    const ids = Array.from({ length: share }, (_one, at) => `${cycle}-${sender}-${at}`);
    if (sender >= AMQP_SENDERS) return overHttp(queueName, ids, confirm);
    // A client that is cut off while it opens or closes its connection may wait for ever.
    return Promise.race([overAmqp(queueName, ids, confirm), gone]);
  });
  await Promise.all(busy);
  await killed;
  return confirmed;
}

/** Takes everything out of a queue; bodies by id, and how many came more than once. */
async function takeAll(connection: ChannelModel, queueName: string) {
  const found = new Map<string, string>();
  let twice = 0;
  const channel = await connection.createChannel();
  await channel.prefetch(500);
  await channel.consume(queueName, (message) => {
    if (message === null) return;
    const body = message.content.toString();
    const id = body.slice(0, body.indexOf(' '));
    if (found.has(id)) twice += 1;
    found.set(id, body);
    channel.ack(message);
  });
  const isEmpty = async (): Promise<boolean> => {
    const { active, inactive } = await cmq.counters(queueName);
    return active === 0 && inactive === 0;
  };
  await eventually(isEmpty, 'the queue is empty', PATIENCE_MS);
  await channel.close();
  return { found, twice };
}

test(
  `${KILL_CYCLES} times: what was confirmed without a consumer is there after a kill, as it was`,
  async () => {
    const queueName = unique();
    await cmq.ok('CreateQueue', { queueName });
    const sum = { cycles: KILL_CYCLES, confirmed: 0, received: 0, lost: 0, changed: 0, twice: 0 };
    for (let cycle = 0; cycle < KILL_CYCLES; cycle += 1) {
      const confirmed = await sendAndKill(queueName, cycle);
      await server.restart();
      cmq.close();
      cmq = new CmqClient(cmqUrl(server), KEYS.guest);
      const connection = await amqp.connect(server.url);
      const { found, twice } = await takeAll(connection, queueName);
      await connection.close();
      sum.confirmed += confirmed.size;
      sum.received += found.size;
      sum.twice += twice;
      sum.lost += [...confirmed].filter((id) => !found.has(id)).length;
      sum.changed += [...found].filter(([id, body]) => body !== bodyOf(id)).length;
    }
    tell('S1, no consumer', sum);
    expect(sum).toMatchObject({ lost: 0, changed: 0, twice: 0 });
  },
  60_000 + KILL_CYCLES * 60_000,
);

test.each([
  ['amqp', 'SIGKILL'],
  ['amqp', 'SIGSTOP'],
  ['cmq', 'SIGKILL'],
  ['cmq', 'SIGSTOP'],
] as const)(
  'a message that a consumer over %s held at its %s is delivered again, marked so',
  async (protocol, signal) => {
    const queue = unique();
    await cmq.ok('CreateQueue', { queueName: queue, visibilityTimeout: 2 });
    await cmq.send(queue, 'held');
    const holder = startProgram('holder.mjs', {
      ...{ PROTOCOL: protocol, QUEUE: queue, AMQP_URL: server.url, CMQ_URL: cmqUrl(server) },
      ...{ CMQ_ID: KEYS.guest.id, CMQ_SECRET: KEYS.guest.secret },
    });
    const connection = await amqp.connect(server.url);
    try {
      const [line] = (await once(holder.stdout!, 'data')) as [Buffer];
      expect(line.toString()).toBe('holds held\n');
      holder.kill(signal);
      const channel = await connection.createChannel();
      const got = await eventually(() => channel.get(queue), 'it comes back', PATIENCE_MS);
      if (got === false) throw new Error('nothing came back');
      expect(got.content.toString()).toBe('held');
      expect(got.fields.redelivered).toBe(true);
      channel.ack(got);
      await eventually(async () => (await cmq.counters(queue)).inactive === 0, 'it is taken');
      expect(await cmq.counters(queue)).toMatchObject({ active: 0, inactive: 0 });
    } finally {
      holder.kill('SIGKILL');
      await connection.close();
    }
  },
  PATIENCE_MS + 30_000,
);
