/**
 * The life of an entry in a queue once it is published: what ends it, what counts, what is kept.
 *
 * A queue decides who gets what and when; the rules of a single entry stand here: its age, its
 * leases, its counts, the record of them on disk, dead-lettering, parking for a rewind. Removal and
 * what follows from it (dead letter, parked copy) happen in one synchronous run.
 *
 * Leases by handle are on disk and last over a restart; those of a connection end with it.
 */
import { EXPIRIES_PER_TURN, VISIBILITY_MS_DEFAULT } from '../../base/limits.ts';
import type { Entry, Message } from '../message.ts';
import { ENTRY_READY, ENTRY_SETTLED, STORE_NONE } from '../message.ts';
import type { RecoveredQueue } from '../ports.ts';
import { AgeLimits, type Stray } from './age-limits.ts';
import type { Backlog } from './backlog.ts';
import {
  rewoundCount,
  withoutRewound,
  withAcquiredCount,
  withFailureCount,
  withOrigin,
  withReceipt,
} from './entry-headers.ts';
import { encodeLease, isToldByPut, leaseEpoch } from './lease-record.ts';
import { Leases } from './leases.ts';
import { Parking } from './parking.ts';
import { PriorityLevels } from './priority-levels.ts';
import { RangeSettler } from './range-settler.ts';
import type { DeathReason, Queue, QueueHost } from './queue.ts';
import { entryId } from './queue-inspector.ts';
import type { Consumer } from './consumer.ts';
import type { QueueTracer } from './queue-tracer.ts';
import { readLeased } from './restored-leases.ts';
import { RetryDelays, retryDelayMs } from './retry-delays.ts';
import { rewindWindowMs } from './settings.ts';

export class EntryLife {
  readonly levels: PriorityLevels;
  readonly ages: AgeLimits;
  readonly #queue: Queue;
  readonly #host: QueueHost;
  readonly #isQuorum: boolean;
  readonly #wake: (atMs: number) => void;
  /** Deliveries awaiting settlement. */
  unackedCount: number;
  /** Told what happens to each message, while somebody wants to know. */
  tracer: QueueTracer | undefined;
  /** Strays that are being read. */
  #strayReadCount: number;
  /** Made by the first lease with a deadline. */
  #leases: Leases | undefined;
  /** Made by the first delivery that is to wait before it is tried again. */
  #retries: RetryDelays | undefined;
  /** Made by the first message settled while there is a rewind window. */
  #parking: Parking | undefined;

  /** @param wake asks for the queue's `tick` at a wall ms */
  constructor(queue: Queue, host: QueueHost, wake: (atMs: number) => void) {
    const { settings } = queue;
    this.levels = new PriorityLevels(queue.id, settings, host, () => host.markDirty(queue));
    this.ages = new AgeLimits(settings);
    this.#queue = queue;
    this.#host = host;
    this.#isQuorum = settings.queueType === 'quorum';
    this.#wake = wake;
    this.unackedCount = 0;
    this.tracer = undefined;
    this.#strayReadCount = 0;
    this.#leases = undefined;
    this.#retries = undefined;
    this.#parking = undefined;
  }

  /** Leases with a deadline, when there ever were any. */
  get leases(): Leases | undefined {
    return this.#leases;
  }

  /** Start of the gateway that gave the entry's lease. */
  epochOf(entry: Entry): number {
    return this.#leases?.epochOf(entry) ?? leaseEpoch(this.#host.epoch);
  }

  /** Returned deliveries that wait, when there ever were any. */
  get retries(): RetryDelays | undefined {
    return this.#retries;
  }

  /** The rewindable messages, when there ever were any. */
  get parking(): Parking | undefined {
    return this.#parking;
  }

  /** Takes over what the last process left of a level. */
  restore(level: number, recovered: RecoveredQueue): void {
    const backlog = this.levels.at(level);
    const nowMs = this.#host.nowMs();
    // A lease that has ended meanwhile too: its end may be the last that is allowed.
    const sequences = recovered.leased.map(({ sequence }) => sequence);
    backlog.restore(recovered, sequences);
    this.ages.begin(nowMs);
    for (const { sequence, notBeforeMs } of recovered.delayed) {
      // Whether it was rewound is known when it is read.
      const publishedAtMs = notBeforeMs;
      this.ages.add({ level, sequence, publishedAtMs, isRewound: false, isUnread: true });
    }
    if (sequences.length > 0) this.#restoreLeases(level, backlog, sequences);
  }

