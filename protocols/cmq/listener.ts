/**
 * The CMQ side of an HTTP listener.
 *
 *     request -> body -> form or JSON -> action -> signature -> rate -> parameters -> handler
 *                                                                                        |
 *     HTTP 200 with a code  <-  reply, at once, after a commit, or when a poll ends  <----+
 *
 * 1. The API is told by the request: X-TC-Action is 3.0, a form with `Version` its older signature
 *    mode, any other form 2.0. All actions are on each path.
 * 2. Nothing is looked up or changed before the signature is good, but for the name of the action.
 * 3. Each request is answered once, in the order of its connection; Node keeps pipelined answers.
 * 4. A client that goes before its answer is not waited for: `onGone` of its call runs.
 */
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { isLoopbackAddress } from '../../src/net/loopback.ts';
import { type Account, actorOf, loggableId, refusalOf } from './access-key-login.ts';
import type { CmqDeps, CmqHandlers } from './dispatcher.ts';
import { CmqFailure, parameterFailure, toCmqFailure } from './error-mapper.ts';
import { type Form, parseForm, parseFormBytes } from './form.ts';
import { type ReplyFormat, ReplyFormatV2, ReplyFormatV3 } from './reply-format.ts';
import { type Incoming, RequestAuthenticator } from './request-authenticator.ts';
import {
  bindParameters,
  FormSource,
  ObjectSource,
  type ParameterSource,
} from './request-binder.ts';
import { RequestBodies } from './request-body.ts';
import { codeOf, RequestCall } from './request-call.ts';
import { RequestConnections } from './request-connections.ts';
import { type CallCount, RequestMetrics } from './request-metrics.ts';
import { RequestRate } from './request-rate.ts';
import { RequestRefusals } from './request-refusals.ts';
import { parseTc3Authorization, TC3_ALGORITHM } from './signature-v3.ts';
import { ACTIONS_V2, ACTIONS_V3, type ActionSpec, type ActionV3 } from './spec/actions.ts';
import { CMQ_ERRORS, errorText } from './spec/errors.ts';

/** Where every SDK but one sends its requests; that one sends to `/`. */
const CMQ_PATH = '/v2/index.php';
/** What counts are under when no action is known. */
const NO_ACTION = 'none';

export interface CmqAcceptorDeps extends CmqDeps {
  readonly handlers: CmqHandlers;
  /** Time that calls under way have when the server stops, in ms. */
  readonly closeTimeoutMs: number;
}

export interface CmqAcceptor {
  /** Whether a request is CMQ's: the path says so, or what is asked of `/`. */
  takes(request: IncomingMessage): boolean;
  readonly onRequest: RequestListener;
  /** Replies so far, by action and code. */
  callCounts(): readonly CallCount[];
  /** Ends parked polls, lets other calls finish, and refuses new ones. */
  closeAll(): Promise<void>;
}

/** Makes the acceptor of one or more HTTP listeners. */
export function createCmqAcceptor(deps: CmqAcceptorDeps): CmqAcceptor {
  return new Acceptor(deps);
}

/** An action that was asked for, with where its parameters are. */
interface Asked {
  readonly spec: ActionSpec;
  readonly v3: ActionV3 | undefined;
  readonly source: ParameterSource;
  readonly account: Account;
}

class Acceptor implements CmqAcceptor {
  readonly onRequest: RequestListener;
  readonly #deps: CmqAcceptorDeps;
  readonly #authenticator: RequestAuthenticator;
  readonly #rate: RequestRate;
  readonly #refusals: RequestRefusals;
  readonly #metrics: RequestMetrics;
  readonly #bodies: RequestBodies;
  readonly #connections: RequestConnections;
  readonly #connectionId: number;
  readonly #open: Set<RequestCall>;
  /** Where request ids start: they differ between starts of the server. */
  readonly #firstId: bigint;
  #requestCount: number;
  #isClosing: boolean;
  #onIdle: (() => void) | undefined;

