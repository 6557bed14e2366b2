/**
 * Finds the control packets in a stream of borrowed chunks.
 *
 *     type u4, flags u4 | remaining length varint, 1 to 4 bytes | variable header and payload
 *     ^ pos                                                     ^ start                      ^ end
 *
 * 1. A packet that lies whole in a chunk is handed over where it lies: no object, slice or copy.
 * 2. A packet cut by the end of a chunk is collected in `carry`, a buffer that grows with the bytes
 *    that really arrive, at most fourfold ahead of them: a length that lies costs its sender more
 *    than us. A large one is not used again, so its receiver may keep it (`isPacketOwned`) and
 *    no payload byte is copied twice.
 * 3. The first byte is judged as soon as it is there: before CONNECT nothing else is let in
 *    [MQTT-3.1.0-1], after it no second one [MQTT-3.1.0-2], never a packet only servers send, and
 *    flags are as table 2-2 has them [MQTT-2.1.3-1]. The length as soon as it is complete.
 * 4. A handler may `pause()` during any call. The rest of the chunk is then copied and kept, and
 *    what is pushed meanwhile queues behind it; `resume()` goes on from there. What is kept is
 *    bounded by the caller, who stops reading the socket with it.
 * 5. After an error, an exception from the handler, or `stop()`, everything is ignored.
 */
import { assert } from '../../src/base/assert.ts';
import { MqttError, malformed, protocolError } from './mqtt-errors.ts';
import { VARINT_TOO_LONG, readVarint, varintEnd } from './packet-fields.ts';
import {
  CONNECT,
  FIXED_HEADER_BYTES_MAX,
  FLAGS_QOS,
  FLAG_DUP,
  PACKETS,
  PACKET_BYTES_HARD_CAP,
  PUBLISH,
  type ProtocolVersion,
  VERSION_3_1,
  VERSION_3_1_1,
  VERSION_5,
  packetName,
} from './spec/packets.ts';
import { REASON_PACKET_TOO_LARGE } from './spec/reason-codes.ts';

/** Receives what the parser finds. */
export interface PacketHandler {
  /**
   * A packet whose variable header and payload are [start, end) of `buf`, borrowed until the call
   * returns (but see `isPacketOwned`). An exception from here stops the parser.
   *
   * @param type   CONNECT, PUBLISH, ...
   * @param flags  low half of the first byte, proven
   */
  onPacket(type: number, flags: number, buf: Buffer, start: number, end: number): void;
}

/** Bytes. Default limit before login: CONNECT with a will and a token fits (RabbitMQ's value). */
export const CONNECT_BYTES_DEFAULT = 64 * 1024;

/** Bytes. First size of a carry buffer, and the largest that is kept for the next cut packet. */
const CARRY_BYTES_KEPT = 256;

/** How far a carry buffer runs ahead of what came: copying while it grows stays below a third. */
const CARRY_GROWTH = 4;

const NO_BYTES = Buffer.alloc(0);

const HEAD_LEGAL = 0;
const HEAD_MALFORMED = 1;
const HEAD_FORBIDDEN = 2;

/** Judgement of every first byte, once logged in with `version`. */
function headTable(version: ProtocolVersion): Uint8Array {
  const table = new Uint8Array(256).fill(HEAD_MALFORMED);
  for (const { type, flags, isFromClient, since } of PACKETS) {
    for (let low = 0; low < 16; low += 1) {
      if (since > version || !areFlagsLegal(version, flags, low)) continue;
      const isAllowed = isFromClient && type !== CONNECT;
      table[(type << 4) | low] = isAllowed ? HEAD_LEGAL : HEAD_FORBIDDEN;
    }
  }
  return table;
}

function areFlagsLegal(version: ProtocolVersion, flags: number | undefined, low: number): boolean {
  if (flags === undefined) {
    if ((low & FLAGS_QOS) === FLAGS_QOS) return false;
    // A copy of a message that is sent once cannot be a second one [MQTT-3.3.1-2].
    return version === VERSION_3_1 || (low & FLAG_DUP) === 0 || (low & FLAGS_QOS) !== 0;
  }
  // In 3.1 flags but PUBLISH's were "not used", and a SUBSCRIBE sent again was marked DUP.
  return version === VERSION_3_1 || low === flags;
}

