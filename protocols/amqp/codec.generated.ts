/* Generated from spec/methods.ts by spec/generate.ts. Do not edit. */
import { readU16, readU32, readU64 } from '../../src/base/byte-reader.ts';
import {
  putShortText,
  putU16,
  putU32,
  putU64,
} from '../../src/base/byte-writer.ts';
import type { FieldTable } from '../../src/base/field-value.ts';
import { encodeTable } from './field-table.ts';
import type { FrameSink } from './frame-writer.ts';
import { beginMethod, shortStringBytes } from './frame-writer.ts';
import type { MethodReader, PublishFields } from './method-reader.ts';
import { expectArguments, methodOf, unexpectedMethod } from './method-reader.ts';

/** Methods of class connection a server receives. Buffers and tables handed over are owned. */
export interface ConnectionMethodSink {
  /** connection.startOk, 1.4.2.2. */
  onConnectionStartOk(
    clientProperties: FieldTable,
    mechanism: string,
    response: Buffer,
    locale: string,
  ): void;
  /** connection.secureOk, 1.4.2.4. */
  onConnectionSecureOk(response: Buffer): void;
  /** connection.tuneOk, 1.4.2.6. */
  onConnectionTuneOk(channelMax: number, frameMax: number, heartbeat: number): void;
  /** connection.open, 1.4.2.7. */
  onConnectionOpen(virtualHost: string): void;
  /** connection.close, 1.4.2.9. */
  onConnectionClose(
    replyCode: number,
    replyText: string,
    failedClassId: number,
    failedMethodId: number,
  ): void;
  /** connection.closeOk, 1.4.2.10. */
  onConnectionCloseOk(): void;
  /** connection.updateSecret, RabbitMQ extension. */
  onConnectionUpdateSecret(newSecret: Buffer, reason: string): void;
}

/** Methods of all other classes a server receives. Buffers and tables handed over are owned. */
export interface ChannelMethodSink {
  /** channel.open, 1.5.2.1. */
  onChannelOpen(): void;
  /** channel.flow, 1.5.2.3. */
  onChannelFlow(active: boolean): void;
  /** channel.flowOk, 1.5.2.4. */
  onChannelFlowOk(active: boolean): void;
  /** channel.close, 1.5.2.5. */
  onChannelClose(
    replyCode: number,
    replyText: string,
    failedClassId: number,
    failedMethodId: number,
  ): void;
  /** channel.closeOk, 1.5.2.6. */
  onChannelCloseOk(): void;
  /** access.request, AMQP 0-8 1.6.2.1. */
  onAccessRequest(
    realm: string,
    exclusive: boolean,
    passive: boolean,
    active: boolean,
    write: boolean,
    read: boolean,
  ): void;
  /** exchange.declare, 1.6.2.1. */
  onExchangeDeclare(
    exchange: string,
    type: string,
    passive: boolean,
    durable: boolean,
    autoDelete: boolean,
    internal: boolean,
    noWait: boolean,
    args: FieldTable,
  ): void;
  /** exchange.delete, 1.6.2.3. */
  onExchangeDelete(exchange: string, ifUnused: boolean, noWait: boolean): void;
  /** exchange.bind, RabbitMQ extension. */
  onExchangeBind(
    destination: string,
    source: string,
    routingKey: string,
    noWait: boolean,
    args: FieldTable,
  ): void;
  /** exchange.unbind, RabbitMQ extension. */
  onExchangeUnbind(
    destination: string,
    source: string,
    routingKey: string,
    noWait: boolean,
    args: FieldTable,
  ): void;
  /** queue.declare, 1.7.2.1. */
  onQueueDeclare(
    queue: string,
    passive: boolean,
    durable: boolean,
    exclusive: boolean,
    autoDelete: boolean,
    noWait: boolean,
    args: FieldTable,
  ): void;
  /** queue.bind, 1.7.2.3. */
  onQueueBind(
    queue: string,
    exchange: string,
    routingKey: string,
    noWait: boolean,
    args: FieldTable,
  ): void;
  /** queue.purge, 1.7.2.7. */
  onQueuePurge(queue: string, noWait: boolean): void;
  /** queue.delete, 1.7.2.9. */
  onQueueDelete(queue: string, ifUnused: boolean, ifEmpty: boolean, noWait: boolean): void;
  /** queue.unbind, 1.7.2.5. */
  onQueueUnbind(queue: string, exchange: string, routingKey: string, args: FieldTable): void;
  /** basic.qos, 1.8.3.1. */
  onBasicQos(prefetchSize: number, prefetchCount: number, global: boolean): void;
  /** basic.consume, 1.8.3.3. */
  onBasicConsume(
    queue: string,
    consumerTag: string,
    noLocal: boolean,
    noAck: boolean,
    exclusive: boolean,
    noWait: boolean,
    args: FieldTable,
  ): void;
  /** basic.cancel, 1.8.3.5. */
  onBasicCancel(consumerTag: string, noWait: boolean): void;
  /** basic.cancelOk, 1.8.3.6. */
  onBasicCancelOk(consumerTag: string): void;
  /** basic.publish, 1.8.3.7. */
  onBasicPublish(buf: Buffer, fields: PublishFields): void;
  /** basic.get, 1.8.3.10. */
  onBasicGet(queue: string, noAck: boolean): void;
  /** basic.ack, 1.8.3.13. */
  onBasicAck(deliveryTag: number, multiple: boolean): void;
  /** basic.reject, 1.8.3.14. */
  onBasicReject(deliveryTag: number, requeue: boolean): void;
  /** basic.recoverAsync, 1.8.3.15. */
  onBasicRecoverAsync(requeue: boolean): void;
  /** basic.recover, 1.8.3.16. */
  onBasicRecover(requeue: boolean): void;
  /** basic.nack, RabbitMQ extension. */
  onBasicNack(deliveryTag: number, multiple: boolean, requeue: boolean): void;
  /** confirm.select, RabbitMQ extension. */
  onConfirmSelect(noWait: boolean): void;
  /** tx.select, 1.9.2.1. */
  onTxSelect(): void;
  /** tx.commit, 1.9.2.3. */
  onTxCommit(): void;
  /** tx.rollback, 1.9.2.5. */
  onTxRollback(): void;
}

