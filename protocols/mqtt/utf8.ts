/**
 * Text on the wire (MQTT 5 section 1.5.4): well-formed UTF-8 without surrogates [MQTT-1.5.4-1] and
 * without U+0000 [MQTT-1.5.4-2]. U+FEFF is a character like any other and is kept [MQTT-1.5.4-3].
 * Control and non-characters, which peers only SHOULD NOT send, are let through: devices do.
 */
import { isUtf8 } from 'node:buffer';
import { readText } from '../../src/base/byte-reader.ts';
import { malformed } from './mqtt-errors.ts';

/** True when [start, end) of `buf` (borrowed) may stand in a text field. */
export function isMqttText(buf: Buffer, start: number, end: number): boolean {
  let seen = 0;
  for (let i = start; i < end; i += 1) {
    const byte = buf[i]!;
    if (byte === 0) return false;
    seen |= byte;
  }
  return seen < 0x80 || isUtf8(buf.subarray(start, end));
}

/**
 * The text in [start, end).
 *
 * @param what  the field, for the error
 * @throws MqttError 0x81
 */
export function readMqttText(buf: Buffer, start: number, end: number, what: string): string {
  const text = isMqttText(buf, start, end) ? readText(buf, start, end) : undefined;
  if (text === undefined) throw malformedText(what);
  return text;
}

/** The error for text that is not UTF-8 or has U+0000 in it. */
export function malformedText(what: string): Error {
  return malformed(`${what} is not well-formed UTF-8 or has U+0000 in it`);
}
