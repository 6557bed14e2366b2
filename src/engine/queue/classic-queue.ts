/**
 * The queue that forgets what is settled: classic and quorum.
 *
 *            publish                 deliver / get              acknowledge, reject
 *   (none) ----------> READY ------------------------> LEASED ----------------------> SETTLED
 *     |       |         ^ ^ |                             |
 *     |REFUSED|         | | +-- expired, maxlen --> dead  +-- requeue, lease ended (original place)
 *     | (over-|         | +-------------------------------+   or delivery_limit --> dead
 *     |  flow)|     due |
 *     +-----------> DELAYED
 *
 * Invariants
 *  1. readyCount + unackedCount = entries that are neither settled nor dead, on disk or not.
 *  2. An entry is LEASED exactly while one delivery of it awaits settlement; settling anything
 *     else is stale and does nothing.
 *  3. Removal and dead-lettering happen in one synchronous run, hence in one commit.
 *  4. First deliveries follow the order of publishing within a priority level.
 *  5. An entry gets one chance to be delivered before its TTL or a length limit takes it, so that
 *     a queue with a waiting consumer behaves as if delivery were immediate (`freshFrom`).
 *
 * Priorities are levels, each a backlog of its own (priority-levels.ts); overflow drops from the
 * head like delivery takes from it, so the highest level loses first (RabbitMQ).
 */
import { DELIVERIES_PER_TURN } from '../../base/limits.ts';
import { Ring } from '../../base/ring.ts';
import type { Entry, Message } from '../message.ts';
import { ENTRY_LEASED, ENTRY_READY, ENTRY_SETTLED, STORE_NONE } from '../message.ts';
import type { RecoveredQueue } from '../ports.ts';
import type { Backlog } from './backlog.ts';
import type { Consumer } from './consumer.ts';
import { DelayQueue } from './delay-queue.ts';
import { Leases } from './leases.ts';
import { hasLengthLimit, isOverLimit } from './overflow.ts';
import { PriorityLevels } from './priority-levels.ts';
import type { DeathReason, QueueHost, QueueOptions } from './queue.ts';
import { ENQUEUED, ENQUEUED_DURABLE, Queue, REFUSED } from './queue.ts';
import type { QueueSettings } from './settings.ts';

type Getter = (entry: Entry | undefined, queue: Queue) => void;

/** Store id of the delayed entries, above those of the 256 priority levels. */
export const DELAYED_ID_OFFSET = 256;

export class ClassicQueue extends Queue {
  readonly #isQuorum: boolean;
  readonly #levels: PriorityLevels;
  #unackedCount: number;
  #droppedTransientCount: number;
  readonly #getters: Ring<Getter>;
  /** Some ready entry may have a TTL. */
  #mayExpire: boolean;
  #isDelivering: boolean;
  /** Over a length limit by entries that must be read before they can be dropped. */
  #isExcessPaged: boolean;
  /** Made by the first lease with a deadline. */
  #leases: Leases | undefined;
  /** Made by the first delayed message. */
  #delayed: DelayQueue | undefined;

