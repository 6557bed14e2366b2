/**
 * Finds the protocol header and the frames in a stream of borrowed chunks.
 *
 *     type u8 | channel u16 | payload size u32 | payload | 0xCE
 *     ^ pos                                      ^ pos + 7     ^ pos + 7 + size
 *
 * 1. A frame that lies whole in a chunk is handed over where it lies: no object, no slice, no copy.
 * 2. A method or header frame cut by the end of a chunk is collected in `carry`, which grows with
 *    the bytes that really arrive and never above the frame limit.
 * 3. A body frame that is cut is handed over in pieces, as its bytes arrive: to the content
 *    assembler two pieces are two frames, and no body byte is copied twice. The last piece waits
 *    for the end octet, so content never completes with a frame whose end is wrong.
 * 4. A handler may `pause()` during any call. The rest of the chunk is then copied and kept, and
 *    what is pushed meanwhile queues behind it. `resume()` goes on from there. What is kept is
 *    bounded by the caller, who stops reading the socket with it.
 * 5. After a framing error, an exception from the handler, or `stop()`, everything is ignored:
 *    without frame boundaries there is no way back. Handlers answer channel errors themselves.
 */
import { assert } from '../../src/base/assert.ts';
import { readU16, readU32 } from '../../src/base/byte-reader.ts';
import { BrokerError } from '../../src/base/errors.ts';
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

/** Bytes. First size of a carry buffer; methods are mostly smaller. */
const CARRY_BYTES_INITIAL = 256;

const NO_BYTES = Buffer.alloc(0);

export class FrameParser {
  readonly #handler: FrameHandler;
  /** Largest payload of a method or header frame, and of a body frame. */
  #payloadBytesMax: number;
  #bodyBytesMax: number;
  #expectsHeader: boolean;
  #isParsing: boolean;
  #isPaused: boolean;
  #isStopped: boolean;
  /** Begin of a frame that was cut, or of the protocol header. */
  #carry: Buffer;
  #carryBytes: number;
  /** Payload bytes to come of a body frame handed over in pieces; 0 outside of one. */
  #pieceBytesLeft: number;
  #pieceChannel: number;
  /** What arrived while paused; owned. */
  #pending: Buffer;
  #pendingStart: number;

