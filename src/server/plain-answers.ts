import type { ServerResponse } from 'node:http';

/** A short plain answer that nobody caches or guesses another type for. */
export function answerText(
  response: ServerResponse,
  status: number,
  text: string,
  contentType = 'text/plain; charset=utf-8',
): void {
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  response.end(text);
}

/** `ok`, or 503 with a line for each trouble. */
export function answerHealth(response: ServerResponse, troubles: readonly string[]): void {
  if (troubles.length === 0) answerText(response, 200, 'ok\n');
  else answerText(response, 503, `${troubles.join('\n')}\n`);
}
