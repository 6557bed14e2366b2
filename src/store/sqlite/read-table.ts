/** Reading tables of which all must be known before the store can start. */
import { type Connection, isMalformed, type SqlValue } from './driver.ts';
import { DataFileError } from './schema.ts';

/**
 * The answer to a question about a table.
 *
 * @throws DataFileError where SQLite finds pages of it malformed: in words for an operator
 */
export async function readTable<Row>(
  connection: Connection,
  table: string,
  sql: string,
  parameters: readonly SqlValue[] = [],
): Promise<Row[]> {
  try {
    return await connection.all<Row>(sql, parameters);
  } catch (error) {
    if (!isMalformed(error)) throw error;
    throw new DataFileError(
      `the data file is damaged: pages of table ${table} are malformed; restore the data ` +
        'directory from a backup',
    );
  }
}
