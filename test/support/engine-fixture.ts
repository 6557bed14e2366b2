/** A broker on the in-memory store, with a fake clock, turned by hand. */
import type { FieldTable, FieldValue } from '../../src/base/field-value.ts';
import { EMPTY_TABLE } from '../../src/base/field-value.ts';
import type { Actor } from '../../src/engine/actor.ts';
import type { Broker, BrokerSettings } from '../../src/engine/broker.ts';
import type { Entry } from '../../src/engine/message.ts';
import { FORMAT_AMQP, Message } from '../../src/engine/message.ts';
import type { Store } from '../../src/engine/ports.ts';
import type { Consumer } from '../../src/engine/queue/consumer.ts';
import type { Queue } from '../../src/engine/queue/queue.ts';
import { recoverBroker } from '../../src/engine/recover.ts';
import type { VHost } from '../../src/engine/vhost.ts';
import type { MemoryDisk } from '../../src/store/memory-disk.ts';
import { createMessageFormats } from '../../src/server/message-formats.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { encodeHeader } from '../../protocols/amqp/content-header.ts';
import { AmqpMessageFormat } from '../../protocols/amqp/amqp-message-format.ts';
import { FakeClock } from './fake-clock.ts';
import { SeededRandom } from './seeded-random.ts';

export interface Delivered {
  readonly queue: Queue;
  readonly entry: Entry;
  readonly body: string;
  readonly isRedelivered: boolean;
}

export class TestConsumer implements Consumer {
  readonly tag: string;
  readonly noAck: boolean;
  readonly exclusive: boolean;
  readonly priority: number;
  readonly arguments: FieldTable;
  readonly prefetchCount: number;
  readonly actor: Actor;
  readonly deliveries: Delivered[] = [];
  credit: number;
  isCancelled = false;
  holdsDeliveries = false;

  constructor(actor: Actor, options: Partial<TestConsumer> = {}) {
    this.actor = actor;
    this.tag = options.tag ?? 'tag';
    this.noAck = options.noAck ?? false;
    this.exclusive = options.exclusive ?? false;
    this.priority = options.priority ?? 0;
    this.arguments = options.arguments ?? EMPTY_TABLE;
    this.prefetchCount = options.prefetchCount ?? 0;
    this.credit = options.credit ?? Infinity;
  }

  get bodies(): string[] {
    return this.deliveries.map((delivery) => delivery.body);
  }

  hasCredit(): boolean {
    return this.credit > 0;
  }

  deliver(queue: Queue, entry: Entry): void {
    this.credit -= 1;
    const isRedelivered = entry.isRedelivered;
    this.deliveries.push({ queue, entry, body: bodyOf(entry.message), isRedelivered });
  }

  cancelled(): void {
    this.isCancelled = true;
  }
}

export function bodyOf(message: Message): string {
  const start = message.start + message.headerBytes;
  return message.bytes.toString('utf8', start, start + message.bodyBytes);
}

export interface PublishOptions {
  readonly persistent?: boolean;
  readonly priority?: number;
  readonly expirationMs?: number;
  readonly headers?: ReadonlyMap<string, FieldValue>;
}

export class EngineFixture {
  readonly clock: FakeClock;
  readonly random: SeededRandom;
  readonly broker: Broker;
  readonly store: Store;
  readonly vhost: VHost;
  readonly actor: Actor;
  readonly format: AmqpMessageFormat;

  private constructor(clock: FakeClock, random: SeededRandom, broker: Broker) {
    this.clock = clock;
    this.random = random;
    this.broker = broker;
    this.store = broker.store;
    this.vhost = broker.vhost('/')!;
    this.actor = this.newActor();
    this.format = new AmqpMessageFormat();
  }

