/**
 * The queue that forgets what is settled: classic and quorum, and every CMQ queue.
 *
 *            publish               deliver, get, receive         acknowledge, reject
 *   (none) -----------> READY ----------------------------> LEASED --------------> SETTLED
 *     |       |         ^ ^ |                                 |                       |
 *     |REFUSED|         | | +-- TTL, maxlen, age --> dead     +-- retention,          | rewind
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
 *     and is on disk, and none is above the delivery limit of now; elsewhere failures only.
 *
 * Priorities are levels, each a backlog of its own (priority-levels.ts); overflow drops from the
 * head like delivery takes from it, so the highest level loses first (RabbitMQ).
 */
import { DELIVERIES_PER_TURN, EXPIRIES_PER_TURN } from '../../base/limits.ts';
import type { Entry, Message } from '../message.ts';
import { ENTRY_LEASED, ENTRY_SETTLED } from '../message.ts';
import type { RecoveredQueue } from '../ports.ts';
import type { Backlog } from './backlog.ts';
import type { Consumer } from './consumer.ts';
import type { DelayQueue } from './delay-queue.ts';
import { EntryLife } from './entry-life.ts';
import { Intake } from './intake.ts';
import type { LeaseHandle } from './leases.ts';
import { LengthLimit } from './length-limit.ts';
import type { PriorityLevels } from './priority-levels.ts';
import type { QueueHost, QueueOptions } from './queue.ts';
import { Queue } from './queue.ts';
import type { FoundEntry } from './queue-inspector.ts';
import { QueueInspector } from './queue-inspector.ts';
import type { QueueTracer } from './queue-tracer.ts';
import { Receive, ReceiveLine } from './receive.ts';
import { rewindWindowMs } from './settings.ts';

export class ClassicQueue extends Queue {
  readonly #life: EntryLife;
  readonly #limit: LengthLimit;
  readonly #intake: Intake;
  readonly #line: ReceiveLine;
  /** A receive got the last entry: a consumer's turn. */
  #wasReceive: boolean;
  #isDelivering: boolean;
  constructor(options: QueueOptions, host: QueueHost) {
    super(options, host);
    this.#life = new EntryLife(this, host, (atMs) => this.wake(atMs));
    this.#limit = new LengthLimit(this, host, this.#life);
    this.#intake = new Intake(this, host, this.#life, this.#limit, this.consumers);
    this.#line = new ReceiveLine();
    this.#wasReceive = false;
    this.#isDelivering = false;
  }

  /** Told what happens to each message, while somebody wants to know. */
  set tracer(tracer: QueueTracer | undefined) {
    this.#life.tracer = tracer;
  }

  override restore(level: number, recovered: RecoveredQueue): void {
    this.#life.restore(level, recovered);
    // Whether a TTL waits in there is only known once its head is read.
    if (recovered.liveCount === 0) return;
    this.#intake.mayExpire = true;
    this.host.markDirty(this);
  }

  /** Takes over the delayed entries the last process left. */
  restoreDelayed(recovered: RecoveredQueue): void {
    this.#intake.delays().restore(recovered);
  }

  /** Takes over the rewindable messages the last process left. */
  restoreParked(recovered: RecoveredQueue): void {
    this.#life.restoreParked(recovered);
    this.#wakeForNext();
  }

