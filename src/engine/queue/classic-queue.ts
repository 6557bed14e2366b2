/**
 * The queue that forgets what is settled: classic and quorum, and every CMQ queue.
 *
 *            publish               deliver, get, receive         acknowledge, reject
 *   (none) -----------> READY ----------------------------> LEASED --------------> SETTLED
 *     |       |         ^ ^ |                                 |                       |
 *     |REFUSED|         | | +-- TTL, maxlen, age --> dead     +-- retention,          | rewind window
 *     | (over-|     due | | +-- retention --> dropped         |   delivery_limit      v
 *     |  flow)|         | +-- requeue, lease ended -----------+                   REWINDABLE
 *     +-----------> DELAYED     (at its original place)                     (rewind-window.ts)
 *
 * Invariants
 *  1. readyCount + unackedCount = entries that are neither settled nor dead, on disk or not.
 *  2. An entry is LEASED exactly while one delivery of it awaits settlement; settling anything
 *     else is stale and does nothing.
 *  3. Removal, dead-lettering and parking happen in one synchronous run, hence in one commit.
 *  4. First deliveries follow the order of publishing within a priority level.
 *  5. An entry gets one chance to be delivered before its TTL or a length limit takes it, so that
 *     a queue with a waiting consumer behaves as if delivery were immediate (`freshFrom`).
 *  6. Consumers and receives (basic.get, CMQ) take turns while both can take.
 *  7. Where receives are counted (`countsReceives`, and leases by handle) every hand-over counts
 *     and is on disk; elsewhere failures only.
 *
 * Priorities are levels, each a backlog of its own (priority-levels.ts); overflow drops from the
 * head like delivery takes from it, so the highest level loses first (RabbitMQ).
 */
import {
  DELIVERIES_PER_TURN,
  EXPIRIES_PER_TURN,
  VISIBILITY_MS_DEFAULT,
} from '../../base/limits.ts';
import type { Entry, Message } from '../message.ts';
import { ENTRY_LEASED, ENTRY_READY, ENTRY_SETTLED, STORE_NONE } from '../message.ts';
import type { RecoveredQueue } from '../ports.ts';
import { AgeLimits } from './age-limits.ts';
import type { Backlog } from './backlog.ts';
import type { Consumer } from './consumer.ts';
import { DelayQueue } from './delay-queue.ts';
import { rewoundCount, withFailureCount, withId, withOrigin, withReceipt } from './entry-headers.ts';
import type { LeaseHandle } from './leases.ts';
import { Leases } from './leases.ts';
import { DELAYED_KIND, placeId, READY_KIND } from './message-id.ts';
import { hasLengthLimit, isOverLimit } from './overflow.ts';
import { Parking } from './parking.ts';
import { PriorityLevels } from './priority-levels.ts';
import type { DeathReason, QueueHost, QueueOptions } from './queue.ts';
import { ENQUEUED, ENQUEUED_DURABLE, Queue, REFUSED } from './queue.ts';
import type { FoundEntry } from './queue-inspector.ts';
import { entryId, QueueInspector } from './queue-inspector.ts';
import type { QueueTracer } from './queue-tracer.ts';
import { Receive, ReceiveLine } from './receive.ts';
import { readLeased } from './restored-leases.ts';
import type { QueueSettings } from './settings.ts';

/** Store id of the delayed entries, above those of the 256 priority levels. */
export const DELAYED_ID_OFFSET = 256;

export class ClassicQueue extends Queue {
  readonly #isQuorum: boolean;
  readonly #levels: PriorityLevels;
  #unackedCount: number;
  #droppedTransientCount: number;
  readonly #line: ReceiveLine;
  /** A receive got the last entry: a consumer's turn. */
  #wasReceive: boolean;
  /** Some ready entry may have a TTL or an age limit. */
  #mayExpire: boolean;
  #isDelivering: boolean;
  /** Over a length limit by entries that must be read before they can be dropped. */
  #isExcessPaged: boolean;
  readonly #ages: AgeLimits;
  /** Made by the first lease with a deadline. */
  #leases: Leases | undefined;
  /** Made by the first delayed message. */
  #delayed: DelayQueue | undefined;
  /** Made by the first message settled while there is a rewind window. */
  #parking: Parking | undefined;
  /** Where the message published last lies. */
  #lastKind: number;
  #lastLevel: number;
  #lastSequence: number;
  /** Told what happens to each message, while somebody wants to know. */
  tracer: QueueTracer | undefined;