/**
 * Reads the method frame payload [start, end) of `buf` (borrowed) and calls its handler.
 *
 * @throws BrokerError SYNTAX_ERROR for malformed arguments, FRAME_ERROR for a short string that
 *   is not UTF-8, COMMAND_INVALID for a method that is unknown here (all: connection); and
 *   whatever the handler throws
 */
export function dispatchConnectionMethod(
  sink: ConnectionMethodSink,
  reader: MethodReader,
  buf: Buffer,
  start: number,
  end: number,
): void {
  const method = methodOf(buf, start, end);
  switch (method) {
    // connection.startOk
    case 0x000a_000b: {
      reader.begin(buf, start + 4, end);
      const clientProperties = reader.table();
      const mechanism = reader.shortText();
      const response = reader.longBytes();
      const locale = reader.shortText();
      reader.finish();
      sink.onConnectionStartOk(clientProperties, mechanism, response, locale);
      return;
    }
    // connection.secureOk
    case 0x000a_0015: {
      reader.begin(buf, start + 4, end);
      const response = reader.longBytes();
      reader.finish();
      sink.onConnectionSecureOk(response);
      return;
    }
    // connection.tuneOk
    case 0x000a_001f: {
      expectArguments(start, end, 8);
      sink.onConnectionTuneOk(
        readU16(buf, start + 4),
        readU32(buf, start + 6),
        readU16(buf, start + 10),
      );
      return;
    }
    // connection.open
    case 0x000a_0028: {
      reader.begin(buf, start + 4, end);
      const virtualHost = reader.shortText();
      reader.skipShortText();
      reader.skip(1);
      reader.finish();
      sink.onConnectionOpen(virtualHost);
      return;
    }
    // connection.close
    case 0x000a_0032: {
      reader.begin(buf, start + 4, end);
      const replyCode = reader.u16();
      const replyText = reader.shortText();
      const failedClassId = reader.u16();
      const failedMethodId = reader.u16();
      reader.finish();
      sink.onConnectionClose(replyCode, replyText, failedClassId, failedMethodId);
      return;
    }
    // connection.closeOk
    case 0x000a_0033: {
      expectArguments(start, end, 0);
      sink.onConnectionCloseOk();
      return;
    }
    // connection.updateSecret
    case 0x000a_0046: {
      reader.begin(buf, start + 4, end);
      const newSecret = reader.longBytes();
      const reason = reader.shortText();
      reader.finish();
      sink.onConnectionUpdateSecret(newSecret, reason);
      return;
    }
    default:
      throw unexpectedMethod(method);
  }
}