const HEADS_3_1 = headTable(VERSION_3_1);
const HEADS_3_1_1 = headTable(VERSION_3_1_1);
const HEADS_5 = headTable(VERSION_5);
const HEADS_FIRST = new Uint8Array(256).fill(HEAD_FORBIDDEN);
HEADS_FIRST[CONNECT << 4] = HEAD_LEGAL;
for (let low = 1; low < 16; low += 1) HEADS_FIRST[(CONNECT << 4) | low] = HEAD_MALFORMED;

export class PacketParser {
  readonly #handler: PacketHandler;
  #packetBytesMax: number;
  #heads: Uint8Array;
  #isParsing: boolean;
  #isPaused: boolean;
  #isStopped: boolean;
  #isPacketOwned: boolean;
  /** Begin of a packet that was cut, fixed header and all. */
  #carry: Buffer;
  #carryBytes: number;
  /** Bytes of that packet; 0 while its length is not known. */
  #carryTotal: number;
  /** What arrived while paused; owned. */
  #pending: Buffer;
  #pendingStart: number;

  /** @param packetBytesMax  limit before login, fixed header included; see `setPacketBytesMax` */
  constructor(handler: PacketHandler, packetBytesMax: number = CONNECT_BYTES_DEFAULT) {
    this.#handler = handler;
    this.#packetBytesMax = 0;
    this.#heads = HEADS_FIRST;
    this.#isParsing = false;
    this.#isPaused = false;
    this.#isStopped = false;
    this.#isPacketOwned = false;
    this.#carry = NO_BYTES;
    this.#carryBytes = 0;
    this.#carryTotal = 0;
    this.#pending = NO_BYTES;
    this.#pendingStart = 0;
    this.setPacketBytesMax(packetBytesMax);
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** True after an error or `stop`. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Bytes held back: of a cut packet, and of what arrived while paused. */
  get heldBytes(): number {
    return this.#carryBytes + this.#pending.length - this.#pendingStart;
  }

  /**
   * Within `onPacket`: true when nobody else will touch `buf`, so that the handler may keep it
   * (without writing to it) instead of copying. So it is with large packets that came in pieces.
   */
  get isPacketOwned(): boolean {
    return this.#isPacketOwned;
  }

  /** Largest packet from now on, fixed header included (3.2.2.3.6); at most the hard cap. */
  setPacketBytesMax(bytes: number): void {
    assert(bytes > 0 && bytes <= PACKET_BYTES_HARD_CAP, 'a packet has at most 256 MiB');
    this.#packetBytesMax = bytes;
  }

  /** To be called with the version CONNECT asked for, from within its `onPacket`; else it is 5. */
  setVersion(version: ProtocolVersion): void {
    if (version === VERSION_5) this.#heads = HEADS_5;
    else this.#heads = version === VERSION_3_1_1 ? HEADS_3_1_1 : HEADS_3_1;
  }

  /**
   * Parses a chunk and calls the handler for what is complete.
   *
   * @param chunk  borrowed until it returns
   * @throws MqttError 0x81, 0x82, 0x95, and whatever the handler throws. The parser has then
   *   stopped.
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

  /** Stops after the packet being handled; what is left is kept. */
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
  #parse(buf: Buffer, from: number): number {
    this.#isParsing = true;
    let isDone = false;
    let pos = from;
    try {
      if (this.#carryBytes > 0) pos = this.#continueCarry(buf, pos);
      if (!this.#isPaused && !this.#isStopped && pos < buf.length) pos = this.#walk(buf, pos);
      isDone = true;
      return pos;
    } finally {
      this.#isParsing = false;
      if (!isDone) this.stop();
    }
  }

  /** Packets that lie whole in the chunk; the begin of one that does not goes to the carry. */
  #walk(buf: Buffer, from: number): number {
    const handler = this.#handler;
    const end = buf.length;
    let pos = from;
    while (pos < end) {
      const head = buf[pos]!;
      if (this.#heads[head] !== HEAD_LEGAL) throw this.#refusalOf(head);
      if (pos + 1 >= end) return this.#beginCarry(buf, pos, 0);
      let start = pos + 2;
      let remaining = buf[pos + 1]!;
      if (remaining >= 0x80) {
        remaining = readVarint(buf, pos + 1, end);
        if (remaining === VARINT_TOO_LONG) throw lengthTooLong();
        if (remaining < 0) return this.#beginCarry(buf, pos, 0);
        start = varintEnd(buf, pos + 1);
      }
      const next = start + remaining;
      if (next - pos > this.#packetBytesMax) throw this.#tooLarge(head, next - pos);
      if (next > end) return this.#beginCarry(buf, pos, next - pos);
      if (head === CONNECT << 4) this.#heads = HEADS_5;
      pos = next;
      handler.onPacket(head >>> 4, head & 0x0f, buf, start, next);
      if (this.#isPaused || this.#isStopped) return pos;
    }
    return pos;
  }

  #beginCarry(buf: Buffer, pos: number, total: number): number {
    this.#carryTotal = total;
    this.#keep(buf, pos, buf.length);
    return buf.length;
  }

  #continueCarry(buf: Buffer, from: number): number {
    let pos = from;
    while (this.#carryTotal === 0) {
      // The fixed header, byte by byte: at most four of them.
      if (pos === buf.length) return pos;
      this.#keep(buf, pos, pos + 1);
      pos += 1;
      this.#readCarryHead();
    }
    const next = Math.min(buf.length, pos + this.#carryTotal - this.#carryBytes);
    this.#keep(buf, pos, next);
    if (this.#carryBytes === this.#carryTotal) this.#handOverCarry();
    return next;
  }

  #readCarryHead(): void {
    const carry = this.#carry;
    const head = carry[0]!;
    const remaining = readVarint(carry, 1, this.#carryBytes);
    if (remaining === VARINT_TOO_LONG) throw lengthTooLong();
    if (remaining < 0) return;
    const total = varintEnd(carry, 1) + remaining;
    if (total > this.#packetBytesMax) throw this.#tooLarge(head, total);
    this.#carryTotal = total;
  }

  #handOverCarry(): void {
    const packet = this.#carry;
    const head = packet[0]!;
    const end = this.#carryTotal;
    this.#carryBytes = 0;
    this.#carryTotal = 0;
    const isOwned = packet.length > CARRY_BYTES_KEPT;
    // A large carry is not kept: ten thousand idle connections each hold next to nothing.
    if (isOwned) this.#carry = NO_BYTES;
    if (head === CONNECT << 4) this.#heads = HEADS_5;
    this.#isPacketOwned = isOwned;
    this.#handler.onPacket(head >>> 4, head & 0x0f, packet, varintEnd(packet, 1), end);
    this.#isPacketOwned = false;
  }

  #keep(buf: Buffer, start: number, end: number): void {
    const used = this.#carryBytes;
    const needed = used + end - start;
    if (needed > this.#carry.length) {
      const most = Math.max(this.#carryTotal, FIXED_HEADER_BYTES_MAX);
      const wanted = Math.max(Math.min(needed * CARRY_GROWTH, most), needed, CARRY_BYTES_KEPT);
      // Slow: a packet that is kept must not pin Node's shared pool.
      const grown = Buffer.allocUnsafeSlow(wanted);
      this.#carry.copy(grown, 0, 0, used);
      this.#carry = grown;
    }
    buf.copy(this.#carry, used, start, end);
    this.#carryBytes = needed;
  }

  #refusalOf(head: number): MqttError {
    const name = packetName(head >>> 4);
    if (this.#heads === HEADS_FIRST && head >>> 4 !== CONNECT) {
      return protocolError(`${name} before CONNECT`);
    }
    if (this.#heads[head] === HEAD_FORBIDDEN) {
      return protocolError(head >>> 4 === CONNECT ? 'a second CONNECT' : `${name} from a client`);
    }
    if (head >>> 4 === PUBLISH) return malformed('PUBLISH with QoS 3, or DUP with QoS 0');
    return malformed(`${name} with the flags ${head & 0x0f}`);
  }

  #tooLarge(head: number, bytes: number): MqttError {
    return new MqttError(
      REASON_PACKET_TOO_LARGE,
      `${packetName(head >>> 4)} of ${bytes} bytes, at most ${this.#packetBytesMax}`,
    );
  }
}

function lengthTooLong(): MqttError {
  return malformed('the remaining length is longer than four bytes');
}
