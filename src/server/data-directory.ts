import { createPrivateDirectory } from '../store/private-directory.ts';

/**
 * Creates the data directory and the missing ones above it.
 *
 * @throws Error with a sentence that names the directory
 */
export function createDataDirectory(directory: string): void {
  try {
    createPrivateDirectory(directory);
  } catch (error) {
    const text = (error as Error).message;
    throw new Error(`data-dir: cannot create ${directory}: ${text}`, { cause: error });
  }
}
