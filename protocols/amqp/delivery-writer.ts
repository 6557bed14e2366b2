/**
 * Writes messages to consumers: method frame, the publisher's header bytes, body frames.
 *
 *     01 ch ch size | 60 60 tag-len consumer-tag | delivery-tag u64 | redelivered | exchange | key | CE
 *     02 ch ch size | header bytes as published                                               | CE
 *     03 ch ch size | body, at most frame_max - 8 bytes a frame                               | CE
 *
 * The method frame is kept per consumer as a template: between two deliveries of one (exchange,
 * routing key) only the delivery tag and the redelivered bit change, so one copy and nine bytes
 * make a frame. A message that fits is written with one `reserve`; a large body goes out from
 * where it lies. Rejected: a frame object, a Buffer per frame (16 times slower, see
 * docs/PERFORMANCE.md).
 */
import type { Message } from '../../src/engine/message.ts';
import type { Outbound } from '../../src/net/outbound.ts';

const FRAME_METHOD = 1;
const FRAME_HEADER = 2;
const FRAME_BODY = 3;
const FRAME_END = 0xce;
/** type 1, channel 2, size 4. */
const FRAME_PREFIX_BYTES = 7;
/** Prefix and end octet. */
export const FRAME_OVERHEAD_BYTES = FRAME_PREFIX_BYTES + 1;
/** Largest message written into the slab in one piece; bodies from here on are not copied. */
const ONE_PIECE_BYTES_MAX = 16 * 1024;
/** Up to here a byte loop beats `Buffer.copy` on Node 20. */
const LOOP_COPY_BYTES = 40;
/** delivery-tag 8, redelivered 1. */
const TAG_AND_FLAG_BYTES = 9;
const CLASS_BASIC = 60;
const METHOD_DELIVER = 60;
const METHOD_GET_OK = 71;
const METHOD_RETURN = 50;
const TWO_POW_32 = 2 ** 32;

/** The method frame of basic.deliver for one consumer, ready but for tag and flag. */
export class DeliverTemplate {
  readonly #channel: number;
  readonly #consumerTag: Buffer;
  #exchange: string | undefined;
  #routingKey: string;
  #frame: Buffer;

  /** @param consumerTag at most 255 bytes of UTF-8 */
  constructor(channel: number, consumerTag: string) {
    this.#channel = channel;
    this.#consumerTag = Buffer.from(consumerTag, 'utf8');
    this.#exchange = undefined;
    this.#routingKey = '';
    this.#frame = Buffer.alloc(0);
  }

  /** Offset of the delivery tag in the frame. */
  get tagOffset(): number {
    return FRAME_PREFIX_BYTES + 5 + this.#consumerTag.length;
  }

  /** The frame for messages published to (exchange, routingKey); borrowed until the next call. */
  frameFor(exchange: string, routingKey: string): Buffer {
    if (routingKey !== this.#routingKey || exchange !== this.#exchange) {
      this.#build(exchange, routingKey);
    }
    return this.#frame;
  }

  #build(exchange: string, routingKey: string): void {
    const tag = this.#consumerTag;
    const exchangeBytes = Buffer.byteLength(exchange, 'utf8');
    const keyBytes = Buffer.byteLength(routingKey, 'utf8');
    const payloadBytes = 5 + tag.length + TAG_AND_FLAG_BYTES + 2 + exchangeBytes + keyBytes;
    const frameBytes = payloadBytes + FRAME_OVERHEAD_BYTES;
    const frame = this.#frame.length === frameBytes ? this.#frame : Buffer.allocUnsafe(frameBytes);
    let at = writeMethodPrefix(frame, 0, this.#channel, payloadBytes, METHOD_DELIVER);
    frame[at] = tag.length;
    tag.copy(frame, at + 1);
    at += 1 + tag.length + TAG_AND_FLAG_BYTES;
    at = writeShortString(frame, at, exchange, exchangeBytes);
    at = writeShortString(frame, at, routingKey, keyBytes);
    frame[at] = FRAME_END;
    this.#frame = frame;
    this.#exchange = exchange;
    this.#routingKey = routingKey;
  }
}

