/**
 * Back-pressure: a consumer that stops reading costs no memory beyond its buffers and slows nobody;
 * a publisher faster than the disk is held back by TCP. Quick sizes by default, the sizes of the
 * acceptance (1 GB and more) with HOSTILE_FULL=1. Memory is compared with the idle server's: after
 * a flood it falls by what V8 and the allocator give back, so what stands before a test is no mark.
 */
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import type { WireConnection } from '../support/wire-client.ts';
import { GROWTH_MAX_BYTES } from '../support/server-process.ts';
import { Arena, IS_FULL } from './arena.ts';

const isExternal = inject('target').url !== undefined;
const MIB = 1024 * 1024;
const BODY = Buffer.alloc(64 * 1024, 'b');
const QUEUED_BYTES = IS_FULL ? 1_000_000_000 : 500_000_000;
const FLOOD_BYTES = IS_FULL ? 2_000_000_000 : 500_000_000;
/** Messages of 64 KiB, 490 MB, that come back to a client which does not read. */
const UNREAD_MESSAGES = 7_500;

async function drained(connection: WireConnection, belowBytes: number): Promise<void> {
  while (connection.unsentBytes > belowBytes) {
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

describe.skipIf(isExternal)('back-pressure', () => {
  let arena: Arena;

  beforeAll(async () => {
    arena = await Arena.open();
  });

  afterEach(async () => {
    await arena.check();
  });

  afterAll(async () => {
    await arena.close();
  });

  test('a consumer that stops reading', async () => {
    const connection = await arena.connect();
    const publisher = await connection.channel();
    const queue = await arena.emptyQueue(publisher, 'lots');
    await publisher.confirmSelect();
    const count = Math.ceil(QUEUED_BYTES / BODY.length);
    for (let index = 0; index < count; index += 1) {
      publisher.publish('', queue, BODY, { deliveryMode: 2 });
      if (index % 64 === 0) await drained(connection, 4 * MIB);
    }
    await publisher.confirmed(count, 60_000);
    const stalled = await arena.connect();
    const reader = await stalled.channel();
    const rounds = arena.bystander.rounds;
    await reader.consume(queue, { noAck: true });
    stalled.stopReading();
    const until = Date.now() + (IS_FULL ? 20_000 : 3_000);
    let peak = 0;
    while (Date.now() < until) {
      peak = Math.max(peak, arena.server.grownBytes);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(peak / MIB).toBeLessThan(GROWTH_MAX_BYTES / MIB);
    await expect.poll(() => arena.bystander.rounds - rounds).toBeGreaterThan(20);
    // The rest is still there for others, but for what the sockets hold.
    const left = (await publisher.counts(queue)).messages * BODY.length;
    expect(left).toBeGreaterThan(QUEUED_BYTES - 64 * MIB);
    stalled.resumeReading();
    expect((await reader.deliveries(200)).length).toBe(200);
    stalled.destroy();
    await publisher.call('queue.delete', { queue });
  }, 300_000);

  test('a consumer with acks that stops reading gives all back when it goes', async () => {
    const connection = await arena.connect();
    const publisher = await connection.channel();
    const queue = await arena.emptyQueue(publisher, 'acked');
    await publisher.confirmSelect();
    for (let index = 0; index < 500; index += 1) {
      publisher.publish('', queue, BODY, { deliveryMode: 2 });
      await drained(connection, 4 * MIB);
    }
    await publisher.confirmed(500);
    const stalled = await arena.connect();
    const reader = await stalled.channel();
    await reader.consume(queue);
    stalled.stopReading();
    await new Promise((resolve) => setTimeout(resolve, 300));
    stalled.destroy();
    await publisher.settled(queue, 500);
    await publisher.call('queue.delete', { queue });
  });

  test('a publisher that outruns the disk', async () => {
    const connection = await arena.connect();
    const publisher = await connection.channel();
    const queue = await arena.emptyQueue(publisher, 'flood');
    const count = Math.ceil(FLOOD_BYTES / BODY.length);
    let peak = 0;
    let heldBack = 0;
    for (let index = 0; index < count; index += 1) {
      publisher.publish('', queue, BODY, { deliveryMode: 2 });
      if (connection.unsentBytes < 8 * MIB) continue;
      heldBack += 1;
      await drained(connection, 4 * MIB);
      peak = Math.max(peak, arena.server.grownBytes);
    }
    await publisher.settled(queue, count, 120_000);
    peak = Math.max(peak, arena.server.grownBytes);
    expect(heldBack).toBeGreaterThan(0);
    expect(peak / MIB).toBeLessThan(GROWTH_MAX_BYTES / MIB);
    await publisher.call('queue.delete', { queue });
  }, 300_000);

  test('many small messages without confirms', async () => {
    const connection = await arena.connect();
    const publisher = await connection.channel();
    const queue = await arena.emptyQueue(publisher, 'small');
    const count = 1_000_000;
    for (let index = 0; index < count; index += 1) {
      publisher.publish('', queue, 'small', { deliveryMode: 2 });
      if (index % 500 === 0) await drained(connection, MIB);
    }
    await publisher.settled(queue, count, 120_000);
    expect(arena.server.grownBytes / MIB).toBeLessThan(GROWTH_MAX_BYTES / MIB);
    await publisher.call('queue.delete', { queue });
  }, 300_000);

  test('a slow reader of returns does not grow the process', async () => {
    const connection = await arena.connect();
    const publisher = await connection.channel();
    connection.stopReading();
    const until = Date.now() + 5_000;
    let sent = 0;
    while (Date.now() < until && sent < UNREAD_MESSAGES) {
      publisher.publish('', 'nowhere', BODY, {}, { mandatory: true });
      sent += 1;
      if (connection.unsentBytes > 8 * MIB) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(arena.server.grownBytes / MIB).toBeLessThan(GROWTH_MAX_BYTES / MIB);
    connection.destroy();
  });

  test('a slow reader of basic.get replies does not grow the process', async () => {
    const connection = await arena.connect();
    const channel = await connection.channel();
    const queue = await arena.emptyQueue(channel, 'gets');
    await channel.confirmSelect();
    for (let index = 0; index < UNREAD_MESSAGES; index += 1) {
      channel.publish('', queue, BODY, { deliveryMode: 2 });
      await drained(connection, 4 * MIB);
    }
    await channel.confirmed(UNREAD_MESSAGES, 60_000);
    connection.stopReading();
    for (let index = 0; index < UNREAD_MESSAGES; index += 1) channel.send('basic.get', { queue });
    let peak = 0;
    for (let round = 0; round < 40; round += 1) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      peak = Math.max(peak, arena.server.grownBytes);
    }
    expect(peak / MIB).toBeLessThan(GROWTH_MAX_BYTES / MIB);
    connection.destroy();
    const other = await (await arena.connect()).channel();
    await other.call('queue.delete', { queue });
  });
});
