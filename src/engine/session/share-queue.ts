/**
 * The queues of shared subscriptions: one per group and filter, there while the group has members.
 */
import { EMPTY_TABLE, type FieldTable } from '../../base/field-value.ts';
import type { Actor } from '../actor.ts';
import type { Queue } from '../queue/queue.ts';
import type { VHost } from '../vhost.ts';

const PREFIX = 'mqtt-share-';

/** Tells them from queues that happen to have such a name. */
const ARGUMENT = 'x-mqtt-share';
const ARGUMENTS: FieldTable = new Map([[ARGUMENT, true]]);

/** A group has no slash in its name, so each has its own queue for each of its filters. */
export function shareQueueName(group: string, topicFilter: string): string {
  return `${PREFIX}${group}/${topicFilter}`;
}

/** The reverse: the filter that members of the group wrote, if the queue is one of a group. */
export function shareFilterOf(queueName: string): string {
  return `$share/${queueName.slice(PREFIX.length)}`;
}

/**
 * One of a version that named no argument stays as it is.
 *
 * @throws BrokerError ACCESS_REFUSED, and what else a queue is refused with
 */
export function declareShareQueue(vhost: VHost, actor: Actor, name: string): void {
  const isOlder = vhost.topology.queues.get(name)?.arguments.size === 0;
  vhost.declareQueue(actor, name, {
    passive: false,
    durable: true,
    exclusive: false,
    autoDelete: false,
    arguments: isOlder ? EMPTY_TABLE : ARGUMENTS,
  });
}

export function isShareQueue(queue: Queue): boolean {
  return queue.arguments.has(ARGUMENT);
}
