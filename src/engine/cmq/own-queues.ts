/** Names of the queues CMQ makes when it needs them; nobody can declare such a name. */

/** The trace of a queue. */
export const TRACE_PREFIX = 'amq.cmq-trace.';
/** The trace of a topic. */
export const TOPIC_TRACE_PREFIX = 'amq.cmq-topic-trace.';
/** What a subscription is to deliver: `cmq.push.TOPIC.SUBSCRIPTION`. */
export const PUSH_PREFIX = 'cmq.push.';

const PREFIXES = [TRACE_PREFIX, TOPIC_TRACE_PREFIX, PUSH_PREFIX];

export function isOwnQueueName(name: string): boolean {
  return PREFIXES.some((prefix) => name.startsWith(prefix));
}
