/** Loading where one row that cannot be read must not keep the others from being read. */
import { isMalformed } from './driver.ts';
import type { LoadedRow, RowLoader } from './row-loader.ts';

/** What is wrong with a row of which SQLite itself says so. */
export const PAGES_DAMAGED = 'its pages are damaged';

/**
 * A row, or why it cannot be read. Damage that SQLite sees itself, such as a page of zeros within a
 * row, counts as a fault: what needs one row only goes on with the others.
 */
export async function loadOrFault(loader: RowLoader, rowId: number): Promise<LoadedRow | string> {
  try {
    return await loader.load(rowId);
  } catch (error) {
    if (isMalformed(error)) return PAGES_DAMAGED;
    throw error;
  }
}

/** A body apart, or undefined when it is missing or damaged, by its checksum or by its pages. */
export async function loadBodyIfWhole(
  loader: RowLoader,
  bodyId: number,
  crc: number,
  byteCount: number,
): Promise<Buffer | undefined> {
  try {
    return await loader.loadBody(bodyId, crc, byteCount);
  } catch (error) {
    if (isMalformed(error)) return undefined;
    throw error;
  }
}
