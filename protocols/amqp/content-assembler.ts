/**
 * Collects the content that follows a method, for one channel (4.2.6).
 *
 *           begin()            onHeader()             onBody() ... complete
 *     IDLE ---------> HEADER ------------> BODY ----------------------------> IDLE, onContent()
 *                        \__ size 0: no body frame _________________________/
 *
 * 1. Every frame out of this order is a connection error 505, named as RabbitMQ names it.
 * 2. The header is proven well-formed before anything is kept: a consumer never gets garbage.
 * 3. Header and body are copied once, into owned memory: the arena when small, a buffer of their
 *    own otherwise. A claimed size is believed up to 1 MiB; above that memory grows with the bytes
 *    that arrive.
 * 4. Content above the configured size, and content to be discarded, is counted and not kept.
 */
import { assert } from '../../src/base/assert.ts';
import type { MessageArena } from '../../src/base/arena.ts';
import { ARENA_MESSAGE_BYTES_MAX } from '../../src/base/arena.ts';
import { readU16 } from '../../src/base/byte-reader.ts';
import { putBytes } from '../../src/base/byte-writer.ts';
import { BrokerError } from '../../src/base/errors.ts';
import { BODY_BYTES_HARD_CAP } from '../../src/base/limits.ts';
import { HeaderScan, scanHeader } from './content-header.ts';
import { CLASS_BASIC, CONTENT_HEADER_FIXED_BYTES } from './spec/constants.ts';

/** Takes complete content. */
export interface ContentHandler {
  /**
   * @param bytes   owned by the receiver, read-only: an arena's slab is shared
   * @param start   of the header; the body lies behind it
   * @param header  what is known of it; valid until the channel's next content header
   */
  onContent(
    bytes: Buffer,
    start: number,
    headerBytes: number,
    bodyBytes: number,
    header: HeaderScan,
  ): void;
}

const IDLE = 0;
const HEADER = 1;
const BODY = 2;

/** Bytes. A claimed size is allocated at once up to here. */
const TRUSTED_BYTES_MAX = 1024 * 1024;

const NO_BYTES = Buffer.alloc(0);

export class ContentAssembler {
  readonly #handler: ContentHandler;
  readonly #arena: MessageArena;
  readonly #messageBytesMax: number;
  readonly #scan: HeaderScan;
  #state: number;
  /** Count, and keep nothing. */
  #isDiscarding: boolean;
  #bytes: Buffer;
  #start: number;
  #headerBytes: number;
  #bodyBytes: number;
  #bodyBytesSeen: number;

  /** @param messageBytesMax  largest body that is accepted, at most BODY_BYTES_HARD_CAP */
  constructor(handler: ContentHandler, arena: MessageArena, messageBytesMax: number) {
    this.#handler = handler;
    this.#arena = arena;
    this.#messageBytesMax = messageBytesMax;
    this.#scan = new HeaderScan();
    this.#state = IDLE;
    this.#isDiscarding = false;
    this.#bytes = NO_BYTES;
    this.#start = 0;
    this.#headerBytes = 0;
    this.#bodyBytes = 0;
    this.#bodyBytesSeen = 0;
  }

  /** True when the next frame of the channel must be a method. */
  get isIdle(): boolean {
    return this.#state === IDLE;
  }

