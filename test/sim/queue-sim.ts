/**
 * A simulation of one queue with a tiny window, so that nearly everything is paged: priorities,
 * TTLs, length limits, leases that end, requeues, rejects, gets and purges, against the in-memory
 * store. What must hold after every step and at the end:
 *
 *  1. Nothing is lost or doubled: each message ends once, or is ready or held.
 *  2. Ready and unacked count exactly that; bytes too.
 *  3. First deliveries of a priority level follow the order of publishing.
 *  4. When all has been settled, neither memory nor store holds anything.
 */
import { EMPTY_TABLE } from '../../src/base/field-value.ts';
import type { FieldValue } from '../../src/base/field-value.ts';
import type { Entry, Message } from '../../src/engine/message.ts';
import { ClassicQueue } from '../../src/engine/queue/classic-queue.ts';
import { parseQueueArguments } from '../../src/engine/queue/arguments.ts';
import { REFUSED } from '../../src/engine/queue/queue.ts';
import type { Queue, QueueHost } from '../../src/engine/queue/queue.ts';
import { mergePolicy } from '../../src/engine/queue/settings.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { bodyOf, EngineFixture, TestConsumer } from '../support/engine-fixture.ts';
import { SeededRandom } from '../support/seeded-random.ts';

const WINDOW_BYTES = 2_000;
const LEVELS = 3;

interface Tracked {
  readonly level: number;
  readonly bytes: number;
  state: 'ready' | 'held' | 'gone';
  wasDelivered: boolean;
}

