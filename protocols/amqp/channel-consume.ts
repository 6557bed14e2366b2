/**
 * Receiving: basic.qos, consume, cancel, get and the deliveries themselves (spec 1.8.3.1-6,
 * 1.8.3.9-12).
 *
 * Invariants:
 *   1. No delivery precedes its consume-ok and none follows cancel-ok: a consumer is active exactly
 *      from the one to the other.
 *   2. Delivery tags are given in the order in which the frames are written, so that a client's
 *      `multiple` means the same to both sides.
 *   3. A consumer enters the table once the engine has taken it, and leaves it with its cancel.
 */
import { BrokerError } from '../../src/base/errors.ts';
import type { FieldTable } from '../../src/base/field-value.ts';
import { UNREAD_REPLY_BYTES_MAX } from '../../src/base/limits.ts';
import { resourceText } from '../../src/engine/equivalence.ts';
import { typeName } from '../../src/engine/field-text.ts';
import type { Entry, Message } from '../../src/engine/message.ts';
import type { Queue } from '../../src/engine/queue/queue.ts';
import { REPLY_TO_NAME } from '../../src/engine/reply-target.ts';
import { AmqpConsumer } from './amqp-consumer.ts';
import type { Channel } from './channel.ts';
import {
  writeBasicCancel,
  writeBasicCancelOk,
  writeBasicConsumeOk,
  writeBasicGetEmpty,
} from './codec.generated.ts';
import { deliveryTimeoutMs } from './delivery-timeout.ts';
import { ReplyConsumer } from './reply-consumer.ts';

/** What basic.consume asked for. */
export interface Consume {
  readonly noAck: boolean;
  readonly exclusive: boolean;
  readonly noWait: boolean;
  readonly arguments: FieldTable;
}

const NO_ARGUMENTS: FieldTable = new Map();

/** Random bytes of a generated consumer tag, as many as RabbitMQ uses. */
const TAG_RANDOM_BYTES = 16;

/** The consumers of one channel. */
export class ChannelConsume {
  readonly #channel: Channel;
  readonly #consumers: Map<string, AmqpConsumer>;
  #replyConsumer: ReplyConsumer | undefined;
  /** Prefetch count that consumers made from now on get. */
  #prefetchCount: number;
  #lastTag: number;

  constructor(channel: Channel) {
    this.#channel = channel;
    this.#consumers = new Map();
    this.#replyConsumer = undefined;
    this.#prefetchCount = 0;
    this.#lastTag = 0;
  }

  /** Routing key under which this channel is given direct replies, if it asked for any. */
  get replyKey(): string | undefined {
    return this.#replyConsumer?.key;
  }

  /**
   * A limit per consumer ends the one of the channel (RabbitMQ): who wants both sets that last.
   *
   * @throws BrokerError NOT_IMPLEMENTED (connection) for a limit in bytes
   */
  setPrefetch(prefetchSize: number, prefetchCount: number, isShared: boolean): void {
    if (prefetchSize !== 0) {
      throw new BrokerError('NOT_IMPLEMENTED', `prefetch_size!=0 (${prefetchSize})`);
    }
    if (!isShared) this.#prefetchCount = prefetchCount;
    const limit = this.#channel.sharedLimit;
    const hadRoom = limit.hasRoom;
    limit.max = isShared ? prefetchCount : 0;
    if (!hadRoom && limit.hasRoom) this.wakeAll();
  }

  /**
   * @throws BrokerError NOT_ALLOWED (connection) for a tag in use; what the engine refuses
   */
  consume(queueName: string, requestedTag: string, options: Consume): void {
    const tag =
      requestedTag === ''
        ? this.#channel.generateName('amq.ctag-', TAG_RANDOM_BYTES)
        : requestedTag;
    if (this.#consumers.has(tag) || this.#replyConsumer?.tag === tag) {
      throw new BrokerError('NOT_ALLOWED', `attempt to reuse consumer tag '${tag}'`);
    }
    if (queueName === REPLY_TO_NAME) this.#consumeReplies(tag, options);
    else this.#consumeQueue(queueName, tag, options);
  }

