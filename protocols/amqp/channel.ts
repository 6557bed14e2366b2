/**
 * One channel: where the methods of a conversation arrive and its state ends (spec 2.3.5).
 *
 *              channel.open           error of ours
 *     (none) ---------------> OPEN ------------------> CLOSING ------close-ok-----> (none)
 *                               |                         | a close that crosses ours
 *                               +----channel.close---> CLOSED --once answered--> (none)
 *
 * The channel receives methods and hands each to the part that owns its state: topology, publish,
 * consume, settle. What it keeps itself is what they share: identity, the order of replies, the
 * mode (plain, confirm, tx).
 *
 * Invariants:
 *   1. After an error of ours everything but close and close-ok is discarded (spec 1.5.2.5), and so
 *      is what comes with a close of the client's; channel.open is an error until the number is
 *      free, as in RabbitMQ.
 *   2. The end of a channel cancels its consumers first and gives its deliveries back second, so
 *      that nothing is handed to it again.
 *   3. Replies leave in the order of their methods, each when it may (reply-order.ts).
 */
import { randomBytes } from 'node:crypto';
import { readU32 } from '../../src/base/byte-reader.ts';
import { BrokerError } from '../../src/base/errors.ts';
import type { FieldTable } from '../../src/base/field-value.ts';
import type { Actor } from '../../src/engine/actor.ts';
import type { ConfirmLedger, ConfirmSink } from '../../src/engine/confirm-ledger.ts';
import type { Entry } from '../../src/engine/message.ts';
import type { Ticket } from '../../src/engine/ports.ts';
import type { Queue } from '../../src/engine/queue/queue.ts';
import type { VHost } from '../../src/engine/vhost.ts';
import type { AmqpConsumer, ConsumerHost } from './amqp-consumer.ts';
import type { CloseReason } from './amqp-errors.ts';
import { ChannelConsume } from './channel-consume.ts';
import type { ChannelHost } from './channel-host.ts';
import { ChannelPublish } from './channel-publish.ts';
import {
  ChannelSettle,
  SETTLE_ACK,
  SETTLE_FAIL,
  SETTLE_REJECT,
  SETTLE_REQUEUE,
} from './channel-settle.ts';
import { ChannelTopology } from './channel-topology.ts';
import { commitTransaction, PublishTransaction, type TransactionMemory } from './channel-tx.ts';
import {
  type ChannelMethodSink,
  dispatchChannelMethod,
  writeAccessRequestOk,
  writeBasicAck,
  writeBasicNack,
  writeBasicQosOk,
  writeBasicRecoverOk,
  writeChannelClose,
  writeChannelCloseOk,
  writeChannelFlowOk,
  writeConfirmSelectOk,
  writeTxCommitOk,
  writeTxRollbackOk,
  writeTxSelectOk,
} from './codec.generated.ts';
import { ContentAssembler } from './content-assembler.ts';
import type { FrameSink } from './frame-writer.ts';
import type { PublishFields } from './method-reader.ts';
import { PrefetchLimit } from './prefetch-limit.ts';
import { ReplyOrder } from './reply-order.ts';
import {
  FRAME_BODY,
  FRAME_HEADER,
  FRAME_METHOD,
  METHOD_CHANNEL_CLOSE,
  METHOD_CHANNEL_CLOSE_OK,
  METHOD_CHANNEL_OPEN,
} from './spec/constants.ts';

const OPEN = 0;
/** We sent channel.close and wait for close-ok. */
const CLOSING = 1;
/** The client sent channel.close, and cannot have our answer yet. */
const CLOSED = 2;
const ENDED = 3;

/** The ticket clients of old send with every method (AMQP 0-8): any number does. */
const ACCESS_TICKET = 1;