  constructor(deps: CmqAcceptorDeps) {
    this.#deps = deps;
    this.#authenticator = new RequestAuthenticator(deps);
    this.#rate = new RequestRate(deps.clock, deps.settings.requestsPerSecond);
    this.#refusals = new RequestRefusals(deps.clock, deps.logger);
    this.#metrics = new RequestMetrics();
    this.#bodies = new RequestBodies();
    this.#connections = new RequestConnections();
    this.#connectionId = deps.broker.nextConnectionId();
    this.#open = new Set();
    const seed = Buffer.from(deps.random.bytes(8));
    this.#firstId = seed.readBigUInt64BE() >> 1n;
    this.#requestCount = 0;
    this.#isClosing = false;
    this.#onIdle = undefined;
    this.onRequest = (request, response) => this.#accept(request, response);
  }

  takes({ url = '/', method, headers }: IncomingMessage): boolean {
    const query = url.indexOf('?');
    const path = query < 0 ? url : url.slice(0, query);
    if (path === CMQ_PATH) return true;
    if (path !== '/') return false;
    const asksForAction = headers['x-tc-action'] !== undefined || /[?&]Action=/.test(url);
    return method === 'POST' || (method === 'GET' && asksForAction);
  }

  callCounts(): readonly CallCount[] {
    return this.#metrics.counts();
  }

