/**
 * Power loss without a power switch: a run is recorded by the disk shim, with markers for what the
 * client was promised; then disks that a crash could have left are built from the log, and the
 * server starts on them. Everything promised before the crash must be there, nothing settled by
 * tx.commit-ok may come back, and SQLite must find the file sound.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ServerProcess } from '../support/server-process.ts';
import { WireConnection } from '../support/wire-client.ts';
import { appendMarker, type CrashMode, type DiskOp, DiskReplay, readDiskLog } from './disk-log.ts';
import type { DiskShim } from './disk-shim.ts';
import { checkIntegrity } from './integrity.ts';
import { Random } from '../support/random.ts';

const QUEUE = 'power';
const PERSISTENT = { deliveryMode: 2 };
const MODES: readonly CrashMode[] = ['none', 'subset', 'torn', 'all'];

export interface PowerLossOptions {
  readonly seed: number;
  readonly messages: number;
  /** Disks that a server is started on. */
  readonly images: number;
  /** Disks that only SQLite checks, which is quick. */
  readonly quickImages: number;
}

export interface PowerLossReport {
  readonly operations: number;
  readonly images: number;
  /** In words: what was wrong, with position and mode. */
  readonly failures: readonly string[];
}

/** Publishes, consumes some in transactions and marks every promise in the disk log. */
async function record(shim: DiskShim, messages: number, random: Random): Promise<void> {
  const server = await ServerProcess.start({ dataDir: shim.dataDir, env: shim.recordingEnv });
  const log = fs.openSync(shim.logFile, 'a');
  try {
    const connection = await WireConnection.open(server.url);
    const publisher = await connection.channel();
    await publisher.queue(QUEUE, { durable: true });
    await publisher.confirmSelect();
    const consumer = await connection.channel();
    await consumer.call('basic.qos', { prefetchCount: 20 });
    await consumer.call('tx.select');
    await consumer.consume(QUEUE);
    let published = 0;
    let confirmed = 0;
    let acked = 0;
    while (published < messages) {
      const burst = random.between(1, 8);
      for (let index = 0; index < burst; index += 1) {
        published += 1;
        const padding = random.chance(0.03) ? 80_000 : random.between(0, 300);
        publisher.publish('', QUEUE, `${published} ${'.'.repeat(padding)}`, PERSISTENT);
      }
      while (confirmed < published) {
        const { args } = await publisher.next();
        confirmed = Math.max(confirmed, Number(args.deliveryTag));
        appendMarker(log, 'C', confirmed);
      }
      // Half of them are settled, in order, so that a position says which must stay away.
      const take = Math.min(random.between(0, burst), published - acked);
      for (let index = 0; index < take; index += 1) {
        const { tag } = await consumer.delivery();
        consumer.ack(tag);
      }
      if (take === 0) continue;
      await consumer.call('tx.commit');
      acked += take;
      appendMarker(log, 'A', acked);
    }
    connection.destroy();
  } finally {
    await server.kill();
    fs.closeSync(log);
  }
}

/** Starts a server on an image and compares what it holds with what was promised. */
async function judge(dataDir: string, confirmed: number, acked: number): Promise<string[]> {
  const failures: string[] = [];
  const server = await ServerProcess.start({ dataDir });
  try {
    const connection = await WireConnection.open(server.url);
    const channel = await connection.channel();
    await channel.queue(QUEUE, { durable: true });
    const seen = new Set<number>();
    for (;;) {
      const message = await channel.get(QUEUE, true);
      if (message === undefined) break;
      const [number, padding] = message.body.split(' ');
      if (!/^\.*$/.test(padding ?? '?')) failures.push(`damaged body of ${number}`);
      if (seen.has(Number(number))) failures.push(`${number} is there twice`);
      seen.add(Number(number));
    }
    connection.destroy();
    for (let number = 1; number <= confirmed; number += 1) {
      if (number <= acked && seen.has(number)) failures.push(`${number} came back`);
      // What was delivered in a transaction that had not ended may be gone or not only when its
      // commit was under way: at most 8 messages after the last promised one.
      if (number > acked + 8 && !seen.has(number)) failures.push(`${number} is lost`);
    }
  } finally {
    await server.dispose();
  }
  return failures;
}

/**
 * Chooses `count` positions at random: half of them anywhere, half where a file other than the
 * write-ahead log is changed (checkpoints), which is rarer and where more can go wrong.
 */
function choose(count: number, ops: readonly DiskOp[], random: Random): Map<number, CrashMode[]> {
  const checkpoints: number[] = [];
  for (const [position, op] of ops.entries()) {
    if (op.kind !== 'marker' && !op.name.endsWith('-wal')) checkpoints.push(position);
  }
  const chosen = new Map<number, CrashMode[]>();
  for (let index = 0; index < count; index += 1) {
    const position =
      index % 2 === 0 || checkpoints.length === 0
        ? random.between(0, ops.length - 1)
        : checkpoints[random.between(0, checkpoints.length - 1)]!;
    const mode = MODES[random.between(0, MODES.length - 1)]!;
    chosen.set(position, [...(chosen.get(position) ?? []), mode]);
  }
  return chosen;
}

export async function runPowerLoss(
  shim: DiskShim,
  options: PowerLossOptions,
): Promise<PowerLossReport> {
  const random = new Random(options.seed);
  await record(shim, options.messages, random);
  const ops = readDiskLog(shim.logFile);
  const full = choose(options.images, ops, random);
  const quick = choose(options.quickImages, ops, random);
  const replay = new DiskReplay(path.basename(shim.dataDir));
  const failures: string[] = [];
  let confirmed = 0;
  let acked = 0;
  let images = 0;
  for (const [position, op] of ops.entries()) {
    if (op.kind === 'marker' && op.marker === 'C') confirmed = op.value;
    if (op.kind === 'marker' && op.marker === 'A') acked = op.value;
    replay.apply(op);
    const plans = [
      ...(quick.get(position) ?? []).map((mode) => ({ mode, isFull: false })),
      ...(full.get(position) ?? []).map((mode) => ({ mode, isFull: true })),
    ];
    for (const { mode, isFull } of plans) {
      const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'power-loss-'));
      try {
        images += 1;
        replay.image(directory, mode, random);
        const where = `operation ${position}, ${mode}`;
        const integrity = await checkIntegrity(directory).catch((error: unknown) => String(error));
        const isFresh = confirmed === 0 && integrity === 'no database found';
        if (integrity !== 'ok' && !isFresh) failures.push(`${where}: ${integrity}`);
        if (!isFull) continue;
        const found = await judge(directory, confirmed, acked).catch((error: unknown) => [
          String(error),
        ]);
        failures.push(...found.slice(0, 5).map((text) => `${where}: ${text}`));
      } finally {
        fs.rmSync(directory, { recursive: true, force: true });
      }
    }
  }
  return { operations: ops.length, images, failures };
}