  restoreParked(recovered: RecoveredQueue): void {
    this.#parkingLot().restore(recovered);
  }

  levelOf(backlog: Backlog): number {
    return backlog.id - this.#queue.id;
  }

  idOf(backlog: Backlog, entry: Entry): string {
    return entryId(this.#host, this.#queue.id, this.levelOf(backlog), entry);
  }

  /** @param isRewound back from the rewind window */
  push(
    backlog: Backlog,
    message: Message,
    expiresAtMs: number,
    isDurable: boolean,
    isRewound: boolean,
  ): Entry {
    const { ages } = this;
    const { publishedAtMs } = message;
    const isStray = ages.isSet && ages.isStray(publishedAtMs, this.#host.nowMs(), this.#isEmpty);
    if (!isStray && !isRewound) return backlog.push(message, expiresAtMs, isDurable);
    // Among strays the header is believed: here, and when they are read from disk.
    const marked = isRewound ? message : withoutRewound(this.#host, message);
    const entry = backlog.push(marked, expiresAtMs, isDurable, publishedAtMs);
    if (isRewound) entry.receiveCount = rewoundCount(this.#host, message) ?? 0;
    const level = this.levelOf(backlog);
    ages.add({ level, sequence: entry.sequence, publishedAtMs, isRewound });
    this.#wake(ages.nextMs);
    return entry;
  }

  /** Notes a hand-over, gives it its deadline, and tells it in headers to whoever reads those. */
  stamp(
    backlog: Backlog,
    entry: Entry,
    visibilityMs: number | undefined,
    isByHandle: boolean,
    consumer?: Consumer,
  ): void {
    const { settings } = this.#queue;
    backlog.mark.note(entry.sequence);
    entry.generation += 1;
    entry.holder = '';
    const isCounted = isByHandle || settings.countsReceives === true;
    if (isCounted) this.#countReceive(backlog, entry, isByHandle);
    else if (entry.isRedelivered && this.#isQuorum) {
      entry.message = withAcquiredCount(this.#host, entry);
    } else if (entry.receiveCount > 0) entry.message = withFailureCount(this.#host, entry);
    this.#grant(entry, visibilityMs, isByHandle);
    if (isByHandle) this.#makeLeases().name(this.levelOf(backlog), entry);
    if (isCounted || isToldByPut(entry)) this.record(backlog, entry);
    if (isCounted) this.tracer?.received(entry, this.idOf(backlog, entry), isByHandle, consumer);
  }

  /** Hands an entry over to somebody who looks at it: no receive, unless it is settled. */
  lend(backlog: Backlog, entry: Entry, visibilityMs: number | undefined): void {
    backlog.mark.note(entry.sequence);
    entry.generation += 1;
    this.#grant(entry, visibilityMs, false);
    if (isToldByPut(entry)) this.record(backlog, entry);
  }

  /** What was lent comes back. */
  giveBack(entry: Entry): void {
    const backlog = this.levels.of(entry.message);
    entry.generation -= 1;
    this.#endLease(backlog, entry);
    if (this.#staysByAge(backlog, entry)) this.#makeReady(backlog, entry);
  }

  /** Gives a hand-over its deadline, if it has one. */
  #grant(entry: Entry, visibilityMs: number | undefined, isByHandle: boolean): void {
    let leaseMs = visibilityMs ?? this.#queue.settings.visibilityTimeoutMs;
    if (isByHandle) leaseMs ??= VISIBILITY_MS_DEFAULT;
    if (leaseMs === undefined && !this.ages.isSet) return;
    const leases = this.#makeLeases();
    leases.grant(entry, leaseMs === undefined ? Infinity : this.#host.nowMs() + leaseMs);
    this.#wake(leases.nextMs);
  }

  /** Returns true when the lease had a handle. */
  #endLease(backlog: Backlog, entry: Entry): boolean {
    entry.leaseUntilMs = Infinity;
    return this.#leases?.end(this.levelOf(backlog), entry) === true;
  }

  /** False when age has ended an entry that comes back. */
  #staysByAge(backlog: Backlog, entry: Entry): boolean {
    if (!this.ages.isSet) return true;
    if (this.#endByAge(backlog, entry, this.#host.nowMs())) return false;
    // Its time may have been looked at, to no effect, while it was leased.
    if (entry.notBeforeMs > 0) this.#addStray(backlog, entry);
    return true;
  }

  /** Gives a leased entry until `untilMs`, which is to come. */
  extend(entry: Entry, untilMs: number): void {
    const leases = this.#makeLeases();
    leases.grant(entry, untilMs);
    const backlog = this.levels.of(entry.message);
    const isOnDisk = leases.hasHandle(this.levelOf(backlog), entry);
    if (isOnDisk || isToldByPut(entry)) this.record(backlog, entry);
    this.#wake(leases.nextMs);
  }

  /**
   * A hand-over is over and the entry comes back: puts it into the backlog again, unless its age
   * or the delivery limit ends it.
   */
  comeBack(entry: Entry, countsAsFailure: boolean): void {
    const backlog = this.levels.of(entry.message);
    const hadHandle = this.#endLease(backlog, entry);
    entry.isRedelivered = true;
    if (!this.#staysByAge(backlog, entry)) return;
    if (hadHandle || this.#queue.settings.countsReceives === true) {
      if (this.#isSpent(entry)) {
        this.die(backlog, entry, 'delivery_limit');
        return;
      }
      this.record(backlog, entry);
      this.tracer?.released(entry, this.idOf(backlog, entry));
    } else if (countsAsFailure && this.#countFailure(backlog, entry)) return;
    const delayMs = retryDelayMs(this.#queue.settings, entry, countsAsFailure);
    if (delayMs > 0) this.#retryAfter(entry, delayMs);
    else this.#makeReady(backlog, entry);
  }

  /** Makes ready what has waited long enough to be tried again, a turn's share of it. */
  retry(nowMs: number): void {
    for (let budget = EXPIRIES_PER_TURN; budget > 0; budget -= 1) {
      const entry = this.#retries?.takeDue(nowMs);
      if (entry === undefined) return;
      this.#makeReady(this.levels.of(entry.message), entry);
    }
  }

  /** Settles an entry: consumed. */
  settle(backlog: Backlog, entry: Entry): void {
    if (rewindWindowMs(this.#queue.settings) > 0) {
      const parking = this.#parkingLot();
      parking.park(entry, this.idOf(backlog, entry));
      this.#wake(parking.nextMs);
    }
    this.tracer?.deleted(entry, this.idOf(backlog, entry));
    this.end(backlog, entry);
  }

  /** Wall ms at which a limit ends an entry at the head; 0: at once. */
  headEndsAtMs(entry: Entry): number {
    if (entry.receiveCount > 0 && this.#isUsedUp(entry)) return 0;
    if (!this.ages.isSet) return entry.expiresAtMs;
    const { publishedAtMs } = entry.message;
    const deadlineMs = this.ages.deadlineMs(publishedAtMs, this.#isRewound(entry));
    return Math.min(entry.expiresAtMs, deadlineMs);
  }

  /** Ends an entry that a limit ends now and that has left the backlog. */
  endHead(backlog: Backlog, entry: Entry, nowMs: number): void {
    if (this.ages.isSet && this.#endByAge(backlog, entry, nowMs)) return;
    this.die(backlog, entry, entry.expiresAtMs <= nowMs ? 'expired' : 'delivery_limit');
  }

  /** Ends what is due at the heads, a turn's share of it. Returns when to look again (wall ms). */
  endHeads(nowMs: number): number {
    let nextMs = Infinity;
    let budget = EXPIRIES_PER_TURN;
    for (const backlog of this.levels.backlogs) {
      for (;;) {
        const entry = backlog.peek();
        if (entry === undefined) {
          if (backlog.count > 0) backlog.pageIn();
          break;
        }
        const endsAtMs = this.headEndsAtMs(entry);
        if (endsAtMs > nowMs || budget === 0) {
          nextMs = Math.min(nextMs, endsAtMs);
          break;
        }
        budget -= 1;
        backlog.shift();
        this.endHead(backlog, entry, nowMs);
      }
    }
    return nextMs;
  }

  /** Wall ms at which strays are to be looked at; not while as many as may be are being read. */
  get nextStrayMs(): number {
    return this.#strayReadCount < EXPIRIES_PER_TURN ? this.ages.nextMs : Infinity;
  }

  /** Ends what has passed an age limit out of the order of publishing, a turn's share of it. */
  endStrays(nowMs: number): void {
    for (let budget = EXPIRIES_PER_TURN; budget > 0; budget -= 1) {
      const isFull = this.#strayReadCount >= EXPIRIES_PER_TURN;
      const stray = isFull ? undefined : this.ages.takeDue(nowMs);
      if (stray === undefined) return;
      this.#endStray(stray, nowMs);
    }
  }

  #endStray({ level, sequence }: Stray, nowMs: number): void {
    const backlog = this.levels.at(level);
    const resident = backlog.find(sequence);
    if (resident !== undefined && this.#isYoung(resident, nowMs)) {
      this.#addStray(backlog, resident);
      return;
    }
    this.#strayReadCount += 1;
    // A leased one is not there: its lease, or its return, ends it.
    backlog.takeOut(sequence, (entry) => {
      this.#strayReadCount -= 1;
      if (this.#queue.isDeleted) return;
      if (this.#strayReadCount === EXPIRIES_PER_TURN - 1) this.#wake(this.ages.nextMs);
      const isGone = entry === undefined || this.#endByAge(backlog, entry, nowMs);
      if (isGone) return;
      this.#addStray(backlog, entry);
      this.#makeReady(backlog, entry);
    });
  }

  #isYoung(entry: Entry, nowMs: number): boolean {
    return this.ages.fate(entry.message, this.#isRewound(entry), nowMs) === 'stays';
  }

  /** Remembers a stray again, knowing its entry. */
  #addStray(backlog: Backlog, entry: Entry): void {
    const { publishedAtMs } = entry.message;
    const isRewound = this.#isRewound(entry);
    const level = this.levelOf(backlog);
    this.ages.add({ level, sequence: entry.sequence, publishedAtMs, isRewound });
    this.#wake(this.ages.nextMs);
  }

  /** True when no message stands before one that is published now. */
  get #isEmpty(): boolean {
    return this.levels.count + this.unackedCount + (this.#retries?.count ?? 0) === 0;
  }

  /** Dead-letters and removes in one run. The entry has left the backlog already. */
  die(backlog: Backlog, entry: Entry, reason: DeathReason): void {
    let { message } = entry;
    if (this.#queue.settings.countsReceives === true) {
      const id = this.idOf(backlog, entry);
      message = withOrigin(this.#host, message, id, this.#queue.name, entry.receiveCount);
      this.tracer?.died(entry, id, reason);
    }
    this.#host.deadLetter(this.#queue, message, reason);
    this.end(backlog, entry);
  }

  /** Forgets an entry for good, here and in the store. */
  end(backlog: Backlog, entry: Entry): void {
    const level = this.levelOf(backlog);
    entry.state = ENTRY_SETTLED;
    this.#leases?.end(level, entry);
    if (entry.notBeforeMs > 0) this.ages.forget(level, entry);
    if (entry.storeState !== STORE_NONE) this.#host.store.settle(backlog.id, entry);
  }

  /** Ends what is leased with a deadline, or waits to be tried again; returns how many. */
  clearHeld(): number {
    const { store } = this.#host;
    const settler = new RangeSettler(store);
    const waiting = this.#retries?.clear() ?? [];
    for (const entry of waiting) settler.add(this.levels.of(entry.message).id, entry);
    const unackedCount = this.unackedCount;
    this.#leases?.endAll((entry) => {
      this.unackedCount -= 1;
      settler.add(this.levels.of(entry.message).id, entry);
    });
    settler.end();
    this.#leases?.cancelUnread((level, sequence) => {
      this.unackedCount -= 1;
      store.settleRange(this.#queue.id + level, sequence, sequence + 1);
    });
    return waiting.length + unackedCount - this.unackedCount;
  }

  /** Puts the entry's state on disk. A lease without a handle ends with the process. */
  record(backlog: Backlog, entry: Entry): void {
    if (entry.storeState === STORE_NONE) return;
    const { leaseUntilMs } = entry;
    const leases = this.#leases;
    const lasts = leases?.hasHandle(this.levelOf(backlog), entry) === true;
    entry.leaseUntilMs = lasts
      ? encodeLease({ untilMs: leaseUntilMs, epoch: leases.epochOf(entry) })
      : Infinity;
    this.#host.store.update(backlog.id, entry);
    entry.leaseUntilMs = leaseUntilMs;
  }

  #makeReady(backlog: Backlog, entry: Entry): void {
    entry.state = ENTRY_READY;
    backlog.putBack(entry);
    this.#host.markDirty(this.#queue);
  }

  #retryAfter(entry: Entry, delayMs: number): void {
    this.#retries ??= new RetryDelays();
    this.#retries.add(entry, this.#host.nowMs() + delayMs);
    this.#wake(this.#retries.nextMs);
  }

  #countReceive(backlog: Backlog, entry: Entry, isByHandle: boolean): void {
    entry.receiveCount += 1;
    if (entry.firstReceivedAtMs === 0) entry.firstReceivedAtMs = this.#host.nowMs();
    if (isByHandle) return;
    entry.message = withReceipt(this.#host, entry, this.idOf(backlog, entry));
  }

  /**
   * True for a ready entry that was handed over as often as the delivery limit of now allows.
   * Where failures are counted RabbitMQ's rule holds: it is handed over, and dies if it fails.
   */
  #isUsedUp(entry: Entry): boolean {
    return this.#queue.settings.countsReceives === true && this.#isSpent(entry);
  }

  /** True when the hand-over that just ended was the last that the delivery limit allows. */
  #isSpent(entry: Entry): boolean {
    const limit = this.#queue.settings.deliveryLimit;
    return limit >= 0 && entry.receiveCount > limit && !this.#isRewound(entry);
  }

  #isRewound(entry: Entry): boolean {
    return entry.notBeforeMs > 0 && rewoundCount(this.#host, entry.message) !== undefined;
  }

  /** Counts a failed delivery; true when the limit ended the entry. */
  #countFailure(backlog: Backlog, entry: Entry): boolean {
    const limit = this.#queue.settings.deliveryLimit;
    const isLimited = limit >= 0;
    if (!isLimited && !this.#isQuorum) return false;
    entry.receiveCount += 1;
    if (isLimited && entry.receiveCount > limit) {
      this.die(backlog, entry, 'delivery_limit');
      return true;
    }
    this.record(backlog, entry);
    return false;
  }

  /** Ends an entry that has left the backlog when an age limit says so. */
  #endByAge(backlog: Backlog, entry: Entry, nowMs: number): boolean {
    const fate = this.ages.fate(entry.message, this.#isRewound(entry), nowMs);
    if (fate === 'stays') return false;
    if (fate === 'dead-letter') {
      this.die(backlog, entry, 'expired');
    } else {
      this.tracer?.expired(entry.message, this.idOf(backlog, entry));
      this.end(backlog, entry);
    }
    return true;
  }

  #restoreLeases(level: number, backlog: Backlog, sequences: readonly number[]): void {
    const leases = this.#makeLeases();
    this.unackedCount += sequences.length;
    for (const sequence of sequences) leases.expect(level, sequence);
    const isWanted = () => !this.#queue.isDeleted;
    readLeased(this.#host.store, backlog.id, sequences, isWanted, (sequence, entry) => {
      if (!leases.isExpected(level, sequence)) return;
      if (entry === undefined) {
        this.unackedCount -= 1;
      } else {
        backlog.uncount(entry);
        leases.restore(level, entry);
        this.#wake(leases.nextMs);
      }
      leases.arrived(level, sequence);
    });
  }

  #makeLeases(): Leases {
    this.#leases ??= new Leases(leaseEpoch(this.#host.epoch), (entry) =>
      Math.min(entry.leaseUntilMs, this.ages.retentionEndMs(entry.message.publishedAtMs)),
    );
    return this.#leases;
  }

  #parkingLot(): Parking {
    const { settings, id } = this.#queue;
    this.#parking ??= new Parking(id, this.#host, rewindWindowMs(settings), this.#wake);
    return this.#parking;
  }
}
