/**
 * The broker: vhosts, users, and the turn that moves everything.
 *
 *   sockets readable --> publish, settle, declare ... (memory, store buffer)
 *        turn():  1. what is due      TTL, queue expiry, delays
 *                 2. deliver          every dirty queue to consumers with credit
 *                 3. commit           one transaction with all that was buffered
 *                 4. tell             confirms that wait for nothing
 *   onCommitted(): confirms and replies whose ticket is on disk
 *
 * The broker is deterministic: time, randomness, the store and the request for a turn are passed
 * in. Nothing here awaits on the data plane.
 *
 * Invariants
 *  1. A queue is in `#dirty` exactly when `queue.isDirty`.
 *  2. A confirm or a held reply is released only by `#waiters`, with a committed ticket.
 *  3. Due times in `#wakeUps` may be stale; a queue ticked too early just asks again.
 */
import type { Clock } from '../base/clock.ts';
import { DeadlineHeap } from '../base/deadline-heap.ts';
import type { FieldTable, FieldValue } from '../base/field-value.ts';
import {
  COMMIT_BACKLOG_BYTES_HIGH,
  COMMIT_BACKLOG_BYTES_LOW,
  HEAD_WINDOW_BYTES,
  HEAD_WINDOW_BYTES_MIN,
  RESIDENT_BYTES_TIGHT,
} from '../base/limits.ts';
import type { RandomSource } from '../base/random.ts';
import { Access } from './access/access.ts';
import { CommitWaiters } from './commit-waiters.ts';
import { ConfirmLedger } from './confirm-ledger.ts';
import type { ConfirmSink } from './confirm-ledger.ts';
import { definitionKey } from './definitions.ts';
import type { Exchange } from './exchange/exchange.ts';
import type { Message } from './message.ts';
import { PolicySet } from './policy.ts';
import type { MessageFormat, QueueId, RecoveredQueue, Store, Ticket } from './ports.ts';
import { Publisher, withHeader } from './publish.ts';
import type { PublishHost } from './publish.ts';
import { DelayQueue } from './queue/delay-queue.ts';
import type { DeathReason, Queue, QueueHost } from './queue/queue.ts';
import { ID_EPOCH_FACTOR, IDS_PER_QUEUE } from './queue/store-ids.ts';
import { ReplyTargets } from './reply-target.ts';
import { RetainedMessages } from './session/retained.ts';
import { PushPort } from './topic/push-port.ts';
import { Topology } from './topology.ts';
import { VHost } from './vhost.ts';
import { VHostQueues } from './vhost-queues.ts';
import type { WakeTarget } from './wake-target.ts';

export interface BrokerSettings {
  /** Users who may log in from this machine only. */
  readonly loopbackUsers?: readonly string[];
  /** Topic exchange of every vhost that sessions publish to and subscribe at. */
  readonly topicExchange?: string;
}

export interface BrokerDeps {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly store: Store;
  /** By `Message.format`. */
  readonly formats: readonly MessageFormat[];
  /** Asks for `turn()` after the sockets readable now have been read; may be called often. */
  readonly requestTurn: () => void;
  readonly settings: BrokerSettings;
}

export type AlarmName = 'memory' | 'disk';

/** Told when publishers must pause or may go on, and when an alarm comes or goes. */
export interface PressureListener {
  onPressureChange(): void;
}

/** Wake-ups from which on stale ones are looked for. */
const SWEEP_WAKE_UPS_FROM = 1_024;

export class Broker {
  readonly access: Access;
  readonly policies: PolicySet;
  readonly clock: Clock;
  readonly store: Store;
  readonly random: RandomSource;
  readonly formats: readonly MessageFormat[];
  readonly push: PushPort;
  readonly #requestTurn: () => void;
  readonly #topicExchange: string | undefined;
  readonly #vhosts: Map<string, VHost>;
  readonly #queuesOf: Map<VHost, VHostQueues>;
  #dirty: Queue[];
  #delivering: Queue[];
  readonly #wakeUps: DeadlineHeap<WakeTarget>;
  /** Number of wake-ups at which stale ones are dropped next. */
  #sweepAt: number;
  readonly #dueTargets: WakeTarget[];
  readonly #waiters: CommitWaiters;
  readonly #pressureListeners: Set<PressureListener>;
  readonly #alarms: Set<AlarmName>;
  #isOverloaded: boolean;
  #residentBytes: number;
  #windowBytes: number;
  #epoch: number;
  #idCounter: number;
  #connectionCounter: number;