  /** @param frameMaxBytes  see `setFrameMax` */
  constructor(handler: FrameHandler, frameMaxBytes: number) {
    this.#handler = handler;
    this.#payloadBytesMax = 0;
    this.#bodyBytesMax = 0;
    this.#expectsHeader = true;
    this.#isParsing = false;
    this.#isPaused = false;
    this.#isStopped = false;
    this.#carry = NO_BYTES;
    this.#carryBytes = 0;
    this.#pieceBytesLeft = 0;
    this.#pieceChannel = 0;
    this.#pending = NO_BYTES;
    this.#pendingStart = 0;
    this.setFrameMax(frameMaxBytes);
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** True after a framing error, a foreign protocol header or `stop`. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Bytes held back: of a cut frame, and of what arrived while paused. */
  get heldBytes(): number {
    return this.#carryBytes + this.#pending.length - this.#pendingStart;
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

  /**
   * Parses a chunk and calls the handler for what is complete.
   *
   * @param chunk  borrowed until it returns
   * @throws BrokerError FRAME_ERROR (connection): too large, unknown type, wrong end octet; and
   *   whatever the handler throws. The parser has then stopped.
   */
  push(chunk: Buffer): void {
    assert(!this.#isParsing, 'push from within a handler');
    if (this.#isStopped || chunk.length === 0) return;
    if (this.#isPaused) {
      this.#pending = Buffer.concat([this.#pending.subarray(this.#pendingStart), chunk]);
      this.#pendingStart = 0;
      return;
    }
    const pos = this.#parse(chunk, 0);
    if (pos < chunk.length && !this.#isStopped) this.#pending = Buffer.from(chunk.subarray(pos));
  }

  /** Stops after the frame being handled; what is left is kept. */
  pause(): void {
    this.#isPaused = true;
  }

  /** Goes on with what was kept. Throws as `push`. From within a handler it undoes `pause`. */
  resume(): void {
    this.#isPaused = false;
    if (this.#isParsing || this.#isStopped || this.#pending.length === 0) return;
    const pos = this.#parse(this.#pending, this.#pendingStart);
    if (this.#isStopped) return;
    if (pos < this.#pending.length) {
      this.#pendingStart = pos;
    } else {
      this.#pending = NO_BYTES;
      this.#pendingStart = 0;
    }
  }

  /** Ignores everything from now on. */
  stop(): void {
    this.#isStopped = true;
    this.#carry = NO_BYTES;
    this.#carryBytes = 0;
    this.#pending = NO_BYTES;
    this.#pendingStart = 0;
  }

  /** Parses from `pos` until the end, a pause or a stop; returns where it stands. */
  #parse(buf: Buffer, pos: number): number {
    this.#isParsing = true;
    let isDone = false;
    try {
      const next = this.#walk(buf, pos);
      isDone = true;
      return next;
    } finally {
      this.#isParsing = false;
      if (!isDone) this.stop();
    }
  }

  #walk(buf: Buffer, from: number): number {
    let pos = from;
    const end = buf.length;
    while (pos < end && !this.#isPaused && !this.#isStopped) {
      if (this.#pieceBytesLeft > 0) {
        pos = this.#continueBody(buf, pos, end);
      } else if (this.#carryBytes > 0 || this.#expectsHeader) {
        pos = this.#continueCarry(buf, pos, end);
      } else {
        pos = this.#walkWhole(buf, pos, end);
        if (!this.#isPaused && !this.#isStopped) pos = this.#beginCut(buf, pos, end);
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
      if (this.#isPaused || this.#isStopped) return pos;
    }
    return pos;
  }

  /** What is left of the chunk is the begin of a frame. */
  #beginCut(buf: Buffer, pos: number, end: number): number {
    if (pos === end) return pos;
    this.#keep(buf, pos, Math.min(end, pos + FRAME_HEAD_BYTES));
    if (this.#carryBytes < FRAME_HEAD_BYTES) return end;
    return this.#continueCarry(buf, pos + FRAME_HEAD_BYTES, end);
  }

  #continueCarry(buf: Buffer, from: number, end: number): number {
    if (this.#expectsHeader) return this.#continueHeader(buf, from, end);
    const pos = this.#fill(buf, from, end, FRAME_HEAD_BYTES);
    if (this.#carryBytes < FRAME_HEAD_BYTES) return pos;

    const type = this.#carry[0]!;
    const channel = readU16(this.#carry, 1);
    const payloadBytes = readU32(this.#carry, 3);
    if (this.#carryBytes === FRAME_HEAD_BYTES) this.#checkHead(type, channel, payloadBytes);
    if (type === FRAME_BODY && payloadBytes > 0) {
      this.#releaseCarry();
      this.#pieceBytesLeft = payloadBytes;
      this.#pieceChannel = channel;
      return pos;
    }
    const frameBytes = payloadBytes + FRAME_OVERHEAD_BYTES;
    const next = this.#fill(buf, pos, end, frameBytes);
    if (this.#carryBytes < frameBytes) return next;

    const frame = this.#carry;
    const endOctet = frame[frameBytes - 1]!;
    if (endOctet !== FRAME_END) throw wrongEnd(endOctet);
    this.#releaseCarry();
    this.#handler.onFrame(type, channel, frame, FRAME_HEAD_BYTES, frameBytes - 1);
    return next;
  }

  #continueHeader(buf: Buffer, from: number, end: number): number {
    const pos = this.#fill(buf, from, end, PROTOCOL_HEADER_BYTES);
    const header = classifyProtocolHeader(this.#carry, 0, this.#carryBytes);
    if (header === 'incomplete') return pos;
    this.#expectsHeader = false;
    this.#releaseCarry();
    if (header !== 'amqp-0-9-1') this.stop();
    this.#handler.onProtocolHeader(header);
    return pos;
  }

  /** Hands over the next piece of a body frame. */
  #continueBody(buf: Buffer, from: number, end: number): number {
    let pos = from;
    const left = this.#pieceBytesLeft;
    if (this.#carryBytes === 0) {
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
    pos = this.#fill(buf, pos, end, 2);
    if (this.#carryBytes < 2) return pos;
    const last = this.#carry;
    if (last[1] !== FRAME_END) throw wrongEnd(last[1]!);
    this.#pieceBytesLeft = 0;
    this.#releaseCarry();
    this.#handler.onFrame(FRAME_BODY, this.#pieceChannel, last, 0, 1);
    return pos;
  }

  /** Moves bytes into the carry until it has `wanted`; returns where it stands in `buf`. */
  #fill(buf: Buffer, pos: number, end: number, wanted: number): number {
    const missing = wanted - this.#carryBytes;
    if (missing <= 0) return pos;
    const next = Math.min(end, pos + missing);
    this.#keep(buf, pos, next);
    return next;
  }

  #keep(buf: Buffer, start: number, end: number): void {
    const used = this.#carryBytes;
    const needed = used + end - start;
    if (needed > this.#carry.length) {
      const most = this.#payloadBytesMax + FRAME_OVERHEAD_BYTES;
      const doubled = Math.min(this.#carry.length * 2, most);
      const grown = Buffer.allocUnsafe(Math.max(needed, doubled, CARRY_BYTES_INITIAL));
      this.#carry.copy(grown, 0, 0, used);
      this.#carry = grown;
    }
    buf.copy(this.#carry, used, start, end);
    this.#carryBytes = needed;
  }

  /** A large carry is not kept: ten thousand idle connections each hold next to nothing. */
  #releaseCarry(): void {
    this.#carryBytes = 0;
    if (this.#carry.length > CARRY_BYTES_INITIAL) this.#carry = NO_BYTES;
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