  constructor(options: QueueOptions, host: QueueHost) {
    super(options, host);
    this.#isQuorum = options.settings.queueType === 'quorum';
    this.#levels = new PriorityLevels(options.id, options.settings, host, () =>
      host.markDirty(this),
    );
    this.#unackedCount = 0;
    this.#droppedTransientCount = 0;
    this.#line = new ReceiveLine();
    this.#wasReceive = false;
    this.#mayExpire = false;
    this.#isDelivering = false;
    this.#isExcessPaged = false;
    this.#ages = new AgeLimits(options.settings);
    this.#leases = undefined;
    this.#delayed = undefined;
    this.#parking = undefined;
    this.#lastKind = READY_KIND;
    this.#lastLevel = 0;
    this.#lastSequence = 0;
    this.tracer = undefined;
  }

  override restore(level: number, recovered: RecoveredQueue): void {
    const backlog = this.#levels.at(level);
    const nowMs = this.host.nowMs();
    const leased = recovered.leased.filter((lease) => lease.leaseUntilMs > nowMs);
    const sequences = leased.map(({ sequence }) => sequence);
    backlog.restore(recovered, sequences);
    this.#ages.restored(nowMs);
    for (const { sequence, notBeforeMs } of recovered.delayed) {
      this.#ages.add({ level, sequence, publishedAtMs: notBeforeMs });
    }
    if (sequences.length > 0) this.#restoreLeases(level, backlog, sequences);
    // Whether a TTL waits in there is only known once its head is read.
    if (recovered.liveCount === 0) return;
    this.#mayExpire = true;
    this.host.markDirty(this);
  }

  /** Takes over the delayed entries the last process left. */
  restoreDelayed(recovered: RecoveredQueue): void {
    this.#delays().restore(recovered);
  }

  /** Takes over the rewindable messages the last process left. */
  restoreParked(recovered: RecoveredQueue): void {
    this.#parkingLot().restore(recovered);
  }

  /** Messages not ready yet. */
  get delayedCount(): number {
    return this.#delayed?.count ?? 0;
  }

  /** The messages not ready yet; undefined when there never were any. */
  get delayed(): DelayQueue | undefined {
    return this.#delayed;
  }

  /** Settled messages that can be had back. */
  get rewindableCount(): number {
    return this.#parking?.count ?? 0;
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

  /** Id of the message published last; it lies here, or has left again. */
  get lastMessageId(): string {
    return placeId(this.id, this.#lastKind, this.#lastLevel, this.#lastSequence);
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
    if (this.#isHeapFull()) return REFUSED;
    const taken = this.#append(message, message.publishedAtMs, hasLimit);
    this.tracer?.sent(message, this.lastMessageId, this.host.nowMs());
    return taken;
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

  /** Appends a message that is ready at `dueAtMs`. Its TTL begins then, its age now. */
  publishDelayed(message: Message, dueAtMs: number): number {
    if (this.#isHeapFull()) return REFUSED;
    const delays = this.#delays();
    this.#lastKind = DELAYED_KIND;
    this.#lastLevel = 0;
    this.#lastSequence = delays.nextSequence;
    const counts = this.settings.countsReceives === true;
    const named = counts ? withId(this.host, message, this.lastMessageId) : message;
    this.tracer?.sent(named, this.lastMessageId, dueAtMs);
    return delays.publish(named, dueAtMs, this.#isDurableFor(message));
  }

  /** Leases with a deadline, a share of stale ones among them. */
  get leaseCount(): number {
    return this.#leases?.count ?? 0;
  }

  /** Wall ms of the earliest lease deadline, possibly a stale one; Infinity without any. */
  get nextLeaseMs(): number {
    return this.#leases?.nextMs ?? Infinity;
  }

  /** Gives a delivery until `untilMs`: extends or shortens its lease; a past time ends it. */
  lease(entry: Entry, untilMs: number): void {
    if (untilMs <= this.host.nowMs()) {
      this.requeue(entry, true);
      return;
    }
    const leases = this.#leased();
    leases.grant(entry, untilMs);
    const backlog = this.#levels.of(entry.message);
    if (leases.hasHandle(backlog.id - this.id, entry)) this.#record(backlog, entry);
    this.wake(leases.nextMs);
  }

  /** Names the present lease of an entry. */
  handleOf(entry: Entry): LeaseHandle {
    const level = this.#levels.of(entry.message).id - this.id;
    return { level, sequence: entry.sequence, receiveCount: entry.receiveCount };
  }

  /** The entry if that very lease is alive, else undefined; later when it is being read. */
  withLease(handle: LeaseHandle, done: (entry: Entry | undefined) => void): void {
    if (this.#leases === undefined) done(undefined);
    else this.#leases.find(handle, done);
  }

  #append(message: Message, readyAtMs: number, hasLimit: boolean): number {
    const settings = this.settings;
    let ttlMs = message.expirationMs;
    const queueTtlMs = settings.messageTtlMs;
    if (queueTtlMs !== undefined && (ttlMs < 0 || queueTtlMs < ttlMs)) ttlMs = queueTtlMs;
    if (ttlMs >= 0) this.#mayExpire = true;
    const expiresAtMs = ttlMs < 0 ? Infinity : readyAtMs + ttlMs;
    const isDurable = this.#isDurableFor(message);
    const backlog = this.#levels.of(message);
    const entry = this.#ages.isSet
      ? this.#pushAging(backlog, message, expiresAtMs, isDurable)
      : backlog.push(message, expiresAtMs, isDurable);
    this.#lastKind = READY_KIND;
    this.#lastLevel = backlog.id - this.id;
    this.#lastSequence = entry.sequence;
    if (!this.isDirty) this.host.markDirty(this);
    if (hasLimit && this.#isOver()) this.#trim();
    return isDurable ? ENQUEUED_DURABLE : ENQUEUED;
  }

  #pushAging(backlog: Backlog, message: Message, expiresAtMs: number, isDurable: boolean): Entry {
    this.#mayExpire = true;
    const { publishedAtMs } = message;
    const ages = this.#ages;
    if (!ages.isStray(publishedAtMs, this.host.nowMs())) {
      return backlog.push(message, expiresAtMs, isDurable);
    }
    const entry = backlog.push(message, expiresAtMs, isDurable, publishedAtMs);
    ages.add({ level: backlog.id - this.id, sequence: entry.sequence, publishedAtMs });
    this.wake(ages.nextMs);
    return entry;
  }

  override deliver(): void {
    if (this.isDeleted || this.#isDelivering) return;
    this.#isDelivering = true;
    const nowMs = this.host.nowMs();
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
        if (this.#hasTaker()) this.host.wakeOnCommit(this, ticket);
        break;
      }
      if (!this.#handOver(backlog, entry)) break;
      budget -= 1;
    }
    this.#isDelivering = false;
    if (budget === 0) this.host.markDirty(this);
    if (this.#line.count > 0) this.#line.settle(this.readyCount === 0);
    this.#afterDeliver(nowMs);
  }

  /** Gives the entry to whose turn it is; false when nobody can take it. */
  #handOver(backlog: Backlog, entry: Entry): boolean {
    const line = this.#line;
    if (line.count > 0 && !(this.#wasReceive && this.consumers.hasCredit())) {
      const receive = line.next();
      if (receive !== undefined) {
        this.#wasReceive = true;
        backlog.shift();
        this.#leaseTo(receive, backlog, entry);
        return true;
      }
    }
    const consumer = this.consumers.next();
    if (consumer === undefined) return false;
    this.#wasReceive = false;
    backlog.shift();
    this.#handTo(consumer, backlog, entry);
    return true;
  }

  override get(done: (entry: Entry | undefined, queue: Queue) => void): void {
    this.touch();
    if (this.#line.count === 0) {
      const entry = this.#take(this.host.nowMs());
      if (entry !== undefined || this.readyCount === 0) {
        done(entry, this);
        return;
      }
    }
    this.receive(
      new Receive({
        maxCount: 1,
        untilMs: 0,
        isByHandle: false,
        done: (entries) => done(entries[0], this),
      }),
    );
  }

  /** Stands in line for entries; answered in a turn. */
  receive(receive: Receive): void {
    this.touch();
    if (this.isDeleted) {
      receive.finish();
      return;
    }
    this.#line.push(receive, this.host.nowMs());
    this.wake(this.#line.nextMs);
    this.host.markDirty(this);
  }

  /** Its client has gone: takes nothing, and what it took in this turn comes back. */
  cancelReceive(receive: Receive): void {
    if (!this.#line.cancel(receive)) return;
    for (const entry of receive.entries) this.requeue(entry, false);
  }

  override acknowledge(entry: Entry): void {
    if (entry.state !== ENTRY_LEASED) return;
    this.#unackedCount -= 1;
    if (this.isDeleted) {
      entry.state = ENTRY_SETTLED;
      return;
    }
    const backlog = this.#levels.of(entry.message);
    this.#park(backlog, entry);
    this.tracer?.deleted(entry, this.#idOf(backlog, entry));
    this.#end(backlog, entry);
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
    const hadHandle = this.#leases?.end(backlog.id - this.id, entry) === true;
    entry.leaseUntilMs = Infinity;
    const isCounted = hadHandle || this.settings.countsReceives === true;
    if (this.#ages.isSet && this.#endByAge(backlog, entry, this.host.nowMs())) return;
    if (isCounted) {
      if (this.#isSpent(entry)) {
        this.#die(backlog, entry, 'delivery_limit');
        return;
      }
      this.#record(backlog, entry);
      this.tracer?.released(entry, this.#idOf(backlog, entry));
    } else if (countsAsFailure && this.#countFailure(backlog, entry)) return;
    entry.state = ENTRY_READY;
    backlog.putBack(entry);
    if (entry.expiresAtMs !== Infinity || this.#ages.isSet) this.#mayExpire = true;
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
    return count;
  }

  /** Removes everything: ready, leased with a deadline, delayed, rewindable. Returns how many. */
  clear(): number {
    let count = this.purge() + (this.#delayed?.clear() ?? 0);
    this.#parking?.window.clear();
    for (const entry of this.#leases?.held() ?? []) {
      this.#unackedCount -= 1;
      this.#end(this.#levels.of(entry.message), entry);
      count += 1;
    }
    count += this.#leases?.cancelUnread((level, sequence) => {
      this.#unackedCount -= 1;
      this.host.store.settleRange(this.id + level, sequence, sequence + 1);
    }) ?? 0;
    this.#ages.clear();
    this.host.markDirty(this);
    return count;
  }

  /**
   * Makes what was settled and published at or after `fromMs` (wall ms) ready again, in the order
   * of publishing; `done` gets their number, later when they must be read.
   */
  rewind(fromMs: number, done: (count: number) => void): void {
    if (this.#parking === undefined) {
      done(0);
      return;
    }
    const comeBack = (message: Message) => {
      this.#append(message, this.host.nowMs(), false);
      this.tracer?.rewound(message);
    };
    this.#parking.takeFrom(fromMs, comeBack, done);
  }

  /** When the oldest ready or leased message was published (wall ms), possibly after a read. */
  oldest(done: (publishedAtMs: number | undefined) => void): void {
    this.#inspector().oldest(this.#leases?.held() ?? [], done);
  }

  /** The oldest ready entries, at most `maxCount`, left untouched. */
  peek(maxCount: number, done: (entries: readonly Entry[]) => void): void {
    this.#inspector().peek(maxCount, done);
  }

  /** Where the message of that id is. */
  find(id: string, done: (found: FoundEntry | undefined) => void): void {
    this.#inspector().find(id, done);
  }

  /** The id of a message that lies here. */
  messageIdOf(entry: Entry): string {
    return this.#idOf(this.#levels.of(entry.message), entry);
  }

  override settleMark(): void {
    for (const backlog of this.#levels.backlogs) backlog.settleMark();
  }

  protected override expire(nowMs: number): void {
    this.#mayExpire = true;
    this.#line.expire(nowMs);
    this.#endLeases(nowMs);
    this.#endStrays(nowMs);
    this.#expireHeads(nowMs);
    this.#parking?.window.expire(nowMs);
    this.#wakeForNext();
  }

  protected override dropEntries(): void {
    for (const backlog of this.#levels.backlogs) backlog.drop();
    this.#delayed?.drop();
    this.#parking?.window.drop();
    this.#leases?.clear();
    this.#ages.clear();
    this.#line.endAll();
  }

  protected override settingsChanged(): void {
    const { settings } = this;
    this.#ages.configure(settings);
    this.#leases?.rebuild();
    this.#delayed?.setRetention(settings.retentionMs);
    this.#parking?.window.setWindow(settings.rewindMs ?? 0);
    if (this.#ages.isSet) this.#mayExpire = true;
    this.#wakeForNext();
    if (settings.overflow === 'drop-head' && this.#isOver()) this.#trim();
  }

  /** The oldest entry of a level that is still worth delivering; drops expired ones before it. */
  #oldest(backlog: Backlog, nowMs: number): Entry | undefined {
    for (;;) {
      const entry = backlog.peek();
      if (entry === undefined) {
        if (backlog.count > 0 && this.#hasTaker()) backlog.pageIn();
        return undefined;
      }
      if (this.#headEndsAtMs(entry) > nowMs || this.#isFresh(backlog, entry)) return entry;
      backlog.shift();
      this.#endHead(backlog, entry, nowMs);
    }
  }

  #hasTaker(): boolean {
    return this.#line.count > 0 || this.consumers.hasCredit();
  }

  /** A TTL of 0 waits for one chance of delivery; an age limit has passed for good. */
  #isFresh(backlog: Backlog, entry: Entry): boolean {
    return entry.sequence >= backlog.freshFrom && !this.#ages.isSet;
  }

  #handTo(consumer: Consumer, backlog: Backlog, entry: Entry): void {
    this.#stamp(backlog, entry, undefined, false);
    if (consumer.noAck) {
      entry.state = ENTRY_SETTLED;
      consumer.deliver(this, entry);
      this.#park(backlog, entry);
      this.#end(backlog, entry);
      return;
    }
    entry.state = ENTRY_LEASED;
    this.#unackedCount += 1;
    consumer.deliver(this, entry);
  }

  #leaseTo(receive: Receive, backlog: Backlog, entry: Entry): void {
    this.#stamp(backlog, entry, receive.visibilityMs, receive.isByHandle);
    entry.state = ENTRY_LEASED;
    this.#unackedCount += 1;
    receive.entries.push(entry);
  }

  /** Notes a hand-over, gives it its deadline, and tells it in headers to whoever reads those. */
  #stamp(
    backlog: Backlog,
    entry: Entry,
    visibilityMs: number | undefined,
    isByHandle: boolean,
  ): void {
    backlog.noteDelivered(entry.sequence);
    entry.generation += 1;
    const isCounted = isByHandle || this.settings.countsReceives === true;
    if (isCounted) this.#countReceive(backlog, entry, isByHandle);
    else if (entry.receiveCount > 0) entry.message = withFailureCount(this.host, entry);
    let leaseMs = visibilityMs ?? this.settings.visibilityTimeoutMs;
    if (isByHandle) leaseMs ??= VISIBILITY_MS_DEFAULT;
    if (leaseMs !== undefined || this.#ages.isSet) {
      const untilMs = leaseMs === undefined ? Infinity : this.host.nowMs() + leaseMs;
      this.#leased().grant(entry, untilMs);
      this.wake(this.#leases!.nextMs);
    }
    if (isByHandle) this.#leases!.name(backlog.id - this.id, entry);
    if (isCounted) this.#record(backlog, entry);
  }

  #countReceive(backlog: Backlog, entry: Entry, isByHandle: boolean): void {
    entry.receiveCount += 1;
    if (entry.firstReceivedAtMs === 0) entry.firstReceivedAtMs = this.host.nowMs();
    const id = this.#idOf(backlog, entry);
    if (!isByHandle) entry.message = withReceipt(this.host, entry, id);
    this.tracer?.received(entry, id, isByHandle);
  }

  /** Puts the entry's state on disk. A lease without a handle ends with the process. */
  #record(backlog: Backlog, entry: Entry): void {
    if (entry.storeState === STORE_NONE) return;
    const { leaseUntilMs } = entry;
    const lasts = this.#leases?.hasHandle(backlog.id - this.id, entry) === true;
    if (!lasts) entry.leaseUntilMs = Infinity;
    this.host.store.update(backlog.id, entry);
    entry.leaseUntilMs = leaseUntilMs;
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
      if (backlog.ticketToHandOver(entry) > 0) return undefined;
      backlog.shift();
      this.#stamp(backlog, entry, undefined, false);
      entry.state = ENTRY_LEASED;
      this.#unackedCount += 1;
      return entry;
    }
  }

  /** What must follow every pass: TTL, read-ahead, letting go of what is committed. */
  #afterDeliver(nowMs: number): void {
    if (this.#mayExpire) this.#expireHeads(nowMs);
    if (this.#isExcessPaged) this.#dropExcess();
    const hasTakers = this.consumers.count > 0 || this.#line.count > 0;
    for (const backlog of this.#levels.backlogs) {
      backlog.freshFrom = backlog.nextSequence;
      backlog.maintain();
      if (hasTakers) backlog.pageIn();
    }
  }

  #expireHeads(nowMs: number): void {
    let nextMs = Infinity;
    let hasReady = false;
    let budget = EXPIRIES_PER_TURN;
    for (const backlog of this.#levels.backlogs) {
      for (;;) {
        const entry = backlog.peek();
        if (entry === undefined) {
          if (backlog.count > 0) backlog.pageIn();
          break;
        }
        const endsAtMs = this.#headEndsAtMs(entry);
        if (endsAtMs > nowMs || budget === 0) {
          nextMs = Math.min(nextMs, endsAtMs);
          break;
        }
        budget -= 1;
        backlog.shift();
        this.#endHead(backlog, entry, nowMs);
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
  }

  /** Ends what has passed an age limit out of the order of publishing. */
  #endStrays(nowMs: number): void {
    const ages = this.#ages;
    for (let stray = ages.takeDue(nowMs); stray !== undefined; stray = ages.takeDue(nowMs)) {
      const backlog = this.#levels.at(stray.level);
      // A leased one is not there: its lease, or its return, ends it.
      backlog.takeOut(stray.sequence, (entry) => {
        if (this.isDeleted || this.#endByAge(backlog, entry, this.host.nowMs())) return;
        entry.state = ENTRY_READY;
        backlog.putBack(entry);
      });
    }
  }

  /** Asks to be woken for whatever is due next besides the heads. */
  #wakeForNext(): void {
    this.wake(this.#line.nextMs);
    this.wake(this.#ages.nextMs);
    this.wake(this.#leases?.nextMs ?? Infinity);
    this.wake(this.#parking?.nextMs ?? Infinity);
  }

  #restoreLeases(level: number, backlog: Backlog, sequences: readonly number[]): void {
    const leases = this.#leased();
    this.#unackedCount += sequences.length;
    for (const sequence of sequences) leases.expect(level, sequence);
    const isWanted = () => !this.isDeleted;
    readLeased(this.host.store, backlog.id, sequences, isWanted, (sequence, entry) => {
      if (!leases.isExpected(level, sequence)) return;
      if (entry === undefined) {
        this.#unackedCount -= 1;
      } else {
        entry.state = ENTRY_LEASED;
        entry.isRedelivered = true;
        entry.generation = 1;
        leases.grant(entry, entry.leaseUntilMs);
        leases.name(level, entry);
        this.wake(leases.nextMs);
      }
      leases.arrived(level, sequence);
    });
  }

  #leased(): Leases {
    this.#leases ??= new Leases((entry) =>
      Math.min(entry.leaseUntilMs, this.#ages.retentionEndMs(entry.message.publishedAtMs)),
    );
    return this.#leases;
  }

  #isDurableFor(message: Message): boolean {
    return this.isDurable && (message.isPersistent || this.#isQuorum);
  }

  #delays(): DelayQueue {
    if (this.#delayed === undefined) {
      const id = this.id + DELAYED_ID_OFFSET;
      const dropped = (message: Message) => this.tracer?.expired(message, undefined);
      this.#delayed = new DelayQueue(id, this.host, (m) => this.#release(m), { dropped });
      this.#delayed.setRetention(this.settings.retentionMs);
    }
    return this.#delayed;
  }

  /** A delayed message is due. */
  #release(message: Message): void {
    const fate = this.#ages.fate(message, this.host.nowMs());
    if (fate !== 'stays') {
      this.tracer?.expired(message, undefined);
      if (fate === 'dead-letter') this.host.deadLetter(this, message, 'expired');
      return;
    }
    this.#append(message, this.host.nowMs(), false);
    if (this.settings.overflow === 'drop-head' && this.#isOver()) this.#trim();
  }

  #parkingLot(): Parking {
    this.#parking ??= new Parking(this.id, this.host, this.settings.rewindMs ?? 0);
    return this.#parking;
  }

  /** Keeps a message that is being settled for the rewind window, when there is one. */
  #park(backlog: Backlog, entry: Entry): void {
    if ((this.settings.rewindMs ?? 0) === 0) return;
    const parking = this.#parkingLot();
    parking.park(entry, this.#idOf(backlog, entry));
    this.wake(parking.nextMs);
  }

  #inspector(): QueueInspector {
    return new QueueInspector({
      id: this.id,
      host: this.host,
      backlogs: this.#levels.backlogs,
      delayed: this.#delayed,
      parking: this.#parking,
      leases: this.#leases,
    });
  }

  #idOf(backlog: Backlog, entry: Entry): string {
    return entryId(this.host, this.id, backlog.id - this.id, entry);
  }

  #isOver(): boolean {
    return isOverLimit(this.settings, this.readyCount, this.readyBytes);
  }

  #isHeapFull(): boolean {
    const { heapMax } = this.settings;
    if (heapMax === undefined) return false;
    return this.readyCount + this.#unackedCount + this.delayedCount >= heapMax;
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

  /** True when the hand-over that just ended was the last that the delivery limit allows. */
  #isSpent(entry: Entry): boolean {
    const limit = this.settings.deliveryLimit;
    if (limit < 0 || entry.receiveCount <= limit) return false;
    return rewoundCount(this.host, entry.message) === undefined;
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
    this.#record(backlog, entry);
    return false;
  }

  /** Wall ms at which a limit ends an entry at the head. */
  #headEndsAtMs(entry: Entry): number {
    if (!this.#ages.isSet) return entry.expiresAtMs;
    return Math.min(entry.expiresAtMs, this.#ages.deadlineMs(entry.message.publishedAtMs));
  }

  #endHead(backlog: Backlog, entry: Entry, nowMs: number): void {
    if (this.#ages.isSet && this.#endByAge(backlog, entry, nowMs)) return;
    this.#die(backlog, entry, 'expired');
  }

  /** Ends an entry that has left the backlog when an age limit says so. */
  #endByAge(backlog: Backlog, entry: Entry, nowMs: number): boolean {
    const fate = this.#ages.fate(entry.message, nowMs);
    if (fate === 'stays') return false;
    if (fate === 'dead-letter') {
      this.#die(backlog, entry, 'expired');
    } else {
      this.tracer?.expired(entry.message, this.#idOf(backlog, entry));
      this.#end(backlog, entry);
    }
    return true;
  }

  /** Dead-letters and removes in one run. The entry has left the backlog already. */
  #die(backlog: Backlog, entry: Entry, reason: DeathReason): void {
    let { message } = entry;
    if (this.settings.countsReceives === true) {
      const id = this.#idOf(backlog, entry);
      message = withOrigin(this.host, entry, id, this.name);
      this.tracer?.died(entry, id, reason);
    }
    this.host.deadLetter(this, message, reason);
    this.#end(backlog, entry);
  }

  /** Forgets an entry for good, here and in the store. */
  #end(backlog: Backlog, entry: Entry): void {
    entry.state = ENTRY_SETTLED;
    this.#leases?.end(backlog.id - this.id, entry);
    if (entry.notBeforeMs > 0) this.#ages.forget(backlog.id - this.id, entry);
    if (entry.storeState !== STORE_NONE) this.host.store.settle(backlog.id, entry);
  }
}