  async closeAll(): Promise<void> {
    this.#isClosing = true;
    for (const call of [...this.#open]) call.abandon();
    if (this.#open.size === 0) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
      timer = setTimeout(resolve, this.#deps.closeTimeoutMs);
    });
    clearTimeout(timer);
  }

  #accept(request: IncomingMessage, response: ServerResponse): void {
    const { method = '' } = request;
    if (method === 'GET') {
      request.resume();
      this.#serve(incomingOf(request, NO_BODY), response);
      return;
    }
    this.#bodies.read(request, (body) => {
      if (method !== 'POST') {
        this.#refuse(request, response, parameterFailure('HTTP_METHOD', method));
      } else if (body === 'too large') {
        this.#refuse(request, response, new CmqFailure('REQUEST_TOO_LARGE'));
      } else if (body === 'too many') {
        this.#refuse(request, response, new CmqFailure('REQUEST_RATE'));
      } else this.#serve(incomingOf(request, body), response);
    });
  }

  /** Before anything is known of the request but its head. */
  #refuse(head: Pick<Incoming, 'headers'>, response: ServerResponse, failure: CmqFailure): void {
    const isV3 = hasHeaderSignature(head.headers);
    const format = isV3 ? new ReplyFormatV3(undefined) : new ReplyFormatV2(undefined);
    this.#answerFailure(response, format, this.#nextId(), NO_ACTION, failure);
  }

  #serve(incoming: Incoming, response: ServerResponse): void {
    if (hasHeaderSignature(incoming.headers)) {
      this.#serveV3(incoming, response);
      return;
    }
    const form = formOf(incoming);
    if (form === undefined) {
      const failure = parameterFailure('REQUEST_UNPARSABLE', 'request');
      this.#refuse(incoming, response, failure);
      return;
    }
    const version = form.get('Version');
    if (version === undefined) {
      const format = new ReplyFormatV2(form.get('clientRequestId'));
      const requestId = this.#nextId();
      this.#run(incoming, response, format, requestId, form.get('Action'), () => {
        const spec = actionV2(form);
        const account = this.#authenticator.accountOfForm(incoming, form);
        return { spec, v3: undefined, source: new FormSource(form), account };
      });
      return;
    }
    this.#runV3(incoming, response, version, form.get('Action'), () => {
      if (form.repeated !== undefined) {
        throw parameterFailure('PARAMETER_REPEATED', form.repeated);
      }
      const account = this.#authenticator.accountOfForm(incoming, form);
      return { source: new FormSource(form), account };
    });
  }

  #serveV3(incoming: Incoming, response: ServerResponse): void {
    const version = incoming.headers['x-tc-version']?.toString();
    const action = incoming.headers['x-tc-action']?.toString();
    this.#runV3(incoming, response, version, action, () => {
      const account = this.#authenticator.accountOfHeaders(incoming);
      return { source: sourceOf(incoming), account };
    });
  }

  #runV3(
    incoming: Incoming,
    response: ServerResponse,
    version: string | undefined,
    action: string | undefined,
    prepare: () => Pick<Asked, 'source' | 'account'>,
  ): void {
    const found = ACTIONS_V3.get(`${version}/${action?.toLowerCase()}`);
    const format = new ReplyFormatV3(found?.v3);
    this.#run(incoming, response, format, this.#nextId(), action, () => {
      if (found === undefined) throw unknownV3(version, action);
      return { spec: found.action, v3: found.v3, ...prepare() };
    });
  }

  /** Checks a request and runs its handler; what is thrown on the way is the answer. */
  #run(
    incoming: Incoming,
    response: ServerResponse,
    format: ReplyFormat,
    requestId: string,
    actionName: string | undefined,
    prepare: () => Asked,
  ): void {
    let spec: ActionSpec | undefined;
    try {
      if (this.#isClosing) throw new CmqFailure('INTERNAL', 'the server is stopping');
      const asked = prepare();
      spec = asked.spec;
      const handler = this.#deps.handlers.get(spec.name);
      if (handler === undefined) throw unserved(spec, actionName);
      const call = this.#call(incoming, response, format, requestId, asked);
      call.run(handler);
      // It may have gone before the call was there to be told.
      if (incoming.socket.destroyed) call.gone();
    } catch (error) {
      const { failure, isFault } = toCmqFailure(error, spec ?? UNKNOWN_ACTION);
      if (isFault) this.#logFault(error as Error, requestId);
      else this.#logRefusal(failure, incoming);
      this.#answerFailure(response, format, requestId, spec?.name ?? NO_ACTION, failure);
    }
  }

  /** @throws CmqFailure before there is a call to answer */
  #call(
    incoming: Incoming,
    response: ServerResponse,
    format: ReplyFormat,
    requestId: string,
    { spec, v3, source, account }: Asked,
  ): RequestCall {
    const { broker, logger } = this.#deps;
    // What the closures below keep until the reply: not the body.
    const { remoteAddress, socket } = incoming;
    const isLoopback = isLoopbackAddress(remoteAddress);
    const actor = actorOf(broker, account, this.#connectionId, isLoopback);
    const isSlowEnough = this.#rate.admit(account.vhost, spec.name);
    if (!isSlowEnough || this.#connections.isFull(socket)) {
      throw new CmqFailure('REQUEST_RATE');
    }
    const parameters = bindParameters(spec, v3, source);
    const { access } = broker;
    const { revision } = access;
    const call = new RequestCall({
      broker,
      logger,
      spec,
      api: v3 === undefined ? 2 : 3,
      actor,
      parameters,
      requestId,
      remoteAddress,
      isGone: () => response.destroyed || socket.destroyed,
      // Nearly always nothing has changed since.
      refusal: () => (access.revision === revision ? undefined : refusalOf(broker, account)),
      onEnded: (ended) => {
        this.#connections.remove(socket, ended);
        if (this.#open.delete(ended) && this.#open.size === 0) this.#onIdle?.();
      },
      onSucceeded: ({ onGone }, fields) => {
        this.#metrics.count(spec.name, 0);
        write(response, format.succeeded(requestId, fields), this.#isClosing);
        if (onGone !== undefined) this.#connections.addUnsent(socket, response, onGone);
      },
      onFailed: (_, failure) => {
        this.#answerFailure(response, format, requestId, spec.name, failure);
      },
    });
    this.#open.add(call);
    this.#connections.add(socket, call);
    return call;
  }

  #answerFailure(
    response: ServerResponse,
    format: ReplyFormat,
    requestId: string,
    action: string,
    failure: CmqFailure,
  ): void {
    this.#metrics.count(action, codeOf(failure));
    write(response, format.failed(requestId, failure), this.#isClosing);
  }

  #logRefusal({ error, message }: CmqFailure, incoming: Incoming): void {
    const isLogin = CMQ_ERRORS[error].code === 4100 || error === 'ACCOUNT_ILLEGAL';
    if (!isLogin) return;
    this.#refusals.log(message, incoming.remoteAddress, () => {
      const secretId = secretIdOf(incoming);
      return secretId === undefined ? undefined : loggableId(this.#deps.broker, secretId);
    });
  }

  #logFault({ message, stack }: Error, requestId: string): void {
    const fields = { requestId, error: message, stack };
    this.#deps.logger.error(fields, 'CMQ call failed by a fault of the server');
  }

  /** Decimal, as the service's own. */
  #nextId(): string {
    this.#requestCount += 1;
    return String(this.#firstId + BigInt(this.#requestCount));
  }
}

