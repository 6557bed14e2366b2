/**
 * Publishes as fast as a broker lets it, at close to no cost of its own: messages are encoded
 * once into a block, and a write sends a stretch of that block.
 *
 *     block:  | message for queue 0 | message for queue 1 | ... | (repeated) |
 *               cursor ^ .......... window left .......... ^
 *
 * Only a stamped publisher (latency, order checks) copies the stretch and patches each body:
 *
 *     body:   sent at, ms (f64) | publisher (u16) | sequence (u48) | zeros
 *
 * Three ways to drive it: no confirms (a write whenever the socket has drained), a confirm window
 * (as many as were confirmed), or a rate (what is due, each millisecond).
 */
import * as encode from '../wire/encode.ts';
import { CHANNEL, type Link } from '../wire/link.ts';
import { Histogram } from './histogram.ts';

/** Bytes of a stamped body before the padding. */
export const STAMP_BYTES = 16;

const BLOCK_BYTES = 128 * 1024;
/** Sending more than this in one block is split, so that big bodies do not need big blocks. */
const BLOCK_MAX_BYTES = 4 * 1024 * 1024;

export interface PublisherOptions {
  /** Number of this publisher, stamped into bodies. */
  readonly index: number;
  readonly exchange: string;
  /** Round robin; all of one length in UTF-8, so that messages have one size. */
  readonly routingKeys: readonly string[];
  readonly sizeBytes: number;
  readonly isPersistent: boolean;
  /** Unconfirmed messages at a time; 0 publishes without confirms. */
  readonly confirmWindow: number;
  /** Messages per second; 0 for as many as possible. */
  readonly rate: number;
  readonly isStamped: boolean;
  /** Stops by itself after so many; Infinity for never. */
  readonly maxMessages: number;
}

export class Publisher {
  published: number;
  confirmed: number;
  /** basic.nack received. */
  refused: number;
  readonly confirmLatency: Histogram;
  /** Called when `maxMessages` are published and confirmed. */
  onFinished: (() => void) | undefined;
  readonly #link: Link;
  readonly #options: PublisherOptions;
  readonly #block: Buffer;
  readonly #messageBytes: number;
  readonly #bodyOffset: number;
  readonly #blockCount: number;
  #cursor: number;
  #isRunning: boolean;
  #timer: NodeJS.Timeout | undefined;
  #startedAtMs: number;
  /** Lowest unconfirmed sequence; sequences are 1-based. */
  #low: number;
  /** By sequence modulo the ring: 1 when confirmed out of order. */
  readonly #done: Uint8Array;
  readonly #sentAtMs: Float64Array;

  constructor(link: Link, options: PublisherOptions) {
    this.published = 0;
    this.confirmed = 0;
    this.refused = 0;
    this.confirmLatency = new Histogram();
    this.onFinished = undefined;
    this.#link = link;
    this.#options = options;
    const built = buildBlock(options, link.frameMaxBytes);
    this.#block = built.block;
    this.#messageBytes = built.messageBytes;
    this.#bodyOffset = built.bodyOffset;
    this.#blockCount = built.count;
    this.#cursor = 0;
    this.#isRunning = false;
    this.#timer = undefined;
    this.#startedAtMs = 0;
    this.#low = 1;
    const ring = 2 ** Math.ceil(Math.log2(Math.max(65536, options.confirmWindow * 16)));
    this.#done = new Uint8Array(ring);
    this.#sentAtMs = new Float64Array(options.isStamped ? ring : 0);
    link.onData = (type, key, bytes, start) => this.#onData(type, key, bytes, start);
    link.onChunkEnd = () => this.#afterChunk();
  }

