/**
 * Argument tables as RabbitMQ writes them in definitions files: plain JSON, in which the kinds of
 * numbers are lost. `definitions.ts` has the exact form, for our own records.
 *
 * A number without fraction is an integer; any other is a double. So a double without fraction, a
 * float, a decimal and a timestamp come back as another kind, as they do with RabbitMQ; bytes that
 * are not text come back as base64.
 */
import type { FieldTable, FieldValue } from '../base/field-value.ts';
import { isTable, isTagged } from '../base/field-value.ts';
import { NAME_BYTES_MAX, TABLE_DEPTH_MAX } from '../base/limits.ts';
import type { Json } from './definitions.ts';

/** Integers from here on do not fit the 64 bits of a field table. */
const INT64_END = 2 ** 63;

/** A table, or the sentence that says why it is none. An empty list is an empty table. */
export function tableFromPlain(json: unknown): FieldTable | string {
  if (Array.isArray(json) && json.length === 0) return new Map();
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return 'must be an object';
  try {
    return readTable(json, 1);
  } catch (error) {
    if (error instanceof PlainJsonError) return error.message;
    throw error;
  }
}

/** The reverse of `tableFromPlain`, within the limits above. */
export function tableToPlain(table: FieldTable): { readonly [name: string]: Json } {
  return Object.fromEntries([...table].map(([name, value]) => [name, valueToPlain(value)]));
}

class PlainJsonError extends Error {}

function readTable(json: object, depth: number): FieldTable {
  const table = new Map<string, FieldValue>();
  for (const [name, value] of Object.entries(json)) {
    if (Buffer.byteLength(name) > NAME_BYTES_MAX) {
      throw new PlainJsonError(`has a name of more than ${NAME_BYTES_MAX} bytes`);
    }
    table.set(name, readValue(value, depth));
  }
  return table;
}

function readValue(json: unknown, depth: number): FieldValue {
  if (typeof json === 'number') return readNumber(json);
  if (typeof json === 'string' || typeof json === 'boolean' || json === null) return json;
  if (depth >= TABLE_DEPTH_MAX) {
    throw new PlainJsonError(`is nested more than ${TABLE_DEPTH_MAX} deep`);
  }
  if (Array.isArray(json)) return json.map((item: unknown) => readValue(item, depth + 1));
  return readTable(json as object, depth + 1);
}

function readNumber(value: number): FieldValue {
  if (Number.isSafeInteger(value)) return value;
  const isInt64 = Number.isInteger(value) && Math.abs(value) < INT64_END;
  return isInt64 ? BigInt(value) : { kind: 'double', value };
}

function valueToPlain(value: FieldValue): Json {
  if (typeof value === 'bigint') return Number(value);
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (isTable(value)) return tableToPlain(value);
  if (!isTagged(value)) return value.map(valueToPlain);
  return value.kind === 'decimal' ? value.value / 10 ** value.scale : value.value;
}
