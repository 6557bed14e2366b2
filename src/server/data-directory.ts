import { accessSync, constants, statSync } from 'node:fs';
import { DataDirBusyError } from '../store/data-dir-lock.ts';
import { createPrivateDirectory } from '../store/private-directory.ts';

/**
 * Creates the data directory and the missing ones above it, and makes sure that it can be used.
 *
 * @throws Error with a sentence that names the option and the directory
 */
export function createDataDirectory(directory: string): void {
  explain(`cannot create ${directory}`, () => createPrivateDirectory(directory));
  if (!statSync(directory).isDirectory()) {
    throw new Error(`data-dir: ${directory} is a file, not a directory`);
  }
  explain(`${directory} must be readable and writable for this user`, () =>
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK),
  );
}

/**
 * Waits for the store to open, and says which directory it is when it does not.
 *
 * @throws Error with a sentence that names the option and the directory
 */
export async function explainOpening<T>(directory: string, opening: Promise<T>): Promise<T> {
  try {
    return await opening;
  } catch (error) {
    const { message } = error as Error;
    const text =
      error instanceof DataDirBusyError
        ? `data-dir: ${message}: stop that one, or give this one another directory`
        : `data-dir: ${directory}: ${message}`;
    throw new Error(text, { cause: error });
  }
}

/** Who is told that the store has no room, or has some again. */
export interface RoomListener {
  storeFull(isFull: boolean): void;
}

/**
 * Listens to whether the store has room, also before there is a server: then nothing but the store
 * would go on, silently, until there is room, so the start is refused.
 */
export function watchRoom(
  directory: string,
  server: () => RoomListener | undefined,
  refuseStart: (error: Error) => void,
): (isFull: boolean) => void {
  return (isFull) => {
    const listener = server();
    if (listener !== undefined) listener.storeFull(isFull);
    else if (isFull) {
      refuseStart(new Error(`data-dir: ${directory}: no room on the disk for what a start writes`));
    }
  };
}

function explain(what: string, attempt: () => void): void {
  try {
    attempt();
  } catch (error) {
    throw new Error(`data-dir: ${what}: ${(error as Error).message}`, { cause: error });
  }
}
