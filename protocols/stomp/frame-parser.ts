/**
 * STOMP frames out of a byte stream, by offset.
 *
 *     EOL* | COMMAND EOL | (name ':' value EOL)* | EOL | body | NUL
 *
 * The body ends at its first NUL, or after `content-length` bytes, when a NUL must follow. EOL is
 * LF with or without CR, in every version. Line ends and stray NULs between frames are heart-beats
 * or padding.
 *
 * A frame that lies whole in a chunk is handed on from where it lies. The rest of a chunk is kept
 * in `#carry`, which the following chunks extend; scanning goes on where it stopped, so every byte
 * is looked at once and a body that comes in drops costs no more than its copies.
 *
 * Invariants:
 * 1. At most one frame is kept, and at most what the limits allow of it plus one chunk.
 * 2. Positions are relative to the buffer given to `#run`; `#keep` moves them with the bytes.
 * 3. Nothing is handed on while paused or after `stop`.
 */
import { readText } from '../../src/base/byte-reader.ts';
import { Frame } from './frame.ts';
import { HEADER_COUNT_MAX } from './limits.ts';
import { type Dialect, STOMP_1_0 } from './spec/headers.ts';
import { StompError } from './stomp-error.ts';

const NUL = 0;
const LF = 10;
const CR = 13;
const COLON = 58;

const IDLE = 0;
const COMMAND = 1;
const HEADERS = 2;
const BODY = 3;

/** No content-length: the body ends at the first NUL. */
const UNKNOWN = -1;
const NO_BYTES = Buffer.alloc(0);
/** Bytes of carry that stay for the next frame whatever it needs. */
const CARRY_BYTES_KEPT = 64 * 1024;
const DIGITS = /^\d{1,15}$/;

export interface FrameHandler {
  /** `frame` and its memory are borrowed. */
  onFrame(frame: Frame): void;
}

export class FrameParser {
  /** How headers of the following frames are escaped; CONNECT never is. */
  dialect: Dialect;
  readonly #handler: FrameHandler;
  readonly #frame: Frame;
  #headBytesMax: number;
  #bodyBytesMax: number;
  #carry: Buffer;
  #carryBytes: number;
  #phase: number;
  /** Next byte to look at. */
  #pos: number;
  #frameStart: number;
  #lineStart: number;
  /** First colon of the line, or -1. */
  #colon: number;
  #bodyBytes: number;
  #isPaused: boolean;
  #isStopped: boolean;

  constructor(handler: FrameHandler, headBytesMax: number, bodyBytesMax: number) {
    this.dialect = STOMP_1_0;
    this.#handler = handler;
    this.#frame = new Frame();
    this.#headBytesMax = headBytesMax;
    this.#bodyBytesMax = bodyBytesMax;
    this.#carry = NO_BYTES;
    this.#carryBytes = 0;
    this.#phase = IDLE;
    this.#pos = 0;
    this.#frameStart = 0;
    this.#lineStart = 0;
    this.#colon = -1;
    this.#bodyBytes = UNKNOWN;
    this.#isPaused = false;
    this.#isStopped = false;
  }

  /** Limits of the frames to come. */
  setLimits(headBytesMax: number, bodyBytesMax: number): void {
    this.#headBytesMax = headBytesMax;
    this.#bodyBytesMax = bodyBytesMax;
  }