/**
 * Reads the method frame payload [start, end) of `buf` (borrowed) and calls its handler.
 *
 * @throws BrokerError SYNTAX_ERROR for malformed arguments, FRAME_ERROR for a short string that
 *   is not UTF-8, COMMAND_INVALID for a method that is unknown here (all: connection); and
 *   whatever the handler throws
 */
export function dispatchChannelMethod(
  sink: ChannelMethodSink,
  reader: MethodReader,
  buf: Buffer,
  start: number,
  end: number,
): void {
  const method = methodOf(buf, start, end);
  switch (method) {
    // basic.publish
    case 0x003c_0028: {
      sink.onBasicPublish(buf, reader.publish(buf, start + 4, end));
      return;
    }
    // basic.ack
    case 0x003c_0050: {
      expectArguments(start, end, 9);
      sink.onBasicAck(readU64(buf, start + 4), (buf[start + 12]! & 1) !== 0);
      return;
    }
    // basic.reject
    case 0x003c_005a: {
      expectArguments(start, end, 9);
      sink.onBasicReject(readU64(buf, start + 4), (buf[start + 12]! & 1) !== 0);
      return;
    }
    // basic.nack
    case 0x003c_0078: {
      expectArguments(start, end, 9);
      sink.onBasicNack(
        readU64(buf, start + 4),
        (buf[start + 12]! & 1) !== 0,
        (buf[start + 12]! & 2) !== 0,
      );
      return;
    }
    // channel.open
    case 0x0014_000a: {
      reader.begin(buf, start + 4, end);
      reader.skipShortText();
      reader.finish();
      sink.onChannelOpen();
      return;
    }
    // channel.flow
    case 0x0014_0014: {
      expectArguments(start, end, 1);
      sink.onChannelFlow((buf[start + 4]! & 1) !== 0);
      return;
    }
    // channel.flowOk
    case 0x0014_0015: {
      expectArguments(start, end, 1);
      sink.onChannelFlowOk((buf[start + 4]! & 1) !== 0);
      return;
    }
    // channel.close
    case 0x0014_0028: {
      reader.begin(buf, start + 4, end);
      const replyCode = reader.u16();
      const replyText = reader.shortText();
      const failedClassId = reader.u16();
      const failedMethodId = reader.u16();
      reader.finish();
      sink.onChannelClose(replyCode, replyText, failedClassId, failedMethodId);
      return;
    }
    // channel.closeOk
    case 0x0014_0029: {
      expectArguments(start, end, 0);
      sink.onChannelCloseOk();
      return;
    }
    // access.request
    case 0x001e_000a: {
      reader.begin(buf, start + 4, end);
      const realm = reader.shortText();
      const bits = reader.u8();
      reader.finish();
      sink.onAccessRequest(
        realm,
        (bits & 1) !== 0,
        (bits & 2) !== 0,
        (bits & 4) !== 0,
        (bits & 8) !== 0,
        (bits & 16) !== 0,
      );
      return;
    }
    // exchange.declare
    case 0x0028_000a: {
      reader.begin(buf, start + 4, end);
      reader.skip(2);
      const exchange = reader.shortText();
      const type = reader.shortText();
      const bits = reader.u8();
      const args = reader.table();
      reader.finish();
      sink.onExchangeDeclare(
        exchange,
        type,
        (bits & 1) !== 0,
        (bits & 2) !== 0,
        (bits & 4) !== 0,
        (bits & 8) !== 0,
        (bits & 16) !== 0,
        args,
      );
      return;
    }
    // exchange.delete
    case 0x0028_0014: {
      reader.begin(buf, start + 4, end);
      reader.skip(2);
      const exchange = reader.shortText();
      const bits = reader.u8();
      reader.finish();
      sink.onExchangeDelete(exchange, (bits & 1) !== 0, (bits & 2) !== 0);
      return;
    }
    // exchange.bind
    case 0x0028_001e: {
      reader.begin(buf, start + 4, end);
      reader.skip(2);
      const destination = reader.shortText();
      const source = reader.shortText();
      const routingKey = reader.shortText();
      const bits = reader.u8();
      const args = reader.table();
      reader.finish();
      sink.onExchangeBind(destination, source, routingKey, (bits & 1) !== 0, args);
      return;
    }
    // exchange.unbind
    case 0x0028_0028: {
      reader.begin(buf, start + 4, end);
      reader.skip(2);
      const destination = reader.shortText();
      const source = reader.shortText();
      const routingKey = reader.shortText();
      const bits = reader.u8();
      const args = reader.table();
      reader.finish();
      sink.onExchangeUnbind(destination, source, routingKey, (bits & 1) !== 0, args);
      return;
    }
    // queue.declare
    case 0x0032_000a: {
      reader.begin(buf, start + 4, end);
      reader.skip(2);
      const queue = reader.shortText();
      const bits = reader.u8();
      const args = reader.table();
      reader.finish();
      sink.onQueueDeclare(
        queue,
        (bits & 1) !== 0,
        (bits & 2) !== 0,
        (bits & 4) !== 0,
        (bits & 8) !== 0,
        (bits & 16) !== 0,
        args,
      );
      return;
    }
    // queue.bind
    case 0x0032_0014: {
      reader.begin(buf, start + 4, end);
      reader.skip(2);
      const queue = reader.shortText();
      const exchange = reader.shortText();
      const routingKey = reader.shortText();
      const bits = reader.u8();
      const args = reader.table();
      reader.finish();
      sink.onQueueBind(queue, exchange, routingKey, (bits & 1) !== 0, args);
      return;
    }
    // queue.purge
    case 0x0032_001e: {
      reader.begin(buf, start + 4, end);
      reader.skip(2);
      const queue = reader.shortText();
      const bits = reader.u8();
      reader.finish();
      sink.onQueuePurge(queue, (bits & 1) !== 0);
      return;
    }
    // queue.delete
    case 0x0032_0028: {
      reader.begin(buf, start + 4, end);
      reader.skip(2);
      const queue = reader.shortText();
      const bits = reader.u8();
      reader.finish();
      sink.onQueueDelete(queue, (bits & 1) !== 0, (bits & 2) !== 0, (bits & 4) !== 0);
      return;
    }
    // queue.unbind
    case 0x0032_0032: {
      reader.begin(buf, start + 4, end);
      reader.skip(2);
      const queue = reader.shortText();
      const exchange = reader.shortText();
      const routingKey = reader.shortText();
      const args = reader.table();
      reader.finish();
      sink.onQueueUnbind(queue, exchange, routingKey, args);
      return;
    }
    // basic.qos
    case 0x003c_000a: {
      expectArguments(start, end, 7);
      sink.onBasicQos(
        readU32(buf, start + 4),
        readU16(buf, start + 8),
        (buf[start + 10]! & 1) !== 0,
      );
      return;
    }
    // basic.consume
    case 0x003c_0014: {
      reader.begin(buf, start + 4, end);
      reader.skip(2);
      const queue = reader.shortText();
      const consumerTag = reader.shortText();
      const bits = reader.u8();
      const args = reader.table();
      reader.finish();
      sink.onBasicConsume(
        queue,
        consumerTag,
        (bits & 1) !== 0,
        (bits & 2) !== 0,
        (bits & 4) !== 0,
        (bits & 8) !== 0,
        args,
      );
      return;
    }
    // basic.cancel
    case 0x003c_001e: {
      reader.begin(buf, start + 4, end);
      const consumerTag = reader.shortText();
      const bits = reader.u8();
      reader.finish();
      sink.onBasicCancel(consumerTag, (bits & 1) !== 0);
      return;
    }
    // basic.cancelOk
    case 0x003c_001f: {
      reader.begin(buf, start + 4, end);
      const consumerTag = reader.shortText();
      reader.finish();
      sink.onBasicCancelOk(consumerTag);
      return;
    }
    // basic.get
    case 0x003c_0046: {
      reader.begin(buf, start + 4, end);
      reader.skip(2);
      const queue = reader.shortText();
      const bits = reader.u8();
      reader.finish();
      sink.onBasicGet(queue, (bits & 1) !== 0);
      return;
    }
    // basic.recoverAsync
    case 0x003c_0064: {
      expectArguments(start, end, 1);
      sink.onBasicRecoverAsync((buf[start + 4]! & 1) !== 0);
      return;
    }
    // basic.recover
    case 0x003c_006e: {
      expectArguments(start, end, 1);
      sink.onBasicRecover((buf[start + 4]! & 1) !== 0);
      return;
    }
    // confirm.select
    case 0x0055_000a: {
      expectArguments(start, end, 1);
      sink.onConfirmSelect((buf[start + 4]! & 1) !== 0);
      return;
    }
    // tx.select
    case 0x005a_000a: {
      expectArguments(start, end, 0);
      sink.onTxSelect();
      return;
    }
    // tx.commit
    case 0x005a_0014: {
      expectArguments(start, end, 0);
      sink.onTxCommit();
      return;
    }
    // tx.rollback
    case 0x005a_001e: {
      expectArguments(start, end, 0);
      sink.onTxRollback();
      return;
    }
    default:
      throw unexpectedMethod(method);
  }
}

