/**
 * The broker's definitions in RabbitMQ's format: users, vhosts, rights, policies, topology, and
 * nothing of messages. Sorted, so that two exports of the same broker are the same text.
 *
 * Left out, as RabbitMQ does: exclusive queues, and exchanges every vhost has; and the queues CMQ
 * makes for itself when it needs them. Password hashes are given as they are stored; those of
 * algorithm scrypt mean nothing to RabbitMQ, which has no access keys and no CMQ either and ignores
 * both.
 */
import { keyToJson } from './access/access-key.ts';
import { userToJson, type User } from './access/user.ts';
import type { Broker } from './broker.ts';
import { isOwnQueueName } from './cmq/own-queues.ts';
import type { Json } from './definitions.ts';
import { cmqDefinitionsOf } from './definitions-cmq.ts';
import type { Binding } from './exchange/exchange.ts';
import { tableToPlain } from './plain-json.ts';
import type { PolicyKind } from './policy.ts';
import type { Queue } from './queue/queue.ts';
import type { Topology } from './topology.ts';

type JsonObject = { readonly [name: string]: Json };

/** A definitions document, without the lines that tell who made it. */
export function exportDefinitions(broker: Broker): JsonObject {
  const vhosts = [...broker.vhosts()].sort(byName);
  const users = [...broker.access.users()].sort(byName);
  const userNames = users.map(({ name }) => name);
  return {
    users: users.map(userRow),
    vhosts: vhosts.map(({ name }) => ({ name })),
    permissions: userNames.flatMap((user) => permissionsOf(broker, user)),
    topic_permissions: userNames.flatMap((user) =>
      vhosts.flatMap(({ name }) => topicPermissionsOf(broker, user, name)),
    ),
    ...accessKeysOf(broker),
    parameters: vhosts.flatMap(({ name }) =>
      policiesOf(broker, 'operator_policy', name).map((value) => {
        const { name: policyName, vhost, ...rest } = value;
        return { component: 'operator_policy', name: policyName!, vhost: vhost!, value: rest };
      }),
    ),
    global_parameters: [],
    policies: vhosts.flatMap(({ name }) => policiesOf(broker, 'policy', name)),
    queues: vhosts.flatMap(({ topology }) => queuesOf(topology)),
    exchanges: vhosts.flatMap(({ topology }) => exchangesOf(topology)),
    bindings: vhosts.flatMap(({ topology }) => bindingsOf(topology)),
    ...cmqDefinitionsOf(vhosts),
  };
}

/** RabbitMQ wants an algorithm even where there is no password. */
function userRow(user: User): JsonObject {
  const row = { name: user.name, ...(userToJson(user) as JsonObject) };
  if (user.password !== undefined) return row;
  return { ...row, hashing_algorithm: 'rabbit_password_hashing_sha256' };
}

function accessKeysOf(broker: Broker): JsonObject {
  const rows = [...broker.access.keys.all()]
    .map((key) => ({ id: key.id, ...(keyToJson(key) as JsonObject) }))
    .sort((a, b) => compare(a.id, b.id));
  return rows.length === 0 ? {} : { access_keys: rows };
}

function permissionsOf(broker: Broker, user: string): JsonObject[] {
  return [...broker.access.permissionsOf(user)]
    .map(([vhost, permission]) => ({ user, vhost, ...permission.toJson() }))
    .sort((a, b) => compare(a.vhost, b.vhost));
}

function topicPermissionsOf(broker: Broker, user: string, vhost: string): JsonObject[] {
  return [...broker.access.topicPermissionsOf(user, vhost)]
    .map(([exchange, permission]) => ({ user, vhost, exchange, ...permission.toJson() }))
    .sort((a, b) => compare(a.exchange, b.exchange));
}

function policiesOf(broker: Broker, kind: PolicyKind, vhost: string): JsonObject[] {
  return [...broker.policies.list(kind, vhost)]
    .sort(byName)
    .map((policy) => ({ vhost, name: policy.name, ...(policy.toJson() as JsonObject) }));
}

function queuesOf(topology: Topology): JsonObject[] {
  return [...topology.queues.values()]
    .filter(({ name, isExclusive }) => !isExclusive && !isOwnQueueName(name))
    .sort(byName)
    .map((queue) => ({
      name: queue.name,
      vhost: topology.vhostName,
      type: queue.settings.queueType,
      durable: queue.isDurable,
      auto_delete: queue.isAutoDelete,
      arguments: tableToPlain(queue.arguments),
    }));
}

function exchangesOf(topology: Topology): JsonObject[] {
  return [...topology.exchanges.values()]
    .filter(({ name }) => !name.startsWith('amq.'))
    .sort(byName)
    .map((exchange) => ({
      name: exchange.name,
      vhost: topology.vhostName,
      type: exchange.type,
      durable: exchange.isDurable,
      auto_delete: exchange.isAutoDelete,
      internal: exchange.isInternal,
      arguments: tableToPlain(exchange.arguments),
    }));
}

function bindingsOf(topology: Topology): JsonObject[] {
  const rows: (readonly [order: string, row: JsonObject])[] = [];
  for (const exchange of topology.exchanges.values()) {
    for (const binding of exchange.bindings()) {
      if (binding.destination.isHidden === true) continue;
      if (!binding.destination.isExchange && (binding.destination as Queue).isExclusive) continue;
      const row = bindingRow(topology.vhostName, binding);
      rows.push([JSON.stringify(Object.values(row)), row]);
    }
  }
  return rows.sort(([a], [b]) => compare(a, b)).map(([, row]) => row);
}

function bindingRow(vhost: string, { source, destination, ...binding }: Binding): JsonObject {
  return {
    source: source.name,
    vhost,
    destination: destination.name,
    destination_type: destination.isExchange ? 'exchange' : 'queue',
    routing_key: binding.key,
    arguments: tableToPlain(binding.arguments),
  };
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return compare(a.name, b.name);
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
