/**
 * Random mutations of MQTT traffic: whole packets of a session that uses most of the protocol,
 * mutated, on fresh connections, many at a time. The seed is printed; HOSTILE_SEED repeats a run,
 * HOSTILE_MUTATIONS sets the number.
 */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { Random } from '../support/random.ts';
import * as wire from '../support/mqtt-wire.ts';
import { IS_FULL } from './arena.ts';
import { MqttArena } from './mqtt-arena.ts';

const isExternal = inject('target').url !== undefined;
const MUTATIONS = Number(process.env['HOSTILE_MUTATIONS'] ?? (IS_FULL ? 100_000 : 8_000));
const SEED = Number(process.env['HOSTILE_SEED'] ?? Date.now() % 1_000_000_007);
const WORKERS = 24;
const PER_CONNECTION = 40;
const EDGES = [0, 1, 0x1f, 0x23, 0x2b, 0x2f, 0x7f, 0x80, 0xff];

/** A packet as first byte and body: the remaining length is made right again after a mutation. */
interface Recorded {
  readonly first: number;
  readonly body: Buffer;
}

function recorded(version: wire.Version): Recorded[] {
  const login = { version, user: 'guest', password: 'guest' };
  const user = [
    ['a', 'b'],
    ['a', 'c'],
  ] as const;
  const packets = [
    wire.connectPacket({ ...login, clientId: `m${version}`, cleanStart: false, keepAlive: 5 }),
    wire.connectPacket({
      ...login,
      clientId: `w${version}`,
      will: {
        topic: 'mutated/will',
        payload: 'w',
        qos: 2,
        retain: true,
        properties: { willDelay: 1, messageExpiry: 5, user },
      },
      properties: { sessionExpiry: 5, receiveMaximum: 5, topicAliasMaximum: 3, user },
    }),
    wire.subscribePacket(version, 1, [
      { filter: 'mutated/#', qos: 2 },
      { filter: '+/b', qos: 1, retainHandling: 1, retainAsPublished: version === 5 },
    ]),
    wire.subscribePacket(version, 2, [{ filter: '$share/g/mutated/+', qos: 1 }], {
      subscriptionIds: [7],
    }),
    wire.publishPacket({ version, topic: 'mutated/a', payload: 'zero' }),
    wire.publishPacket({ version, topic: 'mutated/b', payload: 'one', qos: 1, packetId: 3 }),
    wire.publishPacket({
      version,
      topic: 'mutated/c',
      payload: 'two',
      qos: 2,
      packetId: 4,
      retain: true,
      properties: {
        payloadFormat: 1,
        messageExpiry: 5,
        contentType: 'text/plain',
        responseTopic: 'r/t',
        correlationData: Buffer.from('id'),
        topicAlias: 1,
        user,
      },
    }),
    wire.publishPacket({ version, topic: 'mutated/c', payload: '', retain: true }),
    wire.ackPacket(wire.PUBREL, 4),
    wire.ackPacket(wire.PUBACK, 1, ...(version === 5 ? [0x10] : [])),
    wire.ackPacket(wire.PUBREC, 1, ...(version === 5 ? [0x80] : [])),
    wire.ackPacket(wire.PUBCOMP, 1),
    wire.unsubscribePacket(version, 5, ['mutated/#', '+/b']),
    wire.PINGREQ_PACKET,
    wire.disconnectPacket(version, 4, version === 5 ? { sessionExpiry: 5 } : undefined),
  ];
  if (version === 5) packets.push(wire.authPacket(0x19, { authMethod: 'SCRAM-SHA-256' }));
  return packets.map((packet) => {
    let at = 1;
    while (packet[at]! > 127) at += 1;
    return { first: packet[0]!, body: packet.subarray(at + 1) };
  });
}

