import type { Clock } from '../base/clock.ts';
import type {
  PushAttempt,
  PushHandle,
  PushOutcome,
  PushTransport,
} from '../engine/topic/push-transport.ts';
import type { HttpPoster } from '../net/push/http-poster.ts';
import type { LabelledSample } from './metrics.ts';
import type { FunctionRunner } from './functions/function-runner.ts';
import { PushCounters, type PushFailure } from './push-counters.ts';
import { functionEvent, functionRequest, pushRequest } from './push-request.ts';

/** What ends an attempt. */
type Done = (outcome: PushOutcome, detail: string) => void;

/** How the endpoint of a function in our own directory begins. */
const LOCAL = /^(?:local|function):/;

export interface OutgoingPushDeps {
  readonly poster: HttpPoster;
  /** Undefined: there is no directory of functions. */
  readonly runner: FunctionRunner | undefined;
  readonly clock: Clock;
}

/** Makes the attempts of push subscriptions: a POST, or the call of a function. */
export class OutgoingPush implements PushTransport {
  readonly #deps: OutgoingPushDeps;
  readonly #counters: PushCounters;

  constructor(deps: OutgoingPushDeps) {
    this.#deps = deps;
    this.#counters = new PushCounters();
  }

  send(attempt: PushAttempt, done: Done): PushHandle {
    this.#counters.attempted();
    const { protocol, endpoint } = attempt.subscription;
    if (protocol === 'http') return this.#post(attempt, pushRequest, done);
    if (LOCAL.test(endpoint)) return this.#call(attempt, endpoint.replace(LOCAL, ''), done);
    return this.#post(attempt, functionRequest, done);
  }

  /** Figures for the metrics page. */
  samples(): readonly LabelledSample[] {
    const { poster, runner } = this.#deps;
    return [
      ...this.#counters.samples(),
      gauge('under_way', 'Attempts over HTTP that run or wait', poster.attemptCount),
      gauge('open_circuits', 'Endpoints that are down', poster.openCircuitCount),
      gauge('function_processes', 'Processes of functions', runner?.processCount ?? 0),
    ];
  }

  /** Ends all attempts without results; resolves when no process of a function is left. */
  async close(): Promise<void> {
    this.#deps.poster.close();
    await this.#deps.runner?.close();
  }

  #post(attempt: PushAttempt, makeRequest: typeof pushRequest, done: Done): PushHandle {
    const { endpoint, vhostName, protocol, format } = attempt.subscription;
    const { poster, clock } = this.#deps;
    const makeContent = () => makeRequest(attempt, clock.wallMs());
    const isShared = protocol === 'http' && format === 'SIMPLIFIED';
    const ownBytes = isShared ? 0 : attempt.message.body.length;
    const order = { url: endpoint, makeContent, ownBytes, tenant: vhostName };
    return poster.post(order, (result) => {
      this.#end(result.isOk ? undefined : result.reason, result.detail, done);
    });
  }

  #call({ message }: PushAttempt, name: string, done: Done): PushHandle {
    const { runner } = this.#deps;
    if (runner === undefined) {
      const timer = setImmediate(() => this.#end('function', 'no functions-dir is set', done));
      return { abort: () => clearImmediate(timer) };
    }
    const makeEvent = () => functionEvent(message);
    const call = { name, makeEvent, requestId: message.requestId };
    return runner.invoke(call, ({ isOk, detail }) => {
      this.#end(isOk ? undefined : 'function', detail, done);
    });
  }

  #end(failure: PushFailure | undefined, detail: string, done: Done): void {
    if (failure === undefined) this.#counters.succeeded();
    else this.#counters.failed(failure);
    done(failure === undefined ? 'ok' : 'failed', detail);
  }
}

function gauge(name: string, help: string, value: number): LabelledSample {
  return { name: `tributary_push_${name}`, help, type: 'gauge', labels: {}, value };
}
