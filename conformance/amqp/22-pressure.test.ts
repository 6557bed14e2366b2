/**
 * connection.blocked: publishers hear of an alarm, consumers keep draining. The alarm is forced by
 * a disk limit no disk meets, so the server is one of our own.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { ServerProcess } from '../support/server-process.ts';
import { type WireChannel, WireConnection } from '../support/wire-client.ts';

const isExternal = inject('target').url !== undefined;

describe.skipIf(isExternal)('connection.blocked at a disk alarm', () => {
  let server: ServerProcess;
  const open: WireConnection[] = [];

  const channelOf = async (capabilities?: Record<string, unknown>): Promise<WireChannel> => {
    const options = capabilities === undefined ? {} : { capabilities };
    const connection = await WireConnection.open(server.url, options);
    open.push(connection);
    return await connection.channel();
  };

  beforeAll(async () => {
    server = await ServerProcess.start({ args: ['--disk-free-limit', '900TB'] });
  });

  afterAll(async () => {
    for (const connection of open) connection.destroy();
    await server.dispose();
  });

  test('a publisher is told, with a reason', async () => {
    const channel = await channelOf();
    channel.publish('', 'nowhere', 'x');
    const blocked = await channel.connection.control.expect('connection.blocked');
    expect(blocked.reason).toMatch(/disk/);
  });

  test('told once, not at every publish', async () => {
    const channel = await channelOf();
    for (let index = 0; index < 20; index += 1) channel.publish('', 'nowhere', 'x');
    await channel.connection.control.expect('connection.blocked');
    await channel.connection.control.expectNothing(200);
  });

  test('without the capability nothing is sent', async () => {
    const channel = await channelOf({});
    channel.publish('', 'nowhere', 'x');
    await channel.connection.control.expectNothing(300);
  });

  test('a connection that does not publish works on', async () => {
    const channel = await channelOf();
    const queue = await channel.queue('', { exclusive: true });
    await channel.consume(queue);
    await channel.sync();
    await channel.connection.control.expectNothing(100);
  });

  test('a blocked connection can still be closed', async () => {
    const channel = await channelOf();
    channel.publish('', 'nowhere', 'x');
    await channel.connection.control.expect('connection.blocked');
    channel.connection.end();
    await channel.connection.ended();
  });
});

const MEMORY_DISK = '/dev/shm';
const MIB = 1024 * 1024;
/** The alarm ends a twentieth above its limit, so a share of the disk must be filled and freed. */
const LIMIT_SHARE = 0.93;
const FILL_SHARE = 0.08;

function freeBytes(directory: string): number {
  const { bavail, bsize } = fs.statfsSync(directory);
  return bavail * bsize;
}

/** Not where it would take too much memory, or where there is no such disk. */
function isUsable(): boolean {
  if (!fs.existsSync(MEMORY_DISK)) return false;
  const bytes = freeBytes(MEMORY_DISK);
  return bytes > 400 * MIB && bytes * FILL_SHARE < os.freemem() / 4;
}

function fill(file: string, bytes: number): void {
  const piece = Buffer.alloc(32 * MIB);
  const handle = fs.openSync(file, 'w');
  for (let written = 0; written < bytes; written += piece.length) fs.writeSync(handle, piece);
  fs.closeSync(handle);
}

describe.skipIf(isExternal || !isUsable())('an alarm that comes and goes', () => {
  test('blocked, held back, unblocked, and nothing is lost', async () => {
    const dataDir = fs.mkdtempSync(path.join(MEMORY_DISK, 'conformance-'));
    const filler = path.join(dataDir, 'filler');
    const free = freeBytes(MEMORY_DISK);
    const server = await ServerProcess.start({
      dataDir,
      args: ['--disk-free-limit', `${Math.floor(free * LIMIT_SHARE)}`],
    });
    try {
      const connection = await WireConnection.open(server.url);
      const publisher = await connection.channel();
      const consumer = await (await WireConnection.open(server.url)).channel();
      const queue = await publisher.queue('q', { durable: true });
      await publisher.confirmSelect();
      publisher.publish('', queue, 'before', { deliveryMode: 2 });
      await publisher.confirmed(1);
      fill(filler, free * FILL_SHARE);
      await connection.control.expect('connection.blocked', 30_000);
      publisher.publish('', queue, 'during', { deliveryMode: 2 });
      await consumer.consume(queue, { noAck: true });
      expect((await consumer.delivery()).body).toBe('before');
      await consumer.expectNothing(300);
      fs.rmSync(filler);
      await connection.control.expect('connection.unblocked', 30_000);
      expect((await consumer.delivery()).body).toBe('during');
      await publisher.confirmed(2);
    } finally {
      await server.dispose();
      fs.rmSync(dataDir, { recursive: true, force: true });
    }
  });
});
