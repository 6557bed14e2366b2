import type { IncomingMessage, RequestListener } from 'node:http';
import { type ExamplePages, EXAMPLES_START, isExamplePath } from './example-pages.ts';
import { answerHealth, answerText } from './plain-answers.ts';

/** What the plain pages of the HTTP port show. */
export interface HttpPagesDeps {
  /** Names of what is wrong; healthy when there is none. */
  troubles(): readonly string[];
  /** WebSocket paths by protocol, for the page at `/`. */
  readonly paths: ReadonlyMap<string, readonly string[]>;
  /** Set when the examples are served. */
  readonly examples?: ExamplePages | undefined;
  /** Set when CMQ is served. */
  readonly cmq?: HttpService | undefined;
}

/** A service that shares the port with the pages. */
export interface HttpService {
  /** Whether a request is for the service. */
  takes(request: IncomingMessage): boolean;
  readonly onRequest: RequestListener;
}

/**
 * Answers requests that open no WebSocket: those of CMQ, a word about the server at `/`, its health
 * at `/health`, the examples when they are served, and 404.
 */
export function createHttpPages(deps: HttpPagesDeps): RequestListener {
  return (request, response) => {
    if (deps.cmq?.takes(request) === true) {
      deps.cmq.onRequest(request, response);
      return;
    }
    // The body of a request nobody should send is discarded, not collected.
    request.resume();
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      answerText(response, 405, 'method not allowed\n');
      return;
    }
    const path = request.url?.split('?', 1)[0] ?? '';
    if (deps.examples !== undefined && isExamplePath(path)) {
      deps.examples(path, response);
      return;
    }
    switch (path) {
      case '/':
        answerText(response, 200, indexText(deps));
        return;
      case '/health':
        answerHealth(response, deps.troubles());
        return;
      default:
        answerText(response, 404, 'not found\n');
    }
  };
}

function indexText({ paths, cmq, examples }: HttpPagesDeps): string {
  const lines = [...paths].map(([protocol, list]) => `  ${protocol}: ${list.join(', ')}\n`);
  return [
    'Tributary message gateway. There is no page to manage it: see `tributary --help`.\n',
    `WebSocket paths:\n${lines.join('')}`,
    ...(cmq === undefined ? [] : ['CMQ: /v2/index.php\n']),
    'Health: /health\n',
    ...(examples === undefined ? [] : [`Examples: ${EXAMPLES_START}\n`]),
  ].join('');
}