  /**
   * To be called before a method of the channel is read.
   *
   * @throws BrokerError UNEXPECTED_FRAME (connection) while content is due
   */
  expectMethod(): void {
    if (this.#state === HEADER) throw notAHeader();
    if (this.#state === BODY) {
      throw unexpected('expected content body, got non content body frame instead');
    }
  }

  /** A method with content was read: a header is due. */
  begin(): void {
    assert(this.#state === IDLE, 'content within content');
    this.#state = HEADER;
    this.#isDiscarding = false;
  }

  /** Lets the rest of the present content pass without keeping it or reporting it. */
  discard(): void {
    this.#isDiscarding = true;
    this.#bytes = NO_BYTES;
  }

  /** Forgets the present content; a method is due. */
  reset(): void {
    this.#state = IDLE;
    this.#isDiscarding = false;
    this.#bytes = NO_BYTES;
  }

  /**
   * Takes the payload [start, end) of a content-header frame (borrowed).
   *
   * @throws BrokerError UNEXPECTED_FRAME, FRAME_ERROR, SYNTAX_ERROR (connection)
   */
  onHeader(buf: Buffer, start: number, end: number): void {
    if (this.#state === IDLE) throw notAMethod();
    if (this.#state === BODY) {
      throw unexpected('expected content body, got non content body frame instead');
    }
    if (end - start < CONTENT_HEADER_FIXED_BYTES) {
      throw new BrokerError('SYNTAX_ERROR', 'malformed content header');
    }
    const classId = readU16(buf, start);
    if (readU16(buf, start + 2) !== 0) throw notAHeader();
    if (classId !== CLASS_BASIC) {
      throw unexpected(
        `expected content header for class ${CLASS_BASIC}, got one for class ${classId} instead`,
      );
    }
    scanHeader(buf, start, end, this.#scan);
    const bodyBytes = this.#scan.bodyBytes;
    if (bodyBytes > BODY_BYTES_HARD_CAP) throw beyondHardCap(bodyBytes);

    this.#headerBytes = end - start;
    this.#bodyBytes = bodyBytes;
    this.#bodyBytesSeen = 0;
    this.#state = BODY;
    if (!this.#isDiscarding && bodyBytes <= this.#messageBytesMax) {
      this.#allocate();
      putBytes(this.#bytes, this.#start, buf, start, end);
    }
    if (bodyBytes === 0) this.#complete();
  }

  /**
   * Takes body bytes [start, end) (borrowed): a body frame's payload or a piece of it.
   *
   * @throws BrokerError UNEXPECTED_FRAME, FRAME_ERROR (connection); PRECONDITION_FAILED (channel)
   *   with the last bytes of a content that is larger than the configured limit
   */
  onBody(buf: Buffer, start: number, end: number): void {
    if (this.#state === IDLE) throw notAMethod();
    if (this.#state === HEADER) throw notAHeader();
    const seen = this.#bodyBytesSeen + end - start;
    if (seen > this.#bodyBytes) {
      throw new BrokerError('FRAME_ERROR', 'content body frame exceeds remaining content size');
    }
    if (!this.#isDiscarding && this.#bodyBytes <= this.#messageBytesMax) {
      const at = this.#start + this.#headerBytes + this.#bodyBytesSeen;
      if (at + end - start > this.#bytes.length) this.#grow(at, at + end - start);
      putBytes(this.#bytes, at, buf, start, end);
    }
    this.#bodyBytesSeen = seen;
    if (seen === this.#bodyBytes) this.#complete();
  }

  #complete(): void {
    const bytes = this.#bytes;
    const isDiscarding = this.#isDiscarding;
    this.reset();
    if (isDiscarding) return;
    if (this.#bodyBytes > this.#messageBytesMax) {
      throw new BrokerError(
        'PRECONDITION_FAILED',
        `message size ${this.#bodyBytes} is larger than configured max size ` +
          `${this.#messageBytesMax}`,
      );
    }
    this.#handler.onContent(bytes, this.#start, this.#headerBytes, this.#bodyBytes, this.#scan);
  }

  #allocate(): void {
    const totalBytes = this.#headerBytes + this.#bodyBytes;
    if (totalBytes <= ARENA_MESSAGE_BYTES_MAX) {
      this.#start = this.#arena.reserve(totalBytes);
      this.#bytes = this.#arena.slab;
      return;
    }
    this.#start = 0;
    this.#bytes = Buffer.allocUnsafeSlow(
      this.#headerBytes + Math.min(this.#bodyBytes, TRUSTED_BYTES_MAX),
    );
  }

  /** Doubles the buffer, at most to the content's size; [0, used) are kept. */
  #grow(used: number, needed: number): void {
    const totalBytes = this.#headerBytes + this.#bodyBytes;
    const grown = Buffer.allocUnsafeSlow(
      Math.min(totalBytes, Math.max(needed, this.#bytes.length * 2)),
    );
    this.#bytes.copy(grown, 0, 0, used);
    this.#bytes = grown;
  }
}

function notAMethod(): BrokerError {
  return unexpected('expected method frame, got non method frame instead');
}

function notAHeader(): BrokerError {
  return unexpected(
    `expected content header for class ${CLASS_BASIC}, got non content header frame instead`,
  );
}

function beyondHardCap(bodyBytes: number): BrokerError {
  return new BrokerError(
    'FRAME_ERROR',
    `content body size ${bodyBytes} exceeds maximum allowed size ${BODY_BYTES_HARD_CAP}`,
  );
}

function unexpected(text: string): BrokerError {
  return new BrokerError('UNEXPECTED_FRAME', text);
}
