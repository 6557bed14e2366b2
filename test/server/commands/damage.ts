import { join } from 'node:path';
import { Connection } from '../../../src/store/sqlite/driver.ts';
import { DATA_FILE } from '../../../src/store/sqlite/schema.ts';

/** Damages the newest journal row of a data directory that nobody has open. */
export async function damageFile(directory: string, what: 'data' | 'runs' | 'bits'): Promise<void> {
  const connection = await Connection.openExisting(join(directory, DATA_FILE));
  const [row] = await connection.all<{ id: number; data: Buffer; runs: Buffer }>(
    'SELECT id, data, runs FROM journal ORDER BY id DESC LIMIT 1',
  );
  const { id, data, runs } = row!;
  data[data.length >> 1]! ^= 1;
  runs[runs.length - 1]! ^= 1;
  if (what === 'data') await connection.all('UPDATE journal SET data=? WHERE id=?', [data, id]);
  if (what === 'runs') await connection.all('UPDATE journal SET runs=? WHERE id=?', [runs, id]);
  if (what === 'bits') {
    await connection.all('INSERT OR REPLACE INTO settled VALUES (?, ?)', [id, Buffer.alloc(9)]);
  }
  await connection.close();
}
