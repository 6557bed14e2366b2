import type { IncomingMessage } from 'node:http';
import { REQUEST_BYTES_MAX } from './spec/queue-actions.ts';

/** Bytes of a request that is too large, read and dropped so that its sender reads the answer. */
const DISCARDED_BYTES_MAX = 16 * 1024 * 1024;

/**
 * Reads a body. Calls `done` once: with its bytes, or with undefined when there are more than
 * REQUEST_BYTES_MAX. Not at all when the client goes first.
 */
export function readBody(request: IncomingMessage, done: (body: Buffer | undefined) => void): void {
  let chunks: Buffer[] = [];
  let byteCount = 0;
  request.on('data', (chunk: Buffer) => {
    byteCount += chunk.length;
    if (byteCount <= REQUEST_BYTES_MAX) {
      chunks.push(chunk);
      return;
    }
    chunks = [];
    if (byteCount > DISCARDED_BYTES_MAX) request.destroy();
  });
  request.on('end', () => {
    if (byteCount > REQUEST_BYTES_MAX) done(undefined);
    else done(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks));
  });
  // A broken request ends in `close`, which the response hears of.
  request.on('error', () => undefined);
}
