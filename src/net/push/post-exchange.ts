/**
 * One POST: from the request to the end of its connection's part in it.
 *
 *     start --> request --> head --> (drain) --> closed
 *        |         |          '-- the result is known, and told
 *        |         '-- error, deadline: the result is known, and told; the socket is destroyed
 *        '-- a reused connection that was cut is replaced by a new one, once
 *
 * The result is that of the head: the body of an answer says nothing here. It is read so that the
 * connection can be used again, but no more than `DRAIN_BYTES_MAX` and `DRAIN_MS`. Nothing else of
 * an answer is kept; heads are bounded by the parser, and heads before the head by their number.
 */
import { type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { LookupFunction } from 'node:net';
import type { createAgents } from './poster-agents.ts';
import type { Endpoint } from './endpoint.ts';
import { failureOf, isCut, postFailure, type PostResult } from './post-failure.ts';
import type { Timers } from './timers.ts';

/** Bytes of an answer's body that are read. */
const DRAIN_BYTES_MAX = 4 * 1024;
/** Ms an answer's body may take. */
const DRAIN_MS = 1_000;
/** Bytes of an answer's head. */
const HEAD_BYTES_MAX = 16 * 1024;
/** 1xx answers before the answer. */
const INTERIM_MAX = 8;

/** What is sent. */
export interface PostContent {
  /** Without `Host` and `Content-Length`. Values in latin1. */
  readonly headers: Readonly<Record<string, string>>;
  /** Read only until the exchange has ended. */
  readonly body: Buffer;
}

/** What is sent, and where to. */
export interface Post extends PostContent {
  readonly endpoint: Endpoint;
}

export interface ExchangeDeps {
  readonly agents: ReturnType<typeof createAgents>;
  readonly timers: Timers;
  readonly timeoutMs: number;
  readonly lookup: LookupFunction;
  /** Authorities besides the system's, PEM. */
  readonly ca: string | undefined;
  /** Once, with the result; not after `abort`. */
  readonly onResult: (result: PostResult) => void;
  /** Once, when nothing of the exchange is left. */
  readonly onClosed: () => void;
}

export class PostExchange {
  readonly #post: Post;
  readonly #deps: ExchangeDeps;
  #request: ClientRequest | undefined;
  #cancelTimer: () => void;
  #isDecided: boolean;
  #isRetry: boolean;
  #interimCount: number;

  constructor(post: Post, deps: ExchangeDeps) {
    this.#post = post;
    this.#deps = deps;
    this.#request = undefined;
    this.#cancelTimer = () => undefined;
    this.#isDecided = false;
    this.#isRetry = false;
    this.#interimCount = 0;
  }

  start(): void {
    const { timers, timeoutMs } = this.#deps;
    this.#cancelTimer = timers.after(timeoutMs, () => {
      this.#fail(postFailure('timeout', `no answer within ${timeoutMs / 1000} s`));
    });
    try {
      this.#send();
    } catch (error) {
      // What cannot be put into a request, such as a control character in a header.
      this.#decide(failureOf(error as Error, false));
      this.#onClosed();
    }
  }

  /** Ends it; `onResult` is not called any more. */
  abort(): void {
    this.#isDecided = true;
    this.#request?.destroy();
  }

  #send(): void {
    const { endpoint, body } = this.#post;
    const request = this.#open();
    this.#request = request;
    request.on('information', () => {
      this.#interimCount += 1;
      if (this.#interimCount > INTERIM_MAX) {
        this.#fail(postFailure('protocol', 'too many interim answers'));
      }
    });
    request.on('upgrade', (_answer, socket) => {
      socket.destroy();
      this.#fail(postFailure('protocol', 'answer switches protocols'));
    });
    request.on('response', (answer) => this.#onAnswer(answer));
    request.on('error', (error) => {
      if (!this.#replaces(request, error)) this.#fail(failureOf(error, endpoint.isTls));
    });
    request.on('close', () => {
      if (this.#request === request) this.#onClosed();
    });
    request.end(body);
  }

  #open(): ClientRequest {
    const { endpoint, headers, body } = this.#post;
    const { agents, lookup, ca } = this.#deps;
    const options = {
      method: 'POST',
      host: endpoint.hostName,
      port: endpoint.port,
      path: endpoint.path,
      headers: { Host: endpoint.authority, ...headers, 'Content-Length': String(body.length) },
      lookup,
      maxHeaderSize: HEAD_BYTES_MAX,
      insecureHTTPParser: false,
      ...(endpoint.credentials === undefined ? {} : { auth: endpoint.credentials }),
    };
    if (!endpoint.isTls) return requestHttp({ ...options, agent: agents.http });
    return requestHttps({
      ...options,
      agent: agents.https,
      // Names are sent and checked; addresses are checked against the certificate's addresses.
      servername: endpoint.isLiteral ? '' : endpoint.hostName,
      rejectUnauthorized: true,
      minVersion: 'TLSv1.2',
      ...(ca === undefined ? {} : { ca }),
    });
  }

  /** A kept connection may be cut by its peer just as it is used: that says nothing about now. */
  #replaces(request: ClientRequest, error: Error): boolean {
    const isStale = request.reusedSocket && isCut(error);
    if (!isStale || this.#isRetry || this.#isDecided) return false;
    this.#isRetry = true;
    this.#send();
    return true;
  }

  #onAnswer(answer: IncomingMessage): void {
    this.#decide(resultOf(answer));
    this.#cancelTimer();
    this.#cancelTimer = this.#deps.timers.after(DRAIN_MS, () => this.#request?.destroy());
    let byteCount = 0;
    answer.on('data', (chunk: Buffer) => {
      byteCount += chunk.length;
      if (byteCount > DRAIN_BYTES_MAX) this.#request?.destroy();
    });
    // What cuts a body short comes after the result.
    answer.on('error', () => undefined);
  }

  #fail(result: PostResult): void {
    this.#decide(result);
    this.#request?.destroy();
  }

  #decide(result: PostResult): void {
    if (this.#isDecided) return;
    this.#isDecided = true;
    this.#deps.onResult(result);
  }

  #onClosed(): void {
    this.#cancelTimer();
    // A connection that ended without an answer or an error.
    this.#decide(postFailure('reset', 'connection closed before the answer'));
    this.#deps.onClosed();
  }
}

function resultOf({ statusCode = 0 }: IncomingMessage): PostResult {
  if (statusCode >= 200 && statusCode < 300) return { isOk: true, detail: `status ${statusCode}` };
  const isRedirect = statusCode >= 300 && statusCode < 400;
  return postFailure(isRedirect ? 'redirect' : 'status', `status ${statusCode}`);
}
