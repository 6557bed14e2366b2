/**
 * The content header of class basic (4.2.6.1), read and rewritten by offset.
 *
 *     class u16 | weight u16 | body size u64 | flags u16 | property ...
 *     ^ start                                 ^ +12       ^ +14
 *
 * A property is there when its flag is, in the order of the flags from bit 15 down. A header is
 * proven well-formed once, when it is published (`scanHeader`); nothing is decoded for a message
 * that only passes through. Positions in a scan count from the begin of the header, so that they
 * hold in the frame and in the message's own memory alike.
 */
import { readTextLossy, readU16, readU32, readU64 } from '../../src/base/byte-reader.ts';
import { ByteWriter } from '../../src/base/byte-writer.ts';
import { BrokerError } from '../../src/base/errors.ts';
import type { FieldTable } from '../../src/base/field-value.ts';
import { LIFETIME_MS_MAX } from '../../src/base/limits.ts';
import { typeName } from '../../src/engine/field-text.ts';
import type { CommonProperties } from '../../src/engine/ports.ts';
import { decodeTable, decodeValue, TableCursor, validateTable, writeTable } from './field-table.ts';
import {
  CLASS_BASIC,
  CONTENT_HEADER_FIXED_BYTES,
  FLAG_APP_ID,
  FLAG_CLUSTER_ID,
  FLAG_CONTENT_ENCODING,
  FLAG_CONTENT_TYPE,
  FLAG_CORRELATION_ID,
  FLAG_DELIVERY_MODE,
  FLAG_EXPIRATION,
  FLAG_HEADERS,
  FLAG_MESSAGE_ID,
  FLAG_PRIORITY,
  FLAG_REPLY_TO,
  FLAG_TIMESTAMP,
  FLAG_TYPE,
  FLAG_USER_ID,
  FLAGS_UNDEFINED,
} from './spec/constants.ts';

/** delivery-mode of a message that survives a restart. */
export const DELIVERY_MODE_PERSISTENT = 2;

/**
 * What publishing needs to know of a header. A property spans [xxxAt, xxxEnd) including its
 * length; both are where it would stand when it is absent.
 */
export class HeaderScan {
  /** The property flags. */
  flags = 0;
  /** Declared body size; not exact above 2^53. */
  bodyBytes = 0;
  /** 0 to 255; -1 when absent. */
  deliveryMode = -1;
  /** 0 to 255; -1 when absent. */
  priority = -1;
  /** The table with its 32-bit length. */
  headersAt = 0;
  headersEnd = 0;
  /** Short strings with their length octet. */
  replyToAt = 0;
  replyToEnd = 0;
  expirationAt = 0;
  expirationEnd = 0;
  userIdAt = 0;
  userIdEnd = 0;

  get isPersistent(): boolean {
    return this.deliveryMode === DELIVERY_MODE_PERSISTENT;
  }

  get hasHeaders(): boolean {
    // An empty table has its four bytes of length.
    return this.headersEnd - this.headersAt > 4;
  }

  get hasReplyTo(): boolean {
    return this.replyToEnd > this.replyToAt;
  }

  get hasExpiration(): boolean {
    return this.expirationEnd > this.expirationAt;
  }

  get hasUserId(): boolean {
    return this.userIdEnd > this.userIdAt;
  }
}

/**
 * Proves the header [start, end) well-formed and notes where its properties are.
 *
 * @param buf  borrowed
 * @throws BrokerError SYNTAX_ERROR (connection)
 */
export function scanHeader(buf: Uint8Array, start: number, end: number, scan: HeaderScan): void {
  if (end - start < CONTENT_HEADER_FIXED_BYTES) throw malformed();
  const flags = readU16(buf, start + 12);
  if ((flags & FLAGS_UNDEFINED) !== 0) throw malformed();
  scan.flags = flags;
  scan.bodyBytes = readU64(buf, start + 4);
  let pos = start + CONTENT_HEADER_FIXED_BYTES;

  if ((flags & FLAG_CONTENT_TYPE) !== 0) pos = skipShort(buf, pos, end);
  if ((flags & FLAG_CONTENT_ENCODING) !== 0) pos = skipShort(buf, pos, end);
  scan.headersAt = pos - start;
  if ((flags & FLAG_HEADERS) !== 0) pos = skipTable(buf, pos, end);
  scan.headersEnd = pos - start;
  scan.deliveryMode = (flags & FLAG_DELIVERY_MODE) === 0 ? -1 : octet(buf, pos++, end);
  scan.priority = (flags & FLAG_PRIORITY) === 0 ? -1 : octet(buf, pos++, end);
  if ((flags & FLAG_CORRELATION_ID) !== 0) pos = skipShort(buf, pos, end);
  scan.replyToAt = pos - start;
  if ((flags & FLAG_REPLY_TO) !== 0) pos = skipShort(buf, pos, end);
  scan.replyToEnd = pos - start;
  scan.expirationAt = pos - start;
  if ((flags & FLAG_EXPIRATION) !== 0) pos = skipShort(buf, pos, end);
  scan.expirationEnd = pos - start;
  if ((flags & FLAG_MESSAGE_ID) !== 0) pos = skipShort(buf, pos, end);
  if ((flags & FLAG_TIMESTAMP) !== 0) pos += 8;
  if ((flags & FLAG_TYPE) !== 0) pos = skipShort(buf, pos, end);
  scan.userIdAt = pos - start;
  if ((flags & FLAG_USER_ID) !== 0) pos = skipShort(buf, pos, end);
  scan.userIdEnd = pos - start;
  if ((flags & FLAG_APP_ID) !== 0) pos = skipShort(buf, pos, end);
  if ((flags & FLAG_CLUSTER_ID) !== 0) pos = skipShort(buf, pos, end);
  if (pos !== end) throw malformed();
}

