/**
 * Consumes as fast as a broker delivers: reads the delivery tag by its offset, skips header and
 * body, and answers with pre-encoded acks whose tags are patched in, one write per chunk read.
 */
import * as encode from '../wire/encode.ts';
import { CHANNEL, type Link } from '../wire/link.ts';
import { Histogram } from './histogram.ts';

/** Ack frames per slab; a chunk of 512 KiB rarely holds more small deliveries. */
const SLAB_ACKS = 4096;
const ACK_BYTES = encode.basicAck(CHANNEL, false).length;

export interface ConsumerOptions {
  readonly queues: readonly string[];
  /** 0: the broker settles by itself. 1: an ack each. N: one multiple ack for N deliveries. */
  readonly ackEvery: number;
  readonly prefetch: number;
  /** Read the stamps of bodies: latency, order and missing messages. */
  readonly isStamped: boolean;
}

/** What the stamps say about order; per publisher, over everything this consumer received. */
export interface OrderVerdict {
  readonly outOfOrder: number;
  readonly duplicates: number;
  /** Sequences skipped; real losses only when one consumer reads all of a publisher's messages. */
  readonly gaps: number;
}

export class Consumer {
  delivered: number;
  redelivered: number;
  acked: number;
  readonly latency: Histogram;
  /** Called after every chunk, when acks have been written. */
  onProgress: (() => void) | undefined;
  readonly #link: Link;
  readonly #options: ConsumerOptions;
  readonly #freeSlabs: Buffer[];
  #slab: Buffer;
  #slabCount: number;
  #lastTag: number;
  #isFirstBodyFrame: boolean;
  #isRedelivered: boolean;
  /** Highest sequence seen, by publisher. */
  readonly #newest: number[];
  #outOfOrder: number;
  #duplicates: number;
  #gaps: number;

  constructor(link: Link, options: ConsumerOptions) {
    this.delivered = 0;
    this.redelivered = 0;
    this.acked = 0;
    this.latency = new Histogram();
    this.onProgress = undefined;
    this.#link = link;
    this.#options = options;
    this.#freeSlabs = [];
    this.#slab = newSlab(options.ackEvery > 1);
    this.#slabCount = 0;
    this.#lastTag = 0;
    this.#isFirstBodyFrame = false;
    this.#isRedelivered = false;
    this.#newest = [];
    this.#outOfOrder = 0;
    this.#duplicates = 0;
    this.#gaps = 0;
    link.onData = (type, key, bytes, start) => this.#onData(type, key, bytes, start);
    link.onChunkEnd = () => this.#flush();
  }

  get order(): OrderVerdict {
    return { outOfOrder: this.#outOfOrder, duplicates: this.#duplicates, gaps: this.#gaps };
  }

  async start(): Promise<void> {
    const { prefetch, queues, ackEvery } = this.#options;
    if (prefetch > 0) {
      await this.#link.call(encode.basicQos(CHANNEL, prefetch), encode.BASIC_QOS_OK);
    }
    for (const [index, queue] of queues.entries()) {
      await this.#link.call(
        encode.basicConsume(CHANNEL, queue, `c${index}`, ackEvery === 0),
        encode.BASIC_CONSUME_OK,
      );
    }
  }

  /** Cancels, acks everything delivered and returns when the broker has processed that. */
  async stop(): Promise<void> {
    for (const index of this.#options.queues.keys()) {
      await this.#link.call(encode.basicCancel(CHANNEL, `c${index}`), encode.BASIC_CANCEL_OK);
    }
    if (this.#options.ackEvery > 0 && this.acked < this.delivered) {
      const ack = encode.basicAck(CHANNEL, true);
      ack.writeUIntBE(this.#lastTag, encode.ACK_TAG_OFFSET + 2, 6);
      this.#link.write(ack);
      this.acked = this.delivered;
    }
    await this.#link.call(
      encode.queueDeclare(CHANNEL, this.#options.queues[0]!, { isPassive: true }),
      encode.QUEUE_DECLARE_OK,
    );
  }

  #onData(type: number, key: number, bytes: Buffer, start: number): boolean {
    if (type === encode.FRAME_BODY) {
      if (this.#isFirstBodyFrame) this.#readStamp(bytes, start);
      return true;
    }
    if (type === encode.FRAME_HEADER) {
      this.#isFirstBodyFrame = this.#options.isStamped;
      return true;
    }
    if (key !== encode.BASIC_DELIVER) return false;
    const at = start + 5 + bytes[start + 4]!;
    this.#lastTag =
      ((bytes[at + 2]! << 8) | bytes[at + 3]!) * 0x100000000 +
      bytes[at + 4]! * 0x1000000 +
      ((bytes[at + 5]! << 16) | (bytes[at + 6]! << 8) | bytes[at + 7]!);
    this.#isRedelivered = bytes[at + 8] === 1;
    if (this.#isRedelivered) this.redelivered += 1;
    this.delivered += 1;
    const ackEvery = this.#options.ackEvery;
    if (ackEvery === 1 || (ackEvery > 1 && this.delivered - this.acked >= ackEvery)) {
      this.#addAck();
    }
    return true;
  }

  #addAck(): void {
    const at = this.#slabCount * ACK_BYTES + encode.ACK_TAG_OFFSET;
    const slab = this.#slab;
    const tag = this.#lastTag;
    const high = Math.floor(tag / 0x100000000);
    slab[at + 2] = high >>> 8;
    slab[at + 3] = high & 0xff;
    slab[at + 4] = tag >>> 24;
    slab[at + 5] = (tag >>> 16) & 0xff;
    slab[at + 6] = (tag >>> 8) & 0xff;
    slab[at + 7] = tag & 0xff;
    this.#slabCount += 1;
    this.acked = this.delivered;
    if (this.#slabCount === SLAB_ACKS) this.#flush();
  }

  #flush(): void {
    if (this.#slabCount > 0) {
      const slab = this.#slab;
      this.#link.socket.write(slab.subarray(0, this.#slabCount * ACK_BYTES), () => {
        this.#freeSlabs.push(slab);
      });
      this.#slab = this.#freeSlabs.pop() ?? newSlab(this.#options.ackEvery > 1);
      this.#slabCount = 0;
    }
    this.onProgress?.();
  }

  #readStamp(bytes: Buffer, start: number): void {
    this.#isFirstBodyFrame = false;
    this.latency.record((performance.now() - bytes.readDoubleBE(start)) * 1000);
    const publisher = bytes.readUInt16BE(start + 8);
    const sequence = bytes.readUIntBE(start + 10, 6);
    const newest = this.#newest[publisher] ?? 0;
    if (sequence === newest + 1) {
      this.#newest[publisher] = sequence;
    } else if (sequence > newest) {
      this.#gaps += sequence - newest - 1;
      this.#newest[publisher] = sequence;
    } else if (this.#isRedelivered) {
      this.#duplicates += 1;
    } else {
      this.#outOfOrder += 1;
    }
  }
}

function newSlab(isMultiple: boolean): Buffer {
  const ack = encode.basicAck(CHANNEL, isMultiple);
  const slab = Buffer.allocUnsafeSlow(ack.length * SLAB_ACKS);
  for (let index = 0; index < SLAB_ACKS; index += 1) ack.copy(slab, index * ack.length);
  return slab;
}