/** True when a content follows `method` (class * 65536 + method) sent by a client. */
export function hasContent(method: number): boolean {
  return method === 0x003c_0028;
}

/** Writes connection.start as one frame. @spec 1.4.2.1 */
export function writeConnectionStart(
  out: FrameSink,
  channel: number,
  versionMajor: number,
  versionMinor: number,
  serverProperties: FieldTable,
  mechanisms: Uint8Array,
  locales: Uint8Array,
): void {
  const serverPropertiesTable = encodeTable(serverProperties);
  let pos = beginMethod(
    out,
    channel,
    0x000a_000a,
    serverPropertiesTable.length + mechanisms.length + locales.length + 10,
  );
  const buf = out.slab;
  buf[pos] = versionMajor;
  pos += 1;
  buf[pos] = versionMinor;
  pos += 1;
  buf.set(serverPropertiesTable, pos);
  pos += serverPropertiesTable.length;
  pos = putU32(buf, pos, mechanisms.length);
  buf.set(mechanisms, pos);
  pos += mechanisms.length;
  pos = putU32(buf, pos, locales.length);
  buf.set(locales, pos);
}

/** Writes connection.secure as one frame. @spec 1.4.2.3 */
export function writeConnectionSecure(
  out: FrameSink,
  channel: number,
  challenge: Uint8Array,
): void {
  let pos = beginMethod(out, channel, 0x000a_0014, challenge.length + 4);
  const buf = out.slab;
  pos = putU32(buf, pos, challenge.length);
  buf.set(challenge, pos);
}

