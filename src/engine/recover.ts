/**
 * Start-up: definitions and indexes from the store become vhosts, users and queues.
 *
 * Bodies are not read: a queue knows how many entries it has and where they begin. Definitions are
 * applied in an order in which everything they refer to exists. What belongs to no known queue is
 * dropped (a queue that was not durable, or deleted while its rows were being cleaned).
 */
import { BrokerError } from '../base/errors.ts';
import type { AccessRecordKind } from './access/access.ts';
import type { PasswordHash } from './access/password.ts';
import { Broker } from './broker.ts';
import type { BrokerDeps } from './broker.ts';
import { definitionNames } from './definitions.ts';
import type { Json } from './definitions.ts';
import type { Definition, QueueId, Recovery } from './ports.ts';
import { IDS_PER_QUEUE } from './queue/store-ids.ts';

/** Kinds in the order in which they can be restored. */
const KINDS = [
  'vhost',
  'user',
  'permission',
  'topic_permission',
  'access_key',
  'policy',
  'operator_policy',
  'exchange',
  'queue',
  'cmq_queue',
  'cmq_redrive',
  'binding',
  'delay',
  'session',
  'mqtt_subscription',
  'mqtt_received',
  'mqtt_released',
  'mqtt_will',
  'retained',
  'cmq_topic',
  'cmq_subscription',
] as const;

type Kind = (typeof KINDS)[number];

/** What an operator gets on the very first start. */
export interface FirstStart {
  readonly vhost: string;
  readonly user: string;
  readonly password: string;
}

export const DEFAULT_FIRST_START: FirstStart = { vhost: '/', user: 'guest', password: 'guest' };

/**
 * Opens the store and brings the broker to the state it was left in.
 *
 * @param firstStart what a broker without any vhost and user gets; 'empty': nothing, definitions
 *   follow
 * @throws BrokerError INTERNAL_ERROR when a definition cannot be understood
 */
export async function recoverBroker(
  deps: BrokerDeps,
  firstStart: FirstStart | 'empty' = DEFAULT_FIRST_START,
): Promise<{ broker: Broker; recovery: Recovery }> {
  const recovery = await deps.store.recover();
  const broker = new Broker(deps);
  broker.startEpoch(recovery.epoch);
  const byKind = groupByKind(recovery.definitions);
  const known = new Set<QueueId>();
  for (const kind of KINDS) {
    for (const definition of byKind.get(kind) ?? []) {
      restore(broker, recovery, kind, definition, known);
    }
  }
  for (const id of recovery.queues.keys()) {
    if (!known.has(blockOf(id))) deps.store.dropQueue(id);
  }
  for (const vhost of broker.vhosts()) {
    broker.queuesOf(vhost).applyPolicies();
    vhost.sessions.endEmptyShares();
    vhost.topics.start();
  }
  if (firstStart !== 'empty' && isBlank(broker)) await beginAnew(broker, firstStart);
  return { broker, recovery };
}

function isAccessKind(kind: Kind): kind is AccessRecordKind {
  return (
    kind === 'user' || kind === 'permission' || kind === 'topic_permission' || kind === 'access_key'
  );
}

function groupByKind(definitions: readonly Definition[]): Map<string, Definition[]> {
  const byKind = new Map<string, Definition[]>();
  for (const definition of definitions) {
    const group = byKind.get(definition.kind);
    if (group === undefined) byKind.set(definition.kind, [definition]);
    else group.push(definition);
  }
  return byKind;
}

function restore(
  broker: Broker,
  recovery: Recovery,
  kind: Kind,
  definition: Definition,
  known: Set<QueueId>,
): void {
  const names = definitionNames(definition.key);
  const value = JSON.parse(definition.value) as Json;
  if (kind === 'vhost') {
    broker.addVHost(names[0]!, true);
    return;
  }
  if (isAccessKind(kind)) {
    broker.access.restore(kind, names, value);
    return;
  }
  if (kind === 'policy' || kind === 'operator_policy') {
    broker.policies.restore(kind, names, value);
    return;
  }
  const vhost = broker.vhost(names[0]!);
  if (vhost === undefined) {
    throw new BrokerError('INTERNAL_ERROR', `${kind} ${definition.key} names an unknown vhost`);
  }
  const rest = names.slice(1);
  if (kind === 'exchange') {
    vhost.topology.restoreExchange(rest[0]!, value);
  } else if (kind === 'binding') {
    vhost.topology.restoreBinding(rest, value);
  } else if (kind === 'cmq_queue' || kind === 'cmq_redrive') {
    vhost.cmq.restore(kind, rest[0]!, value);
  } else if (kind === 'session') {
    vhost.sessions.restore(rest[0]!, value);
  } else if (kind === 'mqtt_subscription') {
    vhost.sessions.restoreSubscription(rest[0]!, rest[1]!, value);
  } else if (kind === 'mqtt_received') {
    vhost.sessions.restoreReceived(rest[0]!, Number(rest[1]));
  } else if (kind === 'mqtt_released') {
    vhost.sessions.restoreReleased(rest[0]!, Number(rest[1]));
  } else if (kind === 'mqtt_will') {
    vhost.sessions.restoreWill(rest[0]!, value);
  } else if (kind === 'retained') {
    vhost.retained.restore(rest[0]!, value);
  } else if (kind === 'cmq_topic') {
    vhost.topics.restoreTopic(rest[0]!, value);
  } else if (kind === 'cmq_subscription') {
    vhost.topics.restoreSubscription(rest[0]!, rest[1]!, value);
  } else {
    const { id } = value as { id: QueueId };
    known.add(blockOf(id));
    if (kind === 'queue') broker.queuesOf(vhost).restore(rest[0]!, value, recovery.queues);
    const delayed = kind === 'delay' ? recovery.queues.get(id) : undefined;
    if (delayed !== undefined) broker.restoreDelays(vhost, rest[0]!, delayed, id);
  }
}

/** First id of the block a queue's levels share. */
function blockOf(id: QueueId): QueueId {
  return id - (id % IDS_PER_QUEUE);
}

/** As RabbitMQ decides it: one vhost or user, and the defaults are not wanted any more. */
function isBlank(broker: Broker): boolean {
  for (const _ of broker.vhosts()) return false;
  for (const _ of broker.access.users()) return false;
  return true;
}

async function beginAnew(broker: Broker, first: FirstStart): Promise<void> {
  const { access } = broker;
  const hash = await new Promise<PasswordHash | undefined>((resolve) =>
    access.hashPassword(first.password, resolve),
  );
  // In one run, hence in one commit.
  broker.addVHost(first.vhost);
  access.putUser(first.user, { password: hash, tags: ['administrator'] });
  const all = { configure: '.*', write: '.*', read: '.*' };
  access.setPermission(first.user, first.vhost, all);
}
