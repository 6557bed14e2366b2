/**
 * Publishes as fast as a broker lets it: packets are encoded once into a block and a write sends a
 * stretch of it. With QoS 1 and 2 the block holds a fixed packet id in each packet, so a stretch
 * ends where an id is still in use:
 *
 *     block:  | topic 0, id 1 | topic 1, id 2 | ... | topic k, id n |
 *               cursor ^ ..... window left ..... ^
 *
 * Only a stamped publisher (latency) copies the stretch and patches each body:
 *
 *     body:   sent at, ms (f64) | publisher (u16) | sequence (u48) | zeros
 */
import { Histogram } from '../load/histogram.ts';
import { AckSlab } from './ack-slab.ts';
import type { Link } from './link.ts';
import * as packets from './packets.ts';

/** Bytes of a stamped body before the padding. */
export const STAMP_BYTES = 16;

const BLOCK_BYTES = 128 * 1024;
const BLOCK_MAX_BYTES = 4 * 1024 * 1024;
const PACKET_ID_MAX = 65_535;

export interface PublisherOptions {
  readonly index: number;
  readonly qos: packets.Qos;
  /** Round robin; all of one length, so that packets have one size. */
  readonly topics: readonly string[];
  readonly sizeBytes: number;
  /** QoS 1 and 2: exchanges that are not over. */
  readonly window: number;
  /** Messages per second; 0 for as many as possible. */
  readonly rate: number;
  readonly isStamped: boolean;
  /** Stops by itself after so many; Infinity for never. */
  readonly maxMessages: number;
  /** How many more messages may be on the way to subscribers; asked before every write. */
  readonly room: () => number;
}

export class Publisher {
  published: number;
  /** PUBACK or PUBCOMP received. */
  confirmed: number;
  /** Acknowledged with a reason code of 0x80 or more (MQTT 5). */
  refused: number;
  readonly confirmLatency: Histogram;
  onFinished: (() => void) | undefined;
  readonly #link: Link;
  readonly #options: PublisherOptions;
  readonly #acks: AckSlab;
  readonly #block: Buffer;
  readonly #packetBytes: number;
  readonly #bodyOffset: number;
  readonly #blockCount: number;
  #cursor: number;
  #isRunning: boolean;
  #timer: NodeJS.Timeout | undefined;
  #startedAtMs: number;
  /** By packet id: 1 while its exchange lasts. */
  readonly #isBusy: Uint8Array;
  readonly #sentAtMs: Float64Array;

  constructor(link: Link, options: PublisherOptions) {
    this.published = 0;
    this.confirmed = 0;
    this.refused = 0;
    this.confirmLatency = new Histogram();
    this.onFinished = undefined;
    this.#link = link;
    this.#options = options;
    this.#acks = new AckSlab(link.socket);
    const built = buildBlock(link.version, options);
    this.#block = built.block;
    this.#packetBytes = built.packetBytes;
    this.#bodyOffset = built.bodyOffset;
    this.#blockCount = built.count;
    this.#cursor = 0;
    this.#isRunning = false;
    this.#timer = undefined;
    this.#startedAtMs = 0;
    this.#isBusy = new Uint8Array(options.qos > 0 ? built.count + 1 : 0);
    this.#sentAtMs = new Float64Array(options.qos > 0 && options.isStamped ? built.count + 1 : 0);
    link.onPacket = (firstByte, bytes, start, end) => this.#onAck(firstByte, bytes, start, end);
    link.onChunkEnd = () => this.#afterChunk();
  }

  /** Exchanges that are not over. */
  get outstanding(): number {
    return this.#options.qos === 0 ? 0 : this.published - this.confirmed - this.refused;
  }

