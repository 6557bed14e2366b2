/**
 * Settling deliveries: basic.ack, reject, nack, recover (spec 1.8.3.13-17 and basic.nack).
 *
 * Owns the unacked ring. Inside a transaction a settlement only marks its slot, so that a rollback
 * is clearing marks; the effect and the returned credit come with the commit.
 */
import { BrokerError } from '../../src/base/errors.ts';
import type { Entry } from '../../src/engine/message.ts';
import type { Queue } from '../../src/engine/queue/queue.ts';
import type { AmqpConsumer } from './amqp-consumer.ts';
import type { PrefetchLimit } from './prefetch-limit.ts';
import { SLOT_IN_TX, SLOT_OUTSTANDING, SLOT_TIMED_OUT, UnackedRing } from './unacked-ring.ts';

/** How a delivery ends. */
export const SETTLE_ACK = 0;
/** Dead-lettered or dropped: reject or nack without requeue. */
export const SETTLE_REJECT = 1;
/** Back to its place: nack with requeue, recover. */
export const SETTLE_REQUEUE = 2;
/** Back to its place, counted as a failed delivery: reject with requeue, end of the channel. */
export const SETTLE_FAIL = 3;

/** A settlement that waits for tx.commit. */
interface BufferedSettlement {
  readonly tag: number;
  readonly how: number;
}

/** A delivery that was not settled in time, taken from the channel. */
export interface TimedOut {
  readonly entry: Entry;
  readonly queue: Queue;
  /** undefined for basic.get */
  readonly consumer: AmqpConsumer | undefined;
}

/** The deliveries of one channel that are not settled. */
export class ChannelSettle {
  readonly #unacked: UnackedRing;
  readonly #sharedLimit: PrefetchLimit;
  readonly #wakeConsumers: () => void;
  /** Settlements of the open transaction; undefined on a channel without transactions. */
  #transaction: BufferedSettlement[] | undefined;

  /** @param wakeConsumers called when the limit shared by the channel's consumers has room again */
  constructor(sharedLimit: PrefetchLimit, wakeConsumers: () => void) {
    this.#unacked = new UnackedRing();
    this.#sharedLimit = sharedLimit;
    this.#wakeConsumers = wakeConsumers;
    this.#transaction = undefined;
  }

  get unackedCount(): number {
    return this.#unacked.liveCount;
  }

  /** Enters a delivery that the client will settle; `dueAtMs` as in `UnackedRing.push`. */
  delivered(
    tag: number,
    entry: Entry,
    queue: Queue,
    consumer: AmqpConsumer | undefined,
    dueAtMs: number,
  ): void {
    this.#unacked.push(tag, entry, queue, consumer, dueAtMs);
    if (consumer === undefined) return;
    consumer.limit.used += 1;
    this.#sharedLimit.used += 1;
  }

  /**
   * Settles one delivery, or all up to `tag` when `multiple`; tag 0 with `multiple` is everything.
   *
   * @throws BrokerError PRECONDITION_FAILED when the tag is unknown or settled already
   */
  settle(tag: number, multiple: boolean, how: number): void {
    const unacked = this.#unacked;
    let index = unacked.find(tag, SLOT_OUTSTANDING);
    if (index < 0) {
      index = unacked.find(tag, SLOT_TIMED_OUT);
      if (index >= 0 && !multiple) {
        unacked.remove(index);
        return;
      }
    }
    if (index < 0) {
      if (!multiple || tag !== 0) {
        throw new BrokerError('PRECONDITION_FAILED', `unknown delivery tag ${tag}`);
      }
      index = unacked.length - 1;
    }
    if (this.#transaction !== undefined) {
      this.#buffer(multiple ? 0 : index, index, how);
      return;
    }
    if (!multiple) this.#settleAt(index, how);
    else if (index >= 0) this.#settleThrough(unacked.tagAt(index), how);
  }

  /** Gives every unsettled delivery back (basic.recover, or the end of the channel). */
  requeueAll(how: number): void {
    const unacked = this.#unacked;
    if (unacked.length > 0) this.#settleThrough(unacked.tagAt(unacked.length - 1), how);
  }

  /** Ends everything: deliveries settled in an open transaction go back as well. */
  close(): void {
    this.rollback();
    this.requeueAll(SETTLE_FAIL);
    this.#unacked.clear();
  }

  /** From now on settlements wait for `commit`. */
  beginTransaction(): void {
    this.#transaction = [];
  }

