/**
 * Receives as fast as a broker delivers: reads a PUBLISH by offset where it lies and gathers its
 * acknowledgements for one write per chunk. QoS 2 answers PUBREC, and PUBCOMP to a PUBREL.
 */
import { Histogram } from '../load/histogram.ts';
import { AckSlab } from './ack-slab.ts';
import type { Link } from './link.ts';
import * as packets from './packets.ts';

export interface SubscriberOptions {
  /** Read the stamps of bodies: latency and order. */
  readonly isStamped: boolean;
  /** Called after every chunk that had a message in it. */
  readonly onProgress: () => void;
}

export class Subscriber {
  delivered: number;
  /** Of those, with the DUP flag. */
  redelivered: number;
  outOfOrder: number;
  readonly latency: Histogram;
  readonly #link: Link;
  readonly #options: SubscriberOptions;
  readonly #acks: AckSlab;
  /** Highest sequence seen, by publisher. */
  readonly #newest: number[];
  #seen: number;

  constructor(link: Link, options: SubscriberOptions) {
    this.delivered = 0;
    this.redelivered = 0;
    this.outOfOrder = 0;
    this.latency = new Histogram();
    this.#link = link;
    this.#options = options;
    this.#acks = new AckSlab(link.socket);
    this.#newest = [];
    this.#seen = 0;
    link.onPacket = (firstByte, bytes, start) => this.#onPacket(firstByte, bytes, start);
    link.onChunkEnd = () => this.#afterChunk();
  }

  #onPacket(firstByte: number, bytes: Buffer, start: number): void {
    if (firstByte >> 4 === packets.PUBREL) {
      this.#acks.add(packets.PUBCOMP, bytes[start]!, bytes[start + 1]!);
      return;
    }
    if (firstByte >> 4 !== packets.PUBLISH) return;
    this.delivered += 1;
    const qos = (firstByte >> 1) & 3;
    if ((firstByte & 8) !== 0) this.redelivered += 1;
    let at = start + 2 + ((bytes[start]! << 8) | bytes[start + 1]!);
    if (qos > 0) {
      this.#acks.add(qos === 1 ? packets.PUBACK : packets.PUBREC, bytes[at]!, bytes[at + 1]!);
      at += 2;
    }
    if (!this.#options.isStamped) return;
    // The generator's own messages have no properties a broker would have to forward.
    if (this.#link.version === 5) at += 1 + bytes[at]!;
    this.#readStamp(bytes, at);
  }

  #readStamp(bytes: Buffer, at: number): void {
    this.latency.record((performance.now() - bytes.readDoubleBE(at)) * 1000);
    const publisher = bytes.readUInt16BE(at + 8);
    const sequence = bytes.readUIntBE(at + 10, 6);
    if (sequence > (this.#newest[publisher] ?? 0)) this.#newest[publisher] = sequence;
    else this.outOfOrder += 1;
  }

  #afterChunk(): void {
    this.#acks.flush();
    if (this.delivered === this.#seen) return;
    this.#seen = this.delivered;
    this.#options.onProgress();
  }
}
