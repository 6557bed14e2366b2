/**
 * A trace is complete: random operations of CMQ and AMQP on a traced queue, restarts and all; after
 * each, what the events say of every message is what the queue counts.
 */
import { expect, test } from 'vitest';
import type { TraceKind } from '../../../src/engine/cmq/trace-event.ts';
import { MemoryDisk } from '../../../src/store/memory-disk.ts';
import { SeededRandom } from '../../support/seeded-random.ts';
import { QueueHarness, type Received } from './queue-harness.ts';

const SEEDS = Number(process.env['CMQ_TRACE_SEEDS'] ?? 12);
const STEPS = 50;
const REWIND_SECONDS = 60;

interface Event {
  readonly event: TraceKind;
  readonly timeMs: number;
  readonly msgId?: string;
  readonly untilMs?: number;
}

type State = 'active' | 'inactive' | 'delayed' | 'deleted';

/** States a message may be in when an event comes; the state after it, or none. */
const STEPS_ALLOWED: Readonly<
  Record<string, readonly [readonly (State | 'new')[], State | 'end']>
> = {
  sent: [['new'], 'active'],
  delayed: [['new'], 'delayed'],
  rescheduled: [['delayed'], 'delayed'],
  cancelled: [['delayed'], 'end'],
  received: [['active'], 'inactive'],
  extended: [['inactive'], 'inactive'],
  released: [['inactive'], 'active'],
  deleted: [['inactive'], 'deleted'],
  rewound: [['deleted'], 'active'],
  expired: [['active', 'inactive', 'delayed'], 'end'],
  'dead-lettered': [['active', 'inactive'], 'end'],
};

class TraceModel {
  readonly #states: Map<string, { state: State; untilMs: number; sentAtMs: number }> = new Map();

  apply({ event, msgId, timeMs, untilMs = 0 }: Event): void {
    if (event === 'cleared') {
      this.#states.clear();
      return;
    }
    this.fallDue(timeMs);
    const before = this.#states.get(msgId!);
    const [from, to] = STEPS_ALLOWED[event]!;
    expect(from, `${event} of ${msgId}`).toContain(before?.state ?? 'new');
    if (to === 'end') this.#states.delete(msgId!);
    else this.#states.set(msgId!, { state: to, untilMs, sentAtMs: before?.sentAtMs ?? timeMs });
  }

  /** A delay that ends is no event: the message was told when. */
  fallDue(nowMs: number): void {
    for (const entry of this.#states.values()) {
      if (entry.state === 'delayed' && entry.untilMs <= nowMs) entry.state = 'active';
    }
  }

  counts(nowMs: number): number[] {
    const states = [...this.#states.values()];
    const kept = states.filter(
      ({ state, sentAtMs }) => state === 'deleted' && sentAtMs + REWIND_SECONDS * 1_000 > nowMs,
    );
    const count = (wanted: State): number => states.filter(({ state }) => state === wanted).length;
    return [count('active'), count('inactive'), count('delayed'), kept.length];
  }
}

class TraceRun {
  readonly #random: SeededRandom;
  readonly #disk: MemoryDisk;
  #harness: QueueHarness;
  #handles: string[];
  #scheduled: string[];

  constructor(seed: number, disk: MemoryDisk, harness: QueueHarness) {
    this.#random = new SeededRandom(seed);
    this.#disk = disk;
    this.#harness = harness;
    this.#handles = [];
    this.#scheduled = [];
  }

