/**
 * Random mutations of recorded traffic. A session that uses most of the protocol is recorded once;
 * then single frames of it, mutated, go to the server on fresh connections, many at a time. The
 * seed is printed; HOSTILE_SEED repeats a run, HOSTILE_MUTATIONS sets the number.
 */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { FRAME_END } from '../support/amqp-wire.ts';
import { Random } from '../support/random.ts';
import { WireConnection } from '../support/wire-client.ts';
import { Arena, IS_FULL } from './arena.ts';
import { recordSession } from './recorded-session.ts';

const isExternal = inject('target').url !== undefined;
const MUTATIONS = Number(process.env['HOSTILE_MUTATIONS'] ?? (IS_FULL ? 100_000 : 10_000));
const SEED = Number(process.env['HOSTILE_SEED'] ?? Date.now() % 1_000_000_007);
const WORKERS = 24;
/** Mutated frames in one connection, as long as it lives. */
const PER_CONNECTION = 40;

type Below = (bound: number) => number;

/** A frame with its size and end octet made right again. */
function reframe(type: number, channel: number, payload: Buffer): Buffer {
  const frame = Buffer.alloc(payload.length + 8);
  frame.writeUInt8(type, 0);
  frame.writeUInt16BE(channel, 1);
  frame.writeUInt32BE(payload.length, 3);
  payload.copy(frame, 7);
  frame[frame.length - 1] = FRAME_END;
  return frame;
}

const EDGES = [0, 1, 0x7f, 0x80, 0xff, 0x41, 0x46, 0x53];

/** Changes some bytes of a copy. */
function scramble(bytes: Buffer, random: Below): Buffer {
  const copy = Buffer.from(bytes);
  if (copy.length === 0) return Buffer.from([random(256)]);
  switch (random(6)) {
    case 0: {
      const at = random(copy.length);
      copy[at] = copy[at]! ^ (1 << random(8));
      return copy;
    }
    case 1:
      copy[random(copy.length)] = EDGES[random(EDGES.length)]!;
      return copy;
    case 2: {
      const at = random(copy.length);
      return Buffer.concat([copy.subarray(0, at), copy.subarray(at + 1 + random(8))]);
    }
    case 3: {
      const at = random(copy.length);
      const extra = Buffer.from(Array.from({ length: 1 + random(8) }, () => random(256)));
      return Buffer.concat([copy.subarray(0, at), extra, copy.subarray(at)]);
    }
    case 4: {
      if (copy.length < 4) return copy.subarray(0, random(copy.length));
      const value = [0, 1, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff][random(6)]!;
      copy.writeUInt32BE(value, random(copy.length - 3));
      return copy;
    }
    default: {
      const from = random(copy.length);
      const piece = copy.subarray(from, from + 1 + random(16));
      const at = random(copy.length);
      return Buffer.concat([copy.subarray(0, at), piece, copy.subarray(at)]);
    }
  }
}

/** One mutated frame. Three of four keep the framing right, so that the methods are reached. */
function mutate(frames: readonly Buffer[], random: Below): Buffer {
  const frame = frames[random(frames.length)]!;
  const kind = random(8);
  if (kind === 0) return scramble(frame, random);
  if (kind === 1) return Buffer.concat([frame, frames[random(frames.length)]!]);
  const type = kind === 2 ? random(10) : frame.readUInt8(0);
  const channel = kind === 3 ? random(4) : frame.readUInt16BE(1);
  const payload = frame.subarray(7, frame.length - 1);
  return reframe(type, channel, kind < 4 ? payload : scramble(payload, random));
}

describe.skipIf(isExternal)('mutations of recorded traffic', () => {
  let arena: Arena;

  beforeAll(async () => {
    arena = await Arena.open();
  });

  afterAll(async () => {
    await arena.close();
  });

  test(`${MUTATIONS} mutations, seed ${SEED}`, async () => {
    const frames = await recordSession(arena.server.url);
    expect(frames.length).toBeGreaterThan(40);
    const numbers = new Random(SEED);
    const random: Below = (bound) => numbers.between(0, bound - 1);
    const closes = new Map<string, number>();
    let sent = 0;
    const count = (what: string): void => {
      closes.set(what, (closes.get(what) ?? 0) + 1);
    };

    const oneConnection = async (): Promise<void> => {
      const connection = await WireConnection.open(arena.server.url);
      connection.ignoresUnknownChannels = true;
      try {
        const home = await connection.channel(1);
        await connection.channel(2);
        for (let round = 0; round < PER_CONNECTION && sent < MUTATIONS; round += 1) {
          sent += 1;
          connection.write(mutate(frames, random));
          // A channel of its own tells that the mutation was taken in and survived.
          const probe = connection.bareChannel(100 + round);
          probe.send('channel.open');
          try {
            await probe.expect('channel.open-ok', 60);
            count('survived');
          } catch (error) {
            const level = connection.control.inbox.error?.level;
            if (level === undefined) count('waits for more');
            else count(`${level} ${connection.control.inbox.error!.code}`);
            if (level === undefined && !(error instanceof Error)) throw error;
            return;
          }
          if (home.inbox.error !== undefined) {
            count(`channel ${home.inbox.error.code}`);
            await home.open().catch(() => undefined);
          }
        }
      } finally {
        connection.destroy();
      }
    };

    const worker = async (): Promise<void> => {
      while (sent < MUTATIONS) await oneConnection();
    };
    const startedAt = performance.now();
    await Promise.all(Array.from({ length: WORKERS }, worker));
    await arena.check();
    const seconds = (performance.now() - startedAt) / 1000;
    const summary = [...closes].sort(([, a], [, b]) => b - a).map(([what, n]) => `${what}: ${n}`);
    process.stdout.write(
      `${sent} mutations, seed ${SEED}, ${seconds.toFixed(1)} s; ${summary.join(', ')}; ` +
        `peak ${Math.round(arena.server.peakResidentBytes() / 1_048_576)} MiB; ` +
        `bystander ${arena.bystander.rounds} rounds, ` +
        `worst ${Math.round(arena.bystander.worstMs)} ms\n`,
    );
    expect(closes.get('connection 541') ?? 0).toBe(0);
    expect(arena.server.errors).toEqual([]);
  }, 600_000);
});
