import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';

/** Only the user the process runs as may read messages and password hashes. */
const PRIVATE_MODE = 0o700;

/**
 * Creates a directory and the missing ones above it. One level at a time: Node's `recursive` never
 * returns where a parent exists but takes no entries, such as /proc.
 *
 * @throws Error of the file system
 */
export function createPrivateDirectory(directory: string): void {
  try {
    mkdirSync(directory, { mode: PRIVATE_MODE });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const parent = dirname(directory);
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT' || parent === directory) throw error;
    createPrivateDirectory(parent);
    // Not again from the top: where a parent exists and this still fails, it will always fail.
    mkdirSync(directory, { mode: PRIVATE_MODE });
  }
}
