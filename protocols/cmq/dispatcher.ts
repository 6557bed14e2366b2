import type { Clock } from '../../src/base/clock.ts';
import type { ProtocolLogger } from '../../src/base/logger.ts';
import type { RandomSource } from '../../src/base/random.ts';
import type { PermissionKind } from '../../src/engine/access/permission.ts';
import type { ResourceKind } from '../../src/engine/access/access.ts';
import type { Actor } from '../../src/engine/actor.ts';
import type { Broker } from '../../src/engine/broker.ts';
import type { VHost } from '../../src/engine/vhost.ts';
import type { Parameters } from './request-parameters.ts';
import type { ReplyFields } from './reply-json.ts';
import type { CmqSettings } from './settings.ts';
import type { CmqErrorName } from './spec/errors.ts';

/** What handlers work with. */
export interface CmqDeps {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly settings: CmqSettings;
  readonly logger: ProtocolLogger;
}

/** One authenticated call of a known action. */
export interface CmqCall {
  /** Canonical name of the action's row in the table. */
  readonly action: string;
  /** API the client speaks: in 3 lists have every attribute of what they list. */
  readonly api: 2 | 3;
  /** The account. */
  readonly vhost: VHost;
  readonly actor: Actor;
  /** Of the types and in the ranges of the action's row. */
  readonly parameters: Parameters;
  readonly requestId: string;
  readonly client: { readonly remoteAddress: string };
  /** Runs when the client has gone before the reply; then none is owed any more. */
  onGone: (() => void) | undefined;
  /**
   * Asks for the right of the action's row (or `right`) on a queue or exchange, by the name it was
   * declared with: rights are case-sensitive where CMQ names are not.
   * @throws BrokerError ACCESS_REFUSED
   */
  authorize(kind: ResourceKind, name: string, right?: PermissionKind | 'any'): void;
  /** Answers with code 0 and these fields, by their 2.0 names and in seconds. */
  reply(fields: ReplyFields): void;
  /** Answers with an error; `text` in the place of the vendor's. */
  fail(error: CmqErrorName, text?: string, fields?: Readonly<Record<string, unknown>>): void;
}

/**
 * Serves a call: replies exactly once, at once or later. Throws CmqFailure or BrokerError instead
 * only before it returns.
 */
export type CmqHandler = (call: CmqCall) => void;

/** By the canonical name of the action. */
export type CmqHandlers = ReadonlyMap<string, CmqHandler>;