/** Writes connection.tune as one frame. @spec 1.4.2.5 */
export function writeConnectionTune(
  out: FrameSink,
  channel: number,
  channelMax: number,
  frameMax: number,
  heartbeat: number,
): void {
  let pos = beginMethod(out, channel, 0x000a_001e, 8);
  const buf = out.slab;
  pos = putU16(buf, pos, channelMax);
  pos = putU32(buf, pos, frameMax);
  putU16(buf, pos, heartbeat);
}

/** Writes connection.openOk as one frame. @spec 1.4.2.8 */
export function writeConnectionOpenOk(out: FrameSink, channel: number): void {
  const pos = beginMethod(out, channel, 0x000a_0029, 1);
  const buf = out.slab;
  buf[pos] = 0;
}

/** Writes connection.close as one frame. @spec 1.4.2.9 */
export function writeConnectionClose(
  out: FrameSink,
  channel: number,
  replyCode: number,
  replyText: string,
  failedClassId: number,
  failedMethodId: number,
): void {
  const replyTextBytes = shortStringBytes(replyText);
  let pos = beginMethod(out, channel, 0x000a_0032, replyTextBytes + 7);
  const buf = out.slab;
  pos = putU16(buf, pos, replyCode);
  pos = putShortText(buf, pos, replyText, replyTextBytes);
  pos = putU16(buf, pos, failedClassId);
  putU16(buf, pos, failedMethodId);
}

