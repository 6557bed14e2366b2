/**
 * Finds the protocol header and the frames in a stream of borrowed chunks.
 *
 *     type u8 | channel u16 | payload size u32 | payload | 0xCE
 *     ^ pos                                      ^ pos + 7     ^ pos + 7 + size
 *
 * 1. A frame that lies whole in a chunk is handed over where it lies: no object, no slice, no copy.
 * 2. A method or header frame cut by the end of a chunk is collected in the carry buffer.
 * 3. A body frame that is cut is handed over in pieces, as its bytes arrive: to the content
 *    assembler two pieces are two frames, and no body byte is copied twice. The last piece waits
 *    for the end octet, so content never completes with a frame whose end is wrong.
 * 4. Pausing, stopping and errors are as in `ChunkParser`. Handlers answer channel errors
 *    themselves.
 */
import { readU16, readU32 } from '../../src/base/byte-reader.ts';
import { BrokerError } from '../../src/base/errors.ts';
import { CarryBuffer } from '../../src/net/carry-buffer.ts';
import { ChunkParser } from '../../src/net/chunk-parser.ts';
import type { ProtocolHeader } from './protocol-header.ts';
import { classifyProtocolHeader, PROTOCOL_HEADER_BYTES } from './protocol-header.ts';
import {
  FRAME_BODY,
  FRAME_END,
  FRAME_HEAD_BYTES,
  FRAME_HEARTBEAT,
  FRAME_OVERHEAD_BYTES,
} from './spec/constants.ts';

/** Receives what the parser finds. */
export interface FrameHandler {
  /** Once, first. After anything but 'amqp-0-9-1' the parser has stopped. */
  onProtocolHeader(header: ProtocolHeader): void;
  /**
   * A frame with the payload [start, end) of `buf` (borrowed), or for FRAME_BODY possibly a piece
   * of one. An exception from here stops the parser.
   */
  onFrame(type: number, channel: number, buf: Buffer, start: number, end: number): void;
}

/**
 * Bytes. Largest method or header frame when the peers agreed on no frame limit (frame_max 0):
 * those are collected in memory, and nothing that belongs into one comes near a MiB.
 */
const UNLIMITED_CARRY_BYTES_MAX = 1024 * 1024;

export class FrameParser extends ChunkParser {
  readonly #handler: FrameHandler;
  /** Largest payload of a method or header frame, and of a body frame. */
  #payloadBytesMax: number;
  #bodyBytesMax: number;
  #expectsHeader: boolean;
  /** Begin of a frame that was cut, or of the protocol header. */
  readonly #carry: CarryBuffer;
  /** Payload bytes to come of a body frame handed over in pieces; 0 outside of one. */
  #pieceBytesLeft: number;
  #pieceChannel: number;

  /** @param frameMaxBytes  see `setFrameMax` */
  constructor(handler: FrameHandler, frameMaxBytes: number) {
    super();
    this.#handler = handler;
    this.#payloadBytesMax = 0;
    this.#bodyBytesMax = 0;
    this.#expectsHeader = true;
    this.#carry = new CarryBuffer();
    this.#pieceBytesLeft = 0;
    this.#pieceChannel = 0;
    this.setFrameMax(frameMaxBytes);
  }

  /**
   * Sets the frame limit for the frames to come.
   *
   * @param bytes  the negotiated frame_max, 0 for none. As in RabbitMQ the *payload* may have that
   *   size: clients that forget the eight bytes of overhead are let off.
   */
  setFrameMax(bytes: number): void {
    this.#payloadBytesMax = bytes === 0 ? UNLIMITED_CARRY_BYTES_MAX : bytes;
    this.#bodyBytesMax = bytes === 0 ? Infinity : bytes;
  }

  protected get carriedBytes(): number {
    return this.#carry.length;
  }

  protected dropCarried(): void {
    this.#carry.drop();
  }

  /** @throws BrokerError FRAME_ERROR (connection): too large, unknown type, wrong end octet */
  protected walk(buf: Buffer, from: number): number {
    let pos = from;
    const end = buf.length;
    while (pos < end && !this.isHalted) {
      if (this.#pieceBytesLeft > 0) {
        pos = this.#continueBody(buf, pos, end);
      } else if (this.#carry.length > 0 || this.#expectsHeader) {
        pos = this.#continueCarry(buf, pos, end);
      } else {
        pos = this.#walkWhole(buf, pos, end);
        if (!this.isHalted) pos = this.#beginCut(buf, pos, end);
      }
    }
    return pos;
  }

