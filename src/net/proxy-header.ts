/**
 * The PROXY protocol header, versions 1 and 2: how a TCP load balancer says who the client is.
 * Layouts are those of the HAProxy specification "The PROXY protocol", sections 2.1 and 2.2:
 *
 *     v1:  "PROXY TCP4 192.0.2.1 198.51.100.2 56324 5672\r\n"     at most 107 bytes
 *     v2:  signature(12) | version+command(1) | family+transport(1) | length(2) | addresses, TLVs
 */
import { isIP } from 'node:net';

/** The addresses a header claims. */
export interface ProxyAddresses {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
}

/** What the first bytes of a connection turned out to be. */
export type ProxyHeader =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'invalid'; readonly reason: string }
  /** `addresses` is undefined for LOCAL and UNKNOWN: the balancer speaks for itself. */
  | { readonly kind: 'header'; readonly byteCount: number; readonly addresses?: ProxyAddresses };

/** Longest header accepted, the least the spec asks for: 16 fixed bytes, 520 of the rest. */
export const PROXY_HEADER_MAX_BYTES = 536;

const V1_MAX_BYTES = 107;
const V2_FIXED_BYTES = 16;
const V2_SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const V1_SIGNATURE = Buffer.from('PROXY ', 'latin1');
const INCOMPLETE: ProxyHeader = { kind: 'incomplete' };

/** Reads a header from the first bytes of a connection; `bytes` is borrowed. */
export function parseProxyHeader(bytes: Buffer): ProxyHeader {
  if (startsLike(bytes, V2_SIGNATURE)) {
    return bytes.length < V2_FIXED_BYTES ? INCOMPLETE : parseVersion2(bytes);
  }
  if (startsLike(bytes, V1_SIGNATURE)) return parseVersion1(bytes);
  return invalid('no PROXY header');
}

function invalid(reason: string): ProxyHeader {
  return { kind: 'invalid', reason };
}

/** True when `bytes` is a beginning of `signature`, or the other way round. */
function startsLike(bytes: Buffer, signature: Buffer): boolean {
  const byteCount = Math.min(bytes.length, signature.length);
  return bytes.compare(signature, 0, byteCount, 0, byteCount) === 0;
}

function parseVersion1(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, V1_MAX_BYTES).indexOf('\r\n');
  if (end < 0) return bytes.length < V1_MAX_BYTES ? INCOMPLETE : invalid('v1 line too long');
  const words = bytes.toString('latin1', 0, end).split(' ');
  const byteCount = end + 2;
  if (words[1] === 'UNKNOWN') return { kind: 'header', byteCount };
  const version = words[1] === 'TCP4' ? 4 : words[1] === 'TCP6' ? 6 : 0;
  const [, , remoteAddress = '', localAddress = '', remoteText = '', localText = ''] = words;
  const remotePort = parsePort(remoteText);
  const localPort = parsePort(localText);
  const isValid =
    version !== 0 &&
    words.length === 6 &&
    isIP(remoteAddress) === version &&
    isIP(localAddress) === version &&
    remotePort >= 0 &&
    localPort >= 0;
  if (!isValid) return invalid('malformed v1 line');
  const addresses = { remoteAddress, remotePort, localAddress, localPort };
  return { kind: 'header', byteCount, addresses };
}

function parsePort(text: string): number {
  if (!/^(0|[1-9]\d{0,4})$/.test(text)) return -1;
  const port = Number(text);
  return port <= 65_535 ? port : -1;
}

function parseVersion2(bytes: Buffer): ProxyHeader {
  const versionAndCommand = bytes[12]!;
  const familyAndTransport = bytes[13]!;
  const byteCount = V2_FIXED_BYTES + bytes.readUInt16BE(14);
  if (versionAndCommand >> 4 !== 2) return invalid('unknown v2 version');
  if (byteCount > PROXY_HEADER_MAX_BYTES) return invalid('v2 header too long');
  if (bytes.length < byteCount) return INCOMPLETE;
  const command = versionAndCommand & 0x0f;
  if (command === 0) return { kind: 'header', byteCount };
  if (command !== 1) return invalid('unknown v2 command');
  switch (familyAndTransport) {
    case 0x00:
      return { kind: 'header', byteCount };
    case 0x11:
      return readVersion2Addresses(bytes, byteCount, 4, formatV4);
    case 0x21:
      return readVersion2Addresses(bytes, byteCount, 16, formatV6);
    default:
      return invalid('unsupported v2 address family');
  }
}

function readVersion2Addresses(
  bytes: Buffer,
  byteCount: number,
  addressBytes: number,
  format: (bytes: Buffer, offset: number) => string,
): ProxyHeader {
  const ports = V2_FIXED_BYTES + 2 * addressBytes;
  if (byteCount < ports + 4) return invalid('v2 header too short');
  const addresses = {
    remoteAddress: format(bytes, V2_FIXED_BYTES),
    remotePort: bytes.readUInt16BE(ports),
    localAddress: format(bytes, V2_FIXED_BYTES + addressBytes),
    localPort: bytes.readUInt16BE(ports + 2),
  };
  return { kind: 'header', byteCount, addresses };
}

function formatV4(bytes: Buffer, offset: number): string {
  return bytes.subarray(offset, offset + 4).join('.');
}

function formatV6(bytes: Buffer, offset: number): string {
  const isMapped =
    bytes.readUInt32BE(offset) === 0 &&
    bytes.readUInt32BE(offset + 4) === 0 &&
    bytes.readUInt32BE(offset + 8) === 0xffff;
  if (isMapped) return `::ffff:${formatV4(bytes, offset + 12)}`;
  const groups: string[] = [];
  for (let group = 0; group < 8; group += 1) {
    groups.push(bytes.readUInt16BE(offset + 2 * group).toString(16));
  }
  return compressV6(groups);
}

/** Replaces the longest run of zero groups by `::` (RFC 5952 section 4.2). */
function compressV6(groups: readonly string[]): string {
  let bestStart = -1;
  let bestLength = 1;
  for (let start = 0; start < groups.length; start += 1) {
    let end = start;
    while (groups[end] === '0') end += 1;
    if (end - start > bestLength) {
      bestStart = start;
      bestLength = end - start;
    }
  }
  if (bestStart < 0) return groups.join(':');
  const head = groups.slice(0, bestStart).join(':');
  return `${head}::${groups.slice(bestStart + bestLength).join(':')}`;
}
