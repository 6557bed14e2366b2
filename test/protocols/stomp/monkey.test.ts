/** Clients that say anything in any order: ERROR or service, never a fault. */
import { expect, test } from 'vitest';
import { createStompAcceptor } from '../../../protocols/stomp/listener.ts';
import { DEFAULT_STOMP_SETTINGS } from '../../../protocols/stomp/settings.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { FlushSet } from '../../../src/net/flush-set.ts';
import { MESSAGE_HEADERS } from '../../../src/server/stomp-settings.ts';
import { PipeTransport } from '../../net/pipe-transport.ts';
import { EngineFixture } from '../../support/engine-fixture.ts';
import { SeededRandom } from '../../support/seeded-random.ts';
import { frameBytes } from './stomp-harness.ts';

const COMMANDS = [
  'SEND',
  'SEND',
  'SEND',
  'SUBSCRIBE',
  'SUBSCRIBE',
  'UNSUBSCRIBE',
  'ACK',
  'NACK',
  'BEGIN',
  'COMMIT',
  'ABORT',
  'CONNECT',
  'WHAT',
];
const VALUES: Readonly<Record<string, readonly string[]>> = {
  destination: ['/queue/a', '/queue/b', '/topic/x.y', '/topic/#', '/exchange/amq.fanout', '/bad'],
  id: ['0', '1', '2'],
  ack: ['auto', 'client', 'client-individual'],
  transaction: ['t', 'u'],
  receipt: ['r'],
  persistent: ['true', 'false', 'x'],
  priority: ['1', '-1', 'x'],
  expiration: ['0', '1000', 'x'],
  durable: ['true', 'false'],
  'auto-delete': ['true', 'false'],
  exclusive: ['true', 'false'],
  'reply-to': ['/temp-queue/q', '/queue/a', '/temp-queue/'],
  'prefetch-count': ['0', '1', '70000'],
  'x-max-length': ['0', '2', 'x'],
  'x-overflow': ['reject-publish', 'drop-head', 'x'],
  'x-queue-type': ['quorum', 'stream', 'x'],
  requeue: ['true', 'false'],
};

test('random frames from many clients', async () => {
  const random = new SeededRandom(23);
  const below = (max: number): number => (random.bytes(2)[0]! * 256 + random.bytes(1)[0]!) % max;
  const fixture = await EngineFixture.open();
  const faults: unknown[] = [];
  const flushSet = new FlushSet(() => undefined);
  const acceptor = createStompAcceptor({
    broker: fixture.broker,
    flushSet,
    settings: DEFAULT_STOMP_SETTINGS,
    headers: MESSAGE_HEADERS,
    logger: { ...silentLogger, error: (fields) => void faults.push(fields) },
    clock: fixture.clock,
  });
  const connect = async (): Promise<PipeTransport> => {
    const transport = new PipeTransport();
    transport.handler = acceptor.accept(transport);
    const login = { login: 'guest', passcode: 'guest', 'accept-version': '1.2' };
    transport.handler.onChunk(frameBytes('CONNECT', login));
    // A login takes a thread: seconds, on a machine with much else to do.
    for (let wait = 0; wait < 60_000 && transport.received.length === 0; wait += 1) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      flushSet.flushAll();
    }
    return transport;
  };
  const clients: PipeTransport[] = [];
  const acks: string[] = [];
  for (let round = 0; round < 6_000; round += 1) {
    const slot = below(4);
    const client = clients[slot];
    if (client === undefined || client.isEnded || client.isDestroyed) {
      clients[slot] = await connect();
      continue;
    }
    const headers: Record<string, string> = {};
    // The first three nearly always, so that most frames are served.
    for (const [name, values] of Object.entries(VALUES)) {
      const isUsual = name === 'destination' || name === 'id';
      if (below(20) < (isUsual ? 19 : 1)) headers[name] = values[below(values.length)]!;
    }
    const command = COMMANDS[below(below(6) === 0 ? COMMANDS.length : 5)]!;
    if (acks.length > 0 && below(3) === 0) {
      const id = acks.splice(below(acks.length), 1)[0]!;
      client.handler!.onChunk(frameBytes(below(2) === 0 ? 'ACK' : 'NACK', { id }));
    } else {
      client.handler!.onChunk(frameBytes(command, headers, 'x'.repeat(below(50))));
    }
    if (below(5) === 0) {
      await fixture.settle();
      flushSet.flushAll();
      for (const { received } of clients.filter((one) => one !== undefined)) {
        for (const [, id] of received.toString().matchAll(/\nack:(.*)\n/g)) acks.push(id!);
      }
      for (const one of clients) if (one !== undefined) one.received = Buffer.alloc(0);
    }
    if (below(200) === 0) client.handler!.onClosed(undefined);
  }
  expect(faults).toEqual([]);
  for (const client of clients) client?.handler!.onClosed(undefined);
  await fixture.settle();
  expect(acceptor.connectionCount).toBe(0);
  for (const queue of fixture.vhost.topology.queues.values()) {
    expect([queue.name, queue.unackedCount, queue.consumerCount]).toEqual([queue.name, 0, 0]);
  }
}, 300_000);
