/**
 * The JSON form of persisted definitions. Keys are JSON arrays of names, so that no name can be
 * mistaken for a separator; argument tables keep the kinds JSON cannot express as tagged objects.
 */
import type { FieldTable, FieldValue } from '../base/field-value.ts';
import { isTable, isTagged } from '../base/field-value.ts';

export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [name: string]: Json };

/** The key of a definition. */
export function definitionKey(...names: string[]): string {
  return JSON.stringify(names);
}

/** The names a key was made of. */
export function definitionNames(key: string): string[] {
  return JSON.parse(key) as string[];
}

/** An argument table as JSON: an array of [name, value] pairs in wire order. */
export function tableToJson(table: FieldTable): Json {
  return [...table].map(([name, value]) => [name, valueToJson(value)]);
}

/** The reverse of `tableToJson`. */
export function tableFromJson(json: Json): FieldTable {
  const pairs = json as readonly (readonly [string, Json])[];
  return new Map(pairs.map(([name, value]) => [name, valueFromJson(value)]));
}

function valueToJson(value: FieldValue): Json {
  if (typeof value === 'bigint') return { kind: 'bigint', value: value.toString() };
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof Uint8Array) {
    return { kind: 'bytes', value: Buffer.from(value).toString('base64') };
  }
  if (isTable(value)) return { kind: 'table', value: tableToJson(value) };
  if (isTagged(value)) return { ...value };
  return value.map(valueToJson);
}

function valueFromJson(json: Json): FieldValue {
  if (json === null || typeof json !== 'object') return json;
  if (Array.isArray(json)) return (json as readonly Json[]).map(valueFromJson);
  const tagged = json as { readonly kind: string; readonly value: Json; readonly scale?: number };
  switch (tagged.kind) {
    case 'bigint':
      return BigInt(tagged.value as string);
    case 'bytes':
      return Buffer.from(tagged.value as string, 'base64');
    case 'table':
      return tableFromJson(tagged.value);
    case 'decimal':
      return { kind: 'decimal', scale: tagged.scale ?? 0, value: tagged.value as number };
    default:
      return { kind: tagged.kind as 'double', value: tagged.value as number };
  }
}
