/** Canonical text of argument values: equal text means equal name, kind and value, in any order. */
import { isTable, isTagged, type FieldTable, type FieldValue } from '../../base/field-value.ts';

/**
 * Identity of a binding at one destination. The two forms start differently, so that a key that
 * looks like encoded arguments can never collide with arguments.
 */
export function identityOf(key: string, args: FieldTable): string {
  if (args.size === 0) return `=${key}`;
  return `+${key.length}:${key}${canonicalTable(args)}`;
}

/** True when both hold the same names with the same values of the same kinds. */
export function tablesEqual(a: FieldTable, b: FieldTable): boolean {
  if (a.size !== b.size) return false;
  return a.size === 0 || canonicalTable(a) === canonicalTable(b);
}

/** True when kind and value agree; integers agree across widths, `10` and `10.0` do not. */
export function valuesEqual(a: FieldValue, b: FieldValue): boolean {
  if (a === b) return true;
  const kind = typeof a;
  if (kind === 'string' || kind === 'boolean') return false;
  return canonicalValue(a) === canonicalValue(b);
}

function canonicalTable(table: FieldTable): string {
  const names = [...table.keys()].sort();
  let text = '{';
  for (const name of names) {
    text += `${name.length}:${name}${canonicalValue(table.get(name) ?? null)}`;
  }
  return `${text}}`;
}

/** Prefix-free text of one value. */
export function canonicalValue(value: FieldValue): string {
  switch (typeof value) {
    case 'string':
      return `s${value.length}:${value}`;
    case 'number':
    case 'bigint':
      return `i${value};`;
    case 'boolean':
      return value ? 't' : 'f';
    default:
      break;
  }
  if (value === null) return 'v';
  if (value instanceof Uint8Array) return `x${Buffer.from(value).toString('hex')};`;
  if (isTable(value)) return canonicalTable(value);
  if (isTagged(value)) {
    const scale = value.kind === 'decimal' ? `${value.scale},` : '';
    return `${value.kind}${scale}${Object.is(value.value, -0) ? '-0' : value.value};`;
  }
  let text = '[';
  for (const item of value) text += canonicalValue(item);
  return `${text}]`;
}