export class Channel implements ChannelMethodSink, ConsumerHost, ConfirmSink {
  readonly id: number;
  readonly host: ChannelHost;
  readonly actor: Actor;
  readonly vhost: VHost;
  readonly replies: ReplyOrder;
  /** basic.qos with `global`: shared by all consumers of the channel. */
  readonly sharedLimit: PrefetchLimit;
  readonly consume: ChannelConsume;
  readonly settle: ChannelSettle;
  readonly publisher: ChannelPublish;
  readonly #topology: ChannelTopology;
  readonly #content: ContentAssembler;
  readonly #transactionMemory: TransactionMemory;
  #state: number;
  #ledger: ConfirmLedger | undefined;
  #transaction: PublishTransaction | undefined;

  constructor(id: number, host: ChannelHost, transactionMemory: TransactionMemory) {
    this.id = id;
    this.host = host;
    this.#transactionMemory = transactionMemory;
    this.actor = host.actor;
    this.vhost = host.actor.vhost;
    this.replies = new ReplyOrder(host.broker);
    this.sharedLimit = new PrefetchLimit(0);
    this.consume = new ChannelConsume(this);
    this.settle = new ChannelSettle(this.sharedLimit, () => this.consume.wakeAll());
    this.publisher = new ChannelPublish(this);
    this.#topology = new ChannelTopology(this);
    this.#content = new ContentAssembler(this.publisher, host.arena, host.settings.maxMessageBytes);
    this.#state = OPEN;
    this.#ledger = undefined;
    this.#transaction = undefined;
  }

  /** True once nothing may be delivered to it any more. */
  get isEnded(): boolean {
    return this.#state !== OPEN;
  }

  /** True when a reply sent now would leave at once. */
  get canReplyNow(): boolean {
    return this.replies.isIdle;
  }

  /**
   * Takes one frame; [start, end) of `buf` is borrowed.
   *
   * @throws BrokerError for the connection to map
   */
  onFrame(type: number, buf: Buffer, start: number, end: number): void {
    if (this.#state !== OPEN) {
      this.#onFrameWhileClosing(type, buf, start, end);
    } else if (type === FRAME_METHOD) {
      this.#content.expectMethod();
      dispatchChannelMethod(this, this.host.reader, buf, start, end);
    } else if (type === FRAME_HEADER) {
      this.#content.onHeader(buf, start, end);
    } else if (type === FRAME_BODY) {
      this.#content.onBody(buf, start, end);
    } else {
      throw new BrokerError('UNEXPECTED_FRAME', `heartbeat frame on channel ${this.id}`);
    }
  }

  /** Sends a reply in its turn, once `ticket` is on disk (0: at once). */
  reply(ticket: Ticket, write: (out: FrameSink, id: number) => void): void {
    this.replies.send(ticket, () => write(this.host.outbound, this.id));
  }

  /** A name nobody else has. */
  generateName(prefix: string, randomByteCount: number): string {
    return prefix + randomBytes(randomByteCount).toString('base64url');
  }

