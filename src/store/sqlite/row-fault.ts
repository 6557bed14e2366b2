/**
 * Reading where one row or body that cannot be read must not keep the others from being read.
 *
 * SQLite says of pages that hold what cannot be right that the file is malformed, whatever lies
 * there. If those are the pages of one row, or the one leaf of the tree that has it, that is a
 * fault of the row, like a wrong checksum. If more cannot be reached, an inner page of the tree is
 * damaged, or the disk gives back nothing at all: then nothing may be given up as lost, and the
 * error is the store's.
 */
import { isMalformed } from './driver.ts';
import type { LoadedRow, RowLoader } from './row-loader.ts';

/** What is wrong with a row of which SQLite itself says so. */
export const PAGES_DAMAGED = 'its pages are damaged';

/** What is wrong with a row that is whole, but for a body apart. */
export const BODY_DAMAGED = 'body missing or damaged';

/**
 * Ids in a row that may be unreadable together, for one damaged page. A leaf of 16 KiB has some 350
 * rows at most, of 46 bytes; an inner page has 400 leaves and more below it.
 */
export const UNREADABLE_MAX = 400;

/** A row, or why it cannot be read. @throws when more than a page of the journal is unreadable */
export async function loadOrFault(loader: RowLoader, rowId: number): Promise<LoadedRow | string> {
  try {
    return await loader.load(rowId);
  } catch (error) {
    if (isMalformed(error) && (await isLone(rowId, (id) => loader.load(id)))) return PAGES_DAMAGED;
    throw error;
  }
}

/** Rows past the cache, in one statement unless one of them has damaged pages. */
export async function loadManyOrFaults(
  loader: RowLoader,
  rowIds: readonly number[],
): Promise<Map<number, LoadedRow | string>> {
  try {
    return await loader.loadMany(rowIds);
  } catch (error) {
    if (!isMalformed(error)) throw error;
  }
  const rows = new Map<number, LoadedRow | string>();
  for (const rowId of rowIds) rows.set(rowId, await loadOrFault(loader, rowId));
  return rows;
}

/** Loads rows ahead; when one of them has damaged pages, all wait until they are asked for. */
export async function prefetchIfWhole(loader: RowLoader, rowIds: readonly number[]): Promise<void> {
  try {
    await loader.prefetch(rowIds);
  } catch (error) {
    if (!isMalformed(error)) throw error;
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
    if (isMalformed(error) && (await isLone(bodyId, (id) => loader.loadBody(id, 0, -1)))) {
      return undefined;
    }
    throw error;
  }
}

/** Whether no more ids around this one are unreadable than one page can hold. */
async function isLone(id: number, read: (id: number) => Promise<unknown>): Promise<boolean> {
  let unreadable = 0;
  for (const step of [1, -1]) {
    for (let at = id + step; at > 0; at += step) {
      if (await isReadable(at, read)) break;
      unreadable += 1;
      if (unreadable > UNREADABLE_MAX) return false;
    }
  }
  return true;
}

/** Whether the place of an id can be reached, be there something or not. */
async function isReadable(id: number, read: (id: number) => Promise<unknown>): Promise<boolean> {
  try {
    await read(id);
    return true;
  } catch (error) {
    if (isMalformed(error)) return false;
    throw error;
  }
}