  /** Puts the channel into confirm mode when asked for; call before `start`. */
  async prepare(): Promise<void> {
    if (this.#options.confirmWindow === 0) return;
    await this.#link.call(encode.confirmSelect(CHANNEL), encode.CONFIRM_SELECT_OK);
  }

  start(): void {
    this.#isRunning = true;
    this.#startedAtMs = performance.now();
    if (this.#options.rate > 0) {
      this.#timer = setInterval(() => this.#sendDue(), 1);
    } else if (this.#options.confirmWindow > 0) {
      this.#topUp();
    } else {
      this.#link.onDrain = () => setImmediate(() => this.#sendBlock());
      this.#sendBlock();
    }
  }

  stop(): void {
    this.#isRunning = false;
    clearInterval(this.#timer);
  }

  /** Waits until everything published is at the broker: confirmed, or parsed in channel order. */
  async settle(timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    if (this.#options.confirmWindow === 0) {
      const key = this.#options.routingKeys[0] ?? '';
      if (this.#options.exchange === '') {
        await this.#link.call(
          encode.queueDeclare(CHANNEL, key, { isPassive: true }),
          encode.QUEUE_DECLARE_OK,
        );
      }
      return;
    }
    while (this.confirmed + this.refused < this.published && performance.now() < deadline) {
      if (this.#link.failure !== undefined) return;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  #sendBlock(): void {
    if (!this.#isRunning || this.#link.failure !== undefined) return;
    const left = this.#options.maxMessages - this.published;
    const count = Math.min(this.#blockCount, left);
    if (count > 0) this.#send(count);
    if (count === left) return this.#finish();
    // A write that the kernel took whole raises no drain. Not in a loop here: the same event loop
    // reads for the consumers.
    if (!this.#link.socket.writableNeedDrain) setImmediate(() => this.#sendBlock());
  }

  #topUp(): void {
    if (!this.#isRunning || this.#link.failure !== undefined) return;
    const outstanding = this.published - this.confirmed - this.refused;
    const room = Math.min(
      this.#options.confirmWindow - outstanding,
      this.#done.length - (this.published + 1 - this.#low),
      this.#options.maxMessages - this.published,
    );
    if (room > 0) this.#send(room);
    const settled = this.confirmed + this.refused;
    if (settled === this.published && settled >= this.#options.maxMessages) this.#finish();
  }

  #finish(): void {
    this.#isRunning = false;
    clearInterval(this.#timer);
    this.onFinished?.();
  }

  #sendDue(): void {
    if (this.#link.failure !== undefined) return this.stop();
    const elapsedMs = performance.now() - this.#startedAtMs;
    let due = Math.floor((elapsedMs * this.#options.rate) / 1000) - this.published;
    due = Math.min(due, this.#options.maxMessages - this.published);
    const window = this.#options.confirmWindow;
    if (window > 0) due = Math.min(due, window - (this.published - this.confirmed - this.refused));
    if (due > 0) this.#send(due);
  }

  #send(count: number): void {
    let left = count;
    while (left > 0) {
      const stretch = Math.min(left, this.#blockCount - this.#cursor);
      const start = this.#cursor * this.#messageBytes;
      const end = start + stretch * this.#messageBytes;
      this.#link.write(
        this.#options.isStamped ? this.#stamped(start, end) : this.#block.subarray(start, end),
      );
      this.published += stretch;
      this.#cursor += stretch;
      if (this.#cursor === this.#blockCount) this.#cursor = 0;
      left -= stretch;
    }
  }

  #stamped(start: number, end: number): Buffer {
    const bytes = Buffer.allocUnsafe(end - start);
    this.#block.copy(bytes, 0, start, end);
    const nowMs = performance.now();
    const mask = this.#done.length - 1;
    let sequence = this.published;
    for (let at = this.#bodyOffset; at < bytes.length; at += this.#messageBytes) {
      sequence += 1;
      bytes.writeDoubleBE(nowMs, at);
      bytes.writeUInt16BE(this.#options.index, at + 8);
      bytes.writeUIntBE(sequence, at + 10, 6);
      this.#sentAtMs[sequence & mask] = nowMs;
    }
    return bytes;
  }

  #onData(type: number, key: number, bytes: Buffer, start: number): boolean {
    if (type !== encode.FRAME_METHOD) return false;
    if (key === encode.BASIC_ACK) {
      this.confirmed += this.#settled(bytes, start);
      return true;
    }
    if (key === encode.BASIC_NACK) {
      this.refused += this.#settled(bytes, start);
      return true;
    }
    return false;
  }

  /** Marks what an ack or nack covers; returns how many messages that newly settles. */
  #settled(bytes: Buffer, start: number): number {
    const tag = bytes.readUIntBE(start + 6, 6);
    const isMultiple = (bytes[start + 12]! & 1) === 1;
    const mask = this.#done.length - 1;
    let count = 0;
    for (let sequence = isMultiple ? this.#low : tag; sequence <= tag; sequence += 1) {
      if (this.#done[sequence & mask] === 1) continue;
      this.#done[sequence & mask] = 1;
      count += 1;
      if (this.#options.isStamped) {
        const waitedMs = performance.now() - this.#sentAtMs[sequence & mask]!;
        this.confirmLatency.record(waitedMs * 1000);
      }
    }
    while (this.#low <= this.published && this.#done[this.#low & mask] === 1) {
      this.#done[this.#low & mask] = 0;
      this.#low += 1;
    }
    return count;
  }

  #afterChunk(): void {
    if (this.#options.confirmWindow > 0 && this.#options.rate === 0) this.#topUp();
  }
}

function buildBlock(
  options: PublisherOptions,
  frameMaxBytes: number,
): { block: Buffer; messageBytes: number; bodyOffset: number; count: number } {
  if (options.isStamped && options.sizeBytes < STAMP_BYTES) {
    throw new Error(`a stamped body needs at least ${STAMP_BYTES} bytes`);
  }
  const templates = options.routingKeys.map((key) =>
    encode.publish(
      CHANNEL,
      options.exchange,
      key,
      options.isPersistent,
      options.sizeBytes,
      frameMaxBytes,
    ),
  );
  const first = templates[0]!;
  if (templates.some((template) => template.bytes.length !== first.bytes.length)) {
    throw new Error('routing keys must all have one length');
  }
  const messageBytes = first.bytes.length;
  const round = templates.length;
  const wanted = Math.max(options.confirmWindow, Math.ceil(BLOCK_BYTES / messageBytes));
  const fitting = Math.max(1, Math.floor(BLOCK_MAX_BYTES / messageBytes));
  const count = Math.ceil(Math.min(wanted, fitting) / round) * round;
  const block = Buffer.allocUnsafeSlow(count * messageBytes);
  for (let index = 0; index < count; index += 1) {
    templates[index % round]!.bytes.copy(block, index * messageBytes);
  }
  return { block, messageBytes, bodyOffset: first.bodyOffset, count };
}
