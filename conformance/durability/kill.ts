/**
 * The kill test: clients publish with confirms and in transactions, consume with acks, requeues
 * and transactions; the server is killed with SIGKILL at a random moment and started again on the
 * same data, many times; at the end everything is drained and the ledger gives its verdict.
 *
 * With a URL instead of our server, a cycle cuts the connections and nothing is killed: that
 * checks the test itself against another broker.
 */
import { ServerProcess } from '../support/server-process.ts';
import { CloseError, WireConnection } from '../support/wire-client.ts';
import {
  consume,
  consumeAndLeave,
  consumeInTransactions,
  deliveryOrIdle,
  forward,
  publish,
  publishInTransactions,
  type Stage,
} from './actors.ts';
import { Ledger, type Verdict } from './ledger.ts';
import { Random } from '../support/random.ts';
import {
  CutBroker,
  KilledServer,
  type KillOptions,
  type KillReport,
  type Victim,
} from './victim.ts';

/** Killed so long after the first confirm. */
const KILL_AFTER_MS = { min: 5, max: 500 };
const TRAFFIC_TIMEOUT_MS = 60_000;
/** A queue that delivers nothing for so long is asked what it holds. */
const DRAIN_IDLE_MS = 400;
/** A queue that holds messages and delivers none for so long is stuck. */
const DRAIN_STUCK_MS = 45_000;

/** Names of the queues and exchanges of one run. */
class Topology {
  readonly direct: string;
  readonly shared: string;
  readonly fanLeft: string;
  readonly fanRight: string;
  readonly input: string;
  readonly output: string;
  readonly fanout: string;

  constructor(prefix: string) {
    this.direct = `${prefix}-direct`;
    this.shared = `${prefix}-shared`;
    this.fanLeft = `${prefix}-fan-left`;
    this.fanRight = `${prefix}-fan-right`;
    this.input = `${prefix}-input`;
    this.output = `${prefix}-output`;
    this.fanout = `${prefix}-fanout`;
  }

  get queues(): readonly string[] {
    return [this.direct, this.shared, this.fanLeft, this.fanRight, this.input, this.output];
  }

  async declare(url: string): Promise<void> {
    const connection = await WireConnection.open(url);
    const channel = await connection.channel();
    for (const queue of this.queues) await channel.queue(queue, { durable: true });
    await channel.exchange(this.fanout, 'fanout', { durable: true });
    await channel.bind(this.fanLeft, this.fanout);
    await channel.bind(this.fanRight, this.fanout);
    await connection.close();
  }

  async remove(url: string): Promise<void> {
    const connection = await WireConnection.open(url);
    const channel = await connection.channel();
    for (const queue of this.queues) await channel.call('queue.delete', { queue });
    await channel.call('exchange.delete', { exchange: this.fanout });
    await connection.close();
  }
}

/** Runs the whole test. Throws only when the server cannot be started or drained. */
export async function runKillTest(options: KillOptions): Promise<KillReport<Verdict>> {
  const startedAtMs = performance.now();
  const errors: string[] = [];
  const ledger = new Ledger();
  const random = new Random(options.seed);
  const { url, dataDir } = options;
  const victim =
    url === undefined
      ? new KilledServer(
          await ServerProcess.start(dataDir === undefined ? {} : { dataDir }),
          (server) => server.url,
        )
      : new CutBroker(url);
  const topology = new Topology(`kill-${process.pid}-${options.seed}`);
  try {
    await topology.declare(victim.url);
    for (let cycle = 1; cycle <= options.cycles; cycle += 1) {
      const text = await runCycle(victim, topology, ledger, random, cycle, errors);
      options.onCycle?.(cycle, text);
      await victim.revive();
    }
    await drain(victim, topology, ledger, random, errors);
    ledger.checkForwarded('-input');
    await topology.remove(victim.url);
  } finally {
    await victim.dispose();
  }
  return {
    verdict: ledger.verdict(),
    integrityFailures: victim.integrityFailures,
    errors,
    restartMaxMs: victim.restartMaxMs,
    seconds: (performance.now() - startedAtMs) / 1000,
  };
}