  get #levels(): PriorityLevels {
    return this.#life.levels;
  }

  /** Messages not ready yet. */
  get delayedCount(): number {
    return (this.delayed?.count ?? 0) + (this.#life.retries?.count ?? 0);
  }

  /** The messages not ready yet; undefined when there never were any. */
  get delayed(): DelayQueue | undefined {
    return this.#intake.delayed;
  }

  /** Settled messages that can be had back. */
  get rewindableCount(): number {
    return this.#life.parking?.count ?? 0;
  }

  override get readyCount(): number {
    return this.#levels.count;
  }

  override get readyBytes(): number {
    return this.#levels.bodyBytes;
  }

  override get unackedCount(): number {
    return this.#life.unackedCount;
  }

  /** Id of the message published last; it lies here, or has left again. */
  get lastMessageId(): string {
    return this.#intake.lastMessageId;
  }

  override publish(message: Message): number {
    return this.#intake.publish(message);
  }

  /** Appends a message that is ready at `dueAtMs`. Its TTL begins then, its age now. */
  publishDelayed(message: Message, dueAtMs: number): number {
    return this.#intake.delay(message, dueAtMs, true);
  }

  /** Transient messages dropped for want of a reader, or of a quick one. */
  get droppedTransientCount(): number {
    return this.#intake.droppedTransientCount;
  }

  /** Leases with a deadline, a share of stale ones among them. */
  get leaseCount(): number {
    return this.#life.leases?.count ?? 0;
  }

  /** Wall ms of the earliest lease deadline, possibly a stale one; Infinity without any. */
  get nextLeaseMs(): number {
    return this.#life.leases?.nextMs ?? Infinity;
  }

  /** Gives a delivery until `untilMs`: extends or shortens its lease; a past time ends it. */
  lease(entry: Entry, untilMs: number): void {
    if (untilMs <= this.host.nowMs()) {
      this.requeue(entry, true);
      return;
    }
    if (entry.state === ENTRY_LEASED) this.#life.extend(entry, untilMs);
  }

  /** Names the present lease of an entry. */
  handleOf(entry: Entry): LeaseHandle {
    const { sequence, receiveCount } = entry;
    const epoch = this.#life.epochOf(entry);
    const level = this.#life.levelOf(this.#levels.of(entry.message));
    return { level, sequence, receiveCount, epoch };
  }

  /** The entry if that very lease is alive, else undefined; later when it is being read. */
  withLease(handle: LeaseHandle, done: (entry: Entry | undefined) => void): void {
    const { leases } = this.#life;
    if (leases === undefined) done(undefined);
    else leases.find(handle, done);
  }

  override deliver(): void {
    this.consumers.forgetGone();
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
      const ticket = backlog.mark.ticketToHandOver(entry);
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
    for (const entry of this.#line.cancel(receive)) {
      if (receive.isCounted) this.requeue(entry, false);
      else this.giveBack(entry);
    }
  }

  /** Takes back what a receive that does not count has looked at, as if it had never left. */
  giveBack(entry: Entry): void {
    if (!this.#endHandOver(entry)) return;
    this.#life.giveBack(entry);
    this.#intake.mayExpire = true;
  }

  override acknowledge(entry: Entry): void {
    if (this.#endHandOver(entry)) this.#life.settle(this.#levels.of(entry.message), entry);
  }

  override requeue(entry: Entry, countsAsFailure: boolean): void {
    if (!this.#endHandOver(entry)) return;
    this.#life.comeBack(entry, countsAsFailure);
    if (entry.expiresAtMs !== Infinity || this.#life.ages.isSet) this.#intake.mayExpire = true;
    this.host.markDirty(this);
  }

  override reject(entry: Entry): void {
    if (!this.#endHandOver(entry)) return;
    this.#life.die(this.#levels.of(entry.message), entry, 'rejected');
  }

  /** Counts the end of a hand-over; false when it is stale or the queue is gone. */
  #endHandOver(entry: Entry): boolean {
    if (entry.state !== ENTRY_LEASED) return false;
    this.#life.unackedCount -= 1;
    if (this.consumers.isHandingOver) this.host.markDirty(this);
    if (!this.isDeleted) return true;
    entry.state = ENTRY_SETTLED;
    return false;
  }

  override purge(): number {
    let count = 0;
    for (const backlog of this.#levels.backlogs) count += backlog.purge();
    const { ages, leases } = this.#life;
    if (ages.strayCount > 0) ages.forgetReady(leases?.held(), this.#levels);
    return count;
  }

  /** Removes everything: ready, leased with a deadline, delayed, rewindable. Returns how many. */
  clear(): number {
    const count = this.purge() + (this.delayed?.clear() ?? 0) + this.#life.clearHeld();
    this.#life.parking?.window.clear();
    this.#life.ages.clear();
    this.host.markDirty(this);
    return count;
  }

  /**
   * Makes what was settled and published at or after `fromMs` (wall ms) ready again, in the order
   * of publishing; `done` gets their number, later when they must be read.
   */
  rewind(fromMs: number, done: (count: number) => void): void {
    const { parking } = this.#life;
    if (parking === undefined) done(0);
    else parking.takeFrom(fromMs, (message) => this.#intake.takeBack(message), done);
  }

  /** When the oldest ready or leased message was published (wall ms), possibly after a read. */
  oldest(done: (publishedAtMs: number | undefined) => void): void {
    const { ages, leases } = this.#life;
    this.#inspector().oldest(leases?.held() ?? [], ages.oldestStrayMs, done);
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
    return this.#life.idOf(this.#levels.of(entry.message), entry);
  }

  override settleMark(): void {
    for (const backlog of this.#levels.backlogs) backlog.mark.settle();
  }

  protected override expire(nowMs: number): void {
    this.#intake.mayExpire = true;
    this.#line.expire(nowMs);
    this.#endLeases(nowMs);
    this.#life.endStrays(nowMs);
    this.#life.retry(nowMs);
    this.#expireHeads(nowMs);
    this.#life.parking?.window.expire(nowMs);
    this.#wakeForNext();
  }

  protected override dropEntries(): void {
    for (const backlog of this.#levels.backlogs) backlog.drop();
    this.delayed?.drop();
    this.#life.parking?.window.drop();
    this.#life.leases?.clear();
    this.#life.retries?.clear();
    this.#life.ages.clear();
    this.#line.endAll();
  }

  protected override settingsChanged(): void {
    const { settings } = this;
    const { ages } = this.#life;
    if (!ages.isSet) ages.begin(this.host.nowMs());
    ages.configure(settings);
    this.#life.leases?.rebuild();
    this.delayed?.setRetention(settings.retentionMs);
    this.#life.parking?.window.setWindow(rewindWindowMs(settings));
    if (ages.isSet || settings.countsReceives === true) this.#intake.mayExpire = true;
    this.#wakeForNext();
    if (settings.overflow === 'drop-head' && this.#limit.isOver) this.#limit.trim();
  }

  /**
   * The oldest entry of a level that may still be delivered; ends those before it, a turn's share
   * of them: undefined also when more are left.
   */
  #oldest(backlog: Backlog, nowMs: number): Entry | undefined {
    for (let budget = EXPIRIES_PER_TURN; ; ) {
      const entry = backlog.peek();
      if (entry === undefined) {
        if (backlog.count > 0 && this.#hasTaker()) backlog.pageIn();
        return undefined;
      }
      if (this.#life.headEndsAtMs(entry) > nowMs || this.#isFresh(backlog, entry)) return entry;
      if (budget === 0) {
        this.host.markDirty(this);
        return undefined;
      }
      budget -= 1;
      backlog.shift();
      this.#life.endHead(backlog, entry, nowMs);
    }
  }

  #hasTaker(): boolean {
    return this.#line.count > 0 || this.consumers.hasCredit();
  }

  /** A TTL of 0 waits for one chance of delivery; an age limit has passed for good. */
  #isFresh(backlog: Backlog, entry: Entry): boolean {
    return entry.sequence >= backlog.freshFrom && !this.#life.ages.isSet;
  }

  #handTo(consumer: Consumer, backlog: Backlog, entry: Entry): void {
    this.#life.stamp(backlog, entry, undefined, false, consumer);
    if (consumer.noAck) {
      entry.state = ENTRY_SETTLED;
      consumer.deliver(this, entry);
      this.#life.settle(backlog, entry);
      return;
    }
    entry.state = ENTRY_LEASED;
    this.#life.unackedCount += 1;
    consumer.deliver(this, entry);
  }

  #leaseTo(receive: Receive, backlog: Backlog, entry: Entry): void {
    if (receive.isCounted) {
      this.#life.stamp(backlog, entry, receive.visibilityMs, receive.isByHandle);
    } else this.#life.lend(backlog, entry, receive.visibilityMs);
    entry.state = ENTRY_LEASED;
    this.#life.unackedCount += 1;
    this.#line.give(receive, entry);
  }

  /** Leases the oldest entry for a get; undefined when there is none in memory. */
  #take(nowMs: number): Entry | undefined {
    for (;;) {
      const backlog = this.#levels.top();
      if (backlog === undefined) return undefined;
      const entry = this.#oldest(backlog, nowMs);
      if (entry === undefined && backlog.count === 0) continue;
      if (entry === undefined || backlog.mark.ticketToHandOver(entry) > 0) return undefined;
      backlog.shift();
      this.#life.stamp(backlog, entry, undefined, false);
      entry.state = ENTRY_LEASED;
      this.#life.unackedCount += 1;
      // What is next now may have been received too often, or have expired behind this one.
      if (this.settings.countsReceives === true || this.#intake.mayExpire) {
        this.host.markDirty(this);
      }
      return entry;
    }
  }

  /** What must follow every pass: TTL, read-ahead, letting go of what is committed. */
  #afterDeliver(nowMs: number): void {
    if (this.#intake.mayExpire) this.#expireHeads(nowMs);
    this.#limit.resume();
    const hasTakers = this.consumers.count > 0 || this.#line.count > 0;
    for (const backlog of this.#levels.backlogs) {
      backlog.freshFrom = backlog.nextSequence;
      backlog.maintain();
      if (hasTakers) backlog.pageIn();
    }
  }

  #expireHeads(nowMs: number): void {
    const nextMs = this.#life.endHeads(nowMs);
    this.#intake.mayExpire = this.readyCount > 0;
    this.wake(nextMs);
  }

  #endLeases(nowMs: number): void {
    for (let budget = EXPIRIES_PER_TURN; budget > 0; budget -= 1) {
      const entry = this.#life.leases?.takeExpired(nowMs);
      if (entry === undefined) return;
      this.requeue(entry, true);
    }
  }

  /** Asks to be woken for whatever is due next besides the heads. */
  #wakeForNext(): void {
    const { leases, nextStrayMs, parking, retries } = this.#life;
    const others = Math.min(retries?.nextMs ?? Infinity, parking?.nextMs ?? Infinity);
    this.wake(Math.min(this.#line.nextMs, leases?.nextMs ?? Infinity, nextStrayMs, others));
  }

  #inspector(): QueueInspector {
    return new QueueInspector({
      id: this.id,
      host: this.host,
      backlogs: this.#levels.backlogs,
      delayed: this.delayed,
      parking: this.#life.parking,
      leases: this.#life.leases,
    });
  }
}