/** Writes connection.closeOk as one frame. @spec 1.4.2.10 */
export function writeConnectionCloseOk(out: FrameSink, channel: number): void {
  beginMethod(out, channel, 0x000a_0033, 0);
}

/** Writes connection.blocked as one frame. @spec RabbitMQ extension */
export function writeConnectionBlocked(out: FrameSink, channel: number, reason: string): void {
  const reasonBytes = shortStringBytes(reason);
  const pos = beginMethod(out, channel, 0x000a_003c, reasonBytes + 1);
  const buf = out.slab;
  putShortText(buf, pos, reason, reasonBytes);
}

/** Writes connection.unblocked as one frame. @spec RabbitMQ extension */
export function writeConnectionUnblocked(out: FrameSink, channel: number): void {
  beginMethod(out, channel, 0x000a_003d, 0);
}

/** Writes connection.updateSecretOk as one frame. @spec RabbitMQ extension */
export function writeConnectionUpdateSecretOk(out: FrameSink, channel: number): void {
  beginMethod(out, channel, 0x000a_0047, 0);
}

/** Writes channel.openOk as one frame. @spec 1.5.2.2 */
export function writeChannelOpenOk(out: FrameSink, channel: number): void {
  const pos = beginMethod(out, channel, 0x0014_000b, 4);
  const buf = out.slab;
  putU32(buf, pos, 0);
}

/** Writes channel.flow as one frame. @spec 1.5.2.3 */
export function writeChannelFlow(out: FrameSink, channel: number, active: boolean): void {
  const pos = beginMethod(out, channel, 0x0014_0014, 1);
  const buf = out.slab;
  buf[pos] = active ? 1 : 0;
}

/** Writes channel.flowOk as one frame. @spec 1.5.2.4 */
export function writeChannelFlowOk(out: FrameSink, channel: number, active: boolean): void {
  const pos = beginMethod(out, channel, 0x0014_0015, 1);
  const buf = out.slab;
  buf[pos] = active ? 1 : 0;
}

/** Writes channel.close as one frame. @spec 1.5.2.5 */
export function writeChannelClose(
  out: FrameSink,
  channel: number,
  replyCode: number,
  replyText: string,
  failedClassId: number,
  failedMethodId: number,
): void {
  const replyTextBytes = shortStringBytes(replyText);
  let pos = beginMethod(out, channel, 0x0014_0028, replyTextBytes + 7);
  const buf = out.slab;
  pos = putU16(buf, pos, replyCode);
  pos = putShortText(buf, pos, replyText, replyTextBytes);
  pos = putU16(buf, pos, failedClassId);
  putU16(buf, pos, failedMethodId);
}

/** Writes channel.closeOk as one frame. @spec 1.5.2.6 */
export function writeChannelCloseOk(out: FrameSink, channel: number): void {
  beginMethod(out, channel, 0x0014_0029, 0);
}

/** Writes access.requestOk as one frame. @spec AMQP 0-8 1.6.2.2 */
export function writeAccessRequestOk(out: FrameSink, channel: number, ticket: number): void {
  const pos = beginMethod(out, channel, 0x001e_000b, 2);
  const buf = out.slab;
  putU16(buf, pos, ticket);
}

/** Writes exchange.declareOk as one frame. @spec 1.6.2.2 */
export function writeExchangeDeclareOk(out: FrameSink, channel: number): void {
  beginMethod(out, channel, 0x0028_000b, 0);
}

/** Writes exchange.deleteOk as one frame. @spec 1.6.2.4 */
export function writeExchangeDeleteOk(out: FrameSink, channel: number): void {
  beginMethod(out, channel, 0x0028_0015, 0);
}

/** Writes exchange.bindOk as one frame. @spec RabbitMQ extension */
export function writeExchangeBindOk(out: FrameSink, channel: number): void {
  beginMethod(out, channel, 0x0028_001f, 0);
}

/** Writes exchange.unbindOk as one frame. @spec RabbitMQ extension */
export function writeExchangeUnbindOk(out: FrameSink, channel: number): void {
  beginMethod(out, channel, 0x0028_0033, 0);
}