async function runCycle(
  victim: Victim,
  topology: Topology,
  ledger: Ledger,
  random: Random,
  cycle: number,
  errors: string[],
): Promise<string> {
  let noteTraffic = (): void => {};
  const traffic = new Promise<void>((resolve) => {
    noteTraffic = resolve;
  });
  const connections: WireConnection[] = [];
  const attemptsBefore = ledger.attemptCount;
  let isCrashed = false;
  const stage: Stage = {
    url: victim.url,
    ledger,
    random,
    cycle,
    onTraffic: () => noteTraffic(),
    isOver: () => isCrashed,
    connections,
  };
  const actors = startActors(stage, topology).map((actor) =>
    actor.catch((error: unknown) => {
      const isEnd = isCrashed && (error instanceof CloseError ? error.level === 'socket' : true);
      if (!isEnd) errors.push(`cycle ${cycle}: ${String(error)}`);
    }),
  );
  await Promise.race([traffic, pause(TRAFFIC_TIMEOUT_MS)]);
  const delayMs = random.between(KILL_AFTER_MS.min, KILL_AFTER_MS.max);
  await pause(delayMs);
  isCrashed = true;
  const ends = connections.map((connection) => ({
    destroy: () => connection.destroy(),
    ended: () => connection.ended(),
  }));
  await victim.crash(ends, cycle);
  await Promise.all(actors);
  ledger.endCycle();
  return `killed after ${delayMs} ms, ${ledger.attemptCount - attemptsBefore} attempts`;
}

function startActors(stage: Stage, topology: Topology): Promise<void>[] {
  const { direct, shared, fanLeft, fanRight, input, output, fanout } = topology;
  const plain = { exchange: '', largeShare: 0.002 };
  return [
    publish(stage, { ...plain, name: 'pd', routingKey: direct, queues: [direct], window: 100 }),
    publish(stage, { ...plain, name: 'ps', routingKey: shared, queues: [shared], window: 50 }),
    publish(stage, { ...plain, name: 'p1', routingKey: shared, queues: [shared], window: 1 }),
    publish(stage, { ...plain, name: 'pi', routingKey: input, queues: [input], window: 20 }),
    publish(stage, {
      name: 'pf',
      exchange: fanout,
      routingKey: '',
      queues: [fanLeft, fanRight],
      window: 30,
      largeShare: 0.02,
    }),
    publishInTransactions(stage, { name: 'pt', queues: [direct, shared] }),
    consume(stage, {
      name: 'cd',
      queue: direct,
      prefetch: 50,
      ackEvery: 10,
      requeueShare: 0,
    }),
    consume(stage, {
      name: 'cs1',
      queue: shared,
      prefetch: 20,
      ackEvery: 1,
      requeueShare: 0.05,
    }),
    consume(stage, {
      name: 'cs2',
      queue: shared,
      prefetch: 7,
      ackEvery: 1,
      requeueShare: 0,
    }),
    consumeAndLeave(stage, { name: 'cl', queue: fanRight, prefetch: 5 }),
    consumeInTransactions(stage, { name: 'ct', queue: fanLeft, prefetch: 10 }),
    forward(stage, { name: 'fw', from: input, to: output, idleMs: Infinity }),
  ];
}

/** Takes everything that is left: first through the forwarder, then each queue by one consumer. */
async function drain(
  victim: Victim,
  topology: Topology,
  ledger: Ledger,
  random: Random,
  errors: string[],
): Promise<void> {
  ledger.beginDrain();
  const stage: Stage = {
    url: victim.url,
    ledger,
    random,
    cycle: 0,
    onTraffic: () => {},
    isOver: () => false,
    connections: [],
  };
  try {
    const { input, output } = topology;
    await forward(stage, { name: 'fw', from: input, to: output, idleMs: 5_000 });
    for (const connection of stage.connections) connection.destroy();
    for (const queue of topology.queues) await drainQueue(stage, queue);
  } catch (error) {
    errors.push(`drain: ${String(error)}`);
  } finally {
    for (const connection of stage.connections) connection.destroy();
  }
}

async function drainQueue(stage: Stage, queue: string): Promise<void> {
  const connection = await WireConnection.open(stage.url);
  stage.connections.push(connection);
  const channel = await connection.channel();
  const counter = await connection.channel();
  await channel.call('basic.qos', { prefetchCount: 500 });
  await channel.consume(queue);
  let lastAtMs = performance.now();
  for (;;) {
    const delivery = await deliveryOrIdle(channel, DRAIN_IDLE_MS);
    if (delivery === undefined) {
      const { messages } = await counter.counts(queue);
      if (channel.inbox.size > 0) continue;
      if (messages === 0) break;
      if (performance.now() - lastAtMs < DRAIN_STUCK_MS) continue;
      throw new Error(`${queue} holds ${messages} messages and delivers none`);
    }
    lastAtMs = performance.now();
    const { tag, body, redelivered } = delivery;
    const attempt = stage.ledger.deliver(queue, 'drain', body, redelivered);
    channel.ack(tag);
    if (attempt === undefined) continue;
    stage.ledger.acked(attempt, queue);
    const original = body.split(' ')[1];
    if (queue.endsWith('-output') && original !== undefined)
      stage.ledger.noteForwarded(attempt, original);
  }
  await connection.close();
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
