/**
 * RabbitMQ's definitions document applied to a broker: all of it or nothing.
 *
 * 1. The whole document is checked before anything changes.
 * 2. It only adds and changes, it removes nothing. What is there already in the same form is left
 *    alone, so that loading a document at every start costs no write.
 * 3. Users, permissions, policies and what CMQ adds are given the document's form. Exchanges and
 *    queues cannot change: an inequivalent one is a mistake.
 * 4. All changes are made in one run, hence become durable with one commit.
 */
import { keyToJson, type AccessKey } from './access/access-key.ts';
import type { PasswordHash } from './access/password.ts';
import { userToJson, type User } from './access/user.ts';
import type { Broker } from './broker.ts';
import { checkDefinitions, RESERVED_PREFIX } from './definitions-check.ts';
import { readDefinitionsDocument } from './definitions-document.ts';
import type {
  BindingRecord,
  DefinitionsDocument,
  PolicyRecord,
  UserRecord,
} from './definitions-document.ts';
import type { Exchange } from './exchange/exchange.ts';
import { tableToPlain } from './plain-json.ts';
import { PolicySet } from './policy.ts';
import type { Topology } from './topology.ts';

/** What an import did. */
export interface ImportReport {
  /** Entries that were new or changed, by kind; kinds without any are absent. */
  readonly applied: Readonly<Record<string, number>>;
  /** Entries that have no meaning here and were left out, one sentence each. */
  readonly warnings: readonly string[];
}

/** All that is wrong with a definitions document, one sentence each. Nothing was applied. */
export class DefinitionsError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.name = 'DefinitionsError';
    this.problems = problems;
  }
}

/**
 * Applies a parsed definitions document. Durable with `broker.ticket` as of the return.
 *
 * @throws DefinitionsError with every mistake
 */
export async function importDefinitions(broker: Broker, json: unknown): Promise<ImportReport> {
  const document = readDefinitionsDocument(json);
  const passwords = await hashPasswords(broker, document);
  // Nothing is awaited from here on: what was checked is what is changed.
  checkDefinitions(broker, document);
  if (document.problems.length > 0) throw new DefinitionsError(document.problems);
  const applied = new Map<string, number>();
  const apply = <T>(kind: string, records: readonly T[], put: (record: T) => boolean): void => {
    const count = records.filter((record) => put(record)).length;
    if (count > 0) applied.set(kind, count);
  };
  apply('vhosts', document.vhosts, (name) => putVHost(broker, name));
  apply('users', document.users, (user) => putUser(broker, user, passwords));
  applyPermissions(broker, document, apply);
  apply('access_keys', document.accessKeys, (key) => putAccessKey(broker, key));
  apply('policies', document.policies, (policy) => putPolicy(broker, policy));
  applyTopology(broker, document, apply);
  applyCmq(broker, document, apply);
  return { applied: Object.fromEntries(applied), warnings: document.warnings };
}

type Apply = <T>(kind: string, records: readonly T[], put: (record: T) => boolean) => void;

/** Hashes of the plain passwords, by user; the old one where the password has not changed. */
async function hashPasswords(
  broker: Broker,
  document: DefinitionsDocument,
): Promise<ReadonlyMap<string, PasswordHash>> {
  const hashes = new Map<string, PasswordHash>();
  if (document.problems.length > 0) return hashes;
  const { access } = broker;
  for (const { name, plainPassword } of document.users) {
    if (plainPassword === undefined) continue;
    const known = await new Promise<User | undefined>((resolve) =>
      access.authenticate(name, plainPassword, resolve),
    );
    const hash =
      known?.password ??
      (await new Promise<PasswordHash | undefined>((resolve) =>
        access.hashPassword(plainPassword, resolve),
      ));
    if (hash === undefined) document.problems.push(`user '${name}': too many logins are waiting`);
    else hashes.set(name, hash);
  }
  return hashes;
}

function putVHost(broker: Broker, name: string): boolean {
  if (broker.vhost(name) !== undefined) return false;
  broker.addVHost(name);
  return true;
}

function putUser(
  broker: Broker,
  record: UserRecord,
  passwords: ReadonlyMap<string, PasswordHash>,
): boolean {
  const { name, tags, limits } = record;
  const password = passwords.get(name) ?? record.password;
  const existing = broker.access.user(name);
  if (existing !== undefined) {
    const wanted = { name, password, tags: new Set(tags), limits };
    if (JSON.stringify(userToJson(existing)) === JSON.stringify(userToJson(wanted))) return false;
  }
  broker.access.putUser(name, { password, tags, limits });
  return true;
}

