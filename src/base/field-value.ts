/**
 * Values of an AMQP field table, as every protocol and the engine see them.
 *
 * JavaScript has one number type; AMQP has integers, floats, decimals and timestamps that compare
 * differently (`10` is not `10.0` in a queue argument). So plain `number`/`bigint` always means an
 * integer of any width, and the other numeric kinds are tagged. Integer width is not kept: code
 * that must pass a table through unchanged works on its bytes (protocols/amqp/field-table.ts).
 */

/** A number that plain numbers cannot stand for: double, float, decimal, timestamp (seconds). */
export type TaggedNumber =
  | { readonly kind: 'double'; readonly value: number }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'decimal'; readonly scale: number; readonly value: number }
  | { readonly kind: 'timestamp'; readonly value: number };

/** One value. `null` is AMQP void; `Uint8Array` is a byte array or a string that is not UTF-8. */
export type FieldValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | Uint8Array
  | TaggedNumber
  | FieldTable
  | readonly FieldValue[];

/** A table in wire order. */
export type FieldTable = ReadonlyMap<string, FieldValue>;

export const EMPTY_TABLE: FieldTable = new Map();

/** True when `value` is a nested table. */
export function isTable(value: FieldValue): value is FieldTable {
  return value instanceof Map;
}

/** True when `value` is a double, float, decimal or timestamp. */
export function isTagged(value: FieldValue): value is TaggedNumber {
  return typeof value === 'object' && value !== null && 'kind' in value;
}