/**
 * The text of a short string property of a scan; '' when absent.
 *
 * @param bytes  memory with the header at `start`
 */
export function propertyText(bytes: Buffer, start: number, at: number, end: number): string {
  return at === end ? '' : readTextLossy(bytes, start + at + 1, start + end);
}

/** Optional sign and digits, all that an expiration may be. */
const INTEGER = /^[+-]?\d+/;

/**
 * The expiration of a scanned header in ms; -1 when it has none.
 *
 * @param bytes  memory with the header at `start`
 * @throws BrokerError PRECONDITION_FAILED (channel), with RabbitMQ's texts
 */
export function expirationMs(bytes: Buffer, start: number, scan: HeaderScan): number {
  const at = start + scan.expirationAt;
  const end = start + scan.expirationEnd;
  if (at === end) return -1;
  // Up to nine digits cannot overflow, and nothing else is common.
  const digitCount = end - at - 1;
  if (digitCount >= 1 && digitCount <= 9) {
    let value = 0;
    for (let i = at + 1; i < end; i += 1) {
      const digit = bytes[i]! - 0x30;
      if (digit < 0 || digit > 9) return parseExpiration(readTextLossy(bytes, at + 1, end));
      value = value * 10 + digit;
    }
    return value;
  }
  return parseExpiration(readTextLossy(bytes, at + 1, end));
}

/** As `expirationMs`, from its text. */
export function parseExpiration(text: string): number {
  const integer = INTEGER.exec(text)?.[0];
  if (integer === undefined) throw invalidExpiration(text, 'no_integer');
  if (integer.length < text.length) {
    throw invalidExpiration(text, `{leftover_string,"${text.slice(integer.length)}"}`);
  }
  const value = Number(integer);
  // In full, as the peer wrote it: a double would round it.
  const exact = BigInt(integer);
  if (value > LIFETIME_MS_MAX) throw invalidExpiration(text, `{value_too_large,${exact}}`);
  if (value < 0) throw invalidExpiration(text, `{value_negative,${exact}}`);
  return Math.abs(value);
}

/** Extra routing keys of a message, and whether some must stay hidden. */
export interface ExtraKeys {
  /** Those of CC, then those of BCC. */
  readonly keys: readonly string[];
  /** The header BCC exists: it must be removed before anybody gets the message. */
  readonly hasBcc: boolean;
}

/**
 * The keys in the headers CC and BCC, or undefined when there are neither. Nothing else is decoded.
 *
 * @param bytes  memory with the header at `start`
 * @throws BrokerError PRECONDITION_FAILED (channel) when one of them is no array
 */
export function extraRoutingKeys(
  bytes: Buffer,
  start: number,
  scan: HeaderScan,
): ExtraKeys | undefined {
  if (!scan.hasHeaders) return undefined;
  const cursor = new TableCursor();
  cursor.reset(bytes, start + scan.headersAt + 4, start + scan.headersEnd);
  let cc: string[] | undefined;
  let bcc: string[] | undefined;
  while (cursor.next()) {
    const name = extraKeyName(bytes, cursor.keyStart, cursor.keyEnd);
    if (name === 'CC') cc ??= readKeys(bytes, cursor, name);
    else if (name === 'BCC') bcc ??= readKeys(bytes, cursor, name);
  }
  if (cc === undefined && bcc === undefined) return undefined;
  return { keys: [...(cc ?? []), ...(bcc ?? [])], hasBcc: bcc !== undefined };
}