  constructor(options: QueueOptions, host: QueueHost) {
    super(options, host);
    this.#isQuorum = options.settings.queueType === 'quorum';
    this.#levels = new PriorityLevels(options.id, options.settings, host, () =>
      host.markDirty(this),
    );
    this.#unackedCount = 0;
    this.#droppedTransientCount = 0;
    this.#getters = new Ring();
    this.#mayExpire = false;
    this.#isDelivering = false;
    this.#isExcessPaged = false;
    this.#leases = undefined;
    this.#delayed = undefined;
  }

  override restore(level: number, recovered: RecoveredQueue): void {
    const backlog = this.#levels.at(level);
    backlog.restore(recovered);
    // Whether a TTL waits in there is only known once its head is read.
    if (recovered.liveCount === 0) return;
    this.#mayExpire = true;
    this.host.markDirty(this);
  }

  /** Takes over the delayed entries the last process left. */
  restoreDelayed(recovered: RecoveredQueue): void {
    this.#delays().restore(recovered);
  }

  /** Messages not ready yet. */
  get delayedCount(): number {
    return this.#delayed?.count ?? 0;
  }

  override get readyCount(): number {
    return this.#levels.count;
  }

  override get readyBytes(): number {
    return this.#levels.bodyBytes;
  }

  override get unackedCount(): number {
    return this.#unackedCount;
  }

  override publish(message: Message): number {
    const settings = this.settings;
    if (!message.isPersistent && settings.transientReadyMax !== undefined) {
      if (this.#dropsTransient(settings)) return ENQUEUED;
    }
    const hasLimit = hasLengthLimit(settings);
    if (hasLimit && settings.overflow !== 'drop-head') {
      if (this.#isFullFor(message)) return this.#refuse(message);
    }
    if (settings.delayMs !== undefined && settings.delayMs > 0) {
      return this.publishDelayed(message, message.publishedAtMs + settings.delayMs);
    }
    return this.#append(message, message.publishedAtMs, hasLimit);
  }

  /** Transient messages dropped for want of a reader, or of a quick one. */
  get droppedTransientCount(): number {
    return this.#droppedTransientCount;
  }

  #dropsTransient(settings: QueueSettings): boolean {
    const isAbsent = settings.dropsTransientWhenIdle === true && this.consumers.count === 0;
    // While a consumer takes what it gets, the backlog is of this turn's making.
    const isSlow = this.readyCount >= settings.transientReadyMax! && !this.consumers.hasCredit();
    if (!isAbsent && !isSlow) return false;
    this.#droppedTransientCount += 1;
    return true;
  }

  /** Appends a message that is ready at `dueAtMs`. Its TTL begins then. */
  publishDelayed(message: Message, dueAtMs: number): number {
    return this.#delays().publish(message, dueAtMs, this.#isDurableFor(message));
  }

  /** Leases with a deadline, a share of stale ones among them. */
  get leaseCount(): number {
    return this.#leases?.count ?? 0;
  }

  /** Ends the lease of a delivery at `untilMs` unless it is settled before; extends a lease. */
  lease(entry: Entry, untilMs: number): void {
    this.#leases ??= new Leases();
    this.#leases.grant(entry, untilMs);
    this.wake(untilMs);
  }

  #append(message: Message, readyAtMs: number, hasLimit: boolean): number {
    const settings = this.settings;
    let ttlMs = message.expirationMs;
    const queueTtlMs = settings.messageTtlMs;
    if (queueTtlMs !== undefined && (ttlMs < 0 || queueTtlMs < ttlMs)) ttlMs = queueTtlMs;
    if (ttlMs >= 0) this.#mayExpire = true;
    const expiresAtMs = ttlMs < 0 ? Infinity : readyAtMs + ttlMs;
    const isDurable = this.#isDurableFor(message);
    this.#levels.of(message).push(message, expiresAtMs, isDurable);
    if (!this.isDirty) this.host.markDirty(this);
    if (hasLimit && this.#isOver()) this.#trim();
    return isDurable ? ENQUEUED_DURABLE : ENQUEUED;
  }

  override deliver(): void {
    if (this.isDeleted || this.#isDelivering) return;
    this.#isDelivering = true;
    const nowMs = this.host.nowMs();
    if (this.#getters.length > 0) this.#serveGetters(nowMs);
    let budget = DELIVERIES_PER_TURN;
    while (budget > 0) {
      const backlog = this.#levels.top();
      if (backlog === undefined) break;
      const entry = this.#oldest(backlog, nowMs);
      if (entry === undefined) {
        if (backlog.count > 0) break;
        continue;
      }
      const ticket = backlog.ticketToHandOver(entry);
      if (ticket > 0) {
        if (this.consumers.hasCredit()) this.host.wakeOnCommit(this, ticket);
        break;
      }
      const consumer = this.consumers.next();
      if (consumer === undefined) break;
      backlog.shift();
      this.#handOver(consumer, backlog, entry);
      budget -= 1;
    }
    this.#isDelivering = false;
    if (budget === 0) this.host.markDirty(this);
    this.#afterDeliver(nowMs);
  }

  override get(done: Getter): void {
    this.touch();
    if (this.#getters.length === 0) {
      const entry = this.#take(this.host.nowMs());
      if (entry !== undefined || this.readyCount === 0) {
        done(entry, this);
        return;
      }
    }
    this.#getters.push(done);
    this.host.markDirty(this);
  }

  override acknowledge(entry: Entry): void {
    if (entry.state !== ENTRY_LEASED) return;
    entry.state = ENTRY_SETTLED;
    this.#unackedCount -= 1;
    if (entry.storeState !== STORE_NONE && !this.isDeleted) {
      this.host.store.settle(this.#levels.of(entry.message).id, entry);
    }
  }

  override requeue(entry: Entry, countsAsFailure: boolean): void {
    if (entry.state !== ENTRY_LEASED) return;
    this.#unackedCount -= 1;
    if (this.isDeleted) {
      entry.state = ENTRY_SETTLED;
      return;
    }
    entry.isRedelivered = true;
    const backlog = this.#levels.of(entry.message);
    if (countsAsFailure && this.#countFailure(backlog, entry)) return;
    entry.state = ENTRY_READY;
    backlog.putBack(entry);
    if (entry.expiresAtMs !== Infinity) this.#mayExpire = true;
    this.host.markDirty(this);
  }

  override reject(entry: Entry): void {
    if (entry.state !== ENTRY_LEASED) return;
    this.#unackedCount -= 1;
    if (this.isDeleted) {
      entry.state = ENTRY_SETTLED;
      return;
    }
    this.#die(this.#levels.of(entry.message), entry, 'rejected');
  }

  override purge(): number {
    let count = 0;
    for (const backlog of this.#levels.backlogs) count += backlog.purge();
    this.#endGetters();
    return count;
  }

  override settleMark(): void {
    for (const backlog of this.#levels.backlogs) backlog.settleMark();
  }

  protected override expire(nowMs: number): void {
    this.#mayExpire = true;
    this.#endLeases(nowMs);
    this.#expireHeads(nowMs);
  }

  protected override dropEntries(): void {
    for (const backlog of this.#levels.backlogs) backlog.drop();
    this.#delayed?.drop();
    this.#leases?.clear();
    this.#endGetters();
  }

  protected override settingsChanged(): void {
    if (this.settings.overflow === 'drop-head' && this.#isOver()) this.#trim();
  }

  /** The oldest entry of a level that is still worth delivering; drops expired ones before it. */
  #oldest(backlog: Backlog, nowMs: number): Entry | undefined {
    for (;;) {
      const entry = backlog.peek();
      if (entry === undefined) {
        if (backlog.count > 0 && (this.consumers.hasCredit() || this.#getters.length > 0)) {
          backlog.pageIn();
        }
        return undefined;
      }
      if (entry.expiresAtMs > nowMs || entry.sequence >= backlog.freshFrom) return entry;
      backlog.shift();
      this.#die(backlog, entry, 'expired');
    }
  }

  #handOver(consumer: Consumer, backlog: Backlog, entry: Entry): void {
    this.#stamp(backlog, entry);
    if (consumer.noAck) {
      entry.state = ENTRY_SETTLED;
      consumer.deliver(this, entry);
      if (entry.storeState !== STORE_NONE) this.host.store.settle(backlog.id, entry);
      return;
    }
    entry.state = ENTRY_LEASED;
    this.#unackedCount += 1;
    consumer.deliver(this, entry);
  }

  /** Notes a hand-over; a message that failed before says how often. */
  #stamp(backlog: Backlog, entry: Entry): void {
    backlog.noteDelivered(entry.sequence);
    entry.generation += 1;
    if (entry.receiveCount > 0) {
      const count: [string, bigint] = ['x-delivery-count', BigInt(entry.receiveCount)];
      entry.message = this.host.withHeaders(entry.message, [count]);
    }
    const visibilityMs = this.settings.visibilityTimeoutMs;
    if (visibilityMs !== undefined) this.lease(entry, this.host.nowMs() + visibilityMs);
  }

  /** Leases the oldest entry for a get; undefined when there is none in memory. */
  #take(nowMs: number): Entry | undefined {
    for (;;) {
      const backlog = this.#levels.top();
      if (backlog === undefined) return undefined;
      const entry = this.#oldest(backlog, nowMs);
      if (entry === undefined) {
        if (backlog.count > 0) return undefined;
        continue;
      }
      const ticket = backlog.ticketToHandOver(entry);
      if (ticket > 0) {
        this.host.wakeOnCommit(this, ticket);
        return undefined;
      }
      backlog.shift();
      this.#stamp(backlog, entry);
      entry.state = ENTRY_LEASED;
      this.#unackedCount += 1;
      return entry;
    }
  }

  #serveGetters(nowMs: number): void {
    while (this.#getters.length > 0) {
      const entry = this.#take(nowMs);
      if (entry === undefined && this.readyCount > 0) {
        // Waits for a read or a commit, both of which mark the queue dirty again.
        const backlog = this.#levels.top();
        if (backlog !== undefined && backlog.needsPageIn) backlog.pageIn();
        return;
      }
      this.#getters.shift()!(entry, this);
    }
  }

  #endGetters(): void {
    for (let done = this.#getters.shift(); done !== undefined; done = this.#getters.shift()) {
      done(undefined, this);
    }
  }

  /** What must follow every pass: TTL, read-ahead, letting go of what is committed. */
  #afterDeliver(nowMs: number): void {
    if (this.#mayExpire) this.#expireHeads(nowMs);
    if (this.#isExcessPaged) this.#dropExcess();
    const hasConsumers = this.consumers.count > 0;
    for (const backlog of this.#levels.backlogs) {
      backlog.freshFrom = backlog.nextSequence;
      backlog.maintain();
      if (hasConsumers) backlog.pageIn();
    }
  }

  #expireHeads(nowMs: number): void {
    let nextMs = Infinity;
    let hasReady = false;
    for (const backlog of this.#levels.backlogs) {
      for (;;) {
        const entry = backlog.peek();
        if (entry === undefined) {
          if (backlog.count > 0) backlog.pageIn();
          break;
        }
        if (entry.expiresAtMs > nowMs) {
          nextMs = Math.min(nextMs, entry.expiresAtMs);
          break;
        }
        backlog.shift();
        this.#die(backlog, entry, 'expired');
      }
      if (backlog.count > 0) hasReady = true;
    }
    this.#mayExpire = hasReady;
    this.wake(nextMs);
  }

  #endLeases(nowMs: number): void {
    const leases = this.#leases;
    if (leases === undefined) return;
    for (let e = leases.takeExpired(nowMs); e !== undefined; e = leases.takeExpired(nowMs)) {
      this.requeue(e, true);
    }
    this.wake(leases.nextMs);
  }

  #isDurableFor(message: Message): boolean {
    return this.isDurable && (message.isPersistent || this.#isQuorum);
  }

  #delays(): DelayQueue {
    if (this.#delayed === undefined) {
      const id = this.id + DELAYED_ID_OFFSET;
      const release = (message: Message) => {
        this.#append(message, this.host.nowMs(), false);
        if (this.settings.overflow === 'drop-head' && this.#isOver()) this.#trim();
      };
      this.#delayed = new DelayQueue(id, this.host, release);
    }
    return this.#delayed;
  }

  #isOver(): boolean {
    return isOverLimit(this.settings, this.readyCount, this.readyBytes);
  }

  /** True when one more message is too many although consumers took what they could. */
  #isFullFor(message: Message): boolean {
    if (!this.#wouldExceed(message)) return false;
    this.deliver();
    return this.#wouldExceed(message);
  }

  #wouldExceed(message: Message): boolean {
    const bytes = this.readyBytes + message.bodyBytes;
    return isOverLimit(this.settings, this.readyCount + 1, bytes);
  }

  #refuse(message: Message): number {
    if (this.settings.overflow === 'reject-publish-dlx') {
      this.host.deadLetter(this, message, 'maxlen');
    }
    return REFUSED;
  }

  /** Drops from the head until the limits hold; consumers waiting take theirs first. */
  #trim(): void {
    this.deliver();
    this.#dropExcess();
  }

  #dropExcess(): void {
    this.#isExcessPaged = false;
    while (this.#isOver()) {
      const backlog = this.#levels.top();
      const entry = backlog?.peek();
      if (backlog === undefined || entry === undefined) {
        this.#isExcessPaged = true;
        backlog?.pageIn();
        return;
      }
      backlog.shift();
      this.#die(backlog, entry, 'maxlen');
    }
  }

  /** Counts a failed delivery; true when the limit ended the entry. */
  #countFailure(backlog: Backlog, entry: Entry): boolean {
    const limit = this.settings.deliveryLimit;
    const isLimited = limit >= 0;
    if (!isLimited && !this.#isQuorum) return false;
    entry.receiveCount += 1;
    if (isLimited && entry.receiveCount > limit) {
      this.#die(backlog, entry, 'delivery_limit');
      return true;
    }
    if (entry.storeState !== STORE_NONE) this.host.store.update(backlog.id, entry);
    return false;
  }

  /** Dead-letters and removes in one run. The entry has left the backlog already. */
  #die(backlog: Backlog, entry: Entry, reason: DeathReason): void {
    entry.state = ENTRY_SETTLED;
    this.host.deadLetter(this, entry.message, reason);
    if (entry.storeState !== STORE_NONE) this.host.store.settle(backlog.id, entry);
  }
}