/** Writes queue.declareOk as one frame. @spec 1.7.2.2 */
export function writeQueueDeclareOk(
  out: FrameSink,
  channel: number,
  queue: string,
  messageCount: number,
  consumerCount: number,
): void {
  const queueBytes = shortStringBytes(queue);
  let pos = beginMethod(out, channel, 0x0032_000b, queueBytes + 9);
  const buf = out.slab;
  pos = putShortText(buf, pos, queue, queueBytes);
  pos = putU32(buf, pos, messageCount);
  putU32(buf, pos, consumerCount);
}

/** Writes queue.bindOk as one frame. @spec 1.7.2.4 */
export function writeQueueBindOk(out: FrameSink, channel: number): void {
  beginMethod(out, channel, 0x0032_0015, 0);
}

/** Writes queue.purgeOk as one frame. @spec 1.7.2.8 */
export function writeQueuePurgeOk(out: FrameSink, channel: number, messageCount: number): void {
  const pos = beginMethod(out, channel, 0x0032_001f, 4);
  const buf = out.slab;
  putU32(buf, pos, messageCount);
}

/** Writes queue.deleteOk as one frame. @spec 1.7.2.10 */
export function writeQueueDeleteOk(out: FrameSink, channel: number, messageCount: number): void {
  const pos = beginMethod(out, channel, 0x0032_0029, 4);
  const buf = out.slab;
  putU32(buf, pos, messageCount);
}

/** Writes queue.unbindOk as one frame. @spec 1.7.2.6 */
export function writeQueueUnbindOk(out: FrameSink, channel: number): void {
  beginMethod(out, channel, 0x0032_0033, 0);
}

/** Writes basic.qosOk as one frame. @spec 1.8.3.2 */
export function writeBasicQosOk(out: FrameSink, channel: number): void {
  beginMethod(out, channel, 0x003c_000b, 0);
}

/** Writes basic.consumeOk as one frame. @spec 1.8.3.4 */
export function writeBasicConsumeOk(out: FrameSink, channel: number, consumerTag: string): void {
  const consumerTagBytes = shortStringBytes(consumerTag);
  const pos = beginMethod(out, channel, 0x003c_0015, consumerTagBytes + 1);
  const buf = out.slab;
  putShortText(buf, pos, consumerTag, consumerTagBytes);
}

/** Writes basic.cancel as one frame. @spec 1.8.3.5 */
export function writeBasicCancel(
  out: FrameSink,
  channel: number,
  consumerTag: string,
  noWait: boolean,
): void {
  const consumerTagBytes = shortStringBytes(consumerTag);
  let pos = beginMethod(out, channel, 0x003c_001e, consumerTagBytes + 2);
  const buf = out.slab;
  pos = putShortText(buf, pos, consumerTag, consumerTagBytes);
  buf[pos] = noWait ? 1 : 0;
}

/** Writes basic.cancelOk as one frame. @spec 1.8.3.6 */
export function writeBasicCancelOk(out: FrameSink, channel: number, consumerTag: string): void {
  const consumerTagBytes = shortStringBytes(consumerTag);
  const pos = beginMethod(out, channel, 0x003c_001f, consumerTagBytes + 1);
  const buf = out.slab;
  putShortText(buf, pos, consumerTag, consumerTagBytes);
}

/** Writes basic.return as one frame. @spec 1.8.3.8 */
export function writeBasicReturn(
  out: FrameSink,
  channel: number,
  replyCode: number,
  replyText: string,
  exchange: string,
  routingKey: string,
): void {
  const replyTextBytes = shortStringBytes(replyText);
  const exchangeBytes = shortStringBytes(exchange);
  const routingKeyBytes = shortStringBytes(routingKey);
  let pos = beginMethod(
    out,
    channel,
    0x003c_0032,
    replyTextBytes + exchangeBytes + routingKeyBytes + 5,
  );
  const buf = out.slab;
  pos = putU16(buf, pos, replyCode);
  pos = putShortText(buf, pos, replyText, replyTextBytes);
  pos = putShortText(buf, pos, exchange, exchangeBytes);
  putShortText(buf, pos, routingKey, routingKeyBytes);
}