  /** The fast path: frames that lie whole in the chunk. Returns where the first other starts. */
  #walkWhole(buf: Buffer, from: number, end: number): number {
    const handler = this.#handler;
    let pos = from;
    while (pos + FRAME_OVERHEAD_BYTES <= end) {
      const type = buf[pos]!;
      const payloadBytes = readU32(buf, pos + 3);
      const payloadEnd = pos + FRAME_HEAD_BYTES + payloadBytes;
      if (type === 0 || type > FRAME_BODY || payloadBytes > this.#payloadBytesMax) {
        this.#checkHead(type, readU16(buf, pos + 1), payloadBytes);
      }
      if (payloadEnd >= end) return pos;
      if (buf[payloadEnd] !== FRAME_END) throw wrongEnd(buf[payloadEnd]!);
      const payload = pos + FRAME_HEAD_BYTES;
      pos = payloadEnd + 1;
      handler.onFrame(type, (buf[payload - 6]! << 8) | buf[payload - 5]!, buf, payload, payloadEnd);
      if (this.isHalted) return pos;
    }
    return pos;
  }

  /** What is left of the chunk is the begin of a frame. */
  #beginCut(buf: Buffer, pos: number, end: number): number {
    if (pos === end) return pos;
    this.#carry.fill(buf, pos, end, FRAME_HEAD_BYTES);
    if (this.#carry.length < FRAME_HEAD_BYTES) return end;
    return this.#continueCarry(buf, pos + FRAME_HEAD_BYTES, end);
  }

  #continueCarry(buf: Buffer, from: number, end: number): number {
    if (this.#expectsHeader) return this.#continueHeader(buf, from, end);
    const pos = this.#carry.fill(buf, from, end, FRAME_HEAD_BYTES);
    if (this.#carry.length < FRAME_HEAD_BYTES) return pos;

    const { bytes } = this.#carry;
    const type = bytes[0]!;
    const channel = readU16(bytes, 1);
    const payloadBytes = readU32(bytes, 3);
    if (this.#carry.length === FRAME_HEAD_BYTES) this.#checkHead(type, channel, payloadBytes);
    if (type === FRAME_BODY && payloadBytes > 0) {
      this.#carry.take();
      this.#pieceBytesLeft = payloadBytes;
      this.#pieceChannel = channel;
      return pos;
    }
    const frameBytes = payloadBytes + FRAME_OVERHEAD_BYTES;
    const next = this.#carry.fill(buf, pos, end, frameBytes);
    if (this.#carry.length < frameBytes) return next;

    const frame = this.#carry.take();
    const endOctet = frame[frameBytes - 1]!;
    if (endOctet !== FRAME_END) throw wrongEnd(endOctet);
    this.#handler.onFrame(type, channel, frame, FRAME_HEAD_BYTES, frameBytes - 1);
    return next;
  }

  #continueHeader(buf: Buffer, from: number, end: number): number {
    const pos = this.#carry.fill(buf, from, end, PROTOCOL_HEADER_BYTES);
    const header = classifyProtocolHeader(this.#carry.bytes, 0, this.#carry.length);
    if (header === 'incomplete') return pos;
    this.#expectsHeader = false;
    this.#carry.take();
    if (header !== 'amqp-0-9-1') this.stop();
    this.#handler.onProtocolHeader(header);
    return pos;
  }

  /** Hands over the next piece of a body frame. */
  #continueBody(buf: Buffer, from: number, end: number): number {
    let pos = from;
    const left = this.#pieceBytesLeft;
    if (this.#carry.length === 0) {
      if (end - pos > left) {
        // All of it, and the end octet.
        const payloadEnd = pos + left;
        if (buf[payloadEnd] !== FRAME_END) throw wrongEnd(buf[payloadEnd]!);
        this.#pieceBytesLeft = 0;
        this.#handler.onFrame(FRAME_BODY, this.#pieceChannel, buf, pos, payloadEnd);
        return payloadEnd + 1;
      }
      const pieceBytes = Math.min(end - pos, left - 1);
      if (pieceBytes > 0) {
        this.#pieceBytesLeft = left - pieceBytes;
        this.#handler.onFrame(FRAME_BODY, this.#pieceChannel, buf, pos, pos + pieceBytes);
        return pos + pieceBytes;
      }
    }
    // The last payload byte waits in the carry for the end octet.
    pos = this.#carry.fill(buf, pos, end, 2);
    if (this.#carry.length < 2) return pos;
    const last = this.#carry.take();
    if (last[1] !== FRAME_END) throw wrongEnd(last[1]!);
    this.#pieceBytesLeft = 0;
    this.#handler.onFrame(FRAME_BODY, this.#pieceChannel, last, 0, 1);
    return pos;
  }

  #checkHead(type: number, channel: number, payloadBytes: number): void {
    const isHeartbeat = type === FRAME_HEARTBEAT;
    if ((type === 0 || type > FRAME_BODY) && !isHeartbeat) {
      throw new BrokerError('FRAME_ERROR', `unknown frame type ${type}`);
    }
    if (isHeartbeat && payloadBytes > 0) {
      throw new BrokerError('FRAME_ERROR', 'a heartbeat frame has no payload');
    }
    const limit = type === FRAME_BODY ? this.#bodyBytesMax : this.#payloadBytesMax;
    if (payloadBytes > limit) {
      throw new BrokerError(
        'FRAME_ERROR',
        `frame too large: type ${type}, channel ${channel}, ` +
          `${payloadBytes} bytes of payload, at most ${limit}`,
      );
    }
  }
}

function wrongEnd(octet: number): BrokerError {
  return new BrokerError('FRAME_ERROR', `invalid frame end marker ${octet}`);
}