function applyPermissions(broker: Broker, document: DefinitionsDocument, apply: Apply): void {
  const { access } = broker;
  apply('permissions', document.permissions, ({ user, vhost, patterns }) => {
    if (isSame(access.permission(user, vhost), patterns)) return false;
    access.setPermission(user, vhost, patterns);
    return true;
  });
  apply('topic_permissions', document.topicPermissions, (record) => {
    const { user, vhost, exchange, patterns } = record;
    if (isSame(access.topicPermissionsOf(user, vhost).get(exchange), patterns)) return false;
    access.setTopicPermission(user, vhost, exchange, patterns);
    return true;
  });
}

function putAccessKey(broker: Broker, key: AccessKey): boolean {
  const { keys } = broker.access;
  const existing = keys.find(key.id);
  const text = JSON.stringify(keyToJson(key));
  if (existing !== undefined && JSON.stringify(keyToJson(existing)) === text) return false;
  keys.put(key);
  return true;
}

function isSame<T>(existing: { toJson(): T } | undefined, patterns: T): boolean {
  return existing !== undefined && sortedText(existing.toJson()) === sortedText(patterns);
}

/** Equal for objects with the same members in any order. */
function sortedText(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

function putPolicy(broker: Broker, { kind, vhost, name, input }: PolicyRecord): boolean {
  const wanted = new PolicySet().put(kind, vhost, name, input).toJson();
  const existing = broker.policies.find(kind, vhost, name);
  if (existing !== undefined && sortedText(existing.toJson()) === sortedText(wanted)) return false;
  broker.policies.put(kind, vhost, name, input);
  return true;
}

function applyTopology(broker: Broker, document: DefinitionsDocument, apply: Apply): void {
  const topologyOf = (vhost: string): Topology => broker.vhost(vhost)!.topology;
  apply('exchanges', document.exchanges, (record) => {
    const { exchanges } = topologyOf(record.vhost);
    if (isReserved(record.name) || exchanges.has(record.name)) return false;
    topologyOf(record.vhost).addExchange(record.name, record);
    return true;
  });
  apply('queues', document.queues, (record) => {
    const vhost = broker.vhost(record.vhost)!;
    if (isReserved(record.name) || vhost.topology.queues.has(record.name)) return false;
    broker.queuesOf(vhost).define(record.name, record);
    return true;
  });
  // Alternate exchanges by policy, for the exchanges that are new.
  for (const vhost of broker.vhosts()) broker.queuesOf(vhost).applyPolicies();
  apply('bindings', document.bindings, (record) => putBinding(topologyOf(record.vhost), record));
}

/** Queues and exchanges are there; a subscription's topic is before it. */
function applyCmq(broker: Broker, document: DefinitionsDocument, apply: Apply): void {
  apply('cmq_queues', document.cmqQueues, ({ vhost, name, attributes }) =>
    broker.vhost(vhost)!.cmq.queues.define(name, attributes),
  );
  apply('cmq_topics', document.cmqTopics, ({ vhost, name, options }) =>
    broker.vhost(vhost)!.topics.define(name, options),
  );
  apply('cmq_subscriptions', document.cmqSubscriptions, ({ vhost, topic, name, options }) => {
    const { topics } = broker.vhost(vhost)!;
    return topics.defineSubscription(topics.find(topic)!, name, options);
  });
}

function putBinding(topology: Topology, record: BindingRecord): boolean {
  const { source, destination, isToExchange, key } = record;
  const from = topology.exchanges.get(source);
  const to = isToExchange ? topology.exchanges.get(destination) : topology.queues.get(destination);
  // The check has warned of what is left out.
  if (from === undefined || to === undefined || hasBinding(from, to, record)) return false;
  topology.bind(from, to, key, record.arguments);
  return true;
}

/** Compares arguments as a file shows them: kinds of numbers are lost there. */
function hasBinding(
  from: Exchange,
  to: Parameters<Exchange['bindingsTo']>[0],
  record: BindingRecord,
): boolean {
  const wanted = sortedText(tableToPlain(record.arguments));
  for (const binding of from.bindingsTo(to)) {
    if (binding.key !== record.key) continue;
    if (sortedText(tableToPlain(binding.arguments)) === wanted) return true;
  }
  return false;
}

function isReserved(name: string): boolean {
  return name === '' || name.startsWith(RESERVED_PREFIX);
}
