/**
 * The clients of the kill test: publishers and consumers over real sockets, each a loop that ends
 * with the CloseError its connection ends with. Everything they see goes to the ledger at once.
 */
import { CloseError, type WireChannel, WireConnection } from '../support/wire-client.ts';
import { type Attempt, type Ledger, type Transaction, nameOf } from './ledger.ts';
import type { Random } from '../support/random.ts';

/** What the actors of one cycle share. */
export interface Stage {
  readonly url: string;
  readonly ledger: Ledger;
  readonly random: Random;
  /** Number of the cycle, part of every channel's name. */
  readonly cycle: number;
  /** Called at the first confirm or delivery. */
  readonly onTraffic: () => void;
  /** The crash has happened: nobody connects any more. */
  readonly isOver: () => boolean;
  /** Connections opened, to be cut at the end. */
  readonly connections: WireConnection[];
}

/** Bodies of this size go to another table of the store than small ones. */
const LARGE_BODY_BYTES = 80_000;
const PERSISTENT = { deliveryMode: 2 };

async function openChannel(stage: Stage): Promise<WireChannel> {
  const connection = await WireConnection.open(stage.url);
  stage.connections.push(connection);
  if (stage.isOver()) {
    connection.destroy();
    throw new CloseError('socket');
  }
  return await connection.channel();
}

function bodyOf(attempt: Attempt, random: Random, largeShare: number): string {
  const name = nameOf(attempt);
  if (random.chance(largeShare)) return `${name} `.padEnd(LARGE_BODY_BYTES, 'x');
  return `${name} `.padEnd(random.between(name.length + 1, 400), '.');
}

export interface PublisherPlan {
  readonly name: string;
  readonly exchange: string;
  readonly routingKey: string;
  /** Where the message must arrive. */
  readonly queues: readonly string[];
  readonly window: number;
  /** Share of messages with a body of 80 kB. */
  readonly largeShare: number;
}

/** Publishes with confirms until the connection ends. */
export async function publish(stage: Stage, plan: PublisherPlan): Promise<never> {
  const channel = await openChannel(stage);
  const name = `${plan.name}.${stage.cycle}`;
  await channel.confirmSelect();
  const open = new Map<number, Attempt>();
  let sequence = 0;
  for (;;) {
    while (open.size < plan.window) {
      sequence += 1;
      const attempt = stage.ledger.attempt(name, sequence, plan.queues);
      open.set(sequence, attempt);
      const body = bodyOf(attempt, stage.random, plan.largeShare);
      channel.publish(plan.exchange, plan.routingKey, body, PERSISTENT);
    }
    const { name: method, args } = await channel.next(60_000);
    if (method !== 'basic.ack' && method !== 'basic.nack') {
      throw new Error(`${name}: expected a confirm, got ${method}`);
    }
    settleConfirms(open, Number(args.deliveryTag), args.multiple, method === 'basic.ack');
    stage.onTraffic();
  }
}

function settleConfirms(
  open: Map<number, Attempt>,
  tag: number,
  isMultiple: boolean,
  isAck: boolean,
): void {
  for (const [sequence, attempt] of open) {
    if (isMultiple ? sequence > tag : sequence !== tag) continue;
    open.delete(sequence);
    if (isAck) attempt.isConfirmed = true;
    else attempt.isRefused = true;
  }
}

/** Publishes in transactions of random size until the connection ends. */
export async function publishInTransactions(
  stage: Stage,
  plan: { name: string; queues: readonly string[] },
): Promise<never> {
  const channel = await openChannel(stage);
  const name = `${plan.name}.${stage.cycle}`;
  await channel.call('tx.select');
  let sequence = 0;
  for (;;) {
    const transaction = stage.ledger.transaction(`${name}@${sequence}`);
    const count = stage.random.between(1, 20);
    const isRolledBack = stage.random.chance(0.1);
    for (let index = 0; index < count; index += 1) {
      sequence += 1;
      const queue = plan.queues[sequence % plan.queues.length]!;
      // What is rolled back must arrive nowhere: an attempt for no queue.
      const target = isRolledBack ? [] : [queue];
      const attempt = stage.ledger.attempt(
        name,
        sequence,
        target,
        isRolledBack ? undefined : transaction,
      );
      channel.publish('', queue, bodyOf(attempt, stage.random, 0.01), PERSISTENT);
    }
    await channel.call(isRolledBack ? 'tx.rollback' : 'tx.commit', {}, 60_000);
    if (!isRolledBack) for (const attempt of transaction.attempts) attempt.isConfirmed = true;
  }
}

export interface ConsumerPlan {
  readonly name: string;
  readonly queue: string;
  readonly prefetch: number;
  /** Acks one multiple for so many; 1 acks each. */
  readonly ackEvery: number;
  /** Share of deliveries that are requeued instead. */
  readonly requeueShare: number;
}

