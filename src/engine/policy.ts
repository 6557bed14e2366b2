/**
 * Policies: settings for queues and exchanges by name pattern, changeable at run time.
 *
 * Of the policies of a vhost that match a queue or exchange, the one with the highest priority is
 * in force, alone. Operator policies are a second set of the same kind that may only limit. How
 * both merge with the arguments of a queue is in `queue/settings.ts`.
 *
 * 1. A policy that holds a key its target's type cannot honour does not match that target at all.
 * 2. Every change bumps `revision` and is told to `onRecord`, once, after it is in force; what
 *    `restore` puts back is not.
 */
import { BrokerError } from '../base/errors.ts';
import { compileSafeRegex, findRegexProblem } from '../base/safe-regex.ts';
import type { Json } from './definitions.ts';
import type { Exchange } from './exchange/exchange.ts';
import { POLICY_KEYS, UNSUPPORTED_KEYS } from './policy-keys.ts';
import type { QueueType } from './queue/settings.ts';

export type PolicyValue = string | number | boolean;
export type PolicyDefinition = ReadonlyMap<string, PolicyValue>;
export type PolicyKind = 'policy' | 'operator_policy';
export type PolicyTarget =
  | 'queues'
  | 'exchanges'
  | 'classic_queues'
  | 'quorum_queues'
  | 'streams'
  | 'all';

/** What a policy is made of; names as in RabbitMQ's definitions files. */
export interface PolicyInput {
  readonly pattern: string;
  readonly definition: Readonly<Record<string, unknown>>;
  readonly priority?: number;
  readonly 'apply-to'?: string;
}

/** One policy, checked. */
export class Policy {
  readonly vhost: string;
  readonly name: string;
  readonly pattern: string;
  readonly priority: number;
  readonly applyTo: PolicyTarget;
  readonly definition: PolicyDefinition;
  readonly #regex: RegExp;

  constructor(
    vhost: string,
    name: string,
    pattern: string,
    priority: number,
    applyTo: PolicyTarget,
    definition: PolicyDefinition,
  ) {
    this.vhost = vhost;
    this.name = name;
    this.pattern = pattern;
    this.priority = priority;
    this.applyTo = applyTo;
    this.definition = definition;
    this.#regex = compileSafeRegex(pattern);
  }

  matchesQueue(name: string, type: QueueType): boolean {
    if (!isForQueueType(this.applyTo, type)) return false;
    const unsupported = UNSUPPORTED_KEYS[type];
    for (const key of this.definition.keys()) if (unsupported.has(key)) return false;
    return this.#regex.test(name);
  }

  matchesExchange(name: string): boolean {
    return (this.applyTo === 'all' || this.applyTo === 'exchanges') && this.#regex.test(name);
  }

  toJson(): Json {
    return {
      pattern: this.pattern,
      'apply-to': this.applyTo,
      priority: this.priority,
      definition: Object.fromEntries(this.definition),
    };
  }
}

/** The policies in force for one queue or exchange. */
export interface MatchedPolicies {
  readonly policy: Policy | undefined;
  readonly operatorPolicy: Policy | undefined;
}

export type PolicyRecordListener = (
  kind: PolicyKind,
  names: readonly [vhost: string, name: string],
  value: Json | undefined,
) => void;

/** All policies of all vhosts. */
export class PolicySet {
  onRecord: PolicyRecordListener;
  /** By vhost; sorted by falling priority, then by name. */
  readonly #policies: Record<PolicyKind, Map<string, Policy[]>>;
  #revision = 1;

  constructor() {
    this.onRecord = () => {};
    this.#policies = { policy: new Map(), operator_policy: new Map() };
  }

  get revision(): number {
    return this.#revision;
  }

  list(kind: PolicyKind, vhost: string): readonly Policy[] {
    return this.#policies[kind].get(vhost) ?? [];
  }

  find(kind: PolicyKind, vhost: string, name: string): Policy | undefined {
    return this.list(kind, vhost).find((policy) => policy.name === name);
  }

  /**
   * Makes or replaces a policy.
   * @throws BrokerError PRECONDITION_FAILED when it is not valid
   */
  put(kind: PolicyKind, vhost: string, name: string, input: PolicyInput): Policy {
    const policy = parsePolicy(kind, vhost, name, input);
    this.#insert(kind, policy);
    this.onRecord(kind, [vhost, name], policy.toJson());
    return policy;
  }

  /** Removes a policy; false when there was none. */
  remove(kind: PolicyKind, vhost: string, name: string): boolean {
    const policies = this.#policies[kind].get(vhost);
    const index = policies?.findIndex((policy) => policy.name === name) ?? -1;
    if (policies === undefined || index < 0) return false;
    policies.splice(index, 1);
    if (policies.length === 0) this.#policies[kind].delete(vhost);
    this.#revision++;
    this.onRecord(kind, [vhost, name], undefined);
    return true;
  }

