/**
 * The probes of the reference against ours and, with PEER_AMQP_URL, against a real RabbitMQ in the
 * same run: code, level and text shape must agree with the recorded outcome. Prints a table.
 */
import { randomBytes } from 'node:crypto';
import { afterAll, describe, expect, inject, test } from 'vitest';
import { useBroker } from '../support/spec-test.ts';
import { CloseError, WireConnection } from '../support/wire-client.ts';
import { PROBES as COMMON_PROBES, type Probe } from './probe-list.ts';
import { RARE_PROBES } from './probe-list-rare.ts';

const PROBES: readonly Probe[] = [...COMMON_PROBES, ...RARE_PROBES];

const broker = useBroker();
const peerUrl = inject('peerUrl');
const rows: { name: string; ours: string; peer: string; isTolerated: boolean }[] = [];

async function outcomeOf(probe: Probe, url: string): Promise<string> {
  const suffix = randomBytes(4).toString('hex');
  const q = `q.${suffix}`;
  const x = `x.${suffix}`;
  const open: WireConnection[] = [];
  const connection = await WireConnection.open(url);
  open.push(connection);
  const text = (message: string): string =>
    message
      .replaceAll(q, '<q>')
      .replaceAll(x, '<x>')
      .replaceAll(`vhost '${connection.target.vhost}'`, "vhost '<v>'")
      .replaceAll(`user was '${connection.target.user}'`, "user was '<u>'")
      .replaceAll(`user '${connection.target.user}'`, "user '<u>'")
      .replace(/amq\.gen-[\w-]+/g, '<q>');
  try {
    const channel = await connection.channel();
    let isReturned = false;
    const returned = channel.returned.bind(channel);
    channel.returned = async (timeoutMs) => {
      const message = await returned(timeoutMs);
      isReturned = true;
      throw new Error(`${message.replyCode} return ${message.replyText}`);
    };
    try {
      await probe.script({
        connection,
        channel,
        q,
        x,
        other: async () => {
          const other = await WireConnection.open(url);
          open.push(other);
          return await other.channel();
        },
        dial: async () => {
          const other = await WireConnection.dial(url);
          open.push(other);
          return other;
        },
      });
      return 'ok';
    } catch (error) {
      if (isReturned) return (error as Error).message;
      if (!(error instanceof CloseError)) throw error;
      if (error.level === 'socket') return 'socket';
      return `${error.code} ${error.level} ${text(error.text)}`;
    }
  } finally {
    for (const one of open) one.destroy();
    await cleanUp(url, q, x);
  }
}

/** Removes what a probe may have left. */
async function cleanUp(url: string, queue: string, exchange: string): Promise<void> {
  const connection = await WireConnection.open(url);
  try {
    const channel = await connection.channel();
    await channel.call('exchange.delete', { exchange });
    await channel.call('queue.delete', { queue });
  } catch {
    // An exclusive queue that is still on its way out goes with its own connection.
  } finally {
    connection.destroy();
  }
}

describe('probes', () => {
  test('there are at least 80, each named once', () => {
    expect(PROBES.length).toBeGreaterThanOrEqual(80);
    expect(new Set(PROBES.map((probe) => probe.name)).size).toBe(PROBES.length);
  });

  for (const probe of PROBES) {
    test(`probe: ${probe.name}`, async () => {
      const outcome = await outcomeOf(probe, broker.url());
      const peer = peerUrl === undefined ? '' : await outcomeOf(probe, peerUrl);
      const isOurs = !broker.isPeer;
      const allowed = [(isOurs && probe.tolerance?.ours) || probe.expected];
      const isTolerated = isOurs && probe.tolerance !== undefined;
      rows.push({ name: probe.name, ours: outcome, peer, isTolerated });
      expect(outcome).toBe(allowed[0]);
      if (peerUrl !== undefined) expect(peer).toBe(probe.expected);
    });
  }

  afterAll(() => {
    const width = Math.max(...rows.map((row) => row.name.length));
    const lines = rows.map((row) => {
      const verdict = agreement(row);
      return `${row.name.padEnd(width)}  ${verdict.padEnd(9)}  ${row.ours}`;
    });
    const count = (verdict: string): number =>
      rows.filter((row) => agreement(row) === verdict).length;
    process.stdout.write(
      `${lines.join('\n')}\n${rows.length} probes: ${count('same')} same, ` +
        `${count('tolerated')} tolerated, ${count('differs')} differ\n`,
    );
  });
});

function agreement(row: (typeof rows)[number]): 'same' | 'tolerated' | 'differs' {
  const reference = row.peer || PROBES.find((probe) => probe.name === row.name)?.expected;
  if (row.ours === reference) return 'same';
  return row.isTolerated ? 'tolerated' : 'differs';
}
