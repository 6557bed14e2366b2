/**
 * The memory alarm as a stock client sees it: a publisher fills a server that may use little memory
 * until it is told to wait, consumers drain the queues meanwhile, and the publisher goes on.
 */
import amqplib, { type ChannelModel, type ConfirmChannel } from 'amqplib';
import { afterEach, describe, expect, inject, test } from 'vitest';
import { ServerProcess } from '../support/server-process.ts';

const isExternal = inject('target').url !== undefined;
const MIB = 1024 * 1024;
/** What messages may add to the memory of the process before publishers are blocked. */
const ROOM_BYTES = 64 * MIB;
const BODY = Buffer.alloc(32 * 1024, 'm');
const QUEUES = Array.from({ length: 8 }, (_, index) => `fill-${index}`);
/** Four times what there is room for: an alarm that does not come fails the test. */
const MESSAGES_MAX = (4 * ROOM_BYTES) / BODY.length;

let server: ServerProcess | undefined;
const open: ChannelModel[] = [];

async function connect(url: string): Promise<ChannelModel> {
  const connection = await amqplib.connect(url);
  open.push(connection);
  return connection;
}

/** Resident bytes of a server that has started and served one publisher. */
async function restingBytes(): Promise<number> {
  const resting = await ServerProcess.start();
  try {
    const connection = await connect(resting.url);
    const channel = await connection.createConfirmChannel();
    for (let index = 0; index < 500; index += 1) channel.sendToQueue('nowhere', BODY);
    await channel.waitForConfirms();
    return resting.residentBytes();
  } finally {
    await closeAll();
    await resting.dispose();
  }
}

async function closeAll(): Promise<void> {
  await Promise.allSettled(open.splice(0).map((connection) => connection.close()));
}

/** Publishes until `isEnough`; returns how many. */
async function fill(channel: ConfirmChannel, isEnough: () => boolean): Promise<number> {
  let count = 0;
  while (!isEnough() && count < MESSAGES_MAX) {
    for (const queue of QUEUES) channel.sendToQueue(queue, BODY);
    count += QUEUES.length;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return count;
}

describe.skipIf(isExternal)('the memory alarm', () => {
  afterEach(async () => {
    await closeAll();
    await server?.dispose();
  });

  test('blocks publishers, lets consumers drain, and ends', async () => {
    const limitBytes = (await restingBytes()) + ROOM_BYTES;
    server = await ServerProcess.start({ args: ['--memory-limit', String(limitBytes)] });
    const publisher = await connect(server.url);
    const channel = await publisher.createConfirmChannel();
    for (const queue of QUEUES) await channel.assertQueue(queue, { durable: true });
    const events: string[] = [];
    let received = 0;
    publisher.on('blocked', (reason: string) => events.push(`blocked: ${reason}`));
    const unblocked = new Promise<number>((resolve) => {
      publisher.on('unblocked', () => resolve(received));
    });
    const sent = await fill(channel, () => events.length > 0);
    // A server that is late has not read all of it yet.
    await expect.poll(() => events).toEqual(['blocked: low on memory']);

    const consumer = await (await connect(server.url)).createChannel();
    for (const queue of QUEUES) {
      const onMessage = () => {
        received += 1;
      };
      await consumer.consume(queue, onMessage, { noAck: true });
    }
    // Consumers had what was there while publishers waited, and the rest once they went on.
    expect(await unblocked).toBeGreaterThan(0);
    await channel.waitForConfirms();
    await expect.poll(() => received).toBe(sent);
    expect(server.errors).toEqual([]);
  });
});
