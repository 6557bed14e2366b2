/** Table `meta`: the numbers of the data file itself, each with a checksum. */
import type { Connection } from './driver.ts';
import { readTable } from './read-table.ts';
import { sumOfMeta } from './record-sums.ts';
import { DataFileError } from './schema.ts';

/** What the table says. */
export interface Meta {
  /** Number of the last start. */
  readonly epoch: number;
  /** The last end was in order. */
  readonly isClean: boolean;
  /** Row ids up to this one are used. */
  readonly lastRowId: number;
}

/**
 * Reads the table. A damaged clean mark is none, which is always safe; the others are refused,
 * because ids made from a wrong one could be in use.
 *
 * @throws DataFileError
 */
export async function readMeta(connection: Connection): Promise<Meta> {
  const values = new Map<string, number>();
  for (const { name, value, sum } of await readTable<{
    name: string;
    value: number;
    sum: number | null;
  }>(connection, 'meta', 'SELECT name, value, sum FROM meta')) {
    if (sum === null || sum === sumOfMeta(name, value)) values.set(name, value);
  }
  return {
    epoch: need(values, 'epoch'),
    isClean: values.get('is_clean') === 1,
    lastRowId: need(values, 'last_row_id'),
  };
}

/** SQL that sets one of them. */
export function metaText(name: 'epoch' | 'is_clean' | 'last_row_id', value: number): string {
  return `UPDATE meta SET value=${value}, sum=${sumOfMeta(name, value)} WHERE name='${name}'`;
}

function need(values: ReadonlyMap<string, number>, name: string): number {
  const value = values.get(name);
  if (value !== undefined) return value;
  throw new DataFileError(
    `the data file is damaged: its checksum does not match "${name}" in table meta; restore the ` +
      'data directory from a backup, or set there a value higher than it can have been and its ' +
      'sum to NULL',
  );
}
