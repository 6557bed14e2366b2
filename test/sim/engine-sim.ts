/**
 * A simulation of the whole engine from one seed: publishers with confirms, consumers that ack,
 * requeue and reject, gets, purges, turns, commits, and crashes at any point, on the in-memory
 * store. A reference model says what must hold (docs/TESTING.md, guarantees G1 to G4):
 *
 *  1. Confirmed, persistent and not settled: still there after a crash.
 *  2. Settled with a committed ticket: never delivered again.
 *  3. A second delivery of a message is marked redelivered.
 *  4. First deliveries of a queue follow the order of publishing.
 *  5. Ready plus unacked equals what the model counts (between crashes).
 */
import type { ConfirmLedger } from '../../src/engine/confirm-ledger.ts';
import type { Entry } from '../../src/engine/message.ts';
import { PUBLISH_DURABLE } from '../../src/engine/publish.ts';
import type { Queue } from '../../src/engine/queue/queue.ts';
import { MemoryDisk } from '../../src/store/memory-disk.ts';
import type { Delivered } from '../support/engine-fixture.ts';
import { bodyOf, EngineFixture, TestConsumer } from '../support/engine-fixture.ts';
import { SeededRandom } from '../support/seeded-random.ts';

interface Tracked {
  readonly id: number;
  readonly queue: string;
  readonly isPersistent: boolean;
  isConfirmed: boolean;
  deliveries: number;
  /** Ticket of the commit that settles it; 0 while it is live. */
  settledTicket: number;
  isGone: boolean;
}

interface Held {
  readonly queue: Queue;
  readonly entry: Entry;
  readonly tracked: Tracked;
}

const QUEUES = ['a', 'b', 'deep'];

/** Settled, and the commit was complete when the process died: it must not come back. */
const CERTAIN = -1;
/** Settled or unconfirmed when the process died: it may come back or not. */
const UNCERTAIN = -2;

/** Reports each delivery at once, so that those of several consumers are seen in their order. */
class ReportingConsumer extends TestConsumer {
  report: (delivery: Delivered) => void = () => {};

  override deliver(queue: Queue, entry: Entry): void {
    super.deliver(queue, entry);
    this.report(this.deliveries.pop()!);
  }
}