/** Writes content to one connection. */
export class DeliveryWriter {
  readonly #outbound: Outbound;
  #frameMaxBytes: number;

  constructor(outbound: Outbound) {
    this.#outbound = outbound;
    this.#frameMaxBytes = 4_096;
  }

  /** The negotiated frame_max, framing included. */
  setFrameMaxBytes(frameMaxBytes: number): void {
    this.#frameMaxBytes = frameMaxBytes;
  }

  /** basic.deliver with its content. */
  deliver(
    channel: number,
    template: DeliverTemplate,
    deliveryTag: number,
    isRedelivered: boolean,
    message: Message,
  ): void {
    const method = template.frameFor(message.exchange, message.routingKey);
    const contentBytes = this.#onePieceBytes(message);
    const at = this.#outbound.reserve(method.length + contentBytes);
    const slab = this.#outbound.slab;
    slab.set(method, at);
    writeTagAndFlag(slab, at + template.tagOffset, deliveryTag, isRedelivered);
    if (contentBytes > 0) writeContent(slab, at + method.length, channel, message);
    else this.#appendContent(channel, message);
  }

  /** basic.get-ok with its content. */
  getOk(
    channel: number,
    deliveryTag: number,
    isRedelivered: boolean,
    message: Message,
    messageCount: number,
  ): void {
    const exchangeBytes = Buffer.byteLength(message.exchange, 'utf8');
    const keyBytes = Buffer.byteLength(message.routingKey, 'utf8');
    const payloadBytes = 4 + TAG_AND_FLAG_BYTES + 2 + exchangeBytes + keyBytes + 4;
    let at = this.#outbound.reserve(payloadBytes + FRAME_OVERHEAD_BYTES);
    const slab = this.#outbound.slab;
    at = writeMethodPrefix(slab, at, channel, payloadBytes, METHOD_GET_OK);
    at = writeTagAndFlag(slab, at, deliveryTag, isRedelivered);
    at = writeShortString(slab, at, message.exchange, exchangeBytes);
    at = writeShortString(slab, at, message.routingKey, keyBytes);
    at = slab.writeUInt32BE(messageCount, at);
    slab[at] = FRAME_END;
    this.#appendContent(channel, message);
  }

  /** basic.return with its content. `replyText` is at most 255 ASCII characters. */
  returnMessage(channel: number, replyCode: number, replyText: string, message: Message): void {
    const exchangeBytes = Buffer.byteLength(message.exchange, 'utf8');
    const keyBytes = Buffer.byteLength(message.routingKey, 'utf8');
    const payloadBytes = 4 + 2 + 1 + replyText.length + 2 + exchangeBytes + keyBytes;
    let at = this.#outbound.reserve(payloadBytes + FRAME_OVERHEAD_BYTES);
    const slab = this.#outbound.slab;
    at = writeMethodPrefix(slab, at, channel, payloadBytes, METHOD_RETURN);
    at = slab.writeUInt16BE(replyCode, at);
    at = writeShortString(slab, at, replyText, replyText.length);
    at = writeShortString(slab, at, message.exchange, exchangeBytes);
    at = writeShortString(slab, at, message.routingKey, keyBytes);
    slab[at] = FRAME_END;
    this.#appendContent(channel, message);
  }

  /** Bytes of header and body frames when they fit one piece and one body frame; else 0. */
  #onePieceBytes(message: Message): number {
    const bodyBytes = message.bodyBytes;
    const headerFrameBytes = message.headerBytes + FRAME_OVERHEAD_BYTES;
    if (bodyBytes === 0) return headerFrameBytes;
    const bodyFrameBytes = bodyBytes + FRAME_OVERHEAD_BYTES;
    if (bodyFrameBytes > this.#frameMaxBytes) return 0;
    const byteCount = headerFrameBytes + bodyFrameBytes;
    return byteCount <= ONE_PIECE_BYTES_MAX ? byteCount : 0;
  }

