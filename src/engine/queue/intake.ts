/**
 * The way into a queue: limits, delay, the place a message gets.
 */
import { DELAY_HEADER, delayFrom, mayAskForDelay } from '../delay-header.ts';
import type { Message } from '../message.ts';
import type { ConsumerSet } from './consumer-set.ts';
import { DelayQueue } from './delay-queue.ts';
import { idOf, withId, withOrigin } from './entry-headers.ts';
import type { EntryLife } from './entry-life.ts';
import type { LengthLimit } from './length-limit.ts';
import { DELAYED_KIND, placeId, READY_KIND } from './message-id.ts';
import { hasLengthLimit } from './overflow.ts';
import type { Queue, QueueHost } from './queue.ts';
import { ENQUEUED, ENQUEUED_DURABLE, REFUSED } from './queue.ts';
import type { QueueSettings } from './settings.ts';

/** Store id of the delayed entries, above those of the 256 priority levels. */
export const DELAYED_ID_OFFSET = 256;

export class Intake {
  readonly #queue: Queue;
  readonly #host: QueueHost;
  readonly #life: EntryLife;
  readonly #limit: LengthLimit;
  readonly #consumers: ConsumerSet;
  #droppedTransientCount: number;
  /** Some ready entry may have a TTL or an age limit. */
  mayExpire: boolean;
  /** Made by the first delayed message. */
  #delayed: DelayQueue | undefined;
  /** Where the message published last lies. */
  #lastKind: number;
  #lastLevel: number;
  #lastSequence: number;

  constructor(
    queue: Queue,
    host: QueueHost,
    life: EntryLife,
    limit: LengthLimit,
    consumers: ConsumerSet,
  ) {
    this.#queue = queue;
    this.#host = host;
    this.#life = life;
    this.#limit = limit;
    this.#consumers = consumers;
    this.#droppedTransientCount = 0;
    this.mayExpire = false;
    this.#delayed = undefined;
    this.#lastKind = READY_KIND;
    this.#lastLevel = 0;
    this.#lastSequence = 0;
  }

  /** The messages not ready yet; undefined when there never were any. */
  get delayed(): DelayQueue | undefined {
    return this.#delayed;
  }

  /** Transient messages dropped for want of a reader, or of a quick one. */
  get droppedTransientCount(): number {
    return this.#droppedTransientCount;
  }

