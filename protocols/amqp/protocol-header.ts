/**
 * The eight bytes a client opens a connection with (4.2.2).
 *
 * 0-9-1 sends `AMQP 0 0 9 1`; 0-9 sent `AMQP 1 1 0 9`, and differs in nothing that matters here.
 * Whatever else comes (AMQP 1.0, HTTP, a TLS hello, noise) is told apart at the first byte that
 * cannot belong to a header, so that nobody waits for an eighth byte that will not come.
 */
import { equalsAscii } from '../../src/base/byte-reader.ts';

/** What the first bytes were: ours, AMQP of a version we do not speak, or something else. */
export type ProtocolHeader = 'amqp-0-9-1' | 'amqp-other' | 'not-amqp';

export const PROTOCOL_HEADER_BYTES = 8;

/** The header of 0-9-1: also our answer to one we do not speak, before closing. Never modified. */
export const PROTOCOL_HEADER_0_9_1 = Buffer.from([0x41, 0x4d, 0x51, 0x50, 0, 0, 9, 1]);

/** 'incomplete' while [start, end) of `buf` is the beginning of some AMQP header. */
export function classifyProtocolHeader(
  buf: Uint8Array,
  start: number,
  end: number,
): ProtocolHeader | 'incomplete' {
  const nameBytes = Math.min(end - start, 4);
  if (!equalsAscii(buf, start, start + nameBytes, 'AMQP'.slice(0, nameBytes))) return 'not-amqp';
  if (end - start < PROTOCOL_HEADER_BYTES) return 'incomplete';
  const version = [buf[start + 4], buf[start + 5], buf[start + 6], buf[start + 7]].join('.');
  return version === '0.0.9.1' || version === '1.1.0.9' ? 'amqp-0-9-1' : 'amqp-other';
}
