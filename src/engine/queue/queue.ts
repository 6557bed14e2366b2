/**
 * What every queue is, whatever its type: a named destination with settings and consumers.
 *
 * `ClassicQueue` (classic and quorum) removes what is settled; `StreamQueue` keeps it and gives
 * each consumer a cursor. Protocols see this class only and settle through it.
 */
import { EMPTY_TABLE, type FieldTable, type FieldValue } from '../../base/field-value.ts';
import type { Destination } from '../exchange/exchange.ts';
import type { Entry, Message } from '../message.ts';
import type { QueueId, RecoveredQueue, Ticket } from '../ports.ts';

import type { BacklogHost } from './backlog.ts';
import type { DelayHost } from './delay-queue.ts';
import type { Consumer } from './consumer.ts';
import { ConsumerSet } from './consumer-set.ts';
import type { QueueSettings } from './settings.ts';

/** Why a message is dead-lettered; the texts are RabbitMQ's, clients read them in `x-death`. */
export type DeathReason = 'rejected' | 'expired' | 'maxlen' | 'delivery_limit';

/** `publish` took it (nothing to wait for). */
export const ENQUEUED = 0;
/** An overflow policy refused it. */
export const REFUSED = 2;
/** It will be durable with the store's present ticket. */
export const ENQUEUED_DURABLE = 4;

/** What a queue needs from its vhost and broker. */
export interface QueueHost extends BacklogHost, DelayHost {
  readonly vhostName: string;
  /** Number of this start of the gateway: leases tell by it who gave them. */
  readonly epoch: number;
  nowMs(): number;
  /** Decoded application headers. */
  headersOf(message: Message): FieldTable | undefined;
  /** The same message with some headers set. */
  withHeaders(message: Message, set: readonly (readonly [string, FieldValue])[]): Message;
  /** Asks for `deliver` in the next turn. */
  markDirty(queue: Queue): void;
  /** Asks for `deliver` once `ticket` is committed. */
  wakeOnCommit(queue: Queue, ticket: Ticket): void;
  /** Asks for `tick` at or soon after `atMs`. */
  wakeAt(queue: Queue, atMs: number): void;
  /** Publishes a dead message; the caller settles the entry in the same run. */
  deadLetter(queue: Queue, message: Message, reason: DeathReason): void;
  /** Deletes the queue: its last consumer left (auto-delete) or it expired. */
  removeQueue(queue: Queue): void;
}

/** How a queue was declared. */
export interface QueueOptions {
  readonly name: string;
  readonly id: QueueId;
  readonly isDurable: boolean;
  readonly isExclusive: boolean;
  readonly isAutoDelete: boolean;
  /** Connection that owns an exclusive queue; 0 otherwise. */
  readonly ownerConnectionId: number;
  readonly arguments: FieldTable;
  /** Effective: arguments merged with policies. */
  readonly settings: QueueSettings;
}

export abstract class Queue implements Destination {
  readonly isExchange = false as const;
  readonly name: string;
  readonly id: QueueId;
  readonly isDurable: boolean;
  readonly isExclusive: boolean;
  readonly isAutoDelete: boolean;
  readonly ownerConnectionId: number;
  readonly arguments: FieldTable;
  protected readonly host: QueueHost;
  protected readonly consumers: ConsumerSet;
  #settings: QueueSettings;
  /** In the broker's list of queues to deliver in the next turn; owned by the broker. */
  isDirty: boolean;
  #isDeleted: boolean;
  #hadConsumer: boolean;
  /** Wall ms of the last use that renews `x-expires`. */
  #usedAtMs: number;
  /** Earliest wake-up asked for and not yet come; whatever is due later asks again then. */
  #wakeAtMs: number;

  constructor(options: QueueOptions, host: QueueHost) {
    this.name = options.name;
    this.id = options.id;
    this.isDurable = options.isDurable;
    this.isExclusive = options.isExclusive;
    this.isAutoDelete = options.isAutoDelete;
    this.ownerConnectionId = options.ownerConnectionId;
    // An empty map of its own would be 190 bytes.
    this.arguments = options.arguments.size === 0 ? EMPTY_TABLE : options.arguments;
    this.host = host;
    const { singleActiveConsumer, queueType } = options.settings;
    this.consumers = new ConsumerSet(singleActiveConsumer, queueType === 'quorum');
    this.#settings = options.settings;
    this.isDirty = false;
    this.#isDeleted = false;
    this.#hadConsumer = false;
    this.#usedAtMs = host.nowMs();
    this.#wakeAtMs = Infinity;
  }

  get settings(): QueueSettings {
    return this.#settings;
  }