/** Stands for the row of an action that is not known. */
const UNKNOWN_ACTION = { resource: 'queue', failure: 'INTERNAL' } as const;

const NO_BODY = Buffer.alloc(0);

/** A request that has come whole. Keeps `body` as it is. */
function incomingOf(request: IncomingMessage, body: Buffer): Incoming {
  const { method = '', url = '/', headers, socket } = request;
  const mark = url.indexOf('?');
  return {
    method,
    path: mark < 0 ? url : url.slice(0, mark),
    query: mark < 0 ? '' : url.slice(mark + 1),
    headers,
    body,
    remoteAddress: socket.remoteAddress ?? '',
    socket,
  };
}

function hasHeaderSignature(headers: Incoming['headers']): boolean {
  const isSigned = headers.authorization?.startsWith(TC3_ALGORITHM) === true;
  return isSigned || headers['x-tc-action'] !== undefined;
}

/** @throws CmqFailure */
function actionV2(form: Form): ActionSpec {
  const name = form.get('Action');
  if (name === undefined || name === '') throw new CmqFailure('ACTION_MISSING');
  const spec = ACTIONS_V2.get(name.toLowerCase());
  if (spec === undefined) throw parameterFailure('ACTION_UNKNOWN', name);
  if (form.repeated !== undefined) throw parameterFailure('PARAMETER_REPEATED', form.repeated);
  return spec;
}

function unknownV3(version: string | undefined, action: string | undefined): CmqFailure {
  if (version === undefined) return parameterFailure('PARAMETER_MISSING', 'X-TC-Version');
  if (action === undefined) return new CmqFailure('ACTION_MISSING');
  const isKnown = [...ACTIONS_V3.keys()].some((key) => key.startsWith(`${version}/`));
  if (!isKnown) return parameterFailure('VERSION_UNKNOWN', version);
  return parameterFailure('ACTION_UNKNOWN', action);
}

function unserved(spec: ActionSpec, name = spec.name): CmqFailure {
  const text = errorText('ACTION_UNKNOWN', name);
  const why = spec.unserved === undefined ? '' : `: ${spec.unserved}`;
  return new CmqFailure('ACTION_UNKNOWN', text + why);
}

/** @throws CmqFailure REQUEST_UNPARSABLE */
function sourceOf(incoming: Incoming): ParameterSource {
  const { method, headers, body } = incoming;
  const isJson = headers['content-type']?.toLowerCase().includes('json') === true;
  if (method === 'POST' && isJson) {
    const object = parseObject(body);
    if (object === undefined) throw parameterFailure('REQUEST_UNPARSABLE', 'request');
    return new ObjectSource(object);
  }
  const form = formOf(incoming);
  if (form === undefined) throw parameterFailure('REQUEST_UNPARSABLE', 'request');
  if (form.repeated !== undefined) throw parameterFailure('PARAMETER_REPEATED', form.repeated);
  return new FormSource(form);
}

function secretIdOf(incoming: Incoming): string | undefined {
  const { authorization } = incoming.headers;
  if (!hasHeaderSignature(incoming.headers)) return formOf(incoming)?.get('SecretId');
  return authorization === undefined ? undefined : parseTc3Authorization(authorization)?.secretId;
}

/** The form in the body of a POST; in its query when there is no body. */
function formOf({ query, body }: Incoming): Form | undefined {
  return body.length === 0 ? parseForm(query) : parseFormBytes(body);
}

function parseObject(body: Buffer): object | undefined {
  if (!isUtf8(body)) return undefined;
  try {
    const value = JSON.parse(body.toString('utf8')) as unknown;
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? value : undefined;
  } catch {
    return undefined;
  }
}

function write(response: ServerResponse, json: string | Buffer, isLast: boolean): void {
  if (response.destroyed) return;
  if (isLast) response.shouldKeepAlive = false;
  const byteCount = Buffer.byteLength(json);
  response.writeHead(200, {
    'content-type': 'application/json',
    'content-length': byteCount,
    'x-content-type-options': 'nosniff',
  });
  // What is all ASCII is the same in both, and Latin-1 is copied where UTF-8 is encoded.
  if (typeof json === 'string') response.end(json, byteCount === json.length ? 'latin1' : 'utf8');
  else response.end(json);
}