/** Consumes and acks until the connection ends. */
export async function consume(stage: Stage, plan: ConsumerPlan): Promise<never> {
  const channel = await openChannel(stage);
  const consumer = `${plan.name}.${stage.cycle}`;
  await channel.call('basic.qos', { prefetchCount: plan.prefetch });
  await channel.consume(plan.queue);
  let unacked: Attempt[] = [];
  for (;;) {
    const { tag, body, redelivered } = await channel.delivery(60_000);
    const attempt = stage.ledger.deliver(plan.queue, consumer, body, redelivered);
    stage.onTraffic();
    if (attempt !== undefined && stage.random.chance(plan.requeueShare)) {
      channel.nack(tag);
      continue;
    }
    if (attempt !== undefined) unacked.push(attempt);
    if (unacked.length < plan.ackEvery) continue;
    channel.ack(tag, plan.ackEvery > 1);
    for (const each of unacked) stage.ledger.acked(each, plan.queue);
    unacked = [];
  }
}

/**
 * Consumes, acks about half and leaves with the rest unacked, by closing its channel or by cutting
 * its connection, again and again: what it leaves must come back, marked.
 */
export async function consumeAndLeave(
  stage: Stage,
  plan: { name: string; queue: string; prefetch: number },
): Promise<never> {
  for (let visit = 1; ; visit += 1) {
    const channel = await openChannel(stage);
    const consumer = `${plan.name}.${stage.cycle}.${visit}`;
    await channel.call('basic.qos', { prefetchCount: plan.prefetch });
    await channel.consume(plan.queue);
    const count = stage.random.between(1, 3 * plan.prefetch);
    let held = 0;
    for (let index = 0; index < count && held < plan.prefetch; index += 1) {
      const { tag, body, redelivered } = await channel.delivery(60_000);
      const attempt = stage.ledger.deliver(plan.queue, consumer, body, redelivered);
      held += 1;
      if (attempt === undefined || stage.random.chance(0.5)) continue;
      held -= 1;
      channel.ack(tag);
      stage.ledger.acked(attempt, plan.queue);
    }
    if (stage.random.chance(0.5)) channel.connection.destroy();
    else await channel.connection.close();
  }
}

/** Consumes and acks in transactions until the connection ends. */
export async function consumeInTransactions(
  stage: Stage,
  plan: { name: string; queue: string; prefetch: number },
): Promise<never> {
  const channel = await openChannel(stage);
  const consumer = `${plan.name}.${stage.cycle}`;
  await channel.call('basic.qos', { prefetchCount: plan.prefetch });
  await channel.call('tx.select');
  await channel.consume(plan.queue);
  for (;;) {
    const batch: Attempt[] = [];
    const size = stage.random.between(1, plan.prefetch);
    for (let index = 0; index < size; index += 1) {
      const { tag, body, redelivered } = await channel.delivery(60_000);
      const attempt = stage.ledger.deliver(plan.queue, consumer, body, redelivered);
      channel.ack(tag);
      if (attempt !== undefined) batch.push(attempt);
    }
    await channel.call('tx.commit', {}, 60_000);
    for (const attempt of batch) {
      stage.ledger.acked(attempt, plan.queue);
      stage.ledger.ackPromised(attempt, plan.queue);
    }
  }
}

export interface ForwarderPlan {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  /** Ends when nothing has come for so long; Infinity: with the connection. */
  readonly idleMs: number;
}

/**
 * Moves messages from one queue to another, ack and publish in one transaction: each must arrive
 * exactly once, whatever happens. The forwarded body is `forwarder/sequence original`.
 */
export async function forward(stage: Stage, plan: ForwarderPlan): Promise<void> {
  const channel = await openChannel(stage);
  const name = `${plan.name}.${stage.cycle}`;
  const batchMax = 8;
  await channel.call('basic.qos', { prefetchCount: 4 * batchMax });
  await channel.call('tx.select');
  await channel.consume(plan.from);
  let sequence = 0;
  for (;;) {
    const transaction: Transaction = stage.ledger.transaction(`${name}@${sequence}`);
    const inputs: Attempt[] = [];
    const size = stage.random.between(1, batchMax);
    while (inputs.length < size) {
      const delivery = await deliveryOrIdle(channel, plan.idleMs);
      if (delivery === undefined) break;
      const { tag, body, redelivered } = delivery;
      const input = stage.ledger.deliver(plan.from, name, body, redelivered);
      channel.ack(tag);
      if (input === undefined) continue;
      inputs.push(input);
      sequence += 1;
      const output = stage.ledger.attempt(name, sequence, [plan.to], transaction);
      channel.publish('', plan.to, `${nameOf(output)} ${nameOf(input)}`, PERSISTENT);
    }
    await channel.call('tx.commit', {}, 60_000);
    for (const output of transaction.attempts) output.isConfirmed = true;
    for (const input of inputs) {
      stage.ledger.acked(input, plan.from);
      stage.ledger.ackPromised(input, plan.from);
    }
    if (inputs.length < size) return;
  }
}

/** The next delivery, or undefined when there is none for so long. */
export async function deliveryOrIdle(channel: WireChannel, idleMs: number) {
  if (idleMs === Infinity) return await channel.delivery(60_000);
  try {
    return await channel.delivery(idleMs);
  } catch (error) {
    if (channel.inbox.error !== undefined) throw error;
    return undefined;
  }
}