  get isDeleted(): boolean {
    return this.#isDeleted;
  }

  get consumerCount(): number {
    return this.consumers.count;
  }

  get consumerMembers(): readonly Consumer[] {
    return this.consumers.toArray();
  }

  get hasExclusiveConsumer(): boolean {
    return this.consumers.hasExclusive();
  }

  /** Takes over what the last process left under store id `id + level`. */
  abstract restore(level: number, recovered: RecoveredQueue): void;

  /** Messages that a consumer could be given now. */
  abstract get readyCount(): number;

  /** Deliveries awaiting settlement. */
  abstract get unackedCount(): number;

  /** Body bytes of ready messages. */
  abstract get readyBytes(): number;

  /** Appends a message. Returns ENQUEUED, ENQUEUED_DURABLE or REFUSED. */
  abstract publish(message: Message): number;

  /** Delivers to consumers with credit; called in the turn when dirty. */
  abstract deliver(): void;

  /** Leases the oldest ready entry; `done` may run later when it must be read from disk. */
  abstract get(done: (entry: Entry | undefined, queue: Queue) => void): void;

  /** Settles a delivery. Stale and repeated calls are harmless. */
  abstract acknowledge(entry: Entry): void;

  /** Gives a delivery back to its original place, marked redelivered. */
  abstract requeue(entry: Entry, countsAsFailure: boolean): void;

  /** Ends a delivery badly: dead-letter 'rejected', or drop. */
  abstract reject(entry: Entry): void;

  /** Removes what is ready; returns how many. */
  abstract purge(): number;

  /** Time has passed: expire what is due. */
  protected abstract expire(nowMs: number): void;

  /** Memory and disk of every entry; the queue is gone. */
  protected abstract dropEntries(): void;

  /** Re-applies limits after a policy changed. */
  protected abstract settingsChanged(): void;

  /** Entries that the store may mark as never delivered, on an orderly stop. */
  abstract settleMark(): void;

  /** Refuses a consumer this type of queue cannot serve. @throws BrokerError */
  checkConsumer(_consumer: Consumer): void {}

  /** Adds a consumer; the vhost has checked rights and exclusivity. */
  addConsumer(consumer: Consumer): void {
    this.consumers.add(consumer);
    this.#hadConsumer = true;
    this.touch();
    this.host.markDirty(this);
  }

  /** Removes one; an auto-delete queue goes with its last. Returns false when it was not here. */
  removeConsumer(consumer: Consumer): boolean {
    if (!this.consumers.remove(consumer)) return false;
    this.touch();
    if (this.#isDeleted) return true;
    if (this.isAutoDelete && this.#hadConsumer && this.consumers.count === 0) {
      this.host.removeQueue(this);
    } else {
      this.host.markDirty(this);
    }
    return true;
  }

  /** A consumer has credit again. */
  consumerReady(_consumer: Consumer): void {
    if (this.readyCount > 0) this.host.markDirty(this);
  }

  /** New effective settings, from a policy or a queue attribute. */
  applySettings(settings: QueueSettings): void {
    this.#settings = settings;
    this.settingsChanged();
    this.touch();
    this.host.markDirty(this);
  }

  /** Renews `x-expires`: declared again, got from, or a consumer came or went. */
  touch(): void {
    const expiresMs = this.#settings.expiresMs;
    if (expiresMs === undefined) return;
    this.#usedAtMs = this.host.nowMs();
    this.wake(this.#usedAtMs + expiresMs);
  }

  /** A wake-up asked for with `wakeAt` is due. */
  tick(nowMs: number): void {
    if (this.#isDeleted) return;
    this.#wakeAtMs = Infinity;
    const expiresMs = this.#settings.expiresMs;
    if (expiresMs !== undefined && this.consumers.count === 0) {
      const expiresAtMs = this.#usedAtMs + expiresMs;
      if (nowMs >= expiresAtMs) {
        this.host.removeQueue(this);
        return;
      }
      this.wake(expiresAtMs);
    }
    this.expire(nowMs);
  }

  /** Asks for `tick` at `atMs`, unless one is due before that. */
  protected wake(atMs: number): void {
    if (atMs >= this.#wakeAtMs) return;
    this.#wakeAtMs = atMs;
    this.host.wakeAt(this, atMs);
  }

  /** Ends the queue: tells its consumers, drops its entries. The vhost has unbound it. */
  delete(): void {
    if (this.#isDeleted) return;
    this.#isDeleted = true;
    for (const consumer of this.consumers.toArray()) {
      this.consumers.remove(consumer);
      consumer.cancelled();
    }
    this.dropEntries();
  }
}
