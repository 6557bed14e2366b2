/**
 * A gateway process of the simulation: a broker with a CMQ queue `q` and its dead-letter queue
 * `dead` on an in-memory store, turned by hand under a virtual clock. What it leaves on the disk
 * the next process finds.
 */
import { EMPTY_TABLE } from '../../src/base/field-value.ts';
import type { Broker } from '../../src/engine/broker.ts';
import { FORMAT_AMQP, Message } from '../../src/engine/message.ts';
import type { ClassicQueue } from '../../src/engine/queue/classic-queue.ts';
import type { QueueSettings } from '../../src/engine/queue/settings.ts';
import { recoverBroker } from '../../src/engine/recover.ts';
import type { MemoryDisk } from '../../src/store/memory-disk.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { encodeHeader } from '../../protocols/amqp/content-header.ts';
import { AmqpMessageFormat } from '../../protocols/amqp/amqp-message-format.ts';
import type { FakeClock } from '../support/fake-clock.ts';
import { IMMEDIATE_SCHEDULER } from '../support/immediate-scheduler.ts';
import type { SeededRandom } from '../support/seeded-random.ts';

export const FORMAT = new AmqpMessageFormat();

/** Bytes of every body, so that all messages share one header. */
export const BODY_BYTES = 8;
const HEADER = encodeHeader({ deliveryMode: 2 }, BODY_BYTES);

/** Rounds after which a broker that still wants turns is broken. */
const ROUNDS_MAX = 1_000;

export class CmqProcess {
  readonly queue: ClassicQueue;
  readonly deadQueue: ClassicQueue;
  readonly #clock: FakeClock;
  readonly #broker: Broker;
  readonly #store: MemoryStore;
  readonly #activity: Activity;

  private constructor(clock: FakeClock, broker: Broker, store: MemoryStore, activity: Activity) {
    this.#clock = clock;
    this.#broker = broker;
    this.#store = store;
    this.#activity = activity;
    const vhost = broker.vhost('/') ?? broker.addVHost('/');
    const { queues } = vhost.topology;
    for (const name of ['q', 'dead']) {
      if (queues.has(name)) continue;
      const options = { durable: true, autoDelete: false, arguments: EMPTY_TABLE };
      broker.queuesOf(vhost).define(name, options);
    }
    this.queue = queues.get('q') as ClassicQueue;
    this.deadQueue = queues.get('dead') as ClassicQueue;
  }

  /** Starts on what the last process left. */
  static async start(
    disk: MemoryDisk,
    clock: FakeClock,
    random: SeededRandom,
  ): Promise<CmqProcess> {
    const store = new MemoryStore({ clock, disk, scheduler: IMMEDIATE_SCHEDULER });
    const activity: Activity = { isTurnWanted: true, readsUnderWay: 0 };
    countReads(store, activity);
    const requestTurn = (): void => {
      activity.isTurnWanted = true;
    };
    const deps = { clock, random, store, formats: [FORMAT, FORMAT], requestTurn, settings: {} };
    const { broker } = await recoverBroker(deps, 'empty');
    return new CmqProcess(clock, broker, store, activity);
  }

  /** Decides settings of the queue as its CMQ attributes do. */
  configure(settings: Partial<QueueSettings>): void {
    this.#broker.queuesOf(this.#broker.vhost('/')!).override(this.queue, settings);
  }

  /** One turn: begins a commit of what is buffered. */
  turn(): void {
    this.#activity.isTurnWanted = false;
    this.#broker.turn();
    this.#store.commit(false);
  }

  /** Turns until nothing is left to do at this instant and all is on disk. */
  async quiet(): Promise<void> {
    for (let round = 0; this.#isBusy; round += 1) {
      if (round > ROUNDS_MAX) throw new Error('the broker never rests');
      this.turn();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Waits for reads alone. */
  async reads(): Promise<void> {
    while (this.#activity.readsUnderWay > 0) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Stops in order. */
  async stop(): Promise<void> {
    this.#broker.settleMarks();
    await this.#store.close();
    this.abandon();
  }

  /** The process is no more: commits under way tell nobody. */
  abandon(): void {
    this.#store.onCommitted = () => {};
  }

  get #isBusy(): boolean {
    const store = this.#store;
    if (this.#activity.isTurnWanted || this.#activity.readsUnderWay > 0) return true;
    if (store.isDirty || store.committedTicket < store.ticket) return true;
    return this.#broker.nextDueMs <= this.#clock.wallMs();
  }
}

/** A persistent message to the queue. */
export function messageOf(body: string, publishedAtMs: number): Message {
  const bytes = Buffer.concat([HEADER, Buffer.from(body)]);
  const headerBytes = HEADER.length;
  return new Message(
    '',
    'q',
    FORMAT_AMQP,
    bytes,
    0,
    headerBytes,
    BODY_BYTES,
    true,
    -1,
    -1,
    publishedAtMs,
  );
}

interface Activity {
  isTurnWanted: boolean;
  readsUnderWay: number;
}

function countReads(store: MemoryStore, activity: Activity): void {
  const read = store.read.bind(store);
  store.read = (queueId, from, maxCount, maxBytes, done) => {
    activity.readsUnderWay += 1;
    read(queueId, from, maxCount, maxBytes, (entries, end) => {
      activity.readsUnderWay -= 1;
      done(entries, end);
    });
  };
}
