/**
 * STOMP frames out of a byte stream, by offset.
 *
 *     EOL* | COMMAND EOL | (name ':' value EOL)* | EOL | body | NUL
 *
 * The body ends at its first NUL, or after `content-length` bytes, when a NUL must follow. EOL is
 * LF with or without CR, in every version. Line ends and stray NULs between frames are heart-beats
 * or padding.
 *
 * A frame that lies whole in a chunk is handed on from where it lies. The rest of a chunk goes to
 * the carry buffer, which the following chunks extend; scanning goes on where it stopped, so every
 * byte is looked at once and a body that comes in drops costs no more than its copies.
 *
 * Invariants:
 * 1. At most one frame is carried, and at most what the limits allow of it plus one chunk.
 * 2. Positions are relative to the buffer given to `#run`; `#moveBack` moves them with the bytes.
 * 3. Pausing, stopping and errors are as in `ChunkParser`. A pause may leave whole frames carried.
 */
import { readText } from '../../src/base/byte-reader.ts';
import { CarryBuffer } from '../../src/net/carry-buffer.ts';
import { ChunkParser } from '../../src/net/chunk-parser.ts';
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
const DIGITS = /^\d{1,15}$/;

export interface FrameHandler {
  /** `frame` and its memory are borrowed. */
  onFrame(frame: Frame): void;
}

export class FrameParser extends ChunkParser {
  /** How headers of the following frames are escaped; CONNECT never is. */
  dialect: Dialect;
  readonly #handler: FrameHandler;
  readonly #frame: Frame;
  #headBytesMax: number;
  #bodyBytesMax: number;
  readonly #carry: CarryBuffer;
  #phase: number;
  /** Next byte to look at. */
  #pos: number;
  #frameStart: number;
  #lineStart: number;
  /** First colon of the line, or -1. */
  #colon: number;
  #bodyBytes: number;

  constructor(handler: FrameHandler, headBytesMax: number, bodyBytesMax: number) {
    super();
    this.dialect = STOMP_1_0;
    this.#handler = handler;
    this.#frame = new Frame();
    this.#headBytesMax = headBytesMax;
    this.#bodyBytesMax = bodyBytesMax;
    this.#carry = new CarryBuffer();
    this.#phase = IDLE;
    this.#pos = 0;
    this.#frameStart = 0;
    this.#lineStart = 0;
    this.#colon = -1;
    this.#bodyBytes = UNKNOWN;
  }

  /** Limits of the frames to come. */
  setLimits(headBytesMax: number, bodyBytesMax: number): void {
    this.#headBytesMax = headBytesMax;
    this.#bodyBytesMax = bodyBytesMax;
  }

  protected get carriedBytes(): number {
    return this.#carry.length;
  }

  protected dropCarried(): void {
    this.#carry.drop();
  }

  /** @throws StompError when the bytes are no frame */
  protected walk(buf: Buffer, from: number): number {
    const carry = this.#carry;
    if (carry.length === 0) {
      this.#pos = from;
      this.#run(buf);
      if (this.isStopped || this.#phase === IDLE) return this.#pos;
      carry.append(buf, this.#frameStart, buf.length, this.#bytesExpected(buf.length));
      this.#moveBack(this.#frameStart);
      return buf.length;
    }
    carry.append(buf, from, buf.length, this.#bytesExpected(carry.length + buf.length - from));
    this.#run(carry.bytes.subarray(0, carry.length));
    if (!this.isStopped) {
      const doneBytes = this.#phase === IDLE ? this.#pos : this.#frameStart;
      carry.discard(doneBytes);
      this.#moveBack(doneBytes);
    }
    return buf.length;
  }

  /** How large the carry may grow ahead: the frame, when its size is known. */
  #bytesExpected(arrivedBytes: number): number {
    const isKnown = this.#phase === BODY && this.#bodyBytes !== UNKNOWN;
    return isKnown ? this.#frame.headEnd + this.#bodyBytes + 1 : arrivedBytes * 2;
  }

  #moveBack(bytes: number): void {
    this.#pos -= bytes;
    this.#lineStart -= bytes;
    this.#frameStart -= bytes;
    if (this.#colon >= 0) this.#colon -= bytes;
  }

  /** Hands on the frames that are complete in `buf`. */
  #run(buf: Buffer): void {
    while (!this.isHalted) {
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