  static async open(
    options: {
      disk?: MemoryDisk;
      clock?: FakeClock;
      store?: Store;
      settings?: BrokerSettings;
    } = {},
  ): Promise<EngineFixture> {
    const clock = options.clock ?? new FakeClock();
    const random = new SeededRandom(7);
    const store =
      options.store ?? new MemoryStore({ clock, ...(options.disk && { disk: options.disk }) });
    const deps = {
      clock,
      random,
      store,
      formats: createMessageFormats(),
      requestTurn: () => {},
      settings: options.settings ?? {},
    };
    const { broker } = await recoverBroker(deps);
    return new EngineFixture(clock, random, broker);
  }

  newActor(): Actor {
    return {
      user: this.broker.access.user('guest')!,
      vhost: this.vhost,
      connectionId: this.broker.nextConnectionId(),
    };
  }

  /** Declares a queue and returns it. */
  queue(
    name: string,
    args: Record<string, FieldValue> = {},
    flags: { durable?: boolean; exclusive?: boolean; autoDelete?: boolean } = {},
  ): Queue {
    this.vhost.declareQueue(this.actor, name, {
      passive: false,
      durable: flags.durable ?? true,
      exclusive: flags.exclusive ?? false,
      autoDelete: flags.autoDelete ?? false,
      arguments: new Map(Object.entries(args)),
    });
    return this.vhost.topology.queues.get(name)!;
  }

  exchange(name: string, type: string, args: Record<string, FieldValue> = {}): void {
    this.vhost.declareExchange(this.actor, name, {
      type,
      passive: false,
      durable: true,
      autoDelete: false,
      internal: false,
      arguments: new Map(Object.entries(args)),
    });
  }

  bind(queue: string, exchange: string, key: string, args: FieldTable = EMPTY_TABLE): void {
    this.vhost.bindQueue(this.actor, queue, exchange, key, args);
  }

  message(exchange: string, key: string, body: string, options: PublishOptions = {}): Message {
    const bodyBytes = Buffer.from(body);
    const header = encodeHeader(
      {
        deliveryMode: options.persistent === true ? 2 : 1,
        ...(options.headers && { headers: options.headers }),
        ...(options.priority !== undefined && { priority: options.priority }),
        ...(options.expirationMs !== undefined && { expiration: `${options.expirationMs}` }),
      },
      bodyBytes.length,
    );
    return new Message(
      exchange,
      key,
      FORMAT_AMQP,
      Buffer.concat([header, bodyBytes]),
      0,
      header.length,
      bodyBytes.length,
      options.persistent === true,
      options.priority ?? -1,
      options.expirationMs ?? -1,
      this.clock.wallMs(),
    );
  }

  /** Publishes; returns PUBLISH_* bits. */
  publish(exchange: string, key: string, body: string, options: PublishOptions = {}): number {
    const route = this.vhost.resolveRoute(this.actor, exchange, key);
    return this.vhost.publish(route, this.message(exchange, key, body, options));
  }

  consume(queue: string, options: Partial<TestConsumer> = {}): TestConsumer {
    const consumer = new TestConsumer(this.actor, options);
    this.vhost.consume(this.actor, queue, consumer);
    return consumer;
  }

  /** Gets one message without waiting for disk reads. */
  get(queue: string): Delivered | undefined {
    let result: Delivered | undefined;
    this.vhost.get(this.actor, queue, (entry, from) => {
      if (entry === undefined) return;
      const body = bodyOf(entry.message);
      result = { queue: from, entry, body, isRedelivered: entry.isRedelivered };
    });
    return result;
  }

  turn(): void {
    this.broker.turn();
  }

  /** Turns until the store has committed everything and reads have come back. */
  async settle(turns = 6): Promise<void> {
    for (let index = 0; index < turns; index += 1) {
      this.broker.turn();
      await new Promise((resolve) => setImmediate(resolve));
    }
    for (let wait = 0; wait < 2_000 && this.#isBehind(); wait += 1) {
      this.broker.turn();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  #isBehind(): boolean {
    return this.store.committedTicket < this.store.ticket;
  }

  headersOf(message: Message): FieldTable {
    return this.format.headers(message) ?? EMPTY_TABLE;
  }
}