export class QueueSimulation {
  readonly #random: SeededRandom;
  readonly #messages: Tracked[] = [];
  readonly #store = new MemoryStore();
  readonly #lastFirst: number[] = Array.from({ length: LEVELS }, () => -1);
  #held: { entry: Entry; generation: number; id: number }[] = [];
  #wakeAtMs = Infinity;
  #residentBytes = 0;
  #fixture!: EngineFixture;
  #queue!: ClassicQueue;
  #consumer!: TestConsumer;
  delivered = 0;
  died = 0;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
  }

  async run(steps: number): Promise<void> {
    this.#fixture = await EngineFixture.open();
    this.#store.onCommitted = () => this.#queue.deliver();
    this.#queue = this.#makeQueue();
    this.#consumer = new TestConsumer(this.#fixture.actor, { credit: 0 });
    this.#consumer.deliver = (_queue: Queue, entry: Entry) => {
      this.#consumer.credit -= 1;
      this.#take(entry);
    };
    this.#queue.addConsumer(this.#consumer);
    for (let step = 0; step < steps; step += 1) {
      await this.#step();
      this.#check();
    }
    await this.#drain();
  }

  #makeQueue(): ClassicQueue {
    const args = new Map<string, FieldValue>([['x-max-priority', LEVELS - 1]]);
    if (this.#random.below(3) === 0) args.set('x-max-length', 40);
    if (this.#random.below(4) === 0) args.set('x-overflow', 'reject-publish');
    if (this.#random.below(3) === 0) args.set('x-visibility-timeout', 20);
    if (this.#random.below(3) === 0) args.set('x-delivery-limit', 2);
    const flags = { durable: true, exclusive: false, autoDelete: false, serverNamed: false };
    const settings = mergePolicy(parseQueueArguments('/', 'q', args, flags), undefined, undefined);
    const options = {
      name: 'q',
      id: 512,
      isDurable: true,
      isExclusive: false,
      isAutoDelete: false,
      ownerConnectionId: 0,
      arguments: EMPTY_TABLE,
      settings,
    };
    return new ClassicQueue(options, this.#host());
  }

  #host(): QueueHost {
    return {
      store: this.#store,
      vhostName: '/',
      epoch: 1,
      isMemoryTight: this.#random.below(2) === 0,
      windowBytes: WINDOW_BYTES,
      nowMs: () => this.#fixture.clock.wallMs(),
      addResidentBytes: (byteCount) => {
        this.#residentBytes += byteCount;
      },
      markDirty: (queue) => {
        queue.isDirty = true;
      },
      wakeOnCommit: () => {},
      wakeAt: (_queue, atMs) => {
        this.#wakeAtMs = Math.min(this.#wakeAtMs, atMs);
      },
      wakeDelayAt: () => {},
      deadLetter: (_queue, message) => this.#end(idOf(message), true),
      removeQueue: () => {
        throw new Error('removed');
      },
      headersOf: () => undefined,
      withHeaders: (message) => message,
    };
  }

  async #step(): Promise<void> {
    const dice = this.#random.below(100);
    if (dice < 35) this.#publish(1);
    else if (dice < 40) this.#publish(this.#random.below(60));
    else if (dice < 55) this.#settleOne();
    else if (dice < 65) this.#consumer.credit = this.#random.below(8);
    else if (dice < 75) await new Promise((resolve) => setImmediate(resolve));
    else if (dice < 80) this.#queue.get((entry) => entry !== undefined && this.#take(entry));
    else if (dice < 88) this.#fixture.clock.advance(this.#random.below(10));
    else if (dice < 89) this.#purge();
    this.#turn();
  }

  #turn(): void {
    const nowMs = this.#fixture.clock.wallMs();
    if (this.#wakeAtMs <= nowMs) {
      this.#wakeAtMs = Infinity;
      this.#queue.tick(nowMs);
    }
    this.#noteEndedLeases();
    if (this.#consumer.credit > 0) this.#queue.consumerReady(this.#consumer);
    if (this.#queue.isDirty) {
      this.#queue.isDirty = false;
      this.#queue.deliver();
    }
    if (this.#random.below(3) === 0) this.#store.commit(false);
  }

  #publish(count: number): void {
    for (let n = 0; n < count; n += 1) {
      const id = this.#messages.length;
      const level = this.#random.below(LEVELS);
      const body = `${id}`.padEnd(8 + this.#random.below(60));
      this.#messages.push({ level, bytes: body.length, state: 'ready', wasDelivered: false });
      const message = this.#fixture.message('', 'q', body, {
        persistent: this.#random.below(3) > 0,
        priority: level,
        ...(this.#random.below(4) === 0 && { expirationMs: this.#random.below(50) }),
      });
      if (this.#queue.publish(message) === REFUSED) this.#end(id, false);
    }
  }

  #take(entry: Entry): void {
    const id = idOf(entry.message);
    const tracked = this.#messages[id]!;
    // Its lease ended and it came round again before that was noted.
    this.#held = this.#held.filter((held) => held.entry !== entry);
    if (tracked.state === 'gone') throw new Error(`message ${id} came back`);
    if (!tracked.wasDelivered) {
      if (entry.isRedelivered) throw new Error(`message ${id} is falsely redelivered`);
      if (id < this.#lastFirst[tracked.level]!) throw new Error(`message ${id} out of order`);
      this.#lastFirst[tracked.level] = id;
    } else if (!entry.isRedelivered) {
      throw new Error(`message ${id} is falsely new`);
    }
    tracked.wasDelivered = true;
    tracked.state = 'held';
    this.delivered += 1;
    this.#held.push({ entry, generation: entry.generation, id });
  }

  #settleOne(): void {
    if (this.#held.length === 0) return;
    const [held] = this.#held.splice(this.#random.below(this.#held.length), 1);
    const { entry, id } = held!;
    const dice = this.#random.below(10);
    if (dice < 5) {
      this.#end(id, false);
      this.#queue.acknowledge(entry);
    } else if (dice < 9) {
      this.#messages[id]!.state = 'ready';
      this.#queue.requeue(entry, dice < 7);
    } else {
      this.#queue.reject(entry);
    }
  }

  #noteEndedLeases(): void {
    this.#held = this.#held.filter(({ entry, generation, id }) => {
      if (entry.state === 1 && entry.generation === generation) return true;
      if (this.#messages[id]!.state === 'held') this.#messages[id]!.state = 'ready';
      return false;
    });
  }

  #purge(): void {
    this.#queue.purge();
    for (const tracked of this.#messages) if (tracked.state === 'ready') tracked.state = 'gone';
  }

  #end(id: number, hasDied: boolean): void {
    const tracked = this.#messages[id]!;
    if (tracked.state === 'gone') throw new Error(`message ${id} ended twice`);
    tracked.state = 'gone';
    if (hasDied) this.died += 1;
  }

  #check(): void {
    let ready = 0;
    let readyBytes = 0;
    let held = 0;
    for (const tracked of this.#messages) {
      if (tracked.state === 'ready') {
        ready += 1;
        readyBytes += tracked.bytes;
      } else if (tracked.state === 'held') {
        held += 1;
      }
    }
    const queue = this.#queue;
    const actual = [queue.readyCount, queue.readyBytes, queue.unackedCount].join(' ');
    const expected = [ready, readyBytes, held].join(' ');
    if (actual !== expected) throw new Error(`counts ${actual}, model ${expected}`);
    if (this.#residentBytes < 0) throw new Error('negative resident bytes');
  }

  async #drain(): Promise<void> {
    this.#consumer.credit = Infinity;
    for (let round = 0; round < 400; round += 1) {
      this.#turn();
      for (const { entry, id } of this.#held.splice(0)) {
        this.#end(id, false);
        this.#queue.acknowledge(entry);
      }
      await new Promise((resolve) => setImmediate(resolve));
      if (this.#queue.readyCount + this.#queue.unackedCount === 0) break;
    }
    this.#check();
    const left = this.#messages.filter((tracked) => tracked.state !== 'gone').length;
    if (left > 0) throw new Error(`${left} messages were never delivered`);
    if (this.#residentBytes !== 0) throw new Error(`${this.#residentBytes} bytes stay resident`);
    for (let level = 0; level < LEVELS; level += 1) {
      const first = this.#store.firstLive(512 + level, 0);
      if (first !== Infinity) throw new Error(`the store still has ${first} of level ${level}`);
    }
  }
}

function idOf(message: Message): number {
  return Number(bodyOf(message));
}
