/**
 * How argument values and their types read in reply texts: RabbitMQ's words, which clients' tests
 * and operators grep for. Integer width is not kept (base/field-value.ts), so integers read as
 * 'signedint' or, beyond 32 bits, 'long'.
 */
import { isTable, isTagged, type FieldValue } from '../base/field-value.ts';

const INT32_MAX = 2_147_483_647;

/** RabbitMQ's name of the value's type. */
export function typeName(value: FieldValue): string {
  switch (typeof value) {
    case 'string':
      return 'longstr';
    case 'boolean':
      return 'bool';
    case 'number':
    case 'bigint':
      return value > INT32_MAX || value < -INT32_MAX - 1 ? 'long' : 'signedint';
    default:
      break;
  }
  if (value === null) return 'void';
  if (value instanceof Uint8Array) return 'binary';
  if (isTable(value)) return 'table';
  return isTagged(value) ? value.kind : 'array';
}

/** The value as RabbitMQ prints a term: strings as <<"text">>. */
export function valueText(value: FieldValue): string {
  if (typeof value === 'string') return value === '' ? '<<>>' : `<<"${value}">>`;
  if (value === null) return 'undefined';
  if (value instanceof Uint8Array) return `<<${value.join(',')}>>`;
  if (typeof value === 'object') {
    if (isTable(value)) return `[${[...value].map(pairText).join(',')}]`;
    if (isTagged(value)) return taggedText(value);
    return `[${value.map(typedText).join(',')}]`;
  }
  return String(value);
}

/** The value inside quotes: strings as they are, all else as a term. */
export function plainText(value: FieldValue): string {
  return typeof value === 'string' ? value : valueText(value);
}

function taggedText(value: Extract<FieldValue, { kind: string }>): string {
  if (value.kind === 'decimal') return `{${value.scale},${value.value}}`;
  if (value.kind === 'timestamp') return String(value.value);
  return Number.isInteger(value.value) ? value.value.toFixed(1) : String(value.value);
}

function typedText(value: FieldValue): string {
  return `{${typeName(value)},${valueText(value)}}`;
}

function pairText([name, value]: readonly [string, FieldValue]): string {
  return `{<<"${name}">>,${typeName(value)},${valueText(value)}}`;
}
