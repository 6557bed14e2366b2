/**
 * Checks of single argument values. Each answers the error term RabbitMQ 4.3 prints after
 * `invalid arg 'x-...' for queue ...: `, or undefined when the value is fine.
 */
import { textByteLength } from '../../base/byte-writer.ts';
import type { FieldTable, FieldValue } from '../../base/field-value.ts';
import { LIFETIME_MS_MAX, NAME_BYTES_MAX } from '../../base/limits.ts';
import { typeName } from '../field-text.ts';

export type ArgumentCheck = (value: FieldValue, args: FieldTable) => string | undefined;

const PRIORITY_MAX = 255;

type Integer = number | bigint;

function isInteger(value: FieldValue): value is Integer {
  return typeof value === 'number' || typeof value === 'bigint';
}

export function checkInteger(value: FieldValue): string | undefined {
  return isInteger(value) ? undefined : `"expected integer, got ${typeName(value)}"`;
}

export function checkNonNegative(value: FieldValue): string | undefined {
  if (!isInteger(value)) return checkInteger(value);
  return value < 0 ? `{value_negative,${value}}` : undefined;
}

export function checkPositive(value: FieldValue): string | undefined {
  const error = checkNonNegative(value);
  if (error !== undefined) return error;
  return Number(value) === 0 ? '{value_zero,0}' : undefined;
}

/** A time to live, in ms. */
export function checkTtl(value: FieldValue): string | undefined {
  const error = checkNonNegative(value);
  if (error !== undefined) return error;
  return Number(value) > LIFETIME_MS_MAX ? `{value_too_large,${String(value)}}` : undefined;
}

/** Idle time of a queue, in ms. */
export function checkExpires(value: FieldValue): string | undefined {
  if (isInteger(value) && Number(value) === 0) return '{value_zero,0}';
  return checkTtl(value);
}

export function checkMaxPriority(value: FieldValue): string | undefined {
  const error = checkNonNegative(value);
  if (error !== undefined) return error;
  return Number(value) > PRIORITY_MAX ? `{max_value_exceeded,${String(value)}}` : undefined;
}

export function checkQueueVersion(value: FieldValue): string | undefined {
  const error = checkNonNegative(value);
  if (error !== undefined) return error;
  return Number(value) === 2 ? undefined : `"unsupported queue version '${String(value)}'"`;
}

export function checkBoolean(value: FieldValue): string | undefined {
  return typeof value === 'boolean' ? undefined : unacceptable(value);
}

export function checkString(value: FieldValue): string | undefined {
  return typeof value === 'string' ? undefined : unacceptable(value);
}

export function checkDeadLetterKey(value: FieldValue, args: FieldTable): string | undefined {
  if (typeof value !== 'string') return unacceptable(value);
  if (!isShort(value)) return `{value_too_long,${textByteLength(value)}}`;
  return args.has('x-dead-letter-exchange') ? undefined : 'routing_key_but_no_dlx_defined';
}

/** Whether a text can be a name on the wire. */
export function isShort(text: string): boolean {
  return textByteLength(text) <= NAME_BYTES_MAX;
}

/** A string out of a list; anything else is the named error. */
export function checkOneOf(allowed: readonly string[], error: string): ArgumentCheck {
  return (value) => {
    if (typeof value !== 'string') return unacceptable(value);
    return allowed.includes(value) ? undefined : error;
  };
}

/** Empty and `undefined` are the default, for clients that write out what they were not told. */
export function checkQueueType(value: FieldValue): string | undefined {
  if (typeof value !== 'string') return unacceptable(value);
  if (value === '' || value === 'undefined') return undefined;
  if (value === 'classic' || value === 'quorum' || value === 'stream') return undefined;
  return `"unsupported queue type '${value}'"`;
}

export function checkMaxAge(value: FieldValue): string | undefined {
  if (typeof value !== 'string') return unacceptable(value);
  return parseMaxAgeMs(value) === undefined ? 'invalid_max_age' : undefined;
}

const SECOND_MS = 1000;
const DAY_MS = 86_400 * SECOND_MS;
const AGE_UNIT_MS: ReadonlyMap<string, number> = new Map([
  ['Y', 365 * DAY_MS],
  ['M', 30 * DAY_MS],
  ['D', DAY_MS],
  ['h', 3600 * SECOND_MS],
  ['m', 60 * SECOND_MS],
  ['s', SECOND_MS],
]);

/** `7D` and the like in ms; undefined when it is not an age above zero. */
export function parseMaxAgeMs(text: string): number | undefined {
  const match = /^(\d{1,15})([YMDhms])$/.exec(text);
  const count = Number(match?.[1]);
  const unitMs = AGE_UNIT_MS.get(match?.[2] ?? '');
  return unitMs !== undefined && count > 0 ? count * unitMs : undefined;
}

function unacceptable(value: FieldValue): string {
  return `{unacceptable_type,${typeName(value)}}`;
}