  start(): void {
    this.#isRunning = true;
    this.#startedAtMs = performance.now();
    if (this.#options.rate > 0) {
      this.#timer = setInterval(() => this.#sendDue(), 1);
      return;
    }
    if (this.#options.qos === 0) this.#link.onDrain = () => setImmediate(() => this.#flood());
    this.wake();
  }

  stop(): void {
    this.#isRunning = false;
    clearInterval(this.#timer);
  }

  /** Subscribers have caught up: there may be room again. */
  wake(): void {
    if (!this.#isRunning || this.#options.rate > 0) return;
    if (this.#options.qos === 0) this.#flood();
    else this.#topUp();
  }

  /** Waits until every exchange is over. */
  async settle(timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (this.outstanding > 0 && performance.now() < deadline) {
      if (this.#link.failure !== undefined) return;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  #flood(): void {
    if (!this.#isRunning || this.#link.failure !== undefined) return;
    if (this.#link.socket.writableNeedDrain) return;
    const left = this.#options.maxMessages - this.published;
    const count = Math.min(this.#blockCount, left, this.#options.room());
    if (count > 0) this.#send(count);
    if (count === left) return this.#finish();
    // Not in a loop: the same event loop reads for the subscribers. Without room they wake us.
    if (count > 0 && !this.#link.socket.writableNeedDrain) setImmediate(() => this.#flood());
  }

  #topUp(): void {
    if (!this.#isRunning || this.#link.failure !== undefined) return;
    const left = this.#options.maxMessages - this.published;
    const count = Math.min(this.#options.window - this.outstanding, left, this.#options.room());
    if (count > 0) this.#send(count);
    if (left === 0 && this.outstanding === 0) this.#finish();
  }

  #sendDue(): void {
    if (this.#link.failure !== undefined) return this.stop();
    const elapsedMs = performance.now() - this.#startedAtMs;
    let due = Math.floor((elapsedMs * this.#options.rate) / 1000) - this.published;
    due = Math.min(due, this.#options.maxMessages - this.published);
    if (this.#options.qos > 0) due = Math.min(due, this.#options.window - this.outstanding);
    if (due > 0) this.#send(due);
    else if (this.published >= this.#options.maxMessages && this.outstanding === 0) this.#finish();
  }

  #finish(): void {
    this.stop();
    this.onFinished?.();
  }

  #send(count: number): void {
    let left = count;
    while (left > 0) {
      const stretch = this.#freeStretch(Math.min(left, this.#blockCount - this.#cursor));
      if (stretch === 0) return;
      const start = this.#cursor * this.#packetBytes;
      const end = start + stretch * this.#packetBytes;
      this.#link.socket.write(
        this.#options.isStamped ? this.#stamped(start, end) : this.#block.subarray(start, end),
      );
      this.published += stretch;
      this.#cursor += stretch;
      if (this.#cursor === this.#blockCount) this.#cursor = 0;
      left -= stretch;
    }
  }

  /** How many of the next `count` packet ids are free; takes them. */
  #freeStretch(count: number): number {
    if (this.#options.qos === 0) return count;
    const from = this.#cursor + 1;
    let id = from;
    while (id < from + count && this.#isBusy[id] === 0) {
      this.#isBusy[id] = 1;
      id += 1;
    }
    return id - from;
  }

  #stamped(start: number, end: number): Buffer {
    const bytes = Buffer.allocUnsafe(end - start);
    this.#block.copy(bytes, 0, start, end);
    const nowMs = performance.now();
    let sequence = this.published;
    let id = this.#cursor;
    for (let at = this.#bodyOffset; at < bytes.length; at += this.#packetBytes) {
      sequence += 1;
      id += 1;
      bytes.writeDoubleBE(nowMs, at);
      bytes.writeUInt16BE(this.#options.index, at + 8);
      bytes.writeUIntBE(sequence, at + 10, 6);
      if (this.#options.qos > 0) this.#sentAtMs[id] = nowMs;
    }
    return bytes;
  }

  #onAck(firstByte: number, bytes: Buffer, start: number, end: number): void {
    const type = firstByte >> 4;
    const high = bytes[start]!;
    const low = bytes[start + 1]!;
    const isRefused = end - start > 2 && bytes[start + 2]! >= 0x80;
    if (type === packets.PUBREC && !isRefused) {
      this.#acks.add(packets.PUBREL, high, low);
      return;
    }
    const id = (high << 8) | low;
    if (this.#isBusy[id] !== 1) return;
    this.#isBusy[id] = 0;
    if (isRefused) this.refused += 1;
    else this.confirmed += 1;
    if (this.#options.isStamped) {
      this.confirmLatency.record((performance.now() - this.#sentAtMs[id]!) * 1000);
    }
  }

  #afterChunk(): void {
    this.#acks.flush();
    if (this.#options.qos > 0 && this.#options.rate === 0) this.#topUp();
  }
}

function buildBlock(
  version: packets.Version,
  options: PublisherOptions,
): { block: Buffer; packetBytes: number; bodyOffset: number; count: number } {
  if (options.isStamped && options.sizeBytes < STAMP_BYTES) {
    throw new Error(`a stamped body needs at least ${STAMP_BYTES} bytes`);
  }
  const { qos, topics, sizeBytes } = options;
  const templates = topics.map((topic) => packets.publish(version, topic, qos, sizeBytes));
  const first = templates[0]!;
  const packetBytes = first.bytes.length;
  if (templates.some((template) => template.bytes.length !== packetBytes)) {
    throw new Error('topics must all have one length');
  }
  // Twice the window, so that an acknowledgement that is late does not hold up the others.
  const wanted = Math.max(2 * options.window, Math.ceil(BLOCK_BYTES / packetBytes));
  const fitting = Math.max(1, options.window, Math.floor(BLOCK_MAX_BYTES / packetBytes));
  const rounds = Math.max(1, Math.ceil(Math.min(wanted, fitting) / topics.length));
  let count = rounds * topics.length;
  if (qos > 0) count = Math.min(count, PACKET_ID_MAX);
  const block = Buffer.allocUnsafeSlow(count * packetBytes);
  for (let index = 0; index < count; index += 1) {
    const at = index * packetBytes;
    templates[index % topics.length]!.bytes.copy(block, at);
    if (qos > 0) block.writeUInt16BE(index + 1, at + first.idOffset);
  }
  return { block, packetBytes, bodyOffset: first.bodyOffset, count };
}