/** Every property of the header [start, end); the table too. Text that is not UTF-8 is mended. */
export function decodeProperties(bytes: Buffer, start: number, end: number): CommonProperties {
  const scan = new HeaderScan();
  scanHeader(bytes, start, end, scan);
  const { flags } = scan;
  const result: { -readonly [K in keyof CommonProperties]: CommonProperties[K] } = {};
  let pos = start + CONTENT_HEADER_FIXED_BYTES;
  const text = (): string => {
    const from = pos + 1;
    pos = from + bytes[pos]!;
    return readTextLossy(bytes, from, pos);
  };
  if ((flags & FLAG_CONTENT_TYPE) !== 0) result.contentType = text();
  if ((flags & FLAG_CONTENT_ENCODING) !== 0) result.contentEncoding = text();
  if ((flags & FLAG_HEADERS) !== 0) result.headers = decodeHeaders(bytes, start, scan);
  if (scan.deliveryMode >= 0) result.deliveryMode = scan.deliveryMode;
  if (scan.priority >= 0) result.priority = scan.priority;
  pos = start + scan.headersEnd + (scan.deliveryMode >= 0 ? 1 : 0) + (scan.priority >= 0 ? 1 : 0);
  if ((flags & FLAG_CORRELATION_ID) !== 0) result.correlationId = text();
  if ((flags & FLAG_REPLY_TO) !== 0) result.replyTo = text();
  if ((flags & FLAG_EXPIRATION) !== 0) result.expiration = text();
  if ((flags & FLAG_MESSAGE_ID) !== 0) result.messageId = text();
  if ((flags & FLAG_TIMESTAMP) !== 0) {
    result.timestampSeconds = readU64(bytes, pos);
    pos += 8;
  }
  if ((flags & FLAG_TYPE) !== 0) result.type = text();
  if ((flags & FLAG_USER_ID) !== 0) result.userId = text();
  if ((flags & FLAG_APP_ID) !== 0) result.appId = text();
  return result;
}

/** The headers of a scanned header whose flag for them is set. */
export function decodeHeaders(bytes: Buffer, start: number, scan: HeaderScan): FieldTable {
  return decodeTable(bytes, start + scan.headersAt + 4, start + scan.headersEnd);
}

/** A header with these properties, owned. For messages that another protocol published. */
export function encodeHeader(properties: CommonProperties, bodyBytes: number): Buffer {
  const out = new ByteWriter();
  let flags = 0;
  out.u16(CLASS_BASIC);
  out.u16(0);
  out.u64(bodyBytes);
  out.u16(0);
  const text = (flag: number, value: string | undefined): void => {
    if (value === undefined) return;
    flags |= flag;
    out.shortText(value);
  };
  text(FLAG_CONTENT_TYPE, properties.contentType);
  text(FLAG_CONTENT_ENCODING, properties.contentEncoding);
  if (properties.headers !== undefined) {
    flags |= FLAG_HEADERS;
    writeTable(out, properties.headers);
  }
  if (properties.deliveryMode !== undefined) {
    flags |= FLAG_DELIVERY_MODE;
    out.u8(properties.deliveryMode);
  }
  if (properties.priority !== undefined) {
    flags |= FLAG_PRIORITY;
    out.u8(properties.priority);
  }
  text(FLAG_CORRELATION_ID, properties.correlationId);
  text(FLAG_REPLY_TO, properties.replyTo);
  text(FLAG_EXPIRATION, properties.expiration);
  text(FLAG_MESSAGE_ID, properties.messageId);
  if (properties.timestampSeconds !== undefined) {
    flags |= FLAG_TIMESTAMP;
    out.u64(properties.timestampSeconds);
  }
  text(FLAG_TYPE, properties.type);
  text(FLAG_USER_ID, properties.userId);
  text(FLAG_APP_ID, properties.appId);
  const header = out.take();
  header.writeUInt16BE(flags, 12);
  return header;
}

function skipShort(buf: Uint8Array, pos: number, end: number): number {
  if (pos >= end) throw malformed();
  return pos + 1 + buf[pos]!;
}

function octet(buf: Uint8Array, pos: number, end: number): number {
  if (pos >= end) throw malformed();
  return buf[pos]!;
}

function skipTable(buf: Uint8Array, pos: number, end: number): number {
  if (pos + 4 > end) throw malformed();
  const tableEnd = pos + 4 + readU32(buf, pos);
  if (tableEnd > end) throw malformed();
  validateTable(buf, pos + 4, tableEnd);
  return tableEnd;
}

/** 'CC' or 'BCC' when the key is one of them, in upper case as RabbitMQ has it. */
function extraKeyName(bytes: Buffer, start: number, end: number): 'CC' | 'BCC' | undefined {
  const length = end - start;
  if (length < 2 || length > 3) return undefined;
  if (bytes[end - 1] !== 0x43 || bytes[end - 2] !== 0x43) return undefined;
  if (length === 2) return 'CC';
  return bytes[start] === 0x42 ? 'BCC' : undefined;
}

/** The strings of the list; what else it holds is no key and left out, as in RabbitMQ. */
function readKeys(bytes: Buffer, cursor: TableCursor, name: string): string[] {
  const value = decodeValue(bytes, cursor.tag, cursor.valueStart, cursor.valueEnd);
  if (Array.isArray(value)) return value.filter((key) => typeof key === 'string');
  throw new BrokerError(
    'PRECONDITION_FAILED',
    `invalid message: {unacceptable_type_in_header,"${name}",${typeName(value)}}`,
  );
}

function invalidExpiration(text: string, reason: string): BrokerError {
  return new BrokerError('PRECONDITION_FAILED', `invalid expiration '${text}': ${reason}`);
}

function malformed(): BrokerError {
  return new BrokerError('SYNTAX_ERROR', 'malformed content header');
}
