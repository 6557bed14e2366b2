/**
 * How the engine looks into, and edits, messages published over AMQP 0-9-1.
 *
 * Editing works on bytes: a property or table entry that is not named by the edit is copied as it
 * was received, so that an i16 stays an i16 and an unknown encoding survives. A dead-letter record
 * must not change what the publisher wrote.
 */
import { readTextLossy } from '../../src/base/byte-reader.ts';
import { ByteWriter } from '../../src/base/byte-writer.ts';
import type { FieldTable, FieldValue } from '../../src/base/field-value.ts';
import { FORMAT_BLIND, type Message } from '../../src/engine/message.ts';
import { copyMessage } from '../../src/engine/message-copy.ts';
import type { CommonProperties, HeaderEdit, MessageFormat } from '../../src/engine/ports.ts';
import { decodeHeaders, decodeProperties, HeaderScan, scanHeader } from './content-header.ts';
import { TableCursor, writeEntry } from './field-table.ts';
import {
  CONTENT_HEADER_FIXED_BYTES,
  FLAG_EXPIRATION,
  FLAG_HEADERS,
  FLAG_REPLY_TO,
} from './spec/constants.ts';

/** `Message.format` FORMAT_AMQP: the header is the payload of a content-header frame. */
export class AmqpMessageFormat implements MessageFormat {
  readonly #scan: HeaderScan;

  constructor() {
    this.#scan = new HeaderScan();
  }

  headers(message: Message): FieldTable | undefined {
    const { bytes, start } = message;
    scanHeader(bytes, start, start + message.headerBytes, this.#scan);
    if ((this.#scan.flags & FLAG_HEADERS) === 0) return undefined;
    return decodeHeaders(bytes, start, this.#scan);
  }

  properties(message: Message): CommonProperties {
    return decodeProperties(message.bytes, message.start, message.start + message.headerBytes);
  }

  edit(message: Message, edit: HeaderEdit): Buffer {
    return editHeader(message.bytes, message.start, message.start + message.headerBytes, edit);
  }
}

/** The same of a message with BCC, which is not told (`Message.isBlind`). */
export class BlindAmqpMessageFormat extends AmqpMessageFormat {
  override headers(message: Message): FieldTable | undefined {
    return withoutBcc(super.headers(message));
  }

  override properties(message: Message): CommonProperties {
    const properties = super.properties(message);
    const headers = withoutBcc(properties.headers);
    return headers === undefined ? properties : { ...properties, headers };
  }
}

function withoutBcc(headers: FieldTable | undefined): FieldTable | undefined {
  return headers && new Map([...headers].filter(([name]) => name !== 'BCC'));
}

/** The message as others than its publisher may have it. */
export function shownMessage(message: Message): Message {
  if (!message.isBlind) return message;
  const { bytes, start, headerBytes, format } = message;
  const header = stripBcc(bytes, start, start + headerBytes);
  return copyMessage(message, { header, format: format & ~FORMAT_BLIND });
}

/**
 * The header [start, end) after `edit`, owned; its body size is unchanged.
 *
 * @throws BrokerError SYNTAX_ERROR when the header is malformed
 */
export function editHeader(bytes: Buffer, start: number, end: number, edit: HeaderEdit): Buffer {
  const scan = new HeaderScan();
  scanHeader(bytes, start, end, scan);
  const hasTable = (scan.flags & FLAG_HEADERS) !== 0 || (edit.set?.size ?? 0) > 0;
  let flags = scan.flags;
  if (hasTable) flags |= FLAG_HEADERS;
  if (edit.replyTo !== undefined) flags |= FLAG_REPLY_TO;
  if (edit.removeExpiration === true) flags &= ~FLAG_EXPIRATION;

  const out = new ByteWriter(end - start + 128);
  out.bytes(bytes, start, start + CONTENT_HEADER_FIXED_BYTES - 2);
  out.u16(flags);
  out.bytes(bytes, start + CONTENT_HEADER_FIXED_BYTES, start + scan.headersAt);
  if (hasTable) {
    // Absent: an empty range, whose content would begin behind its end.
    const tableEnd = start + scan.headersEnd;
    editTable(out, bytes, Math.min(start + scan.headersAt + 4, tableEnd), tableEnd, edit);
  }
  out.bytes(bytes, start + scan.headersEnd, start + scan.replyToAt);
  if (edit.replyTo === undefined) {
    out.bytes(bytes, start + scan.replyToAt, start + scan.replyToEnd);
  } else {
    out.shortText(edit.replyTo);
  }
  if (edit.removeExpiration !== true) {
    out.bytes(bytes, start + scan.expirationAt, start + scan.expirationEnd);
  }
  out.bytes(bytes, start + scan.expirationEnd, end);
  return out.take();
}

/** The header [start, end) without the header field BCC, which nobody but the publisher may see. */
export function stripBcc(bytes: Buffer, start: number, end: number): Buffer {
  return editHeader(bytes, start, end, { remove: ['BCC'] });
}

/**
 * Owned memory with `header` and then the body [bodyStart, bodyEnd) of `bytes`: what a message
 * needs whose header was edited.
 */
export function joinContent(
  header: Uint8Array,
  bytes: Buffer,
  bodyStart: number,
  bodyEnd: number,
): Buffer {
  const joined = Buffer.allocUnsafeSlow(header.length + bodyEnd - bodyStart);
  joined.set(header, 0);
  bytes.copy(joined, header.length, bodyStart, bodyEnd);
  return joined;
}

/** A name set keeps its place when it was there, else comes last, in order of `set`. */
function editTable(
  out: ByteWriter,
  bytes: Buffer,
  start: number,
  end: number,
  edit: HeaderEdit,
): void {
  const removed = new Set(edit.remove);
  const toSet = new Map<string, FieldValue>(edit.set);
  const place = out.beginLength();
  const cursor = new TableCursor();
  cursor.reset(bytes, start, end);
  while (cursor.next()) {
    const key = readTextLossy(bytes, cursor.keyStart, cursor.keyEnd);
    const value = toSet.get(key);
    if (value !== undefined) {
      writeEntry(out, key, value);
      toSet.delete(key);
      // A second entry of that name would come back to life.
      removed.add(key);
    } else if (!removed.has(key)) {
      out.bytes(bytes, cursor.entryStart, cursor.valueEnd);
    }
  }
  for (const [key, value] of toSet) writeEntry(out, key, value);
  out.endLength(place);
}
