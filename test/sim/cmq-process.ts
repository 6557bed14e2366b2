/**
 * A gateway process of the simulation: a broker with a CMQ queue `q` and its dead-letter queue
 * `dead`, and
 * a topic that leads to `q`, turned by hand under a virtual clock. What it leaves on the disk the next process finds.
 */
import { EMPTY_TABLE } from '../../src/base/field-value.ts';
import type { Broker } from '../../src/engine/broker.ts';
import { Redrive, type RedriveState } from '../../src/engine/cmq/redrive.ts';
import { revive } from '../../src/engine/cmq/redrive-message.ts';
import type { Entry, Message } from '../../src/engine/message.ts';
import type { Store } from '../../src/engine/ports.ts';
import type { ClassicQueue } from '../../src/engine/queue/classic-queue.ts';
import type { QueueSettings } from '../../src/engine/queue/settings.ts';
import { recoverBroker } from '../../src/engine/recover.ts';
import type { VHost } from '../../src/engine/vhost.ts';
import type { VHostQueues } from '../../src/engine/vhost-queues.ts';
import { createMessageFormats } from '../../src/server/message-formats.ts';
import type { FakeClock } from '../support/fake-clock.ts';
import type { SeededRandom } from '../support/seeded-random.ts';
import type { CmqDisk } from './cmq-disk.ts';
import { FORMAT, TOPIC, WANTED_TAG } from './cmq-message.ts';

/** Rounds after which a broker that still wants turns is broken. */
const ROUNDS_MAX = 1_000;

/** Messages per second: all there are, in a few ms. */
const REDRIVE_RATE = 1_000_000;

export type QueueName = 'q' | 'dead';

/** A priority from 1 on is the highest of `q`; 0: it has none. */
export interface CmqTopology {
  readonly priorityMax: number;
}

export class CmqProcess {
  readonly #vhost: VHost;
  readonly #queues: VHostQueues;
  readonly #clock: FakeClock;
  readonly #broker: Broker;
  readonly #store: Store;
  readonly #activity: Activity;

  private constructor(
    clock: FakeClock,
    broker: Broker,
    store: Store,
    activity: Activity,
    { priorityMax }: CmqTopology,
  ) {
    this.#clock = clock;
    this.#broker = broker;
    this.#store = store;
    this.#activity = activity;
    const vhost = broker.vhost('/') ?? broker.addVHost('/');
    this.#queues = broker.queuesOf(vhost);
    this.#vhost = vhost;
    for (const name of ['q', 'dead']) {
      if (vhost.topology.queues.has(name)) continue;
      const hasPriorities = name === 'q' && priorityMax > 0;
      const args = new Map(hasPriorities ? [['x-max-priority', priorityMax]] : []);
      this.#queues.define(name, { durable: true, autoDelete: false, arguments: args });
    }
    if (vhost.topics.find(TOPIC) === undefined) this.#makeTopic();
  }

  queue(name: QueueName): ClassicQueue {
    return this.#vhost.topology.queues.get(name) as ClassicQueue;
  }

  /** An id as topics give them. */
  nextTopicMessageId(): string {
    return this.#vhost.topics.nextMessageId();
  }

  publishToTopic(message: Message): void {
    const { publisher, topology } = this.#vhost;
    publisher.publish(publisher.resolve(topology.exchanges.get(TOPIC)!, ''), message);
  }

  /** A tag topic with one subscription, which leads to `q`. */
  #makeTopic(): void {
    const { topics, topology } = this.#vhost;
    topology.addExchange(TOPIC, {
      type: 'x-tags',
      durable: true,
      autoDelete: false,
      internal: false,
      arguments: EMPTY_TABLE,
    });
    topics.define(TOPIC, {
      id: undefined,
      owner: '',
      filterType: 1,
      maxMsgSize: 65_536,
      msgRetentionSeconds: 60,
      trace: false,
      tags: [],
    });
    topics.defineSubscription(topics.find(TOPIC)!, 'subscription', {
      id: undefined,
      protocol: 'queue',
      endpoint: 'q',
      strategy: 'BACKOFF_RETRY',
      format: 'JSON',
      filterTags: [WANTED_TAG],
      bindingKeys: [],
    });
  }

  /** Starts on what the last process left. */
  static async start(
    disk: CmqDisk,
    clock: FakeClock,
    random: SeededRandom,
    topology: CmqTopology,
  ): Promise<CmqProcess> {
    const store = await disk.open(clock);
    const activity = new Activity();
    countReads(store, activity);
    const requestTurn = (): void => {
      activity.isTurnWanted = true;
      activity.wake();
    };
    const formats = createMessageFormats();
    const deps = { clock, random, store, formats, requestTurn, settings: {} };
    const { broker } = await recoverBroker(deps, 'empty');
    const { onCommitted } = store;
    store.onCommitted = (ticket) => {
      onCommitted(ticket);
      activity.wake();
    };
    store.onFailure = (error) => activity.fail(error);
    return new CmqProcess(clock, broker, store, activity, topology);
  }

  /** Decides settings of a queue as its CMQ attributes do. */
  configure(name: QueueName, settings: Partial<QueueSettings>): void {
    this.#queues.override(this.queue(name), settings);
  }

  /** Starts to move what lies in `dead` to `q`; `onMoved` is told of each entry. */
  redrive(onMoved: (entry: Entry) => void): RedriveState {
    const nowMs = this.#clock.wallMs();
    const from = this.queue('dead');
    const state: RedriveState = {
      id: 'redrive',
      status: 'running',
      destination: 'q',
      rate: REDRIVE_RATE,
      userName: '',
      total: from.readyCount,
      moved: 0,
      failed: 0,
      startedAtMs: nowMs,
      endedAtMs: 0,
      lastError: '',
    };
    new Redrive(from, state, {
      nowMs: () => this.#clock.wallMs(),
      wakeAt: this.#queues.wakeAt,
      targetOf: () => this.queue('q'),
      revive: (message) => revive(message, FORMAT, 'q', this.#clock.wallMs()),
      moved: (_, entry) => onMoved(entry),
      changed: () => {},
    }).start();
    return state;
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
