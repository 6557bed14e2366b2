/**
 * The queues of one vhost: making, restoring, ending them, and what they ask of their surroundings.
 *
 * Owns queue ids, exclusive ownership, which queue a consumer is on, and the effect of policies.
 */
import { BrokerError } from '../base/errors.ts';
import type { RandomSource } from '../base/random.ts';
import type { Access } from './access/access.ts';
import type { Actor } from './actor.ts';
import { tableFromJson, tableToJson } from './definitions.ts';
import type { Json } from './definitions.ts';
import { resourceText } from './equivalence.ts';
import type { PolicySet } from './policy.ts';
import type { QueueId, RecoveredQueue, Store, Ticket } from './ports.ts';
import { parseQueueArguments, serverNamePrefix, settingsOf } from './queue/arguments.ts';
import { ClassicQueue } from './queue/classic-queue.ts';
import type { Consumer } from './queue/consumer.ts';
import { DELAYED_ID_OFFSET } from './queue/intake.ts';
import type { Queue, QueueHost } from './queue/queue.ts';
import { REWIND_ID_OFFSET } from './queue/rewind-window.ts';
import { mergePolicy } from './queue/settings.ts';
import type { DeclaredSettings, QueueSettings } from './queue/settings.ts';
import { StreamQueue } from './queue/stream-queue.ts';
import type { ReplyTargets } from './reply-target.ts';
import type { Topology } from './topology.ts';
import type { QueueDeclared, QueueDeclareOptions } from './vhost.ts';
import type { WakeAt } from './wake-target.ts';

const SERVER_NAME_RANDOM_BYTES = 16;

/** Priority levels a queue can have. */
const LEVELS_MAX = 256;

/** What the vhost's queues need from the broker. */
export interface VHostQueuesHost {
  readonly access: Access;
  readonly policies: PolicySet;
  readonly random: RandomSource;
  readonly queueHost: QueueHost;
  /** Takes the next free block of store ids. */
  nextQueueId(): QueueId;
  readonly wakeAt: WakeAt;
}

interface PersistedQueue {
  readonly id: QueueId;
  readonly autoDelete: boolean;
  readonly arguments: Json;
}

export class VHostQueues {
  readonly access: Access;
  readonly #topology: Topology;
  readonly #host: VHostQueuesHost;
  readonly #queueOf: Map<Consumer, Queue>;
  readonly #exclusive: Map<number, Set<Queue>>;
  readonly #declared: Map<Queue, DeclaredSettings>;
  /** Settings that a session, not a declare or policy, decides. */
  readonly #overrides: Map<Queue, Partial<QueueSettings>>;
  /** Called when a queue is gone. */
  onRemoved: (queue: Queue) => void;

  constructor(topology: Topology, host: VHostQueuesHost) {
    this.access = host.access;
    this.#topology = topology;
    this.#host = host;
    this.#queueOf = new Map();
    this.#exclusive = new Map();
    this.#declared = new Map();
    this.#overrides = new Map();
    this.onRemoved = () => {};
  }

  get store(): Store {
    return this.#host.queueHost.store;
  }

  get ticket(): Ticket {
    return this.#host.queueHost.store.ticket;
  }

  /** How tasks on queues wait for their time. */
  get wakeAt(): WakeAt {
    return this.#host.wakeAt;
  }

  nowMs(): number {
    return this.#host.queueHost.nowMs();
  }