  /** Ends the channel because of an error: channel.close, then silence until close-ok. */
  fail(reason: CloseReason): void {
    if (this.#state !== OPEN) return;
    this.#end(CLOSING);
    this.reply(0, (out, id) =>
      writeChannelClose(
        out,
        id,
        reason.replyCode,
        reason.replyText,
        reason.classId,
        reason.methodId,
      ),
    );
  }

  /** Ends the channel with its connection: nothing is written any more. */
  abort(): void {
    if (this.#state === OPEN) this.#end(ENDED);
    this.#state = ENDED;
    this.replies.close();
  }

  /** The socket drained: consumers have credit again. */
  onDrain(): void {
    this.consume.wakeAll();
  }

  deliver(consumer: AmqpConsumer, queue: Queue, entry: Entry): void {
    this.consume.deliver(consumer, queue, entry);
  }

  consumerCancelled(consumer: AmqpConsumer): void {
    this.consume.cancelled(consumer);
  }

  onConfirm(sequence: number, multiple: boolean): void {
    this.host.heartbeat.didWrite = true;
    writeBasicAck(this.host.outbound, this.id, sequence, multiple);
  }

  onReject(sequence: number): void {
    writeBasicNack(this.host.outbound, this.id, sequence, false, false);
  }

  onChannelOpen(): void {
    throw new BrokerError('CHANNEL_ERROR', "second 'channel.open' seen");
  }

  onChannelFlow(active: boolean): void {
    if (!active) throw new BrokerError('NOT_IMPLEMENTED', 'active=false');
    this.reply(0, (out, id) => writeChannelFlowOk(out, id, true));
  }

  /** We never send flow, so there is nothing to answer. */
  onChannelFlowOk(): void {
    throw new BrokerError('COMMAND_INVALID', 'unimplemented method');
  }

  onChannelClose(): void {
    this.#end(CLOSED);
    this.#answerClose();
  }

  /** Late answer to a close of ours that crossed the client's: nothing is left to do. */
  onChannelCloseOk(): void {}

  onAccessRequest(): void {
    this.reply(0, (out, id) => writeAccessRequestOk(out, id, ACCESS_TICKET));
  }

  onExchangeDeclare(
    exchange: string,
    type: string,
    passive: boolean,
    durable: boolean,
    autoDelete: boolean,
    internal: boolean,
    noWait: boolean,
    args: FieldTable,
  ): void {
    const options = { type, passive, durable, autoDelete, internal, arguments: args };
    this.#topology.declareExchange(exchange, options, noWait);
  }

  onExchangeDelete(exchange: string, ifUnused: boolean, noWait: boolean): void {
    this.#topology.deleteExchange(exchange, ifUnused, noWait);
  }

  onExchangeBind(
    destination: string,
    source: string,
    routingKey: string,
    noWait: boolean,
    args: FieldTable,
  ): void {
    this.#topology.bindExchange(destination, source, routingKey, noWait, args);
  }

  onExchangeUnbind(
    destination: string,
    source: string,
    routingKey: string,
    noWait: boolean,
    args: FieldTable,
  ): void {
    this.#topology.unbindExchange(destination, source, routingKey, noWait, args);
  }

  onQueueDeclare(
    queue: string,
    passive: boolean,
    durable: boolean,
    exclusive: boolean,
    autoDelete: boolean,
    noWait: boolean,
    args: FieldTable,
  ): void {
    const options = { passive, durable, exclusive, autoDelete, arguments: args };
    this.#topology.declareQueue(queue, options, noWait);
  }

  onQueueBind(
    queue: string,
    exchange: string,
    routingKey: string,
    noWait: boolean,
    args: FieldTable,
  ): void {
    this.#topology.bindQueue(queue, exchange, routingKey, noWait, args);
  }

  onQueueUnbind(queue: string, exchange: string, routingKey: string, args: FieldTable): void {
    this.#topology.unbindQueue(queue, exchange, routingKey, args);
  }

  onQueuePurge(queue: string, noWait: boolean): void {
    this.#topology.purgeQueue(queue, noWait);
  }

  onQueueDelete(queue: string, ifUnused: boolean, ifEmpty: boolean, noWait: boolean): void {
    this.#topology.deleteQueue(queue, ifUnused, ifEmpty, noWait);
  }

  onBasicQos(prefetchSize: number, prefetchCount: number, global: boolean): void {
    this.consume.setPrefetch(prefetchSize, prefetchCount, global);
    this.reply(0, writeBasicQosOk);
  }

  onBasicConsume(
    queue: string,
    consumerTag: string,
    _noLocal: boolean,
    noAck: boolean,
    exclusive: boolean,
    noWait: boolean,
    args: FieldTable,
  ): void {
    const options = { noAck, exclusive, noWait, arguments: args };
    this.consume.consume(this.#topology.queueName(queue), consumerTag, options);
  }

  onBasicCancel(consumerTag: string, noWait: boolean): void {
    this.consume.cancel(consumerTag, noWait);
  }

  /** The client's answer to a cancel of ours, which asked for none. */
  onBasicCancelOk(): void {}

  onBasicPublish(buf: Buffer, fields: PublishFields): void {
    this.publisher.begin(buf, fields);
    this.#content.begin();
  }

  onBasicGet(queue: string, noAck: boolean): void {
    this.consume.get(this.#topology.queueName(queue), noAck);
  }

  onBasicAck(deliveryTag: number, multiple: boolean): void {
    this.settle.settle(deliveryTag, multiple, SETTLE_ACK);
  }

  onBasicReject(deliveryTag: number, requeue: boolean): void {
    this.settle.settle(deliveryTag, false, requeue ? SETTLE_FAIL : SETTLE_REJECT);
  }

  onBasicNack(deliveryTag: number, multiple: boolean, requeue: boolean): void {
    this.settle.settle(deliveryTag, multiple, requeue ? SETTLE_REQUEUE : SETTLE_REJECT);
  }

  onBasicRecoverAsync(requeue: boolean): void {
    if (!requeue) throw new BrokerError('NOT_IMPLEMENTED', 'requeue=false');
    this.settle.requeueAll(SETTLE_REQUEUE);
  }

  onBasicRecover(requeue: boolean): void {
    this.onBasicRecoverAsync(requeue);
    this.reply(0, writeBasicRecoverOk);
  }

  onConfirmSelect(noWait: boolean): void {
    if (this.#transaction !== undefined) {
      throw new BrokerError('PRECONDITION_FAILED', 'cannot switch from tx to confirm mode');
    }
    if (this.#ledger === undefined) {
      this.#ledger = this.host.broker.confirmLedger(this);
      this.publisher.confirmThrough(this.#ledger);
    }
    if (!noWait) this.reply(0, writeConfirmSelectOk);
  }

  onTxSelect(): void {
    if (this.#ledger !== undefined) {
      throw new BrokerError('PRECONDITION_FAILED', 'cannot switch from confirm to tx mode');
    }
    if (this.#transaction === undefined) {
      this.#transaction = new PublishTransaction(this, this.#transactionMemory);
      this.publisher.collectInto(this.#transaction);
      this.settle.beginTransaction();
    }
    this.reply(0, writeTxSelectOk);
  }

  onTxCommit(): void {
    const mustWait = commitTransaction(this, this.#openTransaction());
    this.reply(mustWait ? this.host.broker.ticket : 0, writeTxCommitOk);
  }

  onTxRollback(): void {
    this.#openTransaction().rollback();
    this.settle.rollback();
    this.reply(0, writeTxRollbackOk);
  }

  #openTransaction(): PublishTransaction {
    if (this.#transaction !== undefined) return this.#transaction;
    throw new BrokerError('PRECONDITION_FAILED', 'channel is not transactional');
  }

  /** Gives back everything the channel holds. */
  #end(state: number): void {
    this.#state = state;
    this.#content.reset();
    this.consume.close();
    this.settle.close();
    this.#ledger?.close();
    this.#transaction?.rollback();
  }

  /** Sends close-ok in its turn. The number is free behind what came in one read with the close. */
  #answerClose(): void {
    this.reply(0, (out, id) => {
      writeChannelCloseOk(out, id);
      queueMicrotask(() => this.host.channelEnded(id));
    });
  }

  /** Invariant 1. */
  #onFrameWhileClosing(type: number, buf: Buffer, start: number, end: number): void {
    if (type !== FRAME_METHOD || end - start < 4) return;
    const method = readU32(buf, start);
    if (method === METHOD_CHANNEL_OPEN) this.onChannelOpen();
    if (this.#state !== CLOSING) return;
    if (method === METHOD_CHANNEL_CLOSE) {
      this.#state = CLOSED;
      this.#answerClose();
    } else if (method === METHOD_CHANNEL_CLOSE_OK) {
      this.#state = ENDED;
      this.host.channelEnded(this.id);
    }
  }
}