  /** Id of the message taken last by its place. */
  get lastMessageId(): string {
    return placeId(this.#queue.id, this.#lastKind, this.#lastLevel, this.#lastSequence);
  }

  /** Returns ENQUEUED, ENQUEUED_DURABLE or REFUSED. */
  publish(message: Message): number {
    const { settings } = this.#queue;
    if (!message.isPersistent && settings.transientReadyMax !== undefined) {
      if (this.#dropsTransient(settings)) return ENQUEUED;
    }
    const hasLimit = hasLengthLimit(settings);
    if (hasLimit && settings.overflow !== 'drop-head') {
      if (this.#limit.isFullFor(message)) return this.#refuse(message);
    }
    const askedMs = settings.countsReceives === true ? this.#delayAskedBy(message) : 0;
    if (askedMs > 0) {
      const kept = this.#host.withHeaders(message, [[DELAY_HEADER, -askedMs]]);
      return this.delay(kept, message.publishedAtMs + askedMs, true);
    }
    if (settings.delayMs !== undefined && settings.delayMs > 0) {
      const dueAtMs = message.publishedAtMs + settings.delayMs;
      return this.delay(message, dueAtMs, settings.countsReceives === true);
    }
    if (settings.heapMax !== undefined && this.#isFull(settings.heapMax, message)) return REFUSED;
    const taken = this.#append(message, message.publishedAtMs, hasLimit, false);
    this.#life.tracer?.sent(message, this.lastMessageId, this.#host.nowMs());
    return taken;
  }

  /**
   * Takes a message that is ready at `dueAtMs`. Its TTL begins then, its age now.
   *
   * @param isNamed it keeps its id when it is ready, in a header
   */
  delay(message: Message, dueAtMs: number, isNamed: boolean): number {
    const { settings } = this.#queue;
    if (settings.heapMax !== undefined && this.#isFull(settings.heapMax, message)) return REFUSED;
    const delays = this.delays();
    this.#lastKind = DELAYED_KIND;
    this.#lastLevel = 0;
    this.#lastSequence = delays.nextSequence;
    const named = isNamed ? withId(this.#host, message, this.lastMessageId) : message;
    this.#life.tracer?.sent(named, this.lastMessageId, dueAtMs);
    return delays.publish(named, dueAtMs, this.#isDurableFor(message));
  }

  /** Makes a message that had been settled ready again. */
  takeBack(message: Message): void {
    this.#append(message, this.#host.nowMs(), false, true);
    this.#life.tracer?.rewound(message);
  }

  /** Appends a message that is ready; its TTL began at `readyAtMs`. */
  #append(message: Message, readyAtMs: number, hasLimit: boolean, isRewound: boolean): number {
    const { settings } = this.#queue;
    let ttlMs = message.expirationMs;
    const queueTtlMs = settings.messageTtlMs;
    if (queueTtlMs !== undefined && (ttlMs < 0 || queueTtlMs < ttlMs)) ttlMs = queueTtlMs;
    if (ttlMs >= 0 || this.#life.ages.isSet) this.mayExpire = true;
    const expiresAtMs = ttlMs < 0 ? Infinity : readyAtMs + ttlMs;
    const isDurable = this.#isDurableFor(message);
    const backlog = this.#life.levels.of(message);
    const entry = this.#life.push(backlog, message, expiresAtMs, isDurable, isRewound);
    this.#lastKind = READY_KIND;
    this.#lastLevel = this.#life.levelOf(backlog);
    this.#lastSequence = entry.sequence;
    if (!this.#queue.isDirty) this.#host.markDirty(this.#queue);
    if (hasLimit && this.#limit.isOver) this.#limit.trim();
    return isDurable ? ENQUEUED_DURABLE : ENQUEUED;
  }

  /** The messages not ready yet. */
  delays(): DelayQueue {
    if (this.#delayed === undefined) {
      const id = this.#queue.id + DELAYED_ID_OFFSET;
      const dropped = (message: Message) => this.#life.tracer?.expired(message, undefined);
      this.#delayed = new DelayQueue(id, this.#host, (m) => this.#release(m), { dropped });
      this.#delayed.setRetention(this.#queue.settings.retentionMs);
    }
    return this.#delayed;
  }

  /** A delayed message is due. */
  #release(message: Message): void {
    const nowMs = this.#host.nowMs();
    const fate = this.#life.ages.fate(message, false, nowMs);
    if (fate === 'stays') {
      this.#append(message, nowMs, false, false);
      const isDropping = this.#queue.settings.overflow === 'drop-head';
      if (isDropping && this.#limit.isOver) this.#limit.trim();
      return;
    }
    this.#life.tracer?.expired(message, undefined);
    if (fate === 'dead-letter') this.#die(message);
  }

  /** Dead-letters a message whose age has passed the limit while it was delayed. */
  #die(message: Message): void {
    const { name } = this.#queue;
    const id = idOf(this.#host, message) ?? '';
    const dead = withOrigin(this.#host, message, id, name, 0);
    this.#host.deadLetter(this.#queue, dead, 'expired');
  }

  #dropsTransient(settings: QueueSettings): boolean {
    const isAbsent = settings.dropsTransientWhenIdle === true && this.#queue.consumerCount === 0;
    // While a consumer takes what it gets, the backlog is of this turn's making.
    const isSlow =
      this.#queue.readyCount >= settings.transientReadyMax! && !this.#consumers.hasCredit();
    if (!isAbsent && !isSlow) return false;
    this.#droppedTransientCount += 1;
    return true;
  }

  /** Ms; goes before the queue's own, as `delaySeconds` does. What died elsewhere asks nothing. */
  #delayAskedBy(message: Message): number {
    if (message.isDeadLetter || !mayAskForDelay(message)) return 0;
    return delayFrom(this.#host.headersOf(message));
  }

  #refuse(message: Message): number {
    if (this.#queue.settings.overflow === 'reject-publish-dlx') {
      this.#host.deadLetter(this.#queue, message, 'maxlen');
    }
    return REFUSED;
  }

  /** Messages in all states count. A dead letter is taken: nobody could be told it was refused. */
  #isFull(heapMax: number, message: Message): boolean {
    if (message.isDeadLetter) return false;
    const { readyCount, unackedCount } = this.#queue;
    const waiting = (this.#delayed?.count ?? 0) + (this.#life.retries?.count ?? 0);
    return readyCount + unackedCount + waiting >= heapMax;
  }

  #isDurableFor(message: Message): boolean {
    const { isDurable, settings } = this.#queue;
    return isDurable && (message.isPersistent || settings.queueType === 'quorum');
  }
}