  /** Makes a queue that is not there. @throws BrokerError PRECONDITION_FAILED */
  create(actor: Actor, name: string, options: QueueDeclareOptions): QueueDeclared {
    const isServerNamed = name === '';
    const realName = isServerNamed ? this.#serverName(options) : name;
    const vhost = this.#topology.vhostName;
    const flags = {
      durable: options.durable,
      exclusive: options.exclusive,
      autoDelete: options.autoDelete,
      serverNamed: isServerNamed,
    };
    const declared = parseQueueArguments(vhost, realName, options.arguments, flags);
    if (isServerNamed) this.access.authorize(actor.user, vhost, 'configure', 'queue', realName);
    this.#authorizeDeadLetter(actor, realName, declared);
    const isDurable = options.durable && !options.exclusive;
    const queue = this.#make(this.#host.nextQueueId(), realName, declared, {
      isDurable,
      isExclusive: options.exclusive,
      isAutoDelete: options.autoDelete,
      ownerConnectionId: options.exclusive ? actor.connectionId : 0,
      arguments: options.arguments,
    });
    if (options.exclusive) this.#own(actor.connectionId, queue);
    this.#topology.addQueue(queue, isDurable ? persisted(queue) : undefined);
    queue.touch();
    return { queue, ticket: isDurable ? this.ticket : 0 };
  }

  /**
   * Makes a queue that is not there from an operator's definitions: nobody's rights are asked.
   * @throws BrokerError PRECONDITION_FAILED
   */
  define(name: string, options: Omit<QueueDeclareOptions, 'passive' | 'exclusive'>): void {
    const { durable, autoDelete } = options;
    const flags = { durable, exclusive: false, autoDelete, serverNamed: false };
    const vhost = this.#topology.vhostName;
    const declared = parseQueueArguments(vhost, name, options.arguments, flags);
    const queue = this.#make(this.#host.nextQueueId(), name, declared, {
      isDurable: durable,
      isExclusive: false,
      isAutoDelete: autoDelete,
      ownerConnectionId: 0,
      arguments: options.arguments,
    });
    this.#topology.addQueue(queue, durable ? persisted(queue) : undefined);
    queue.touch();
  }

  /** Puts a persisted queue back, with what the store knows of its levels. */
  restore(name: string, value: Json, recovered: ReadonlyMap<QueueId, RecoveredQueue>): void {
    const row = value as unknown as PersistedQueue;
    const args = tableFromJson(row.arguments);
    const queue = this.#make(row.id, name, settingsOf(args), {
      isDurable: true,
      isExclusive: false,
      isAutoDelete: row.autoDelete,
      ownerConnectionId: 0,
      arguments: args,
    });
    for (let level = 0; level < LEVELS_MAX; level += 1) {
      const found = recovered.get(row.id + level);
      if (found !== undefined) queue.restore(level, found);
      if (level === 0 && !mayHaveLevels(queue.settings)) break;
    }
    const delayed = recovered.get(row.id + DELAYED_ID_OFFSET);
    const parked = recovered.get(row.id + REWIND_ID_OFFSET);
    if (queue instanceof ClassicQueue) {
      if (delayed !== undefined) queue.restoreDelayed(delayed);
      if (parked !== undefined) queue.restoreParked(parked);
    }
    this.#topology.queues.set(name, queue);
    queue.touch();
  }

  /** Ends a queue: unbinds it, cancels its consumers, drops its entries. */
  remove(queue: Queue): void {
    if (this.#topology.queues.get(queue.name) !== queue) return;
    this.#topology.removeQueue(queue);
    this.#declared.delete(queue);
    this.#overrides.delete(queue);
    if (queue.isExclusive) this.#exclusive.get(queue.ownerConnectionId)?.delete(queue);
    for (const consumer of queue.consumerMembers) this.#queueOf.delete(consumer);
    queue.delete();
    this.onRemoved(queue);
  }

  /** Decides some settings of a queue over arguments and policies; replaces the last decision. */
  override(queue: Queue, settings: Partial<QueueSettings>): void {
    this.#overrides.set(queue, settings);
    this.#apply(queue, this.#declared.get(queue)!);
  }

  consumerAdded(queue: Queue, consumer: Consumer): void {
    this.#queueOf.set(consumer, queue);
  }

  cancel(consumer: Consumer): void {
    const queue = this.#queueOf.get(consumer);
    if (queue === undefined) return;
    this.#queueOf.delete(consumer);
    queue.removeConsumer(consumer);
  }

  connectionClosed(connectionId: number): void {
    const owned = this.#exclusive.get(connectionId);
    if (owned === undefined) return;
    this.#exclusive.delete(connectionId);
    for (const queue of owned) this.remove(queue);
  }

  /** Re-computes settings and alternate exchanges after a policy or the topology changed. */
  applyPolicies(): void {
    const { policies } = this.#host;
    const vhost = this.#topology.vhostName;
    for (const exchange of this.#topology.exchanges.values()) {
      exchange.alternateExchange = policies.alternateExchangeOf(vhost, exchange);
    }
    this.#topology.touch();
  }

  /** Re-applies policies to every queue. */
  applyQueuePolicies(): void {
    for (const [queue, declared] of this.#declared) {
      this.#apply(queue, declared);
    }
  }

  /** A passive look at anything needs at least one right on it (RabbitMQ 4.3). */
  authorizeAny(actor: Actor, kind: 'queue' | 'exchange', name: string): void {
    this.access.authorizeAny(actor.user, this.#topology.vhostName, kind, name);
  }

  /** Declaring an opaque reply name asks whether somebody still waits there. */
  declareReplyName(targets: ReplyTargets, name: string): QueueDeclared {
    if (!targets.has(name)) {
      const resource = resourceText('queue', name, this.#topology.vhostName);
      throw new BrokerError('NOT_FOUND', `no ${resource}`);
    }
    return { queue: { name, readyCount: 0, consumerCount: 1 }, ticket: 0 };
  }

  #make(
    id: QueueId,
    name: string,
    declared: DeclaredSettings,
    traits: {
      readonly isDurable: boolean;
      readonly isExclusive: boolean;
      readonly isAutoDelete: boolean;
      readonly ownerConnectionId: number;
      readonly arguments: QueueDeclareOptions['arguments'];
    },
  ): Queue {
    const settings = this.#effective(name, declared);
    const options = { id, name, settings, ...traits };
    const queue =
      settings.queueType === 'stream'
        ? new StreamQueue(options, this.#host.queueHost)
        : new ClassicQueue(options, this.#host.queueHost);
    this.#declared.set(queue, declared);
    return queue;
  }

  #apply(queue: Queue, declared: DeclaredSettings): void {
    const effective = this.#effective(queue.name, declared);
    queue.applySettings({ ...effective, ...this.#overrides.get(queue) });
  }

  #effective(name: string, declared: DeclaredSettings): QueueSettings {
    const vhost = this.#topology.vhostName;
    const { policy, operatorPolicy } = this.#host.policies.forQueue(
      vhost,
      name,
      declared.queueType,
    );
    return mergePolicy(declared, policy, operatorPolicy);
  }

  #own(connectionId: number, queue: Queue): void {
    const owned = this.#exclusive.get(connectionId);
    if (owned === undefined) this.#exclusive.set(connectionId, new Set([queue]));
    else owned.add(queue);
  }

  #serverName(options: QueueDeclareOptions): string {
    const token = Buffer.from(this.#host.random.bytes(SERVER_NAME_RANDOM_BYTES));
    return serverNamePrefix(options.arguments) + token.toString('base64url');
  }

  #authorizeDeadLetter(actor: Actor, name: string, declared: DeclaredSettings): void {
    if (declared.deadLetterExchange === undefined) return;
    const vhost = this.#topology.vhostName;
    this.access.authorize(actor.user, vhost, 'read', 'queue', name);
    this.access.authorize(actor.user, vhost, 'write', 'exchange', declared.deadLetterExchange);
  }
}

function persisted(queue: Queue): Json {
  const { id, isAutoDelete } = queue;
  return { id, autoDelete: isAutoDelete, arguments: tableToJson(queue.arguments) };
}

function mayHaveLevels(settings: QueueSettings): boolean {
  return settings.queueType === 'quorum' || settings.maxPriority !== undefined;
}
