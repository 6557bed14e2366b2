import { join } from 'node:path';

const SOCKET_FILE = 'tributary.sock';

/** Bytes. The shortest limit of the systems we know, that of macOS, without its end mark. */
const SOCKET_PATH_BYTES_MAX = 103;

/**
 * Where the serving process takes orders; undefined when the path is too long for a socket, which
 * the system might cut instead of refusing it.
 */
export function controlPath(directory: string): string | undefined {
  const path = join(directory, SOCKET_FILE);
  return Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX ? path : undefined;
}