  constructor(deps: BrokerDeps) {
    this.clock = deps.clock;
    this.store = deps.store;
    this.random = deps.random;
    this.formats = deps.formats;
    this.#requestTurn = deps.requestTurn;
    this.push = new PushPort(deps.random, deps.requestTurn);
    this.#topicExchange = deps.settings.topicExchange;
    const { clock, random } = deps;
    const loopbackUsers = deps.settings.loopbackUsers;
    this.access = new Access({ clock, random, ...(loopbackUsers && { loopbackUsers }) });
    this.policies = new PolicySet();
    this.#vhosts = new Map();
    this.#queuesOf = new Map();
    this.#dirty = [];
    this.#delivering = [];
    this.#wakeUps = new DeadlineHeap();
    this.#sweepAt = SWEEP_WAKE_UPS_FROM;
    this.#dueTargets = [];
    this.#waiters = new CommitWaiters();
    this.#pressureListeners = new Set();
    this.#alarms = new Set();
    this.#isOverloaded = false;
    this.#residentBytes = 0;
    this.#windowBytes = HEAD_WINDOW_BYTES;
    this.#epoch = 0;
    this.#idCounter = 0;
    this.#connectionCounter = 0;
    this.access.onRecord = (kind, names, value) => this.#record(kind, names, value);
    this.policies.onRecord = (kind, names, value) => {
      this.#record(kind, names, value);
      for (const queues of this.#queuesOf.values()) {
        queues.applyPolicies();
        queues.applyQueuePolicies();
      }
    };
    deps.store.onCommitted = (ticket) => this.onCommitted(ticket);
  }

  /** The boot counter, set once by recovery before anything is declared. */
  startEpoch(epoch: number): void {
    this.#epoch = epoch;
    this.push.startEpoch(epoch);
  }

  vhost(name: string): VHost | undefined {
    return this.#vhosts.get(name);
  }

  vhosts(): Iterable<VHost> {
    return this.#vhosts.values();
  }