export class EngineSimulation {
  readonly #random: SeededRandom;
  readonly #disk = new MemoryDisk();
  readonly #messages = new Map<number, Tracked>();
  readonly #lastFirst = new Map<string, number>();
  #engine!: EngineFixture;
  #ledger!: ConfirmLedger;
  #unconfirmed = new Map<number, Tracked>();
  #sequence = 0;
  #consumers: ReportingConsumer[] = [];
  #held: Held[] = [];
  #nextId = 1;
  crashes = 0;
  delivered = 0;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
  }

  async run(steps: number): Promise<void> {
    await this.#start();
    for (let step = 0; step < steps; step += 1) await this.#step();
    await this.#crash();
    await this.#drain();
  }

  async #start(): Promise<void> {
    this.#engine = await EngineFixture.open({ disk: this.#disk });
    const e = this.#engine;
    for (const name of QUEUES) e.queue(name);
    await e.settle();
    this.#sequence = 0;
    this.#unconfirmed = new Map();
    let told = 0;
    this.#ledger = e.broker.confirmLedger({
      onConfirm: (sequence) => {
        for (; told < sequence; ) {
          told += 1;
          const tracked = this.#unconfirmed.get(told);
          if (tracked !== undefined) tracked.isConfirmed = true;
        }
      },
      onReject: (sequence) => {
        told = sequence;
      },
    });
    this.#consumers = QUEUES.slice(0, 2).map((name) => this.#consume(name, 3));
    this.#held = [];
  }

  async #step(): Promise<void> {
    const dice = this.#random.below(100);
    if (dice < 40) this.#publish();
    else if (dice < 55) this.#settleOne();
    else if (dice < 65) this.#engine.turn();
    else if (dice < 75) await new Promise((resolve) => setImmediate(resolve));
    else if (dice < 85) this.#giveCredit();
    else if (dice < 92) this.#get();
    else if (dice < 94) this.#publishBurst();
    else if (dice < 95) this.#purge();
    else if (dice < 97) await this.#crash();
    else this.#check();
  }

  #publish(): void {
    const e = this.#engine;
    const queue = QUEUES[this.#random.below(QUEUES.length)]!;
    const isPersistent = this.#random.below(4) > 0;
    const id = this.#nextId;
    this.#nextId += 1;
    const tracked: Tracked = {
      id,
      queue,
      isPersistent,
      isConfirmed: false,
      deliveries: 0,
      settledTicket: 0,
      isGone: false,
    };
    this.#messages.set(id, tracked);
    const bits = e.publish('', queue, `${id}`, { persistent: isPersistent });
    this.#sequence += 1;
    this.#unconfirmed.set(this.#sequence, tracked);
    const isDurable = (bits & PUBLISH_DURABLE) !== 0;
    this.#ledger.add(this.#sequence, isDurable ? e.broker.ticket : 0, false);
  }

  #publishBurst(): void {
    const count = this.#random.below(60);
    for (let index = 0; index < count; index += 1) this.#publish();
  }

  #giveCredit(): void {
    for (const [index, consumer] of this.#consumers.entries()) {
      consumer.credit = 1 + this.#random.below(5);
      this.#queue(QUEUES[index]!).consumerReady(consumer);
    }
  }

  #get(): void {
    const name = QUEUES[this.#random.below(QUEUES.length)]!;
    const e = this.#engine;
    e.vhost.get(e.actor, name, (entry, queue) => {
      // The answer may come after a crash of the simulated process: nobody is there any more.
      if (entry === undefined || this.#engine !== e) return;
      this.#delivered(queue, entry, bodyOf(entry.message), entry.isRedelivered);
    });
  }

  #settleOne(): void {
    if (this.#held.length === 0) return;
    const index = this.#random.below(this.#held.length);
    const [held] = this.#held.splice(index, 1);
    const { queue, entry, tracked } = held!;
    const dice = this.#random.below(10);
    if (dice < 3) {
      queue.requeue(entry, false);
      return;
    }
    if (dice < 4) queue.reject(entry);
    else queue.acknowledge(entry);
    tracked.isGone = true;
    tracked.settledTicket = this.#engine.broker.ticket;
  }

  #purge(): void {
    const name = QUEUES[this.#random.below(QUEUES.length)]!;
    this.#queue(name).purge();
    const heldIds = new Set(this.#held.map((held) => held.tracked.id));
    for (const tracked of this.#messages.values()) {
      if (tracked.queue !== name || tracked.isGone || heldIds.has(tracked.id)) continue;
      tracked.isGone = true;
      tracked.settledTicket = this.#engine.broker.ticket;
    }
  }

  /** The process is gone; what was committed is all there is. */
  async #crash(): Promise<void> {
    this.crashes += 1;
    const committed = this.#engine.store.committedTicket;
    for (const tracked of this.#messages.values()) {
      if (tracked.isGone) {
        // Uncommitted settlements may or may not have happened; either is right from now on.
        if (tracked.settledTicket > committed) tracked.settledTicket = UNCERTAIN;
        else if (tracked.settledTicket >= 0) tracked.settledTicket = CERTAIN;
      } else if (!(tracked.isPersistent && tracked.isConfirmed)) {
        tracked.isGone = true;
        tracked.settledTicket = UNCERTAIN;
      }
    }
    this.#engine.store.onCommitted = () => {};
    this.#lastFirst.clear();
    await this.#start();
  }

  #check(): void {
    const e = this.#engine;
    for (const name of QUEUES) {
      const queue = this.#queue(name);
      if (this.crashes === 0) {
        let live = 0;
        for (const t of this.#messages.values()) if (t.queue === name && !t.isGone) live += 1;
        const total = queue.readyCount + queue.unackedCount;
        if (total !== live) throw new Error(`queue ${name} counts ${total}, model ${live}`);
      }
      if (queue.readyBytes < 0) throw new Error(`queue ${name} has negative bytes`);
    }
    if (e.broker.residentBytes < 0) throw new Error('negative resident bytes');
  }

  async #drain(): Promise<void> {
    const e = this.#engine;
    for (const name of QUEUES) this.#consumers.push(this.#consume(name, Infinity));
    for (let round = 0; round < 40; round += 1) {
      await e.settle(2);
      for (const { queue, entry, tracked } of this.#held.splice(0)) {
        queue.acknowledge(entry);
        tracked.isGone = true;
      }
    }
    for (const tracked of this.#messages.values()) {
      if (!tracked.isGone) throw new Error(`lost: message ${tracked.id} of ${tracked.queue}`);
    }
  }

  #consume(name: string, credit: number): ReportingConsumer {
    const e = this.#engine;
    const consumer = new ReportingConsumer(e.actor, { credit });
    consumer.report = ({ queue, entry, body, isRedelivered }) =>
      this.#delivered(queue, entry, body, isRedelivered);
    e.vhost.consume(e.actor, name, consumer);
    return consumer;
  }

  #delivered(queue: Queue, entry: Entry, body: string, isRedelivered: boolean): void {
    const tracked = this.#messages.get(Number(body));
    if (tracked === undefined) throw new Error(`unexpected message ${body}`);
    this.delivered += 1;
    if (tracked.settledTicket === CERTAIN) throw new Error(`resurrected: message ${body}`);
    if (tracked.deliveries > 0 && !isRedelivered) throw new Error(`unmarked duplicate ${body}`);
    if (tracked.deliveries === 0 && !isRedelivered) {
      const last = this.#lastFirst.get(queue.name) ?? 0;
      if (tracked.id < last) throw new Error(`reordered: ${body} after ${last}`);
      this.#lastFirst.set(queue.name, tracked.id);
    }
    tracked.deliveries += 1;
    // A crash may have undone a settlement that was not committed: it is live again.
    tracked.isGone = false;
    tracked.settledTicket = 0;
    this.#held.push({ queue, entry, tracked });
  }

  #queue(name: string): Queue {
    return this.#engine.vhost.topology.queues.get(name)!;
  }
}