/** Changes some bytes of a copy. */
function scramble(bytes: Buffer, random: Random): Buffer {
  const copy = Buffer.from(bytes);
  const below = (limit: number): number => random.between(0, limit - 1);
  if (copy.length === 0) return Buffer.from([below(256)]);
  const at = below(copy.length);
  switch (below(6)) {
    case 0:
      copy[at] = copy[at]! ^ (1 << below(8));
      return copy;
    case 1:
      copy[at] = EDGES[below(EDGES.length)]!;
      return copy;
    case 2:
      return Buffer.concat([copy.subarray(0, at), copy.subarray(at + 1 + below(8))]);
    case 3: {
      const extra = Buffer.from(Array.from({ length: 1 + below(8) }, () => below(256)));
      return Buffer.concat([copy.subarray(0, at), extra, copy.subarray(at)]);
    }
    case 4:
      if (copy.length < 2) return copy;
      copy.writeUInt16BE([0, 1, 0x7fff, 0xffff][below(4)]!, below(copy.length - 1));
      return copy;
    default: {
      const from = below(copy.length);
      const piece = copy.subarray(from, from + 1 + below(16));
      return Buffer.concat([copy.subarray(0, at), piece, copy.subarray(at)]);
    }
  }
}

/** One mutated packet; most keep a right remaining length, so that the body is read. */
function mutate(packets: readonly Recorded[], random: Random): Buffer {
  const { first, body } = packets[random.between(0, packets.length - 1)]!;
  const kind = random.between(0, 9);
  if (kind === 0) return scramble(wire.packet(first >> 4, first & 15, body), random);
  if (kind === 1) return wire.packet(random.between(0, 15), random.between(0, 15), body);
  if (kind === 2) {
    const lie = random.between(0, body.length * 2);
    return Buffer.concat([wire.u8(first), wire.varint(lie), body]);
  }
  let mutated = scramble(body, random);
  if (kind === 3) mutated = scramble(mutated, random);
  return wire.packet(first >> 4, first & 15, mutated);
}

describe.skipIf(isExternal)('mutations of MQTT traffic', () => {
  let arena: MqttArena;

  beforeAll(async () => {
    arena = await MqttArena.open(['--handshake-timeout', '2s']);
  });

  afterAll(async () => {
    await arena.close();
  });

  test(`${MUTATIONS} mutations, seed ${SEED}`, async () => {
    const random = new Random(SEED);
    const traffic = { 4: recorded(4), 5: recorded(5) } as const;
    const ends = new Map<string, number>();
    const count = (what: string): void => {
      ends.set(what, (ends.get(what) ?? 0) + 1);
    };
    let sent = 0;

    /** What became of the connection: undefined while it lives. */
    const fate = async (
      client: Awaited<ReturnType<MqttArena['dial']>>,
    ): Promise<string | undefined> => {
      try {
        await client.sync(100);
        return undefined;
      } catch (error) {
        if (!client.isClosed) return 'waits for more';
        if (String(error).includes('server sent')) throw error;
        const last = await client.closed();
        return last === undefined ? 'closed' : `0x${last.code.toString(16)}`;
      }
    };

    const oneConnection = async (): Promise<void> => {
      const version = random.chance(0.7) ? 5 : 4;
      const client = await arena.dial(version);
      try {
        // One of ten mutates its very CONNECT.
        if (random.chance(0.1)) {
          sent += 1;
          client.write(mutate(traffic[version].slice(0, 2), random));
          count(`connect ${(await fate(client)) ?? 'lives'}`);
          return;
        }
        await client.login(arena.url, { clientId: '' });
        for (let round = 0; round < PER_CONNECTION && sent < MUTATIONS; round += 1) {
          sent += 1;
          client.write(mutate(traffic[version], random));
          const end = await fate(client);
          count(end ?? 'survived');
          if (end !== undefined) return;
        }
      } finally {
        client.destroy();
      }
    };

    const worker = async (): Promise<void> => {
      while (sent < MUTATIONS) await oneConnection();
    };
    const startedAt = performance.now();
    await Promise.all(Array.from({ length: WORKERS }, worker));
    await arena.check();
    const seconds = (performance.now() - startedAt) / 1000;
    const summary = [...ends].sort(([, a], [, b]) => b - a).map(([what, n]) => `${what}: ${n}`);
    const { server } = arena.arena;
    process.stdout.write(
      `${sent} mutations, seed ${SEED}, ${seconds.toFixed(1)} s; ${summary.join(', ')}; ` +
        `peak ${Math.round(server.peakResidentBytes() / 1_048_576)} MiB; ` +
        `bystander ${arena.bystander.rounds} rounds, ` +
        `worst ${Math.round(arena.bystander.worstMs)} ms\n`,
    );
    // 0x80 and 0x83 are what a server says of its own mistakes.
    expect(ends.get('0x80') ?? 0).toBe(0);
    expect(ends.get('0x83') ?? 0).toBe(0);
  }, 900_000);
});
