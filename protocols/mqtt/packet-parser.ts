/**
 * Finds the control packets in a stream of borrowed chunks.
 *
 *     type u4, flags u4 | remaining length varint, 1 to 4 bytes | variable header and payload
 *     ^ pos                                                     ^ start                      ^ end
 *
 * 1. A packet that lies whole in a chunk is handed over where it lies: no object, slice or copy.
 * 2. A packet cut by the end of a chunk is collected in the carry buffer. A large one is its
 *    receiver's to keep (`isPacketOwned`), so no payload byte is copied twice.
 * 3. The first byte is judged as soon as it is there: before CONNECT nothing else is let in
 *    [MQTT-3.1.0-1], after it no second one [MQTT-3.1.0-2], never a packet only servers send, and
 *    flags are as table 2-2 has them [MQTT-2.1.3-1]. The length as soon as it is complete.
 * 4. Pausing, stopping and errors are as in `ChunkParser`.
 */
import { assert } from '../../src/base/assert.ts';
import { CARRY_BYTES_KEPT, CarryBuffer } from '../../src/net/carry-buffer.ts';
import { ChunkParser } from '../../src/net/chunk-parser.ts';
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

export class PacketParser extends ChunkParser {
  readonly #handler: PacketHandler;
  #packetBytesMax: number;
  #heads: Uint8Array;
  #isPacketOwned: boolean;
  /** Begin of a packet that was cut, fixed header and all. */
  readonly #carry: CarryBuffer;
  /** Bytes of that packet; 0 while its length is not known. */
  #carryTotal: number;

  /** @param packetBytesMax  limit before login, fixed header included; see `setPacketBytesMax` */
  constructor(handler: PacketHandler, packetBytesMax: number = CONNECT_BYTES_DEFAULT) {
    super();
    this.#handler = handler;
    this.#packetBytesMax = 0;
    this.#heads = HEADS_FIRST;
    this.#isPacketOwned = false;
    this.#carry = new CarryBuffer();
    this.#carryTotal = 0;
    this.setPacketBytesMax(packetBytesMax);
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

  protected get carriedBytes(): number {
    return this.#carry.length;
  }

  protected dropCarried(): void {
    this.#carry.drop();
    this.#carryTotal = 0;
  }

  /** @throws MqttError 0x81, 0x82, 0x95 */
  protected walk(buf: Buffer, from: number): number {
    const pos = this.#carry.length > 0 ? this.#continueCarry(buf, from) : from;
    return this.isHalted ? pos : this.#walkWhole(buf, pos);
  }

  /** Packets that lie whole in the chunk; the begin of one that does not goes to the carry. */
  #walkWhole(buf: Buffer, from: number): number {
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
      if (this.isHalted) return pos;
    }
    return pos;
  }

  #beginCarry(buf: Buffer, pos: number, total: number): number {
    this.#carryTotal = total;
    this.#carry.append(buf, pos, buf.length, total);
    return buf.length;
  }

  #continueCarry(buf: Buffer, from: number): number {
    let pos = from;
    const carry = this.#carry;
    while (this.#carryTotal === 0) {
      // The fixed header, byte by byte: at most four of them.
      if (pos === buf.length) return pos;
      carry.append(buf, pos, pos + 1, FIXED_HEADER_BYTES_MAX);
      pos += 1;
      this.#readCarryHead(carry.bytes, carry.length);
    }
    pos = carry.fill(buf, pos, buf.length, this.#carryTotal);
    if (carry.length === this.#carryTotal) this.#handOverCarry();
    return pos;
  }

  #readCarryHead(carry: Buffer, carryBytes: number): void {
    const head = carry[0]!;
    const remaining = readVarint(carry, 1, carryBytes);
    if (remaining === VARINT_TOO_LONG) throw lengthTooLong();
    if (remaining < 0) return;
    const total = varintEnd(carry, 1) + remaining;
    if (total > this.#packetBytesMax) throw this.#tooLarge(head, total);
    this.#carryTotal = total;
  }

  #handOverCarry(): void {
    const packet = this.#carry.take();
    const head = packet[0]!;
    const end = this.#carryTotal;
    this.#carryTotal = 0;
    if (head === CONNECT << 4) this.#heads = HEADS_5;
    this.#isPacketOwned = packet.length > CARRY_BYTES_KEPT;
    this.#handler.onPacket(head >>> 4, head & 0x0f, packet, varintEnd(packet, 1), end);
    this.#isPacketOwned = false;
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
