/**
 * Disks that fail, fill up, slow down or lose power. POWER_LOSS_IMAGES sets how many crashed disks
 * a server is started on (20), POWER_LOSS_MESSAGES the length of the recorded run (300; from some
 * 5,000 on it spans checkpoints).
 */
import { afterEach, expect, test } from 'vitest';
import { ServerProcess } from '../support/server-process.ts';
import { type WireChannel, WireConnection } from '../support/wire-client.ts';
import { DiskShim, EIO, ENOSPC } from './disk-shim.ts';
import { runPowerLoss } from './power-loss.ts';

const PERSISTENT = { deliveryMode: 2 };
/** Ms of a sync of a slow disk: more than a busy machine stands still. */
const SYNC_MS = 5_000;
const cleanups: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function buildShim(): DiskShim | undefined {
  const shim = DiskShim.build();
  if (shim !== undefined) cleanups.push(() => shim.dispose());
  return shim;
}

async function start(shim: DiskShim) {
  const server = await ServerProcess.start({ dataDir: shim.dataDir, env: shim.env });
  cleanups.push(() => server.dispose());
  const connection = await WireConnection.open(server.url);
  cleanups.push(() => connection.destroy());
  const channel = await connection.channel();
  await channel.queue('faults', { durable: true });
  await channel.confirmSelect();
  return { server, connection, channel };
}

function publish(channel: WireChannel, from: number, count: number): void {
  for (let index = from; index < from + count; index += 1) {
    channel.publish('', 'faults', `${index}`, PERSISTENT);
  }
}

/** Counts confirms until none has come for so long or the connection ends. */
async function confirmedWithin(channel: WireChannel, idleMs: number): Promise<number> {
  let confirmed = 0;
  for (;;) {
    const incoming = await channel.next(idleMs).catch(() => undefined);
    if (incoming === undefined) return confirmed;
    if (incoming.name !== 'basic.ack') continue;
    confirmed = Math.max(confirmed, Number(incoming.args.deliveryTag));
  }
}

async function processEnd(server: ServerProcess, withinMs: number): Promise<boolean> {
  for (let waited = 0; waited < withinMs; waited += 50) {
    if (!server.isRunning) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}

async function bodiesAfterRestart(server: ServerProcess): Promise<Set<number>> {
  await server.restart();
  const connection = await WireConnection.open(server.url);
  const channel = await connection.channel();
  const bodies = new Set<number>();
  for (;;) {
    const message = await channel.get('faults', true);
    if (message === undefined) break;
    bodies.add(Number(message.body));
  }
  connection.destroy();
  return bodies;
}

test('a slow sync delays confirms and nothing else', async (context) => {
  const shim = buildShim();
  if (shim === undefined) return context.skip();
  const { server, connection, channel } = await start(shim);
  // Meanwhile another client works as if nothing were.
  const other = await WireConnection.open(server.url);
  const quick = await other.channel();
  await quick.queue('', { exclusive: true });
  shim.delaySyncs(SYNC_MS);
  let isBeside = false;
  // A machine that stood still for as long as the sync took has told nothing: another try then.
  for (let from = 1; !isBeside && from <= 250; from += 50) {
    publish(channel, from, 50);
    const startedAtMs = performance.now();
    for (let index = 0; index < 20; index += 1) await quick.sync();
    isBeside = channel.inbox.size === 0;
    expect(await channel.confirmed(from + 49)).toEqual([]);
    expect(performance.now() - startedAtMs).toBeGreaterThan(SYNC_MS - 200);
  }
  expect(isBeside).toBe(true);
  other.destroy();
  shim.delaySyncs(0);
  connection.destroy();
});

test('a failed sync ends the process and confirms nothing', async (context) => {
  const shim = buildShim();
  if (shim === undefined) return context.skip();
  const { server, channel } = await start(shim);
  publish(channel, 1, 20);
  await channel.confirmed(20);
  shim.failSyncs(EIO);
  publish(channel, 21, 20);
  const confirmed = await confirmedWithin(channel, 2_000);
  expect(confirmed).toBe(0);
  expect(await processEnd(server, 60_000)).toBe(true);
  expect((await server.stop()).code).not.toBe(0);
  shim.failSyncs(0);
  const bodies = await bodiesAfterRestart(server);
  for (let number = 1; number <= 20; number += 1) expect(bodies.has(number)).toBe(true);
});

test.for([
  ['ENOSPC', ENOSPC],
  ['EIO', EIO],
] as const)(
  '%s on writes: no confirm, and nothing confirmed is lost',
  async ([, errno], context) => {
    const shim = buildShim();
    if (shim === undefined) return context.skip();
    const { server, channel } = await start(shim);
    publish(channel, 1, 20);
    await channel.confirmed(20);
    shim.failWrites(errno);
    publish(channel, 21, 20);
    expect(await confirmedWithin(channel, 2_000)).toBe(0);
    shim.failWrites(0);
    const late = await confirmedWithin(channel, 1_000);
    if (server.isRunning) await server.kill();
    const bodies = await bodiesAfterRestart(server);
    const promised = Math.max(20, late);
    const missing: number[] = [];
    for (let number = 1; number <= promised; number += 1) {
      if (!bodies.has(number)) missing.push(number);
    }
    expect(missing).toEqual([]);
  },
);

test('power loss at any moment', { timeout: 1_200_000 }, async (context) => {
  const shim = buildShim();
  if (shim === undefined) return context.skip();
  const images = Number(process.env['POWER_LOSS_IMAGES'] ?? 20);
  const seed = Number(process.env['POWER_LOSS_SEED'] ?? Date.now() % 1_000_000);
  const messages = Number(process.env['POWER_LOSS_MESSAGES'] ?? 300);
  const report = await runPowerLoss(shim, { seed, messages, images, quickImages: images * 10 });
  console.log(
    `seed ${seed}: ${report.images} images of ${report.operations} operations, ` +
      `${report.failures.length} failures`,
  );
  expect(report.failures, `seed ${seed}`).toEqual([]);
});
