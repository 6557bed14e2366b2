import type { ProtocolLogger } from '../../src/base/logger.ts';
import type { ResourceKind } from '../../src/engine/access/access.ts';
import type { PermissionKind } from '../../src/engine/access/permission.ts';
import type { Actor } from '../../src/engine/actor.ts';
import type { Broker } from '../../src/engine/broker.ts';
import type { VHost } from '../../src/engine/vhost.ts';
import type { CmqCall, CmqHandler } from './dispatcher.ts';
import { CmqFailure, toCmqFailure } from './error-mapper.ts';
import type { ReplyFields } from './reply-json.ts';
import type { Parameters } from './request-parameters.ts';
import type { ActionSpec } from './spec/actions.ts';
import { CMQ_ERRORS, type CmqErrorName } from './spec/errors.ts';

/** What a call is made of. */
export interface CallOptions {
  readonly broker: Broker;
  readonly logger: ProtocolLogger;
  readonly spec: ActionSpec;
  readonly api: 2 | 3;
  readonly actor: Actor;
  readonly parameters: Parameters;
  readonly requestId: string;
  readonly remoteAddress: string;
  /** Asked before a reply: true when nobody is there to read it. */
  readonly isGone?: () => boolean;
  /** Asked before a reply that hands something over: why the caller may not have it any more. */
  readonly refusal?: () => CmqFailure | undefined;
  /** One of them is called once, unless the client goes first. */
  readonly onSucceeded: (call: RequestCall, fields: ReplyFields) => void;
  readonly onFailed: (call: RequestCall, failure: CmqFailure) => void;
  /** Called once: it was answered, or the client has gone. */
  readonly onEnded?: (call: RequestCall) => void;
}

/** A call under way: replies once, or never when its client has gone. */
export class RequestCall implements CmqCall {
  readonly spec: ActionSpec;
  readonly action: string;
  readonly api: 2 | 3;
  readonly vhost: VHost;
  readonly actor: Actor;
  readonly parameters: Parameters;
  readonly requestId: string;
  readonly client: { readonly remoteAddress: string };
  onGone: (() => void) | undefined;
  readonly #options: CallOptions;
  #state: 'open' | 'replied' | 'gone';

  constructor(options: CallOptions) {
    this.spec = options.spec;
    this.action = options.spec.name;
    this.api = options.api;
    this.vhost = options.actor.vhost;
    this.actor = options.actor;
    this.parameters = options.parameters;
    this.requestId = options.requestId;
    this.client = { remoteAddress: options.remoteAddress };
    this.onGone = undefined;
    this.#options = options;
    this.#state = 'open';
  }

  /** Runs the handler; what it throws is the answer. */
  run(handler: CmqHandler): void {
    try {
      handler(this);
    } catch (error) {
      const { failure, isFault } = toCmqFailure(error, this.spec);
      if (isFault) this.#logFault(error as Error);
      this.#failWith(failure);
    }
  }

  authorize(
    kind: ResourceKind,
    name: string,
    right: PermissionKind | 'any' = this.spec.right ?? 'any',
  ): void {
    const { access } = this.#options.broker;
    if (right === 'any') access.authorizeAny(this.actor.user, this.vhost.name, kind, name);
    else access.authorize(this.actor.user, this.vhost.name, right, kind, name);
  }

  /**
   * A client that is found gone gets none, and one whose key was revoked while it waited is told
   * so: `onGone` gives back what was taken for them.
   */
  reply(fields: ReplyFields): void {
    if (this.#state === 'open' && this.#options.isGone?.() === true) {
      this.gone();
      return;
    }
    const refusal = this.onGone === undefined ? undefined : this.#options.refusal?.();
    if (refusal !== undefined) {
      this.onGone?.();
      this.#failWith(refusal);
    } else if (this.#end('replied')) this.#succeed(fields);
  }

  /**
   * A reply that cannot be written, being longer than a string may be, is a failure: many come out
   * of a commit or a turn, where nobody else would catch it.
   */
  #succeed(fields: ReplyFields): void {
    try {
      this.#options.onSucceeded(this, fields);
    } catch (error) {
      this.#logFault(error as Error);
      this.onGone?.();
      this.#options.onFailed(this, toCmqFailure(error, this.spec).failure);
    }
  }

  fail(error: CmqErrorName, text?: string, fields?: Readonly<Record<string, unknown>>): void {
    this.#failWith(new CmqFailure(error, text, fields));
  }

  /** The client has gone. */
  gone(): void {
    if (this.#state !== 'open') return;
    this.#end('gone');
    this.onGone?.();
  }

  /** The server stops: whoever waits is told that there is nothing. */
  abandon(): void {
    if (this.#state !== 'open' || this.onGone === undefined) return;
    this.onGone();
    const isReceive = this.spec.failure === 'RECEIVE_FAILED';
    if (isReceive) this.fail('NO_MESSAGE');
    else this.fail(this.spec.failure, 'the server is stopping');
  }

  #failWith(failure: CmqFailure): void {
    if (this.#end('replied')) this.#options.onFailed(this, failure);
  }

  /** False when no reply is owed any more. */
  #end(state: 'replied' | 'gone'): boolean {
    if (this.#state === 'open') {
      this.#state = state;
      this.#options.onEnded?.(this);
      return true;
    }
    if (this.#state === 'replied') this.#logFault(new Error('a second reply to one call'));
    return false;
  }

  #logFault({ message, stack }: Error): void {
    const { action, requestId } = this;
    const fields = { action, requestId, error: message, stack };
    this.#options.logger.error(fields, 'CMQ call failed by a fault of the server');
  }
}

/** Code of a failure in API 2.0, for counting. */
export function codeOf({ error }: CmqFailure): number {
  return CMQ_ERRORS[error].code;
}