  /** Applies what the transaction settled, in order; returns how many. */
  commit(): number {
    const settlements = this.#transaction!;
    this.#transaction = [];
    for (const { tag, how } of settlements) {
      const index = this.#unacked.find(tag, SLOT_IN_TX);
      if (index >= 0) this.#settleAt(index, how);
    }
    return settlements.length;
  }

  /** Makes what the transaction settled outstanding again; nothing is redelivered. */
  rollback(): void {
    if (this.#transaction === undefined) return;
    for (const { tag } of this.#transaction) {
      const index = this.#unacked.find(tag, SLOT_IN_TX);
      if (index >= 0) this.#unacked.setState(index, SLOT_OUTSTANDING);
    }
    this.#transaction = [];
  }

  /**
   * Takes out what should be settled by now, with its credit. The caller gives the entries back to
   * their queues, and wakes the consumers.
   *
   * @param nowMs  monotonic
   */
  takeTimedOut(nowMs: number): TimedOut[] {
    const unacked = this.#unacked;
    const taken: TimedOut[] = [];
    for (let at = 0; at < unacked.length; at += 1) {
      if (!this.#isPending(at) || unacked.dueAtMsAt(at) > nowMs) continue;
      const consumer = unacked.consumerAt(at);
      taken.push({ entry: unacked.entryAt(at), queue: unacked.queueAt(at), consumer });
      unacked.timeOut(at);
      if (consumer === undefined) continue;
      consumer.limit.release();
      this.#sharedLimit.release();
    }
    return taken;
  }

  /** Monotonic ms by which the next delivery is to be settled; Infinity when none must be. */
  nextDueAtMs(): number {
    let dueAtMs = Infinity;
    for (let at = 0; at < this.#unacked.length; at += 1) {
      if (this.#isPending(at)) dueAtMs = Math.min(dueAtMs, this.#unacked.dueAtMsAt(at));
    }
    return dueAtMs;
  }

  /** True while the queue, if it still is, waits: a lease that ran out was taken back by it. */
  #isPending(index: number): boolean {
    const unacked = this.#unacked;
    const state = unacked.stateAt(index);
    if (state !== SLOT_OUTSTANDING && state !== SLOT_IN_TX) return false;
    return !unacked.isStaleAt(index) && !unacked.queueAt(index).isDeleted;
  }

  #buffer(first: number, last: number, how: number): void {
    const unacked = this.#unacked;
    for (let at = first; at <= last; at += 1) {
      if (unacked.stateAt(at) !== SLOT_OUTSTANDING) continue;
      unacked.setState(at, SLOT_IN_TX);
      this.#transaction!.push({ tag: unacked.tagAt(at), how });
    }
  }

  /** Settles what is outstanding up to `lastTag`; what is delivered meanwhile has later ones. */
  #settleThrough(lastTag: number, how: number): void {
    const unacked = this.#unacked;
    let at = 0;
    while (at < unacked.length) {
      const tag = unacked.tagAt(at);
      if (tag > lastTag) return;
      const state = unacked.stateAt(at);
      if (state === SLOT_OUTSTANDING || state === SLOT_TIMED_OUT) {
        if (state === SLOT_OUTSTANDING) this.#settleAt(at, how);
        else unacked.remove(at);
        at = unacked.indexAbove(tag);
      } else {
        at += 1;
      }
    }
  }

  /**
   * Takes a delivery out, tells the queue and returns the credit. Indexes are void afterwards:
   * a dead letter may overflow another queue, which then delivers to this channel at once.
   */
  #settleAt(index: number, how: number): void {
    const unacked = this.#unacked;
    const consumer = unacked.consumerAt(index);
    const queue = unacked.queueAt(index);
    const entry = unacked.entryAt(index);
    const isStale = unacked.isStaleAt(index);
    unacked.remove(index);
    // A lease that ran out was taken back by the queue: this settle is late, and harmless.
    if (!isStale) {
      if (how === SETTLE_ACK) queue.acknowledge(entry);
      else if (how === SETTLE_REJECT) queue.reject(entry);
      else queue.requeue(entry, how === SETTLE_FAIL);
    }
    if (consumer === undefined) return;
    const hadOwnShortage = consumer.limit.release();
    if (this.#sharedLimit.release()) this.#wakeConsumers();
    else if (hadOwnShortage) consumer.wake();
  }
}
