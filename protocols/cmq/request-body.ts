import type { IncomingMessage } from 'node:http';
import { REQUEST_BYTES_MAX } from './spec/queue-actions.ts';

/** Bytes of a request that is refused, read and dropped so that its sender reads the answer. */
const DISCARDED_BYTES_MAX = 16 * 1024 * 1024;
/**
 * Bytes of all bodies that have not come whole. Who sends them is not known yet, so they must not
 * fill the memory: 128 of the largest at a time are more than any client pool sends.
 */
const PENDING_BYTES_MAX = 128 * 1024 * 1024;
/** Bytes up to which a body is always taken, so that who fills the room above stops no others. */
const SMALL_BYTES_MAX = 16 * 1024;

/** A body, or why there is none. */
export type Body = Buffer | 'too large' | 'too many';

/** Reads the bodies of requests; one for all listeners. */
export class RequestBodies {
  #pendingBytes: number;

  constructor() {
    this.#pendingBytes = 0;
  }

  /** Calls `done` once, unless the client goes first. */
  read(request: IncomingMessage, done: (body: Body) => void): void {
    let chunks: Buffer[] = [];
    let byteCount = 0;
    let problem: 'too large' | 'too many' | undefined;
    const release = (): void => {
      if (problem === undefined) this.#pendingBytes -= byteCount;
      chunks = [];
    };
    request.on('data', (chunk: Buffer) => {
      if (problem === undefined) {
        const size = byteCount + chunk.length;
        const isTooLarge = size > REQUEST_BYTES_MAX;
        const isFull = this.#pendingBytes + chunk.length > PENDING_BYTES_MAX;
        const isTooMany = isFull && size > SMALL_BYTES_MAX;
        if (!isTooLarge && !isTooMany) {
          chunks.push(chunk);
          byteCount += chunk.length;
          this.#pendingBytes += chunk.length;
          return;
        }
        release();
        problem = isTooLarge ? 'too large' : 'too many';
      }
      byteCount += chunk.length;
      if (byteCount > DISCARDED_BYTES_MAX) request.destroy();
    });
    request.on('end', () => {
      const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
      release();
      byteCount = 0;
      done(problem ?? body);
    });
    request.on('close', () => {
      release();
      byteCount = 0;
    });
    // A broken request ends in `close`, which the response hears of too.
    request.on('error', () => undefined);
  }
}
