/** Topics and subscriptions as replies show them, and as calls name them (reference 2.4). */
import { accountNumber } from '../../src/engine/cmq/account-number.ts';
import type { Subscription } from '../../src/engine/topic/subscription.ts';
import type { Topic } from '../../src/engine/topic/topic.ts';
import type { CmqCall } from './dispatcher.ts';
import { CmqFailure } from './error-mapper.ts';
import { toSeconds } from './queue-description.ts';
import { resourceTagFields } from './resource-tags.ts';

type Fields = Record<string, unknown>;

/**
 * The topic a call names, after asking for the right of its action.
 * @throws BrokerError ACCESS_REFUSED; CmqFailure TOPIC_NOT_FOUND
 */
export function topicOf(call: CmqCall): Topic {
  const name = call.parameters.text('topicName');
  const topic = call.vhost.topics.find(name);
  call.authorize('exchange', topic?.name ?? name);
  if (topic === undefined) throw new CmqFailure('TOPIC_NOT_FOUND');
  return topic;
}

/**
 * The subscription a call names.
 * @throws BrokerError ACCESS_REFUSED; CmqFailure TOPIC_NOT_FOUND, SUBSCRIPTION_NOT_FOUND
 */
export function subscriptionOf(call: CmqCall): Subscription {
  const subscription = topicOf(call).subscription(call.parameters.text('subscriptionName'));
  if (subscription === undefined) throw new CmqFailure('SUBSCRIPTION_NOT_FOUND');
  return subscription;
}

/** Id and name, as lists show a topic. */
export function topicEntry({ name, record }: Topic): Fields {
  return { topicId: record.id, topicName: name };
}

/** Everything about a topic. */
export function describeTopic(topic: Topic): Fields {
  const { record } = topic;
  return {
    ...topicEntry(topic),
    msgCount: topic.pendingCount,
    maxMsgSize: record.maxMsgSize,
    msgRetentionSeconds: record.msgRetentionSeconds,
    filterType: record.filterType,
    trace: record.trace,
    tags: resourceTagFields(record.tags),
    topicOwner: record.owner,
    subscriptionCount: topic.subscriptions.size,
    createTime: toSeconds(record.createdAtMs),
    lastModifyTime: toSeconds(record.modifiedAtMs),
  };
}

/** What lists show of a subscription. */
export function subscriptionEntry({ subscriptionName, record }: Subscription): Fields {
  const { id, protocol, endpoint } = record;
  return { subscriptionId: id, subscriptionName, protocol, endpoint };
}

/**
 * A subscription as API 3.0 lists it. The owner is an account's number there, and its typed clients
 * read no text: a user whose name is no number is 0.
 */
export function describeSubscriptionV3(subscription: Subscription): Fields {
  return {
    ...describeSubscription(subscription),
    topicOwner: accountNumber(subscription.topic.record.owner),
  };
}

/** Everything about a subscription, but not its secret. */
export function describeSubscription(subscription: Subscription): Fields {
  const { topic, record, counters, lastFailure, nextAttemptMs } = subscription;
  return {
    ...subscriptionEntry(subscription),
    topicName: topic.name,
    topicOwner: topic.record.owner,
    msgCount: countOf(subscription),
    pendingMsgCount: subscription.pendingCount,
    totalMsgCount: counters.matchedMessages,
    notifyCount: counters.attempts,
    succNotifyCount: counters.deliveredMessages,
    abandonedMsgCount: counters.abandonedMessages,
    notifyStrategy: record.strategy,
    notifyContentFormat: record.format,
    filterTags: record.filterTags,
    bindingKey: record.bindingKeys,
    deadLetterQueueName: record.deadLetterQueue ?? '',
    isSigned: record.secret !== undefined,
    ...(lastFailure !== undefined && {
      lastFailure: lastFailure.detail,
      lastFailureTime: toSeconds(lastFailure.atMs),
    }),
    ...(nextAttemptMs !== undefined && { nextNotifyTime: toSeconds(nextAttemptMs) }),
    createTime: toSeconds(record.createdAtMs),
    lastModifyTime: toSeconds(record.modifiedAtMs),
  };
}

/**
 * `msgCount`: the documents call it what is to be delivered still, and so it is of a push. For a
 * queue nothing ever is; there the vendor's own clients expect what was delivered.
 */
function countOf({ record, counters, pendingCount }: Subscription): number {
  return record.protocol === 'queue' ? counters.matchedMessages : pendingCount;
}
