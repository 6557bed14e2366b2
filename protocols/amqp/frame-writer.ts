/**
 * Writing frames into a connection's outbound slab.
 *
 *     type u8 | channel u16 | payload size u32 | payload | 0xCE
 *
 * `FrameSink` is the part of `net/outbound.ts` that a codec needs, so that the codec depends on no
 * socket and a test can be one. Sizes passed to `reserve` are exact: reserved bytes are sent.
 */
import { assert } from '../../src/base/assert.ts';
import {
  putBytes,
  putU16,
  putU32,
  textByteLength,
  truncateText,
} from '../../src/base/byte-writer.ts';
import { NAME_BYTES_MAX } from '../../src/base/limits.ts';
import {
  FRAME_BODY,
  FRAME_END,
  FRAME_HEAD_BYTES,
  FRAME_HEADER,
  FRAME_HEARTBEAT,
  FRAME_METHOD,
  FRAME_OVERHEAD_BYTES,
} from './spec/constants.ts';

/** Where frames go. `Outbound` is one. */
export interface FrameSink {
  /** Makes room for exactly `byteCount` contiguous bytes and returns their offset in `slab`. */
  reserve(byteCount: number): number;
  /** To be read again after every `reserve`. */
  readonly slab: Buffer;
}

/** A frame sink that also takes bytes as they are. `Outbound` is one. */
export interface ContentSink extends FrameSink {
  /** Appends bytes [start, end), which nobody will modify. */
  append(bytes: Buffer, start: number, end: number): void;
}

/**
 * Reserves a method frame and writes all but its arguments: head, class, method, end octet.
 *
 * @param argumentBytes  exact bytes of the arguments
 * @param method         class * 65536 + method
 * @returns where the arguments go in `out.slab`
 */
export function beginMethod(
  out: FrameSink,
  channel: number,
  method: number,
  argumentBytes: number,
): number {
  const payloadBytes = 4 + argumentBytes;
  const pos = out.reserve(FRAME_OVERHEAD_BYTES + payloadBytes);
  const payload = putFrameHead(out.slab, pos, FRAME_METHOD, channel, payloadBytes);
  const args = putU32(out.slab, payload, method);
  out.slab[args + argumentBytes] = FRAME_END;
  return args;
}

/** Writes the seven bytes before a payload; returns where the payload starts. */
export function putFrameHead(
  buf: Buffer,
  pos: number,
  type: number,
  channel: number,
  payloadBytes: number,
): number {
  buf[pos] = type;
  putU16(buf, pos + 1, channel);
  putU32(buf, pos + 3, payloadBytes);
  return pos + FRAME_HEAD_BYTES;
}

/** Bytes of a short string's text; one that is too long is our fault. */
export function shortStringBytes(text: string): number {
  const byteLength = textByteLength(text);
  assert(byteLength <= NAME_BYTES_MAX, 'a short string has at most 255 bytes');
  return byteLength;
}

const CUT_MARK = '...';

/** `text` fit for a short string: at most 255 bytes of UTF-8, with dots where cut (RabbitMQ). */
export function fitShortString(text: string): string {
  if (textByteLength(text) <= NAME_BYTES_MAX) return text;
  return `${truncateText(text, NAME_BYTES_MAX - CUT_MARK.length)}${CUT_MARK}`;
}

/** The only frame of its type: empty, on channel 0 (4.2.7). */
export function writeHeartbeat(out: FrameSink): void {
  const pos = out.reserve(FRAME_OVERHEAD_BYTES);
  putFrameHead(out.slab, pos, FRAME_HEARTBEAT, 0, 0);
  out.slab[pos + FRAME_HEAD_BYTES] = FRAME_END;
}

/** Bodies up to this size are copied into the slab with their frames in one reservation. */
const INLINE_BODY_BYTES_MAX = 4 * 1024;

/**
 * Writes a content: header frame and as many body frames as `frameMaxBytes` asks for; none when
 * the body is empty.
 *
 * @param bytes          owned; the header payload at `start`, the body behind it, as in `Message`
 * @param frameMaxBytes  the negotiated frame_max; 0 is unlimited
 * @spec 4.2.6
 */
export function writeContent(
  out: ContentSink,
  channel: number,
  bytes: Buffer,
  start: number,
  headerBytes: number,
  bodyBytes: number,
  frameMaxBytes: number,
): void {
  const bodyStart = start + headerBytes;
  const payloadMax = frameMaxBytes === 0 ? bodyBytes : frameMaxBytes - FRAME_OVERHEAD_BYTES;
  if (bodyBytes <= INLINE_BODY_BYTES_MAX && bodyBytes <= payloadMax) {
    writeSmallContent(out, channel, bytes, start, headerBytes, bodyBytes);
    return;
  }
  const pos = out.reserve(FRAME_OVERHEAD_BYTES + headerBytes);
  putFrame(out.slab, pos, FRAME_HEADER, channel, bytes, start, bodyStart);
  const bodyEnd = bodyStart + bodyBytes;
  for (let at = bodyStart; at < bodyEnd; at += payloadMax) {
    const end = Math.min(at + payloadMax, bodyEnd);
    // Reserving may give a fresh slab: first reserve, then read it.
    const head = out.reserve(FRAME_HEAD_BYTES);
    putFrameHead(out.slab, head, FRAME_BODY, channel, end - at);
    out.append(bytes, at, end);
    const endOctet = out.reserve(1);
    out.slab[endOctet] = FRAME_END;
  }
}

function writeSmallContent(
  out: FrameSink,
  channel: number,
  bytes: Buffer,
  start: number,
  headerBytes: number,
  bodyBytes: number,
): void {
  const bodyStart = start + headerBytes;
  const bodyFrameBytes = bodyBytes === 0 ? 0 : FRAME_OVERHEAD_BYTES + bodyBytes;
  const pos = out.reserve(FRAME_OVERHEAD_BYTES + headerBytes + bodyFrameBytes);
  const buf = out.slab;
  const next = putFrame(buf, pos, FRAME_HEADER, channel, bytes, start, bodyStart);
  if (bodyBytes > 0) {
    putFrame(buf, next, FRAME_BODY, channel, bytes, bodyStart, bodyStart + bodyBytes);
  }
}

function putFrame(
  buf: Buffer,
  pos: number,
  type: number,
  channel: number,
  bytes: Buffer,
  start: number,
  end: number,
): number {
  const payload = putFrameHead(buf, pos, type, channel, end - start);
  const next = putBytes(buf, payload, bytes, start, end);
  buf[next] = FRAME_END;
  return next + 1;
}