  async step(): Promise<void> {
    const operations = [
      () => this.#send(0),
      () => this.#send(0),
      () => this.#send(1 + this.#below(40)),
      () => this.#receive(),
      () => this.#receive(),
      () => this.#settleOne('DeleteMessage', {}),
      () => this.#settleOne('DeleteMessage', {}),
      () => this.#settleOne('ChangeMessageVisibility', { visibilityTimeout: this.#below(20) }),
      () => this.#harness.pass(this.#below(40)),
      () => this.#rewind(),
      () => this.#schedule('RescheduleMessage', { delaySeconds: this.#below(30) }),
      () => this.#schedule('CancelScheduledMessage', {}),
      () => this.#consume(),
      () => (this.#below(10) === 0 ? this.#restart() : this.#receive()),
      () => (this.#below(10) === 0 ? this.#call('ClearQueue') : this.#receive()),
    ];
    await operations[this.#below(operations.length)]!();
  }

  async check(): Promise<void> {
    const harness = this.#harness;
    await harness.settle(3);
    const { eventList } = await harness.ok('QueryTrace', { queueName: 'q', limit: 10_000 });
    const model = new TraceModel();
    for (const event of eventList as Event[]) model.apply(event);
    const nowMs = harness.clock.wallMs();
    model.fallDue(nowMs);
    expect(await harness.counts('q')).toEqual(model.counts(nowMs));
  }

  async #send(delaySeconds: number): Promise<void> {
    const send = { queueName: 'q', msgBody: 'x', delaySeconds };
    const { msgId } = await this.#harness.ok('SendMessage', send);
    if (delaySeconds > 0) this.#scheduled.push(msgId as string);
  }

  async #receive(): Promise<void> {
    const reply = await this.#call('BatchReceiveMessage', { numOfMsg: 1 + this.#below(3) });
    for (const { receiptHandle } of (reply['msgInfoList'] ?? []) as Received[]) {
      this.#handles.push(receiptHandle);
    }
  }

  async #settleOne(action: string, parameters: Record<string, number>): Promise<void> {
    const receiptHandle = this.#pick(this.#handles);
    if (receiptHandle !== undefined) await this.#call(action, { receiptHandle, ...parameters });
  }

  async #schedule(action: string, parameters: Record<string, number>): Promise<void> {
    const msgId = this.#pick(this.#scheduled);
    if (msgId !== undefined) await this.#call(action, { msgId, ...parameters });
  }

  async #rewind(): Promise<void> {
    const startConsumeTime = this.#harness.nowSeconds - this.#below(REWIND_SECONDS);
    await this.#call('RewindQueue', { startConsumeTime });
  }

  /** An AMQP consumer takes a few, and settles or gives back. */
  async #consume(): Promise<void> {
    const { engine } = this.#harness;
    const consumer = engine.consume('q', { credit: 1 + this.#below(3) });
    await this.#harness.settle(3);
    engine.vhost.cancel(consumer);
    for (const { queue, entry } of consumer.deliveries) {
      const choice = this.#below(3);
      if (choice === 0) queue.acknowledge(entry);
      else if (choice === 1) queue.requeue(entry, true);
      else queue.reject(entry);
    }
    await this.#harness.settle(3);
  }

  async #restart(): Promise<void> {
    await this.#harness.settle(3);
    const { clock } = this.#harness;
    this.#harness = await QueueHarness.open({ disk: this.#disk, clock });
    await this.#harness.settle(3);
  }

  #call(action: string, parameters: Record<string, string | number> = {}) {
    return this.#harness.call(action, { queueName: 'q', ...parameters });
  }

  #pick<T>(items: readonly T[]): T | undefined {
    return items[this.#below(Math.max(items.length, 1))];
  }

  #below(bound: number): number {
    return this.#random.below(bound);
  }
}

test(`the events of ${SEEDS} random runs tell the states of all messages`, async () => {
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const disk = new MemoryDisk();
    const harness = await QueueHarness.open({ disk });
    await harness.create('dlq');
    await harness.create('q', {
      trace: 1,
      visibilityTimeout: 10,
      rewindSeconds: REWIND_SECONDS,
      msgRetentionSeconds: 90,
      deadLetterQueueName: 'dlq',
      policy: 0,
      maxReceiveCount: 4,
    });
    const run = new TraceRun(seed, disk, harness);
    for (let step = 0; step < STEPS; step += 1) {
      await run.step();
      try {
        await run.check();
      } catch (error) {
        throw new Error(`seed ${seed}, step ${step}`, { cause: error });
      }
    }
  }
}, 900_000);
