/**
 * A gateway process of the simulation: a broker with a CMQ queue `q` and its dead-letter queue
 * `dead`, turned by hand under a virtual clock. What it leaves on the disk the next process finds.
 */
import { EMPTY_TABLE } from '../../src/base/field-value.ts';
import type { Broker } from '../../src/engine/broker.ts';
import { FORMAT_AMQP, Message } from '../../src/engine/message.ts';
import type { Store } from '../../src/engine/ports.ts';
import type { ClassicQueue } from '../../src/engine/queue/classic-queue.ts';
import type { QueueSettings } from '../../src/engine/queue/settings.ts';
import { recoverBroker } from '../../src/engine/recover.ts';
import { encodeHeader } from '../../protocols/amqp/content-header.ts';
import { AmqpMessageFormat } from '../../protocols/amqp/amqp-message-format.ts';
import type { FakeClock } from '../support/fake-clock.ts';
import type { SeededRandom } from '../support/seeded-random.ts';
import type { CmqDisk } from './cmq-disk.ts';

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
  readonly #store: Store;
  readonly #activity: Activity;

  private constructor(clock: FakeClock, broker: Broker, store: Store, activity: Activity) {
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
  static async start(disk: CmqDisk, clock: FakeClock, random: SeededRandom): Promise<CmqProcess> {
    const store = await disk.open(clock);
    const activity = new Activity();
    countReads(store, activity);
    const requestTurn = (): void => {
      activity.isTurnWanted = true;
      activity.wake();
    };
    const deps = { clock, random, store, formats: [FORMAT, FORMAT], requestTurn, settings: {} };
    const { broker } = await recoverBroker(deps, 'empty');
    const { onCommitted } = store;
    store.onCommitted = (ticket) => {
      onCommitted(ticket);
      activity.wake();
    };
    store.onFailure = (error) => activity.fail(error);
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
      await this.#activity.next(this.#isWaiting);
    }
  }

  /** Waits for reads alone. */
  async reads(): Promise<void> {
    while (this.#activity.readsUnderWay > 0) await this.#activity.next(true);
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
    if (this.#activity.isTurnWanted || this.#isAtDisk) return true;
    return this.#broker.nextDueMs <= this.#clock.wallMs();
  }

  get #isAtDisk(): boolean {
    const store = this.#store;
    if (this.#activity.readsUnderWay > 0) return true;
    return store.isDirty || store.committedTicket < store.ticket;
  }

  /** Only the disk has something to do. */
  get #isWaiting(): boolean {
    return this.#isAtDisk && !this.#activity.isTurnWanted;
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

/** What is under way, and who waits for any of it. */
class Activity {
  isTurnWanted = true;
  readsUnderWay = 0;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  wake(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  fail(error: Error): void {
    this.#failure = error;
    this.wake();
  }

  /** Waits for a turn of the event loop; with `isWaiting`, for one in which something happens. */
  async next(isWaiting: boolean): Promise<void> {
    await new Promise<void>((resolve) => {
      if (isWaiting) this.#wake = resolve;
      else setImmediate(resolve);
    });
    if (this.#failure !== undefined) throw this.#failure;
  }
}

function countReads(store: Store, activity: Activity): void {
  const read = store.read.bind(store);
  store.read = (queueId, from, maxCount, maxBytes, done) => {
    activity.readsUnderWay += 1;
    read(queueId, from, maxCount, maxBytes, (entries, end) => {
      activity.readsUnderWay -= 1;
      done(entries, end);
      activity.wake();
    });
  };
}
