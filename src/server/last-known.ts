/**
 * A figure of the operating system, and the last one known while the system does not tell. It reads
 * many of them from files, so that a process with all the files open that it may have (a flood of
 * connections is enough) gets EMFILE instead: nothing to end for.
 *
 * @throws what `read` throws the first time
 */
export function lastKnown<T>(read: () => T): () => T {
  let last = read();
  return () => {
    try {
      last = read();
    } catch {
      // The last one is the best there is.
    }
    return last;
  };
}
