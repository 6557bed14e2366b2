/** What owners do with subscriptions over CMQ (reference 2.4). */
import type { Subscription } from '../../src/engine/topic/subscription.ts';
import type { Topic } from '../../src/engine/topic/topic.ts';
import type { CmqCall, CmqDeps, CmqHandlers } from './dispatcher.ts';
import { CmqFailure, parameterFailure } from './error-mapper.ts';
import { pageOf } from './queue-description.ts';
import {
  checkUnchanged,
  subscriptionChanges,
  subscriptionOptions,
} from './subscription-options.ts';
import {
  describeSubscription,
  describeSubscriptionV3,
  subscriptionEntry,
  subscriptionOf,
  topicOf,
} from './topic-description.ts';
import { topicFailuresOf } from './topic-failures.ts';

/** Handlers of all actions on subscriptions. */
export function subscriptionHandlers(deps: CmqDeps): CmqHandlers {
  return new Map(
    topicFailuresOf({
      Subscribe: (call) => subscribe(call, deps),
      ListSubscriptionByTopic: (call) => list(call),
      GetSubscriptionAttributes: (call) => call.reply(describeSubscription(subscriptionOf(call))),
      SetSubscriptionAttributes: (call) => setAttributes(call, deps),
      ClearSubscriptionFilterTags: (call) => clearFilterTags(call, deps),
      Unsubscribe: (call) => unsubscribe(call, deps),
    }),
  );
}

function subscribe(call: CmqCall, { broker, settings }: CmqDeps): void {
  const topic = topicOf(call);
  const { subscription, ticket } = call.vhost.topics.subscribe(
    call.actor,
    topic,
    call.parameters.text('subscriptionName'),
    subscriptionOptions(topic, call.parameters),
    settings.subscriptionsMax,
  );
  broker.hold(ticket, () => call.reply({ subscriptionId: subscription.record.id }));
}

function setAttributes(call: CmqCall, { broker }: CmqDeps): void {
  const subscription = subscriptionOf(call);
  const { topic, record } = subscription;
  checkUnchanged(record, call.parameters);
  const changes = subscriptionChanges(topic, record, call.parameters);
  const ticket = call.vhost.topics.changeSubscription(call.actor, subscription, changes);
  broker.hold(ticket, () => call.reply({}));
}

/** A subscription without tags gets everything; one by binding keys would go on as before. */
function clearFilterTags(call: CmqCall, { broker }: CmqDeps): void {
  const subscription = subscriptionOf(call);
  if (subscription.topic.record.filterType === 2) {
    throw new CmqFailure('PARAMETERS_WRONG', 'filterTag is for topics of filterType 1');
  }
  const changes = { filterTags: [] };
  const ticket = call.vhost.topics.changeSubscription(call.actor, subscription, changes);
  broker.hold(ticket, () => call.reply({}));
}

function unsubscribe(call: CmqCall, { broker }: CmqDeps): void {
  const ticket = call.vhost.topics.unsubscribe(call.actor, subscriptionOf(call));
  broker.hold(ticket, () => call.reply({}));
}

/** By topic, or in API 3.0 by the queue they lead to. API 3.0 gets every attribute of each. */
function list(call: CmqCall): void {
  const { parameters } = call;
  const word = parameters.optionalText('searchWord')?.toLowerCase() ?? '';
  const found = candidates(call).filter(({ subscriptionName }) =>
    subscriptionName.toLowerCase().includes(word),
  );
  const page = pageOf(parameters, found);
  call.reply({
    totalCount: found.length,
    subscriptionList: page.map(call.api === 2 ? subscriptionEntry : describeSubscriptionV3),
  });
}

function candidates(call: CmqCall): Subscription[] {
  const { parameters, vhost } = call;
  const queueName = parameters.optionalText('queueName') ?? '';
  const queryType = parameters.optionalText('queryType') ?? (queueName === '' ? 'topic' : 'queue');
  if (queryType === 'topic' || parameters.has('topicName')) {
    if (!parameters.has('topicName')) throw parameterFailure('PARAMETER_MISSING', 'topicName');
    const own = subscriptionsOf(topicOf(call));
    return queueName === '' ? own : own.filter(leadsTo(queueName));
  }
  if (queueName === '') throw parameterFailure('PARAMETER_MISSING', 'queueName');
  return vhost.topics.visibleTo(call.actor).flatMap(subscriptionsOf).filter(leadsTo(queueName));
}

function leadsTo(queueName: string): (subscription: Subscription) => boolean {
  const wanted = queueName.toLowerCase();
  return ({ record: { protocol, endpoint } }) =>
    protocol === 'queue' && endpoint.toLowerCase() === wanted;
}

function subscriptionsOf(topic: Topic): Subscription[] {
  return [...topic.subscriptions.values()].sort((a, b) =>
    a.subscriptionName < b.subscriptionName ? -1 : 1,
  );
}