  /** A vhost is being deleted: so are its policies. */
  removeVHost(vhost: string): void {
    for (const kind of ['policy', 'operator_policy'] as const) {
      for (const { name } of [...this.list(kind, vhost)]) this.remove(kind, vhost, name);
    }
  }

  /** Puts a persisted policy back at start-up. */
  restore(kind: PolicyKind, names: readonly string[], value: Json): void {
    const [vhost = '', name = ''] = names;
    this.#insert(kind, parsePolicy(kind, vhost, name, value as unknown as PolicyInput));
  }

  forQueue(vhost: string, name: string, type: QueueType): MatchedPolicies {
    const matches = (policy: Policy): boolean => policy.matchesQueue(name, type);
    return {
      policy: this.list('policy', vhost).find(matches),
      operatorPolicy: this.list('operator_policy', vhost).find(matches),
    };
  }

  forExchange(vhost: string, name: string): MatchedPolicies {
    const matches = (policy: Policy): boolean => policy.matchesExchange(name);
    return {
      policy: this.list('policy', vhost).find(matches),
      operatorPolicy: this.list('operator_policy', vhost).find(matches),
    };
  }

  /** The alternate exchange in force: of the exchange's own argument, or else of its policy. */
  alternateExchangeOf(vhost: string, exchange: Exchange): string | undefined {
    const own = exchange.arguments.get('alternate-exchange');
    if (typeof own === 'string') return own;
    const { policy } = this.forExchange(vhost, exchange.name);
    const value = policy?.definition.get('alternate-exchange');
    return typeof value === 'string' ? value : undefined;
  }

  #insert(kind: PolicyKind, policy: Policy): void {
    const byVhost = this.#policies[kind];
    const others = this.list(kind, policy.vhost).filter((other) => other.name !== policy.name);
    byVhost.set(policy.vhost, [...others, policy].sort(byPriority));
    this.#revision++;
  }
}

function byPriority(a: Policy, b: Policy): number {
  if (a.priority !== b.priority) return b.priority - a.priority;
  return a.name < b.name ? -1 : 1;
}

const TARGETS: ReadonlySet<string> = new Set<PolicyTarget>([
  'queues',
  'exchanges',
  'classic_queues',
  'quorum_queues',
  'streams',
  'all',
]);

function isForQueueType(applyTo: PolicyTarget, type: QueueType): boolean {
  if (applyTo === 'all' || applyTo === 'queues') return true;
  return applyTo === (type === 'stream' ? 'streams' : `${type}_queues`);
}

function parsePolicy(kind: PolicyKind, vhost: string, name: string, input: PolicyInput): Policy {
  const { pattern, priority = 0, definition } = input;
  const applyTo = input['apply-to'] ?? 'all';
  const problem =
    typeof pattern === 'string' ? findRegexProblem(pattern) : `not a string: ${termText(pattern)}`;
  if (problem !== undefined) {
    refuse(`pattern should be regular expression but is invalid: ${problem}`);
  }
  if (!Number.isSafeInteger(priority)) {
    refuse(`priority should be a number, actually was ${termText(priority)}`);
  }
  if (!TARGETS.has(applyTo)) {
    refuse(
      `apply-to '${applyTo}' unrecognised; should be one of: 'queues', 'classic_queues', ` +
        ` 'quorum_queues', 'streams', 'exchanges', or 'all'`,
    );
  }
  const checked = parseDefinition(kind, definition);
  return new Policy(vhost, name, pattern, priority, applyTo as PolicyTarget, checked);
}

function parseDefinition(kind: PolicyKind, definition: unknown): PolicyDefinition {
  if (typeof definition !== 'object' || definition === null || Array.isArray(definition)) {
    return refuse('definition must be a dictionary');
  }
  const entries = Object.entries(definition);
  if (entries.length === 0) refuse('no policy provided');
  const checked = new Map<string, PolicyValue>();
  for (const [name, value] of entries as [string, unknown][]) {
    const key = POLICY_KEYS.get(name);
    if (key === undefined || (kind === 'operator_policy' && !key.isForOperators)) {
      refuse(`[{${termText(name)},${termText(value)}}] are not recognised policy settings`);
    }
    if (!isPolicyValue(value) || !key.isValid(value)) {
      refuse(`${termText(value)} is not a valid ${key.noun}`);
    }
    checked.set(name, value);
  }
  return checked;
}

function isPolicyValue(value: unknown): value is PolicyValue {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

/** A JSON value in a reply text, strings as RabbitMQ prints them. */
function termText(value: unknown): string {
  return typeof value === 'string' ? `<<"${value}">>` : `${JSON.stringify(value)}`;
}

function refuse(text: string): never {
  throw new BrokerError('PRECONDITION_FAILED', text);
}