  /**
   * Takes the next bytes of the stream (borrowed).
   *
   * @throws StompError when they are no frame; the parser is of no use then
   */
  push(chunk: Buffer): void {
    if (this.#isStopped) return;
    if (this.#carryBytes === 0 && !this.#isPaused) {
      this.#run(chunk);
      if (this.#pos < chunk.length || this.#phase !== IDLE) this.#keep(chunk);
      else this.#pos = 0;
      return;
    }
    this.#append(chunk);
    if (!this.#isPaused) this.#runCarry();
  }

  /** Hands nothing on until `resume`. */
  pause(): void {
    this.#isPaused = true;
  }

  /** Goes on with what was kept. @throws StompError as `push` */
  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    if (!this.#isStopped && this.#carryBytes > 0) this.#runCarry();
  }

  /** Forgets everything; later calls do nothing. */
  stop(): void {
    this.#isStopped = true;
    this.#carry = NO_BYTES;
    this.#carryBytes = 0;
  }

  #runCarry(): void {
    const kept = this.#carry.subarray(0, this.#carryBytes);
    this.#run(kept);
    if (this.#isStopped) return;
    if (this.#pos < kept.length || this.#phase !== IDLE) {
      this.#keep(kept);
      return;
    }
    this.#carry = NO_BYTES;
    this.#carryBytes = 0;
    this.#pos = 0;
  }

  /** Makes the unfinished frame of `buf` the beginning of the carry. */
  #keep(buf: Buffer): void {
    if (this.#isStopped) return;
    const from = this.#phase === IDLE ? this.#pos : this.#frameStart;
    const keptBytes = buf.length - from;
    const carry = this.#carry;
    const isInPlace =
      from === 0 && buf.buffer === carry.buffer && buf.byteOffset === carry.byteOffset;
    if (!isInPlace) {
      const fits = carry.length >= keptBytes;
      const isWasteful = carry.length > CARRY_BYTES_KEPT && carry.length > keptBytes * 4;
      if (fits && !isWasteful) buf.copy(carry, 0, from);
      else this.#carry = Buffer.from(buf.subarray(from));
    }
    this.#carryBytes = keptBytes;
    this.#pos -= from;
    this.#lineStart -= from;
    this.#frameStart -= from;
    if (this.#colon >= 0) this.#colon -= from;
  }

  #append(chunk: Buffer): void {
    const needed = this.#carryBytes + chunk.length;
    if (needed > this.#carry.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#carry.length * 2));
      this.#carry.copy(grown, 0, 0, this.#carryBytes);
      this.#carry = grown;
    }
    chunk.copy(this.#carry, this.#carryBytes);
    this.#carryBytes = needed;
  }

  /** Hands on the frames that are complete in `buf`. */
  #run(buf: Buffer): void {
    while (!this.#isPaused && !this.#isStopped) {
      if (this.#phase === IDLE && !this.#begin(buf)) return;
      if (this.#phase !== BODY && !this.#readHead(buf)) return;
      if (!this.#readBody(buf)) return;
      this.#phase = IDLE;
      this.#handler.onFrame(this.#frame);
      // An idle connection must not pin its last chunk.
      this.#frame.buf = NO_BYTES;
    }
  }

  #begin(buf: Buffer): boolean {
    let pos = this.#pos;
    while (pos < buf.length && (buf[pos] === LF || buf[pos] === CR || buf[pos] === NUL)) pos += 1;
    this.#pos = pos;
    if (pos === buf.length) return false;
    this.#phase = COMMAND;
    this.#frameStart = pos;
    this.#lineStart = pos;
    this.#colon = -1;
    this.#frame.headerCount = 0;
    return true;
  }

  #readHead(buf: Buffer): boolean {
    const end = Math.min(buf.length, this.#frameStart + this.#headBytesMax);
    let pos = this.#pos;
    while (pos < end) {
      const byte = buf[pos]!;
      pos += 1;
      if (byte === COLON) {
        if (this.#colon < 0) this.#colon = pos - 1;
      } else if (byte === NUL) {
        throw malformed('a NUL among the headers');
      } else if (byte === LF && this.#endLine(buf, pos - 1)) {
        this.#pos = pos;
        this.#beginBody(buf, pos);
        return true;
      }
    }
    this.#pos = pos;
    if (pos - this.#frameStart >= this.#headBytesMax) {
      throw new StompError('Frame too large', `headers of more than ${this.#headBytesMax} bytes\n`);
    }
    return false;
  }

  /** Takes the line up to `lineFeed`; true when it is the empty one. */
  #endLine(buf: Buffer, lineFeed: number): boolean {
    const start = this.#lineStart;
    let end = lineFeed;
    if (end > start && buf[end - 1] === CR) end -= 1;
    this.#lineStart = lineFeed + 1;
    if (this.#phase === COMMAND) {
      this.#frame.command = readText(buf, start, end) ?? '';
      this.#phase = HEADERS;
      this.#colon = -1;
      return false;
    }
    if (end === start) return true;
    const colon = this.#colon;
    this.#colon = -1;
    if (colon < 0 || colon === start) throw malformed('a header without a name or a colon');
    const frame = this.#frame;
    if (frame.headerCount === HEADER_COUNT_MAX) {
      throw new StompError('Frame too large', `more than ${HEADER_COUNT_MAX} headers\n`);
    }
    const at = frame.headerCount * 4;
    const base = this.#frameStart;
    frame.spans[at] = start - base;
    frame.spans[at + 1] = colon - base;
    frame.spans[at + 2] = colon + 1 - base;
    frame.spans[at + 3] = end - base;
    frame.headerCount += 1;
    return false;
  }

  #beginBody(buf: Buffer, pos: number): void {
    const frame = this.#frame;
    this.#phase = BODY;
    frame.headEnd = pos - this.#frameStart;
    frame.buf = buf;
    frame.headStart = this.#frameStart;
    const { command } = frame;
    const isConnect = command === 'CONNECT' || command === 'STOMP';
    frame.dialect = isConnect ? STOMP_1_0 : this.dialect;
    const text = frame.header('content-length')?.trim();
    frame.buf = NO_BYTES;
    this.#bodyBytes = text === undefined ? UNKNOWN : Number(text);
    if (text === undefined) return;
    if (!DIGITS.test(text)) throw malformed('content-length is no number');
    if (this.#bodyBytes > this.#bodyBytesMax) throw this.#tooLarge();
  }

  #readBody(buf: Buffer): boolean {
    const frame = this.#frame;
    const start = this.#frameStart + frame.headEnd;
    let end: number;
    if (this.#bodyBytes !== UNKNOWN) {
      end = start + this.#bodyBytes;
      if (end >= buf.length) {
        this.#pos = buf.length;
        return false;
      }
      if (buf[end] !== NUL) throw malformed('no NUL after content-length bytes of body');
    } else {
      end = buf.indexOf(NUL, this.#pos);
      const seen = end < 0 ? buf.length : end;
      if (seen - start > this.#bodyBytesMax) throw this.#tooLarge();
      this.#pos = seen;
      if (end < 0) return false;
    }
    this.#pos = end + 1;
    frame.buf = buf;
    frame.headStart = this.#frameStart;
    frame.headEnd = start;
    frame.bodyStart = start;
    frame.bodyEnd = end;
    return true;
  }

  #tooLarge(): StompError {
    return new StompError('Frame too large', `a body of more than ${this.#bodyBytesMax} bytes\n`);
  }
}

function malformed(what: string): StompError {
  return new StompError('Invalid frame', `${what}\n`);
}
