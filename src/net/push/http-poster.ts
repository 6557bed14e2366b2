/**
 * POSTs to endpoints that tenants chose. None of them is trusted: each attempt has a time limit, a
 * place in bounded lines, a circuit that opens when its endpoint is down, an address that was
 * checked, and an answer of which next to nothing is read (post-exchange.ts).
 *
 *     post --> endpoint, address --> line --> circuit --> exchange --> result
 *                                     ^          | open
 *                                     '--up-- probe ------ down ----> result
 *
 * A circuit is asked when the attempt's turn comes, so that those who waited behind the failures
 * that opened it do not each wait for their own. Where it is open the attempt gives its slots back
 * and waits for a probe; it fails untried only when that shows that the endpoint is down still. So
 * no message is given up that its endpoint would have taken.
 */
import type { Clock } from '../../base/clock.ts';
import type { AddressGuard } from './address-guard.ts';
import { CircuitBreaker, type CircuitLimits } from './circuit-breaker.ts';
import { type Endpoint, parseEndpoint } from './endpoint.ts';
import type { HostResolver } from './host-resolver.ts';
import { pinnedLookup, refusalText } from './pinned-lookup.ts';
import { type PostContent, PostExchange } from './post-exchange.ts';
import { type PostFailure, postFailure, type PostResult } from './post-failure.ts';
import { createAgents } from './poster-agents.ts';
import { type Place, SlotGate, type SlotLevel } from './slot-gate.ts';
import { systemTimers, type Timers } from './timers.ts';

export interface PosterOptions {
  readonly guard: AddressGuard;
  readonly resolver: HostResolver;
  readonly clock: Clock;
  readonly timers?: Timers;
  /** Ms from the request to the answer's head. */
  readonly timeoutMs: number;
  /** Attempts at a time, in all. */
  readonly concurrencyMax: number;
  /** Attempts at a time per endpoint. */
  readonly endpointConcurrencyMax: number;
  /** Ports that may be reached; empty: all. */
  readonly ports: readonly number[];
  readonly circuit?: CircuitLimits;
  /** Authorities besides the system's, PEM. */
  readonly ca?: string;
}

/** One POST. */
export interface PostOrder {
  /** http or https address. */
  readonly url: string;
  /** Called when its turn has come: those that wait in line have no request in memory. */
  readonly makeContent: () => PostContent;
  /** Bytes that content takes of memory; nothing when its body is shared with somebody. */
  readonly ownBytes?: number;
  /** Whose attempt it is: nobody has more than half of all places. */
  readonly tenant: string;
}

/** An attempt under way. */
export interface PostHandle {
  /** Ends it without a result. */
  abort(): void;
}

/**
 * Bytes of memory from which on a content is large: what CMQ takes at most. AMQP takes more, and
 * each of hundreds of attempts would have its own copy.
 */
const LARGE_BYTES = 1_048_577;
/** Large contents at a time: of one tenant, and in all. */
const LARGE_PER_TENANT_MAX = 1;
const LARGE_MAX = 2;

/** Failures that say that an endpoint is down: whoever answers, however badly, is up. */
const DOWN: ReadonlySet<PostFailure> = new Set([
  'name',
  'connect',
  'tls',
  'reset',
  'protocol',
  'timeout',
]);

export class HttpPoster {
  readonly #options: PosterOptions;
  readonly #timers: Timers;
  readonly #gate: SlotGate;
  readonly #breaker: CircuitBreaker;
  readonly #agents: ReturnType<typeof createAgents>;
  readonly #attempts: Set<PostHandle>;
  #isClosed: boolean;

  constructor(options: PosterOptions) {
    this.#options = options;
    this.#timers = options.timers ?? systemTimers;
    this.#gate = new SlotGate();
    this.#breaker = new CircuitBreaker(options.clock, options.circuit);
    this.#agents = createAgents(options.concurrencyMax);
    this.#attempts = new Set();
    this.#isClosed = false;
  }

  /** Attempts that run or wait. */
  get attemptCount(): number {
    return this.#attempts.size;
  }

  /** Endpoints whose circuit is open. */
  get openCircuitCount(): number {
    return this.#breaker.openCount;
  }