  /** Makes a vhost that is not there; `isRestored` ones are on disk already. */
  addVHost(name: string, isRestored = false): VHost {
    const topology = new Topology(name, this.store, this.random);
    const replyTargets = new ReplyTargets(this.random);
    const delays = new Map<Exchange, DelayQueue>();
    const publisher = new Publisher(this.#publishHost(topology, replyTargets, delays));
    const queues: VHostQueues = new VHostQueues(topology, {
      access: this.access,
      policies: this.policies,
      random: this.random,
      queueHost: this.#queueHost(name, publisher, () => queues),
      nextQueueId: () => this.nextQueueId(),
      wakeAt: (target, atMs) => this.#wakeAt(target, atMs),
    });
    const retained = new RetainedMessages(name, this.store);
    const vhost = new VHost(topology, publisher, queues, replyTargets, retained, this.push);
    topology.onExchangeRemoved = (exchange) => {
      this.#dropDelays(name, exchange, delays);
      vhost.topics.exchangeRemoved(exchange);
    };
    vhost.sessions.exchangeName = this.#topicExchange ?? vhost.sessions.exchangeName;
    this.#vhosts.set(name, vhost);
    this.#queuesOf.set(vhost, queues);
    if (!isRestored) this.store.define('vhost', definitionKey(name), '{}');
    return vhost;
  }

  /** The registry of a vhost's queues, for recovery. */
  queuesOf(vhost: VHost): VHostQueues {
    return this.#queuesOf.get(vhost)!;
  }

  /** Unique in this process. */
  nextConnectionId(): number {
    this.#connectionCounter += 1;
    return this.#connectionCounter;
  }

  /** Takes a block of IDS_PER_QUEUE store ids that no queue ever had. */
  nextQueueId(): QueueId {
    this.#idCounter += IDS_PER_QUEUE;
    return this.#epoch * ID_EPOCH_FACTOR + this.#idCounter;
  }

  /** Ticket of the commit that will hold what is buffered now. */
  get ticket(): Ticket {
    return this.store.ticket;
  }

  /** Runs `release` once `ticket` is on disk; at once when it is. Control plane only. */
  hold(ticket: Ticket, release: () => void): void {
    if (ticket <= this.store.committedTicket) {
      release();
      return;
    }
    this.#waiters.addHold(ticket, release);
    this.#requestTurn();
  }

  /** A ledger for one confirming publisher. */
  confirmLedger(sink: ConfirmSink): ConfirmLedger {
    return new ConfirmLedger(sink, (ledger) => {
      this.#waiters.addLedger(ledger);
      this.#requestTurn();
    });
  }

  /** One pass; see the head of the file. */
  turn(): void {
    this.#windowBytes = this.#shareOfMemory();
    this.#runDue(this.clock.wallMs());
    this.#deliver();
    if (this.store.isDirty) this.store.commit(!this.#waiters.awaits(this.store.ticket));
    if (this.#waiters.hasLedgers) this.#waiters.confirm(this.store.committedTicket);
    this.#checkPressure();
  }

  /** Wake-ups asked for, a share of stale ones among them. */
  get wakeUpCount(): number {
    return this.#wakeUps.length;
  }

  /** Wall ms at which the next turn is due although nothing happens; Infinity when none is. */
  get nextDueMs(): number {
    return this.#wakeUps.nextKey;
  }

  /** Wired to the store: everything up to `ticket` is on disk. */
  onCommitted(ticket: Ticket): void {
    this.#waiters.confirm(ticket);
    this.#waiters.release(ticket, (queue) => this.#markDirty(queue));
    this.#checkPressure();
    if (this.store.isDirty || this.#waiters.hasLedgers) this.#requestTurn();
  }

  /** True while the disk is behind: connections that publish are not read. */
  get isOverloaded(): boolean {
    return this.#isOverloaded;
  }

  get alarms(): ReadonlySet<AlarmName> {
    return this.#alarms;
  }

  setAlarm(name: AlarmName, isOn: boolean): void {
    if (isOn === this.#alarms.has(name)) return;
    if (isOn) this.#alarms.add(name);
    else this.#alarms.delete(name);
    this.#tellPressure();
  }

  addPressureListener(listener: PressureListener): void {
    this.#pressureListeners.add(listener);
  }

  /** Body bytes of queued messages in memory. */
  get residentBytes(): number {
    return this.#residentBytes;
  }

  /** An orderly stop: delivered marks become exact. The caller closes the store next. */
  settleMarks(): void {
    for (const vhost of this.#vhosts.values()) {
      for (const queue of vhost.topology.queues.values()) queue.settleMark();
    }
  }

  /** Puts the delay queue of an exchange back. */
  restoreDelays(vhost: VHost, exchangeName: string, recovered: RecoveredQueue, id: QueueId): void {
    const exchange = vhost.topology.exchanges.get(exchangeName);
    if (exchange === undefined) return;
    vhost.publisher.host.delayQueueOf(exchange, id).restore(recovered);
  }

  /** A queue's window: large while memory is plenty, else its share of what all may hold. */
  #shareOfMemory(): number {
    if (this.#residentBytes < RESIDENT_BYTES_TIGHT / 2) return HEAD_WINDOW_BYTES;
    let queueCount = 1;
    for (const vhost of this.#vhosts.values()) queueCount += vhost.topology.queues.size;
    const share = RESIDENT_BYTES_TIGHT / queueCount;
    return Math.min(Math.max(share, HEAD_WINDOW_BYTES_MIN), HEAD_WINDOW_BYTES);
  }

  /** Ticks what is due; what asks to be woken at once, having had its share, waits a turn. */
  #runDue(nowMs: number): void {
    const due = this.#dueTargets;
    while (this.#wakeUps.nextKey <= nowMs) due.push(this.#wakeUps.pop()!);
    for (const target of due) target.tick(nowMs);
    due.length = 0;
  }

  #deliver(): void {
    const queues = this.#dirty;
    if (queues.length === 0) return;
    this.#dirty = this.#delivering;
    this.#delivering = queues;
    for (const queue of queues) {
      queue.isDirty = false;
      queue.deliver();
    }
    queues.length = 0;
  }

  #markDirty(queue: Queue): void {
    if (queue.isDirty) return;
    queue.isDirty = true;
    this.#dirty.push(queue);
    this.#requestTurn();
  }

  #wakeAt(target: WakeTarget, atMs: number): void {
    if (atMs === Infinity) return;
    if (this.#wakeUps.length >= this.#sweepAt) this.#sweepWakeUps();
    this.#wakeUps.push(atMs, target);
    this.#requestTurn();
  }

  /** Leaves each target that still exists its earliest wake-up: it asks for the others then. */
  #sweepWakeUps(): void {
    const earliest = new Map<WakeTarget, number>();
    this.#wakeUps.forEach((atMs, target) => {
      const known = earliest.get(target);
      if (!target.isDeleted && (known === undefined || atMs < known)) earliest.set(target, atMs);
    });
    this.#wakeUps.retain((atMs, target) => {
      if (earliest.get(target) !== atMs) return false;
      return earliest.delete(target);
    });
    this.#sweepAt = Math.max(SWEEP_WAKE_UPS_FROM, 2 * this.#wakeUps.length);
  }

  #checkPressure(): void {
    const backlog = this.store.backlogBytes;
    const isOver = this.#isOverloaded
      ? backlog > COMMIT_BACKLOG_BYTES_LOW
      : backlog > COMMIT_BACKLOG_BYTES_HIGH;
    if (isOver === this.#isOverloaded) return;
    this.#isOverloaded = isOver;
    this.#tellPressure();
  }

  #tellPressure(): void {
    for (const listener of this.#pressureListeners) listener.onPressureChange();
  }

  #record(kind: string, names: readonly string[], value: unknown): void {
    const key = definitionKey(...names);
    if (value === undefined) this.store.undefine(kind, key);
    else this.store.define(kind, key, JSON.stringify(value));
    this.#requestTurn();
  }

  #publishHost(
    topology: Topology,
    replyTargets: ReplyTargets,
    delays: Map<Exchange, DelayQueue>,
  ): PublishHost {
    return {
      topology,
      access: this.access,
      formats: this.formats,
      replyTargets,
      nowMs: () => this.clock.wallMs(),
      delayQueueOf: (exchange, id) => {
        const existing = delays.get(exchange);
        if (existing !== undefined) return existing;
        const queue = this.#makeDelayQueue(topology, exchange, id);
        delays.set(exchange, queue);
        return queue;
      },
    };
  }

  #makeDelayQueue(topology: Topology, exchange: Exchange, id: QueueId | undefined): DelayQueue {
    const queueId = id ?? this.nextQueueId();
    if (id === undefined && exchange.isDurable) {
      const key = definitionKey(topology.vhostName, exchange.name);
      this.store.define('delay', key, JSON.stringify({ id: queueId }));
    }
    const host = {
      store: this.store,
      wakeDelayAt: (queue: DelayQueue, atMs: number) => this.#wakeAt(queue, atMs),
    };
    const vhost = () => this.#vhosts.get(topology.vhostName)!;
    return new DelayQueue(queueId, host, (message) =>
      vhost().publisher.publishDelayed(exchange, message),
    );
  }

  #dropDelays(vhostName: string, exchange: Exchange, delays: Map<Exchange, DelayQueue>): void {
    const queue = delays.get(exchange);
    if (queue === undefined) return;
    delays.delete(exchange);
    queue.drop();
    this.store.undefine('delay', definitionKey(vhostName, exchange.name));
  }

  #queueHost(vhostName: string, publisher: Publisher, queues: () => VHostQueues): QueueHost {
    const isTight = () => this.#residentBytes > RESIDENT_BYTES_TIGHT;
    const windowBytes = () => this.#windowBytes;
    return {
      store: this.store,
      vhostName,
      epoch: this.#epoch,
      get isMemoryTight(): boolean {
        return isTight();
      },
      get windowBytes(): number {
        return windowBytes();
      },
      nowMs: () => this.clock.wallMs(),
      addResidentBytes: (byteCount: number) => {
        this.#residentBytes += byteCount;
      },
      markDirty: (queue: Queue) => this.#markDirty(queue),
      wakeOnCommit: (queue: Queue, ticket: Ticket) => {
        this.#waiters.addQueue(ticket, queue);
        this.#requestTurn();
      },
      wakeAt: (queue: Queue, atMs: number) => this.#wakeAt(queue, atMs),
      wakeDelayAt: (queue: DelayQueue, atMs: number) => this.#wakeAt(queue, atMs),
      deadLetter: (queue: Queue, message: Message, reason: DeathReason) =>
        publisher.deadLetter(queue, message, reason),
      removeQueue: (queue: Queue) => queues().remove(queue),
      headersOf: (message: Message): FieldTable | undefined =>
        this.formats[message.format]!.headers(message),
      withHeaders: (message: Message, set: readonly (readonly [string, FieldValue])[]) => {
        const header = this.formats[message.format]!.edit(message, { set: new Map(set) });
        return withHeader(message, header, message.publishedAtMs);
      },
    };
  }
}