  #appendContent(channel: number, message: Message): void {
    const outbound = this.#outbound;
    const { bytes, start, headerBytes, bodyBytes } = message;
    let at = outbound.reserve(headerBytes + FRAME_OVERHEAD_BYTES);
    writeFrame(outbound.slab, at, FRAME_HEADER, channel, bytes, start, headerBytes);
    const chunkBytesMax = this.#frameMaxBytes - FRAME_OVERHEAD_BYTES;
    let bodyAt = start + headerBytes;
    const end = bodyAt + bodyBytes;
    while (bodyAt < end) {
      const chunkBytes = Math.min(chunkBytesMax, end - bodyAt);
      at = outbound.reserve(FRAME_PREFIX_BYTES);
      writeFramePrefix(outbound.slab, at, FRAME_BODY, channel, chunkBytes);
      outbound.append(bytes, bodyAt, bodyAt + chunkBytes);
      at = outbound.reserve(1);
      outbound.slab[at] = FRAME_END;
      bodyAt += chunkBytes;
    }
  }
}

/** Header frame and, unless the body is empty, one body frame. */
function writeContent(slab: Buffer, at: number, channel: number, message: Message): void {
  const { bytes, start, headerBytes, bodyBytes } = message;
  const next = writeFrame(slab, at, FRAME_HEADER, channel, bytes, start, headerBytes);
  if (bodyBytes > 0) {
    writeFrame(slab, next, FRAME_BODY, channel, bytes, start + headerBytes, bodyBytes);
  }
}

/** One frame with a copied payload; returns the offset after it. */
function writeFrame(
  slab: Buffer,
  at: number,
  type: number,
  channel: number,
  bytes: Buffer,
  start: number,
  byteCount: number,
): number {
  let target = writeFramePrefix(slab, at, type, channel, byteCount);
  if (byteCount > LOOP_COPY_BYTES) {
    bytes.copy(slab, target, start, start + byteCount);
    target += byteCount;
  } else {
    const end = start + byteCount;
    for (let source = start; source < end; source += 1) {
      slab[target] = bytes[source]!;
      target += 1;
    }
  }
  slab[target] = FRAME_END;
  return target + 1;
}

function writeFramePrefix(
  slab: Buffer,
  at: number,
  type: number,
  channel: number,
  payloadBytes: number,
): number {
  slab[at] = type;
  slab[at + 1] = channel >>> 8;
  slab[at + 2] = channel;
  slab[at + 3] = payloadBytes >>> 24;
  slab[at + 4] = payloadBytes >>> 16;
  slab[at + 5] = payloadBytes >>> 8;
  slab[at + 6] = payloadBytes;
  return at + FRAME_PREFIX_BYTES;
}

function writeMethodPrefix(
  slab: Buffer,
  at: number,
  channel: number,
  payloadBytes: number,
  methodId: number,
): number {
  const next = writeFramePrefix(slab, at, FRAME_METHOD, channel, payloadBytes);
  slab[next] = 0;
  slab[next + 1] = CLASS_BASIC;
  slab[next + 2] = 0;
  slab[next + 3] = methodId;
  return next + 4;
}

/** A 64-bit tag as two halves, then the redelivered bit. */
function writeTagAndFlag(slab: Buffer, at: number, tag: number, isRedelivered: boolean): number {
  const high = Math.floor(tag / TWO_POW_32);
  const low = tag >>> 0;
  slab[at] = high >>> 24;
  slab[at + 1] = high >>> 16;
  slab[at + 2] = high >>> 8;
  slab[at + 3] = high;
  slab[at + 4] = low >>> 24;
  slab[at + 5] = low >>> 16;
  slab[at + 6] = low >>> 8;
  slab[at + 7] = low;
  slab[at + 8] = isRedelivered ? 1 : 0;
  return at + TAG_AND_FLAG_BYTES;
}

function writeShortString(slab: Buffer, at: number, text: string, byteCount: number): number {
  slab[at] = byteCount;
  if (byteCount > 0) slab.write(text, at + 1, byteCount, 'utf8');
  return at + 1 + byteCount;
}