  /**
   * Makes one attempt.
   *
   * @param done called once, never from within `post`; not after `abort` or `close`
   */
  post(order: PostOrder, done: (result: PostResult) => void): PostHandle {
    const attempt = new Attempt(done, () => this.#attempts.delete(attempt));
    if (this.#isClosed) return attempt;
    this.#attempts.add(attempt);
    const endpoint = this.#endpointOf(order.url);
    if ('isOk' in endpoint) {
      attempt.defer(() => {
        attempt.tell(endpoint);
        attempt.end();
      });
      return attempt;
    }
    this.#enter(endpoint, order, attempt);
    return attempt;
  }

  /** Ends all attempts, without results, and closes all connections. */
  close(): void {
    this.#isClosed = true;
    for (const attempt of this.#attempts) attempt.abort();
    this.#agents.http.destroy();
    this.#agents.https.destroy();
  }

  #endpointOf(url: string): Endpoint | PostResult {
    const { guard, ports } = this.#options;
    const endpoint = parseEndpoint(url, ports);
    if (typeof endpoint === 'string') return postFailure('endpoint', endpoint);
    // `connect` looks nothing up for an address, so it is checked here.
    const refusal = endpoint.isLiteral ? guard.refusalOf(endpoint.hostName) : undefined;
    return refusal === undefined ? endpoint : postFailure('address', refusalText(refusal));
  }

  /**
   * Suspects have slots among themselves that are a quarter of all: however many slow endpoints
   * there are, once they are known as such the others have the rest.
   */
  #levelsOf({ key }: Endpoint, order: PostOrder, isSuspect: boolean): readonly SlotLevel[] {
    const { concurrencyMax: max, endpointConcurrencyMax } = this.#options;
    const { tenant, ownBytes = 0 } = order;
    const large = [
      { name: `large of ${tenant}`, max: LARGE_PER_TENANT_MAX },
      { name: 'large', max: LARGE_MAX },
    ];
    const suspect = [
      { name: `suspects of ${tenant}`, max: Math.ceil(max / 8) },
      { name: 'suspects', max: Math.ceil(max / 4) },
    ];
    return [
      { name: `endpoint ${key}`, max: endpointConcurrencyMax },
      ...(ownBytes >= LARGE_BYTES ? large : []),
      ...(isSuspect ? suspect : []),
      { name: `tenant ${tenant}`, max: Math.ceil(max / 2) },
      { name: 'all', max },
    ];
  }

  /** @param isProbe the circuit has let it in */
  #enter(endpoint: Endpoint, order: PostOrder, attempt: Attempt, isProbe = false): void {
    const isSuspect = this.#breaker.isSuspect(circuitOf(endpoint, order.tenant));
    const levels = this.#levelsOf(endpoint, order, isSuspect);
    attempt.place = this.#gate.enter(levels, () => {
      attempt.defer(() => this.#run(endpoint, order, attempt, isProbe));
    });
  }

  /** Waits without a slot: until it may probe itself, or somebody else has. */
  #awaitProbe(endpoint: Endpoint, order: PostOrder, attempt: Attempt): void {
    const circuit = circuitOf(endpoint, order.tenant);
    attempt.place?.leave();
    let cancelTimer = (): void => undefined;
    const cancelListener = this.#breaker.onProbed(circuit, (isUp) => {
      cancelTimer();
      attempt.stop = undefined;
      if (isUp === true) this.#enter(endpoint, order, attempt);
      else if (isUp === undefined) this.#awaitProbe(endpoint, order, attempt);
      else {
        attempt.tell(postFailure('circuit', 'endpoint is down, not tried'));
        attempt.end();
      }
    });
    const arm = (): void => {
      const delayMs = this.#breaker.probeDelayMs(circuit);
      if (delayMs !== undefined) cancelTimer = this.#timers.after(delayMs, probe);
    };
    const probe = (): void => {
      if (!this.#breaker.tryEnter(circuit)) {
        arm();
        return;
      }
      cancelListener();
      attempt.stop = () => {
        attempt.end();
        this.#breaker.abandoned(circuit);
      };
      this.#enter(endpoint, order, attempt, true);
    };
    attempt.stop = () => {
      cancelListener();
      cancelTimer();
      attempt.end();
    };
    arm();
  }

  #run(endpoint: Endpoint, order: PostOrder, attempt: Attempt, isProbe: boolean): void {
    const circuit = circuitOf(endpoint, order.tenant);
    if (!isProbe && !this.#breaker.tryEnter(circuit)) {
      this.#awaitProbe(endpoint, order, attempt);
      return;
    }
    let content: PostContent;
    try {
      content = order.makeContent();
    } catch {
      // A document longer than a string may be: the endpoint has no part in it.
      this.#breaker.abandoned(circuit);
      attempt.tell(postFailure('endpoint', 'the message cannot be written'));
      attempt.end();
      return;
    }
    const { guard, resolver, timeoutMs, ca } = this.#options;
    const pinned = pinnedLookup(guard, resolver);
    const exchange = new PostExchange(
      { endpoint, ...content },
      {
        agents: this.#agents,
        timers: this.#timers,
        timeoutMs,
        lookup: pinned.lookup,
        ca,
        onResult: (result) => {
          this.#judge(circuit, result);
          attempt.tell(result);
        },
        onClosed: () => {
          pinned.cancel();
          attempt.end();
        },
      },
    );
    attempt.stop = () => {
      this.#breaker.abandoned(circuit);
      exchange.abort();
    };
    exchange.start();
  }

  #judge(circuit: string, result: PostResult): void {
    if (result.isOk) this.#breaker.succeeded(circuit);
    else if (DOWN.has(result.reason)) this.#breaker.failed(circuit);
    else if (result.reason === 'address') this.#breaker.abandoned(circuit);
    else this.#breaker.succeeded(circuit);
  }
}

/** What one tenant makes of an endpoint closes it to nobody else. */
function circuitOf({ key }: Endpoint, tenant: string): string {
  return `${tenant} ${key}`;
}

/** The state of one attempt: what must be undone when it ends, whoever ends it. */
class Attempt implements PostHandle {
  place: Place | undefined;
  /** Ends what it does, and with it the attempt. */
  stop: (() => void) | undefined;
  #done: ((result: PostResult) => void) | undefined;
  readonly #onEnd: () => void;
  #immediate: NodeJS.Immediate | undefined;

  constructor(done: (result: PostResult) => void, onEnd: () => void) {
    this.place = undefined;
    this.stop = undefined;
    this.#done = done;
    this.#onEnd = onEnd;
    this.#immediate = undefined;
  }

  /** Runs `run` later, unless aborted before. */
  defer(run: () => void): void {
    this.#immediate = setImmediate(run);
  }

  tell(result: PostResult): void {
    const done = this.#done;
    this.#done = undefined;
    done?.(result);
  }

  abort(): void {
    // With the result told, what is left ends soon by itself.
    if (this.#done === undefined) return;
    this.#done = undefined;
    if (this.stop === undefined) this.end();
    else this.stop();
  }

  /** Gives everything back. */
  end(): void {
    clearImmediate(this.#immediate);
    this.place?.leave();
    this.#onEnd();
  }
}