/** Writes basic.deliver as one frame. @spec 1.8.3.9 */
export function writeBasicDeliver(
  out: FrameSink,
  channel: number,
  consumerTag: string,
  deliveryTag: number,
  redelivered: boolean,
  exchange: string,
  routingKey: string,
): void {
  const consumerTagBytes = shortStringBytes(consumerTag);
  const exchangeBytes = shortStringBytes(exchange);
  const routingKeyBytes = shortStringBytes(routingKey);
  let pos = beginMethod(
    out,
    channel,
    0x003c_003c,
    consumerTagBytes + exchangeBytes + routingKeyBytes + 12,
  );
  const buf = out.slab;
  pos = putShortText(buf, pos, consumerTag, consumerTagBytes);
  pos = putU64(buf, pos, deliveryTag);
  buf[pos] = redelivered ? 1 : 0;
  pos += 1;
  pos = putShortText(buf, pos, exchange, exchangeBytes);
  putShortText(buf, pos, routingKey, routingKeyBytes);
}

/** Writes basic.getOk as one frame. @spec 1.8.3.11 */
export function writeBasicGetOk(
  out: FrameSink,
  channel: number,
  deliveryTag: number,
  redelivered: boolean,
  exchange: string,
  routingKey: string,
  messageCount: number,
): void {
  const exchangeBytes = shortStringBytes(exchange);
  const routingKeyBytes = shortStringBytes(routingKey);
  let pos = beginMethod(out, channel, 0x003c_0047, exchangeBytes + routingKeyBytes + 15);
  const buf = out.slab;
  pos = putU64(buf, pos, deliveryTag);
  buf[pos] = redelivered ? 1 : 0;
  pos += 1;
  pos = putShortText(buf, pos, exchange, exchangeBytes);
  pos = putShortText(buf, pos, routingKey, routingKeyBytes);
  putU32(buf, pos, messageCount);
}

/** Writes basic.getEmpty as one frame. @spec 1.8.3.12 */
export function writeBasicGetEmpty(out: FrameSink, channel: number): void {
  const pos = beginMethod(out, channel, 0x003c_0048, 1);
  const buf = out.slab;
  buf[pos] = 0;
}

/** Writes basic.ack as one frame. @spec 1.8.3.13 */
export function writeBasicAck(
  out: FrameSink,
  channel: number,
  deliveryTag: number,
  multiple: boolean,
): void {
  let pos = beginMethod(out, channel, 0x003c_0050, 9);
  const buf = out.slab;
  pos = putU64(buf, pos, deliveryTag);
  buf[pos] = multiple ? 1 : 0;
}

/** Writes basic.recoverOk as one frame. @spec 1.8.3.17 */
export function writeBasicRecoverOk(out: FrameSink, channel: number): void {
  beginMethod(out, channel, 0x003c_006f, 0);
}

/** Writes basic.nack as one frame. @spec RabbitMQ extension */
export function writeBasicNack(
  out: FrameSink,
  channel: number,
  deliveryTag: number,
  multiple: boolean,
  requeue: boolean,
): void {
  let pos = beginMethod(out, channel, 0x003c_0078, 9);
  const buf = out.slab;
  pos = putU64(buf, pos, deliveryTag);
  buf[pos] = (multiple ? 1 : 0) | (requeue ? 2 : 0);
}

/** Writes confirm.selectOk as one frame. @spec RabbitMQ extension */
export function writeConfirmSelectOk(out: FrameSink, channel: number): void {
  beginMethod(out, channel, 0x0055_000b, 0);
}

/** Writes tx.selectOk as one frame. @spec 1.9.2.2 */
export function writeTxSelectOk(out: FrameSink, channel: number): void {
  beginMethod(out, channel, 0x005a_000b, 0);
}

/** Writes tx.commitOk as one frame. @spec 1.9.2.4 */
export function writeTxCommitOk(out: FrameSink, channel: number): void {
  beginMethod(out, channel, 0x005a_0015, 0);
}

/** Writes tx.rollbackOk as one frame. @spec 1.9.2.6 */
export function writeTxRollbackOk(out: FrameSink, channel: number): void {
  beginMethod(out, channel, 0x005a_001f, 0);
}