  #consumeQueue(queueName: string, tag: string, options: Consume): void {
    const channel = this.#channel;
    const priority = priorityOf(options.arguments, queueName, channel.vhost.name);
    const consumer = new AmqpConsumer(channel, {
      tag,
      noAck: options.noAck,
      exclusive: options.exclusive,
      priority,
      arguments: options.arguments,
      prefetchCount: this.#prefetchCount,
    });
    const mayStart = options.noWait || channel.canReplyNow;
    consumer.isActive = mayStart;
    const queue = channel.vhost.consume(channel.actor, queueName, consumer);
    const { consumerTimeoutMs } = channel.host.settings;
    consumer.queue = queue;
    consumer.timeoutMs = deliveryTimeoutMs(queue, options.arguments, consumerTimeoutMs);
    this.#consumers.set(tag, consumer);
    if (options.noWait) return;
    channel.reply(0, (out, id) => {
      writeBasicConsumeOk(out, id, tag);
      if (mayStart || this.#consumers.get(tag) !== consumer) return;
      consumer.isActive = true;
      consumer.wake();
    });
  }

  #consumeReplies(tag: string, options: Consume): void {
    if (this.#replyConsumer !== undefined) {
      throw new BrokerError('PRECONDITION_FAILED', 'reply consumer already set');
    }
    if (!options.noAck) {
      throw new BrokerError('PRECONDITION_FAILED', 'reply consumer cannot acknowledge');
    }
    const { vhost } = this.#channel;
    this.#replyConsumer = new ReplyConsumer(tag, this.#channel.id, vhost.replyTargets, this);
    if (!options.noWait) {
      this.#channel.reply(0, (out, id) => writeBasicConsumeOk(out, id, tag));
    }
  }

  /** An unknown tag is answered like a known one (RabbitMQ). */
  cancel(tag: string, noWait: boolean): void {
    const consumer = this.#consumers.get(tag);
    if (consumer !== undefined) {
      this.#consumers.delete(tag);
      consumer.isActive = false;
      this.#channel.vhost.cancel(consumer);
    } else if (this.#replyConsumer?.tag === tag) {
      this.#replyConsumer.close();
      this.#replyConsumer = undefined;
    }
    if (!noWait) this.#channel.reply(0, (out, id) => writeBasicCancelOk(out, id, tag));
  }

  /** The engine took the queue or the right away from `consumer`. */
  cancelled(consumer: AmqpConsumer): void {
    if (this.#consumers.get(consumer.tag) !== consumer) return;
    this.#consumers.delete(consumer.tag);
    consumer.isActive = false;
    if (!this.#channel.host.capabilities.consumerCancelNotify) return;
    this.#channel.reply(0, (out, id) => writeBasicCancel(out, id, consumer.tag, true));
  }

  /** Ends a consumer that does not settle in time; false when its client cannot be told. */
  timedOut(consumer: AmqpConsumer): boolean {
    if (consumer.isTimedOut) return true;
    const isHere = this.#consumers.get(consumer.tag) === consumer;
    if (!isHere || !this.#channel.host.capabilities.consumerCancelNotify) return false;
    consumer.isTimedOut = true;
    this.#channel.vhost.cancel(consumer);
    this.cancelled(consumer);
    return true;
  }

  /** Ms in which a message of basic.get is to be settled. */
  getTimeoutMs(queue: Queue): number {
    return deliveryTimeoutMs(queue, NO_ARGUMENTS, this.#channel.host.settings.consumerTimeoutMs);
  }

  #dueAtMs(timeoutMs: number): number {
    return timeoutMs === Infinity ? Infinity : this.#channel.host.settleBy(timeoutMs);
  }

  /** basic.get; the reply keeps its place even when the entry must come from disk first. */
  get(queueName: string, noAck: boolean): void {
    const channel = this.#channel;
    const slot = channel.replies.open();
    let isDone = false;
    let isWaiting = false;
    const done = (entry: Entry | undefined, queue: Queue): void => {
      isDone = true;
      if (isWaiting) channel.host.getDone();
      if (entry === undefined) {
        channel.replies.complete(slot, () => writeBasicGetEmpty(channel.host.outbound, channel.id));
        return;
      }
      const remaining = queue.readyCount;
      slot.abandon = () => queue.requeue(entry, false);
      channel.replies.complete(slot, () => {
        if (channel.isEnded) queue.requeue(entry, false);
        else this.#getOk(entry, queue, noAck, remaining);
      });
    };
    try {
      this.#refuseBesideActive(queueName);
      channel.vhost.get(channel.actor, queueName, done);
      isWaiting = !isDone;
      if (isWaiting) channel.host.getWaits();
    } catch (error) {
      // A refused get has no reply: its place must not hold up the close that follows.
      channel.replies.complete(slot, () => undefined);
      throw error;
    }
  }

  /**
   * A quorum queue with a single active consumer keeps its messages for that (RabbitMQ).
   * @throws BrokerError ACCESS_REFUSED, RESOURCE_LOCKED
   */
  #refuseBesideActive(queueName: string): void {
    const { vhost, actor, host } = this.#channel;
    const settings = vhost.topology.queues.get(queueName)?.settings;
    if (settings?.queueType !== 'quorum' || !settings.singleActiveConsumer) return;
    host.broker.access.authorize(actor.user, vhost.name, 'read', 'queue', queueName);
    throw new BrokerError(
      'RESOURCE_LOCKED',
      `cannot obtain access to locked ${resourceText('queue', queueName, vhost.name)}. basic.get ` +
        'operations are not supported by quorum queues with single active consumer',
    );
  }

  #getOk(entry: Entry, queue: Queue, noAck: boolean, remaining: number): void {
    const channel = this.#channel;
    const tag = this.nextTag();
    channel.host.writer.getOk(channel.id, tag, entry.isRedelivered, entry.message, remaining);
    if (noAck) queue.acknowledge(entry);
    else {
      const dueAtMs = this.#dueAtMs(this.getTimeoutMs(queue));
      channel.settle.delivered(tag, entry, queue, undefined, dueAtMs);
    }
  }

  /** Writes one delivery. Hot: called by the engine in the turn. */
  deliver(consumer: AmqpConsumer, queue: Queue, entry: Entry): void {
    const channel = this.#channel;
    const tag = this.nextTag();
    if (!consumer.noAck) {
      const dueAtMs = this.#dueAtMs(consumer.timeoutMs);
      channel.settle.delivered(tag, entry, queue, consumer, dueAtMs);
    }
    const { writer, heartbeat } = channel.host;
    heartbeat.didWrite = true;
    writer.deliver(channel.id, consumer.template, tag, entry.isRedelivered, entry.message);
  }

  /** Writes one direct reply; replies are lost (as they may be) on a client that does not read. */
  deliverReply(consumer: ReplyConsumer, message: Message): void {
    const { id, host } = this.#channel;
    if (host.outbound.bufferedBytes >= UNREAD_REPLY_BYTES_MAX) return;
    host.writer.deliver(id, consumer.template, this.nextTag(), false, message);
  }

  nextTag(): number {
    this.#lastTag += 1;
    return this.#lastTag;
  }

  /** The socket drained, or the shared limit has room: tells the engine. */
  wakeAll(): void {
    for (const consumer of this.#consumers.values()) consumer.wake();
  }

  /** Ends the consumers whose user may not read their queue any more, and tells the client. */
  recheckRights(): void {
    const { actor, vhost, host } = this.#channel;
    const { access } = host.broker;
    for (const consumer of [...this.#consumers.values()]) {
      const name = consumer.queue?.name ?? '';
      if (access.isAuthorized(actor.user, vhost.name, 'read', 'queue', name)) continue;
      vhost.cancel(consumer);
      this.cancelled(consumer);
    }
  }

  /** Ends every subscription without telling the client. */
  close(): void {
    const consumers = [...this.#consumers.values()];
    this.#consumers.clear();
    for (const consumer of consumers) {
      consumer.isActive = false;
      this.#channel.vhost.cancel(consumer);
    }
    this.#replyConsumer?.close();
    this.#replyConsumer = undefined;
  }
}

/** `x-priority`: any integer, 0 when absent. @throws BrokerError PRECONDITION_FAILED */
function priorityOf(args: FieldTable, queue: string, vhost: string): number {
  const value = args.get('x-priority');
  if (value === undefined) return 0;
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  throw new BrokerError(
    'PRECONDITION_FAILED',
    `invalid arg 'x-priority' for ${resourceText('queue', queue, vhost)}: ` +
      `"expected integer, got ${typeName(value)}"`,
  );
}
