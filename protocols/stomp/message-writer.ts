/**
 * Frames to a client: MESSAGE from the engine's messages, and the small ones.
 *
 *     MESSAGE | subscription, destination, message-id ... | properties and headers | body | NUL
 *              own to the delivery                          kept for the next consumer
 *
 * One instance serves all connections: a message that goes to a hundred subscribers has its
 * properties decoded and written as text once per dialect.
 */
import { putText, textByteLength } from '../../src/base/byte-writer.ts';
import type { FieldValue } from '../../src/base/field-value.ts';
import { isTagged } from '../../src/base/field-value.ts';
import type { Message } from '../../src/engine/message.ts';
import type { CommonProperties, MessageFormat } from '../../src/engine/ports.ts';
import type { Outbound } from '../../src/net/outbound.ts';
import { formatDestination, formatReplyTo } from './destination.ts';
import { escapeHeader } from './header-text.ts';
import { type Dialect, NOT_DELIVERED_HEADERS, STOMP_1_0, TEXT_PROPERTIES } from './spec/headers.ts';

const LF = 10;
const NUL = 0;

/** Writes frames into outbound slabs. */
export class MessageWriter {
  readonly #formats: readonly MessageFormat[];
  #lastMessage: Message | undefined;
  #lastDialect: Dialect;
  #lastText: string;

  constructor(formats: readonly MessageFormat[]) {
    this.#formats = formats;
    this.#lastMessage = undefined;
    this.#lastDialect = 0;
    this.#lastText = '';
  }

  /**
   * MESSAGE. `prefix` is the frame up to what differs between deliveries, `id` the message-id.
   *
   * @param ackHeader  `ack:...` line of 1.2, or ''
   */
  deliver(
    out: Outbound,
    prefix: string,
    id: string,
    ackHeader: string,
    isRedelivered: boolean,
    message: Message,
    dialect: Dialect,
  ): void {
    const text = this.#textOf(message, dialect);
    const head =
      `${prefix}message-id:${id}\nredelivered:${isRedelivered}\n${ackHeader}${text}` +
      `content-length:${message.bodyBytes}\n\n`;
    writeText(out, head);
    const bodyStart = message.start + message.headerBytes;
    out.append(message.bytes, bodyStart, bodyStart + message.bodyBytes);
    writeByte(out, NUL);
  }

  /** Lets go of the last message; called when a turn's deliveries are done. */
  release(): void {
    this.#lastMessage = undefined;
  }

  #textOf(message: Message, dialect: Dialect): string {
    if (this.#lastMessage === message && this.#lastDialect === dialect) return this.#lastText;
    const properties = this.#formats[message.format]!.properties(message);
    const destination = formatDestination(message.exchange, message.routingKey);
    this.#lastText =
      `destination:${escapeHeader(destination, dialect)}\n` + propertyLines(properties, dialect);
    this.#lastMessage = message;
    this.#lastDialect = dialect;
    return this.#lastText;
  }
}

/** Any frame without much in it. Header values are escaped here. */
export function writeFrame(
  out: Outbound,
  command: string,
  headers: Readonly<Record<string, string>>,
  body: string,
  dialect: Dialect,
): void {
  let text = `${command}\n`;
  for (const [name, value] of Object.entries(headers)) {
    text += `${name}:${escapeHeader(value, dialect)}\n`;
  }
  if (body !== '') text += `content-length:${textByteLength(body)}\n`;
  writeText(out, `${text}\n${body}`);
  writeByte(out, NUL);
}

/** A heart-beat. */
export function writeHeartBeat(out: Outbound): void {
  writeByte(out, LF);
}

function propertyLines(properties: CommonProperties, dialect: Dialect): string {
  let lines = '';
  for (const [header, name] of Object.entries(TEXT_PROPERTIES)) {
    const value = properties[name];
    if (value === undefined) continue;
    const shown = name === 'replyTo' ? formatReplyTo(value) : value;
    lines += `${header}:${escapeHeader(shown, dialect)}\n`;
  }
  if (properties.deliveryMode === 2) lines += 'persistent:true\n';
  if (properties.priority !== undefined) lines += `priority:${properties.priority}\n`;
  if (properties.timestampSeconds !== undefined) {
    lines += `timestamp:${properties.timestampSeconds}\n`;
  }
  for (const [name, value] of properties.headers ?? []) {
    if (!isSayable(name, dialect)) continue;
    const text = fieldText(value);
    if (text === undefined) continue;
    lines += `${escapeHeader(name, dialect)}:${escapeHeader(text, dialect)}\n`;
  }
  return lines;
}

/**
 * False for a name that a client would take for another: 1.0 cannot escape a colon, and its clients
 * trim names, as many of later versions do. `content-length:3` would cut the frame short.
 */
function isSayable(name: string, dialect: Dialect): boolean {
  if (dialect === STOMP_1_0 && name.includes(':')) return false;
  const trimmed = name.trim();
  return trimmed !== '' && !NOT_DELIVERED_HEADERS.has(trimmed);
}

/** A header value as text; undefined for what has none (tables, arrays, bytes, void). */
function fieldText(value: FieldValue): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  if (typeof value === 'boolean') return String(value);
  if (!isTagged(value)) return undefined;
  return String(value.kind === 'decimal' ? value.value / 10 ** value.scale : value.value);
}

function writeText(out: Outbound, text: string): void {
  const byteLength = textByteLength(text);
  const pos = out.reserve(byteLength);
  putText(out.slab, pos, text, byteLength);
}

function writeByte(out: Outbound, byte: number): void {
  const pos = out.reserve(1);
  out.slab[pos] = byte;
}
