/** Topics on the engine fixture, with a transport whose answers a test writes down. */
import type {
  PushAttempt,
  PushHandle,
  PushOutcome,
  PushTransport,
} from '../../../src/engine/topic/push-transport.ts';
import type { Subscription, SubscriptionOptions } from '../../../src/engine/topic/subscription.ts';
import type { FilterType, Topic, TopicOptions } from '../../../src/engine/topic/topic.ts';
import type { Topics } from '../../../src/engine/topic/topics.ts';
import { MemoryDisk } from '../../../src/store/memory-disk.ts';
import { MemoryStore } from '../../../src/store/memory-store.ts';
import { bodyOf, EngineFixture, type PublishOptions } from '../../support/engine-fixture.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { IMMEDIATE_SCHEDULER } from '../../support/immediate-scheduler.ts';

/** Turns after which commits and reads have come back. */
const TURNS_TO_SETTLE = 5;

/** One attempt as it was made. */
export interface Made {
  readonly attempt: PushAttempt;
  readonly body: string;
  /** Wall ms. */
  readonly atMs: number;
}

/** `hang` never answers. */
export type Answer = PushOutcome | 'hang';

export class ScriptedTransport implements PushTransport {
  readonly made: Made[];
  abortCount: number;
  answer: (made: Made) => Answer;
  readonly #clock: FakeClock;
  #pending: (() => void)[];

  constructor(clock: FakeClock, answer: (made: Made) => Answer = () => 'ok') {
    this.made = [];
    this.abortCount = 0;
    this.answer = answer;
    this.#clock = clock;
    this.#pending = [];
  }

  get bodies(): string[] {
    return this.made.map(({ body }) => body);
  }

  send(attempt: PushAttempt, done: (outcome: PushOutcome, detail: string) => void): PushHandle {
    const body = attempt.message.body.toString();
    const made = { attempt, body, atMs: this.#clock.wallMs() };
    this.made.push(made);
    let isAborted = false;
    this.#pending.push(() => {
      const answer = this.answer(made);
      if (!isAborted && answer !== 'hang') done(answer, answer === 'ok' ? '200' : 'status 500');
    });
    return {
      abort: () => {
        isAborted = true;
        this.abortCount += 1;
      },
    };
  }

  /** The process is gone: nobody waits for answers any more. */
  forget(): void {
    this.#pending = [];
  }

  /** Answers what has been attempted; false when there was nothing. */
  flush(): boolean {
    const pending = this.#pending;
    this.#pending = [];
    for (const answer of pending) answer();
    return pending.length > 0;
  }
}

export class TopicFixture {
  readonly engine: EngineFixture;
  readonly transport: ScriptedTransport;
  readonly disk: MemoryDisk;
  readonly topics: Topics;

  private constructor(engine: EngineFixture, disk: MemoryDisk, transport: ScriptedTransport) {
    this.engine = engine;
    this.disk = disk;
    this.transport = transport;
    this.topics = engine.vhost.topics;
    engine.broker.push.open(transport);
  }

  static async open(
    disk = new MemoryDisk(),
    clock = new FakeClock(),
    transport = new ScriptedTransport(clock),
  ): Promise<TopicFixture> {
    const store = new MemoryStore({ clock, disk, scheduler: IMMEDIATE_SCHEDULER });
    return new TopicFixture(await EngineFixture.open({ store, clock }), disk, transport);
  }

  /** The same disk under a new process; the old one just stops. */
  async restart(): Promise<TopicFixture> {
    await this.settle();
    const { store } = this.engine;
    const { ticket } = store;
    store.commit(false);
    while (store.committedTicket < ticket) await new Promise((resolve) => setImmediate(resolve));
    return TopicFixture.open(this.disk, this.engine.clock, this.transport);
  }

  /** The same disk as it is, whatever was not committed yet. */
  async crash(): Promise<TopicFixture> {
    this.transport.forget();
    return TopicFixture.open(this.disk, this.engine.clock, this.transport);
  }

  topic(name: string, filterType: FilterType = 1, options: Partial<TopicOptions> = {}): Topic {
    return this.topics.create(this.engine.actor, name, {
      filterType,
      maxMsgSize: 65_536,
      msgRetentionSeconds: 86_400,
      trace: false,
      tags: [],
      ...options,
    }).topic;
  }

  subscribe(topic: Topic, name: string, options: Partial<SubscriptionOptions> = {}): Subscription {
    return this.topics.subscribe(this.engine.actor, topic, name, {
      protocol: 'queue',
      endpoint: name,
      strategy: 'EXPONENTIAL_DECAY_RETRY',
      format: 'SIMPLIFIED',
      filterTags: [],
      bindingKeys: topic.record.filterType === 2 ? ['#'] : [],
      ...options,
    }).subscription;
  }

  /** A subscription that pushes. */
  push(topic: Topic, name: string, options: Partial<SubscriptionOptions> = {}): Subscription {
    return this.subscribe(topic, name, {
      protocol: 'http',
      endpoint: `http://example.com/${name}`,
      format: 'JSON',
      ...options,
    });
  }

  publish(topic: string, key: string, body: string, options: PublishOptions = {}): number {
    return this.engine.publish(topic, key, body, { persistent: true, ...options });
  }

  /** Bodies in a queue, which they leave. */
  drain(queue: string): string[] {
    const bodies: string[] = [];
    for (let got = this.engine.get(queue); got !== undefined; got = this.engine.get(queue)) {
      bodies.push(got.body);
      got.queue.acknowledge(got.entry);
    }
    return bodies;
  }

  /** The same where a hand-over waits for a commit or a read. */
  async drainLater(queue: string): Promise<string[]> {
    const bodies: string[] = [];
    const { vhost, actor } = this.engine;
    let isEmpty = false;
    while (!isEmpty) {
      vhost.get(actor, queue, (entry, from) => {
        if (entry === undefined) {
          isEmpty = true;
          return;
        }
        bodies.push(bodyOf(entry.message));
        from.acknowledge(entry);
      });
      await this.settle();
    }
    return bodies;
  }

  /** Lets everything happen that is due now. */
  async settle(): Promise<void> {
    do {
      for (let turn = 0; turn < TURNS_TO_SETTLE; turn += 1) {
        this.engine.broker.turn();
        await new Promise((resolve) => setImmediate(resolve));
      }
    } while (this.transport.flush());
  }

  /** Lets everything happen that is due until then, each at its time. */
  async runUntil(endMs: number): Promise<void> {
    const { clock, broker } = this.engine;
    await this.settle();
    for (;;) {
      const dueMs = broker.nextDueMs;
      if (dueMs > endMs) break;
      clock.advance(Math.max(dueMs - clock.wallMs(), 0));
      await this.settle();
    }
    clock.advance(endMs - clock.wallMs());
    await this.settle();
  }
}
