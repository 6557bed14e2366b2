/**
 * MQTT bytes for tests, put together by hand: nothing here shares code with the codec.
 */
import type { PayloadSink } from '../../../protocols/mqtt/publish-writer.ts';

/** Bytes from hex digits; blanks and line breaks are for the reader. */
export function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\s+/g, ''), 'hex');
}

export function varint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  do {
    const low = left % 128;
    left = Math.floor(left / 128);
    bytes.push(left > 0 ? low + 128 : low);
  } while (left > 0);
  return Buffer.from(bytes);
}

/** A length-prefixed field. */
export function field(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

/** A packet with its fixed header. */
export function packet(head: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([head]), varint(body.length), body]);
}

/** A property list with its length. */
export function list(...properties: readonly Buffer[]): Buffer {
  const body = Buffer.concat(properties);
  return Buffer.concat([varint(body.length), body]);
}

export function userProperty(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([0x26]), field(name), field(value)]);
}

/** The variable header and payload of a packet: what `onPacket` would hand over. */
export function bodyOf(bytes: Buffer): Buffer {
  let start = 1;
  while ((bytes[start] ?? 0) >= 0x80) start += 1;
  return bytes.subarray(start + 1);
}

/** A smallest CONNECT of 5.0, clean, client id "a". */
export const CONNECT_5 = hex('10 0e 0004 4d515454 05 02 003c 00 0001 61');
/** A smallest CONNECT of 3.1.1. */
export const CONNECT_4 = hex('10 0d 0004 4d515454 04 02 003c 0001 61');
/** A smallest CONNECT of 3.1. */
export const CONNECT_3 = hex('10 0f 0006 4d5149736470 03 02 003c 0001 61');

/** Collects what is written, with room before it so that offsets are not all 0. */
export class Collector implements PayloadSink {
  slab: Buffer;
  appendedBytes: number;
  #parts: Buffer[];

  constructor() {
    this.slab = Buffer.alloc(0);
    this.appendedBytes = 0;
    this.#parts = [];
  }

  reserve(byteCount: number): number {
    this.slab = Buffer.alloc(7 + byteCount, 0xee);
    this.#parts.push(this.slab.subarray(7));
    return 7;
  }

  append(bytes: Buffer, start: number, end: number): void {
    this.appendedBytes += end - start;
    this.#parts.push(bytes.subarray(start, end));
  }

  take(): Buffer {
    const bytes = Buffer.concat(this.#parts);
    this.#parts = [];
    return bytes;
  }
}
